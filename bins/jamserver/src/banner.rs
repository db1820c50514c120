//! What the server says when it starts.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use jam_mixer::tokio::Threads;
use jam_proto::message::ServerFeatures;

use crate::options::Values;
use crate::settings::{DirectoryChoice, Settings};

/// The start message, ready to print.
pub(crate) fn banner(settings: &Settings, values: &Values, listening: &[SocketAddr]) -> String {
    let mut out = format!(" *** jamserver {}, a Jamulus-compatible server\n", env!("CARGO_PKG_VERSION"));
    for addr in listening {
        let _ = writeln!(out, "- listening on {addr} (UDP){}", reachable(addr));
    }
    let protocol = &settings.config.protocol;
    let samples = settings.config.engine.tick.samples();
    let _ = writeln!(out, "- {} musicians at most, mixing every {samples} samples", protocol.channels_max());
    let threads = match settings.threads {
        Threads::Auto => "all cores when one is not enough".to_owned(),
        Threads::AtMost(n) if n.get() == 1 => "one thread".to_owned(),
        Threads::AtMost(n) => format!("up to {n} threads"),
    };
    let raw = if protocol.has(ServerFeatures::RAW_AUDIO) { "offered" } else { "not offered" };
    let _ = writeln!(out, "- {threads}; uncompressed audio {raw}");
    match &settings.directory {
        None => out.push_str("- not on any server list: musicians need the address\n"),
        Some(DirectoryChoice::Own) => out.push_str("- this server is a directory\n"),
        Some(choice @ DirectoryChoice::At(_)) => {
            let _ = writeln!(out, "- registering with the directory at {choice}");
        }
    }
    for (key, text, origin) in values.given() {
        let _ = writeln!(out, "- option {key} = {} ({origin})", printable(text));
    }
    out
}

/// The addresses of the machine's interfaces that a socket on "every address" can be reached at.
fn reachable(addr: &SocketAddr) -> String {
    if !addr.ip().is_unspecified() {
        return String::new();
    }
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return String::new() };
    let mut out = String::new();
    for interface in interfaces {
        let Some(storage) = interface.address else { continue };
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        let Some(ip) = v4.or(v6).filter(|ip| ip.is_ipv4() == addr.is_ipv4()) else { continue };
        let separator = if out.is_empty() { ": " } else { ", " };
        let _ = write!(out, "{separator}{ip} ({})", interface.interface_name);
    }
    out
}

/// A text on one line, without anything a terminal would interpret.
fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut line: String =
        text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > CHARS_MAX {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_the_addresses_of_every_machine() {
        assert!(reachable(&"0.0.0.0:22124".parse().unwrap()).contains("127.0.0.1 (lo"));
        assert_eq!(reachable(&"127.0.0.1:22124".parse().unwrap()), "");
    }

    #[test]
    fn texts_are_shown_on_one_line() {
        assert_eq!(printable("a\nb\x1b[1m"), "a b [1m");
        assert_eq!(printable(&"x".repeat(70)).chars().count(), 61);
    }
}
