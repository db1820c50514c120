//! The configuration of an SRS-compatible RTMP edge, without any I/O.
//!
//! You bring the text of the files and the environment, you get a typed [`config::EdgeConfig`] with warnings, or all
//! the errors at once, each with file, line, column and the nearest known name:
//!
//! ```text
//!   files ──Sources──▶ lexer ▶ tree ▶ old forms ▶ environment ▶ checks ▶ EdgeConfig + warnings
//!                        ╰────────┴───────┴────────────┴──────────┴────▶ ConfigError: every Diagnostic
//!
//!   difference(running, new) ─────▶ what a reload changes, what needs a restart, what is refused
//! ```
//!
//! The crate opens no files and reads no environment of its own.
//!
//! # What is not here yet
//!
//! This version reads, checks, explains and compares configurations. **It does not relay**: there is no stream hub, no
//! pull from origins and no push to them; those parts will use the model of this version. A directive that only those
//! parts need is parsed and checked today and has a typed field.
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
//! Whoever writes the configuration runs the server, but files come from templates and containers too: no input
//! panics, recursion has a depth, and sizes and counts are bounded by [`config::ConfigLimits`].
#![forbid(unsafe_code)]

pub mod config;
mod conn;
pub mod edge;
pub mod hub;
mod key;
pub mod upstream;

pub use conn::{ConnId, ShardId};
pub use key::StreamKey;
