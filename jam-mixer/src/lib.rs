//! A jam server as a library.

#![deny(unsafe_code)]

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
