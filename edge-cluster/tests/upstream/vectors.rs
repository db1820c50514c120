//! Whose turn it is, and when: the conformance vectors, and the law of the waits.

use std::time::Duration;

use edge_cluster::config::HostPort;
use edge_cluster::upstream::Origins;
use serde_json::Value;

#[test]
fn row_08_origins_take_turns_as_the_vectors_say() {
    let vectors: Value = serde_json::from_str(include_str!("../data/upstream-vectors.json")).unwrap();
    let cases = vectors["origin_rotation"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    let parsed = |list: &Value| -> Vec<HostPort> {
        list.as_array().unwrap().iter().map(|host| host.as_str().unwrap().parse().unwrap()).collect()
    };
    for case in cases {
        let mut origins = Origins::new(&parsed(&case["origins"]), 0, 1);
        let attempts = case["attempts"].as_u64().unwrap();
        let order: Vec<_> = (0..attempts).filter_map(|_| origins.next()).collect();
        assert_eq!(order, parsed(&case["order"]));
        assert_eq!(origins.rotation(), attempts);
    }
}

const NOMINAL: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(10)];

/// The waits of twenty failed rounds.
fn waits(seed: u64) -> Vec<Duration> {
    let mut origins = Origins::new(&["a".parse().unwrap()], 0, seed);
    let waits = (0..20).filter_map(|_| origins.failed(&NOMINAL)).collect();
    origins.settled();
    assert!(origins.failed(&NOMINAL).unwrap() <= NOMINAL[0] * 6 / 5, "begins anew");
    waits
}

#[test]
fn row_08_waits_grow_and_stay_within_a_fifth_whatever_the_seed() {
    let mut firsts = Vec::new();
    for seed in 0..1000 {
        let waits = waits(seed);
        assert_eq!(waits, self::waits(seed), "the seed decides");
        for (place, wait) in waits.iter().enumerate() {
            let nominal = NOMINAL[place.min(2)];
            assert!(*wait * 5 >= nominal * 4 && *wait * 5 <= nominal * 6, "seed {seed}: {waits:?}");
        }
        assert!(waits[0] < waits[1] && waits[1] < waits[2], "seed {seed}: {waits:?}");
        firsts.push(waits[0]);
    }
    firsts.sort();
    firsts.dedup();
    assert!(firsts.len() > 300, "streams that lost the same origin do not return together: {}", firsts.len());
}
