//! One program at the remote control.

use std::io;
use std::net::SocketAddr;

use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::message::{AUTHENTICATION_FAILED, Line, Outcome, PARSE_ERROR, Refusal, Request, UNAUTHENTICATED};
use super::message::{answer, without_id};
use super::{
    LINE_BYTES_MAX, LOGIN_WITHIN, QUEUE_MAX, WRITE_PATIENCE, WRONG_SECRET_PAUSE, WRONG_SECRETS_MAX, methods,
};
use crate::log::say;
use crate::office::Office;

/// Serves a program until it goes, misbehaves, or does not read what it is told.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, secret: &str, office: &Office) {
    let (reading, writing) = stream.into_split();
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let writer = tokio::spawn(write(writing, waiting));
    let mut session = Session {
        lines: Lines { reading, buffer: Vec::new(), seen: 0 },
        queue,
        peer,
        is_authenticated: false,
        wrong_secrets: 0,
    };
    session.run(secret, office).await;
    // The writer ends when nothing more can come and everything is written.
    drop(session);
    let _ = writer.await;
}

struct Session {
    lines: Lines,
    queue: mpsc::Sender<String>,
    peer: SocketAddr,
    is_authenticated: bool,
    wrong_secrets: u32,
}

impl Session {
    async fn run(&mut self, secret: &str, office: &Office) {
        let login_until = Instant::now() + LOGIN_WITHIN;
        loop {
            let line = if self.is_authenticated {
                self.lines.next().await
            } else {
                match timeout_at(login_until, self.lines.next()).await {
                    Ok(line) => line,
                    Err(_) => return,
                }
            };
            let reply = match line {
                Ok(Some(line)) => match Line::read(&line) {
                    Line::One(request) => self.carry_out(&request, secret, office).await.to_string(),
                    Line::Batch(requests) => {
                        let mut answers = Vec::with_capacity(requests.len());
                        for request in &requests {
                            answers.push(self.carry_out(request, secret, office).await);
                            if self.guesses() {
                                break;
                            }
                        }
                        Value::Array(answers).to_string()
                    }
                    Line::Answer(text) => text,
                    Line::HangUp(text) => {
                        if let Some(text) = text {
                            let _ = self.queue.send(text).await;
                        }
                        return;
                    }
                },
                Ok(None) => return,
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        let _ = self.queue.send(without_id(PARSE_ERROR, "Parse error: Line too long")).await;
                    }
                    return;
                }
            };
            if self.queue.send(reply).await.is_err() || self.guesses() {
                return;
            }
        }
    }

    /// It has tried so many wrong secrets that the next one would be a guess, too.
    fn guesses(&self) -> bool {
        self.wrong_secrets >= WRONG_SECRETS_MAX
    }

    async fn carry_out(&mut self, request: &Map<String, Value>, secret: &str, office: &Office) -> Value {
        let outcome = match Request::read(request) {
            Ok(request) if request.method == "jamulus/apiAuth" => {
                self.authenticate(&request, secret, office).await
            }
            Ok(request) if self.is_authenticated => methods::call(&request, office).await,
            Ok(_) => {
                self.note("rejected unauthenticated request");
                let message = "Unauthenticated: Please authenticate using jamulus/apiAuth first";
                Err(Refusal::new(UNAUTHENTICATED, message))
            }
            Err(refusal) => Err(refusal),
        };
        answer(request, outcome)
    }

    async fn authenticate(&mut self, request: &Request<'_>, secret: &str, office: &Office) -> Outcome {
        if !is_equal(request.text("secret")?.as_bytes(), secret.as_bytes()) {
            self.note("rejected invalid authentication secret");
            self.wrong_secrets += 1;
            sleep(WRONG_SECRET_PAUSE).await;
            return Err(Refusal::new(AUTHENTICATION_FAILED, "Authentication failed."));
        }
        if !self.is_authenticated {
            self.is_authenticated = true;
            self.note("accepted valid authentication secret");
            office.tell_from_now_on(self.queue.downgrade());
        }
        Ok("ok".into())
    }

    fn note(&self, what: &str) {
        say(&format!("- JSON-RPC: {what} from {}", self.peer.ip()));
    }
}

/// Whether two secrets are the same; the time this takes tells nothing about where they differ.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}

/// Cuts what arrives into lines.
struct Lines {
    reading: OwnedReadHalf,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold no line feed.
    seen: usize,
}

impl Lines {
    /// The next line without its line feed; `None` when the program has gone, also in the middle of a line.
    ///
    /// Nothing is lost if this is cancelled.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the line is too long, or what the system says.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.iter().skip(self.seen).position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(self.seen + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.seen = 0;
                return Ok(Some(line));
            }
            self.seen = self.buffer.len();
            if self.seen > LINE_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.reading.readable().await?;
            let mut piece = [0; 4096];
            match self.reading.try_read(&mut piece) {
                Ok(0) => return Ok(None),
                Ok(len) => self.buffer.extend_from_slice(piece.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

async fn write(writing: OwnedWriteHalf, mut waiting: mpsc::Receiver<String>) {
    while let Some(mut line) = waiting.recv().await {
        line.push('\n');
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let Ok(Ok(())) = timeout(WRITE_PATIENCE, writing.writable()).await else { return };
            match writing.try_write(rest) {
                Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_equal_as_a_whole_only() {
        assert!(is_equal(b"0123456789abcdef", b"0123456789abcdef"));
        for wrong in [&b"0123456789abcdeF"[..], b"0123456789abcde", b"0123456789abcdef0", b""] {
            assert!(!is_equal(wrong, b"0123456789abcdef"));
        }
    }
}
