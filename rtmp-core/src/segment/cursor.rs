//! A viewer's place among the segments, and its own headers.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{CHUNK_HEADER_BYTES, Framing, Segment};
use crate::chunk::{EXTENDED, Header};
use crate::{MediaKind, Timestamp};

/// A viewer's place: the segment it gets next, or gets now, and what its reader knows of each lane.
///
/// A cursor costs about 100 bytes, whatever the stream. It holds a segment only while that one is partly sent.
#[derive(Clone, Debug)]
pub struct Cursor {
    msid: u32,
    /// Viewer's time minus the stream's.
    shift: i32,
    pub(super) next: u64,
    /// The segment that is partly sent, and how much of this viewer's version of it.
    pub(super) current: Option<Arc<Segment>>,
    pub(super) position: usize,
    pub(super) lanes: Lanes,
    /// What to forget of each lane once the current segment is out.
    forget: [Forget; MediaKind::LANES],
    splices: u64,
}

/// What the viewer's reader knows, per lane: the time of the last message, and whether a delta of the next shared
/// header fits to it.
pub(super) type Lanes = [Lane; MediaKind::LANES];

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    last: Option<Timestamp>,
    synced: bool,
}

/// What must not be relied on any more.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Forget {
    #[default]
    Nothing,
    /// The next message does not follow the last one.
    Order,
    /// The reader has seen something else since.
    Everything,
}

impl Lane {
    fn forget(&mut self, what: Forget) {
        self.synced &= what == Forget::Nothing;
        if what == Forget::Everything {
            self.last = None;
        }
    }
}

/// One piece of a viewer's version of a segment.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// These bytes of the shared segment.
    Shared(Range<usize>),
    /// A header of its own, or a whole message of its own.
    Spliced(SmallVec<[u8; 16]>),
    /// A whole message of its own that is too long to keep in place.
    Rewritten(Bytes),
}

impl Cursor {
    /// A viewer that gets everything from segment `next` on, on message stream `msid`, with its times shifted by
    /// `shift` milliseconds.
    pub fn new(msid: u32, next: u64, shift: i32) -> Self {
        Self {
            msid,
            shift,
            next,
            current: None,
            position: 0,
            lanes: Lanes::default(),
            forget: [Forget::Nothing; MediaKind::LANES],
            splices: 0,
        }
    }

    /// Number of the segment that comes next, after the one that is partly sent.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether a segment is partly sent. Private bytes have to wait for its end.
    pub fn is_mid_segment(&self) -> bool {
        self.current.is_some()
    }

    /// The viewer's time of a message of the stream.
    pub fn viewer_time(&self, timestamp: Timestamp) -> Timestamp {
        timestamp.shifted(self.shift)
    }

    /// Headers spliced so far.
    pub fn splices(&self) -> u64 {
        self.splices
    }

    /// Goes on at another segment, after the one that is partly sent. The next header of each lane is its own: the
    /// viewer sees the time that was skipped.
    pub fn jump(&mut self, next: u64) {
        if next != self.next {
            self.next = next;
            MediaKind::ALL.into_iter().for_each(|kind| self.forget(kind, Forget::Order));
        }
    }

    /// Tells that something else is sent on the chunk stream of `kind`, in the private bytes: the next header there is
    /// told in full.
    pub fn resend_header(&mut self, kind: MediaKind) {
        self.forget(kind, Forget::Everything);
    }

    fn forget(&mut self, kind: MediaKind, what: Forget) {
        if let Some(forget) = self.forget.get_mut(kind.index()) {
            *forget = what.max(*forget);
        }
        if self.current.is_none() {
            self.forget_lanes();
        }
    }

    fn forget_lanes(&mut self) {
        for (lane, forget) in self.lanes.iter_mut().zip(&mut self.forget) {
            lane.forget(std::mem::take(forget));
        }
    }

    /// What the reader will know behind the current segment, when it knows `lanes` from its bytes.
    pub(super) fn behind_current(&self, lanes: &mut Lanes) {
        for (lane, forget) in lanes.iter_mut().zip(&self.forget) {
            lane.forget(*forget);
        }
    }

    /// The current segment is out; `lanes` is what the reader knows from its bytes.
    pub(super) fn complete(&mut self, lanes: Lanes, splices: u64) {
        self.current = None;
        self.position = 0;
        self.lanes = lanes;
        self.splices += splices;
        self.forget_lanes();
    }

    /// This viewer's version of `segment`, given what its reader knows before; `lanes` becomes what it knows behind.
    /// Usually one piece: the whole segment. The number of splices is returned.
    pub(super) fn version(&self, segment: &Segment, lanes: &mut Lanes, mut put: impl FnMut(Piece)) -> u64 {
        let Framing::Chunks { size } = segment.framing else {
            put(Piece::Shared(0..segment.wire.len()));
            return 0;
        };
        let mut places: SmallVec<[(u32, Option<Timestamp>); MediaKind::LANES]> = SmallVec::new();
        for (lane, span) in lanes.iter_mut().zip(&segment.lanes) {
            let Some(span) = span else { continue };
            if !lane.synced || span.restart {
                places.push((span.first, lane.last));
            }
            *lane = Lane { last: Some(self.viewer_time(span.last)), synced: true };
        }
        places.sort_unstable_by_key(|(first, _)| *first);
        let mut done = 0;
        for (first, last) in &places {
            let Some(entry) = segment.index.get(*first as usize) else { continue };
            let offset = entry.offset as usize;
            if done < offset {
                put(Piece::Shared(done..offset));
            }
            let time = self.viewer_time(entry.timestamp);
            let delta = last.and_then(|last| u32::try_from(time.since(last)).ok());
            let header = Header {
                fmt: 0,
                csid: entry.kind.csid(),
                time: time.millis(),
                length: entry.payload_bytes,
                kind: entry.kind.message_type().0,
                msid: self.msid,
            };
            let header = match delta.filter(|&delta| delta < EXTENDED) {
                Some(delta) => Header { fmt: 1, time: delta, ..header },
                None => header,
            };
            let mut own = BytesMut::new();
            if header.is_extended() && entry.payload_bytes > size {
                // The continuation chunks must repeat the field, so this one message cannot be shared.
                let payload = segment.media(*first as usize).map(|media| media.payload).unwrap_or_default();
                header.put_message(&mut own, &payload, size);
                done = offset + segment.entry_bytes(entry);
                put(Piece::Rewritten(own.freeze()));
            } else {
                header.put(&mut own);
                done = offset + CHUNK_HEADER_BYTES;
                put(Piece::Spliced(SmallVec::from_slice(&own)));
            }
        }
        if done < segment.wire.len() {
            put(Piece::Shared(done..segment.wire.len()));
        }
        places.len() as u64
    }
}
