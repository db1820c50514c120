//! Deadlines of many things, in one queue.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

use super::room::give_back_room;

/// When whose time comes. A deadline that moves to a later time is not touched: it fires early once and is then set
/// again, so that a publisher's deadline, which moves with every message, costs nothing.
#[derive(Debug)]
pub(super) struct Timers<K> {
    due: BTreeSet<(Instant, K)>,
    set: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(super) fn new() -> Self {
        Self { due: BTreeSet::new(), set: HashMap::new() }
    }

    /// `key` is to be woken at `at`, or a little earlier; `None` is never.
    pub(super) fn set(&mut self, key: K, at: Option<Instant>) {
        let before = self.set.get(&key).copied();
        match (before, at) {
            (Some(before), Some(at)) if before <= at => {}
            (Some(_), None) => {}
            (before, Some(at)) => {
                if let Some(before) = before {
                    self.due.remove(&(before, key));
                }
                self.set.insert(key, at);
                self.due.insert((at, key));
            }
            (None, None) => {}
        }
    }

    /// `key` is gone.
    pub(super) fn remove(&mut self, key: K) {
        if let Some(before) = self.set.remove(&key) {
            self.due.remove(&(before, key));
        }
    }

    /// The next key whose time has come; it has to be set again.
    pub(super) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.set.remove(&key);
        Some(key)
    }

    pub(super) fn give_back_room(&mut self, most: usize) {
        give_back_room(&mut self.set, most);
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    use std::time::Duration;

    use super::*;

    #[test]
    fn earlier_deadlines_count_at_once_and_later_ones_after_an_early_call() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::new();
        timers.set('a', Some(at(5)));
        timers.set('b', Some(at(3)));
        timers.set('a', Some(at(9)));
        assert_eq!(timers.next(), Some(at(3)));
        timers.set('a', Some(at(1)));
        assert_eq!((timers.pop(at(1)), timers.pop(at(1))), (Some('a'), None));
        timers.set('a', Some(at(9)));
        timers.set('b', None);
        timers.remove('b');
        assert_eq!(timers.next(), Some(at(9)));
        assert_eq!((timers.pop(at(10)), timers.pop(at(10)), timers.next()), (Some('a'), None, None));
    }
}
