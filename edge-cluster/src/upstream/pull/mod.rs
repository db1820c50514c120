//! Receiving a stream from its origins (spec 5.3).

mod event;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::message::Level;
use rtmp_core::{ClientEvent, Media, MediaKind, Progress, Purpose};

pub use event::{PullEvent, PullPhase, PullStatus, SourceEnd};

use super::caller::{Caller, Machine, Next};
use super::line::{Farewell, with_times};
use super::redirect::elsewhere;
use super::{AttemptError, ConnectFailure, PullSettings, UpstreamInput, UpstreamOutput, UpstreamStream};
use crate::config::HostPort;

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
///
/// # In whose name
///
/// Origins may ask for tokens, and those of the viewer that came first can be wrong, or expire. Each attempt is made in the
/// name of the viewer that came last ([`ask_as`](Self::ask_as)); after failures in turn with the last one whom an origin
/// served, so that a newcomer whose token is wrong cannot keep the stream from everybody.
#[derive(Debug)]
pub struct Pull {
    settings: Arc<PullSettings>,
    /// In the name of the viewer that came last.
    newest: Arc<UpstreamStream>,
    /// In the name of the last one whom an origin served, or kept until it fell silent.
    proven: Option<Arc<UpstreamStream>>,
    /// As the running or last attempt asked.
    asked: Arc<UpstreamStream>,
    caller: Caller<PullEvent>,
    stage: Stage,
    /// Media since the last `BurstEnd`.
    burst: bool,
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

/// What follows a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    Next,
    Wait,
}

