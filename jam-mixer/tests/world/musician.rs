//! A musician of a simulated jam: a stock-like client, a tone, and ears.

use crate::ears::Ears;
use bytes::Bytes;
use jam_mixer::codec::{Codec, Decode, Encode, JamCodec, JamDecoder, JamEncoder, StreamSpec};
use jam_proto::audio::AudioDatagram;
use jam_proto::client::{
    Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientLeaveReason, ClientOutput,
};
use jam_proto::message::{ChatText, ClientListEntry};
use jam_proto::{AudioProps, ChannelId, Gain, Input, Layout, Pan};
use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a musician plays: a sine that fits whole periods into a window of [`Ears`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tone {
    pub(crate) hertz: u32,
    pub(crate) amplitude: f64,
}

impl Tone {
    /// The n-th musician's: far enough from the others' for the coarsest codec.
    pub(crate) fn nth(n: usize) -> Self {
        Self { hertz: 300 + 270 * n as u32, amplitude: 3_000.0 }
    }

    fn sample(self, n: u64) -> i16 {
        (self.amplitude * (TAU * f64::from(self.hertz) * n as f64 / 48_000.0).sin()).round() as i16
    }
}

/// A fader as the musician set it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fader {
    pub(crate) gain: Gain,
    pub(crate) pan: Pan,
}

pub(crate) struct Musician {
    /// Its own address; the network may translate it.
    pub(crate) node: SocketAddr,
    pub(crate) tone: Tone,
    pub(crate) client: Client,
    pub(crate) ears: Ears,
    /// What it set since it last joined.
    pub(crate) faders: BTreeMap<ChannelId, Fader>,
    pub(crate) list: Vec<ClientListEntry>,
    /// How many levels the last meter message had.
    pub(crate) levels: usize,
    /// Chat lines as they came.
    pub(crate) chat: Vec<ChatText>,
    pub(crate) alive: bool,
    /// Each assignment of a channel, the first included.
    pub(crate) assigned: u32,
    pub(crate) assigned_at: Option<Instant>,
    config: ClientConfig,
    coder: Coder,
    blocks_from: Instant,
    blocks_sent: u64,
    samples_played: u64,
}

struct Coder {
    props: AudioProps,
    encoder: JamEncoder,
    decoder: JamDecoder,
    pcm: Vec<i16>,
    block: Vec<u8>,
}

impl Coder {
    fn new(props: AudioProps) -> Self {
        let spec = StreamSpec::from(props);
        let codec = JamCodec::default();
        Self {
            props,
            encoder: codec.encoder(spec).expect("clients announce formats that exist"),
            decoder: codec.decoder(spec).expect("clients announce formats that exist"),
            pcm: vec![0; spec.pcm_len()],
            block: vec![0; usize::from(spec.block_bytes)],
        }
    }
}

impl Musician {
    pub(crate) fn new(
        node: SocketAddr,
        tone: Tone,
        config: ClientConfig,
        room: SocketAddr,
        now: Instant,
    ) -> Self {
        let client = Client::new(config.clone(), room, now);
        Self {
            node,
            tone,
            ears: Ears::default(),
            faders: BTreeMap::new(),
            list: Vec::new(),
            levels: 0,
            chat: Vec::new(),
            alive: true,
            assigned: 0,
            assigned_at: None,
            coder: Coder::new(client.audio_props()),
            config,
            client,
            blocks_from: now,
            blocks_sent: 0,
            samples_played: 0,
        }
    }

    /// Says goodbye; the client stops playing by itself.
    pub(crate) fn leave(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        self.client.command(now, ClientCommand::Leave).expect("who plays can leave");
        self.drain(now, send);
    }

    pub(crate) fn say(&mut self, now: Instant, text: &str, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        self.client.command(now, ClientCommand::Chat(ChatText::cut(text))).expect("a musician can speak");
        self.drain(now, send);
    }

    /// The program dies without a word.
    pub(crate) fn kill(&mut self) {
        self.alive = false;
    }

    /// The program is started again at the same address.
    pub(crate) fn come_back(&mut self, room: SocketAddr, now: Instant) {
        let again = Self::new(self.node, self.tone, self.config.clone(), room, now);
        *self = Self { assigned: self.assigned, ..again };
    }

    pub(crate) fn stereo(&self) -> bool {
        self.coder.props.layout == Layout::Stereo
    }

    pub(crate) fn props(&self) -> AudioProps {
        self.coder.props
    }

