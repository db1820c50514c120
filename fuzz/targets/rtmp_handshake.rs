//! Both roles of the handshake under any bytes: where they are cut must not matter.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rtmp_core::HandshakeError;
use rtmp_core::handshake::{
    ClientHandshake, HandshakeInfo, PACKET_BYTES, ProxyTrust, Role, Schema, Scheme, ServerHandshake,
    sign_packet1,
};

#[derive(Debug)]
enum Half {
    Server(ServerHandshake),
    Client(ClientHandshake),
}

/// What came out, what was written, what was left.
type Outcome = (Result<Option<HandshakeInfo>, HandshakeError>, BytesMut, BytesMut);

fn run(how: u8, wire: &[u8], cut: usize) -> Outcome {
    let mut out = BytesMut::new();
    let mut half = match how & 7 {
        0 => Half::Server(ServerHandshake::new(1, ProxyTrust::Trusted)),
        1..4 => Half::Server(ServerHandshake::new(1, ProxyTrust::Untrusted)),
        4 => Half::Client(ClientHandshake::new(1, Scheme::Simple, &mut out)),
        _ => Half::Client(ClientHandshake::new(1, Scheme::default(), &mut out)),
    };
    let mut input = BytesMut::new();
    let mut result = Ok(None);
    for piece in wire.chunks(cut) {
        input.extend_from_slice(piece);
        if result == Ok(None) {
            result = match &mut half {
                Half::Server(half) => half.handle_input(&mut input, &mut out),
                Half::Client(half) => half.handle_input(&mut input, &mut out),
            };
        }
    }
    (result, out, input)
}

fuzz_target!(|data: &[u8]| {
    let Some((&[how, cut], rest)) = data.split_first_chunk() else { return };
    let mut wire = rest.to_vec();
    // A short input stands for whole packets, so that mutations reach what is behind them.
    if how & 8 != 0 && wire.len() > 1 {
        wire.resize(1 + 2 * PACKET_BYTES + wire.len() % 16, wire[wire.len() - 1]);
    }
    if how & 16 != 0
        && let Some(packet) = wire.get_mut(1..).and_then(|rest| rest.first_chunk_mut::<PACKET_BYTES>())
    {
        let role = if how & 4 == 0 { Role::Client } else { Role::Server };
        let schema = if how & 32 == 0 { Schema::Zero } else { Schema::One };
        sign_packet1(packet, schema, role);
    }
    let (result, out, left) = run(how, &wire, usize::MAX);
    assert!(out.len() <= 1 + 2 * PACKET_BYTES + 1 + PACKET_BYTES);
    if let Ok(None) = result {
        assert!(left.len() < 7 + 1 + 2 * PACKET_BYTES, "waits for what is there");
    }
    let (again, out_again, left_again) = run(how, &wire, usize::from(cut) * 7 + 1);
    assert_eq!((again, &out_again), (result, &out), "cut every {} bytes", usize::from(cut) * 7 + 1);
    if result.is_ok() {
        assert_eq!(left_again, left);
    }
});
