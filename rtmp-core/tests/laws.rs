//! Laws that hold for all inputs.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rtmp_core::amf::amf0::{self, Value};
use rtmp_core::amf::{Object, Text, amf3};
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Compression, Message, MessageType};
use rtmp_core::handshake::{ClientHandshake, Scheme};
use rtmp_core::media::{AudioTag, MediaRole, VideoTag};
use rtmp_core::message::{Aggregate, Command, Control, DataFrame, without_property};
use rtmp_core::{
    AmfLimits, ClientConnection, ClientEvent, ConnectionConfig, Limits, MediaKind, Progress, Purpose,
    ServerConnection, ServerEvent, StreamUrl, Target, Timestamp, flv,
};

fn message() -> impl Strategy<Value = Message> {
    let csid = prop_oneof![8 => 3..9_u32, 1 => 63..67_u32, 1 => 318..322_u32, 1 => Just(65_599_u32)];
    let kind = prop_oneof![Just(8_u8), Just(9), Just(18), Just(20)];
    let time = prop_oneof![6 => 0..100_000_u32, 1 => any::<u32>(), 1 => 0xff_fff0..0x100_0010_u32];
    let payload = prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..600), 1 => Just(vec![0; 5000])];
    (csid, kind, time, 0..3_u32, payload).prop_map(|(csid, kind, time, msid, payload)| Message {
        csid,
        timestamp: Timestamp::from_millis(time),
        kind: MessageType(kind),
        msid,
        payload: payload.into(),
    })
}

/// Messages as they may travel: interleaved at chunk borders, with changes of chunk size between messages.
fn interleaved(messages: &[Message], chunk_size: u32, order: &[u8]) -> Vec<u8> {
    // Each message by itself, in Full headers; continuation chunks are found by their known lengths.
    let mut waiting: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut csids = Vec::new();
    for message in messages {
        let mut writer = ChunkWriter::default();
        writer.set_chunk_size(chunk_size);
        let mut wire = BytesMut::new();
        assert!(writer.write(&mut wire, message));
        let basic = match message.csid {
            0..=63 => 1,
            64..=319 => 2,
            _ => 3,
        };
        let extended = if message.timestamp.millis() >= 0xff_ffff { 4 } else { 0 };
        let size = chunk_size as usize;
        let mut chunks = Vec::new();
        let mut left = message.payload.len();
        let mut header = basic + 11 + extended;
        loop {
            let part = left.min(size);
            chunks.push(wire.split_to(header + part).to_vec());
            left -= part;
            if left == 0 {
                break;
            }
            header = basic + extended;
        }
        assert!(wire.is_empty());
        chunks.reverse();
        waiting.push(chunks);
        csids.push(message.csid);
    }
    let mut wire = Vec::new();
    let mut turn = 0;
    while waiting.iter().any(|chunks| !chunks.is_empty()) {
        let wish = usize::from(order.get(turn % order.len().max(1)).copied().unwrap_or(0)) % waiting.len();
        turn += 1;
        // A message may begin only when those in front of it on the same chunk stream are complete.
        let ready = |n: usize| {
            !waiting[n].is_empty() && (0..n).all(|m| csids[m] != csids[n] || waiting[m].is_empty())
        };
        let n = (wish..waiting.len()).chain(0..wish).find(|&n| ready(n)).expect("one is ready");
        wire.extend(waiting[n].pop().expect("not empty"));
    }
    wire
}

