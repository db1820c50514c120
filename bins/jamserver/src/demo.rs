//! `jamserver demo`: a server with a small band in it.

/// A part of the band.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// Root notes.
    Bass,
    /// Sustained chords, in stereo.
    Chords,
    /// Drums.
    Beat,
    /// A tune above the others.
    Melody,
}

impl Part {
    pub(crate) fn check(text: &str) -> Result<(), String> {
        text.parse::<Self>().map(drop)
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WORDS: [(&str, Part); 4] =
            [("bass", Part::Bass), ("chords", Part::Chords), ("beat", Part::Beat), ("melody", Part::Melody)];
        WORDS.iter().find(|(word, _)| *word == text).map(|(_, part)| *part).ok_or_else(|| {
            match crate::options::nearest(text, WORDS.iter().map(|(word, _)| *word)) {
                Some(meant) => format!("\"{text}\" is no part of the band (did you mean {meant}?)"),
                None => format!("\"{text}\" is no part of the band: bass, chords, beat, melody"),
            }
        })
    }
}
