//! A token bucket: so many at once, so many per second.

use std::time::{Duration, Instant};

use super::Rate;

const NANO: i64 = 1_000_000_000;

/// Tokens of one [`Rate`]. Starts full. Kept in billionths so that slow rates lose nothing to rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    nano_tokens: i64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) const fn full(rate: Rate, now: Instant) -> Self {
        Self { nano_tokens: rate.burst as i64 * NANO, filled_at: now }
    }

    /// Takes `cost` tokens if they are there.
    ///
    /// A cost above the burst passes when the bucket is full and is paid back by waiting, so that one large thing is
    /// late rather than impossible.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate, cost: u32) -> bool {
        if !self.would_pass(now, rate, cost) {
            return false;
        }
        self.nano_tokens = self.nano_tokens.saturating_sub(i64::from(cost) * NANO);
        true
    }

    /// Whether `take` would succeed. Fills up, takes nothing.
    pub(crate) fn would_pass(&mut self, now: Instant, rate: Rate, cost: u32) -> bool {
        let full = i64::from(rate.burst) * NANO;
        let passed = now.saturating_duration_since(self.filled_at);
        if passed > Duration::ZERO {
            let nanos = i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX);
            let gained = nanos.saturating_mul(i64::from(rate.per_second));
            self.nano_tokens = self.nano_tokens.saturating_add(gained).min(full);
            self.filled_at = now;
        }
        self.nano_tokens >= (i64::from(cost) * NANO).min(full) && self.nano_tokens > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::start;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = start();
        let rate = Rate { per_second: 2, burst: 3 };
        let mut bucket = Bucket::full(rate, start);
        let taken = |bucket: &mut Bucket, at| (0..10).filter(|_| bucket.take(at, rate, 1)).count();
        assert_eq!(taken(&mut bucket, start), 3);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(499)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(500)), 1);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3_600)), 3);
    }

    #[test]
    fn a_cost_above_the_burst_waits_for_a_full_bucket_and_is_paid_back() {
        let start = start();
        let rate = Rate { per_second: 10, burst: 100 };
        let mut bucket = Bucket::full(rate, start);
        assert!(bucket.take(start, rate, 300));
        assert!(!bucket.take(start + Duration::from_secs(20), rate, 1));
        assert!(bucket.take(start + Duration::from_secs(21), rate, 1));
        assert!(!bucket.take(start + Duration::from_secs(22), rate, 300));
    }

    #[test]
    fn a_clock_that_stands_or_steps_back_gives_nothing() {
        let start = start() + Duration::from_secs(10);
        let rate = Rate { per_second: 1_000, burst: 1 };
        let mut bucket = Bucket::full(rate, start);
        assert!(bucket.take(start, rate, 1));
        assert!(!bucket.take(start, rate, 1));
        assert!(!bucket.take(start - Duration::from_secs(5), rate, 1));
    }
}
