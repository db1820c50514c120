//! A datagram network inside one thread, in virtual time (feature `sim`).
//!
//! Many machines are wired together without a socket: what one transmits is given to [`Network::send`], and
//! [`Network::poll`] hands it to its destination when it arrives. Each direction between two nodes is a [`Link`] with
//! delay, jitter, loss, duplication, reordering, a rate and a largest datagram. Everything is drawn from one seed, so a
//! failing run is repeated by its number.
//!
//! ```
//! use jam_proto::sim::{self, Network};
//! use std::time::Duration;
//!
//! let (ann, room) = ("10.0.0.1:22134".parse()?, "10.0.0.9:22124".parse()?);
//! let start = sim::start();
//! let mut net = Network::new(7);
//! net.link(ann, room).delay(Duration::from_millis(20)).lose_next(1);
//!
//! net.send(start, ann, room, "lost".into());
//! net.send(start, ann, room, "heard".into());
//! let at = net.next_delivery().expect("one datagram is under way");
//! assert_eq!(at, start + Duration::from_millis(20));
//! let heard = net.poll(at).expect("it is due");
//! assert_eq!((heard.src, heard.dst, &heard.payload[..]), (ann, room, &b"heard"[..]));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod link;

use crate::rng::Rng;
use bytes::Bytes;
pub use link::{Link, LinkStats, Loss};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

/// Some instant to count virtual time from: every run adds durations to it and never looks at a clock again.
#[must_use]
pub fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time can be had in no other way")]
    Instant::now()
}

/// A datagram that has arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// When it arrived; not later than the `now` of the poll that returned it.
    pub at: Instant,
    /// The source as the receiver sees it, behind any address translation.
    pub src: SocketAddr,
    /// The node that receives it, by its own address.
    pub dst: SocketAddr,
    /// The bytes.
    pub payload: Bytes,
}

/// The network: nodes are addresses, and every ordered pair of them has a [`Link`].
///
/// A node needs no registration; whatever address a datagram is sent to can be asked for it. Sending with somebody
/// else's address is allowed, as it is on the Internet.
#[derive(Clone, Debug)]
pub struct Network {
    rng: Rng,
    usual: Link,
    links: BTreeMap<(SocketAddr, SocketAddr), Link>,
    under_way: BTreeMap<(Instant, u64), Flight>,
    sequence: u64,
    /// Translated addresses: node to public, and back.
    public: BTreeMap<SocketAddr, SocketAddr>,
    node: BTreeMap<SocketAddr, SocketAddr>,
    /// Public addresses that belonged to a node once.
    retired: BTreeSet<SocketAddr>,
    apart: BTreeSet<(SocketAddr, SocketAddr)>,
    stats: NetworkStats,
}

#[derive(Clone, Debug)]
struct Flight {
    src: SocketAddr,
    dst_public: SocketAddr,
    payload: Bytes,
}

/// What happened to all datagrams together; each link counts its own as well.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NetworkStats {
    /// Given to [`Network::send`].
    pub datagrams_sent: u64,
    /// Returned by [`Network::poll`].
    pub datagrams_delivered: u64,
    /// Sent across a partition.
    pub datagrams_cut: u64,
    /// Sent to a public address that its node no longer has.
    pub datagrams_unreachable: u64,
    /// Not taken because [`Network::UNDER_WAY_MAX`] others were under way.
    pub datagrams_overflown: u64,
}

impl Network {
    /// Datagrams that can be under way at once; what is sent beyond is dropped and counted.
    pub const UNDER_WAY_MAX: usize = 1 << 20;

    /// A network of perfect links: no delay, no loss.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            usual: Link::default(),
            links: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sequence: 0,
            public: BTreeMap::new(),
            node: BTreeMap::new(),
            retired: BTreeSet::new(),
            apart: BTreeSet::new(),
            stats: NetworkStats::default(),
        }
    }

    /// The link that pairs of nodes get when they first talk and nobody has described theirs.
    pub fn usual_link(&mut self) -> &mut Link {
        &mut self.usual
    }

    /// The link in one direction, to be changed at will at any time. Nodes are named by their own addresses.
    pub fn link(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Link {
        let (rng, usual) = (&mut self.rng, &self.usual);
        self.links.entry((from, to)).or_insert_with(|| usual.clone().seeded(rng.fork()))
    }

    /// The links in both directions, changed in the same way.
    pub fn links_between(&mut self, a: SocketAddr, b: SocketAddr, mut change: impl FnMut(&mut Link)) {
        change(self.link(a, b));
        change(self.link(b, a));
    }

    /// What happened so far in one direction; all zero before the first datagram.
    #[must_use]
    pub fn link_stats(&self, from: SocketAddr, to: SocketAddr) -> LinkStats {
        self.links.get(&(from, to)).map(Link::stats).unwrap_or_default()
    }

    /// What happened to all datagrams.
    #[must_use]
    pub const fn stats(&self) -> NetworkStats {
        self.stats
    }

    /// Sends a datagram from a node to a public address.
    pub fn send(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, payload: Bytes) {
        self.stats.datagrams_sent += 1;
        let Some(node) = self.node_of(to) else {
            self.stats.datagrams_unreachable += 1;
            return;
        };
        if self.apart.contains(&(from, node)) {
            self.stats.datagrams_cut += 1;
            return;
        }
        let src = self.public_of(from);
        for at in self.link(from, node).carry(now, payload.len()).into_iter().flatten() {
            if self.under_way.len() >= Self::UNDER_WAY_MAX {
                self.stats.datagrams_overflown += 1;
                return;
            }
            // The running number keeps datagrams of one instant in the order they were sent.
            self.sequence += 1;
            let flight = Flight { src, dst_public: to, payload: payload.clone() };
            self.under_way.insert((at, self.sequence), flight);
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next_delivery(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// A datagram that has arrived by now; poll until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<Delivery> {
        loop {
            let entry = self.under_way.first_entry()?;
            let at = entry.key().0;
            if at > now {
                return None;
            }
            let Flight { src, dst_public, payload } = entry.remove();
            // The translation may have changed while the datagram was under way.
            let Some(dst) = self.node_of(dst_public) else {
                self.stats.datagrams_unreachable += 1;
                continue;
            };
            self.stats.datagrams_delivered += 1;
            return Some(Delivery { at, src, dst, payload });
        }
    }

    /// Gives a node another public address, as address translators do: from now on others see and reach it there, and
    /// what is still sent to the address before is lost.
    pub fn rebind(&mut self, node: SocketAddr, public: SocketAddr) {
        if let Some(before) = self.public.insert(node, public) {
            self.node.remove(&before);
            self.retired.insert(before);
        }
        self.retired.remove(&public);
        self.node.insert(public, node);
    }

    /// The address others see a node at.
    #[must_use]
    pub fn public_of(&self, node: SocketAddr) -> SocketAddr {
        self.public.get(&node).copied().unwrap_or(node)
    }

    fn node_of(&self, public: SocketAddr) -> Option<SocketAddr> {
        if let Some(node) = self.node.get(&public) {
            return Some(*node);
        }
        // A translated node is not reachable at its own address either.
        (!self.public.contains_key(&public) && !self.retired.contains(&public)).then_some(public)
    }

    /// Stops everything sent from now on between each node of one side and each of the other.
    pub fn partition(&mut self, one: &[SocketAddr], other: &[SocketAddr]) {
        for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
            self.apart.insert((a, b));
            self.apart.insert((b, a));
        }
    }

    /// Ends all partitions.
    pub fn heal(&mut self) {
        self.apart.clear();
    }

    /// How many datagrams are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }
}

#[cfg(test)]
mod tests;
