//! The home of a stream: messages in, segments out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp_core::chunk::CHUNK_SIZE_MAX;
use rtmp_core::media::{Headers, MediaRole};
use rtmp_core::message::{DataFrame, without_property};
use rtmp_core::segment::{Framing, Segment, SegmentWriter};
use rtmp_core::{Media, MediaKind, Timestamp};

use super::describe;
use super::jitter::Jitter;
use super::mix::Mix;
use super::overlap::{Overlap, Verdict};
use super::settings::StreamSettings;
use super::stats::IngestStats;
use super::update::{StreamSegment, Update};

/// A source that has shown no picture for so long sends sound alone; nothing waits for its pictures.
const PICTURE_WAIT: Duration = Duration::from_millis(250);
/// More messages are never collected into one write (spec 9.7).
const COLLECT_MAX: u32 = 128;
/// The first headers of a later source are held back until it is known whether they are new; no more than so many.
const OPENING_MAX: usize = 16;
/// A later source that shows no key frame for so long is let through as it is: some encoders refresh pictures piece by
/// piece and never make one.
const KEY_WAIT: Duration = Duration::from_secs(10);

/// The home of a stream: takes the messages of its source and writes them once, as segments for all viewers.
///
/// It survives its source. Another one begins a new *epoch*: viewers' times go on, pictures begin with a key frame, and
/// metadata and sequence headers are repeated only where they differ.
/// One that was [lost](Self::lose) and comes again goes on where it was.
///
/// # Contract
///
/// After every call take the [updates](Self::poll_update) until `None` and give each to all hubs of the stream, in
/// order; then sleep until [`poll_timeout`](Self::poll_timeout). Nothing fails and nothing waits.
#[derive(Debug)]
pub struct Ingest {
    settings: Arc<StreamSettings>,
    writer: SegmentWriter,
    updates: VecDeque<Update>,
    epoch: u32,
    number: u64,
    is_active: bool,
    /// What a viewer that comes now has to get first.
    headers: Arc<Headers>,
    /// The same in front of the open segment.
    headers_in_front: Arc<Headers>,
    /// What viewers know that have been here all the time.
    known: Headers,
    /// The first headers of a later source, see [`OPENING_MAX`].
    opening: Option<Vec<Media>>,
    /// Pictures wait for a key frame, until then.
    key_wait_ends: Option<Instant>,
    /// What was sent last, where a source that is lost may come again.
    overlap: Option<Overlap>,
    /// The headers of a source that may be the last one again, while that is not known.
    returning: Option<Vec<Media>>,
    jitter: Jitter,
    mix: Mix,
    /// The metadata asks for times as they are.
    atc_asked: bool,
    last_picture: Option<Instant>,
    open: Option<Open>,
    stats: IngestStats,
}

/// The segment that is being written.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: Instant,
    first: Option<Timestamp>,
    messages: u32,
    only_audio: bool,
}

impl Ingest {
    /// The home of a stream without a source.
    pub fn new(settings: Arc<StreamSettings>) -> Self {
        Self {
            writer: SegmentWriter::new(Framing::Chunks { size: settings.chunk_size }),
            settings,
            updates: VecDeque::new(),
            epoch: 0,
            number: 0,
            is_active: false,
            headers: Arc::default(),
            headers_in_front: Arc::default(),
            known: Headers::default(),
            opening: None,
            key_wait_ends: None,
            overlap: None,
            returning: None,
            jitter: Jitter::default(),
            mix: Mix::default(),
            atc_asked: false,
            last_picture: None,
            open: None,
            stats: IngestStats::default(),
        }
    }

    /// A source begins; one that is still there is replaced.
    pub fn begin(&mut self, now: Instant) {
        self.flush(now);
        self.overlap = None;
        self.returning = None;
        self.epoch += 1;
        self.headers = Arc::default();
        self.atc_asked = false;
        self.stats.begin();
        if self.epoch > 1 {
            self.opening = Some(Vec::new());
            self.key_wait_ends = Some(now + KEY_WAIT);
            self.jitter.begin();
        }
        self.announce(false);
    }

