//! Tells systemd how far the server is: the `READY=1` of service units with `Type=notify`.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager's socket, if there is one.
#[derive(Debug)]
pub(crate) struct Notifier(Option<SocketAddr>);

impl Notifier {
    /// The socket that the variable `NOTIFY_SOCKET` names; an unusable name counts as none.
    pub(crate) fn new(notify_socket: Option<&str>) -> Self {
        Self(notify_socket.and_then(|name| address(name).ok()))
    }

    /// Sends a state such as `READY=1`. A manager that does not listen is its own concern.
    pub(crate) fn tell(&self, state: &str) {
        if let Some(address) = &self.0 {
            let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(state.as_bytes(), address));
        }
    }
}

/// A path, or with `@` in front a name of Linux' abstract namespace.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_that_the_server_is_ready() {
        let path = std::env::temp_dir().join(format!("srs-edge-notify-{}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        Notifier::new(path.to_str()).tell("READY=1");
        let mut buffer = [0; 64];
        let len = manager.recv(&mut buffer).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&buffer[..len], b"READY=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_with_an_at_sign_are_abstract() {
        let name = format!("srs-edge-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&address(&format!("@{name}")).unwrap()).unwrap();
        Notifier::new(Some(&format!("@{name}"))).tell("STOPPING=1");
        assert_eq!(manager.recv(&mut [0; 64]).unwrap(), 10);
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Notifier::new(None).tell("READY=1");
        Notifier::new(Some("/nonexistent/socket")).tell("READY=1");
    }
}
