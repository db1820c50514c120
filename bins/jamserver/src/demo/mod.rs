//! `jamserver demo`: a small band of in-process musicians that play along over loopback.
//!
//! ```text
//!   score ──▶ synth ──▶ PCM loop ──▶ Opus Custom ──▶ jam_proto::Client ──UDP, loopback──▶ the server
//!             one loop per part         one thread plays all parts on one clock, so they are in time
//! ```

mod band;
mod score;
mod synth;

pub(crate) use band::Band;

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
    /// The word in options, and the name the musician shows.
    const WORDS: [(&'static str, Self); 4] =
        [("bass", Self::Bass), ("chords", Self::Chords), ("beat", Self::Beat), ("melody", Self::Melody)];

    pub(crate) fn check(text: &str) -> Result<(), String> {
        text.parse::<Self>().map(drop)
    }

    /// The name under the fader.
    fn name(self) -> &'static str {
        match self {
            Self::Bass => "Demo Bass",
            Self::Chords => "Demo Chords",
            Self::Beat => "Demo Beat",
            Self::Melody => "Demo Melody",
        }
    }

    /// The picture that clients show.
    fn instrument(self) -> &'static str {
        match self {
            Self::Bass => "Bass Guitar",
            Self::Chords => "Keyboard",
            Self::Beat => "Drum Set",
            Self::Melody => "Vibraphone",
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = || Self::WORDS.iter().map(|(word, _)| *word);
        Self::WORDS.iter().find(|(word, _)| *word == text).map(|(_, part)| *part).ok_or_else(|| {
            match crate::options::nearest(text, words()) {
                Some(meant) => format!("\"{text}\" is no part of the band (did you mean {meant}?)"),
                None => {
                    format!("\"{text}\" is no part of the band: {}", words().collect::<Vec<_>>().join(", "))
                }
            }
        })
    }
}
