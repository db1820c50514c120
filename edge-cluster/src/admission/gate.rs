//! How many connections there may be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{EdgeConfig, Network};

/// Counts the connections of the whole edge and of each address, and refuses what is beyond the limits (spec 4.1). Of
/// IPv6, a network of 64 bits counts as one address: it is what one customer has, with more addresses than anybody can
/// count. The limit of an address does not hold for trusted proxies and for this machine (127.0.0.1, `::1`): who comes
/// from there brings many, such as a TLS terminator, or measures.
/// There is one in front of all shards; a refused connection is closed without a byte.
///
/// ```
/// use edge_cluster::admission::{Gate, GateRefusal};
///
/// let mut gate = Gate::new(2, 1);
/// let (a, b) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
/// assert_eq!(gate.admit(a), Ok(()));
/// assert_eq!(gate.admit(a), Err(GateRefusal::Address(1)));
/// assert_eq!(gate.admit(b), Ok(()));
/// assert_eq!(gate.admit([10, 0, 0, 3].into()), Err(GateRefusal::Connections(2)));
/// gate.release(b);
/// assert_eq!(gate.stats().open, 1);
/// ```
#[derive(Debug)]
pub struct Gate {
    connections_max: u32,
    per_ip_max: u32,
    per_ip: HashMap<IpAddr, u32>,
    trusted: Vec<Network>,
    stats: GateStats,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GateRefusal {
    /// All connections are taken (`max_connections`).
    #[error("{0} connections are open, see max_connections")]
    Connections(u32),
    /// The address has as many as one may have (`max_connections_per_ip`).
    #[error("{0} connections of this address are open, see extension.max_connections_per_ip")]
    Address(u32),
}

/// Counters of a [`Gate`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GateStats {
    /// Connections open now.
    pub open: u32,
    /// Connections let in so far.
    pub admitted: u64,
    /// Connections refused so far.
    pub refused: u64,
}

impl Gate {
    /// A gate with these limits; 0 for an address is no limit.
    pub fn new(connections_max: u32, per_ip_max: u32) -> Self {
        let (per_ip, trusted) = (HashMap::new(), Vec::new());
        Self { connections_max, per_ip_max, per_ip, trusted, stats: GateStats::default() }
    }

    /// A gate as the configuration says.
    pub fn of(config: &EdgeConfig) -> Self {
        let mut gate = Self::new(0, 0);
        gate.configure(config);
        gate
    }

    /// Other limits, from the next connection on; nobody is thrown out.
    pub fn configure(&mut self, config: &EdgeConfig) {
        self.connections_max = config.max_connections;
        self.per_ip_max = config.connections.per_ip_max;
        self.trusted.clone_from(&config.connections.trusted_proxies);
    }

    /// A connection of `ip` wants in. When it may, [`release`](Self::release) is due at its end.
    ///
    /// # Errors
    ///
    /// A limit is reached: close the connection.
    pub fn admit(&mut self, ip: IpAddr) -> Result<(), GateRefusal> {
        let is_limited = self.per_ip_max > 0 && !self.brings_many(ip);
        let ip = counted(ip);
        let of_ip = self.per_ip.get(&ip).copied().unwrap_or(0);
        let refusal = if self.stats.open >= self.connections_max {
            Some(GateRefusal::Connections(self.connections_max))
        } else if is_limited && of_ip >= self.per_ip_max {
            Some(GateRefusal::Address(self.per_ip_max))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.stats.refused += 1;
            return Err(refusal);
        }
        self.per_ip.insert(ip, of_ip + 1);
        self.stats.open += 1;
        self.stats.admitted += 1;
        Ok(())
    }

    /// A connection of `ip` is gone.
    pub fn release(&mut self, ip: IpAddr) {
        let ip = counted(ip);
        let Some(of_ip) = self.per_ip.get_mut(&ip) else { return };
        *of_ip -= 1;
        if *of_ip == 0 {
            self.per_ip.remove(&ip);
        }
        self.stats.open -= 1;
    }

    fn brings_many(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&ip)
            || self.trusted.iter().any(|network| network.contains(ip))
    }

    /// Counters.
    pub fn stats(&self) -> GateStats {
        self.stats
    }
}

/// What an address counts as: itself, or its network.
fn counted(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, MemorySources, load};

    #[test]
    fn addresses_count_in_their_plain_form_and_are_forgotten() {
        let mut gate = Gate::new(10, 2);
        let plain: IpAddr = "10.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!((gate.admit(plain), gate.admit(mapped)), (Ok(()), Ok(())));
        assert_eq!(gate.admit(mapped), Err(GateRefusal::Address(2)));
        gate.release(mapped);
        gate.release(plain);
        gate.release(plain);
        assert_eq!((gate.stats().open, gate.per_ip.len()), (0, 0));
        assert_eq!((gate.stats().admitted, gate.stats().refused), (2, 1));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let mut gate = Gate::new(100, 2);
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(
            (gate.admit(of("2001:db8:1:2::1")), gate.admit(of("2001:db8:1:2:ffff::9"))),
            (Ok(()), Ok(()))
        );
        assert_eq!(gate.admit(of("2001:db8:1:2:3:4:5:6")), Err(GateRefusal::Address(2)));
        assert_eq!(gate.admit(of("2001:db8:1:3::1")), Ok(()));
        gate.release(of("2001:db8:1:2:ffff::9"));
        assert_eq!(gate.admit(of("2001:db8:1:2:3:4:5:6")), Ok(()));
    }

    #[test]
    fn no_limit_per_address_where_it_is_zero() {
        let mut gate = Gate::new(100, 0);
        let ip = [10, 0, 0, 1].into();
        assert!((0..100).all(|_| gate.admit(ip).is_ok()));
        assert_eq!(gate.admit(ip), Err(GateRefusal::Connections(100)));
    }

    #[test]
    fn this_machine_and_trusted_proxies_may_bring_many() {
        let text =
            "listen 1935; extension { max_connections_per_ip 1; trusted_proxy 10.0.0.0/30; } vhost a { }";
        let files = MemorySources::from([("a.conf", text)]);
        let mut gate = Gate::of(&load(&files, "a.conf", &LoadOptions::default()).unwrap().config);
        for ip in ["127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.3", "::ffff:10.0.0.3"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!((gate.admit(ip), gate.admit(ip)), (Ok(()), Ok(())), "{ip}");
        }
        for ip in ["127.0.0.2", "10.0.0.4"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!((gate.admit(ip), gate.admit(ip)), (Ok(()), Err(GateRefusal::Address(1))), "{ip}");
        }
    }
}
