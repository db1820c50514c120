//! Carrying out a recorder's file operations (feature `disk`): directly, or on a thread of their own.

use super::{FileId, FileOp, Recorder, Report};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Operations on their way to the thread; the rest waits in the recorder.
const OPERATIONS_AT_DISK_MAX: usize = 1024;

/// Makes a directory usable for recording (spec 7.1): creates it if needed and tries to write into it.
///
/// # Errors
///
/// What the system says; the message names the directory.
pub fn prepare(directory: &Path) -> io::Result<()> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("recording directory {}: {error}", directory.display()))
    };
    fs::create_dir_all(directory).map_err(explain)?;
    let probe = directory.join(format!(".jam-recorder-{}", std::process::id()));
    File::create(&probe).map_err(explain)?;
    fs::remove_file(&probe).map_err(explain)
}

/// The open files of a recorder.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileId, File>,
}

impl Disk {
    /// Without open files.
    #[must_use]
    pub const fn new() -> Self {
        Self { files: BTreeMap::new() }
    }

    /// Carries out one operation. It blocks as long as the disk does.
    #[must_use]
    pub fn perform(&mut self, op: FileOp) -> Report {
        let result = match &op {
            FileOp::CreateDir { path } => fs::create_dir(path),
            FileOp::Create { file, path } => create(path).map(|opened| {
                self.files.insert(*file, opened);
            }),
            FileOp::Append { file, bytes } => self.file(*file).and_then(|file| file.write_all(bytes)),
            FileOp::AppendSilence { file, bytes } => {
                self.file(*file).and_then(|file| append_silence(file, *bytes))
            }
            FileOp::Close { file, header } => close(self.files.remove(file), header),
            FileOp::WriteText { path, text } => {
                create(path).and_then(|mut file| file.write_all(text.as_bytes()))
            }
        };
        let error = result.err().map(|error| match op.path() {
            Some(path) => format!("{}: {error}", path.display()),
            None => error.to_string(),
        });
        let buffer = if let FileOp::Append { bytes, .. } = op { Some(bytes) } else { None };
        match error {
            None => Report::Done(buffer),
            Some(error) => Report::Failed { error, buffer },
        }
    }

    fn file(&mut self, id: FileId) -> io::Result<&mut File> {
        self.files.get_mut(&id).ok_or_else(|| not_open(id))
    }
}

fn not_open(id: FileId) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{id} could not be created"))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Lengthens the file; file systems that can store the zeros without space.
fn append_silence(file: &mut File, bytes: u64) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    file.set_len(end.saturating_add(bytes))?;
    file.seek(SeekFrom::End(0)).map(drop)
}

fn close(file: Option<File>, header: &[u8]) -> io::Result<()> {
    let Some(mut file) = file else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "a file could not be created"));
    };
    file.seek(SeekFrom::Start(0))?;
    file.write_all(header)
}

/// A thread that carries out the operations of one recorder.
///
/// Call [`exchange`](Self::exchange) once per tick: it never waits. At the end call [`finish`](Self::finish).
#[derive(Debug)]
pub struct DiskThread {
    ops: SyncSender<FileOp>,
    reports: Receiver<Report>,
    /// An operation that did not fit.
    unsent: Option<FileOp>,
    thread: JoinHandle<()>,
}

impl DiskThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn spawn() -> io::Result<Self> {
        let (ops, incoming) = mpsc::sync_channel::<FileOp>(OPERATIONS_AT_DISK_MAX);
        let (outgoing, reports) = mpsc::channel();
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || {
            let mut disk = Disk::new();
            for op in incoming {
                if outgoing.send(disk.perform(op)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ops, reports, unsent: None, thread })
    }

    /// Hands over what the recorder wants done and tells it what has been done. Does not wait.
    pub fn exchange(&mut self, recorder: &mut Recorder) {
        while let Some(op) = self.unsent.take().or_else(|| recorder.poll_op()) {
            match self.ops.try_send(op) {
                Ok(()) => {}
                Err(TrySendError::Full(op)) => {
                    self.unsent = Some(op);
                    break;
                }
                // The thread is gone; the operation is answered so that the recorder knows.
                Err(TrySendError::Disconnected(op)) => recorder.handle_report(gone(op)),
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            recorder.handle_report(report);
        }
    }

    /// Ends the take, waits until everything is written, and ends the thread.
    ///
    /// Gives up after `patience` without a sign of life from the disk; the thread then ends when the disk lets it.
    /// Returns whether everything was carried out.
    pub fn finish(mut self, recorder: &mut Recorder, patience: Duration) -> bool {
        recorder.end_take();
        self.exchange(recorder);
        while recorder.operations_waiting() > 0 {
            match self.reports.recv_timeout(patience) {
                Ok(report) => recorder.handle_report(report),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
            self.exchange(recorder);
        }
        drop(self.ops);
        self.thread.join().is_ok()
    }
}

fn gone(op: FileOp) -> Report {
    let buffer = if let FileOp::Append { bytes, .. } = op { Some(bytes) } else { None };
    Report::Failed { error: "the recorder's thread has ended".into(), buffer }
}
