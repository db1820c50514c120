//! From the address of an HTTP request to a stream (spec 12).

/// The stream an HTTP request names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mounted {
    /// The vhost as the client names it, see [`EdgeConfig::vhost`](crate::config::EdgeConfig::vhost).
    pub vhost: String,
    /// The app; may hold `/`.
    pub app: String,
    /// The stream, without an extension.
    pub stream: String,
}

/// Compares `path` with the mount of `http_remux`, such as `[vhost]/[app]/[stream].flv`. `vhost` is what the client
/// asks for (the `vhost` parameter, else the host); it takes the place of `[vhost]`, which does not stand for a part of
/// the path. `[app]` stands for one segment of the path or more, `[stream]` for one, other segments for themselves.
///
/// ```
/// use edge_cluster::admission::match_mount;
///
/// let mounted = match_mount("[vhost]/[app]/[stream].flv", "v.com", "/live/show.flv").expect("offered");
/// assert_eq!((&*mounted.vhost, &*mounted.app, &*mounted.stream), ("v.com", "live", "show"));
/// assert_eq!(match_mount("[vhost]/[app]/[stream].flv", "v.com", "/live/show.ts"), None);
/// ```
pub fn match_mount(mount: &str, vhost: &str, path: &str) -> Option<Mounted> {
    let mount = match mount.split_once('/') {
        // The part in front of the first slash is the host, a placeholder or a name.
        Some((host, rest)) if host == "[vhost]" || host == vhost || host.is_empty() => rest,
        _ => return None,
    };
    let path = path.strip_prefix('/')?;
    if path.split('/').any(|segment| segment.is_empty() || segment == "..") {
        return None;
    }
    let mut pattern: Vec<&str> = mount.split('/').collect();
    let mut segments: Vec<&str> = path.split('/').collect();
    let (mut app, mut stream) = (None, None);
    // The fixed ends of both lists; what is left in the middle is the app.
    while let Some(last) = pattern.pop_if(|last| *last != "[app]") {
        let segment = segments.pop()?;
        match last.split_once("[stream]") {
            Some((before, after)) => {
                let name = segment.strip_prefix(before)?.strip_suffix(after)?;
                stream = Some(name).filter(|name| !name.is_empty());
                stream?;
            }
            None if last == segment => {}
            None => return None,
        }
    }
    if pattern.pop().is_some() {
        let ahead = pattern.len();
        let (fixed, rest) = segments.split_at_checked(ahead)?;
        if fixed != pattern || rest.is_empty() {
            return None;
        }
        app = Some(rest.join("/"));
    } else if !segments.is_empty() {
        return None;
    }
    Some(Mounted { vhost: vhost.to_owned(), app: app.unwrap_or_default(), stream: stream?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_24_paths_are_compared_with_the_mount() {
        let of = |mount, path| match_mount(mount, "v.com", path).map(|m| format!("{}|{}", m.app, m.stream));
        let usual = "[vhost]/[app]/[stream].flv";
        assert_eq!(of(usual, "/live/show.flv").as_deref(), Some("live|show"));
        assert_eq!(of(usual, "/live/room/show.flv").as_deref(), Some("live/room|show"));
        assert_eq!(of("[vhost]/hot/[app]/[stream].flv", "/hot/live/show.flv").as_deref(), Some("live|show"));
        assert_eq!(of("[vhost]/[app]/[stream]/x.flv", "/live/show/x.flv").as_deref(), Some("live|show"));
        assert_eq!(of("v.com/only/[stream].flv", "/only/show.flv").as_deref(), Some("|show"));
        for (mount, path) in [
            (usual, "/show.flv"),
            (usual, "/live/.flv"),
            (usual, "/live//show.flv"),
            (usual, "/live/../show.flv"),
            (usual, "live/show.flv"),
            (usual, "/"),
            ("[vhost]/hot/[app]/[stream].flv", "/cold/live/show.flv"),
            ("[vhost]/hot/[app]/[stream].flv", "/hot/show.flv"),
            ("other.com/[app]/[stream].flv", "/live/show.flv"),
            ("[vhost]/live/show.flv", "/live/show.flv"),
        ] {
            assert_eq!(of(mount, path), None, "{mount} {path}");
        }
    }
}
