//! The log in the format of SRS (spec 14.1). Whoever logs never waits: a thread writes, and what it cannot write is
//! counted and told later.

mod line;
mod sink;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use edge_cluster::config::LogLevel;
use tz::TimeZone;

use crate::clock::since_1970;
pub(crate) use sink::Target;

/// Lines that wait for the disk; more are lost and counted.
const QUEUE_LINES: usize = 8192;
/// How long lines are collected for one write: a burst of connections neither wakes the thread for each line nor has the
/// processor taken away by it.
const COLLECT: Duration = Duration::from_millis(20);
/// How long the end of the program waits for a disk.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// What a line is about: the name of a connection, or of the program itself.
pub(crate) type Cid<'a> = &'a str;

enum Job {
    Line(LogLevel, String),
    Reopen(Target),
    Flush(SyncSender<()>),
}

struct Shared {
    jobs: SyncSender<Job>,
    level: AtomicU8,
    lost: AtomicU64,
    zone: TimeZone,
    pid: u32,
    cid: String,
}

/// A way to the log, to be cloned freely.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

/// The thread that writes. Dropping it without [`Writer::finish`] leaves the last lines to chance.
pub(crate) struct Writer(JoinHandle<()>);

/// Opens the log. A file that cannot be opened is replaced by the console, and the log says so.
pub(crate) fn start(target: Target, level: LogLevel, utc: bool) -> io::Result<(Log, Writer)> {
    let (jobs, receiver) = sync_channel(QUEUE_LINES);
    let shared = Arc::new(Shared {
        jobs,
        level: AtomicU8::new(level as u8),
        lost: AtomicU64::new(0),
        zone: if utc { TimeZone::utc() } else { TimeZone::local().unwrap_or_else(|_| TimeZone::utc()) },
        pid: std::process::id(),
        cid: crate::id::random(8),
    });
    let (zone, cid) = (shared.zone.clone(), shared.cid.clone());
    let note = move |text: &str| {
        let head = line::Head { level: LogLevel::Error, pid: std::process::id(), cid: &cid, errno: 0 };
        line::format(&zone, since_1970(), &head, text)
    };
    let sink = sink::Sink::open(target, Box::new(note));
    let weak = Arc::downgrade(&shared);
    let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
        let lost = move || weak.upgrade().map_or(0, |shared| shared.lost.swap(0, Ordering::Relaxed));
        write_all(&receiver, sink, lost);
    })?;
    Ok((Log(shared), Writer(thread)))
}

impl Log {
    /// The name in lines about the program itself.
    pub(crate) fn cid(&self) -> Cid<'_> {
        &self.0.cid
    }

    /// Least important lines that are written from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        self.0.level.store(level as u8, Ordering::Relaxed);
    }

    /// Whether such lines are written: asks before a line is costly to make.
    pub(crate) fn enabled(&self, level: LogLevel) -> bool {
        level as u8 >= self.0.level.load(Ordering::Relaxed)
    }

    pub(crate) fn debug(&self, cid: Cid<'_>, text: &str) {
        self.write(LogLevel::Debug, cid, 0, text);
    }

    pub(crate) fn info(&self, cid: Cid<'_>, text: &str) {
        self.write(LogLevel::Info, cid, 0, text);
    }

    pub(crate) fn warn(&self, cid: Cid<'_>, text: &str) {
        self.write(LogLevel::Warn, cid, 0, text);
    }

    pub(crate) fn error(&self, cid: Cid<'_>, text: &str) {
        self.write(LogLevel::Error, cid, 0, text);
    }

    /// A failed call of the system: `text(No such file or directory)` with its number.
    pub(crate) fn failure(&self, level: LogLevel, cid: Cid<'_>, text: &str, error: &io::Error) {
        let number = error.raw_os_error().unwrap_or(0);
        self.write(level, cid, number, &format!("{text}({error})"));
    }

    fn write(&self, level: LogLevel, cid: Cid<'_>, errno: i32, text: &str) {
        if !self.enabled(level) {
            return;
        }
        let head = line::Head { level, pid: self.0.pid, cid, errno };
        let line = line::format(&self.0.zone, since_1970(), &head, text);
        if self.0.jobs.try_send(Job::Line(level, line)).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew, after it was moved away, or another one. A failure is told in the old log.
    pub(crate) fn reopen(&self, target: Target) {
        // Where a disk hangs, the queue is full, and a new file would not help.
        let _ = self.0.jobs.try_send(Job::Reopen(target));
    }
}

impl Writer {
    /// Writes what waits, within a limit.
    pub(crate) fn finish(self, log: &Log) {
        let (done, wait) = sync_channel(1);
        if log.0.jobs.try_send(Job::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_PATIENCE);
        }
        // The thread ends with the last `Log`; a disk that hangs must not hold the program up.
        drop(self.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which has nothing else to do")]
fn write_all(jobs: &Receiver<Job>, mut sink: sink::Sink, lost: impl Fn() -> u64) {
    while let Ok(first) = jobs.recv() {
        if matches!(first, Job::Line(..)) {
            std::thread::sleep(COLLECT);
        }
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Line(level, line) => sink.add(level, &line),
                Job::Reopen(target) => sink.reopen(target),
                Job::Flush(done) => {
                    sink.flush(lost());
                    let _ = done.send(());
                }
            }
            next = jobs.try_recv().ok();
        }
        sink.flush(lost());
    }
}

/// Where a file of the configuration goes, made absolute: the working directory may change.
pub(crate) fn file(path: &str) -> Target {
    Target::File(std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(test: &str) -> PathBuf {
        std::env::temp_dir().join(format!("srs-edge-log-{test}-{}", std::process::id()))
    }

    #[test]
    fn folders_are_made_and_the_file_is_reopened_after_it_was_moved() {
        let folder = folder("reopen");
        let path = folder.join("objs/edge.log");
        let (log, writer) = start(Target::File(path.clone()), LogLevel::Info, true).unwrap();
        log.info("abcdefgh", "one");
        log.debug("abcdefgh", "not written at this level");
        let flush = || {
            let (done, wait) = sync_channel(1);
            log.0.jobs.send(Job::Flush(done)).unwrap();
            wait.recv().unwrap();
        };
        flush();
        std::fs::rename(&path, folder.join("old.log")).unwrap();
        std::fs::remove_dir(folder.join("objs")).unwrap();
        log.info("abcdefgh", "two");
        flush();
        log.reopen(Target::File(path.clone()));
        log.warn("abcdefgh", "three");
        writer.finish(&log);
        let old = std::fs::read_to_string(folder.join("old.log")).unwrap();
        let new = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let ends = |text: &str| -> Vec<String> {
            text.lines().map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(ends(&old), ["one", "two"]);
        assert_eq!(ends(&new), ["three"]);
        let pid = std::process::id();
        assert!(new.contains(&format!("][WARN][{pid}][abcdefgh][0] three\n")), "{new}");
    }

    #[test]
    fn a_log_that_cannot_be_opened_or_written_stops_nothing() {
        let (log, writer) = start(Target::File("/dev/null/x.log".into()), LogLevel::Error, true).unwrap();
        log.reopen(Target::File("/dev/full".into()));
        for _ in 0..3 {
            log.error("abcdefgh", "lost");
        }
        writer.finish(&log);
    }
}
