//! Helpers of the tests: a folder, a running server, HTTP by hand.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::disallowed_methods, reason = "a running program lives in real time")]
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

pub(crate) mod hook;
pub(crate) mod rtmp;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::net;

/// Nothing here takes longer on a machine that is merely busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Files of one test, removed afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("srs-edge-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago, and that no outgoing connection takes meanwhile: those have ports of the system's
/// choice, from 32768 on.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Tests of several processes begin at different places.
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 12_000 + (number % 8_000) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_srs-edge"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// A running server.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    /// Starts it with `a.conf` of the folder and waits until it serves.
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &["-c", "a.conf"], &[])
    }

    pub(crate) fn start_with(folder: &Folder, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = program(&folder.0);
        command.args(args).envs(variables.iter().copied());
        Self::start_as(command)
    }

    fn start_as(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("rtmp on ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it does not serve: {said}");
        }
        Self { child, stderr }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait_until("the server ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn stop(self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not happen in time: {what}");
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One request to a port of this machine; `headers` end with CR LF each.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &str) -> Response {
    let mut socket = open(port);
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n");
    // What is refused for its size is answered before it has been read: the rest may find nobody.
    let _ = socket.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, head, body: bytes[end + 4..].to_vec() }
}

pub(crate) fn get(port: u16, path: &str) -> Response {
    request(port, "GET", path, "")
}

/// A connection from another address of this machine, 127.0.0.`host`.
pub(crate) fn open_from(host: u8, port: u16, configure: impl FnOnce(&OwnedFd)) -> TcpStream {
    let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).unwrap();
    configure(&socket);
    net::bind(&socket, &SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    net::connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(crate) fn open(port: u16) -> TcpStream {
    let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}
