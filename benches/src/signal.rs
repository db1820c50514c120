//! Sounds for measurements: made here, always the same for the same seed.

use jam_proto::Layout;

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
            sound += *level * (std::f32::consts::TAU * *phase).sin();
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
        let middle = drum * (std::f32::consts::TAU * drum_phase).sin() + cymbal * bright;
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