    /// When it next does something by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        if !self.alive {
            return None;
        }
        let block = self.next_block();
        Some(self.client.poll_timeout().map_or(block, |at| at.min(block)))
    }

    /// Blocks are timed from the start, so that no rounding adds up.
    fn next_block(&self) -> Instant {
        let samples = self.blocks_sent * self.coder.props.codec.samples() as u64;
        self.blocks_from + Duration::from_nanos(samples * 1_000_000 / 48)
    }

    /// Plays the block that is due, if any, and minds its timers.
    pub(crate) fn tick(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        if !self.alive {
            return;
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            let disposition = self.client.handle_input(now, Input::Timeout);
            assert_eq!(disposition, ClientDisposition::Consumed);
            assert!(self.client.poll_timeout().is_none_or(|at| at > now), "a client's timer stands still");
            self.drain(now, send);
        }
        while self.next_block() <= now {
            self.blocks_sent += 1;
            self.play(send);
        }
    }

    fn play(&mut self, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        let Coder { props, encoder, pcm, block, .. } = &mut self.coder;
        for frame in pcm.chunks_exact_mut(props.layout.sides()) {
            frame.fill(self.tone.sample(self.samples_played));
            self.samples_played += 1;
        }
        encoder.encode(pcm, block).expect("the encoder takes its own format");
        if let Some(datagram) = self.client.send_block(block) {
            let datagram = Bytes::copy_from_slice(datagram);
            send(self.client.server(), datagram);
        }
    }

    pub(crate) fn receive(
        &mut self,
        now: Instant,
        src: SocketAddr,
        payload: &[u8],
        send: &mut dyn FnMut(SocketAddr, Bytes),
    ) {
        if !self.alive {
            return;
        }
        if self.client.handle_input(now, Input::Datagram { src, payload }) == ClientDisposition::Audio {
            // The first audio changes the format; hear about it before decoding.
            self.drain(now, send);
            self.hear(payload);
        }
        self.drain(now, send);
    }

    /// Plays what arrived: a lost block is concealed, and one that comes too late or twice is left out.
    fn hear(&mut self, payload: &[u8]) {
        let Coder { props, decoder, pcm, .. } = &mut self.coder;
        let datagram = AudioDatagram::parse(props, payload).expect("the client judged the size");
        for block in datagram.blocks() {
            let Some(missing) = self.ears.expect(block.sequence) else { continue };
            for _ in 0..missing {
                decoder.decode(None, pcm).expect("decoders conceal");
                self.ears.hear(pcm, props.layout);
            }
            decoder.decode(Some(block.bytes), pcm).expect("the server sends decodable blocks");
            self.ears.hear(pcm, props.layout);
        }
    }

    fn drain(&mut self, now: Instant, send: &mut dyn FnMut(SocketAddr, Bytes)) {
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Transmit(t) => send(t.dst, t.payload),
                ClientOutput::Event(event) => self.on_event(now, event),
                _ => {}
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: ClientEvent) {
        match event {
            ClientEvent::AudioProps(props) => {
                self.coder = Coder::new(props);
                self.ears.new_stream();
                self.blocks_from = now;
                self.blocks_sent = 0;
            }
            ClientEvent::ClientList(list) => {
                // Clients match level meters by position and show faders in this order (spec 2.2).
                assert!(list.windows(2).all(|w| w[0].channel < w[1].channel), "unordered list {list:?}");
                self.list = list;
            }
            ClientEvent::ChannelAssigned(_) => {
                self.assigned += 1;
                self.assigned_at = Some(now);
                self.faders.clear();
            }
            ClientEvent::Levels(levels) => self.levels = levels.values().len(),
            ClientEvent::Chat(text) => self.chat.push(text),
            ClientEvent::Left(ClientLeaveReason::Requested) => self.alive = false,
            ClientEvent::Left(reason) => panic!("{} lost its server: {reason:?}", self.node),
            _ => {}
        }
    }

    /// Moves a fader; `false` if the client cannot take it now.
    pub(crate) fn set_fader(
        &mut self,
        now: Instant,
        source: ChannelId,
        fader: Fader,
        send: &mut dyn FnMut(SocketAddr, Bytes),
    ) -> bool {
        let gain = ClientCommand::Gain { channel: source, gain: fader.gain };
        let pan = ClientCommand::Pan { channel: source, pan: fader.pan };
        let taken = self.client.command(now, gain).is_ok() && self.client.command(now, pan).is_ok();
        if taken {
            self.faders.insert(source, fader);
        }
        self.drain(now, send);
        taken
    }
}
