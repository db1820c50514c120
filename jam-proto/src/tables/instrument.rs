//! What a musician plays and how well (spec 13.3, message 24).

use std::fmt;

/// An instrument as the wire carries it; 0 is "none".
///
/// Numbers beyond the table are legal and relayed unchanged; clients show no picture for them.
///
/// ```
/// use jam_proto::tables::Instrument;
/// assert_eq!(Instrument(21).name(), Some("Cello"));
/// assert_eq!(Instrument::from_name("cello"), Some(Instrument(21)));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instrument(pub u32);

impl Instrument {
    /// Nothing chosen.
    pub const NONE: Self = Self(0);

    /// The English name; `None` for unknown numbers.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(usize::try_from(self.0).ok()?).copied()
    }

    /// The instrument of this English name, upper or lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        u32::try_from(number).ok().map(Self)
    }
}

impl fmt::Display for Instrument {
    /// The name, or the number when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl From<u32> for Instrument {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// How well a musician says they play, as the wire carries it; numbers beyond the four are relayed unchanged.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Skill(pub u8);

impl Skill {
    /// Nothing chosen.
    pub const NOT_SET: Self = Self(0);
    /// Has just begun.
    pub const BEGINNER: Self = Self(1);
    /// Between beginner and expert.
    pub const INTERMEDIATE: Self = Self(2);
    /// Plays well.
    pub const EXPERT: Self = Self(3);

    /// The English name; `None` for unknown numbers.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NOT_SET => "Not set",
            Self::BEGINNER => "Beginner",
            Self::INTERMEDIATE => "Intermediate",
            Self::EXPERT => "Expert",
            _ => return None,
        })
    }
}

impl fmt::Display for Skill {
    /// The name, or the number when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl From<u8> for Skill {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

/// The names by number.
#[rustfmt::skip]
static NAMES: [&str; 50] = [
    "None", "Drum Set", "Djembe", "Electric Guitar", "Acoustic Guitar",
    "Bass Guitar", "Keyboard", "Synthesizer", "Grand Piano", "Accordion",
    "Vocal", "Microphone", "Harmonica", "Trumpet", "Trombone",
    "French Horn", "Tuba", "Saxophone", "Clarinet", "Flute",
    "Violin", "Cello", "Double Bass", "Recorder", "Streamer",
    "Listener", "Guitar+Vocal", "Keyboard+Vocal", "Bodhran", "Bassoon",
    "Oboe", "Harp", "Viola", "Congas", "Bongo",
    "Vocal Bass", "Vocal Tenor", "Vocal Alto", "Vocal Soprano", "Banjo",
    "Mandolin", "Ukulele", "Bass Ukulele", "Vocal Baritone", "Vocal Lead",
    "Mountain Dulcimer", "Scratching", "Rapping", "Vibraphone", "Conductor",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_number() {
        for number in 0..50 {
            let name = Instrument(number).name().unwrap();
            assert_eq!(Instrument::from_name(&name.to_uppercase()), Some(Instrument(number)), "{name}");
        }
    }

    #[test]
    fn the_table_has_the_numbers_of_the_wire() {
        for (number, name) in
            [(0, "None"), (10, "Vocal"), (24, "Streamer"), (26, "Guitar+Vocal"), (49, "Conductor")]
        {
            assert_eq!(Instrument(number).name(), Some(name));
        }
    }

    #[test]
    fn unknown_numbers_are_shown_as_numbers() {
        assert_eq!(Instrument(99_999).name(), None);
        assert_eq!(Instrument(99_999).to_string(), "99999");
        assert_eq!(Instrument(u32::MAX).name(), None);
        assert_eq!(Skill(77).to_string(), "77");
        assert_eq!(Skill::EXPERT.to_string(), "Expert");
        assert_eq!(Instrument::from_name("kazoo"), None);
    }
}
