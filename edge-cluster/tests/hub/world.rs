//! A stream with its viewers, in virtual time.
#![allow(dead_code, reason = "several tests share it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use edge_cluster::ConnId;
use edge_cluster::config::{LoadOptions, MemorySources, load};
use edge_cluster::hub::{
    Hub, HubEvent, Ingest, Join, JoinKind, Lane, PrivateSink, StreamSegment, StreamSettings, Update,
};
use rtmp_core::chunk::{ChunkReader, ChunkWriter};
use rtmp_core::message::Control;
use rtmp_core::{Limits, Media, MediaKind, Timestamp, flv};

pub(crate) const MIN_LATENCY: &str = "min_latency on;";

/// The settings of a vhost. Audio waits for pictures only where the vhost says so: most tests are about other things.
pub(crate) fn settings(vhost: &str) -> Arc<StreamSettings> {
    let text = format!("listen 1935; vhost __defaultVhost__ {{ {vhost} }}");
    let files = MemorySources::from([("a.conf", text.as_str())]);
    let loaded = load(&files, "a.conf", &LoadOptions::default()).expect("a good configuration");
    let mut settings = StreamSettings::from(loaded.config.vhost("a").expect("the default vhost"));
    if !vhost.contains("audio_wait") {
        settings.audio_wait = Duration::ZERO;
    }
    Arc::new(settings)
}

pub(crate) fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    Instant::now()
}

pub(crate) fn media(kind: MediaKind, millis: u32, payload: &[u8]) -> Media {
    Media { kind, timestamp: Timestamp::from_millis(millis), payload: Bytes::copy_from_slice(payload) }
}

fn numbered(kind: MediaKind, millis: u32, head: &[u8], number: u32) -> Media {
    let mut payload = head.to_vec();
    payload.extend(number.to_be_bytes());
    media(kind, millis, &payload)
}

pub(crate) fn key(millis: u32, number: u32) -> Media {
    numbered(MediaKind::Video, millis, &[0x17, 1, 0, 0, 0], number)
}

pub(crate) fn inter(millis: u32, number: u32) -> Media {
    numbered(MediaKind::Video, millis, &[0x27, 1, 0, 0, 0], number)
}

pub(crate) fn audio(millis: u32, number: u32) -> Media {
    numbered(MediaKind::Audio, millis, &[0xaf, 1], number)
}

pub(crate) fn video_header(millis: u32, number: u32) -> Media {
    numbered(MediaKind::Video, millis, &[0x17, 0, 0, 0, 0], number)
}

pub(crate) fn audio_header(millis: u32, number: u32) -> Media {
    numbered(MediaKind::Audio, millis, &[0xaf, 0], number)
}

/// `onMetaData` with one property.
pub(crate) fn metadata(millis: u32, name: &str, value: &str) -> Media {
    let mut payload = b"\x02\x00\x0aonMetaData\x03".to_vec();
    for (word, marker) in [(name, None), (value, Some(2))] {
        payload.extend(marker);
        payload.extend((word.len() as u16).to_be_bytes());
        payload.extend(word.as_bytes());
    }
    payload.extend(b"\x00\x00\x09");
    media(MediaKind::Data, millis, &payload)
}

pub(crate) fn cue_point(millis: u32) -> Media {
    media(MediaKind::Data, millis, b"\x02\x00\x0aonCuePoint\x05")
}

/// Metadata and headers.
pub(crate) fn opening(at: u32) -> Vec<Media> {
    vec![metadata(at, "encoder", "x"), audio_header(at, 1), video_header(at, 2)]
}

/// A GOP with audio; the number of a picture is its time.
pub(crate) fn gop(at: u32, frames: u32) -> Vec<Media> {
    let frame = |n| if n == 0 { key(at, at) } else { inter(at + n * 40, at + n * 40) };
    (0..frames).flat_map(|n| [frame(n), audio(at + n * 40 + 3, n)]).collect()
}

