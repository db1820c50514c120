//! Why an attempt at an origin came to nothing.

use std::io;
use std::time::Duration;

use rtmp_core::ConnectionError;
use rtmp_core::message::Status;

use crate::config::HostPort;

/// Why there is no TCP connection. The driver says so after every address of the name has been tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The name has no address, or the resolver does not answer.
    #[error("the name cannot be resolved")]
    NameNotFound,
    /// No answer within the time the machine had named.
    #[error("no answer in time")]
    TimedOut,
    /// The operating system said no.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The target is a listener of this server: it would pull from itself. Correct the list of origins.
    #[error("the target is a listener of this server")]
    OwnAddress,
}

/// Why an attempt is over. The next one goes to another server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// There is no TCP connection.
    #[error("connect: {0}")]
    Connect(#[from] ConnectFailure),
    /// Handshake and commands together took too long.
    #[error("handshake and commands took longer than {0:?}")]
    Setup(Duration),
    /// The server broke the protocol or one of our limits.
    #[error(transparent)]
    Protocol(#[from] ConnectionError),
    /// The server refused `connect`, `play` or `publish`.
    #[error("refused: {} {}", .0.code, .0.description)]
    Refused(Box<Status>),
    /// The server ended a running play or publish with an error.
    #[error("ended by the server: {} {}", .0.code, .0.description)]
    Ended(Box<Status>),
    /// The server closed the connection, or the connection broke.
    #[error("connection closed by the server")]
    Closed,
    /// Not one message of any kind came for so long.
    #[error("no message for {0:?}")]
    Silent(Duration),
    /// The publisher is there, but neither audio nor video came for so long.
    #[error("no audio or video for {0:?}")]
    NoMedia(Duration),
    /// The server took no bytes for too long.
    #[error("the server takes no bytes")]
    Stalled,
    /// More redirects in a row than allowed.
    #[error("more than {0} redirects in a row")]
    RedirectDepth(usize),
    /// A redirect to a server that has just sent us away.
    #[error("redirected in a circle, to {0}")]
    RedirectLoop(HostPort),
    /// A redirect to a host that the settings do not allow.
    #[error("redirected to {0}, which is not allowed")]
    RedirectForbidden(HostPort),
    /// A redirect to something that is no RTMP server's address.
    #[error("redirected to {0:?}, which cannot be used")]
    RedirectUnusable(String),
}

impl AttemptError {
    /// What the server said, when it said something.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) | Self::Ended(status) => Some(status),
            _ => None,
        }
    }
}
