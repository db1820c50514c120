//! Configuration files from disk.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use edge_cluster::config::Sources;

/// A file as it was: time of its last change and length; `None` when it was not there.
pub(crate) type Mark = Option<(SystemTime, u64)>;

/// How a file is now.
pub(crate) fn mark(path: &Path) -> Mark {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads files, each up to a limit, and remembers which.
pub(crate) struct Disk {
    /// What relative paths are relative to.
    folder: PathBuf,
    /// Larger files are refused by the parser; no more than one byte above is read.
    file_bytes_max: usize,
    read: RefCell<Vec<(PathBuf, Mark)>>,
}

impl Disk {
    pub(crate) fn new(folder: &Path, file_bytes_max: usize) -> Self {
        Self { folder: folder.to_owned(), file_bytes_max, read: RefCell::default() }
    }

    /// The files that were read, or should have been, as they were then.
    pub(crate) fn into_marks(self) -> Vec<(PathBuf, Mark)> {
        self.read.into_inner()
    }
}

impl Sources for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let place = self.folder.join(path);
        // Before reading: a change in between is one that was not read.
        self.read.borrow_mut().push((place.clone(), mark(&place)));
        let limit = u64::try_from(self.file_bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = Vec::new();
        let result = File::open(&place).and_then(|file| file.take(limit).read_to_end(&mut text));
        result.map(|_| text).map_err(|error| error.to_string())
    }
}
