//! Chunk layer against the conformance vectors.

mod common;

use bytes::{Bytes, BytesMut};
use common::{field, hex, number, read_all, sha256, vectors, wide_limits};
use rtmp_core::Timestamp;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Compression, Message, MessageType};
use serde_json::Value as Json;

fn check_message(name: &str, message: &Message, expected: &Json) {
    let seen = (message.csid, message.timestamp.millis(), u32::from(message.kind.0), message.msid);
    let wanted = (
        number(expected, "csid"),
        number(expected, "ts"),
        number(expected, "type"),
        number(expected, "msid"),
    );
    assert_eq!(seen, wanted, "{name}");
    assert_eq!(message.payload.len() as u32, number(expected, "len"), "{name}");
    match expected["payload"].as_str() {
        Some(payload) => assert_eq!(message.payload[..], hex(payload)[..], "{name}"),
        None => assert_eq!(sha256(&message.payload), field(expected, "payload_sha256"), "{name}"),
    }
}

fn check_stream(case: &Json) {
    let name = field(case, "name");
    let wire = hex(field(case, "hex"));
    let expected = case["messages"].as_array().expect("messages");
    // Pieces of one byte are cuts at every place at once; two pieces show that no cut is special.
    let mut pieces: Vec<Vec<&[u8]>> = vec![wire.chunks(1).collect(), vec![&wire]];
    pieces.extend((1..wire.len()).map(|at| vec![&wire[..at], &wire[at..]]));
    for pieces in pieces {
        let mut reader = ChunkReader::new(&wide_limits());
        let mut input = BytesMut::new();
        let mut messages = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(message) = reader.read(&mut input).expect(name) {
                messages.push(message);
            }
        }
        assert_eq!(messages.len(), expected.len(), "{name}");
        for (message, expected) in messages.iter().zip(expected) {
            check_message(name, message, expected);
        }
        if let Some(partial) = case["partial_csids"].as_array() {
            let wanted: Vec<u32> = partial.iter().map(|csid| csid.as_u64().expect("csid") as u32).collect();
            assert_eq!(reader.partial_csids().collect::<Vec<_>>(), wanted, "{name}");
        }
    }
}

#[test]
fn every_chunk_stream_of_the_vectors_is_read_wherever_it_is_cut() {
    let cases = vectors("chunk_decode");
    let cases = cases.as_array().expect("cases");
    assert_eq!(cases.len(), 40);
    cases.iter().for_each(check_stream);
}

/// An empty message whose repeated header ends where the input is cut: whether the extended time is repeated behind it
/// shows only in the bytes that follow.
#[test]
fn an_empty_message_with_extended_time_is_read_the_same_wherever_it_is_cut() {
    let first = hex("06ffffff00000009010000000100000a");
    for (behind, messages) in [("c60100000a02", 2), ("c606", 2), ("c6", 1)] {
        let wire = [first.clone(), hex(behind)].concat();
        for piece in 1..=wire.len() {
            let read = read_all(&mut ChunkReader::new(&wide_limits()), &wire, piece).expect("legal so far");
            assert_eq!(read.len(), messages, "{behind} in pieces of {piece}");
        }
    }
}

#[test]
fn streams_of_shipped_clients_are_read() {
    let cases = vectors("client_streams");
    let cases = cases.as_array().expect("cases");
    assert_eq!(cases.len(), 7);
    cases.iter().for_each(check_stream);
}

#[test]
fn messages_of_the_vectors_are_written_as_expected() {
    for case in vectors("chunk_encode").as_array().expect("cases") {
        let name = field(case, "name");
        let compression = if name == "compressed" { Compression::Compact } else { Compression::Full };
        let mut writer = ChunkWriter::new(compression);
        writer.set_chunk_size(number(case, "chunk_size"));
        let mut wire = BytesMut::new();
        let mut messages = Vec::new();
        for message in case["messages"].as_array().expect("messages") {
            let message = Message {
                csid: number(message, "csid"),
                timestamp: Timestamp::from_millis(number(message, "ts")),
                kind: MessageType(number(message, "type") as u8),
                msid: number(message, "msid"),
                payload: Bytes::from(hex(field(message, "payload"))),
            };
            assert!(writer.write(&mut wire, &message));
            messages.push(message);
        }
        assert_eq!(wire[..], hex(field(case, "hex"))[..], "{name}");
        assert_eq!(
            read_all(&mut ChunkReader::new(&wide_limits()), &wire, 7).expect(name),
            messages,
            "{name}"
        );
    }
}

#[test]
fn what_the_reader_read_the_writer_writes_so_that_it_reads_the_same() {
    for case in vectors("chunk_decode").as_array().expect("cases") {
        let name = field(case, "name");
        let messages =
            read_all(&mut ChunkReader::new(&wide_limits()), &hex(field(case, "hex")), 64).expect(name);
        for compression in [Compression::Full, Compression::Compact] {
            let mut writer = ChunkWriter::new(compression);
            let mut wire = BytesMut::new();
            for message in &messages {
                assert!(writer.write(&mut wire, message));
                if message.kind == MessageType::SET_CHUNK_SIZE {
                    let size = u32::from_be_bytes(message.payload[..4].try_into().expect("four bytes"));
                    writer.set_chunk_size(size & 0x7fff_ffff);
                }
            }
            let again = read_all(&mut ChunkReader::new(&wide_limits()), &wire, 50).expect(name);
            assert_eq!(again, messages, "{name}");
        }
    }
}
