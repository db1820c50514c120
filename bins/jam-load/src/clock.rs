//! Time: nanoseconds of the system's wall clock, because the kernel stamps datagrams with that clock.
//!
//! A run during which the wall clock is stepped measures nonsense; clock slewing does not matter.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Nanos(pub(crate) i64);

impl Nanos {
    /// The wall clock.
    pub(crate) fn now() -> Self {
        clock_gettime(ClockId::CLOCK_REALTIME).map_or(Self(0), Self::from)
    }

    /// The processor time this thread has used.
    pub(crate) fn thread_cpu() -> Self {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Self(0), Self::from)
    }

    /// Waits until the clock shows this time.
    pub(crate) fn sleep_until(self) {
        let at = TimeSpec::new(self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        // A signal ends the wait early, and the caller's loop comes round again.
        let _ = clock_nanosleep(ClockId::CLOCK_REALTIME, ClockNanosleepFlags::TIMER_ABSTIME, &at);
    }

    pub(crate) fn plus(self, d: Duration) -> Self {
        Self(self.0 + d.as_nanos() as i64)
    }

    /// Nanoseconds from `earlier` to this time.
    pub(crate) fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl From<TimeSpec> for Nanos {
    fn from(t: TimeSpec) -> Self {
        Self(t.tv_sec() * 1_000_000_000 + t.tv_nsec())
    }
}
