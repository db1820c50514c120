//! The client's side of a connection: publishing to, or playing from, a server.

mod event;
mod reply;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

pub use event::{ClientEvent, Purpose, Target};

use crate::Media;
use crate::amf::Object;
use crate::amf::amf0::Value;
use crate::chunk::{Message, MessageType};
use crate::config::{AnnouncePublish, ConnectionConfig};
use crate::error::{CommandError, ConnectionError, Waiting};
use crate::handshake::ClientHandshake;
use crate::link::{Link, Progress};
use crate::message::{Capabilities, Command, Control, PauseState, UserControl};
use crate::stats::Stats;

const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const PUBLISH: f64 = 5.0;
const FC_UNPUBLISH: f64 = 6.0;
const DELETE_STREAM: f64 = 7.0;

/// The client's side of one connection, from the first byte to the last.
///
/// ```text
///   Handshake ─S2▶ Connecting ─_result▶ Creating ─_result▶ Starting ─onStatus, media▶ Running
///                      └───────────── refused, redirected ────┴──────▶ Closing ◀──close──┘
/// ```
///
/// # Contract
///
/// As that of [`ServerConnection`](crate::ServerConnection), except that there are no requests to answer. The first
/// bytes wait in [`outgoing`](Self::outgoing) at once.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use bytes::BytesMut;
/// use rtmp_core::{ClientConnection, ConnectionConfig, Purpose, Target};
///
/// # #[allow(clippy::disallowed_methods)]
/// let now = Instant::now();
/// let target = Target::new("rtmp://origin.example/live", "live", "show?token=x", Purpose::Play);
/// let mut client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 7, now);
/// assert_eq!(client.outgoing().split().len(), 1537); // C0 and C1
/// ```
#[derive(Debug)]
pub struct ClientConnection {
    link: Link,
    target: Target,
    phase: Phase,
    events: VecDeque<ClientEvent>,
    deadline: Option<(Instant, Waiting, Duration)>,
}

/// Where a connection stands.
#[derive(Debug)]
enum Phase {
    Handshake(ClientHandshake),
    Connecting,
    Creating,
    Starting { msid: u32 },
    Running { msid: u32 },
    Closing,
}

impl ClientConnection {
    /// Begins a connection. `seed` fills the handshake; any number will do.
    pub fn new(config: Arc<ConnectionConfig>, target: Target, seed: u64, now: Instant) -> Self {
        let mut link = Link::new(config, now);
        let handshake = ClientHandshake::new(seed, link.config.scheme, &mut link.outgoing);
        let after = link.config.timeouts.handshake;
        Self {
            link,
            target,
            phase: Phase::Handshake(handshake),
            events: VecDeque::new(),
            deadline: Some((now + after, Waiting::Hello, after)),
        }
    }

