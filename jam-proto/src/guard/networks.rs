//! Sets of IP networks: who may come, who may not.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP address with a prefix length, such as `192.0.2.0/24`; a bare address is itself alone.
///
/// ```
/// use jam_proto::guard::IpNetwork;
/// let net: IpNetwork = "192.0.2.0/24".parse()?;
/// assert!(net.contains("192.0.2.77".parse().expect("an address")));
/// assert!(!net.contains("192.0.3.1".parse().expect("an address")));
/// assert_eq!("::1".parse::<IpNetwork>()?.to_string(), "::1/128");
/// # Ok::<(), jam_proto::guard::IpNetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_bits: u8,
}

/// A text is not an IP network; write `address` or `address/prefix`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an IP network (expected an address, or address/prefix)")]
pub struct IpNetworkError {
    text: String,
}

impl IpNetwork {
    /// A network; `None` if the prefix is longer than the address. Bits behind the prefix are cleared.
    #[must_use]
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > bits_max {
            return None;
        }
        let (first, _) = range(address, prefix_bits);
        Some(Self { address: from_number(first, address.is_ipv4()), prefix_bits })
    }

    /// One address alone.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the address lies inside. A mapped IPv4 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (first, last) = range(self.address, self.prefix_bits);
        address.is_ipv4() == self.address.is_ipv4() && (first..=last).contains(&number(address))
    }
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split_once('/') {
            None => text.parse().ok().map(Self::host),
            Some((address, bits)) => match (address.parse(), bits.parse()) {
                (Ok(address), Ok(bits)) => Self::new(address, bits),
                _ => None,
            },
        };
        parsed.ok_or_else(|| IpNetworkError { text: text.into() })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// Many networks with a fast answer: overlapping ones are merged into ranges, and a look-up is a binary search.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IpNetworks {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl IpNetworks {
    /// Whether no address is inside.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address is inside one of the networks. A mapped IPv4 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let value = number(address);
        let after = ranges.partition_point(|(first, _)| *first <= value);
        after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| value <= *last)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.v4.capacity() + self.v6.capacity()) * size_of::<(u128, u128)>()
    }
}

impl FromIterator<IpNetwork> for IpNetworks {
    fn from_iter<I: IntoIterator<Item = IpNetwork>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            let ranges = if network.address.is_ipv4() { &mut v4 } else { &mut v6 };
            ranges.push(range(network.address, network.prefix_bits));
        }
        Self { v4: merged(v4), v6: merged(v6) }
    }
}

fn merged(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = next.0 <= kept.1.saturating_add(1);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    ranges.shrink_to_fit();
    ranges
}

/// First and last address of a network, as numbers.
fn range(address: IpAddr, prefix_bits: u8) -> (u128, u128) {
    let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
    let free = bits.saturating_sub(u32::from(prefix_bits));
    let mask = if free >= 128 { u128::MAX } else { (1_u128 << free).wrapping_sub(1) };
    let value = number(address);
    (value & !mask, value | mask)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn from_number(value: u128, v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::from(u32::try_from(value).unwrap_or(u32::MAX)))
    } else {
        IpAddr::V6(Ipv6Addr::from(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_read_and_print() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(text.parse::<IpNetwork>().unwrap().to_string(), shown);
        }
        for wrong in ["", "x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "10.0.0.0/-1"] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mapped_address_counts_as_ipv4_and_the_families_are_apart() {
        let all_v4: IpNetworks = ["0.0.0.0/0".parse().unwrap()].into_iter().collect();
        assert!(all_v4.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!all_v4.contains("::1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn the_merged_set_agrees_with_asking_every_network(
            nets in prop::collection::vec((any::<bool>(), 0_u32..4_096, 20_u8..=32), 0..12),
            asked in prop::collection::vec(0_u32..8_192, 1..40),
        ) {
            let nets: Vec<IpNetwork> = nets
                .into_iter()
                .filter_map(|(v4, low, bits)| {
                    if v4 {
                        IpNetwork::new(Ipv4Addr::from(low).into(), bits)
                    } else {
                        IpNetwork::new(Ipv6Addr::from(u128::from(low)).into(), bits + 96)
                    }
                })
                .collect();
            let set: IpNetworks = nets.iter().copied().collect();
            for low in asked {
                for address in [Ipv4Addr::from(low).into(), Ipv6Addr::from(u128::from(low) | 1 << 100).into(),
                    IpAddr::V6(Ipv6Addr::from(u128::from(low)))] {
                    prop_assert_eq!(set.contains(address), nets.iter().any(|n| n.contains(address)));
                }
            }
        }
    }
}
