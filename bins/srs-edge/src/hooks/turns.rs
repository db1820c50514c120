//! So many requests to one URL at the same time: one that hangs takes no room from the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who may ask which URL now. Knows only URLs that are being asked, or waited for.
pub(super) struct Turns {
    each: usize,
    urls: Mutex<BTreeMap<String, Line>>,
}

/// Those who ask one URL.
struct Line {
    semaphore: Arc<Semaphore>,
    people: usize,
}

/// The right to ask; dropping it is the end of the request.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    url: &'a str,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once for `each` URL.
    pub(super) fn new(each: usize) -> Self {
        Self { each, urls: Mutex::default() }
    }

    /// Waits for a turn; those who came first are first.
    pub(super) async fn wait<'a>(&'a self, url: &'a str) -> Turn<'a> {
        let semaphore = {
            let mut urls = self.urls();
            let line = urls
                .entry(url.to_owned())
                .or_insert_with(|| Line { semaphore: Arc::new(Semaphore::new(self.each)), people: 0 });
            line.people += 1;
            Arc::clone(&line.semaphore)
        };
        // Made before the wait: who gives up waiting is counted out, too.
        let mut turn = Turn { turns: self, url, _permit: None };
        // The semaphore is never closed.
        turn._permit = semaphore.acquire_owned().await.ok();
        turn
    }

    fn urls(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        // A table of counters is usable whatever happened to the thread that held it.
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut urls = self.turns.urls();
        if let Some(line) = urls.get_mut(self.url) {
            line.people -= 1;
            if line.people == 0 {
                urls.remove(self.url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_refused(turns: &Turns, url: &str) -> bool {
        tokio::time::timeout(Duration::from_secs(60), turns.wait(url)).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_url_that_hangs_keeps_nobody_from_another_one() {
        let turns = Turns::new(2);
        let first = turns.wait("hangs").await;
        let second = turns.wait("hangs").await;
        assert!(is_refused(&turns, "hangs").await);
        drop(turns.wait("good").await);
        drop(first);
        assert!(!is_refused(&turns, "hangs").await);
        drop(second);
        assert!(turns.urls().is_empty(), "what nobody asks is forgotten");
    }
}
