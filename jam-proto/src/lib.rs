//! The Jamulus protocol, server and client side, without any I/O.
//!
//! You bring datagrams and the current time; you get datagrams, events and the time of the next wake-up:
//!
//! ```text
//!   socket ──Input::Datagram──▶ ┌────────┐ ──Output::Transmit──▶ socket
//!   clock  ──Input::Timeout───▶ │ Server │ ──Output::Event─────▶ mixer, recorder, log
//!   you    ──command()────────▶ └────────┘ ◀─poll_timeout()────── clock
//!                                    └──Disposition::Audio────▶ mixer: the slice you passed in is the audio
//! ```
//!
//! # What it does not do
//!
//! The crate opens no sockets, starts no threads, draws no random numbers and never asks what time it is. It does not
//! decode, mix or encode audio: audio datagrams are recognised and handed back (see [`Disposition::Audio`]); the
//! `jam-mixer` crate does that part. It writes no files and logs nothing: there are events and counters.
//!
//! # Machines
//!
//! | machine | what it plays |
//! |---|---|
//! | [`Server`] | a jam server: admission, lists, faders, chat, levels |
//! | [`Responder`] | the part of a server that answers anybody, for a thread of its own |
//! | [`client::Client`] | a musician's program: joins, mixes, chats, leaves |
//! | [`client::Query`] | somebody who only asks: version, lists, ping |
//! | [`directory::Directory`] | the list of servers others ask for |
//! | [`directory::Registrar`] | a server's entry in such a list |
//!
//! All keep one contract. `now` never goes backwards. After each call that takes `now`, drain `poll_output` until `None`
//! and then sleep until `poll_timeout` or the next datagram. Early, late and repeated timeouts are harmless. Work is
//! bounded by the size of the input and by configured limits, and so is memory. The same calls with the same seed give
//! the same outputs, so a list of calls is a capture that can be replayed.
//!
//! Below the machines, [`wire`] knows frames, [`message`] every message, [`reliable`] the acknowledged exchange and
//! [`audio`] the layout of audio datagrams.
//!
//! # Example
//!
//! A musician joins, with a loop in the place of the network:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Instant;
//!
//! use jam_proto::audio::Quality;
//! use jam_proto::client::{Client, ClientConfig, ClientOutput};
//! use jam_proto::message::{ChannelInfo, Name};
//! use jam_proto::server::{Event, Output};
//! use jam_proto::{BlockCodec, Disposition, Input, Layout, Server, ServerConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (room, zoe): (SocketAddr, SocketAddr) = ("192.0.2.1:22124".parse()?, "192.0.2.2:22134".parse()?);
//! let now = Instant::now();
//! let seed = 7; // from the operating system, in a real program
//! let mut server = Server::new(ServerConfig::builder().welcome("Have fun").build()?, seed, now);
//!
//! let mut config = ClientConfig::new(Quality::Normal.props(BlockCodec::Opus, Layout::Stereo));
//! config.info = ChannelInfo { name: Name::new("Zoë")?, ..ChannelInfo::default() };
//! let mut client = Client::new(config, room, now);
//!
//! // A client knocks with audio; here it is one block of zeros.
//! let block = [0; 71];
//! if let Some(datagram) = client.send_block(&block) {
//!     let _ = server.handle_input(now, Input::Datagram { src: zoe, payload: datagram });
//! }
//!
//! let mut identified = None;
//! loop {
//!     if let Some(output) = server.poll_output() {
//!         match output {
//!             Output::Transmit(t) => {
//!                 let _ = client.handle_input(now, Input::Datagram { src: room, payload: &t.payload });
//!             }
//!             Output::Event(Event::Identified { channel, info }) => identified = Some((channel, info.name)),
//!             _ => {}
//!         }
//!     } else if let Some(output) = client.poll_output() {
//!         if let ClientOutput::Transmit(t) = output {
//!             let _ = server.handle_input(now, Input::Datagram { src: zoe, payload: &t.payload });
//!         }
//!     } else {
//!         break; // nobody has anything to say; sleep until the earlier poll_timeout()
//!     }
//! }
//! let (channel, name) = identified.ok_or("the server knows who plays")?;
//! assert_eq!(&*name, "Zoë");
//! assert_eq!(client.channel(), Some(channel));
//!
//! // From now on both sides send audio with sequence bytes.
//! let datagram = client.send_block(&block).ok_or("one block per datagram")?;
//! assert_eq!(datagram.len(), 72);
//! let disposition = server.handle_input(now, Input::Datagram { src: zoe, payload: datagram });
//! assert_eq!(disposition, Disposition::Audio(channel));
//! assert!(server.is_audio_due(now, channel));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `sim` | the module `sim`: a seeded datagram network in virtual time, with delay, jitter, loss, duplication, reordering, rates and address changes |
//!
//! # Conformance
//!
//! Written against `docs/spec/jamulus.md`, which describes version 3.9.1 and the development head of 2026-08-17 from the
//! outside. Sections:
//!
//! | section | state |
//! |---|---|
//! | 1 framing, acknowledgement, splitting | complete, with the improvements the text recommends: bounded repetition, frames built when sent, a first part starts over |
//! | 2 messages | all of both versions; of those never released (2.6), none |
//! | 3 audio transport | layout, sizes and message 20; block sizes beyond 1275 bytes are refused. Coding is `jam-mixer`'s |
//! | 4 jitter buffer, 5.1, 5.2, 5.7, 5.10 mixing and levels | not here: `jam-mixer` |
//! | 5 channels, connection, gains, mute notices, chat | complete; newcomers have to prove their address first (10.6) |
//! | 6 directories | complete over IPv4, which is all the protocol has |
//! | 7 recorder, 8 remote control, 9 command line | not here: programs |
//! | 10.6 countermeasures | nothing but small, paid answers to strangers; see [`guard`] |
//! | 11 sequences | both directions, proven by replaying captures of real programs |
//!
//! Clients older than 3.3.1 (no Opus) are told so and not served; those before 3.3.0 cannot say who they are. Both hold a
//! channel for 10 s, hear nothing, and get another one after a pause that grows to a minute.
//!
//! Three levels of tests hold this up: every vector of `tests/data/` is read and written byte for byte;
//! captured sessions of shipped clients and servers are replayed into [`Server`] and [`client::Client`], which must say
//! the same in the same order; properties and simulations cover what no capture shows.
#![forbid(unsafe_code)]
// What a peer sends must not be able to panic: no index, slice, expect or unwrap without its reason beside it, and in
// the modules that read peers' bytes no arithmetic that could overflow.
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

#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod audio;
mod channel;
pub mod client;
mod config;
pub mod directory;
mod error;
pub mod guard;
mod io;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod message;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod reliable;
mod responder;
pub mod rng;
pub mod server;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod stats;
pub mod tables;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod text;
mod types;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
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
