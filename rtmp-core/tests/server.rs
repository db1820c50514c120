//! The server's side, scripted line by line.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use common::peer::{IntoUnit, Peer, connect};
use rtmp_core::amf::amf0::{self, Value};
use rtmp_core::amf::{Object, Text};
use rtmp_core::chunk::{Message, MessageType};
use rtmp_core::handshake::{ClientHandshake, Scheme};
use rtmp_core::message::{Command, Control, PauseState, PublishKind, Status, UserControl, status};
use rtmp_core::{
    AmfLimits, BandwidthDone, CommandError, ConnectionConfig, ConnectionError, EndReason, HandshakeError,
    Media, MediaKind, Progress, PublishStyle, ServerConnection, ServerEvent, Timestamp, Waiting,
};

#[test]
fn connect_is_answered_in_the_order_encoders_need() {
    let mut config = ConnectionConfig::default();
    config.bandwidth_done = BandwidthDone::Send;
    let mut peer = Peer::greeted(config);
    peer.call(connect(), 0);
    let ServerEvent::ConnectRequested { request, connect } = peer.event() else { panic!("connect") };
    assert_eq!((&connect.app, &connect.tc_url), (&Text::from("live"), &Text::from("rtmp://v.com/live")));
    assert!(peer.answers().is_empty(), "nothing is said before the owner decides");
    peer.server.accept(peer.now, request).expect("open request");
    assert_eq!(
        peer.answers(),
        [
            "WindowAckSize(2500000)",
            "SetPeerBandwidth { window: 2500000, limit: Dynamic }",
            "SetChunkSize(60000)",
            "_result NetConnection.Connect.Success",
            "onBWDone",
        ]
    );
    assert_eq!(peer.server.accept(peer.now, request), Err(CommandError::UnknownRequest));
}

#[test]
fn settings_that_become_known_later_are_announced() {
    let mut config = ConnectionConfig::default();
    config.window = 0;
    let mut peer = Peer::greeted(config.clone());
    peer.call(connect(), 0);
    let ServerEvent::ConnectRequested { request, .. } = peer.event() else { panic!("connect") };
    peer.server.configure(Arc::new(config.clone()));
    peer.server.accept(peer.now, request).expect("open request");
    assert_eq!(
        peer.answers(),
        ["SetChunkSize(60000)", "_result NetConnection.Connect.Success"],
        "no window is announced, the chunk size once"
    );
    config.chunk_size = 4096;
    peer.server.configure(Arc::new(config.clone()));
    peer.server.configure(Arc::new(config));
    assert_eq!(peer.answers(), ["SetChunkSize(4096)"]);
}

#[test]
fn a_missing_tc_url_is_made_from_the_app() {
    let mut peer = Peer::greeted(ConnectionConfig::default());
    let mut command = Command::new("connect", 1.0);
    command.object = Value::Object(Object::new().with("app", "live"));
    peer.call(command, 0);
    let ServerEvent::ConnectRequested { connect, .. } = peer.event() else { panic!("connect") };
    assert_eq!(connect.tc_url, "rtmp://__defaultVhost__/live");
}

#[test]
fn a_rejected_connect_gets_an_error_and_the_connection_closes() {
    let mut peer = Peer::greeted(ConnectionConfig::default());
    peer.call(connect(), 0);
    let ServerEvent::ConnectRequested { request, .. } = peer.event() else { panic!("connect") };
    let status = Status::error(status::code::CONNECT_INVALID_APP, "no such app");
    peer.server.reject(request, &status).expect("open request");
    assert_eq!(peer.answers(), ["_error NetConnection.Connect.InvalidApp"]);
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Closed));
    assert_eq!(peer.server.poll_timeout(), None);
}

