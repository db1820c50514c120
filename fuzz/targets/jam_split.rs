//! One end of the acknowledged message exchange under any frames: split parts, acknowledgements, repetitions.
#![no_main]

use std::time::{Duration, Instant};

use jam_proto::message::{Message, id};
use jam_proto::reliable::{Received, Reliable, ReliableLimits};
use jam_proto::wire::{Frame, FrameWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut writer = FrameWriter::new();
    let mut end = Reliable::new(ReliableLimits::default(), 250);
    let mut now = Instant::now();
    let mut rest = data;
    while let Some((&[what, counter, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        match what % 5 {
            0 => drop(end.send(&Message::RequestSplitSupport, &mut writer)),
            1 => now += Duration::from_millis(u64::from(counter) * 10),
            2 => drop(end.handle_frame(&Frame { id: id::SPLIT, counter, body })),
            3 => drop(end.handle_frame(&Frame { id: id::ACKN, counter, body })),
            _ => {
                let id = u16::from_le_bytes([a, b]);
                if let Received::Message { id: inner, .. } = end.handle_frame(&Frame { id, counter, body }) {
                    assert!(inner == id || id == id::SPLIT);
                }
            }
        }
        let mut sent = 0;
        while let Some(datagram) = end.poll_transmit(now, &mut writer) {
            assert!(Frame::parse(&datagram).is_some());
            sent += 1;
            assert!(sent < 100, "one input makes few datagrams");
        }
        assert!(end.poll_timeout().is_none_or(|t| t > now), "a deadline moves");
    }
});
