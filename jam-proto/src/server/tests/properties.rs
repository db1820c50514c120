//! Laws that hold for any sequence of calls.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::guard::{GuardLimits, Rate, ReplyPolicy};
use crate::text::LocalTime;

/// Few addresses on few hosts, so that calls meet.
const ADDRESSES: [&str; 6] = [
    "192.0.2.1:5000",
    "192.0.2.1:5001",
    "192.0.2.2:5000",
    "[2001:db8::1]:5000",
    "[::ffff:192.0.2.9]:5000",
    "203.0.113.5:22124",
];

#[derive(Clone, Debug)]
enum Call {
    Bytes {
        who: usize,
        bytes: Vec<u8>,
    },
    Audio {
        who: usize,
        bytes: usize,
    },
    Frame {
        who: usize,
        id: u16,
        counter: u8,
        body: Vec<u8>,
    },
    /// Acknowledges the newest message sent to this address: a genuine client.
    Acknowledge {
        who: usize,
    },
    Say {
        who: usize,
        message: Message,
    },
    Ask {
        who: usize,
        message: Connectionless,
    },
    Pass {
        millis: u64,
    },
    Timeout,
    Command {
        kind: u8,
        channel: u8,
    },
}

fn message() -> impl Strategy<Value = Message> {
    let channel = (0_u8..6).prop_map(slot);
    prop_oneof![
        any::<bool>().prop_map(|with| {
            let sequence = if with { Sequence::With } else { Sequence::Without };
            Message::AudioProps(AudioProps { sequence, ..props() })
        }),
        "[a-z]{0,3}".prop_map(|name| Message::ChannelInfo(info(&name))),
        (channel.clone(), 0_u16..3)
            .prop_map(|(channel, gain)| Message::ChannelGain { channel, gain: crate::Gain(gain) }),
        (channel, any::<u16>())
            .prop_map(|(channel, pan)| Message::ChannelPan { channel, pan: crate::Pan::new(pan) }),
        ".{0,20}".prop_map(|text| Message::Chat(crate::message::ChatText::cut(&text))),
        Just(Message::RequestClientList),
        Just(Message::SplitSupported),
        Just(Message::CeltProps),
    ]
}

