//! Our own srs-edge, with configurations for the attacks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::process::Server;

/// Name and password of the HTTP API.
pub(super) const API_USER: &str = "operator";
pub(super) const API_PASSWORD: &str = "4v7-Xk";
/// The same as browsers send it.
pub(super) const API_CREDENTIALS: &str = "b3BlcmF0b3I6NHY3LVhr";
/// What must never come out of the HTTP server.
pub(super) const SECRET: &str = "nobody may read this";

/// A folder that goes away again.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("rtmp-load-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running edge of ours.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) server: Server,
    pub(super) rtmp: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) log: PathBuf,
}

/// An address of this machine that was free a moment ago.
pub(super) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

impl Edge {
    /// Starts `program` in a folder below `folder`, with these further lines at the end of its configuration.
    pub(super) fn start(program: &Path, folder: &Path, name: &str, more: &str) -> io::Result<Self> {
        Self::spawn(program, folder, name, more, None)
    }

    /// The same, where it may open so many files only.
    pub(super) fn start_with_files(
        program: &Path,
        folder: &Path,
        name: &str,
        files: usize,
    ) -> io::Result<Self> {
        Self::spawn(program, folder, name, "vhost __defaultVhost__ { }", Some(files))
    }

    fn spawn(
        program: &Path,
        folder: &Path,
        name: &str,
        more: &str,
        files: Option<usize>,
    ) -> io::Result<Self> {
        let (rtmp, http) = (free_address()?, free_address()?);
        let folder = folder.join(name);
        std::fs::create_dir_all(folder.join("html"))?;
        std::fs::write(folder.join("html/index.html"), "<p>hello</p>")?;
        std::fs::write(folder.join("secret.txt"), SECRET)?;
        let log = folder.join("edge.log");
        let text = format!(
            "listen {rtmp}; max_connections 1000; daemon off; pid edge.pid;
             srs_log_tank file; srs_log_file edge.log;
             http_api {{ enabled on; listen {http}; raw_api {{ enabled on; allow_reload on; }}
                         auth {{ enabled on; username {API_USER}; password {API_PASSWORD}; }} }}
             http_server {{ enabled on; listen {http}; dir ./html; }}
             {more}\n"
        );
        std::fs::write(folder.join("edge.conf"), text)?;
        let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
        let program = std::fs::canonicalize(program)?;
        let run = match files {
            Some(files) => {
                format!("sh -c 'ulimit -n {files} && exec \"$0\" -c edge.conf' {}", quoted(&program))
            }
            None => format!("{} -c edge.conf", quoted(&program)),
        };
        let command = format!("--chdir={} {run}", quoted(&folder));
        let server = Server::spawn(&command)?;
        Ok(Self { server, rtmp, http, log })
    }
}
