//! What happens on an evening.

use crate::heap;
use crate::plain::Plain;
use crate::player::{self, Player};
use bytes::Bytes;
use jam_mixer::server::{Command, ListingConfig, Output};
use jam_mixer::{Inline, JamConfig, JamServer};
use jam_proto::client::ClientCommand;
use jam_proto::guard::IpNetwork;
use jam_proto::message::{ChannelInfo, ChatText, Connectionless, Message, Name, RecorderState, id};
use jam_proto::rng::Rng;
use jam_proto::sim::{self, Loss, Network};
use jam_proto::wire::FrameWriter;
use jam_proto::{Gain, Input, Pan};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const ROOM: &str = "203.0.113.1:22124";
/// Places in the room; one more wants in.
const CHANNELS: u16 = 7;
const PLAYERS: usize = 8;

/// The most that was held on an evening.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// By the server's own account, with musicians.
    pub(crate) playing: usize,
    /// By its own account, after all have left.
    pub(crate) empty: usize,
    /// By the allocator's account, after all have left.
    pub(crate) allocated: usize,
}

/// How often things happened.
#[derive(Debug, Default)]
struct Tally {
    joined: u64,
    left: u64,
    killed: u64,
    rebound: u64,
    stalls: u64,
    restarts: u64,
    strangers: u64,
    datagrams: u64,
    ticks: u64,
    judged: u64,
}

pub(crate) struct Evening {
    jam: JamServer<Plain>,
    seed: u64,
    address: SocketAddr,
    now: Instant,
    rng: Rng,
    net: Network,
    players: Vec<Player>,
    writer: FrameWriter,
    /// The server is not scheduled until then; what comes for it waits.
    frozen: Option<(Instant, Vec<(SocketAddr, Bytes)>)>,
    most: usize,
    /// Played to the end.
    evenings: usize,
    tally: Tally,
}

