//! Our server and twelve of our clients on a bad network, in virtual time.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![cfg(feature = "sim")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientOutput};
use jam_proto::message::{ChannelInfo, ChatText, MuteState, Name};
use jam_proto::server::{Event, LeaveReason, Output};
use jam_proto::sim::{self, Loss, Network};
use jam_proto::{
    AudioProps, BlockCodec, BlockFactor, ChannelId, Disposition, Gain, Input, Layout, Server, ServerConfig,
};

const MUSICIANS: usize = 12;
/// Four blocks of 128 samples per datagram.
const PERIOD: Duration = Duration::from_micros(10_667);

struct Musician {
    addr: SocketAddr,
    client: Client,
    events: Vec<ClientEvent>,
    /// Audio datagrams heard.
    heard: usize,
    plays: bool,
}

/// A server whose mixer sends zeros, and its musicians.
struct World {
    now: Instant,
    net: Network,
    room: SocketAddr,
    server: Server,
    /// Audio formats, as a mixer keeps them.
    props: BTreeMap<ChannelId, AudioProps>,
    server_events: Vec<Event>,
    musicians: Vec<Musician>,
    tick_at: Instant,
    seed: u64,
}

fn room_config() -> std::sync::Arc<ServerConfig> {
    ServerConfig::builder().channels_max(20).welcome("Hello").build().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let now = sim::start();
        let mut net = Network::new(seed);
        net.usual_link()
            .delay(Duration::from_millis(25))
            .jitter(Duration::from_millis(10))
            .loss(Loss::bursts(0.05, 3.0))
            .duplicate(0.02);
        let room = "10.0.0.99:22124".parse().unwrap();
        let musicians = (0..MUSICIANS).map(|n| Musician {
            addr: SocketAddr::from(([10, 0, 0, n as u8], 22134)),
            client: Client::new(config(n), room, now),
            events: Vec::new(),
            heard: 0,
            plays: true,
        });
        Self {
            now,
            net,
            room,
            server: Server::new(room_config(), seed, now),
            props: BTreeMap::new(),
            server_events: Vec::new(),
            musicians: musicians.collect(),
            tick_at: now,
            seed,
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.next_happening().min(end);
            self.timeouts();
            while let Some(delivery) = self.net.poll(self.now) {
                self.deliver(delivery.src, delivery.dst, &delivery.payload);
            }
            if self.tick_at <= self.now {
                self.tick_at += PERIOD;
                self.play();
            }
            self.drain();
        }
    }

    fn next_happening(&self) -> Instant {
        let clients = self.musicians.iter().filter_map(|musician| musician.client.poll_timeout());
        let others = [self.server.poll_timeout(), self.net.next_delivery()].into_iter().flatten();
        clients.chain(others).fold(self.tick_at, Instant::min)
    }

    fn timeouts(&mut self) {
        if self.server.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
            let _ = self.server.handle_input(self.now, Input::Timeout);
            assert!(
                self.server.poll_timeout().is_none_or(|timeout| timeout > self.now),
                "seed {}",
                self.seed
            );
        }
        for musician in &mut self.musicians {
            if musician.client.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
                let _ = musician.client.handle_input(self.now, Input::Timeout);
                let next = musician.client.poll_timeout();
                assert!(next.is_none_or(|timeout| timeout > self.now), "seed {}", self.seed);
            }
        }
    }

    fn deliver(&mut self, src: SocketAddr, dst: SocketAddr, payload: &[u8]) {
        let input = Input::Datagram { src, payload };
        if dst == self.room {
            let _: Disposition = self.server.handle_input(self.now, input);
        } else if let Some(musician) = self.musicians.iter_mut().find(|musician| musician.addr == dst) {
            let disposition = musician.client.handle_input(self.now, input);
            musician.heard += usize::from(disposition == ClientDisposition::Audio);
        }
        self.drain();
    }

    /// One period of audio in both directions.
    fn play(&mut self) {
        for musician in self.musicians.iter_mut().filter(|musician| musician.plays) {
            let block = vec![0x55; usize::from(musician.client.audio_props().block_bytes)];
            for _ in 0..BlockFactor::Four.blocks() {
                if let Some(datagram) = musician.client.send_block(&block) {
                    self.net.send(self.now, musician.addr, self.room, Bytes::copy_from_slice(datagram));
                }
            }
        }
        for view in self.server.views() {
            if let Some(props) =
                self.props.get(&view.channel).filter(|_| self.server.is_audio_due(self.now, view.channel))
            {
                self.net.send(self.now, self.room, view.addr, vec![0x55; props.datagram_bytes()].into());
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    self.net.send(self.now, self.room, transmit.dst, transmit.payload)
                }
                Output::Event(event) => {
                    if let Event::Transport { channel, props } = event {
                        self.props.insert(channel, props);
                    }
                    self.server_events.push(event);
                }
                _ => {}
            }
        }
        for musician in &mut self.musicians {
            while let Some(output) = musician.client.poll_output() {
                match output {
                    ClientOutput::Transmit(t) => self.net.send(self.now, musician.addr, t.dst, t.payload),
                    ClientOutput::Event(event) => musician.events.push(event),
                    _ => {}
                }
            }
        }
    }

    fn command(&mut self, musician: usize, command: ClientCommand) {
        let now = self.now;
        assert_eq!(self.musicians[musician].client.command(now, command), Ok(()));
    }

    /// The names everybody sees, which are the same for all.
    fn names(&self) -> Vec<String> {
        let lists = self.musicians.iter().filter(|musician| musician.client.is_connected()).map(|musician| {
            musician.events.iter().rev().find_map(|event| match event {
                ClientEvent::ClientList(list) => Some(list.clone()),
                _ => None,
            })
        });
        let lists: Vec<_> = lists.map(Option::unwrap).collect();
        assert!(lists.iter().all(|list| *list == lists[0]), "seed {}: all see the same", self.seed);
        assert!(lists[0].is_sorted_by_key(|entry| entry.channel));
        let mut names: Vec<String> = lists[0].iter().map(|entry| entry.info.name.to_string()).collect();
        names.sort();
        names
    }

    fn channel(&self, musician: usize) -> ChannelId {
        self.musicians[musician].client.channel().unwrap()
    }

    fn forget_events(&mut self) {
        self.server_events.clear();
        for musician in &mut self.musicians {
            musician.events.clear();
        }
    }
}

