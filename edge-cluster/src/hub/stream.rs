//! One stream on one shard: the ring, and who is where in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::MediaKind;
use rtmp_core::flv::Content;
use rtmp_core::segment::{Outgoing, Ring};

use super::describe;
use super::flv::FlvRing;
use super::gop::Gop;
use super::settings::StreamSettings;
use super::stats::HubStats;
use super::store::Store;
use super::update::{StreamSegment, Update};
use super::viewer::{JoinKind, Lane, Place, Viewer};
use crate::conn::ConnId;
use crate::conn_map::ConnMap;

/// How often stalls are looked for, while some viewer lags behind.
pub(super) const STALL_TICK: Duration = Duration::from_secs(5);

/// Something the owner of a hub wants to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HubEvent {
    /// A viewer was too slow and goes on later in the stream.
    Resynced {
        /// Who.
        viewer: ConnId,
        /// How many messages it does not get.
        dropped: u64,
    },
    /// The socket of a viewer took nothing for 30 seconds: close it.
    TooSlow {
        /// Who.
        viewer: ConnId,
    },
}

/// One stream on one shard: the latest segments, and each viewer's place among them.
///
/// # Contract
///
/// 1. [`apply`](Self::apply) every update of the stream's [`Ingest`](super::Ingest), in order.
/// 2. After every call: take the [ready](Self::poll_ready) viewers until `None`, and the
///    [events](Self::poll_event). For each ready viewer repeat: [`prepare`](Self::prepare),
///    [`outgoing`](Self::outgoing), write; until nothing remains, or the socket takes no more. In that case go on when
///    it does: the hub does not list a viewer again before it has caught up.
/// 3. Sleep until [`poll_timeout`](Self::poll_timeout).
///
/// A segment costs a viewer that keeps up one look at its place and one write; nothing is allocated and nothing is
/// copied.
#[derive(Debug)]
pub struct Hub {
    pub(super) settings: Arc<StreamSettings>,
    pub(super) store: Store,
    /// While somebody wants tags.
    pub(super) flv: Option<FlvRing>,
    pub(super) viewers: Vec<Option<Viewer>>,
    pub(super) free: Vec<u32>,
    pub(super) by_conn: ConnMap<u32>,
    pub(super) ready: VecDeque<u32>,
    pub(super) events: VecDeque<(u32, HubEvent)>,
    /// Viewers that get one message per write, and when the next one is due.
    pub(super) intervals: VecDeque<(Instant, u32)>,
    pub(super) stall_tick: Option<Instant>,
    pub(super) gop: Gop,
    /// The latest key frame of the running source; the ring may have let it go.
    pub(super) newest_key: Option<u64>,
    /// An upstream server gets the stream: the current GOP stays, whatever `gop_cache` says.
    pub(super) keeps_key: bool,
    pub(super) has_pictures: bool,
    pub(super) content: (bool, bool),
    /// What the metadata of the source says that there will be.
    announced: (bool, bool),
    epoch: u32,
    /// The first segment of the running source, or of the last one.
    pub(super) epoch_start: u64,
    pub(super) is_active: bool,
    /// The source was lost and may come again: its pictures are kept.
    is_lost: bool,
    pub(super) chunk_size: u32,
    last_number: Option<u64>,
    pub(super) atc: bool,
    pub(super) stats: HubStats,
}

