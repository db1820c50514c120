//! Captures of real programs are replayed into our machines, in virtual time.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod capture;
mod client;
mod server;

#[test]
fn every_captured_datagram_is_understood() {
    use jam_proto::message::{Connectionless, Message, id};
    let mut frames = 0;
    for capture in capture::Capture::all() {
        assert!(!capture.about.is_empty());
        for datagram in &capture.datagrams {
            let Some(frame) = datagram.frame() else { continue };
            frames += 1;
            let name = &capture.name;
            if frame.is_connectionless() {
                let parsed = Connectionless::parse(frame.id, frame.body);
                // One capture holds provocations: an unknown message and pings of a wrong length.
                let provocation = name == "probe_idle_new" && matches!(frame.id, 1001 | 1002 | 1500);
                assert!(provocation || matches!(parsed, Ok(Some(_))), "{name}: {frame:?}");
            } else if !matches!(frame.id, id::ACKN | id::SPLIT) {
                let parsed = Message::parse(frame.id, frame.body);
                let provocation = name == "probe_idle_new" && datagram.to_server;
                assert!(provocation || matches!(parsed, Ok(Some(_))), "{name}: {frame:?}");
            }
        }
    }
    assert!(frames > 3000, "{frames} frames");
}
