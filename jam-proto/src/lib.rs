//! The Jamulus protocol without any I/O.
#![forbid(unsafe_code)]

pub mod audio;
pub mod client;
pub mod directory;
mod io;
pub mod message;
pub mod reliable;
pub mod rng;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod tables;
mod types;
pub mod wire;

pub use io::{Input, Transmit, canonical};
pub use types::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