fn read_cut(wire: &[u8], cuts: &[u16]) -> Vec<Message> {
    let mut limits = common::wide_limits();
    limits.header_budget = u32::MAX;
    let mut reader = ChunkReader::new(&limits);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    let mut rest = wire;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let at = usize::from(*cuts.next().unwrap_or(&u16::MAX)).clamp(1, rest.len());
        input.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        while let Some(message) = reader.read(&mut input).expect("a legal stream") {
            messages.push(message);
        }
    }
    assert!(input.is_empty());
    messages
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[a-zA-Z]{0,12}".prop_map(Text::from),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Text::from_bytes(bytes.into())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("NaN is not equal to itself", |n| !n.is_nan()).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        text().prop_map(Value::String),
        text().prop_map(Value::LongString),
        text().prop_map(Value::Xml),
        Just(Value::Null),
        Just(Value::Undefined),
        Just(Value::Unsupported),
        any::<u16>().prop_map(Value::Reference),
        (any::<i16>(), -1e12..1e12_f64)
            .prop_map(|(zone_minutes, unix_millis)| Value::Date { unix_millis, zone_minutes }),
        amf3_value().prop_map(|value| Value::Amf3(Box::new(value))),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let object = prop::collection::vec((text(), inner.clone()), 0..6)
            .prop_map(|pairs| pairs.into_iter().collect::<Object<Value>>())
            .boxed();
        prop_oneof![
            object.clone().prop_map(Value::Object),
            object.clone().prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            (text(), object).prop_map(|(class, properties)| Value::TypedObject { class, properties }),
        ]
    })
}

