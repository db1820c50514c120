//! RTMP without any I/O: handshake, chunks, messages, AMF, and both sides of a connection.
//!
//! You bring bytes and the current time, you get bytes, events and the time of the next wake-up:
//!
//! ```text
//!            ┌───────────────── ServerConnection / ClientConnection ─────────────────┐
//!   socket ──▶ handle_input   handshake ▶ chunk::ChunkReader ▶ message ▶ amf ▶ state │──poll_event──▶ you
//!   clock  ──▶ handle_timeout                                                   │    │◀─accept, reject,
//!   socket ◀── outgoing       ◀──────────  chunk::ChunkWriter  ◀────────────────┘    │  send_media ... you
//!   clock  ◀── poll_timeout                                                          │
//!            └───────────────────────────────────────────────────────────────────────┘
//!
//!   many viewers:   segment::SegmentWriter ──▶ Arc<Segment> ──▶ segment::Outgoing (one Cursor per viewer) ──▶ sockets
//! ```
//!
//! The crate opens no sockets, starts no threads, never asks what time it is and draws no random numbers of its own.
//! It does not decode audio or video, resolve names, encrypt (put TLS in front for `rtmps`), or speak RTMPE and RTMPT.
//!
//! # A server in a few lines
//!
//! The loop is the same for a client. A driver with real sockets replaces the two buffers:
//!
//! ```
//! use std::{sync::Arc, time::Instant};
//! use bytes::BytesMut;
//! use rtmp_core::message::{Status, status::code};
//! use rtmp_core::{
//!     ClientConnection, ClientEvent, CommandError, ConnectionConfig, Progress, Purpose, ServerConnection, ServerEvent,
//!     Target,
//! };
//!
//! fn on_event(server: &mut ServerConnection, now: Instant, event: ServerEvent) -> Result<(), CommandError> {
//!     match event {
//!         ServerEvent::ConnectRequested { request, .. } => server.accept(now, request),
//!         ServerEvent::PublishRequested { request, name, .. } if &*name == "show" => server.accept(now, request),
//!         ServerEvent::PublishRequested { request, .. } => {
//!             server.reject(request, &Status::error(code::PUBLISH_BAD_NAME, "only the show is on"))
//!         }
//!         ServerEvent::Media(media) => Ok(println!("{:?} at {}", media.kind, media.timestamp)),
//!         // Every request needs an answer: input waits for it.
//!         other => other.request().map_or(Ok(()), |request| {
//!             server.reject(request, &Status::error(code::PLAY_FAILED, "there is nothing to see"))
//!         }),
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let config = Arc::new(ConnectionConfig::default());
//! let mut server = ServerConnection::new(Arc::clone(&config), 1, now);
//! let purpose = Purpose::Publish(Default::default());
//! let mut client = ClientConnection::new(config, Target::new("rtmp://v/live", "live", "show", purpose), 2, now);
//!
//! let mut accepted = false;
//! while !accepted {
//!     let mut to_server = client.outgoing().split(); // what a socket would carry
//!     let mut to_client = BytesMut::new();
//!     loop {
//!         let progress = server.handle_input(now, &mut to_server)?;
//!         while let Some(event) = server.poll_event() {
//!             on_event(&mut server, now, event)?;
//!         }
//!         to_client.unsplit(server.outgoing().split());
//!         // All requests were answered. Whoever answers later leaves the loop at `Progress::Asking`, too.
//!         if progress == Progress::NeedBytes {
//!             break;
//!         }
//!     }
//!     while client.handle_input(now, &mut to_client)? != Progress::NeedBytes {}
//!     while let Some(event) = client.poll_event() {
//!         accepted |= event == ClientEvent::PublishAccepted;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | module | for |
//! |---|---|
//! | [`handshake`] | C0 to S2, plain and digest, both roles |
//! | [`chunk`] | messages to chunks and back |
//! | [`amf`] | AMF0 and AMF3 values |
//! | [`message`] | control, commands, status, data, aggregates |
//! | [`media`] | sequence headers, key frames, codecs, tracks; Enhanced RTMP |
//! | [`segment`] | chunks written once and shared by all viewers of a stream |
//! | [`flv`] | the same media as FLV tags |
//! | `sim` (feature `sim`) | a seeded link for tests: latency, bandwidth, cuts, stalls, resets |
//!
//! # Conformance
//!
//! Implemented: both handshake schemes; all chunk header forms; extended timestamps with and without repetition on
//! read, with it on write; Set Chunk Size, Abort, Acknowledgement, User Control, Window Acknowledgement Size, Set Peer
//! Bandwidth; AMF0 and AMF3 with all markers but private object formats; all calls of shipped encoders, players and
//! relays; aggregates; Enhanced RTMP version 1 and 2 headers, multitrack, ModEx, reconnect requests and capabilities.
//!
//! Not implemented: RTMPE, RTMPT, shared objects (ignored), seeking (live streams only), several streams on one
//! connection, haproxy headers in front of the handshake.
//!
//! # Trust
//!
//! Everything a peer sends is hostile until shown otherwise: no input panics, recursion and loops have bounds, memory
//! grows with bytes that have arrived and never with lengths that were announced, and every bound is a field of
//! [`Limits`]. An error ends one connection and nobody else's.
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
pub mod amf;
mod budget;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod chunk;
mod client;
mod config;
mod error;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod flv;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod handshake;
mod limits;
mod link;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
pub mod media;
#[cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
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
pub use url::{DEFAULT_APP, DEFAULT_VHOST, NameFault, StreamUrl, UrlError};
