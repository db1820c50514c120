//! The server's side of a connection.

mod answer;
mod event;
mod request;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;

pub use event::{EndReason, PublishStyle, RequestId, ServerEvent};

use crate::chunk::{Message, MessageType};
use crate::config::ConnectionConfig;
use crate::error::{CommandError, ConnectionError, Waiting};
use crate::handshake::ServerHandshake;
use crate::link::{Link, Progress};
use crate::message::{Command, Control, PauseState, Status, UserControl, status};
use crate::stats::Stats;
use crate::{Media, MediaKind};
use request::Request;

/// The message stream every `createStream` gives; a connection publishes or plays one stream.
pub(crate) const STREAM_MSID: u32 = 1;

/// The server's side of one connection, from the first byte to the last.
///
/// ```text
///   Handshake ─C2▶ Opening ─connect▶ Asking ─accept▶ Open ─publish▶ Asking ─accept▶ Publishing ─┐
///                                      │              │ ▲ └─play───▶ Asking ─accept▶ Playing ───┤
///                                      │ reject       │ └──────── FCUnpublish, deleteStream ... ┘
///                                      └──▶ Closing ◀─┘ close
/// ```
///
/// # Contract
///
/// 1. `now` never goes backwards; the same instant may be used many times.
/// 2. Nothing waits: the work of a call is bounded by its input and the [`Limits`](crate::Limits).
/// 3. After every call: take the events until `None`, send [`outgoing`](Self::outgoing), then sleep until
///    [`poll_timeout`](Self::poll_timeout). When `handle_input` returned [`Progress::Paused`], offer the same buffer
///    again; when it returned [`Progress::Asking`], after `accept` or `reject`.
/// 4. Bytes an event speaks of are in `outgoing` before the event can be polled.
/// 5. Early or repeated timeouts are harmless.
/// 6. After an error, or [`ServerEvent::Closed`]: send what waits in `outgoing`, shut the socket down for writing, read
///    until its end (with a deadline), then close it. Closing at once while input is unread makes TCP reset the
///    connection, and the peer loses the last bytes.
///
/// While a request waits for its answer no input is consumed, so a publisher that does not wait for the answer loses
/// nothing, and the socket's flow control holds it back.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, time::Instant};
/// use bytes::BytesMut;
/// use rtmp_core::message::{Status, status::code};
/// use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[allow(clippy::disallowed_methods)]
/// let now = Instant::now();
/// let mut connection = ServerConnection::new(Arc::new(ConnectionConfig::default()), 7, now);
/// let mut received = BytesMut::new(); // bytes from the socket
/// loop {
///     let progress = connection.handle_input(now, &mut received)?;
///     while let Some(event) = connection.poll_event() {
///         match event {
///             ServerEvent::ConnectRequested { request, .. } | ServerEvent::PublishRequested { request, .. } => {
///                 connection.accept(now, request)?;
///             }
///             ServerEvent::Media(media) => println!("{} bytes at {}", media.payload.len(), media.timestamp),
///             // Every request needs an answer: input waits for it.
///             other => {
///                 if let Some(request) = other.request() {
///                     connection.reject(request, &Status::error(code::PLAY_FAILED, "there is nothing to see"))?;
///                 }
///             }
///         }
///     }
///     let to_send = connection.outgoing().split(); // bytes for the socket
/// #   assert!(to_send.is_empty());
///     // Whoever answers later leaves the loop at `Progress::Asking`, too, and comes back with the answer.
///     if progress == Progress::NeedBytes {
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServerConnection {
    link: Link,
    phase: Phase,
    events: VecDeque<ServerEvent>,
    session: Session,
    /// When to give up waiting, and on what.
    deadline: Option<(Instant, Waiting, Duration)>,
}

