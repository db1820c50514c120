//! The server as a whole with real client machines, raw audio and virtual time. No network: what one side sends, the
//! other one gets at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jam_proto::audio::{AudioDatagram, Quality};
use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientOutput};
use jam_proto::message::{Connectionless, ServerFeatures};
use jam_proto::server::Event as ProtocolEvent;
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, BlockCodec, ChannelId, Input, JitterSize, Layout, Sequence};

use super::*;
use crate::codec::Raw;
use crate::job::Inline;

const BLOCK: usize = 256;

struct Musician {
    client: Client,
    addr: SocketAddr,
    level: i16,
    /// Blocks heard: sequence byte and first sample.
    heard: Vec<(Option<u8>, i16)>,
    events: Vec<ClientEvent>,
}

struct Room {
    jam: JamServer<Raw>,
    start: Instant,
    now: Instant,
    ticks: u64,
    musicians: Vec<Musician>,
    events: Vec<Event>,
}

impl Room {
    fn new(config: JamConfig, musicians: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as origin of virtual time")]
        let start = Instant::now();
        let mut room = Self {
            jam: JamServer::new(config, Raw, Box::new(Inline), 1, start),
            start,
            now: start,
            ticks: 0,
            musicians: Vec::new(),
            events: Vec::new(),
        };
        for _ in 0..musicians {
            room.enter();
        }
        room
    }

    fn enter(&mut self) {
        let number = self.musicians.len() as u8;
        let props = Quality::Raw.props(BlockCodec::Opus, Layout::Mono);
        let addr = SocketAddr::from(([192, 0, 2, number + 1], 22_134));
        let client =
            Client::new(ClientConfig::new(props), SocketAddr::from(([198, 51, 100, 1], 22_124)), self.now);
        self.musicians.push(Musician {
            client,
            addr,
            level: 100 * (1 + i16::from(number)),
            heard: Vec::new(),
            events: Vec::new(),
        });
    }

    /// Lets everybody send one block, then time passes until the next tick.
    fn round(&mut self) {
        self.play();
        self.pass(1);
        self.jam.handle_input(self.now, Input::Timeout);
        self.server_out();
    }

    /// As [`round`](Self::round), but what is sent is read when the tick is due.
    fn rounds_at_deadlines(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.pass(1);
            self.play();
            self.jam.handle_input(self.now, Input::Timeout);
            self.server_out();
        }
    }

    /// The server does not run for some ticks, and then finds what was sent meanwhile.
    fn stall(&mut self, ticks: u64) {
        self.pass(ticks);
        for _ in 0..ticks {
            self.play();
        }
        self.jam.handle_input(self.now, Input::Timeout);
        self.server_out();
    }

    fn pass(&mut self, ticks: u64) {
        self.ticks += ticks;
        self.now = self.start + Duration::from_nanos(self.ticks * 128 * 62_500 / 3);
    }

    /// The channel of the first musician.
    fn first(&self) -> ChannelId {
        self.jam.protocol().views().find(|view| view.addr == self.musicians[0].addr).unwrap().channel
    }

    fn play(&mut self) {
        for i in 0..self.musicians.len() {
            let m = &mut self.musicians[i];
            // Before the server offers raw audio the client sends blocks of high quality, which mean nothing to `Raw`.
            let block: Vec<u8> = m.level.to_le_bytes().iter().copied().cycle().take(BLOCK).collect();
            let bytes = usize::from(m.client.audio_props().block_bytes);
            let datagram = m.client.send_block(&block[..bytes]).map(<[u8]>::to_vec);
            let addr = m.addr;
            if let Some(datagram) = datagram {
                self.arrive(addr, &datagram);
            }
            self.clients_out(i);
        }
    }

    fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.round();
        }
    }

    fn arrive(&mut self, src: SocketAddr, payload: &[u8]) {
        self.jam.handle_input(self.now, Input::Datagram { src, payload });
        self.server_out();
    }

    fn server_out(&mut self) {
        let mut out = Vec::new();
        while let Some(output) = self.jam.poll_output() {
            match output {
                Output::Transmit(t) => out.push((t.dst, t.payload.to_vec())),
                Output::Audio(batch) => out.extend(batch.iter().map(|(dst, audio)| (dst, audio.to_vec()))),
                Output::Event(event) => self.events.push(event),
            }
        }
        for (dst, payload) in out {
            let Some(i) = self.musicians.iter().position(|m| m.addr == dst) else { continue };
            let m = &mut self.musicians[i];
            let src = m.client.server();
            if m.client.handle_input(self.now, Input::Datagram { src, payload: &payload })
                == ClientDisposition::Audio
            {
                let props = m.client.audio_props();
                let audio = AudioDatagram::parse(&props, &payload).unwrap();
                m.heard.extend(
                    audio
                        .blocks()
                        .map(|b| (b.sequence, i16::from_le_bytes(b.bytes[..2].try_into().unwrap()))),
                );
            }
            self.clients_out(i);
        }
    }

    fn clients_out(&mut self, i: usize) {
        let _ = self.musicians[i].client.handle_input(self.now, Input::Timeout);
        while let Some(output) = self.musicians[i].client.poll_output() {
            match output {
                ClientOutput::Transmit(t) => {
                    let src = self.musicians[i].addr;
                    self.arrive(src, &t.payload);
                }
                ClientOutput::Event(event) => self.musicians[i].events.push(event),
                _ => {}
            }
        }
    }
}

