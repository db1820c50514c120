//! Chunks written once per stream and shared by all viewers.
//!
//! A header of format 1 holds a *delta* and no message stream, so its bytes do not depend on when a viewer joined.
//! A [`SegmentWriter`] writes every message once in that form; bursts of messages become one contiguous [`Segment`].
//! A viewer owns nothing but a [`Cursor`]. Where its reader does not know the previous message of a lane (it has just
//! joined, or messages were dropped) the cursor *splices* a header of its own in front of the shared body:
//!
//! ```text
//!  shared:   │h│ audio n │h│  video n (key)      │h│ audio n+1 │h│ video n+1 ...
//!  viewer:        private H' ┘└─ body shared ────┘ └ private H'' ┘└──── everything else shared ────▶
//! ```
//!
//! Times in a segment are those of the source. What each viewer is told (from 0 on, without jumps, as they are) is the
//! business of its [`Clock`], with the [`Correction`] of each segment. Data messages are written with delta 0, because
//! most viewers are told 0 for all of them; viewers that want their times get headers of their own.
//!
//! [`Outgoing`] presents a connection's private bytes and its part of the shared segments as one
//! [`Buf`](bytes::Buf) for vectored writes.
//!
//! ```
//! use std::{collections::VecDeque, sync::Arc};
//! use bytes::{Buf, Bytes, BytesMut};
//! use rtmp_core::{Limits, Media, MediaKind, Timestamp};
//! use rtmp_core::chunk::ChunkReader;
//! use rtmp_core::segment::{Cursor, Framing, Outgoing, Ring, SegmentWriter};
//!
//! let mut writer = SegmentWriter::new(Framing::Chunks { size: 128 });
//! let frame = |millis| Media {
//!     kind: MediaKind::Video,
//!     timestamp: Timestamp::from_millis(millis),
//!     payload: Bytes::from_static(&[0x27, 1, 0, 0, 0, 9]),
//! };
//! let mut ring = Ring::default();
//! for millis in [90_000, 90_040] {
//!     writer.push(&frame(millis));
//! }
//! ring.push(Arc::new(writer.finish().expect("two messages")));
//!
//! // This viewer's time starts at zero.
//! let mut viewer = Cursor::new(1, 0, -90_000);
//! let mut private = BytesMut::new();
//! let mut outgoing = Outgoing::new(&mut private, &mut viewer, &ring);
//! let mut wire = BytesMut::from(&outgoing.copy_to_bytes(outgoing.remaining())[..]);
//!
//! let mut reader = ChunkReader::new(&Limits::default());
//! let times = std::iter::from_fn(|| reader.read(&mut wire).ok().flatten()).map(|m| m.timestamp.millis());
//! assert_eq!(times.collect::<Vec<_>>(), [0, 40]);
//! ```

mod clock;
mod cursor;
mod outgoing;
mod whole;
mod writer;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

pub use clock::{Clock, Correction, TimePolicy};
pub use cursor::Cursor;
pub use outgoing::{Outgoing, SLICES_MAX};
pub use whole::Whole;
pub use writer::{SEGMENT_BYTES, SegmentWriter};

use crate::media::MediaRole;
use crate::{Media, MediaKind, Timestamp, flv};

/// Bytes of a shared format 1 header with a one-byte basic header.
const CHUNK_HEADER_BYTES: usize = 8;

/// How messages are written in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// As chunks of this size, which every viewer must have been told before.
    Chunks {
        /// Payload bytes per chunk.
        size: u32,
    },
    /// As FLV tags, in the stream's own time; nothing is spliced.
    FlvTags,
}

/// Several messages of one stream, written once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Segment {
    wire: Bytes,
    index: Vec<Entry>,
    framing: Framing,
    lanes: [Option<LaneSpan>; 3],
    correction: Correction,
    /// It does not follow the segment before: every viewer needs splices in all lanes.
    restarts: bool,
}

/// Where a message lies in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// First byte of its header.
    pub offset: u32,
    /// Bytes of payload, without any header.
    pub payload_bytes: u32,
    /// Its lane.
    pub kind: MediaKind,
    /// Its time in the stream.
    pub timestamp: Timestamp,
    /// What it means.
    pub role: MediaRole,
}

/// The messages of one lane in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct LaneSpan {
    /// Position of the first one in the index.
    first: u32,
    /// Time of the first one.
    first_timestamp: Timestamp,
    /// Time of the last one.
    last: Timestamp,
    /// The first one does not follow the lane's previous message: every viewer needs a splice.
    restart: bool,
}

impl Segment {
    /// All bytes.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// Its messages in order; never empty.
    pub fn index(&self) -> &[Entry] {
        &self.index
    }

    /// How it is written.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// What to add to its times so that they go on where the source jumped.
    pub fn correction(&self) -> Correction {
        self.correction
    }

    /// Whether it begins with a key frame, so that a viewer can join here.
    pub fn starts_with_key(&self) -> bool {
        self.index.first().is_some_and(|entry| entry.role == MediaRole::KeyFrame)
    }

