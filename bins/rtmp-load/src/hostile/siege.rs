//! What attacks have in common: the target, addresses to come from, limits of the server as documented.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::peer::Peer;
use super::swarm::Swarm;
use crate::target::Place;

/// Time from accept to the first half of the handshake, and from there to the second.
pub(super) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Time from the handshake to `connect`, and from `connect` to `publish` or `play`.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Connections of one address.
pub(super) const PER_ADDRESS_MAX: usize = 64;
/// What a busy machine may add to a time limit.
pub(super) const GRACE: Duration = Duration::from_millis(1500);

/// Everything the attackers know.
#[derive(Debug)]
pub(super) struct Siege {
    /// The stream that legitimate people publish and play.
    pub(super) place: Place,
    /// Whether attackers have addresses of their own.
    spread: bool,
    pub(super) time: Duration,
    pub(super) connections: usize,
    pub(super) api: Option<SocketAddr>,
    /// The program to attack with configurations of its own.
    pub(super) program: Option<PathBuf>,
    /// Where files may be written.
    pub(super) folder: PathBuf,
    /// Differs for each address that was given out.
    addresses: u32,
}

impl Siege {
    pub(super) fn new(place: Place, time: Duration, connections: u16, folder: PathBuf) -> Self {
        let spread = place.address.is_ipv4() && place.address.ip().is_loopback();
        Self {
            place,
            spread,
            time,
            connections: usize::from(connections),
            api: None,
            program: None,
            folder,
            addresses: 0,
        }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.place.address
    }

    /// An address that nobody has come from.
    pub(super) fn address(&mut self) -> Option<Ipv4Addr> {
        self.addresses += 1;
        let [_, high, middle, low] = self.addresses.to_be_bytes();
        self.spread.then(|| Ipv4Addr::new(127, 64 + (high & 31), middle, low))
    }

    /// A peer from a fresh address.
    pub(super) fn peer(&mut self) -> io::Result<Peer> {
        let from = self.address();
        Peer::open(self.server(), from, None)
    }

    /// A peer that has done its handshake.
    pub(super) fn greeted(&mut self) -> io::Result<Peer> {
        let mut peer = self.peer()?;
        peer.handshake()?;
        Ok(peer)
    }

    /// A peer with a message stream.
    pub(super) fn connected(&mut self) -> io::Result<Peer> {
        let mut peer = self.greeted()?;
        peer.connect(&self.place)?;
        Ok(peer)
    }

    /// So many connections that say the same, from as many addresses as needed to be let in.
    pub(super) fn swarm(&mut self, number: usize, script: &[u8]) -> Swarm {
        let mut swarm = Swarm::default();
        let mut from = None;
        for n in 0..number {
            if n.is_multiple_of(PER_ADDRESS_MAX / 4) {
                from = self.address();
            }
            swarm.open(self.server(), from, script.to_vec());
        }
        swarm
    }
}
