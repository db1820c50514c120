//! Names of takes and tracks (spec 7.2): only letters, digits and `_`, so that no musician writes a path.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What the Latin-1 characters 0xC0 to 0xFF become.
const LATIN1_UPPER: &[u8; 64] = b"AAAAAAACEEEEIIIIDNOOOOOxOUUUUYPSaaaaaaaceeeeiiiidnooooo_ouuuuypy";

/// A musician's name in a file name: at least four characters.
pub(super) fn musician(name: &str) -> String {
    let mut safe: String = name.chars().map(safe_char).collect();
    while safe.len() < 4 {
        safe.push('_');
    }
    safe
}

/// An address in a file name; its last byte or group is not told, except for this machine's own.
pub(super) fn host(addr: SocketAddr) -> String {
    let ip = addr.ip().to_canonical();
    let shown = match ip {
        _ if ip.is_loopback() && ip.to_string() == "127.0.0.1" => ip.to_string(),
        IpAddr::V6(v6) if v6.is_loopback() => ip.to_string(),
        IpAddr::V4(_) => replace_last(&ip.to_string(), '.'),
        IpAddr::V6(_) => replace_last(&ip.to_string(), ':'),
    };
    format!("{shown}:{}", addr.port()).chars().map(safe_char).collect()
}

/// The directory of a take that starts now: `Jam-YYYYMMDD-HHMMSSmmm`, UTC.
pub(super) fn take(unix_time: Duration) -> String {
    let seconds = unix_time.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let time = seconds % 86_400;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let millis = unix_time.subsec_millis();
    format!("Jam-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}{millis:03}")
}

fn replace_last(address: &str, separator: char) -> String {
    let kept = address.rfind(separator).map_or(0, |at| at + 1);
    format!("{}x", address.get(..kept).unwrap_or_default())
}

fn safe_char(c: char) -> char {
    match c {
        '0'..='9' | 'A'..='Z' | 'a'..='z' => c,
        '\u{c0}'..='\u{ff}' => LATIN1_UPPER.get(c as usize - 0xc0).map_or('_', |&byte| char::from(byte)),
        '²' => '2',
        '³' => '3',
        '¹' => '1',
        'µ' => 'u',
        _ => '_',
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are reckoned from March, so that the leap day is their last: then the day of the year follows from the month
/// by one formula, and 400 years always have 146,097 days.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_letters_and_digits_and_lose_their_accents() {
        for (name, safe) in [
            ("Jörg & Co", "Jorg___Co"),
            ("", "____"),
            ("Al", "Al__"),
            ("ÀÿÆ×÷ßµ²³¹", "AyAx_Su231"),
            ("../../etc", "______etc"),
            ("日本語🎸", "____"),
            ("a\0b\n\"", "a_b__"),
        ] {
            assert_eq!(musician(name), safe, "{name:?}");
        }
    }

    #[test]
    fn addresses_hide_their_last_part() {
        for (addr, shown) in [
            ("203.0.113.7:22134", "203_0_113_x_22134"),
            ("127.0.0.5:33172", "127_0_0_x_33172"),
            ("127.0.0.1:1", "127_0_0_1_1"),
            ("[::ffff:203.0.113.7]:22134", "203_0_113_x_22134"),
            ("[::1]:5", "__1_5"),
            ("[2001:db8::5]:22134", "2001_db8__x_22134"),
            ("[2001:db8::]:22134", "2001_db8__x_22134"),
        ] {
            assert_eq!(host(addr.parse().unwrap()), shown, "{addr}");
        }
    }

    #[test]
    fn takes_are_named_after_their_start_in_utc() {
        for (seconds, millis, name) in [
            (0, 0, "Jam-19700101-000000000"),
            (951_782_400, 1, "Jam-20000229-000000001"),
            (1_709_164_800, 0, "Jam-20240229-000000000"),
            (1_798_675_199, 999, "Jam-20261230-235959999"),
            (4_107_542_399, 0, "Jam-21000228-235959000"),
            (4_107_542_400, 0, "Jam-21000301-000000000"),
        ] {
            assert_eq!(take(Duration::new(seconds, millis * 1_000_000)), name);
        }
    }
}
