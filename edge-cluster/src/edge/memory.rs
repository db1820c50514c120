//! The limit of media memory (spec 14.4): above it, what is needed least is let go first.

use std::time::Instant;

use super::Edge;
use super::event::Event;
use super::streams::{Stream, StreamId};
use crate::hub::Shed;

/// What the streams of a shard hold.
#[derive(Debug, Default)]
pub(super) struct MediaMemory {
    /// The sum over all streams.
    pub(super) held: usize,
    /// Letting go was not enough: it is tried again when so much is held.
    again_above: usize,
}

impl Edge {
    /// This shard's part of the limit.
    pub(super) fn media_limit(&self) -> usize {
        let limit = self.options.media_bytes_max.unwrap_or(self.config.media_bytes_max);
        usize::try_from(limit / u64::from(self.shards)).unwrap_or(usize::MAX)
    }

    /// Counts what a stream holds now.
    pub(super) fn weigh(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let held = stream.hub.memory_bytes();
        let before = std::mem::replace(&mut stream.held, held);
        self.memory.held = self.memory.held.saturating_sub(before).saturating_add(held);
    }

    /// A stream is not known any more.
    pub(super) fn unweigh(&mut self, stream: &Stream) {
        self.memory.held = self.memory.held.saturating_sub(stream.held);
    }

    /// Lets media go when too much is held. In front of an input: viewers that keep up have been written to.
    pub(super) fn limit_media(&mut self, now: Instant) {
        let limit = self.media_limit();
        if self.memory.held <= limit {
            self.memory.again_above = 0;
            return;
        }
        if self.memory.held <= self.memory.again_above {
            return;
        }
        let (before, goal) = (self.memory.held, limit - limit / 8);
        let unwatched = |stream: &Stream| stream.hub.stats().viewers == 0;
        self.shed(now, goal, Shed::Everything, unwatched);
        self.shed(now, goal, Shed::Queues, |_| true);
        self.shed(now, goal, Shed::Everything, |_| true);
        let freed = before.saturating_sub(self.memory.held);
        if self.memory.held > limit {
            // Newest segments and the like: looking for more with every input would find nothing.
            self.memory.again_above = self.memory.held + limit / 16;
        }
        if freed > 0 {
            self.totals.media_sheds += 1;
            self.totals.media_shed_bytes += freed as u64;
            self.event(Event::MediaShed { bytes: freed as u64 });
        }
    }

    /// Lets media of some streams go, of the largest first, until no more than `goal` is held.
    fn shed(&mut self, now: Instant, goal: usize, what: Shed, of: impl Fn(&Stream) -> bool) {
        if self.memory.held <= goal {
            return;
        }
        let of = self.streams.iter().filter(|(_, stream)| of(stream));
        let mut sizes: Vec<(usize, StreamId)> = of.map(|(id, stream)| (stream.held, id)).collect();
        sizes.sort_unstable_by_key(|&(held, id)| (std::cmp::Reverse(held), id));
        for (_, id) in sizes {
            if self.memory.held <= goal {
                break;
            }
            if let Some(stream) = self.streams.get_mut(id) {
                stream.hub.shed(what);
            }
            self.take_hub_events(now, id);
            self.streams.mark_ready(id);
            self.touch_stream(id);
        }
    }
}
