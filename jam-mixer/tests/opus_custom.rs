//! The Opus Custom codec as its users see it.

#![cfg(feature = "opus-custom")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use jam_mixer::codec::{
    Codec, CodecError, Decode, Encode, EncoderSettings, JamCodec, ModeSettings, OpusCustom, RawBlocks,
    StreamSpec,
};
use jam_proto::{BlockCodec, Layout};
use proptest::prelude::*;
use support::{Random, music, shipped, sine, snr_db};

/// Encodes and decodes `pcm`; the result is delayed by one block.
fn round_trip(codec: &OpusCustom, spec: StreamSpec, pcm: &[i16]) -> Vec<i16> {
    let mut encoder = codec.encoder(spec).unwrap();
    let mut decoder = codec.decoder(spec).unwrap();
    let mut block = vec![0; usize::from(spec.block_bytes)];
    let mut heard = vec![0; pcm.len()];
    for (pcm, heard) in pcm.chunks_exact(spec.pcm_len()).zip(heard.chunks_exact_mut(spec.pcm_len())) {
        encoder.encode(pcm, &mut block).unwrap();
        decoder.decode(Some(&block), heard).unwrap();
    }
    heard
}

#[test]
fn blocks_of_another_library_version_decode_to_the_same_samples() {
    let mut lines = include_str!("data/opus_custom.txt").lines().filter(|line| !line.starts_with('#'));
    let mut vectors = 0;
    while let Some(head) = lines.next() {
        let mut words = head.split(' ');
        let name = words.next().unwrap();
        let [samples, sides, bytes, tolerance] =
            [(); 4].map(|()| words.next().unwrap().parse::<u16>().unwrap());
        let spec = StreamSpec {
            codec: if samples == 64 { BlockCodec::Opus64 } else { BlockCodec::Opus },
            layout: if sides == 1 { Layout::Mono } else { Layout::Stereo },
            block_bytes: bytes,
        };
        let hex = lines.next().unwrap();
        let blocks: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        let last: Vec<i16> = lines.next().unwrap().split(' ').map(|n| n.parse().unwrap()).collect();

        let mut decoder = OpusCustom::default().decoder(spec).unwrap();
        let mut pcm = vec![0; spec.pcm_len()];
        for block in blocks.chunks_exact(usize::from(bytes)) {
            decoder.decode(Some(block), &mut pcm).unwrap();
        }
        assert_eq!(pcm.len(), last.len(), "{name}");
        for (ours, theirs) in pcm.iter().zip(&last) {
            assert!((ours - theirs).unsigned_abs() <= tolerance, "{name}: {ours} instead of {theirs}");
        }
        vectors += 1;
    }
    assert_eq!(vectors, 4);
}

#[test]
fn silence_encodes_to_the_bytes_that_shipped_programs_send() {
    for spec in shipped() {
        let mut encoder = OpusCustom::default().encoder(spec).unwrap();
        let mut block = vec![0xaa; usize::from(spec.block_bytes)];
        encoder.encode(&vec![0; spec.pcm_len()], &mut block).unwrap();
        let header = if spec.layout == Layout::Mono { 0x00 } else { 0x04 };
        assert_eq!(block[..3], [header, 0xff, 0xfe], "{spec:?}");
        assert!(block[3..].iter().all(|byte| *byte == 0), "{spec:?}");
    }
}

