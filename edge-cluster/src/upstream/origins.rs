//! Which origin is next, and when.

use std::time::Duration;

use super::chance::Chance;
use crate::config::HostPort;

/// The origins of one stream: whose turn it is, and how long to wait once all of them have failed in a row.
///
/// The turn is a counter modulo the number of origins. It grows with every attempt and belongs to the stream: whoever
/// makes a new machine for the same stream passes the [`rotation`](Self::rotation) of the old one on.
///
/// ```
/// use edge_cluster::upstream::Origins;
///
/// let waits = [3, 5, 10].map(std::time::Duration::from_secs);
/// let list = ["a:1935".parse()?, "b:1935".parse()?];
/// let mut origins = Origins::new(&list, 0, 7);
/// assert_eq!(origins.next().map(|origin| origin.host), Some("a".to_owned()));
/// assert_eq!(origins.failed(&waits), None, "b is tried at once");
/// assert_eq!(origins.next().map(|origin| origin.host), Some("b".to_owned()));
/// let wait = origins.failed(&waits).ok_or("all have failed")?;
/// assert!((2.4..=3.6).contains(&wait.as_secs_f64()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Origins {
    list: Vec<HostPort>,
    rotation: u64,
    /// Attempts that failed since the last wait.
    failures: usize,
    /// Waits since an origin was last settled.
    rounds: usize,
    chance: Chance,
}

impl Origins {
    /// Begins at `rotation` attempts, usually 0; `seed` spreads the waits.
    pub fn new(list: &[HostPort], rotation: u64, seed: u64) -> Self {
        Self { list: list.to_vec(), rotation, failures: 0, rounds: 0, chance: Chance::new(seed) }
    }

    /// Takes another list. The turn and the failures stay.
    pub fn replace(&mut self, list: &[HostPort]) {
        self.list = list.to_vec();
    }

    /// Attempts made so far.
    pub fn rotation(&self) -> u64 {
        self.rotation
    }

    /// Waits in a row, since an origin was last [`settled`](Self::settled).
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Grows with every failure until an origin is settled, and once more with every wait: what is tried in turn by this
    /// number meets each origin in turn, whether their number is odd or even.
    pub(super) fn turn(&self) -> usize {
        self.rounds.wrapping_add(self.failures)
    }

    /// The origin of the next attempt; `None` when there is not one origin.
    #[expect(clippy::should_implement_trait, reason = "origins never end")]
    pub fn next(&mut self) -> Option<HostPort> {
        let count = u64::try_from(self.list.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.rotation.checked_rem(count)?).unwrap_or(0);
        self.rotation = self.rotation.wrapping_add(1);
        self.list.get(index).cloned()
    }

    /// The attempt failed. `None` means the next origin at once. When each origin has failed since the last wait, it is
    /// time to wait: as long as `waits` says for the first time, the second and so on, the last one from then on; give
    /// or take a fifth.
    pub fn failed(&mut self, waits: &[Duration]) -> Option<Duration> {
        self.failures += 1;
        if self.failures < self.list.len() {
            return None;
        }
        self.failures = 0;
        let wait = waits.get(self.rounds).or_else(|| waits.last()).copied().unwrap_or_default();
        self.rounds = self.rounds.saturating_add(1);
        Some(self.chance.around(wait))
    }

    /// An origin has served for long: its end is not a failure, and waits begin with the first one again.
    pub fn settled(&mut self) {
        self.failures = 0;
        self.rounds = 0;
    }
}
