//! Publishers with numbered messages, and viewers that judge what they get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, Target, Timestamp,
};

use crate::net::Client;

/// Milliseconds between pictures.
const PICTURE_MS: u64 = 40;
/// Milliseconds between audio messages.
const AUDIO_MS: u64 = 23;
/// Pictures per GOP.
const GOP: u64 = 25;

pub(crate) struct Actor {
    pub(crate) connection: ClientConnection,
    pub(crate) role: Role,
    pub(crate) ended: bool,
    pub(crate) leaves: bool,
    pub(crate) statuses: Vec<String>,
    pub(crate) refused: Option<String>,
    pub(crate) reconnect_asked: bool,
}

pub(crate) enum Role {
    Publisher(Publisher),
    Viewer(Judge),
}

/// Sends numbered messages as long as it is accepted.
pub(crate) struct Publisher {
    /// Tells sources apart.
    pub(crate) source: u8,
    pub(crate) bytes: usize,
    next: Instant,
    elapsed: u64,
    pictures: u32,
    sounds: u32,
    pub(crate) accepted: bool,
    pub(crate) silent: bool,
    /// Time of its first message.
    pub(crate) base: u32,
}

/// Looks at everything a viewer gets.
#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) started: bool,
    pub(crate) pictures: u64,
    pub(crate) sounds: u64,
    pub(crate) headers: [Option<u8>; 2],
    last_picture: Option<(u8, u32)>,
    last_sound: Option<(u8, u32)>,
    pub(crate) last_time: Option<Timestamp>,
    pub(crate) heard: Option<Instant>,
    /// Places where messages are missing; each must begin with a key frame.
    pub(crate) gaps: u64,
    /// Sources seen.
    pub(crate) sources: Vec<u8>,
    /// After a broken upstream connection the same source may begin again at an earlier key frame.
    pub(crate) may_repeat: bool,
    /// Video that begins inside a GOP is expected.
    pub(crate) any_start: bool,
    pub(crate) metadata: u64,
    /// It has paused: sound may go on ahead of the next key frame.
    pub(crate) has_paused: bool,
}

impl Actor {
    fn new(target: Target, role: Role, seed: u64, now: Instant) -> Self {
        let mut config = ConnectionConfig::default();
        config.timeouts.first_media = None;
        config.timeouts.media = None;
        config.timeouts.connect = Duration::from_secs(60);
        config.timeouts.handshake = Duration::from_secs(60);
        let connection = ClientConnection::new(Arc::new(config), target, seed, now);
        Self {
            connection,
            role,
            ended: false,
            leaves: false,
            statuses: Vec::new(),
            refused: None,
            reconnect_asked: false,
        }
    }

    pub(crate) fn viewer(stream: &str, seed: u64, now: Instant) -> Self {
        Self::new(target(stream, Purpose::Play), Role::Viewer(Judge::default()), seed, now)
    }

    /// A viewer that says what it likes.
    pub(crate) fn stranger(tc_url: &str, stream: &str, seed: u64, now: Instant) -> Self {
        let target = Target::new(tc_url, "live", stream, Purpose::Play);
        Self::new(target, Role::Viewer(Judge::default()), seed, now)
    }

    pub(crate) fn publisher(stream: &str, source: u8, seed: u64, now: Instant) -> Self {
        let publisher = Publisher {
            source,
            bytes: 300,
            next: now,
            elapsed: 0,
            pictures: 0,
            sounds: 0,
            accepted: false,
            silent: false,
            base: (seed % 100_000) as u32,
        };
        Self::new(target(stream, Purpose::Publish(Default::default())), Role::Publisher(publisher), seed, now)
    }

    pub(crate) fn judge(&self) -> &Judge {
        match &self.role {
            Role::Viewer(judge) => judge,
            Role::Publisher(_) => panic!("a publisher judges nothing"),
        }
    }

    pub(crate) fn judge_mut(&mut self) -> &mut Judge {
        match &mut self.role {
            Role::Viewer(judge) => judge,
            Role::Publisher(_) => panic!("a publisher judges nothing"),
        }
    }

    pub(crate) fn publishes(&mut self) -> &mut Publisher {
        match &mut self.role {
            Role::Publisher(publisher) => publisher,
            Role::Viewer(_) => panic!("a viewer publishes nothing"),
        }
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.connection.poll_event() {
            match (event, &mut self.role) {
                (ClientEvent::Media(media), Role::Viewer(judge)) => judge.look(now, &media),
                (ClientEvent::PublishAccepted, Role::Publisher(publisher)) => {
                    publisher.accepted = true;
                    publisher.next = now;
                }
                (ClientEvent::Refused(status), _) => self.refused = Some(status.code.to_string()),
                (ClientEvent::Status(status) | ClientEvent::Ended(status), _) => {
                    self.statuses.push(status.code.to_string());
                }
                (ClientEvent::ReconnectRequested { .. }, _) => self.reconnect_asked = true,
                (ClientEvent::Closed, _) => self.leaves = true,
                _ => {}
            }
        }
    }
}

fn target(stream: &str, purpose: Purpose) -> Target {
    let mut target = Target::new("rtmp://v.example/live", "live", stream, purpose);
    target.properties = Object::new().with("pageUrl", Value::from("https://www.example.com/page"));
    target
}

