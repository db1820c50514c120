//! The handshake in front of the chunk stream, plain or with a digest, for both roles (spec section 2).
//!
//! ```text
//!   client ──C0 C1──▶ server
//!          ◀─S0 S1 S2─
//!          ──C2──▶              and chunks straight behind it
//! ```

mod client;
mod digest;
mod server;

use std::net::Ipv4Addr;

pub use client::ClientHandshake;
pub use digest::{Role, Schema, find_digest, sign_packet1, sign_packet2, verify_packet2};
pub use server::{ProxyTrust, ServerHandshake};

use crate::error::HandshakeError;

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;
/// The protocol version in C0 and S0.
pub const VERSION: u8 = 3;

/// How a handshake was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Plain: each side echoes the other's packet.
    Simple,
    /// With digests in the given layout.
    Digest(Schema),
}

/// What a finished handshake tells about the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HandshakeInfo {
    /// Plain or digest.
    pub scheme: Scheme,
    /// The version field of the peer's packet 1; zero from plain peers.
    pub peer_version: u32,
    /// The client address a trusted proxy put in front of the handshake.
    pub real_address: Option<Ipv4Addr>,
}

/// Judges the first byte of a connection (spec 2.7).
fn check_version(first: u8) -> Result<(), HandshakeError> {
    match first {
        VERSION => Ok(()),
        6 | 8 => Err(HandshakeError::Encrypted(first)),
        0x16 => Err(HandshakeError::Tls),
        b'G' | b'P' | b'H' | b'O' | b'D' | b'C' => Err(HandshakeError::Http(first)),
        _ => Err(HandshakeError::Version(first)),
    }
}
