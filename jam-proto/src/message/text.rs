//! Texts on the wire: UTF-8 with a limit in UTF-16 units (spec 1.7).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Fault;

/// A musician's name: at most 16 UTF-16 units.
pub type Name = Text<16>;
/// A city: at most 20 UTF-16 units.
pub type City = Text<20>;
/// The name of a server in a directory: at most 20 UTF-16 units.
pub type ServerName = Text<20>;
/// A chat line or welcome text as receivers accept it: at most 1800 UTF-16 units.
pub type ChatText = Text<1800>;
/// A version: at most 50 UTF-16 units. Clients of 3.6.1 to 3.11.0 drop versions above 30, older ones above 20.
pub type VersionText = Text<50>;

/// A text that fits its field: at most `UNITS` UTF-16 units, no NUL, no leading byte order mark.
///
/// Receivers drop the whole message when one of its texts is too long, so a text that does not fit cannot be built.
/// Cloning is cheap.
///
/// ```
/// use jam_proto::message::Name;
///
/// assert!(Name::new("Zoë").is_ok());
/// assert!(Name::new("seventeen letters").is_err());
/// assert_eq!(&*Name::cut("seventeen letters"), "seventeen letter");
/// ```
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Text<const UNITS: usize>(Arc<str>);

/// A text does not fit its field; shorten it, or use [`Text::cut`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("text has {units} UTF-16 units, at most {units_max} are allowed")]
pub struct TextTooLong {
    /// How long the text is.
    pub units: usize,
    /// How long it may be.
    pub units_max: usize,
}

impl<const UNITS: usize> Text<UNITS> {
    /// How many UTF-16 units fit.
    pub const UNITS_MAX: usize = UNITS;

    /// A text, as a receiver would understand it: without leading byte order marks, up to the first NUL.
    ///
    /// # Errors
    /// [`TextTooLong`] beyond `UNITS` UTF-16 units.
    pub fn new(text: &str) -> Result<Self, TextTooLong> {
        let text = as_received(text);
        let units = text.encode_utf16().count();
        if units > UNITS {
            return Err(TextTooLong { units, units_max: UNITS });
        }
        Ok(Self(text.into()))
    }

    /// A text, cut at the last character that fits completely.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let text = as_received(text);
        let mut units = 0_usize;
        let end = text.char_indices().find_map(|(at, c)| {
            units = units.saturating_add(c.len_utf16());
            (units > UNITS).then_some(at)
        });
        Self(end.and_then(|end| text.get(..end)).unwrap_or(text).into())
    }

    /// Decodes a received text as shipped programs do: every invalid byte becomes U+FFFD, leading byte order marks
    /// go, the text ends at the first NUL, and then the limit counts.
    ///
    /// # Errors
    /// [`Fault::TextTooLong`] beyond `UNITS` UTF-16 units.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let decoded = match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(_) => Self::new(&replace_invalid(bytes)),
        };
        decoded.map_err(|_| Fault::TextTooLong)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

fn as_received(text: &str) -> &str {
    let text = text.trim_start_matches('\u{FEFF}');
    text.split('\0').next().unwrap_or_default()
}

fn replace_invalid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

impl<const UNITS: usize> Deref for Text<UNITS> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const UNITS: usize> fmt::Display for Text<UNITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const UNITS: usize> fmt::Debug for Text<UNITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const UNITS: usize> TryFrom<&str> for Text<UNITS> {
    type Error = TextTooLong;

    fn try_from(text: &str) -> Result<Self, TextTooLong> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_texts_follow_the_reference_decoder() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            ("\u{FEFF}marked".as_bytes(), "marked"),
            (b"cut\0here", "cut"),
            (b"bad\xFFbyte", "bad\u{FFFD}byte"),
            // Two bytes of a three-byte character: each counts as one invalid byte.
            (b"\xE2\x82A", "\u{FFFD}\u{FFFD}A"),
            (b"line\nbreak\x07", "line\nbreak\x07"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Name::decode(bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn the_limit_counts_utf16_units() {
        assert!(Name::new(&"é".repeat(16)).is_ok());
        assert!(Name::new(&"é".repeat(17)).is_err());
        assert!(Name::new(&"🎸".repeat(8)).is_ok());
        assert_eq!(Name::new(&"🎸".repeat(9)), Err(TextTooLong { units: 18, units_max: 16 }));
    }

    #[test]
    fn the_limit_is_checked_after_the_cut_at_nul() {
        assert_eq!(Name::decode(b"short\0 but with a long tail").as_deref(), Ok("short"));
    }

    #[test]
    fn cutting_never_halves_a_character() {
        let text = format!("{}🎸🎸", "x".repeat(15));
        assert_eq!(&*Name::cut(&text), "x".repeat(15));
    }
}
