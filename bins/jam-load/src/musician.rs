//! One synthetic musician.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientDisposition, ClientEvent, ClientOutput};
use jam_proto::message::{Connectionless, id};
use jam_proto::rng::Rng;
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, ChannelId, Gain, Input};

use crate::args::FadersArg;
use crate::clock::Nanos;
use crate::histogram::Histogram;
use crate::probe::Recording;
use crate::signal::Loop;
use crate::stream::{Stream, StreamStats};

/// Fader moves travel one at a time, each waiting for its acknowledgement: so many arrive within [`FADERS_EVERY`].
const FADERS_AT_ONCE: usize = 12;
/// Clients send fader moves no faster than every 50 ms.
const FADERS_EVERY: Duration = Duration::from_millis(60);

/// A client with its tone, its stream and what it keeps for later.
#[derive(Debug)]
pub(crate) struct Musician {
    client: Client,
    /// The format to be measured; the connection starts without sequence bytes, and without raw blocks.
    props: AudioProps,
    stream: Stream,
    music: Loop,
    /// The next block to play.
    block: u64,
    /// Everybody on the server, this musician included.
    everybody: Vec<ChannelId>,
    /// Faders still to be set.
    faders: VecDeque<(ChannelId, Gain)>,
    faders_due: Option<Instant>,
    pub(crate) recording: Option<Recording>,
    writer: FrameWriter,
    /// Number and time of the ping under way.
    ping: Option<(u32, Nanos)>,
    pings: u32,
    /// Pings sent since counting began.
    pub(crate) pings_counted: u64,
    pub(crate) ping_times: Histogram,
    /// Chat lines received since counting began.
    pub(crate) chat_lines: u64,
    is_refused: bool,
}

impl Musician {
    pub(crate) fn new(
        props: AudioProps,
        config: ClientConfig,
        server: SocketAddr,
        music: Loop,
        recording: Option<Recording>,
        now: Instant,
    ) -> Self {
        Self {
            client: Client::new(config, server, now),
            props,
            stream: Stream::new(props),
            music,
            block: 0,
            everybody: Vec::new(),
            faders: VecDeque::new(),
            faders_due: None,
            recording,
            writer: FrameWriter::new(),
            ping: None,
            pings: 0,
            pings_counted: 0,
            ping_times: Histogram::default(),
            chat_lines: 0,
            is_refused: false,
        }
    }

    /// The next audio datagram, and its number within the loop of the music.
    pub(crate) fn next_audio(&mut self) -> (u64, Option<&[u8]>) {
        let blocks = self.props.factor.blocks() as u64;
        let number = self.block % self.music.len() as u64 / blocks;
        let first = self.block;
        self.block += blocks;
        // Until the server has offered raw audio blocks have another size; silence is good enough then.
        let fits = self.client.audio_props().block_bytes == self.props.block_bytes;
        let block = |n: u64| if fits { self.music.block(first + n) } else { &[] };
        for n in 0..blocks - 1 {
            let _ = self.client.send_block(block(n));
        }
        (number, self.client.send_block(block(blocks - 1)))
    }

    pub(crate) fn on_datagram(&mut self, now: Instant, arrival: Nanos, payload: &[u8]) {
        if self.takes_pong(arrival, payload) {
            return;
        }
        let input = Input::Datagram { src: self.client.server(), payload };
        if self.client.handle_input(now, input) == ClientDisposition::Consumed
            || self.client.audio_props() != self.props
        {
            return;
        }
        let position = self.stream.on_audio(arrival, payload);
        if let (Some(position), Some(recording)) = (position, &mut self.recording) {
            recording.add(position, arrival, payload);
        }
    }

    /// Pings are kept from the client because here they are timed with the kernel's clock.
    fn takes_pong(&mut self, arrival: Nanos, payload: &[u8]) -> bool {
        let Some(frame) = Frame::parse(payload).filter(|frame| frame.id == id::CLM_PING_MS) else {
            return false;
        };
        if let Ok(Some(Connectionless::Ping { time_ms })) = Connectionless::parse(frame.id, frame.body)
            && let Some((_, sent)) = self.ping.take_if(|(number, _)| *number == time_ms)
        {
            self.ping_times.add(arrival.since(sent));
        }
        true
    }

    /// A ping to be sent at once.
    pub(crate) fn ping(&mut self, now: Nanos) -> Bytes {
        self.pings += 1;
        self.pings_counted += 1;
        self.ping = Some((self.pings, now));
        Connectionless::Ping { time_ms: self.pings }.frame(&mut self.writer)
    }

    /// The next protocol datagram to send.
    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            // Anything but a datagram is consumed.
            let _ = self.client.handle_input(now, Input::Timeout);
        }
        loop {
            match self.client.poll_output()? {
                ClientOutput::Transmit(transmit) => return Some(transmit.payload),
                ClientOutput::Event(ClientEvent::ClientList(list)) => {
                    self.everybody = list.iter().map(|entry| entry.channel).collect();
                }
                ClientOutput::Event(ClientEvent::ServerFull) => self.is_refused = true,
                ClientOutput::Event(ClientEvent::Chat(_)) => self.chat_lines += 1,
                _ => {}
            }
        }
    }

    /// Joined, and hearing something in the format wanted.
    pub(crate) fn is_ready(&self) -> bool {
        self.client.channel().is_some() && self.stream.received() > 0
    }

    /// Turned away at least once because the server was full.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Decides which faders to move: the probe mutes all others, `different` gives each one a position of its own.
    pub(crate) fn plan_faders(&mut self, is_probe: bool, faders: FadersArg, random: &mut Rng) {
        let own = self.client.channel();
        let others = self.everybody.iter().copied().filter(|channel| Some(*channel) != own);
        self.faders = match (is_probe, faders) {
            (_, FadersArg::Untouched) | (false, FadersArg::Equal) => VecDeque::new(),
            (true, _) => others.map(|channel| (channel, Gain::ZERO)).collect(),
            (false, FadersArg::Different) => {
                others.map(|channel| (channel, Gain(random.between(0x2000, 0x7FFF) as u16))).collect()
            }
        };
    }

    /// Moves the next few planned faders when it is time. Returns whether all are done.
    pub(crate) fn move_faders(&mut self, now: Instant) -> bool {
        if self.faders_due.is_none_or(|due| due <= now) {
            self.faders_due = Some(now + FADERS_EVERY);
            for (channel, gain) in self.faders.drain(..self.faders.len().min(FADERS_AT_ONCE)) {
                // A client that has left moves no faders; the run then fails for that.
                let _ = self.client.command(now, ClientCommand::Gain { channel, gain });
            }
        }
        self.faders.is_empty()
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        // Who has left already has nothing to say.
        let _ = self.client.command(now, ClientCommand::Leave);
    }

    /// Starts to measure.
    pub(crate) fn restart_counting(&mut self, now: Nanos) {
        self.stream.restart_counting(now, self.client.stats().audio_of_wrong_size);
        self.ping_times = Histogram::default();
        self.pings_counted = 0;
        self.chat_lines = 0;
    }

    /// What was counted since then.
    pub(crate) fn finish(&mut self, now: Nanos) -> StreamStats {
        self.stream.finish(now, self.client.stats().audio_of_wrong_size)
    }
}
