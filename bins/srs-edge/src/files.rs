//! Configuration files from disk, and the limit of open files.

use std::fs::File;
use std::io::Read;

use edge_cluster::config::Sources;

/// Reads files, each up to a limit.
pub(crate) struct Disk {
    /// Larger files are refused by the parser; no more than one byte above is read.
    pub(crate) file_bytes_max: usize,
}

impl Sources for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let limit = u64::try_from(self.file_bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = Vec::new();
        let result = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
        result.map(|_| text).map_err(|error| error.to_string())
    }
}

/// Files that this process may have open; `None` where the system does not tell.
pub(crate) fn open_files_max() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    soft_limit(&limits)
}

/// The soft limit in the line `Max open files  1024  4096  files`.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // "unlimited" is no number, and no limit.
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::soft_limit;

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let text =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024      524288    files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files  unlimited  unlimited  files"), None);
        assert_eq!(soft_limit(""), None);
    }
}