#[test]
fn enhanced_clients_learn_that_everything_is_forwarded_and_follow_reconnects() {
    let mut peer = Peer::greeted(ConnectionConfig::default());
    let mut command = connect();
    let caps = Object::new().with("app", "live").with("tcUrl", "rtmp://v/live").with("capsEx", 1_u32);
    command.object = Value::Object(caps);
    peer.call(command, 0);
    let ServerEvent::ConnectRequested { request, connect } = peer.event() else { panic!("connect") };
    assert!(connect.capabilities.expect("named").has(rtmp_core::message::Capabilities::RECONNECT));
    peer.server.accept(peer.now, request).expect("open request");
    let messages = peer.messages();
    let result =
        Command::parse(MessageType::COMMAND, &messages[3].payload, AmfLimits::default()).expect("result");
    for object in [&result.object, &result.arguments[0]] {
        let object = object.as_object().expect("an object");
        assert_eq!(object.get("capsEx").and_then(Value::as_number), Some(15.0));
        assert!(object.get("videoFourCcInfoMap").is_some());
    }
    assert_eq!(peer.server.request_reconnect(Some("rtmp://other/live"), "maintenance"), Ok(true));
    assert_eq!(peer.answers(), ["onStatus NetConnection.Connect.ReconnectRequest"]);
    let mut plain = Peer::connected(ConnectionConfig::default());
    assert_eq!(plain.server.request_reconnect(None, "maintenance"), Ok(false));
    assert!(plain.answers().is_empty());
}

#[test]
fn a_play_is_answered_with_everything_players_wait_for() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    assert_eq!(
        peer.answers(),
        [
            "UserControl(StreamBegin(1))",
            "onStatus NetStream.Play.Reset",
            "onStatus NetStream.Play.Start",
            "|RtmpSampleAccess",
        ]
    );
    assert_eq!(peer.server.msid(), Some(1));
    let media =
        Media { kind: MediaKind::Audio, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0xaf, 0]) };
    peer.server.send_media(&media).expect("a play is running");
    assert_eq!(peer.messages(), [media.message(1)]);
}

#[test]
fn a_paused_viewer_gets_nothing_until_it_goes_on() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    peer.answers();
    let media =
        Media { kind: MediaKind::Video, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0x27, 1]) };
    peer.call(Command::new("pause", 0.0).with(true).with(1234_u32), 1);
    assert_eq!(peer.event(), ServerEvent::Pause(PauseState::Paused));
    assert_eq!(peer.answers(), ["onStatus NetStream.Pause.Notify", "UserControl(StreamEof(1))"]);
    peer.server.send_media(&media).expect("counted");
    assert!(peer.server.outgoing().is_empty());
    peer.call(Command::new("pause", 0.0).with(false).with(1234_u32), 1);
    assert_eq!(peer.event(), ServerEvent::Pause(PauseState::Playing));
    assert_eq!(peer.answers(), ["onStatus NetStream.Unpause.Notify", "UserControl(StreamBegin(1))"]);
    peer.call(Command::new("receiveVideo", 0.0).with(false), 1);
    assert_eq!(peer.event(), ServerEvent::Receive { kind: MediaKind::Video, wanted: false });
    peer.server.send_media(&media).expect("counted");
    assert!(peer.server.outgoing().is_empty());
    assert_eq!(peer.server.stats().media_skipped, 2);
    peer.call(Command::new("receiveVideo", 0.0).with(true), 1);
    peer.server.send_media(&media).expect("wanted again");
    assert_eq!(peer.messages(), [media.message(1)]);
}

#[test]
fn the_end_of_a_stream_is_told_and_the_connection_stays() {
    let mut peer = Peer::playing(ConnectionConfig::default());
    peer.answers();
    let status = Status::ok(status::code::PLAY_UNPUBLISH_NOTIFY, "publisher left");
    peer.server.end_stream(peer.now, &status).expect("a play is running");
    assert_eq!(peer.answers(), ["UserControl(StreamEof(1))", "onStatus NetStream.Play.UnpublishNotify"]);
    assert!(peer.server.end_stream(peer.now, &status).is_err());
    peer.call(Command::new("play", 0.0).with("other"), 1);
    assert!(matches!(peer.event(), ServerEvent::PlayRequested { name, .. } if &*name == "other"));
}

#[test]
fn a_play_ends_when_its_duration_is_over() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    peer.call(Command::new("play", 4.0).with("show").with(-1000.0).with(4000.0), 1);
    let ServerEvent::PlayRequested { request, .. } = peer.event() else { panic!("play") };
    peer.server.accept(peer.now, request).expect("open request");
    peer.answers();
    assert_eq!(peer.server.poll_timeout(), Some(peer.now + Duration::from_secs(4)));
    assert_eq!(peer.later(3999), Ok(()));
    assert_eq!(peer.server.poll_event(), None);
    assert_eq!(peer.later(1), Ok(()));
    assert_eq!(peer.event(), ServerEvent::Ended(EndReason::Duration));
    assert_eq!(peer.answers(), ["UserControl(StreamEof(1))", "onStatus NetStream.Play.Stop"]);
}

