//! A pull and one origin, byte by byte.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use edge_cluster::upstream::{AttemptError, Pull, PullEvent, UpstreamInput, UpstreamOutput, UpstreamStream};
use rtmp_core::handshake::Scheme;
use rtmp_core::message::{Status, status::code};
use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent};

use crate::origin::frame;
use crate::pull::{settings, world};
use crate::world::start;

#[test]
fn row_02_the_handshake_is_signed_and_connect_travels_with_its_last_part() {
    let start = start();
    let stream = UpstreamStream::new("v", "live", "show");
    let mut pull = Pull::new(Arc::new(settings(&["a"])), stream, 1, start);
    let mut server = ServerConnection::new(Arc::new(ConnectionConfig::default()), 2, start);
    assert!(matches!(pull.poll_output(), Some(UpstreamOutput::Connect { attempt: 1, .. })));
    assert_eq!(pull.handle_input(start, 1, UpstreamInput::Connected), Progress::NeedBytes);
    assert_eq!(pull.poll_output(), Some(UpstreamOutput::Write));
    assert_eq!(server.handle_input(start, &mut pull.private().split()), Ok(Progress::NeedBytes));
    let mut answer = server.outgoing().split();
    assert_eq!(pull.handle_input(start, 1, UpstreamInput::Received(&mut answer)), Progress::NeedBytes);
    assert_eq!(pull.poll_output(), Some(UpstreamOutput::Write), "one write");
    assert_eq!(server.handle_input(start, &mut pull.private().split()), Ok(Progress::Asking));
    let Some(ServerEvent::Handshaken(info)) = server.poll_event() else { panic!("a handshake") };
    assert!(matches!(info.scheme, Scheme::Digest(_)), "{info:?}");
    assert!(matches!(server.poll_event(), Some(ServerEvent::ConnectRequested { .. })));
}

/// A pull whose play was accepted, and the origin's end.
fn playing(now: Instant) -> (Pull, ServerConnection) {
    let stream = UpstreamStream::new("v", "live", "show");
    let mut pull = Pull::new(Arc::new(settings(&["a"])), stream, 1, now);
    let mut server = ServerConnection::new(Arc::new(ConnectionConfig::default()), 2, now);
    assert_eq!(pull.handle_input(now, 1, UpstreamInput::Connected), Progress::NeedBytes);
    while server.msid().is_none() {
        let mut bytes = pull.private().split();
        while server.handle_input(now, &mut bytes).unwrap() != Progress::NeedBytes {
            while let Some(event) = server.poll_event() {
                if let ServerEvent::ConnectRequested { request, .. }
                | ServerEvent::PlayRequested { request, .. } = event
                {
                    server.accept(now, request).unwrap();
                }
            }
        }
        let mut bytes = server.outgoing().split();
        assert_eq!(pull.handle_input(now, 1, UpstreamInput::Received(&mut bytes)), Progress::NeedBytes);
    }
    while pull.poll_output().is_some() {}
    (pull, server)
}

#[test]
fn a_flood_of_small_messages_is_taken_in_bounded_portions_and_in_order() {
    let now = start();
    let (mut pull, mut server) = playing(now);
    let mut flood = BytesMut::new();
    for n in 0..20_000 {
        server.send_media(&frame(n)).unwrap();
        flood.extend(server.outgoing().split());
    }
    let (mut received, mut pauses) = (0, 0);
    loop {
        let progress = pull.handle_input(now, 1, UpstreamInput::Received(&mut flood));
        let mut outputs = 0;
        while let Some(output) = pull.poll_output() {
            outputs += 1;
            if let UpstreamOutput::Event(PullEvent::Media(media)) = output {
                assert_eq!(media, frame(received));
                received += 1;
            }
        }
        assert!(outputs <= 2100, "{outputs} at once");
        if progress == Progress::NeedBytes {
            break;
        }
        pauses += 1;
    }
    assert_eq!((received, flood.len()), (20_000, 0));
    assert!(pauses >= 9, "{pauses}");
}

#[test]
fn one_attempt_fails_once_whatever_else_is_wrong_in_its_last_bytes() {
    let now = start();
    let (mut pull, mut server) = playing(now);
    server.send_status(&Status::error(code::PLAY_FAILED, "disk")).unwrap();
    let mut bytes = server.outgoing().split();
    // A header that refers to one that never came.
    bytes.extend_from_slice(&[0xc0 | 42]);
    assert_eq!(pull.handle_input(now, 1, UpstreamInput::Received(&mut bytes)), Progress::NeedBytes);
    let outputs: Vec<_> = std::iter::from_fn(|| pull.poll_output()).collect();
    let failures = outputs.iter().filter(|output| {
        matches!(
            output,
            UpstreamOutput::Event(PullEvent::AttemptFailed { error: AttemptError::Ended(_), .. })
        )
    });
    assert_eq!(failures.count(), 1, "{outputs:?}");
    assert_eq!(
        outputs.len(),
        3,
        "the connection is closed, the attempt has failed, so has the round: {outputs:?}"
    );
}

#[test]
fn an_origin_that_breaks_the_protocol_is_left() {
    let now = start();
    let (mut pull, _) = playing(now);
    let mut bytes = BytesMut::from(&[0xc0 | 42][..]);
    assert_eq!(pull.handle_input(now, 1, UpstreamInput::Received(&mut bytes)), Progress::NeedBytes);
    let outputs: Vec<_> = std::iter::from_fn(|| pull.poll_output()).collect();
    let [UpstreamOutput::Disconnect { attempt: 1, .. }, UpstreamOutput::Event(failed), _] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert!(
        matches!(failed, PullEvent::AttemptFailed { error: AttemptError::Protocol(_), .. }),
        "{failed:?}"
    );
}

#[test]
fn an_origin_that_takes_no_answers_is_not_read_either() {
    let now = start();
    let (mut pull, mut server) = playing(now);
    // Each request is answered with bytes that nobody takes.
    let mut flood = BytesMut::new();
    for _ in 0..50_000 {
        server.ping(now);
        flood.extend(server.outgoing().split());
    }
    // The rate of answers is limited long before their bytes are.
    assert_eq!(pull.handle_input(now, 1, UpstreamInput::Received(&mut flood)), Progress::NeedBytes);
    assert!(pull.private().len() < 1000, "{} bytes of answers", pull.private().len());
}

#[test]
fn inputs_of_an_attempt_that_is_over_are_ignored() {
    let mut world = world(2);
    world.run_secs(1.0);
    world.kill("a");
    let before = world.words().len();
    let now = world.now;
    for input in [UpstreamInput::Connected, UpstreamInput::Closed, UpstreamInput::Stalled] {
        assert_eq!(world.machine.handle_input(now, 1, input), Progress::NeedBytes);
    }
    let mut late = BytesMut::from(&b"late bytes"[..]);
    let progress = world.machine.handle_input(now, 1, UpstreamInput::Received(&mut late));
    assert_eq!((progress, late.len()), (Progress::NeedBytes, 0));
    world.drain();
    assert_eq!(world.words().len(), before);
}
