//! A jam server as a library.

#![deny(unsafe_code)]
// What a peer sends must not be able to panic: no index, slice, expect or unwrap without its reason beside it. The inner
// loops of the mix are the exceptions: their tables have fixed lengths, and ChannelId cannot be larger.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod codec;
pub mod engine;
pub mod jitter;
pub mod job;
pub mod meter;
#[cfg(feature = "threads")]
pub mod pool;
pub mod recorder;
#[doc(hidden)]
pub mod reference;
pub mod tap;

mod clock;
mod load;
mod mix;
mod pcm;
pub mod server;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use engine::Engine;
pub use job::{Executor, Inline};
pub use load::OverloadConfig;
pub use server::{JamConfig, JamConfigBuilder, JamServer, Output};
