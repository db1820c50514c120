//! What a whole server holds, counted by the allocator, whatever it is sent.

#![cfg(feature = "opus-custom")]

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jam_mixer::codec::{Codec, JamCodec, Raw};
use jam_mixer::engine::EngineConfig;
use jam_mixer::server::{ListingConfig, Output};
use jam_mixer::{Inline, JamConfig, JamServer};
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientConfig, ClientOutput};
use jam_proto::message::{ChatText, Connectionless, Message, id};
use jam_proto::rng::Rng;
use jam_proto::wire::FrameWriter;
use jam_proto::{BlockCodec, ChannelId, Gain, Input, Layout, Server};

/// Counts the bytes that a thread has in use: tests beside each other do not disturb the figure.
struct Counting;

thread_local! {
    static IN_USE: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        IN_USE.set(IN_USE.get() + memory.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, start: *mut u8, memory: Memory) {
        IN_USE.set(IN_USE.get() - memory.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(start, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Room for ten musicians. Twelve want in.
const CHANNELS: u16 = 10;
const MUSICIANS: u8 = 12;
/// The documented bound of a server for ten.
const BYTES_MAX: i64 = 6 << 20;

/// Everything outside the server: its clients, and those who mean no good.
struct World {
    random: Rng,
    writer: FrameWriter,
    clients: Vec<(SocketAddr, Client)>,
    noise: Vec<u8>,
}

impl World {
    fn new(seed: u64, now: Instant) -> Self {
        let mut random = Rng::new(seed);
        let server = SocketAddr::from(([198, 51, 100, 1], 22_124));
        let clients = (0..MUSICIANS)
            .map(|n| {
                let quality = if n.is_multiple_of(2) { Quality::Normal } else { Quality::Raw };
                let props = quality.props(BlockCodec::Opus, Layout::Stereo);
                let address = SocketAddr::from(([192, 0, 2, n + 1], 22_134));
                (address, Client::new(ClientConfig::new(props), server, now))
            })
            .collect();
        let noise = (0..4_096).map(|_| random.below(256) as u8).collect();
        Self { random, writer: FrameWriter::new(), clients, noise }
    }

    /// Anything, from anybody.
    fn datagram(&mut self) -> (SocketAddr, Vec<u8>) {
        let n = self.random.below(4_000) as u16;
        let [high, low] = n.to_be_bytes();
        let stranger = SocketAddr::from(([203, 0, high, low], 1_024 + n));
        let member = self.clients[self.random.below(u64::from(MUSICIANS)) as usize].0;
        let from = if self.random.chance(0.5) { stranger } else { member };
        let counter = self.random.below(256) as u8;
        let bytes = self.random.below(1_400) as usize;
        let noise = self.noise[..bytes].to_vec();
        let channel = ChannelId::new(self.random.below(10) as u8).expect("below 150");
        let frame = match self.random.below(10) {
            0 => return (from, noise),
            1 => self.writer.frame(self.random.below(1_100) as u16, counter, &noise),
            2 => self.writer.frame(self.random.between(998, 1_030) as u16, 0, &noise[..bytes.min(8)]),
            3 => Connectionless::RequestClientList.frame(&mut self.writer),
            4 => Connectionless::RequestServerList.frame(&mut self.writer),
            5 => {
                let part = [&[18, 0, 255, self.random.below(8) as u8], &noise[..bytes.min(550)]].concat();
                self.writer.frame(id::SPLIT, counter, &part)
            }
            6 => Message::Chat(ChatText::cut(&"<".repeat(bytes))).frame(counter, &mut self.writer),
            7 => Message::ChannelGain { channel, gain: Gain(bytes as u16) }.frame(counter, &mut self.writer),
            8 => Message::RequestClientList.frame(counter, &mut self.writer),
            _ => {
                let mut body = vec![0x5C, 0x56, 81, 0, 200, 1, 4, 0];
                body.extend_from_slice(b"fake\0\0\x04\0fake");
                self.writer.frame(id::CLM_REGISTER_SERVER, 0, &body)
            }
        };
        (from, frame.to_vec())
    }
}

/// What the allocator gave during a call, less what came back.
fn allocated<T>(held: &mut i64, call: impl FnOnce() -> T) -> T {
    let before = IN_USE.get();
    let result = call();
    *held += IN_USE.get() - before;
    result
}

fn drain<C: Codec>(jam: &mut JamServer<C>, world: &mut World, held: &mut i64, now: Instant) {
    let mut out: Vec<(SocketAddr, Vec<u8>)> = Vec::with_capacity(4_096);
    allocated(held, || take(jam, &mut out));
    // The copies are the world's.
    *held -= out.iter().map(|(_, payload)| payload.capacity() as i64).sum::<i64>();
    assert!(out.len() < 4_096, "the list of copies has grown");
    for (dst, payload) in out {
        if let Some((_, client)) = world.clients.iter_mut().find(|(address, _)| *address == dst) {
            let src = client.server();
            let _ = client.handle_input(now, Input::Datagram { src, payload: &payload });
        }
    }
}

fn take<C: Codec>(jam: &mut JamServer<C>, out: &mut Vec<(SocketAddr, Vec<u8>)>) {
    while let Some(output) = jam.poll_output() {
        match output {
            Output::Transmit(transmit) => out.push((transmit.dst, transmit.payload.to_vec())),
            Output::Audio(batch) => out.extend(batch.iter().map(|(dst, audio)| (dst, audio.to_vec()))),
            _ => {}
        }
    }
}

/// What a session of arbitrary traffic came to.
struct Session {
    /// The most a server ever held, by the allocator's account.
    most: i64,
    /// How far its own account was from the allocator's, after each wake-up.
    difference: std::ops::RangeInclusive<i64>,
}

fn play<C: Codec>(seed: u64, codec: C, change: impl FnOnce(&mut EngineConfig)) -> Session {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as origin of virtual time")]
    let mut now = Instant::now();
    let mut world = World::new(seed, now);
    let listing = ListingConfig::Directory {
        public_address: None,
        filter: Default::default(),
        limits: Default::default(),
    };
    let config = JamConfig::builder().channels_max(CHANNELS).welcome("w".repeat(900)).listing(listing);
    let config = config.engine(change);
    let config = config.build().expect("a sound configuration");
    let mut joined = 0;
    let (mut held, mut most, mut low, mut high) = (0, 0, 0, 0);
    let mut jam = allocated(&mut held, || JamServer::new(config, codec, Box::new(Inline), seed, now));
    for _ in 0..1_500 {
        now += Duration::from_nanos(2_666_667);
        for n in 0..world.clients.len() {
            let (address, client) = &mut world.clients[n];
            let mut out: Vec<Vec<u8>> = client.send_block(&[]).map(<[u8]>::to_vec).into_iter().collect();
            if client.poll_timeout().is_some_and(|at| at <= now) {
                let _ = client.handle_input(now, Input::Timeout);
            }
            while let Some(output) = client.poll_output() {
                if let ClientOutput::Transmit(transmit) = output {
                    out.push(transmit.payload.to_vec());
                }
            }
            let src = *address;
            for payload in out {
                allocated(&mut held, || jam.handle_input(now, Input::Datagram { src, payload: &payload }));
            }
        }
        for _ in 0..world.random.below(12) {
            let (src, payload) = world.datagram();
            allocated(&mut held, || jam.handle_input(now, Input::Datagram { src, payload: &payload }));
        }
        allocated(&mut held, || jam.handle_input(now, Input::Timeout));
        drain(&mut jam, &mut world, &mut held, now);
        let protocol = jam.protocol();
        assert!(protocol.memory_bytes() <= Server::memory_bytes_max(jam.config()), "seed {seed}");
        assert!(jam.memory_bytes() <= jam.memory_bytes_max(), "seed {seed}");
        most = most.max(held);
        let difference = held - jam.memory_bytes() as i64;
        (low, high) = (difference.min(low), difference.max(high));
        joined = joined.max(protocol.connected());
    }
    assert_eq!(joined, usize::from(CHANNELS), "seed {seed}");
    Session { most, difference: low..=high }
}

#[test]
fn a_server_for_ten_stays_within_six_mebibytes_whatever_it_is_sent() {
    // The codec's tables stay for the life of the process; they are not a server's.
    play(0, JamCodec::default(), |_| ());
    for seed in 1..=4 {
        let most = play(seed, JamCodec::default(), |_| ()).most;
        assert!((100_000..=BYTES_MAX).contains(&most), "seed {seed}: {most} bytes");
    }
}

/// Uncompressed coders hold nothing, so that all there is must be in the server's own account.
#[test]
fn what_a_server_says_it_holds_is_what_it_has_allocated() {
    for seed in 1..=4 {
        let session = play(seed, Raw, |engine| {
            engine.delay_panning = seed == 2;
            engine.main_mix = seed == 3;
        });
        let Session { most, difference } = session;
        // Texts that many are to read are held once and counted once for each reader.
        assert!(
            *difference.start() >= -most / 2 && *difference.end() <= most / 10,
            "seed {seed}: of {most} bytes, the account is off by {difference:?}"
        );
    }
}
