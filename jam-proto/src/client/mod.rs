//! A musician's side of a connection: join a server, mix, chat, leave (spec 11, 13.5).

mod config;
mod pacer;
mod query;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use config::{
    ClientCommand, ClientCommandError, ClientConfig, ClientEvent, ClientLeaveReason, ClientStats,
    ServerGoodbye,
};
pub use query::{Query, QueryOutput, Question};

use crate::audio::{AudioPacker, Quality};
use crate::io::{Input, Transmit, canonical};
use crate::message::{Connectionless, Message};
use crate::reliable::{QueueFull, Received, Reliable, ReliableLimits};
use crate::types::{AudioProps, ChannelId, Sequence};
use crate::wire::{Frame, FrameWriter};
use pacer::GainPacer;

/// The first server version that understands sequence bytes.
const SEQUENCE_SINCE: [u32; 3] = [3, 6, 0];
/// Shipped clients say goodbye a second time after this.
const DISCONNECT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What became of a datagram given to [`Client::handle_input`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ClientDisposition {
    /// The client has dealt with it.
    Consumed,
    /// It is audio in the format of [`Client::audio_props`]; the slice you passed in is the audio.
    Audio,
}

/// What a client wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientOutput {
    /// Send this datagram.
    Transmit(Transmit),
    /// Something happened.
    Event(ClientEvent),
}

/// One connection to a server, behaving like a shipped client.
///
/// ```text
///           first audio datagram            Leave
///  Joining ──────────────────────▶ Connected ───▶ Leaving ── 100 ms ──▶ Left
///     │                                │   or goodbye          100 ms    ▲
///     │                                │   of the server                 │
///     └──────────────────────────────┴──────────── silence ─────────────┘
/// ```
///
/// Audio takes a fast lane: call [`Client::send_block`] once per block period and send what comes back to
/// [`Client::server`]; received audio comes back as [`ClientDisposition::Audio`]. Neither allocates. A server answers
/// only clients that send audio, so start doing so at once.
///
/// Contract: `now` never goes back; drain [`Client::poll_output`] until `None` after each call that takes `now`, then
/// ask [`Client::poll_timeout`].
///
/// ```
/// use jam_proto::audio::Quality;
/// use jam_proto::client::{Client, ClientConfig};
/// use jam_proto::message::{ChannelInfo, Name};
/// use jam_proto::{BlockCodec, Layout};
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
///
/// let mut config = ClientConfig::new(Quality::Normal.props(BlockCodec::Opus, Layout::Stereo));
/// config.info = ChannelInfo { name: Name::new("Zoë")?, ..ChannelInfo::default() };
/// let mut client = Client::new(config, "192.0.2.1:22124".parse()?, std::time::Instant::now());
///
/// let coded_silence = [0; 71];
/// let datagram = client.send_block(&coded_silence).ok_or("one block per datagram")?;
/// assert_eq!(datagram.len(), 71);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    server: SocketAddr,
    started_at: Instant,
    state: State,
    channel: Option<ChannelId>,
    props: AudioProps,
    packer: AudioPacker,
    /// Whether the server takes raw audio; `None` before any server said so.
    raw_offer: Option<bool>,
    reliable: Reliable,
    writer: FrameWriter,
    gains: GainPacer,
    ping: Ping,
    outputs: VecDeque<ClientOutput>,
    stats: ClientStats,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Sending audio and answering the server; any datagram from it counts as a sign of life.
    Joining { heard_at: Instant },
    /// Audio comes back; only audio counts as a sign of life.
    Connected { heard_at: Instant },
    /// One side said goodbye, we are to say it once more.
    Leaving { again_at: Instant, reason: ClientLeaveReason },
    /// Silent, except that audio from the server is answered with a goodbye.
    Left,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ping {
    due: Option<Instant>,
    sent: Option<(u32, Instant)>,
}

impl Client {
    /// A client that wants to join this server. Nothing is sent until audio is; see [`Client::send_block`].
    #[must_use]
    pub fn new(config: ClientConfig, server: SocketAddr, now: Instant) -> Self {
        let props = first_props(&config);
        let limits =
            ReliableLimits { retransmit_after: config.retransmit_after, ..ReliableLimits::default() };
        Self {
            server: canonical(server),
            started_at: now,
            state: State::Joining { heard_at: now },
            channel: None,
            props,
            packer: AudioPacker::new(&props),
            raw_offer: None,
            reliable: Reliable::new(limits, 0),
            writer: FrameWriter::new(),
            gains: GainPacer::new(now),
            ping: Ping::default(),
            outputs: VecDeque::new(),
            stats: ClientStats::default(),
            config,
        }
    }