    /// Consumes bytes from the front of `input`. An incomplete handshake packet or chunk header stays there; media
    /// payload is taken as it arrives.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`] ends this connection; further input is thrown away.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<Progress, ConnectionError> {
        let before = input.len();
        let result = self.consume(now, input);
        self.link.account(now, before - input.len());
        if !matches!(self.phase, Phase::Handshake(_) | Phase::Closing) {
            self.link.acknowledge();
        }
        if result.is_err() {
            self.become_closing();
        }
        result
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Silent`] when the server did not answer, or sent no media, in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let result = match self.deadline {
            Some((at, waiting, after)) if now >= at => Err(ConnectionError::Silent { waiting, after }),
            _ if self.sends_pings() => self.link.handle_ping_timeout(now),
            _ => Ok(()),
        };
        if result.is_err() {
            self.become_closing();
        }
        result
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadline.map(|(at, ..)| at);
        let ping = if self.sends_pings() { self.link.ping_timeout() } else { None };
        [deadline, ping].into_iter().flatten().min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Private bytes that wait to be sent: take them from the front.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.link.outgoing
    }

    /// Private bytes that wait to be sent.
    pub fn pending_bytes(&self) -> usize {
        self.link.outgoing.len()
    }

    /// Counters so far.
    pub fn stats(&self) -> Stats {
        self.link.stats
    }

    /// Bytes this connection holds, apart from payloads in events.
    pub fn memory_bytes(&self) -> usize {
        self.link.memory_bytes() + self.events.capacity() * size_of::<ClientEvent>()
    }

    /// The message stream, once publish or play is accepted.
    pub fn msid(&self) -> Option<u32> {
        match self.phase {
            Phase::Running { msid } => Some(msid),
            _ => None,
        }
    }

    /// What this connection is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Goes on as if the server had accepted the publish: some never answer, but take the media.
    ///
    /// # Errors
    ///
    /// When no publish waits for its answer.
    pub fn accept_unanswered(&mut self, now: Instant) -> Result<(), CommandError> {
        match self.phase {
            Phase::Starting { .. } if self.is_publishing() => {
                self.start_running(now);
                Ok(())
            }
            _ => Err(CommandError::WrongState("no publish waits for an answer")),
        }
    }

    /// Sends one message of a publish.
    ///
    /// # Errors
    ///
    /// When the publish is not accepted (yet), or the server is too slow.
    pub fn send_media(&mut self, media: &Media) -> Result<(), CommandError> {
        match self.phase {
            Phase::Running { msid } if self.is_publishing() => self.link.send_media(media, msid),
            _ => Err(CommandError::WrongState("no publish is running")),
        }
    }

    /// Pauses a play, or goes on; `millis` is the position.
    ///
    /// # Errors
    ///
    /// When no play is running.
    pub fn pause(&mut self, now: Instant, state: PauseState, millis: u32) -> Result<(), CommandError> {
        match self.phase {
            Phase::Running { msid } if !self.is_publishing() => {
                let command = Command::new("pause", 0.0).with(state == PauseState::Paused).with(millis);
                self.link.send_command(&command, msid)?;
                let after = match state {
                    PauseState::Paused => None,
                    PauseState::Playing => self.link.config.timeouts.first_media,
                };
                self.wait_for_media(now, after);
                Ok(())
            }
            _ => Err(CommandError::WrongState("no play is running")),
        }
    }

    /// Says good-bye in the protocol; [`ClientEvent::Closed`] is the last event.
    ///
    /// # Errors
    ///
    /// None at present: names were checked when they were first sent.
    pub fn close(&mut self) -> Result<(), CommandError> {
        if let Phase::Running { msid } = self.phase {
            if self.is_publishing() && self.link.config.announce_publish != AnnouncePublish::Omit {
                let name = self.target.stream.as_str();
                self.link.send_command(&Command::new("FCUnpublish", FC_UNPUBLISH).with(name), 0)?;
            }
            self.link.send_command(&Command::new("deleteStream", DELETE_STREAM).with(msid), 0)?;
        }
        self.become_closing();
        Ok(())
    }

    fn consume(&mut self, now: Instant, input: &mut BytesMut) -> Result<Progress, ConnectionError> {
        loop {
            match &mut self.phase {
                Phase::Closing => {
                    input.clear();
                    return Ok(Progress::NeedBytes);
                }
                Phase::Handshake(handshake) => {
                    let Some(info) = handshake.handle_input(input, &mut self.link.outgoing)? else {
                        return Ok(Progress::NeedBytes);
                    };
                    self.events.push_back(ClientEvent::Handshaken(info));
                    self.send_connect()?;
                    self.phase = Phase::Connecting;
                    self.wait_for_answer(now, self.link.config.timeouts.connect);
                }
                _ => {
                    let full = self.events.len() >= self.link.config.limits.events_max.max(1);
                    if full || self.link.is_congested() {
                        self.link.stats.pauses += 1;
                        return Ok(Progress::Paused);
                    }
                    let Some(message) = self.link.reader.read(input)? else { return Ok(Progress::NeedBytes) };
                    self.handle_message(now, message)?;
                }
            }
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message) -> Result<(), ConnectionError> {
        self.link.stats.messages_received += 1;
        if let Some(control) = Control::parse(message.kind, &message.payload)? {
            if let Some(UserControl::StreamEof(_)) = self.link.handle_control(now, control)? {
                self.events.push_back(ClientEvent::StreamEof);
            }
            return Ok(());
        }
        match message.kind {
            MessageType::COMMAND | MessageType::COMMAND_AMF3 => {
                let command = self.link.read_command(now, &message)?;
                self.handle_command(now, command)
            }
            MessageType::AUDIO
            | MessageType::VIDEO
            | MessageType::DATA
            | MessageType::DATA_AMF3
            | MessageType::AGGREGATE => {
                self.on_media(now, message);
                Ok(())
            }
            _ => {
                self.link.stats.messages_ignored += 1;
                Ok(())
            }
        }
    }

    fn on_media(&mut self, now: Instant, message: Message) {
        let playing = self.target.purpose == Purpose::Play;
        let (true, Phase::Starting { .. } | Phase::Running { .. }) = (playing, &self.phase) else {
            self.link.stats.media_unexpected += 1;
            return;
        };
        // Metadata may come ahead of the status; sound and pictures prove that the play has started.
        if message.kind != MessageType::DATA && message.kind != MessageType::DATA_AMF3 {
            self.start_running(now);
            self.wait_for_media(now, self.link.config.timeouts.media);
        }
        let events = &mut self.events;
        self.link.take_media(message, |media| events.push_back(ClientEvent::Media(media)));
    }

    fn send_connect(&mut self) -> Result<(), ConnectionError> {
        let mut properties = Object::new()
            .with("app", self.target.app.as_str())
            .with("flashVer", self.link.config.flash_version.as_str())
            .with("tcUrl", self.target.tc_url.as_str());
        match self.target.purpose {
            Purpose::Publish(_) => properties.push("type", "nonprivate"),
            Purpose::Play => {
                properties.push("fpad", false);
                properties.push("capabilities", 15_u32);
                properties.push("audioCodecs", 4071_u32);
                properties.push("videoCodecs", 252_u32);
                properties.push("videoFunction", 1_u32);
            }
        }
        for (key, value) in Capabilities::relay_properties() {
            properties.push(key, value);
        }
        for (key, value) in &self.target.properties {
            properties.push(key.clone(), value.clone());
        }
        let mut connect = Command::new("connect", CONNECT);
        connect.object = Value::Object(properties);
        connect.arguments.clone_from(&self.target.arguments);
        self.link.send_command(&connect, 0)?;
        if self.link.config.window > 0 {
            self.link.send_control(&Control::WindowAckSize(self.link.config.window));
        }
        Ok(())
    }

    /// Only behind an accepted publish may a ping stand, and only there silence means nothing.
    fn sends_pings(&self) -> bool {
        self.is_publishing() && matches!(self.phase, Phase::Running { .. })
    }

    fn is_publishing(&self) -> bool {
        matches!(self.target.purpose, Purpose::Publish(_))
    }

    fn wait_for_answer(&mut self, now: Instant, after: Duration) {
        self.deadline = Some((now + after, Waiting::Answer, after));
    }

    fn wait_for_media(&mut self, now: Instant, after: Option<Duration>) {
        self.deadline = after.map(|after| (now + after, Waiting::Media, after));
    }

    fn become_closing(&mut self) {
        if !matches!(self.phase, Phase::Closing) {
            self.phase = Phase::Closing;
            self.deadline = None;
            self.events.push_back(ClientEvent::Closed);
        }
    }
}
