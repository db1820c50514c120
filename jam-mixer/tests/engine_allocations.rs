//! In steady state a tick allocates nothing, on one thread or several.

#![cfg(all(feature = "opus-custom", feature = "threads"))]

use jam_mixer::codec::{Codec, Encode, OpusCustom, StreamSpec};
use jam_mixer::engine::{Engine, EngineConfig, Role};
use jam_mixer::job::{Executor, Inline};
use jam_mixer::pool::Pool;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, Layout, Pan, Sequence};
use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what all threads allocate.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn realloc(&self, start: *mut u8, memory: Memory, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(start, memory, size) }
    }

    unsafe fn dealloc(&self, start: *mut u8, memory: Memory) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(start, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MUSICIANS: u8 = 12;

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).expect("below 150")
}

fn props(number: u8) -> AudioProps {
    let (codec, block_bytes) =
        if number.is_multiple_of(3) { (BlockCodec::Opus64, 35) } else { (BlockCodec::Opus, 71) };
    AudioProps {
        codec,
        layout: Layout::Stereo,
        block_bytes,
        factor: if number % 4 == 1 { BlockFactor::Two } else { BlockFactor::One },
        sequence: Sequence::With,
    }
}

/// One datagram of `props`, with every block the same.
fn datagram(codec: &OpusCustom, props: AudioProps) -> Vec<u8> {
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let pcm: Vec<i16> = (0..spec.pcm_len()).map(|n| (n as i16 - 60) * 50).collect();
    let mut block = vec![0; usize::from(props.block_bytes)];
    codec.encoder(spec).expect("a shipped size").encode(&pcm, &mut block).expect("lengths fit");
    block.push(0);
    block.repeat(props.factor.blocks())
}

fn steady_state(executor: &mut dyn Executor, delay_panning: bool) -> u64 {
    let codec = OpusCustom::default();
    let mut config = EngineConfig::default();
    config.delay_panning = delay_panning;
    config.main_mix = true;
    let mut engine = Engine::new(config, codec.clone());
    let mut datagrams = Vec::new();
    for number in 0..MUSICIANS {
        let c = channel(number);
        engine.open(c);
        engine.configure(c, props(number)).expect("a shipped size");
        engine.set_role(c, Role::Musician);
        datagrams.push(datagram(&codec, props(number)));
    }
    for (listener, source) in [(0, 1), (3, 3), (5, 2)] {
        engine.set_gain(channel(listener), channel(source), Gain(1234));
        engine.set_pan(channel(listener), channel(source), Pan::LEFT);
    }
    // One listener with many faders, so that all ways of mixing are in use.
    for source in 0..MUSICIANS {
        engine.set_gain(channel(7), channel(source), Gain(500 + u16::from(source)));
        engine.set_gain(channel(8), channel(source), Gain(900 + u16::from(source)));
    }
    let mut before = 0;
    // The fade-in, the merges, and then: nothing may be allocated.
    for tick in 0..2600u32 {
        if tick == 2000 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        for number in 0..MUSICIANS {
            let props = props(number);
            let per_tick = if props.codec == BlockCodec::Opus64 { 2 } else { 1 };
            let factor = props.factor.blocks() as u32;
            for part in 0..per_tick {
                let block = tick * per_tick + part;
                // Now and then a loss.
                if !(block + 1).is_multiple_of(factor) || block % 97 == 0 {
                    continue;
                }
                let wire = props.wire_block_bytes();
                let datagram = &mut datagrams[usize::from(number)];
                for (index, piece) in datagram.chunks_mut(wire).enumerate() {
                    piece[wire - 1] = (block + 1 - factor + index as u32) as u8;
                }
                engine.push(channel(number), datagram, None);
            }
        }
        let lent = engine.tick(executor);
        assert!(lent.datagrams().all(|(_, bytes)| !bytes.is_empty()));
    }
    let report = engine.tick(executor).report();
    assert!(report.groups > 4 && report.encodes_shared > 0, "{report:?}");
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

// One test only: the counter counts all threads of the process.
#[test]
fn a_tick_in_steady_state_allocates_nothing() {
    for delay_panning in [false, true] {
        assert_eq!(steady_state(&mut Inline, delay_panning), 0, "on one thread");
        let mut pool = Pool::new(2).expect("threads");
        assert_eq!(steady_state(&mut pool, delay_panning), 0, "with two workers");
    }
}