#[test]
fn an_encoder_publishes_and_leaves() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    // releaseStream behind createStream is no fmle style, FCPublish makes it the other one.
    peer.call(Command::new("FCPublish", 3.0).with("show"), 0);
    assert_eq!(peer.answers(), ["_result"]);
    peer.call(Command::new("publish", 5.0).with("show?k=1").with("live"), 1);
    let ServerEvent::PublishRequested { request, name, kind, style } = peer.event() else {
        panic!("publish")
    };
    assert_eq!((&*name, kind, style), ("show?k=1", PublishKind::Live, PublishStyle::Haivision));
    // Media behind the request waits for the answer.
    assert_eq!(peer.media(MediaKind::Video, 0, &[0x17, 0, 0, 0, 0, 1]), Ok(Progress::Asking));
    assert_eq!(peer.server.poll_event(), None);
    peer.server.accept(peer.now, request).expect("open request");
    assert_eq!(peer.feed(), Ok(Progress::NeedBytes));
    assert_eq!(peer.answers(), ["onFCPublish NetStream.Publish.Start", "onStatus NetStream.Publish.Start"]);
    assert!(matches!(peer.event(), ServerEvent::Media(media) if media.payload[..] == [0x17, 0, 0, 0, 0, 1]));
    peer.call(Command::new("FCUnpublish", 6.0).with("show"), 0);
    assert_eq!(
        peer.answers(),
        ["onFCUnpublish NetStream.Unpublish.Success", "_result", "onStatus NetStream.Unpublish.Success",]
    );
    assert_eq!(peer.event(), ServerEvent::Ended(EndReason::Peer));
    peer.call(Command::new("deleteStream", 7.0).with(1.0), 0);
    assert_eq!(peer.server.poll_event(), None, "it has ended already");
    peer.call(Command::new("close", 0.0), 0);
    assert_eq!(peer.event(), ServerEvent::Closed);
}

#[test]
fn the_style_of_most_encoders_is_recognised() {
    let mut peer = Peer::greeted(ConnectionConfig::default());
    peer.call(connect(), 0);
    let ServerEvent::ConnectRequested { request, .. } = peer.event() else { panic!("connect") };
    peer.server.accept(peer.now, request).expect("open request");
    peer.answers();
    // One encoder gives no transaction; the measured server answers it all the same.
    for name in ["releaseStream", "FCPublish"] {
        peer.call(Command::new(name, 0.0).with("show"), 0);
    }
    peer.call(Command::new("createStream", 2.0), 0);
    peer.call(Command::new("publish", 0.0).with("show"), 1);
    assert_eq!(peer.answers(), ["_result"; 3]);
    assert!(matches!(peer.event(), ServerEvent::PublishRequested { style: PublishStyle::Fmle, .. }));
    assert_eq!(PublishStyle::Fmle.as_str(), "fmle-publish");
}

#[test]
fn each_publish_of_a_connection_has_the_style_of_its_own_commands() {
    use PublishStyle::{Flash, Fmle, Haivision};
    let mut peer = Peer::publishing(ConnectionConfig::default());
    let rounds: [(&[&str], PublishStyle); 7] = [
        (&["FCUnpublish", "deleteStream", "releaseStream", "FCPublish", "createStream"], Fmle),
        (&["FCUnpublish", "createStream", "FCPublish"], Haivision),
        (&["closeStream", "createStream", "releaseStream"], Haivision),
        (&["deleteStream", "createStream"], Flash),
        (&["closeStream"], Flash),
        // Without an end in between, too.
        (&["releaseStream", "FCPublish", "createStream"], Fmle),
        (&["FCUnpublish", "FCPublish"], Fmle),
    ];
    for (commands, expected) in rounds {
        for name in commands {
            peer.call(Command::new(name, 0.0).with("show"), 1);
        }
        peer.call(Command::new("publish", 0.0).with("show"), 1);
        let requested = loop {
            match peer.event() {
                ServerEvent::Ended(_) => {}
                ServerEvent::PublishRequested { request, style, .. } => break (request, style),
                event => panic!("{event:?}"),
            }
        };
        peer.server.accept(peer.now, requested.0).expect("open request");
        assert_eq!(requested.1, expected, "{commands:?}");
        peer.answers();
    }
}

