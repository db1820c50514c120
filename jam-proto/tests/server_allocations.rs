//! Audio of connected musicians costs a server no allocation.

use std::alloc::{GlobalAlloc, Layout as MemoryLayout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use jam_proto::message::{ChannelInfo, Message, id};
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{
    AudioProps, BlockCodec, BlockFactor, ChannelId, Command, Disposition, Input, Layout, Output, Sequence,
    Server, ServerConfig,
};

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

const PROPS: AudioProps = AudioProps {
    codec: BlockCodec::Opus,
    layout: Layout::Stereo,
    block_bytes: 71,
    factor: BlockFactor::One,
    sequence: Sequence::With,
};

#[test]
fn a_datagram_of_any_of_150_musicians_costs_no_allocation() {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    let now = Instant::now();
    let config = ServerConfig::builder().channels_max(150).build().unwrap();
    let mut server = Server::new(config, 5, now);
    let addrs: Vec<SocketAddr> = (0..150).map(|n| ([10, 0, 0, n], 5_000).into()).collect();
    for addr in &addrs {
        join(&mut server, now, *addr);
    }
    assert_eq!(server.connected(), 150);
    while server.poll_output().is_some() {}

    let datagram = [0x55; 72];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for (number, src) in (0..150).zip(&addrs) {
        let disposition = server.handle_input(now, Input::Datagram { src: *src, payload: &datagram });
        assert_eq!(disposition, Disposition::Audio(ChannelId::new(number).unwrap()));
        assert!(server.poll_output().is_none());
        assert!(server.is_audio_due(now, ChannelId::new(number).unwrap()));
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);

    // Levels: a few for the frame, none per receiver, once the queue of outputs has its size.
    for few in [u64::MAX, 4] {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        server.command(now, Command::Levels(&[5; 150])).unwrap();
        assert!(ALLOCATIONS.load(Ordering::Relaxed) - before <= few);
        assert_eq!(std::iter::from_fn(|| server.poll_output()).count(), 150);
    }
}

/// Plays a client as far as the channel is identified.
fn join(server: &mut Server, now: Instant, src: SocketAddr) {
    let mut writer = FrameWriter::new();
    let mut counter = 0;
    let _ = server.handle_input(now, Input::Datagram { src, payload: &[0x55; 72] });
    while let Some(output) = server.poll_output() {
        let Output::Transmit(transmit) = output else { continue };
        let Some(frame) = Frame::parse(&transmit.payload).filter(|_| transmit.dst == src) else { continue };
        if frame.id == id::ACKN {
            continue;
        }
        let answer = match frame.id {
            id::REQ_NETW_TRANSPORT_PROPS => Some(Message::AudioProps(PROPS)),
            id::REQ_CHANNEL_INFOS => Some(Message::ChannelInfo(ChannelInfo::default())),
            _ => None,
        };
        if let Some(answer) = answer {
            let payload = answer.frame(counter, &mut writer);
            counter += 1;
            let _ = server.handle_input(now, Input::Datagram { src, payload: &payload });
        }
        let payload = writer.frame(id::ACKN, frame.counter, &frame.id.to_le_bytes());
        let _ = server.handle_input(now, Input::Datagram { src, payload: &payload });
    }
}