impl Client for Actor {
    fn handle_input(&mut self, now: Instant, bytes: &mut BytesMut) {
        loop {
            let progress = self.connection.handle_input(now, bytes);
            self.take_events(now);
            match progress {
                Ok(Progress::Paused) if !bytes.is_empty() => {}
                Ok(_) => break,
                Err(error) => panic!("a server broke the protocol: {error}"),
            }
        }
        self.take_events(now);
    }

    fn handle_closed(&mut self, _now: Instant) {
        self.ended = true;
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Role::Publisher(publisher) = &mut self.role else { return };
        if !publisher.accepted || self.ended || publisher.silent {
            return;
        }
        while publisher.next <= now {
            for media in publisher.tick() {
                if self.connection.send_media(&media).is_err() {
                    return;
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.role {
            Role::Publisher(publisher) if publisher.accepted && !self.ended && !publisher.silent => {
                Some(publisher.next)
            }
            _ => None,
        }
    }

    fn outgoing(&mut self) -> &mut BytesMut {
        self.connection.outgoing()
    }

    fn wants_close(&self) -> bool {
        self.leaves
    }
}

impl Publisher {
    /// The messages of the next moment.
    fn tick(&mut self) -> Vec<Media> {
        let mut messages = Vec::new();
        let time = Timestamp::from_millis(self.base.wrapping_add(self.elapsed as u32));
        if self.elapsed == 0 {
            messages.push(self.message(MediaKind::Audio, time, &[0xaf, 0, 0x12, 0x10], 0));
            messages.push(self.message(MediaKind::Video, time, &[0x17, 0, 0, 0, 0], 0));
        }
        if self.elapsed.is_multiple_of(PICTURE_MS) {
            let key = u64::from(self.pictures).is_multiple_of(GOP);
            let first = if key { 0x17 } else { 0x27 };
            messages.push(self.message(MediaKind::Video, time, &[first, 1, 0, 0, 0], self.pictures));
            self.pictures += 1;
        }
        if self.elapsed.is_multiple_of(AUDIO_MS) {
            messages.push(self.message(MediaKind::Audio, time, &[0xaf, 1], self.sounds));
            self.sounds += 1;
        }
        let next = |period: u64| (self.elapsed / period + 1) * period;
        let step = next(PICTURE_MS).min(next(AUDIO_MS)) - self.elapsed;
        self.elapsed += step;
        self.next += Duration::from_millis(step);
        messages
    }

    fn message(&self, kind: MediaKind, timestamp: Timestamp, head: &[u8], number: u32) -> Media {
        let mut payload = BytesMut::from(head);
        payload.put_u8(self.source);
        payload.put_u32(number);
        if head.get(1) == Some(&1) {
            payload.put_bytes(self.source, self.bytes);
        }
        Media { kind, timestamp, payload: payload.freeze() }
    }
}

impl Judge {
    fn look(&mut self, now: Instant, media: &Media) {
        self.heard = Some(now);
        let payload = &media.payload;
        let (lane, head, is_header) = match media.kind {
            MediaKind::Video => (1, 5, payload[1] == 0),
            MediaKind::Audio => (0, if payload[1] == 0 { 4 } else { 2 }, payload[1] == 0),
            MediaKind::Data => {
                self.metadata += 1;
                return;
            }
        };
        let source = payload[head];
        let number =
            u32::from_be_bytes([payload[head + 1], payload[head + 2], payload[head + 3], payload[head + 4]]);
        if is_header {
            self.headers[lane] = Some(source);
            return;
        }
        assert_eq!(self.headers[lane], Some(source), "a frame without its sequence header");
        if let Some(last) = self.last_time {
            let step = media.timestamp.since(last);
            // A viewer that was stalled misses as much as it was behind.
            assert!((0..=60_000).contains(&step), "time steps by {step} ms");
        }
        self.last_time = Some(media.timestamp);
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
        match media.kind {
            MediaKind::Video => self.picture(source, number, payload[0] == 0x17),
            _ => self.sound(source, number),
        }
        self.started = true;
    }

    fn picture(&mut self, source: u8, number: u32, is_key: bool) {
        self.pictures += 1;
        match self.last_picture.replace((source, number)) {
            Some((before, last)) if before == source && number == last + 1 => {}
            Some((before, last)) => {
                self.gaps += 1;
                assert!(is_key, "after picture {last} comes {number}, which is no key frame");
                let forward = before != source || number > last;
                assert!(
                    forward || self.may_repeat,
                    "picture {number} of source {source} again, after {last}"
                );
            }
            None => assert!(is_key || self.any_start, "begins with picture {number}, which is no key frame"),
        }
    }

    fn sound(&mut self, source: u8, number: u32) {
        self.sounds += 1;
        if let Some((before, last)) = self.last_sound.replace((source, number))
            && before == source
        {
            let forward = number > last;
            assert!(forward || self.may_repeat, "sound {number} of source {source} again, after {last}");
            assert!(
                number <= last + 1 || self.gaps > 0 || self.has_paused,
                "sounds {last} to {number} are missing"
            );
        }
    }
}