fn config() -> JamConfig {
    JamConfig::builder().channels_max(4).welcome("hello").build().unwrap()
}

/// Rounds until everybody is faded in: 3 s and the joining.
const FADED: usize = 1_300;

#[test]
fn three_musicians_hear_the_sum_of_all() {
    let mut room = Room::new(config(), 3);
    room.rounds(FADED);
    for m in &room.musicians {
        assert!(m.client.is_connected());
        assert_eq!(m.client.audio_props().sequence, Sequence::With);
        let tail = &m.heard[m.heard.len() - 50..];
        assert!(tail.iter().all(|&(_, x)| x == 600), "100 + 200 + 300, heard {tail:?}");
        assert!(tail.windows(2).all(|w| w[1].0 == w[0].0.map(|s| s.wrapping_add(1))), "continuous: {tail:?}");
        let first = m.heard.iter().position(|block| block.0.is_some()).unwrap();
        assert_eq!(m.heard[first].0, Some(0), "counted from the first block that has a number");
        assert!(m.events.iter().any(|e| matches!(e, ClientEvent::Levels(_))));
    }
}

#[test]
fn nothing_ticks_while_nobody_is_there() {
    let mut room = Room::new(config(), 0);
    assert_eq!(room.jam.next_tick(), None);
    room.enter();
    room.rounds(50);
    assert!(room.jam.next_tick().is_some());
    room.musicians[0].client.command(room.now, ClientCommand::Leave).unwrap();
    room.clients_out(0);
    room.rounds(2);
    assert_eq!(room.jam.next_tick(), None);
    assert!(matches!(room.events.last(), Some(Event::Protocol(ProtocolEvent::Left { connected: 0, .. }))));
}

#[test]
fn after_a_stall_delay_and_sequence_are_as_before() {
    let mut room = Room::new(config(), 2);
    room.rounds(FADED);
    let before = room.jam.stats().engine;
    let heard = room.musicians[0].heard.len();
    // 40 ms in which the process is not scheduled: 15 ticks, for which no datagram is read.
    room.ticks += 14;
    room.round();
    let after = room.jam.stats().engine;
    assert_eq!(after.ticks - before.ticks, 4, "four ticks are made up for");
    assert_eq!(after.ticks_skipped - before.ticks_skipped, 11, "the others are not");
    let sequences: Vec<u8> = room.musicians[0].heard[heard - 1..].iter().filter_map(|h| h.0).collect();
    assert_eq!(sequences[1].wrapping_sub(sequences[0]), 12, "the gap shows in the sequence: {sequences:?}");
    assert!(room.jam.next_tick().is_some_and(|t| t > room.now));
    room.rounds(FADED);
    assert!(room.musicians[0].heard.iter().rev().take(50).all(|&(_, x)| x == 300));
}

#[test]
fn a_stall_costs_a_manual_jitter_buffer_the_stall_and_no_more() {
    for (size, stall) in [(4, 10), (4, 20), (4, 41), (10, 20), (1, 20), (4, 90), (4, 150), (10, 200)] {
        let mut room = Room::new(config(), 2);
        let wish = ClientCommand::JitterSize(JitterSize::Blocks(size));
        room.musicians[0].client.command(room.now, wish).unwrap();
        room.rounds(FADED);
        let concealed = room.jam.stats().engine.blocks_concealed;
        room.stall(stall);
        room.rounds(200);
        let more = room.jam.stats().engine.blocks_concealed - concealed;
        assert!(more <= 6, "{size} blocks, a stall of {stall} ticks: {more} blocks were concealed");
        assert_eq!(room.jam.engine().jitter_blocks(room.first()), Some(size));
    }
}

