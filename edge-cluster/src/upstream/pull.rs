//! Receiving a stream from its origins (spec 5.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::message::Level;
use rtmp_core::{ClientEvent, Media, MediaKind, Progress, Purpose, Stats};

use super::chance::Chance;
use super::line::{Farewell, Line, with_times};
use super::redirect::{Chain, Rules};
use super::{
    AttemptError, ConnectFailure, Origins, PullSettings, UpstreamInput, UpstreamOutput, UpstreamStream,
};
use crate::config::HostPort;

/// Outputs that may wait to be polled. Beyond, no more input is taken ([`Progress::Paused`]).
const OUTPUTS_MAX: usize = 1024;

/// What a pull tells its owner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PullEvent {
    /// The origin accepted the play; whether it has the stream is not known yet.
    Accepted,
    /// The stream begins, or begins anew: the first [`Media`](Self::Media) follows at once.
    SourceBegan,
    /// A message of the stream, between `SourceBegan` and `SourceEnded`.
    Media(Media),
    /// The messages since the last `BurstEnd` arrived together.
    BurstEnd,
    /// The stream is over for now. Players stay: the next `SourceBegan` comes from this origin or another one.
    SourceEnded(SourceEnd),
    /// The origin sent us on; the next output connects there.
    Redirected {
        /// The server that did.
        from: HostPort,
        /// Where to.
        to: HostPort,
    },
    /// An attempt failed. The next one begins at once, unless [`RoundFailed`](Self::RoundFailed) follows.
    AttemptFailed {
        /// The server.
        target: HostPort,
        /// Why.
        error: AttemptError,
    },
    /// Each origin has failed since the last wait: the next attempt is made after this time.
    RoundFailed {
        /// How long nothing happens.
        wait: Duration,
    },
}

/// Why a source ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SourceEnd {
    /// The origin says that the publisher has left. The connection stays for a while: it may come back there.
    Unpublished,
    /// The attempt failed.
    Lost(AttemptError),
    /// The origin sent us elsewhere.
    Redirected,
    /// [`Pull::stop`] was called.
    Stopped,
}

/// What a pull is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PullPhase {
    /// Connecting, or talking until the play is accepted.
    Connecting,
    /// Accepted, but no media.
    Accepted,
    /// Media arrives.
    Delivering,
    /// All origins failed; the next attempt comes after a wait.
    Waiting,
    /// Stopped.
    Stopped,
}

/// How a pull stands, for monitoring and for limits on pulls without media.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PullStatus {
    /// What it is doing.
    pub phase: PullPhase,
    /// The server of the running or last attempt.
    pub target: Option<HostPort>,
    /// Connections so far.
    pub attempts: u64,
    /// Attempts that failed so far.
    pub failures: u64,
    /// Rounds in which every origin failed, since one was last good.
    pub rounds_failed: usize,
    /// Sources so far; 0 means that the stream never came.
    pub sources: u64,
    /// Since when media comes.
    pub delivering_since: Option<Instant>,
    /// Counters of the running connection.
    pub stats: Stats,
}

/// One stream that is pulled from its origins, one connection at a time, until it is stopped.
///
/// ```text
///                   ┌──────────── next origin at once ─────────────┐
///   new ─▶ Connecting ─play accepted▶ Accepted ─media▶ Delivering ─┤ failure, silence
///             ▲  ▲ └── redirect ───────┘  ▲─unpublished─┘          │
///             │  └────────────────────────────────────── Waiting ◀─┘ all origins failed
/// ```
///
/// # Contract
///
/// 1. After every call: take the outputs until `None`, in order, and sleep until [`poll_timeout`](Self::poll_timeout).
/// 2. Each `Connect` is followed by exactly one end: the input `ConnectFailed` or `Closed`, or the output `Disconnect`.
///    Before that end there is no other `Connect`.
/// 3. `SourceBegan` and `SourceEnded` alternate, and `Media` comes only between them.
/// 4. A failure of an origin never ends the pull; only [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Pull {
    settings: Arc<PullSettings>,
    stream: UpstreamStream,
    origins: Origins,
    chance: Chance,
    line: Line,
    stage: Stage,
    outputs: VecDeque<UpstreamOutput<PullEvent>>,
    /// Of the running or last attempt.
    target: Option<HostPort>,
    failures: u64,
    sources: u64,
}

#[derive(Debug)]
enum Stage {
    Running(Attempt),
    Waiting { until: Instant },
    Stopped,
}

/// What is known of the running attempt.
#[derive(Debug)]
struct Attempt {
    target: HostPort,
    chain: Chain,
    play: Play,
    /// The first and the last audio or video message.
    media: Option<(Instant, Instant)>,
    /// Between `SourceBegan` and `SourceEnded`.
    source: bool,
}

