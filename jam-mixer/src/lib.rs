//! A jam server as a library.

#![deny(unsafe_code)]

pub mod codec;
pub mod engine;
pub mod jitter;
pub mod job;
pub mod meter;
#[cfg(feature = "threads")]
pub mod pool;
#[doc(hidden)]
pub mod reference;
pub mod tap;

mod mix;
mod pcm;

mod clock;
mod load;
pub mod server;
#[cfg(feature = "tokio")]
pub mod tokio;
pub use job::Inline;
pub use load::OverloadConfig;
pub use server::{JamConfig, JamServer, Output};
