//! What values an option takes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::nearest;

/// The type of an option's value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// No value on the command line; true or false elsewhere.
    Flag,
    /// A whole number within bounds, or one of some words.
    Number { name: &'static str, min: u32, max: u32, words: &'static [&'static str] },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text { name: &'static str },
    /// Several texts: an array in a file, separated by commas elsewhere.
    List { name: &'static str, check: fn(&str) -> Result<(), String> },
    /// A text with a rule of its own.
    Checked { name: &'static str, check: fn(&str) -> Result<(), String> },
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
}

impl Kind {
    /// The placeholder in the help; empty for flags.
    pub(crate) fn placeholder(&self) -> String {
        match self {
            Self::Flag => String::new(),
            Self::Number { name, words: [], .. } => (*name).to_owned(),
            Self::Number { name, words, .. } => format!("{}|{name}", words.join("|")),
            Self::Choice(words) => words.join("|"),
            Self::Text { name } | Self::List { name, .. } | Self::Checked { name, .. } => (*name).to_owned(),
            Self::Ip4 => "IPV4".to_owned(),
            Self::Ip6 => "IPV6".to_owned(),
        }
    }

    /// The valid range, for the help; empty if there is nothing to say.
    pub(crate) fn range(&self) -> String {
        match self {
            Self::Number { min, max, .. } => format!("{min} to {max}"),
            _ => String::new(),
        }
    }

    /// Says what is wrong with a value, and what would be the nearest valid one.
    pub(crate) fn check(&self, text: &str) -> Result<(), Invalid> {
        match self {
            Self::Flag => match text {
                "true" | "false" => Ok(()),
                _ => Err(Invalid::new(format!("\"{text}\" is neither true nor false"))),
            },
            Self::Number { min, max, words, .. } => check_number(text, *min, *max, words),
            Self::Choice(words) if words.contains(&text) => Ok(()),
            Self::Choice(words) => Err(Invalid {
                message: format!("\"{text}\" is not one of {}", words.join(", ")),
                meant: nearest(text, words.iter().copied()).map(str::to_owned),
            }),
            Self::Text { .. } => Ok(()),
            Self::List { check, .. } => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .try_for_each(check)
                .map_err(Invalid::new),
            Self::Checked { check, .. } => check(text).map_err(Invalid::new),
            Self::Ip4 => text
                .parse::<Ipv4Addr>()
                .map(drop)
                .map_err(|_| Invalid::new(format!("\"{text}\" is not an IPv4 address such as 192.0.2.1"))),
            Self::Ip6 => text
                .parse::<Ipv6Addr>()
                .map(drop)
                .map_err(|_| Invalid::new(format!("\"{text}\" is not an IPv6 address such as 2001:db8::1"))),
        }
    }
}

/// What is wrong with a value.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Invalid {
    pub(crate) message: String,
    pub(crate) meant: Option<String>,
}

impl Invalid {
    fn new(message: String) -> Self {
        Self { message, meant: None }
    }
}

fn check_number(text: &str, min: u32, max: u32, words: &[&str]) -> Result<(), Invalid> {
    if words.contains(&text) {
        return Ok(());
    }
    let or_words = if words.is_empty() { String::new() } else { format!(" or {}", words.join(", ")) };
    match text.parse::<i64>() {
        Ok(n) if (i64::from(min)..=i64::from(max)).contains(&n) => Ok(()),
        Ok(n) => Err(Invalid {
            message: format!("{text} is out of range: {min} to {max}{or_words}"),
            meant: Some(n.clamp(i64::from(min), i64::from(max)).to_string()),
        }),
        Err(_) => Err(Invalid {
            message: format!("\"{text}\" is not a number from {min} to {max}{or_words}"),
            meant: nearest(text, words.iter().copied()).map(str::to_owned),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_name_the_nearest_end() {
        let port = Kind::Number { name: "PORT", min: 1, max: 150, words: &[] };
        assert!(port.check("150").is_ok());
        assert_eq!(port.check("151").unwrap_err().meant.as_deref(), Some("150"));
        assert_eq!(port.check("-3").unwrap_err().meant.as_deref(), Some("1"));
        assert_eq!(port.check("x").unwrap_err().message, "\"x\" is not a number from 1 to 150");
    }

    #[test]
    fn words_beside_numbers_are_valid_and_suggested() {
        let threads = Kind::Number { name: "N", min: 1, max: 64, words: &["auto"] };
        assert!(threads.check("auto").is_ok());
        assert_eq!(threads.check("atuo").unwrap_err().meant.as_deref(), Some("auto"));
    }

    #[test]
    fn addresses_are_of_their_family() {
        assert!(Kind::Ip4.check("127.0.0.1").is_ok());
        assert!(Kind::Ip4.check("::1").is_err());
        assert!(Kind::Ip6.check("::1").is_ok());
    }
}
