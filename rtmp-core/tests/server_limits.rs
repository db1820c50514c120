//! Every bound of a server connection, hit.

mod common;

use bytes::{Bytes, BytesMut};
use common::peer::{IntoUnit, Peer};
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{Message, MessageType};
use rtmp_core::message::status::code;
use rtmp_core::message::{Command, Control, UserControl};
use rtmp_core::{
    ChunkError, CommandError, ConnectionConfig, ConnectionError, LimitExceeded, LimitKind, Limits, Media,
    MediaKind, NameFault, Progress, ServerEvent, StreamUrl, Timestamp,
};

fn limited(change: impl FnOnce(&mut Limits)) -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    change(&mut config.limits);
    config
}

fn limit(what: LimitKind, limit: u64) -> ConnectionError {
    ConnectionError::Limit(LimitExceeded { what, limit })
}

fn big(kind: MessageType, length: usize) -> Message {
    Message { csid: 6, timestamp: Timestamp::ZERO, kind, msid: 1, payload: Bytes::from(vec![2; length]) }
}

#[test]
fn messages_above_their_bound_close_the_connection() {
    let mut viewer = Peer::playing(ConnectionConfig::default());
    let video = u64::from(MessageType::VIDEO.0);
    assert_eq!(video, 9);
    let error = viewer.send(&big(MessageType::VIDEO, (64 << 10) + 1)).expect_err("too long");
    assert_eq!(error, limit(LimitKind::MessageBytes(9), 64 << 10));
    assert!(viewer.answers().contains(&"onStatus NetConnection.Connect.Rejected".to_owned()));

    let mut publisher = Peer::publishing(limited(|limits| limits.media_bytes_max = 100_000));
    assert!(publisher.send(&big(MessageType::VIDEO, 100_000)).is_ok());
    let error = publisher.send(&big(MessageType::AGGREGATE, 100_001)).expect_err("too long");
    assert_eq!(error, limit(LimitKind::MessageBytes(22), 100_000));

    let mut publisher = Peer::publishing(limited(|limits| limits.data_bytes_max = 1000));
    let error = publisher.send(&big(MessageType::DATA, 1001)).expect_err("too long");
    assert_eq!(error, limit(LimitKind::MessageBytes(18), 1000));

    let mut peer = Peer::connected(limited(|limits| limits.command_bytes_max = 1000));
    let error = peer.send(&big(MessageType::COMMAND, 1001)).expect_err("too long");
    assert_eq!(error, limit(LimitKind::MessageBytes(20), 1000));
}

/// The first chunk of `message` on `csid`, and nothing behind it.
fn unfinished(peer: &mut Peer, csid: u32, message: Message) -> Result<Progress, ConnectionError> {
    let mut wire = BytesMut::new();
    peer.writer.write(&mut wire, &Message { csid, ..message });
    let chunk = peer.writer.chunk_size() as usize;
    peer.input.extend_from_slice(&wire[..12 + chunk]);
    peer.feed()
}

#[test]
fn who_does_not_publish_may_leave_little_unfinished() {
    let config = || limited(|limits| limits.partial_idle_bytes_max = 250_000);
    let too_much = Err(limit(LimitKind::PartialBytes, 250_000));
    for mut peer in [Peer::greeted(config()), Peer::connected(config()), Peer::playing(config())] {
        peer.send(&Control::SetChunkSize(100_000).message()).expect("allowed").into_unit();
        peer.writer.set_chunk_size(100_000);
        let command = || big(MessageType::COMMAND, 200_000);
        assert!(unfinished(&mut peer, 10, command()).is_ok());
        assert!(unfinished(&mut peer, 11, command()).is_ok());
        assert_eq!(unfinished(&mut peer, 12, command()), too_much);
    }
    // What a publisher has in flight may end after its publish.
    let mut publisher = Peer::publishing(config());
    publisher.send(&Control::SetChunkSize(100_000).message()).expect("allowed").into_unit();
    publisher.writer.set_chunk_size(100_000);
    let picture = big(MessageType::VIDEO, 300_000);
    let mut wire = BytesMut::new();
    publisher.writer.write(&mut wire, &picture);
    publisher.input.extend_from_slice(&wire.split_to(12 + 100_000));
    assert!(publisher.feed().is_ok());
    publisher.call(Command::new("FCUnpublish", 6.0).with("show"), 1);
    publisher.input.extend_from_slice(&wire);
    assert!(publisher.feed().is_ok());
}

