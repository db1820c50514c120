//! Leaves a hook alone that does not work, for a while: thousands of clients must not each wait 30 seconds for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Failures in a row after which a URL is left alone.
const FAILURES: u32 = 5;
/// For how long. Then one request tries again.
const PAUSE: Duration = Duration::from_secs(10);
/// URLs that are remembered. Those of the configuration are far fewer; reloads add others.
const URLS_MAX: usize = 1024;

/// What became of a request to a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// There was an answer, whatever it said.
    Answered,
    /// There was none, or one that no working hook gives.
    Failed,
}

/// Which URLs are left alone.
#[derive(Debug, Default)]
pub(crate) struct Breaker(BTreeMap<String, Line>);

#[derive(Clone, Copy, Debug)]
struct Line {
    failures: u32,
    last: Instant,
}

impl Breaker {
    /// Whether `url` may be asked. After the pause the first who asks may, and the others wait for what becomes of it.
    pub(crate) fn may_ask(&mut self, url: &str, now: Instant) -> bool {
        let Some(line) = self.0.get_mut(url).filter(|line| line.failures >= FAILURES) else { return true };
        let due = now.saturating_duration_since(line.last) >= PAUSE;
        if due {
            line.last = now;
        }
        due
    }

    /// Learns from a request. `true` where `url` is left alone from now on.
    pub(crate) fn learn(&mut self, url: &str, outcome: Outcome, now: Instant) -> bool {
        if outcome == Outcome::Answered {
            self.0.remove(url);
            return false;
        }
        if self.0.len() >= URLS_MAX && !self.0.contains_key(url) {
            self.0.pop_first();
        }
        let line = self.0.entry(url.to_owned()).or_insert(Line { failures: 0, last: now });
        line.failures = line.failures.saturating_add(1);
        line.last = now;
        line.failures == FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the start of a test's own time")]
    fn a_broken_hook_is_left_alone_and_tried_again() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for failure in 1..=FAILURES {
            assert!(breaker.may_ask("a", start));
            assert_eq!(breaker.learn("a", Outcome::Failed, start), failure == FAILURES);
        }
        assert!(!breaker.may_ask("a", start));
        assert!(breaker.may_ask("b", start));
        let later = start + PAUSE;
        assert!(breaker.may_ask("a", later));
        assert!(!breaker.may_ask("a", later), "one tries, the others do not");
        assert!(!breaker.learn("a", Outcome::Failed, later));
        assert!(!breaker.may_ask("a", later));
        assert!(breaker.may_ask("a", later + PAUSE));
        breaker.learn("a", Outcome::Answered, later + PAUSE);
        assert!(breaker.may_ask("a", later + PAUSE));
        assert!(breaker.0.is_empty());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the start of a test's own time")]
    fn the_memory_has_an_end() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for number in 0..2 * URLS_MAX {
            breaker.learn(&number.to_string(), Outcome::Failed, now);
        }
        assert_eq!(breaker.0.len(), URLS_MAX);
    }
}
