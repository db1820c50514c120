//! Evenings of music in virtual time: a server that runs for a day holds no more than after its first hours.
//!
//! Each evening a band comes, plays, and goes; musicians join, leave, die, change their addresses and formats, the
//! server stalls and is started anew, strangers knock. The codec does nothing, so that a day fits into minutes; all
//! state machines are the real ones.
//!
//! `cargo test --release -p jam-mixer --test soak -- --ignored --nocapture` plays a day, and prints what is held each
//! hour.

mod evening;
mod heap;
mod plain;
mod player;

use evening::{Evening, Held};
use std::time::Duration;

#[global_allocator]
static HEAP: heap::PerThread = heap::PerThread;

/// Plays `evenings`, of which each takes `every` and begins with `music`. Everything held must stay what it was in the
/// first third.
fn soak(seed: u64, evenings: usize, music: Duration, every: Duration) {
    let mut evening = Evening::new(seed);
    let held: Vec<Held> = (0..evenings)
        .map(|n| {
            let held = evening.play(music, every);
            eprintln!("evening {n}: {held:?}");
            held
        })
        .collect();
    eprintln!("{}", evening.tell());
    let (early, late) = held.split_at(evenings.div_ceil(3));
    let most = |held: &[Held], of: fn(&Held) -> usize| held.iter().map(of).max().unwrap_or_default();
    for (what, of) in [
        ("held while playing", (|held| held.playing) as fn(&Held) -> usize),
        ("held in an empty room", |held| held.empty),
        ("allocated in an empty room", |held| held.allocated),
    ] {
        let (early, late) = (most(early, of), most(late, of));
        assert!(late <= early + early / 50, "{what}: {early} bytes at first, {late} later");
    }
}

#[test]
fn an_hour_of_comings_and_goings_holds_no_more_than_its_first_twenty_minutes() {
    soak(1, 6, Duration::from_secs(50), Duration::from_secs(600));
}

#[test]
#[ignore = "takes minutes, in release; see docs/reliability.md"]
fn a_day_of_comings_and_goings_holds_no_more_than_its_first_hours() {
    soak(2, 24, Duration::from_secs(1_800), Duration::from_secs(3_600));
}
