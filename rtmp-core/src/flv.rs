//! FLV tags: for HTTP-FLV viewers, recordings, and pulling over HTTP.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{LimitExceeded, LimitKind};
use crate::{Media, MediaKind, Timestamp};

/// Bytes of a file header with the back pointer behind it.
pub const HEADER_BYTES: usize = 13;
/// Bytes of a tag in front of its payload.
pub const TAG_HEADER_BYTES: usize = 11;
/// Bytes of the back pointer behind each tag.
pub const BACK_POINTER_BYTES: usize = 4;

/// Which kinds of media a file announces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// Audio only.
    Audio,
    /// Video only.
    Video,
    /// Both.
    AudioVideo,
}

/// The file header with the first back pointer.
pub const fn header(content: Content) -> [u8; HEADER_BYTES] {
    let flags = match content {
        Content::Audio => 0x04,
        Content::Video => 0x01,
        Content::AudioVideo => 0x05,
    };
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// The tag in front of a payload of `length` bytes.
pub fn tag_header(kind: MediaKind, timestamp: Timestamp, length: u32) -> [u8; TAG_HEADER_BYTES] {
    let [_, l2, l1, l0] = length.to_be_bytes();
    let [t3, t2, t1, t0] = timestamp.millis().to_be_bytes();
    [kind.message_type().0, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0]
}

/// Appends a whole tag with its back pointer. A payload above 0xffffff bytes does not fit a tag and is not written
/// (`false`).
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use rtmp_core::{Media, MediaKind, Timestamp, flv};
///
/// let payload = Bytes::from_static(&[0xaf, 0x01, 0x21]);
/// let media = Media { kind: MediaKind::Audio, timestamp: Timestamp::from_millis(0x0100_0002), payload };
/// let mut file = BytesMut::new();
/// assert!(flv::write_tag(&mut file, &media));
/// assert_eq!(file[..], *b"\x08\0\0\x03\0\0\x02\x01\0\0\0\xaf\x01\x21\0\0\0\x0e");
/// ```
pub fn write_tag(out: &mut BytesMut, media: &Media) -> bool {
    let Some(length) = u32::try_from(media.payload.len()).ok().filter(|&length| length <= 0xff_ffff) else {
        return false;
    };
    out.reserve(media.payload.len().saturating_add(TAG_HEADER_BYTES + BACK_POINTER_BYTES));
    out.put_slice(&tag_header(media.kind, media.timestamp, length));
    out.put_slice(&media.payload);
    out.put_u32(length.saturating_add(TAG_HEADER_BYTES as u32));
    true
}

/// Why FLV bytes cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// The input does not begin with a file header.
    #[error("not an FLV file")]
    Signature,
    /// A tag is longer than allowed.
    #[error("limit exceeded: {0}")]
    Limit(#[from] LimitExceeded),
}

/// Reads a file header and then tags, whatever pieces they come in.
#[derive(Clone, Debug)]
pub struct Reader {
    tag_bytes_max: u32,
    header_seen: bool,
    /// Bytes to pass over: back pointers, a longer file header, tags of unknown kinds.
    skip: usize,
}

impl Reader {
    /// A reader that accepts tags of at most `tag_bytes_max` bytes.
    pub fn new(tag_bytes_max: u32) -> Self {
        Self { tag_bytes_max, header_seen: false, skip: 0 }
    }

    /// The next audio, video or data tag from the front of `input`. `None` means more bytes are needed; an
    /// incomplete tag stays in `input`. Back pointers are not judged.
    ///
    /// # Errors
    ///
    /// [`FlvError`]; the reader must not be used afterwards.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Media>, FlvError> {
        loop {
            let skipped = self.skip.min(input.len());
            input.advance(skipped);
            self.skip = self.skip.saturating_sub(skipped);
            if self.skip > 0 {
                return Ok(None);
            }
            if !self.header_seen {
                if !b"FLV".iter().zip(input.iter()).all(|(a, b)| a == b) {
                    return Err(FlvError::Signature);
                }
                let Some((&[.., o3, o2, o1, o0], _)) = input.split_first_chunk::<9>() else {
                    return Ok(None);
                };
                let offset = u32::from_be_bytes([o3, o2, o1, o0]);
                if offset < 9 {
                    return Err(FlvError::Signature);
                }
                self.header_seen = true;
                self.skip = (offset as usize).saturating_add(BACK_POINTER_BYTES);
                continue;
            }
            let Some((header, body)) = input.split_first_chunk::<TAG_HEADER_BYTES>() else { return Ok(None) };
            let [kind, l2, l1, l0, t2, t1, t0, t3, ..] = *header;
            let length = u32::from_be_bytes([0, l2, l1, l0]);
            // Bits 5 and up are flags; encrypted tags are passed over like unknown kinds.
            let kind = MediaKind::of(crate::chunk::MessageType(kind)).filter(|_| kind != 15);
            let Some(kind) = kind else {
                self.skip = (length as usize).saturating_add(TAG_HEADER_BYTES + BACK_POINTER_BYTES);
                continue;
            };
            if length > self.tag_bytes_max {
                return Err(LimitExceeded::new(
                    LimitKind::MessageBytes(kind.message_type().0),
                    self.tag_bytes_max,
                )
                .into());
            }
            let Some(payload) = body.get(..length as usize) else { return Ok(None) };
            let payload = Bytes::copy_from_slice(payload);
            let timestamp = Timestamp::from_millis(u32::from_be_bytes([t3, t2, t1, t0]));
            input.advance((length as usize).saturating_add(TAG_HEADER_BYTES));
            self.skip = BACK_POINTER_BYTES;
            return Ok(Some(Media { kind, timestamp, payload }));
        }
    }
}
