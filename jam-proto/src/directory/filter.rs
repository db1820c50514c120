//! Who may be on the list (spec 6.4, `-f`).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A directory's demands on servers: a white list of addresses and a minimum version. The default demands nothing.
///
/// ```
/// use jam_proto::directory::ListFilter;
/// let filter: ListFilter = "[3.11.0];203.0.113.7;203.0.113.8".parse()?;
/// assert_eq!(filter.version_min, Some([3, 11, 0]));
/// assert!(filter.admits("203.0.113.8".parse()?));
/// assert!(!filter.admits("203.0.113.9".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListFilter {
    /// The only addresses servers may register from; empty means all.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// The oldest version that may register.
    pub version_min: Option<[u32; 3]>,
}

/// An item of a filter is neither an address nor a version in square brackets; correct or remove it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("list filter item {item:?} is neither an IPv4 address nor a version like [3.11.0]")]
pub struct FilterError {
    /// The item.
    pub item: String,
}

impl ListFilter {
    /// Whether servers from this address may register.
    #[must_use]
    pub fn admits(&self, address: Ipv4Addr) -> bool {
        self.addresses.is_empty() || self.addresses.contains(&address)
    }

    /// Whether servers of this version may register; those of long ago tell none.
    #[must_use]
    pub fn admits_version(&self, version: Option<[u32; 3]>) -> bool {
        self.version_min.is_none_or(|min| version.is_some_and(|version| version >= min))
    }
}

impl FromStr for ListFilter {
    type Err = FilterError;

    /// Reads items separated by `;`: addresses, and a version in square brackets. Empty items are skipped.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for item in text.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let error = || FilterError { item: item.to_owned() };
            if let Some(version) = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                filter.version_min = Some(parse_version(version.trim()).ok_or_else(error)?);
            } else {
                filter.addresses.insert(item.parse().map_err(|_| error())?);
            }
        }
        Ok(filter)
    }
}

/// `a.b.c`; missing numbers are 0.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    let mut numbers = text.split('.');
    for (to, number) in version.iter_mut().zip(numbers.by_ref()) {
        *to = number.parse().ok()?;
    }
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_admits_everybody() {
        let filter: ListFilter = " ; ".parse().unwrap();
        assert_eq!(filter, ListFilter::default());
        assert!(filter.admits(Ipv4Addr::new(203, 0, 113, 1)) && filter.admits_version(None));
    }

    #[test]
    fn a_minimum_version_refuses_older_ones_and_those_who_tell_none() {
        let filter: ListFilter = "[3.9.1]".parse().unwrap();
        for (version, admitted) in [
            (None, false),
            (Some([3, 9, 0]), false),
            (Some([3, 9, 1]), true),
            (Some([3, 10, 0]), true),
            (Some([4, 0, 0]), true),
        ] {
            assert_eq!(filter.admits_version(version), admitted, "{version:?}");
        }
        assert_eq!("[4]".parse::<ListFilter>().unwrap().version_min, Some([4, 0, 0]));
    }

    #[test]
    fn a_wrong_item_is_named() {
        for item in ["203.0.113", "[3.x]", "[]", "[1.2.3.4]", "example.org"] {
            let error = format!("203.0.113.7;{item}").parse::<ListFilter>().unwrap_err();
            assert_eq!(error.item, item);
        }
    }
}
