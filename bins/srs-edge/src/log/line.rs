//! One line of the log.

use std::fmt::Write as _;
use std::time::Duration;

use edge_cluster::config::LogLevel;
use tz::{DateTime, TimeZone};

/// Longest line, as in SRS.
const LINE_BYTES_MAX: usize = 8192;

/// What stands in front of the text beside the time.
pub(super) struct Head<'a> {
    pub(super) level: LogLevel,
    pub(super) pid: u32,
    pub(super) cid: &'a str,
    pub(super) errno: i32,
}

/// `[2026-02-26 10:20:30.123][INFO][pid][cid] text`; warnings and errors have `[errno]` behind the cid. Names of
/// clients end up in the text: control characters are shown as escapes, so that nobody forges lines.
pub(super) fn format(zone: &TimeZone, since_1970: Duration, head: &Head<'_>, text: &str) -> String {
    let mut line = String::with_capacity(64 + text.len());
    stamp(&mut line, zone, since_1970);
    let word = match head.level {
        LogLevel::Trace => "TRACE",
        LogLevel::Debug => "DEBUG",
        LogLevel::Info => "INFO",
        LogLevel::Warn => "WARN",
        LogLevel::Error => "ERROR",
    };
    // Writing to a String does not fail.
    let _ = write!(line, "[{word}][{}][{}]", head.pid, head.cid);
    if head.level >= LogLevel::Warn {
        let _ = write!(line, "[{}]", head.errno);
    }
    line.push(' ');
    for c in text.chars() {
        if line.len() + 12 > LINE_BYTES_MAX {
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

fn stamp(line: &mut String, zone: &TimeZone, since_1970: Duration) {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    let millis = since_1970.subsec_millis();
    let _ = match DateTime::from_timespec(seconds, 0, zone.as_ref()) {
        Ok(t) => write!(
            line,
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{millis:03}]",
            t.year(),
            t.month(),
            t.month_day(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        // A time outside of what the zone's rules cover.
        Err(_) => write!(line, "[@{seconds}.{millis:03}]"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: LogLevel, errno: i32, text: &str) -> String {
        let head = Head { level, pid: 7, cid: "9k3l2m1n", errno };
        format(&TimeZone::utc(), Duration::from_millis(1_772_101_230_123), &head, text)
    }

    #[test]
    fn lines_are_those_of_srs() {
        assert_eq!(line(LogLevel::Info, 0, "text"), "[2026-02-26 10:20:30.123][INFO][7][9k3l2m1n] text\n");
        assert_eq!(
            line(LogLevel::Warn, 104, "reset(x)"),
            "[2026-02-26 10:20:30.123][WARN][7][9k3l2m1n][104] reset(x)\n"
        );
        assert!(line(LogLevel::Error, 0, "").contains("[ERROR][7][9k3l2m1n][0] "));
    }

    #[test]
    fn times_are_local() {
        let berlin = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let head = Head { level: LogLevel::Info, pid: 7, cid: "c", errno: 0 };
        let line = format(&berlin, Duration::from_secs(1_772_101_230), &head, "");
        assert!(line.starts_with("[2026-02-26 11:20:30.000]"), "{line}");
    }

    #[test]
    fn names_forge_no_lines_and_lines_have_an_end() {
        let forged = line(LogLevel::Info, 0, "stream=a\n[2026-02-26][INFO] b\u{1b}[2J");
        assert_eq!(forged.matches('\n').count(), 1);
        assert!(forged.contains("a\\n[2026-02-26]") && !forged.contains('\u{1b}'), "{forged}");
        let long = line(LogLevel::Info, 0, &"ä".repeat(20_000));
        assert!(long.len() <= LINE_BYTES_MAX && long.ends_with("ä\n"));
    }
}
