//! What the home of a stream tells its hubs, on this shard and on others.

use std::sync::Arc;

use rtmp_core::media::{Headers, MediaRole};
use rtmp_core::segment::{Entry, Segment};
use rtmp_core::{MediaKind, Timestamp};

/// What the home of a stream tells its hubs. Cheap to clone: media is shared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// A source begins: the first one, or the next one.
    Begin {
        /// Counts the sources of the stream, from 1.
        epoch: u32,
        /// Bytes per chunk in all segments to come.
        chunk_size: u32,
        /// It is the last one again, over another connection: nothing viewers have had comes a second time, and pictures
        /// go on without a key frame.
        continues: bool,
    },
    /// The next messages.
    Segment(Arc<StreamSegment>),
    /// The source is gone.
    End {
        /// Which source.
        epoch: u32,
        /// The connection to it was lost: it may continue.
        is_lost: bool,
    },
}

/// Some messages of a stream with what a viewer needs to begin there.
#[derive(Debug)]
#[non_exhaustive]
pub struct StreamSegment {
    /// The source they are from.
    pub epoch: u32,
    /// Counts the segments of the stream, through all sources; a gap means that segments were left out.
    pub number: u64,
    /// The messages.
    pub chunks: Arc<Segment>,
    /// Metadata and sequence headers that are valid in front of them.
    pub headers: Arc<Headers>,
    /// The same behind them.
    pub headers_behind: Arc<Headers>,
    /// Whether times are to be kept as they are (`atc`).
    pub atc: bool,
    pub(super) summary: Summary,
}

/// What the viewers' policy needs to know of a segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    /// Audio and video that is not a header.
    pub(super) frames: u32,
    pub(super) audio: u32,
    pub(super) video: u32,
    pub(super) data: u32,
    /// Whether there is a picture among them.
    pub(super) has_pictures: bool,
    /// Times of the first and last frame in the stream.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl StreamSegment {
    pub(super) fn new(
        (epoch, number, atc): (u32, u64, bool),
        chunks: Segment,
        headers: Arc<Headers>,
        headers_behind: Arc<Headers>,
    ) -> Self {
        let summary = Summary::of(&chunks);
        Self { epoch, number, chunks: Arc::new(chunks), headers, headers_behind, atc, summary }
    }

    /// Whether there is metadata among the messages.
    pub(super) fn has_metadata(&self) -> bool {
        self.summary.data > 0 && !Arc::ptr_eq(&self.headers, &self.headers_behind)
    }

    /// Bytes of heap this segment holds, without its headers.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.chunks.memory_bytes()
    }
}

impl Summary {
    fn of(chunks: &Segment) -> Self {
        let mut summary = Self::default();
        for entry in chunks.index() {
            match entry.kind {
                MediaKind::Audio => summary.audio += 1,
                MediaKind::Video => summary.video += 1,
                MediaKind::Data => summary.data += 1,
            }
            if is_frame(entry) {
                if summary.frames == 0 {
                    summary.first = entry.timestamp;
                }
                summary.last = entry.timestamp;
                summary.frames += 1;
                summary.has_pictures |= is_picture(entry);
            }
        }
        summary
    }
}

/// Whether it counts for queues and the GOP cache: audio or video, but no header.
pub(super) fn is_frame(entry: &Entry) -> bool {
    let is_header = matches!(entry.role, MediaRole::SequenceHeader | MediaRole::Description);
    entry.kind != MediaKind::Data && !is_header
}

pub(super) fn is_picture(entry: &Entry) -> bool {
    entry.kind == MediaKind::Video && matches!(entry.role, MediaRole::KeyFrame | MediaRole::Frame)
}
