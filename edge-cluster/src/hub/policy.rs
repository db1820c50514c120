//! Where viewers begin, and where they go on when they are too slow (spec 9.3 and 9.5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp_core::media::Headers;
use rtmp_core::segment::TimePolicy;

use super::stream::{Hub, HubEvent, STALL_TICK};
use super::viewer::{JoinKind, Lane, Place, Viewer};
use crate::conn::ConnId;

/// A viewer whose socket takes nothing for so long is given up (spec 9.7).
const STALL_MAX: Duration = Duration::from_secs(30);

/// What a hub lets go when memory is short.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shed {
    /// What is older than the newest key frame: viewers behind it go on there.
    Queues,
    /// The GOP cache, too, and all queues: viewers that lag behind go on at the next key frame, and who comes before
    /// that begins as without a GOP cache.
    Everything,
}

impl Hub {
    pub(super) fn policy(&self, kind: JoinKind) -> TimePolicy {
        match kind {
            JoinKind::Viewer => self.settings.time_policy(self.atc || self.settings.play.atc),
            JoinKind::Upstream => TimePolicy::Shifted(0),
        }
    }

    /// Where somebody begins who comes now; `None` waits for the next frames.
    pub(super) fn join_point(&self, kind: JoinKind) -> Option<u64> {
        match kind {
            JoinKind::Viewer => self.gop.start().filter(|_| self.settings.play.gop_cache),
            JoinKind::Upstream => self.current_gop(),
        }
    }

    /// Where an upstream server begins: the newest key frame, unless that is farther back than a queue may be. Some
    /// streams never have another one.
    fn current_gop(&self) -> Option<u64> {
        self.newest_key.filter(|&key| key >= self.store.allowed())
    }

    /// Pictures of another source are no use.
    pub(super) fn forget_pictures(&mut self) {
        self.gop.clear();
        self.newest_key = None;
        self.has_pictures = false;
    }

    /// Viewers that were told another size cannot read the segments to come.
    pub(super) fn set_chunk_size(&mut self, chunk_size: u32) {
        if chunk_size != std::mem::replace(&mut self.chunk_size, chunk_size) {
            for viewer in self.viewers.iter_mut().flatten().filter(|viewer| viewer.lane == Lane::Chunks) {
                viewer.has_other_chunks = true;
            }
        }
    }

    /// Drops what a viewer at segment `at` has in front of segment `from`, because its queue is too long or memory is
    /// short; its new position is returned.
    pub(super) fn resync(&mut self, slot: u32, at: u64, from: u64) -> u64 {
        let end = self.store.end();
        let allowed = self.store.allowed();
        let known = self.known(slot);
        let key = self.newest_key.filter(|&key| key > at && key >= allowed);
        let has_pictures = self.has_pictures;
        let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { return end };
        let waits_for_key = key.is_none() && has_pictures && viewer.wants_video;
        // A later source without pictures yet will begin with a key frame. Those of the last one are over.
        let to = match key {
            Some(key) => key,
            None if waits_for_key || !self.is_active => end,
            None => from.max(self.epoch_start),
        };
        viewer.park(Place::Begin { at: to, known });
        viewer.waits_for_key = waits_for_key;
        let dropped = self.store.messages_between(at, to);
        self.note_resync(slot, dropped);
        if to < end {
            self.list(slot);
        }
        to
    }

    /// The segments behind the newest one were left out: everybody goes on at the next one.
    pub(super) fn skip_all(&mut self, waits_for_key: bool) {
        let end = self.store.end();
        for slot in 0..self.viewers.len() as u32 {
            let Some(at) = self.position(slot) else { continue };
            let known = self.known(slot);
            let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { continue };
            viewer.park(Place::Begin { at: end, known });
            viewer.waits_for_key |= waits_for_key;
            let dropped = self.store.messages_between(at, end);
            self.note_resync(slot, dropped);
        }
    }

