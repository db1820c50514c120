//! The file of the process id (spec 14.3): locked while the server runs, removed at its end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};

/// The file, ours until dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Makes and locks the file. The lock is the one that SRS takes, so that the two never share a file.
    pub(crate) fn acquire(path: &Path) -> Result<Self, String> {
        let problem = |error: io::Error| format!("cannot write the pid file {}: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(problem)?;
        }
        // Not truncated yet: until the lock is ours, the number in it belongs to somebody else.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(problem)?;
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            let holder = std::fs::read_to_string(path).unwrap_or_default();
            match error {
                rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN => {
                    format!("already running as process {holder} ({} is locked)", path.display())
                }
                error => problem(error.into()),
            }
        })?;
        file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(problem)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have moved ours away and put another one there.
        let same = |ours: std::fs::Metadata, theirs: std::fs::Metadata| {
            (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
        };
        if let (Ok(ours), Ok(theirs)) = (self.file.metadata(), std::fs::metadata(&self.path))
            && same(ours, theirs)
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_number_without_a_newline_and_goes_away() {
        let folder = std::env::temp_dir().join(format!("srs-edge-pid-{}", std::process::id()));
        let path = folder.join("objs/srs.pid");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "a number left by a crash").unwrap();
        let held = PidFile::acquire(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(held);
        assert!(!path.exists());
        let held = PidFile::acquire(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "of another server").unwrap();
        drop(held);
        assert!(path.exists());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(PidFile::acquire(Path::new("/dev/null/srs.pid")).unwrap_err().contains("/dev/null/srs.pid"));
    }
}