#[derive(Clone, Copy, Debug)]
enum Play {
    /// TCP is not there yet.
    Connecting,
    /// Handshake and commands, until this time.
    Setup { deadline: Instant },
    /// Accepted; `heard` is when the last message of any kind came, `publisher` since when media should come.
    Accepted { heard: Instant, messages: u64, publisher: Option<Instant> },
}

impl Pull {
    /// Begins to pull `stream`; the first output connects. `seed` fills handshakes and spreads waits.
    pub fn new(settings: Arc<PullSettings>, stream: UpstreamStream, seed: u64, now: Instant) -> Self {
        let mut chance = Chance::new(seed);
        let origins = Origins::new(&settings.origin.origins, stream.rotation, chance.next_u64());
        let mut pull = Self {
            settings,
            stream,
            origins,
            chance,
            line: Line::new(),
            stage: Stage::Stopped,
            outputs: VecDeque::new(),
            target: None,
            failures: 0,
            sources: 0,
        };
        pull.try_next(now);
        pull
    }

    /// Something happened on connection `attempt`. Inputs of attempts that are over are ignored, their bytes too.
    ///
    /// [`Progress::Paused`] means that bytes remain: take the outputs, send what is private, then offer the same
    /// buffer again.
    pub fn handle_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress {
        if !self.line.is_running(attempt) {
            if let UpstreamInput::Received(bytes) = input {
                bytes.clear();
            }
            return Progress::NeedBytes;
        }
        match input {
            UpstreamInput::Connected => self.on_connected(now),
            UpstreamInput::ConnectFailed(failure) => {
                self.line.forget();
                self.fail(now, failure.into());
            }
            UpstreamInput::Received(bytes) => return self.on_received(now, bytes),
            UpstreamInput::Stalled => self.fail(now, AttemptError::Stalled),
            UpstreamInput::Closed => {
                self.line.forget();
                self.fail(now, AttemptError::Closed);
            }
        }
        Progress::NeedBytes
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout). Early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Stage::Waiting { until } = self.stage {
            if now >= until {
                self.try_next(now);
            }
            return;
        }
        let result = match self.overdue(now) {
            Some(error) => Err(error),
            None => self.line.handle_timeout(now),
        };
        if let Err(error) = result {
            self.fail(now, error);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Stopped => None,
            Stage::Waiting { until } => Some(*until),
            Stage::Running(attempt) => {
                let deadline = self.deadline(attempt).map(|(at, _)| at);
                [deadline, self.line.poll_timeout()].into_iter().flatten().min()
            }
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput<PullEvent>> {
        self.outputs.pop_front()
    }

    /// Bytes for the running connection: take them from the front.
    pub fn private(&mut self) -> &mut BytesMut {
        self.line.private()
    }

    /// Takes other settings. The running connection stays; the next attempt uses them.
    pub fn reload(&mut self, settings: Arc<PullSettings>) {
        self.origins.replace(&settings.origin.origins);
        self.settings = settings;
    }

    /// Ends the pull with a good-bye to the origin. Nothing but the outputs that wait will come.
    pub fn stop(&mut self) {
        if let Stage::Running(_) = self.stage {
            self.settle();
            self.end_source(SourceEnd::Stopped);
            self.hang_up(Farewell::Say);
        }
        self.stage = Stage::Stopped;
    }

    /// Attempts made for this stream, for [`UpstreamStream::rotation`] of the next pull of it.
    pub fn rotation(&self) -> u64 {
        self.origins.rotation()
    }

    /// How it stands.
    pub fn status(&self) -> PullStatus {
        let (phase, delivering_since) = match &self.stage {
            Stage::Stopped => (PullPhase::Stopped, None),
            Stage::Waiting { .. } => (PullPhase::Waiting, None),
            Stage::Running(attempt) => match attempt.play {
                Play::Accepted { .. } if attempt.source => {
                    (PullPhase::Delivering, attempt.media.map(|(first, _)| first))
                }
                Play::Accepted { .. } => (PullPhase::Accepted, None),
                _ => (PullPhase::Connecting, None),
            },
        };
        PullStatus {
            phase,
            target: self.target.clone(),
            attempts: self.line.attempt(),
            failures: self.failures,
            rounds_failed: self.origins.rounds(),
            sources: self.sources,
            delivering_since,
            stats: self.line.connection().map(|connection| connection.stats()).unwrap_or_default(),
        }
    }
}

impl Pull {
    /// Connects to the origin whose turn it is. Those that cannot be asked fail without a connection.
    fn try_next(&mut self, now: Instant) {
        loop {
            let Some(origin) = self.origins.next() else {
                // A configured edge has origins; a reload may bring some.
                let _ = self.count_round(now);
                return;
            };
            if !self.settings.origin.own.is_target(&origin) {
                self.connect(now, origin.clone(), Chain::new(origin));
                return;
            }
            if self.count_failure(now, origin, ConnectFailure::OwnAddress.into()) == Turn::Wait {
                return;
            }
        }
    }

