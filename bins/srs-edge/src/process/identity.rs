//! Who this server is in the HTTP API and in hooks.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

use edge_cluster::edge::EdgeOptions;
use edge_cluster::upstream;

/// The names of the server and of its run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// `vid-` and seven characters: stays over restarts.
    pub(crate) server: String,
    /// Eight characters of this run.
    pub(crate) service: String,
}

/// The configured name; else the one in the file beside the pid file; else a new one, which is kept there. The second
/// value is why it could not be kept.
pub(crate) fn identity(configured: Option<&str>, pid_file: &Path) -> (Identity, Option<String>) {
    let service = crate::id::random(8);
    if let Some(server) = configured.filter(|name| !name.is_empty()) {
        return (Identity { server: server.into(), service }, None);
    }
    let path = pid_file.with_extension("id");
    let kept = std::fs::read_to_string(&path).ok().map(|text| text.trim().to_owned());
    if let Some(server) = kept.filter(|name| usable(name)) {
        return (Identity { server, service }, None);
    }
    let server = format!("vid-{}", crate::id::random(7));
    let problem = std::fs::write(&path, &server)
        .err()
        .map(|error| format!("the server's name {server} is not kept in {}: {error}", path.display()));
    (Identity { server, service }, problem)
}

/// What origins are told about this server, where the vhost says `debug_srs_upnode on`.
pub(crate) fn for_origins(identity: &Identity) -> EdgeOptions {
    let (pid, address) = (std::process::id(), address().to_string());
    let mut options = EdgeOptions::default();
    options.identity = Some(upstream::identity(crate::SIGNATURE, &identity.server, pid, &address));
    options
}

/// The address of this machine towards the rest of the world.
fn address() -> IpAddr {
    // Connecting a UDP socket chooses a route and sends nothing; the address is one of those that are nobody's.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let local = socket.and_then(|socket| socket.connect(("192.0.2.1", 9)).and_then(|()| socket.local_addr()));
    local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

fn usable(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_name_stays_and_a_configured_one_wins() {
        let folder = std::env::temp_dir().join(format!("srs-edge-id-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pid = folder.join("srs.pid");
        let (first, problem) = identity(None, &pid);
        assert!(first.server.starts_with("vid-") && first.server.len() == 11, "{first:?}");
        assert_eq!((problem, first.service.len()), (None, 8));
        let (second, _) = identity(None, &pid);
        assert_eq!(first.server, second.server);
        assert_ne!(first.service, second.service);
        assert_eq!(std::fs::read_to_string(folder.join("srs.id")).unwrap(), first.server);
        std::fs::write(folder.join("srs.id"), "no \"name").unwrap();
        assert_ne!(identity(None, &pid).0.server, "no \"name");
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(identity(Some("vid-mine"), &pid).0.server, "vid-mine");
        assert!(identity(None, Path::new("/dev/null/srs.pid")).1.is_some());
    }
}
