//! Whole segments for viewers that keep up: what makes a burst of writes cheap.

use rtmp_core::segment::Whole;

use super::streams::StreamId;
use super::{Conn, Edge};
use crate::conn::ConnId;

/// A segment that a viewer was given as a whole: [`Edge::take_whole`].
#[derive(Debug)]
#[must_use = "it counts as sent: write it, or give it back"]
pub struct WholeSegment {
    stream: StreamId,
    whole: Whole,
}

impl WholeSegment {
    /// Bytes to send.
    pub fn len(&self) -> usize {
        self.whole.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }
}

impl Edge {
    /// What waits on this connection, when that is one shared segment and nothing else, as it is for each viewer that
    /// keeps up. It counts as sent: write [`whole_bytes`](Self::whole_bytes), and if the socket does not take all of
    /// them, [`give_back`](Self::give_back) the segment before anything else is given to the machine. `None` when there
    /// is more to it: use [`outgoing`](Self::outgoing).
    ///
    /// The code that decides and the system's code that sends push each other out of the caches. A driver that asks for
    /// a group of viewers first and writes to all of them then is faster than one that goes from viewer to viewer.
    pub fn take_whole(&mut self, conn: ConnId) -> Option<WholeSegment> {
        let follower = self.conns.follower(conn)?;
        let stream = self.streams.get_mut(follower.stream)?;
        let whole = stream.hub.take_whole(conn)?;
        let bytes = whole.len() as u64;
        follower.sent += bytes;
        stream.meter.sent += bytes;
        self.totals.sent_bytes += bytes;
        Some(WholeSegment { stream: follower.stream, whole })
    }

    /// The bytes of a segment that was taken; none when it is gone.
    pub fn whole_bytes(&self, segment: &WholeSegment) -> &[u8] {
        let stream = self.streams.get(segment.stream);
        stream.and_then(|stream| stream.hub.whole_bytes(&segment.whole)).unwrap_or_default()
    }

    /// The socket took only `sent` bytes of the segment: the rest is in [`outgoing`](Self::outgoing) again.
    pub fn give_back(&mut self, conn: ConnId, segment: WholeSegment, sent: usize) {
        let WholeSegment { stream, whole } = segment;
        let unsent = whole.len().saturating_sub(sent) as u64;
        let Some(stream) = self.streams.get_mut(stream) else { return };
        let Some(Conn::Session(session)) = self.conns.get_mut(conn) else { return };
        if stream.hub.give_back(conn, whole, sent) {
            session.meter.sent = session.meter.sent.saturating_sub(unsent);
            stream.meter.sent = stream.meter.sent.saturating_sub(unsent);
            self.totals.sent_bytes = self.totals.sent_bytes.saturating_sub(unsent);
        }
    }
}
