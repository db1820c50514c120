//! What all machines of this module share: connections one after the other, and the outputs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::{ClientConnection, ClientEvent, ConnectionConfig, Progress, Stats, Target};

use super::chance::Chance;
use super::line::{Farewell, Line};
use super::redirect::{Chain, Rules};
use super::{AttemptError, Origins, OwnAddresses, UpstreamInput, UpstreamOutput};
use crate::config::HostPort;

/// Outputs that may wait to be polled. Beyond, no more input is taken ([`Progress::Paused`]).
const OUTPUTS_MAX: usize = 1024;

/// The connections of one machine and its outputs.
#[derive(Debug)]
pub(super) struct Caller<E> {
    origins: Origins,
    chance: Chance,
    line: Line,
    outputs: VecDeque<UpstreamOutput<E>>,
    /// Of the running or last attempt.
    chain: Chain,
    target: Option<HostPort>,
    failures: u64,
}

/// Who is called next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// The connection is being opened.
    Called,
    /// It is this server itself, which is not called.
    Own(HostPort),
    /// There is nobody to call.
    Nobody,
}

impl<E> Caller<E> {
    pub(super) fn new(list: &[HostPort], rotation: u64, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            origins: Origins::new(list, rotation, chance.next_u64()),
            chance,
            line: Line::new(),
            outputs: VecDeque::new(),
            chain: Chain::default(),
            target: None,
            failures: 0,
        }
    }

    pub(super) fn origins(&mut self) -> &mut Origins {
        &mut self.origins
    }

    pub(super) fn rotation(&self) -> u64 {
        self.origins.rotation()
    }

    pub(super) fn rounds(&self) -> usize {
        self.origins.rounds()
    }

    /// The server of the running or last attempt.
    pub(super) fn target(&self) -> Option<&HostPort> {
        self.target.as_ref()
    }

    pub(super) fn attempts(&self) -> u64 {
        self.line.attempt()
    }

    /// Attempts that failed, those without a connection included.
    pub(super) fn failures(&self) -> u64 {
        self.failures
    }

    pub(super) fn count_failure(&mut self) {
        self.failures += 1;
    }

    pub(super) fn event(&mut self, event: E) {
        self.outputs.push_back(UpstreamOutput::Event(event));
    }

    pub(super) fn poll_output(&mut self) -> Option<UpstreamOutput<E>> {
        self.outputs.pop_front()
    }

    pub(super) fn private(&mut self) -> &mut BytesMut {
        self.line.private()
    }

    pub(super) fn pending_bytes(&self) -> usize {
        self.line.connection().map_or(0, ClientConnection::pending_bytes)
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut ClientConnection> {
        self.line.connection_mut()
    }

    pub(super) fn stats(&self) -> Stats {
        self.line.connection().map(ClientConnection::stats).unwrap_or_default()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), AttemptError> {
        self.line.handle_timeout(now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.line.poll_timeout()
    }

    /// Calls the origin whose turn it is.
    pub(super) fn call_next(&mut self, now: Instant, own: &OwnAddresses, timeout: Duration) -> Next {
        let Some(origin) = self.origins.next() else { return Next::Nobody };
        if own.is_target(&origin) {
            self.target = Some(origin.clone());
            return Next::Own(origin);
        }
        self.chain = Chain::new(origin.clone());
        self.call(now, origin, timeout);
        Next::Called
    }

    /// Where a redirect, or a request to connect again, leads from and to. `settled`: earlier ones count no longer.
    pub(super) fn follow(
        &mut self,
        url: Option<&str>,
        settled: bool,
        rules: Rules<'_>,
    ) -> Result<(HostPort, HostPort), AttemptError> {
        if settled {
            self.chain = Chain::default();
        }
        let Some(from) = self.target.clone() else { return Err(AttemptError::Closed) };
        let to = self.chain.follow(&from, url, rules)?;
        Ok((from, to))
    }

    pub(super) fn call(&mut self, now: Instant, target: HostPort, timeout: Duration) {
        let attempt = self.line.begin(now + timeout);
        self.target = Some(target.clone());
        self.outputs.push_back(UpstreamOutput::Connect { attempt, target, timeout });
    }

    /// TCP is there; says whether that was news.
    pub(super) fn greet(
        &mut self,
        now: Instant,
        config: ConnectionConfig,
        target: impl FnOnce(&HostPort) -> Target,
    ) -> bool {
        let (true, Some(place)) = (self.line.is_connecting(), &self.target) else { return false };
        self.line.greet(now, Arc::new(config), target(place), self.chance.next_u64());
        self.outputs.push_back(UpstreamOutput::Write);
        true
    }

    pub(super) fn hang_up(&mut self, farewell: Farewell) {
        if let Some(farewell) = self.line.hang_up(farewell) {
            let attempt = self.line.attempt();
            self.outputs.push_back(UpstreamOutput::Disconnect { attempt, farewell });
        }
    }
}

/// A machine around a [`Caller`].
pub(super) trait Machine {
    type Event;

    fn caller(&mut self) -> &mut Caller<Self::Event>;
    /// TCP is there.
    fn on_connected(&mut self, now: Instant);
    fn on_event(&mut self, now: Instant, event: ClientEvent);
    /// The events of one input are over, and the connection is still there.
    fn after_input(&mut self, now: Instant);
    /// The attempt has failed.
    fn fail(&mut self, now: Instant, error: AttemptError);

    /// Something happened on connection `attempt`. Inputs of attempts that are over are ignored, their bytes too.
    fn take_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress {
        if !self.caller().line.is_running(attempt) {
            if let UpstreamInput::Received(bytes) = input {
                bytes.clear();
            }
            return Progress::NeedBytes;
        }
        match input {
            UpstreamInput::Connected => self.on_connected(now),
            UpstreamInput::ConnectFailed(failure) => {
                self.caller().line.forget();
                self.fail(now, failure.into());
            }
            UpstreamInput::Received(bytes) => return self.take_bytes(now, attempt, bytes),
            UpstreamInput::Stalled => self.fail(now, AttemptError::Stalled),
            UpstreamInput::Closed => {
                self.caller().line.forget();
                self.fail(now, AttemptError::Closed);
            }
        }
        Progress::NeedBytes
    }

    fn take_bytes(&mut self, now: Instant, attempt: u64, bytes: &mut BytesMut) -> Progress {
        let progress = loop {
            let result = self.caller().line.receive(now, bytes);
            let mut events = 0;
            while let Some(event) = self.caller().line.poll_event() {
                events += 1;
                // An error closes, too, and says more.
                if event != ClientEvent::Closed || result.is_ok() {
                    self.on_event(now, event);
                }
            }
            match result {
                // An event ended the attempt.
                _ if !self.caller().line.is_running(attempt) => break Progress::NeedBytes,
                Ok(Progress::Paused) if events > 0 && self.caller().outputs.len() < OUTPUTS_MAX => {}
                Ok(progress) => break progress,
                Err(error) => {
                    self.fail(now, error);
                    break Progress::NeedBytes;
                }
            }
        };
        if !self.caller().line.is_running(attempt) {
            bytes.clear();
            return Progress::NeedBytes;
        }
        self.after_input(now);
        if !self.caller().private().is_empty() {
            self.caller().outputs.push_back(UpstreamOutput::Write);
        }
        progress
    }
}
