//! What a pull tells its owner.

use std::time::{Duration, Instant};

use rtmp_core::{Media, Stats};

use super::super::AttemptError;
use crate::config::HostPort;

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
    SourceEnded {
        /// The server.
        target: HostPort,
        /// Why.
        why: SourceEnd,
    },
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
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceEnd {
    /// The origin says that the publisher has left. The connection stays for a while: it may come back there.
    #[error("nobody publishes it there any more")]
    Unpublished,
    /// The attempt failed.
    #[error(transparent)]
    Lost(AttemptError),
    /// The origin sent us elsewhere.
    #[error("redirected")]
    Redirected,
    /// [`Pull::stop`](super::Pull::stop) was called.
    #[error("not needed any more")]
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
