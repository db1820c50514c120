//! Servers and clients on a network that loses, delays, doubles and reorders.

use super::*;
use crate::Gain;
use crate::audio::Quality;
use crate::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientOutput};
use crate::rng::Rng;
use crate::sim::{Loss, Network};

const ROOM: &str = "203.0.113.1:22124";

struct World {
    now: Instant,
    net: Network,
    server: Server,
    events: Vec<Event>,
    players: Vec<Player>,
}

struct Player {
    addr: SocketAddr,
    client: Client,
    events: Vec<ClientEvent>,
    blocks_heard: u64,
    next_block: Instant,
    playing: bool,
}

impl World {
    fn new(seed: u64, players: u8) -> Self {
        let config = ServerConfig::builder().channels_max(20).welcome("w".repeat(1_200)).build().unwrap();
        Self::of(config, seed, players)
    }

    fn of(config: Arc<ServerConfig>, seed: u64, players: u8) -> Self {
        let now = start();
        let players = (1..=players)
            .map(|n| {
                let addr = addr(&format!("192.0.2.{n}:22134"));
                let mut config = ClientConfig::new(Quality::Normal.props(BlockCodec::Opus, Layout::Mono));
                config.info = info(&format!("player {n}"));
                let client = Client::new(config, ROOM.parse().unwrap(), now);
                Player { addr, client, events: vec![], blocks_heard: 0, next_block: now, playing: true }
            })
            .collect();
        let server = Server::new(config, seed, now);
        Self { now, net: Network::new(seed), server, events: vec![], players }
    }

    /// Plays in steps of a block; the server sends everybody its own audio back.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        let room = addr(ROOM);
        self.now += Duration::from_micros(2_667);
        let now = self.now;
        while let Some(delivery) = self.net.poll(now) {
            let (src, payload) = (delivery.src, &delivery.payload[..]);
            if delivery.dst == room {
                let disposition = self.server.handle_input(now, Input::Datagram { src, payload });
                if let Disposition::Audio(channel) = disposition
                    && self.server.is_audio_due(now, channel)
                {
                    self.net.send(now, room, src, delivery.payload.clone());
                }
            } else if let Some(player) = self.players.iter_mut().find(|player| player.addr == delivery.dst) {
                let disposition = player.client.handle_input(now, Input::Datagram { src, payload });
                player.blocks_heard += u64::from(disposition == ClientDisposition::Audio);
            }
            self.drain();
        }
        let _ = self.server.handle_input(now, Input::Timeout);
        for player in &mut self.players {
            let _ = player.client.handle_input(now, Input::Timeout);
            if player.playing && player.next_block <= now {
                player.next_block = now + Duration::from_micros(2_667);
                let block = vec![0x11; usize::from(player.client.audio_props().block_bytes)];
                if let Some(datagram) = player.client.send_block(&block) {
                    self.net.send(now, player.addr, room, datagram.to_vec().into());
                }
            }
        }
        self.drain();
    }

    /// Datagrams in the names of addresses that know nothing of them.
    fn forge(&mut self, rng: &mut Rng, datagrams: usize, addresses: u64) {
        for _ in 0..datagrams {
            let ip = (0x0A00_0000 | rng.below(addresses) as u32).to_be_bytes();
            let src = SocketAddr::from((ip, 22_134));
            let input = Input::Datagram { src, payload: &[0x55; 45] };
            assert_eq!(self.server.handle_input(self.now, input), Disposition::Consumed);
            // What is answered goes to somebody who does not care.
            while self.server.poll_output().is_some() {}
        }
    }

    fn drain(&mut self) {
        let room = addr(ROOM);
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(transmit) => self.net.send(self.now, room, transmit.dst, transmit.payload),
                Output::Event(event) => self.events.push(event),
                Output::Resolve(_) => {}
            }
        }
        for player in &mut self.players {
            while let Some(output) = player.client.poll_output() {
                match output {
                    ClientOutput::Transmit(transmit) => {
                        self.net.send(self.now, player.addr, transmit.dst, transmit.payload);
                    }
                    ClientOutput::Event(event) => player.events.push(event),
                }
            }
        }
    }
}

impl Player {
    fn list(&self) -> Vec<String> {
        let mut lists = self.events.iter().filter_map(|event| match event {
            ClientEvent::ClientList(list) => {
                Some(list.iter().map(|entry| entry.info.name.to_string()).collect())
            }
            _ => None,
        });
        lists.next_back().unwrap_or_default()
    }

    fn chat_lines(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, ClientEvent::Chat(_))).count()
    }
}

#[test]
fn on_a_clean_link_a_join_takes_eight_round_trips_to_the_first_audio() {
    let mut world = World::new(1, 1);
    world.net.usual_link().delay(ms(10));
    // Question, 32, 36, 24, 34, 11, 23: seven, then audio comes back.
    world.run(ms(20 * 7 + 15));
    assert_eq!(world.players[0].blocks_heard, 0);
    world.run(ms(20));
    assert!(world.players[0].blocks_heard > 0);
}

