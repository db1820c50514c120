//! Many hostile connections at once.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::peer::{begin_connect, is_pending};
use crate::clock::{instant, wait};

/// How often everybody is looked at.
const STEP: Duration = Duration::from_millis(20);

/// One connection of a swarm.
#[derive(Debug)]
pub(super) struct Member {
    stream: TcpStream,
    opened: Instant,
    /// What it still has to say.
    script: Vec<u8>,
    /// How long it lived, once the server has closed it.
    pub(super) closed: Option<Duration>,
    pub(super) sent: u64,
    pub(super) back: u64,
    reads: bool,
}

/// Connections that are looked after together.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    pub(super) members: Vec<Member>,
    /// Connections that could not be opened at all.
    pub(super) failed: u64,
}

impl Swarm {
    /// Begins one more connection that says `script` as soon as it can.
    pub(super) fn open(&mut self, server: SocketAddr, from: Option<Ipv4Addr>, script: Vec<u8>) {
        self.open_as(server, from, script, true);
    }

    /// The same; without `reads` it never takes a byte, and has little room for them.
    pub(super) fn open_as(
        &mut self,
        server: SocketAddr,
        from: Option<Ipv4Addr>,
        script: Vec<u8>,
        reads: bool,
    ) {
        match begin(server, from, (!reads).then_some(4096)) {
            Ok(stream) => self.members.push(Member {
                stream,
                opened: instant(),
                script,
                closed: None,
                sent: 0,
                back: 0,
                reads,
            }),
            Err(_) => self.failed += 1,
        }
    }

    /// Those who did not read begin to: only then they see that they were closed.
    pub(super) fn read_at_last(&mut self) {
        self.members.iter_mut().for_each(|member| member.reads = true);
    }

    /// Adds to what everybody says.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        for member in &mut self.members {
            member.script.extend_from_slice(bytes);
        }
    }

    /// Lets everybody speak and listen for `time`, or until `done`.
    pub(super) fn run(&mut self, time: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = instant() + time;
        let mut raw = vec![0; 64 << 10];
        loop {
            for member in self.members.iter_mut().filter(|member| member.closed.is_none()) {
                if member.turn(&mut raw).is_err() {
                    member.closed = Some(member.opened.elapsed());
                }
            }
            if done(self) || instant() >= end {
                return;
            }
            wait(STEP);
        }
    }

    /// How many the server has closed.
    pub(super) fn closed(&self) -> usize {
        self.members.iter().filter(|member| member.closed.is_some()).count()
    }

    /// Whether the server has closed all.
    pub(super) fn is_over(&self) -> bool {
        self.closed() == self.members.len()
    }

    /// The longest life of those that were closed, in seconds.
    pub(super) fn longest_life(&self) -> f64 {
        let lives = self.members.iter().filter_map(|member| member.closed);
        lives.max().unwrap_or_default().as_secs_f64()
    }

    pub(super) fn sent(&self) -> u64 {
        self.members.iter().map(|member| member.sent).sum()
    }

    pub(super) fn back(&self) -> u64 {
        self.members.iter().map(|member| member.back).sum()
    }
}

fn begin(server: SocketAddr, from: Option<Ipv4Addr>, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
    let socket = begin_connect(server, from, receive_buffer)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&server.into()) {
        Err(error) if !is_not_yet(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

impl Member {
    /// Says what there is to say and hears what there is to hear; an error is the end.
    fn turn(&mut self, raw: &mut [u8]) -> io::Result<()> {
        while !self.script.is_empty() {
            match self.stream.write(&self.script) {
                Ok(count) => {
                    self.sent += count as u64;
                    self.script.drain(..count);
                }
                Err(error) if is_not_yet(&error) => break,
                Err(error) => return Err(error),
            }
        }
        // One that does not read would not notice its end otherwise.
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        while self.reads {
            match self.stream.read(raw) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.back += count as u64,
                Err(error) if is_not_yet(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    is_pending(error)
        || error.kind() == io::ErrorKind::NotConnected
        || error.raw_os_error() == Some(Errno::EINPROGRESS as i32)
}
