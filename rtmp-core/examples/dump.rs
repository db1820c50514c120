//! Prints the messages of one direction of a captured RTMP connection.
//!
//! Try: `cargo run -p rtmp-core --example dump -- rtmp-core/tests/data/captures/rtmpdump-play-from-srs7.s2c.bin`

use std::error::Error;

use bytes::{Buf, BytesMut};
use rtmp_core::chunk::{ChunkReader, Message};
use rtmp_core::media::MediaRole;
use rtmp_core::message::{Command, Control, DataFrame, MessageType};
use rtmp_core::{AmfLimits, Limits, MediaKind};

/// One packet 0, then packets 1 and 2 of 1,536 bytes, in either direction.
const HANDSHAKE_BYTES: usize = 1 + 2 * 1536;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump FILE")?;
    let mut input = BytesMut::from(&std::fs::read(&path)?[..]);
    input.advance(HANDSHAKE_BYTES.min(input.len()));
    let mut limits = Limits::default();
    limits.chunk_size_min = 1;
    let mut reader = ChunkReader::new(&limits);
    while let Some(message) = reader.read(&mut input)? {
        println!(
            "csid {:<3} msid {:<2} {:>9}  {}",
            message.csid,
            message.msid,
            message.timestamp.to_string(),
            describe(&message)
        );
    }
    println!("{} bytes left, unfinished on {:?}", input.len(), reader.partial_csids().collect::<Vec<_>>());
    Ok(())
}

fn describe(message: &Message) -> String {
    let bytes = message.payload.len();
    if let Ok(Some(control)) = Control::parse(message.kind, &message.payload) {
        return format!("{control:?}");
    }
    match (message.kind, MediaKind::of(message.kind)) {
        (MessageType::COMMAND | MessageType::COMMAND_AMF3, _) => {
            match Command::parse(message.kind, &message.payload, AmfLimits::default()) {
                Ok(c) => format!("{}({}) {:?} {:?}", c.name, c.transaction, c.object, c.arguments),
                Err(error) => format!("unreadable command: {error}"),
            }
        }
        (_, Some(MediaKind::Data)) => match DataFrame::recognise(&message.payload) {
            DataFrame::Set { name, .. } => format!("data {bytes} bytes, sets {name}"),
            DataFrame::Clear { name } => format!("data {bytes} bytes, clears {name}"),
            DataFrame::Named { name, .. } => format!("data {bytes} bytes, {name}"),
            DataFrame::Opaque => format!("data {bytes} bytes"),
        },
        (_, Some(kind)) => format!("{kind:?} {bytes} bytes, {:?}", MediaRole::of(kind, &message.payload)),
        (kind, None) => format!("{kind:?} {bytes} bytes"),
    }
}
