//! Waiting: precise while a jam is on, free of charge while nobody is there.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::socket::Sockets;

/// Wakes the audio thread out of its idle wait.
#[derive(Clone, Debug)]
pub(super) struct Waker(Arc<imp::Wake>);

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        imp::Wake::new().map(|wake| Self(Arc::new(wake)))
    }

    pub(super) fn wake(&self) {
        self.0.wake();
    }
}

/// Waits until a datagram arrives, `waker` wakes, or `until` (at most a minute).
pub(super) fn wait_for_input(sockets: &Sockets, waker: &Waker, now: Instant, until: Option<Instant>) {
    let longest = Duration::from_secs(60);
    let wait = until.map_or(longest, |t| t.saturating_duration_since(now).min(longest));
    if !wait.is_zero() {
        imp::poll(sockets, &waker.0, wait);
    }
}

/// Sleeps to an absolute time: late by the scheduler's latency only, never by a timer wheel's grain.
pub(super) fn sleep_until(now: Instant, until: Instant) {
    let wait = until.saturating_duration_since(now);
    if !wait.is_zero() {
        imp::sleep(wait);
    }
}

/// Asks for wake-ups that are not rounded; without real-time priority the system rounds by 50 us.
pub(super) fn sharpen_timers() {
    imp::sharpen_timers();
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Duration, Sockets, io};
    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll as poll_fds};
    use rustix::fd::OwnedFd;
    use rustix::thread::{ClockId, NanosleepRelativeResult, clock_nanosleep_relative};
    use smallvec::SmallVec;

    #[derive(Debug)]
    pub(super) struct Wake(OwnedFd);

    impl Wake {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
        }

        pub(super) fn wake(&self) {
            // A full counter means that a wake-up is pending already.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }

    pub(super) fn poll(sockets: &Sockets, wake: &Wake, wait: Duration) {
        let mut fds: SmallVec<[PollFd<'_>; 3]> =
            sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        fds.push(PollFd::new(&wake.0, PollFlags::IN));
        // An interrupted wait is an early wake-up, which every machine tolerates.
        let _ = poll_fds(&mut fds, Some(&timespec(wait)));
        let _ = rustix::io::read(&wake.0, &mut [0_u8; 8]);
    }

    pub(super) fn sleep(wait: Duration) {
        let mut left = timespec(wait);
        while let NanosleepRelativeResult::Interrupted(rest) =
            clock_nanosleep_relative(ClockId::Monotonic, &left)
        {
            left = rest;
        }
    }

    pub(super) fn sharpen_timers() {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZero::new(1));
    }

    fn timespec(wait: Duration) -> Timespec {
        Timespec { tv_sec: wait.as_secs().try_into().unwrap_or(60), tv_nsec: wait.subsec_nanos().into() }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Duration, Sockets, io};
    use std::sync::{Condvar, Mutex, PoisonError};

    #[derive(Debug)]
    pub(super) struct Wake {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Wake {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { woken: Mutex::new(false), changed: Condvar::new() })
        }

        pub(super) fn wake(&self) {
            *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_one();
        }
    }

    /// Without a portable wait for several things, an idle server looks at its sockets every 10 ms.
    pub(super) fn poll(_sockets: &Sockets, wake: &Wake, wait: Duration) {
        let woken = wake.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok((mut woken, _)) =
            wake.changed.wait_timeout_while(woken, wait.min(Duration::from_millis(10)), |woken| !*woken)
        {
            *woken = false;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the driver waits")]
    pub(super) fn sleep(wait: Duration) {
        std::thread::sleep(wait);
    }

    pub(super) fn sharpen_timers() {}
}