    /// A source begins that comes again if its connection is [lost](Self::lose): a pull. After a loss the first frame
    /// tells whether it is the last source, and then viewers get what they have not had, as if nothing had happened.
    pub fn begin_pull(&mut self, now: Instant) {
        if self.overlap.is_some() && !self.is_active {
            self.returning = Some(Vec::new());
        } else {
            self.begin(now);
            self.overlap = Some(Overlap::default());
        }
    }

    fn announce(&mut self, continues: bool) {
        self.is_active = true;
        let (epoch, chunk_size) = (self.epoch, self.chunk_size());
        self.updates.push_back(Update::Begin { epoch, chunk_size, continues });
    }

    /// Takes the next message of the source. Without [`begin`](Self::begin) the first message begins one.
    pub fn push(&mut self, now: Instant, media: &Media) {
        let role = media.role();
        if self.returning.is_some() && !self.has_returned(now, media, role) {
            return;
        }
        if !self.is_active {
            self.begin(now);
        }
        self.stats.count(media, role);
        if is_frame(media, role) && self.is_repeated(now, media) {
            self.stats.repeated += 1;
            return;
        }
        let timestamp =
            self.overlap.as_ref().map_or(media.timestamp, |overlap| overlap.time(media.timestamp));
        let media = Media { timestamp, ..media.clone() };
        if media.payload.len() > CHUNK_SIZE_MAX as usize {
            self.stats.dropped += 1;
            return;
        }
        if media.kind == MediaKind::Data {
            let Some(media) = self.viewers_data(&media) else { return };
            return self.admit(now, media, role);
        }
        describe::look(&mut self.stats, &media, role);
        if self.is_waiting_for_key(now, media.kind, role) {
            self.stats.dropped += 1;
            return;
        }
        if let Some(overlap) = self.overlap.as_mut().filter(|_| is_frame(&media, role)) {
            overlap.note(&media);
        }
        if !self.settings.play.mix_correct {
            self.admit(now, media, role);
        } else if let Some(media) = self.mix.push(media) {
            let role = media.role();
            self.admit(now, media, role);
        }
    }

    /// Finds out whether a source is the last one again. Until a frame tells, headers are held back; false means that
    /// the message is one of them.
    fn has_returned(&mut self, now: Instant, media: &Media, role: MediaRole) -> bool {
        let Some(held) = &mut self.returning else { return true };
        if !is_frame(media, role) && held.len() < OPENING_MAX {
            held.push(media.clone());
            return false;
        }
        let held = self.returning.take().unwrap_or_default();
        if self.overlap.as_mut().is_some_and(|overlap| overlap.recognise(now, media)) {
            self.epoch += 1;
            // Headers that are new go out in front of the first frame that is.
            self.opening = Some(Vec::new());
            self.announce(true);
        } else {
            self.begin(now);
            self.overlap = Some(Overlap::default());
        }
        for header in &held {
            self.push(now, header);
        }
        true
    }

    /// Whether viewers have had this frame of a source that came again.
    fn is_repeated(&mut self, now: Instant, media: &Media) -> bool {
        let Some(overlap) = &mut self.overlap else { return false };
        let verdict = overlap.judge(now, media);
        if verdict == Verdict::Differs {
            // It only looked like the last source: what was left out is new after all.
            let left_out = self.overlap.take().map(Overlap::into_left_out).unwrap_or_default();
            self.flush(now);
            let headers = Arc::clone(&self.headers);
            self.begin(now);
            self.overlap = Some(Overlap::default());
            for media in headers.iter().chain(&left_out) {
                self.push(now, media);
            }
        }
        verdict == Verdict::Repeated
    }