#[test]
fn commands_streams_and_chunk_streams_have_their_bounds() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    let call = Command::new("_checkbw", 0.0).message(0).expect("a command");
    // Two of the burst of 64 went into connecting.
    for _ in 0..62 {
        assert!(peer.send(&call).is_ok());
    }
    assert_eq!(peer.send(&call), Err(limit(LimitKind::Commands, 32)));

    let mut peer = Peer::connected(ConnectionConfig::default());
    let create = Command::new("createStream", 2.0).message(0).expect("a command");
    for _ in 0..7 {
        assert!(peer.send(&create).is_ok());
    }
    assert_eq!(peer.send(&create), Err(limit(LimitKind::CreateStreams, 8)));

    let ping = |csid| Message { csid, ..Control::Acknowledgement(0).message() };
    let mut peer = Peer::greeted(ConnectionConfig::default());
    for csid in 2..18 {
        assert!(peer.send(&ping(csid)).is_ok());
    }
    assert_eq!(peer.send(&ping(18)), Err(limit(LimitKind::ChunkStreams, 16)));
    let mut peer = Peer::publishing(ConnectionConfig::default());
    for csid in 2..66 {
        assert!(peer.send(&ping(csid)).is_ok(), "{csid}");
    }
    assert_eq!(peer.send(&ping(66)), Err(limit(LimitKind::ChunkStreams, 64)));
}

#[test]
fn names_above_their_bound_are_refused() {
    let mut peer = Peer::connected(limited(|limits| limits.name_bytes_max = 4));
    peer.call(Command::new("publish", 0.0).with("show?long=enough"), 1);
    assert!(matches!(peer.event(), ServerEvent::PublishRequested { .. }));
    for (name, change) in [
        ("a".repeat(513), limited(|_| ())),
        (format!("a?{}", "b".repeat(4096)), limited(|_| ())),
        ("abc".to_owned(), limited(|limits| limits.name_bytes_max = 2)),
    ] {
        let mut peer = Peer::connected(change);
        peer.call(Command::new("publish", 0.0).with(name), 1);
        let ServerEvent::Refused(status) = peer.event() else { panic!("not refused") };
        assert_eq!(status.code, code::PUBLISH_BAD_NAME);
        assert!(status.description.ends_with("is too long"), "{}", status.description);
        assert_eq!(peer.answers(), ["onStatus NetStream.Publish.BadName"]);
    }
    for (app, url) in [("a".repeat(513), "rtmp://v/a".to_owned()), ("live".to_owned(), "r".repeat(2049))] {
        let mut peer = Peer::greeted(ConnectionConfig::default());
        let mut command = Command::new("connect", 1.0);
        command.object = Value::Object(Object::new().with("app", app).with("tcUrl", url));
        peer.call(command, 0);
        assert_eq!(peer.answers(), ["_error NetConnection.Connect.Rejected"]);
    }
}

#[test]
fn names_that_cannot_be_used_are_known_wherever_they_come_from() {
    let fault = |tc_url: &str, stream: &str| {
        StreamUrl::parse(tc_url, stream).expect("a URL").fault(&Limits::default())
    };
    for (tc_url, stream, expected) in [
        ("rtmp://v/live", "show?a=..\\/..", None),
        ("rtmp://v/live/room..1", "..show", None),
        (&*format!("rtmp://v/{}", "a".repeat(512)), "show", None),
        (&*format!("rtmp://v/{}", "a".repeat(513)), "show", Some(NameFault::Length)),
        ("rtmp://v/live", &*"a".repeat(513), Some(NameFault::Length)),
        ("rtmp://v/live/../\\x", "", Some(NameFault::Backslash)),
        ("rtmp://v/live/..", "show", Some(NameFault::Upwards)),
        // Spaces are taken out of names.
        ("rtmp://v/live/. .", "show", Some(NameFault::Upwards)),
        ("rtmp://v/live\x07", "show", Some(NameFault::Control)),
        ("rtmp://v/live", "sh\u{85}ow", Some(NameFault::Control)),
    ] {
        assert_eq!(fault(tc_url, stream), expected, "{tc_url} {stream}");
    }
    // Over HTTP names come from a path that was decoded.
    let mut url = StreamUrl::parse("http://v/", "").expect("a URL");
    for (stream, expected) in
        [("a\nb", NameFault::Control), ("a?b", NameFault::Query), ("a#b", NameFault::Query)]
    {
        url.stream = stream.to_owned();
        assert_eq!(url.fault(&Limits::default()), Some(expected));
    }
}

