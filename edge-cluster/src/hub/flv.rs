//! The stream as FLV tags, while somebody wants them.

use std::sync::Arc;

use rtmp_core::segment::{Clock, Ring, Segment, TimePolicy};

/// The segments of a hub as FLV tags, under the same numbers. A tag holds its time in full, so all viewers are told
/// the same times; they begin when the first of the viewers comes.
#[derive(Debug)]
pub(super) struct FlvRing {
    pub(super) ring: Ring,
    clock: Clock,
}

impl FlvRing {
    /// Makes the tags of the segments that are there.
    pub(super) fn of(chunks: &Ring, policy: TimePolicy) -> Self {
        let mut tags = Self { ring: Ring::starting_at(chunks.front()), clock: Clock::new(policy) };
        for (_, segment) in chunks.iter() {
            tags.append(segment, policy);
        }
        tags
    }

    pub(super) fn append(&mut self, segment: &Segment, policy: TimePolicy) {
        let correction = segment.correction();
        if self.clock.policy() != policy {
            self.clock.change(policy, correction);
        }
        let tags = segment.to_flv_tags(|entry| self.clock.time(entry.kind, entry.timestamp, correction));
        self.ring.push(Arc::new(tags));
    }

    pub(super) fn trim(&mut self, number: u64) {
        while self.ring.front() < number && self.ring.pop().is_some() {}
    }
}
