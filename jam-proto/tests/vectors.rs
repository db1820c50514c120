//! Every vector of `spec/jamulus-vectors.json`: bytes to value and value to bytes.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use jam_proto::audio::{AudioDatagram, AudioPacker};
use jam_proto::message::{
    ChannelInfo, ClientListEntry, Connectionless, Levels, Licence, Message, MuteState, OsType, RecorderState,
    ReducedServerListEntry, Registration, RegistrationResult, ServerFeatures, ServerListEntry, Text,
    VersionAndOs, id,
};
use jam_proto::reliable::{Received, Reliable, ReliableLimits};
use jam_proto::tables::{Country, Instrument, Skill};
use jam_proto::wire::{Frame, FrameWriter, crc16};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
use serde_json::Value;

struct Vector {
    name: String,
    bytes: Vec<u8>,
    decoded: Value,
}

/// The vectors of one kind.
fn vectors(kind: &str) -> Vec<Vector> {
    let all: Vec<Value> = serde_json::from_str(include_str!("data/jamulus-vectors.json")).unwrap();
    let vector = |value: &Value| Vector {
        name: value["name"].as_str().unwrap().to_owned(),
        bytes: unhex(value["hex"].as_str().unwrap()),
        decoded: value["decoded"].clone(),
    };
    all.iter().filter(|value| value["kind"] == kind).map(vector).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

impl Vector {
    fn number(&self, field: &str) -> u64 {
        number(&self.decoded, field)
    }

    fn flag(&self, field: &str) -> bool {
        self.decoded[field].as_bool().unwrap_or_else(|| panic!("{}: {field}", self.name))
    }

    fn text<const UNITS: usize>(&self, field: &str) -> Text<UNITS> {
        text(&self.decoded, field)
    }

    fn list<T>(&self, field: &str, entry: impl Fn(&Value) -> T) -> Vec<T> {
        self.decoded[field].as_array().unwrap().iter().map(entry).collect()
    }

    fn channel(&self) -> ChannelId {
        channel(&self.decoded)
    }

    fn version(&self) -> VersionAndOs {
        VersionAndOs { os: OsType(self.number("os") as u8), version: self.text("version") }
    }

    fn registration(&self) -> Registration {
        Registration {
            internal_port: self.number("port") as u16,
            country: Country(self.number("country") as u16),
            clients_max: self.number("max_clients") as u8,
            permanent: self.flag("permanent"),
            name: self.text("name"),
            internal_address: Some(self.decoded["internal_address"].as_str().unwrap().parse().unwrap()),
            city: self.text("city"),
        }
    }

    /// The value that the vector describes in words.
    fn message(&self) -> Option<Message> {
        Some(match self.decoded["msg"].as_str().unwrap() {
            "CLIENT_ID" => Message::ClientId(self.channel()),
            "RAWAUDIO_SUPPORTED" => Message::RawAudioSupported,
            "CONN_CLIENTS_LIST" => Message::ClientList(self.list("clients", client)),
            "REQ_SPLIT_MESS_SUPPORT" => Message::RequestSplitSupport,
            "REQ_NETW_TRANSPORT_PROPS" => Message::RequestAudioProps,
            "REQ_JITT_BUF_SIZE" => Message::RequestJitterBufferSize,
            "REQ_CHANNEL_INFOS" => Message::RequestChannelInfo,
            "CHAT_TEXT" => Message::Chat(self.text("text")),
            "LICENCE_REQUIRED" => Message::LicenceRequired(match self.number("licence") {
                0 => Licence::None,
                _ => Licence::Required,
            }),
            "VERSION_AND_OS" => Message::VersionAndOs(self.version()),
            "RECORDER_STATE" => Message::RecorderState(match self.number("state") {
                1 => RecorderState::NotInitialised,
                2 => RecorderState::NotEnabled,
                _ => RecorderState::Recording,
            }),
            "JITT_BUF_SIZE" => Message::JitterBufferSize(match self.number("blocks") {
                21 => JitterSize::Auto,
                blocks => JitterSize::Blocks(blocks as u8),
            }),
            "NETW_TRANSPORT_PROPS" => Message::AudioProps(self.props()),
            "CHANNEL_INFOS" => Message::ChannelInfo(info(&self.decoded)),
            "REQ_CONN_CLIENTS_LIST" => Message::RequestClientList,
            "SPLIT_MESS_SUPPORTED" => Message::SplitSupported,
            "REQ_CHANNEL_LEVEL_LIST" => Message::RequestLevels(self.flag("opt_in")),
            "CHANNEL_GAIN" => {
                Message::ChannelGain { channel: self.channel(), gain: Gain(self.number("gain_u16") as u16) }
            }
            "CHANNEL_PAN" => {
                Message::ChannelPan { channel: self.channel(), pan: Pan::new(self.number("pan_u16") as u16) }
            }
            "MUTE_STATE_CHANGED" => Message::MuteStateChanged {
                channel: self.channel(),
                state: if self.flag("muted") { MuteState::Muted } else { MuteState::Unmuted },
            },
            "OPUS_SUPPORTED" => Message::OpusSupported,
            _ => return None,
        })
    }

    fn connectionless(&self) -> Connectionless {
        match self.decoded["msg"].as_str().unwrap() {
            "CLM_PING_MS" => Connectionless::Ping { time_ms: self.number("time_ms") as u32 },
            "CLM_PING_MS_WITHNUMCLIENTS" => Connectionless::PingWithClients {
                time_ms: self.number("time_ms") as u32,
                clients: self.number("num_clients") as u8,
            },
            "CLM_SERVER_FULL" => Connectionless::ServerFull,
            "CLM_REGISTER_SERVER" => Connectionless::RegisterServer(self.registration()),
            "CLM_REGISTER_SERVER_EX" => Connectionless::RegisterServerEx(self.registration(), self.version()),
            "CLM_UNREGISTER_SERVER" => Connectionless::UnregisterServer,
            "CLM_REGISTER_SERVER_RESP" => Connectionless::RegistrationResult(match self.number("status") {
                0 => RegistrationResult::Registered,
                1 => RegistrationResult::ListFull,
                2 => RegistrationResult::VersionTooOld,
                _ => RegistrationResult::RequirementsNotFulfilled,
            }),
            "CLM_SERVER_LIST" => Connectionless::ServerList(self.list("servers", server)),
            "CLM_RED_SERVER_LIST" => Connectionless::ReducedServerList(self.list("servers", reduced_server)),
            "CLM_REQ_SERVER_LIST" => Connectionless::RequestServerList,
            "CLM_SEND_EMPTY_MESSAGE" => {
                Connectionless::SendEmpty(address(&self.decoded, "target_ip", "target_port"))
            }
            "CLM_EMPTY_MESSAGE" => Connectionless::Empty,
            "CLM_DISCONNECTION" => Connectionless::Disconnection,
            "CLM_VERSION_AND_OS" => Connectionless::VersionAndOs(self.version()),
            "CLM_REQ_VERSION_AND_OS" => Connectionless::RequestVersionAndOs,
            "CLM_CONN_CLIENTS_LIST" => Connectionless::ClientList(self.list("clients", client)),
            "CLM_REQ_CONN_CLIENTS_LIST" => Connectionless::RequestClientList,
            "CLM_CHANNEL_LEVEL_LIST" => Connectionless::Levels(Levels::new(
                self.list("levels", |level| level.as_u64().unwrap() as u8),
            )),
            "CLM_SERVER_FEATURES" => {
                let features = ServerFeatures(self.number("bits") as u32);
                assert!(features.contains(ServerFeatures::IPV6.with(ServerFeatures::RAW_AUDIO)));
                assert!(!features.contains(ServerFeatures::RECORDING));
                Connectionless::ServerFeatures(features)
            }
            "CLM_REQ_SERVER_FEATURES" => Connectionless::RequestServerFeatures,
            "CLM_WELCOME_MESSAGE" => Connectionless::WelcomeMessage(self.text("text")),
            "CLM_REQ_WELCOME_MESSAGE" => Connectionless::RequestWelcomeMessage,
            other => panic!("no connectionless message {other}"),
        }
    }

    fn props(&self) -> AudioProps {
        AudioProps {
            codec: if self.number("codec") == 2 { BlockCodec::Opus } else { BlockCodec::Opus64 },
            layout: if self.number("num_channels") == 1 { Layout::Mono } else { Layout::Stereo },
            block_bytes: self.number("coded_bytes") as u16,
            factor: factor(self.number("block_size_factor")),
            sequence: if self.number("flags") == 1 { Sequence::With } else { Sequence::Without },
        }
    }
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} in {value}"))
}

