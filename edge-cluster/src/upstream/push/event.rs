//! What a push tells its owner.

use std::time::Duration;

use rtmp_core::Stats;
use rtmp_core::message::Status;

use super::super::AttemptError;
use crate::config::HostPort;

/// What a push tells its owner.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PushEvent {
    /// An origin takes the stream for the first time: the publisher can be told. [`Join`](Self::Join) follows.
    Accepted,
    /// Media may flow: begin with metadata, headers and the newest key frame, on this message stream. What is private
    /// goes first.
    Join {
        /// The message stream at the origin.
        msid: u32,
    },
    /// No media any more: forget what was partly sent. The machine looks for another origin, unless an end follows.
    Left {
        /// The server.
        target: HostPort,
        /// Why.
        why: PushEnd,
    },
    /// An attempt failed. The next one begins at once, unless another event says something else.
    AttemptFailed {
        /// The server.
        target: HostPort,
        /// Why.
        error: AttemptError,
    },
    /// Each server has failed since the last wait: the next attempt is made after this time.
    RoundFailed {
        /// How long nothing happens.
        wait: Duration,
    },
    /// The server sent us on; the next output connects there.
    Redirected {
        /// The server that did.
        from: HostPort,
        /// Where to.
        to: HostPort,
    },
    /// No origin takes the stream: refuse the publisher with this status. The push is over.
    Refused(Box<Status>),
    /// The stream cannot be kept at any origin: send the publisher this status and close. The push is over.
    GaveUp(Box<Status>),
}

/// Why a server gets no media any more.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PushEnd {
    /// The attempt failed.
    #[error(transparent)]
    Lost(AttemptError),
    /// The server sent us elsewhere.
    #[error("redirected")]
    Redirected,
    /// [`Push::stop`](super::Push::stop) was called: the publisher has left.
    #[error("the publisher has left")]
    Stopped,
}

/// What a push is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PushPhase {
    /// Connecting, or talking until the publish is accepted.
    Connecting,
    /// An origin takes the media.
    Publishing,
    /// All servers failed; the next attempt comes after a wait.
    Waiting,
    /// Stopped, refused or given up.
    Over,
}

/// How a push stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PushStatus {
    /// What it is doing.
    pub phase: PushPhase,
    /// The server of the running or last attempt.
    pub target: Option<HostPort>,
    /// Connections so far.
    pub attempts: u64,
    /// Attempts that failed so far.
    pub failures: u64,
    /// Counters of the running connection; media written from shared segments is not in them.
    pub stats: Stats,
}
