//! The Jamulus protocol without any I/O.
#![forbid(unsafe_code)]

mod io;
pub mod rng;
pub mod tables;
mod types;

pub use io::{Input, Transmit, canonical};
pub use types::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
