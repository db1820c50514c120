//! Addresses of streams as URLs.

use std::net::{SocketAddr, ToSocketAddrs as _};

use rtmp_core::StreamUrl;

/// A stream on a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) tc_url: String,
    pub(crate) app: String,
    /// With its query.
    pub(crate) stream: String,
    /// Where to connect to.
    pub(crate) address: SocketAddr,
    /// Number of the stream in the run.
    pub(crate) number: u16,
}

impl Place {
    /// Takes `rtmp://host[:port]/app[/more]/stream[?query]` apart and looks the host up.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("\"{url}\" is not rtmp://HOST[:PORT]/APP/STREAM: {why}");
        let path = url.split_once('?').map_or(url, |(path, _)| path);
        let cut = path.rfind('/').filter(|&at| at > "rtmp://".len()).ok_or_else(|| wrong("no stream"))?;
        let (tc_url, stream) = (&url[..cut], &url[cut + 1..]);
        let parsed = StreamUrl::parse(tc_url, stream).map_err(|error| wrong(&error.to_string()))?;
        if parsed.scheme != "rtmp" || parsed.stream.is_empty() {
            return Err(wrong("another scheme, or no stream"));
        }
        let mut found = (parsed.host.as_str(), parsed.port)
            .to_socket_addrs()
            .map_err(|error| wrong(&error.to_string()))?;
        let address = found.next().ok_or_else(|| wrong("the host has no address"))?;
        Ok(Self { tc_url: tc_url.to_owned(), app: parsed.app, stream: stream.to_owned(), address, number: 0 })
    }

    /// The stream of this number among `of`: its name gets a suffix when there are several.
    pub(crate) fn numbered(&self, number: u16, of: u16) -> Self {
        let mut place = Self { number, ..self.clone() };
        if of > 1 {
            let end = place.stream.find('?').unwrap_or(place.stream.len());
            place.stream.insert_str(end, &format!("-{number}"));
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart_at_the_last_slash() {
        let place = Place::parse("rtmp://127.0.0.1:1936/live/room/show?token=a/b").expect("a URL");
        assert_eq!((&*place.tc_url, &*place.stream), ("rtmp://127.0.0.1:1936/live/room", "show?token=a/b"));
        assert_eq!(place.address, SocketAddr::from(([127, 0, 0, 1], 1936)));
        assert_eq!(Place::parse("rtmp://127.0.0.1/live/show").expect("a URL").address.port(), 1935);
        for wrong in
            ["rtmp://127.0.0.1/", "127.0.0.1/live/show", "http://127.0.0.1/live/show", "rtmp://127.0.0.1"]
        {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_streams_are_told_apart_by_a_suffix() {
        let place = Place::parse("rtmp://127.0.0.1/live/show?token=x").expect("a URL");
        assert_eq!(place.numbered(0, 1).stream, "show?token=x");
        assert_eq!(
            (place.numbered(2, 3).stream.as_str(), place.numbered(2, 3).number),
            ("show-2?token=x", 2)
        );
    }
}
