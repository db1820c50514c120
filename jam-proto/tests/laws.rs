//! Laws that hold for all inputs: codecs are inverse, nothing panics, delivery is exact.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use jam_proto::audio::{AudioDatagram, Quality};
use jam_proto::client::{Client, ClientConfig, ClientDisposition};
use jam_proto::message::{
    ChannelInfo, ClientListEntry, Connectionless, Levels, Licence, Message, MuteState, OsType, RecorderState,
    ReducedServerListEntry, Registration, RegistrationResult, ServerFeatures, ServerListEntry, Text,
    VersionAndOs,
};
use jam_proto::reliable::{Reliable, ReliableLimits};
use jam_proto::tables::{Country, Instrument, Skill};
use jam_proto::wire::{BODY_BYTES_MAX, Frame, FrameWriter};
use jam_proto::{
    AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, Input, JitterSize, Layout, Pan, Sequence,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text<const UNITS: usize>() -> impl Strategy<Value = Text<UNITS>> {
    vec(any::<char>(), 0..UNITS + 4).prop_map(|chars| Text::cut(&String::from_iter(chars)))
}

fn channel() -> impl Strategy<Value = ChannelId> {
    (0..150_u8).prop_map(|number| ChannelId::new(number).unwrap())
}

fn info() -> impl Strategy<Value = ChannelInfo> {
    (any::<u16>(), any::<u32>(), any::<u8>(), text(), text()).prop_map(
        |(country, instrument, skill, name, city)| ChannelInfo {
            country: Country(country),
            instrument: Instrument(instrument),
            skill: Skill(skill),
            name,
            city,
        },
    )
}

fn clients() -> impl Strategy<Value = Vec<ClientListEntry>> {
    vec((channel(), info()).prop_map(|(channel, info)| ClientListEntry { channel, info }), 0..20)
}

fn props() -> impl Strategy<Value = AudioProps> {
    (
        prop_oneof![Just(BlockCodec::Opus), Just(BlockCodec::Opus64)],
        prop_oneof![Just(Layout::Mono), Just(Layout::Stereo)],
        10..=1275_u16,
        prop_oneof![Just(BlockFactor::One), Just(BlockFactor::Two), Just(BlockFactor::Four)],
        prop_oneof![Just(Sequence::Without), Just(Sequence::With)],
    )
        .prop_map(|(codec, layout, block_bytes, factor, sequence)| AudioProps {
            codec,
            layout,
            block_bytes,
            factor,
            sequence,
        })
}

fn version() -> impl Strategy<Value = VersionAndOs> {
    (any::<u8>(), text()).prop_map(|(os, version)| VersionAndOs { os: OsType(os), version })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (1..=20_u8).prop_map(|blocks| Message::JitterBufferSize(JitterSize::Blocks(blocks))),
        Just(Message::JitterBufferSize(JitterSize::Auto)),
        Just(Message::RequestJitterBufferSize),
        (channel(), any::<u16>())
            .prop_map(|(channel, gain)| Message::ChannelGain { channel, gain: Gain(gain) }),
        Just(Message::RequestClientList),
        text().prop_map(Message::Chat),
        props().prop_map(Message::AudioProps),
        Just(Message::CeltProps),
        Just(Message::RequestAudioProps),
        Just(Message::RequestChannelInfo),
        clients().prop_map(Message::ClientList),
        info().prop_map(Message::ChannelInfo),
        Just(Message::OpusSupported),
        prop_oneof![Just(Licence::None), Just(Licence::Required)].prop_map(Message::LicenceRequired),
        any::<bool>().prop_map(Message::RequestLevels),
        version().prop_map(Message::VersionAndOs),
        (channel(), any::<u16>())
            .prop_map(|(channel, pan)| Message::ChannelPan { channel, pan: Pan::new(pan) }),
        (channel(), prop_oneof![Just(MuteState::Muted), Just(MuteState::Unmuted)])
            .prop_map(|(channel, state)| Message::MuteStateChanged { channel, state }),
        channel().prop_map(Message::ClientId),
        prop_oneof![
            Just(RecorderState::NotInitialised),
            Just(RecorderState::NotEnabled),
            Just(RecorderState::Recording)
        ]
        .prop_map(Message::RecorderState),
        Just(Message::RequestSplitSupport),
        Just(Message::SplitSupported),
        Just(Message::RawAudioSupported),
    ]
}

fn socket_address() -> impl Strategy<Value = SocketAddrV4> {
    (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port))
}

fn registration() -> impl Strategy<Value = Registration> {
    (any::<u16>(), any::<u16>(), any::<u8>(), any::<bool>(), text(), option::of(any::<u32>()), text())
        .prop_map(|(internal_port, country, clients_max, permanent, name, address, city)| Registration {
            internal_port,
            country: Country(country),
            clients_max,
            permanent,
            name,
            internal_address: address.map(Ipv4Addr::from),
            city,
        })
}

