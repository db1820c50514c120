//! From `tcUrl` and stream name to vhost, app and stream (spec 7.9).

use crate::Limits;

/// The vhost that stands for "none given".
pub const DEFAULT_VHOST: &str = "__defaultVhost__";
/// The app that stands for "none given".
pub const DEFAULT_APP: &str = "__defaultApp__";

/// Endings that name a container, not a stream.
const MEDIA_EXTENSIONS: [&str; 8] = ["flv", "m3u8", "ts", "aac", "mp3", "mp4", "m4a", "f4v"];

/// Why a `tcUrl` cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no `scheme://`.
    #[error("no scheme")]
    Scheme,
    /// The host is empty or has spaces or control characters.
    #[error("bad host")]
    Host,
    /// The port is no number from 1 to 65,535.
    #[error("bad port")]
    Port,
}

/// What makes the name of an app or stream unusable for logs, hooks and files.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// It is longer than [`Limits`] allow.
    #[error("name is too long")]
    Length,
    /// It or its query has control characters.
    #[error("name has control characters")]
    Control,
    /// It has a backslash.
    #[error("name has a backslash")]
    Backslash,
    /// One of its segments is `..`.
    #[error("name leads upwards")]
    Upwards,
    /// It has a `?` or `#`: behind the next connection, what follows would be parameters.
    #[error("name has a query in it")]
    Query,
    /// Its query is longer than [`Limits`] allow.
    #[error("query is too long")]
    QueryLength,
}

impl NameFault {
    /// What is wrong with `name`, which may have `bytes_max` bytes; a query is no part of it.
    pub(crate) fn of(name: &str, bytes_max: usize) -> Option<Self> {
        if name.len() > bytes_max {
            Some(Self::Length)
        } else if name.chars().any(char::is_control) {
            Some(Self::Control)
        } else if name.contains('\\') {
            Some(Self::Backslash)
        } else if name.split('/').any(|segment| segment == "..") {
            Some(Self::Upwards)
        } else if name.contains(['?', '#']) {
            Some(Self::Query)
        } else {
            None
        }
    }

    /// The same for a name with its query.
    pub(crate) fn of_whole(whole: &str, bytes_max: usize, query_bytes_max: usize) -> Option<Self> {
        let (name, query) = whole.split_at(whole.find(['?', '#']).unwrap_or(whole.len()));
        let of_query = || match query {
            query if query.len() > query_bytes_max => Some(Self::QueryLength),
            query if query.chars().any(char::is_control) => Some(Self::Control),
            _ => None,
        };
        Self::of(name, bytes_max).or_else(of_query)
    }
}

/// A stream as a client names it, taken apart.
///
/// ```
/// use rtmp_core::StreamUrl;
///
/// let url = StreamUrl::parse("rtmp://v.com/live/_definst_", "show?token=a/b=")?;
/// assert_eq!((&*url.vhost, &*url.app, &*url.stream, &*url.param), ("v.com", "live", "show", "?token=a/b="));
/// assert_eq!(url.key(), "v.com/live/show");
/// # Ok::<(), rtmp_core::UrlError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamUrl {
    /// `rtmp`, `rtmps`, `http` ...
    pub scheme: String,
    /// The host of the `tcUrl`, without brackets.
    pub host: String,
    /// The port, or the scheme's usual one.
    pub port: u16,
    /// The virtual host: a parameter of the stream name or of the `tcUrl`, else the host.
    pub vhost: String,
    /// The application; several path segments are possible.
    pub app: String,
    /// The stream name without its query; may be empty, which is not a stream.
    pub stream: String,
    /// Everything behind the names, with `?` in front, or empty. Opaque: nothing in it is decoded.
    pub param: String,
}

impl StreamUrl {
    /// Takes `tc_url` of a `connect` and the name of a `publish` or `play` apart.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when the `tc_url` has no scheme, host or port that can be used.
    pub fn parse(tc_url: &str, stream: &str) -> Result<Self, UrlError> {
        let tc_url = tc_url.replacen("...vhost...", "?vhost=", 1);
        let (scheme, rest) =
            tc_url.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).ok_or(UrlError::Scheme)?;
        let (place, url_query) = split_query(rest);
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = split_authority(authority, default_port(scheme))?;
        let path = format!("/{path}").replace("/_definst_", "");
        let (name, name_query) = split_query(stream);

        let clean = |text: &str| text.replace([' ', '\t', '\r', '\n'], "");
        let of_path = path.split('/').map(clean).filter(|segment| !segment.is_empty());
        let mut segments: Vec<String> = of_path.collect();
        let path_segments = segments.len();
        segments.extend(name.split('/').map(clean).filter(|segment| !segment.is_empty()));
        let (app, stream) = if segments.len() > path_segments {
            let stream = segments.pop().unwrap_or_default();
            (segments.join("/"), stream)
        } else {
            let mut rest = segments.into_iter();
            let app = rest.next().unwrap_or_default();
            (app, rest.collect::<Vec<_>>().join("/"))
        };
        let parameter = |query, key| find_parameter(query, key).filter(|value| *value != DEFAULT_VHOST);
        let vhost = parameter(name_query, "vhost")
            .or_else(|| parameter(name_query, "domain"))
            .or_else(|| parameter(url_query, "vhost"))
            .or_else(|| parameter(url_query, "domain"))
            .unwrap_or(&host);
        Ok(Self {
            vhost: vhost.to_owned(),
            scheme: scheme.to_owned(),
            port,
            app: if app.is_empty() { DEFAULT_APP.to_owned() } else { app },
            stream,
            param: join_queries(name_query, url_query),
            host,
        })
    }

    /// What identifies the stream on a server: vhost (empty for the default one), app and stream without a media
    /// extension.
    pub fn key(&self) -> String {
        let vhost = if self.vhost == DEFAULT_VHOST { "" } else { &self.vhost };
        format!("{vhost}/{}/{}", self.app, self.stream_name())
    }

    /// What is wrong with the names of app and stream: whoever uses them asks, wherever they come from.
    pub fn fault(&self, limits: &Limits) -> Option<NameFault> {
        let of_app = NameFault::of(&self.app, limits.app_bytes_max);
        of_app.or_else(|| NameFault::of(&self.stream, limits.name_bytes_max))
    }

    /// The stream name without a media extension such as `.flv`.
    pub fn stream_name(&self) -> &str {
        match self.stream.rsplit_once('.') {
            Some((name, extension)) if MEDIA_EXTENSIONS.contains(&extension) => name,
            _ => &self.stream,
        }
    }
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once(['?', '#']).unwrap_or((text, ""))
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "rtmps" | "https" => 443,
        "http" => 80,
        _ => 1935,
    }
}

fn split_authority(authority: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or(UrlError::Host)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(UrlError::Host),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::Host);
    }
    let port = match port {
        None | Some("") => default_port,
        Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or(UrlError::Port)?,
    };
    Ok((host.to_owned(), port))
}

fn find_parameter<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    let pairs = query.split(['&', ';', ',']).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, value)| *name == key && !value.is_empty()).map(|(_, value)| value).next()
}

fn join_queries(of_name: &str, of_url: &str) -> String {
    let default = format!("vhost={DEFAULT_VHOST}");
    let query = match (of_name, of_url) {
        (name, "") => name.to_owned(),
        ("", url) => url.to_owned(),
        (name, url) if name == url => name.to_owned(),
        (name, url) => format!("{name}&{url}"),
    };
    if query.is_empty() || query == default { String::new() } else { format!("?{query}") }
}
