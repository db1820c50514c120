//! Many musicians and one room over a simulated network, in virtual time.

use crate::musician::{Fader, Musician, Tone};
use crate::room::{Room, RoomOutput};
use crate::shadow::Shadow;
use crate::strangers::Strangers;
use bytes::Bytes;
use jam_proto::client::ClientConfig;
use jam_proto::sim::{self, Delivery, Network};
use jam_proto::{ChannelId, Input};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) const ROOM: &str = "203.0.113.1:22124";

/// A happening of the script.
type Happening = Box<dyn FnOnce(&mut World)>;

pub(crate) struct World {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) net: Network,
    pub(crate) room: Room,
    pub(crate) musicians: Vec<Musician>,
    pub(crate) strangers: Strangers,
    pub(crate) shadow: Shadow,
    /// Datagrams judged by the shadows of servers that are no more.
    pub(crate) compared_before: u64,
    build: Box<dyn Fn(Instant) -> (Room, Shadow)>,
    pub(crate) steps: u64,
    room_address: SocketAddr,
    /// While the server's process is not scheduled, its datagrams wait in the system's buffer.
    frozen: Option<(Instant, Vec<Delivery>)>,
    script: BTreeMap<(Instant, usize), Happening>,
    /// Audio the server sent since its last tick was judged.
    audio: Vec<(SocketAddr, Bytes)>,
    ticks: (u64, u64),
    digest: u64,
}

