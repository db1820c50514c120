//! The engine with its shared mixes against the plain mixer: any faders, formats, joins and leaves, raw audio.
#![no_main]

use jam_mixer::codec::Raw;
use jam_mixer::engine::{Engine, EngineConfig, Role, TickLength};
use jam_mixer::job::Inline;
use jam_mixer::reference::ReferenceEngine;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, Sequence};
use libfuzzer_sys::fuzz_target;

const CHANNELS: u8 = 5;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, mut rest)) = data.split_first() else { return };
    let mut config = EngineConfig::default();
    config.tick = if kind & 1 == 0 { TickLength::Samples128 } else { TickLength::Samples64 };
    config.delay_panning = kind & 2 != 0;
    config.merge_blocks = 1 + u16::from(kind >> 4);
    let mut clever = Engine::new(config.clone(), Raw);
    let mut plain = ReferenceEngine::new(config, Raw);
    let mut formats: [Option<AudioProps>; CHANNELS as usize] = [None; CHANNELS as usize];
    let mut sequence = 0u8;
    for c in 0..CHANNELS {
        clever.open(channel(c));
        plain.open(channel(c));
    }
    while let Some((&[what, a, b, c], tail)) = rest.split_first_chunk() {
        rest = tail;
        let (who, whom) = (channel(a % CHANNELS), channel(b % CHANNELS));
        match what % 8 {
            0 => {
                let codec = if c & 1 == 0 { BlockCodec::Opus } else { BlockCodec::Opus64 };
                let layout = if c & 2 == 0 { Layout::Mono } else { Layout::Stereo };
                let props = AudioProps {
                    codec,
                    layout,
                    block_bytes: AudioProps::raw_block_bytes(codec, layout),
                    factor: [BlockFactor::One, BlockFactor::Two, BlockFactor::Four][usize::from(c >> 2) % 3],
                    sequence: if c & 32 == 0 { Sequence::With } else { Sequence::Without },
                };
                clever.configure(who, props).expect("a raw size");
                plain.configure(who, props);
                formats[who.index()] = Some(props);
            }
            1 => {
                let role = [Role::Waiting, Role::Listener, Role::Player, Role::Musician][usize::from(c) % 4];
                clever.set_role(who, role);
                plain.set_role(who, role);
            }
            2 => {
                let gain = [Gain::ZERO, Gain::UNITY, Gain(u16::from(c) << 8)][usize::from(what >> 3) % 3];
                clever.set_gain(who, whom, gain);
                plain.set_gain(who, whom, gain);
            }
            3 => {
                clever.set_pan(who, whom, Pan::new(u16::from(c) << 7));
                plain.set_pan(who, whom, Pan::new(u16::from(c) << 7));
            }
            4 => {
                clever.close(who);
                plain.close(who);
                clever.open(who);
                plain.open(who);
                formats[who.index()] = None;
            }
            5 => {
                let size = JitterSize::from_wire(u16::from(c % 22)).unwrap_or(JitterSize::Auto);
                clever.set_jitter(who, size);
                plain.set_jitter(who, size);
            }
            _ => {
                for n in 0..CHANNELS {
                    let Some(props) = formats[usize::from(n)].filter(|_| a & (1 << n) != 0) else { continue };
                    let mut datagram = vec![b ^ n; props.datagram_bytes()];
                    if props.sequence == Sequence::With {
                        for (i, block) in datagram.chunks_mut(props.wire_block_bytes()).enumerate() {
                            if let Some(last) = block.last_mut() {
                                *last = sequence.wrapping_add(i as u8);
                            }
                        }
                    }
                    clever.push(channel(n), &datagram, None);
                    plain.push(channel(n), &datagram, None);
                }
                sequence = sequence.wrapping_add(c % 3);
                let (wanted, levels) = plain.tick();
                let tick = clever.tick(&mut Inline);
                assert_eq!(tick.datagrams().len(), wanted.len());
                for ((channel, got), (reference, want)) in tick.datagrams().zip(&wanted) {
                    assert_eq!(channel, *reference);
                    let props = formats[channel.index()].expect("who listens has a format");
                    compare(&props, got, want);
                }
                assert_eq!(tick.levels().map(<[_]>::to_vec), levels);
            }
        }
    }
});

/// Sequence bytes are equal; samples may differ by one unit, because sums are formed in another order.
fn compare(props: &AudioProps, got: &[u8], want: &[u8]) {
    assert_eq!(got.len(), want.len());
    let raw = usize::from(props.block_bytes);
    for (got, want) in got.chunks(props.wire_block_bytes()).zip(want.chunks(props.wire_block_bytes())) {
        assert_eq!(got[raw..], want[raw..], "sequence");
        for (a, b) in got[..raw].chunks(2).zip(want[..raw].chunks(2)) {
            let (a, b) = (i16::from_le_bytes([a[0], a[1]]), i16::from_le_bytes([b[0], b[1]]));
            assert!(a.abs_diff(b) <= 1, "{a} instead of {b}");
        }
    }
}

fn channel(number: u8) -> ChannelId {
    ChannelId::new(number).expect("below 150")
}