/// One letter per message: M metadata, S video header, H audio header, K key frame, V inter frame, A audio, D data.
pub(crate) fn letter(media: &Media) -> char {
    match (media.kind, media.payload.as_ref()) {
        (MediaKind::Data, payload) if payload.starts_with(b"\x02\x00\x0aonMetaData") => 'M',
        (MediaKind::Data, _) => 'D',
        (MediaKind::Audio, [_, 0, ..]) => 'H',
        (MediaKind::Audio, _) => 'A',
        (MediaKind::Video, [_, 0, ..]) => 'S',
        (MediaKind::Video, [0x17, ..]) => 'K',
        (MediaKind::Video, _) => 'V',
    }
}

/// The number a test has put at the end of a payload.
pub(crate) fn number(media: &Media) -> u32 {
    media.payload.last_chunk().copied().map(u32::from_be_bytes).unwrap_or_default()
}

/// What belongs to one connection.
pub(crate) struct Private {
    pub(crate) bytes: BytesMut,
    writer: ChunkWriter,
    lane: Lane,
    msid: u32,
    pub(crate) messages: u32,
    /// Data messages among them.
    pub(crate) data: u32,
}

impl PrivateSink for Private {
    fn pending_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn send_media(&mut self, media: &Media) {
        self.messages += 1;
        self.data += u32::from(media.kind == MediaKind::Data);
        match self.lane {
            Lane::Chunks => self.writer.write(&mut self.bytes, &media.message(self.msid)),
            Lane::Flv => flv::write_tag(&mut self.bytes, media),
        };
    }
}

pub(crate) struct Player {
    pub(crate) conn: ConnId,
    pub(crate) private: Private,
    /// Bytes its socket still takes.
    pub(crate) window: usize,
    wants_write: bool,
    wire: BytesMut,
    chunks: ChunkReader,
    tags: flv::Reader,
    pub(crate) got: Vec<Media>,
    pub(crate) writes: u32,
    /// Segments it was given as a whole.
    pub(crate) wholes: u32,
}

impl Player {
    fn new(conn: ConnId, lane: Lane, msid: u32, chunk_size: u32) -> Self {
        let mut limits = Limits::default();
        limits.chunk_size_min = 1;
        limits.header_budget = u32::MAX;
        limits.media_bytes_max = 1 << 24;
        let mut chunks = ChunkReader::new(&limits);
        let mut writer = ChunkWriter::default();
        let mut wire = BytesMut::new();
        match lane {
            Lane::Chunks => {
                writer.write(&mut wire, &Control::SetChunkSize(chunk_size).message());
                assert!(chunks.read(&mut wire).expect("legal").is_some());
            }
            Lane::Flv => wire.put_slice(&flv::header(flv::Content::AudioVideo)),
        }
        writer.set_chunk_size(chunk_size);
        Self {
            conn,
            private: Private { bytes: BytesMut::new(), writer, lane, msid, messages: 0, data: 0 },
            window: usize::MAX,
            wants_write: false,
            wire,
            chunks,
            tags: flv::Reader::new(1 << 24),
            got: Vec::new(),
            writes: 0,
            wholes: 0,
        }
    }

    fn read(&mut self) {
        loop {
            let media = match self.private.lane {
                Lane::Chunks => self.chunks.read(&mut self.wire).expect("a legal stream").map(|message| {
                    assert_eq!(message.msid, self.private.msid, "a message for somebody else");
                    Media {
                        kind: MediaKind::of(message.kind).expect("media"),
                        timestamp: message.timestamp,
                        payload: message.payload,
                    }
                }),
                Lane::Flv => self.tags.read(&mut self.wire).expect("a legal file"),
            };
            let Some(media) = media else { return };
            self.got.push(media);
        }
    }

    pub(crate) fn letters(&self) -> String {
        self.got.iter().map(letter).collect()
    }

    pub(crate) fn times(&self) -> Vec<u32> {
        self.got.iter().map(|media| media.timestamp.millis()).collect()
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) ingest: Ingest,
    pub(crate) hub: Hub,
    pub(crate) players: Vec<Player>,
    pub(crate) segments: Vec<Arc<StreamSegment>>,
    pub(crate) events: Vec<HubEvent>,
}

