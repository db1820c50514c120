//! Sending a stream to an origin (spec 6.2).

mod event;
mod outage;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::message::{PublishKind, Status, status::code};
use rtmp_core::{AnnouncePublish, ClientEvent, CommandError, Media, MediaKind, Progress, Purpose};

pub use event::{PushEnd, PushEvent, PushPhase, PushStatus};

use super::caller::{Caller, Machine, Next};
use super::line::{Farewell, with_times};
use super::redirect::elsewhere;
use super::settings::{Failover, Patience};
use super::{AttemptError, ConnectFailure, PushSettings, UpstreamInput, UpstreamOutput, UpstreamStream};
use crate::config::HostPort;
use outage::Outage;

/// A stream that is published to one origin at a time, until its publisher leaves or no origin keeps it.
///
/// ```text
///   new ─▶ Connecting ─accepted▶ Publishing ─lost▶ Connecting ... ─10 s without an origin▶ gave up
///             │   ▲─── next origin                     ▲─Waiting─ each one failed
///             └── refused, or each origin failed ─▶ refused
/// ```
///
/// The machine sends commands only. Media goes from the stream's hub straight to the connection, between the events
/// [`Join`](PushEvent::Join) and [`Left`](PushEvent::Left), behind what is private.
///
/// # Contract
///
/// That of [`Pull`](super::Pull) on outputs, and: `Join` and `Left` alternate; [`Accepted`](PushEvent::Accepted) comes
/// once at most; behind [`Refused`](PushEvent::Refused) or [`GaveUp`](PushEvent::GaveUp) comes nothing.
#[derive(Debug)]
pub struct Push {
    settings: Arc<PushSettings>,
    stream: UpstreamStream,
    caller: Caller<PushEvent>,
    stage: Stage,
    /// The publisher has been told.
    accepted: bool,
    /// The last refusal of an origin, for the publisher.
    refusal: Option<Box<Status>>,
    outage: Outage,
}

#[derive(Debug)]
enum Stage {
    Running(Publish),
    Waiting { until: Instant },
    Over,
}

#[derive(Clone, Copy, Debug)]
enum Publish {
    /// TCP is not there yet.
    Connecting,
    /// Handshake and commands, until this time; `connected` behind the answer to `connect`.
    Setup { deadline: Instant, connected: bool },
    /// Media flows.
    Accepted { since: Instant },
}

