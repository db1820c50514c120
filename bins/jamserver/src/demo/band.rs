//! The musicians: clients in a thread of their own, on one clock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jam_mixer::codec::{Codec, CodecError, Encode, JamCodec, JamEncoder, StreamSpec};
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientOutput};
use jam_proto::message::{ChannelInfo, City, Name};
use jam_proto::tables::{Instrument, Skill};
use jam_proto::{AudioProps, BlockCodec, Input, Layout, ServerConfig};

use super::Part;
use super::synth::Loop;

/// A band that has practised and waits for its server.
#[derive(Debug)]
pub(crate) struct Band {
    parts: Vec<(Part, Loop)>,
}

/// A band on stage; dropping it makes it leave.
#[derive(Debug)]
pub(crate) struct Playing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    server: SocketAddr,
}

/// One musician.
struct Member {
    client: Client,
    socket: UdpSocket,
    music: Loop,
    encoder: JamEncoder,
    coded: Vec<u8>,
}

impl Band {
    /// Renders the music of these parts; each plays once, however often it is named.
    pub(crate) fn new(parts: &[Part], beats_per_minute: u32) -> Self {
        let mut band: Vec<(Part, Loop)> = Vec::new();
        for &part in parts {
            if !band.iter().any(|(known, _)| *known == part) {
                band.push((part, Loop::render(part, beats_per_minute)));
            }
        }
        Self { parts: band }
    }

    /// How many musicians it has.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Joins the server that listens on these addresses and plays until dropped.
    ///
    /// # Errors
    ///
    /// A text that says what the system refused.
    pub(crate) fn play(self, listening: &[SocketAddr]) -> Result<Playing, String> {
        let server = listening.first().map(near).ok_or("the server listens nowhere")?;
        let members: Result<Vec<Member>, String> = self
            .parts
            .into_iter()
            .map(|(part, music)| {
                Member::new(part, music, server).map_err(|e| format!("the band cannot play: {e}"))
            })
            .collect();
        let mut members = members?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("demo-band".to_owned())
            .spawn(move || perform(&mut members, &stopped))
            .map_err(|e| format!("the band cannot play: {e}"))?;
        Ok(Playing { stop, thread: Some(thread), server })
    }
}

impl Playing {
    /// What the newcomer has to do; or that the rules about addresses keep the band out, as nobody would hear it.
    pub(crate) fn invitation(&self, rules: &ServerConfig) -> String {
        let ip = self.server.ip();
        if !rules.admits(ip) {
            return format!(
                "jamserver: warning: --allow or --deny keeps the demo band out, which comes from {ip}"
            );
        }
        let port = self.server.port();
        let address = if port == jam_proto::DEFAULT_PORT {
            "127.0.0.1".to_owned()
        } else {
            format!("127.0.0.1:{port}")
        };
        format!(
            "\nThe demo band is playing. To hear it:\n  1. Start a Jamulus client on this machine and press Connect.\n  \
             2. Enter {address} as the server and press Connect again.\n     From another machine, use one of the \
             addresses above.\n  3. Move the faders: every musician of the band has one, and your mix is yours alone.\n\
             Stop with Ctrl-C.\n"
        )
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A band that has broken down needs no farewell.
            let _ = thread.join();
        }
    }
}

/// The address to reach a server of this machine at.
fn near(listening: &SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

const FORMAT: AudioProps = Quality::High.props(BlockCodec::Opus, Layout::Stereo);

impl Member {
    fn new(part: Part, music: Loop, server: SocketAddr) -> Result<Self, Box<dyn std::error::Error>> {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let mut config = ClientConfig::new(FORMAT);
        config.info = ChannelInfo {
            name: Name::cut(part.name()),
            city: City::cut("this server"),
            instrument: Instrument::from_name(part.instrument()).unwrap_or_default(),
            skill: Skill::EXPERT,
            ..ChannelInfo::default()
        };
        let client = Client::new(config, server, now());
        let spec = StreamSpec { codec: FORMAT.codec, layout: FORMAT.layout, block_bytes: FORMAT.block_bytes };
        let encoder = JamCodec::default().encoder(spec)?;
        Ok(Self { client, socket, music, encoder, coded: vec![0; usize::from(FORMAT.block_bytes)] })
    }

    /// Plays one block and deals with what has arrived.
    fn step(&mut self, position: u64, buffer: &mut [u8]) -> Result<(), CodecError> {
        self.encoder.encode(self.music.block(position), &mut self.coded)?;
        if let Some(datagram) = self.client.send_block(&self.coded) {
            // A datagram the system does not take is a lost one.
            let _ = self.socket.send(datagram);
        }
        self.listen(buffer);
        Ok(())
    }

    fn listen(&mut self, buffer: &mut [u8]) {
        let src = self.client.server();
        // Bounded: at most as many as a server sends between two blocks, with room to catch up.
        for _ in 0..16 {
            let len = match self.socket.recv(buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(_) => break,
            };
            // The band plays by the clock: what it would hear it need not decode.
            let (ClientDisposition::Audio | ClientDisposition::Consumed) =
                self.client.handle_input(now(), Input::Datagram { src, payload: &buffer[..len] });
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now()) {
            let _ = self.client.handle_input(now(), Input::Timeout);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(output) = self.client.poll_output() {
            if let ClientOutput::Transmit(transmit) = output {
                let _ = self.socket.send(&transmit.payload);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the band has a clock of its own, like every musician")]
fn now() -> Instant {
    Instant::now()
}

/// Plays until told to stop, then says goodbye.
fn perform(members: &mut [Member], stop: &AtomicBool) {
    let start = now();
    let mut buffer = vec![0; 20_000];
    let mut position = 0;
    while !stop.load(Ordering::Relaxed) {
        for member in &mut *members {
            if member.step(position, &mut buffer).is_err() {
                return;
            }
        }
        position += 1;
        // Counted from the start, so that rounding never adds up; after a long pause the band catches up quickly.
        let due = start + Duration::from_nanos(position * 128 * 1_000_000_000 / 48_000);
        wait_until(due);
    }
    for member in members {
        // Who was thrown out has nothing to say.
        let _ = member.client.command(now(), ClientCommand::Leave);
        member.flush();
    }
}

#[expect(clippy::disallowed_methods, reason = "the band waits for its beat")]
fn wait_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(now()));
}
