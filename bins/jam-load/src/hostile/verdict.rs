//! What is promised, and whether it was kept.

use serde_json::{Value, json};

use super::Round;
use super::attack::Attack;
use super::siege::Loans;
use crate::args::{Args, Limit};
use crate::process::Usage;

/// How much more memory a server may use than before the first attack: its receive queue, the books about strangers,
/// the codecs of one more musician and what allocators keep.
const GROWTH_MAX_KIB: u64 = 16 * 1024;
/// Datagrams later than the promise.
const LATE_SHARE_MAX: f64 = 0.01;
/// Of what a musician should receive, this much must have come, whatever the sequence numbers say.
const RECEIVED_SHARE_MIN: f64 = 0.95;

/// An allowance: bytes at once, bytes per second, and one answer beyond.
struct Allowance {
    burst: f64,
    per_second: f64,
    answer: f64,
}

impl Allowance {
    fn covers(&self, bytes: u64, seconds: f64) -> bool {
        bytes as f64 <= self.burst + self.answer + self.per_second * seconds
    }
}

/// `ReplyPolicy::Lenient` as it is by default: for one address, for all together.
const LENIENT: [Allowance; 2] = [
    Allowance { burst: 2_048.0, per_second: 256.0, answer: 5_120.0 },
    Allowance { burst: 16_384.0, per_second: 8_192.0, answer: 5_120.0 },
];
/// `ListBudget` as it is by default: the only answer that must be larger than its question.
const LISTS: [Allowance; 2] = [
    Allowance { burst: 163_840.0, per_second: 2_048.0, answer: 0.0 },
    Allowance { burst: 2_097_152.0, per_second: 524_288.0, answer: 0.0 },
];

/// What was promised and not kept, one line each.
pub(super) fn broken(args: &Args, round: &Round, first: Option<Usage>) -> Vec<String> {
    let mut out = Vec::new();
    let mut check = |ok: bool, line: String| {
        if !ok {
            out.push(line);
        }
    };
    if let Some(status) = &round.ended {
        check(false, format!("the server has ended: {status}"));
    }
    check(
        round.outcome.admitted != Some(false),
        "the bad member was not let in, so nothing is shown: give the server room for it".to_owned(),
    );
    let service = &round.service;
    let streams = &service.streams;
    let expected = streams.received + streams.lost;
    let lost_max = args.max_lost.unwrap_or(Limit::Count(0));
    check(lost_max.allows(streams.lost, expected), format!("{} of {expected} datagrams lost", streams.lost));
    let late_max = args.max_late.unwrap_or(Limit::Share(LATE_SHARE_MAX));
    check(late_max.allows(streams.late, expected), format!("{} of {expected} datagrams late", streams.late));
    check(
        service.received_least as f64 >= service.expected_each as f64 * RECEIVED_SHARE_MIN
            || lost_max == Limit::Share(1.0),
        format!("a musician received {} datagrams of {}", service.received_least, service.expected_each),
    );
    // One may be under way at the end.
    let answered = service.ping_times.count();
    check(answered + 1 >= service.pings, format!("{answered} of {} pings answered", service.pings));
    let lines_max = 12.0 + 2.0 * round.seconds;
    check(
        service.chat_lines_most as f64 <= lines_max,
        format!("a musician had to read {} chat lines, {lines_max:.0} at most", service.chat_lines_most),
    );

    for (worst, total) in [(false, round.outcome.loans), (true, round.outcome.list_loans)]
        .map(|(list, loans)| excess(list, loans, args.strict))
    {
        for line in [worst, total].into_iter().flatten() {
            check(false, line);
        }
    }
    if let (Some((_, after)), Some(first)) = (round.memory, first) {
        let grown = after.rss_kib.saturating_sub(first.rss_kib);
        check(grown <= GROWTH_MAX_KIB, format!("memory has grown by {grown} KiB since the first attack"));
        if let Some(limit) = args.max_rss {
            let peak = after.rss_peak_kib as f64 / 1024.0;
            check(peak <= limit, format!("peak memory is {peak:.1} MiB"));
        }
    }
    out
}

/// What one address and all together got beyond the promise.
fn excess(list: bool, loans: Loans, strict: bool) -> (Option<String>, Option<String>) {
    let [one, all] = if list { &LISTS } else { &LENIENT };
    let judge = |who: &str, allowance: &Allowance, bytes: u64| {
        let kept = if strict && !list { bytes == 0 } else { allowance.covers(bytes, loans.seconds) };
        (!kept).then(|| format!("{who} got {bytes} bytes more than it sent, in {:.0} s", loans.seconds))
    };
    (judge("one stranger", one, loans.worst), judge("strangers together", all, loans.total))
}

/// One attack as a JSON object.
pub(super) fn line(round: &Round, broken: &[String]) -> Value {
    let outcome = &round.outcome;
    let streams = &round.service.streams;
    let ms = |nanos: Option<u64>| nanos.map(|n| (n as f64 / 1e3).round() / 1e3);
    let ratio = outcome.back_bytes as f64 / outcome.sent_bytes.max(1) as f64;
    json!({
        "attack": round.attack.name(),
        "about": round.attack.about(),
        "seconds": (round.seconds * 10.0).round() / 10.0,
        "sent": { "datagrams": outcome.sent, "bytes": outcome.sent_bytes },
        "back": {
            "datagrams": outcome.back,
            "bytes": outcome.back_bytes,
            "per_byte_sent": (round.attack != Attack::Calm).then_some((ratio * 1e4).round() / 1e4),
        },
        "lent_since_first_attack": {
            "one_address": outcome.loans.worst,
            "all": outcome.loans.total,
            "lists_one_address": outcome.list_loans.worst,
            "lists_all": outcome.list_loans.total,
        },
        "member_stayed": outcome.joined,
        "musicians": {
            "received": streams.received,
            "lost": streams.lost,
            "late": streams.late,
            "gap_ms_p99": ms(streams.gaps.percentile(0.99)),
            "gap_ms_max": ms(streams.gaps.max()),
            "pings": round.service.pings,
            "pings_answered": round.service.ping_times.count(),
            "ping_ms_p99": ms(round.service.ping_times.percentile(0.99)),
            "chat_lines": round.service.chat_lines_most,
        },
        "memory_kib": round.memory.map(|(before, after)| json!({
            "before": before.rss_kib, "after": after.rss_kib, "peak": after.rss_peak_kib,
        })),
        "broken": broken,
    })
}
