//! The private writer: one connection's own messages as chunks.

use bytes::BytesMut;
use smallvec::SmallVec;

use super::header::{EXTENDED, Header};
use super::{CHUNK_SIZE_MAX, CSID_MAX, DEFAULT_CHUNK_SIZE, Message};
use crate::Timestamp;

/// How a [`ChunkWriter`] chooses the header format of a message's first chunk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// A full header for every message. Understood by all, needs no state.
    #[default]
    Full,
    /// The shortest legal form: format 1 when type or length differ, 2 when they are equal, 3 when the delta is
    /// equal too and the last header was not format 0. Full again when time goes backwards, the message stream
    /// changes or the delta needs more than 24 bits (spec 3.6).
    Compact,
}

/// Cuts messages into chunks.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use rtmp_core::{Limits, Timestamp, chunk::{ChunkReader, ChunkWriter, Message, MessageType}};
///
/// let message = Message {
///     csid: 6,
///     timestamp: Timestamp::from_millis(40),
///     kind: MessageType::VIDEO,
///     msid: 1,
///     payload: Bytes::from(vec![0x27; 300]),
/// };
/// let mut wire = BytesMut::new();
/// ChunkWriter::default().write(&mut wire, &message);
/// assert_eq!(wire.len(), 12 + 128 + 1 + 128 + 1 + 44);
/// assert_eq!(ChunkReader::new(&Limits::default()).read(&mut wire)?, Some(message));
/// # Ok::<(), rtmp_core::ConnectionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChunkWriter {
    chunk_size: u32,
    compression: Compression,
    last: SmallVec<[(u32, Last); 6]>,
}

/// What the reader on the other side knows of a chunk stream.
#[derive(Clone, Copy, Debug)]
struct Last {
    fmt: u8,
    timestamp: Timestamp,
    delta: u32,
    length: u32,
    kind: u8,
    msid: u32,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self::new(Compression::Full)
    }
}

impl ChunkWriter {
    /// A writer with the default chunk size of 128 bytes.
    pub fn new(compression: Compression) -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE, compression, last: SmallVec::new() }
    }

    /// The chunk size in use.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Changes the chunk size from the next message on. The peer must have been told with a Set Chunk Size message.
    /// The size is brought into the legal range of 1 to 0xffffff.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.clamp(1, CHUNK_SIZE_MAX);
    }

    /// Appends `message` to `out`. A payload above 0xffffff bytes cannot exist on the wire and is not written
    /// (`false`), neither is a chunk stream id outside 2..=65,599; everything else is (`true`).
    pub fn write(&mut self, out: &mut BytesMut, message: &Message) -> bool {
        let length = u32::try_from(message.payload.len()).unwrap_or(u32::MAX);
        if length > CHUNK_SIZE_MAX || !(2..=CSID_MAX).contains(&message.csid) {
            return false;
        }
        let header = match self.compression {
            Compression::Full => full_header(message, length),
            Compression::Compact => self.compact_header(message, length),
        };
        header.put_message(out, &message.payload, self.chunk_size);
        true
    }

    fn compact_header(&mut self, message: &Message, length: u32) -> Header {
        let full = full_header(message, length);
        let place = self.last.iter_mut().find(|(csid, _)| *csid == message.csid).map(|(_, last)| last);
        let known = place.as_deref().copied();
        let header = known.map_or(full, |last| shorter_header(full, last, message));
        let last = Last {
            fmt: header.fmt,
            timestamp: message.timestamp,
            delta: header.time,
            length,
            kind: message.kind.0,
            msid: message.msid,
        };
        match place {
            Some(place) => *place = last,
            None => self.last.push((message.csid, last)),
        }
        header
    }
}

fn full_header(message: &Message, length: u32) -> Header {
    Header {
        fmt: 0,
        csid: message.csid,
        time: message.timestamp.millis(),
        length,
        kind: message.kind.0,
        msid: message.msid,
    }
}

fn shorter_header(full: Header, last: Last, message: &Message) -> Header {
    let delta = message.timestamp.since(last.timestamp);
    // One known origin server reads an extended delta as an absolute time, so none is written (spec 3.4).
    let Some(delta) = u32::try_from(delta).ok().filter(|&delta| delta < EXTENDED) else { return full };
    if message.msid != last.msid {
        return full;
    }
    let fmt = if (full.length, full.kind) != (last.length, last.kind) {
        1
    } else if last.fmt != 0 && delta == last.delta {
        3
    } else {
        2
    };
    Header { fmt, time: delta, ..full }
}
