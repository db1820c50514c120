//! Viewers come, go, and say what they want.

use rtmp_core::MediaKind;

use super::flv::FlvRing;
use super::stream::Hub;
use super::viewer::{Join, JoinKind, Lane, Place, Viewer};
use crate::conn::ConnId;

/// So many places are kept, whoever has left.
const PLACES_MIN: usize = 8;

impl Hub {
    /// Somebody wants the stream. It begins at the GOP cache, or with the next frames. An RTMP connection must have
    /// been told [`chunk_size`](Self::chunk_size) before, otherwise say so with [`tell_chunk_size`].
    ///
    /// [`tell_chunk_size`]: Self::tell_chunk_size
    pub fn join(&mut self, viewer: ConnId, join: Join) {
        self.leave(viewer);
        let policy = self.policy(join.kind);
        let slot = self.free.pop().unwrap_or(self.viewers.len() as u32);
        let mut new = Viewer::new(viewer, join, policy);
        if let Some(at) = self.join_point(join.kind) {
            new.place = Place::Begin { at, known: None };
            new.exempt_before = self.store.end();
            if join.kind == JoinKind::Upstream {
                let mut numbers = (at..self.store.end()).rev();
                let has = |number: &u64| self.store.segment(*number).is_some_and(|s| s.has_metadata());
                new.private_until = numbers.find(has).map_or(0, |number| number + 1);
            }
        }
        self.keeps_key |= join.kind == JoinKind::Upstream;
        match self.viewers.get_mut(slot as usize) {
            Some(place) => *place = Some(new),
            None => self.viewers.push(Some(new)),
        }
        self.by_conn.insert(viewer, slot);
        self.stats.viewers += 1;
        if join.lane == Lane::Flv {
            self.stats.flv_viewers += 1;
            let policy = self.policy(JoinKind::Viewer);
            self.flv.get_or_insert_with(|| FlvRing::of(&self.store.ring, policy));
        }
        self.ready.reserve(self.stats.viewers);
        if self.position(slot).is_some() {
            self.list(slot);
        }
    }

    /// Whether somebody has joined and not left.
    pub fn is_viewer(&self, viewer: ConnId) -> bool {
        self.by_conn.contains_key(&viewer)
    }

    /// Somebody does not want the stream any more.
    pub fn leave(&mut self, viewer: ConnId) {
        let Some(slot) = self.by_conn.remove(&viewer) else { return };
        let Some(gone) = self.viewers.get_mut(slot as usize).and_then(Option::take) else { return };
        self.free.push(slot);
        self.stats.viewers -= 1;
        if gone.lane == Lane::Flv {
            self.stats.flv_viewers -= 1;
            if self.stats.flv_viewers == 0 {
                self.flv = None;
            }
        }
        if self.viewers.len() >= PLACES_MIN && self.stats.viewers <= self.viewers.len() / 4 {
            self.close_gaps();
        }
        // Otherwise the next segment does it: many may leave at the same time.
        if self.stats.viewers == 0 {
            self.trim(self.store.end());
        }
    }

    /// Gives back the places of a crowd that has left: they take memory, and each segment looks at all of them. Three of
    /// four have left since the last time, so it costs each of them little.
    fn close_gaps(&mut self) {
        let mut count = 0;
        let number = |viewer: &Option<Viewer>| {
            let number = viewer.is_some().then_some(count);
            count += u32::from(number.is_some());
            number
        };
        let numbers: Vec<Option<u32>> = self.viewers.iter().map(number).collect();
        let renumber = |slot: &mut u32| match numbers.get(*slot as usize) {
            Some(Some(number)) => {
                *slot = *number;
                true
            }
            _ => false,
        };
        self.viewers.retain(Option::is_some);
        self.free = Vec::new();
        self.by_conn.retain(|_, slot| renumber(slot));
        // Of those who have left, some are still listed.
        self.ready.retain_mut(renumber);
        self.intervals.retain_mut(|(_, slot)| renumber(slot));
        self.events.retain_mut(|(slot, _)| renumber(slot));
        let room = 2 * self.viewers.len();
        self.viewers.shrink_to(room);
        self.by_conn.shrink_to(room);
        self.ready.shrink_to(room);
        self.intervals.shrink_to(room);
        self.events.shrink_to(room);
    }