#[test]
fn a_datagram_that_is_read_when_the_tick_is_due_is_in_that_tick() {
    let mut room = Room::new(config(), 2);
    room.rounds_at_deadlines(3 * FADED);
    assert_eq!(room.musicians[1].heard.last().map(|block| block.1), Some(300));
    room.musicians[0].level = 1_100;
    room.rounds_at_deadlines(1);
    assert_eq!(room.musicians[1].heard.last().map(|block| block.1), Some(1_300));
}

#[test]
fn a_server_that_everybody_leaves_is_not_full_any_more() {
    let mut room = Room::new(config(), 2);
    for _ in 0..FADED {
        room.round();
        room.jam.report_work(room.now, Duration::from_micros(2500));
        room.server_out();
    }
    assert_eq!(room.events.iter().filter(|event| **event == Event::Full(true)).count(), 1);
    for i in 0..2 {
        room.musicians[i].client.command(room.now, ClientCommand::Leave).unwrap();
        room.clients_out(i);
    }
    room.rounds(2);
    assert_eq!(room.jam.stats().musicians, 0);
    assert!(room.events.contains(&Event::Full(false)));
    room.enter();
    room.rounds(400);
    assert!(room.musicians[2].client.is_connected());
}

#[test]
fn a_reload_changes_nothing_that_the_engine_was_started_with() {
    let mut room = Room::new(JamConfig::builder().raw_audio(false).build().unwrap(), 0);
    let other =
        JamConfig::builder().fast_update(true).disconnect_on_quit(true).welcome("new").build().unwrap();
    room.jam.command(room.now, Command::Reload(other.protocol)).unwrap();
    let config = room.jam.config();
    assert!(!config.has(ServerFeatures::RAW_AUDIO) && !config.has(ServerFeatures::FAST_UPDATE));
    assert!(config.has(ServerFeatures::DISCONNECT_ON_QUIT));
    assert_eq!(config.welcome(), "new");
}

#[test]
fn a_full_machine_refuses_newcomers_and_keeps_its_musicians() {
    let mut room = Room::new(config(), 2);
    for _ in 0..FADED {
        room.round();
        room.jam.report_work(room.now, Duration::from_micros(2500));
        room.server_out();
    }
    assert!(room.events.contains(&Event::Full(true)));
    room.enter();
    room.rounds(400);
    assert!(room.musicians[2].events.contains(&ClientEvent::ServerFull));
    assert!(!room.musicians[2].client.is_connected());
    assert_eq!(room.jam.stats().musicians, 2);
    for _ in 0..3 * FADED {
        room.round();
        room.jam.report_work(room.now, Duration::from_micros(300));
        room.server_out();
    }
    assert!(room.events.contains(&Event::Full(false)));
    assert!(room.musicians[2].client.is_connected(), "there is room again");
}

#[test]
fn a_registering_server_asks_for_the_address_and_registers_there() {
    let listing = ListingConfig::Register {
        directory: "directory.example".into(),
        port: 22_124,
        internal_address: Some([10, 0, 0, 5].into()),
    };
    let mut room = Room::new(JamConfig::builder().listing(listing).build().unwrap(), 0);
    room.server_out();
    assert!(room.events.contains(&Event::ResolveDirectory { host: "directory.example".into() }));
    let directory = SocketAddr::from(([203, 0, 113, 9], 22_124));
    room.jam.directory_resolved(room.now, "directory.example", Some(directory));
    let Some(Output::Transmit(registration)) = room.jam.poll_output() else { panic!("no registration") };
    assert_eq!(registration.dst, directory);
    let frame = Frame::parse(&registration.payload).unwrap();
    let Ok(Some(Connectionless::RegisterServerEx(r, _))) = Connectionless::parse(frame.id, frame.body) else {
        panic!("not a registration: {frame:?}");
    };
    assert_eq!((r.internal_port, r.internal_address), (22_124, Some([10, 0, 0, 5].into())));

    // Who gets another name tells the directory at once.
    let renamed = room.jam.config().to_builder().name("Attic").build().unwrap();
    room.jam.command(room.now, Command::Reload(renamed)).unwrap();
    room.jam.directory_resolved(room.now, "directory.example", Some(directory));
    let registered = std::iter::from_fn(|| match room.jam.poll_output()? {
        Output::Transmit(t) => Some(Frame::parse(&t.payload).and_then(|frame| {
            match Connectionless::parse(frame.id, frame.body) {
                Ok(Some(Connectionless::RegisterServerEx(r, _))) => Some(r.name.as_str().to_owned()),
                _ => None,
            }
        })),
        _ => Some(None),
    });
    assert_eq!(registered.flatten().last().as_deref(), Some("Attic"));
}

