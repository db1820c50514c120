//! What a directory tells its owner.

use super::is_local;
use crate::message::{RegistrationResult, ServerName};
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Whether a server registered from the directory's own network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// From 10/8, 127/8, 172.16/12 or 192.168/16.
    Local,
    /// From anywhere else.
    External,
}

impl Origin {
    /// Judges a source address.
    #[must_use]
    pub const fn of(address: Ipv4Addr) -> Self {
        if is_local(address) { Self::Local } else { Self::External }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "local",
            Self::External => "external",
        })
    }
}

/// Something an operator of a directory wants to read. `Display` gives the line of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DirectoryEvent {
    /// A server asks to be listed, for the first time or again.
    Requested {
        /// Where it asks from, which is its key.
        address: SocketAddrV4,
        /// Where it says it is in its own network.
        internal: SocketAddrV4,
        /// Its name, as received.
        name: ServerName,
        /// Whether it is of the directory's own network.
        origin: Origin,
    },
    /// The answer to a server that was not listed before, or was refused.
    Answered {
        /// The server.
        address: SocketAddrV4,
        /// The decision.
        result: RegistrationResult,
    },
    /// A server took itself off the list.
    Unregistered {
        /// The server.
        address: SocketAddrV4,
    },
    /// A server was not heard of for too long.
    Expired {
        /// The server.
        address: SocketAddrV4,
    },
}

impl fmt::Display for DirectoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested { address, internal, name, origin } => {
                write!(f, "Requested to register entry for {address} ({internal}): ")?;
                // The name was chosen by a stranger and must not break or colour the log.
                for c in name.chars() {
                    f.write_char(if c.is_control() { '.' } else { c })?;
                }
                write!(f, " ({origin})")
            }
            Self::Answered { address, result } => {
                let decision = match result {
                    RegistrationResult::Registered => "registered",
                    RegistrationResult::ListFull => "refused, the list is full",
                    RegistrationResult::VersionTooOld => "refused, its version is too old",
                    RegistrationResult::RequirementsNotFulfilled => "refused, it is not on the white list",
                };
                write!(f, "Server {address} {decision}")
            }
            Self::Unregistered { address } => write!(f, "Server {address} unregistered"),
            Self::Expired { address } => write!(f, "Server {address} expired"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_line_is_the_known_one_and_cannot_be_broken() {
        let event = |name: &str, address: &str, origin| DirectoryEvent::Requested {
            address: address.parse().unwrap(),
            internal: "192.168.1.5:22124".parse().unwrap(),
            name: ServerName::new(name).unwrap(),
            origin,
        };
        assert_eq!(
            event("Cellar", "203.0.113.9:5000", Origin::External).to_string(),
            "Requested to register entry for 203.0.113.9:5000 (192.168.1.5:22124): Cellar (external)"
        );
        assert_eq!(
            event("a\r\n\u{1b}[2Jb", "10.0.0.1:1", Origin::Local).to_string(),
            "Requested to register entry for 10.0.0.1:1 (192.168.1.5:22124): a...[2Jb (local)"
        );
    }

    #[test]
    fn private_and_loopback_sources_are_local() {
        for (address, origin) in [
            ("10.255.0.1", Origin::Local),
            ("127.8.9.1", Origin::Local),
            ("172.15.0.1", Origin::External),
            ("172.16.0.1", Origin::Local),
            ("172.31.255.255", Origin::Local),
            ("172.32.0.1", Origin::External),
            ("192.168.0.1", Origin::Local),
            ("192.169.0.1", Origin::External),
            ("169.254.1.1", Origin::External),
        ] {
            assert_eq!(Origin::of(address.parse().unwrap()), origin, "{address}");
        }
    }
}