#[test]
fn default_settings_write_the_bytes_of_shipped_settings() {
    for spec in shipped() {
        let sounds = [
            music(spec.codec.samples() * 1_500, spec.layout, 21),
            // Steady tones are what a pitch search would find.
            sine(spec.codec.samples() * 1_500, spec.layout, [220.0, 331.0], 12_000.0),
        ];
        for pcm in sounds {
            let codecs = [EncoderSettings::SHIPPED, EncoderSettings::default()];
            let mut encoders =
                codecs.map(|settings| OpusCustom::new(settings).unwrap().encoder(spec).unwrap());
            let mut blocks = [(); 2].map(|()| vec![0; usize::from(spec.block_bytes)]);
            for (number, pcm) in pcm.chunks_exact(spec.pcm_len()).enumerate() {
                for (encoder, block) in encoders.iter_mut().zip(&mut blocks) {
                    encoder.encode(pcm, block).unwrap();
                }
                assert_eq!(blocks[0], blocks[1], "{spec:?}, block {number}");
            }
        }
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let settings = EncoderSettings::default();
    let complexity = ModeSettings { complexity: 11, ..settings.opus };
    let error = OpusCustom::new(EncoderSettings { opus: complexity, ..settings }).unwrap_err();
    assert_eq!(error, CodecError::InvalidSetting { what: "complexity", got: 11, max: 10 });
    let loss = ModeSettings { packet_loss_percent: 101, ..settings.opus64 };
    let error = OpusCustom::new(EncoderSettings { opus64: loss, ..settings }).unwrap_err();
    assert_eq!(error, CodecError::InvalidSetting { what: "packet_loss_percent", got: 101, max: 100 });
}

/// What the sharing of encoders rests on: with other histories, the same sound soon gives the same bytes.
#[test]
fn encoders_with_other_histories_soon_write_the_same_bytes() {
    for spec in shipped() {
        let same = music(spec.codec.samples() * 900, spec.layout, 31);
        let mut encoders = [(); 2].map(|()| OpusCustom::default().encoder(spec).unwrap());
        let mut blocks = [(); 2].map(|()| vec![0; usize::from(spec.block_bytes)]);
        for seed in [32, 33] {
            let own = music(spec.codec.samples() * 200, spec.layout, seed);
            for pcm in own.chunks_exact(spec.pcm_len()) {
                encoders[seed as usize - 32].encode(pcm, &mut blocks[0]).unwrap();
            }
        }
        let (mut equal, mut since) = (0, 0);
        for (number, pcm) in same.chunks_exact(spec.pcm_len()).enumerate() {
            for (encoder, block) in encoders.iter_mut().zip(&mut blocks) {
                encoder.encode(pcm, block).unwrap();
            }
            if blocks[0] == blocks[1] {
                equal += 1;
            } else {
                assert!(equal < 256, "{spec:?}: block {number} differs after {equal} equal ones");
                (equal, since) = (0, number);
            }
        }
        assert!(equal >= 256, "{spec:?}: still different in block {since}");
    }
}

#[test]
fn every_shipped_size_carries_music_with_a_delay_of_one_block() {
    for spec in shipped() {
        let pcm = music(spec.codec.samples() * 600, spec.layout, 1);
        let heard = round_trip(&OpusCustom::default(), spec, &pcm);
        let delay = spec.pcm_len();
        let snr = snr_db(&pcm[..pcm.len() - delay], &heard[delay..]);
        assert!(snr > 4.0, "{spec:?}: {snr:.1} dB");
    }
}

#[test]
fn more_bytes_sound_better() {
    for codec in [BlockCodec::Opus, BlockCodec::Opus64] {
        for layout in [Layout::Mono, Layout::Stereo] {
            let pcm = music(codec.samples() * 400, layout, 2);
            let delay = codec.samples() * layout.sides();
            let mut before = f64::MIN;
            for block_bytes in [12, 30, 80] {
                let spec = StreamSpec { codec, layout, block_bytes };
                let heard = round_trip(&OpusCustom::default(), spec, &pcm);
                let snr = snr_db(&pcm[..pcm.len() - delay], &heard[delay..]);
                assert!(snr > before, "{spec:?}: {snr:.1} dB after {before:.1} dB");
                before = snr;
            }
        }
    }
}

#[test]
fn every_block_size_from_10_to_1275_is_filled() {
    let codec = OpusCustom::default();
    for mode in [BlockCodec::Opus, BlockCodec::Opus64] {
        for layout in [Layout::Mono, Layout::Stereo] {
            let pcm = music(mode.samples() * 3, layout, 3);
            for block_bytes in 10..=1275 {
                let spec = StreamSpec { codec: mode, layout, block_bytes };
                let mut encoder = codec.encoder(spec).unwrap();
                let mut decoder = codec.decoder(spec).unwrap();
                let mut block = vec![0; usize::from(block_bytes)];
                let mut heard = vec![0; spec.pcm_len()];
                for pcm in pcm.chunks_exact(spec.pcm_len()) {
                    encoder.encode(pcm, &mut block).unwrap();
                    decoder.decode(Some(&block), &mut heard).unwrap();
                }
            }
            for block_bytes in [0, 1, 2, 9, 1276, 20_000] {
                let spec = StreamSpec { codec: mode, layout, block_bytes };
                let want = CodecError::Unsupported {
                    bytes: block_bytes,
                    samples: mode.samples(),
                    sides: layout.sides(),
                };
                assert_eq!(codec.encoder(spec).err(), Some(want));
                assert_eq!(codec.decoder(spec).err(), Some(want));
            }
        }
    }
}

#[test]
fn slices_of_a_wrong_length_are_refused() {
    let spec = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 45 };
    let mut encoder = OpusCustom::default().encoder(spec).unwrap();
    let mut decoder = OpusCustom::default().decoder(spec).unwrap();
    let wrong = |what, got, want| Err(CodecError::WrongLength { what, got, want });
    assert_eq!(encoder.encode(&[0; 127], &mut [0; 45]), wrong("pcm", 127, 128));
    assert_eq!(encoder.encode(&[0; 128], &mut [0; 46]), wrong("block", 46, 45));
    assert_eq!(decoder.decode(Some(&[0; 44]), &mut [0; 128]), wrong("block", 44, 45));
    assert_eq!(decoder.decode(Some(&[]), &mut [0; 128]), wrong("block", 0, 45));
    assert_eq!(decoder.decode(None, &mut [0; 129]), wrong("pcm", 129, 128));
}

