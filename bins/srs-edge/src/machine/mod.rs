//! Figures of the operating system for the HTTP API and the metrics: read from `/proc`, zero where it does not tell.

mod proc;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock;
use proc::Raw;

/// Shares of the processor are those since the last sample, if that is not younger.
const SAMPLE_AGE_MIN: Duration = Duration::from_secs(1);

/// Samples the machine.
pub(crate) struct Machine {
    started: Instant,
    network: usize,
    samples: Mutex<Samples>,
}

struct Samples {
    /// The two latest ones that are far enough apart.
    base: (Instant, Raw),
    recent: (Instant, Raw),
}

/// This process: `self` of `/api/v1/summaries`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SelfFigures {
    version: &'static str,
    pid: u32,
    ppid: u32,
    argv: String,
    cwd: String,
    pub(crate) mem_kbyte: u64,
    mem_percent: f64,
    /// Of all processors: 1.0 is all of them.
    pub(crate) cpu_percent: f64,
    /// Seconds.
    pub(crate) srs_uptime: u64,
}

/// The machine: `system` of `/api/v1/summaries`. The names are those of SRS, `ilde_time` included.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SystemFigures {
    cpu_percent: f64,
    #[serde(rename = "disk_read_KBps")]
    disk_read_kbps: u64,
    #[serde(rename = "disk_write_KBps")]
    disk_write_kbps: u64,
    disk_busy_percent: f64,
    mem_ram_kbyte: u64,
    mem_ram_percent: f64,
    mem_swap_kbyte: u64,
    mem_swap_percent: f64,
    cpus: usize,
    cpus_online: usize,
    uptime: f64,
    ilde_time: f64,
    load_1m: f64,
    load_5m: f64,
    load_15m: f64,
    net_sample_time: u128,
    net_recv_bytes: u64,
    net_send_bytes: u64,
    net_recvi_bytes: u64,
    net_sendi_bytes: u64,
    srs_sample_time: u128,
    srs_recv_bytes: u64,
    srs_send_bytes: u64,
    conn_sys: u64,
    conn_sys_et: u64,
    conn_sys_tw: u64,
    conn_sys_udp: u64,
    conn_srs: u64,
}

/// What the edge itself counts for [`SystemFigures`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EdgeFigures {
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) connections: u64,
}

impl Machine {
    /// Starts to sample; `network` is the number of the interface that is reported, from 0.
    pub(crate) fn new(network: u32) -> Self {
        let network = usize::try_from(network).unwrap_or(usize::MAX);
        let first = (clock::now(), Raw::read(network));
        Self { started: first.0, network, samples: Mutex::new(Samples { base: first, recent: first }) }
    }

    /// Time since start.
    pub(crate) fn uptime(&self) -> Duration {
        clock::now().saturating_duration_since(self.started)
    }

    /// This process.
    pub(crate) fn process(&self) -> SelfFigures {
        let (before, after, _) = self.sample();
        let total = after.cpu_total.saturating_sub(before.cpu_total);
        SelfFigures {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            ppid: std::os::unix::process::parent_id(),
            argv: std::env::args_os()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" "),
            cwd: std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
            mem_kbyte: after.process_kbyte,
            mem_percent: share(after.process_kbyte, after.ram_kbyte),
            cpu_percent: share(after.cpu_process.saturating_sub(before.cpu_process), total),
            srs_uptime: self.uptime().as_secs(),
        }
    }

    /// The machine around it.
    pub(crate) fn system(&self, edge: EdgeFigures) -> SystemFigures {
        let (before, now, millis) = self.sample();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let total = now.cpu_total.saturating_sub(before.cpu_total);
        let idle = now.cpu_idle.saturating_sub(before.cpu_idle);
        // Sectors of 512 bytes.
        let rate = |now: u64, before: u64| now.saturating_sub(before).saturating_mul(500) / millis.max(1);
        let wall = clock::since_1970().as_millis();
        SystemFigures {
            cpu_percent: share(total.saturating_sub(idle), total),
            disk_read_kbps: rate(now.disk_read_sectors, before.disk_read_sectors),
            disk_write_kbps: rate(now.disk_written_sectors, before.disk_written_sectors),
            disk_busy_percent: share(now.disk_busy_ms.saturating_sub(before.disk_busy_ms), millis).min(1.0),
            mem_ram_kbyte: now.ram_kbyte,
            mem_ram_percent: share(now.ram_kbyte.saturating_sub(now.ram_available_kbyte), now.ram_kbyte),
            mem_swap_kbyte: now.swap_kbyte,
            mem_swap_percent: share(now.swap_kbyte.saturating_sub(now.swap_free_kbyte), now.swap_kbyte),
            cpus,
            cpus_online: cpus,
            uptime: now.uptime,
            ilde_time: now.idle_time,
            load_1m: now.load[0],
            load_5m: now.load[1],
            load_15m: now.load[2],
            net_sample_time: wall,
            net_recv_bytes: now.interface_received,
            net_send_bytes: now.interface_sent,
            net_recvi_bytes: now.loopback_received,
            net_sendi_bytes: now.loopback_sent,
            srs_sample_time: wall,
            srs_recv_bytes: edge.received_bytes,
            srs_send_bytes: edge.sent_bytes,
            conn_sys: now.tcp_in_use + now.udp_in_use,
            conn_sys_et: now.tcp_in_use,
            conn_sys_tw: now.tcp_time_wait,
            conn_sys_udp: now.udp_in_use,
            conn_srs: edge.connections,
        }
    }

    /// An older sample, one of now, and the milliseconds between them.
    fn sample(&self) -> (Raw, Raw, u64) {
        let now = (clock::now(), Raw::read(self.network));
        let mut samples = self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.0.saturating_duration_since(samples.recent.0) >= SAMPLE_AGE_MIN {
            samples.base = samples.recent;
            samples.recent = now;
        }
        let (then, base) = samples.base;
        let millis = u64::try_from(now.0.saturating_duration_since(then).as_millis()).unwrap_or(u64::MAX);
        (base, now.1, millis)
    }
}

/// `part` of `whole`, 0.0 to 1.0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_there() {
        let machine = Machine::new(0);
        let own = machine.process();
        assert!(own.mem_kbyte > 0 && own.mem_percent > 0.0 && own.mem_percent < 1.0, "{own:?}");
        assert!((0.0..=1.0).contains(&own.cpu_percent), "{own:?}");
        let edge = EdgeFigures { received_bytes: 1, sent_bytes: 2, connections: 3 };
        let value = serde_json::to_value(machine.system(edge)).unwrap();
        assert!(value["mem_ram_kbyte"].as_u64() > Some(0) && value["uptime"].as_f64() > Some(0.0), "{value}");
        assert_eq!((&value["srs_send_bytes"], &value["conn_srs"]), (&2.into(), &3.into()));
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(28));
    }
}
