//! Whose GOP goes on next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::conn::ConnId;

/// Turns of newcomers wait until nobody has said anything for so long: whoever speaks may be on the way to its first
/// picture, and those who wait for a turn have theirs.
const QUIET: Duration = Duration::from_millis(1);
/// Longest wait for that.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Connections that were written to and have more, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: VecDeque<ConnId>,
    /// Nobody has said anything since.
    quiet_since: Option<Instant>,
    /// When the turns that wait now take place in any case.
    latest: Option<Instant>,
}

impl Turns {
    /// Somebody who follows the stream has its turn at once.
    pub(super) fn push(&mut self, now: Instant, conn: ConnId, is_newcomer: bool) {
        let latest = if is_newcomer { now + WAIT_MAX } else { now };
        self.latest = Some(self.latest.map_or(latest, |other| other.min(latest)));
        self.queue.push_back(conn);
    }

    /// Begins the next turn, if it is still due.
    pub(super) fn begin(&mut self, now: Instant) -> Option<ConnId> {
        self.due().filter(|&due| due <= now).and_then(|_| self.queue.pop_front())
    }

    /// Ends it. Once turns do not wait any more, they do not until all is sent.
    pub(super) fn end(&mut self) {
        if self.queue.is_empty() {
            self.latest = None;
        }
    }

    /// Somebody has said something.
    pub(super) fn wait(&mut self, now: Instant) {
        self.quiet_since = Some(now);
    }

    /// When the next turn takes place.
    pub(super) fn due(&self) -> Option<Instant> {
        let latest = self.latest?;
        Some(self.quiet_since.map_or(latest, |since| latest.min(since + QUIET)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use super::*;

    #[test]
    fn turns_wait_for_a_quiet_moment_but_not_for_ever() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let [a, b] = [1, 2].map(ConnId::inbound);
        let mut turns = Turns::default();
        assert_eq!(turns.due(), None);
        turns.wait(at(0));
        assert_eq!(turns.due(), None, "nobody waits");
        turns.push(at(0), a, true);
        turns.push(at(5), b, true);
        assert_eq!(turns.due(), Some(at(0) + QUIET));
        turns.wait(at(7));
        assert_eq!(turns.due(), Some(at(7) + QUIET));
        turns.wait(at(25));
        assert_eq!(turns.due(), Some(at(0) + WAIT_MAX));
        assert_eq!(turns.begin(at(19)), None, "it was due, until somebody spoke");
        turns.end();
        assert_eq!(turns.begin(at(20)), Some(a));
        turns.end();
        assert_eq!(turns.begin(at(20)), Some(b));
        turns.push(at(26), b, true);
        turns.end();
        assert_eq!(turns.due(), Some(at(0) + WAIT_MAX), "one that has more goes on");
        assert_eq!(turns.begin(at(27)), Some(b));
        turns.end();
        assert_eq!((turns.due(), turns.begin(at(28))), (None, None));
        turns.wait(at(39));
        turns.push(at(30), a, true);
        turns.wait(at(49));
        assert_eq!(turns.due(), Some(at(30) + WAIT_MAX), "the next one waits for itself");
        turns.push(at(49), b, false);
        assert_eq!(turns.due(), Some(at(49)), "whoever follows the stream does not wait");
    }
}