impl World {
    pub(crate) fn new(vhost: &str) -> Self {
        let settings = settings(vhost);
        Self {
            now: start(),
            ingest: Ingest::new(settings.clone()),
            hub: Hub::new(settings),
            players: Vec::new(),
            segments: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn join(&mut self, lane: Lane, kind: JoinKind) -> usize {
        let conn = ConnId::inbound(self.players.len() as u64);
        // Everybody has a message stream of another number.
        let msid = 1 + self.players.len() as u32;
        self.players.push(Player::new(conn, lane, msid, self.hub.chunk_size()));
        self.hub.join(conn, Join { msid, lane, kind });
        self.settle();
        self.players.len() - 1
    }

    pub(crate) fn viewer(&mut self) -> usize {
        self.join(Lane::Chunks, JoinKind::Viewer)
    }

    /// One burst of messages.
    pub(crate) fn push(&mut self, burst: &[Media]) {
        for media in burst {
            self.ingest.push(self.now, media);
        }
        self.ingest.burst_end(self.now);
        self.settle();
    }

    /// Each message in a burst of its own.
    pub(crate) fn push_each(&mut self, messages: &[Media]) {
        for media in messages {
            self.push(std::slice::from_ref(media));
        }
    }

    pub(crate) fn begin(&mut self) {
        self.ingest.begin(self.now);
        self.settle();
    }

    pub(crate) fn end(&mut self) {
        self.ingest.end(self.now);
        self.settle();
    }

    pub(crate) fn begin_pull(&mut self) {
        self.ingest.begin_pull(self.now);
        self.settle();
    }

    pub(crate) fn lose(&mut self) {
        self.ingest.lose(self.now);
        self.settle();
    }

    pub(crate) fn advance(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        loop {
            let due = [self.ingest.poll_timeout(), self.hub.poll_timeout()].into_iter().flatten().min();
            let Some(at) = due.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.ingest.handle_timeout(self.now);
            self.hub.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
    }

    /// Sets how many bytes the socket of a player takes from now on.
    pub(crate) fn open(&mut self, player: usize, window: usize) {
        self.players[player].window = window;
        if std::mem::take(&mut self.players[player].wants_write) {
            self.write(player);
        }
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        while let Some(update) = self.ingest.poll_update() {
            if let Update::Segment(segment) = &update {
                self.segments.push(segment.clone());
            }
            self.hub.apply(self.now, &update);
        }
        while let Some(conn) = self.hub.poll_ready() {
            let player = self.players.iter().position(|player| player.conn == conn).expect("known");
            self.write(player);
        }
        while let Some(event) = self.hub.poll_event() {
            self.events.push(event);
        }
    }

    fn write(&mut self, at: usize) {
        let player = &mut self.players[at];
        let whole = if player.private.bytes.is_empty() { self.hub.take_whole(player.conn) } else { None };
        if let Some(whole) = whole {
            let bytes = self.hub.whole_bytes(&whole).expect("just taken");
            let count = bytes.len().min(player.window);
            player.window -= if player.window == usize::MAX { 0 } else { count };
            player.wire.put(&bytes[..count]);
            player.writes += u32::from(count > 0);
            player.wholes += 1;
            if count < whole.len() {
                assert!(self.hub.give_back(player.conn, whole, count));
            }
        }
        loop {
            self.hub.prepare(self.now, player.conn, &mut player.private);
            let Some(mut out) = self.hub.outgoing(player.conn, &mut player.private.bytes) else { return };
            if out.remaining() == 0 {
                break;
            }
            let count = out.remaining().min(player.window);
            if count == 0 {
                player.wants_write = true;
                break;
            }
            player.window -= if player.window == usize::MAX { 0 } else { count };
            player.wire.put((&mut out).take(count));
            player.writes += 1;
        }
        player.read();
    }
}
