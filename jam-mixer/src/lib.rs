//! A jam server as a library: jitter buffers, the codec, personal mixes, and the whole Jamulus-compatible server around
//! them.
//!
//! ```text
//!   tokio::JamServer (feature `tokio`)   sockets, an audio thread, an async face
//!     └─ JamServer                       the machine: protocol + mixer + tick clock, no I/O
//!          ├─ jam_proto::Server          who is there, faders, chat, lists
//!          └─ Engine                     jitter buffers ▶ decode ▶ mix ▶ encode, one tick at a time
//! ```
//!
//! # A jam server in a few lines
//!
//! With the feature `tokio`; `examples/jam.rs` is this as a program, `examples/two_rooms.rs` runs two of them:
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # async fn jam() -> Result<(), Box<dyn std::error::Error>> {
//! use jam_mixer::{JamConfig, tokio::JamServer};
//!
//! let config = JamConfig::builder().channels_max(20).welcome("Have fun").build()?;
//! let server = JamServer::bind("[::]:22124", config).await?;
//! println!("jam on {:?}", server.local_addrs());
//! server.run_until(std::future::pending::<()>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # By hand
//!
//! [`JamServer`] opens no socket, starts no thread and asks no clock: you bring datagrams and the time, and send what it
//! puts out, and come back at [`poll_timeout`](JamServer::poll_timeout). `examples/by_hand.rs` is the loop with a real
//! socket:
//!
//! ```
//! use jam_mixer::{Inline, JamConfig, JamServer, Output, codec::Raw};
//! use jam_proto::Input;
//! # let now = std::time::Instant::now();
//!
//! let mut jam = JamServer::new(JamConfig::builder().build()?, Raw, Box::new(Inline), 7, now);
//! let src = "192.0.2.1:22134".parse()?;
//! jam.handle_input(now, Input::Datagram { src, payload: &[0; 257] });
//! let Some(Output::Transmit(question)) = jam.poll_output() else { panic!("a newcomer is asked for its format") };
//! assert_eq!(question.dst, src);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | module | for |
//! |---|---|
//! | [`server`] | configuration, commands, events of the machine |
//! | [`engine`] | the audio of a room without protocol or clock |
//! | [`codec`] | Opus Custom (feature `opus-custom`), raw blocks, and the trait for others |
//! | [`jitter`] | the jitter buffer, with and without sequence numbers, automatic or fixed |
//! | [`job`], `pool` | who does the work of a tick: the caller, or threads (feature `threads`) |
//! | [`recorder`] | a file for each musician, written beside the sound (feature `disk`) |
//! | [`meter`], [`tap`] | levels; the samples of a tick, for who listens without playing |
//! | `tokio` | the driver (feature `tokio`) |
//!
//! # Features
//!
//! `opus-custom`, `threads` and `disk` are on by default. The codec's C sources come from the package registry and are
//! compiled by the build script: a C compiler is all it needs.

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
