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
