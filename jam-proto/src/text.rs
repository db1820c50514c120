//! Chat lines and other text that people see: escaping, cutting, and what may not pass (spec 5.9).

use std::fmt;

/// What shipped clients recognise a welcome message by; they bring the chat window to the front.
pub const WELCOME_PREFIX: &str = "<b>Server Welcome Message:</b> ";

/// The longest chat text on the wire, in UTF-16 units; recipients drop a longer one silently (spec 1.7).
pub const CHAT_UNITS_MAX: usize = 1_800;

/// The longest welcome message, in UTF-16 units; a longer one is cut (spec 1.7).
pub const WELCOME_UNITS_MAX: usize = 1_600;

/// The colours of chat names, by channel number modulo six.
const COLOURS: [&str; 6] = ["mediumblue", "red", "darkorchid", "green", "maroon", "coral"];

const DAY_SECONDS: u64 = 86_400;

/// The time of day where the server stands, as chat lines show it.
///
/// The owner hands it in, because a machine knows neither the wall clock nor the time zone.
///
/// ```
/// use jam_proto::text::LocalTime;
/// assert_eq!(LocalTime::new(6, 18).to_string(), "06:18:00 AM");
/// assert_eq!(LocalTime::new(0, 5).to_string(), "12:05:00 AM");
/// assert_eq!(LocalTime::new(13, 0).to_string(), "01:00:00 PM");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LocalTime {
    second_of_day: u32,
}

impl LocalTime {
    /// A time of day; hours beyond 23 and minutes beyond 59 wrap into the day.
    #[must_use]
    pub const fn new(hour: u8, minute: u8) -> Self {
        let (hours, minutes) = ((hour as u64).saturating_mul(3_600), (minute as u64).saturating_mul(60));
        Self::from_second_of_day(hours.saturating_add(minutes))
    }

    /// A time of day from seconds since midnight; whole days are dropped.
    #[must_use]
    pub const fn from_second_of_day(seconds: u64) -> Self {
        Self { second_of_day: (seconds % DAY_SECONDS) as u32 }
    }

    /// Seconds since midnight.
    #[must_use]
    pub const fn second_of_day(self) -> u32 {
        self.second_of_day
    }

    /// The time so many seconds later.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self::from_second_of_day((seconds % DAY_SECONDS).saturating_add(self.second_of_day as u64))
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) =
            (self.second_of_day / 3_600, self.second_of_day / 60 % 60, self.second_of_day % 60);
        let half = if hour < 12 { "AM" } else { "PM" };
        let hour = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
        write!(f, "{hour:02}:{minute:02}:{second:02} {half}")
    }
}

/// Length as the protocol counts it: UTF-16 units (spec 1.7).
#[must_use]
pub fn utf16_units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// A text with the four characters that mean something in HTML replaced; an apostrophe stays (spec 5.9).
///
/// ```
/// assert_eq!(jam_proto::text::escaped("<b>\"R&B\""), "&lt;b&gt;&quot;R&amp;B&quot;");
/// ```
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text, usize::MAX);
    out
}

/// A text that is safe in a log line or a terminal: control characters become U+FFFD.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The line everybody reads when a musician says something, at most [`CHAT_UNITS_MAX`] units long.
///
/// Control characters are taken out of name and text (line breaks and tabs become spaces), and the text is cut so that
/// the whole line is still shown by its readers.
///
/// ```
/// use jam_proto::{ChannelId, text::{LocalTime, chat_line}};
/// let zoe = ChannelId::new(1).expect("below 150");
/// assert_eq!(
///     chat_line(zoe, LocalTime::new(18, 4), "Zoe", "ready?"),
///     r#"<font color="red">(06:04:00 PM) <b>Zoe</b></font> ready?"#,
/// );
/// ```
#[must_use]
pub fn chat_line(channel: crate::ChannelId, time: LocalTime, name: &str, text: &str) -> String {
    let colour = COLOURS.iter().cycle().nth(channel.index()).copied().unwrap_or_default();
    let mut line = format!("<font color=\"{colour}\">({time}) <b>");
    escape_into(&mut line, &without_controls(name), CHAT_UNITS_MAX / 2);
    line.push_str("</b></font> ");
    let left = CHAT_UNITS_MAX.saturating_sub(utf16_units(&line));
    escape_into(&mut line, &without_controls(text), left);
    line
}

