//! Digests and signatures of the digest handshake (spec 2.3 and 2.4).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PACKET_BYTES;

/// Bytes of a digest and of a signature.
pub(super) const DIGEST_BYTES: usize = 32;
/// Random bytes of packet 2 in front of its signature.
const SIGNED_BYTES: usize = PACKET_BYTES - DIGEST_BYTES;

/// Constants every implementation shares; the first 30 and 36 bytes are the keys of packet 1.
const CLIENT_KEY: &[u8; 62] = b"Genuine Adobe Flash Player 001\
    \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
    \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae";
const SERVER_KEY: &[u8; 68] = b"Genuine Adobe Flash Media Server 001\
    \xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\
    \x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae";

/// Who made a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The side that opened the connection.
    Client,
    /// The side that accepted it.
    Server,
}

impl Role {
    fn packet1_key(self) -> &'static [u8] {
        match self {
            Self::Client => CLIENT_KEY.split_at(30).0,
            Self::Server => SERVER_KEY.split_at(36).0,
        }
    }

    fn packet2_key(self) -> &'static [u8] {
        match self {
            Self::Client => CLIENT_KEY,
            Self::Server => SERVER_KEY,
        }
    }
}

/// Where the digest block of packet 1 lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schema {
    /// Key block first, digest block second.
    Zero,
    /// Digest block first, key block second.
    One,
}

impl Schema {
    /// Position of the digest in a packet 1 of this schema: the four bytes in front of the digest block choose it.
    pub fn digest_position(self, packet: &[u8; PACKET_BYTES]) -> usize {
        let block: usize = match self {
            Self::Zero => 772,
            Self::One => 8,
        };
        let offset: usize = packet.iter().skip(block).take(4).copied().map(usize::from).sum();
        block.saturating_add(4).saturating_add(offset % 728)
    }
}

/// Looks for the digest `maker` puts into its packet 1, in both schemas.
pub fn find_digest(packet: &[u8; PACKET_BYTES], maker: Role) -> Option<(Schema, [u8; DIGEST_BYTES])> {
    [Schema::One, Schema::Zero].into_iter().find_map(|schema| {
        let (before, digest, after) = split(packet, schema)?;
        let mac = mac(maker.packet1_key(), &[before, after]);
        mac.verify_slice(digest).is_ok().then_some((schema, *digest))
    })
}

/// Puts `maker`'s digest into its packet 1 and returns it. Everything else of the packet must be final.
pub fn sign_packet1(packet: &mut [u8; PACKET_BYTES], schema: Schema, maker: Role) -> [u8; DIGEST_BYTES] {
    let position = schema.digest_position(packet);
    let digest = match split(packet, schema) {
        Some((before, _, after)) => finish(mac(maker.packet1_key(), &[before, after])),
        None => [0; DIGEST_BYTES],
    };
    for (byte, d) in packet.iter_mut().skip(position).zip(digest) {
        *byte = d;
    }
    digest
}

/// Puts `maker`'s signature into the last 32 bytes of its packet 2. It answers the digest of the peer's packet 1.
pub fn sign_packet2(packet: &mut [u8; PACKET_BYTES], peer_digest: &[u8; DIGEST_BYTES], maker: Role) {
    let (random, place) = packet.split_at_mut(SIGNED_BYTES);
    let signature = finish(signature_mac(random, peer_digest, maker));
    place.copy_from_slice(&signature);
}

/// Whether `packet` is a packet 2 of `maker` that answers the digest we sent.
pub fn verify_packet2(packet: &[u8; PACKET_BYTES], our_digest: &[u8; DIGEST_BYTES], maker: Role) -> bool {
    let (random, signature) = packet.split_at(SIGNED_BYTES);
    signature_mac(random, our_digest, maker).verify_slice(signature).is_ok()
}

fn signature_mac(random: &[u8], digest: &[u8], maker: Role) -> Hmac<Sha256> {
    let key = finish(mac(maker.packet2_key(), &[digest]));
    mac(&key, &[random])
}

/// The packet in front of, at and behind its digest.
fn split(packet: &[u8; PACKET_BYTES], schema: Schema) -> Option<(&[u8], &[u8; DIGEST_BYTES], &[u8])> {
    let (before, rest) = packet.split_at_checked(schema.digest_position(packet))?;
    let (digest, after) = rest.split_first_chunk()?;
    Some((before, digest, after))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn finish(mac: Hmac<Sha256>) -> [u8; DIGEST_BYTES] {
    mac.finalize().into_bytes().into()
}
