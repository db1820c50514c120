//! Two reliable ends over a network that loses and duplicates: everything arrives exactly once and in order.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![cfg(feature = "sim")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jam_proto::message::{ChatText, Message};
use jam_proto::reliable::{Received, Reliable, ReliableLimits};
use jam_proto::sim::{self, Loss, Network};
use jam_proto::wire::{Frame, FrameWriter};
use proptest::prelude::*;

struct Peer {
    addr: SocketAddr,
    end: Reliable,
    writer: FrameWriter,
    heard: Vec<Message>,
}

impl Peer {
    fn new(addr: &str, counter_first: u8) -> Self {
        let end = Reliable::new(ReliableLimits::default(), counter_first);
        Self { addr: addr.parse().unwrap(), end, writer: FrameWriter::new(), heard: Vec::new() }
    }

    fn receive(&mut self, datagram: &[u8]) {
        let frame = Frame::parse(datagram).unwrap();
        if let Received::Message { id, body } = self.end.handle_frame(&frame) {
            self.heard.push(Message::parse(id, &body).unwrap().unwrap());
        }
    }

    fn flush(&mut self, now: Instant, to: SocketAddr, net: &mut Network) {
        while let Some(datagram) = self.end.poll_transmit(now, &mut self.writer) {
            net.send(now, self.addr, to, datagram);
        }
    }
}

fn chats(speaker: &str, count: usize) -> Vec<Message> {
    // Every seventh is long enough to be split.
    let line = |n: usize| format!("{speaker} {n} {}", "la ".repeat(if n % 7 == 3 { 400 } else { 2 }));
    (0..count).map(|n| Message::Chat(ChatText::cut(&line(n)))).collect()
}

fn exchange(seed: u64, share: f64, duplicate: f64, delay_ms: u64, counter_first: u8) -> (Duration, u64) {
    let mut net = Network::new(seed);
    net.usual_link()
        .delay(Duration::from_millis(delay_ms))
        .jitter(Duration::from_millis(delay_ms / 2))
        .loss(Loss::bursts(share, 3.0))
        .duplicate(duplicate);
    let (mut ann, mut bob) = (Peer::new("10.0.0.1:1", counter_first), Peer::new("10.0.0.2:2", 0));
    let (from_ann, from_bob) = (chats("ann", 40), chats("bob", 25));
    ann.end.allow_split();
    for message in &from_ann {
        ann.end.send(message, &mut ann.writer).unwrap();
    }
    for message in &from_bob {
        bob.end.send(message, &mut bob.writer).unwrap();
    }
    let start = sim::start();
    let mut now = start;
    loop {
        ann.flush(now, bob.addr, &mut net);
        bob.flush(now, ann.addr, &mut net);
        let next = [net.next_delivery(), ann.end.poll_timeout(), bob.end.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else { break };
        assert!(next >= now, "time never goes back");
        now = next;
        assert!(now - start < Duration::from_secs(600), "seed {seed}: delivery ends");
        while let Some(delivery) = net.poll(now) {
            if delivery.dst == ann.addr { &mut ann } else { &mut bob }.receive(&delivery.payload);
        }
    }
    assert_eq!(bob.heard, from_ann, "seed {seed}");
    assert_eq!(ann.heard, from_bob, "seed {seed}");
    (now - start, ann.end.stats().retransmitted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn loss_and_duplication_change_nothing_but_time(
        seed: u64, share in 0.0..0.5_f64, duplicate in 0.0..0.3_f64, delay_ms in 0..600_u64, counter_first: u8,
    ) {
        exchange(seed, share, duplicate, delay_ms, counter_first);
    }
}

#[test]
fn a_perfect_network_needs_no_repetition() {
    let (took, retransmitted) = exchange(1, 0.0, 0.0, 20, 0);
    assert_eq!(retransmitted, 0);
    // 40 messages, six of them in three parts, one round trip each, at 40 to 60 ms per round trip.
    let exchanges = 40 + 2 * 6;
    assert!(
        took >= exchanges * Duration::from_millis(40) && took <= exchanges * Duration::from_millis(60),
        "{took:?}"
    );
}
