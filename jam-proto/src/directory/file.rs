//! The text a directory's entries survive a restart in (spec 6.4, `--directoryfile`). Reading and writing the file is
//! the owner's.

use crate::message::{City, Registration, ServerName};
use crate::tables::Country;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A line of a directory file that was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}; the entry is skipped")]
pub struct FileWarning {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// Why a line was left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// A line has seven fields separated by `;`.
    #[error("{0} fields instead of 7")]
    FieldCount(usize),
    /// The first field is no `address:port`.
    #[error("the address is not an IPv4 address with a port")]
    Address,
    /// The second field is neither `address:port` nor an address.
    #[error("the internal address is not an IPv4 address")]
    InternalAddress,
    /// Name or city is not Base64.
    #[error("a text is not Base64")]
    Base64,
    /// The country is no number of 16 bits.
    #[error("the country is not a number")]
    Country,
    /// The permanent flag is neither 0 nor 1.
    #[error("the permanent flag is neither 0 nor 1")]
    Permanent,
    /// An earlier line has the same address.
    #[error("the address occurs twice")]
    Duplicate,
    /// The list is full already.
    #[error("the list is full")]
    Full,
}

/// Clients of a server whose number cannot be read.
const CLIENTS_MAX_DEFAULT: u8 = 10;

/// One line, without its end.
pub(super) fn emit_line(address: SocketAddrV4, registration: &Registration) -> String {
    let internal = registration.internal_address.unwrap_or(Ipv4Addr::LOCALHOST);
    format!(
        "{address};{internal}:{};{};{};{};{};{}",
        registration.internal_port,
        base64(registration.name.as_bytes()),
        base64(registration.city.as_bytes()),
        registration.country.0,
        registration.clients_max,
        u8::from(registration.permanent),
    )
}

/// Reads one line.
pub(super) fn parse_line(line: &str) -> Result<(SocketAddrV4, Registration), FileFault> {
    let fields: Vec<&str> = line.split(';').collect();
    let [address, internal, name, city, country, clients_max, permanent] = *fields.as_slice() else {
        return Err(FileFault::FieldCount(fields.len()));
    };
    let address: SocketAddrV4 = address.trim().parse().map_err(|_| FileFault::Address)?;
    let internal = internal.trim();
    let internal: SocketAddrV4 = internal
        .parse()
        .or_else(|_| internal.trim_end_matches(':').parse().map(|ip| SocketAddrV4::new(ip, address.port())))
        .map_err(|_| FileFault::InternalAddress)?;
    let registration = Registration {
        internal_port: internal.port(),
        country: Country(country.trim().parse().map_err(|_| FileFault::Country)?),
        clients_max: clients_max.trim().parse().unwrap_or(CLIENTS_MAX_DEFAULT),
        permanent: match permanent.trim() {
            "0" => false,
            "1" => true,
            _ => return Err(FileFault::Permanent),
        },
        name: ServerName::cut(&text(name)?),
        internal_address: Some(*internal.ip()),
        city: City::cut(&text(city)?),
    };
    Ok((address, registration))
}

fn text(field: &str) -> Result<String, FileFault> {
    let bytes = from_base64(field.trim()).ok_or(FileFault::Base64)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0_u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            let letter = ALPHABET.get((bits >> (18 - 6 * i)) as usize & 63).copied().unwrap_or(b'=');
            text.push(if i > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// The bytes of a Base64 text, with or without padding; `None` if it is none.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (i, letter) in group.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == letter)?;
            bits |= (value as u32) << (18 - 6 * i);
        }
        let [_, all @ ..] = bits.to_be_bytes();
        // Two letters carry one byte, three two, four three; one alone carries none.
        bytes.extend_from_slice(all.get(..group.len().checked_sub(1).filter(|n| *n > 0)?)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPTURED: &str = "127.0.0.3:33163;127.0.0.1:33163;U3J2IEM=;Wg==;82;10;0";

    #[test]
    fn a_captured_line_is_read_and_written_alike() {
        let (address, registration) = parse_line(CAPTURED).unwrap();
        assert_eq!((&*registration.name, &*registration.city), ("Srv C", "Z"));
        assert_eq!(
            (registration.country.0, registration.clients_max, registration.permanent),
            (82, 10, false)
        );
        assert_eq!(emit_line(address, &registration), CAPTURED);
    }

    #[test]
    fn faults_are_named_and_gaps_filled_as_shipped_programs_do() {
        for (line, fault) in [
            ("1.2.3.4:5;1.2.3.4:5;;;0;10", FileFault::FieldCount(6)),
            ("host:5;1.2.3.4:5;;;0;10;0", FileFault::Address),
            ("1.2.3.4;1.2.3.4:5;;;0;10;0", FileFault::Address),
            ("1.2.3.4:5;lan;;;0;10;0", FileFault::InternalAddress),
            ("1.2.3.4:5;1.2.3.4:5;?;;0;10;0", FileFault::Base64),
            ("1.2.3.4:5;1.2.3.4:5;;;DE;10;0", FileFault::Country),
            ("1.2.3.4:5;1.2.3.4:5;;;0;10;yes", FileFault::Permanent),
        ] {
            assert_eq!(parse_line(line), Err(fault), "{line}");
        }
        let (_, registration) = parse_line("1.2.3.4:5;10.0.0.1;QQ==;QQ==;0;many;1").unwrap();
        assert_eq!(
            (registration.internal_port, registration.clients_max, registration.permanent),
            (5, 10, true)
        );
    }

    #[test]
    fn base64_follows_the_vectors_of_its_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(from_base64("Zm9vY"), None);
        assert_eq!(from_base64("Zm 9v"), None);
    }

    proptest! {
        #[test]
        fn every_entry_survives(
            ip: u32, port: u16, internal: u32, internal_port: u16, country: u16, clients_max: u8, permanent: bool,
            name in "\\PC{0,30}", city in "\\PC{0,30}",
        ) {
            let address = SocketAddrV4::new(ip.into(), port);
            let registration = Registration {
                internal_port, country: Country(country), clients_max, permanent,
                name: ServerName::cut(&name),
                internal_address: Some(internal.into()),
                city: City::cut(&city),
            };
            let line = emit_line(address, &registration);
            prop_assert_eq!(parse_line(&line), Ok((address, registration)));
        }

        #[test]
        fn no_line_panics(line in "\\PC{0,200}") {
            if let Ok((address, registration)) = parse_line(&line) {
                prop_assert_eq!(parse_line(&emit_line(address, &registration)), Ok((address, registration)));
            }
        }
    }
}
