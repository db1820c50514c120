//! The server's side of a connection under any bytes, any calls of its owner and any passing of time.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{ChunkWriter, Message, MessageType};
use rtmp_core::handshake::{ClientHandshake, Scheme};
use rtmp_core::message::{Command, Status, status::code};
use rtmp_core::{
    ConnectionConfig, Media, MediaKind, Progress, RequestId, ServerConnection, ServerEvent, Timestamp,
};

const PARTIAL_MAX: usize = 100_000;
const OUTGOING_MAX: usize = 200_000;

struct World {
    now: Instant,
    server: ServerConnection,
    input: BytesMut,
    request: Option<RequestId>,
    failed: bool,
    closed: bool,
}

impl World {
    /// Lets the machine read, and takes what it has.
    fn turn(&mut self) {
        for _ in 0..10_000 {
            let before = self.input.len();
            let progress = self.server.handle_input(self.now, &mut self.input);
            assert!(
                !self.failed || progress == Ok(Progress::NeedBytes),
                "after the end input is thrown away"
            );
            self.failed |= progress.is_err();
            let mut moved = self.input.len() < before;
            while let Some(event) = self.server.poll_event() {
                assert!(!self.closed, "Closed is the last event");
                moved = true;
                match event {
                    ServerEvent::ConnectRequested { request, .. }
                    | ServerEvent::PublishRequested { request, .. }
                    | ServerEvent::PlayRequested { request, .. } => {
                        assert!(self.request.replace(request).is_none(), "one question at a time");
                    }
                    ServerEvent::Closed => (self.closed, self.request) = (true, None),
                    _ => {}
                }
            }
            match progress {
                Ok(Progress::Asking) => {
                    assert!(self.request.is_some(), "asks for an answer");
                    return;
                }
                Ok(Progress::Paused) if moved => {}
                // The owner sends nothing: replies pile up to their bound and input waits.
                Ok(Progress::Paused) => {
                    assert!(!self.server.outgoing().is_empty());
                    return;
                }
                Ok(Progress::NeedBytes) | Err(_) => return,
            }
        }
        panic!("input is not consumed");
    }

    fn check(&mut self) {
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.failed |= self.server.handle_timeout(self.now).is_err();
            self.turn();
            assert!(self.server.poll_timeout().is_none_or(|at| at > self.now), "a deadline moves");
        }
        assert!(!self.failed || self.closed, "an error ends the connection");
        assert!(!self.closed || self.server.poll_timeout().is_none());
        let memory = self.server.memory_bytes();
        assert!(memory < PARTIAL_MAX + 2 * OUTGOING_MAX + (200 << 10), "{memory} bytes");
    }
}

/// What well-behaved peers say.
fn call(which: u8, argument: &str, number: f64) -> (Command, u32) {
    let named = |name, transaction: f64| Command::new(name, transaction);
    match which % 14 {
        0 => {
            let mut connect = named("connect", 1.0);
            connect.object =
                Value::Object(Object::new().with("app", "live").with("tcUrl", "rtmp://v.com/live"));
            (connect, 0)
        }
        1 => (named("releaseStream", 2.0).with(argument), 0),
        2 => (named("FCPublish", 3.0).with(argument), 0),
        3 => (named("createStream", 4.0), 0),
        4 => (named("publish", 5.0).with(argument).with("live"), 1),
        5 => (named("play", 5.0).with(argument).with(number).with(number), 1),
        6 => (named("FCUnpublish", 6.0).with(argument), 0),
        7 => (named("deleteStream", 7.0).with(number), 0),
        8 => (named("closeStream", 0.0), 1),
        9 => (named("pause", 0.0).with(number > 0.0).with(number), 1),
        10 => (named("receiveAudio", 0.0).with(number > 0.0), 1),
        11 => (named("receiveVideo", 0.0).with(number > 0.0), 1),
        12 => (named("seek", 0.0).with(number), 1),
        _ => (named("_checkbw", number).with(argument), 0),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut config = ConnectionConfig::default();
    config.limits.partial_bytes_max = PARTIAL_MAX;
    config.limits.outgoing_bytes_max = OUTGOING_MAX;
    config.limits.events_max = 20;
    config.limits.chunk_size_min = 1;
    config.timeouts.ping = Some(Duration::from_secs(10));
    let now = Instant::now();
    let mut world = World {
        now,
        server: ServerConnection::new(Arc::new(config), 1, now),
        input: BytesMut::new(),
        request: None,
        failed: false,
        closed: false,
    };
    let mut writer = ChunkWriter::default();
    let mut rest = data;
    if rest.first().is_some_and(|first| first & 1 == 0) {
        let mut handshake = ClientHandshake::new(1, Scheme::Simple, &mut world.input);
        world.turn();
        handshake.handle_input(world.server.outgoing(), &mut world.input).expect("S0 S1 S2");
        world.turn();
    }
    rest = rest.get(1..).unwrap_or_default();
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        match what % 10 {
            0 => world.input.extend_from_slice(body),
            1..4 => {
                let (command, msid) = call(a, &String::from_utf8_lossy(body), f64::from(b) - 3.0);
                if let Ok(message) = command.message(msid) {
                    writer.write(&mut world.input, &message);
                }
            }
            4 => {
                let payload = Bytes::copy_from_slice(body);
                let timestamp = Timestamp::from_millis(u32::from(b) << (a & 24));
                let (csid, kind) = (2 + u32::from(a & 7), MessageType(b % 23));
                writer.write(
                    &mut world.input,
                    &Message { csid, timestamp, kind, msid: u32::from(a >> 6), payload },
                );
                if kind == MessageType::SET_CHUNK_SIZE
                    && let Some(size) = body.first_chunk::<4>()
                {
                    writer.set_chunk_size(u32::from_be_bytes(*size) & 0x7fff_ffff);
                }
            }
            5 => {
                if let Some(request) = world.request.take() {
                    let answered = match a % 4 {
                        0 => world.server.reject(request, &Status::error(code::CONNECT_REJECTED, "no")),
                        _ => world.server.accept(world.now, request),
                    };
                    assert_eq!(answered, Ok(()), "the question was open");
                    assert!(world.server.accept(world.now, request).is_err(), "and is not any more");
                }
            }
            6 => {
                let kind = MediaKind::ALL[usize::from(a) % 3];
                let media = Media {
                    kind,
                    timestamp: Timestamp::from_millis(u32::from(b) * 40),
                    payload: Bytes::copy_from_slice(body),
                };
                let _ = world.server.send_media(&media);
            }
            7 => {
                world.now += Duration::from_millis(u64::from(a) * u64::from(b));
                world.failed |= world.server.handle_timeout(world.now).is_err();
            }
            8 => {
                let waiting = world.server.outgoing().len();
                world.server.outgoing().advance(waiting.min(usize::from(a) * 16));
            }
            _ => match a % 6 {
                0 => world.server.ping(world.now),
                1 => drop(world.server.end_stream(world.now, &Status::ok(code::PLAY_STOP, "over"))),
                2 => drop(world.server.send_status(&Status::ok(code::PLAY_STOP, "hm"))),
                3 => drop(world.server.request_reconnect(Some("rtmp://b/live"), "moving")),
                4 => world.server.outgoing().clear(),
                _ => world.server.close(Some(&Status::error(code::CONNECT_CLOSED, "bye"))),
            },
        }
        world.turn();
        world.check();
    }
});
