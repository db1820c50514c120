//! The Jamulus protocol without any I/O.
#![forbid(unsafe_code)]

pub mod audio;
mod channel;
pub mod client;
mod config;
pub mod directory;
mod error;
pub mod guard;
mod io;
pub mod message;
pub mod reliable;
mod responder;
pub mod rng;
pub mod server;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod stats;
pub mod tables;
pub mod text;
mod types;
pub mod wire;

pub use config::{DEFAULT_VERSION, ServerConfig, ServerConfigBuilder, ServerLimits};
pub use error::{CommandError, ConfigError};
pub use io::{Input, Transmit, canonical};
pub use responder::{Answer, Responder, Snapshot};
pub use server::{Admission, Command, Disposition, Event, LeaveReason, Output, Server};
pub use stats::ServerStats;
pub use types::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};

/// The UDP port of shipped servers (spec 9.1).
pub const DEFAULT_PORT: u16 = 22_124;
