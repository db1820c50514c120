//! RTMP without any I/O.
#![forbid(unsafe_code)]

pub mod amf;
mod budget;
pub mod chunk;
mod error;
pub mod flv;
pub mod handshake;
mod limits;
pub mod media;
pub mod message;
mod time;
mod url;

pub use error::{
    ChunkError, CommandError, ConnectionError, HandshakeError, LimitExceeded, LimitKind, Waiting,
};
pub use limits::{AmfLimits, Limits, Timeouts};
pub use media::{Media, MediaKind};
pub use time::Timestamp;
pub use url::{DEFAULT_APP, DEFAULT_VHOST, StreamUrl, UrlError};