#[test]
fn a_server_changes_its_directory_and_ignores_late_answers_about_the_old_one() {
    let at = |host: &str| ListingConfig::Register {
        directory: host.into(),
        port: 22_124,
        internal_address: Some([10, 0, 0, 5].into()),
    };
    let mut room = Room::new(JamConfig::builder().listing(at("old.example")).build().unwrap(), 0);
    room.server_out();
    room.jam.command(room.now, Command::List(at("new.example"))).unwrap();
    room.server_out();
    assert!(room.events.contains(&Event::ResolveDirectory { host: "new.example".into() }));
    let [old, new] = [8, 9].map(|last| SocketAddr::from(([203, 0, 113, last], 22_124)));
    room.jam.directory_resolved(room.now, "old.example", Some(old));
    assert!(room.jam.poll_output().is_none());
    room.jam.directory_resolved(room.now, "new.example", Some(new));
    let Some(Output::Transmit(registration)) = room.jam.poll_output() else { panic!("no registration") };
    assert_eq!(registration.dst, new);
    room.jam.command(room.now, Command::List(ListingConfig::Private)).unwrap();
    let goodbye = std::iter::from_fn(|| match room.jam.poll_output()? {
        Output::Transmit(t) => Some((t.dst, Frame::parse(&t.payload).map(|frame| frame.id))),
        _ => Some((old, None)),
    });
    assert!(goodbye.collect::<Vec<_>>().contains(&(new, Some(1005))), "it leaves the list");
    assert!(room.jam.protocol().registrar().is_none_or(|registrar| registrar.poll_timeout().is_none()));
}

#[test]
fn a_directory_takes_registrations_beside_musicians() {
    let listing = ListingConfig::Directory {
        public_address: None,
        filter: Default::default(),
        limits: Default::default(),
    };
    let mut room = Room::new(JamConfig::builder().listing(listing).build().unwrap(), 1);
    let mut writer = FrameWriter::new();
    let registration = jam_proto::message::Registration {
        internal_port: 22_124,
        country: Default::default(),
        clients_max: 7,
        permanent: false,
        name: jam_proto::message::ServerName::cut("Cellar"),
        internal_address: None,
        city: Default::default(),
    };
    let version = room.jam.config().version().clone();
    let frame = Connectionless::RegisterServerEx(registration, version).frame(&mut writer);
    room.arrive(SocketAddr::from(([198, 51, 100, 77], 22_124)), &frame);
    room.rounds(100);
    assert!(room.musicians[0].client.is_connected());
    let text = room.jam.directory_text().unwrap();
    assert!(text.starts_with("198.51.100.77:22124;"), "{text}");
    room.jam.command(room.now, Command::RestoreDirectory(text.clone())).unwrap();
    assert_eq!(room.jam.directory_text(), Some(text));
}

#[test]
fn who_stops_sending_gets_no_audio_but_keeps_the_slot() {
    let mut room = Room::new(config(), 2);
    room.rounds(FADED);
    let quiet = room.musicians.remove(1);
    room.rounds(1_000);
    assert_eq!(room.jam.stats().musicians, 2);
    let mut to_quiet = 0;
    room.ticks += 1;
    room.now += room.jam.tick_period();
    room.jam.handle_input(room.now, Input::Timeout);
    while let Some(output) = room.jam.poll_output() {
        if let Output::Audio(batch) = output {
            to_quiet += batch.iter().filter(|(dst, _)| *dst == quiet.addr).count();
        }
    }
    assert_eq!(to_quiet, 0);
}

#[test]
fn a_raw_size_is_what_the_format_says() {
    // Guards the assumption of this file's blocks.
    let props = Quality::Raw.props(BlockCodec::Opus, Layout::Mono);
    assert_eq!(usize::from(AudioProps::raw_block_bytes(props.codec, props.layout)), BLOCK);
}
