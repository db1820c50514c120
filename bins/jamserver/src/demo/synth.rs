//! Turns notes into a loop of stereo samples.

use std::f64::consts::TAU;

use jam_proto::rng::Rng;
use libm::{cos, exp, exp2, sin};

use super::Part;
use super::score::{BEATS, Note, Sound, notes};

const RATE: f64 = 48_000.0;
/// Samples of one block; loops are whole blocks.
const BLOCK: usize = 128;

/// Interleaved stereo samples that go round without a seam.
#[derive(Debug)]
pub(super) struct Loop {
    pcm: Vec<i16>,
}

impl Loop {
    /// The loop of a part at this tempo.
    pub(super) fn render(part: Part, beats_per_minute: u32) -> Self {
        let frames = loop_frames(beats_per_minute);
        let frames_per_beat = frames as f64 / BEATS;
        let mut mix = vec![[0.0; 2]; frames];
        let mut noise = Rng::new(1);
        for note in notes(part) {
            play(&note, frames_per_beat, &mut mix, &mut noise);
        }
        let pcm = mix.iter().flatten().map(|s| (s * 32_767.0).clamp(-32_768.0, 32_767.0) as i16).collect();
        Self { pcm }
    }

    /// The block at a position that grows for ever.
    pub(super) fn block(&self, position: u64) -> &[i16] {
        let blocks = (self.pcm.len() / (2 * BLOCK)) as u64;
        let start = (position % blocks) as usize * 2 * BLOCK;
        &self.pcm[start..start + 2 * BLOCK]
    }
}

/// Stereo frames of a loop: the nearest whole number of blocks.
fn loop_frames(beats_per_minute: u32) -> usize {
    let frames = BEATS * 60.0 * RATE / f64::from(beats_per_minute);
    (frames / BLOCK as f64).round() as usize * BLOCK
}

/// Adds one note; what rings beyond the end of the loop rings at its beginning.
fn play(note: &Note, frames_per_beat: f64, mix: &mut [[f64; 2]], noise: &mut Rng) {
    let start = (note.at * frames_per_beat) as usize;
    let held = note.beats * frames_per_beat / RATE;
    let length = ((held + release(note.sound)) * RATE) as usize;
    let frames = mix.len();
    let mut last_noise = 0.0;
    for n in 0..length.min(frames) {
        let t = n as f64 / RATE;
        let fresh = noise.unit() * 2.0 - 1.0;
        let sample = note.volume * sample(note.sound, t, held, fresh, last_noise);
        last_noise = fresh;
        let [left, right] = place(note.sound);
        let frame = &mut mix[(start + n) % frames];
        frame[0] += left * sample;
        frame[1] += right * sample;
    }
}

/// Seconds a sound goes on after its note.
fn release(sound: Sound) -> f64 {
    match sound {
        Sound::Bass(_) => 0.08,
        Sound::Pad(..) => 0.5,
        Sound::Bell(_) => 1.2,
        Sound::Kick | Sound::Snare | Sound::Hat => 0.2,
    }
}

/// How loud a sound is on the left and on the right.
fn place(sound: Sound) -> [f64; 2] {
    let at = match sound {
        Sound::Pad(_, place) => place,
        Sound::Hat => 0.65,
        Sound::Bell(_) => 0.4,
        Sound::Bass(_) | Sound::Kick | Sound::Snare => 0.5,
    };
    let angle = at * TAU / 4.0;
    [cos(angle), sin(angle)]
}