    /// The source's input is drained: what was written is sent now, unless messages are collected.
    pub fn burst_end(&mut self, now: Instant) {
        match self.settings.collect {
            None if self.waits_for_picture(now) => {}
            None => self.close(),
            Some(_) => self.close_if_due(now),
        }
    }

    /// The source is gone. One that was [lost](Self::lose) does not come again.
    pub fn end(&mut self, now: Instant) {
        let was_lost = self.overlap.take().is_some();
        self.finish(now, false, was_lost);
    }

    /// The connection to the source is gone: it may come again, see [`begin_pull`](Self::begin_pull).
    pub fn lose(&mut self, now: Instant) {
        self.finish(now, self.overlap.is_some(), false);
    }

    fn finish(&mut self, now: Instant, is_lost: bool, was_lost: bool) {
        self.flush(now);
        self.returning = None;
        if std::mem::take(&mut self.is_active) || was_lost {
            self.updates.push_back(Update::End { epoch: self.epoch, is_lost });
        }
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.close_if_due(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.open?.since + self.settings.collect.unwrap_or(self.settings.audio_wait))
    }

    /// Whether only audio was written, and a picture comes soon.
    fn waits_for_picture(&self, now: Instant) -> bool {
        let Some(open) = self.open else { return false };
        let due = self.last_picture.is_some_and(|at| now.saturating_duration_since(at) < PICTURE_WAIT);
        due && open.only_audio && now < open.since + self.settings.audio_wait
    }

    /// Other settings, from the next message on. The chunk size stays.
    pub fn configure(&mut self, now: Instant, settings: Arc<StreamSettings>) {
        self.settings = settings;
        if !self.settings.play.mix_correct {
            self.flush_mix(now);
        }
        if self.settings.collect.is_none() {
            self.close();
        }
    }

    /// The next update for the hubs.
    pub fn poll_update(&mut self) -> Option<Update> {
        self.updates.pop_front()
    }

    /// Whether there is a source.
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Counts the sources so far.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Bytes per chunk in all segments.
    pub fn chunk_size(&self) -> u32 {
        match self.writer.framing() {
            Framing::Chunks { size } => size,
            Framing::FlvTags => self.settings.chunk_size,
        }
    }

    /// Counters and what is known of the source.
    pub fn stats(&self) -> &IngestStats {
        &self.stats
    }

    /// The message viewers get instead of a data message; `None` when there is nothing for them.
    fn viewers_data(&mut self, media: &Media) -> Option<Media> {
        let frame = match DataFrame::recognise(&media.payload) {
            DataFrame::Clear { .. } => {
                Arc::make_mut(&mut self.headers).remember(media);
                self.known.remember(media);
                return None;
            }
            frame @ DataFrame::Named { .. } if frame.metadata().is_none() => return Some(media.clone()),
            DataFrame::Set { frame, .. } | DataFrame::Named { frame, .. } => frame,
            DataFrame::Opaque => return Some(media.clone()),
        };
        // Players would take it for the length of a recording. What cannot be read stays as it is.
        let payload = without_property(&frame, "duration").ok().flatten().unwrap_or(frame);
        self.atc_asked |= self.settings.play.atc_auto && describe::asks_for_atc(&payload);
        describe::look_at_metadata(&mut self.stats, &payload);
        Some(Media { payload, ..*media })
    }

    fn is_waiting_for_key(&mut self, now: Instant, kind: MediaKind, role: MediaRole) -> bool {
        let Some(ends) = self.key_wait_ends else { return false };
        if role == MediaRole::KeyFrame || now >= ends {
            self.key_wait_ends = None;
        }
        self.key_wait_ends.is_some() && kind == MediaKind::Video && role == MediaRole::Frame
    }

