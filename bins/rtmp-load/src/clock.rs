//! Two clocks: the wall's goes into stamps, because publisher and viewer may be different processes; the other one
//! never jumps and drives the machines.

#[path = "../../jam-load/src/clock.rs"]
#[expect(dead_code, reason = "musicians need more of it")]
mod wall;

use std::time::{Duration, Instant};

pub(crate) use wall::Nanos;

#[expect(clippy::disallowed_methods, reason = "this program owns its clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the conductor waits for other threads and processes")]
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
