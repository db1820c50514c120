//! The side that accepted the connection.

use std::net::Ipv4Addr;

use bytes::{Buf, BufMut, BytesMut};

use super::{
    HandshakeInfo, PACKET_BYTES, Role, Scheme, VERSION, check_version, find_digest, sign_packet1,
    sign_packet2,
};
use crate::budget::Rng;
use crate::error::{HandshakeError, Waiting};

/// First byte of the address header a trusted proxy may send in front of C0.
const ADDRESS_HEADER: u8 = 0xf3;
const ADDRESS_BYTES_MAX: u16 = 1024;
/// Version field of our S1; some players check the digests only when its first byte is 3 or more.
const SERVER_VERSION: [u8; 4] = [3, 5, 1, 1];

/// Whether the peer may put the address of its client in front of the handshake.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProxyTrust {
    /// Such a header closes the connection.
    #[default]
    Untrusted,
    /// Such a header is taken as the client's address.
    Trusted,
}

/// The server's half of the handshake.
///
/// ```text
///   AwaitHello ──C0 C1 / S0 S1 S2──▶ AwaitEnd ──C2──▶ done
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    rng: Rng,
    trust: ProxyTrust,
    real_address: Option<Ipv4Addr>,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitHello,
    AwaitEnd { info: HandshakeInfo, left: usize },
}

impl ServerHandshake {
    /// A handshake whose random bytes come from `seed`.
    pub fn new(seed: u64, trust: ProxyTrust) -> Self {
        Self { rng: Rng::new(seed), trust, real_address: None, state: State::AwaitHello }
    }

    /// Consumes handshake bytes from the front of `input` and appends the answer to `out`. Returns what is known of
    /// the peer when C2 is complete; `None` means more bytes are needed. Bytes behind C2 stay in `input`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] for a peer that does not speak plain RTMP, as soon as its first byte shows it.
    pub fn handle_input(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<HandshakeInfo>, HandshakeError> {
        loop {
            match &mut self.state {
                State::AwaitHello => {
                    let Some(info) = self.read_hello(input, out)? else { return Ok(None) };
                    self.state = State::AwaitEnd { info, left: PACKET_BYTES };
                }
                State::AwaitEnd { info, left } => {
                    // What stands in C2 differs between honest peers, so it is not judged (spec 2.5).
                    let taken = input.len().min(*left);
                    input.advance(taken);
                    *left = left.saturating_sub(taken);
                    return Ok((*left == 0).then_some(*info));
                }
            }
        }
    }

    /// What this handshake is waiting for.
    pub fn waiting(&self) -> Waiting {
        match self.state {
            State::AwaitHello => Waiting::Hello,
            State::AwaitEnd { .. } => Waiting::HandshakeEnd,
        }
    }

    fn read_hello(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Option<HandshakeInfo>, HandshakeError> {
        if input.first() == Some(&ADDRESS_HEADER) && self.real_address.is_none() {
            if self.trust == ProxyTrust::Untrusted {
                return Err(HandshakeError::Untrusted);
            }
            if !self.read_address(input)? {
                return Ok(None);
            }
        }
        let Some(&first) = input.first() else { return Ok(None) };
        check_version(first)?;
        let Some((c1, _)) = input.get(1..).and_then(|rest| rest.split_first_chunk::<PACKET_BYTES>()) else {
            return Ok(None);
        };
        let version = c1.iter().skip(4).take(4).fold(0, |version, &byte| version << 8 | u32::from(byte));
        let found = if version == 0 { None } else { find_digest(c1, Role::Client) };

        let mut s1 = [0; PACKET_BYTES];
        self.rng.fill(&mut s1);
        put_head(&mut s1, [0; 4]);
        let mut s2 = *c1;
        let scheme = match found {
            None => Scheme::Simple,
            Some((schema, digest)) => {
                put_head(&mut s1, SERVER_VERSION);
                sign_packet1(&mut s1, schema, Role::Server);
                self.rng.fill(&mut s2);
                sign_packet2(&mut s2, &digest, Role::Server);
                Scheme::Digest(schema)
            }
        };
        out.reserve(1 + 2 * PACKET_BYTES);
        out.put_u8(VERSION);
        out.put_slice(&s1);
        out.put_slice(&s2);
        input.advance(1 + PACKET_BYTES);
        Ok(Some(HandshakeInfo { scheme, peer_version: version, real_address: self.real_address }))
    }

    /// Takes the address header; `false` means it is incomplete.
    fn read_address(&mut self, input: &mut BytesMut) -> Result<bool, HandshakeError> {
        let Some((&[_, high, low], body)) = input.split_first_chunk::<3>() else { return Ok(false) };
        let length = u16::from_be_bytes([high, low]);
        if !(4..=ADDRESS_BYTES_MAX).contains(&length) {
            return Err(HandshakeError::AddressHeader(length));
        }
        let length = usize::from(length);
        let Some((address, _)) = body.get(..length).and_then(|body| body.split_first_chunk::<4>()) else {
            return Ok(false);
        };
        self.real_address = Some(Ipv4Addr::from(*address));
        input.advance(3 + length);
        Ok(true)
    }
}

/// Time 0 and the version field.
pub(super) fn put_head(packet: &mut [u8; PACKET_BYTES], version: [u8; 4]) {
    let (head, _) = packet.split_at_mut(8);
    let (time, place) = head.split_at_mut(4);
    time.fill(0);
    place.copy_from_slice(&version);
}
