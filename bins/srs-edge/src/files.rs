//! Configuration files from disk.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use edge_cluster::config::Sources;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::clock;

/// Longest wait for what comes out of a pipe: `-c <(make-configuration)`. A pipe that nobody writes to must not stop a
/// running server at its next reload.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

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
        let limit = self.file_bytes_max.saturating_add(1);
        read(&place, limit).map_err(|error| error.to_string())
    }
}

/// At most `limit` bytes of a file, without waiting for ever.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Without this flag the open itself waits until somebody writes to the pipe.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let deadline = clock::now() + PIPE_PATIENCE;
    let (mut text, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    while text.len() < limit {
        let room = piece.len().min(limit - text.len());
        match file.read(&mut piece[..room]) {
            Ok(0) if text.is_empty() && file.metadata()?.file_type().is_fifo() => {
                return Err(io::Error::other("nobody writes to this pipe"));
            }
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&file, deadline)?,
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// Waits until there is something to read.
fn wait(file: &File, deadline: std::time::Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(clock::now());
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err(io::Error::other(format!("nothing came within {} s", PIPE_PATIENCE.as_secs()))),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn pipes_are_read_and_one_that_nobody_writes_to_is_an_error() {
        let path = std::env::temp_dir().join(format!("srs-edge-pipe-{}", std::process::id()));
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let orphan = read(&path, 1000).unwrap_err();
        assert_eq!(orphan.to_string(), "nobody writes to this pipe");
        // Opened for both, so that this does not wait for a reader.
        let mut writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        writer.write_all(b"listen 1935;").unwrap();
        let reader = std::thread::spawn({
            let path = path.clone();
            move || read(&path, 6)
        });
        assert_eq!(reader.join().unwrap().unwrap(), b"listen");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 6).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
