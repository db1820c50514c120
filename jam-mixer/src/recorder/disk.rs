//! Carrying out a recorder's file operations (feature `disk`).

use super::{FileId, FileOp, Report};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

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
