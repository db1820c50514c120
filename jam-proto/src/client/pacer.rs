//! How fast fader moves go out (spec 2.2, message 13).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::types::{ChannelId, Gain};

const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The first change goes out at once, later ones at intervals, and only the latest of each channel.
#[derive(Debug)]
pub(super) struct GainPacer {
    waiting: BTreeMap<ChannelId, Gain>,
    ready_at: Instant,
    interval: Duration,
    sent_any: bool,
}

impl GainPacer {
    pub(super) const fn new(now: Instant) -> Self {
        Self { waiting: BTreeMap::new(), ready_at: now, interval: INTERVAL_MIN, sent_any: false }
    }

    pub(super) fn set(&mut self, channel: ChannelId, gain: Gain) {
        self.waiting.insert(channel, gain);
    }

    /// Slow connections get fewer changes: one per two round trips.
    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.interval = INTERVAL_MIN.max(2 * round_trip);
    }

    /// The next change that may go out now, until `None`.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(ChannelId, Gain)> {
        if now < self.ready_at {
            return None;
        }
        if let Some(change) = self.waiting.pop_first() {
            self.sent_any = true;
            return Some(change);
        }
        if std::mem::take(&mut self.sent_any) {
            self.ready_at = now + self.interval;
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.ready_at)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
