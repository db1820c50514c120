//! An independent implementation as judge, in the domain it handles; and its known faults, each of which is a test
//! that ours does better.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

mod common;

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
    ServerSession, ServerSessionConfig, ServerSessionEvent, ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;
use rtmp_core::amf::amf0::{self, Value};
use rtmp_core::amf::{Object, Text};
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Compression, Message, MessageType};
use rtmp_core::handshake::{ClientHandshake, ProxyTrust, Scheme, ServerHandshake};
use rtmp_core::message::{Call, Command, Control, PublishKind, UserControl};
use rtmp_core::{
    AmfLimits, ChunkError, ClientConnection, ClientEvent, ConnectionError, Limits, Media, MediaKind,
    Progress, Purpose, ServerConnection, ServerEvent, Target, Timestamp,
};

/// Messages in the domain of the judge: one after the other, not empty, no interleaving.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let payload = prop_oneof![4 => prop::collection::vec(any::<u8>(), 1..500), 1 => Just(vec![7; 9000])];
    let one = (prop_oneof![Just(8_u8), Just(9), Just(18)], 0..60_u32, payload);
    prop::collection::vec(one, 1..25).prop_map(|list| {
        let mut time = 0;
        let message = |(kind, delta, payload): (u8, u32, Vec<u8>)| {
            time += delta;
            let csid = match kind {
                8 => 4,
                9 => 6,
                _ => 5,
            };
            Message {
                csid,
                timestamp: Timestamp::from_millis(time),
                kind: MessageType(kind),
                msid: 1,
                payload: payload.into(),
            }
        };
        list.into_iter().map(message).collect()
    })
}

