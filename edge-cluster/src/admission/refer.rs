//! Which web pages may use a stream (spec 10.2).

/// Whether a player on `page_url` may, when `domains` is the list of the configuration: the host of the page is one of
/// the domains, or ends with one behind a dot. No list allows all; a list without domains, or a client without a page
/// where there is a list, is refused.
///
/// ```
/// use edge_cluster::admission::refer_allows;
///
/// let domains = ["example.com".to_owned()];
/// assert!(refer_allows(Some(&domains), "https://www.example.com:8080/player.html"));
/// assert!(!refer_allows(Some(&domains), "https://notexample.com/"));
/// assert!(!refer_allows(Some(&domains), ""));
/// assert!(!refer_allows(Some(&[]), "https://example.com/"));
/// assert!(refer_allows(None, ""));
/// ```
pub fn refer_allows(domains: Option<&[String]>, page_url: &str) -> bool {
    let Some(domains) = domains else { return true };
    let Some(host) = host_of(page_url) else { return false };
    domains.iter().any(|domain| {
        let domain = domain.trim_start_matches('.');
        match host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at)) {
            Some((before, end)) => {
                !domain.is_empty()
                    && end.eq_ignore_ascii_case(domain)
                    && (before.is_empty() || before.ends_with('.'))
            }
            None => false,
        }
    })
}

/// The host of a URL, without user, port and brackets.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_18_refer_compares_whole_labels_from_the_end() {
        let allows = |domain: &str, page: &str| refer_allows(Some(&[domain.to_owned()]), page);
        assert!(
            allows("a.com", "http://a.com.a.com/x"),
            "refused by SRS, which looks at the first place only"
        );
        assert!(allows(".a.com", "http://b.a.com"));
        assert!(allows("A.com", "http://user@b.a.COM:80/x?y"));
        assert!(allows("::1", "http://[::1]:80/"));
        assert!(!allows("a.com", "http://a.com.evil.net/"));
        assert!(!allows("a.com", "http://evil.net/?a.com"));
        assert!(!allows("a.com", "http://evil.net/a.com"));
        assert!(!allows("a.com", "a.com"), "no URL");
        assert!(!allows("", "http://a.com/"));
        assert!(!allows("é.com", "http://x.com/"), "no panic inside a character");
    }
}
