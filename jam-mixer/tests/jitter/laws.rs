//! Laws for any sequence of calls, whatever a peer sends.

use jam_mixer::jitter::{JitterBuffer, JitterConfig, Slot};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Call {
    Put { seq: u8, blocks: usize, lead_us: Option<u32> },
    WrongSize(usize),
    Get(usize),
    Skip(u32),
    Size(u8),
    Quiet(bool),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        8 => (any::<u8>(), 1_usize..12, any::<Option<u32>>())
            .prop_map(|(seq, blocks, lead_us)| Call::Put { seq, blocks, lead_us }),
        1 => (0_usize..50).prop_map(Call::WrongSize),
        8 => (1_usize..300).prop_map(Call::Get),
        1 => any::<u32>().prop_map(Call::Skip),
        1 => (0_u8..=30).prop_map(Call::Size),
        1 => any::<bool>().prop_map(Call::Quiet),
    ]
}

fn size(wire: u8) -> JitterSize {
    JitterSize::from_wire(u16::from(wire)).unwrap_or(JitterSize::Auto)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_keep_the_bounds_and_every_block_is_heard_once(
        calls in prop::collection::vec(call(), 1..120),
        is_small in any::<bool>(),
        factor in prop::sample::select(vec![BlockFactor::One, BlockFactor::Two, BlockFactor::Four]),
        numbered in any::<bool>(),
        first_size in 0_u8..=21,
    ) {
        let props = AudioProps {
            codec: if is_small { BlockCodec::Opus64 } else { BlockCodec::Opus },
            layout: Layout::Stereo,
            block_bytes: 8,
            factor,
            sequence: if numbered { Sequence::With } else { Sequence::Without },
        };
        let mut buffer =
            JitterBuffer::new(&props, 1 + u8::from(is_small), size(first_size), &JitterConfig::default());
        let memory = buffer.memory_bytes();
        let mut serial = 0_u64;
        let mut heard = Vec::new();
        let mut gets = 0;
        for call in calls {
            match call {
                Call::Put { seq, blocks, lead_us } => {
                    // A run of datagrams from one start; every block has a serial number of its own.
                    for datagram in 0..blocks {
                        let mut bytes = Vec::new();
                        for block in 0..factor.blocks() {
                            serial += 1;
                            bytes.extend_from_slice(&serial.to_le_bytes());
                            if numbered {
                                bytes.push(seq.wrapping_add((datagram * factor.blocks() + block) as u8));
                            }
                        }
                        buffer.put(&bytes, lead_us);
                    }
                }
                Call::WrongSize(len) => {
                    if len != props.datagram_bytes() {
                        buffer.put(&vec![0; len], None);
                    }
                }
                Call::Get(times) => {
                    for _ in 0..times {
                        gets += 1;
                        match buffer.get() {
                            Slot::Block(block) => heard.push(block.to_vec()),
                            Slot::Splice { first, second } => {
                                heard.extend(first.map(<[u8]>::to_vec));
                                heard.push(second.to_vec());
                            }
                            Slot::Lost => {}
                        }
                    }
                }
                Call::Skip(blocks) => buffer.skip(blocks),
                Call::Size(wire) => buffer.set_size(size(wire)),
                Call::Quiet(is_quiet) => buffer.set_quiet(is_quiet),
            }
            prop_assert!(buffer.buffered() <= 24);
            prop_assert!((1..=20).contains(&buffer.auto_size()));
            prop_assert_eq!(buffer.memory_bytes(), memory);
        }
        let stats = buffer.stats();
        prop_assert_eq!(stats.blocks_received, serial);
        let all = heard.len();
        heard.sort();
        heard.dedup();
        prop_assert_eq!(heard.len(), all, "a block was heard twice");
        prop_assert!(stats.blocks_concealed + stats.blocks_idle <= gets);
        let unused = stats.blocks_late + stats.blocks_duplicate + stats.blocks_stray;
        prop_assert!(unused + all as u64 <= serial);
    }
}
