//! Guard against a server that is its own origin (spec 5.3).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::HostPort;

/// The listeners of this server. An origin that is one of them is never connected to: the stream would be pulled from
/// itself, for ever.
///
/// The machines check addresses and `localhost`. Only the driver knows where any other name leads: it asks
/// [`contains`](Self::contains) with each address it is about to connect to, and reports
/// [`ConnectFailure::OwnAddress`](super::ConnectFailure::OwnAddress).
///
/// ```
/// use edge_cluster::upstream::OwnAddresses;
///
/// let own = OwnAddresses::new(["0.0.0.0:1935".parse()?], ["192.168.1.7".parse()?]);
/// assert!(own.contains("192.168.1.7:1935".parse()?));
/// assert!(own.is_target(&"127.0.0.1:1935".parse()?));
/// assert!(!own.is_target(&"127.0.0.1:1936".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OwnAddresses {
    listeners: Vec<SocketAddr>,
    machine: Vec<IpAddr>,
}

impl OwnAddresses {
    /// The addresses that are listened on, and those of the machine's interfaces, which a listener on every address
    /// stands for.
    pub fn new(
        listeners: impl IntoIterator<Item = SocketAddr>,
        machine: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let machine = machine.into_iter().map(|ip| ip.to_canonical()).collect();
        Self { listeners: listeners.into_iter().collect(), machine }
    }

    /// Whether a connection to `address` would reach this server.
    pub fn contains(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        // Connecting to the unspecified address reaches the machine itself.
        let here = ip.is_loopback() || ip.is_unspecified() || self.machine.contains(&ip);
        self.listeners.iter().filter(|listener| listener.port() == address.port()).any(|listener| {
            match listener.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => here && ip.is_ipv4(),
                // A socket on `::` usually takes both families.
                IpAddr::V6(any) if any.is_unspecified() => here,
                exact => exact.to_canonical() == ip || exact.is_loopback() && ip.is_unspecified(),
            }
        })
    }

    /// Whether `target` is this server as far as can be said without resolving names.
    pub fn is_target(&self, target: &HostPort) -> bool {
        let any = |ips: &[IpAddr]| ips.iter().any(|ip| self.contains(SocketAddr::new(*ip, target.port)));
        match target.host.parse::<IpAddr>() {
            Ok(ip) => any(&[ip]),
            Err(_) if target.host.eq_ignore_ascii_case("localhost") => {
                any(&[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)])
            }
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(listeners: &[&str], machine: &[&str]) -> OwnAddresses {
        let parsed = |text: &&str| text.parse().unwrap();
        OwnAddresses::new(listeners.iter().map(parsed), machine.iter().map(|ip| ip.parse().unwrap()))
    }

    #[test]
    fn a_listener_on_every_address_stands_for_the_machine() {
        let own = own(&["0.0.0.0:1935"], &["10.0.0.5", "2001:db8::5"]);
        for (target, expected) in [
            ("10.0.0.5:1935", true),
            ("127.0.0.1:1935", true),
            ("127.8.0.1:1935", true),
            ("0.0.0.0:1935", true),
            ("localhost:1935", true),
            ("10.0.0.5:1936", false),
            ("10.0.0.6:1935", false),
            ("[2001:db8::5]:1935", false),
            ("[::1]:1935", false),
            ("origin.example:1935", false),
        ] {
            assert_eq!(own.is_target(&target.parse().unwrap()), expected, "{target}");
        }
    }

    #[test]
    fn a_listener_on_one_address_is_only_that_one() {
        let own = own(&["10.0.0.5:1935", "127.0.0.1:1936", "[::]:1937"], &["10.0.0.5", "10.0.0.6"]);
        for (target, expected) in [
            ("10.0.0.5:1935", true),
            ("10.0.0.6:1935", false),
            ("127.0.0.1:1935", false),
            ("127.0.0.1:1936", true),
            ("0.0.0.0:1936", true),
            ("LOCALHOST:1936", true),
            ("10.0.0.6:1937", true),
            ("[::1]:1937", true),
            ("[::ffff:10.0.0.6]:1937", true),
        ] {
            assert_eq!(own.is_target(&target.parse().unwrap()), expected, "{target}");
        }
    }
}
