//! Which directory (spec 6).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::options::nearest;

/// What `-e` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DirectoryChoice {
    /// This server is a directory.
    Own,
    /// It registers with that one.
    At(HostPort),
}

/// The public directories by genre (spec 6.1).
const PUBLIC: &[(&str, &str, u16)] = &[
    ("any_genre_1", "anygenre1.jamulus.app", 22_124),
    ("any_genre_2", "anygenre2.jamulus.app", 22_224),
    ("any_genre_asia", "asia.jamulus.app", 22_624),
    ("rock", "rock.jamulus.app", 22_424),
    ("jazz", "jazz.jamulus.app", 22_324),
    ("classical_folk", "classical.jamulus.app", 22_524),
    ("choral_barbershop", "choral.jamulus.app", 22_724),
];

impl DirectoryChoice {
    /// The public directory of a genre by its name in the remote control; the first one for an unknown name (spec 8.3).
    pub(crate) fn of_genre(name: &str) -> Self {
        let genre = name.strip_prefix("genre_").unwrap_or(name);
        let known = PUBLIC.iter().find(|(known, ..)| *known == genre);
        let (host, port) = known.or(PUBLIC.first()).map_or(("", 0), |&(_, host, port)| (host, port));
        Self::At(HostPort { host: host.to_owned(), port: Some(port) })
    }

    /// The name of its kind in the remote control (spec 6.1).
    pub(crate) fn rpc_name(&self) -> &'static str {
        let Self::At(HostPort { host, port }) = self else { return "custom" };
        let public = PUBLIC.iter().find(|(_, known, at)| known == host && Some(*at) == *port);
        match public.map(|(name, ..)| *name) {
            Some("rock") => "genre_rock",
            Some("jazz") => "genre_jazz",
            Some("classical_folk") => "genre_classical_folk",
            Some("choral_barbershop") => "genre_choral_barbershop",
            Some(name) => name,
            None => "custom",
        }
    }

    pub(crate) fn check(text: &str) -> Result<(), String> {
        if text.is_empty() { Ok(()) } else { text.parse::<Self>().map(drop) }
    }
}

impl FromStr for DirectoryChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The exact texts that mean "be a directory"; with a port they are an address (spec 6).
        if text.eq_ignore_ascii_case("localhost") || text == "127.0.0.1" {
            return Ok(Self::Own);
        }
        let genre = text.strip_prefix("genre_").unwrap_or(text);
        if let Some(&(_, host, port)) = PUBLIC.iter().find(|(name, ..)| *name == genre || *name == text) {
            return Ok(Self::At(HostPort { host: host.to_owned(), port: Some(port) }));
        }
        // No host name of the Internet has an underscore; this was meant as a genre.
        if text.contains('_') {
            let meant = nearest(genre, PUBLIC.iter().map(|(name, ..)| *name));
            let names: Vec<&str> = PUBLIC.iter().map(|(name, ..)| *name).collect();
            return Err(match meant {
                Some(meant) => format!("no public directory is called \"{text}\" (did you mean {meant}?)"),
                None => format!("no public directory is called \"{text}\"; there are {}", names.join(", ")),
            });
        }
        text.parse().map(Self::At)
    }
}

impl fmt::Display for DirectoryChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("localhost"),
            Self::At(host) => host.fmt(f),
        }
    }
}

/// A host name or address, with its port if one was written (spec 10.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not host, host:port or [IPv6]:port");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<IpAddr>().map_err(|_| wrong())?;
                let port = match port {
                    "" => None,
                    _ => Some(port.strip_prefix(':').ok_or_else(wrong)?),
                };
                (host, port)
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|p| p.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)).transpose()?;
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | ':');
        if host.is_empty() || !host.chars().all(legal) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        let brackets = host.contains(':');
        match (brackets, port) {
            (true, Some(port)) => write!(f, "[{host}]:{port}"),
            (true, None) => write!(f, "[{host}]"),
            (false, Some(port)) => write!(f, "{host}:{port}"),
            (false, None) => f.write_str(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: Option<u16>) -> DirectoryChoice {
        DirectoryChoice::At(HostPort { host: host.to_owned(), port })
    }

    #[test]
    fn directories_are_named_by_address_or_genre() {
        for (text, choice) in [
            ("localhost", DirectoryChoice::Own),
            ("LOCALHOST", DirectoryChoice::Own),
            ("127.0.0.1", DirectoryChoice::Own),
            ("127.0.0.1:22124", at("127.0.0.1", Some(22_124))),
            ("jam.example.org", at("jam.example.org", None)),
            ("jam.example.org:4000", at("jam.example.org", Some(4000))),
            ("[2001:db8::1]:4000", at("2001:db8::1", Some(4000))),
            ("rock", at("rock.jamulus.app", Some(22_424))),
            ("genre_rock", at("rock.jamulus.app", Some(22_424))),
            ("any_genre_1", at("anygenre1.jamulus.app", Some(22_124))),
        ] {
            assert_eq!(text.parse(), Ok(choice), "{text}");
        }
    }

    #[test]
    fn slips_in_genres_and_ports_are_refused() {
        assert!("any_genre_l".parse::<DirectoryChoice>().unwrap_err().contains("did you mean any_genre_1?"));
        for text in ["host:", "host:0", "host:70000", "::1", "[::1", "a b", "[::1]x"] {
            assert!(text.parse::<DirectoryChoice>().is_err(), "{text}");
        }
    }
}
