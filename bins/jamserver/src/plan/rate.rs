//! Data rates as people write them.

use std::fmt;
use std::str::FromStr;

/// Bits per second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rate(pub(crate) u64);

impl Rate {
    pub(crate) fn check(text: &str) -> Result<(), String> {
        text.parse::<Self>().map(drop)
    }
}

impl FromStr for Rate {
    type Err = String;

    /// A number with k, M or G (thousands), and maybe "bit/s" behind it.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a rate in bit/s such as 800k, 1M or 2.5M");
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = unit.trim();
        let unit =
            ["bit/s", "bits/s", "bps", "bit"].iter().find_map(|u| unit.strip_suffix(u)).unwrap_or(unit);
        let factor = match unit.trim() {
            "" => 1.0,
            "k" | "K" => 1e3,
            "m" | "M" => 1e6,
            "g" | "G" => 1e9,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let bits = number * factor;
        if !(1.0..=1e15).contains(&bits) {
            return Err(wrong());
        }
        Ok(Self(bits.round() as u64))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0 as f64;
        match self.0 {
            1_000_000_000.. => write!(f, "{} Gbit/s", bits / 1e9),
            1_000_000.. => write!(f, "{} Mbit/s", bits / 1e6),
            _ => write!(f, "{} kbit/s", bits / 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_with_and_without_units() {
        for (text, bits) in [
            ("1M", 1_000_000),
            ("800k", 800_000),
            ("2.5M", 2_500_000),
            ("1G", 1_000_000_000),
            ("64000", 64_000),
            ("10 Mbit/s", 10_000_000),
            ("10Mbps", 10_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
        }
        for text in ["", "M", "1X", "-1M", "0", "1e99", "1.2.3M"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_shown_in_the_largest_unit() {
        assert_eq!(Rate(2_500_000).to_string(), "2.5 Mbit/s");
        assert_eq!(Rate(800_000).to_string(), "800 kbit/s");
    }
}
