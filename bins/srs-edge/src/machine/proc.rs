//! The files of `/proc`.

/// What they say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Raw {
    /// Ticks of all processors, the idle ones and those of this process.
    pub(super) cpu_total: u64,
    pub(super) cpu_idle: u64,
    pub(super) cpu_process: u64,
    pub(super) process_kbyte: u64,
    pub(super) ram_kbyte: u64,
    pub(super) ram_available_kbyte: u64,
    pub(super) swap_kbyte: u64,
    pub(super) swap_free_kbyte: u64,
    pub(super) disk_read_sectors: u64,
    pub(super) disk_written_sectors: u64,
    pub(super) disk_busy_ms: u64,
    /// Seconds.
    pub(super) uptime: f64,
    pub(super) idle_time: f64,
    pub(super) load: [f64; 3],
    pub(super) interface_received: u64,
    pub(super) interface_sent: u64,
    pub(super) loopback_received: u64,
    pub(super) loopback_sent: u64,
    pub(super) tcp_in_use: u64,
    pub(super) tcp_time_wait: u64,
    pub(super) udp_in_use: u64,
}

impl Raw {
    /// Reads them all. `network` is the number of an interface, from 0.
    pub(super) fn read(network: usize) -> Self {
        let mut raw = Self::default();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        raw.processors(&read("/proc/stat"));
        raw.process(&read("/proc/self/stat"), &read("/proc/self/status"));
        raw.memory(&read("/proc/meminfo"));
        raw.disks(&read("/proc/diskstats"));
        let [uptime, idle_time] = floats(&read("/proc/uptime"));
        (raw.uptime, raw.idle_time) = (uptime, idle_time);
        raw.load = floats(&read("/proc/loadavg"));
        raw.interfaces(&read("/proc/net/dev"), network);
        raw.sockets(&read("/proc/net/sockstat"));
        raw
    }

    fn processors(&mut self, text: &str) {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        let ticks: Vec<u64> = numbers(line).collect();
        self.cpu_total = ticks.iter().take(8).sum();
        self.cpu_idle = ticks.iter().skip(3).take(2).sum();
    }

    fn process(&mut self, stat: &str, status: &str) {
        // The name of the program may hold spaces; it ends at the last parenthesis.
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        self.cpu_process =
            fields.split_whitespace().skip(11).take(2).filter_map(|w| w.parse::<u64>().ok()).sum();
        self.process_kbyte = field(status, "VmRSS:");
    }

    fn memory(&mut self, text: &str) {
        self.ram_kbyte = field(text, "MemTotal:");
        self.ram_available_kbyte = field(text, "MemAvailable:");
        self.swap_kbyte = field(text, "SwapTotal:");
        self.swap_free_kbyte = field(text, "SwapFree:");
    }

    fn disks(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace().skip(2);
            let name = words.next().unwrap_or_default();
            // Whole disks: partitions, loops and memory disks would be counted twice or are none.
            let disk = name.len() == 3 && ["sd", "hd", "vd"].iter().any(|kind| name.starts_with(kind))
                || name.starts_with("nvme") && !name.contains('p')
                || name.starts_with("xvd") && name.len() == 4;
            if !disk {
                continue;
            }
            let figures: Vec<u64> = words.map(|word| word.parse().unwrap_or(0)).collect();
            let figure = |index: usize| figures.get(index).copied().unwrap_or(0);
            self.disk_read_sectors += figure(2);
            self.disk_written_sectors += figure(6);
            self.disk_busy_ms = self.disk_busy_ms.max(figure(9));
        }
    }

    fn interfaces(&mut self, text: &str, network: usize) {
        let mut others = Vec::new();
        for line in text.lines() {
            let Some((name, rest)) = line.split_once(':') else { continue };
            let figures: Vec<u64> = numbers(rest).collect();
            let figure = |index: usize| figures.get(index).copied().unwrap_or(0);
            let traffic = (figure(0), figure(8));
            if name.trim() == "lo" {
                (self.loopback_received, self.loopback_sent) = traffic;
            } else {
                others.push(traffic);
            }
        }
        (self.interface_received, self.interface_sent) = others.get(network).copied().unwrap_or_default();
    }

    fn sockets(&mut self, text: &str) {
        let value = |line: &str, name: &str| {
            let words: Vec<&str> = text
                .lines()
                .find_map(|candidate| candidate.strip_prefix(line))
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            let pair = words.chunks_exact(2).find(|pair| pair.first() == Some(&name));
            pair.and_then(|pair| pair.get(1)?.parse().ok()).unwrap_or(0)
        };
        self.tcp_in_use = value("TCP: ", "inuse");
        self.tcp_time_wait = value("TCP: ", "tw");
        self.udp_in_use = value("UDP: ", "inuse");
    }
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_whitespace().map(|word| word.parse().unwrap_or(0))
}

fn floats<const N: usize>(text: &str) -> [f64; N] {
    let mut words = text.split_whitespace().map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| words.next().unwrap_or(0.0))
}

/// The number in the line that begins with `name`.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    numbers(line).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_understood() {
        let mut raw = Raw::default();
        raw.processors("cpu  10 1 20 300 4 0 5 0 0 0\ncpu0 1 1 1 1 1 1 1\n");
        assert_eq!((raw.cpu_total, raw.cpu_idle), (340, 304));
        raw.process("7 (srs) (x) S 1 7 7 0 -1 4 1 2 3 4 70 30 0 0", "Name:\tx\nVmRSS:\t    5120 kB\n");
        assert_eq!((raw.cpu_process, raw.process_kbyte), (100, 5120));
        raw.memory("MemTotal:  100 kB\nMemAvailable: 40 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        assert_eq!((raw.ram_kbyte, raw.ram_available_kbyte), (100, 40));
        raw.disks("8 0 sda 1 0 8 0 2 0 16 0 0 9 9\n8 1 sda1 1 0 8 0 2 0 16 0 0 9 9\n7 0 loop0 1 0 8 0\n");
        assert_eq!((raw.disk_read_sectors, raw.disk_written_sectors, raw.disk_busy_ms), (8, 16, 9));
        let net = "Inter-|\n face |bytes\n    lo: 1 0 0 0 0 0 0 0 2 0\n  eth0: 3 0 0 0 0 0 0 0 4 0\n eth1:5 0 0 0 0 0 0 0 6 0\n";
        raw.interfaces(net, 1);
        assert_eq!((raw.loopback_received, raw.interface_received, raw.interface_sent), (1, 5, 6));
        raw.interfaces(net, 9);
        assert_eq!(raw.interface_received, 0);
        raw.sockets("sockets: used 5\nTCP: inuse 7 orphan 0 tw 3 alloc 9 mem 1\nUDP: inuse 2 mem 0\n");
        assert_eq!((raw.tcp_in_use, raw.tcp_time_wait, raw.udp_in_use), (7, 3, 2));
    }
}
