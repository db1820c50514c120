//! What the probe and a listener heard, worked out after the run so that decoding disturbs no measurement.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use jam_mixer::codec::{Codec, CodecError, Decode, JamCodec, StreamSpec};
use jam_proto::AudioProps;
use jam_proto::audio::AudioDatagram;

use crate::clock::Nanos;
use crate::histogram::Histogram;
use crate::signal::{find_sweep, sweep_start};

/// How long after a sweep was sent its return is looked for.
const SEARCH_NANOS: i64 = 180_000_000;
/// Below this a match is chance.
const MATCH_MIN: f64 = 0.6;

/// Received audio datagrams in order, with their positions and times.
#[derive(Debug)]
pub(crate) struct Recording {
    datagrams: VecDeque<(i64, Nanos, Vec<u8>)>,
    datagrams_max: usize,
}

impl Recording {
    /// Keeps the newest `datagrams_max` datagrams.
    pub(crate) fn new(datagrams_max: usize) -> Self {
        Self { datagrams: VecDeque::new(), datagrams_max }
    }

    pub(crate) fn add(&mut self, position: i64, arrival: Nanos, datagram: &[u8]) {
        if self.datagrams.len() >= self.datagrams_max {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back((position, arrival, datagram.to_vec()));
    }

    /// The left side as samples from −1 to 1; missing datagrams are concealed, so that positions stay true.
    fn decode(&self, props: &AudioProps) -> Result<Vec<f64>, CodecError> {
        let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
        let mut decoder = JamCodec::default().decoder(spec)?;
        let mut pcm = vec![0i16; spec.pcm_len()];
        let mut out = Vec::new();
        let mut left = |pcm: &[i16]| {
            out.extend(pcm.iter().step_by(props.layout.sides()).map(|s| f64::from(*s) / 32_768.0));
        };
        let mut next = self.datagrams.front().map_or(0, |(position, ..)| *position);
        for (position, _, payload) in &self.datagrams {
            for _ in 0..(position - next) * props.factor.blocks() as i64 {
                decoder.decode(None, &mut pcm)?;
                left(&pcm);
            }
            next = position + 1;
            let Some(datagram) = AudioDatagram::parse(props, payload) else { continue };
            for block in datagram.blocks() {
                // An undecodable block leaves the buffer as it was, which serves as concealment.
                let _ = decoder.decode(Some(block.bytes), &mut pcm);
                left(&pcm);
            }
        }
        Ok(out)
    }

    /// The time from sending each sweep's first block to receiving the block of the mix that contains it.
    pub(crate) fn turnaround(&self, props: &AudioProps, sent: &[Nanos]) -> Result<Histogram, CodecError> {
        let mut histogram = Histogram::default();
        let pcm = self.decode(props)?;
        let Some((first, ..)) = self.datagrams.front() else { return Ok(histogram) };
        let samples = props.codec.samples() * props.factor.blocks();
        // Each of the two codings on the way delays by one block; raw by none (spec 3.2).
        let delay = if props.is_raw_size() { 0 } else { 2 * props.codec.samples() };
        for &at in sent {
            let begin = self.datagrams.partition_point(|(_, arrival, _)| *arrival < at);
            let end = self.datagrams.partition_point(|(_, arrival, _)| arrival.since(at) < SEARCH_NANOS);
            let index = |n: usize| {
                self.datagrams
                    .get(n)
                    .map_or(pcm.len(), |(position, ..)| (position - first) as usize * samples)
            };
            let (from, to) = (index(begin), index(end));
            let Some((start, match_)) = pcm.get(from..to).and_then(find_sweep) else { continue };
            if match_ < MATCH_MIN {
                continue;
            }
            let Some(start) = (from + start).checked_sub(delay) else { continue };
            let position = first + (start / samples) as i64;
            let found = self.datagrams.partition_point(|(p, ..)| *p < position);
            if let Some((_, arrival, _)) = self.datagrams.get(found).filter(|(p, ..)| *p == position) {
                histogram.add(arrival.since(at));
            }
        }
        Ok(histogram)
    }

    /// How many of the tones (whole periods per `period_samples`) are heard within 3 dB of `peak`, in the best period
    /// of the recording: a late datagram disturbs the others.
    pub(crate) fn tones_heard(
        &self,
        props: &AudioProps,
        tones: &[usize],
        period_samples: usize,
        peak: f64,
    ) -> Result<usize, CodecError> {
        let pcm = self.decode(props)?;
        let near = |level: f64| (0.708..1.413).contains(&(level / peak));
        let heard = |window: &[f64]| tones.iter().filter(|&&periods| near(level(window, periods))).count();
        Ok(pcm.windows(period_samples).step_by(period_samples / 4).map(heard).max().unwrap_or(0))
    }
}

/// Amplitude of a tone that has `periods` periods in the window.
fn level(window: &[f64], periods: usize) -> f64 {
    let step = TAU * periods as f64 / window.len() as f64;
    let (re, im) = window.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, s)| {
        let (sin, cos) = (step * n as f64).sin_cos();
        (re + s * cos, im + s * sin)
    });
    2.0 * f64::hypot(re, im) / window.len() as f64
}

