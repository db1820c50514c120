//! Measures how soon two encoders with different histories write the same bytes for the same sound
//! (`docs/codec.md`).
//!
//! ```text
//! encoder-merge [shipped|default]
//! ```
//!
//! The server shares one encoder between listeners whose mixes have become equal; it waits until both encoders have
//! written the same bytes 256 times in a row. Per stream and kind of difference this prints how many blocks it took
//! until the last difference (median, 95 %, worst), how many pairs still differed at the end, how many pairs differed
//! again after 256 equal blocks (the case the rule must exclude), and how long the decoders behind them differed.

use std::process::ExitCode;

use benches::bare::STREAMS;
use benches::signal;
use jam_mixer::codec::{Codec, CodecError, Decode, Encode, EncoderSettings, OpusCustom, StreamSpec};
use jam_proto::{BlockCodec, Layout};

/// Blocks before the mixes become equal, and after.
const BEFORE: usize = 400;
const AFTER: usize = 2_000;
/// Mixes per stream and kind of difference.
const SEEDS: u64 = 8;
const EQUAL_IN_A_ROW: usize = 256;

fn main() -> ExitCode {
    let settings = match std::env::args().nth(1).as_deref() {
        None | Some("default") => EncoderSettings::default(),
        Some("shipped") => EncoderSettings::SHIPPED,
        Some(other) => {
            eprintln!("encoder-merge: {other:?} is neither default nor shipped");
            return ExitCode::from(2);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encoder-merge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: EncoderSettings) -> Result<(), CodecError> {
    println!(
        "| stream | difference before | pairs | median | 95 % | worst | never | again | decoders, worst |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let samples = (BEFORE + AFTER) * BlockCodec::Opus.samples();
    let sounds = [Layout::Mono, Layout::Stereo]
        .map(|layout| (1..=SEEDS).map(|seed| sources(samples, layout, seed)).collect::<Vec<_>>());
    let differences =
        [("one fader", Before::OneFader), ("other music", Before::OtherMusic), ("silence", Before::Silence)];
    for stream in STREAMS {
        let sounds = &sounds[stream.spec.layout.sides() - 1];
        for (name, before) in differences {
            let mut results = Vec::new();
            for (number, sources) in sounds.iter().enumerate() {
                let other = &sounds[(number + 1) % sounds.len()];
                results.push(pair(stream.spec, settings, before, sources, other)?);
            }
            let mut last: Vec<usize> = results.iter().map(|result| result.last_difference).collect();
            last.sort_unstable();
            let at = |share: f64| last[((last.len() - 1) as f64 * share).round() as usize];
            println!(
                "| {} | {name} | {} | {} | {} | {} | {} | {} | {} |",
                stream.name,
                results.len(),
                at(0.5),
                at(0.95),
                at(1.0),
                results.iter().filter(|result| result.last_difference >= AFTER).count(),
                results.iter().filter(|result| result.again).count(),
                results.iter().map(|result| result.decoders_differ).max().unwrap_or_default(),
            );
        }
    }
    Ok(())
}

/// How the two mixes differed.
#[derive(Clone, Copy)]
enum Before {
    /// One source of five is 12 dB louder.
    OneFader,
    /// Nothing in common.
    OtherMusic,
    /// One of them was silent.
    Silence,
}

/// What happened to one pair of encoders.
struct Pair {
    /// Blocks after the mixes became equal until the last difference.
    last_difference: usize,
    /// Whether blocks differed after [`EQUAL_IN_A_ROW`] equal ones.
    again: bool,
    /// Blocks until the last difference of the decoders' samples.
    decoders_differ: usize,
}

/// The sum of five sources; the second one at `gain`.
fn mix(sources: &[Vec<i16>], gain: f32) -> Vec<i16> {
    (0..sources[0].len())
        .map(|n| {
            let sum: f32 = sources
                .iter()
                .enumerate()
                .map(|(index, pcm)| f32::from(pcm[n]) * if index == 1 { gain } else { 0.5 })
                .sum();
            sum.clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

fn sources(samples: usize, layout: Layout, seed: u64) -> Vec<Vec<i16>> {
    vec![
        signal::music(samples, layout, seed),
        signal::strings(samples, layout, seed + 100),
        signal::clicks(samples, layout, seed + 200),
        signal::noise_bursts(samples, layout, seed + 300),
        signal::music(samples, layout, seed + 400),
    ]
}

fn pair(
    spec: StreamSpec,
    settings: EncoderSettings,
    before: Before,
    sources: &[Vec<i16>],
    other: &[Vec<i16>],
) -> Result<Pair, CodecError> {
    let codec = OpusCustom::new(settings)?;
    let split = BEFORE * spec.pcm_len();
    let length = (BEFORE + AFTER) * spec.pcm_len();
    let first = mix(sources, 0.25);
    let mut second = match before {
        Before::OneFader => mix(sources, 1.0),
        Before::OtherMusic => mix(other, 0.25),
        Before::Silence => vec![0; first.len()],
    };
    second[split..].copy_from_slice(&first[split..]);
    let (first, second) = (&first[..length], &second[..length]);

    let mut encoders = [codec.encoder(spec)?, codec.encoder(spec)?];
    let mut decoders = [codec.decoder(spec)?, codec.decoder(spec)?];
    let mut blocks = [(); 2].map(|()| vec![0; usize::from(spec.block_bytes)]);
    let mut heard = [(); 2].map(|()| vec![0; spec.pcm_len()]);
    let mut result = Pair { last_difference: 0, again: false, decoders_differ: 0 };
    let mut equal = 0;
    let inputs = first.chunks_exact(spec.pcm_len()).zip(second.chunks_exact(spec.pcm_len()));
    for (number, (first, second)) in inputs.enumerate() {
        for (side, pcm) in [first, second].into_iter().enumerate() {
            encoders[side].encode(pcm, &mut blocks[side])?;
            decoders[side].decode(Some(&blocks[side]), &mut heard[side])?;
        }
        let Some(after) = number.checked_sub(BEFORE) else { continue };
        if blocks[0] == blocks[1] {
            equal += 1;
        } else {
            result.again |= equal >= EQUAL_IN_A_ROW;
            equal = 0;
            result.last_difference = after + 1;
        }
        if heard[0] != heard[1] {
            result.decoders_differ = after + 1;
        }
    }
    Ok(result)
}