impl Push {
    /// Begins to publish `stream`; the first output connects. `seed` fills handshakes and spreads waits.
    pub fn new(settings: Arc<PushSettings>, stream: UpstreamStream, seed: u64, now: Instant) -> Self {
        let caller = Caller::new(&settings.origin.origins, stream.rotation, seed);
        let mut push = Self {
            settings,
            stream,
            caller,
            stage: Stage::Over,
            accepted: false,
            refusal: None,
            outage: Outage::default(),
        };
        push.try_next(now);
        push
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
        if self.give_up_at().is_some_and(|at| now >= at) {
            self.give_up(Status::error(code::FAILED, "no origin keeps the stream"));
            return;
        }
        match self.stage {
            Stage::Over => {}
            Stage::Waiting { until } if now < until => {}
            Stage::Waiting { .. } => self.try_next(now),
            Stage::Running(Publish::Setup { deadline, .. }) if now >= deadline => self.on_setup_over(now),
            Stage::Running(_) => {
                if let Err(error) = self.caller.handle_timeout(now) {
                    self.fail(now, error);
                }
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = match self.stage {
            Stage::Over => return None,
            Stage::Waiting { until } => Some(until),
            Stage::Running(Publish::Setup { deadline, .. }) => {
                [Some(deadline), self.caller.poll_timeout()].into_iter().flatten().min()
            }
            Stage::Running(_) => self.caller.poll_timeout(),
        };
        [next, self.give_up_at()].into_iter().flatten().min()
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput<PushEvent>> {
        self.caller.poll_output()
    }

    /// Bytes for the running connection, to be sent in front of the next shared segment: take them from the front.
    pub fn private(&mut self) -> &mut BytesMut {
        self.caller.private()
    }

    /// Private bytes that wait to be sent.
    pub fn pending_bytes(&self) -> usize {
        self.caller.pending_bytes()
    }

    /// Writes one message into the private bytes: metadata and headers at a [`Join`](PushEvent::Join), or all of a stream
    /// that is not sent from shared segments. Metadata is told as encoders do, with `@setDataFrame` in front.
    ///
    /// # Errors
    ///
    /// When no origin takes media, or it is too slow.
    pub fn send_media(&mut self, media: &Media) -> Result<(), CommandError> {
        let Some(connection) = self.caller.connection_mut() else {
            return Err(CommandError::WrongState("no publish is running"));
        };
        match as_set_data_frame(media) {
            Some(media) => connection.send_media(&media),
            None => connection.send_media(media),
        }
    }

    /// Takes other settings. The running connection stays; the next attempt uses them.
    pub fn reload(&mut self, settings: Arc<PushSettings>) {
        self.caller.origins().replace(&settings.origin.origins);
        self.settings = settings;
    }

    /// The publisher is gone: `FCUnpublish` and `deleteStream` free the name at the origin at once.
    pub fn stop(&mut self) {
        self.leave(PushEnd::Stopped);
        self.caller.hang_up(Farewell::Say);
        self.stage = Stage::Over;
    }

    /// Attempts made for this stream, for [`UpstreamStream::rotation`] of the next push of it.
    pub fn rotation(&self) -> u64 {
        self.caller.rotation()
    }

    /// How it stands.
    pub fn status(&self) -> PushStatus {
        let phase = match self.stage {
            Stage::Over => PushPhase::Over,
            Stage::Waiting { .. } => PushPhase::Waiting,
            Stage::Running(Publish::Accepted { .. }) => PushPhase::Publishing,
            Stage::Running(_) => PushPhase::Connecting,
        };
        PushStatus {
            phase,
            target: self.caller.target().cloned(),
            attempts: self.caller.attempts(),
            failures: self.caller.failures(),
            stats: self.caller.stats(),
        }
    }

    /// Calls the server whose turn it is. Those that cannot be asked fail without a connection.
    fn try_next(&mut self, now: Instant) {
        let own = Arc::clone(&self.settings.origin.own);
        loop {
            match self.caller.call_next(now, &own, self.settings.connect_timeout) {
                Next::Called => {
                    self.stage = Stage::Running(Publish::Connecting);
                    return;
                }
                Next::Own(target) => {
                    let error = ConnectFailure::OwnAddress.into();
                    self.caller.count_failure();
                    self.caller.event(PushEvent::AttemptFailed { target, error });
                }
                Next::Nobody => {}
            }
            if self.end_turn(now) {
                return;
            }
        }
    }

    /// Counts a failure; says whether nobody is called now.
    fn end_turn(&mut self, now: Instant) -> bool {
        let Some(wait) = self.caller.origins().failed(&self.settings.waits) else { return false };
        if let (Patience::Publisher { .. }, false) = (self.settings.patience, self.accepted) {
            let unreachable =
                || Box::new(Status::error(code::PUBLISH_REJECTED, "no origin takes the stream"));
            let status = self.refusal.take().unwrap_or_else(unreachable);
            self.end(PushEvent::Refused(status));
        } else {
            self.stage = Stage::Waiting { until: now + wait };
            self.caller.event(PushEvent::RoundFailed { wait });
        }
        true
    }

    /// Answers are overdue. A server that is alive but did not answer `publish` takes the media nevertheless.
    fn on_setup_over(&mut self, now: Instant) {
        let accepted = self.caller.connection_mut().map(|connection| connection.accept_unanswered(now));
        if let Some(Ok(())) = accepted {
            self.on_accepted(now);
        } else {
            self.fail(now, AttemptError::Setup(self.settings.answer_timeout));
        }
    }

    fn on_accepted(&mut self, now: Instant) {
        let Some(msid) = self.caller.connection_mut().and_then(|connection| connection.msid()) else {
            return;
        };
        if let Stage::Running(Publish::Accepted { .. }) = self.stage {
            return;
        }
        self.stage = Stage::Running(Publish::Accepted { since: now });
        self.outage.end(now);
        if !std::mem::replace(&mut self.accepted, true) {
            self.caller.event(PushEvent::Accepted);
        }
        self.caller.event(PushEvent::Join { msid });
    }

    /// The server refused. What it says about the name is final for a publisher that waits; anything else, such as a
    /// refused `connect`, may be different elsewhere.
    fn on_refused(&mut self, now: Instant, status: Box<Status>) {
        let final_for_publisher = matches!(self.settings.patience, Patience::Publisher { .. })
            && !self.accepted
            && matches!(self.stage, Stage::Running(Publish::Setup { connected: true, .. }));
        if final_for_publisher {
            self.caller.hang_up(Farewell::Skip);
            self.end(PushEvent::Refused(status));
            return;
        }
        let for_publisher = Status::error(code::PUBLISH_DENIED, status.description.clone());
        self.refusal = Some(Box::new(for_publisher));
        self.fail(now, AttemptError::Refused(status));
    }

    /// The server ended a running publish. What it says about the name is as final as a refusal.
    fn on_ended(&mut self, now: Instant, status: Box<Status>) {
        let decided = [code::PUBLISH_BAD_NAME, code::PUBLISH_DENIED, code::PUBLISH_REJECTED];
        if matches!(self.settings.patience, Patience::Publisher { .. }) && decided.contains(&&*status.code) {
            self.give_up(*status);
        } else {
            self.fail(now, AttemptError::Ended(status));
        }
    }

    fn redirect(&mut self, now: Instant, url: Option<&str>) {
        let settled = self.settle(now);
        let settings = Arc::clone(&self.settings);
        match self.caller.follow(url, settled, settings.redirects.rules(&settings.origin.own)) {
            Ok((from, to)) => {
                self.leave(PushEnd::Redirected);
                if self.accepted {
                    self.outage.begin(now);
                }
                self.caller.hang_up(Farewell::Say);
                self.caller.event(PushEvent::Redirected { from, to: to.clone() });
                self.caller.call(now, to, settings.connect_timeout);
                self.stage = Stage::Running(Publish::Connecting);
            }
            Err(error) => self.fail(now, error),
        }
    }

    /// Counts a long success of a push with a publisher; says whether there was one.
    fn settle(&mut self, now: Instant) -> bool {
        let Stage::Running(Publish::Accepted { since }) = self.stage else { return false };
        let lasted = now.saturating_duration_since(since) >= self.settings.settled_after;
        let settled = lasted && matches!(self.settings.patience, Patience::Publisher { .. });
        if settled {
            self.caller.origins().settled();
            self.outage.forgive();
        }
        settled
    }

    fn leave(&mut self, why: PushEnd) {
        if let Stage::Running(Publish::Accepted { .. }) = self.stage
            && let Some(target) = self.caller.target().cloned()
        {
            self.caller.event(PushEvent::Left { target, why });
        }
    }

    fn give_up_at(&self) -> Option<Instant> {
        match self.settings.patience {
            Patience::Publisher { outage_max, .. } => self.outage.deadline(outage_max),
            Patience::Endless => None,
        }
    }

    fn give_up(&mut self, status: Status) {
        self.leave(PushEnd::Lost(AttemptError::Ended(Box::new(status.clone()))));
        self.caller.hang_up(Farewell::Say);
        self.end(PushEvent::GaveUp(Box::new(status)));
    }

    fn end(&mut self, event: PushEvent) {
        self.stage = Stage::Over;
        self.outage = Outage::default();
        self.caller.event(event);
    }
}

impl Machine for Push {
    type Event = PushEvent;

    fn caller(&mut self) -> &mut Caller<PushEvent> {
        &mut self.caller
    }

    fn on_connected(&mut self, now: Instant) {
        let (origin, answer) = (&self.settings.origin, self.settings.answer_timeout);
        let mut config = with_times(origin.connection.clone(), answer);
        config.announce_publish = AnnouncePublish::EndOnly;
        let target =
            |place: &HostPort| self.stream.target(origin, place, Purpose::Publish(PublishKind::Live));
        if self.caller.greet(now, config, target) {
            self.stage = Stage::Running(Publish::Setup { deadline: now + answer, connected: false });
        }
    }

    fn on_event(&mut self, now: Instant, event: ClientEvent) {
        match event {
            ClientEvent::Connected(_) => {
                if let Stage::Running(Publish::Setup { connected, .. }) = &mut self.stage {
                    *connected = true;
                }
            }
            ClientEvent::PublishAccepted => self.on_accepted(now),
            ClientEvent::Refused(status) => self.on_refused(now, status),
            ClientEvent::Ended(status) => self.on_ended(now, status),
            ClientEvent::Redirected { url, .. } => self.redirect(now, Some(&url)),
            ClientEvent::ReconnectRequested { url } => self.redirect(now, elsewhere(url.as_deref())),
            ClientEvent::Closed => self.fail(now, AttemptError::Closed),
            _ => {}
        }
    }

    fn after_input(&mut self, _now: Instant) {}

    fn fail(&mut self, now: Instant, error: AttemptError) {
        let settled = self.settle(now);
        self.leave(PushEnd::Lost(error.clone()));
        self.caller.hang_up(Farewell::Skip);
        let Some(target) = self.caller.target().cloned() else { return };
        self.caller.count_failure();
        self.caller.event(PushEvent::AttemptFailed { target, error });
        if self.accepted {
            if let Patience::Publisher { failover: Failover::Off, .. } = self.settings.patience {
                self.end(PushEvent::GaveUp(Box::new(Status::error(code::FAILED, "the origin is lost"))));
                return;
            }
            self.outage.begin(now);
        }
        if settled || !self.end_turn(now) {
            self.try_next(now);
        }
    }
}

/// Metadata in the form of encoders; `None` when `media` is nothing of that kind, or has the form.
fn as_set_data_frame(media: &Media) -> Option<Media> {
    const ON_METADATA: &[u8] = b"\x02\x00\x0aonMetaData";
    const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
    let is_metadata = media.kind == MediaKind::Data && media.payload.starts_with(ON_METADATA);
    is_metadata.then(|| {
        let payload = [SET_DATA_FRAME, &media.payload].concat();
        Media { payload: payload.into(), ..media.clone() }
    })
}
