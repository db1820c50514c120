//! Segments handed out as a whole, before it is known whether the connections take them.

use std::sync::Arc;

use super::cursor::Reader;
use super::{Cursor, Framing, Segments};

/// A segment that a viewer was given as a whole: [`Cursor::take_whole`].
#[derive(Debug)]
#[must_use = "the viewer counts as served: write the segment, or give it back"]
pub struct Whole {
    number: u64,
    bytes: usize,
    /// What the viewer's reader knows in front of it.
    before: Reader,
}

impl Whole {
    /// Which segment.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes to send: all of the segment.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Cursor {
    /// Passes over the next segment as if it were sent, when the viewer gets just the shared bytes of it and there is
    /// none behind it. That is how it is, most of the time, for everybody who keeps up: a driver can ask for many
    /// viewers first and write to their sockets then, one after the other.
    ///
    /// `None` when there is more to it: use [`Outgoing`](super::Outgoing).
    pub fn take_whole<S: Segments + ?Sized>(&mut self, segments: &S) -> Option<Whole> {
        if self.current.is_some() || segments.segment(self.next.saturating_add(1)).is_some() {
            return None;
        }
        let segment = segments.segment(self.next)?;
        let before = self.reader;
        if matches!(segment.framing, Framing::Chunks { .. }) && !self.reader.follow(segment) {
            return None;
        }
        let whole = Whole { number: self.next, bytes: segment.wire.len(), before };
        self.next += 1;
        self.sent += whole.bytes as u64;
        Some(whole)
    }

    /// The connection took only the first `sent` bytes: the rest comes next, as if nothing had been handed out.
    /// Nothing else may have been done with the cursor in between. Says whether `segments` still has the segment;
    /// otherwise the connection cannot go on.
    pub fn give_back<S: Segments + ?Sized>(&mut self, whole: Whole, segments: &S, sent: usize) -> bool {
        let Some(segment) = segments.segment(whole.number) else { return false };
        let sent = sent.min(whole.bytes);
        self.sent = self.sent.saturating_sub((whole.bytes - sent) as u64);
        if sent == whole.bytes {
            return true;
        }
        self.reader = whole.before;
        if sent == 0 {
            self.next = whole.number;
        } else {
            self.current = Some(Arc::clone(segment));
            self.position = sent;
        }
        true
    }
}