/// Where a connection stands.
#[derive(Debug)]
enum Phase {
    Handshake(Box<ServerHandshake>),
    Opening,
    Asking { id: RequestId, request: Box<Request> },
    Open,
    Publishing { msid: u32 },
    Playing(Play),
    Closing,
}

/// A running play.
#[derive(Clone, Copy, Debug)]
struct Play {
    msid: u32,
    state: PauseState,
    audio: bool,
    video: bool,
    ends: Option<Instant>,
}

/// What is remembered from earlier commands.
#[derive(Debug, Default)]
struct Session {
    next_request: u32,
    streams_created: u32,
    /// How the publish that may follow was introduced. Each publish of a connection has an introduction of its own.
    style: Option<PublishStyle>,
    /// An `FCPublish` came, so `onFCPublish` and `onFCUnpublish` are expected.
    fc_publish: bool,
    follows_reconnects: bool,
}

impl ServerConnection {
    /// A fresh connection. `seed` fills the handshake; any number will do, different ones make captures differ.
    pub fn new(config: Arc<ConnectionConfig>, seed: u64, now: Instant) -> Self {
        let handshake = ServerHandshake::new(seed, config.proxy_trust);
        let after = config.timeouts.handshake;
        Self {
            phase: Phase::Handshake(Box::new(handshake)),
            link: Link::new(config, now),
            events: VecDeque::new(),
            session: Session::default(),
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
        if self.is_open() {
            self.link.acknowledge();
        }
        self.settle(result)
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout).
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Silent`] when the peer did not do in time what had to come next.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let result = self.expire(now);
        self.settle(result)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadline.map(|(at, ..)| at);
        let (ends, ping) = match &self.phase {
            Phase::Playing(play) if self.is_ping_due(play) => (play.ends, self.link.ping_timeout()),
            Phase::Playing(play) => (play.ends, None),
            _ => (None, None),
        };
        [deadline, ends, ping].into_iter().flatten().min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
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
        self.link.memory_bytes() + self.events.capacity() * size_of::<ServerEvent>()
    }

    /// The message stream of the running publish or play.
    pub fn msid(&self) -> Option<u32> {
        match &self.phase {
            Phase::Publishing { msid } => Some(*msid),
            Phase::Playing(play) => Some(play.msid),
            _ => None,
        }
    }

    /// Uses other settings from now on, because it has become known what the peer wants: a changed chunk size is
    /// announced at once, bounds and times count from the next thing they concern.
    pub fn configure(&mut self, config: Arc<ConnectionConfig>) {
        self.link.config = config;
        if self.is_open() {
            self.link.announce_chunk_size_change();
        }
    }

    /// The chunk size the peer was told, 128 before that.
    pub fn chunk_size(&self) -> u32 {
        self.link.announced_chunk_size()
    }

    /// Sends one message to a viewer. Nothing is written while the viewer pauses or does not want the kind. A viewer
    /// that also gets shared segments needs [`Cursor::resend_header`](crate::segment::Cursor::resend_header).
    ///
    /// # Errors
    ///
    /// When no play is running, or the viewer is too slow.
    pub fn send_media(&mut self, media: &Media) -> Result<(), CommandError> {
        let Phase::Playing(play) = &self.phase else {
            return Err(CommandError::WrongState("nothing is played"));
        };
        let wanted = match media.kind {
            MediaKind::Audio => play.audio,
            MediaKind::Video => play.video,
            MediaKind::Data => true,
        };
        if play.state == PauseState::Paused || !wanted {
            self.link.stats.media_skipped += 1;
            return Ok(());
        }
        self.link.send_media(media, play.msid)
    }

    /// Tells the peer something about its stream, or about the connection when no stream is running.
    ///
    /// # Errors
    ///
    /// Before `connect` was accepted, or when the status cannot be written.
    pub fn send_status(&mut self, status: &Status) -> Result<(), CommandError> {
        if !self.is_open() {
            return Err(CommandError::WrongState("not connected"));
        }
        Ok(self.put_status(status, self.msid().unwrap_or(0))?)
    }

    /// Ends the running publish or play with a status; the connection stays. A viewer gets Stream EOF, too.
    ///
    /// # Errors
    ///
    /// When neither is running, or the status cannot be written.
    pub fn end_stream(&mut self, now: Instant, status: &Status) -> Result<(), CommandError> {
        let Some(msid) = self.msid() else { return Err(CommandError::WrongState("no stream is running")) };
        if let Phase::Playing(_) = self.phase {
            self.link.send_user_control(UserControl::StreamEof(msid));
        }
        self.put_status(status, msid)?;
        self.become_open(now, Waiting::Request);
        Ok(())
    }

    /// Asks the peer to connect again, possibly elsewhere (Enhanced RTMP); says whether the peer understands that.
    ///
    /// # Errors
    ///
    /// Before `connect` was accepted.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, reason: &str) -> Result<bool, CommandError> {
        if !self.is_open() {
            return Err(CommandError::WrongState("not connected"));
        }
        if !self.session.follows_reconnects {
            return Ok(false);
        }
        let mut status = Status::ok(status::code::CONNECT_RECONNECT, reason.to_owned());
        if let Some(tc_url) = tc_url {
            status = status.with("tcUrl", tc_url);
        }
        self.put_status(&status, 0)?;
        Ok(true)
    }

    /// Sends a ping; its answer, or anything else, has to come within the `pong` time.
    pub fn ping(&mut self, now: Instant) {
        if let Phase::Playing(_) = self.phase {
            self.link.send_ping(now);
        }
    }

    /// The peer has shown that it is there in a way that this connection does not see: it took shared segments. A ping
    /// that is under way needs no answer, and the next one is not due before [`ping`](crate::Timeouts::ping) from now.
    pub fn note_alive(&mut self, now: Instant) {
        self.link.note_alive(now);
    }

    /// Closes the connection: the status goes out, then [`ServerEvent::Closed`] is the last event.
    pub fn close(&mut self, status: Option<&Status>) {
        if let Some(status) = status
            && self.is_open()
        {
            // A status that cannot be written is not worth staying open for.
            let _ = self.put_status(status, self.msid().unwrap_or(0));
        }
        self.become_closing();
    }

    fn consume(&mut self, now: Instant, input: &mut BytesMut) -> Result<Progress, ConnectionError> {
        loop {
            match &mut self.phase {
                Phase::Closing => {
                    input.clear();
                    return Ok(Progress::NeedBytes);
                }
                Phase::Handshake(handshake) => {
                    let before = handshake.waiting();
                    let info = handshake.handle_input(input, &mut self.link.outgoing)?;
                    if before != handshake.waiting()
                        && let Some((_, waiting, _)) = &mut self.deadline
                    {
                        // The time is that of the whole handshake.
                        *waiting = Waiting::HandshakeEnd;
                    }
                    let Some(info) = info else { return Ok(Progress::NeedBytes) };
                    self.events.push_back(ServerEvent::Handshaken(info));
                    self.phase = Phase::Opening;
                    self.wait_for(now, Waiting::Connect, self.link.config.timeouts.connect);
                }
                _ => {
                    if let Phase::Asking { .. } = self.phase {
                        return Ok(Progress::Asking);
                    }
                    if self.is_paused() {
                        self.link.stats.pauses += 1;
                        return Ok(Progress::Paused);
                    }
                    let Some(message) = self.link.reader.read(input)? else { return Ok(Progress::NeedBytes) };
                    self.handle_message(now, message)?;
                }
            }
        }
    }

    fn is_paused(&mut self) -> bool {
        self.events.len() >= self.link.config.limits.events_max.max(1) || self.link.is_congested()
    }

    fn handle_message(&mut self, now: Instant, message: Message) -> Result<(), ConnectionError> {
        self.link.stats.messages_received += 1;
        if let Some(control) = Control::parse(message.kind, &message.payload)? {
            if let Some(UserControl::SetBufferLength { millis, .. }) =
                self.link.handle_control(now, control)?
            {
                self.events.push_back(ServerEvent::BufferLength(millis));
            }
            return Ok(());
        }
        match message.kind {
            MessageType::COMMAND | MessageType::COMMAND_AMF3 => {
                let command = self.link.read_command(now, &message)?;
                self.handle_command(now, command, message.msid)
            }
            MessageType::AUDIO
            | MessageType::VIDEO
            | MessageType::DATA
            | MessageType::DATA_AMF3
            | MessageType::AGGREGATE => {
                if let Phase::Publishing { .. } = self.phase {
                    let events = &mut self.events;
                    self.link.take_media(message, |media| events.push_back(ServerEvent::Media(media)));
                    self.wait_for_media(now, self.link.config.timeouts.media);
                } else {
                    self.link.stats.media_unexpected += 1;
                }
                Ok(())
            }
            _ => {
                self.link.stats.messages_ignored += 1;
                Ok(())
            }
        }
    }

    fn expire(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if let Some((at, waiting, after)) = self.deadline
            && now >= at
        {
            return Err(ConnectionError::Silent { waiting, after });
        }
        if let Phase::Playing(play) = &self.phase {
            if play.ends.is_some_and(|ends| now >= ends) {
                let msid = play.msid;
                self.link.send_user_control(UserControl::StreamEof(msid));
                self.put_status(&Status::ok(status::code::PLAY_STOP, "Duration is over."), msid)?;
                self.events.push_back(ServerEvent::Ended(EndReason::Duration));
                self.become_open(now, Waiting::Request);
                return Ok(());
            }
            if self.is_ping_due(play) {
                self.link.handle_ping_timeout(now)?;
            }
        }
        Ok(())
    }

    /// Whether the peer's silence is looked at. A pause has its own end.
    fn is_ping_due(&self, play: &Play) -> bool {
        play.state == PauseState::Playing || self.link.is_pinged()
    }

    /// Turns an error into the end of the connection, with a word to the peer when there is one.
    fn settle<T>(&mut self, result: Result<T, ConnectionError>) -> Result<T, ConnectionError> {
        if let Err(error) = &result {
            if let Some(code) = error.status_code()
                && self.is_open()
            {
                let status = Status::error(code, error.to_string());
                let _ = self.put_status(&status, self.msid().unwrap_or(0));
            }
            self.become_closing();
        }
        result
    }

    /// Whether `connect` was accepted and the connection is not closing.
    fn is_open(&self) -> bool {
        match &self.phase {
            Phase::Open | Phase::Publishing { .. } | Phase::Playing(_) => true,
            Phase::Asking { request, .. } => !matches!(**request, Request::Connect { .. }),
            Phase::Handshake(_) | Phase::Opening | Phase::Closing => false,
        }
    }

    fn put_status(&mut self, status: &Status, msid: u32) -> Result<(), crate::amf::AmfError> {
        self.link.send_command(&Command::new("onStatus", 0.0).with(status.to_value()), msid)
    }

    fn wait_for(&mut self, now: Instant, waiting: Waiting, after: Duration) {
        self.deadline = Some((now + after, waiting, after));
    }

    fn wait_for_media(&mut self, now: Instant, after: Option<Duration>) {
        self.deadline = after.map(|after| (now + after, Waiting::Media, after));
    }

    fn become_open(&mut self, now: Instant, waiting: Waiting) {
        self.phase = Phase::Open;
        self.link.expect_no_media();
        self.wait_for(now, waiting, self.link.config.timeouts.next_request);
    }

    fn become_closing(&mut self) {
        if !matches!(self.phase, Phase::Closing) {
            self.phase = Phase::Closing;
            self.deadline = None;
            self.events.push_back(ServerEvent::Closed);
        }
    }
}