#[test]
fn a_block_with_another_length_index_is_undecodable_and_leaves_the_samples_alone() {
    let spec = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 45 };
    let mut decoder = OpusCustom::default().decoder(spec).unwrap();
    let mut block = [0x55; 45];
    block[0] = 0x08;
    let mut pcm = [7; 128];
    let error = decoder.decode(Some(&block), &mut pcm).unwrap_err();
    assert_eq!(error, CodecError::Undecodable { bytes: 45, code: -4 });
    assert_eq!(pcm, [7; 128]);
}

#[test]
fn a_mono_decoder_plays_stereo_blocks_and_the_reverse() {
    let mono = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 71 };
    let stereo = StreamSpec { layout: Layout::Stereo, ..mono };
    let tone = |layout| sine(128 * 200, layout, [440.0, 440.0], 8000.0);
    for (sent, played) in [(mono, stereo), (stereo, mono)] {
        let mut encoder = OpusCustom::default().encoder(sent).unwrap();
        let mut decoder = OpusCustom::default().decoder(played).unwrap();
        let mut block = [0; 71];
        let mut heard = Vec::new();
        for pcm in tone(sent.layout).chunks_exact(sent.pcm_len()) {
            encoder.encode(pcm, &mut block).unwrap();
            let mut out = vec![0; played.pcm_len()];
            decoder.decode(Some(&block), &mut out).unwrap();
            heard.extend(out);
        }
        let want = tone(played.layout);
        let delay = played.pcm_len();
        let snr = snr_db(&want[..want.len() - delay], &heard[delay..]);
        assert!(snr > 20.0, "{sent:?} to {played:?}: {snr:.1} dB");
    }
}

