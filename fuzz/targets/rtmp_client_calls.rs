//! The client's side of a connection under any bytes, any answers and any passing of time.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{ChunkWriter, Message, MessageType};
use rtmp_core::handshake::{ProxyTrust, ServerHandshake};
use rtmp_core::message::{Command, PauseState, PublishKind, Status, status::code};
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, Target, Timestamp,
};

const PARTIAL_MAX: usize = 100_000;
const OUTGOING_MAX: usize = 200_000;
const CODES: [&str; 12] = [
    code::CONNECT_SUCCESS,
    code::CONNECT_REJECTED,
    code::CONNECT_CLOSED,
    code::CONNECT_RECONNECT,
    code::PUBLISH_START,
    code::PUBLISH_BAD_NAME,
    code::PLAY_START,
    code::PLAY_STREAM_NOT_FOUND,
    code::PLAY_UNPUBLISH_NOTIFY,
    code::PLAY_STOP,
    code::PLAY_COMPLETE,
    code::UNPUBLISH_SUCCESS,
];

struct World {
    now: Instant,
    client: ClientConnection,
    input: BytesMut,
    failed: bool,
    closed: bool,
}

impl World {
    fn turn(&mut self) {
        for _ in 0..10_000 {
            let before = self.input.len();
            let progress = self.client.handle_input(self.now, &mut self.input);
            assert!(
                !self.failed || progress == Ok(Progress::NeedBytes),
                "after the end input is thrown away"
            );
            self.failed |= progress.is_err();
            let mut moved = self.input.len() < before;
            while let Some(event) = self.client.poll_event() {
                assert!(!self.closed, "Closed is the last event");
                moved = true;
                self.closed |= event == ClientEvent::Closed;
            }
            match progress {
                Ok(Progress::Asking) => panic!("clients do not ask"),
                Ok(Progress::Paused) if moved => {}
                Ok(Progress::Paused) => {
                    assert!(!self.client.outgoing().is_empty());
                    return;
                }
                Ok(Progress::NeedBytes) | Err(_) => return,
            }
        }
        panic!("input is not consumed");
    }

    fn check(&mut self) {
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            self.failed |= self.client.handle_timeout(self.now).is_err();
            self.turn();
            assert!(self.client.poll_timeout().is_none_or(|at| at > self.now), "a deadline moves");
        }
        assert!(!self.failed || self.closed, "an error ends the connection");
        assert!(!self.closed || self.client.poll_timeout().is_none() && self.client.msid().is_none());
        let memory = self.client.memory_bytes();
        assert!(memory < PARTIAL_MAX + 2 * OUTGOING_MAX + (200 << 10), "{memory} bytes");
    }
}

/// What servers answer.
fn answer(which: u8, number: f64, text: &str) -> Command {
    let code = CODES[usize::from(which >> 3) % CODES.len()];
    let status = match text {
        "" => Status::ok(code, "said"),
        _ if which & 4 == 0 => Status::redirect(text),
        _ => Status::error(code, text.to_owned()),
    };
    match which & 3 {
        0 => Command::new("_result", number).with(status.to_value()),
        1 => Command::new("_result", number).with(number),
        2 => Command::new("_error", number).with(status.to_value()),
        _ => Command::new("onStatus", 0.0).with(status.to_value()),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, mut rest)) = data.split_first() else { return };
    let mut config = ConnectionConfig::default();
    config.limits.partial_bytes_max = PARTIAL_MAX;
    config.limits.outgoing_bytes_max = OUTGOING_MAX;
    config.limits.events_max = 20;
    config.limits.chunk_size_min = 1;
    config.timeouts.ping = Some(Duration::from_secs(10));
    let now = Instant::now();
    let purpose = if how & 2 == 0 { Purpose::Play } else { Purpose::Publish(PublishKind::Live) };
    let mut target = Target::new("rtmp://v/live", "live", "show?a=b", purpose);
    target.arguments.push(Value::from("token"));
    let mut world = World {
        now,
        client: ClientConnection::new(Arc::new(config), target, 1, now),
        input: BytesMut::new(),
        failed: false,
        closed: false,
    };
    if how & 1 == 0 {
        let mut handshake = ServerHandshake::new(2, ProxyTrust::Untrusted);
        handshake.handle_input(world.client.outgoing(), &mut world.input).expect("C0 C1");
        world.turn();
        handshake.handle_input(world.client.outgoing(), &mut BytesMut::new()).expect("C2").expect("complete");
    }
    let mut writer = ChunkWriter::default();
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        match what % 8 {
            0 => world.input.extend_from_slice(body),
            1 | 2 => {
                let command = answer(a, f64::from(b % 8), &String::from_utf8_lossy(body));
                if let Ok(message) = command.message(u32::from(b >> 7)) {
                    writer.write(&mut world.input, &message);
                }
            }
            3 => {
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
            4 => {
                let kind = MediaKind::ALL[usize::from(a) % 3];
                let payload = Bytes::copy_from_slice(body);
                let _ = world.client.send_media(&Media {
                    kind,
                    timestamp: Timestamp::from_millis(u32::from(b) * 40),
                    payload,
                });
            }
            5 => {
                world.now += Duration::from_millis(u64::from(a) * u64::from(b));
                world.failed |= world.client.handle_timeout(world.now).is_err();
            }
            6 => {
                let waiting = world.client.outgoing().len();
                world.client.outgoing().advance(waiting.min(usize::from(a) * 16));
            }
            _ => match a % 4 {
                0 => drop(world.client.pause(world.now, PauseState::Paused, u32::from(b))),
                1 => drop(world.client.pause(world.now, PauseState::Playing, u32::from(b))),
                2 => world.client.outgoing().clear(),
                _ => drop(world.client.close()),
            },
        }
        world.turn();
        world.check();
    }
});
