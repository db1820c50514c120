//! What is promised, and whether it was kept.

use serde_json::{Map, Value, json};

use super::attack::Attack;
use super::findings::{Findings, round};
use super::service::{Served, UNDER_WAY_MAX};
use super::watch::Used;
use crate::args::Args;
use crate::histogram::Histogram;

/// Lines of log for each connection that was let in, of attackers and of viewers: two for each of its first eight
/// requests, one for its end. And warnings of a second.
const LINES_PER_CONNECTION_MAX: f64 = 19.0;
const LINES_PER_SECOND: f64 = 100.0;
/// How soon somebody is served who comes after an attack.
const AFTERWARDS_MAX_S: f64 = 3.0;

/// One attack and what it led to.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) attack: &'static Attack,
    pub(super) seconds: f64,
    pub(super) findings: Findings,
    pub(super) served: Served,
    /// How often the publisher was refused or lost its connection.
    pub(super) publisher_lost: u64,
    pub(super) used: Option<Used>,
    pub(super) log_lines: Option<u64>,
    /// How the server ended, if it did.
    pub(super) ended: Option<String>,
}

/// What was promised and not kept, one line each.
pub(super) fn broken(args: &Args, round: &Round) -> Vec<String> {
    let mut out = round.findings.broken.clone();
    let mut check = |ok: bool, line: String| {
        if !ok {
            out.push(line);
        }
    };
    if let Some(status) = &round.ended {
        check(false, format!("the server has ended: {status}"));
    }
    let Served { tally, asked, unsettled, afterwards } = &round.served;
    for (name, count) in tally.faults.list() {
        check(count == 0, format!("viewers: {name} {count} times"));
    }
    check(*unsettled == 0, format!("{unsettled} of {asked} viewers had no picture when it began"));
    check(tally.ended == 0, format!("{} viewers were told that the stream is over", tally.ended));
    check(tally.given.restarts == 0, format!("{} restarts of the stream", tally.given.restarts));
    check(tally.given.unstamped == 0, format!("{} frames of somebody else", tally.given.unstamped));
    check(round.publisher_lost == 0, format!("the publisher was lost {} times", round.publisher_lost));
    let (refused, lost): (u64, u64) = (tally.refused.values().sum(), tally.lost.values().sum());
    if round.attack.fills_the_house {
        // Newcomers may be lost then, nobody else.
        let newcomers = tally.begun.saturating_sub(*asked);
        check(
            refused + lost <= newcomers,
            format!("{} viewers lost, {newcomers} of them new", refused + lost),
        );
    } else {
        for (cause, count) in tally.refused.iter().chain(&tally.lost) {
            check(false, format!("{count} viewers lost: {cause}"));
        }
        let unserved = tally.begun.saturating_sub(tally.started + refused + lost);
        check(unserved <= UNDER_WAY_MAX, format!("{unserved} newcomers got no picture"));
    }
    match afterwards {
        Some(took) => check(
            took.as_secs_f64() <= AFTERWARDS_MAX_S,
            format!("who came afterwards waited {:.1} s", took.as_secs_f64()),
        ),
        None => check(false, "who came afterwards was not served".to_owned()),
    }
    if let Some(used) = round.used {
        let grown = used.peak_kib.saturating_sub(used.before_kib);
        let bound = round.attack.growth_mib * 1024;
        check(grown <= bound, format!("memory grew by {grown} KiB, {bound} KiB at most are promised"));
    }
    if let Some(lines) = round.log_lines {
        let connections = (tally.begun + round.findings.let_in) as f64;
        let most = connections * LINES_PER_CONNECTION_MAX + LINES_PER_SECOND * (1.0 + round.seconds);
        check(lines as f64 <= most, format!("{lines} lines of log, {most:.0} at most are promised"));
    }
    if let Some(limit) = args.max_latency {
        let p99 = tally.latency.percentile(0.99).unwrap_or(u64::MAX);
        check(u128::from(p99) <= limit.as_nanos(), format!("latency p99 is {:.1} ms", p99 as f64 / 1e6));
    }
    out
}

/// One attack as a JSON object. `calm` is the latency without an attack.
pub(super) fn line(r: &Round, calm: Option<u64>, broken: &[String]) -> Value {
    let tally = &r.served.tally;
    let ms = |nanos: Option<u64>| nanos.map(|n| round(n as f64 / 1e6, 2));
    let percentiles = |h: &Histogram| json!({ "p50": ms(h.percentile(0.5)), "p99": ms(h.percentile(0.99)), "max": ms(h.max()) });
    let faults: Map<_, _> = tally
        .faults
        .list()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    json!({
        "attack": r.attack.name,
        "about": r.attack.about,
        "promise": r.attack.promise,
        "seconds": round(r.seconds, 1),
        "measured": r.findings.measured,
        "viewers": {
            "begun": tally.begun,
            "started": tally.started,
            "refused": tally.refused,
            "lost": tally.lost,
            "frames": tally.given.frames,
            "faults": faults,
            "fault_examples": tally.examples,
            "resyncs": tally.given.resyncs,
            "stalls": tally.given.stalls,
            "latency_ms": percentiles(&tally.latency),
            "latency_p99_calm_ms": ms(calm),
            "startup_ms": percentiles(&tally.startup),
            "newcomer_afterwards_ms": r.served.afterwards.map(|took| round(took.as_secs_f64() * 1e3, 0)),
        },
        "publisher_lost": r.publisher_lost,
        "memory_kib": r.used.map(|used| json!({
            "before": used.before_kib,
            "peak": used.peak_kib,
            "after": used.after_kib,
            "growth_bound": r.attack.growth_mib * 1024,
        })),
        "cpu_percent": r.used.map(|used| round(used.cpu_micros as f64 / r.seconds / 1e4, 1)),
        "refused_or_closed": r.findings.refused,
        "let_in": r.findings.let_in,
        "log_lines": r.log_lines,
        "log_lines_per_refused": r.log_lines.filter(|_| r.findings.refused > 0)
            .map(|lines| round(lines as f64 / r.findings.refused as f64, 3)),
        "broken": broken,
    })
}