impl Pull {
    /// Begins to pull `stream`; the first output connects. `seed` fills handshakes and spreads waits.
    pub fn new(settings: Arc<PullSettings>, stream: UpstreamStream, seed: u64, now: Instant) -> Self {
        let caller = Caller::new(&settings.origin.origins, stream.rotation, seed);
        let newest = Arc::new(stream);
        let asked = Arc::clone(&newest);
        let mut pull = Self {
            settings,
            newest,
            proven: None,
            asked,
            caller,
            stage: Stage::Stopped,
            burst: false,
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
        self.take_input(now, attempt, input)
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout). Early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.stage {
            Stage::Stopped => {}
            Stage::Waiting { until } if now < *until => {}
            Stage::Waiting { .. } => self.try_next(now),
            Stage::Running(attempt) => {
                let overdue = self.deadline(attempt).filter(|(at, _)| now >= *at);
                let result = match overdue {
                    Some((_, error)) => Err(error),
                    None => self.caller.handle_timeout(now),
                };
                if let Err(error) = result {
                    self.fail(now, error);
                }
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Stopped => None,
            Stage::Waiting { until } => Some(*until),
            Stage::Running(attempt) => {
                let deadline = self.deadline(attempt).map(|(at, _)| at);
                [deadline, self.caller.poll_timeout()].into_iter().flatten().min()
            }
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput<PullEvent>> {
        self.caller.poll_output()
    }

    /// Bytes for the running connection: take them from the front.
    pub fn private(&mut self) -> &mut BytesMut {
        self.caller.private()
    }

    /// Takes other settings. The running connection stays; the next attempt uses them.
    pub fn reload(&mut self, settings: Arc<PullSettings>) {
        self.caller.origins().replace(&settings.origin.origins);
        self.settings = settings;
    }

    /// Another viewer has come. The running connection stays; the next attempt is made in its name.
    pub fn ask_as(&mut self, stream: UpstreamStream) {
        self.newest = Arc::new(stream);
    }

    /// Ends the pull with a good-bye to the origin. Nothing but the outputs that wait will come.
    pub fn stop(&mut self) {
        self.end_source(SourceEnd::Stopped);
        self.caller.hang_up(Farewell::Say);
        self.stage = Stage::Stopped;
    }

    /// Attempts made for this stream, for [`UpstreamStream::rotation`] of the next pull of it.
    pub fn rotation(&self) -> u64 {
        self.caller.rotation()
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
                Play::Connecting | Play::Setup { .. } => (PullPhase::Connecting, None),
            },
        };
        PullStatus {
            phase,
            target: self.caller.target().cloned(),
            attempts: self.caller.attempts(),
            failures: self.caller.failures(),
            rounds_failed: self.caller.rounds(),
            sources: self.sources,
            delivering_since,
            stats: self.caller.stats(),
        }
    }

    /// Calls the origin whose turn it is. Those that cannot be asked fail without a connection.
    fn try_next(&mut self, now: Instant) {
        let own = Arc::clone(&self.settings.origin.own);
        loop {
            let turn = match self.caller.call_next(now, &own, self.settings.connect_timeout) {
                Next::Called => {
                    self.begin_attempt();
                    return;
                }
                Next::Own(origin) => self.count_failure(now, origin, ConnectFailure::OwnAddress.into()),
                // A configured edge has origins; a reload may bring some.
                Next::Nobody => self.count_turn(now),
            };
            if turn == Turn::Wait {
                return;
            }
        }
    }

    fn begin_attempt(&mut self) {
        self.stage = Stage::Running(Attempt { play: Play::Connecting, media: None, source: false });
    }

    fn count_failure(&mut self, now: Instant, target: HostPort, error: AttemptError) -> Turn {
        self.caller.count_failure();
        self.caller.event(PullEvent::AttemptFailed { target, error });
        self.count_turn(now)
    }

    fn count_turn(&mut self, now: Instant) -> Turn {
        match self.caller.origins().failed(&self.settings.waits) {
            None => Turn::Next,
            Some(wait) => {
                self.stage = Stage::Waiting { until: now + wait };
                self.caller.event(PullEvent::RoundFailed { wait });
                Turn::Wait
            }
        }
    }

    /// When the running attempt has failed, unless something comes, and as what.
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

    fn on_accepted(&mut self, now: Instant) {
        let Stage::Running(attempt) = &mut self.stage else { return };
        attempt.play = Play::Accepted { heard: now, messages: 0, publisher: None };
        self.caller.event(PullEvent::Accepted);
    }

    fn on_media(&mut self, now: Instant, message: Media) {
        let Stage::Running(attempt) = &mut self.stage else { return };
        if is_part_of_play(&message) {
            return;
        }
        if message.kind != MediaKind::Data {
            let first = attempt.media.map_or(now, |(first, _)| first);
            attempt.media = Some((first, now));
            if let Play::Accepted { publisher, .. } = &mut attempt.play {
                *publisher = Some(now);
            }
        }
        if !std::mem::replace(&mut attempt.source, true) {
            self.sources += 1;
            self.proven = Some(Arc::clone(&self.asked));
            self.caller.event(PullEvent::SourceBegan);
        }
        self.burst = true;
        self.caller.event(PullEvent::Media(message));
    }

    fn on_unpublished(&mut self) {
        self.end_source(SourceEnd::Unpublished);
        if let Stage::Running(Attempt { play: Play::Accepted { publisher, .. }, .. }) = &mut self.stage {
            *publisher = None;
        }
    }

    fn end_burst(&mut self) {
        if std::mem::take(&mut self.burst) {
            self.caller.event(PullEvent::BurstEnd);
        }
    }

    fn end_source(&mut self, why: SourceEnd) {
        self.end_burst();
        if let Stage::Running(attempt) = &mut self.stage
            && std::mem::take(&mut attempt.source)
            && let Some(target) = self.caller.target().cloned()
        {
            self.caller.event(PullEvent::SourceEnded { target, why });
        }
    }

    /// Counts a long success; says whether there was one.
    fn settle(&mut self) -> bool {
        let Stage::Running(Attempt { media: Some((first, last)), .. }) = &self.stage else { return false };
        let settled = last.saturating_duration_since(*first) >= self.settings.settled_after;
        if settled {
            self.caller.origins().settled();
        }
        settled
    }

    /// The server sends us away, now or soon; `None` is to itself.
    fn redirect(&mut self, now: Instant, url: Option<&str>) {
        let settled = self.settle();
        let settings = Arc::clone(&self.settings);
        match self.caller.follow(url, settled, settings.redirects.rules(&settings.origin.own)) {
            Ok((from, to)) => {
                self.end_source(SourceEnd::Redirected);
                self.caller.hang_up(Farewell::Say);
                self.caller.event(PullEvent::Redirected { from, to: to.clone() });
                self.caller.call(now, to, settings.connect_timeout);
                self.begin_attempt();
            }
            Err(error) => self.fail(now, error),
        }
    }
}

impl Machine for Pull {
    type Event = PullEvent;