#[test]
fn a_lost_block_is_concealed_and_the_sound_recovers() {
    for spec in shipped() {
        let blocks = 400;
        let hertz = 48_000.0 / 128.0;
        let pcm = sine(spec.codec.samples() * blocks, spec.layout, [hertz, hertz], 8000.0);
        let mut encoder = OpusCustom::default().encoder(spec).unwrap();
        let mut decoder = OpusCustom::default().decoder(spec).unwrap();
        let mut unhurt = OpusCustom::default().decoder(spec).unwrap();
        let mut block = vec![0; usize::from(spec.block_bytes)];
        let mut heard = vec![0; spec.pcm_len()];
        let mut wanted = heard.clone();
        let mut concealed_snr = f64::NAN;
        for (number, pcm) in pcm.chunks_exact(spec.pcm_len()).enumerate() {
            encoder.encode(pcm, &mut block).unwrap();
            unhurt.decode(Some(&block), &mut wanted).unwrap();
            let lost = number == 200;
            decoder.decode((!lost).then_some(block.as_slice()), &mut heard).unwrap();
            if lost {
                concealed_snr = snr_db(&wanted, &heard);
            }
        }
        // A steady tone is continued, not replaced by silence (0 dB).
        assert!(concealed_snr > 3.0, "{spec:?}: {concealed_snr:.1} dB in the lost block");
        let snr = snr_db(&wanted, &heard);
        assert!(snr > 30.0, "{spec:?}: {snr:.1} dB 200 blocks later");
    }
}

#[test]
fn long_loss_falls_to_the_level_of_the_background_noise() {
    for spec in shipped() {
        let pcm = music(spec.codec.samples() * 100, spec.layout, 4);
        let mut encoder = OpusCustom::default().encoder(spec).unwrap();
        let mut decoder = OpusCustom::default().decoder(spec).unwrap();
        let mut block = vec![0; usize::from(spec.block_bytes)];
        let mut heard = vec![0; spec.pcm_len()];
        let peak = |pcm: &[i16]| pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let mut loudest = 0;
        for pcm in pcm.chunks_exact(spec.pcm_len()) {
            encoder.encode(pcm, &mut block).unwrap();
            decoder.decode(Some(&block), &mut heard).unwrap();
            loudest = loudest.max(peak(&heard));
        }
        for _ in 0..2_000 {
            decoder.decode(None, &mut heard).unwrap();
        }
        let rest = peak(&heard);
        assert!(rest < loudest / 16, "{spec:?}: {rest} left of {loudest}");
    }
}

