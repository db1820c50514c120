//! Sounds for measurements: made here, always the same for the same seed.

use std::sync::LazyLock;

use jam_proto::Layout;

/// The sine of a phase in turns, from a table: the sounds here are made of millions of them.
fn sine(turns: f32) -> f32 {
    const STEPS: usize = 4096;
    static TABLE: LazyLock<Vec<f32>> = LazyLock::new(|| {
        (0..=STEPS).map(|n| (std::f32::consts::TAU * n as f32 / STEPS as f32).sin()).collect()
    });
    let place = (turns - turns.floor()) * STEPS as f32;
    let index = (place as usize).min(STEPS - 1);
    let (low, high) = (TABLE[index], TABLE[index + 1]);
    low + (high - low) * (place - index as f32)
}

/// A small generator (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal sequences.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next value from -1.0 to 1.0.
    pub fn unit(&mut self) -> f32 {
        (self.number() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Interleaves a left and a right side, or their mean for mono.
fn interleave(sides: impl Iterator<Item = (f32, f32)>, layout: Layout) -> Vec<i16> {
    let sample = |value: f32| (value * 32_767.0).clamp(-32_768.0, 32_767.0) as i16;
    sides
        .flat_map(|(left, right)| match layout {
            Layout::Mono => [Some(sample(0.5 * (left + right))), None],
            Layout::Stereo => [Some(sample(left)), Some(sample(right))],
        })
        .flatten()
        .collect()
}

/// One struck or plucked note: partials that decay the faster the higher they are.
#[derive(Clone, Debug, Default)]
struct Note {
    /// Phase step and level of each partial.
    partials: [(f32, f32); 10],
    phases: [f32; 10],
    decays: [f32; 10],
    pan: f32,
}

impl Note {
    fn strike(random: &mut Random) -> Self {
        let semitones = (random.number() % 40) as f32;
        let hertz = 82.4 * (semitones / 12.0).exp2();
        let brightness = 0.5 + 0.4 * random.unit();
        let mut note = Self { pan: 0.5 + 0.4 * random.unit(), ..Self::default() };
        for index in 0..10 {
            let number = (index + 1) as f32;
            // Strings are a little stiff: partials lie above the multiples.
            let hertz = hertz * number * (1.0 + 0.000_3 * number * number);
            let level = if hertz > 18_000.0 { 0.0 } else { 0.25 * brightness.powi(index as i32) };
            note.partials[index] = (hertz / 48_000.0, level);
            note.phases[index] = 0.5 * random.unit() + 0.5;
            note.decays[index] = 1.0 - (0.000_02 + 0.000_02 * number);
        }
        note
    }

    fn next(&mut self) -> f32 {
        let mut sound = 0.0;
        for ((step, level), (phase, decay)) in
            self.partials.iter_mut().zip(self.phases.iter_mut().zip(self.decays.iter()))
        {
            *phase = (*phase + *step).fract();
            *level *= *decay;
            sound += *level * sine(*phase);
        }
        sound
    }
}

/// A band: four voices of plucked strings, a drum on each beat and a cymbal between.
#[must_use]
pub fn music(samples: usize, layout: Layout, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut notes: [Note; 4] = std::array::from_fn(|_| Note::strike(&mut random));
    let (mut drum, mut drum_phase, mut cymbal, mut before) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    let sides = (0..samples).map(|n| {
        for (index, note) in notes.iter_mut().enumerate() {
            if (n + 2_000 * index) % (9_000 + 4_500 * index) == 0 {
                *note = Note::strike(&mut random);
            }
        }
        if n % 24_000 == 0 {
            (drum, drum_phase) = (0.5, 0.0);
        }
        if n % 12_000 == 6_000 {
            cymbal = 0.15;
        }
        drum *= 0.999_6;
        drum_phase += (50.0 + 150.0 * drum) / 48_000.0;
        cymbal *= 0.999_5;
        let noise = random.unit();
        let bright = noise - before;
        before = noise;
        let middle = drum * sine(drum_phase) + cymbal * bright;
        let (mut left, mut right) = (middle, middle);
        for note in &mut notes {
            let sound = note.next();
            left += sound * (1.0 - note.pan);
            right += sound * note.pan;
        }
        (0.6 * left, 0.6 * right)
    });
    interleave(sides, layout)
}

/// Slow chords of bowed strings: steady, tonal, with vibrato.
#[must_use]
pub fn strings(samples: usize, layout: Layout, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut voices = [(0.0_f32, 0.0_f32, 0.0_f32); 5];
    let mut level = 0.0_f32;
    let sides = (0..samples).map(|n| {
        if n % 72_000 == 0 {
            for (hertz, _, pan) in &mut voices {
                let semitones = (random.number() % 30) as f32;
                (*hertz, *pan) = (110.0 * (semitones / 12.0).exp2(), 0.5 + 0.45 * random.unit());
            }
        }
        let target = if n % 72_000 < 60_000 { 0.12 } else { 0.02 };
        level += (target - level) * 0.000_1;
        let vibrato = 1.0 + 0.004 * sine(5.5 * n as f32 / 48_000.0);
        let (mut left, mut right) = (0.0, 0.0);
        for (hertz, phase, pan) in &mut voices {
            *phase = (*phase + *hertz * vibrato / 48_000.0).fract();
            let overtones = ((12_000.0 / *hertz) as usize).min(24);
            let mut sound = 0.0;
            for number in 1..=overtones {
                let number = number as f32;
                sound += sine(*phase * number) / number;
            }
            left += sound * (1.0 - *pan);
            right += sound * *pan;
        }
        (level * left, level * right)
    });
    interleave(sides, layout)
}

/// Bursts of coloured noise with pauses, like brushes or breath.
#[must_use]
pub fn noise_bursts(samples: usize, layout: Layout, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let (mut level, mut colour, mut state) = (0.0_f32, 0.0_f32, (0.0_f32, 0.0_f32));
    let sides = (0..samples).map(|n| {
        if n % 9_600 == 0 {
            level = if random.number().is_multiple_of(4) { 0.0 } else { 0.2 + 0.2 * random.unit() };
            colour = 0.5 + 0.45 * random.unit();
        }
        level *= 0.999_8;
        state.0 = colour * state.0 + (1.0 - colour) * random.unit();
        state.1 = colour * state.1 + (1.0 - colour) * random.unit();
        (2.0 * level * state.0, 2.0 * level * state.1)
    });
    interleave(sides, layout)
}

/// Hard clicks that ring for some milliseconds, like castanets.
#[must_use]
pub fn clicks(samples: usize, layout: Layout, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let (mut next, mut level, mut hertz, mut phase, mut pan) = (0, 0.0_f32, 0.0_f32, 0.0_f32, 0.5_f32);
    let sides = (0..samples).map(|n| {
        if n == next {
            next += 2_000 + (random.number() % 7_000) as usize;
            (level, phase, pan) = (0.5 + 0.3 * random.unit(), 0.25, 0.5 + 0.45 * random.unit());
            hertz = 2_200.0 + 900.0 * random.unit();
        }
        level *= 0.993;
        phase += hertz / 48_000.0;
        let sound = level * (sine(phase) + 0.3 * random.unit());
        (sound * (1.0 - pan), sound * pan)
    });
    interleave(sides, layout)
}

/// Turns recorded mono samples of another rate into a signal of this module, repeated until it is long enough.
#[must_use]
pub fn recorded(mono: &[i16], rate: u32, samples: usize, layout: Layout) -> Vec<i16> {
    const TAPS: i64 = 16;
    let step = f64::from(rate) / 48_000.0;
    let length = (mono.len() as f64 / step) as usize;
    let sides = (0..samples).map(|n| {
        let place = (n % length.max(1)) as f64 * step;
        let mut sum = 0.0;
        for tap in 1 - TAPS..=TAPS {
            let Ok(index) = usize::try_from(place.floor() as i64 + tap) else { continue };
            let Some(sample) = mono.get(index) else { continue };
            let distance = place - index as f64;
            let angle = std::f64::consts::PI * distance;
            let sinc = if distance.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
            let window = 0.5 + 0.5 * (angle / TAPS as f64).cos();
            sum += f64::from(*sample) * sinc * window;
        }
        let sound = (sum / 32_768.0) as f32;
        (sound * 0.8, sound * 0.6)
    });
    interleave(sides, layout)
}