    fn caller(&mut self) -> &mut Caller<PullEvent> {
        &mut self.caller
    }

    fn on_connected(&mut self, now: Instant) {
        self.asked = match &self.proven {
            Some(proven) if self.caller.origins().turn() % 2 == 1 => Arc::clone(proven),
            _ => Arc::clone(&self.newest),
        };
        let (origin, setup) = (&self.settings.origin, self.settings.setup_timeout);
        let config = with_times(origin.connection.clone(), setup);
        let target = |place: &HostPort| self.asked.target(origin, place, Purpose::Play);
        if self.caller.greet(now, config, target)
            && let Stage::Running(attempt) = &mut self.stage
        {
            attempt.play = Play::Setup { deadline: now + setup };
        }
    }

    fn on_event(&mut self, now: Instant, event: ClientEvent) {
        match event {
            ClientEvent::PlayStarted => self.on_accepted(now),
            ClientEvent::Media(message) => self.on_media(now, message),
            ClientEvent::StreamEof => self.on_unpublished(),
            ClientEvent::Ended(status) if status.level == Level::Error => {
                self.fail(now, AttemptError::Ended(status));
            }
            ClientEvent::Ended(_) => self.on_unpublished(),
            ClientEvent::Refused(status) => self.fail(now, AttemptError::Refused(status)),
            ClientEvent::Redirected { url, .. } => self.redirect(now, Some(&url)),
            ClientEvent::ReconnectRequested { url } => self.redirect(now, elsewhere(url.as_deref())),
            ClientEvent::Closed => self.fail(now, AttemptError::Closed),
            _ => {}
        }
    }

    fn after_input(&mut self, now: Instant) {
        self.end_burst();
        // Any message is a sign of life.
        let received = self.caller.stats().messages_received;
        if let Stage::Running(Attempt { play: Play::Accepted { heard, messages, .. }, .. }) = &mut self.stage
            && *messages != received
        {
            (*heard, *messages) = (now, received);
        }
    }

    fn fail(&mut self, now: Instant, error: AttemptError) {
        let settled = self.settle();
        if let AttemptError::Silent(_) | AttemptError::NoMedia(_) = error {
            self.proven = Some(Arc::clone(&self.asked));
        }
        self.end_source(SourceEnd::Lost(error.clone()));
        self.caller.hang_up(Farewell::Skip);
        let Some(target) = self.caller.target().cloned() else { return };
        if settled {
            self.caller.count_failure();
            self.caller.event(PullEvent::AttemptFailed { target, error });
            self.try_next(now);
        } else if self.count_failure(now, target, error) == Turn::Next {
            self.try_next(now);
        }
    }
}

/// Data messages that belong to the answer to `play` and not to the stream.
fn is_part_of_play(message: &Media) -> bool {
    const NAMES: [&[u8]; 2] = [b"\x02\x00\x11|RtmpSampleAccess", b"\x02\x00\x08onStatus"];
    message.kind == MediaKind::Data && NAMES.iter().any(|name| message.payload.starts_with(name))
}