fn text<const UNITS: usize>(value: &Value, field: &str) -> Text<UNITS> {
    Text::new(value[field].as_str().unwrap()).unwrap()
}

fn channel(value: &Value) -> ChannelId {
    ChannelId::new(number(value, "chan") as u8).unwrap()
}

fn factor(blocks: u64) -> BlockFactor {
    match blocks {
        1 => BlockFactor::One,
        2 => BlockFactor::Two,
        _ => BlockFactor::Four,
    }
}

fn info(value: &Value) -> ChannelInfo {
    ChannelInfo {
        country: Country(number(value, "country") as u16),
        instrument: Instrument(number(value, "instrument") as u32),
        skill: Skill(number(value, "skill") as u8),
        name: text(value, "name"),
        city: text(value, "city"),
    }
}

fn client(value: &Value) -> ClientListEntry {
    ClientListEntry { channel: channel(value), info: info(value) }
}

fn address(value: &Value, ip: &str, port: &str) -> SocketAddrV4 {
    let ip: Ipv4Addr = value[ip].as_str().unwrap().parse().unwrap();
    SocketAddrV4::new(ip, number(value, port) as u16)
}

fn server(value: &Value) -> ServerListEntry {
    ServerListEntry {
        address: address(value, "ip", "port"),
        country: Country(number(value, "country") as u16),
        clients_max: number(value, "max_clients") as u8,
        permanent: value["permanent"].as_bool().unwrap(),
        name: text(value, "name"),
        city: text(value, "city"),
    }
}

