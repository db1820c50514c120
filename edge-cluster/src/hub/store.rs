//! The latest segments of a stream, and how far back viewers may be.

use std::collections::VecDeque;
use std::sync::Arc;

use rtmp_core::Timestamp;
use rtmp_core::media::Headers;
use rtmp_core::segment::{Ring, TimePolicy};

use super::settings::StreamSettings;
use super::update::{StreamSegment, Summary};

/// The latest segments.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) ring: Ring,
    placed: VecDeque<Placed>,
    bytes: u64,
    messages: u64,
    /// The oldest segment at which a queue is not too long.
    allowed: u64,
    /// Time of the newest frame, as viewers are told.
    last: Timestamp,
    /// Headers behind the newest segment.
    latest: Arc<Headers>,
}

#[derive(Debug)]
struct Placed {
    segment: Arc<StreamSegment>,
    bytes_before: u64,
    messages_before: u64,
    /// Time of its first frame, as viewers are told.
    first: Option<Timestamp>,
}

impl Store {
    pub(super) fn append(
        &mut self,
        segment: &Arc<StreamSegment>,
        settings: &StreamSettings,
        policy: TimePolicy,
    ) -> u64 {
        let correction = segment.chunks.correction();
        let shift = match policy {
            TimePolicy::Shifted(_) => 0,
            TimePolicy::FromZero => correction.sources,
            TimePolicy::Smooth => correction.jumps,
        };
        let Summary { frames, first, last, .. } = segment.summary;
        let number = self.ring.push(Arc::clone(&segment.chunks));
        self.placed.push_back(Placed {
            segment: Arc::clone(segment),
            bytes_before: self.bytes,
            messages_before: self.messages,
            first: (frames > 0).then(|| first.shifted(shift)),
        });
        self.bytes += segment.memory_bytes() as u64;
        self.messages += segment.chunks.index().len() as u64;
        self.latest = Arc::clone(&segment.headers_behind);
        if frames > 0 {
            self.last = last.shifted(shift);
        }
        self.move_allowed(settings);
        number
    }

    /// Lets everything in front of `number` go.
    pub(super) fn trim(&mut self, number: u64) {
        while self.ring.front() < number && self.ring.pop().is_some() {
            self.placed.pop_front();
        }
        self.allowed = self.allowed.max(self.ring.front());
    }

    pub(super) fn front(&self) -> u64 {
        self.ring.front()
    }

    pub(super) fn end(&self) -> u64 {
        self.ring.end()
    }

    /// The oldest segment at which the queue of a viewer is not too long.
    pub(super) fn allowed(&self) -> u64 {
        self.allowed
    }

    pub(super) fn segment(&self, number: u64) -> Option<&Arc<StreamSegment>> {
        Some(&self.placed(number)?.segment)
    }

    /// The headers that are valid in front of segment `number`.
    pub(super) fn headers_at(&self, number: u64) -> &Arc<Headers> {
        self.segment(number).map_or(&self.latest, |segment| &segment.headers)
    }

    /// Messages from segment `from` up to the one in front of `to`.
    pub(super) fn messages_between(&self, from: u64, to: u64) -> u64 {
        let before = |number| self.placed(number).map_or(self.messages, |placed| placed.messages_before);
        before(to).saturating_sub(before(from))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let headers = |placed: &Placed| placed.segment.headers_behind.bytes();
        self.ring.bytes()
            + self.placed.len() * size_of::<StreamSegment>()
            + self.placed.capacity() * size_of::<Placed>()
            + self.placed.back().map_or(0, headers)
    }

    fn placed(&self, number: u64) -> Option<&Placed> {
        let place = number.checked_sub(self.front())?;
        self.placed.get(usize::try_from(place).ok()?)
    }

    /// A queue that begins at the newest segment is never too long.
    fn move_allowed(&mut self, settings: &StreamSettings) {
        let length_max = i32::try_from(settings.play.queue_length.as_millis()).unwrap_or(i32::MAX);
        while self.allowed + 1 < self.end() {
            let Some(oldest) = self.placed(self.allowed) else { break };
            let bytes = self.bytes - oldest.bytes_before;
            let span = self.frame_time(self.allowed).map_or(0, |first| self.last.since(first));
            if span <= length_max && bytes <= settings.queue_bytes_max {
                break;
            }
            self.allowed += 1;
        }
    }

    /// Time of the first frame from segment `number` on, as viewers are told.
    fn frame_time(&self, number: u64) -> Option<Timestamp> {
        let place = usize::try_from(number.checked_sub(self.front())?).ok()?;
        self.placed.range(place.min(self.placed.len())..).find_map(|placed| placed.first)
    }
}