    fn connect(&mut self, now: Instant, target: HostPort, chain: Chain) {
        let timeout = self.settings.connect_timeout;
        let attempt = self.line.begin(now + timeout);
        self.outputs.push_back(UpstreamOutput::Connect { attempt, target: target.clone(), timeout });
        self.target = Some(target.clone());
        self.stage =
            Stage::Running(Attempt { target, chain, play: Play::Connecting, media: None, source: false });
    }

    fn on_connected(&mut self, now: Instant) {
        let Stage::Running(attempt) = &mut self.stage else { return };
        if !self.line.is_connecting() {
            return;
        }
        let (origin, setup) = (&self.settings.origin, self.settings.setup_timeout);
        let identity = origin.identity.as_ref();
        let target = self.stream.target(&origin.vhost, &attempt.target, identity, Purpose::Play);
        let config = Arc::new(with_times(origin.connection.clone(), setup));
        self.line.greet(now, config, target, self.chance.next_u64());
        attempt.play = Play::Setup { deadline: now + setup };
        self.outputs.push_back(UpstreamOutput::Write);
    }

    fn on_received(&mut self, now: Instant, bytes: &mut BytesMut) -> Progress {
        let running = self.line.attempt();
        let mut media = false;
        let progress = loop {
            let result = self.line.receive(now, bytes);
            let mut events = 0;
            while let Some(event) = self.line.poll_event() {
                events += 1;
                self.on_event(now, event, &mut media);
            }
            if !self.line.is_running(running) {
                // An event ended the attempt.
                bytes.clear();
                break Progress::NeedBytes;
            }
            self.note_messages(now);
            match result {
                Ok(Progress::Paused) if events > 0 && self.outputs.len() < OUTPUTS_MAX => {}
                Ok(progress) => break progress,
                Err(error) => {
                    bytes.clear();
                    self.end_burst(&mut media);
                    self.fail(now, error);
                    break Progress::NeedBytes;
                }
            }
        };
        self.end_burst(&mut media);
        if !self.line.private().is_empty() {
            self.outputs.push_back(UpstreamOutput::Write);
        }
        progress
    }

    fn end_burst(&mut self, media: &mut bool) {
        if std::mem::take(media) {
            self.outputs.push_back(UpstreamOutput::Event(PullEvent::BurstEnd));
        }
    }

    fn on_event(&mut self, now: Instant, event: ClientEvent, media: &mut bool) {
        match event {
            ClientEvent::PlayStarted => self.on_accepted(now),
            ClientEvent::Media(message) => *media |= self.on_media(now, message),
            ClientEvent::StreamEof => self.on_unpublished(media),
            ClientEvent::Ended(status) if status.level == Level::Error => {
                self.end_burst(media);
                self.fail(now, AttemptError::Ended(status));
            }
            ClientEvent::Ended(_) => self.on_unpublished(media),
            ClientEvent::Refused(status) => self.fail(now, AttemptError::Refused(status)),
            ClientEvent::Redirected { url, .. } => {
                self.end_burst(media);
                self.redirect(now, Some(&url));
            }
            ClientEvent::ReconnectRequested { url } => {
                self.end_burst(media);
                self.redirect(now, url.as_deref());
            }
            ClientEvent::Closed => {
                self.end_burst(media);
                self.fail(now, AttemptError::Closed);
            }
            _ => {}
        }
    }

    fn on_accepted(&mut self, now: Instant) {
        let Stage::Running(attempt) = &mut self.stage else { return };
        if let Play::Setup { .. } = attempt.play {
            let messages = 0;
            attempt.play = Play::Accepted { heard: now, messages, publisher: None };
            self.outputs.push_back(UpstreamOutput::Event(PullEvent::Accepted));
        }
    }

    /// Says whether the message was passed on.
    fn on_media(&mut self, now: Instant, message: Media) -> bool {
        let Stage::Running(attempt) = &mut self.stage else { return false };
        if is_part_of_play(&message) {
            return false;
        }
        if message.kind != MediaKind::Data {
            let first = attempt.media.map_or(now, |(first, _)| first);
            attempt.media = Some((first, now));
            if let Play::Accepted { publisher, .. } = &mut attempt.play {
                *publisher = Some(now);
            }
        }
        if !attempt.source {
            attempt.source = true;
            self.sources += 1;
            self.outputs.push_back(UpstreamOutput::Event(PullEvent::SourceBegan));
        }
        self.event(PullEvent::Media(message));
        true
    }

    fn on_unpublished(&mut self, media: &mut bool) {
        self.end_burst(media);
        self.end_source(SourceEnd::Unpublished);
        if let Stage::Running(Attempt { play: Play::Accepted { publisher, .. }, .. }) = &mut self.stage {
            *publisher = None;
        }
    }

