//! One line of JSON, and whether the limits were kept.

use serde_json::{Value, json};

use crate::args::Args;
use crate::histogram::Histogram;
use crate::run::Measured;

/// The result as one JSON object.
pub(crate) fn report(args: &Args, m: &Measured) -> Value {
    let streams = &m.streams;
    json!({
        "server": args.server,
        "musicians": m.musicians,
        "joined": m.joined,
        "refused": m.refused,
        "seconds": round(m.seconds, 3),
        "format": {
            "samples": m.props.codec.samples(),
            "channels": m.props.layout.sides(),
            "block_bytes": m.props.block_bytes,
            "factor": m.props.factor.blocks(),
        },
        "sent": m.sent,
        "dropped_on_purpose": m.dropped,
        "received": streams.received,
        "lost": streams.lost,
        "late": streams.late,
        "reordered": streams.reordered,
        "wrong_size": streams.wrong_size,
        "gap_ms": percentiles(&streams.gaps),
        "ping_ms": percentiles(&m.ping),
        "turnaround_ms": percentiles(&m.turnaround),
        "sweeps": { "sent": m.sweeps, "found": m.turnaround.count() },
        "tones_heard": m.heard.map(|(heard, of)| json!({ "heard": heard, "of": of })),
        "cpu": cpu(m),
        "memory_kib": m.usage.map(|(_, end)| json!({ "rss": end.rss_kib, "peak": end.rss_peak_kib })),
        "own": {
            "send_delay_ms": percentiles(&m.own_delay),
            "cpu_percent": round(m.own_cpu_micros as f64 / m.seconds / 1e4, 1),
        },
        "server_exit": m.server_exit,
    })
}

fn cpu(m: &Measured) -> Value {
    let reference = m.reference.map(|r| {
        json!({
            "decode_us_per_block": round(r.decode_micros, 2),
            "encode_us_per_block": round(r.encode_micros, 2),
        })
    });
    let server = server_cpu_micros(m).map(|micros| {
        json!({
            "percent": round(micros / m.seconds / 1e4, 1),
            "us_per_musician_second": round(per_musician_second(m, micros), 1),
            "us_per_musician_block": round(per_musician_block(m, micros), 2),
        })
    });
    let floor = m.floor.map(|micros| {
        json!({
            "us_per_musician_block": round(micros, 2),
            "ratio": server_cpu_micros(m).map(|server| round(per_musician_block(m, server) / micros, 3)),
        })
    });
    json!({ "server": server, "reference": reference, "ratio": ratio(m).map(|r| round(r, 3)), "floor": floor })
}

fn server_cpu_micros(m: &Measured) -> Option<f64> {
    m.usage.map(|(start, end)| end.cpu_micros.saturating_sub(start.cpu_micros) as f64)
}

fn per_musician_second(m: &Measured, micros: f64) -> f64 {
    micros / m.seconds / m.musicians as f64
}

fn per_musician_block(m: &Measured, micros: f64) -> f64 {
    per_musician_second(m, micros) * m.props.codec.samples() as f64 / 48_000.0
}

/// Server time per musician and block, as a multiple of decoding and encoding one block.
fn ratio(m: &Measured) -> Option<f64> {
    let reference = m.reference?.total_micros();
    server_cpu_micros(m).map(|micros| per_musician_block(m, micros) / reference)
}

fn percentiles(h: &Histogram) -> Value {
    let ms = |nanos: Option<u64>| nanos.map(|n| round(n as f64 / 1e6, 3));
    json!({
        "p50": ms(h.percentile(0.5)),
        "p99": ms(h.percentile(0.99)),
        "p99.9": ms(h.percentile(0.999)),
        "max": ms(h.max()),
    })
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// What was asked for and not kept, one line each.
pub(crate) fn failures(args: &Args, m: &Measured) -> Vec<String> {
    let mut out = Vec::new();
    let mut check = |ok: bool, line: String| {
        if !ok {
            out.push(line);
        }
    };
    check(m.joined == m.musicians, format!("only {} of {} musicians joined", m.joined, m.musicians));
    let exit = m.server_exit.as_deref().unwrap_or_default();
    check(!m.has_server_ended, format!("the server has ended by itself: {exit}"));
    let expected = m.streams.received + m.streams.lost;
    if let Some(limit) = args.max_lost {
        check(
            limit.allows(m.streams.lost, expected),
            format!("{} of {expected} datagrams lost", m.streams.lost),
        );
    }
    if let Some(limit) = args.max_late {
        check(
            limit.allows(m.streams.late, expected),
            format!("{} of {expected} datagrams late", m.streams.late),
        );
    }
    let p99 = |h: &Histogram| h.percentile(0.99).unwrap_or(u64::MAX);
    if let Some(limit) = args.max_turnaround {
        let got = p99(&m.turnaround);
        check(u128::from(got) <= limit.as_nanos(), format!("turnaround p99 is {:.2} ms", got as f64 / 1e6));
    }
    if let Some(limit) = args.max_gap {
        let got = p99(&m.streams.gaps);
        check(u128::from(got) <= limit.as_nanos(), format!("gap p99 is {:.2} ms", got as f64 / 1e6));
    }
    if let Some(limit) = args.max_ratio {
        check(
            ratio(m).is_some_and(|r| r <= limit),
            format!("a musician costs {:.2} times the codec", ratio(m).unwrap_or(f64::NAN)),
        );
    }
    if let Some(limit) = args.max_rss {
        let peak = m.usage.map(|(_, end)| end.rss_peak_kib as f64 / 1024.0);
        check(
            peak.is_some_and(|p| p <= limit),
            format!("peak memory is {:.1} MiB", peak.unwrap_or(f64::NAN)),
        );
    }
    out
}
