//! One line of JSON, and whether the limits were kept.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::histogram::Histogram;
use crate::run::Measured;

/// The result as one JSON object.
pub(crate) fn report(args: &Args, m: &Measured) -> Value {
    let tally = &m.tally;
    let faults: Map<_, _> =
        tally.faults.list().into_iter().map(|(name, count)| (name.to_owned(), Value::from(count))).collect();
    json!({
        "viewers": {
            "asked": args.viewers,
            "begun": tally.begun,
            "started": tally.started,
            "left": tally.left,
            "refused": tally.refused,
            "lost": tally.lost,
            "stream_ended": tally.ended,
            "unsettled": m.unsettled,
        },
        "seconds": round(m.seconds, 3),
        "latency_ms": percentiles(&tally.latency),
        "video_latency_ms": percentiles(&tally.video_latency),
        "startup_ms": percentiles(&tally.startup),
        "startup_since_due_ms": percentiles(&tally.since_due),
        "delay_ms": percentiles(&tally.delay),
        "stalls": { "count": tally.given.stalls, "seconds": round(tally.given.stalled.0 as f64 / 1e9, 3) },
        "faults": faults,
        "fault_examples": tally.examples,
        "resyncs": { "count": tally.given.resyncs, "frames_skipped": tally.given.skipped },
        "restarts": tally.given.restarts,
        "frames": tally.given.frames,
        "unstamped": tally.given.unstamped,
        "slow": {
            "viewers": tally.slow.viewers,
            "resumed": tally.slow.resumed,
            "disconnected": tally.slow.disconnected,
            "resyncs": tally.slow.resyncs,
            "frames_skipped": tally.slow.skipped,
        },
        "bytes": m.bytes,
        "mbit_per_s": round(m.bytes as f64 * 8.0 / m.seconds / 1e6, 2),
        "cpu": cpu(args, m),
        "memory": memory(args, m),
        "published": m.published.as_ref().map(|published| json!({
            "frames": published.frames,
            "bytes": published.bytes,
            "lost": published.lost,
        })),
        "own": {
            "send_delay_ms": m.published.as_ref().map(|published| percentiles(&published.own_delay)),
            "cpu_percent": round(m.own_cpu_micros as f64 / m.seconds / 1e4, 1),
        },
        "server_exit": m.server_exit,
    })
}

/// The server's processor time, and what it comes to per viewer and per byte delivered.
fn cpu(args: &Args, m: &Measured) -> Value {
    let Some(server) = m.server else { return Value::Null };
    let micros = server.end.cpu_micros.saturating_sub(server.start.cpu_micros) as f64;
    json!({
        "percent": round(micros / m.seconds / 1e4, 2),
        "us_per_viewer_second": (args.viewers > 0).then(|| round(micros / m.seconds / f64::from(args.viewers), 1)),
        "seconds_per_gb": (m.bytes > 0).then(|| round(micros / 1e6 / (m.bytes as f64 / 1e9), 3)),
    })
}

fn memory(args: &Args, m: &Measured) -> Value {
    let Some(server) = m.server else { return Value::Null };
    let grown = server.end.rss_kib as f64 - server.before.rss_kib as f64;
    json!({
        "rss_before_kib": server.before.rss_kib,
        "rss_kib": server.end.rss_kib,
        "rss_peak_kib": server.end.rss_peak_kib,
        "kib_per_viewer": (args.viewers > 0).then(|| round(grown / f64::from(args.viewers), 2)),
    })
}

fn percentiles(h: &Histogram) -> Value {
    let ms = |nanos: Option<u64>| nanos.map(|n| round(n as f64 / 1e6, 3));
    json!({
        "p50": ms(h.percentile(0.5)),
        "p99": ms(h.percentile(0.99)),
        "p99.9": ms(h.percentile(0.999)),
        "max": ms(h.max()),
        "count": h.count(),
    })
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// What must not be and is, one line each.
pub(crate) fn failures(args: &Args, m: &Measured) -> Vec<String> {
    let mut out = Vec::new();
    let mut check = |ok: bool, line: String| {
        if !ok {
            out.push(line);
        }
    };
    let tally = &m.tally;
    for (name, count) in tally.faults.list() {
        check(count == 0, format!("fault: {name} {count} times"));
    }
    for (cause, count) in &tally.refused {
        check(false, format!("{count} viewers refused: {cause}"));
    }
    for (cause, count) in &tally.lost {
        check(false, format!("{count} viewers lost: {cause}"));
    }
    check(m.unsettled == 0, format!("{} viewers waited for a first key frame in vain", m.unsettled));
    for lost in m.published.iter().flat_map(|published| &published.lost) {
        check(false, format!("publisher {lost}"));
    }
    let within = |h: &Histogram, limit: Option<Duration>| {
        let p99 = h.percentile(0.99).unwrap_or(u64::MAX);
        (limit.is_none_or(|limit| u128::from(p99) <= limit.as_nanos()), p99 as f64 / 1e6)
    };
    let (kept, p99) = within(&tally.latency, args.max_latency);
    check(kept, format!("latency p99 is {p99:.1} ms"));
    let (kept, p99) = within(&tally.startup, args.max_startup);
    check(kept, format!("startup p99 is {p99:.1} ms"));
    let stalls = tally.given.stalls;
    check(args.max_stalls.is_none_or(|most| stalls <= most), format!("{stalls} stalls"));
    if let Some(status) = &m.server_exit {
        check(false, format!("the server ended by itself: {status}"));
    }
    out
}