    /// Time of the first message.
    pub fn first_timestamp(&self) -> Timestamp {
        self.index.first().map(|entry| entry.timestamp).unwrap_or_default()
    }

    /// Time of the last message.
    pub fn last_timestamp(&self) -> Timestamp {
        self.index.last().map(|entry| entry.timestamp).unwrap_or_default()
    }

    /// The message at `position` of the index, put together again; free of cost when it is a single chunk or tag.
    pub fn media(&self, position: usize) -> Option<Media> {
        let entry = self.index.get(position)?;
        let body = self.body(entry)?;
        let length = entry.payload_bytes as usize;
        let payload = match self.framing {
            Framing::FlvTags => body.slice(..length),
            Framing::Chunks { size } if length <= size as usize => body.slice(..length),
            Framing::Chunks { size } => {
                let mut payload = BytesMut::with_capacity(length);
                // Each chunk but the last is followed by a one-byte header.
                for chunk in body.chunks(size as usize + 1) {
                    let wanted = chunk.len().min(size as usize).min(length - payload.len());
                    payload.put_slice(chunk.get(..wanted).unwrap_or_default());
                }
                payload.freeze()
            }
        };
        Some(Media { kind: entry.kind, timestamp: entry.timestamp, payload })
    }

    /// The same messages as FLV tags, with the times `time` gives them.
    pub fn to_flv_tags(&self, mut time: impl FnMut(&Entry) -> Timestamp) -> Self {
        let overhead = flv::TAG_HEADER_BYTES + flv::BACK_POINTER_BYTES;
        let mut wire = BytesMut::with_capacity(self.wire.len() + self.index.len() * overhead);
        let mut tags = Vec::with_capacity(self.index.len());
        for (place, entry) in self.index.iter().enumerate() {
            let Some(media) = self.media(place) else { continue };
            let timestamp = time(entry);
            let offset = wire.len() as u32;
            if flv::write_tag(&mut wire, &Media { timestamp, ..media }) {
                tags.push(Entry { offset, timestamp, ..*entry });
            }
        }
        Self {
            wire: wire.freeze(),
            index: tags,
            framing: Framing::FlvTags,
            lanes: [None; 3],
            correction: Correction::default(),
            restarts: self.restarts,
        }
    }

    /// Bytes of heap this segment holds.
    pub fn memory_bytes(&self) -> usize {
        self.wire.len() + self.index.capacity() * size_of::<Entry>()
    }

    /// What follows the header of an entry, up to the next one and beyond.
    fn body(&self, entry: &Entry) -> Option<Bytes> {
        let start = entry.offset as usize + self.header_bytes();
        (start <= self.wire.len()).then(|| self.wire.slice(start..))
    }

    fn header_bytes(&self) -> usize {
        match self.framing {
            Framing::Chunks { .. } => CHUNK_HEADER_BYTES,
            Framing::FlvTags => flv::TAG_HEADER_BYTES,
        }
    }

    /// Bytes of an entry with all its headers.
    fn entry_bytes(&self, entry: &Entry) -> usize {
        let length = entry.payload_bytes as usize;
        match self.framing {
            Framing::Chunks { size } => {
                CHUNK_HEADER_BYTES + length + length.saturating_sub(1) / (size as usize).max(1)
            }
            Framing::FlvTags => flv::TAG_HEADER_BYTES + length + flv::BACK_POINTER_BYTES,
        }
    }
}

/// Where a cursor finds its segments: a ring of the latest ones, by number.
pub trait Segments {
    /// The segment of this number; `None` when it does not exist yet, or any more.
    fn segment(&self, number: u64) -> Option<&Arc<Segment>>;
}

/// The plainest [`Segments`]: a queue with a number for its front. The owner decides when the front leaves.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    front: u64,
    segments: VecDeque<Arc<Segment>>,
    bytes: usize,
}

impl Ring {
    /// An empty ring whose first segment gets this number.
    pub fn starting_at(number: u64) -> Self {
        Self { front: number, ..Self::default() }
    }

    /// Appends a segment and returns its number.
    pub fn push(&mut self, segment: Arc<Segment>) -> u64 {
        self.bytes += segment.memory_bytes();
        self.segments.push_back(segment);
        self.end() - 1
    }

    /// Removes the oldest segment.
    pub fn pop(&mut self) -> Option<Arc<Segment>> {
        let segment = self.segments.pop_front()?;
        self.bytes -= segment.memory_bytes();
        self.front += 1;
        Some(segment)
    }

    /// Number of the oldest segment.
    pub fn front(&self) -> u64 {
        self.front
    }

    /// Number the next segment will get.
    pub fn end(&self) -> u64 {
        self.front + self.segments.len() as u64
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Segments with their numbers, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Arc<Segment>)> {
        let front = self.front;
        self.segments.iter().enumerate().map(move |(place, segment)| (front + place as u64, segment))
    }
}

impl Segments for Ring {
    fn segment(&self, number: u64) -> Option<&Arc<Segment>> {
        let place = number.checked_sub(self.front)?;
        self.segments.get(usize::try_from(place).ok()?)
    }
}