#[test]
fn a_rejected_publish_gets_its_status_before_the_end() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    peer.call(Command::new("publish", 5.0).with("busy"), 1);
    let ServerEvent::PublishRequested { request, .. } = peer.event() else { panic!("publish") };
    let status = Status::error(status::code::PUBLISH_BAD_NAME, "stream is busy");
    peer.server.reject(request, &status).expect("open request");
    assert_eq!(peer.answers(), ["onStatus NetStream.Publish.BadName"]);
    assert_eq!(peer.event(), ServerEvent::Closed);
}

#[test]
fn media_may_come_on_any_message_stream_and_in_aggregates() {
    let mut peer = Peer::publishing(ConnectionConfig::default());
    let audio =
        Media { kind: MediaKind::Audio, timestamp: Timestamp::ZERO, payload: Bytes::from_static(&[0xaf, 1]) };
    peer.send(&audio.message(0)).expect("accepted").into_unit();
    assert_eq!(peer.event(), ServerEvent::Media(audio));
    let mut tags = BytesMut::new();
    for millis in [100, 140] {
        let timestamp = Timestamp::from_millis(millis);
        let payload = Bytes::from_static(&[0x27, 1, 0, 0, 0]);
        rtmp_core::flv::write_tag(&mut tags, &Media { kind: MediaKind::Video, timestamp, payload });
    }
    let aggregate = Message {
        csid: 6,
        timestamp: Timestamp::from_millis(5000),
        kind: MessageType::AGGREGATE,
        msid: 1,
        payload: tags.freeze(),
    };
    peer.send(&aggregate).expect("accepted").into_unit();
    let mut times = Vec::new();
    while let Some(ServerEvent::Media(media)) = peer.server.poll_event() {
        times.push(media.timestamp.millis());
    }
    assert_eq!(times, [5000, 5040]);
}

#[test]
fn a_data_message_in_amf3_form_loses_its_format_byte() {
    let mut peer = Peer::publishing(ConnectionConfig::default());
    let data = |kind, payload| Message { csid: 4, timestamp: Timestamp::ZERO, kind, msid: 1, payload };
    let plain = Bytes::from_static(b"\x02\x00\x02hi");
    let with_byte = Bytes::from_static(b"\x00\x02\x00\x02hi");
    peer.send(&data(MessageType::DATA_AMF3, with_byte)).expect("accepted").into_unit();
    assert!(matches!(peer.event(), ServerEvent::Media(media) if media.payload == plain));
    peer.send(&data(MessageType::DATA_AMF3, plain.clone())).expect("accepted").into_unit();
    assert!(matches!(peer.event(), ServerEvent::Media(media) if media.payload == plain));
}

#[test]
fn media_outside_a_publish_is_counted_and_unknown_types_are_ignored() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    assert_eq!(peer.media(MediaKind::Audio, 0, &[0xaf, 1]), Ok(Progress::NeedBytes));
    let odd = Message {
        csid: 9,
        timestamp: Timestamp::ZERO,
        kind: MessageType(99),
        msid: 0,
        payload: Bytes::from_static(b"?"),
    };
    peer.send(&odd).expect("ignored").into_unit();
    assert_eq!(peer.server.poll_event(), None);
    let stats = peer.server.stats();
    assert_eq!((stats.media_unexpected, stats.messages_ignored), (1, 1));
}

#[test]
fn calls_are_answered_when_they_want_an_answer() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    peer.call(Command::new("getStreamLength", 3.0).with("show"), 0);
    assert_eq!(peer.answers(), ["_result"]);
    for quiet in ["_checkbw", "FCSubscribe", "seek"] {
        peer.call(Command::new(quiet, 4.0), 0);
        assert_eq!(peer.answers(), [""; 0], "{quiet}");
    }
    peer.call(Command::new("doSomething", 9.0).with("x"), 0);
    assert_eq!(peer.answers(), ["_result"]);
    assert!(matches!(peer.event(), ServerEvent::Command(command) if command.name == "doSomething"));
    peer.call(Command::new("doSomething", 0.0), 0);
    assert!(peer.answers().is_empty());
}

