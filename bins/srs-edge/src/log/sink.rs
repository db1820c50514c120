//! Where lines end up: a file, or the console.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use edge_cluster::config::LogLevel;

/// Where a log goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// Appended to this file, which is made where it is missing, and its folder too.
    File(PathBuf),
    /// Standard output.
    Console,
}

/// Makes a line about the log itself.
pub(super) type Note = Box<dyn Fn(&str) -> String + Send>;

/// Collects lines and writes them in one piece.
pub(super) struct Sink {
    file: Option<File>,
    note: Note,
    colours: bool,
    buffer: String,
    lines: u64,
    lost: u64,
}

impl Sink {
    /// Opens the target; where that fails, lines go to the console, the reason first.
    pub(super) fn open(target: Target, note: Note) -> Self {
        let mut sink = Self {
            file: None,
            note,
            colours: io::stdout().is_terminal(),
            buffer: String::new(),
            lines: 0,
            lost: 0,
        };
        sink.reopen(target);
        sink
    }

    /// Takes a line; [`Sink::flush`] writes it.
    pub(super) fn add(&mut self, level: LogLevel, line: &str) {
        let colour = match level {
            LogLevel::Warn => "\x1b[33m",
            LogLevel::Error => "\x1b[31m",
            _ => "",
        };
        if self.file.is_none() && self.colours && !colour.is_empty() {
            self.buffer.push_str(colour);
            self.buffer.push_str(line.trim_end());
            self.buffer.push_str("\x1b[0m\n");
        } else {
            self.buffer.push_str(line);
        }
        self.lines += 1;
    }

    /// Writes what was taken. `lost` more lines did not come this far.
    pub(super) fn flush(&mut self, lost: u64) {
        self.lost += lost;
        if self.buffer.is_empty() && self.lost == 0 {
            return;
        }
        if self.lost > 0 {
            let note = (self.note)(&format!("{} lines of the log were lost", self.lost));
            self.buffer.push_str(&note);
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(self.buffer.as_bytes()),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(self.buffer.as_bytes()).and_then(|()| out.flush())
            }
        };
        // A full disk or a closed terminal is told when there is room again.
        self.lost = if written.is_ok() { 0 } else { self.lost + self.lines };
        self.lines = 0;
        self.buffer.clear();
        // One burst of long lines is no reason to keep their memory.
        self.buffer.shrink_to(64 * 1024);
    }

    /// Opens the target anew. The old one stays where that fails, and gets the reason.
    pub(super) fn reopen(&mut self, target: Target) {
        self.flush(0);
        match target {
            Target::Console => self.file = None,
            Target::File(path) => match append_to(&path) {
                Ok(file) => self.file = Some(file),
                Err(error) => {
                    let note = (self.note)(&format!("cannot open the log {}: {error}", path.display()));
                    self.buffer.push_str(&note);
                }
            },
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().append(true).create(true).open(path)
}