/// The datagram of the probe's loop in which its sweep begins, counted in datagrams.
pub(crate) fn sweep_datagram(props: &AudioProps) -> u64 {
    (sweep_start(props) / props.codec.samples() / props.factor.blocks()) as u64
}

#[cfg(test)]
mod tests {
    use jam_mixer::codec::Encode as _;
    use jam_proto::audio::Quality;
    use jam_proto::{BlockCodec, BlockFactor, Layout, Sequence};

    use super::*;
    use crate::signal::Loop;

    /// A server made of one decoder and one encoder that answers `ticks` datagrams later.
    fn round_trip(quality: Quality, factor: BlockFactor, ticks: i64) -> Histogram {
        let (codec, layout) = (BlockCodec::Opus, Layout::Mono);
        let block_bytes = quality.block_bytes(codec, layout);
        let props = AudioProps { codec, layout, block_bytes, factor, sequence: Sequence::With };
        let spec = StreamSpec { codec, layout, block_bytes };
        let period = 2_666_667 * factor.blocks() as i64;
        let music = Loop::sweep(&props, 96).unwrap();
        let (mut decoder, mut encoder) =
            (JamCodec::default().decoder(spec).unwrap(), JamCodec::default().encoder(spec).unwrap());
        let mut recording = Recording::new(10_000);
        let mut sent = Vec::new();
        let loop_datagrams = music.len() as u64 / factor.blocks() as u64;
        let (mut pcm, mut coded) = (vec![0; 128], vec![0; usize::from(block_bytes)]);
        for n in 0..loop_datagrams * 3 {
            let at = Nanos(n as i64 * period);
            if n % loop_datagrams == sweep_datagram(&props) {
                sent.push(at);
            }
            let mut datagram = Vec::new();
            for block in 0..factor.blocks() as u64 {
                decoder.decode(Some(music.block(n * factor.blocks() as u64 + block)), &mut pcm).unwrap();
                encoder.encode(&pcm, &mut coded).unwrap();
                datagram.extend_from_slice(&coded);
                datagram.push(0);
            }
            recording.add(n as i64 + ticks, Nanos(at.0 + ticks * period + 500_000), &datagram);
        }
        recording.turnaround(&props, &sent).unwrap()
    }

    #[test]
    fn the_turnaround_is_measured_to_the_block() {
        for quality in [Quality::Raw, Quality::Normal] {
            for (factor, ticks, wanted) in [
                (BlockFactor::One, 0, 500_000),
                (BlockFactor::One, 7, 19_166_669),
                (BlockFactor::Two, 3, 16_500_002),
            ] {
                let histogram = round_trip(quality, factor, ticks);
                assert!(histogram.count() >= 2, "{quality:?} {factor:?} {ticks}");
                let got = histogram.percentile(1.0).unwrap();
                assert!(got.abs_diff(wanted) < wanted / 50, "{quality:?} {factor:?} {ticks} {got}");
            }
        }
    }

    #[test]
    fn tones_are_told_apart_by_their_period() {
        let pcm: Vec<f64> = (0..960).map(|n| 0.5 * (TAU * 7.0 * f64::from(n) / 960.0).sin()).collect();
        assert!((level(&pcm, 7) - 0.5).abs() < 1e-9);
        assert!(level(&pcm, 8) < 1e-9);
    }
}
