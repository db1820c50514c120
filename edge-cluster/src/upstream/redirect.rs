//! Following a server that sends us elsewhere (spec 5.2 and 5.3).

use rtmp_core::StreamUrl;

use super::{AttemptError, ConnectFailure, OwnAddresses, RedirectSettings};
use crate::config::HostPort;

/// As much of an unusable URL as an error quotes.
const URL_CHARS: usize = 256;

/// The servers that sent us on, one after the other, since the last ordinary attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// The first one is the origin whose turn it was; the last one is the present target. Empty behind a long success.
    visited: Vec<HostPort>,
}

/// What redirects may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) redirects: &'a RedirectSettings,
    pub(super) own: &'a OwnAddresses,
}

impl Chain {
    pub(super) fn new(origin: HostPort) -> Self {
        Self { visited: vec![origin] }
    }

    /// Where `url` leads, which `from` sent; only its host and port are used. No URL leads to the same server.
    pub(super) fn follow(
        &mut self,
        from: &HostPort,
        url: Option<&str>,
        rules: Rules<'_>,
    ) -> Result<HostPort, AttemptError> {
        let target = match url {
            None => from.clone(),
            Some(url) => place_of(url)
                .ok_or_else(|| AttemptError::RedirectUnusable(url.chars().take(URL_CHARS).collect()))?,
        };
        if rules.own.is_target(&target) {
            return Err(ConnectFailure::OwnAddress.into());
        }
        let RedirectSettings { depth_max, hosts } = rules.redirects;
        let named = |hosts: &Vec<String>| hosts.iter().any(|host| host.eq_ignore_ascii_case(&target.host));
        if !hosts.as_ref().is_none_or(named) {
            return Err(AttemptError::RedirectForbidden(target));
        }
        if self.visited.contains(&target) {
            return Err(AttemptError::RedirectLoop(target));
        }
        if self.visited.len() > *depth_max {
            return Err(AttemptError::RedirectDepth(*depth_max));
        }
        self.visited.push(target.clone());
        Ok(target)
    }
}

/// The URL of a request to connect again, when it names another server: it may also be a path on the same one.
pub(super) fn elsewhere(url: Option<&str>) -> Option<&str> {
    url.filter(|url| url.contains("://"))
}

fn place_of(url: &str) -> Option<HostPort> {
    let url = StreamUrl::parse(url, "").ok().filter(|url| url.scheme == "rtmp")?;
    Some(HostPort { host: url.host, port: url.port })
}
