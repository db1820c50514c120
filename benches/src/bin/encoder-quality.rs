//! Prints speed and sound of the encoder settings as a table (`docs/codec.md`).
//!
//! ```text
//! encoder-quality [SPEECH.wav]
//! ```
//!
//! The sounds are made by the program; a WAV file (mono, 16 bit) is added as a further one, for example
//! `espeak-ng -w speech.wav "..."`. Per stream and setting the table shows the processor time of an encode; over all
//! sounds the mean signal to noise ratio, noise to mask ratio, that of the worst twentieth, and that with 2 % of the
//! blocks lost in bursts of one to four; and the largest change of the noise to mask ratio against the settings of
//! shipped servers in any single sound.

use std::process::ExitCode;

use benches::bare::{self, STREAMS};
use benches::quality::{Quality, compare};
use benches::signal::{self, Random};
use jam_mixer::codec::{
    Codec, CodecError, Decode, Encode, EncoderSettings, ModeSettings, OpusCustom, StreamSpec,
};
use jam_proto::{BlockCodec, Layout};

/// Samples of each sound: 4 s.
const SAMPLES: usize = 4 * 48_000;

type Sound = (&'static str, Box<dyn Fn(Layout) -> Vec<i16>>);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("encoder-quality: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut sounds: Vec<Sound> = vec![
        ("band", Box::new(|layout| signal::music(SAMPLES, layout, 11))),
        ("strings", Box::new(|layout| signal::strings(SAMPLES, layout, 12))),
        ("noise bursts", Box::new(|layout| signal::noise_bursts(SAMPLES, layout, 13))),
        ("clicks", Box::new(|layout| signal::clicks(SAMPLES, layout, 14))),
    ];
    if let Some(path) = std::env::args().nth(1) {
        let (mono, rate) = read_wav(&path)?;
        sounds.push(("speech", Box::new(move |layout| signal::recorded(&mono, rate, SAMPLES, layout))));
    }
    let names: Vec<&str> = sounds.iter().map(|(name, _)| *name).collect();
    println!("Sounds: {}.", names.join(", "));
    table(&sounds).map_err(|error| error.to_string())
}

/// Which blocks the network loses.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    None,
    /// 2 %, in bursts of one to four blocks.
    Bursts,
}

fn table(sounds: &[Sound]) -> Result<(), CodecError> {
    println!();
    println!(
        "| stream | complexity, loss % | encode ns | SNR dB | NMR dB | worst 5 % | with loss | largest change |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for stream in STREAMS {
        let spec = stream.spec;
        let originals: Vec<_> = sounds.iter().map(|(name, make)| (*name, make(spec.layout))).collect();
        let shipped = EncoderSettings::SHIPPED.of(spec.codec);
        let reference = qualities(spec, shipped, &originals, Loss::None)?;
        let mut settings = vec![shipped];
        // Below complexity 4 the expected loss has no effect.
        for (complexity, packet_loss_percent) in [(0, 0), (1, 0), (3, 0), (4, 0), (4, 35), (5, 0)] {
            let mode = ModeSettings { complexity, packet_loss_percent };
            if mode != shipped {
                settings.push(mode);
            }
        }
        for mode in settings {
            let results = qualities(spec, mode, &originals, Loss::None)?;
            let with_loss = qualities(spec, mode, &originals, Loss::Bursts)?;
            let mean = |results: &[Quality], value: fn(&Quality) -> f64| {
                results.iter().map(value).sum::<f64>() / results.len() as f64
            };
            let (mut change, mut sound) = (0.0_f64, "");
            for (((name, _), ours), theirs) in originals.iter().zip(&results).zip(&reference) {
                let worse = ours.nmr_db - theirs.nmr_db;
                if worse.abs() > change.abs() {
                    (change, sound) = (worse, name);
                }
            }
            let codec = OpusCustom::new(EncoderSettings { opus: mode, opus64: mode })?;
            println!(
                "| {}{} | {}, {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {change:+.2} {sound} |",
                stream.name,
                if mode == shipped { " (shipped)" } else { "" },
                mode.complexity,
                mode.packet_loss_percent,
                bare::measure(&codec, spec, 5)?.encode,
                mean(&results, |quality| quality.snr_db),
                mean(&results, |quality| quality.nmr_db),
                mean(&results, |quality| quality.nmr_worst_db),
                mean(&with_loss, |quality| quality.nmr_db),
            );
        }
    }
    Ok(())
}

fn qualities(
    spec: StreamSpec,
    mode: ModeSettings,
    originals: &[(&str, Vec<i16>)],
    loss: Loss,
) -> Result<Vec<Quality>, CodecError> {
    let codec = OpusCustom::new(EncoderSettings { opus: mode, opus64: mode })?;
    originals
        .iter()
        .map(|(_, original)| {
            let heard = round_trip(&codec, spec, original, loss)?;
            let delay = spec.pcm_len();
            Ok(compare(&original[..original.len() - delay], &heard[delay..], spec.layout.sides()))
        })
        .collect()
}

fn round_trip(codec: &OpusCustom, spec: StreamSpec, pcm: &[i16], loss: Loss) -> Result<Vec<i16>, CodecError> {
    let mut encoder = codec.encoder(spec)?;
    let mut decoder = codec.decoder(spec)?;
    let mut random = Random::new(77);
    let mut block = vec![0; usize::from(spec.block_bytes)];
    let mut heard = vec![0; pcm.len()];
    let mut lost = 0;
    let per_second = if spec.codec == BlockCodec::Opus { 375 } else { 750 };
    for (number, (pcm, heard)) in
        pcm.chunks_exact(spec.pcm_len()).zip(heard.chunks_exact_mut(spec.pcm_len())).enumerate()
    {
        encoder.encode(pcm, &mut block)?;
        // A burst has 2.5 blocks on the average; the first second is for settling.
        if lost == 0 && loss == Loss::Bursts && number > per_second && random.number().is_multiple_of(125) {
            lost = 1 + random.number() % 4;
        }
        decoder.decode((lost == 0).then_some(&block), heard)?;
        lost = lost.saturating_sub(1);
    }
    Ok(heard)
}

/// Samples and rate of a mono 16-bit WAV file.
fn read_wav(path: &str) -> Result<(Vec<i16>, u32), String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let find = |tag: &[u8; 4]| {
        let place = bytes.windows(4).position(|window| window == tag)?;
        Some(place + 8)
    };
    let (Some(format), Some(data)) = (find(b"fmt "), find(b"data")) else {
        return Err(format!("{path} is no WAV file"));
    };
    let u16_at = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    if (u16_at(format + 2), u16_at(format + 14)) != (Some(1), Some(16)) {
        return Err(format!("{path} is not mono with 16 bits; convert it"));
    }
    let rate = bytes
        .get(format + 4..format + 8)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .ok_or_else(|| format!("{path} ends in its header"))?;
    let (samples, _) = bytes.get(data..).unwrap_or_default().as_chunks::<2>();
    Ok((samples.iter().map(|b| i16::from_le_bytes(*b)).collect(), rate))
}
