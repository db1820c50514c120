//! The server while an attack runs: memory, processor time, lines of its log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::wait;
use crate::process::Usage;
use crate::usage::of_tree;

/// How often memory is looked at.
const STEP: Duration = Duration::from_millis(20);

/// What the server used during an attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) before_kib: u64,
    /// The most that was seen.
    pub(super) peak_kib: u64,
    pub(super) after_kib: u64,
    pub(super) cpu_micros: u64,
}

/// Looks at a process until it is asked.
#[derive(Debug)]
pub(super) struct Watch {
    pid: u32,
    before: Usage,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    peak_kib: AtomicU64,
    done: AtomicBool,
}

impl Watch {
    /// Begins; `None` when there is no such process.
    pub(super) fn begin(pid: u32) -> Option<Self> {
        let before = of_tree(pid).ok()?;
        let state = Arc::new(State::default());
        let theirs = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            while !theirs.done.load(Ordering::Relaxed) {
                if let Ok(usage) = Usage::of(pid) {
                    theirs.peak_kib.fetch_max(usage.rss_kib, Ordering::Relaxed);
                }
                wait(STEP);
            }
        });
        Some(Self { pid, before, state, thread })
    }

    /// Ends; `None` when the process is gone.
    pub(super) fn end(self) -> Option<Used> {
        self.state.done.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        let after = of_tree(self.pid).ok().filter(|usage| usage.rss_kib > 0)?;
        Some(Used {
            before_kib: self.before.rss_kib,
            peak_kib: self.state.peak_kib.load(Ordering::Relaxed).max(after.rss_kib),
            after_kib: after.rss_kib,
            cpu_micros: after.cpu_micros.saturating_sub(self.before.cpu_micros),
        })
    }
}

/// A log that is counted.
#[derive(Debug)]
pub(super) struct Log(pub(super) PathBuf);

impl Log {
    /// Lines so far.
    pub(super) fn lines(&self) -> u64 {
        lines_of(&self.0).unwrap_or(0)
    }
}

fn lines_of(path: &Path) -> std::io::Result<u64> {
    Ok(std::fs::read(path)?.iter().filter(|byte| **byte == b'\n').count() as u64)
}
