//! Processor time of the calling thread: what a shared machine does not disturb much.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long the calling thread has run on a processor.
#[must_use]
pub fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Nanoseconds of processor time per unit of work: the best of `runs` runs of `units` units.
///
/// The best, because everything that disturbs a run makes it slower.
pub fn best_ns_per_unit(runs: usize, units: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = thread_time();
        run();
        let spent = thread_time().saturating_sub(start);
        best = best.min(spent.as_nanos() as f64 / units as f64);
    }
    best
}

/// Nanoseconds of processor time of calls that cannot be repeated back to back: the median of the single calls, each
/// timed alone, without the cost of reading the clock.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    ns: Vec<u64>,
}

impl Calls {
    /// Runs and times one call.
    pub fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = thread_time();
        let result = call();
        self.ns.push(thread_time().saturating_sub(start).as_nanos() as u64);
        result
    }

    /// The median of the calls so far; not a number if there were none.
    #[must_use]
    pub fn median_ns(mut self) -> f64 {
        let mut clock = Self::default();
        for _ in 0..self.ns.len() {
            clock.time(|| ());
        }
        let median = |ns: &mut Vec<u64>| {
            ns.sort_unstable();
            ns.get(ns.len() / 2).map_or(f64::NAN, |ns| *ns as f64)
        };
        median(&mut self.ns) - median(&mut clock.ns)
    }
}
