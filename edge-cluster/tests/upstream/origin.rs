//! Simulated origins.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use edge_cluster::upstream::ConnectFailure;
use rtmp_core::message::{Connect, Status, status::code};
use rtmp_core::sim::{End, Pair};
use rtmp_core::{EndReason, Media, MediaKind, ServerConnection, ServerEvent, Timestamp};

/// Between two frames of a publisher.
pub(crate) const FRAME: Duration = Duration::from_millis(40);

/// How an origin behaves towards the next connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Behaviour {
    /// Serves; media flows while `publishing`.
    Up,
    /// The port is closed.
    Closed,
    /// Nothing answers, not even TCP.
    Dark,
    /// TCP answers, RTMP never.
    Mute,
    /// Refuses `connect`.
    RefuseConnect(Status),
    /// Refuses `play` or `publish`.
    RefuseStream(Status),
    /// Takes the request and never answers it.
    Wordless,
}

#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) behaviour: Behaviour,
    pub(crate) publishing: bool,
    /// `connect` calls seen.
    pub(crate) connects: Vec<Connect>,
    /// Names asked for.
    pub(crate) names: Vec<String>,
    /// How publishes introduced themselves.
    pub(crate) styles: Vec<&'static str>,
    /// Media that a publish brought.
    pub(crate) received: Vec<Media>,
    /// Publishes that ended with a good-bye.
    pub(crate) farewells: usize,
}

/// The connection of the machine, and its origin's end of it.
pub(crate) struct Live {
    pub(crate) attempt: u64,
    pub(crate) host: String,
    /// When TCP is there, or fails; `None` once reported.
    pub(crate) opens: Option<(Instant, Result<(), ConnectFailure>)>,
    pub(crate) pair: Pair,
    pub(crate) server: ServerConnection,
    pub(crate) to_client: BytesMut,
    pub(crate) to_server: BytesMut,
    pub(crate) frames: u32,
    pub(crate) next_frame: Instant,
    pub(crate) keep_alive: bool,
}

impl Live {
    /// When something is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let opens = self.opens.map(|(at, _)| at);
        let frame = (opens.is_none()).then_some(self.next_frame);
        [opens, frame, self.pair.poll_timeout()].into_iter().flatten().min()
    }
}

/// The origin's part.
pub(crate) fn serve(live: &mut Live, origin: &mut Origin, now: Instant) -> bool {
    let mut moved = false;
    while let Some(event) = live.server.poll_event() {
        moved = true;
        if let ServerEvent::PublishRequested { style, .. } = &event {
            origin.styles.push(style.as_str());
        }
        match event {
            ServerEvent::ConnectRequested { request, connect } => {
                origin.connects.push(*connect);
                let _ = match &origin.behaviour {
                    Behaviour::RefuseConnect(status) => live.server.reject(request, status),
                    _ => live.server.accept(now, request),
                };
            }
            ServerEvent::PlayRequested { request, name, .. }
            | ServerEvent::PublishRequested { request, name, .. } => {
                origin.names.push(name.to_string());
                let _ = match &origin.behaviour {
                    Behaviour::RefuseStream(status) => live.server.reject(request, status),
                    // The request stays open.
                    Behaviour::Wordless => Ok(()),
                    _ => live.server.accept(now, request),
                };
            }
            ServerEvent::Media(media) => origin.received.push(media),
            ServerEvent::Ended(EndReason::Peer) => origin.farewells += 1,
            ServerEvent::Closed => {
                live.pair.send(now, End::Server, live.server.outgoing());
                live.pair.close(End::Server);
            }
            _ => {}
        }
    }
    if now >= live.next_frame {
        live.next_frame = now + FRAME;
        if origin.publishing && live.server.msid().is_some() {
            // Refused while the connection publishes.
            if live.server.send_media(&frame(live.frames)).is_ok() {
                live.frames += 1;
            }
        } else if live.keep_alive {
            live.server.ping(now);
        }
        moved = true;
    }
    moved
}

/// Video at 25 frames per second; the first message is the sequence header, each 25th frame a key frame.
pub(crate) fn frame(n: u32) -> Media {
    let payload = match n {
        0 => vec![0x17, 0, 0, 0, 0, 1],
        n if n % 25 == 1 => vec![0x17, 1, 0, 0, 0, n as u8],
        n => vec![0x27, 1, 0, 0, 0, n as u8],
    };
    Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(n * 40), payload: payload.into() }
}

/// What viewers get as metadata.
pub(crate) fn metadata() -> Media {
    let payload = Bytes::from_static(b"\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09");
    Media { kind: MediaKind::Data, timestamp: Timestamp::ZERO, payload }
}

pub(crate) fn not_found() -> Status {
    Status::error(code::PLAY_STREAM_NOT_FOUND, "no such stream")
}
