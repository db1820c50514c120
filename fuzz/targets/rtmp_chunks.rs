//! The chunk reader beside a plain one that sees all bytes at once: the same messages, wherever the bytes are cut.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::chunk::{ChunkReader, Message, MessageType};
use rtmp_core::{ConnectionError, Limits, Timestamp};

const EXTENDED: u32 = 0xff_ffff;
/// Control messages have their own bound, which the plain reader does not know.
const BYTES_MAX: u32 = 1 << 16;

#[derive(Clone, Default)]
struct Stream {
    time: u32,
    delta: u32,
    extended: Option<u32>,
    length: usize,
    kind: u8,
    msid: u32,
    body: Vec<u8>,
    open: bool,
}

/// Why the plain reader stopped.
#[derive(Debug, Eq, PartialEq)]
enum Stop {
    End,
    Broken,
    Length,
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn plain(wire: &[u8]) -> (Vec<Message>, Stop) {
    let mut streams = std::collections::BTreeMap::<u32, Stream>::new();
    let (mut size, mut at, mut omits, mut repeats) = (128_usize, 0, false, false);
    let mut messages = Vec::new();
    loop {
        // Basic header.
        let Some(&first) = wire.get(at) else { return (messages, Stop::End) };
        let (csid, mut head) = match (first & 0x3f, wire.get(at + 1), wire.get(at + 2)) {
            (0, Some(&low), _) => (64 + u32::from(low), at + 2),
            (1, Some(&low), Some(&high)) => (64 + u32::from(low) + 256 * u32::from(high), at + 3),
            (0 | 1, ..) => return (messages, Stop::End),
            (csid, ..) => (u32::from(csid), at + 1),
        };
        let fmt = first >> 6;
        let known = streams.contains_key(&csid);
        let mut stream = streams.get(&csid).cloned().unwrap_or_default();
        if stream.open && fmt != 3 || !known && fmt > 1 {
            return (messages, Stop::Broken);
        }
        // Message header.
        let bytes = [11, 7, 3, 0][usize::from(fmt)];
        let Some(fields) = wire.get(head..head + bytes) else { return (messages, Stop::End) };
        head += bytes;
        if fmt < 2 {
            (stream.length, stream.kind) = (be(&fields[3..6]) as usize, fields[6]);
        }
        if fmt == 0 {
            stream.msid = u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]]);
        }
        // The value is repeated when the same four bytes stand there; a peer that once wrote others never repeats.
        let rest = &wire[head..];
        let repeated = |value: u32| match rest.first_chunk::<4>() {
            Some(field) => Some(*field == value.to_be_bytes()),
            None if rest.iter().zip(value.to_be_bytes()).any(|(a, b)| *a != b) => Some(false),
            None => None,
        };
        if stream.open {
            if let Some(value) = stream.extended.filter(|_| !omits) {
                let Some(repeated) = repeated(value) else { return (messages, Stop::End) };
                head += if repeated { 4 } else { 0 };
                omits = !repeated && !repeats;
                repeats |= repeated;
            }
        } else {
            if fmt < 3 {
                let time = be(&fields[..3]);
                stream.extended = None;
                if time == EXTENDED {
                    let Some(field) = wire.get(head..head + 4) else { return (messages, Stop::End) };
                    stream.extended = Some(be(field));
                    head += 4;
                }
                stream.delta = stream.extended.unwrap_or(time);
                stream.time = if fmt == 0 { stream.delta } else { stream.time.wrapping_add(stream.delta) };
            } else {
                if let Some(value) = stream.extended {
                    let Some(repeated) = repeated(value) else { return (messages, Stop::End) };
                    head += if repeated { 4 } else { 0 };
                }
                stream.time = stream.time.wrapping_add(stream.delta);
            }
            if stream.length > BYTES_MAX as usize || (1..7).contains(&stream.kind) && stream.length > 128 {
                return (messages, Stop::Length);
            }
            stream.open = true;
        }
        // Payload.
        let part = (stream.length - stream.body.len()).min(size);
        let Some(body) = wire.get(head..head + part) else { return (messages, Stop::End) };
        stream.body.extend_from_slice(body);
        at = head + part;
        if stream.body.len() == stream.length {
            stream.open = false;
            let payload = Bytes::from(std::mem::take(&mut stream.body));
            let kind = MessageType(stream.kind);
            let value = payload.first_chunk::<4>().map(|value| u32::from_be_bytes(*value));
            streams.insert(csid, stream.clone());
            match (kind, value) {
                (MessageType::SET_CHUNK_SIZE | MessageType::ABORT, None) => return (messages, Stop::Broken),
                (MessageType::SET_CHUNK_SIZE, Some(value)) => {
                    size = (value & 0x7fff_ffff).min(0xff_ffff) as usize;
                    if size == 0 {
                        return (messages, Stop::Broken);
                    }
                }
                (MessageType::ABORT, Some(csid)) => {
                    if let Some(stream) = streams.get_mut(&csid) {
                        (stream.open, stream.body) = (false, Vec::new());
                    }
                }
                _ => {}
            }
            let timestamp = Timestamp::from_millis(stream.time);
            messages.push(Message { csid, timestamp, kind, msid: stream.msid, payload });
        } else {
            streams.insert(csid, stream);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[cut, how], wire)) = data.split_first_chunk() else { return };
    let mut limits = Limits::default();
    limits.chunk_size_min = 1;
    limits.header_budget = u32::MAX;
    for bytes in [&mut limits.command_bytes_max, &mut limits.data_bytes_max, &mut limits.media_bytes_max] {
        *bytes = BYTES_MAX;
    }
    limits.partial_bytes_max = if how & 1 == 0 { 1 << 30 } else { 1000 };
    let mut reader = ChunkReader::new(&limits);
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    let mut ended = Ok(());
    'wire: for piece in wire.chunks(usize::from(cut).max(1)) {
        input.extend_from_slice(piece);
        loop {
            match reader.read(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    ended = Err(error);
                    break 'wire;
                }
            }
        }
        assert!(input.len() <= 18, "an incomplete header is left, no more");
        // Each of 64 chunk streams may reserve 64 KiB ahead.
        let ahead = 2 * wire.len() + (64 << 16);
        assert!(reader.memory_bytes() <= limits.partial_bytes_max.min(ahead) + (64 << 10));
    }
    let (expected, stop) = plain(wire);
    match ended {
        Ok(()) => assert_eq!((&messages, stop), (&expected, Stop::End)),
        Err(ConnectionError::Chunk { .. }) => assert_eq!((&messages, stop), (&expected, Stop::Broken)),
        // Bounds the plain reader does not have.
        Err(_) => assert!(expected.starts_with(&messages)),
    }
});
