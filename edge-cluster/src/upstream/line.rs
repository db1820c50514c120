//! The one connection a machine may have at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::{ClientConnection, ClientEvent, ConnectionConfig, Progress, Target};

use super::{AttemptError, ConnectFailure};

/// At most one connection, with the number of its attempt.
#[derive(Debug)]
pub(super) struct Line {
    attempt: u64,
    state: State,
    /// Stands in where there is no connection.
    nothing: BytesMut,
}

#[derive(Debug)]
enum State {
    Closed,
    Connecting { deadline: Instant },
    Open(Box<ClientConnection>),
}

/// Whether the protocol's good-bye is said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Farewell {
    Say,
    Skip,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { attempt: 0, state: State::Closed, nothing: BytesMut::new() }
    }

    /// Number of the last attempt, 0 before the first one.
    pub(super) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Whether `attempt` is the running one.
    pub(super) fn is_running(&self, attempt: u64) -> bool {
        attempt == self.attempt && !matches!(self.state, State::Closed)
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// Begins an attempt and returns its number.
    pub(super) fn begin(&mut self, deadline: Instant) -> u64 {
        self.attempt += 1;
        self.state = State::Connecting { deadline };
        self.attempt
    }

    /// TCP is there: greets the server.
    pub(super) fn greet(&mut self, now: Instant, config: Arc<ConnectionConfig>, target: Target, seed: u64) {
        self.state = State::Open(Box::new(ClientConnection::new(config, target, seed, now)));
    }

    pub(super) fn connection(&self) -> Option<&ClientConnection> {
        match &self.state {
            State::Open(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut ClientConnection> {
        match &mut self.state {
            State::Open(connection) => Some(connection),
            _ => None,
        }
    }

    /// Gives received bytes to the connection; there is nothing to do without one.
    pub(super) fn receive(&mut self, now: Instant, bytes: &mut BytesMut) -> Result<Progress, AttemptError> {
        match self.connection_mut() {
            Some(connection) => Ok(connection.handle_input(now, bytes)?),
            None => Ok(Progress::NeedBytes),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<ClientEvent> {
        self.connection_mut()?.poll_event()
    }

    pub(super) fn private(&mut self) -> &mut BytesMut {
        match &mut self.state {
            State::Open(connection) => connection.outgoing(),
            _ => &mut self.nothing,
        }
    }

    /// Ends the attempt from our side. `None` when there is none, else the last bytes to send.
    pub(super) fn hang_up(&mut self, farewell: Farewell) -> Option<Bytes> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => None,
            State::Connecting { .. } => Some(Bytes::new()),
            State::Open(mut connection) => {
                if farewell == Farewell::Skip {
                    return Some(Bytes::new());
                }
                // A good-bye that cannot be written is not worth a word.
                let _ = connection.close();
                Some(connection.outgoing().split().freeze())
            }
        }
    }

    /// The attempt has ended by itself.
    pub(super) fn forget(&mut self) {
        self.state = State::Closed;
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), AttemptError> {
        match &mut self.state {
            State::Connecting { deadline } if now >= *deadline => {
                Err(AttemptError::Connect(ConnectFailure::TimedOut))
            }
            State::Open(connection) => Ok(connection.handle_timeout(now)?),
            _ => Ok(()),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Closed => None,
            State::Connecting { deadline } => Some(*deadline),
            State::Open(connection) => connection.poll_timeout(),
        }
    }
}

/// The connection's own times, so that the machine's are the ones that count.
pub(super) fn with_times(mut config: ConnectionConfig, answer: Duration) -> ConnectionConfig {
    config.timeouts.handshake = answer;
    config.timeouts.connect = answer;
    config.timeouts.request = answer;
    config.timeouts.first_media = None;
    config.timeouts.media = None;
    config
}
