//! The connection log: lines that other programs parse (spec 9.4), the local time they carry, and diagnostics.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use jam_proto::text::LocalTime;
use tz::{DateTime, TimeZone};

/// The line for a server that nobody is connected to any more, behind its time.
const IDLE: &str = ",, server idling -------------------------------------";

/// A line of diagnostics. A closed terminal must not stop the music.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The system's time zone; UTC if it has none that can be read.
pub(crate) fn local_zone() -> TimeZone {
    TimeZone::local().unwrap_or_else(|_| TimeZone::utc())
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the log's lines carry the wall clock's time")]
pub(crate) fn unix_time() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// The time of day in `zone`, for chat lines.
pub(crate) fn time_of_day(zone: &TimeZone, unix_time: i64) -> LocalTime {
    let offset = zone.find_local_time_type(unix_time).map_or(0, |local| i64::from(local.ut_offset()));
    LocalTime::from_second_of_day((unix_time + offset).rem_euclid(86_400).unsigned_abs())
}

/// Writes connection lines to standard output and, if wanted, a file.
#[derive(Debug)]
pub(crate) struct ConnectionLog {
    zone: TimeZone,
    path: Option<PathBuf>,
    file: Option<File>,
}

impl ConnectionLog {
    /// Opens the file, if there is one, at its end.
    ///
    /// # Errors
    ///
    /// The system's, if the file cannot be opened for writing.
    pub(crate) fn open(path: Option<&Path>, zone: TimeZone) -> io::Result<Self> {
        let file = path.map(append_to).transpose()?;
        Ok(Self { zone, path: path.map(Path::to_owned), file })
    }

    /// Opens the file anew, after somebody has moved it away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.file = self.path.as_deref().map(append_to).transpose()?;
        Ok(())
    }

    /// A musician has come; `connected` counts it.
    pub(crate) fn joined(&mut self, ip: IpAddr, connected: u8) {
        self.write(&format!(", {ip}, connected ({connected})"));
    }

    /// The last musician has gone.
    pub(crate) fn idle(&mut self) {
        self.write(IDLE);
    }

    fn write(&mut self, rest: &str) {
        let line = format!("{}{rest}\n", stamp(&self.zone, unix_time()));
        // Neither a closed terminal nor a full disk is a reason to stop the music.
        let _ = io::stdout().write_all(line.as_bytes());
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// `yyyy-MM-dd HH:mm:ss`, local time.
fn stamp(zone: &TimeZone, unix_time: i64) -> String {
    match DateTime::from_timespec(unix_time, 0, zone.as_ref()) {
        Ok(t) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.month_day(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        // A time outside of what the zone's rules cover.
        Err(_) => format!("@{unix_time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_scripts_parse() {
        let path = std::env::temp_dir().join(format!("jamserver-log-{}", std::process::id()));
        let zone = TimeZone::utc();
        let mut log = ConnectionLog::open(Some(&path), zone.clone()).unwrap();
        log.joined([127, 0, 0, 1].into(), 2);
        log.reopen().unwrap();
        log.idle();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<&str> =
            text.lines().map(|line| line.split_at("2026-11-21 06:18:02".len()).1).collect();
        assert_eq!(
            lines,
            [", 127.0.0.1, connected (2)", ",, server idling -------------------------------------"]
        );
        assert_eq!(stamp(&zone, 1_795_241_882), "2026-11-21 06:18:02");
    }

    #[test]
    fn the_time_of_day_follows_the_zone() {
        let berlin = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let winter = 1_795_241_882; // 2026-11-21 06:18:02 UTC
        let summer = 1_784_700_000; // 2026-07-22 06:00:00 UTC
        assert_eq!(stamp(&berlin, winter), "2026-11-21 07:18:02");
        assert_eq!(time_of_day(&berlin, winter).to_string(), "07:18:02 AM");
        assert_eq!(time_of_day(&berlin, summer).to_string(), "08:00:00 AM");
    }
}