#[test]
fn a_name_that_is_no_string_counts_as_absent() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    peer.call(Command::new("FCUnpublish", 5.0).with(false), 0);
    assert_eq!(peer.answers(), ["_result"]);
    peer.call(Command::new("play", 0.0).with(false), 1);
    assert_eq!(peer.server.poll_event(), None, "play(false) ends a play that is not running");
}

#[test]
fn names_that_could_hurt_logs_or_files_are_refused() {
    for bad in ["a\nb", "../secret", "a\\b", "nul\0"] {
        let mut peer = Peer::connected(ConnectionConfig::default());
        peer.call(Command::new("publish", 5.0).with(bad), 1);
        assert_eq!(peer.answers(), ["onStatus NetStream.Publish.BadName"], "{bad:?}");
        let refused = peer.event();
        assert!(matches!(&refused, ServerEvent::Refused(status) if !status.description.contains(bad)));
        assert_eq!(peer.event(), ServerEvent::Closed);
    }
    let mut peer = Peer::greeted(ConnectionConfig::default());
    let mut command = connect();
    command.object = Value::Object(Object::new().with("app", "live\r\nX: y").with("tcUrl", "rtmp://v/live"));
    peer.call(command, 0);
    assert_eq!(peer.answers(), ["_error NetConnection.Connect.Rejected"]);
}

#[test]
fn pings_are_answered_up_to_their_rate() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    for number in 0..25 {
        peer.send(&Control::UserControl(UserControl::PingRequest(number)).message()).expect("ok").into_unit();
    }
    let answers = peer.answers();
    assert_eq!(answers.len(), 20);
    assert_eq!(answers[19], "UserControl(PingResponse(19))");
    let stats = peer.server.stats();
    assert_eq!((stats.pings_answered, stats.pings_dropped), (20, 5));
}

#[test]
fn a_silent_viewer_is_pinged_and_a_deaf_one_given_up() {
    let mut config = ConnectionConfig::default();
    config.timeouts.ping = Some(Duration::from_secs(60));
    let mut peer = Peer::playing(config);
    peer.answers();
    assert_eq!(peer.later(59_999), Ok(()));
    assert!(peer.answers().is_empty());
    assert_eq!(peer.later(1), Ok(()));
    assert!(peer.answers()[0].starts_with("UserControl(PingRequest("));
    peer.send(&Control::UserControl(UserControl::PingResponse(0)).message()).expect("ok").into_unit();
    assert_eq!(peer.later(60_000), Ok(()));
    assert_eq!(peer.answers().len(), 1);
    let error = peer.later(30_000).expect_err("no answer");
    assert_eq!(error, ConnectionError::Silent { waiting: Waiting::Pong, after: Duration::from_secs(30) });
    assert_eq!(peer.answers(), ["onStatus NetConnection.Connect.Closed"]);
}

#[test]
fn whoever_rejects_what_it_does_not_know_never_waits_for_itself() {
    // The loop of the documentation, in front of peers that publish or play.
    let requests = [Command::new("publish", 5.0).with("show"), Command::new("play", 5.0).with("show")];
    for request in requests {
        let mut peer = Peer::connected(ConnectionConfig::default());
        let message = request.message(1).expect("a command");
        for _ in 0..3 {
            assert!(peer.writer.write(&mut peer.input, &message));
        }
        let mut asked = 0;
        for turn in 0.. {
            assert!(turn < 10, "it spins");
            let progress = peer.feed().expect("legal");
            while let Some(event) = peer.server.poll_event() {
                if let Some(request) = event.request() {
                    asked += 1;
                    let status = Status::error("NetStream.Play.Failed", "there is nothing to see");
                    peer.server.reject(request, &status).expect("it waits");
                }
            }
            peer.answers();
            if progress == Progress::NeedBytes {
                break;
            }
        }
        assert_eq!(asked, 1);
    }
}

