//! What server lists say about this server (spec 9.1, `-o`).

use std::str::FromStr;

use jam_proto::tables::Country;

/// Name, city and country of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ServerInfo {
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) country: Country,
}

/// UTF-16 units of a server's name and city on the wire (spec 1.7).
const UNITS_MAX: usize = 20;

impl ServerInfo {
    pub(crate) fn check(text: &str) -> Result<(), String> {
        text.parse::<Self>().map(drop)
    }
}

impl FromStr for ServerInfo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut items = text.split(';').map(str::trim);
        let (Some(name), Some(city), Some(country)) = (items.next(), items.next(), items.next()) else {
            return Err(format!("\"{text}\" is not NAME;CITY;COUNTRY"));
        };
        let country = match country {
            "" => Country::NOT_SET,
            _ => Country::parse(country).ok_or_else(|| {
                format!("\"{country}\" is not a country: use a two-letter code such as de, gb, us")
            })?,
        };
        Ok(Self { name: cut(name), city: cut(city), country })
    }
}

/// The beginning that fits the wire; a character is never cut in two.
fn cut(text: &str) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= UNITS_MAX
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_items_are_needed_and_more_are_ignored() {
        let info: ServerInfo = "Jazz Cellar;Köln;DE;extra".parse().unwrap();
        assert_eq!((info.name.as_str(), info.city.as_str(), info.country.0), ("Jazz Cellar", "Köln", 82));
        assert!("Jazz Cellar;Köln".parse::<ServerInfo>().is_err());
        assert!("a;b;atlantis".parse::<ServerInfo>().is_err());
        assert_eq!("a;b;".parse::<ServerInfo>().unwrap().country, Country::NOT_SET);
        assert_eq!("a;b;82".parse::<ServerInfo>().unwrap().country.0, 82);
    }

    #[test]
    fn long_names_are_cut_to_the_limit_of_the_wire() {
        let info: ServerInfo = "𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞;x;".parse().unwrap();
        assert_eq!(info.name.encode_utf16().count(), 20);
    }
}