#[test]
fn random_blocks_decode_or_are_refused_but_never_crash() {
    let blocks = if cfg!(miri) { 10 } else { 3_000 };
    for (seed, spec) in shipped().chain(odd_sizes()).enumerate() {
        let mut random = Random::new(seed as u64 + 1);
        let mut decoder = OpusCustom::default().decoder(spec).unwrap();
        let mut pcm = vec![0; spec.pcm_len()];
        let mut block = vec![0_u8; usize::from(spec.block_bytes)];
        let (mut decoded, mut refused) = (0, 0);
        for number in 0..blocks {
            for byte in &mut block {
                *byte = random.next() as u8;
            }
            // Half of them with a header that leads deeper into the decoder.
            if number % 2 == 0 {
                block[0] &= 0xe4;
            }
            let input = (number % 17 != 0).then_some(block.as_slice());
            match decoder.decode(input, &mut pcm) {
                Ok(()) => decoded += 1,
                Err(CodecError::Undecodable { code, .. }) => {
                    assert!(code < 0);
                    refused += 1;
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        assert!(decoded > blocks / 2 && refused > 0, "{spec:?}: {decoded} decoded, {refused} refused");
    }
}

fn odd_sizes() -> impl Iterator<Item = StreamSpec> {
    [10, 11, 173, 700, 1275].into_iter().flat_map(|block_bytes| {
        [BlockCodec::Opus, BlockCodec::Opus64].into_iter().flat_map(move |codec| {
            [Layout::Mono, Layout::Stereo].into_iter().map(move |layout| StreamSpec {
                codec,
                layout,
                block_bytes,
            })
        })
    })
}

#[test]
fn loud_square_waves_and_noise_encode() {
    for spec in shipped().chain(odd_sizes()) {
        let mut encoder = OpusCustom::default().encoder(spec).unwrap();
        let mut decoder = OpusCustom::default().decoder(spec).unwrap();
        let mut random = Random::new(9);
        let mut block = vec![0; usize::from(spec.block_bytes)];
        let mut heard = vec![0; spec.pcm_len()];
        for number in 0..200 {
            let pcm: Vec<i16> = (0..spec.pcm_len())
                .map(|n| match number % 4 {
                    0 => [i16::MIN, i16::MAX][n / 2 % 2],
                    1 => random.next() as i16,
                    2 => i16::MIN,
                    _ => 0,
                })
                .collect();
            encoder.encode(&pcm, &mut block).unwrap();
            decoder.decode(Some(&block), &mut heard).unwrap();
        }
    }
}

#[test]
fn coders_work_on_several_threads_at_once() {
    let spec = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Stereo, block_bytes: 71 };
    let pcm = music(128 * 300, Layout::Stereo, 5);
    let alone = round_trip(&OpusCustom::default(), spec, &pcm);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let pcm = pcm.clone();
            std::thread::spawn(move || round_trip(&OpusCustom::default(), spec, &pcm))
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), alone);
    }
}

#[test]
fn raw_sizes_are_raw_only_where_that_is_allowed() {
    let spec = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 256 };
    let pcm = music(128, Layout::Mono, 6);
    let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut block = [0; 256];
    JamCodec::default().encoder(spec).unwrap().encode(&pcm, &mut block).unwrap();
    assert_eq!(block.as_slice(), bytes);
    let opus = JamCodec::new(OpusCustom::default(), RawBlocks::Refused);
    opus.encoder(spec).unwrap().encode(&pcm, &mut block).unwrap();
    assert_ne!(block.as_slice(), bytes);
    assert_eq!(block[0], 0x00);
    let mut heard = [0; 128];
    opus.decoder(spec).unwrap().decode(Some(&block), &mut heard).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A fork writes the same bytes as its origin for the same sound, and lets the origin go its own way.
    #[test]
    fn a_fork_continues_bit_for_bit(
        which in 0..14_usize, seed in 1..u64::MAX, before in 0..60_usize, after in 1..60_usize,
    ) {
        let spec = shipped().nth(which).unwrap();
        let pcm = music((before + after) * spec.codec.samples(), spec.layout, seed);
        let mut reference = OpusCustom::default().encoder(spec).unwrap();
        let mut origin = OpusCustom::default().encoder(spec).unwrap();
        let mut want = vec![0; usize::from(spec.block_bytes)];
        let mut got = want.clone();
        let mut fork = None;
        for (number, pcm) in pcm.chunks_exact(spec.pcm_len()).enumerate() {
            if number == before {
                fork = Some(origin.fork());
            }
            reference.encode(pcm, &mut want).unwrap();
            let Some(fork) = &mut fork else {
                origin.encode(pcm, &mut got).unwrap();
                continue;
            };
            // The origin hears something else from now on; neither the fork nor the reference notices.
            origin.encode(&vec![number as i16 * 99; spec.pcm_len()], &mut got).unwrap();
            fork.encode(pcm, &mut got).unwrap();
            prop_assert_eq!(&got, &want);
        }
    }
}

/// The tuned builds against the library as its own build files make it.
#[cfg(feature = "plain-opus")]
mod against_plain {
    use super::*;

