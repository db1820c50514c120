//! How a stream is named at its origin (spec 3).

use rtmp_core::amf::amf0::Value;
use rtmp_core::{Purpose, Target};

use super::OriginSettings;
use crate::config::{DEFAULT_VHOST, HostPort, RTMP_PORT};

/// A stream as clients of this server name it, and what is passed on about the client that asks.
///
/// ```
/// use edge_cluster::upstream::UpstreamStream;
///
/// let mut stream = UpstreamStream::new("v.example", "live", "show");
/// stream.param = "?vhost=v.example&token=a/b=".to_owned();
/// assert_eq!(stream.tc_url("[vhost]", &"10.0.0.1:1935".parse()?), "rtmp://v.example/live");
/// assert_eq!(stream.tc_url("o-[vhost]", &"10.0.0.1:19350".parse()?), "rtmp://o-v.example:19350/live");
/// assert_eq!(stream.name(), "show?token=a/b=");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpstreamStream {
    /// The vhost that serves the client here, `__defaultVhost__` included.
    pub vhost: String,
    /// The host in the client's `tcUrl`; it stands in ours where there is no vhost to name. Empty: the origin's.
    pub host: String,
    /// The application.
    pub app: String,
    /// The stream, without parameters.
    pub stream: String,
    /// Its parameters with `?` in front, or empty.
    pub param: String,
    /// The web page of the client; origins with `refer` rules look at it.
    pub page_url: Option<String>,
    /// The player of the client.
    pub swf_url: Option<String>,
    /// Values behind the properties of the client's `connect`; tokens may be there.
    pub arguments: Vec<Value>,
    /// Attempts that earlier machines made for this stream: where the turn of the origins goes on.
    pub rotation: u64,
}

impl UpstreamStream {
    /// A stream without parameters.
    pub fn new(vhost: impl Into<String>, app: impl Into<String>, stream: impl Into<String>) -> Self {
        Self { vhost: vhost.into(), app: app.into(), stream: stream.into(), ..Self::default() }
    }

    /// The `tcUrl` at `origin`: its host is the vhost that `pattern` (`cluster.vhost`) makes, its port the origin's.
    pub fn tc_url(&self, pattern: &str, origin: &HostPort) -> String {
        let vhost = pattern.replace("[vhost]", &self.vhost);
        let host = match vhost.as_str() {
            "" | DEFAULT_VHOST if self.host.is_empty() => &origin.host,
            "" | DEFAULT_VHOST => &self.host,
            vhost => vhost,
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match origin.port {
            RTMP_PORT => format!("rtmp://{host}/{}", self.app),
            port => format!("rtmp://{host}:{port}/{}", self.app),
        }
    }

    /// The name to play or publish: the stream with its parameters, but for `vhost`, which is in the `tcUrl`.
    pub fn name(&self) -> String {
        let param = without_vhost(self.param.trim_start_matches('?'));
        if param.is_empty() { self.stream.clone() } else { format!("{}?{param}", self.stream) }
    }

    /// What a client connection to `place` needs to know.
    pub(super) fn target(&self, origin: &OriginSettings, place: &HostPort, purpose: Purpose) -> Target {
        let tc_url = self.tc_url(&origin.vhost, place);
        let mut target = Target::new(tc_url, self.app.clone(), self.name(), purpose);
        for (key, value) in [("pageUrl", &self.page_url), ("swfUrl", &self.swf_url)] {
            if let Some(value) = value {
                target.properties.push(key, value.as_str());
            }
        }
        // The capabilities of a relay go with every `connect`; older servers know only this list.
        target.properties.push("fourCcList", Value::StrictArray(vec![Value::from("*")]));
        target.arguments.clone_from(&self.arguments);
        if let Some(identity) = &origin.identity {
            match target.arguments.first_mut() {
                Some(Value::Object(first)) => {
                    identity.iter().for_each(|(key, value)| first.push(key.clone(), value.clone()));
                }
                _ => target.arguments.insert(0, Value::Object(identity.clone())),
            }
        }
        target
    }
}

/// `query` without its `vhost` parameters; everything else keeps its bytes, it may be signed.
fn without_vhost(query: &str) -> String {
    let mut kept = String::with_capacity(query.len());
    for part in query.split_inclusive(['&', ';', ',']) {
        if !part.starts_with("vhost=") {
            kept.push_str(part);
        }
    }
    if kept.len() < query.len() {
        // The separator in front of a removed last part.
        let ends = kept.trim_end_matches(['&', ';', ',']).len();
        kept.truncate(ends);
    }
    kept
}

#[cfg(test)]
mod tests {
    use rtmp_core::amf::Object;

    use super::*;

    #[test]
    fn row_21_the_vhost_goes_into_the_tc_url_and_out_of_the_parameters() {
        for (param, name) in [
            ("", "s"),
            ("?", "s"),
            ("?vhost=v", "s"),
            ("?vhost=v&a=1", "s?a=1"),
            ("?a=1&vhost=v", "s?a=1"),
            ("?a=1;vhost=v,b=2", "s?a=1;b=2"),
            ("?a=1&vhost=v&b=2", "s?a=1&b=2"),
            ("?token=x/y+z==&", "s?token=x/y+z==&"),
            ("?myvhost=v&novhost", "s?myvhost=v&novhost"),
        ] {
            let stream = UpstreamStream { param: param.to_owned(), ..UpstreamStream::new("v", "live", "s") };
            assert_eq!(stream.name(), name, "{param}");
        }
    }

    #[test]
    fn row_21_the_default_vhost_is_not_named() {
        let origin: HostPort = "10.0.0.1".parse().unwrap();
        let mut stream = UpstreamStream::new(DEFAULT_VHOST, "a/b", "s");
        assert_eq!(stream.tc_url("[vhost]", &origin), "rtmp://10.0.0.1/a/b");
        stream.host = "edge.example".to_owned();
        assert_eq!(stream.tc_url("[vhost]", &origin), "rtmp://edge.example/a/b");
        assert_eq!(stream.tc_url("fixed.example", &origin), "rtmp://fixed.example/a/b");
        stream.host = "::1".to_owned();
        assert_eq!(stream.tc_url("[vhost]", &"[::2]:1936".parse().unwrap()), "rtmp://[::1]:1936/a/b");
    }

    #[test]
    fn identification_joins_the_client_s_own_values() {
        let identity = Object::new().with("srs_id", "abc");
        let place: HostPort = "o".parse().unwrap();
        let mut origin = OriginSettings::new(vec![place.clone()]);
        origin.identity = Some(identity.clone());
        let mut stream = UpstreamStream::new("v", "live", "s");
        let arguments = |stream: &UpstreamStream| stream.target(&origin, &place, Purpose::Play).arguments;
        assert_eq!(arguments(&stream), [Value::Object(identity)]);
        stream.arguments.push(Value::Object(Object::new().with("token", "t")));
        assert_eq!(
            arguments(&stream),
            [Value::Object(Object::new().with("token", "t").with("srs_id", "abc"))]
        );
    }
}
