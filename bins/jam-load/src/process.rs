//! The server as a process: its processor time and memory, and starting and stopping it.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// What `/proc` says about a process at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time since its start, in microseconds; the kernel counts in steps of 10 ms.
    pub(crate) cpu_micros: u64,
    /// Memory in use, KiB.
    pub(crate) rss_kib: u64,
    /// The most that was ever in use, KiB.
    pub(crate) rss_peak_kib: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u64;
        let ticks = cpu_ticks(&stat).ok_or_else(|| io::Error::other("unreadable /proc stat line"))?;
        Ok(Self {
            cpu_micros: ticks * 1_000_000 / ticks_per_second,
            rss_kib: kib(&status, "VmRSS:"),
            rss_peak_kib: kib(&status, "VmHWM:"),
        })
    }
}

/// User plus system time, fields 14 and 15. The name in field 2 may hold anything, so counting starts behind it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A server this program started; it is stopped when this value goes away.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts a shell command line; assignments of variables may stand in front.
    pub(crate) fn spawn(command: &str) -> io::Result<Self> {
        // `exec env` makes the process we know the server itself, also with assignments in front.
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec env {command}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The exit code, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Asks the server to stop and waits for it, five seconds at most.
    #[expect(clippy::disallowed_methods, reason = "waiting for another process")]
    pub(crate) fn stop(&mut self) -> Option<String> {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanos;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "42 (a) b) 3) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 99";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(kib("Name:\tx\nVmRSS:\t   1234 kB\n", "VmRSS:"), 1234);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_kib > 100 && usage.rss_peak_kib >= usage.rss_kib);
    }

    #[test]
    fn a_spawned_command_is_the_process_itself_and_is_stopped() {
        let mut server = Server::spawn("LANG=C sleep 30").unwrap();
        // The shell replaces itself; until then the process is still called sh. On a busy machine that takes a while.
        let patience = Nanos::now().plus(Duration::from_secs(20));
        let mut name = String::new();
        while name.trim() != "sleep" && Nanos::now() < patience {
            std::thread::yield_now();
            name = std::fs::read_to_string(format!("/proc/{}/comm", server.pid())).unwrap_or_default();
        }
        assert_eq!(name.trim(), "sleep");
        assert!(server.ended().is_none());
        assert!(server.stop().is_some_and(|status| status.contains("15")));
    }
}
