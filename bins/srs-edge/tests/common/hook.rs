//! A small web server that hooks ask.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::PATIENCE;

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Posted {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers every POST by its path.
pub(crate) struct HookServer {
    pub(crate) port: u16,
    posted: Receiver<Posted>,
}

impl HookServer {
    /// `answer` makes status and body of a path.
    pub(crate) fn start(answer: fn(&Posted) -> (u16, String)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, posted) = channel();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || drop(serve(socket.unwrap(), answer, &sender)));
            }
        });
        Self { port, posted }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Posted {
        self.posted.recv_timeout(PATIENCE).expect("no hook was called")
    }

    /// Whether nobody asked since.
    pub(crate) fn is_quiet(&self) -> bool {
        self.posted.try_recv().is_err()
    }
}

fn serve(
    socket: TcpStream,
    answer: fn(&Posted) -> (u16, String),
    sender: &Sender<Posted>,
) -> std::io::Result<()> {
    let mut out = socket.try_clone()?;
    let mut reader = BufReader::new(socket);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let posted = Posted { path, head, body: String::from_utf8_lossy(&body).into_owned() };
        let (status, text) = answer(&posted);
        let _ = sender.send(posted);
        let location = if status == 302 { "Location: /yes\r\n" } else { "" };
        write!(out, "HTTP/1.1 {status} X\r\n{location}Content-Length: {}\r\n\r\n{text}", text.len())?;
    }
}
