//! One stream: written once at its home, shared by all viewers (spec section 9).
//!
//! ```text
//!   source ──Media──▶ Ingest ──Update──▶ Hub (home shard) ──▶ viewers, upstream servers
//!                                  ├───▶ Hub (other shard) ──▶ viewers
//!                                  ╰───▶ ...
//! ```
//!
//! An [`Ingest`] writes the messages of the source as [`StreamSegment`]s of chunks. A [`Hub`] keeps the latest ones and
//! knows where each viewer is; a viewer that keeps up gets the shared bytes themselves. What differs between viewers is
//! little: the headers at the start, the times (a [`Cursor`](rtmp_core::segment::Cursor) splices them in), and what is
//! left out for slow ones.
//!
//! | What | How |
//! |---|---|
//! | GOP cache | A position: every key frame begins a segment. It ends where more than 115 audio messages follow each other, and at its limits of messages and bytes. |
//! | Queue | Nothing is queued. A viewer farther behind than `queue_length` or the limit of bytes goes on at the newest key frame; if there is none, audio goes on and pictures wait for one. |
//! | Times | Segments hold those of the source, and a correction. Each viewer gets what `time_jitter` and `atc` say. FLV viewers all get the same times, which begin when the first of them comes. |
//! | Sources | The next source of a stream is a new epoch: no old picture is kept, times go on 10 ms later. |
//! | Some viewers alone | Those that want only audio or video, wait for a key frame, or get one message per write, get messages of their own. |
//!
//! # Example
//!
//! ```
//! # #![allow(clippy::disallowed_methods)]
//! use std::{sync::Arc, time::Instant};
//! use bytes::{Buf, Bytes, BytesMut};
//! use edge_cluster::ConnId;
//! use edge_cluster::config::{LoadOptions, MemorySources, load};
//! use edge_cluster::hub::{Hub, Ingest, Join, JoinKind, Lane, PrivateSink, StreamSettings};
//! use rtmp_core::{Media, MediaKind, Timestamp};
//!
//! /// Where messages for one viewer alone go: usually its connection.
//! #[derive(Default)]
//! struct Headers(Vec<Media>);
//! impl PrivateSink for Headers {
//!     fn pending_bytes(&self) -> usize { 0 }
//!     fn send_media(&mut self, media: &Media) { self.0.push(media.clone()); }
//! }
//!
//! let files = MemorySources::from([("a", "listen 1935; vhost __defaultVhost__ { min_latency on; }")]);
//! let config = load(&files, "a", &LoadOptions::default())?.config;
//! let settings = Arc::new(StreamSettings::from(config.vhost("any").ok_or("refused")?));
//!
//! let now = Instant::now();
//! let mut ingest = Ingest::new(settings.clone());
//! let mut hub = Hub::new(settings);
//! ingest.begin(now);
//! for (millis, payload) in [(7000, [0x17, 0, 0, 0, 0, 1]), (7000, [0x17, 1, 0, 0, 0, 9]), (7040, [0x27, 1, 0, 0, 0, 9])] {
//!     let (kind, timestamp) = (MediaKind::Video, Timestamp::from_millis(millis));
//!     ingest.push(now, &Media { kind, timestamp, payload: Bytes::copy_from_slice(&payload) });
//! }
//! ingest.burst_end(now);
//! while let Some(update) = ingest.poll_update() {
//!     hub.apply(now, &update);
//! }
//!
//! // Somebody comes later and begins with the key frame.
//! hub.join(ConnId::inbound(1), Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer });
//! let viewer = hub.poll_ready().ok_or("nobody is ready")?;
//! let (mut own, mut private) = (Headers::default(), BytesMut::new());
//! hub.prepare(now, viewer, &mut own);
//! assert_eq!((own.0.len(), own.0[0].timestamp.millis()), (1, 9));
//! let mut outgoing = hub.outgoing(viewer, &mut private).ok_or("gone")?;
//! assert_eq!(outgoing.remaining(), 12 + 6 + 8 + 6);
//! let _sent = outgoing.copy_to_bytes(outgoing.remaining());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audience;
mod describe;
mod flv;
mod gop;
mod ingest;
mod jitter;
mod mix;
mod overlap;
mod policy;
mod private;
mod settings;
mod stats;
mod store;
mod stream;
mod update;
mod viewer;
mod whole;

pub use ingest::Ingest;
pub use policy::Shed;
pub use settings::StreamSettings;
pub use stats::{HubStats, IngestStats};
pub use stream::{Hub, HubEvent};
pub use update::{StreamSegment, Update};
pub use viewer::{Join, JoinKind, Lane, PrivateSink};
