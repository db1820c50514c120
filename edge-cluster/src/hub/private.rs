//! What is written for one viewer alone: headers, and messages while it cannot share.

use std::sync::Arc;
use std::time::Instant;

use rtmp_core::media::{Headers, MediaRole};
use rtmp_core::segment::{Correction, Entry, Segment, Segments, TimePolicy};
use rtmp_core::{Media, MediaKind, Timestamp};

use super::flv::FlvRing;
use super::settings::StreamSettings;
use super::store::Store;
use super::stream::Hub;
use super::viewer::{JoinKind, Lane, Place, PrivateSink, Viewer};
use crate::conn::ConnId;

/// No more messages are written for one viewer alone while so many bytes wait.
const PENDING_MAX: usize = 64 << 10;

/// What preparing a viewer needs to know of its hub.
struct Stage<'a> {
    settings: &'a StreamSettings,
    store: &'a Store,
    flv: Option<&'a FlvRing>,
    sink: &'a mut dyn PrivateSink,
    now: Instant,
    /// Messages written.
    written: u64,
    /// How the viewer's times are made now.
    policy: TimePolicy,
}

impl Hub {
    /// Puts headers and messages that are for this viewer alone into `sink`, whose bytes go out in front of the next
    /// shared segment. Call it in front of every [`outgoing`](Self::outgoing). Says whether there may be more of them once
    /// these are out.
    pub fn prepare(&mut self, now: Instant, viewer: ConnId, sink: &mut dyn PrivateSink) -> bool {
        let Some(slot) = self.by_conn.get(&viewer).copied() else { return false };
        let chunks = self.policy(JoinKind::Viewer);
        let upstream = self.policy(JoinKind::Upstream);
        let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) else { return false };
        let policy = if viewer.kind == JoinKind::Viewer { chunks } else { upstream };
        let mut stage = Stage {
            settings: &self.settings,
            store: &self.store,
            flv: self.flv.as_ref(),
            sink,
            now,
            written: 0,
            policy,
        };
        stage.prepare(viewer);
        self.stats.private_messages += stage.written;
        if let Some(next) = viewer.next_send.filter(|next| stage.written > 0 && *next > now) {
            self.intervals.push_back((next, slot));
        }
        !matches!(viewer.place, Place::Shared | Place::Waiting)
    }
}

impl<'a> Stage<'a> {
    fn prepare(&mut self, viewer: &mut Viewer) {
        let is_private = viewer.is_private(self.settings);
        if is_private {
            viewer.leave_shared();
        }
        // Whatever is for the viewer alone has to wait for the end of the segment, and so has the clock.
        if viewer.cursor.is_mid_segment() {
            return;
        }
        self.follow_policy(viewer);
        if std::mem::take(&mut viewer.closes_gap) {
            viewer.cursor.clock().close_gap();
        }
        if let Place::Begin { at, known } = &mut viewer.place {
            let at = *at;
            if self.store.segment(at).is_none() {
                return;
            }
            let known = known.take();
            self.send_headers(viewer, at, known.as_ref());
            match is_private {
                true => viewer.place = Place::Private { at, entry: 0 },
                false => viewer.share(at),
            }
        }
        while let Place::Private { at, entry } = viewer.place {
            if entry == 0 && self.may_share(viewer, at) {
                return viewer.share(at);
            }
            if self.sink.pending_bytes() >= PENDING_MAX || self.is_too_early(viewer) {
                return;
            }
            let Some(segment) = self.segment(viewer.lane, at) else { return };
            match segment.index().get(entry) {
                Some(message) => {
                    self.send(viewer, segment, message, entry);
                    viewer.place = Place::Private { at, entry: entry + 1 };
                }
                None => viewer.place = Place::Private { at: at + 1, entry: 0 },
            }
        }
    }

    /// Whether the viewer can share from segment `at` on. It gets the headers now that it missed while it did not want
    /// them.
    fn may_share(&mut self, viewer: &mut Viewer, at: u64) -> bool {
        if let Some(segment) = self.store.segment(at) {
            if viewer.misses.any() {
                self.send_headers(viewer, at, Some(&segment.headers));
            }
            viewer.waits_for_key &= !segment.chunks.starts_with_key();
        }
        !viewer.misses.any() && !viewer.is_private(self.settings)
    }

    fn is_too_early(&self, viewer: &Viewer) -> bool {
        viewer.has_interval(self.settings) && viewer.next_send.is_some_and(|next| self.now < next)
    }

