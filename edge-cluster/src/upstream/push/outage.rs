//! How long a publisher may be without an origin.

use std::time::{Duration, Instant};

/// Time without an origin, summed up: an origin that takes the stream and drops it over and over does not keep a
/// publisher for ever. Time with an origin counts against it, so that two outages with a good while between them are two.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outage {
    spent: Duration,
    since: Option<Instant>,
    served_since: Option<Instant>,
}

impl Outage {
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        if let Some(served_since) = self.served_since.take() {
            self.spent = self.spent.saturating_sub(now.saturating_duration_since(served_since));
        }
    }

    pub(super) fn end(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.spent += now.saturating_duration_since(since);
            self.served_since = Some(now);
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
    fn outages_add_up_less_the_time_between_them_until_they_are_forgiven() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limit = Duration::from_secs(10);
        let mut outage = Outage::default();
        assert_eq!(outage.deadline(limit), None);
        outage.begin(at(0));
        outage.begin(at(1));
        assert_eq!(outage.deadline(limit), Some(at(10)));
        outage.end(at(8));
        outage.begin(at(14));
        assert_eq!(outage.deadline(limit), Some(at(22)), "8 s less 6 s are spent");
        outage.end(at(22));
        outage.begin(at(24));
        assert_eq!(outage.deadline(limit), Some(at(26)));
        outage.end(at(40));
        outage.begin(at(41));
        assert_eq!(outage.deadline(limit), Some(at(41)), "no time is left");
        outage.end(at(41));
        outage.begin(at(90));
        assert_eq!(outage.deadline(limit), Some(at(100)));
        outage.end(at(95));
        outage.forgive();
        outage.begin(at(95));
        assert_eq!(outage.deadline(limit), Some(at(105)));
    }
}
