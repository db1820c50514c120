//! A message costs a viewer that keeps up no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use edge_cluster::ConnId;
use edge_cluster::config::{LoadOptions, MemorySources, load};
use edge_cluster::hub::{Hub, Ingest, Join, JoinKind, Lane, PrivateSink, StreamSettings};
use rtmp_core::{Media, MediaKind, Timestamp};

struct Counting;

thread_local! {
    /// Of this thread alone: the test's harness allocates, too, now and then.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Nowhere;

impl PrivateSink for Nowhere {
    fn pending_bytes(&self) -> usize {
        0
    }

    fn send_media(&mut self, _: &Media) {}
}

/// Frames of a stream at 25 pictures per second, with a data message now and then.
fn frame(number: u32) -> Media {
    let (kind, payload): (_, &[u8]) = match number {
        _ if number.is_multiple_of(50) => (MediaKind::Video, &[0x17, 1, 0, 0, 0, 9]),
        _ if number.is_multiple_of(7) => (MediaKind::Data, b"\x02\x00\x0aonCuePoint\x05"),
        _ if number.is_multiple_of(2) => (MediaKind::Video, &[0x27, 1, 0, 0, 0, 9]),
        _ => (MediaKind::Audio, &[0xaf, 1, 9]),
    };
    Media { kind, timestamp: Timestamp::from_millis(number * 20), payload: Bytes::from_static(payload) }
}

/// Allocations while a stream of 500 messages reaches `viewers` viewers.
fn allocations(viewers: u64, now: Instant) -> u64 {
    let text = "listen 1935; vhost __defaultVhost__ { min_latency on; extension { audio_wait 0; } }";
    let files = MemorySources::from([("a", text)]);
    let config = load(&files, "a", &LoadOptions::default()).expect("good").config;
    let settings = std::sync::Arc::new(StreamSettings::from(config.vhost("a").expect("default")));
    let mut ingest = Ingest::new(settings.clone());
    let mut hub = Hub::new(settings);
    for viewer in 0..viewers {
        hub.join(ConnId::inbound(viewer), Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer });
    }
    let mut private = BytesMut::new();
    let mut run = |numbers: std::ops::Range<u32>| {
        let mut written = 0;
        for number in numbers {
            ingest.push(now, &frame(number));
            ingest.burst_end(now);
            while let Some(update) = ingest.poll_update() {
                hub.apply(now, &update);
            }
            while let Some(viewer) = hub.poll_ready() {
                hub.prepare(now, viewer, &mut Nowhere);
                let mut out = hub.outgoing(viewer, &mut private).expect("watches");
                out.advance(out.remaining());
                assert_eq!(out.remaining(), 0);
                written += 1;
            }
        }
        written
    };
    // The first messages of each lane are spliced, and tables get their size.
    run(0..500);
    let before = ALLOCATIONS.get();
    assert_eq!(run(500..1000), 500 * viewers);
    ALLOCATIONS.get() - before
}

#[test]
fn row_31_a_message_costs_a_viewer_that_keeps_up_no_allocation() {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    let now = Instant::now();
    let (one, many) = (allocations(1, now), allocations(500, now));
    assert_eq!(one, many, "allocations with one viewer and with 500");
    assert!(one < 500 * 12, "{one} allocations for 500 messages");
    memory();
}

/// A viewer takes less than half a kilobyte. (Not a test of its own, because it would allocate beside the other one.)
fn memory() {
    let files = MemorySources::from([("a", "listen 1935; vhost __defaultVhost__ { }")]);
    let config = load(&files, "a", &LoadOptions::default()).expect("good").config;
    let settings = std::sync::Arc::new(StreamSettings::from(config.vhost("a").expect("default")));
    let mut hub = Hub::new(settings);
    let empty = hub.memory_bytes();
    for viewer in 0..1024 {
        hub.join(ConnId::inbound(viewer), Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer });
    }
    let each = (hub.memory_bytes() - empty) / 1024;
    assert!(each < 512, "{each} bytes per viewer");
}
