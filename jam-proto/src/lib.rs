//! The Jamulus protocol without any I/O.
#![forbid(unsafe_code)]

pub mod rng;
mod types;

pub use types::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