fn room(seed: u64, now: Instant) -> JamServer<Plain> {
    let listing = ListingConfig::Directory {
        public_address: None,
        filter: Default::default(),
        limits: Default::default(),
    };
    let config = JamConfig::builder().channels_max(CHANNELS).welcome("Have fun").listing(listing);
    JamServer::new(config.build().expect("a possible configuration"), Plain, Box::new(Inline), seed, now)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Evening {
    pub(crate) fn new(seed: u64) -> Self {
        let now = sim::start();
        Self {
            jam: room(seed, now),
            seed,
            address: ROOM.parse().expect("a socket address"),
            now,
            rng: Rng::new(seed),
            net: Network::new(seed),
            players: Vec::new(),
            writer: FrameWriter::new(),
            frozen: None,
            most: 0,
            evenings: 0,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tell(&self) -> String {
        format!("{:?}", self.tally)
    }

    /// Music, a judgement, and an empty room for the rest of the time.
    pub(crate) fn play(&mut self, music: Duration, every: Duration) -> Held {
        let begin = self.now;
        let end = begin + music;
        self.most = 0;
        while self.players.len() < PLAYERS {
            self.invite();
        }
        while self.now + ms(12_000) < end {
            let pause = ms(self.rng.between(100, 3_000));
            self.run_for(pause);
            self.something_happens();
        }
        self.calm_down_and_judge();
        if self.evenings == 0 {
            self.fill_books();
        }
        self.everybody_goes();
        // Silence is noticed after 30 s.
        self.run_for(ms(40_000));
        self.judge_empty();
        let playing = self.most;
        self.run_for((begin + every).saturating_duration_since(self.now));
        self.evenings += 1;
        self.players = Vec::new();
        self.net = Network::new(self.rng.next_u64());
        Held { playing, empty: self.jam.memory_bytes(), allocated: heap::in_use() }
    }

    fn invite(&mut self) {
        let n = self.players.len() as u8;
        let node = SocketAddr::from(([10, 0, 0, n + 1], 22_134));
        self.players.push(Player::new(node, self.address, &mut self.rng, self.now));
        self.tally.joined += 1;
        self.weather(usize::from(n));
    }

    fn weather(&mut self, n: usize) {
        let (node, rng) = (self.players[n].node, &mut self.rng);
        let (delay, jitter, loss) = (ms(rng.below(60)), ms(rng.below(8)), rng.unit() * 0.05);
        let loss = if rng.chance(0.5) { Loss::bursts(loss, 3.0) } else { Loss::Random(loss) };
        let odd = if rng.chance(0.3) { 0.01 } else { 0.0 };
        self.net.links_between(node, self.address, |link| {
            link.delay(delay).jitter(jitter).loss(loss).duplicate(odd).reorder(odd, ms(4));
        });
    }

    fn something_happens(&mut self) {
        let n = self.rng.below(PLAYERS as u64) as usize;
        match self.rng.below(20) {
            0 | 1 => self.wish(n, ClientCommand::Leave),
            2 => {
                self.players[n].alive = false;
                self.tally.killed += 1;
            }
            3..=6 => self.come_back(),
            7 => {
                // The address translation of the musician forgets it.
                let node = self.players[n].node;
                let mut public = self.net.public_of(node);
                public.set_port(30_000 + public.port().wrapping_add(1) % 64);
                self.net.rebind(node, public);
                self.tally.rebound += 1;
            }
            8 | 9 => {
                let stall = if self.rng.chance(0.8) { 40 } else { 2_000 };
                self.frozen.get_or_insert_with(|| (self.now + ms(stall), Vec::new()));
                self.tally.stalls += 1;
            }
            // Later the server stays, so that what it holds could grow.
            10 if self.evenings == 0 && self.rng.chance(0.2) => {
                self.seed += 1;
                self.jam = room(self.seed, self.now);
                self.tally.restarts += 1;
            }
            11 => self.weather(n),
            12 => self.wish(n, ClientCommand::Chat(ChatText::cut("what a day"))),
            13 => {
                let size = player::jitter(&mut self.rng);
                self.wish(n, ClientCommand::JitterSize(size));
            }
            14 => {
                let info = ChannelInfo { name: Name::cut("renamed"), ..ChannelInfo::default() };
                self.wish(n, ClientCommand::Info(info));
            }
            15 => {
                let Self { players, net, now, rng, .. } = self;
                let node = players[n].node;
                players[n].change_format(*now, rng, &mut |dst, payload| net.send(*now, node, dst, payload));
            }
            16 => self.owner(),
            17 => {
                let datagrams = self.rng.between(1, 300);
                self.strangers(datagrams);
            }
            _ => self.faders(n),
        }
    }

    fn faders(&mut self, listener: usize) {
        let channels: Vec<_> = self.jam.protocol().views().map(|view| view.channel).collect();
        for channel in channels {
            let gain = Gain(self.rng.below(5) as u16 * 0x2000);
            let pan = Pan::new(self.rng.below(3) as u16 * 0x4000);
            self.wish(listener, ClientCommand::Gain { channel, gain });
            self.wish(listener, ClientCommand::Pan { channel, pan });
        }
    }

    fn owner(&mut self) {
        let stranger = IpNetwork::host([192, 0, 2, 7].into());
        let command = match self.rng.below(6) {
            0 => Command::Broadcast("a text for everybody".to_owned()),
            1 => Command::Recorder(RecorderState::Recording),
            2 => Command::Recorder(RecorderState::NotEnabled),
            3 => Command::Ban { network: stranger, duration: Some(ms(60_000)) },
            4 => Command::Unban(stranger),
            _ => match self.jam.protocol().views().next() {
                Some(view) => Command::Disconnect(view.channel),
                None => return,
            },
        };
        self.jam.command(self.now, command).expect("an owner who asks for possible things");
        self.drain_jam();
    }

    /// More addresses than the server remembers, no faster than it answers: its tables are as large as they get.
    fn fill_books(&mut self) {
        let request = Connectionless::RequestServerList.frame(&mut self.writer);
        for n in 0..4_500_u16 {
            let [high, low] = n.to_be_bytes();
            let src = SocketAddr::from(([198, 18, high, low], 1_024 + n));
            self.jam.handle_input(self.now, Input::Datagram { src, payload: &request });
            self.drain_jam();
            self.run_for(ms(4));
        }
        for _ in 0..20 {
            self.strangers(200);
            self.run_for(ms(50));
        }
    }

    /// Anything, from anybody; answers go nowhere.
    fn strangers(&mut self, datagrams: u64) {
        for _ in 0..datagrams {
            let n = self.rng.below(6_000) as u16;
            let [high, low] = n.to_be_bytes();
            let src = SocketAddr::from(([198, 18, high, low], 1_024 + n));
            let noise: Vec<u8> = (0..self.rng.between(1, 200)).map(|_| self.rng.below(256) as u8).collect();
            let counter = self.rng.below(256) as u8;
            let payload = match self.rng.below(8) {
                0 => Connectionless::PingWithClients { time_ms: 7, clients: 0 }.frame(&mut self.writer),
                1 => Connectionless::RequestClientList.frame(&mut self.writer),
                2 => Connectionless::RequestServerList.frame(&mut self.writer),
                3 => Message::RequestLevels(true).frame(counter, &mut self.writer),
                4 => self.writer.frame(id::ACKN, counter, &id::REQ_NETW_TRANSPORT_PROPS.to_le_bytes()),
                5 => {
                    let mut body = vec![0x5C, 0x56, 81, 0, 200, 1, 4, 0];
                    body.extend_from_slice(b"fake\0\0\x04\0fake");
                    self.writer.frame(id::CLM_REGISTER_SERVER, 0, &body)
                }
                _ => noise.into(),
            };
            self.tally.strangers += 1;
            self.jam.handle_input(self.now, Input::Datagram { src, payload: &payload });
            self.drain_jam();
        }
    }

    fn come_back(&mut self) {
        for player in &mut self.players {
            if !player.alive || player.client.has_left() {
                player.start_again(self.now);
                self.tally.joined += 1;
            }
        }
    }

    /// Everybody but one wants in and the network is good: after the time a lost connection takes to be noticed, all
    /// places are taken and all of those hear.
    fn calm_down_and_judge(&mut self) {
        self.jam.command(self.now, Command::Unban(IpNetwork::host([192, 0, 2, 7].into()))).expect("always");
        self.wish(PLAYERS - 1, ClientCommand::Leave);
        self.run_for(ms(3_000));
        self.players.truncate(usize::from(CHANNELS));
        for n in 0..self.players.len() {
            let node = self.players[n].node;
            self.net.links_between(node, self.address, |link| {
                link.delay(ms(10)).jitter(ms(0)).loss(Loss::None).duplicate(0.0).reorder(0.0, ms(0));
            });
        }
        self.come_back();
        // Slots of musicians who died or changed their address are free after 30 s, clients give up after the same time.
        self.run_for(ms(33_000));
        self.come_back();
        self.run_for(ms(5_000));
        let before: Vec<u64> = self.players.iter().map(|player| player.heard).collect();
        self.run_for(ms(1_000));
        for (player, before) in self.players.iter().zip(before) {
            let due = u64::from(player.client.audio_props().datagrams_per_1000_s()) / 1_000;
            let heard = player.heard - before;
            assert!(
                player.client.is_connected() && heard.abs_diff(due) <= 2,
                "{} heard {heard} of {due} in a second: {:?}",
                player.node,
                player.client.stats()
            );
            self.tally.judged += 1;
        }
        assert_eq!(self.jam.protocol().connected(), usize::from(CHANNELS));
    }

    fn everybody_goes(&mut self) {
        for n in 0..self.players.len() {
            if self.rng.chance(0.5) {
                self.wish(n, ClientCommand::Leave);
            } else {
                self.players[n].alive = false;
                self.tally.killed += 1;
            }
            let pause = ms(self.rng.below(500));
            self.run_for(pause);
        }
    }

    fn judge_empty(&self) {
        assert_eq!(self.jam.protocol().connected(), 0);
        assert_eq!(self.jam.next_tick(), None, "the clock runs on in an empty room");
        assert_eq!(self.jam.engine().channels().count(), 0);
    }

    fn wish(&mut self, n: usize, command: ClientCommand) {
        let Self { players, net, now, tally, .. } = self;
        tally.left += u64::from(command == ClientCommand::Leave);
        let node = players[n].node;
        players[n].wish(*now, command, &mut |dst, payload| net.send(*now, node, dst, payload));
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_step().filter(|next| *next <= end) {
            assert!(next >= self.now, "time went backwards");
            self.now = next;
            self.step();
        }
        self.now = end;
    }

    fn next_step(&self) -> Option<Instant> {
        let room = match &self.frozen {
            Some((until, _)) => Some(*until),
            None => self.jam.poll_timeout(),
        };
        let players = self.players.iter().filter_map(Player::due);
        [room, self.net.next_delivery()].into_iter().flatten().chain(players).min()
    }

    fn step(&mut self) {
        while let Some(delivery) = self.net.poll(self.now) {
            if delivery.dst != self.address {
                self.feed_player(delivery.src, delivery.dst, &delivery.payload);
            } else if let Some((_, held)) = &mut self.frozen {
                held.push((delivery.src, delivery.payload));
            } else {
                self.feed_jam(delivery.src, &delivery.payload);
            }
        }
        let Self { players, net, now, .. } = self;
        for player in players {
            let node = player.node;
            player.tick(*now, &mut |dst, payload| net.send(*now, node, dst, payload));
        }
        if self.frozen.as_ref().is_some_and(|(until, _)| *until <= self.now) {
            for (src, payload) in self.frozen.take().into_iter().flat_map(|(_, held)| held) {
                self.feed_jam(src, &payload);
            }
        }
        if self.frozen.is_none() && self.jam.poll_timeout().is_some_and(|at| at <= self.now) {
            self.jam.handle_input(self.now, Input::Timeout);
            self.drain_jam();
        }
    }

    fn feed_player(&mut self, src: SocketAddr, dst: SocketAddr, payload: &[u8]) {
        let Self { players, net, now, .. } = self;
        if let Some(player) = players.iter_mut().find(|player| player.node == dst) {
            player.receive(*now, src, payload, &mut |to, payload| net.send(*now, dst, to, payload));
        }
    }

    fn feed_jam(&mut self, src: SocketAddr, payload: &[u8]) {
        self.jam.handle_input(self.now, Input::Datagram { src, payload });
        self.drain_jam();
        self.tally.datagrams += 1;
        if self.tally.datagrams.is_multiple_of(256) {
            let (held, bound) = (self.jam.memory_bytes(), self.jam.memory_bytes_max());
            assert!(held <= bound, "{held} bytes held, {bound} allowed");
            self.most = self.most.max(held);
        }
    }

    fn drain_jam(&mut self) {
        let Self { jam, net, now, address, tally, .. } = self;
        while let Some(output) = jam.poll_output() {
            let mut send = |dst: SocketAddr, payload: Bytes| {
                // Strangers live outside of the network.
                if !matches!(dst.ip(), std::net::IpAddr::V4(ip) if ip.octets()[0] == 198) {
                    net.send(*now, *address, dst, payload);
                }
            };
            match output {
                Output::Transmit(transmit) => send(transmit.dst, transmit.payload),
                Output::Audio(batch) => {
                    tally.ticks += 1;
                    batch.iter().for_each(|(dst, audio)| send(dst, Bytes::copy_from_slice(audio)));
                }
                _ => {}
            }
        }
    }
}
