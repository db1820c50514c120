//! A musician of an evening: the real client machine, playing blocks of one loudness.

use bytes::Bytes;
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientOutput};
use jam_proto::message::{ChannelInfo, Name};
use jam_proto::rng::Rng;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, Input, JitterSize, Layout};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) struct Player {
    pub(crate) node: SocketAddr,
    pub(crate) client: Client,
    /// Its program runs.
    pub(crate) alive: bool,
    /// Audio datagrams that came back.
    pub(crate) heard: u64,
    config: ClientConfig,
    blocks_from: Instant,
    blocks_sent: u64,
    block: Vec<u8>,
}

impl Player {
    pub(crate) fn new(node: SocketAddr, server: SocketAddr, rng: &mut Rng, now: Instant) -> Self {
        let mut config = ClientConfig::new(format(rng));
        config.info = ChannelInfo { name: Name::cut(&format!("m{}", node.port())), ..ChannelInfo::default() };
        config.ping_interval = rng.chance(0.5).then_some(Duration::from_millis(500));
        config.jitter_size = jitter(rng);
        Self {
            node,
            client: Client::new(config.clone(), server, now),
            alive: true,
            heard: 0,
            config,
            blocks_from: now,
            blocks_sent: 0,
            block: (0..1_275).map(|n| n as u8).collect(),
        }
    }

    /// The program is started again.
    pub(crate) fn start_again(&mut self, now: Instant) {
        self.client = Client::new(self.config.clone(), self.client.server(), now);
        (self.blocks_from, self.blocks_sent) = (now, 0);
        self.alive = true;
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        let timer = self.client.poll_timeout();
        let block = (!self.client.has_left()).then(|| self.next_block());
        [timer, block].into_iter().flatten().min().filter(|_| self.alive)
    }

    fn next_block(&self) -> Instant {
        let samples = self.blocks_sent * self.client.audio_props().codec.samples() as u64;
        self.blocks_from + Duration::from_nanos(samples * 1_000_000 / 48)
    }

    pub(crate) fn tick(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        if !self.alive {
            return;
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            let disposition = self.client.handle_input(now, Input::Timeout);
            assert_eq!(disposition, ClientDisposition::Consumed);
        }
        self.drain(send);
        while !self.client.has_left() && self.next_block() <= now {
            self.blocks_sent += 1;
            let bytes = usize::from(self.client.audio_props().block_bytes);
            if let Some(datagram) = self.client.send_block(&self.block[..bytes]) {
                let datagram = Bytes::copy_from_slice(datagram);
                send(self.client.server(), datagram);
            }
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        src: SocketAddr,
        payload: &[u8],
        send: &mut dyn FnMut(SocketAddr, Bytes),
    ) {
        if self.alive {
            let disposition = self.client.handle_input(now, Input::Datagram { src, payload });
            self.heard += u64::from(disposition == ClientDisposition::Audio);
            self.drain(send);
        }
    }

    /// A wish; one that comes at a bad time is forgotten.
    pub(crate) fn wish(
        &mut self,
        now: Instant,
        command: ClientCommand,
        send: &mut dyn FnMut(SocketAddr, Bytes),
    ) {
        if self.alive {
            let _ = self.client.command(now, command);
            self.drain(send);
        }
    }

    /// Another format, from now on.
    pub(crate) fn change_format(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        send: &mut dyn FnMut(SocketAddr, Bytes),
    ) {
        self.wish(now, ClientCommand::Audio(format(rng)), send);
        (self.blocks_from, self.blocks_sent) = (now, 0);
    }

    fn drain(&mut self, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        while let Some(output) = self.client.poll_output() {
            if let ClientOutput::Transmit(transmit) = output {
                send(transmit.dst, transmit.payload);
            }
        }
    }
}

fn format(rng: &mut Rng) -> AudioProps {
    let mut pick = |n: u64| rng.below(n);
    let codec = if pick(3) == 0 { BlockCodec::Opus64 } else { BlockCodec::Opus };
    let layout = if pick(2) == 0 { Layout::Mono } else { Layout::Stereo };
    let quality = [Quality::Low, Quality::Normal, Quality::High, Quality::Raw][pick(4) as usize];
    let factor = [BlockFactor::One, BlockFactor::Two, BlockFactor::Four][pick(3) as usize];
    AudioProps { factor, ..quality.props(codec, layout) }
}

pub(crate) fn jitter(rng: &mut Rng) -> JitterSize {
    if rng.chance(0.5) { JitterSize::Auto } else { JitterSize::Blocks(rng.between(10, 20) as u8) }
}