fn reduced_server(value: &Value) -> ReducedServerListEntry {
    ReducedServerListEntry { address: address(value, "ip", "port"), name: text(value, "name") }
}

#[test]
fn crcs_agree() {
    let vectors = vectors("crc");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let expected = vector.decoded["crc16"].as_str().unwrap();
        assert_eq!(format!("{:#06x}", crc16(&vector.bytes)), expected, "{}", vector.name);
    }
}

#[test]
fn frames_read_as_described_and_are_written_byte_for_byte() {
    let mut writer = FrameWriter::new();
    let vectors = vectors("frame");
    assert_eq!(vectors.len(), 67);
    for vector in vectors {
        let name = &vector.name;
        let frame = Frame::parse(&vector.bytes).unwrap_or_else(|| panic!("{name} is a frame"));
        assert_eq!(u64::from(frame.id), vector.number("id"), "{name}");
        assert_eq!(u64::from(frame.counter), vector.number("cnt"), "{name}");
        assert_eq!(frame.body.len() as u64, vector.number("body_len"), "{name}");
        assert_eq!(&writer.frame(frame.id, frame.counter, frame.body)[..], &vector.bytes[..], "{name}");
        assert_eq!(id::name(frame.id), vector.decoded["msg"].as_str(), "{name}");

        if frame.is_connectionless() {
            let expected = vector.connectionless();
            assert_eq!(Connectionless::parse(frame.id, frame.body), Ok(Some(expected.clone())), "{name}");
            assert_eq!(expected.id(), frame.id, "{name}");
            assert_eq!(&expected.frame(&mut writer)[..], &vector.bytes[..], "{name}");
        } else if let Some(expected) = vector.message() {
            assert_eq!(Message::parse(frame.id, frame.body), Ok(Some(expected.clone())), "{name}");
            assert_eq!(expected.id(), frame.id, "{name}");
            assert_eq!(&expected.frame(frame.counter, &mut writer)[..], &vector.bytes[..], "{name}");
        } else {
            assert!(matches!(frame.id, id::ACKN | id::SPLIT), "{name} is tested as acknowledgement or part");
        }
    }
}

#[test]
fn acknowledgements_are_written_byte_for_byte() {
    let mut writer = FrameWriter::new();
    let acknowledgements: Vec<Vector> =
        vectors("frame").into_iter().filter(|vector| vector.number("id") == u64::from(id::ACKN)).collect();
    assert_eq!(acknowledgements.len(), 3);
    for vector in acknowledgements {
        let mut end = Reliable::new(ReliableLimits::default(), 0);
        let (counter, acknowledged) = (vector.number("cnt") as u8, vector.number("acked_id") as u16);
        let _ = end.handle_frame(&Frame { id: acknowledged, counter, body: &[] });
        let sent = end.poll_transmit(jam_start(), &mut writer).unwrap();
        assert_eq!(sent, vector.bytes, "{}", vector.name);
    }
}

