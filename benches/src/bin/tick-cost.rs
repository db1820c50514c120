//! Prints what a musician costs the engine per tick, beside the bare codec: tables for equal and for all different
//! mixes.
//!
//! ```text
//! tick-cost [musicians ...]        (default 10 40 150)
//! ```
//!
//! Everybody sends mono blocks of 128 samples at normal quality, one datagram per tick, and is fully faded in. The
//! figures are nanoseconds of processor time per musician and tick, on one thread. `rest` is the engine with a codec
//! that does nothing, hence jitter buffer, mixing and packing; `mix` is what different mixes add to it.

use std::process::ExitCode;

use benches::bare::{self, REFERENCE};
use benches::{cpu, signal};
use jam_mixer::codec::{Codec, CodecError, Decode, Encode, EncoderSettings, OpusCustom, StreamSpec};
use jam_mixer::engine::{Engine, EngineConfig, Role};
use jam_mixer::job::Inline;
use jam_proto::{AudioProps, BlockFactor, ChannelId, Gain, Sequence};

/// Blocks of a recording that the musicians repeat, each from another place.
const RECORDED: usize = 500;
/// Ticks of one run.
const TICKS: usize = 400;
const RUNS: usize = 12;

/// A codec that costs nothing: fixed noise in, nothing out.
struct Nothing(Vec<i16>);

struct Nobody(Vec<i16>);

impl Codec for Nothing {
    type Encoder = Nobody;
    type Decoder = Nobody;

    fn encoder(&self, _: StreamSpec) -> Result<Nobody, CodecError> {
        Ok(Nobody(Vec::new()))
    }

    fn decoder(&self, _: StreamSpec) -> Result<Nobody, CodecError> {
        Ok(Nobody(self.0.clone()))
    }
}

impl Encode for Nobody {
    fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<(), CodecError> {
        block.fill(pcm.first().copied().unwrap_or(0) as u8);
        Ok(())
    }

    fn fork(&self) -> Self {
        Self(Vec::new())
    }
}

impl Decode for Nobody {
    fn decode(&mut self, _: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), CodecError> {
        pcm.copy_from_slice(&self.0);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mixes {
    Equal,
    Different,
}

fn main() -> ExitCode {
    let mut counts: Vec<u8> = Vec::new();
    for argument in std::env::args().skip(1) {
        let Some(count) = argument.parse().ok().filter(|count| (1..=150).contains(count)) else {
            eprintln!("tick-cost: {argument:?} is not a number of musicians from 1 to 150");
            return ExitCode::from(2);
        };
        counts.push(count);
    }
    if counts.is_empty() {
        counts = vec![10, 40, 150];
    }
    match report(&counts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tick-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(counts: &[u8]) -> Result<(), CodecError> {
    let plain = bare::measure(&OpusCustom::plain(EncoderSettings::SHIPPED)?, REFERENCE, 20)?;
    let own = bare::measure(&OpusCustom::default(), REFERENCE, 20)?;
    let sum = plain.decode + plain.encode;
    for (name, bare) in [("as ordinarily compiled", plain), ("as used here", own)] {
        println!("bare codec, {name}: decode {:.0} ns, encode {:.0} ns", bare.decode, bare.encode);
    }
    println!("ratio: total to the sum of the former, {sum:.0} ns");
    println!("{:>9} {:>10} {:>8} {:>6} {:>6} {:>6}", "musicians", "mixes", "total", "ratio", "rest", "mix");
    let blocks = recording()?;
    for &count in counts {
        let mut rest_equal = 0.0;
        for mixes in [Mixes::Equal, Mixes::Different] {
            let opus = measure(OpusCustom::default(), count, mixes, &blocks)?;
            let noise = signal::music(REFERENCE.codec.samples(), REFERENCE.layout, 7);
            let rest = measure(Nothing(noise), count, mixes, &blocks)?;
            let name = if mixes == Mixes::Equal { "equal" } else { "different" };
            if mixes == Mixes::Equal {
                rest_equal = rest;
            }
            let (ratio, mix) = (opus / sum, rest - rest_equal);
            println!("{count:>9} {name:>10} {opus:>8.0} {ratio:>6.2} {rest:>6.0} {mix:>6.0}");
        }
    }
    Ok(())
}

/// Coded music.
fn recording() -> Result<Vec<u8>, CodecError> {
    let bytes = usize::from(REFERENCE.block_bytes);
    let mut encoder = OpusCustom::default().encoder(REFERENCE)?;
    let pcm = signal::music(REFERENCE.codec.samples() * RECORDED, REFERENCE.layout, 1);
    let mut blocks = vec![0; bytes * RECORDED];
    for (pcm, block) in pcm.chunks_exact(REFERENCE.pcm_len()).zip(blocks.chunks_exact_mut(bytes)) {
        encoder.encode(pcm, block)?;
    }
    Ok(blocks)
}

fn measure<C: Codec>(codec: C, count: u8, mixes: Mixes, blocks: &[u8]) -> Result<f64, CodecError> {
    let props = AudioProps {
        codec: REFERENCE.codec,
        layout: REFERENCE.layout,
        block_bytes: REFERENCE.block_bytes,
        factor: BlockFactor::One,
        sequence: Sequence::With,
    };
    let channels: Vec<ChannelId> = (0..count).filter_map(ChannelId::new).collect();
    let mut engine = Engine::new(EngineConfig::default(), codec);
    let mut random = signal::Random::new(5);
    for &channel in &channels {
        engine.open(channel);
        engine.configure(channel, props)?;
        engine.set_role(channel, Role::Musician);
    }
    if mixes == Mixes::Different {
        for &listener in &channels {
            for &source in &channels {
                engine.set_gain(listener, source, Gain((random.number() >> 48) as u16));
            }
        }
    }
    let bytes = usize::from(props.block_bytes);
    let mut datagram = vec![0; bytes + 1];
    let mut number = 0usize;
    let mut play = |ticks: usize| {
        for _ in 0..ticks {
            for &channel in &channels {
                let block = (number + 37 * channel.index()) % RECORDED;
                datagram[..bytes].copy_from_slice(&blocks[block * bytes..][..bytes]);
                datagram[bytes] = number as u8;
                engine.push(channel, &datagram, Some(1000));
            }
            number += 1;
            let tick = engine.tick(&mut Inline);
            std::hint::black_box(tick.datagrams().map(|(_, bytes)| bytes.len()).sum::<usize>());
        }
    };
    // The fade-in, and the merges after it.
    play(1125 + 600);
    let best = cpu::best_ns_per_unit(RUNS, TICKS * usize::from(count), || play(TICKS));
    Ok(best)
}