fn server() -> impl Strategy<Value = ServerListEntry> {
    (socket_address(), any::<u16>(), any::<u8>(), any::<bool>(), text(), text()).prop_map(
        |(address, country, clients_max, permanent, name, city)| ServerListEntry {
            address,
            country: Country(country),
            clients_max,
            permanent,
            name,
            city,
        },
    )
}

fn reduced_server() -> impl Strategy<Value = ReducedServerListEntry> {
    (socket_address(), text()).prop_map(|(address, name)| ReducedServerListEntry { address, name })
}

fn connectionless() -> impl Strategy<Value = Connectionless> {
    prop_oneof![
        any::<u32>().prop_map(|time_ms| Connectionless::Ping { time_ms }),
        (any::<u32>(), any::<u8>())
            .prop_map(|(time_ms, clients)| Connectionless::PingWithClients { time_ms, clients }),
        Just(Connectionless::ServerFull),
        registration().prop_map(Connectionless::RegisterServer),
        Just(Connectionless::UnregisterServer),
        vec(server(), 0..20).prop_map(Connectionless::ServerList),
        Just(Connectionless::RequestServerList),
        socket_address().prop_map(Connectionless::SendEmpty),
        Just(Connectionless::Empty),
        Just(Connectionless::Disconnection),
        version().prop_map(Connectionless::VersionAndOs),
        Just(Connectionless::RequestVersionAndOs),
        clients().prop_map(Connectionless::ClientList),
        Just(Connectionless::RequestClientList),
        vec(0..=9_u8, 0..=150).prop_map(|levels| Connectionless::Levels(Levels::new(levels))),
        prop_oneof![
            Just(RegistrationResult::Registered),
            Just(RegistrationResult::ListFull),
            Just(RegistrationResult::VersionTooOld),
            Just(RegistrationResult::RequirementsNotFulfilled)
        ]
        .prop_map(Connectionless::RegistrationResult),
        (registration(), version())
            .prop_map(|(registration, version)| Connectionless::RegisterServerEx(registration, version)),
        vec(reduced_server(), 0..20).prop_map(Connectionless::ReducedServerList),
        any::<u32>().prop_map(|bits| Connectionless::ServerFeatures(ServerFeatures(bits))),
        Just(Connectionless::RequestServerFeatures),
        text().prop_map(Connectionless::WelcomeMessage),
        Just(Connectionless::RequestWelcomeMessage),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Message(Message),
    Connectionless(Connectionless),
    Bytes(Vec<u8>),
    Audio,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        message().prop_map(Step::Message),
        connectionless()
            .prop_filter("keeps the connection", |message| *message != Connectionless::Disconnection)
            .prop_map(Step::Connectionless),
        vec(any::<u8>(), 0..50).prop_map(Step::Bytes),
        Just(Step::Audio),
    ]
}

/// Bytes that look like bodies: numbers that are known, lengths that nearly fit.
fn known_id() -> impl Strategy<Value = u16> {
    prop_oneof![0..40_u16, 995..1025_u16, 1999..2003_u16, any::<u16>()]
}

