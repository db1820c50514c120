//! Where a musician or a server is: numbers of the wire and the codes people write (spec 13.2).

use std::fmt;

/// A country as the wire carries it: a number that shipped programs took from Qt 5; 0 is "not set".
///
/// Numbers without an entry in the table are legal and relayed unchanged; programs show no flag for them.
///
/// ```
/// use jam_proto::tables::Country;
/// assert_eq!(Country::from_code("de"), Some(Country(82)));
/// assert_eq!(Country(82).code(), Some("DE"));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Country(pub u16);

impl Country {
    /// Nothing chosen.
    pub const NOT_SET: Self = Self(0);

    /// The ISO 3166-1 code of two letters, upper case; for a few areas that ISO does not list, the code of the Unicode
    /// locale data (two letters or three digits). `None` for 0 and for unknown numbers.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        CODES.get(usize::from(self.0)).copied().filter(|code| !code.is_empty())
    }

    /// The country with this code, upper or lower case.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        if code.is_empty() {
            return None;
        }
        let number = CODES.iter().position(|known| known.eq_ignore_ascii_case(code))?;
        u16::try_from(number).ok().map(Self)
    }

    /// Reads what users write in a server's description: a number of the wire or a two letter code (spec 9.1, `-o`).
    ///
    /// Digits are always a number, so the three areas whose code is numeric are reached by their wire number only.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse() {
            Ok(number) => Some(Self(number)),
            Err(_) => Self::from_code(text),
        }
    }

    /// The English name of an area whose code says little to people; `None` for plain ISO countries.
    #[must_use]
    pub fn special_name(self) -> Option<&'static str> {
        Some(match self.0 {
            238 => "Canary Islands",
            246 => "Latin America",
            247 => "Ascension",
            249 => "Diego Garcia",
            250 => "Ceuta and Melilla",
            253 => "Tristan da Cunha",
            257 => "Kosovo",
            258 => "European Union",
            259 => "Outlying Oceania",
            260 => "World",
            261 => "Europe",
            _ => return None,
        })
    }
}

impl fmt::Display for Country {
    /// The code, or the number when there is none; nothing for "not set".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => f.pad(code),
            None if *self == Self::NOT_SET => f.pad(""),
            None => self.0.fmt(f),
        }
    }
}

impl From<u16> for Country {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

/// The codes by number.
#[rustfmt::skip]
static CODES: [&str; 262] = [
    "", "AF", "AL", "DZ", "AS", "AD", "AO", "AI", "AQ", "AG", "AR", "AM", "AW", "AU", "AT", "AZ",
    "BS", "BH", "BD", "BB", "BY", "BE", "BZ", "BJ", "BM", "BT", "BO", "BA", "BW", "BV", "BR", "IO",
    "BN", "BG", "BF", "BI", "KH", "CM", "CA", "CV", "KY", "CF", "TD", "CL", "CN", "CX", "CC", "CO",
    "KM", "CD", "CG", "CK", "CR", "CI", "HR", "CU", "CY", "CZ", "DK", "DJ", "DM", "DO", "TL", "EC",
    "EG", "SV", "GQ", "ER", "EE", "ET", "FK", "FO", "FJ", "FI", "FR", "GG", "GF", "PF", "TF", "GA",
    "GM", "GE", "DE", "GH", "GI", "GR", "GL", "GD", "GP", "GU", "GT", "GN", "GW", "GY", "HT", "HM",
    "HN", "HK", "HU", "IS", "IN", "ID", "IR", "IQ", "IE", "IL", "IT", "JM", "JP", "JO", "KZ", "KE",
    "KI", "KP", "KR", "KW", "KG", "LA", "LV", "LB", "LS", "LR", "LY", "LI", "LT", "LU", "MO", "MK",
    "MG", "MW", "MY", "MV", "ML", "MT", "MH", "MQ", "MR", "MU", "YT", "MX", "FM", "MD", "MC", "MN",
    "MS", "MA", "MZ", "MM", "NA", "NR", "NP", "NL", "CW", "NC", "NZ", "NI", "NE", "NG", "NU", "NF",
    "MP", "NO", "OM", "PK", "PW", "PS", "PA", "PG", "PY", "PE", "PH", "PN", "PL", "PT", "PR", "QA",
    "RE", "RO", "RU", "RW", "KN", "LC", "VC", "WS", "SM", "ST", "SA", "SN", "SC", "SL", "SG", "SK",
    "SI", "SB", "SO", "ZA", "GS", "ES", "LK", "SH", "PM", "SD", "SR", "SJ", "SZ", "SE", "CH", "SY",
    "TW", "TJ", "TZ", "TH", "TG", "TK", "TO", "TT", "TN", "TR", "TM", "TC", "TV", "UG", "UA", "AE",
    "GB", "US", "UM", "UY", "UZ", "VU", "VA", "VE", "VN", "VG", "VI", "WF", "EH", "YE", "IC", "ZM",
    "ZW", "CP", "ME", "RS", "BL", "MF", "419", "AC", "AX", "DG", "EA", "IM", "JE", "TA", "SS", "BQ",
    "SX", "XK", "EU", "QO", "001", "150",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_number() {
        for number in 1..=261 {
            let code = Country(number).code().unwrap();
            assert_eq!(Country::from_code(code), Some(Country(number)), "{code}");
            assert_eq!(Country::from_code(&code.to_lowercase()), Some(Country(number)), "{code}");
        }
    }

    #[test]
    fn the_table_has_the_numbers_of_the_wire() {
        for (number, code) in [
            (1, "AF"),
            (82, "DE"),
            (129, "MW"),
            (152, "CW"),
            (206, "CH"),
            (224, "GB"),
            (225, "US"),
            (261, "150"),
        ] {
            assert_eq!(Country(number).code(), Some(code));
        }
        assert_eq!(Country::from_code("us").map(|c| c.0), Some(225));
    }

    #[test]
    fn not_set_and_unknown_numbers_have_no_code_but_can_be_shown() {
        assert_eq!(Country::NOT_SET.code(), None);
        assert_eq!(Country(65_535).code(), None);
        assert_eq!(Country(65_535).to_string(), "65535");
        assert_eq!(Country::NOT_SET.to_string(), "");
        assert_eq!(Country(14).to_string(), "AT");
        assert_eq!(Country::from_code(""), None);
        assert_eq!(Country::from_code("ZZ"), None);
        assert_eq!(Country(257).special_name(), Some("Kosovo"));
        assert_eq!(Country(82).special_name(), None);
    }

    #[test]
    fn users_write_a_number_or_a_code() {
        for (text, country) in [
            ("82", Some(82)),
            (" de ", Some(82)),
            ("DE", Some(82)),
            ("999", Some(999)),
            ("", None),
            ("70000", None),
            ("Germany", None),
        ] {
            assert_eq!(Country::parse(text), country.map(Country), "{text}");
        }
    }
}