fn config(n: usize) -> ClientConfig {
    let quality = [Quality::Low, Quality::Normal, Quality::High, Quality::Raw][n % 4];
    let layout = if n.is_multiple_of(3) { Layout::Mono } else { Layout::Stereo };
    let mut config = ClientConfig::new(AudioProps {
        factor: BlockFactor::Four,
        ..quality.props(BlockCodec::Opus, layout)
    });
    config.info = ChannelInfo { name: Name::cut(&name(n)), ..ChannelInfo::default() };
    config.ping_interval = Some(Duration::from_millis(500));
    config
}

fn name(n: usize) -> String {
    format!("musician {n:02}")
}

fn all_names() -> Vec<String> {
    (0..MUSICIANS).map(name).collect()
}

const SEEDS: std::ops::Range<u64> = 0..6;

#[test]
fn twelve_musicians_meet_hear_talk_and_leave() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.run_for(Duration::from_secs(12));
        assert_eq!(world.names(), all_names(), "seed {seed}");
        for musician in &world.musicians {
            let stats = musician.client.stats();
            assert!(musician.heard > 200, "seed {seed}: {stats:?}");
            // After the join the formats of both sides agree.
            assert!(stats.audio_of_wrong_size < 300, "seed {seed}: {stats:?}");
            assert!(musician.events.iter().any(|event| matches!(event, ClientEvent::Ping { .. })));
        }

        world.forget_events();
        world.command(3, ClientCommand::Chat(ChatText::cut("ready?")));
        let (listener, source) = (world.channel(5), world.channel(2));
        world.command(5, ClientCommand::Gain { channel: source, gain: Gain::ZERO });
        world.run_for(Duration::from_secs(5));
        for musician in &world.musicians {
            let said =
                |event: &&ClientEvent| matches!(event, ClientEvent::Chat(text) if text.ends_with("ready?"));
            assert_eq!(musician.events.iter().filter(said).count(), 1, "seed {seed}: exactly once");
        }
        let muted = ClientEvent::Mute { channel: listener, state: MuteState::Muted };
        let notices = |n: usize| world.musicians[n].events.iter().filter(|event| **event == muted).count();
        assert_eq!((notices(2), notices(4)), (1, 0), "seed {seed}");

        world.command(7, ClientCommand::Leave);
        world.run_for(Duration::from_secs(5));
        let mut names = all_names();
        names.remove(7);
        assert_eq!(world.names(), names, "seed {seed}");
        assert!(world.musicians[7].client.has_left());
    }
}

#[test]
fn a_restarted_server_gets_its_musicians_back() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.run_for(Duration::from_secs(10));
        world.server = Server::new(room_config(), seed + 1000, world.now);
        world.props.clear();
        world.forget_events();
        world.run_for(Duration::from_secs(12));
        assert_eq!(world.names(), all_names(), "seed {seed}");
        let heard: Vec<usize> = world.musicians.iter().map(|musician| musician.heard).collect();
        world.run_for(Duration::from_secs(2));
        for (musician, before) in world.musicians.iter().zip(heard) {
            assert!(musician.heard > before + 100, "seed {seed}: {:?}", musician.client.stats());
        }
    }
}

#[test]
fn a_new_address_is_a_new_channel_and_the_old_one_times_out() {
    let mut world = World::new(1);
    world.run_for(Duration::from_secs(10));
    let old = world.channel(4);
    let addr = world.musicians[4].addr;
    world.net.rebind(addr, "10.9.9.9:40000".parse().unwrap());
    world.run_for(Duration::from_secs(10));
    assert_ne!(world.channel(4), old);
    assert_eq!(world.names().len(), MUSICIANS + 1, "the old channel is still there");
    world.run_for(Duration::from_secs(25));
    assert_eq!(world.names(), all_names());
    let timed_out = |event: &Event| matches!(event, Event::Left { channel, reason: LeaveReason::TimedOut, .. } if *channel == old);
    assert!(world.server_events.iter().any(timed_out));
}

#[test]
fn a_silent_musician_is_missed_after_thirty_seconds() {
    let mut world = World::new(2);
    world.run_for(Duration::from_secs(10));
    world.musicians[9].plays = false;
    world.run_for(Duration::from_secs(29));
    assert_eq!(world.server.connected(), MUSICIANS);
    world.run_for(Duration::from_secs(3));
    assert_eq!(world.server.connected(), MUSICIANS - 1);
}