fn same(ours: &Message, theirs: &MessagePayload) -> bool {
    (ours.timestamp.millis(), ours.kind.0, ours.msid, &ours.payload)
        == (theirs.timestamp.value, theirs.type_id, theirs.message_stream_id, &theirs.data)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_judge_reads_what_we_write(messages in messages(), size in 1..5000_u32, compact in any::<bool>()) {
        let mut writer = ChunkWriter::new(if compact { Compression::Compact } else { Compression::Full });
        let mut judge = ChunkDeserializer::new();
        let mut wire = BytesMut::new();
        writer.set_chunk_size(size);
        judge.set_max_chunk_size(size as usize).expect("legal");
        for message in &messages {
            writer.write(&mut wire, message);
        }
        let mut read = Vec::new();
        let mut next = judge.get_next_message(&wire).expect("legal");
        while let Some(message) = next {
            read.push(message);
            next = judge.get_next_message(&[]).expect("legal");
        }
        prop_assert_eq!(read.len(), messages.len());
        for (ours, theirs) in messages.iter().zip(&read) {
            prop_assert!(same(ours, theirs), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn we_read_what_the_judge_writes(messages in messages(), size in 1..5000_u32) {
        let mut judge = ChunkSerializer::new();
        let mut wire = judge.set_max_chunk_size(size, RtmpTimestamp::new(0)).expect("legal").bytes;
        let payload = |message: &Message| MessagePayload {
            timestamp: RtmpTimestamp::new(message.timestamp.millis()),
            type_id: message.kind.0,
            message_stream_id: message.msid,
            data: message.payload.clone(),
        };
        for message in &messages {
            wire.extend(judge.serialize(&payload(message), false, false).expect("legal").bytes);
        }
        let mut limits = common::wide_limits();
        limits.header_budget = u32::MAX;
        let read = common::read_all(&mut ChunkReader::new(&limits), &wire, 777).expect("legal");
        prop_assert_eq!(read.len(), messages.len() + 1);
        for (ours, theirs) in read[1..].iter().zip(&messages) {
            prop_assert!(same(ours, &payload(theirs)));
        }
    }
}

#[test]
fn handshakes_agree_in_both_roles_and_schemes() {
    for scheme in [Scheme::default(), Scheme::Simple] {
        let mut up = BytesMut::new();
        let mut client = ClientHandshake::new(1, scheme, &mut up);
        let mut judge = Handshake::new(PeerType::Server);
        let mut down = BytesMut::from(&judge.generate_outbound_p0_and_p1().expect("S0 S1")[..]);
        let HandshakeProcessResult::InProgress { response_bytes } = judge.process_bytes(&up).expect("C0 C1")
        else {
            panic!("C2 is missing")
        };
        down.extend_from_slice(&response_bytes);
        up.clear();
        assert!(client.handle_input(&mut down, &mut up).expect("S0 S1 S2").is_some());
        let done = judge.process_bytes(&up).expect("C2");
        assert!(matches!(done, HandshakeProcessResult::Completed { .. }));
    }
    let mut judge = Handshake::new(PeerType::Client);
    let mut up = BytesMut::from(&judge.generate_outbound_p0_and_p1().expect("C0 C1")[..]);
    let mut down = BytesMut::new();
    let mut server = ServerHandshake::new(1, ProxyTrust::Untrusted);
    assert_eq!(server.handle_input(&mut up, &mut down), Ok(None));
    let HandshakeProcessResult::Completed { response_bytes, .. } =
        judge.process_bytes(&down).expect("S0 S1 S2")
    else {
        panic!("S2 is missing")
    };
    up.extend_from_slice(&response_bytes);
    let info = server.handle_input(&mut up, &mut down).expect("C2").expect("complete");
    assert!(matches!(info.scheme, Scheme::Digest(_)));
}

/// Our server behind its handshake, with everything accepted.
fn our_server() -> (ServerConnection, Instant) {
    let now = Instant::now();
    let mut server = ServerConnection::new(Arc::default(), 1, now);
    let mut up = BytesMut::new();
    let mut handshake = ClientHandshake::new(2, Scheme::Simple, &mut up);
    assert_eq!(server.handle_input(now, &mut up), Ok(Progress::NeedBytes));
    handshake.handle_input(server.outgoing(), &mut up).expect("S0 S1 S2");
    assert_eq!(server.handle_input(now, &mut up), Ok(Progress::NeedBytes));
    (server, now)
}

fn serve(server: &mut ServerConnection, now: Instant, bytes: &[u8]) -> Vec<ServerEvent> {
    let mut input = BytesMut::from(bytes);
    let mut events = Vec::new();
    loop {
        let progress = server.handle_input(now, &mut input).expect("legal");
        while let Some(event) = server.poll_event() {
            if let ServerEvent::ConnectRequested { request, .. }
            | ServerEvent::PublishRequested { request, .. }
            | ServerEvent::PlayRequested { request, .. } = &event
            {
                server.accept(now, *request).expect("open request");
            }
            events.push(event);
        }
        if progress == Progress::NeedBytes {
            return events;
        }
    }
}

fn packets(results: Vec<ClientSessionResult>, events: &mut Vec<ClientSessionEvent>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for result in results {
        match result {
            ClientSessionResult::OutboundResponse(packet) => bytes.extend(packet.bytes),
            ClientSessionResult::RaisedEvent(event) => events.push(event),
            ClientSessionResult::UnhandleableMessageReceived(_) => {}
        }
    }
    bytes
}

/// Hands bytes back and forth until both are quiet.
fn exchange(
    server: &mut ServerConnection,
    now: Instant,
    client: &mut ClientSession,
    theirs: &mut Vec<ClientSessionEvent>,
) {
    loop {
        let down = server.outgoing().split();
        if down.is_empty() {
            return;
        }
        let up = packets(client.handle_input(&down).expect("our bytes"), theirs);
        serve(server, now, &up);
    }
}

#[test]
fn its_client_publishes_to_our_server() {
    let (mut server, now) = our_server();
    let (mut client, results) = ClientSession::new(ClientSessionConfig::new()).expect("a client");
    let mut theirs = Vec::new();
    let mut up = packets(results, &mut theirs);
    up.extend(packets(vec![client.request_connection("live".into()).expect("connect")], &mut theirs));
    serve(&mut server, now, &up);
    exchange(&mut server, now, &mut client, &mut theirs);
    assert!(theirs.contains(&ClientSessionEvent::ConnectionRequestAccepted));
    let request = client.request_publishing("show".into(), PublishRequestType::Live).expect("publish");
    let up = packets(vec![request], &mut theirs);
    serve(&mut server, now, &up);
    exchange(&mut server, now, &mut client, &mut theirs);
    assert!(theirs.contains(&ClientSessionEvent::PublishRequestAccepted));
    let payload = Bytes::from(vec![0x17; 10_000]);
    let video = client.publish_video_data(payload.clone(), RtmpTimestamp::new(40), false).expect("video");
    let up = packets(vec![video], &mut theirs);
    let media = Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(40), payload };
    assert_eq!(serve(&mut server, now, &up), [ServerEvent::Media(media)]);
}

#[test]
fn our_client_publishes_to_its_server() {
    let now = Instant::now();
    let target = Target::new("rtmp://v/live", "live", "show", Purpose::Publish(PublishKind::Live));
    let mut client = ClientConnection::new(Arc::default(), target, 1, now);
    let mut handshake = ServerHandshake::new(2, ProxyTrust::Untrusted);
    let mut down = BytesMut::new();
    handshake.handle_input(client.outgoing(), &mut down).expect("C0 C1");
    assert_eq!(client.handle_input(now, &mut down), Ok(Progress::NeedBytes));
    handshake.handle_input(client.outgoing(), &mut BytesMut::new()).expect("C2");
    let (mut server, results) = ServerSession::new(ServerSessionConfig::new()).expect("a server");
    let mut todo = results;
    let mut seen = Vec::new();
    let mut sent = false;
    for _ in 0..20 {
        let mut down = BytesMut::new();
        for result in std::mem::take(&mut todo) {
            match result {
                ServerSessionResult::OutboundResponse(packet) => down.extend_from_slice(&packet.bytes),
                ServerSessionResult::RaisedEvent(
                    ServerSessionEvent::ConnectionRequested { request_id, .. }
                    | ServerSessionEvent::ReleaseStreamRequested { request_id, .. }
                    | ServerSessionEvent::PublishStreamRequested { request_id, .. },
                ) => todo.extend(server.accept_request(request_id).expect("open request")),
                ServerSessionResult::RaisedEvent(event) => seen.push(event),
                ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        assert_eq!(client.handle_input(now, &mut down), Ok(Progress::NeedBytes));
        while let Some(event) = client.poll_event() {
            if event == ClientEvent::PublishAccepted {
                let timestamp = Timestamp::from_millis(23);
                let payload = Bytes::from_static(&[0xaf, 1, 2]);
                client.send_media(&Media { kind: MediaKind::Audio, timestamp, payload }).expect("accepted");
                sent = true;
            }
        }
        let up = client.outgoing().split();
        todo.extend(server.handle_input(&up).expect("our bytes"));
    }
    assert!(sent);
    let audio = |event: &ServerSessionEvent| {
        matches!(event, ServerSessionEvent::AudioDataReceived { data, timestamp, .. }
            if data[..] == [0xaf, 1, 2] && timestamp.value == 23)
    };
    assert!(seen.iter().any(audio), "{seen:?}");
}

// The faults of 0.8.0, by their number in the project's notes.

fn read(wire: &[u8]) -> Result<Vec<Message>, ConnectionError> {
    common::read_all(&mut ChunkReader::new(&Limits::default()), wire, usize::MAX)
}

#[test]
fn item_1_audio_between_two_chunks_of_a_video_message_is_kept_apart() {
    let mut wire = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    wire.extend([0xaa; 128]);
    wire.extend([4, 0, 0, 0, 0, 0, 10, 8, 1, 0, 0, 0]);
    wire.extend([0xbb; 10]);
    wire.push(0xc6);
    wire.extend([0xaa; 72]);
    assert_eq!(wire.len(), 235);
    let read = read(&wire).expect("legal");
    let payloads: Vec<_> = read.iter().map(|message| &message.payload[..]).collect();
    assert_eq!(payloads, [&[0xbb; 10][..], &[0xaa; 200][..]]);
}

#[test]
fn item_2_a_header_that_shrinks_a_message_in_its_middle_is_an_error() {
    let mut wire = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    wire.extend([0xaa; 128]);
    wire.extend([0x46, 0, 0, 0, 0, 0, 10, 9]);
    let kind = ChunkError::HeaderInsideMessage { fmt: 1, received: 128, length: 200 };
    assert_eq!(read(&wire), Err(ConnectionError::Chunk { csid: 6, kind }));
}

#[test]
fn item_3_a_command_may_have_fewer_than_three_values() {
    let parse = |payload: &'static [u8]| {
        Command::parse(MessageType::COMMAND, &Bytes::from_static(payload), AmfLimits::default())
    };
    assert_eq!(parse(b"").expect("empty").name, "");
    let command = parse(b"\x02\x00\x05close").expect("a name");
    assert_eq!((Call::from_command(&command), command.transaction), (Call::Close, 0.0));
}

#[test]
fn item_4_nested_arrays_do_not_exhaust_the_stack() {
    let nested = Bytes::from([0x0a, 0, 0, 0, 1].repeat(8200));
    let small_stack = std::thread::Builder::new().stack_size(256 << 10);
    let decode = move || amf0::decode_all(nested, AmfLimits::default());
    assert!(small_stack.spawn(decode).expect("a thread").join().expect("no overflow").is_err());
}

#[test]
fn item_5_an_extended_field_may_hold_a_small_value() {
    let wire = b"\x06\0\0\x0a\0\0\x01\x09\x01\0\0\0\x2a\x86\xff\xff\xff\0\0\0\x05\x2b";
    let times: Vec<_> = read(wire).expect("legal").iter().map(|m| m.timestamp.millis()).collect();
    assert_eq!(times, [10, 15]);
}

#[test]
fn item_6_an_extended_timestamp_may_be_missing_on_continuation_chunks() {
    let mut wire = b"\x06\xff\xff\xff\0\0\xc8\x09\x01\0\0\0\x01\0\0\0".to_vec();
    wire.extend([0x2a; 128]);
    wire.push(0xc6);
    wire.extend([0x2b; 72]);
    let read = read(&wire).expect("legal");
    assert_eq!((read[0].timestamp.millis(), read[0].payload.len()), (0x0100_0000, 200));
    assert_eq!(read[0].payload[128..], [0x2b; 72]);
}

#[test]
fn item_7_an_acknowledgement_is_the_running_total() {
    let (mut server, now) = our_server();
    let mut wire = BytesMut::new();
    let mut writer = ChunkWriter::default();
    writer.write(&mut wire, &Control::WindowAckSize(65_536).message());
    let filler = Message { kind: MessageType(99), payload: vec![0; 30_000].into(), ..wire_message() };
    let mut totals = Vec::new();
    for _ in 0..4 {
        writer.write(&mut wire, &filler);
        serve(&mut server, now, &wire);
        wire.clear();
        // Before `connect` nothing is said; the total is a counter all the same.
        totals.push(server.stats().bytes_received);
    }
    let mut connect = Command::new("connect", 1.0);
    connect.object = Value::Object(Object::new().with("app", "live"));
    writer.write(&mut wire, &connect.message(0).expect("a command"));
    serve(&mut server, now, &wire);
    let answers = common::read_all(&mut ChunkReader::new(&Limits::default()), &server.outgoing().split(), 99)
        .expect("legal");
    let ack = answers.iter().find(|message| message.kind == MessageType::ACKNOWLEDGEMENT).expect("one");
    assert_eq!(ack.payload[..], (server.stats().bytes_received as u32).to_be_bytes());
    assert!(totals.is_sorted());
}

fn wire_message() -> Message {
    Message { csid: 5, timestamp: Timestamp::ZERO, kind: MessageType::VIDEO, msid: 1, payload: Bytes::new() }
}

#[test]
fn item_8_an_unknown_user_control_event_is_ignored() {
    let event = Control::parse(MessageType::USER_CONTROL, &Bytes::from_static(&[0, 26, 1]));
    let other = UserControl::Other { event: 26, data: Bytes::from_static(&[1]) };
    assert_eq!(event, Ok(Some(Control::UserControl(other))));
}

#[test]
fn item_9_all_markers_are_known() {
    let wire =
        b"\x0b\0\0\0\0\0\0\0\0\0\0\x0c\0\0\0\x01a\x07\0\0\x10\0\x01C\0\0\x09\x0f\0\0\0\x01x\x11\x04\x05";
    let values = amf0::decode_all(Bytes::from_static(wire), AmfLimits::default()).expect("all of them");
    assert_eq!(values.len(), 6);
}

#[test]
fn item_10_a_truncated_string_is_an_error() {
    assert!(amf0::decode_all(Bytes::from_static(b"\x02\0\x05ab"), AmfLimits::default()).is_err());
}

#[test]
fn item_11_amf3_commands_are_read_with_and_without_their_format_byte() {
    for payload in [&b"\x00\x02\0\x05close"[..], &b"\x02\0\x05close"[..]] {
        let payload = Bytes::copy_from_slice(payload);
        let command =
            Command::parse(MessageType::COMMAND_AMF3, &payload, AmfLimits::default()).expect("a command");
        assert_eq!(command.name, "close");
    }
}

#[test]
fn item_12_an_abort_discards_the_unfinished_message() {
    let mut wire = vec![6, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0];
    wire.extend([0xaa; 128]);
    wire.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 6]);
    wire.extend([6, 0, 0, 0, 0, 0, 1, 9, 1, 0, 0, 0, 0xcc]);
    let kinds: Vec<_> = read(&wire).expect("legal").iter().map(|m| (m.kind, m.payload.len())).collect();
    assert_eq!(kinds, [(MessageType::ABORT, 4), (MessageType::VIDEO, 1)]);
}

#[test]
fn item_13_a_chunk_size_of_zero_is_refused() {
    let wire = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let refused = common::read_all(&mut ChunkReader::new(&common::wide_limits()), &wire, 1);
    assert_eq!(refused, Err(ConnectionError::Chunk { csid: 2, kind: ChunkError::ChunkSize(0) }));
}

#[test]
fn item_14_an_empty_message_is_a_message() {
    let mut wire = BytesMut::new();
    ChunkWriter::default().write(&mut wire, &wire_message());
    assert_eq!(wire.len(), 12);
    assert_eq!(read(&wire), Ok(vec![wire_message()]));
}

#[test]
fn item_15_full_headers_are_not_repeated_on_continuation_chunks() {
    let mut wire = BytesMut::new();
    ChunkWriter::new(Compression::Full)
        .write(&mut wire, &Message { payload: vec![0; 300].into(), ..wire_message() });
    assert_eq!((wire[12 + 128], wire[12 + 128 + 129]), (0xc5, 0xc5));
}

#[test]
fn item_16_an_announced_length_costs_nothing() {
    let mut reader = ChunkReader::new(&Limits::default());
    let mut input = BytesMut::from(&[6, 0, 0, 0, 0x80, 0, 0, 9, 1, 0, 0, 0, 1][..]);
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(reader.memory_bytes() <= 1024, "one byte has arrived");
    let mut reader = ChunkReader::new(&Limits::default());
    let mut input = BytesMut::from(&[7, 0, 0, 0, 0x80, 0, 1, 9, 1, 0, 0, 0, 1][..]);
    assert!(matches!(reader.read(&mut input), Err(ConnectionError::Limit(_))));
}

#[test]
fn item_18_properties_keep_their_order() {
    let wire = Bytes::from_static(b"\x03\0\x01z\x05\0\x01a\x05\0\x01z\x06\0\0\x09");
    let values = amf0::decode_all(wire.clone(), AmfLimits::default()).expect("an object");
    let object = values[0].as_object().expect("an object");
    let keys: Vec<_> = object.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["z", "a", "z"]);
    assert_eq!(object.get("z"), Some(&Value::Undefined), "the last one wins");
    let mut out = BytesMut::new();
    amf0::encode(&values[0], &mut out).expect("an object");
    assert_eq!(out, wire);
}

#[test]
fn item_19_a_connect_tells_everything_it_brought() {
    let mut command = Command::new("connect", 1.0).with("token");
    let list = Value::StrictArray(vec![Value::from("hvc1")]);
    let object =
        Object::new().with("app", "live").with("tcUrl", "rtmp://v/live?k=1").with("fourCcList", list);
    command.object = Value::Object(object);
    let Call::Connect(connect) = Call::from_command(&command) else { panic!("connect") };
    assert_eq!(connect.tc_url, "rtmp://v/live?k=1");
    assert_eq!(connect.arguments, [Value::from("token")]);
    assert_eq!(connect.capabilities.expect("named").fourcc_list, [Text::from("hvc1")]);
}

#[test]
fn item_20_every_call_of_encoders_and_players_is_known() {
    let calls = [
        "releaseStream",
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "getStreamLength",
        "pause",
        "receiveAudio",
        "receiveVideo",
        "seek",
        "closeStream",
        "deleteStream",
        "play2",
        "_checkbw",
    ];
    for name in calls {
        assert_ne!(Call::from_command(&Command::new(name, 0.0)), Call::Other, "{name}");
    }
}