#[test]
fn everybody_joins_and_hears_on_a_bad_network() {
    for seed in 0..25 {
        let mut world = World::new(seed, 6);
        world
            .net
            .usual_link()
            .delay(ms(30))
            .jitter(ms(25))
            .loss(Loss::Random(0.1))
            .duplicate(0.05)
            .reorder(0.05, ms(40));
        world.run(ms(20_000));
        let names: Vec<String> =
            world.server.views().map(|view| view.info.unwrap().name.to_string()).collect();
        assert_eq!(names.len(), 6, "seed {seed}: {names:?}");
        for player in &world.players {
            assert_eq!(player.list(), names, "seed {seed}");
            assert!(player.blocks_heard > 4_000, "seed {seed}: {}", player.blocks_heard);
        }
        let stats = world.server.stats();
        assert_eq!((stats.joined, stats.left_restarted, stats.locked_out), (6, 0, 0), "seed {seed}");
        assert!(stats.messages_retransmitted > 0, "seed {seed}");
    }
}

#[test]
fn chat_and_faders_arrive_exactly_once_on_a_bad_network() {
    for seed in 100..110 {
        let mut world = World::new(seed, 3);
        world.net.usual_link().delay(ms(20)).jitter(ms(15)).loss(Loss::Random(0.15)).duplicate(0.1);
        world.run(ms(15_000));
        let before: Vec<usize> = world.players.iter().map(Player::chat_lines).collect();
        world.events.clear();
        let now = world.now;
        for n in 0..5_u16 {
            let text = crate::message::ChatText::cut(&"x".repeat(300 * usize::from(n)));
            world.players[0].client.command(now, ClientCommand::Chat(text)).unwrap();
            let channel = world.players[2].client.channel().unwrap();
            world.players[1].client.command(now, ClientCommand::Gain { channel, gain: Gain(n) }).unwrap();
            world.run(ms(3_000));
        }
        world.run(ms(10_000));
        let after: Vec<usize> = world.players.iter().map(Player::chat_lines).collect();
        assert_eq!(after, before.iter().map(|lines| lines + 5).collect::<Vec<_>>(), "seed {seed}");
        let gains = world.events.iter().filter_map(|event| match event {
            Event::Gain { gain, .. } => Some(gain.0),
            _ => None,
        });
        assert_eq!(gains.collect::<Vec<_>>(), [0, 1, 2, 3, 4], "seed {seed}");
    }
}

#[test]
fn a_server_that_is_restarted_gets_its_musicians_back() {
    let mut world = World::new(9, 4);
    world.net.usual_link().delay(ms(10)).loss(Loss::Random(0.02));
    world.run(ms(5_000));
    assert_eq!(world.server.connected(), 4);
    let config = Arc::clone(world.server.config());
    world.server = Server::new(config, 10, world.now);
    let heard: Vec<u64> = world.players.iter().map(|player| player.blocks_heard).collect();
    world.run(ms(8_000));
    assert_eq!(world.server.views().filter(|view| view.info.is_some()).count(), 4);
    for (player, heard) in world.players.iter().zip(heard) {
        assert!(player.blocks_heard > heard + 1_000);
    }
}

#[test]
fn a_full_house_meets_a_restarted_server_and_is_back_in_seconds() {
    // Also with so few questions at once that most have to wait.
    for (players, probes_max) in [(100, None), (150, None), (100, Some(8))] {
        let mut limits = ServerLimits::default();
        limits.probes_max = probes_max.unwrap_or(limits.probes_max);
        let config = ServerConfig::builder().channels_max(150).limits(limits).build().unwrap();
        let mut world = World::of(Arc::clone(&config), 5, players);
        world.net.usual_link().delay(ms(15));
        for seed in [5, 6] {
            world.server = Server::new(Arc::clone(&config), seed, world.now);
            world.run(ms(if probes_max.is_some() { 4_000 } else { 2_000 }));
            let stats = world.server.stats();
            let identified = world.server.views().filter(|view| view.info.is_some()).count();
            assert_eq!((identified, stats.locked_out), (usize::from(players), 0), "{probes_max:?} {stats:?}");
            assert_eq!(
                (stats.joined, stats.acknowledgements_wrong),
                (u64::from(players), 0),
                "{probes_max:?}"
            );
        }
    }
}

#[test]
fn a_newcomer_gets_in_while_forged_ones_knock() {
    // Few that keep knocking, then more than can be asked.
    for (per_second, addresses) in [(400, 256), (2_000, 1_024), (2_000, 1 << 24), (5_000, 1 << 24)] {
        for seed in 0..5 {
            let mut world = World::new(seed, 1);
            world.net.usual_link().delay(ms(15));
            let mut rng = Rng::new(seed);
            world.players[0].playing = false;
            let (begin, mut forged) = (world.now, 0);
            let mut forge = |world: &mut World| {
                let due = (world.now - begin).as_micros() as usize * per_second / 1_000_000;
                world.forge(&mut rng, due - forged, addresses);
                forged = due;
                world.step();
            };
            while world.now < begin + ms(3_000) {
                forge(&mut world);
            }
            world.players[0].playing = true;
            while world.now < begin + ms(5_000) {
                forge(&mut world);
            }
            let stats = world.server.stats();
            assert_eq!(
                (stats.identified, stats.locked_out),
                (1, 0),
                "{per_second}/s from {addresses}, seed {seed}"
            );
        }
    }
}

#[test]
fn a_musician_behind_a_new_address_plays_on() {
    let mut world = World::new(21, 2);
    world.net.usual_link().delay(ms(10));
    world.run(ms(3_000));
    let ann = world.players[0].addr;
    world.net.rebind(ann, addr("192.0.2.1:61000"));
    let heard = world.players[0].blocks_heard;
    world.run(ms(5_000));
    assert!(world.players[0].blocks_heard > heard + 1_000);
    assert_eq!(world.server.connected(), 3);
    world.run(ms(30_000));
    assert_eq!(world.server.connected(), 2);
}
