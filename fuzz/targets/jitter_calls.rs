//! A jitter buffer under any datagrams: every block handed out was put in, none twice, memory stays what it is.
#![no_main]

use jam_mixer::jitter::{JitterBuffer, JitterConfig, Slot};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, size], mut rest)) = data.split_first_chunk() else { return };
    let props = AudioProps {
        codec: if kind & 1 == 0 { BlockCodec::Opus } else { BlockCodec::Opus64 },
        layout: Layout::Mono,
        block_bytes: 10,
        factor: [BlockFactor::One, BlockFactor::Two, BlockFactor::Four][usize::from(kind >> 1) % 3],
        sequence: if kind & 8 == 0 { Sequence::With } else { Sequence::Without },
    };
    let jitter_size = JitterSize::from_wire(u16::from(size % 22)).unwrap_or(JitterSize::Auto);
    let per_tick = 1 + (kind >> 4) % 2;
    let mut buffer = JitterBuffer::new(&props, per_tick, jitter_size, &JitterConfig::default());
    let memory = buffer.memory_bytes();
    let mut number = 0u32;
    let mut heard = std::collections::BTreeSet::new();
    while let Some((&[what, sequence], tail)) = rest.split_first_chunk() {
        rest = tail;
        match what % 8 {
            0..=2 => {
                let mut datagram = Vec::new();
                for block in 0..props.factor.blocks() as u8 {
                    number += 1;
                    datagram.extend_from_slice(&number.to_le_bytes());
                    datagram.extend_from_slice(&[7; 6]);
                    if props.sequence == Sequence::With {
                        datagram.push(sequence.wrapping_add(block));
                    }
                }
                let lead = (what & 0x80 != 0).then_some(u32::from(what) * 30);
                let _ = buffer.put(&datagram, lead);
            }
            3..=5 => match buffer.get() {
                Slot::Block(block) => hear(&mut heard, block, number),
                Slot::Splice { first, second } => {
                    let (first, second) = (first.map(<[u8]>::to_vec), second.to_vec());
                    first.iter().for_each(|block| hear(&mut heard, block, number));
                    hear(&mut heard, &second, number);
                }
                Slot::Lost => {}
            },
            6 => buffer.skip(u32::from(sequence)),
            _ => match JitterSize::from_wire(u16::from(sequence)) {
                Some(size) => buffer.set_size(size),
                None => {
                    // Anything of any length, but nothing that looks like a block of ours.
                    let noise = data.iter().take(usize::from(sequence)).map(|byte| byte & !1);
                    let _ = buffer.put(&noise.collect::<Vec<_>>(), None);
                }
            },
        }
        assert!((1..=20).contains(&buffer.auto_size()));
        assert_eq!(buffer.memory_bytes(), memory);
    }
});

fn hear(heard: &mut std::collections::BTreeSet<u32>, block: &[u8], last: u32) {
    let &[a, b, c, d, 7, 7, 7, 7, 7, 7] = block else { return };
    let number = u32::from_le_bytes([a, b, c, d]);
    if number <= last {
        assert!(heard.insert(number), "block {number} was handed out twice");
    }
}
