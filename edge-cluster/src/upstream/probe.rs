//! Asking an origin whether it would take a client (token traverse, spec 7).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::amf::Text;
use rtmp_core::amf::amf0::Value;
use rtmp_core::message::{Connect, Status};
use rtmp_core::{ClientEvent, Progress, Purpose, Target};

use super::caller::{Caller, Machine, Next};
use super::line::{Farewell, with_times};
use super::{AttemptError, ConnectFailure, ProbeSettings, UpstreamInput, UpstreamOutput};
use crate::config::HostPort;

/// What a probe tells its owner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProbeEvent {
    /// There is no connection to this origin; the next one is asked.
    AttemptFailed {
        /// The origin.
        target: HostPort,
        /// Why.
        error: AttemptError,
    },
    /// The origin accepted the client's `connect`. The probe is over.
    Accepted,
    /// The client is to be refused. The probe is over.
    Refused(ProbeRefusal),
}

/// Why a client is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeRefusal {
    /// The origin said no.
    #[error("refused by the origin: {} {}", .0.code, .0.description)]
    Status(Box<Status>),
    /// The origin was there, but gave no answer.
    #[error("no answer of the origin: {0}")]
    Failed(AttemptError),
    /// There was no connection to any origin.
    #[error("no origin could be reached")]
    Unreachable,
    /// All of it together took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// One question to the origins of a vhost: would you accept this client's `connect`?
///
/// The origins are connected to in the order of the configuration. The first one that is there decides, whatever it
/// says. Nothing is remembered: each client is asked about. How many probes may run at a time is its owner's matter.
///
/// The contract is that of [`Pull`](super::Pull) on outputs; the last event is `Accepted` or `Refused`.
#[derive(Debug)]
pub struct Probe {
    settings: Arc<ProbeSettings>,
    client: ProbeClient,
    caller: Caller<ProbeEvent>,
    deadline: Instant,
    is_over: bool,
}

/// What a client said in its `connect`, as far as an origin is asked about it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProbeClient {
    /// The client's `tcUrl`, unchanged: tokens may be in its query.
    pub tc_url: Text,
    /// The application.
    pub app: Text,
    /// The web page.
    pub page_url: Option<Text>,
    /// The player.
    pub swf_url: Option<Text>,
    /// Values behind the properties.
    pub arguments: Vec<Value>,
}

impl From<&Connect> for ProbeClient {
    fn from(connect: &Connect) -> Self {
        Self {
            tc_url: connect.tc_url.clone(),
            app: connect.app.clone(),
            page_url: connect.page_url.clone(),
            swf_url: connect.swf_url.clone(),
            arguments: connect.arguments.clone(),
        }
    }
}

impl ProbeClient {
    fn target(&self) -> Target {
        let text = |text: &Text| text.to_string_lossy().into_owned();
        let mut target = Target::new(text(&self.tc_url), text(&self.app), "", Purpose::Play);
        for (key, value) in [("pageUrl", &self.page_url), ("swfUrl", &self.swf_url)] {
            if let Some(value) = value {
                target.properties.push(key, value.clone());
            }
        }
        target.arguments.clone_from(&self.arguments);
        target
    }
}

impl Probe {
    /// Begins to ask about `client`; the first output connects. `seed` fills the handshake.
    pub fn new(settings: Arc<ProbeSettings>, client: ProbeClient, seed: u64, now: Instant) -> Self {
        let caller = Caller::new(&settings.origin.origins, 0, seed);
        let deadline = now + settings.total_timeout;
        let mut probe = Self { settings, client, caller, deadline, is_over: false };
        probe.try_next(now);
        probe
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
        if self.is_over {
            return;
        }
        if now >= self.deadline {
            self.end(ProbeEvent::Refused(ProbeRefusal::TimedOut(self.settings.total_timeout)));
        } else if let Err(error) = self.caller.handle_timeout(now) {
            self.fail(now, error);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        Some(self.caller.poll_timeout().map_or(self.deadline, |at| at.min(self.deadline)))
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput<ProbeEvent>> {
        self.caller.poll_output()
    }

    /// Bytes for the running connection: take them from the front.
    pub fn private(&mut self) -> &mut BytesMut {
        self.caller.private()
    }

    /// The client is gone: nobody waits for the answer.
    pub fn stop(&mut self) {
        self.caller.hang_up(Farewell::Skip);
        self.is_over = true;
    }

    /// Connects to the next origin, if there is one that was not tried.
    fn try_next(&mut self, now: Instant) {
        let own = Arc::clone(&self.settings.origin.own);
        loop {
            match self.caller.call_next(now, &own, self.settings.connect_timeout) {
                Next::Called => return,
                Next::Own(target) => {
                    let error = ConnectFailure::OwnAddress.into();
                    self.caller.event(ProbeEvent::AttemptFailed { target, error });
                }
                Next::Nobody => {}
            }
            if self.is_last() {
                return;
            }
        }
    }

    /// Counts an origin that is not there. When that was the last one, the client is refused.
    fn is_last(&mut self) -> bool {
        let last = self.caller.origins().failed(&[]).is_some();
        if last {
            self.end(ProbeEvent::Refused(ProbeRefusal::Unreachable));
        }
        last
    }

    fn end(&mut self, event: ProbeEvent) {
        self.caller.hang_up(Farewell::Skip);
        self.is_over = true;
        self.caller.event(event);
    }
}

impl Machine for Probe {
    type Event = ProbeEvent;

    fn caller(&mut self) -> &mut Caller<ProbeEvent> {
        &mut self.caller
    }

    fn on_connected(&mut self, now: Instant) {
        let config = with_times(self.settings.origin.connection.clone(), self.settings.total_timeout);
        self.caller.greet(now, config, |_| self.client.target());
    }

    fn on_event(&mut self, now: Instant, event: ClientEvent) {
        match event {
            ClientEvent::Connected(_) => self.end(ProbeEvent::Accepted),
            // Nobody follows a redirect of a question: the client is not wanted here.
            ClientEvent::Refused(status) | ClientEvent::Redirected { status, .. } => {
                self.end(ProbeEvent::Refused(ProbeRefusal::Status(status)));
            }
            ClientEvent::Closed => self.fail(now, AttemptError::Closed),
            _ => {}
        }
    }

    fn after_input(&mut self, _now: Instant) {}

    fn fail(&mut self, now: Instant, error: AttemptError) {
        if !matches!(error, AttemptError::Connect(_)) {
            self.end(ProbeEvent::Refused(ProbeRefusal::Failed(error)));
            return;
        }
        self.caller.hang_up(Farewell::Skip);
        if let Some(target) = self.caller.target().cloned() {
            self.caller.event(ProbeEvent::AttemptFailed { target, error });
        }
        if !self.is_last() {
            self.try_next(now);
        }
    }
}
