//! What the band plays: four bars that go round.

use super::Part;

/// One note of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Note {
    /// When it begins, in beats from the start of the loop.
    pub(super) at: f64,
    /// How long it is held, in beats.
    pub(super) beats: f64,
    /// Which sound, and how high.
    pub(super) sound: Sound,
    /// From 0 to 1.
    pub(super) volume: f64,
}

/// A sound of the synthesiser; pitches are MIDI note numbers, 69 is A at 440 Hz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sound {
    Bass(f64),
    /// A sustained voice at a place between left (0) and right (1).
    Pad(f64, f64),
    Bell(f64),
    Kick,
    Snare,
    Hat,
}

pub(super) const BEATS: f64 = 16.0;

/// A minor, F, C, G: root and the three upper voices, near to each other so that nothing jumps.
const CHORDS: [(f64, [f64; 3]); 4] = [
    (33.0, [57.0, 60.0, 64.0]),
    (29.0, [57.0, 60.0, 65.0]),
    (36.0, [55.0, 60.0, 64.0]),
    (31.0, [55.0, 59.0, 62.0]),
];

/// Beat within the loop, pitch and length of the tune.
const TUNE: [(f64, f64, f64); 14] = [
    (0.0, 76.0, 1.0),
    (1.0, 74.0, 0.5),
    (1.5, 72.0, 0.5),
    (2.0, 69.0, 2.0),
    (4.5, 72.0, 0.5),
    (5.0, 74.0, 1.0),
    (6.0, 72.0, 2.0),
    (8.0, 79.0, 1.0),
    (9.0, 76.0, 1.0),
    (10.0, 72.0, 1.5),
    (12.0, 74.0, 1.0),
    (13.0, 71.0, 0.5),
    (13.5, 72.0, 0.5),
    (14.0, 74.0, 2.0),
];

/// All notes of a part.
pub(super) fn notes(part: Part) -> Vec<Note> {
    match part {
        Part::Bass => bass(),
        Part::Chords => chords(),
        Part::Beat => beat(),
        Part::Melody => TUNE
            .iter()
            .map(|&(at, pitch, beats)| Note { at, beats, sound: Sound::Bell(pitch), volume: 0.8 })
            .collect(),
    }
}

fn bars() -> impl Iterator<Item = (f64, f64, [f64; 3])> {
    CHORDS.iter().enumerate().map(|(bar, &(root, voices))| (bar as f64 * 4.0, root, voices))
}

fn bass() -> Vec<Note> {
    // Offset within the bar, semitones above the root, length.
    const FIGURE: [(f64, f64, f64); 5] =
        [(0.0, 0.0, 1.4), (1.5, 0.0, 0.4), (2.0, 0.0, 0.9), (3.0, 7.0, 0.45), (3.5, 12.0, 0.45)];
    let note = |bar: f64, root: f64, (at, up, beats): (f64, f64, f64)| Note {
        at: bar + at,
        beats,
        sound: Sound::Bass(root + up),
        volume: 0.9,
    };
    bars().flat_map(|(bar, root, _)| FIGURE.map(|figure| note(bar, root, figure))).collect()
}

fn chords() -> Vec<Note> {
    let voice = |bar: f64, pitch: f64, place: f64| Note {
        at: bar,
        beats: 4.0,
        sound: Sound::Pad(pitch, place),
        volume: 0.7,
    };
    bars()
        .flat_map(|(bar, _, [a, b, c])| [voice(bar, a, 0.2), voice(bar, b, 0.5), voice(bar, c, 0.8)])
        .collect()
}

fn beat() -> Vec<Note> {
    let hit = |at: f64, sound: Sound, volume: f64| Note { at, beats: 0.25, sound, volume };
    let mut notes = Vec::new();
    for (bar, ..) in bars() {
        notes.extend([0.0, 2.0, 2.5].map(|at| hit(bar + at, Sound::Kick, 1.0)));
        notes.extend([1.0, 3.0].map(|at| hit(bar + at, Sound::Snare, 0.8)));
        notes.extend((0..8).map(|eighth| {
            let accent = if eighth % 2 == 0 { 0.6 } else { 0.35 };
            hit(bar + f64::from(eighth) * 0.5, Sound::Hat, accent)
        }));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_lies_within_the_loop() {
        for part in [Part::Bass, Part::Chords, Part::Beat, Part::Melody] {
            let notes = notes(part);
            assert!(notes.len() >= 12, "{part:?}");
            assert!(
                notes.iter().all(|n| n.at >= 0.0 && n.at + n.beats <= BEATS && n.volume <= 1.0),
                "{part:?}"
            );
        }
    }
}
