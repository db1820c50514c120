//! Addresses to listen on and hosts to connect to (spec 1.3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The port of RTMP, used where none is given.
pub const RTMP_PORT: u16 = 1935;

/// Where to listen: `1935`, `127.0.0.1:1935` or `[::]:1935`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// The local address; `None` means every address of the machine (`0.0.0.0`, or `::` where there is only IPv6).
    pub ip: Option<IpAddr>,
    /// The port, above 0.
    pub port: u16,
}

/// Why a text is no [`Endpoint`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The port is missing, 0, too large or not a number.
    #[error("port must be above 0 and at most 65535")]
    Port,
    /// The part before the port is an IPv6 address without brackets, or the whole is one.
    #[error("an IPv6 address needs brackets and a port, as in [::1]:1935")]
    Brackets,
    /// The part before the port is not an address.
    #[error("host names are not valid in listen, use an address")]
    HostName,
}

impl Endpoint {
    /// Whether only one of the two can be listened on: every address of a family takes each of it.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let ip = |endpoint: Self| endpoint.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (a, b) = (ip(self), ip(other));
        let any = a.is_unspecified() || b.is_unspecified();
        self.port == other.port && (a == b || any && a.is_ipv4() == b.is_ipv4())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if !text.starts_with('[') && text.matches(':').count() > 1 {
            return Err(EndpointError::Brackets);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (Some(host), port),
            None => (None, text),
        };
        let port = parse_port(port).filter(|&port| port > 0).ok_or(EndpointError::Port)?;
        let ip = match host {
            None => None,
            Some(host) => Some(parse_ip(host).ok_or(EndpointError::HostName)?),
        };
        Ok(Self { ip, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            None => write!(f, "{}", self.port),
            Some(ip) => write!(f, "{}", std::net::SocketAddr::new(ip, self.port)),
        }
    }
}

/// An IPv4 address, or an IPv6 address in brackets.
fn parse_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// A port in plain digits: `u16::from_str` would also take a plus sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A server to connect to: a name or an address, and a port. Names are resolved by whoever connects.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port; [`RTMP_PORT`] where it is not given, empty or 0.
    pub port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPortError {
    /// There is no host, or it has characters that no host has.
    #[error("the host is missing or is neither a name nor an address")]
    Host,
    /// The port is not a number up to 65535.
    #[error("the port must be a number up to 65535")]
    Port,
    /// It is a whole URL.
    #[error("is a host, or host:port, without scheme and path")]
    Url,
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: address.to_string(), port: RTMP_PORT });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inner, after) = rest.split_once(']').ok_or(HostPortError::Host)?;
            let address = inner.parse::<Ipv6Addr>().map_err(|_| HostPortError::Host)?;
            let port = match after {
                "" => "",
                _ => after.strip_prefix(':').ok_or(HostPortError::Port)?,
            };
            return Ok(Self { host: address.to_string(), port: port_or_default(port)? });
        }
        if text.contains("://") {
            return Err(HostPortError::Url);
        }
        let (host, port) = text.split_once(':').unwrap_or((text, ""));
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(HostPortError::Host);
        }
        Ok(Self { host: host.to_owned(), port: port_or_default(port)? })
    }
}

fn port_or_default(text: &str) -> Result<u16, HostPortError> {
    if text.is_empty() {
        return Ok(RTMP_PORT);
    }
    let port = parse_port(text).ok_or(HostPortError::Port)?;
    Ok(if port == 0 { RTMP_PORT } else { port })
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an address nor a range such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Whether `ip` is in the range. An IPv4 address inside IPv6 (`::ffff:1.2.3.4`) counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                same_prefix(a.to_bits().into(), b.to_bits().into(), 32, self.prefix_bits)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => same_prefix(a.to_bits(), b.to_bits(), 128, self.prefix_bits),
            _ => false,
        }
    }
}

/// Whether the first `prefix` of `width` bits are equal.
fn same_prefix(a: u128, b: u128, width: u32, prefix: u8) -> bool {
    let shift = width.saturating_sub(u32::from(prefix));
    (a ^ b).checked_shr(shift).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => width,
            Some(bits) => parse_port(bits).and_then(|b| u8::try_from(b).ok()).ok_or(NetworkError)?,
        };
        if prefix_bits > width {
            return Err(NetworkError);
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_nobody_can_connect_to_are_refused() {
        let error = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert_eq!(error(""), HostPortError::Host);
        assert_eq!(error(":1935"), HostPortError::Host);
        assert_eq!(error("rtmp://a/live"), HostPortError::Url);
        assert_eq!(error("a/b"), HostPortError::Host);
        assert_eq!(error("a:65536"), HostPortError::Port);
        assert_eq!(error("a:+1"), HostPortError::Port);
        assert_eq!(error("[::1"), HostPortError::Host);
        assert_eq!(error("[::1]x"), HostPortError::Port);
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds =
            |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.1", "::ffff:10.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
        for bad in ["10.0.0.0/33", "10.0.0/8", "::/129", "a", "", "10.0.0.0/", "10.0.0.0/+8"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }
}
