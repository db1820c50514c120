//! A viewer's place among the segments, and its own headers.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{CHUNK_HEADER_BYTES, Clock, Correction, Framing, Segment, TimePolicy};
use crate::chunk::{EXTENDED, Header};
use crate::{MediaKind, Timestamp};

/// A viewer's place: the segment it gets next, or gets now, and what its reader knows of each lane.
///
/// A cursor costs about 130 bytes, whatever the stream. It holds a segment only while that one is partly sent.
#[derive(Clone, Debug)]
pub struct Cursor {
    msid: u32,
    pub(super) next: u64,
    /// The segment that is partly sent, and how much of this viewer's version of it.
    pub(super) current: Option<Arc<Segment>>,
    pub(super) position: usize,
    pub(super) reader: Reader,
    /// What to forget of each lane once the current segment is out.
    forget: [Forget; MediaKind::LANES],
    splices: u64,
    pub(super) sent: u64,
}

/// What the viewer's reader knows, per lane: the time of the last message, and whether a delta of the next shared
/// header fits to it. And how times go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    lanes: [Lane; MediaKind::LANES],
    clock: Clock,
}

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
        Self::with_times(msid, next, TimePolicy::Shifted(shift))
    }

    /// A viewer that gets everything from segment `next` on, on message stream `msid`, with times as `policy` says.
    pub fn with_times(msid: u32, next: u64, policy: TimePolicy) -> Self {
        Self {
            msid,
            next,
            current: None,
            position: 0,
            reader: Reader { lanes: Default::default(), clock: Clock::new(policy) },
            forget: [Forget::Nothing; MediaKind::LANES],
            splices: 0,
            sent: 0,
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

    /// Headers spliced so far.
    pub fn splices(&self) -> u64 {
        self.splices
    }

    /// Bytes sent so far, private ones included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// The clock, to give times to messages that are sent apart from segments: see
    /// [`resend_header`](Self::resend_header). While a segment is [partly sent](Self::is_mid_segment) it stands in
    /// front of that one.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.reader.clock
    }

    /// Goes on with another [`TimePolicy`], as [`Clock::change`] does. The next header of each lane is its own. While a
    /// segment is [partly sent](Self::is_mid_segment) nothing may change, because that one was begun with the old
    /// times: `false`.
    pub fn set_times(&mut self, policy: TimePolicy, now: Correction) -> bool {
        if self.is_mid_segment() {
            return false;
        }
        self.reader.clock.change(policy, now);
        MediaKind::ALL.into_iter().for_each(|kind| self.forget(kind, Forget::Order));
        true
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
        for (lane, forget) in self.reader.lanes.iter_mut().zip(&mut self.forget) {
            lane.forget(std::mem::take(forget));
        }
    }

    /// What the reader will know behind the current segment, when it knows `reader` from its bytes.
    pub(super) fn behind_current(&self, reader: &mut Reader) {
        for (lane, forget) in reader.lanes.iter_mut().zip(&self.forget) {
            lane.forget(*forget);
        }
    }

    /// The current segment is out; `reader` is what is known from its bytes.
    pub(super) fn complete(&mut self, reader: Reader, splices: u64) {
        self.current = None;
        self.position = 0;
        self.reader = reader;
        self.splices += splices;
        self.forget_lanes();
    }

    /// This viewer's version of `segment`, given what its reader knows before; `reader` becomes what it knows behind.
    /// Usually one piece: the whole segment. The number of splices is returned.
    pub(super) fn version(&self, segment: &Segment, reader: &mut Reader, mut put: impl FnMut(Piece)) -> u64 {
        let Framing::Chunks { size } = segment.framing else {
            put(Piece::Shared(0..segment.wire.len()));
            return 0;
        };
        if reader.follow(segment) {
            put(Piece::Shared(0..segment.wire.len()));
            return 0;
        }
        let mut splices = 0;
        let mut done = 0;
        for (place, entry) in segment.index.iter().enumerate() {
            let Some((last, time)) = reader.step(segment, place) else { continue };
            splices += 1;
            let offset = entry.offset as usize;
            if done < offset {
                put(Piece::Shared(done..offset));
            }
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
                let payload = segment.media(place).map(|media| media.payload).unwrap_or_default();
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
        splices
    }
}

impl Reader {
    /// Passes over the whole segment, if its shared bytes are right for this reader as they are.
    pub(super) fn follow(&mut self, segment: &Segment) -> bool {
        if segment.restarts {
            return false;
        }
        let mut behind = *self;
        for ((kind, lane), span) in MediaKind::ALL.into_iter().zip(&mut behind.lanes).zip(&segment.lanes) {
            let Some(span) = span else { continue };
            let is_data_with_times = kind == MediaKind::Data && !self.clock.is_fixed(kind);
            if !lane.synced || span.restart || is_data_with_times {
                return false;
            }
            // Times do not fall within a lane of a segment, so the first one tells whether the clock has to move.
            if self.clock.steady_time(kind, span.first_timestamp, segment.correction).is_none() {
                return false;
            }
            lane.last = Some(behind.clock.time(kind, span.last, segment.correction));
        }
        *self = behind;
        true
    }

    /// Passes over one message. When it needs a header of its own: the time before it in its lane, and its time.
    fn step(&mut self, segment: &Segment, place: usize) -> Option<(Option<Timestamp>, Timestamp)> {
        let entry = segment.index.get(place)?;
        let kind = entry.kind;
        let before = self.clock;
        let time = self.clock.time(kind, entry.timestamp, segment.correction);
        if !before.has_same_base(&self.clock) || (place == 0 && segment.restarts) {
            self.lanes.iter_mut().for_each(|lane| lane.forget(Forget::Order));
        }
        let span = segment.lanes.get(kind.index())?.as_ref()?;
        let lane = self.lanes.get_mut(kind.index())?;
        let known = std::mem::replace(lane, Lane { last: Some(time), synced: true });
        let restarts = span.restart && span.first as usize == place;
        let is_data_with_times = kind == MediaKind::Data && !self.clock.is_fixed(kind);
        let own = !known.synced || restarts || is_data_with_times;
        own.then_some((known.last, time))
    }
}