    /// No upstream server that left will come back: nothing is kept for one any more.
    pub fn forget_upstreams(&mut self) {
        self.keeps_key = self.viewers.iter().flatten().any(|viewer| viewer.kind == JoinKind::Upstream);
        self.trim(self.slowest());
    }

    /// The connection of a viewer was told another chunk size than [`chunk_size`](Self::chunk_size), so it cannot
    /// share the bytes of the others. Say it right after [`join`](Self::join).
    pub fn tell_chunk_size(&mut self, viewer: ConnId, chunk_size: u32) {
        let expected = self.chunk_size;
        if let Some(viewer) = self.viewer(viewer) {
            viewer.has_other_chunks = viewer.lane == Lane::Chunks && chunk_size != expected;
        }
    }

    /// Sends a viewer nothing until [`resume`](Self::resume), except the rest of what was begun. What comes meanwhile
    /// is not kept for it (spec 9.7).
    pub fn pause(&mut self, viewer: ConnId) {
        let end = self.store.end();
        let Some(slot) = self.by_conn.get(&viewer).copied() else { return };
        let known = self.known(slot);
        let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let (at, entry) = match viewer.place {
            Place::Paused { .. } => return,
            Place::Private { at, entry } => (at, entry),
            _ => (viewer.position().unwrap_or(end), 0),
        };
        viewer.park(Place::Paused { at, entry, known });
    }

    /// Goes on: where the viewer paused, if that is still there and no later key frame is, else at the newest key
    /// frame or the next one. With `time_jitter full` its times do not show the pause.
    pub fn resume(&mut self, viewer: ConnId) {
        let Some(slot) = self.by_conn.get(&viewer).copied() else { return };
        let (front, end) = (self.store.front().max(self.store.allowed()), self.store.end());
        let key = self.newest_key.filter(|&key| key >= front);
        let has_pictures = self.has_pictures;
        let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let Place::Paused { at, entry, known } = &mut viewer.place else { return };
        let (paused_at, entry, known) = (*at, *entry, known.take());
        viewer.closes_gap = true;
        let at = match key.filter(|&key| key >= paused_at) {
            Some(key) => key,
            None if paused_at >= front => paused_at,
            None => {
                viewer.waits_for_key = has_pictures;
                end
            }
        };
        viewer.place = match entry {
            1.. if at == paused_at => Place::Private { at, entry },
            _ => Place::Begin { at, known },
        };
        if at < end {
            self.list(slot);
        }
    }

    /// Whether a viewer wants audio or video, as it says with `receiveAudio` and `receiveVideo`. Video begins again
    /// with a key frame.
    pub fn receive(&mut self, viewer: ConnId, kind: MediaKind, wanted: bool) {
        let (has_pictures, epoch_start) = (self.has_pictures, self.epoch_start);
        let Some(viewer) = self.viewer(viewer) else { return };
        let has_pictures = has_pictures || viewer.position().is_some_and(|at| at < epoch_start);
        match kind {
            MediaKind::Audio => viewer.wants_audio = wanted,
            MediaKind::Video => {
                viewer.waits_for_key |= wanted && !viewer.wants_video && has_pictures;
                viewer.wants_video = wanted;
            }
            MediaKind::Data => {}
        }
        if !viewer.wants_audio || !viewer.wants_video {
            viewer.leave_shared();
        }
    }

    /// Bytes sent to a viewer so far, those of its own connection included since it joined.
    pub fn sent_bytes(&self, viewer: ConnId) -> u64 {
        let viewer = self.by_conn.get(&viewer).and_then(|&slot| self.viewers.get(slot as usize)?.as_ref());
        viewer.map_or(0, |viewer| viewer.cursor.sent_bytes())
    }
}