fn amf3_value() -> impl Strategy<Value = amf3::Value> {
    let key = "[a-z]{1,6}".prop_map(Text::from).boxed();
    let leaf = prop_oneof![
        (-(1 << 28)..(1 << 28)).prop_map(amf3::Value::Integer),
        (-1e9..1e9_f64).prop_map(amf3::Value::Double),
        any::<bool>().prop_map(amf3::Value::Boolean),
        text().prop_map(amf3::Value::String),
        text().prop_map(amf3::Value::Xml),
        text().prop_map(amf3::Value::XmlDocument),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| amf3::Value::ByteArray(bytes.into())),
        (0.0..1e12_f64).prop_map(amf3::Value::Date),
        (any::<bool>(), prop::collection::vec(any::<i32>(), 0..4))
            .prop_map(|(fixed, elements)| amf3::Value::VectorInt { fixed, elements }),
        (any::<bool>(), prop::collection::vec(any::<u32>(), 0..4))
            .prop_map(|(fixed, elements)| amf3::Value::VectorUint { fixed, elements }),
        (any::<bool>(), prop::collection::vec(-1.0..1.0_f64, 0..4))
            .prop_map(|(fixed, elements)| amf3::Value::VectorDouble { fixed, elements }),
        Just(amf3::Value::Null),
        Just(amf3::Value::Undefined),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        let named = prop::collection::vec((key.clone(), inner.clone()), 0..4)
            .prop_map(|pairs| pairs.into_iter().collect::<Object<amf3::Value>>())
            .boxed();
        prop_oneof![
            (named.clone(), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(named, dense)| amf3::Value::Array { named, dense }),
            (text(), named.clone(), prop::option::of(named))
                .prop_map(|(class, sealed, dynamic)| amf3::Value::Object { class, sealed, dynamic }),
            (any::<bool>(), text(), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(fixed, class, elements)| amf3::Value::VectorObject { fixed, class, elements }),
            (any::<bool>(), prop::collection::vec((inner.clone(), inner), 0..3))
                .prop_map(|(weak, entries)| amf3::Value::Dictionary { weak, entries }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_a_chunk_stream_anywhere_changes_nothing(
        messages in prop::collection::vec(message(), 1..12),
        size in 1..1000_u32,
        order in prop::collection::vec(any::<u8>(), 1..40),
        cuts in prop::collection::vec(1..400_u16, 1..20),
    ) {
        let mut wire = BytesMut::new();
        ChunkWriter::default().write(&mut wire, &Control::SetChunkSize(size).message());
        wire.extend_from_slice(&interleaved(&messages, size, &order));
        let mut whole = read_cut(&wire, &[u16::MAX]);
        prop_assert_eq!(&whole, &read_cut(&wire, &cuts));
        prop_assert_eq!(&whole, &read_cut(&wire, &[1]));
        // Every message came out as it went in; per chunk stream in order.
        whole.remove(0);
        prop_assert_eq!(whole.len(), messages.len());
        for csid in messages.iter().map(|message| message.csid) {
            let of = |list: &[Message]| list.iter().filter(|m| m.csid == csid).cloned().collect::<Vec<_>>();
            prop_assert_eq!(of(&whole), of(&messages));
        }
    }

    #[test]
    fn both_ways_of_writing_read_the_same(messages in prop::collection::vec(message(), 1..30), size in 1..1000_u32) {
        for compression in [Compression::Full, Compression::Compact] {
            let mut writer = ChunkWriter::new(compression);
            let mut wire = BytesMut::new();
            writer.write(&mut wire, &Control::SetChunkSize(size).message());
            writer.set_chunk_size(size);
            for message in &messages {
                prop_assert!(writer.write(&mut wire, message));
            }
            prop_assert_eq!(&read_cut(&wire, &[97])[1..], &messages);
        }
    }

    #[test]
    fn amf0_values_survive(values in prop::collection::vec(value(), 0..4)) {
        let mut wire = BytesMut::new();
        amf0::encode_all(&values, &mut wire).expect("not too deep");
        let wire = wire.freeze();
        let read = amf0::decode_all(wire.clone(), AmfLimits::data()).expect("our own bytes");
        prop_assert_eq!(&read, &values);
        let mut again = BytesMut::new();
        amf0::encode_all(&read, &mut again).expect("not too deep");
        prop_assert_eq!(again, wire);
    }

    #[test]
    fn amf3_values_survive(value in amf3_value()) {
        let mut wire = BytesMut::new();
        amf3::encode(&value, &mut wire).expect("not too deep");
        prop_assert_eq!(amf3::decode_all(wire.freeze(), AmfLimits::data()), Ok(vec![value]));
    }

    #[test]
    fn removing_a_property_keeps_every_other_byte(
        object in prop::collection::vec(("[a-d]{1,2}", value()), 0..8),
        ecma in any::<bool>(),
    ) {
        let pairs = |keep: &dyn Fn(&str) -> bool| -> Object<Value> {
            object.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key.as_str(), value.clone())).collect()
        };
        let frame = |object: Object<Value>| {
            let value = if ecma { Value::EcmaArray(object) } else { Value::Object(object) };
            let mut out = BytesMut::new();
            amf0::encode_all([&Value::from("onMetaData"), &value, &Value::Null], &mut out).expect("not too deep");
            out.freeze()
        };
        let whole = frame(pairs(&|_| true));
        let cut = without_property(&whole, "a").expect("our own bytes");
        if pairs(&|key| key == "a").is_empty() {
            prop_assert_eq!(cut, None);
        } else {
            // Some players read as many properties as an associative array says that it has.
            prop_assert_eq!(cut.expect("changed"), frame(pairs(&|key| key != "a")));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        // Most mistakes are made at the end of what is there, and short inputs have their end everywhere.
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..16), prop::collection::vec(any::<u8>(), 0..2000)],
    ) {
        let shared = Bytes::from(bytes.clone());
        let _ = amf0::decode_all(shared.clone(), AmfLimits::default());
        let _ = amf3::decode_all(shared.clone(), AmfLimits::default());
        let _ = without_property(&shared, "duration");
        let _ = DataFrame::recognise(&shared);
        let _ = Command::parse(MessageType::COMMAND_AMF3, &shared, AmfLimits::default());
        for kind in 0..8 {
            let _ = Control::parse(MessageType(kind), &shared);
        }
        let _ = VideoTag::parse(&bytes).map(|tag| tag.tracks.map(|tracks| tracks.count()));
        let _ = AudioTag::parse(&bytes).map(|tag| tag.tracks.map(|tracks| tracks.count()));
        for kind in MediaKind::ALL {
            let _ = MediaRole::of(kind, &bytes);
        }
        prop_assert!(Aggregate::new(Timestamp::ZERO, shared, 100).count() <= 100);
        let _ = flv::Reader::new(1000).read(&mut BytesMut::from(&bytes[..]));
        let _ = ChunkReader::new(&Limits::default()).read(&mut BytesMut::from(&bytes[..]));
        let text = String::from_utf8_lossy(&bytes);
        let _ = StreamUrl::parse(&text, &text);
    }

    /// Enhanced headers reach their deeper parts when the first byte says so.
    #[test]
    fn enhanced_headers_never_panic(head in any::<u8>(), rest in prop::collection::vec(0..9_u8, 0..60)) {
        let video = [&[head | 0x80][..], &rest].concat();
        let _ = VideoTag::parse(&video).map(|tag| tag.tracks.map(|tracks| tracks.count()));
        let audio = [&[0x90 | (head & 0x0f)][..], &rest].concat();
        let _ = AudioTag::parse(&audio).map(|tag| tag.tracks.map(|tracks| tracks.count()));
    }

    /// Whatever arrives, a machine ends its polling, moves its timeout, and holds no more than its limits say.
    #[test]
    fn machines_survive_anything(
        pieces in prop::collection::vec((noise(), 0..3000_u64), 1..40),
        accept in any::<bool>(),
        to_server in any::<bool>(),
    ) {
        let mut config = ConnectionConfig::default();
        config.limits.partial_bytes_max = 100_000;
        config.limits.events_max = 20;
        let mut life = Life::new(Arc::new(config), to_server);
        for (bytes, millis) in pieces {
            life.step(&bytes, millis, accept);
        }
    }
}

