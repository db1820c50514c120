//! What a recorder wants done with files, and what it is told about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file of a recorder; numbers are never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileId(pub(super) u64);

/// One file operation, to be carried out in order.
///
/// # For implementers
///
/// Answer each operation with exactly one [`Report`]. Operations on a file whose creation failed fail, or are ignored
/// and reported as done; either is right.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileOp {
    /// Make the directory of a take. It must not exist, its parent does.
    CreateDir {
        /// Absolute if the recorder's directory is.
        path: PathBuf,
    },
    /// Make a file for writing. It must not exist.
    Create {
        /// How later operations call it.
        file: FileId,
        /// Where.
        path: PathBuf,
    },
    /// Write at the end. The buffer goes back with [`Report::Done`].
    Append {
        /// A created file.
        file: FileId,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Write zeros at the end: the samples of this time could not be kept.
    AppendSilence {
        /// A created file.
        file: FileId,
        /// How many zeros.
        bytes: u64,
    },
    /// Overwrite the beginning and close.
    Close {
        /// A created file.
        file: FileId,
        /// The final WAV header.
        header: [u8; 44],
    },
    /// Make a text file in one go. An existing one is left as it is and reported as failed.
    WriteText {
        /// Where.
        path: PathBuf,
        /// UTF-8 with LF.
        text: String,
    },
}

impl FileOp {
    /// The path to name in an error message, if the operation has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::CreateDir { path } | Self::Create { path, .. } | Self::WriteText { path, .. } => Some(path),
            Self::Append { .. } | Self::AppendSilence { .. } | Self::Close { .. } => None,
        }
    }
}

/// The answer to a [`FileOp`].
#[derive(Debug)]
pub enum Report {
    /// It is done. An [`FileOp::Append`] returns its buffer for reuse.
    Done(Option<Vec<u8>>),
    /// It could not be done; the buffer of an [`FileOp::Append`] comes back all the same.
    Failed {
        /// What could not be done and why, for people.
        error: String,
        /// The buffer.
        buffer: Option<Vec<u8>>,
    },
}

/// What happened to a recorder that its owner should know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RecorderEvent {
    /// To be told to all clients (message 33).
    StateChanged(jam_proto::message::RecorderState),
    /// Files are being written here.
    TakeStarted {
        /// The take's directory.
        path: PathBuf,
    },
    /// The take is complete as soon as the queued operations are carried out.
    TakeEnded {
        /// The take's directory.
        path: PathBuf,
        /// How many files with sound it has.
        tracks: usize,
    },
    /// The disk is slow and the queue of ticks is full: what comes now is a gap of silence.
    Behind,
    /// The disk has caught up; so many ticks are silence in the files.
    Gap {
        /// Ticks that found no room.
        ticks: u64,
    },
    /// The directory cannot be used (the text says why): there is no recorder until another one is given.
    Unusable(String),
    /// A file operation failed and recording is disabled until enabled again (spec 7.1).
    Failed(RecorderError),
}

/// Why recording was disabled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// A file or directory could not be made or written. Make room or mend the permissions, then enable again.
    #[error("recording stopped: {0}")]
    File(String),
    /// More operations wait for the disk than the limit. The disk has stopped answering; enable again later.
    #[error("recording stopped: {0} file operations are waiting for the disk")]
    DiskStalled(usize),
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.0)
    }
}
