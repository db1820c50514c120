//! Notices when a file of the configuration changes (`inotify_auto_reload`). Files are looked at once a second, which
//! also sees files on network and container mounts that never report a change.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::files::{Mark, mark};

/// How often to look.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing may change before a change counts: editors write in several steps.
const SETTLED: Duration = Duration::from_secs(3);

/// Looks at files.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: Vec<(PathBuf, Mark)>,
    changed: Option<Instant>,
}

impl Watch {
    /// Watches these files from now on; what they were then is no change.
    pub(crate) fn set(&mut self, files: Vec<(PathBuf, Mark)>) {
        self.files = files;
        self.changed = None;
    }

    /// Looks, and says once whether something changed and has settled.
    pub(crate) fn look(&mut self, now: Instant) -> bool {
        for (path, known) in &mut self.files {
            let mark = mark(path);
            if mark != *known {
                *known = mark;
                self.changed = Some(now);
            }
        }
        let settled = self.changed.is_some_and(|at| now.saturating_duration_since(at) >= SETTLED);
        if settled {
            self.changed = None;
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the start of a test's own time")]
    fn a_change_counts_once_it_has_settled() {
        let path = std::env::temp_dir().join(format!("srs-edge-watch-{}", std::process::id()));
        std::fs::write(&path, "a").unwrap();
        let mut watch = Watch::default();
        watch.set(vec![(path.clone(), mark(&path))]);
        let start = Instant::now();
        assert!(!watch.look(start + SETTLED));
        std::fs::write(&path, "ab").unwrap();
        assert!(!watch.look(start));
        std::fs::write(&path, "abc").unwrap();
        assert!(!watch.look(start + Duration::from_secs(2)));
        assert!(!watch.look(start + Duration::from_secs(4)));
        assert!(watch.look(start + Duration::from_secs(5)));
        assert!(!watch.look(start + Duration::from_secs(60)));
        std::fs::remove_file(&path).unwrap();
        assert!(!watch.look(start));
        assert!(watch.look(start + SETTLED));
    }
}
