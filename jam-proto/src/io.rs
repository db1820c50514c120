//! What goes into and out of every machine of this crate: datagrams and the passing of time.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// Something happened outside that a machine has to know.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram {
        /// Where it came from. Mapped IPv4 addresses may be given as they are; see [`canonical`].
        src: SocketAddr,
        /// The whole payload, borrowed: the machine copies what it keeps.
        payload: &'a [u8],
    },
    /// The time a machine asked for with `poll_timeout` has come. Early or repeated ones are harmless.
    Timeout,
}

/// A datagram to send, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// Where it goes.
    pub dst: SocketAddr,
    /// The whole payload; the same bytes may be shared by many receivers.
    pub payload: Bytes,
}

/// The one spelling of an address: `::ffff:a.b.c.d` becomes `a.b.c.d`, and the flow label of IPv6 is dropped.
///
/// A dual-stack socket reports IPv4 peers as mapped addresses. Without this one musician could appear as two.
///
/// ```
/// use jam_proto::canonical;
/// assert_eq!(canonical("[::ffff:192.0.2.1]:22134".parse()?), "192.0.2.1:22134".parse()?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub const fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(mut v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), v6.port()),
            None => {
                v6.set_flowinfo(0);
                SocketAddr::V6(v6)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let mapped = "[::ffff:192.0.2.7]:4000".parse().unwrap();
        assert_eq!(canonical(mapped), "192.0.2.7:4000".parse().unwrap());
    }

    #[test]
    fn a_flow_label_makes_no_second_peer_but_a_scope_does() {
        let link = |flow, scope| {
            SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 4000, flow, scope))
        };
        assert_eq!(canonical(link(7, 2)), link(0, 2));
        assert_ne!(canonical(link(0, 2)), canonical(link(0, 3)));
    }
}
