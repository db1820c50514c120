//! Frames, their CRC, and the primitive values inside their bodies (spec 1.2, 1.3, 1.7).

use bytes::{BufMut, Bytes, BytesMut};

use crate::message::{Fault, Text};

/// Bytes of a frame around its body: tag, id, counter, length and CRC.
pub const FRAME_OVERHEAD_BYTES: usize = HEADER_BYTES + CRC_BYTES;

/// The longest body shipped programs can receive: their buffer holds frames of 20,000 bytes (spec 1.2).
pub const BODY_BYTES_MAX: usize = 20_000 - FRAME_OVERHEAD_BYTES;

const HEADER_BYTES: usize = 7;
const CRC_BYTES: usize = 2;

/// A datagram that passed every check of a protocol frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Which message this is.
    pub id: u16,
    /// The running counter of a connected message; meaningless in a connectionless one.
    pub counter: u8,
    /// The message body.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a datagram as a protocol frame.
    ///
    /// `None` means "not a frame", which on the wire means "audio": there is no other discriminator (spec 1.1).
    /// Tag and length are checked first, so that audio datagrams do not cost a CRC.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (rest, crc) = datagram.split_last_chunk::<CRC_BYTES>()?;
        let (header, body) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let [0, 0, id_lo, id_hi, counter, len_lo, len_hi] = *header else { return None };
        let len = usize::from(u16::from_le_bytes([len_lo, len_hi]));
        (body.len() == len && crc16(rest) == u16::from_le_bytes(*crc)).then_some(Self {
            id: u16::from_le_bytes([id_lo, id_hi]),
            counter,
            body,
        })
    }

    /// Whether the message needs no connection and is never acknowledged (spec 1.4).
    #[must_use]
    pub const fn is_connectionless(&self) -> bool {
        matches!(self.id, 1000..=1999)
    }
}

/// CRC-16/GENIBUS, the checksum of every frame (spec 1.3).
///
/// ```
/// assert_eq!(jam_proto::wire::crc16(b"123456789"), 0xD64E);
/// ```
#[must_use]
#[expect(clippy::indexing_slicing, reason = "a byte cannot leave a table of 256 entries")]
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for &byte in bytes {
        let [high, low] = crc.to_be_bytes();
        crc = (u16::from(low) << 8) ^ CRC_TABLE[usize::from(high ^ byte)];
    }
    !crc
}

/// What each value of the register's upper byte contributes to the next register.
static CRC_TABLE: [u16; 256] = crc_table();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, which would refuse to build it"
)]
const fn crc_table() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut index = 0_u16;
    while index < 256 {
        let mut crc = index << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
}

/// Builds frames and bodies in a reused buffer.
///
/// Results are slices of larger allocations that are reclaimed once all their users are gone, so that a small frame
/// does not cost an allocation of its own.
#[derive(Debug, Default)]
pub struct FrameWriter {
    buffer: BytesMut,
}

impl FrameWriter {
    /// Bytes requested from the allocator at once.
    const RESERVE_BYTES: usize = 4096;

    /// A writer without a buffer; the first frame makes one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame around a finished body. What exceeds [`BODY_BYTES_MAX`] is cut: no receiver could read it.
    pub fn frame(&mut self, id: u16, counter: u8, body: &[u8]) -> Bytes {
        self.frame_with(id, counter, |writer| writer.put_bytes(body))
    }

    /// A frame whose body is written by a function.
    pub fn frame_with(&mut self, id: u16, counter: u8, body: impl FnOnce(&mut Writer<'_>)) -> Bytes {
        self.reserve(64);
        self.buffer.put_u16_le(0);
        self.buffer.put_u16_le(id);
        self.buffer.put_u8(counter);
        self.buffer.put_u16_le(0);
        body(&mut Writer::new(&mut self.buffer));
        let len = u16::try_from(self.buffer.len().saturating_sub(HEADER_BYTES)).unwrap_or(u16::MAX);
        if let Some(field) = self.buffer.get_mut(5..HEADER_BYTES) {
            field.copy_from_slice(&len.to_le_bytes());
        }
        let crc = crc16(&self.buffer);
        self.buffer.put_u16_le(crc);
        self.buffer.split().freeze()
    }

    /// A body alone, for messages that are framed later (and perhaps split).
    pub fn body_with(&mut self, body: impl FnOnce(&mut Writer<'_>)) -> Bytes {
        self.reserve(64);
        body(&mut Writer::new(&mut self.buffer));
        self.buffer.split().freeze()
    }

    fn reserve(&mut self, bytes: usize) {
        if self.buffer.capacity() < bytes {
            self.buffer.reserve(Self::RESERVE_BYTES);
        }
    }
}

/// Appends primitive values to a body (spec 1.7), never beyond [`BODY_BYTES_MAX`].
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut BytesMut,
    start: usize,
}

impl<'a> Writer<'a> {
    fn new(buffer: &'a mut BytesMut) -> Self {
        let start = buffer.len();
        Self { buffer, start }
    }