    /// Writes a message, unless it is a header that viewers have.
    fn admit(&mut self, now: Instant, media: Media, role: MediaRole) {
        let is_header = match media.kind {
            MediaKind::Data => DataFrame::recognise(&media.payload).metadata().is_some(),
            _ => matches!(role, MediaRole::SequenceHeader | MediaRole::Description),
        };
        if !is_header {
            self.end_opening(now);
            return self.write(now, &media, false);
        }
        if let Some(opening) = &mut self.opening {
            opening.push(media);
            if opening.len() >= OPENING_MAX {
                self.end_opening(now);
            }
        } else if self.settings.play.reduce_sequence_header && holds(&self.headers, &media) {
            self.stats.headers_reduced += 1;
        } else {
            self.write(now, &media, true);
        }
    }

    /// Writes those of the held back headers that are new to viewers. The others are valid in front of the epoch's
    /// first segment, so no viewer can miss them.
    fn end_opening(&mut self, now: Instant) {
        let Some(opening) = self.opening.take() else { return };
        let (old, new): (Vec<_>, Vec<_>) = opening.into_iter().partition(|media| holds(&self.known, media));
        for media in &old {
            Arc::make_mut(&mut self.headers).remember(media);
            self.stats.headers_reduced += 1;
        }
        for media in &new {
            self.write(now, media, true);
        }
    }

    fn write(&mut self, now: Instant, media: &Media, is_header: bool) {
        if media.kind != MediaKind::Data {
            let correction = self.jitter.follow(media.timestamp);
            let finished = self.writer.set_correction(correction);
            self.emit(finished);
        }
        let finished = self.writer.push(media);
        self.emit(finished);
        let open = self.open.get_or_insert_with(|| {
            self.headers_in_front = Arc::clone(&self.headers);
            Open { since: now, first: None, messages: 0, only_audio: true }
        });
        open.messages += 1;
        open.only_audio &= media.kind == MediaKind::Audio && !is_header;
        if media.kind == MediaKind::Video {
            self.last_picture = Some(now);
        }
        if media.kind != MediaKind::Data {
            open.first.get_or_insert(media.timestamp);
        }
        let Open { first, messages, .. } = *open;
        if is_header {
            Arc::make_mut(&mut self.headers).remember(media);
            self.known.remember(media);
        }
        let span = first.map_or(0, |first| media.timestamp.since(first)).max(0) as u128;
        let is_long = self.settings.collect.is_some_and(|latency| span > latency.as_millis());
        let is_full = is_long && messages > self.settings.play.mw_messages;
        if is_full || messages >= COLLECT_MAX {
            self.close();
        }
    }

    fn close_if_due(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| now >= at) {
            self.close();
        }
    }

    /// Sends what was written.
    fn close(&mut self) {
        let finished = self.writer.finish();
        self.emit(finished);
    }

    fn emit(&mut self, chunks: Option<Segment>) {
        let Some(chunks) = chunks else { return };
        self.open = None;
        let atc = self.atc_asked || self.settings.play.atc;
        let behind = Arc::clone(&self.headers);
        let in_front = Arc::clone(&self.headers_in_front);
        let segment = StreamSegment::new((self.epoch, self.number, atc), chunks, in_front, behind);
        self.number += 1;
        self.updates.push_back(Update::Segment(Arc::new(segment)));
    }

    /// Sends everything there is of the source.
    fn flush(&mut self, now: Instant) {
        self.flush_mix(now);
        self.end_opening(now);
        self.close();
    }

    fn flush_mix(&mut self, now: Instant) {
        while let Some(media) = self.mix.pop() {
            let role = media.role();
            self.admit(now, media, role);
        }
    }
}

/// Whether it is sound or a picture, and no header.
fn is_frame(media: &Media, role: MediaRole) -> bool {
    let is_header = matches!(role, MediaRole::SequenceHeader | MediaRole::Description);
    media.kind != MediaKind::Data && !is_header
}

fn holds(headers: &Headers, media: &Media) -> bool {
    headers.iter().any(|header| header.kind == media.kind && header.payload == media.payload)
}