    fn note_resync(&mut self, slot: u32, dropped: u64) {
        self.stats.resyncs += 1;
        self.stats.dropped += dropped;
        let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        match &mut viewer.dropped {
            Some(untold) => *untold += dropped,
            untold @ None => {
                *untold = Some(dropped);
                let event = HubEvent::Resynced { viewer: viewer.conn, dropped };
                self.events.push_back((slot, event));
            }
        }
    }

    /// The headers a viewer knows when it has got everything in front of its position; `None` when it has not begun.
    pub(super) fn known(&self, slot: u32) -> Option<Arc<Headers>> {
        let viewer = self.viewers.get(slot as usize)?.as_ref()?;
        match &viewer.place {
            Place::Waiting => None,
            Place::Begin { known, .. } | Place::Paused { known, .. } => known.clone(),
            Place::Shared => Some(Arc::clone(self.store.headers_at(viewer.cursor.next()))),
            // Some of its headers may be told twice.
            Place::Private { at, .. } => Some(Arc::clone(self.store.headers_at(*at))),
        }
    }

    pub(super) fn look_for_stalls(&mut self, now: Instant) {
        let end = self.store.end();
        for (slot, viewer) in self.viewers.iter_mut().enumerate() {
            let Some(viewer) = viewer else { continue };
            let lags = viewer.position().is_some_and(|at| at < end) || viewer.cursor.is_mid_segment();
            let sent = viewer.cursor.sent_bytes();
            if !lags || sent != viewer.progress.0 {
                viewer.progress = (sent, lags.then_some(now));
            }
            let since = *viewer.progress.1.get_or_insert(now);
            if lags {
                self.stall_tick = Some(now + STALL_TICK);
            }
            if lags && now.saturating_duration_since(since) >= STALL_MAX && !viewer.is_given_up {
                viewer.is_given_up = true;
                self.events.push_back((slot as u32, HubEvent::TooSlow { viewer: viewer.conn }));
            }
        }
    }

    /// Lets media go because memory is short; viewers that keep up notice nothing. Returns the bytes let go.
    pub fn shed(&mut self, what: Shed) -> usize {
        let before = self.memory_bytes();
        let kept_from = match what {
            Shed::Queues => self.newest_key().unwrap_or_else(|| self.store.front()),
            Shed::Everything => {
                self.gop.clear();
                self.newest_key = None;
                self.store.end().saturating_sub(1)
            }
        };
        for slot in 0..self.viewers.len() as u32 {
            if let Some(at) = self.position(slot).filter(|at| *at < kept_from) {
                self.resync(slot, at, kept_from);
            }
        }
        self.trim(self.slowest());
        before.saturating_sub(self.memory_bytes())
    }

    /// Lets go what nobody needs: neither a viewer at `slowest`, nor one that comes now.
    pub(super) fn trim(&mut self, slowest: u64) {
        let mut from = slowest.min(self.store.end());
        if self.settings.play.gop_cache {
            from = from.min(self.gop.start().unwrap_or(from));
        }
        if self.keeps_key {
            from = from.min(self.current_gop().unwrap_or(from));
        }
        self.store.trim(from);
        if let Some(flv) = &mut self.flv {
            flv.trim(self.store.front());
        }
    }

    /// Position of the slowest viewer.
    pub(super) fn slowest(&self) -> u64 {
        let positions = self.viewers.iter().flatten().filter_map(Viewer::position);
        positions.min().unwrap_or_else(|| self.store.end())
    }

    pub(super) fn position(&self, slot: u32) -> Option<u64> {
        self.viewers.get(slot as usize)?.as_ref()?.position()
    }

    pub(super) fn viewer(&mut self, conn: ConnId) -> Option<&mut Viewer> {
        let slot = *self.by_conn.get(&conn)?;
        self.viewers.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn list(&mut self, slot: u32) {
        if let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut)
            && !viewer.is_listed
        {
            viewer.is_listed = true;
            self.ready.push_back(slot);
        }
    }
}
