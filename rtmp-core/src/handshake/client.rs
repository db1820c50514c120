//! The side that opened the connection.

use bytes::{Buf, BufMut, BytesMut};

use super::server::put_head;
use super::{
    HandshakeInfo, PACKET_BYTES, Role, Schema, Scheme, VERSION, check_version, find_digest, sign_packet1,
    sign_packet2,
};
use crate::budget::Rng;
use crate::error::HandshakeError;

/// Version field of our C1; non-zero, or servers do not look for a digest.
const CLIENT_VERSION: [u8; 4] = [0x80, 0x00, 0x07, 0x02];

/// The client's half of the handshake.
///
/// ```
/// use bytes::BytesMut;
/// use rtmp_core::handshake::{ClientHandshake, ProxyTrust, Schema, Scheme, ServerHandshake};
///
/// let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
/// let mut client = ClientHandshake::new(1, Scheme::Digest(Schema::One), &mut up);
/// let mut server = ServerHandshake::new(2, ProxyTrust::Untrusted);
/// assert_eq!(server.handle_input(&mut up, &mut down)?, None); // answers, now waits for C2
/// let seen_by_client = client.handle_input(&mut down, &mut up)?.expect("complete");
/// let seen_by_server = server.handle_input(&mut up, &mut down)?.expect("complete");
/// assert_eq!(seen_by_client.scheme, Scheme::Digest(Schema::One));
/// assert_eq!(seen_by_server.scheme, Scheme::Digest(Schema::One));
/// # Ok::<(), rtmp_core::HandshakeError>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    rng: Rng,
}

impl ClientHandshake {
    /// Begins a handshake: C0 and C1 are appended to `out`, random bytes come from `seed`.
    pub fn new(seed: u64, scheme: Scheme, out: &mut BytesMut) -> Self {
        let mut rng = Rng::new(seed);
        let mut c1 = [0; PACKET_BYTES];
        rng.fill(&mut c1);
        put_head(&mut c1, [0; 4]);
        if let Scheme::Digest(schema) = scheme {
            put_head(&mut c1, CLIENT_VERSION);
            sign_packet1(&mut c1, schema, Role::Client);
        }
        out.reserve(1 + PACKET_BYTES);
        out.put_u8(VERSION);
        out.put_slice(&c1);
        Self { rng }
    }

    /// Consumes S0, S1 and S2 from the front of `input` and appends C2 to `out`. `None` means more bytes are needed.
    ///
    /// S1 decides how C2 is made: signed when S1 has a digest, an echo otherwise. A wrong S2 is not an error, since
    /// working servers send one (spec 2.6).
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] for a peer that does not speak plain RTMP, as soon as its first byte shows it.
    pub fn handle_input(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<HandshakeInfo>, HandshakeError> {
        let Some(&first) = input.first() else { return Ok(None) };
        check_version(first)?;
        if input.len() < 1 + 2 * PACKET_BYTES {
            return Ok(None);
        }
        let Some((s1, _)) = input.get(1..).and_then(|rest| rest.split_first_chunk::<PACKET_BYTES>()) else {
            return Ok(None);
        };
        let peer_version = s1.iter().skip(4).take(4).fold(0, |version, &byte| version << 8 | u32::from(byte));
        let mut c2 = *s1;
        let scheme = match find_digest(s1, Role::Server) {
            None => Scheme::Simple,
            Some((schema, digest)) => {
                self.rng.fill(&mut c2);
                sign_packet2(&mut c2, &digest, Role::Client);
                Scheme::Digest(schema)
            }
        };
        out.put_slice(&c2);
        input.advance(1 + 2 * PACKET_BYTES);
        Ok(Some(HandshakeInfo { scheme, peer_version, real_address: None }))
    }
}

/// The layout used unless something else is asked for: all measured digest clients use it.
impl Default for Scheme {
    fn default() -> Self {
        Self::Digest(Schema::One)
    }
}
