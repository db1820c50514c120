//! RTMP without any I/O.
#![forbid(unsafe_code)]

pub mod amf;
mod budget;
pub mod chunk;
mod client;
mod config;
mod error;
pub mod flv;
pub mod handshake;
mod limits;
mod link;
pub mod media;
pub mod message;
pub mod segment;
mod server;
#[cfg(feature = "sim")]
pub mod sim;
mod stats;
mod time;
mod url;

pub use client::{ClientConnection, ClientEvent, Purpose, Target};
pub use config::{AnnouncePublish, BandwidthDone, ConnectionConfig};
pub use error::{
    ChunkError, CommandError, ConnectionError, HandshakeError, LimitExceeded, LimitKind, Waiting,
};
pub use limits::{AmfLimits, Limits, Timeouts};
pub use link::Progress;
pub use media::{Media, MediaKind};
pub use server::{EndReason, PublishStyle, RequestId, ServerConnection, ServerEvent};
pub use stats::Stats;
pub use time::Timestamp;
pub use url::{DEFAULT_APP, DEFAULT_VHOST, StreamUrl, UrlError};
