//! The parts enhanced audio and video headers share: FourCC, ModEx, multitrack (spec 8.3).

use std::fmt;

use super::{TruncatedMedia, u24};

/// The name of a codec in four letters.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// H.264.
    pub const AVC: Self = Self(*b"avc1");
    /// H.265.
    pub const HEVC: Self = Self(*b"hvc1");
    /// H.266.
    pub const VVC: Self = Self(*b"vvc1");
    /// AV1.
    pub const AV1: Self = Self(*b"av01");
    /// VP9.
    pub const VP9: Self = Self(*b"vp09");
    /// VP8.
    pub const VP8: Self = Self(*b"vp08");
    /// Opus.
    pub const OPUS: Self = Self(*b"Opus");
    /// AAC.
    pub const AAC: Self = Self(*b"mp4a");

    /// Whether coded frames begin with a composition time.
    pub(super) fn has_composition_time(self) -> bool {
        self == Self::AVC || self == Self::HEVC || self == Self::VVC
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

/// How a message carries several tracks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MultitrackKind {
    /// One track that is not the default one.
    One,
    /// Several tracks of one codec.
    Many,
    /// Several tracks, each with its own codec.
    ManyCodecs,
    /// A kind the specification does not know.
    Other(u8),
}

/// One track of a multitrack message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Track<'a> {
    /// The codec.
    pub codec: FourCc,
    /// The track; 0 is the default one.
    pub id: u8,
    /// Its part of the payload.
    pub body: &'a [u8],
}

/// Walks through the tracks of a multitrack message. A cut track ends the walk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tracks<'a> {
    kind: MultitrackKind,
    codec: Option<FourCc>,
    rest: &'a [u8],
}

impl<'a> Tracks<'a> {
    /// How the tracks are carried.
    pub fn kind(&self) -> MultitrackKind {
        self.kind
    }

    /// Reads what follows packet type *Multitrack*: the kind, the real packet type and the common codec.
    pub(super) fn parse(cursor: &mut Cursor<'a>) -> Result<(u8, Self), TruncatedMedia> {
        let [head] = cursor.array()?;
        let kind = match head >> 4 {
            0 => MultitrackKind::One,
            1 => MultitrackKind::Many,
            2 => MultitrackKind::ManyCodecs,
            other => MultitrackKind::Other(other),
        };
        let codec = match kind {
            MultitrackKind::ManyCodecs => None,
            _ => Some(FourCc(cursor.array()?)),
        };
        Ok((head & 0x0f, Self { kind, codec, rest: cursor.rest }))
    }
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Track<'a>;

    fn next(&mut self) -> Option<Track<'a>> {
        let mut cursor = Cursor::new(std::mem::take(&mut self.rest));
        let codec = match self.codec {
            Some(codec) => codec,
            None => FourCc(cursor.array().ok()?),
        };
        let [id] = cursor.array().ok()?;
        let body = match self.kind {
            MultitrackKind::Many | MultitrackKind::ManyCodecs => {
                let size = u24(cursor.array().ok()?) as usize;
                let (body, rest) = cursor.rest.split_at_checked(size)?;
                self.rest = rest;
                body
            }
            _ => cursor.rest,
        };
        Some(Track { codec, id, body })
    }
}

/// Reads the ModEx prefixes in front of a packet type; returns the real type and the nanosecond offset, if any.
pub(super) fn read_mod_ex(
    cursor: &mut Cursor<'_>,
    mut packet: u8,
) -> Result<(u8, Option<u32>), TruncatedMedia> {
    const MOD_EX: u8 = 7;
    const NANO_OFFSET: u8 = 0;
    let mut nanos = None;
    while packet == MOD_EX {
        let [size] = cursor.array()?;
        let size = match size {
            0xff => usize::from(u16::from_be_bytes(cursor.array()?)) + 1,
            size => usize::from(size) + 1,
        };
        let data = cursor.take(size)?;
        let [next] = cursor.array()?;
        packet = next & 0x0f;
        if next >> 4 == NANO_OFFSET
            && let Some((offset, _)) = data.split_first_chunk::<3>()
        {
            nanos = Some(u24(*offset));
        }
    }
    Ok((packet, nanos))
}

/// Reading with the length of the whole payload at hand for the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, length: payload.len() }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], TruncatedMedia> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(TruncatedMedia(self.length))?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], TruncatedMedia> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TruncatedMedia(self.length))?;
        self.rest = rest;
        Ok(taken)
    }
}