    /// Any message is a sign of life.
    fn note_messages(&mut self, now: Instant) {
        let received = self.line.connection().map_or(0, |connection| connection.stats().messages_received);
        if let Stage::Running(Attempt { play: Play::Accepted { heard, messages, .. }, .. }) = &mut self.stage
            && *messages != received
        {
            (*heard, *messages) = (now, received);
        }
    }

    /// When this attempt has failed, unless something comes, and as what.
    fn deadline(&self, attempt: &Attempt) -> Option<(Instant, AttemptError)> {
        let settings = &self.settings;
        match attempt.play {
            Play::Connecting => None,
            Play::Setup { deadline } => Some((deadline, AttemptError::Setup(settings.setup_timeout))),
            Play::Accepted { heard, publisher, .. } => {
                let (silence, media) = (settings.silence_timeout, settings.media_timeout);
                let silent = (heard + silence, AttemptError::Silent(silence));
                match publisher.map(|since| since + media) {
                    Some(at) if at < silent.0 => Some((at, AttemptError::NoMedia(media))),
                    _ => Some(silent),
                }
            }
        }
    }

    fn overdue(&self, now: Instant) -> Option<AttemptError> {
        let Stage::Running(attempt) = &self.stage else { return None };
        let (at, error) = self.deadline(attempt)?;
        (now >= at).then_some(error)
    }

    fn fail(&mut self, now: Instant, error: AttemptError) {
        let Stage::Running(attempt) = &self.stage else { return };
        let target = attempt.target.clone();
        let settled = self.settle();
        self.end_source(SourceEnd::Lost(error.clone()));
        self.hang_up(Farewell::Skip);
        if settled {
            self.failures += 1;
            self.event(PullEvent::AttemptFailed { target, error });
            self.try_next(now);
        } else if self.count_failure(now, target, error) == Turn::Next {
            self.try_next(now);
        }
    }

    fn count_failure(&mut self, now: Instant, target: HostPort, error: AttemptError) -> Turn {
        self.failures += 1;
        self.event(PullEvent::AttemptFailed { target, error });
        self.count_round(now)
    }

    fn count_round(&mut self, now: Instant) -> Turn {
        match self.origins.failed(&self.settings.waits) {
            None => Turn::Next,
            Some(wait) => {
                self.stage = Stage::Waiting { until: now + wait };
                self.event(PullEvent::RoundFailed { wait });
                Turn::Wait
            }
        }
    }

    /// Counts a long success; says whether there was one.
    fn settle(&mut self) -> bool {
        let Stage::Running(Attempt { media: Some((first, last)), .. }) = &self.stage else { return false };
        let settled = last.saturating_duration_since(*first) >= self.settings.settled_after;
        if settled {
            self.origins.settled();
        }
        settled
    }

    fn end_source(&mut self, why: SourceEnd) {
        if let Stage::Running(attempt) = &mut self.stage
            && std::mem::take(&mut attempt.source)
        {
            self.event(PullEvent::SourceEnded(why));
        }
    }

    fn hang_up(&mut self, farewell: Farewell) {
        if let Some(farewell) = self.line.hang_up(farewell) {
            let attempt = self.line.attempt();
            self.outputs.push_back(UpstreamOutput::Disconnect { attempt, farewell });
        }
    }

    /// The server sends us away, now or soon; `None` is to itself.
    fn redirect(&mut self, now: Instant, url: Option<&str>) {
        let settled = self.settle();
        let Stage::Running(attempt) = &self.stage else { return };
        let from = attempt.target.clone();
        let mut chain = if settled { Chain::default() } else { attempt.chain.clone() };
        let rules = Rules {
            depth_max: self.settings.redirects_max,
            hosts: self.settings.redirect_hosts.as_deref(),
            own: &self.settings.origin.own,
        };
        match chain.follow(&from, url, rules) {
            Ok(to) => {
                self.end_source(SourceEnd::Redirected);
                self.hang_up(Farewell::Say);
                self.event(PullEvent::Redirected { from, to: to.clone() });
                self.connect(now, to, chain);
            }
            Err(error) => self.fail(now, error),
        }
    }

    fn event(&mut self, event: PullEvent) {
        self.outputs.push_back(UpstreamOutput::Event(event));
    }
}

/// Whether the next origin is tried now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Next,
    Wait,
}

/// Data messages that belong to the answer to `play` and not to the stream.
fn is_part_of_play(message: &Media) -> bool {
    const NAMES: [&[u8]; 2] = [b"\x02\x00\x11|RtmpSampleAccess", b"\x02\x00\x08onStatus"];
    message.kind == MediaKind::Data && NAMES.iter().any(|name| message.payload.starts_with(name))
}
