//! Chunk headers as values: one parser and one emitter for all forms.

use bytes::{BufMut, BytesMut};

/// The u24 time field that announces a 4-byte extended timestamp.
pub(crate) const EXTENDED: u32 = 0xff_ffff;

/// A basic header: format and chunk stream id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Basic {
    pub(crate) fmt: u8,
    pub(crate) csid: u32,
    pub(crate) bytes: usize,
}

impl Basic {
    /// Reads the 1, 2 or 3-byte form; `None` means more bytes are needed.
    pub(crate) fn parse(input: &[u8]) -> Option<Self> {
        let (&first, rest) = input.split_first()?;
        let fmt = first >> 6;
        Some(match first & 0x3f {
            0 => Self { fmt, csid: 64 + u32::from(*rest.first()?), bytes: 2 },
            1 => {
                // The only place besides the message stream id where the low byte comes first.
                let (&[low, high], _) = rest.split_first_chunk()?;
                Self { fmt, csid: 64 + u32::from(u16::from_le_bytes([low, high])), bytes: 3 }
            }
            csid => Self { fmt, csid: u32::from(csid), bytes: 1 },
        })
    }
}

/// Writes a basic header in its shortest form.
pub(crate) fn put_basic(out: &mut BytesMut, fmt: u8, csid: u32) {
    let fmt = fmt << 6;
    match csid {
        0..=63 => out.put_u8(fmt | (csid & 0x3f) as u8),
        64..=319 => out.put_slice(&[fmt, csid.saturating_sub(64) as u8]),
        _ => {
            out.put_u8(fmt | 1);
            out.put_u16_le(csid.saturating_sub(64) as u16);
        }
    }
}

/// The fields of a message header of format 0 to 2, before any extended timestamp.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields {
    /// Time field: absolute (format 0) or delta, [`EXTENDED`] when the value follows.
    pub(crate) time: u32,
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) msid: u32,
}

impl Fields {
    /// Reads the header of format 0 to 2; fields the format does not carry come from `previous`.
    pub(crate) fn parse(fmt: u8, input: &[u8], previous: Self) -> Option<(Self, usize)> {
        let u24 = |b: &[u8; 3]| u32::from_be_bytes([0, b[0], b[1], b[2]]);
        let (time, rest) = input.split_first_chunk::<3>()?;
        let mut fields = Self { time: u24(time), ..previous };
        if fmt == 2 {
            return Some((fields, 3));
        }
        let (length, rest) = rest.split_first_chunk::<3>()?;
        let (&kind, rest) = rest.split_first()?;
        fields.length = u24(length);
        fields.kind = kind;
        if fmt == 1 {
            return Some((fields, 7));
        }
        let (msid, _) = rest.split_first_chunk::<4>()?;
        fields.msid = u32::from_le_bytes(*msid);
        Some((fields, 11))
    }
}

/// A complete header of the first chunk of a message, as a writer needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) fmt: u8,
    pub(crate) csid: u32,
    /// Absolute time (format 0) or delta (1, 2); for format 3 the value that stood in the last header.
    pub(crate) time: u32,
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) msid: u32,
}

impl Header {
    /// Bytes of the basic header of this chunk stream.
    pub(crate) fn basic_bytes(csid: u32) -> usize {
        match csid {
            0..=63 => 1,
            64..=319 => 2,
            _ => 3,
        }
    }

    /// Whether the time does not fit the u24 field.
    pub(crate) fn is_extended(&self) -> bool {
        self.time >= EXTENDED
    }

    /// Writes the header, with the extended timestamp when it needs one.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        put_basic(out, self.fmt, self.csid);
        if self.fmt < 3 {
            out.put_uint(u64::from(self.time.min(EXTENDED)), 3);
        }
        if self.fmt < 2 {
            out.put_uint(u64::from(self.length), 3);
            out.put_u8(self.kind);
        }
        if self.fmt == 0 {
            out.put_u32_le(self.msid);
        }
        if self.is_extended() {
            out.put_u32(self.time);
        }
    }

    /// Writes the whole message: this header, then the payload cut into chunks. The extended timestamp is repeated
    /// on every continuation chunk, which all measured readers need (spec 3.4).
    pub(crate) fn put_message(&self, out: &mut BytesMut, payload: &[u8], chunk_size: u32) {
        let size = (chunk_size as usize).max(1);
        let continuations = payload.len().div_ceil(size).saturating_sub(1);
        let headers = continuations.saturating_mul(Self::basic_bytes(self.csid).saturating_add(4));
        out.reserve(payload.len().saturating_add(18).saturating_add(headers));
        self.put(out);
        let mut chunks = payload.chunks(size);
        if let Some(first) = chunks.next() {
            out.put_slice(first);
        }
        for chunk in chunks {
            put_basic(out, 3, self.csid);
            if self.is_extended() {
                out.put_u32(self.time);
            }
            out.put_slice(chunk);
        }
    }
}
