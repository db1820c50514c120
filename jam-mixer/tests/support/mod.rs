//! Signals and streams shared by the codec tests.

#![allow(dead_code, reason = "each test program uses its own part")]

use jam_mixer::codec::StreamSpec;
use jam_proto::{BlockCodec, Layout};

/// Every coded size that shipped clients announce (spec 3.3), Opus Custom ones.
pub(crate) const SHIPPED: [(BlockCodec, Layout, u16); 14] = [
    (BlockCodec::Opus64, Layout::Mono, 12),
    (BlockCodec::Opus64, Layout::Mono, 22),
    (BlockCodec::Opus64, Layout::Mono, 36),
    (BlockCodec::Opus64, Layout::Stereo, 24),
    (BlockCodec::Opus64, Layout::Stereo, 35),
    (BlockCodec::Opus64, Layout::Stereo, 73),
    (BlockCodec::Opus, Layout::Mono, 25),
    (BlockCodec::Opus, Layout::Mono, 45),
    (BlockCodec::Opus, Layout::Mono, 71),
    (BlockCodec::Opus, Layout::Mono, 82),
    (BlockCodec::Opus, Layout::Stereo, 47),
    (BlockCodec::Opus, Layout::Stereo, 71),
    (BlockCodec::Opus, Layout::Stereo, 142),
    (BlockCodec::Opus, Layout::Stereo, 165),
];

pub(crate) fn shipped() -> impl Iterator<Item = StreamSpec> {
    SHIPPED.into_iter().map(|(codec, layout, block_bytes)| StreamSpec { codec, layout, block_bytes })
}

/// A small generator with a visible seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// -1.0 to 1.0.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Interleaved samples of a sine, with an own frequency per side.
pub(crate) fn sine(samples: usize, layout: Layout, hertz: [f32; 2], amplitude: f32) -> Vec<i16> {
    let mut pcm = Vec::with_capacity(samples * layout.sides());
    for n in 0..samples {
        for hertz in hertz.iter().take(layout.sides()) {
            let phase = std::f64::consts::TAU * f64::from(*hertz) * n as f64 / 48_000.0;
            pcm.push((f64::from(amplitude) * phase.sin()).round() as i16);
        }
    }
    pcm
}

/// Something like music: plucked notes with overtones in three voices, and a noise hit on each beat.
pub(crate) fn music(samples: usize, layout: Layout, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut voices = [(0.0_f32, 0.0_f32, 0.0_f32, 0.3_f32); 3];
    let mut hit = 0.0_f32;
    let mut pcm = Vec::with_capacity(samples * layout.sides());
    for n in 0..samples {
        for (index, voice) in voices.iter_mut().enumerate() {
            if n % (9_000 + 3_000 * index) == 0 {
                let semitones = random.below(24) as f32;
                *voice = (110.0 * (semitones / 12.0).exp2(), 0.0, 0.3, random.unit() * 0.4 + 0.5);
            }
        }
        if n % 24_000 == 0 {
            hit = 0.35;
        }
        let (mut left, mut right) = (0.0, 0.0);
        for (hertz, phase, level, pan) in &mut voices {
            *phase = (*phase + *hertz / 48_000.0).fract();
            *level *= 0.999_93;
            let mut sound = 0.0;
            for overtone in 1..8 {
                let overtone = overtone as f32;
                sound += (std::f32::consts::TAU * *phase * overtone).sin() / (overtone * overtone.sqrt());
            }
            left += sound * *level * (1.0 - *pan);
            right += sound * *level * *pan;
        }
        hit *= 0.999_2;
        let noise = random.unit() * hit;
        let (left, right) = (left + noise, right + noise);
        match layout {
            Layout::Mono => pcm.push(((left + right) * 12_000.0) as i16),
            Layout::Stereo => pcm.extend([(left * 20_000.0) as i16, (right * 20_000.0) as i16]),
        }
    }
    pcm
}

/// Signal to noise ratio in dB.
pub(crate) fn snr_db(signal: &[i16], heard: &[i16]) -> f64 {
    let mut power = 0.0;
    let mut noise = 1e-9;
    for (signal, heard) in signal.iter().zip(heard) {
        power += f64::from(*signal).powi(2);
        noise += (f64::from(*signal) - f64::from(*heard)).powi(2);
    }
    10.0 * (power / noise).log10()
}
