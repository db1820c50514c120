//! Captured byte streams of shipped programs, replayed into our machines.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rtmp_core::amf::amf0;
use rtmp_core::chunk::{ChunkReader, Message, MessageType};
use rtmp_core::handshake::Scheme;
use rtmp_core::media::MediaRole;
use rtmp_core::message::{Control, Status};
use rtmp_core::{
    AmfLimits, BandwidthDone, ClientConnection, ClientEvent, ConnectionConfig, MediaKind, Progress, Purpose,
    ServerConnection, ServerEvent, Target,
};

const HANDSHAKE: usize = 1 + 2 * 1536;

struct Capture {
    name: String,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// Time, direction (`true` towards the server) and bytes.
    steps: Vec<(u64, bool, usize)>,
}

fn captures() -> Vec<Capture> {
    let folder = common::data("captures");
    let files = std::fs::read_dir(&folder).expect("captures");
    let names: BTreeSet<String> = files
        .filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".tl")?.to_owned()))
        .collect();
    let read = |name: String| std::fs::read(folder.join(name)).expect("capture file");
    let load = |name: String| {
        let timeline = String::from_utf8(read(format!("{name}.tl"))).expect("text");
        let step = |line: &str| {
            let mut words = line.split_whitespace();
            let millis = words.next()?.parse().ok()?;
            let to_server = words.next()? == ">";
            Some((millis, to_server, words.next()?.parse().ok()?))
        };
        let steps = timeline.lines().filter_map(step).collect();
        let (to_server, to_client) = (read(format!("{name}.c2s.bin")), read(format!("{name}.s2c.bin")));
        Capture { name, to_server, to_client, steps }
    };
    let captures: Vec<_> = names.into_iter().map(load).collect();
    assert_eq!(captures.len(), 16);
    captures
}

fn messages(wire: &[u8]) -> Vec<Message> {
    let mut input = BytesMut::from(wire);
    input.advance(HANDSHAKE);
    let mut reader = ChunkReader::new(&common::wide_limits());
    std::iter::from_fn(|| reader.read(&mut input).expect("a legal stream")).collect()
}

fn media_of(messages: &[Message]) -> Vec<(MediaKind, u32, usize)> {
    let media = |m: &Message| Some((MediaKind::of(m.kind)?, m.timestamp.millis(), m.payload.len()));
    messages.iter().filter_map(media).collect()
}

/// A command, status or control message in words that do not depend on names and numbers of an implementation.
fn in_words(message: &Message) -> Option<String> {
    match Control::parse(message.kind, &message.payload) {
        Ok(Some(Control::Acknowledgement(_))) => return None,
        Ok(Some(Control::UserControl(event))) => return Some(format!("{event:?}")),
        Ok(Some(_)) => return Some(format!("control {}", message.kind.0)),
        _ => {}
    }
    if message.kind != MessageType::COMMAND && message.kind != MessageType::DATA {
        return None;
    }
    let values = amf0::decode_all(message.payload.clone(), AmfLimits::default()).expect("AMF");
    let name = values[0].as_str().expect("a name");
    if name == "onMetaData" {
        return None;
    }
    let transaction = values[1].as_number().unwrap_or(0.0);
    Some(match values.get(3).and_then(Status::from_value) {
        Some(status) => format!("{name} {} {}", status.code, transaction),
        None => format!("{name} {transaction}"),
    })
}

