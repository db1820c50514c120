use super::*;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn nodes() -> (SocketAddr, SocketAddr) {
    ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:2000".parse().unwrap())
}

fn numbered(n: u32) -> Bytes {
    Bytes::copy_from_slice(&n.to_le_bytes())
}

fn number(payload: &[u8]) -> u32 {
    u32::from_le_bytes(payload[..4].try_into().unwrap())
}

/// Sends `count` datagrams, one per millisecond, and returns what arrived: number and travel time.
fn stream(net: &mut Network, count: u32) -> Vec<(u32, Duration)> {
    let (a, b) = nodes();
    let t0 = start();
    for n in 0..count {
        net.send(t0 + MS * n, a, b, numbered(n));
    }
    let mut arrived = Vec::new();
    while let Some(at) = net.next_delivery() {
        while let Some(d) = net.poll(at) {
            assert_eq!((d.at, d.src, d.dst), (at, a, b));
            let n = number(&d.payload);
            arrived.push((n, d.at - (t0 + MS * n)));
        }
    }
    arrived
}

#[test]
fn a_perfect_link_delivers_everything_at_once_and_in_order() {
    let arrived = stream(&mut Network::new(1), 1_000);
    assert!(arrived.iter().enumerate().all(|(i, (n, took))| i as u32 == *n && took.is_zero()));
    assert_eq!(arrived.len(), 1_000);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let mut net = Network::new(seed);
        net.usual_link()
            .delay(MS * 5)
            .jitter(MS * 20)
            .loss(Loss::Random(0.1))
            .duplicate(0.1)
            .reorder(0.1, MS * 9);
        stream(&mut net, 500)
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4), run(5));
}

#[test]
fn jitter_spreads_the_delay_and_keeps_the_order() {
    let mut net = Network::new(2);
    net.usual_link().delay(MS * 30).jitter(MS * 12);
    let arrived = stream(&mut net, 5_000);
    assert!(arrived.windows(2).all(|w| w[0].0 < w[1].0));
    assert!(arrived.iter().all(|(_, took)| (MS * 30..=MS * 42).contains(took)));
    let mean = arrived.iter().map(|(_, took)| took.as_secs_f64()).sum::<f64>() / 5_000.0;
    // Waiting for earlier ones moves the mean up from 36 ms.
    assert!((0.036..0.042).contains(&mean), "{mean}");
}

#[test]
fn random_loss_has_its_share_and_single_losses() {
    let mut net = Network::new(3);
    net.usual_link().loss(Loss::Random(0.05));
    let arrived = stream(&mut net, 40_000);
    let lost = 40_000 - arrived.len();
    assert!((1_800..2_200).contains(&lost), "{lost}");
    assert!((0.95..1.2).contains(&mean_gap(&arrived)), "{}", mean_gap(&arrived));
}

#[test]
fn burst_loss_has_its_share_and_its_mean_length() {
    let mut net = Network::new(4);
    net.usual_link().loss(Loss::bursts(0.02, 4.0));
    let arrived = stream(&mut net, 200_000);
    let share = (200_000 - arrived.len()) as f64 / 200_000.0;
    assert!((0.017..0.023).contains(&share), "{share}");
    assert!((3.6..4.4).contains(&mean_gap(&arrived)), "{}", mean_gap(&arrived));
    let (a, b) = nodes();
    assert_eq!(net.link_stats(a, b).datagrams_lost as usize, 200_000 - arrived.len());
}

/// The mean length of the runs of numbers that are missing.
fn mean_gap(arrived: &[(u32, Duration)]) -> f64 {
    let gaps: Vec<u32> = arrived.windows(2).map(|w| w[1].0 - w[0].0 - 1).filter(|gap| *gap > 0).collect();
    f64::from(gaps.iter().sum::<u32>()) / gaps.len() as f64
}