#[test]
fn a_viewer_that_is_seen_to_be_there_is_not_pinged() {
    let mut config = ConnectionConfig::default();
    config.timeouts.ping = Some(Duration::from_secs(60));
    let mut peer = Peer::playing(config);
    peer.answers();
    for _ in 0..5 {
        peer.now += Duration::from_secs(59);
        peer.server.note_alive(peer.now);
        assert_eq!(peer.later(0), Ok(()));
    }
    assert!(peer.answers().is_empty());
    assert_eq!(peer.later(60_000), Ok(()));
    assert_eq!(peer.answers().len(), 1);
    peer.server.note_alive(peer.now);
    assert_eq!(peer.later(30_000), Ok(()), "the ping needs no answer any more");
    assert!(peer.answers().is_empty());
}

#[test]
fn a_pause_has_its_end_and_no_pings() {
    let mut config = ConnectionConfig::default();
    config.timeouts.ping = Some(Duration::from_secs(60));
    let mut peer = Peer::playing(config);
    let pause = |state: bool| Command::new("pause", 0.0).with(state).with(0.0);
    let start = peer.now;
    peer.call(pause(true), 1);
    peer.answers();
    assert_eq!(peer.server.poll_timeout(), Some(start + Duration::from_secs(180)));
    assert_eq!(peer.later(179_999), Ok(()));
    assert!(peer.answers().is_empty(), "a player that pauses may not read");
    // Every command begins the wait anew, and the end of the pause ends it.
    peer.call(pause(true), 1);
    assert_eq!(peer.later(179_999), Ok(()));
    peer.call(pause(false), 1);
    peer.answers();
    assert_eq!(peer.later(60_000), Ok(()));
    assert!(peer.answers()[0].starts_with("UserControl(PingRequest("));
    // A ping that is out when the pause begins is answered by the pause.
    peer.call(pause(true), 1);
    assert_eq!(peer.later(179_999), Ok(()));
    let error = ConnectionError::Silent { waiting: Waiting::Resume, after: Duration::from_secs(180) };
    assert_eq!(peer.later(1), Err(error));
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::Pause(PauseState::Paused)));
}

#[test]
fn received_bytes_are_acknowledged_at_half_of_the_window_with_the_running_total() {
    let mut peer = Peer::publishing(ConnectionConfig::default());
    peer.send(&Control::WindowAckSize(1).message()).expect("ok").into_unit();
    // The smallest window is 64 KiB, so an acknowledgement follows each 32 KiB.
    let message = Media {
        kind: MediaKind::Video,
        timestamp: Timestamp::ZERO,
        payload: Bytes::from(vec![0x27; 20_000]),
    };
    let mut acknowledged = Vec::new();
    for _ in 0..6 {
        peer.send(&message.message(1)).expect("ok").into_unit();
        acknowledged.extend(
            peer.messages().iter().map(|m| u32::from_be_bytes(m.payload[..4].try_into().expect("u32"))),
        );
    }
    assert_eq!(acknowledged.len(), 3);
    assert!(acknowledged.is_sorted() && acknowledged[0] >= 32 << 10);
    assert_eq!(u64::from(acknowledged[2]), peer.server.stats().bytes_received);
}

#[test]
fn a_set_peer_bandwidth_is_answered_once() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    let control =
        Control::SetPeerBandwidth { window: 77_000, limit: rtmp_core::message::BandwidthLimit::Hard };
    for _ in 0..2 {
        peer.send(&control.message()).expect("ok").into_unit();
    }
    assert_eq!(peer.answers(), ["WindowAckSize(77000)"]);
}