/// One sample, `t` seconds into a note that is held for `held` seconds.
fn sample(sound: Sound, t: f64, held: f64, noise: f64, last_noise: f64) -> f64 {
    let fade_out = |seconds: f64| ((held - t) / seconds + 1.0).clamp(0.0, 1.0);
    match sound {
        Sound::Bass(pitch) => {
            let phase = TAU * frequency(pitch) * t;
            let tone = sin(phase) + 0.4 * sin(2.0 * phase) + 0.15 * sin(3.0 * phase);
            0.28 * attack(t, 0.005) * exp(-1.5 * t) * fade_out(0.08) * tone
        }
        Sound::Pad(pitch, _) => {
            // Two slightly detuned voices make it breathe.
            let voice = |detune: f64| {
                let phase = TAU * frequency(pitch + detune) * t;
                sin(phase) + 0.25 * sin(2.0 * phase) + 0.1 * sin(3.0 * phase)
            };
            0.05 * attack(t, 0.25) * fade_out(0.5) * (voice(-0.05) + voice(0.05))
        }
        Sound::Bell(pitch) => {
            let phase = TAU * frequency(pitch) * t;
            let strike = 0.3 * exp(-12.0 * t) * sin(4.0 * phase);
            0.16 * attack(t, 0.002) * exp(-2.5 * t) * fade_out(1.2) * (sin(phase) + strike)
        }
        Sound::Kick => {
            // The pitch falls from 150 to 50 Hz; the phase is its integral.
            let phase = TAU * (50.0 * t + 100.0 / 30.0 * (1.0 - exp(-30.0 * t)));
            0.5 * attack(t, 0.001) * exp(-12.0 * t) * sin(phase)
        }
        Sound::Snare => {
            let body = 0.5 * exp(-25.0 * t) * sin(TAU * 185.0 * t);
            0.22 * attack(t, 0.001) * (body + exp(-18.0 * t) * noise)
        }
        // The difference of neighbours is what is high in the noise.
        Sound::Hat => 0.1 * attack(t, 0.001) * exp(-60.0 * t) * (noise - last_noise),
    }
}

fn attack(t: f64, seconds: f64) -> f64 {
    (t / seconds).min(1.0)
}

fn frequency(pitch: f64) -> f64 {
    440.0 * exp2((pitch - 69.0) / 12.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 4] = [Part::Bass, Part::Chords, Part::Beat, Part::Melody];

    #[test]
    fn loops_are_whole_blocks_near_the_tempo() {
        for tempo in [60, 100, 133, 180] {
            let frames = loop_frames(tempo);
            assert_eq!(frames % BLOCK, 0);
            let exact = 16.0 * 60.0 * RATE / f64::from(tempo);
            assert!((frames as f64 - exact).abs() <= 64.0, "{tempo}");
        }
    }

    #[test]
    fn parts_are_audible_and_all_together_do_not_clip() {
        let loops = PARTS.map(|part| Loop::render(part, 100));
        for (part, music) in PARTS.iter().zip(&loops) {
            let power = music.pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / music.pcm.len() as f64;
            let level = 20.0 * (power.sqrt() / 32_768.0).log10();
            assert!((-36.0..-12.0).contains(&level), "{part:?} {level}");
        }
        let peak = (0..loops[0].pcm.len())
            .map(|n| loops.iter().map(|l| i32::from(l.pcm[n])).sum::<i32>().abs())
            .max()
            .unwrap();
        assert!(peak < 32_000, "{peak}");
    }

    #[test]
    fn the_end_meets_the_beginning() {
        for part in [Part::Bass, Part::Chords, Part::Melody] {
            let pcm = Loop::render(part, 100).pcm;
            let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
            let seam = step(pcm[pcm.len() - 2], pcm[0]);
            let largest =
                pcm.iter().step_by(2).zip(pcm.iter().step_by(2).skip(1)).map(|(a, b)| step(*a, *b)).max();
            assert!(Some(seam) <= largest, "{part:?} {seam} {largest:?}");
        }
    }

    #[test]
    fn the_kick_is_on_the_beat() {
        let pcm = Loop::render(Part::Beat, 120).pcm;
        let energy =
            |from: usize| pcm[2 * from..2 * (from + 2400)].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        // 24,000 frames are a beat at this tempo: one and three are struck, and nothing just before them.
        assert!(energy(0) > 20.0 * energy(24_000 - 2400));
        assert!(energy(48_000) > 20.0 * energy(48_000 - 2400));
    }
}