    /// Body bytes that still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        BODY_BYTES_MAX.saturating_sub(self.buffer.len().saturating_sub(self.start))
    }

    /// Appends one byte.
    pub fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    /// Appends a 16-bit number, little-endian.
    pub fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Appends a 32-bit number, little-endian.
    pub fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_le_bytes());
    }

    /// Appends bytes as they are, as far as they fit.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.room());
        self.buffer.extend_from_slice(bytes.get(..fits).unwrap_or_default());
    }

    /// Appends a string: byte count in 16 bits, then UTF-8.
    pub fn put_text<const UNITS: usize>(&mut self, text: &Text<UNITS>) {
        let bytes = text.as_bytes();
        self.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        self.put_bytes(bytes);
    }

    /// Appends a short string: byte count in 8 bits, then UTF-8 (reduced server list only).
    pub fn put_short_text<const UNITS: usize>(&mut self, text: &Text<UNITS>) {
        let bytes = text.as_bytes();
        self.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        self.put_bytes(bytes);
    }
}

/// Takes primitive values from the front of a body (spec 1.7).
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of a body.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// Whether everything has been taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes an array of bytes.
    ///
    /// # Errors
    /// [`Fault::Short`] if fewer bytes are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Fault::Short`] if none is left.
    pub fn u8(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Takes a 16-bit number.
    ///
    /// # Errors
    /// [`Fault::Short`] if fewer than two bytes are left.
    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes a 32-bit number.
    ///
    /// # Errors
    /// [`Fault::Short`] if fewer than four bytes are left.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`Fault::Short`] if fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a string with its 16-bit byte count.
    ///
    /// # Errors
    /// [`Fault::Short`] if the count exceeds what is left, [`Fault::TextTooLong`] beyond `UNITS` UTF-16 units.
    pub fn text<const UNITS: usize>(&mut self) -> Result<Text<UNITS>, Fault> {
        let count = self.u16()?;
        Text::decode(self.bytes(usize::from(count))?)
    }

    /// Takes a short string with its 8-bit byte count.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn short_text<const UNITS: usize>(&mut self) -> Result<Text<UNITS>, Fault> {
        let count = self.u8()?;
        Text::decode(self.bytes(usize::from(count))?)
    }

    /// Checks that the body is used up.
    ///
    /// # Errors
    /// [`Fault::Trailing`] if bytes are left.
    pub const fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of spec 1.3, bit by bit.
    fn crc16_bitwise(bytes: &[u8]) -> u16 {
        let mut crc = 0xFFFF_u16;
        for &byte in bytes {
            crc ^= u16::from(byte) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            }
        }
        crc ^ 0xFFFF
    }

    #[test]
    fn the_table_computes_what_the_definition_says() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for len in [0, 1, 2, 7, 255, 1000] {
            assert_eq!(crc16(&bytes[..len]), crc16_bitwise(&bytes[..len]), "length {len}");
        }
    }

    #[test]
    fn digital_silence_is_not_a_frame() {
        for len in 0..600 {
            assert_eq!(Frame::parse(&vec![0; len]), None, "length {len}");
        }
    }

    #[test]
    fn a_frame_reads_back() {
        let datagram = FrameWriter::new().frame(1012, 7, &[1, 2, 3]);
        assert_eq!(Frame::parse(&datagram), Some(Frame { id: 1012, counter: 7, body: &[1, 2, 3] }));
    }

    #[test]
    fn a_body_is_cut_at_what_receivers_can_read() {
        let datagram = FrameWriter::new().frame(24, 0, &vec![0xAA; 30_000]);
        assert_eq!(datagram.len(), 20_000);
        assert_eq!(Frame::parse(&datagram).map(|frame| frame.body.len()), Some(BODY_BYTES_MAX));
    }

    #[test]
    fn small_frames_share_an_allocation() {
        let mut writer = FrameWriter::new();
        let first = writer.frame(1012, 0, &[]);
        let second = writer.frame(1012, 0, &[]);
        assert_eq!(first.as_ptr().wrapping_add(first.len()), second.as_ptr());
    }
}
