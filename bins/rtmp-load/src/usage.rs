//! A server and its children: processor time and memory of all together.

use std::io;

use crate::process::Usage;

/// The sum over a process and its descendants. Memory that forked processes share counts for each of them.
pub(crate) fn of_tree(pid: u32) -> io::Result<Usage> {
    let mut total = Usage::of(pid)?;
    for pid in descendants(pid) {
        // It may have ended since.
        let Ok(usage) = Usage::of(pid) else { continue };
        total.cpu_micros += usage.cpu_micros;
        total.rss_kib += usage.rss_kib;
        total.rss_peak_kib += usage.rss_peak_kib;
    }
    Ok(total)
}

fn descendants(root: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

/// The parent's id: field 4, the second one behind the name.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn children_count() {
        let mut child = Command::new("sleep").arg("30").spawn().expect("sleep");
        let me = std::process::id();
        assert!(descendants(me).contains(&child.id()));
        let both = of_tree(me).expect("this process").rss_kib;
        child.kill().and_then(|()| child.wait()).expect("it runs");
        assert!(both > 100);
        assert!(!descendants(me).contains(&child.id()));
    }
}