#[test]
fn every_wait_has_its_end() {
    let silent = |waiting, secs| Err(ConnectionError::Silent { waiting, after: Duration::from_secs(secs) });
    let now = Instant::now();
    let mut fresh = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, now);
    assert_eq!(fresh.handle_timeout(now + Duration::from_millis(4999)), Ok(()));
    assert_eq!(fresh.handle_timeout(now + Duration::from_secs(5)), silent(Waiting::Hello, 5));
    assert_eq!(fresh.poll_event(), Some(ServerEvent::Closed));
    assert_eq!(fresh.poll_timeout(), None);

    let mut half = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, now);
    let mut hello = BytesMut::new();
    ClientHandshake::new(1, Scheme::Simple, &mut hello);
    assert_eq!(half.handle_input(now + Duration::from_secs(3), &mut hello), Ok(Progress::NeedBytes));
    assert_eq!(half.handle_timeout(now + Duration::from_millis(4999)), Ok(()), "one time for both halves");
    assert_eq!(half.handle_timeout(now + Duration::from_secs(5)), silent(Waiting::HandshakeEnd, 5));

    let mut greeted = Peer::greeted(ConnectionConfig::default());
    assert_eq!(greeted.later(5000), silent(Waiting::Connect, 5));
    let mut connected = Peer::connected(ConnectionConfig::default());
    assert_eq!(connected.later(10_000), silent(Waiting::Request, 10));

    let mut publishing = Peer::publishing(ConnectionConfig::default());
    assert_eq!(publishing.later(19_999), Ok(()));
    publishing.media(MediaKind::Audio, 0, &[0xaf, 1]).expect("ok").into_unit();
    assert_eq!(publishing.later(4999), Ok(()));
    assert_eq!(publishing.later(1), silent(Waiting::Media, 5));

    let mut playing = Peer::playing(ConnectionConfig::default());
    assert_eq!(playing.server.poll_timeout(), None, "a viewer need not say anything");
    assert_eq!(playing.later(3_600_000), Ok(()));
    playing.call(Command::new("closeStream", 0.0), 1);
    assert_eq!(playing.later(180_000), silent(Waiting::Request, 180));
}

#[test]
fn other_protocols_end_at_once_and_an_error_ends_everything() {
    let now = Instant::now();
    let mut server = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, now);
    let mut input = BytesMut::from(&b"GET / HTTP/1.1\r\n"[..]);
    let error = server.handle_input(now, &mut input).expect_err("not RTMP");
    assert_eq!(error, ConnectionError::Handshake(HandshakeError::Http(b'G')));
    assert_eq!(server.poll_event(), Some(ServerEvent::Closed));
    assert_eq!(server.handle_input(now, &mut input), Ok(Progress::NeedBytes));
    assert!(input.is_empty() && server.outgoing().is_empty());
}

#[test]
fn a_command_that_cannot_be_read_closes() {
    let mut peer = Peer::connected(ConnectionConfig::default());
    let payload = Bytes::from_static(&[0x02, 0, 9, b'x']);
    let message =
        Message { csid: 3, timestamp: Timestamp::ZERO, kind: MessageType::COMMAND, msid: 0, payload };
    assert!(matches!(peer.send(&message), Err(ConnectionError::Amf(_))));
    let mut peer = Peer::connected(ConnectionConfig::default());
    let mut deep = BytesMut::new();
    amf0::encode(&Value::from("x"), &mut deep).expect("a name");
    amf0::encode(&Value::from(0.0), &mut deep).expect("a transaction");
    for _ in 0..8000 {
        deep.extend_from_slice(&[0x0a, 0, 0, 0, 1]);
    }
    let message = Message { payload: deep.freeze(), ..message };
    assert!(matches!(peer.send(&message), Err(ConnectionError::Amf(_))));
}

#[test]
fn a_user_control_message_without_an_event_closes_and_an_odd_one_is_ignored() {
    let user = |payload: &'static [u8]| Message {
        payload: Bytes::from_static(payload),
        ..Control::UserControl(UserControl::StreamBegin(0)).message()
    };
    let mut peer = Peer::connected(ConnectionConfig::default());
    assert!(peer.send(&user(&[0x00, 0x1a, 0x01])).is_ok());
    assert!(peer.send(&user(&[0x00, 0x63])).is_ok());
    assert!(peer.send(&user(&[0x00, 0x00, 0x00])).is_ok(), "a known event with too little data");
    assert!(matches!(peer.send(&user(&[0x00, 0x06, 0x01])), Err(ConnectionError::Control(_))));
    let mut peer = Peer::connected(ConnectionConfig::default());
    assert!(matches!(peer.send(&user(&[0x00])), Err(ConnectionError::Control(_))));
}

#[test]
fn the_owner_closes_with_a_word() {
    let mut peer = Peer::publishing(ConnectionConfig::default());
    peer.server.close(Some(&Status::error(status::code::CONNECT_CLOSED, "shutting down")));
    assert_eq!(peer.answers(), ["onStatus NetConnection.Connect.Closed"]);
    assert_eq!(peer.event(), ServerEvent::Closed);
    peer.server.close(None);
    assert_eq!(peer.server.poll_event(), None);
}
