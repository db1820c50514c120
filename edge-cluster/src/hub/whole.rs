//! Whole segments for viewers that keep up.

use rtmp_core::segment::{Segments, Whole};

use super::stream::Hub;
use super::viewer::{Lane, Place};
use crate::conn::ConnId;

impl Hub {
    /// Hands out the next segment to a viewer for which nothing else waits, see
    /// [`Cursor::take_whole`](rtmp_core::segment::Cursor::take_whole). `None` when there is more to it: use
    /// [`prepare`](Self::prepare) and [`outgoing`](Self::outgoing).
    pub fn take_whole(&mut self, viewer: ConnId) -> Option<Whole> {
        let slot = *self.by_conn.get(&viewer)?;
        let viewer = self.viewers.get(slot as usize)?.as_ref()?;
        // The rare cases belong to `prepare`.
        let is_usual = matches!(viewer.place, Place::Shared) && !viewer.is_private(&self.settings);
        let policy = self.policy(viewer.kind);
        let viewer = self.viewers.get_mut(slot as usize)?.as_mut()?;
        if !is_usual || viewer.lane != Lane::Chunks || viewer.cursor.clock().policy() != policy {
            return None;
        }
        viewer.cursor.take_whole(&self.store.ring)
    }

    /// The bytes of a whole segment.
    pub fn whole_bytes(&self, whole: &Whole) -> Option<&[u8]> {
        self.store.ring.segment(whole.number()).map(|segment| &segment.wire()[..])
    }

    /// Only `sent` bytes of the segment that was taken last went out. Says whether the viewer can go on.
    pub fn give_back(&mut self, viewer: ConnId, whole: Whole, sent: usize) -> bool {
        let slot = self.by_conn.get(&viewer).copied();
        let viewer = slot.and_then(|slot| self.viewers.get_mut(slot as usize)?.as_mut());
        viewer.is_some_and(|viewer| viewer.cursor.give_back(whole, &self.store.ring, sent))
    }
}