#[test]
fn split_parts_are_written_and_joined_as_captured() {
    let parts: Vec<Vector> =
        vectors("frame").into_iter().filter(|vector| vector.number("id") == u64::from(id::SPLIT)).collect();
    assert_eq!(parts.len(), 2);
    let chat = Message::Chat(Text::new(&format!("split {}", "y".repeat(600))).unwrap());

    let (mut writer, now) = (FrameWriter::new(), jam_start());
    let mut sender = Reliable::new(ReliableLimits::default(), 6);
    let mut receiver = Reliable::new(ReliableLimits::default(), 0);
    sender.allow_split();
    sender.send(&chat, &mut writer).unwrap();
    let mut joined = None;
    for vector in &parts {
        let sent = sender.poll_transmit(now, &mut writer).unwrap();
        assert_eq!(sent, vector.bytes, "{}", vector.name);
        if let Received::Message { id, body } = receiver.handle_frame(&Frame::parse(&sent).unwrap()) {
            joined = Message::parse(id, &body).unwrap();
        }
        let acknowledgement = receiver.poll_transmit(now, &mut writer).unwrap();
        let acknowledged = sender.handle_frame(&Frame::parse(&acknowledgement).unwrap());
        assert_eq!(acknowledged, Received::Acknowledged { id: id::SPLIT });
    }
    assert_eq!(joined, Some(chat));
    assert_eq!(sender.poll_transmit(now + Duration::from_secs(1), &mut writer), None);
}

#[test]
fn invalid_bodies_have_no_effect() {
    let vectors = vectors("frame_body_invalid");
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let name = &vector.name;
        let frame = Frame::parse(&vector.bytes).unwrap_or_else(|| panic!("{name} is a frame"));
        assert_eq!(!frame.is_connectionless(), vector.flag("ack"), "{name}");
        match name.as_str() {
            "bad_props_celt" => {
                assert_eq!(Message::parse(frame.id, frame.body), Ok(Some(Message::CeltProps)));
            }
            "unknown_clm_1500" => assert_eq!(Connectionless::parse(frame.id, frame.body), Ok(None)),
            "bad_clm_ping_3_bytes" => assert!(Connectionless::parse(frame.id, frame.body).is_err()),
            _ => assert!(Message::parse(frame.id, frame.body).is_err(), "{name}"),
        }
    }
}

#[test]
fn what_fails_a_check_is_not_a_frame() {
    let vectors = vectors("not_a_frame");
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        assert_eq!(Frame::parse(&vector.bytes), None, "{}", vector.name);
    }
}

#[test]
fn audio_datagrams_unpack_and_pack() {
    let vectors = vectors("audio");
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let name = &vector.name;
        let blocks = vector.list("blocks", Clone::clone);
        let props = AudioProps {
            codec: if vector.decoded["codec"] == "OPUS" { BlockCodec::Opus } else { BlockCodec::Opus64 },
            layout: if vector.number("channels") == 1 { Layout::Mono } else { Layout::Stereo },
            block_bytes: number(&blocks[0], "coded_bytes") as u16,
            factor: factor(vector.decoded["block_size_factor"].as_u64().unwrap_or(1)),
            sequence: if blocks[0]["seq"].is_null() { Sequence::Without } else { Sequence::With },
        };
        assert_eq!(Frame::parse(&vector.bytes), None, "{name}");
        assert_eq!(props.is_raw_size(), vector.decoded["raw"] == true, "{name}");

        let audio =
            AudioDatagram::parse(&props, &vector.bytes).unwrap_or_else(|| panic!("{name} has the size"));
        let sequence: Vec<Option<u8>> = audio.blocks().map(|block| block.sequence).collect();
        let expected: Vec<Option<u8>> =
            blocks.iter().map(|block| block["seq"].as_u64().map(|sequence| sequence as u8)).collect();
        assert_eq!(sequence, expected, "{name}");

        let mut packer = AudioPacker::new(&props);
        let other = vec![0; usize::from(props.block_bytes)];
        // Counts up to the sequence byte of the first block.
        for _ in 0..usize::from(expected[0].unwrap_or(0)) / props.factor.blocks() {
            for _ in 0..props.factor.blocks() {
                let _ = packer.push(&other);
            }
        }
        let mut packed = None;
        if expected[0] == Some(5) {
            // An odd start needs a packer of single blocks in front, which keeps its count.
            let single = AudioProps { factor: BlockFactor::One, ..props };
            packer = AudioPacker::new(&single);
            for _ in 0..5 {
                let _ = packer.push(&other);
            }
            packer.set_props(&props);
        }
        for block in audio.blocks() {
            packed = packer.push(block.bytes).map(<[u8]>::to_vec);
        }
        assert_eq!(packed.as_deref(), Some(&vector.bytes[..]), "{name}");
    }
}

fn jam_start() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    std::time::Instant::now()
}
