//! What can go wrong in the driver.

use std::io;
use std::net::SocketAddr;

use crate::config::{ConfigError, ReloadError};
use crate::edge::{CloseReason, Refusal};

/// Why an edge could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address could not be looked up.
    #[error("cannot look up the address to listen on: {0}")]
    Lookup(io::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}: {error}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The system refused a thread or a descriptor.
    #[error("cannot start a shard: {0}")]
    Start(io::Error),
    /// The edge has stopped: it was told to, or a shard panicked (a defect of this crate).
    #[error("the edge has ended")]
    Ended,
}

/// Why a reload had no effect; everything goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadFailure {
    /// The new configuration changes what cannot change.
    #[error(transparent)]
    Refused(#[from] ReloadError),
    /// A new address cannot be listened on, or the edge has ended.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Why a stream is not sent over HTTP.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The request was refused: 404 for [`Refusal::Mount`] and [`Refusal::StreamNotFound`], else 403 or 503.
    #[error(transparent)]
    Refused(Refusal),
    /// All connections are taken.
    #[error("too many connections")]
    Full,
    /// The connection ended before it began.
    #[error("{0}")]
    Closed(CloseReason),
    /// The edge has ended.
    #[error("the edge has ended")]
    Ended,
}