/// Answers every request with yes.
fn accept_all(server: &mut ServerConnection, now: Instant, seen: &mut Seen) {
    while let Some(event) = server.poll_event() {
        match event {
            ServerEvent::Handshaken(info) => seen.digest = info.scheme != Scheme::Simple,
            ServerEvent::ConnectRequested { request, connect } => {
                assert_eq!(connect.app, "live");
                server.accept(now, request).expect("open request");
            }
            ServerEvent::PublishRequested { request, name, .. } => {
                seen.names.push(format!("publish {name}"));
                server.accept(now, request).expect("open request");
            }
            ServerEvent::PlayRequested { request, name, .. } => {
                seen.names.push(format!("play {name}"));
                server.accept(now, request).expect("open request");
            }
            ServerEvent::Media(media) => {
                if media.role() == MediaRole::KeyFrame {
                    seen.keys += 1;
                }
                seen.media.push((media.kind, media.timestamp.millis(), media.payload.len()));
            }
            ServerEvent::Ended(_) => seen.ended += 1,
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    digest: bool,
    names: Vec<String>,
    media: Vec<(MediaKind, u32, usize)>,
    keys: usize,
    ended: usize,
}

#[test]
fn every_captured_client_gets_the_answers_it_got_from_its_server() {
    for capture in captures() {
        let mut config = ConnectionConfig::default();
        let from_srs = !capture.name.ends_with("nginxrtmp");
        config.bandwidth_done = if from_srs { BandwidthDone::Send } else { BandwidthDone::Omit };
        let start = Instant::now();
        let mut server = ServerConnection::new(Arc::new(config), 1, start);
        let mut seen = Seen::default();
        let mut answered = Vec::new();
        let mut input = BytesMut::new();
        let mut rest = &capture.to_server[..];
        for (millis, to_server, bytes) in &capture.steps {
            let now = start + Duration::from_millis(*millis);
            if server.poll_timeout().is_some_and(|at| at <= now) {
                server.handle_timeout(now).expect(&capture.name);
            }
            if !to_server {
                continue;
            }
            let (piece, later) = rest.split_at((*bytes).min(rest.len()));
            rest = later;
            input.extend_from_slice(piece);
            loop {
                let progress = server.handle_input(now, &mut input).expect(&capture.name);
                accept_all(&mut server, now, &mut seen);
                answered.extend_from_slice(&server.outgoing().split());
                if progress == Progress::NeedBytes {
                    break;
                }
            }
        }
        let name = &capture.name;
        let digest = ["ffmpeg", "vlc", "nginx", "srs"].iter().any(|client| name.starts_with(client));
        assert_eq!(seen.digest, digest, "{name}");
        assert_eq!(seen.names.len(), 1, "{name}: {:?}", seen.names);
        let is_publish = ["publish", "push", "forward"].iter().any(|word| name.contains(word));
        assert_eq!(seen.names[0].starts_with("publish"), is_publish, "{name}");
        let media = media_of(&messages(&capture.to_server));
        assert_eq!(seen.media, media, "{name}");
        assert_eq!(is_publish, !media.is_empty(), "{name}");
        assert_eq!(seen.keys > 0, is_publish, "{name}");

        // Neither measured server answers `getStreamLength`; we say 0 as the protocol asks.
        let length_result = messages(&capture.to_server)
            .iter()
            .filter_map(in_words)
            .find_map(|word| Some(format!("_result {}", word.strip_prefix("getStreamLength ")?)));
        let ours: Vec<_> = messages(&answered).iter().filter_map(in_words).collect();
        let ours: Vec<_> = ours.into_iter().filter(|word| Some(word) != length_result.as_ref()).collect();
        let theirs: Vec<_> = messages(&capture.to_client).iter().filter_map(in_words).collect();
        let (ours, theirs) = (comparable(ours, from_srs), comparable(theirs, from_srs));
        // The captures towards the server are cut, so we did not see the end of the publish that the server saw; and
        // one server tells a player who leaves that the stream has ended.
        let (shared, end) = theirs.split_at(ours.len().min(theirs.len()));
        assert_eq!(ours, shared, "{name}");
        let ends = ["_result 7", "_result 8", "StreamEof(1)"];
        let is_end = |word: &String| word.contains("npublish") || ends.contains(&word.as_str());
        assert!(end.iter().all(is_end), "{name}: {end:?}");
    }
}

/// Leaves out what nginx-rtmp does differently from SRS, whose answers ours follow.
fn comparable(words: Vec<String>, from_srs: bool) -> Vec<String> {
    let keep = |word: &String| match word.as_str() {
        "onStatus NetStream.Play.Reset 0" => from_srs,
        // It answers neither `releaseStream` nor `FCPublish`.
        "_result 2" | "_result 3" => from_srs,
        word if word.starts_with("onFCPublish") => from_srs,
        _ => true,
    };
    words.into_iter().filter(keep).collect()
}

#[test]
fn every_captured_server_is_understood() {
    for capture in captures() {
        let start = Instant::now();
        let name = &capture.name;
        let is_publish = ["publish", "push", "forward"].iter().any(|word| name.contains(word));
        let expected = messages(&capture.to_client);
        let purpose = if is_publish { Purpose::Publish(Default::default()) } else { Purpose::Play };
        let target = Target::new("rtmp://127.0.0.1/live", "live", "cap", purpose);
        let mut client = ClientConnection::new(Arc::default(), target, 1, start);
        let mut wire = BytesMut::from(&capture.to_client[..]);
        renumber(&mut wire);
        let mut input = BytesMut::new();
        let mut events = Vec::new();
        for piece in wire.chunks(1234) {
            input.extend_from_slice(piece);
            while client.handle_input(start, &mut input).expect(name) == Progress::Paused {
                events.extend(std::iter::from_fn(|| client.poll_event()));
            }
            events.extend(std::iter::from_fn(|| client.poll_event()));
            client.outgoing().clear();
        }
        let media: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Media(media) => {
                    Some((media.kind, media.timestamp.millis(), media.payload.len()))
                }
                _ => None,
            })
            .collect();
        assert!(matches!(events[0], ClientEvent::Handshaken(_)), "{name}");
        assert!(matches!(events[1], ClientEvent::Connected(_)), "{name}");
        let started = match is_publish {
            true => ClientEvent::PublishAccepted,
            false => ClientEvent::PlayStarted,
        };
        assert_eq!(events.iter().filter(|event| **event == started).count(), 1, "{name}: {events:?}");
        assert_eq!(media, media_of(&expected), "{name}");
        assert!(
            !events.iter().any(|event| matches!(event, ClientEvent::Refused(_) | ClientEvent::Closed)),
            "{name}"
        );
    }
}

/// Gives the result of `createStream` the number our client uses. It is found by its shape: `_result`, a transaction,
/// null, the number 1.
fn renumber(wire: &mut BytesMut) {
    let shape = |at: usize, wire: &BytesMut| {
        wire[at..].starts_with(b"\x02\x00\x07_result\x00")
            && wire.get(at + 19..at + 29) == Some(&b"\x05\x00\x3f\xf0\0\0\0\0\0\0"[..])
    };
    let at = (HANDSHAKE..wire.len().min(8000)).find(|&at| shape(at, wire)).expect("a result of createStream");
    wire[at + 11..at + 19].copy_from_slice(&4.0_f64.to_be_bytes());
}
