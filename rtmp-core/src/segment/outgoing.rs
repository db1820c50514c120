//! What one connection has to send, as a buffer for vectored writes.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;

use super::cursor::{Piece, Reader};
use super::{Cursor, Segment, Segments};

/// Slices looked at in one go; more of them do not make a write cheaper.
pub const SLICES_MAX: usize = 64;

/// A connection's private bytes and its part of the shared segments, in the order they have to be sent: private bytes
/// go between segments, never inside one.
///
/// Write [`chunks_vectored`](Buf::chunks_vectored) to the socket, then [`advance`](Buf::advance) by what was taken;
/// the cursor moves along. [`remaining`](Buf::remaining) counts at most about [`SLICES_MAX`] slices ahead and is 0
/// only when nothing is left. Nothing is copied, and for a viewer that keeps up nothing is allocated.
#[derive(Debug)]
pub struct Outgoing<'a, S: ?Sized> {
    private: &'a mut BytesMut,
    cursor: &'a mut Cursor,
    segments: &'a S,
    parts: SmallVec<[Part<'a>; 2]>,
    /// The first part that has not been taken completely, and how much of it has.
    first: usize,
    taken: usize,
    remaining: usize,
}

#[derive(Debug)]
struct Part<'a> {
    bytes: Slice<'a>,
    /// Set on the last part of a segment.
    end: Option<SegmentEnd<'a>>,
}

#[derive(Debug)]
enum Slice<'a> {
    /// All private bytes.
    Private,
    Shared(&'a [u8]),
    Held(Bytes),
    Spliced(SmallVec<[u8; 16]>),
}

/// What is true once a segment is out.
#[derive(Debug)]
struct SegmentEnd<'a> {
    reader: Reader,
    splices: u64,
    /// First part of the segment.
    begins: usize,
    /// The segment, unless the cursor holds it already.
    segment: Option<&'a Arc<Segment>>,
}

impl<'a, S: Segments + ?Sized> Outgoing<'a, S> {
    /// What waits in `private`, and what `cursor` still has to get of `segments`.
    pub fn new(private: &'a mut BytesMut, cursor: &'a mut Cursor, segments: &'a S) -> Self {
        let mut outgoing =
            Self { private, cursor, segments, parts: SmallVec::new(), first: 0, taken: 0, remaining: 0 };
        outgoing.plan();
        outgoing
    }

    /// Lists the parts from the cursor on.
    fn plan(&mut self) {
        self.parts.clear();
        (self.first, self.taken, self.remaining) = (0, 0, 0);
        let mut reader = self.cursor.reader;
        if let Some(current) = self.cursor.current.clone() {
            self.put_segment(&current, None, &mut reader);
            self.skip(self.cursor.position);
            self.cursor.behind_current(&mut reader);
        }
        if !self.private.is_empty() {
            self.put(Slice::Private);
        }
        let mut number = self.cursor.next;
        while self.parts.len() < SLICES_MAX {
            let Some(segment) = self.segments.segment(number) else { break };
            self.put_segment(segment, Some(segment), &mut reader);
            number += 1;
        }
    }

    fn put_segment(&mut self, segment: &Segment, shared: Option<&'a Arc<Segment>>, reader: &mut Reader) {
        let begins = self.parts.len();
        let mut pieces: SmallVec<[Piece; 1]> = SmallVec::new();
        let splices = self.cursor.version(segment, reader, |piece| pieces.push(piece));
        for piece in pieces {
            self.put(match (piece, shared) {
                (Piece::Shared(range), Some(shared)) => {
                    Slice::Shared(shared.wire.get(range).unwrap_or_default())
                }
                // The cursor holds this segment; the ring may have let it go.
                (Piece::Shared(range), None) => Slice::Held(segment.wire.slice(range)),
                (Piece::Spliced(bytes), _) => Slice::Spliced(bytes),
                (Piece::Rewritten(bytes), _) => Slice::Held(bytes),
            });
        }
        if let Some(last) = self.parts.last_mut() {
            last.end = Some(SegmentEnd { reader: *reader, splices, begins, segment: shared });
        }
    }

    fn put(&mut self, bytes: Slice<'a>) {
        let part = Part { bytes, end: None };
        self.remaining += self.bytes_of(&part).len();
        self.parts.push(part);
    }

    fn bytes_of<'b>(&'b self, part: &'b Part<'a>) -> &'b [u8] {
        match &part.bytes {
            Slice::Private => self.private,
            Slice::Shared(bytes) => bytes,
            Slice::Held(bytes) => bytes,
            Slice::Spliced(bytes) => bytes,
        }
    }

    /// Passes over bytes of the current segment that were sent before.
    fn skip(&mut self, mut count: usize) {
        self.remaining = self.remaining.saturating_sub(count);
        while let Some(part) = self.parts.get(self.first) {
            let left = self.bytes_of(part).len() - self.taken;
            if count < left {
                self.taken += count;
                return;
            }
            count -= left;
            self.taken = 0;
            self.first += 1;
        }
    }

    /// Notes in the cursor where a segment was left in the middle.
    fn hold(&mut self) {
        let ahead = self.parts.iter().enumerate().skip(self.first);
        let mut ends = ahead.take_while(|(_, part)| !matches!(part.bytes, Slice::Private));
        let Some((place, begins)) =
            ends.find_map(|(place, part)| part.end.as_ref().map(|end| (place, end.begins)))
        else {
            return;
        };
        if self.first == begins && self.taken == 0 {
            return;
        }
        let before = self.parts.get(begins..self.first).unwrap_or_default();
        let position = before.iter().map(|part| self.bytes_of(part).len()).sum::<usize>() + self.taken;
        self.cursor.position = position;
        let end = self.parts.get_mut(place).and_then(|part| part.end.as_mut());
        if let Some(segment) = end.and_then(|end| end.segment.take()) {
            self.cursor.current = Some(Arc::clone(segment));
            self.cursor.next += 1;
        }
    }
}

impl<S: Segments + ?Sized> Buf for Outgoing<'_, S> {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        let part = self.parts.get(self.first);
        part.and_then(|part| self.bytes_of(part).get(self.taken..)).unwrap_or_default()
    }

    fn chunks_vectored<'b>(&'b self, slices: &mut [IoSlice<'b>]) -> usize {
        let parts = self.parts.get(self.first..).unwrap_or_default();
        let mut taken = self.taken;
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            let bytes = self.bytes_of(part).get(std::mem::take(&mut taken)..).unwrap_or_default();
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    /// # Panics
    ///
    /// When `count` is more than [`remaining`](Buf::remaining), as the trait asks.
    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced by {count} of {} bytes", self.remaining);
        self.remaining -= count;
        self.cursor.sent += count as u64;
        while let Some(part) = self.parts.get(self.first) {
            let left = self.bytes_of(part).len() - self.taken;
            if count < left {
                break;
            }
            count -= left;
            self.taken = 0;
            let is_private = matches!(part.bytes, Slice::Private);
            let end = self.parts.get_mut(self.first).and_then(|part| part.end.take());
            if is_private {
                self.private.clear();
            }
            self.first += 1;
            if let Some(end) = end {
                if end.segment.is_some() {
                    self.cursor.next += 1;
                }
                self.cursor.complete(end.reader, end.splices);
            }
        }
        if let Some(part) = self.parts.get(self.first) {
            if matches!(part.bytes, Slice::Private) {
                self.private.advance(count);
            } else {
                self.taken += count;
                self.hold();
            }
        }
        if self.remaining == 0 {
            self.plan();
        }
    }
}
