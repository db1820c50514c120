//! The jitter buffer against the buffer of shipped servers, in virtual time.

mod laws;
mod shipped;
mod transcripts;
mod world;

use jam_proto::JitterSize;
use shipped::AutoBuffer;
use world::{Heard, Link, Mode, Ours, run, traffic};

const SECONDS: f64 = 150.0;
const WARM_UP_S: f64 = 30.0;
const SEEDS: u64 = 4;

fn scenarios() -> Vec<(&'static str, Mode, Link)> {
    let usual = Mode::USUAL;
    let clean = Link::CLEAN;
    let gauss = |gauss_ms| Link { gauss_ms, reorder: true, ..clean };
    let small = Mode { client_samples: 64, ..usual };
    let fast = Mode { client_samples: 64, server_samples: 64, ..usual };
    let mixed = Mode { server_samples: 64, ..usual };
    let wlan = |stall_every_ms| Link { gauss_ms: 0.5, stall_ms: 30.0, stall_every_ms, ..clean };
    vec![
        ("clean", usual, clean),
        ("5 % loss", usual, Link { loss: 0.05, ..clean }),
        ("5 % duplicates", usual, Link { duplicate: 0.05, ..clean }),
        ("jitter 1 ms", usual, gauss(1.0)),
        ("jitter 3 ms", usual, gauss(3.0)),
        ("jitter 8 ms", usual, gauss(8.0)),
        ("jitter 3 ms, 5 % loss", usual, Link { loss: 0.05, ..gauss(3.0) }),
        ("jitter 3 ms in order", usual, Link { reorder: false, ..gauss(3.0) }),
        ("drift +200 ppm", usual, Link { ppm: 200.0, ..clean }),
        ("drift -200 ppm", usual, Link { ppm: -200.0, ..clean }),
        ("drift +200 ppm, jitter 1 ms", usual, Link { ppm: 200.0, ..gauss(1.0) }),
        ("stalls 30 ms every 10 s", usual, wlan(10_000.0)),
        ("stalls 30 ms every 1 s", usual, wlan(1_000.0)),
        ("sound card 1024", usual, Link { sender_batch: 8, ..clean }),
        ("2 blocks per datagram", Mode { factor: 2, ..usual }, clean),
        ("2 blocks, jitter 3 ms", Mode { factor: 2, ..usual }, gauss(3.0)),
        ("64 on 128: clean", small, clean),
        ("64 on 128: jitter 1 ms", small, gauss(1.0)),
        ("64 on 128: jitter 3 ms", small, gauss(3.0)),
        ("64 on 128: 5 % loss", small, Link { loss: 0.05, ..clean }),
        ("64 on 64: clean", fast, clean),
        ("64 on 64: jitter 1 ms", fast, gauss(1.0)),
        ("64 on 64: jitter 3 ms", fast, gauss(3.0)),
        ("128 on 64: clean", mixed, clean),
        ("128 on 64: jitter 3 ms", mixed, gauss(3.0)),
        ("unnumbered: clean", Mode { numbered: false, ..usual }, clean),
        ("unnumbered: jitter 3 ms", Mode { numbered: false, ..usual }, Link { reorder: false, ..gauss(3.0) }),
        ("unnumbered: 5 % loss", Mode { numbered: false, ..usual }, Link { loss: 0.05, ..clean }),
    ]
}

fn mean(of: impl Fn(u64) -> Heard) -> Heard {
    let mut sum = Heard::default();
    for seed in 1..=SEEDS {
        let heard = of(seed);
        let n = SEEDS as f64;
        sum.delay_ms += heard.delay_ms / n;
        sum.faults_ppm += heard.faults_ppm / n;
        sum.size += heard.size / n;
        sum.changes_per_min += heard.changes_per_min / n;
    }
    sum
}

/// Prints the table of `docs/jitter-buffer.md` (run with `--nocapture`) and checks what the page claims.
#[test]
fn less_delay_and_no_more_faults_than_the_shipped_automatic_size() {
    println!(
        "| link | delay ms, shipped | ours | without lead | faults ppm, shipped | ours | without lead | size, shipped | ours | changes/min, shipped | ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (name, mode, link) in scenarios() {
        let shipped = mean(|seed| {
            let traffic = traffic(&mode, &link, SECONDS, seed);
            let mut buffer = AutoBuffer::new(mode.client_samples, mode.numbered, (seed * 75) as u8);
            run(&mut buffer, &mode, &traffic, WARM_UP_S)
        });
        let ours = |with_lead| {
            mean(|seed| {
                let traffic = traffic(&mode, &link, SECONDS, seed);
                run(&mut Ours::new(&mode, JitterSize::Auto, with_lead), &mode, &traffic, WARM_UP_S)
            })
        };
        let (plain, lead) = (ours(false), ours(true));
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} |",
            shipped.delay_ms,
            lead.delay_ms,
            plain.delay_ms,
            shipped.faults_ppm,
            lead.faults_ppm,
            plain.faults_ppm,
            shipped.size,
            lead.size,
            shipped.changes_per_min,
            lead.changes_per_min,
        );
        check(name, shipped, lead);
    }
}

/// Never more faults, and less delay unless that buys a third of the faults or the shipped buffer has given up.
///
/// Under loss the shipped size goes to its maximum: there is hardly a late block then, at 3 ms more delay, and ours
/// may have its usual share. One fault in the whole run is 6 ppm; a clock drift crosses the tick three times.
fn check(name: &str, shipped: Heard, ours: Heard) {
    let allowed_ppm = shipped.faults_ppm + if name.contains("5 % loss") { 600.0 } else { 25.0 };
    assert!(ours.faults_ppm <= allowed_ppm, "{name}: {shipped:?} {ours:?}");
    let has_given_up = shipped.faults_ppm > 5_000.0;
    let is_bought = ours.faults_ppm <= shipped.faults_ppm / 1.5 && ours.delay_ms <= shipped.delay_ms + 1.0;
    assert!(
        ours.delay_ms <= shipped.delay_ms + 0.15 || is_bought || has_given_up,
        "{name}: {shipped:?} {ours:?}"
    );
}
