//! An SRS-compatible RTMP edge: it relays live streams, pulls what viewers ask for from origins, pushes what publishers
//! bring to them, and reads the configuration files operators have.
//!
//! ```text
//!   publisher ─▶ edge::Edge (home shard) ─▶ hub::Ingest ─segments─▶ hub::Hub ─▶ viewers here
//!   origin ────▶ upstream::Pull ───────────────┘              └──▶ other shards ─▶ hub::Hub ─▶ viewers there
//!                                                             └──▶ upstream::Push ─▶ origin
//! ```
//!
//! Everything but the module `tokio` is a machine without I/O: you bring bytes, connections and the time, you get
//! bytes, wishes and events. No part opens a socket or a file, starts a thread, reads a clock or the environment, or
//! draws random numbers of its own.
//!
//! | module | for |
//! |---|---|
//! | [`config`] | SRS configuration files: parser, diagnostics, typed model, reload difference |
//! | [`edge`] | one shard: connections, questions to the owner, routing, numbers, reload, stop |
//! | [`hub`] | one stream: caches, timestamps, queues of viewers; bytes written once for all |
//! | [`upstream`] | connections to origins: choice, failover, back-off, redirects |
//! | [`admission`] | limits of connections, web pages, addresses over HTTP |
//! | `tokio` (feature `tokio`) | the driver: threads, sockets, names, an async face |
//!
//! # A relay in a few lines
//!
//! With the feature `tokio`; `examples/relay.rs` is this with arguments:
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # async fn relay() -> Result<(), edge_cluster::tokio::ServeError> {
//! use edge_cluster::{EdgeConfig, tokio::Edge};
//!
//! let config = EdgeConfig::builder().origin("origin.example:1935").build()?;
//! Edge::bind("[::]:1935", config).await?.run_until(std::future::pending::<()>()).await
//! # }
//! ```
//!
//! `examples/keep.rs` records a stream through an edge inside the program, to a file or to standard output, and goes on
//! when an origin fails. Programs that publish a file, pull from one server, record an encoder or look into a dump need no
//! edge: see `publish`, `pull_to_stdout`, `record` and `dump` among the examples of `rtmp-core`.
//!
//! # Not implemented
//!
//! RTMPS, pulling over HTTP-FLV, HLS and WebRTC; `SO_REUSEPORT`.
//!
//! # Reading a configuration
//!
//! ```
//! use edge_cluster::config::{LoadOptions, MemorySources, load};
//!
//! let text = "
//!     listen 1935;
//!     vhost __defaultVhost__ {
//!         cluster { mode remote; origin 192.168.1.100 192.168.1.200:19350; }
//!         play    { gop_cache off; queue_length 10; }
//!     }";
//! let files = MemorySources::from([("edge.conf", text)]);
//! let loaded = load(&files, "edge.conf", &LoadOptions::default())?;
//!
//! let vhost = loaded.config.vhost("live.example.com").ok_or("refused")?;
//! assert!(vhost.cluster.is_edge());
//! assert_eq!(vhost.cluster.origins[1].to_string(), "192.168.1.200:19350");
//! assert!(!vhost.play.gop_cache);
//! assert!(loaded.warnings.is_empty());
//!
//! // A mistake names its place and the word that was probably meant.
//! let files = MemorySources::from([("edge.conf", "listen 1935;\nvhost a { cluster { orgin b; } }")]);
//! let error = load(&files, "edge.conf", &LoadOptions::default()).unwrap_err();
//! assert_eq!(
//!     error.diagnostics()[0].to_string(),
//!     r#"edge.conf:2:21: unknown directive vhost.cluster.orgin (did you mean "origin"?)"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trust
//!
//! Clients and origins are hostile until shown otherwise: names are bounded, every queue and table has a limit, and an
//! error ends one connection and nobody else's. Whoever writes the configuration runs the server, but files come from
//! templates and containers too: no input panics, recursion has a depth, and sizes and counts are bounded by
//! [`config::ConfigLimits`].
#![forbid(unsafe_code)]
// What a peer, an origin or a hook sends must not be able to panic: no index, slice, expect or unwrap without its reason
// beside it.
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

pub mod admission;
pub mod config;
mod conn;
mod conn_map;
pub mod edge;
pub mod hub;
mod key;
#[cfg(feature = "tokio")]
pub mod tokio;
pub mod upstream;

pub use config::EdgeConfig;
pub use conn::{ConnId, ShardId};
pub use key::StreamKey;
