//! The clocks of the program, read here and nowhere else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the program owns the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Time since 1970; zero on a machine whose clock is before it.
#[expect(clippy::disallowed_methods, reason = "log lines and the HTTP API carry the wall clock's time")]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