/// Pieces that are often nearly legal.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let call = prop_oneof![
        Just(("connect", 0)),
        Just(("createStream", 0)),
        Just(("publish", 1)),
        Just(("play", 1)),
        Just(("pause", 1)),
        Just(("FCUnpublish", 0)),
        Just(("deleteStream", 0)),
        Just(("closeStream", 1)),
        Just(("_result", 0)),
        Just(("onStatus", 1)),
        Just(("nonsense", 0)),
    ];
    let written = |message: Message| {
        let mut wire = BytesMut::new();
        ChunkWriter::default().write(&mut wire, &message);
        wire.to_vec()
    };
    let call = (call, value(), value(), 0..8_u8).prop_map(move |((name, msid), a, b, transaction)| {
        let mut command = Command::new(name, f64::from(transaction)).with("show").with(b);
        command.object = a;
        written(command.message(msid).expect("not too deep"))
    });
    let media = message().prop_map(move |message| written(Message { kind: MessageType::VIDEO, ..message }));
    let control = (1..7_u8, any::<u32>()).prop_map(move |(kind, number)| {
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        written(Message { csid: 2, timestamp: Timestamp::ZERO, kind: MessageType(kind), msid: 0, payload })
    });
    prop_oneof![
        6 => call,
        3 => media,
        2 => control,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// One machine of either role behind a handshake.
struct Life {
    now: Instant,
    input: BytesMut,
    machine: Machine,
    dead: bool,
}

enum Machine {
    Server(Box<ServerConnection>),
    Client(Box<ClientConnection>),
}

impl Life {
    fn new(config: Arc<ConnectionConfig>, to_server: bool) -> Self {
        let now = Instant::now();
        let mut input = BytesMut::new();
        let mut server = ServerConnection::new(Arc::clone(&config), 1, now);
        let target = Target::new("rtmp://v/live", "live", "show", Purpose::Play);
        let mut client = ClientConnection::new(config, target, 2, now);
        let machine = if to_server {
            let mut handshake = ClientHandshake::new(1, Scheme::Simple, &mut input);
            server.handle_input(now, &mut input).map(|_| ()).expect("C0 C1");
            handshake.handle_input(server.outgoing(), &mut input).expect("S0 S1 S2");
            Machine::Server(Box::new(server))
        } else {
            server.handle_input(now, client.outgoing()).map(|_| ()).expect("C0 C1");
            std::mem::swap(&mut input, server.outgoing());
            Machine::Client(Box::new(client))
        };
        Self { now, input, machine, dead: false }
    }

    fn step(&mut self, bytes: &[u8], millis: u64, accept: bool) {
        self.input.extend_from_slice(bytes);
        for _ in 0..1000 {
            let progress = match &mut self.machine {
                Machine::Server(server) => server.handle_input(self.now, &mut self.input),
                Machine::Client(client) => client.handle_input(self.now, &mut self.input),
            };
            self.dead |= progress.is_err();
            let moved = self.drain(accept);
            assert!(self.memory() < 100_000 + 64 * 1024 + 100_000, "{}", self.memory());
            if progress == Ok(Progress::NeedBytes) || progress.is_err() || !moved {
                break;
            }
        }
        self.now += Duration::from_millis(millis);
        let (result, next) = match &mut self.machine {
            Machine::Server(server) => (server.handle_timeout(self.now), server.poll_timeout()),
            Machine::Client(client) => (client.handle_timeout(self.now), client.poll_timeout()),
        };
        self.dead |= result.is_err();
        assert!(next.is_none_or(|at| at > self.now), "the timeout did not move");
        assert!(!self.dead || next.is_none());
        if self.dead {
            let late = match &mut self.machine {
                Machine::Server(server) => server.handle_input(self.now, &mut BytesMut::from(&[1, 2][..])),
                Machine::Client(client) => client.handle_input(self.now, &mut BytesMut::from(&[1, 2][..])),
            };
            assert_eq!(late, Ok(Progress::NeedBytes));
        }
    }

    /// Takes events and bytes; says whether there was anything.
    fn drain(&mut self, accept: bool) -> bool {
        let mut moved = false;
        match &mut self.machine {
            Machine::Server(server) => {
                while let Some(event) = server.poll_event() {
                    moved = true;
                    if let ServerEvent::ConnectRequested { request, .. }
                    | ServerEvent::PublishRequested { request, .. }
                    | ServerEvent::PlayRequested { request, .. } = event
                        && accept
                    {
                        server.accept(self.now, request).expect("open request");
                    }
                }
                moved |= !server.outgoing().is_empty();
                server.outgoing().clear();
            }
            Machine::Client(client) => {
                while let Some(event) = client.poll_event() {
                    moved = true;
                    if event == ClientEvent::PlayStarted {
                        assert!(client.msid().is_some() || self.dead);
                    }
                }
                moved |= !client.outgoing().is_empty();
                client.outgoing().clear();
            }
        }
        moved
    }

    fn memory(&self) -> usize {
        match &self.machine {
            Machine::Server(server) => server.memory_bytes(),
            Machine::Client(client) => client.memory_bytes(),
        }
    }
}

#[test]
fn memory_grows_with_arrived_bytes_not_with_announced_ones() {
    let mut reader = ChunkReader::new(&Limits::default());
    // Twenty chunk streams announce eight MiB each and send almost nothing.
    let mut input = BytesMut::new();
    for csid in 3..23_u8 {
        input.extend_from_slice(&[csid, 0, 0, 0, 0x80, 0, 0, 9, 1, 0, 0, 0]);
        input.extend_from_slice(&[0; 128]);
    }
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(reader.memory_bytes() < 20 * (64 << 10) + 8192, "{}", reader.memory_bytes());
    // With the bytes the memory comes, and the sum has a bound.
    let mut limits = Limits::default();
    limits.partial_bytes_max = 1 << 20;
    let mut reader = ChunkReader::new(&limits);
    let error = (0..20_000).find_map(|n: u32| {
        let csid = 3 + (n % 4) as u8;
        let mut input = BytesMut::new();
        if n < 4 {
            input.extend_from_slice(&[csid, 0, 0, 0, 0x80, 0, 0, 9, 1, 0, 0, 0]);
        } else {
            input.extend_from_slice(&[0xc0 | csid]);
        }
        input.extend_from_slice(&[0; 128]);
        let result = reader.read(&mut input);
        assert!(reader.memory_bytes() <= (1 << 20) + (1 << 20), "{}", reader.memory_bytes());
        result.err()
    });
    assert!(error.expect("a limit").to_string().contains("bytes of unfinished messages"));
}

#[test]
fn values_have_bounds() {
    let nested = |depth: usize| Bytes::from([&[0x0a, 0, 0, 0, 1].repeat(depth)[..], &[5]].concat());
    assert!(amf0::decode_all(nested(32), AmfLimits::default()).is_ok());
    let error = amf0::decode_all(nested(33), AmfLimits::default()).expect_err("too deep");
    assert_eq!(error.to_string(), "AMF at byte 161: nested deeper than 32");
    assert!(amf0::decode_all(vec![5; 4096].into(), AmfLimits::default()).is_ok());
    assert!(amf0::decode_all(vec![5; 4097].into(), AmfLimits::default()).is_err());
    let long = [&[0x0c, 0, 1, 0, 1][..], &[b'a'; 65_537]].concat();
    assert!(amf0::decode_all(long.clone().into(), AmfLimits::default()).is_err());
    assert!(amf0::decode_all(long.into(), AmfLimits::data()).is_ok());
    let mut deep = Value::Null;
    for _ in 0..70 {
        deep = Value::StrictArray(vec![deep]);
    }
    assert!(amf0::encode(&deep, &mut BytesMut::new()).is_err());
    let key = Text::from("k".repeat(70_000));
    assert!(
        amf0::encode(&Value::Object([(key, Value::Null)].into_iter().collect()), &mut BytesMut::new())
            .is_err()
    );
    assert!(amf3::encode(&amf3::Value::Integer(1 << 28), &mut BytesMut::new()).is_err());
    // An AMF3 object that contains itself is read without end, neither in time nor in memory.
    let cyclic = Bytes::from_static(&[0x0a, 0x0b, 0x01, 0x03, b'a', 0x0a, 0x00, 0x01]);
    let read = amf3::decode_all(cyclic, AmfLimits::default()).expect("legal");
    assert!(
        matches!(&read[0], amf3::Value::Object { dynamic: Some(d), .. } if d.get("a") == Some(&amf3::Value::Reference(0)))
    );
}

#[test]
fn metadata_that_is_cut_at_its_end_is_still_metadata() {
    let cut = Bytes::from_static(b"\x02\x00\x0aonMetaData\x03\x00\x01a\x05");
    assert!(amf0::decode_all(cut.clone(), AmfLimits::data()).is_err());
    assert_eq!(DataFrame::recognise(&cut).metadata(), Some(&cut));
    assert_eq!(without_property(&cut, "duration"), Ok(None));
    assert_eq!(without_property(&cut, "a").expect("readable").expect("changed")[..], cut[..14]);
}

/// Every head of a media message, cut everywhere.
#[test]
fn media_that_is_cut_anywhere_in_its_head_is_an_error_and_no_panic() {
    for head in 0..=u16::MAX {
        let [first, second] = head.to_be_bytes();
        let whole = [first, second, 1, 2, 3, 4, 5, 6];
        for length in 0..=whole.len() {
            let bytes = &whole[..length];
            let _ = VideoTag::parse(bytes).map(|tag| tag.tracks.map(|tracks| tracks.count()));
            let _ = AudioTag::parse(bytes).map(|tag| tag.tracks.map(|tracks| tracks.count()));
        }
    }
    assert!(VideoTag::parse(&[]).is_err() && AudioTag::parse(&[]).is_err());
}
