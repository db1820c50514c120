//! What a musician hears: the last samples, and how much of each tone is in them.

use jam_proto::Layout;
use std::collections::VecDeque;
use std::f64::consts::TAU;

/// Samples of a measurement: 100 ms, in which every multiple of 10 Hz has whole periods and all are orthogonal.
pub(crate) const WINDOW: usize = 4_800;

/// How a tone sounds in a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// Left and right; the same for mono.
    pub(crate) amplitude: [f64; 2],
}

#[derive(Default)]
pub(crate) struct Ears {
    sides: [VecDeque<i16>; 2],
    last_sequence: Option<u8>,
    /// Blocks missing or out of order by their sequence bytes.
    pub(crate) breaks: u64,
}

impl Ears {
    pub(crate) fn new_stream(&mut self) {
        self.last_sequence = None;
    }

    /// How many blocks are missing before this one; `None` if its place has passed.
    pub(crate) fn expect(&mut self, sequence: Option<u8>) -> Option<u8> {
        let (Some(last), Some(sequence)) = (self.last_sequence, sequence) else {
            self.last_sequence = sequence;
            return Some(0);
        };
        let missing = sequence.wrapping_sub(last).wrapping_sub(1);
        self.breaks += u64::from(missing != 0);
        if missing >= 128 {
            return None;
        }
        self.last_sequence = Some(sequence);
        Some(missing)
    }

    pub(crate) fn hear(&mut self, pcm: &[i16], layout: Layout) {
        for frame in pcm.chunks_exact(layout.sides()) {
            let (left, right) = (frame[0], frame[frame.len() - 1]);
            for (side, sample) in self.sides.iter_mut().zip([left, right]) {
                if side.len() == WINDOW {
                    side.pop_front();
                }
                side.push_back(sample);
            }
        }
    }

    /// The amplitude of each tone in the last window, and the effective value of what is left without them.
    pub(crate) fn analyse(&self, hertz: &[u32]) -> (Vec<Heard>, [f64; 2]) {
        let mut heard = vec![Heard { amplitude: [0.0; 2] }; hertz.len()];
        let mut rest = [0.0; 2];
        for (side, samples) in self.sides.iter().enumerate() {
            let mut samples: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
            samples.resize(WINDOW, 0.0);
            for (hertz, heard) in hertz.iter().zip(&mut heard) {
                let omega = TAU * f64::from(*hertz) / 48_000.0;
                let (mut re, mut im) = (0.0, 0.0);
                for (n, s) in samples.iter().enumerate() {
                    let (sin, cos) = (omega * n as f64).sin_cos();
                    re += s * cos;
                    im += s * sin;
                }
                let (re, im) = (re * 2.0 / WINDOW as f64, im * 2.0 / WINDOW as f64);
                for (n, s) in samples.iter_mut().enumerate() {
                    let (sin, cos) = (omega * n as f64).sin_cos();
                    *s -= re * cos + im * sin;
                }
                heard.amplitude[side] = re.hypot(im);
            }
            rest[side] = (samples.iter().map(|s| s * s).sum::<f64>() / WINDOW as f64).sqrt();
        }
        (heard, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ears_tell_tones_apart() {
        let mut ears = Ears::default();
        let sine = |n: usize, hertz: f64, a: f64| a * (TAU * hertz * n as f64 / 48_000.0 + 1.0).sin();
        let pcm: Vec<i16> = (0..WINDOW)
            .flat_map(|n| [sine(n, 300.0, 1_000.0) + sine(n, 570.0, 50.0), sine(n, 570.0, 7_000.0)])
            .map(|s| s.round() as i16)
            .collect();
        ears.hear(&pcm, Layout::Stereo);
        let (heard, rest) = ears.analyse(&[300, 570, 840]);
        let expected = [[1_000.0, 0.0], [50.0, 7_000.0], [0.0, 0.0]];
        for (heard, expected) in heard.iter().zip(expected) {
            assert!(heard.amplitude.iter().zip(expected).all(|(a, e)| (a - e).abs() < 0.5), "{heard:?}");
        }
        assert!(rest.iter().all(|rest| *rest < 0.5), "{rest:?}");
    }
}