impl World {
    pub(crate) fn new(seed: u64, build: impl Fn(Instant) -> (Room, Shadow) + 'static) -> Self {
        let start = sim::start();
        let (room, shadow) = build(start);
        Self {
            start,
            now: start,
            net: Network::new(seed),
            room,
            musicians: Vec::new(),
            strangers: Strangers::default(),
            shadow,
            compared_before: 0,
            build: Box::new(build),
            steps: 0,
            room_address: ROOM.parse().expect("a socket address"),
            frozen: None,
            script: BTreeMap::new(),
            audio: Vec::new(),
            ticks: (0, 0),
            digest: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Adds a musician who starts to play now.
    pub(crate) fn musician(&mut self, config: ClientConfig) -> usize {
        let n = self.musicians.len();
        let node = SocketAddr::from(([10, 0, 0, n as u8 + 1], 22_134));
        self.musicians.push(Musician::new(node, Tone::nth(n), config, self.room_address, self.now));
        n
    }

    /// Changes the link of a musician in both directions.
    pub(crate) fn link(&mut self, musician: usize, change: impl FnMut(&mut sim::Link)) {
        let node = self.musicians[musician].node;
        self.net.links_between(node, self.room_address, change);
    }

    /// Does something at a time after the start.
    pub(crate) fn at(&mut self, after: Duration, happening: impl FnOnce(&mut Self) + 'static) {
        self.script.insert((self.start + after, self.script.len()), Box::new(happening));
    }

    /// The server's process is not scheduled for a while.
    pub(crate) fn freeze(&mut self, time: Duration) {
        self.frozen.get_or_insert((self.now + time, Vec::new()));
    }

    /// The server's process ends without a word and is started again at once.
    pub(crate) fn restart(&mut self) {
        self.compared_before += self.shadow.compared;
        (self.room, self.shadow) = (self.build)(self.now);
        self.ticks = (0, 0);
    }

    pub(crate) fn leave(&mut self, musician: usize) {
        self.with_musician(musician, |musician, now, send| musician.leave(now, send));
    }

    pub(crate) fn say(&mut self, musician: usize, text: &str) {
        self.with_musician(musician, |musician, now, send| musician.say(now, text, send));
    }

    /// The musician's address translation forgets it and gives it another port.
    pub(crate) fn rebind(&mut self, musician: usize) {
        let node = self.musicians[musician].node;
        let mut public = self.net.public_of(node);
        public.set_port(public.port() + 1_000);
        self.net.rebind(node, public);
    }

    pub(crate) fn kill(&mut self, musician: usize) {
        self.musicians[musician].kill();
    }

    pub(crate) fn come_back(&mut self, musician: usize) {
        self.musicians[musician].come_back(self.room_address, self.now);
    }

    /// The channel a musician has, as itself believes.
    pub(crate) fn channel(&self, musician: usize) -> ChannelId {
        let musician = &self.musicians[musician];
        musician
            .client
            .channel()
            .unwrap_or_else(|| panic!("{} has no channel; {}", musician.node, self.room.tell()))
    }

    /// Whether a listener has a fader for somebody, and will still mean the same one when its message arrives: a slot
    /// that was given to somebody else a moment ago has its faders reset.
    pub(crate) fn sees(&self, listener: usize, source: usize) -> bool {
        let [listener, source] = [listener, source].map(|n| &self.musicians[n]);
        let Some(channel) = source.client.channel().filter(|_| source.alive && source.client.is_connected())
        else {
            return false;
        };
        let settled = source.assigned_at.is_some_and(|at| self.now > at + Duration::from_secs(1));
        settled && listener.alive && listener.list.iter().any(|entry| entry.channel == channel)
    }

    pub(crate) fn set_fader(&mut self, listener: usize, source: usize, fader: Fader) {
        let channel = self.channel(source);
        let Self { musicians, net, now, .. } = self;
        let musician = &mut musicians[listener];
        let node = musician.node;
        assert!(
            musician.set_fader(*now, channel, fader, &mut |dst, payload| net.send(*now, node, dst, payload))
        );
    }

    /// A datagram from an address that plays nowhere.
    pub(crate) fn send_as_stranger(&mut self, src: SocketAddr, payload: Bytes) {
        self.net.send(self.now, src, self.room_address, payload);
    }

    pub(crate) fn run_until(&mut self, after: Duration) {
        let end = self.start + after;
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
            None => self.room.poll_timeout(),
        };
        let script = self.script.keys().next().map(|(at, _)| *at);
        let musicians = self.musicians.iter().filter_map(Musician::due);
        [room, script, self.net.next_delivery()].into_iter().flatten().chain(musicians).min()
    }

    fn step(&mut self) {
        self.steps += 1;
        while let Some(entry) = self.script.first_entry().filter(|entry| entry.key().0 <= self.now) {
            entry.remove()(self);
        }
        while let Some(delivery) = self.net.poll(self.now) {
            self.deliver(delivery);
        }
        for n in 0..self.musicians.len() {
            self.with_musician(n, |musician, now, send| musician.tick(now, send));
        }
        self.mind_room();
        if self.steps.is_multiple_of(500) {
            let (used, most) = self.room.memory_bytes();
            assert!(used <= most, "{used} bytes held, {most} allowed");
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        if delivery.dst != self.room_address {
            let n = self.musicians.iter().position(|musician| musician.node == delivery.dst);
            match n {
                Some(n) => self.with_musician(n, |musician, now, send| {
                    musician.receive(now, delivery.src, &delivery.payload, send);
                }),
                None => assert!(self.strangers.knows(delivery.dst), "a datagram for nobody: {delivery:?}"),
            }
        } else if let Some((_, held)) = &mut self.frozen {
            held.push(delivery);
        } else {
            self.feed(&delivery);
        }
    }

    /// Gives the room a datagram and takes what it says.
    fn feed(&mut self, delivery: &Delivery) {
        self.strangers.sent(delivery.src, delivery.payload.len());
        self.room.handle_input(self.now, Input::Datagram { src: delivery.src, payload: &delivery.payload });
        self.pass_over();
        let lead_us = self.room.lead_us(self.now);
        self.shadow.on_datagram(delivery.src, &delivery.payload, lead_us);
        self.drain_room();
    }

    fn mind_room(&mut self) {
        if let Some((until, held)) = self.frozen.take() {
            if self.now < until {
                self.frozen = Some((until, held));
                return;
            }
            for delivery in &held {
                self.feed(delivery);
            }
        }
        if self.room.poll_timeout().is_some_and(|at| at <= self.now) {
            self.room.handle_input(self.now, Input::Timeout);
            self.drain_room();
            assert!(self.room.poll_timeout().is_none_or(|at| at > self.now), "the room's timer stands still");
        }
    }

    /// Tells the shadow what the room has given up of a stall.
    fn pass_over(&mut self) {
        let (_, skipped) = self.room.ticks();
        self.shadow.on_skip(skipped - self.ticks.1);
        self.ticks.1 = skipped;
    }

    fn drain_room(&mut self) {
        self.pass_over();
        let mut outputs = 0;
        while let Some(output) = self.room.poll_output() {
            outputs += 1;
            assert!(outputs < 10_000, "the room never stops talking");
            match output {
                RoomOutput::Transmit(dst, payload) => self.send_from_room(dst, payload),
                RoomOutput::Audio(batch) => {
                    for (dst, payload) in batch {
                        self.audio.push((dst, payload.clone()));
                        self.send_from_room(dst, payload);
                    }
                }
                RoomOutput::Event(event) => self.shadow.on_event(&event),
            }
        }
        let (run, skipped) = self.room.ticks();
        if (run, skipped) != self.ticks {
            let audio = std::mem::take(&mut self.audio);
            self.shadow.on_ticks(run - self.ticks.0, &audio);
            self.ticks = (run, skipped);
        }
        assert!(self.audio.is_empty(), "audio without a tick");
    }

    fn send_from_room(&mut self, dst: SocketAddr, payload: Bytes) {
        self.strangers.received(self.now, dst, payload.len());
        let when = (self.now - self.start).as_nanos().to_le_bytes();
        for byte in when.iter().chain(payload.iter()) {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.net.send(self.now, self.room_address, dst, payload);
    }

    /// A number that stands for everything the server has sent, and when.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    fn with_musician(
        &mut self,
        n: usize,
        act: impl FnOnce(&mut Musician, Instant, &mut dyn FnMut(SocketAddr, Bytes)),
    ) {
        let Self { musicians, net, now, .. } = self;
        let musician = &mut musicians[n];
        let node = musician.node;
        act(musician, *now, &mut |dst, payload| net.send(*now, node, dst, payload));
    }
}