#[test]
fn chunk_sizes_that_multiply_our_work_are_refused() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    let error = peer.send(&Control::SetChunkSize(127).message()).expect_err("too small");
    assert_eq!(error, ConnectionError::Chunk { csid: 2, kind: ChunkError::ChunkSize(127) });
    let mut peer = Peer::connected(limited(|limits| limits.chunk_size_min = 1));
    let error = peer.send(&Control::SetChunkSize(0).message()).expect_err("zero");
    assert_eq!(error, ConnectionError::Chunk { csid: 2, kind: ChunkError::ChunkSize(0) });
    // When small chunks are allowed their headers are rationed.
    let mut peer = Peer::publishing(limited(|limits| limits.chunk_size_min = 1));
    peer.send(&Control::SetChunkSize(1).message()).expect("allowed").into_unit();
    peer.writer.set_chunk_size(1);
    assert_eq!(peer.send(&big(MessageType::VIDEO, 10_000)), Err(limit(LimitKind::ChunkHeaders, 2048)));
}

#[test]
fn aggregates_give_no_more_messages_than_allowed() {
    let mut peer = Peer::publishing(limited(|limits| limits.aggregate_tags_max = 3));
    let mut tags = BytesMut::new();
    for _ in 0..5 {
        let payload = Bytes::from_static(&[0xaf, 1]);
        let media = Media { kind: MediaKind::Audio, timestamp: Timestamp::ZERO, payload };
        rtmp_core::flv::write_tag(&mut tags, &media);
    }
    let payload = tags.freeze();
    let kind = MessageType::AGGREGATE;
    peer.send(&Message { csid: 6, timestamp: Timestamp::ZERO, kind, msid: 1, payload })
        .expect("ok")
        .into_unit();
    let events = std::iter::from_fn(|| peer.server.poll_event()).count();
    assert_eq!((events, peer.server.stats().aggregates_cut), (3, 1));
}

#[test]
fn input_waits_while_events_or_replies_are_not_taken() {
    let mut peer = Peer::publishing(limited(|limits| limits.events_max = 4));
    for _ in 0..10 {
        assert!(peer.media(MediaKind::Audio, 0, &[0xaf, 1]).is_ok());
    }
    let mut seen = 0;
    loop {
        let taken = std::iter::from_fn(|| peer.server.poll_event()).count();
        assert!(taken <= 4);
        seen += taken;
        if peer.feed() == Ok(Progress::NeedBytes) && taken == 0 {
            break;
        }
    }
    assert_eq!(seen, 10);

    let mut peer = Peer::connected(limited(|limits| {
        limits.reply_bytes_max = 600;
        limits.pings_per_second = 1000;
    }));
    let ping = Control::UserControl(UserControl::PingRequest(1)).message();
    let paused = (0..100).find(|_| peer.send(&ping) == Ok(Progress::Paused)).expect("paused");
    assert!(paused < 40);
    assert!(peer.server.outgoing().len() < 700);
    peer.answers();
    assert_eq!(peer.feed(), Ok(Progress::NeedBytes));
}

#[test]
fn private_media_has_a_bound() {
    let mut peer = Peer::playing(limited(|limits| limits.outgoing_bytes_max = 5000));
    let media =
        Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload: Bytes::from(vec![0x27; 1000]) };
    let refused = (0..10).find_map(|_| peer.server.send_media(&media).err()).expect("refused");
    assert!(matches!(refused, CommandError::OutgoingFull(bytes) if (5000..6100).contains(&bytes)));
}