proptest! {
    #[test]
    fn a_message_reads_back_from_its_frame(message in message(), counter: u8) {
        let mut writer = FrameWriter::new();
        let datagram = message.frame(counter, &mut writer);
        let frame = Frame::parse(&datagram).unwrap();
        prop_assert_eq!((frame.id, frame.counter), (message.id(), counter));
        prop_assert!(!frame.is_connectionless());
        prop_assert_eq!(Message::parse(frame.id, frame.body), Ok(Some(message)));
    }

    #[test]
    fn a_connectionless_message_reads_back_from_its_frame(message in connectionless()) {
        let datagram = message.frame(&mut FrameWriter::new());
        let frame = Frame::parse(&datagram).unwrap();
        prop_assert!(frame.is_connectionless());
        prop_assert_eq!(frame.id, message.id());
        prop_assert_eq!(Connectionless::parse(frame.id, frame.body), Ok(Some(message)));
    }

    #[test]
    fn reading_any_body_never_panics_and_what_is_read_can_be_written(
        id in known_id(), body in vec(any::<u8>(), 0..300),
    ) {
        let mut writer = FrameWriter::new();
        if let Ok(Some(message)) = Message::parse(id, &body) {
            let canonical = message.body(&mut writer);
            prop_assert_eq!(Message::parse(id, &canonical), Ok(Some(message.clone())));
            prop_assert_eq!(message.body(&mut writer), canonical);
        }
        if let Ok(Some(message)) = Connectionless::parse(id, &body) {
            let datagram = message.frame(&mut writer);
            let frame = Frame::parse(&datagram).unwrap();
            prop_assert_eq!(Connectionless::parse(id, frame.body), Ok(Some(message)));
        }
    }

    #[test]
    fn reading_any_datagram_never_panics(datagram in vec(any::<u8>(), 0..600)) {
        if let Some(frame) = Frame::parse(&datagram) {
            let rebuilt = FrameWriter::new().frame(frame.id, frame.counter, frame.body);
            prop_assert_eq!(&rebuilt[..], &datagram[..]);
        }
    }

    #[test]
    fn one_changed_bit_is_noticed(message in message(), counter: u8, position: prop::sample::Index, bit in 0..8_u32) {
        let mut datagram = message.frame(counter, &mut FrameWriter::new()).to_vec();
        let at = position.index(datagram.len());
        datagram[at] ^= 1_u8 << bit;
        prop_assert_eq!(Frame::parse(&datagram), None);
    }

    #[test]
    fn texts_fit_and_survive(text in vec(any::<char>(), 0..60)) {
        let text = String::from_iter(text);
        let cut = Text::<16>::cut(&text);
        prop_assert!(cut.encode_utf16().count() <= 16);
        prop_assert_eq!(Text::<16>::decode(cut.as_bytes()), Ok(cut.clone()));
        if let Ok(whole) = Text::<16>::new(&text) {
            prop_assert_eq!(whole, cut);
        }
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(text) = Text::<16>::decode(&bytes) {
            prop_assert_eq!(Text::<16>::decode(text.as_bytes()), Ok(text));
        }
    }

    #[test]
    fn lists_are_cut_at_whole_entries(names in vec(text(), 300..500)) {
        let entry = |(at, name): (usize, Text<16>)| ClientListEntry {
            channel: ChannelId::new((at % 150) as u8).unwrap(),
            info: ChannelInfo { name, city: Text::cut("日本語日本語日本語日本語"), ..ChannelInfo::default() },
        };
        let list: Vec<_> = names.into_iter().enumerate().map(entry).collect();
        let datagram = Connectionless::ClientList(list.clone()).frame(&mut FrameWriter::new());
        let frame = Frame::parse(&datagram).unwrap();
        prop_assert!(frame.body.len() <= BODY_BYTES_MAX);
        let Ok(Some(Connectionless::ClientList(cut))) = Connectionless::parse(frame.id, frame.body) else {
            return Err(TestCaseError::fail("a cut list reads back"));
        };
        prop_assert_eq!(&list[..cut.len()], &cut[..]);
        prop_assert!(cut.len() == list.len() || frame.body.len() + 100 > BODY_BYTES_MAX);
    }

    #[test]
    fn whatever_a_server_sends_a_client_goes_on(
        steps in vec((step(), 0..5_000_u64), 0..100),
    ) {
        let mut now = jam_start();
        let server = "192.0.2.1:22124".parse().unwrap();
        let config = ClientConfig::new(Quality::Raw.props(BlockCodec::Opus, Layout::Mono));
        let (mut client, mut writer) = (Client::new(config, server, now), FrameWriter::new());
        for (counter, (step, wait_ms)) in steps.into_iter().enumerate() {
            let payload = match step {
                Step::Message(message) => message.frame(counter as u8, &mut writer).to_vec(),
                Step::Connectionless(message) => message.frame(&mut writer).to_vec(),
                Step::Bytes(bytes) => bytes,
                Step::Audio => vec![0xAA; client.audio_props().datagram_bytes()],
            };
            let bytes = usize::from(client.audio_props().block_bytes);
            if let Some(datagram) = client.send_block(&vec![0; bytes]) {
                let bytes = datagram.len();
                prop_assert_eq!(bytes, client.audio_props().datagram_bytes());
            }
            let heard = client.handle_input(now, Input::Datagram { src: server, payload: &payload });
            if heard == ClientDisposition::Audio {
                prop_assert!(AudioDatagram::parse(&client.audio_props(), &payload).is_some());
            }
            prop_assert!(std::iter::from_fn(|| client.poll_output()).count() < 20, "outputs end");
            now += Duration::from_millis(wait_ms);
            let _ = client.handle_input(now, Input::Timeout);
            prop_assert!(client.poll_timeout().is_none_or(|timeout| timeout > now), "the timeout moves");
            prop_assert!(std::iter::from_fn(|| client.poll_output()).count() < 20, "outputs end");
        }
    }

    #[test]
    fn any_sequence_of_frames_keeps_a_reliable_end_bounded(
        frames in vec((known_id(), any::<u8>(), vec(any::<u8>(), 0..40)), 0..200),
    ) {
        let now = jam_start();
        let mut writer = FrameWriter::new();
        let mut end = Reliable::new(ReliableLimits::default(), 250);
        for (id, counter, body) in frames {
            let _ = end.handle_frame(&Frame { id, counter, body: &body });
            let full = end.send(&Message::RequestClientList, &mut writer).is_err();
            let sent = std::iter::from_fn(|| end.poll_transmit(now, &mut writer)).count();
            prop_assert!(sent <= 2, "an acknowledgement and a message at most");
            prop_assert!(end.queue_messages() == 128 || (end.queue_messages() < 128 && !full));
        }
    }
}

fn jam_start() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    std::time::Instant::now()
}