    #[test]
    fn decoders_agree_within_one_unit() {
        let (mut samples, mut different) = (0, 0);
        for spec in shipped().chain(odd_sizes()) {
            let pcm = music(spec.codec.samples() * 500, spec.layout, 7);
            let plain = OpusCustom::plain(EncoderSettings::SHIPPED).unwrap();
            let mut encoder = plain.encoder(spec).unwrap();
            let mut theirs = plain.decoder(spec).unwrap();
            let baseline = OpusCustom::baseline(EncoderSettings::SHIPPED).unwrap();
            let mut ours = [OpusCustom::default(), baseline].map(|codec| codec.decoder(spec).unwrap());
            let mut block = vec![0; usize::from(spec.block_bytes)];
            let mut want = vec![0; spec.pcm_len()];
            let mut got = want.clone();
            for pcm in pcm.chunks_exact(spec.pcm_len()) {
                encoder.encode(pcm, &mut block).unwrap();
                theirs.decode(Some(&block), &mut want).unwrap();
                for ours in &mut ours {
                    ours.decode(Some(&block), &mut got).unwrap();
                    for (got, want) in got.iter().zip(&want) {
                        assert!(got.abs_diff(*want) <= 1, "{spec:?}: {got} instead of {want}");
                        samples += 1;
                        different += u64::from(got != want);
                    }
                }
            }
        }
        assert!(different * 100 < samples, "{different} of {samples} samples differ by one");
    }

    /// Concealment looks back over the whole history of a decoder, wherever that has slid to.
    #[test]
    fn decoders_conceal_alike() {
        for spec in shipped() {
            let pcm = music(spec.codec.samples() * 1_000, spec.layout, 9);
            let plain = OpusCustom::plain(EncoderSettings::SHIPPED).unwrap();
            let mut encoder = plain.encoder(spec).unwrap();
            let baseline = OpusCustom::baseline(EncoderSettings::SHIPPED).unwrap();
            let [mut theirs, mut tuned, mut baseline] =
                [plain, OpusCustom::default(), baseline].map(|codec| codec.decoder(spec).unwrap());
            let mut block = vec![0; usize::from(spec.block_bytes)];
            let [mut want, mut ours, mut base] = [(); 3].map(|()| vec![0; spec.pcm_len()]);
            let [mut all, mut all_ours, mut all_base] = [const { Vec::new() }; 3];
            for (i, pcm) in pcm.chunks_exact(spec.pcm_len()).enumerate() {
                encoder.encode(pcm, &mut block).unwrap();
                // Single losses at every place of the history, and bursts of five. What rounding alone does to the search
                // for the pitch keeps 42 dB.
                let lost = i % 7 == 3 || i % 100 > 94;
                let block = (!lost).then_some(block.as_slice());
                theirs.decode(block, &mut want).unwrap();
                tuned.decode(block, &mut ours).unwrap();
                baseline.decode(block, &mut base).unwrap();
                all.extend_from_slice(&want);
                all_ours.extend_from_slice(&ours);
                all_base.extend_from_slice(&base);
            }
            for heard in [&all_ours, &all_base] {
                let like = snr_db(&all, heard);
                assert!(like > 35.0, "{spec:?}: only {like:.1} dB alike");
            }
        }
    }

    #[test]
    fn encoders_sound_alike() {
        for spec in shipped() {
            let pcm = music(spec.codec.samples() * 1_000, spec.layout, 8);
            let delay = spec.pcm_len();
            let snr = |codec: OpusCustom| {
                let heard = round_trip(&codec, spec, &pcm);
                snr_db(&pcm[..pcm.len() - delay], &heard[delay..])
            };
            let plain = snr(OpusCustom::plain(EncoderSettings::SHIPPED).unwrap());
            for codec in [OpusCustom::new, OpusCustom::baseline] {
                let ours = snr(codec(EncoderSettings::SHIPPED).unwrap());
                assert!((plain - ours).abs() < 0.05, "{spec:?}: {ours:.3} dB instead of {plain:.3} dB");
            }
        }
    }
}