    fn follow_policy(&self, viewer: &mut Viewer) {
        if viewer.cursor.clock().policy() != self.policy {
            let at = viewer.position().unwrap_or_else(|| self.store.end());
            let next = self.store.segment(at).or_else(|| self.store.segment(at.checked_sub(1)?));
            let correction = next.map(|segment| segment.chunks.correction()).unwrap_or_default();
            viewer.cursor.set_times(self.policy, correction);
        }
    }

    /// Sends the headers in front of segment `at` that the viewer does not know. They have the time of the first audio
    /// or video behind them; metadata is at 0 where times are corrected.
    fn send_headers(&mut self, viewer: &mut Viewer, at: u64, known: Option<&Arc<Headers>>) {
        let headers = self.store.headers_at(at);
        if known.is_some_and(|known| Arc::ptr_eq(known, headers)) && !viewer.misses.any() {
            return;
        }
        let first = self.first_frame(viewer.lane, at);
        for header in headers.iter() {
            let is_same = |old: &Media| old.kind == header.kind && old.payload == header.payload;
            let is_known = known.is_some_and(|known| known.iter().any(is_same));
            if is_known && !viewer.misses.of(header.kind) {
                continue;
            }
            if !viewer.wants(header.kind) {
                viewer.misses.set(header.kind, true);
                continue;
            }
            // Without any audio or video yet, the clock must not start: the time is that of data.
            let kind = if first.is_frame { header.kind } else { MediaKind::Data };
            let timestamp = self.time(viewer, kind, first.timestamp, first.correction);
            self.sink.send_media(&Media { timestamp, ..header.clone() });
            self.written += 1;
        }
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let misses = viewer.misses.of(kind) && !viewer.wants(kind);
            viewer.misses.set(kind, misses);
        }
    }

    fn send(&mut self, viewer: &mut Viewer, segment: &Segment, message: &Entry, place: usize) {
        let kind = message.kind;
        let is_header = matches!(message.role, MediaRole::SequenceHeader | MediaRole::Description);
        if !viewer.wants(kind) {
            viewer.misses.set(kind, is_header || viewer.misses.of(kind));
            return;
        }
        let is_picture = kind == MediaKind::Video && !is_header;
        // What it misses comes in front of the next segment.
        if (is_picture && viewer.waits_for_key) || (!is_header && viewer.misses.of(kind)) {
            return;
        }
        let Some(media) = segment.media(place) else { return };
        let timestamp = self.time(viewer, kind, media.timestamp, segment.correction());
        self.sink.send_media(&Media { timestamp, ..media });
        self.written += 1;
        if viewer.has_interval(self.settings) {
            viewer.next_send = Some(self.now + self.settings.play.send_min_interval);
        }
    }

    /// What a viewer of this lane gets as segment `number`.
    fn segment(&self, lane: Lane, number: u64) -> Option<&'a Segment> {
        let segment = match lane {
            Lane::Chunks => self.store.ring.segment(number),
            Lane::Flv => self.flv?.ring.segment(number),
        };
        segment.map(|segment| &**segment)
    }

    /// The first audio or video from segment `at` on; without any, the first message of that segment.
    fn first_frame(&self, lane: Lane, at: u64) -> First {
        let mut segments = (at..self.store.end()).map_while(|number| self.segment(lane, number));
        let frame = segments.find_map(|segment| {
            let entry = segment.index().iter().find(|entry| entry.kind != MediaKind::Data)?;
            let (timestamp, correction) = (entry.timestamp, segment.correction());
            Some(First { is_frame: true, timestamp, correction })
        });
        let here = self.segment(lane, at);
        frame.unwrap_or_else(|| First {
            is_frame: false,
            timestamp: here.map(Segment::first_timestamp).unwrap_or_default(),
            correction: here.map(Segment::correction).unwrap_or_default(),
        })
    }

    /// The viewer's time of a message. Tags have theirs already, but for the headers, which are told the time of
    /// another message.
    fn time(&self, viewer: &mut Viewer, kind: MediaKind, timestamp: Timestamp, of: Correction) -> Timestamp {
        match (viewer.lane, kind, self.policy) {
            (Lane::Chunks, ..) => viewer.cursor.clock().time(kind, timestamp, of),
            (Lane::Flv, MediaKind::Data, TimePolicy::Smooth | TimePolicy::FromZero) => Timestamp::ZERO,
            (Lane::Flv, ..) => timestamp,
        }
    }
}

/// The message whose time headers get.
#[derive(Clone, Copy, Debug)]
struct First {
    is_frame: bool,
    timestamp: Timestamp,
    correction: Correction,
}