    /// Takes a datagram or the passing of time.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> ClientDisposition {
        match input {
            Input::Datagram { src, payload } => self.on_datagram(now, src, payload),
            Input::Timeout => {
                self.on_timeout(now);
                ClientDisposition::Consumed
            }
        }
    }

    fn on_datagram(&mut self, now: Instant, src: SocketAddr, payload: &[u8]) -> ClientDisposition {
        if src != self.server && canonical(src) != self.server {
            self.stats.datagrams_from_strangers += 1;
            return ClientDisposition::Consumed;
        }
        let Some(frame) = Frame::parse(payload) else { return self.on_audio(now, payload) };
        if let State::Joining { heard_at } = &mut self.state {
            *heard_at = now;
        }
        if !self.is_active() {
            return ClientDisposition::Consumed;
        }
        if frame.is_connectionless() {
            self.on_connectionless(now, &frame);
        } else {
            self.on_connected_frame(now, &frame);
        }
        self.flush(now);
        ClientDisposition::Consumed
    }

    fn on_audio(&mut self, now: Instant, payload: &[u8]) -> ClientDisposition {
        match self.state {
            State::Connected { .. } => self.state = State::Connected { heard_at: now },
            State::Joining { .. } => {
                self.on_first_audio(now);
                self.flush(now);
            }
            // The server may have missed the goodbye: shipped clients repeat it for every audio datagram.
            State::Leaving { .. } | State::Left => {
                self.transmit(&Connectionless::Disconnection);
                return ClientDisposition::Consumed;
            }
        }
        if payload.len() != self.props.datagram_bytes() {
            self.stats.audio_of_wrong_size += 1;
            return ClientDisposition::Consumed;
        }
        self.stats.audio_received += 1;
        ClientDisposition::Audio
    }

    /// Shipped clients consider themselves connected now and send these four, in this order (spec 11.2).
    fn on_first_audio(&mut self, now: Instant) {
        self.state = State::Connected { heard_at: now };
        self.ping.due = self.config.ping_interval.and_then(|interval| now.checked_add(interval));
        self.event(ClientEvent::Connected);
        self.send(&Message::ChannelInfo(self.config.info.clone()));
        self.send(&Message::RequestClientList);
        self.send(&Message::JitterBufferSize(self.config.jitter_size));
        self.send(&Message::RequestLevels(true));
    }

    fn on_connected_frame(&mut self, now: Instant, frame: &Frame<'_>) {
        match self.reliable.handle_frame(frame) {
            Received::Message { id, body } => match Message::parse(id, &body) {
                Ok(Some(message)) => self.on_message(now, message),
                Ok(None) => self.stats.messages_unknown += 1,
                Err(_) => self.stats.messages_malformed += 1,
            },
            Received::Malformed => self.stats.messages_malformed += 1,
            Received::Acknowledged { .. }
            | Received::WrongAcknowledgement
            | Received::Duplicate
            | Received::Part => {}
        }
    }

    fn on_message(&mut self, now: Instant, message: Message) {
        match message {
            Message::RequestAudioProps => self.send(&Message::AudioProps(self.props)),
            Message::RequestJitterBufferSize => {
                self.send(&Message::JitterBufferSize(self.config.jitter_size))
            }
            Message::RequestChannelInfo => self.send(&Message::ChannelInfo(self.config.info.clone())),
            Message::RequestSplitSupport => {
                self.reliable.allow_split();
                self.send(&Message::SplitSupported);
            }
            Message::ClientId(channel) => self.on_client_id(now, channel),
            Message::VersionAndOs(version) => {
                if version.numbers() >= SEQUENCE_SINCE {
                    self.set_props(AudioProps { sequence: Sequence::With, ..self.props });
                    self.send(&Message::AudioProps(self.props));
                }
                self.event(ClientEvent::Version(version));
            }
            Message::RawAudioSupported => {
                let sequence = self.props.sequence;
                let first = self.raw_offer.replace(true).is_none();
                let changed = self.set_props(AudioProps { sequence, ..self.config.audio });
                // Shipped clients announce their format at the first offer, changed or not.
                if first || changed {
                    self.send(&Message::AudioProps(self.props));
                }
                self.event(ClientEvent::RawAudioOffered);
            }
            Message::ClientList(list) => self.event(ClientEvent::ClientList(list)),
            Message::Chat(text) => self.event(ClientEvent::Chat(text)),
            Message::JitterBufferSize(size) => self.event(ClientEvent::JitterBufferSize(size)),
            Message::MuteStateChanged { channel, state } => self.event(ClientEvent::Mute { channel, state }),
            Message::RecorderState(state) => self.event(ClientEvent::RecorderState(state)),
            Message::LicenceRequired(licence) => self.event(ClientEvent::Licence(licence)),
            // The rest is what clients send; a server that sends it means nothing.
            _ => self.stats.messages_unknown += 1,
        }
    }

    /// The server gave us a channel; once more means that it was restarted and knows nothing of us.
    fn on_client_id(&mut self, now: Instant, channel: ChannelId) {
        if self.channel.replace(channel).is_some() {
            self.gains = GainPacer::new(now);
            self.raw_offer = self.raw_offer.and(Some(false));
            let props = AudioProps { sequence: self.props.sequence, ..first_props(&self.config) };
            if self.set_props(props) {
                self.send(&Message::AudioProps(props));
            }
        }
        self.event(ClientEvent::ChannelAssigned(channel));
    }

    fn on_connectionless(&mut self, now: Instant, frame: &Frame<'_>) {
        match Connectionless::parse(frame.id, frame.body) {
            Ok(Some(Connectionless::Ping { time_ms })) => {
                let Some((_, sent_at)) = self.ping.sent.take_if(|(sent_ms, _)| *sent_ms == time_ms) else {
                    return;
                };
                let round_trip = now.saturating_duration_since(sent_at);
                self.gains.set_round_trip(round_trip);
                self.event(ClientEvent::Ping { round_trip });
            }
            Ok(Some(Connectionless::Levels(levels))) => self.event(ClientEvent::Levels(levels)),
            Ok(Some(Connectionless::ServerFull)) => self.event(ClientEvent::ServerFull),
            Ok(Some(Connectionless::Disconnection)) => {
                self.event(ClientEvent::ServerGoodbye);
                if self.config.server_goodbye == ServerGoodbye::Leave {
                    let reason = ClientLeaveReason::ServerLeft;
                    self.stop(State::Leaving { again_at: now + DISCONNECT_AGAIN_AFTER, reason });
                }
            }
            Ok(Some(Connectionless::Empty)) => {}
            Ok(Some(other)) => self.event(ClientEvent::Connectionless(other)),
            Ok(None) => self.stats.messages_unknown += 1,
            Err(_) => self.stats.messages_malformed += 1,
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        match self.state {
            State::Leaving { again_at, reason } if again_at <= now => {
                self.transmit(&Connectionless::Disconnection);
                self.leave(reason);
            }
            _ if self.silence_deadline().is_some_and(|deadline| deadline <= now) => {
                self.leave(ClientLeaveReason::TimedOut);
            }
            _ => {}
        }
        if self.ping.due.is_some_and(|due| due <= now) {
            self.ping.due = self.config.ping_interval.and_then(|interval| now.checked_add(interval));
            let time_ms = now.saturating_duration_since(self.started_at).as_millis() as u32;
            self.ping.sent = Some((time_ms, now));
            self.transmit(&Connectionless::Ping { time_ms });
        }
        self.send_paced_gains(now);
        self.flush(now);
    }

    /// Takes a wish of the musician.
    ///
    /// # Errors
    /// [`ClientCommandError::NotConnected`] once the client is leaving or has left, and
    /// [`ClientCommandError::QueueFull`] if the server acknowledges too slowly; the wish is dropped then.
    pub fn command(&mut self, now: Instant, command: ClientCommand) -> Result<(), ClientCommandError> {
        if !self.is_active() {
            return Err(ClientCommandError::NotConnected);
        }
        match command {
            ClientCommand::Gain { channel, gain } => {
                self.gains.set(channel, gain);
                self.send_paced_gains(now);
            }
            ClientCommand::Pan { channel, pan } => self.try_send(&Message::ChannelPan { channel, pan })?,
            ClientCommand::Chat(text) => self.try_send(&Message::Chat(text))?,
            ClientCommand::Info(info) => {
                self.config.info = info.clone();
                self.try_send_latest(&Message::ChannelInfo(info))?;
            }
            ClientCommand::JitterSize(size) => {
                self.config.jitter_size = size;
                self.try_send_latest(&Message::JitterBufferSize(size))?;
            }
            ClientCommand::Audio(audio) => {
                self.config.audio = audio;
                let wanted = if self.raw_offer == Some(true) { audio } else { first_props(&self.config) };
                self.set_props(AudioProps { sequence: self.props.sequence, ..wanted });
                self.try_send_latest(&Message::AudioProps(self.props))?;
            }
            ClientCommand::RequestClientList => self.try_send_latest(&Message::RequestClientList)?,
            ClientCommand::Ask(question) => self.transmit(&question),
            ClientCommand::Leave => {
                self.transmit(&Connectionless::Disconnection);
                let reason = ClientLeaveReason::Requested;
                self.stop(State::Leaving { again_at: now + DISCONNECT_AGAIN_AFTER, reason });
            }
        }
        self.flush(now);
        Ok(())
    }

    /// Adds one coded block to the stream; a complete datagram comes back, to be sent to [`Client::server`].
    ///
    /// Call it once per block period ([`crate::BlockCodec::samples`] at 48 kHz) with [`AudioProps::block_bytes`] bytes
    /// of the format in [`Client::audio_props`]. Once the client leaves, nothing comes back.
    pub fn send_block(&mut self, block: &[u8]) -> Option<&[u8]> {
        if !self.is_active() {
            return None;
        }
        let datagram = self.packer.push(block)?;
        self.stats.audio_sent += 1;
        Some(datagram)
    }

    /// The next thing to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let leaving = match self.state {
            State::Leaving { again_at, .. } => Some(again_at),
            _ => None,
        };
        [
            leaving,
            self.silence_deadline(),
            self.ping.due,
            self.gains.poll_timeout(),
            self.reliable.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn silence_deadline(&self) -> Option<Instant> {
        // Beyond the end of time means never.
        match self.state {
            State::Joining { heard_at } => heard_at.checked_add(self.config.join_timeout),
            State::Connected { heard_at } => heard_at.checked_add(self.config.silence_timeout),
            State::Leaving { .. } | State::Left => None,
        }
    }

    /// The server of this connection.
    #[must_use]
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// The audio format of both directions as of now.
    #[must_use]
    pub const fn audio_props(&self) -> AudioProps {
        self.props
    }

    /// The channel the server assigned.
    #[must_use]
    pub const fn channel(&self) -> Option<ChannelId> {
        self.channel
    }

    /// Whether audio has come from the server and nobody has left.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// Whether the connection is over and the last goodbye is said.
    #[must_use]
    pub const fn has_left(&self) -> bool {
        matches!(self.state, State::Left)
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> ClientStats {
        ClientStats { reliable: self.reliable.stats(), ..self.stats }
    }

    const fn is_active(&self) -> bool {
        matches!(self.state, State::Joining { .. } | State::Connected { .. })
    }

    /// Ends the exchange of messages.
    fn stop(&mut self, state: State) {
        self.state = state;
        self.reliable.reset(0);
        self.ping = Ping::default();
        self.gains.clear();
    }

    fn leave(&mut self, reason: ClientLeaveReason) {
        self.stop(State::Left);
        self.event(ClientEvent::Left(reason));
    }

    /// Whether that was a change.
    fn set_props(&mut self, props: AudioProps) -> bool {
        if props == self.props {
            return false;
        }
        self.props = props;
        self.packer.set_props(&props);
        self.event(ClientEvent::AudioProps(props));
        true
    }

    fn send_paced_gains(&mut self, now: Instant) {
        while let Some((channel, gain)) = self.gains.poll(now) {
            self.send(&Message::ChannelGain { channel, gain });
        }
    }

    /// Queues an answer; a server that lets the queue overflow is lost.
    fn send(&mut self, message: &Message) {
        if let Err(full) = self.try_send(message) {
            self.leave(ClientLeaveReason::QueueFull(full));
        }
    }

    fn try_send(&mut self, message: &Message) -> Result<(), QueueFull> {
        self.reliable.send(message, &mut self.writer)
    }

    fn try_send_latest(&mut self, message: &Message) -> Result<(), QueueFull> {
        self.reliable.send_latest(message, &mut self.writer)
    }

    fn flush(&mut self, now: Instant) {
        while let Some(payload) = self.reliable.poll_transmit(now, &mut self.writer) {
            self.outputs.push_back(ClientOutput::Transmit(Transmit { dst: self.server, payload }));
        }
    }

    fn transmit(&mut self, message: &Connectionless) {
        let payload = message.frame(&mut self.writer);
        self.outputs.push_back(ClientOutput::Transmit(Transmit { dst: self.server, payload }));
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(ClientOutput::Event(event));
    }
}

/// The format before the server has said anything: no sequence bytes, and high quality instead of raw.
fn first_props(config: &ClientConfig) -> AudioProps {
    let mut props = AudioProps { sequence: Sequence::Without, ..config.audio };
    if props.is_raw_size() {
        props.block_bytes = Quality::High.block_bytes(props.codec, props.layout);
    }
    props
}