#[test]
fn the_next_datagrams_can_be_lost_for_certain() {
    let mut net = Network::new(5);
    let (a, b) = nodes();
    net.link(a, b).lose_next(3);
    assert_eq!(stream(&mut net, 5).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn duplicates_arrive_beside_their_twins() {
    let mut net = Network::new(6);
    net.usual_link().duplicate(0.25);
    let arrived = stream(&mut net, 10_000);
    assert!((12_200..12_800).contains(&arrived.len()), "{}", arrived.len());
    assert!((0..10_000).all(|n| arrived.iter().any(|(m, _)| *m == n)));
}

#[test]
fn every_nth_datagram_is_overtaken() {
    let mut net = Network::new(7);
    net.usual_link().delay(MS * 10).reorder_every(4, MS * 2 + MS / 2);
    let order: Vec<u32> = stream(&mut net, 8).iter().map(|(n, _)| *n).collect();
    assert_eq!(order, [0, 1, 2, 4, 5, 3, 6, 7]);
}

#[test]
fn a_slow_line_queues_and_drops_at_the_tail() {
    let mut net = Network::new(8);
    let (a, b) = nodes();
    // Ten datagrams of 1,000 bytes at once on a line of 100,000 bytes a second with room for 4,000 bytes.
    net.link(a, b).rate(100_000, 4_000);
    let t0 = start();
    for _ in 0..10 {
        net.send(t0, a, b, Bytes::from(vec![0; 1_000]));
    }
    let arrivals: Vec<Duration> =
        std::iter::from_fn(|| net.poll(t0 + Duration::from_secs(1))).map(|d| d.at - t0).collect();
    assert_eq!(arrivals, [MS * 10, MS * 20, MS * 30, MS * 40]);
    assert_eq!(net.link_stats(a, b).datagrams_queue_full, 6);
}

#[test]
fn datagrams_beyond_the_mtu_are_dropped() {
    let mut net = Network::new(9);
    let (a, b) = nodes();
    net.link(a, b).mtu(100);
    let t0 = start();
    net.send(t0, a, b, Bytes::from(vec![0; 101]));
    net.send(t0, a, b, Bytes::from(vec![0; 100]));
    assert_eq!(net.poll(t0).map(|d| d.payload.len()), Some(100));
    assert_eq!((net.poll(t0), net.link_stats(a, b).datagrams_too_long), (None, 1));
}

#[test]
fn a_rebound_node_is_seen_and_reached_at_its_new_address_only() {
    let mut net = Network::new(10);
    let (ann, room) = nodes();
    let (first, second): (SocketAddr, SocketAddr) =
        ("198.51.100.7:4000".parse().unwrap(), "198.51.100.7:4001".parse().unwrap());
    let t0 = start();
    net.rebind(ann, first);
    net.link(room, ann).delay(MS * 10);
    net.send(t0, ann, room, numbered(1));
    assert_eq!(net.poll(t0).map(|d| d.src), Some(first));

    net.send(t0, room, first, numbered(2));
    net.send(t0, room, ann, numbered(3));
    net.rebind(ann, second);
    assert_eq!(
        net.poll(t0 + MS * 20),
        None,
        "one was sent to the inner address, one was under way to the old"
    );
    assert_eq!(net.stats().datagrams_unreachable, 2);

    net.send(t0, ann, room, numbered(4));
    assert_eq!(net.poll(t0).map(|d| d.src), Some(second));
    net.send(t0, room, second, numbered(5));
    assert_eq!(net.poll(t0 + MS * 10).map(|d| (d.dst, number(&d.payload))), Some((ann, 5)));
}

#[test]
fn a_partition_stops_both_directions_until_it_heals() {
    let mut net = Network::new(11);
    let (a, b) = nodes();
    let c = "10.0.0.3:3000".parse().unwrap();
    let t0 = start();
    net.partition(&[a], &[b, c]);
    for (from, to) in [(a, b), (b, a), (c, a), (b, c)] {
        net.send(t0, from, to, numbered(0));
    }
    assert_eq!(net.poll(t0).map(|d| (d.src, d.dst)), Some((b, c)));
    assert_eq!((net.poll(t0), net.stats().datagrams_cut), (None, 3));
    net.heal();
    net.send(t0, a, b, numbered(1));
    assert!(net.poll(t0).is_some());
}

#[test]
fn links_draw_on_their_own() {
    // Traffic between others must not change what happens here, or seeds could not be compared between tests.
    let (a, b) = nodes();
    let c: SocketAddr = "10.0.0.3:3000".parse().unwrap();
    let run = |others: bool| {
        let mut net = Network::new(12);
        net.usual_link().loss(Loss::Random(0.5));
        net.link(a, b);
        let t0 = start();
        for n in 0..200 {
            net.send(t0, a, b, numbered(n));
            if others {
                net.send(t0, b, c, numbered(n));
            }
        }
        let arrived: Vec<u32> =
            std::iter::from_fn(|| net.poll(t0)).filter(|d| d.dst == b).map(|d| number(&d.payload)).collect();
        arrived
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut net = Network::new(13);
    let (a, b) = nodes();
    let t0 = start();
    net.usual_link().delay(MS);
    let payload = numbered(0);
    for _ in 0..=Network::UNDER_WAY_MAX {
        net.send(t0, a, b, payload.clone());
    }
    assert_eq!((net.under_way(), net.stats().datagrams_overflown), (Network::UNDER_WAY_MAX, 1));
}