fn request() -> impl Strategy<Value = Connectionless> {
    prop_oneof![
        Just(Connectionless::Ping { time_ms: 7 }),
        Just(Connectionless::PingWithClients { time_ms: 7, clients: 0 }),
        Just(Connectionless::RequestVersionAndOs),
        Just(Connectionless::RequestClientList),
        Just(Connectionless::RequestServerFeatures),
        Just(Connectionless::RequestWelcomeMessage),
        Just(Connectionless::RequestServerList),
        Just(Connectionless::Disconnection),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let who = 0..ADDRESSES.len();
    prop_oneof![
        1 => (who.clone(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(who, bytes)| Call::Bytes { who, bytes }),
        6 => (who.clone(), prop_oneof![Just(45_usize), Just(46), 0_usize..60])
            .prop_map(|(who, bytes)| Call::Audio { who, bytes }),
        2 => (
            who.clone(),
            prop_oneof![0_u16..40, 998_u16..1_030, Just(2_001_u16), any::<u16>()],
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..24),
        )
            .prop_map(|(who, id, counter, body)| Call::Frame { who, id, counter, body }),
        10 => who.clone().prop_map(|who| Call::Acknowledge { who }),
        6 => (who.clone(), message()).prop_map(|(who, message)| Call::Say { who, message }),
        2 => (who, request()).prop_map(|(who, message)| Call::Ask { who, message }),
        4 => prop_oneof![0_u64..50, 300_u64..500, Just(2_500_u64), Just(31_000_u64)]
            .prop_map(|millis| Call::Pass { millis }),
        1 => Just(Call::Timeout),
        2 => (0_u8..16, 0_u8..6).prop_map(|(kind, channel)| Call::Command { kind, channel }),
    ]
}

/// Small limits, so that they are met.
fn config(replies: ReplyPolicy) -> Arc<ServerConfig> {
    let limits = ServerLimits {
        probes_max: 3,
        probes_per_host_max: 2,
        quarantined_max: 2,
        messages: Rate { per_second: 20, burst: 40 },
        chat_queue_max: 3,
        outputs_max: 64,
        bans_max: 2,
        guard: GuardLimits { replies, sources_max: 3, ..GuardLimits::default() },
        ..ServerLimits::default()
    };
    ServerConfig::builder().channels_max(4).welcome("w".repeat(700)).limits(limits).build().unwrap()
}

/// Plays calls and checks the laws after each; returns everything that came out.
fn play(config: &Arc<ServerConfig>, calls: &[Call]) -> Result<Vec<Output>, TestCaseError> {
    let mut now = start();
    let mut server = Server::new(Arc::clone(config), 11, now);
    let mut writer = FrameWriter::new();
    let mut counters = BTreeMap::<usize, u8>::new();
    let mut newest = BTreeMap::<SocketAddr, (u16, u8)>::new();
    let mut all = Vec::new();
    let mut books = Books::default();
    for call in calls {
        let datagram: Option<(usize, Bytes)> = match call {
            Call::Bytes { who, bytes } => Some((*who, bytes.clone().into())),
            Call::Audio { who, bytes } => Some((*who, vec![0x55; *bytes].into())),
            Call::Frame { who, id, counter, body } => Some((*who, writer.frame(*id, *counter, body))),
            Call::Acknowledge { who } => newest
                .get(&canonical(addr(ADDRESSES[*who])))
                .map(|(id, counter)| (*who, writer.frame(id::ACKN, *counter, &id.to_le_bytes()))),
            Call::Say { who, message } => {
                let counter = counters.entry(*who).or_default();
                *counter = counter.wrapping_add(1);
                Some((*who, message.frame(*counter, &mut writer)))
            }
            Call::Ask { who, message } => Some((*who, message.frame(&mut writer))),
            Call::Pass { millis } => {
                now += ms(*millis);
                let _ = server.handle_input(now, Input::Timeout);
                prop_assert!(
                    server.poll_timeout().is_none_or(|next| next > now),
                    "the deadline did not move"
                );
                None
            }
            Call::Timeout => {
                let _ = server.handle_input(now, Input::Timeout);
                None
            }
            Call::Command { kind, channel } => {
                command(&mut server, now, *kind, slot(*channel));
                None
            }
        };
        if let Some((who, payload)) = datagram {
            let src = addr(ADDRESSES[who]);
            books.received(canonical(src), payload.len());
            let disposition = server.handle_input(now, Input::Datagram { src, payload: &payload });
            if let Disposition::Audio(channel) | Disposition::WrongSize(channel) = disposition {
                prop_assert!(books.present.contains(&channel));
            }
        }
        prop_assert!(server.memory_bytes() <= Server::memory_bytes_max(config), "{}", server.memory_bytes());
        let mut polled = 0;
        while let Some(output) = server.poll_output() {
            polled += 1;
            prop_assert!(polled < 10_000, "outputs do not end");
            match &output {
                Output::Transmit(transmit) => {
                    let frame = Frame::parse(&transmit.payload).unwrap();
                    if !frame.is_connectionless() && frame.id != id::ACKN {
                        newest.insert(transmit.dst, (frame.id, frame.counter));
                    }
                    books.sent(transmit)?;
                }
                Output::Event(event) => books.event(event)?,
                Output::Resolve(_) => {}
            }
            all.push(output);
        }
        prop_assert!(server.connected() <= 4);
        prop_assert_eq!(
            server.views().map(|view| view.channel).collect::<BTreeSet<_>>(),
            books.present.clone()
        );
        for channel in all_ids() {
            prop_assert!(!server.is_audio_due(now, channel) || books.identified.contains(&channel));
        }
    }
    books.loaned(&server, config)?;
    Ok(all)
}

fn command(server: &mut Server, now: Instant, kind: u8, channel: ChannelId) {
    let levels = vec![3; server.connected()];
    let network = IpNetwork::host(addr("192.0.2.2:1").ip());
    // Errors are part of the game.
    let _ = server.command(
        now,
        match kind {
            0 => Command::Disconnect(channel),
            1 => Command::Admission(Admission::Closed),
            2 | 3 => Command::Admission(Admission::Open),
            4 => Command::Ban { network, duration: Some(ms(700)) },
            5 => Command::Unban(network),
            6 => Command::Broadcast("all"),
            7 => Command::PrivateChat { channel, text: "one" },
            8 => Command::Recorder(RecorderState::Recording),
            9 => Command::JitterSize { channel, blocks: 5 },
            10 => Command::LocalTime(LocalTime::new(12, 0)),
            11 => Command::Reload(Arc::clone(server.config())),
            12 => Command::Resolved(None),
            _ => Command::Levels(&levels),
        },
    );
}

/// What the outside knows about a server.
#[derive(Default)]
struct Books {
    /// Bytes per address that never had a channel: received, sent.
    strangers: BTreeMap<IpAddr, (usize, usize)>,
    proven: BTreeSet<IpAddr>,
    present: BTreeSet<ChannelId>,
    identified: BTreeSet<ChannelId>,
    loaned: usize,
}

impl Books {
    fn received(&mut self, src: SocketAddr, bytes: usize) {
        self.strangers.entry(src.ip()).or_default().0 += bytes;
    }

    fn sent(&mut self, transmit: &Transmit) -> Result<(), TestCaseError> {
        let ip = transmit.dst.ip();
        let (received, sent) = self.strangers.entry(ip).or_default();
        *sent += transmit.payload.len();
        if !self.proven.contains(&ip) && *sent > *received {
            self.loaned += *sent - *received;
            *received = *sent;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Joined { channel, addr, connected } => {
                self.proven.insert(addr.ip());
                prop_assert!(self.present.insert(*channel), "a taken slot was given away");
                prop_assert_eq!(usize::from(*connected), self.present.len());
            }
            Event::Identified { channel, .. } => {
                prop_assert!(self.present.contains(channel) && self.identified.insert(*channel));
            }
            Event::Left { channel, connected, .. } => {
                self.identified.remove(channel);
                prop_assert!(self.present.remove(channel), "a free slot was freed");
                prop_assert_eq!(usize::from(*connected), self.present.len());
            }
            Event::Renamed { channel, .. } => prop_assert!(self.identified.contains(channel)),
            Event::Transport { channel, .. }
            | Event::JitterBuffer { channel, .. }
            | Event::Chat { channel, .. } => {
                prop_assert!(self.present.contains(channel));
            }
            Event::Gain { listener, source, .. } | Event::Pan { listener, source, .. } => {
                prop_assert!(self.present.contains(listener) && self.present.contains(source));
            }
            Event::Registration(_) | Event::Directory(_) => {}
        }
        Ok(())
    }

    /// Nothing is lent by a strict server, and no more than counted by another.
    fn loaned(&self, server: &Server, config: &ServerConfig) -> Result<(), TestCaseError> {
        match config.limits().guard.replies {
            ReplyPolicy::Strict => prop_assert_eq!(self.loaned, 0),
            ReplyPolicy::Lenient { .. } => prop_assert!(self.loaned as u64 <= server.stats().bytes_loaned),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_keep_the_laws_and_repeat_exactly(
        calls in prop::collection::vec(call(), 0..250), strict in any::<bool>(),
    ) {
        let config = config(if strict { ReplyPolicy::Strict } else { ReplyPolicy::default() });
        let first = play(&config, &calls)?;
        prop_assert_eq!(first, play(&config, &calls)?);
    }

    #[test]
    fn any_datagram_from_anywhere_is_survived(datagrams in prop::collection::vec(
        (any::<[u8; 4]>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..64)), 0..100,
    )) {
        let mut room = Room::new();
        for (ip, port, payload) in datagrams {
            let _ = room.datagram((ip, port).into(), &payload);
        }
        prop_assert_eq!(room.server.connected(), 0);
    }
}
