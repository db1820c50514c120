//! Writing messages once.

use bytes::{BufMut, BytesMut};

use super::{Correction, Entry, Framing, LaneSpan, Segment};
use crate::chunk::{CHUNK_SIZE_MAX, EXTENDED, Header};
use crate::media::MediaRole;
use crate::{Media, MediaKind, Timestamp, flv};

/// A segment of this size is complete even when the burst goes on.
pub const SEGMENT_BYTES: usize = 1 << 20;

/// Writes the messages of a stream into segments.
///
/// A key frame begins a segment, so that a viewer can join there. So does a message that cannot be told as a delta:
/// the first of a lane, one that goes back in time, one after a pause of 4.6 hours. Viewers then get its time in full.
#[derive(Debug)]
pub struct SegmentWriter {
    framing: Framing,
    last: [Option<Timestamp>; 3],
    wire: BytesMut,
    index: Vec<Entry>,
    lanes: [Option<LaneSpan>; 3],
    correction: Correction,
    /// The next segment does not follow the one before.
    restarts: bool,
}

impl SegmentWriter {
    /// A writer of an empty stream. A chunk size is brought into the legal range.
    pub fn new(framing: Framing) -> Self {
        let framing = match framing {
            Framing::Chunks { size } => Framing::Chunks { size: size.clamp(1, CHUNK_SIZE_MAX) },
            Framing::FlvTags => framing,
        };
        Self {
            framing,
            last: [None; 3],
            wire: BytesMut::new(),
            index: Vec::new(),
            lanes: [None; 3],
            correction: Correction::default(),
            restarts: true,
        }
    }

    /// How this writer writes.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Appends a message. Returns the segment in front of it, when the message had to begin a new one. A payload above
    /// 0xffffff bytes, which no message can have, is not written.
    pub fn push(&mut self, media: &Media) -> Option<Segment> {
        let length = u32::try_from(media.payload.len()).ok().filter(|&length| length <= CHUNK_SIZE_MAX)?;
        let role = media.role();
        let lane = media.kind.index();
        let delta = self.delta(media);
        let restart = delta.is_none();
        let lane_is_open = self.lanes.get(lane).is_some_and(Option::is_some);
        let begins =
            role == MediaRole::KeyFrame || (restart && lane_is_open) || self.wire.len() >= SEGMENT_BYTES;
        let finished = if begins { self.finish() } else { None };

        let entry = Entry {
            offset: self.wire.len() as u32,
            payload_bytes: length,
            kind: media.kind,
            timestamp: media.timestamp,
            role,
        };
        match self.framing {
            Framing::Chunks { size } => {
                let header = Header {
                    fmt: 1,
                    csid: media.kind.csid(),
                    time: delta.unwrap_or(0),
                    length,
                    kind: media.kind.message_type().0,
                    msid: 0,
                };
                header.put_message(&mut self.wire, &media.payload, size);
            }
            Framing::FlvTags => {
                self.wire.reserve(flv::TAG_HEADER_BYTES + media.payload.len() + flv::BACK_POINTER_BYTES);
                self.wire.put_slice(&flv::tag_header(media.kind, media.timestamp, length));
                self.wire.put_slice(&media.payload);
                self.wire.put_u32(flv::TAG_HEADER_BYTES as u32 + length);
            }
        }
        let position = self.index.len() as u32;
        if let Some(span) = self.lanes.get_mut(lane) {
            let timestamp = media.timestamp;
            let first = LaneSpan { first: position, first_timestamp: timestamp, last: timestamp, restart };
            span.get_or_insert(first).last = media.timestamp;
        }
        if let Some(last) = self.last.get_mut(lane) {
            *last = Some(media.timestamp);
        }
        self.index.push(entry);
        finished
    }

    /// The segment written so far; `None` when nothing was written since the last one.
    pub fn finish(&mut self) -> Option<Segment> {
        if self.index.is_empty() {
            return None;
        }
        let expected = self.index.len();
        Some(Segment {
            wire: self.wire.split().freeze(),
            index: std::mem::replace(&mut self.index, Vec::with_capacity(expected)),
            framing: self.framing,
            lanes: std::mem::take(&mut self.lanes),
            correction: self.correction,
            restarts: std::mem::take(&mut self.restarts),
        })
    }

    /// Bytes written since the last segment.
    pub fn pending_bytes(&self) -> usize {
        self.wire.len()
    }

    /// Another source begins: the next message of each lane is told in full. Returns what was written before.
    pub fn restart(&mut self) -> Option<Segment> {
        let finished = self.finish();
        self.last = [None; 3];
        self.restarts = true;
        finished
    }

    /// The correction of the messages to come. A new one begins a segment in which every viewer's next message of each
    /// lane is told in full; what was written before is returned.
    pub fn set_correction(&mut self, correction: Correction) -> Option<Segment> {
        if correction == self.correction {
            return None;
        }
        let finished = self.restart();
        self.correction = correction;
        finished
    }

    /// The delta of a message to its lane; `None` when it cannot be told so.
    fn delta(&self, media: &Media) -> Option<u32> {
        let last = self.last.get(media.kind.index()).copied().flatten()?;
        if media.kind == MediaKind::Data {
            // Most viewers are told 0 for all data; the others need headers of their own.
            return Some(0);
        }
        u32::try_from(media.timestamp.since(last)).ok().filter(|&delta| delta < EXTENDED)
    }
}

impl MediaKind {
    /// How many lanes there are.
    pub(super) const LANES: usize = Self::ALL.len();
}