impl Hub {
    /// A stream nobody sends and nobody watches.
    pub fn new(settings: Arc<StreamSettings>) -> Self {
        Self {
            chunk_size: settings.chunk_size,
            settings,
            store: Store::default(),
            flv: None,
            viewers: Vec::new(),
            free: Vec::new(),
            by_conn: ConnMap::default(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            intervals: VecDeque::new(),
            stall_tick: None,
            gop: Gop::default(),
            newest_key: None,
            keeps_key: false,
            has_pictures: false,
            content: (false, false),
            announced: (false, false),
            epoch: 0,
            epoch_start: 0,
            is_active: false,
            is_lost: false,
            last_number: None,
            atc: false,
            stats: HubStats::default(),
        }
    }

    /// Takes what the home of the stream says.
    pub fn apply(&mut self, now: Instant, update: &Update) {
        match update {
            Update::Begin { epoch, chunk_size, continues } => {
                if !continues {
                    self.forget_pictures();
                    self.content = (false, false);
                    self.announced = (false, false);
                    self.epoch_start = self.store.end();
                }
                self.epoch = *epoch;
                (self.is_active, self.is_lost) = (true, false);
                self.set_chunk_size(*chunk_size);
            }
            Update::Segment(segment) => self.append(now, segment),
            // The end of an earlier source, which was replaced, says nothing.
            Update::End { epoch, is_lost } if *epoch == self.epoch => {
                (self.is_active, self.is_lost) = (false, *is_lost);
                if !is_lost {
                    self.forget_pictures();
                    self.keeps_key = false;
                }
                self.trim(self.slowest());
            }
            Update::End { .. } => {}
        }
    }

    /// The next viewer that has something to write.
    pub fn poll_ready(&mut self) -> Option<ConnId> {
        while let Some(slot) = self.ready.pop_front() {
            // A slot may be listed for a viewer that has left.
            let viewer = self.viewers.get_mut(slot as usize).and_then(Option::as_mut);
            if let Some(viewer) = viewer.filter(|viewer| viewer.is_listed) {
                viewer.is_listed = false;
                return Some(viewer.conn);
            }
        }
        None
    }

    /// What waits for a viewer: `private`, the bytes of its own connection, and its part of the stream. `None` when it
    /// does not watch. Call [`prepare`](Self::prepare) first.
    pub fn outgoing<'a>(
        &'a mut self,
        viewer: ConnId,
        private: &'a mut BytesMut,
    ) -> Option<Outgoing<'a, Ring>> {
        let slot = *self.by_conn.get(&viewer)?;
        let viewer = self.viewers.get_mut(slot as usize)?.as_mut()?;
        let ring = match viewer.lane {
            Lane::Chunks => &self.store.ring,
            Lane::Flv => &self.flv.as_ref()?.ring,
        };
        Some(Outgoing::new(private, &mut viewer.cursor, ring))
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, slot)) = self.intervals.front()
            && now >= at
        {
            self.intervals.pop_front();
            if self.position(slot).is_some_and(|at| at < self.store.end()) {
                self.list(slot);
            }
        }
        if self.stall_tick.is_some_and(|at| now >= at) {
            self.stall_tick = None;
            self.look_for_stalls(now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let interval = self.intervals.front().map(|(at, _)| *at);
        [interval, self.stall_tick].into_iter().flatten().min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HubEvent> {
        while let Some((slot, event)) = self.events.pop_front() {
            let (HubEvent::Resynced { viewer: of, .. } | HubEvent::TooSlow { viewer: of }) = event;
            let viewer = self.viewers.get_mut(slot as usize).and_then(Option::as_mut);
            let Some(viewer) = viewer.filter(|viewer| viewer.conn == of) else { continue };
            return Some(match event {
                // What was left out since the event was noted counts, too.
                HubEvent::Resynced { viewer: of, dropped } => {
                    HubEvent::Resynced { viewer: of, dropped: viewer.dropped.take().unwrap_or(dropped) }
                }
                HubEvent::TooSlow { .. } => event,
            });
        }
        None
    }

    /// Other settings, for viewers that are there, too. The chunk size stays.
    pub fn configure(&mut self, settings: Arc<StreamSettings>) {
        if self.settings.play.atc != settings.play.atc {
            self.gop.clear();
            self.newest_key = None;
        }
        self.settings = settings;
        self.trim(self.slowest());
    }

    /// Bytes per chunk in all segments.
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Whether there is a source.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Counts the sources so far; 0 in front of the first one.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What the running source has sent so far, and what its metadata says will come, for the header of an FLV stream:
    /// encoders often send the header of the picture in a packet behind that of the sound. `None` in front of the
    /// first header or frame.
    pub fn content(&self) -> Option<Content> {
        let (audio, video) = self.content;
        match (audio || self.announced.0, video || self.announced.1) {
            _ if !audio && !video => None,
            (true, true) => Some(Content::AudioVideo),
            (true, false) => Some(Content::Audio),
            _ => Some(Content::Video),
        }
    }

    /// The update that says which source runs, or may come again, for a hub that is told later than this one: ahead of
    /// the segments.
    pub fn opening(&self) -> Option<Update> {
        let (epoch, chunk_size) = (self.epoch, self.chunk_size);
        let begin = Update::Begin { epoch, chunk_size, continues: false };
        (self.is_active || self.is_lost).then_some(begin)
    }

    /// The update behind the segments, for such a hub, when the source is lost.
    pub fn closing(&self) -> Option<Update> {
        self.is_lost.then_some(Update::End { epoch: self.epoch, is_lost: true })
    }

    /// The segment of this number, while it is held.
    pub fn segment(&self, number: u64) -> Option<&Arc<StreamSegment>> {
        self.store.segment(number)
    }

    /// Number the next segment will get.
    pub fn end(&self) -> u64 {
        self.store.end()
    }

    /// The newest segment a subscription of another shard can begin with; `None` when it has to wait for the next.
    pub fn newest_key(&self) -> Option<u64> {
        self.newest_key.filter(|&key| key >= self.store.front())
    }

    /// Messages that wait for a viewer, without those of the segment that is partly sent; `None` when it does not watch.
    pub fn waiting_messages(&self, viewer: ConnId) -> Option<u64> {
        let slot = *self.by_conn.get(&viewer)?;
        Some(self.position(slot).map_or(0, |at| self.store.messages_between(at, self.store.end())))
    }

    /// Bytes held. Segments count on every shard that holds them.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.store.memory_bytes()
            + self.flv.as_ref().map_or(0, |flv| flv.ring.bytes())
            + self.viewers.capacity() * size_of::<Option<Viewer>>()
            + self.by_conn.capacity() * size_of::<(ConnId, u32)>()
            + (self.ready.capacity() + self.free.capacity()) * size_of::<u32>()
    }

    /// Counters.
    pub fn stats(&self) -> HubStats {
        HubStats { segments: (self.store.end() - self.store.front()) as usize, ..self.stats }
    }

    fn append(&mut self, now: Instant, segment: &Arc<StreamSegment>) {
        if self.last_number.is_some_and(|last| segment.number != last + 1) {
            self.stats.gaps += 1;
            let has_pictures =
                self.has_pictures || segment.headers.iter().any(|m| m.kind == MediaKind::Video);
            self.skip_all(has_pictures && !segment.chunks.starts_with_key());
        }
        self.last_number = Some(segment.number);
        self.atc = segment.atc;
        let policy = self.policy(JoinKind::Viewer);
        let number = self.store.append(segment, &self.settings, policy);
        if let Some(flv) = &mut self.flv {
            flv.append(&segment.chunks, policy);
        }
        if segment.chunks.starts_with_key() {
            self.newest_key = Some(number);
        }
        self.gop.append(number, segment, &self.settings);
        self.has_pictures |= segment.summary.has_pictures;
        if (segment.summary.data > 0 || self.content == (false, false))
            && let Some(metadata) = segment.headers_behind.metadata()
        {
            self.announced = describe::announced(&metadata.payload);
        }
        self.content.0 |= segment.summary.audio > 0;
        self.content.1 |= segment.summary.video > 0;
        let slowest = self.visit(now, number, segment);
        self.trim(slowest);
    }

    /// Tells every viewer of the new segment; the position of the slowest is returned.
    fn visit(&mut self, now: Instant, number: u64, segment: &StreamSegment) -> u64 {
        let (allowed, end) = (self.store.allowed(), self.store.end());
        let gop_start = self.gop.start().unwrap_or(end);
        let has_metadata = segment.has_metadata();
        let mut slowest = end;
        let mut is_late = false;
        for slot in 0..self.viewers.len() {
            let Some(viewer) = self.viewers.get_mut(slot).and_then(Option::as_mut) else { continue };
            if has_metadata && viewer.kind == JoinKind::Upstream {
                viewer.private_until = number + 1;
            }
            let holds_back = viewer.kind == JoinKind::Viewer && self.settings.start_at_keyframe;
            if let Place::Waiting = viewer.place
                && (segment.summary.frames > 0 || !holds_back)
            {
                viewer.waits_for_key = holds_back && self.has_pictures && !segment.chunks.starts_with_key();
                viewer.place = Place::Begin { at: number, known: None };
            }
            let Some(at) = viewer.position() else { continue };
            if at < allowed && (at >= viewer.exempt_before || at < gop_start) {
                slowest = slowest.min(self.resync(slot as u32, at, allowed));
                continue;
            }
            slowest = slowest.min(at);
            if at < number || viewer.cursor.is_mid_segment() {
                is_late = true;
            } else if viewer.has_nothing_in(segment) {
                viewer.place = Place::Private { at: number + 1, entry: 0 };
            } else if viewer.next_send.is_none_or(|next| now >= next) && !viewer.is_listed {
                viewer.is_listed = true;
                self.ready.push_back(slot as u32);
            }
        }
        if is_late {
            self.stall_tick.get_or_insert(now + STALL_TICK);
        }
        slowest
    }
}
