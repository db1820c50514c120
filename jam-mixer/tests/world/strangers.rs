//! Those who play nowhere: what they sent and what they were sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// The books about strangers: none may get more than it sent, however often and whatever it asks.
#[derive(Default)]
pub(crate) struct Strangers {
    hosts: BTreeMap<IpAddr, Books>,
    pub(crate) answered: u64,
}

#[derive(Default)]
struct Books {
    bytes_sent: usize,
    bytes_received: usize,
}

impl Strangers {
    /// The n-th stranger.
    pub(crate) fn address(n: u64) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, (n % 16) as u8], 5_000 + (n / 16 % 1_000) as u16))
    }

    pub(crate) fn knows(&self, address: SocketAddr) -> bool {
        self.hosts.contains_key(&address.ip())
    }

    pub(crate) fn sent(&mut self, src: SocketAddr, bytes: usize) {
        if matches!(src.ip(), IpAddr::V4(ip) if ip.octets()[..3] == [192, 0, 2]) {
            self.hosts.entry(src.ip()).or_default().bytes_sent += bytes;
        }
    }

    pub(crate) fn received(&mut self, now: Instant, dst: SocketAddr, bytes: usize) {
        if let Some(books) = self.hosts.get_mut(&dst.ip()) {
            self.answered += 1;
            books.bytes_received += bytes;
            let Books { bytes_sent, bytes_received } = books;
            assert!(
                bytes_received <= bytes_sent,
                "{dst} sent {bytes_sent} bytes, got {bytes_received} at {now:?}"
            );
        }
    }
}
