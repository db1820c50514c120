//! Audio costs no allocation: neither in the client's fast lane nor in taking datagrams apart.

use std::alloc::{GlobalAlloc, Layout as MemoryLayout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jam_proto::audio::{AudioDatagram, Quality};
use jam_proto::client::{Client, ClientConfig, ClientDisposition};
use jam_proto::{BlockCodec, Input, Layout};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: MemoryLayout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: MemoryLayout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn audio_datagrams_cost_no_allocation() {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    let now = Instant::now();
    let server = "192.0.2.9:22124".parse().unwrap();
    let config = ClientConfig::new(Quality::High.props(BlockCodec::Opus, Layout::Stereo));
    let mut client = Client::new(config, server, now);
    let block = [0x55; 165];
    assert_eq!(
        client.handle_input(now, Input::Datagram { src: server, payload: &block }),
        ClientDisposition::Audio
    );
    while client.poll_output().is_some() {}

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let mut blocks = 0;
    for _ in 0..10_000 {
        assert!(client.send_block(&block).is_some());
        let heard = client.handle_input(now, Input::Datagram { src: server, payload: &block });
        assert_eq!(heard, ClientDisposition::Audio);
        let audio = AudioDatagram::parse(&client.audio_props(), &block).unwrap();
        blocks += audio.blocks().len();
        assert!(client.poll_output().is_none());
    }
    // The test harness itself may allocate in its other threads now and then.
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(allocations < 10, "{allocations} allocations for {blocks} blocks");
}