/// Appends the escaped text as far as it fits, whole characters and whole entities only.
fn escape_into(out: &mut String, text: &str, units_max: usize) {
    let mut left = units_max;
    for c in text.chars() {
        let entity = match c {
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            '&' => Some("&amp;"),
            '"' => Some("&quot;"),
            _ => None,
        };
        let units = entity.map_or_else(|| c.len_utf16(), str::len);
        let Some(rest) = left.checked_sub(units) else { return };
        left = rest;
        match entity {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
    }
}

/// Line breaks and tabs become spaces, every other unseen character goes.
fn without_controls(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
            c if is_unseen(c) => None,
            c => Some(c),
        })
        .collect()
}

/// Control characters, line separators, and the marks that reorder what follows (a name could hide behind them).
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ChannelId;

    fn id(number: u8) -> ChannelId {
        ChannelId::new(number).unwrap()
    }

    #[test]
    fn a_chat_line_is_byte_exact() {
        let time = LocalTime::from_second_of_day(6 * 3_600 + 18 * 60 + 4);
        for (channel, name, text, line) in [
            (0, "Ann", "hi", r#"<font color="mediumblue">(06:18:04 AM) <b>Ann</b></font> hi"#),
            (2, "", "", r#"<font color="darkorchid">(06:18:04 AM) <b></b></font> "#),
            (
                9,
                "<b>",
                "R&B \"it's\" > x",
                r#"<font color="green">(06:18:04 AM) <b>&lt;b&gt;</b></font> R&amp;B &quot;it's&quot; &gt; x"#,
            ),
            (4, "a", "b", r#"<font color="maroon">(06:18:04 AM) <b>a</b></font> b"#),
            (149, "a", "b", r#"<font color="coral">(06:18:04 AM) <b>a</b></font> b"#),
        ] {
            assert_eq!(chat_line(id(channel), time, name, text), line);
        }
    }

    #[test]
    fn control_characters_do_not_pass() {
        let line = chat_line(id(0), LocalTime::default(), "a\u{1b}[2J", "b\u{0}\u{7}\r\nc\u{202e}d");
        assert_eq!(line, r#"<font color="mediumblue">(12:00:00 AM) <b>a[2J</b></font> b  cd"#);
        assert_eq!(printable("a\u{1b}\n"), "a\u{fffd}\u{fffd}");
    }

    #[test]
    fn time_wraps_at_midnight_and_noon_is_pm() {
        let late = LocalTime::from_second_of_day(86_399);
        assert_eq!(late.to_string(), "11:59:59 PM");
        assert_eq!(late.plus_seconds(1).to_string(), "12:00:00 AM");
        assert_eq!(LocalTime::new(12, 0).to_string(), "12:00:00 PM");
    }

    proptest! {
        #[test]
        fn a_chat_line_is_never_too_long_and_never_breaks_an_entity(
            channel in 0_u8..150, name in ".{0,16}", text in "[&<>\"a🎺]{0,1800}",
        ) {
            let line = chat_line(id(channel), LocalTime::default(), &name, &text);
            prop_assert!(utf16_units(&line) <= CHAT_UNITS_MAX);
            let tail = line.rsplit_once("</font> ").map_or("", |(_, tail)| tail);
            prop_assert!(escaped(&text).starts_with(tail));
            prop_assert!(!tail.contains('<'));
            prop_assert_eq!(tail.matches('&').count(), tail.matches(';').count());
        }
    }
}
