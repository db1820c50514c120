//! What a whole server holds, counted by the allocator, whatever it is sent.

#![cfg(feature = "opus-custom")]

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jam_mixer::codec::JamCodec;
use jam_mixer::server::{ListingConfig, Output};
use jam_mixer::{Inline, JamConfig, JamServer};
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientConfig, ClientOutput};
use jam_proto::message::{ChatText, Connectionless, Message, id};
use jam_proto::rng::Rng;
use jam_proto::wire::FrameWriter;
use jam_proto::{BlockCodec, ChannelId, Gain, Input, Layout, Server};

/// Counts the bytes that are in use.
struct Counting;

static IN_USE: AtomicI64 = AtomicI64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        IN_USE.fetch_add(memory.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, start: *mut u8, memory: Memory) {
        IN_USE.fetch_sub(memory.size() as i64, Ordering::Relaxed);
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

fn drain(jam: &mut JamServer<JamCodec>, world: &mut World, now: Instant) {
    let mut out: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    while let Some(output) = jam.poll_output() {
        match output {
            Output::Transmit(transmit) => out.push((transmit.dst, transmit.payload.to_vec())),
            Output::Audio(batch) => out.extend(batch.iter().map(|(dst, audio)| (dst, audio.to_vec()))),
            _ => {}
        }
    }
    for (dst, payload) in out {
        if let Some((_, client)) = world.clients.iter_mut().find(|(address, _)| *address == dst) {
            let src = client.server();
            let _ = client.handle_input(now, Input::Datagram { src, payload: &payload });
        }
    }
}

/// The most a server ever held.
fn play(seed: u64) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as origin of virtual time")]
    let mut now = Instant::now();
    let mut world = World::new(seed, now);
    let listing = ListingConfig::Directory {
        public_address: None,
        filter: Default::default(),
        limits: Default::default(),
    };
    let config = JamConfig::builder().channels_max(CHANNELS).welcome("w".repeat(900)).listing(listing);
    let config = config.build().expect("a sound configuration");
    let mut joined = 0;
    let before = IN_USE.load(Ordering::Relaxed);
    let mut jam = JamServer::new(config, JamCodec::default(), Box::new(Inline), seed, now);
    let mut most = 0;
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
                jam.handle_input(now, Input::Datagram { src, payload: &payload });
            }
        }
        for _ in 0..world.random.below(12) {
            let (src, payload) = world.datagram();
            jam.handle_input(now, Input::Datagram { src, payload: &payload });
        }
        jam.handle_input(now, Input::Timeout);
        drain(&mut jam, &mut world, now);
        let protocol = jam.protocol();
        assert!(protocol.memory_bytes() <= Server::memory_bytes_max(jam.config()), "seed {seed}");
        most = most.max(IN_USE.load(Ordering::Relaxed) - before);
        joined = joined.max(protocol.connected());
    }
    assert_eq!(joined, usize::from(CHANNELS), "seed {seed}");
    drop(jam);
    most
}

#[test]
fn a_server_for_ten_stays_within_six_mebibytes_whatever_it_is_sent() {
    // The codec's tables stay for the life of the process; they are not a server's.
    play(0);
    for seed in 1..=4 {
        let most = play(seed);
        assert!((100_000..=BYTES_MAX).contains(&most), "seed {seed}: {most} bytes");
    }
}
