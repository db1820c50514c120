//! Handshake against the conformance vectors.

mod common;

use bytes::BytesMut;
use common::{field, hex, vectors};
use rtmp_core::HandshakeError;
use rtmp_core::handshake::{
    ClientHandshake, PACKET_BYTES, ProxyTrust, Role, Schema, Scheme, ServerHandshake, find_digest,
    sign_packet1, sign_packet2, verify_packet2,
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

type Packet = [u8; PACKET_BYTES];

/// The reproducible filling the vectors were made with.
fn det(label: &str, length: usize) -> Vec<u8> {
    let block = |index: u32| {
        let mut hash = Sha256::new();
        hash.update(label.as_bytes());
        hash.update(index.to_be_bytes());
        hash.finalize().to_vec()
    };
    (0..).flat_map(block).take(length).collect()
}

fn schema_of(case: &Json, key: &str) -> Schema {
    if field(case, key) == "schema0" { Schema::Zero } else { Schema::One }
}

fn packet(bytes: &[u8]) -> Packet {
    bytes.try_into().expect("1,536 bytes")
}

fn server_answer(c0c1: &[u8]) -> Result<BytesMut, HandshakeError> {
    let mut out = BytesMut::new();
    let mut input = BytesMut::from(c0c1);
    let done = ServerHandshake::new(1, ProxyTrust::Untrusted).handle_input(&mut input, &mut out)?;
    assert_eq!(done, None, "C2 has not arrived");
    Ok(out)
}

#[test]
fn digests_and_signatures_are_those_of_the_vectors() {
    let handshake = vectors("handshake");
    for case in handshake["complex"].as_array().expect("cases") {
        let name = field(case, "name");
        let label = name.trim_start_matches("complex_");
        let schema = schema_of(case, "schema");
        let build = |which: &str, maker| {
            let part = &case[which];
            let mut packet = [0; PACKET_BYTES];
            packet[..4].copy_from_slice(&(part["time"].as_u64().expect("time") as u32).to_be_bytes());
            packet[4..8].copy_from_slice(&hex(field(part, "version")));
            packet[8..].copy_from_slice(&det(&format!("{label}-{which}"), PACKET_BYTES - 8));
            assert_eq!(
                schema.digest_position(&packet) as u64,
                part["digest_pos"].as_u64().expect("position")
            );
            let digest = sign_packet1(&mut packet, schema, maker);
            assert_eq!(digest[..], hex(field(part, "digest"))[..], "{name} {which}");
            assert_eq!(find_digest(&packet, maker), Some((schema, digest)), "{name} {which}");
            (packet, digest)
        };
        let (c1, c1_digest) = build("c1", Role::Client);
        let (s1, s1_digest) = build("s1", Role::Server);
        let answer = |which: &str, digest, maker| {
            let mut packet = [0; PACKET_BYTES];
            packet[..PACKET_BYTES - 32].copy_from_slice(&det(&format!("{label}-{which}"), PACKET_BYTES - 32));
            sign_packet2(&mut packet, digest, maker);
            assert_eq!(
                packet[PACKET_BYTES - 32..],
                hex(field(&case[which], "signature"))[..],
                "{name} {which}"
            );
            assert!(verify_packet2(&packet, digest, maker));
            packet
        };
        let s2 = answer("s2", &c1_digest, Role::Server);
        let c2 = answer("c2", &s1_digest, Role::Client);
        assert_eq!([&[3][..], &c1].concat(), hex(field(case, "c0c1")), "{name}");
        assert_eq!([&[3][..], &s1, &s2].concat(), hex(field(case, "s0s1s2")), "{name}");
        assert_eq!(c2[..], hex(field(case, "c2_bytes"))[..], "{name}");
    }
}

#[test]
fn digests_are_found_at_the_ends_of_their_block() {
    let handshake = vectors("handshake");
    for case in handshake["offset_extremes"].as_array().expect("cases") {
        let c1 = packet(&hex(field(case, "c1")));
        let schema = schema_of(case, "schema");
        let position = schema.digest_position(&c1);
        assert_eq!(position as u64, case["digest_pos"].as_u64().expect("position"));
        let (found, digest) = find_digest(&c1, Role::Client).expect("a digest");
        assert_eq!((found, &digest[..]), (schema, &hex(field(case, "digest"))[..]));
    }
}

#[test]
fn a_captured_handshake_verifies() {
    let handshake = vectors("handshake");
    let case = &handshake["captured"][0];
    let [c0c1, s0s1s2, c2] = ["c0c1", "s0s1s2", "c2"].map(|key| hex(field(case, key)));
    let (c1, s1, s2) = (packet(&c0c1[1..]), packet(&s0s1s2[1..1537]), packet(&s0s1s2[1537..]));
    let (schema, c1_digest) = find_digest(&c1, Role::Client).expect("digest of the client");
    assert_eq!((schema, schema.digest_position(&c1)), (Schema::One, 494));
    let (schema, s1_digest) = find_digest(&s1, Role::Server).expect("digest of the server");
    assert_eq!((schema, schema.digest_position(&s1)), (Schema::One, 258));
    assert!(verify_packet2(&s2, &c1_digest, Role::Server));
    assert!(verify_packet2(&packet(&c2), &s1_digest, Role::Client));
}

#[test]
fn the_server_answers_in_the_schema_of_the_client() {
    let handshake = vectors("handshake");
    for case in handshake["complex"].as_array().expect("cases") {
        let c0c1 = hex(field(case, "c0c1"));
        let answer = server_answer(&c0c1).expect("an answer");
        assert_eq!((answer.len(), answer[0]), (3073, 3));
        let s1 = packet(&answer[1..1537]);
        let (schema, _) = find_digest(&s1, Role::Server).expect("a digest");
        assert_eq!(schema, schema_of(case, "schema"));
        assert_ne!(s1[4..8], [0; 4]);
        let (_, c1_digest) = find_digest(&packet(&c0c1[1..]), Role::Client).expect("a digest");
        assert!(verify_packet2(&packet(&answer[1537..]), &c1_digest, Role::Server));
    }
}

#[test]
fn plain_clients_and_broken_digests_get_a_plain_answer() {
    let handshake = vectors("handshake");
    let plain = handshake["simple"].as_array().expect("cases").iter().map(|case| hex(field(case, "c0c1")));
    let broken = hex(field(&handshake["negative"][0], "c0c1"));
    for c0c1 in plain.chain([broken]) {
        let answer = server_answer(&c0c1).expect("an answer");
        // A zero version field keeps players from looking for a digest that is not there.
        assert_eq!(answer[5..9], [0; 4]);
        assert_eq!(answer[1537..], c0c1[1..]);
    }
}

#[test]
fn a_client_echoes_a_plain_server_and_signs_for_a_digest_one() {
    let handshake = vectors("handshake");
    for case in handshake["simple"].as_array().expect("cases") {
        let mut out = BytesMut::new();
        let mut client = ClientHandshake::new(1, Scheme::Simple, &mut out);
        assert_eq!((out.len(), &out[5..9]), (1537, &[0; 4][..]));
        out.clear();
        let s0s1s2 = hex(field(case, "s0s1s2"));
        let info = client
            .handle_input(&mut BytesMut::from(&s0s1s2[..]), &mut out)
            .expect("handshake")
            .expect("done");
        assert_eq!(info.scheme, Scheme::Simple);
        assert_eq!(out[..], s0s1s2[1..1537]);
    }
    for case in handshake["complex"].as_array().expect("cases") {
        let mut out = BytesMut::new();
        let mut client = ClientHandshake::new(1, Scheme::default(), &mut out);
        out.clear();
        let s0s1s2 = hex(field(case, "s0s1s2"));
        let info = client
            .handle_input(&mut BytesMut::from(&s0s1s2[..]), &mut out)
            .expect("handshake")
            .expect("done");
        assert_eq!(info.scheme, Scheme::Digest(schema_of(case, "schema")));
        let digest = hex(field(&case["s1"], "digest"));
        assert!(verify_packet2(&packet(&out), &digest.try_into().expect("32 bytes"), Role::Client));
    }
}

#[test]
fn other_protocols_are_refused_at_their_first_byte() {
    let refused = [
        (0x06, HandshakeError::Encrypted(6)),
        (0x08, HandshakeError::Encrypted(8)),
        (b'G', HandshakeError::Http(b'G')),
        (b'P', HandshakeError::Http(b'P')),
        (0x16, HandshakeError::Tls),
        (0x00, HandshakeError::Version(0)),
        (0xf3, HandshakeError::Untrusted),
    ];
    for (first, error) in refused {
        assert_eq!(server_answer(&[first]), Err(error));
        let mut out = BytesMut::new();
        let mut client = ClientHandshake::new(1, Scheme::Simple, &mut out);
        let refused = client.handle_input(&mut BytesMut::from(&[first][..]), &mut out);
        assert!(refused.is_err(), "{first:#x} from a server");
    }
}

#[test]
fn a_trusted_proxy_may_name_its_client() {
    let handshake = vectors("handshake");
    for case in handshake["proxy_header_f3"].as_array().expect("cases") {
        let header = hex(field(case, "hex"));
        let mut out = BytesMut::new();
        let mut server = ServerHandshake::new(1, ProxyTrust::Trusted);
        let Some(ip) = case["expect"]["ip"].as_str() else {
            let refused = server.handle_input(&mut BytesMut::from(&header[..]), &mut out);
            assert_eq!(refused, Err(HandshakeError::AddressHeader(1025)));
            continue;
        };
        let mut stream = header.clone();
        ClientHandshake::new(2, Scheme::Simple, &mut out);
        stream.extend_from_slice(&out);
        stream.extend_from_slice(&[0; PACKET_BYTES]);
        let mut info = None;
        let mut input = BytesMut::new();
        for byte in stream {
            assert_eq!(info, None);
            input.extend_from_slice(&[byte]);
            info = server.handle_input(&mut input, &mut BytesMut::new()).expect("a good header");
        }
        let address = info.expect("complete").real_address.expect("an address");
        assert_eq!(address.to_string(), ip);
    }
}

#[test]
fn bytes_behind_c2_stay_for_the_chunk_reader() {
    let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
    let mut client = ClientHandshake::new(1, Scheme::default(), &mut up);
    let mut server = ServerHandshake::new(2, ProxyTrust::Untrusted);
    assert_eq!(server.handle_input(&mut up, &mut down), Ok(None));
    client.handle_input(&mut down, &mut up).expect("handshake").expect("done");
    up.extend_from_slice(b"chunks");
    assert!(server.handle_input(&mut up, &mut down).expect("handshake").is_some());
    assert_eq!(up, &b"chunks"[..]);
}
