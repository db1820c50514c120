//! When the ticks of a jam are due.

use std::time::{Duration, Instant};

/// Absolute deadlines computed from the tick's number, so that rounding never accumulates to a drift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TickClock {
    start: Instant,
    samples: u64,
    /// The number of the tick that is due next, and its deadline.
    next: u64,
    deadline: Instant,
}

/// After a stall so many missed ticks are made up for; the others are skipped, so that delay does not pile up. Four are
/// 10.7 ms, which jitter buffers of musicians on the Internet bridge.
const CATCH_UP: u64 = 4;

impl TickClock {
    /// The first tick is due at `start`.
    pub(crate) const fn new(start: Instant, samples: usize) -> Self {
        Self { start, samples: samples as u64, next: 0, deadline: start }
    }

    /// The length of one tick, rounded.
    pub(crate) const fn period(samples: usize) -> Duration {
        offset(1, samples as u64)
    }

    /// When the next tick is due.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Gives up the ticks that were missed by `now` and are too many to be made up for; returns how many.
    ///
    /// To be asked before anything is done that arrived meanwhile: what waited through a stall belongs to the time
    /// after it.
    pub(crate) fn give_up(&mut self, now: Instant) -> u64 {
        let skipped = self.due(now).saturating_sub(CATCH_UP);
        self.advance(skipped);
        skipped
    }

    /// Takes the ticks that are due at `now`, to run back to back.
    pub(crate) fn take(&mut self, now: Instant) -> u64 {
        let due = self.due(now);
        self.advance(due);
        due
    }

    fn advance(&mut self, ticks: u64) {
        if ticks > 0 {
            self.next += ticks;
            self.deadline = self.start + offset(self.next, self.samples);
        }
    }

    fn due(&self, now: Instant) -> u64 {
        if now < self.deadline {
            return 0;
        }
        let nanos = now.duration_since(self.start).as_nanos();
        // The last tick k with offset(k) <= now, exactly: offset is floor(k * samples * 62,500 / 3).
        let last = ((3 * nanos + 2) / (u128::from(self.samples) * 62_500)) as u64;
        last.saturating_sub(self.next) + 1
    }
}

/// The time from the start to tick `k`: a sample lasts 62,500 / 3 ns at 48 kHz.
const fn offset(k: u64, samples: u64) -> Duration {
    let nanos = k as u128 * samples as u128 * 62_500 / 3;
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do as origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_day_of_ticks_does_not_drift() {
        let start = origin();
        let mut clock = TickClock::new(start, 128);
        clock.advance(24 * 3600 * 375);
        assert_eq!(clock.deadline(), start + Duration::from_secs(24 * 3600));
    }

    #[test]
    fn every_deadline_is_due_exactly_when_it_says() {
        for samples in [64, 128] {
            let start = origin();
            let mut clock = TickClock::new(start, samples);
            for _ in 0..5000 {
                let deadline = clock.deadline();
                if deadline > start {
                    assert_eq!(clock.take(deadline - Duration::from_nanos(1)), 0);
                }
                assert_eq!(clock.take(deadline), 1);
                assert!(clock.deadline() > deadline);
            }
        }
    }

    #[test]
    fn after_a_stall_four_ticks_run_and_the_others_are_skipped() {
        let start = origin();
        let mut clock = TickClock::new(start, 128);
        assert_eq!((clock.give_up(start), clock.take(start)), (0, 1));
        // 40 ms: ticks 1 to 15 have become due.
        let late = start + Duration::from_millis(40);
        assert_eq!((clock.give_up(late), clock.give_up(late), clock.take(late)), (11, 0, 4));
        assert_eq!((clock.give_up(late), clock.take(late)), (0, 0));
        assert_eq!(clock.deadline(), start + offset(16, 128));
    }
}
