//! How long a publisher may be without an origin.

use std::time::{Duration, Instant};

/// Time without an origin, summed up until one has served for long: an origin that takes the stream and drops it over
/// and over does not keep a publisher for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outage {
    spent: Duration,
    since: Option<Instant>,
}

impl Outage {
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn end(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.spent += now.saturating_duration_since(since);
        }
    }

    /// An origin has served for long.
    pub(super) fn forgive(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// When the running outage exceeds `limit` in sum.
    pub(super) fn deadline(&self, limit: Duration) -> Option<Instant> {
        Some(self.since? + limit.saturating_sub(self.spent))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;

    #[test]
    fn outages_add_up_until_they_are_forgiven() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limit = Duration::from_secs(10);
        let mut outage = Outage::default();
        assert_eq!(outage.deadline(limit), None);
        outage.begin(at(0));
        outage.begin(at(1));
        assert_eq!(outage.deadline(limit), Some(at(10)));
        outage.end(at(4));
        outage.begin(at(20));
        assert_eq!(outage.deadline(limit), Some(at(26)));
        outage.end(at(40));
        outage.begin(at(50));
        assert_eq!(outage.deadline(limit), Some(at(50)), "no time is left");
        outage.end(at(50));
        outage.forgive();
        outage.begin(at(60));
        assert_eq!(outage.deadline(limit), Some(at(70)));
    }
}
