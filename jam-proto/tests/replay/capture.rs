//! Captures of real programs: one datagram per line, `spec/jamulus.md` was written from them.

use std::net::SocketAddr;
use std::time::Duration;

use jam_proto::message::{Connectionless, Message, id};
use jam_proto::reliable::{Received, Reliable, ReliableLimits};
use jam_proto::wire::Frame;
use serde_json::Value;

/// One capture file.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) datagrams: Vec<Datagram>,
}

/// One captured datagram.
#[derive(Clone)]
pub(crate) struct Datagram {
    pub(crate) at: Duration,
    pub(crate) src: u16,
    pub(crate) dst: u16,
    pub(crate) to_server: bool,
    pub(crate) payload: Vec<u8>,
}

impl Datagram {
    pub(crate) fn frame(&self) -> Option<Frame<'_>> {
        Frame::parse(&self.payload)
    }

    /// The message, if it is a connectionless one.
    pub(crate) fn connectionless(&self) -> Option<Connectionless> {
        let frame = self.frame().filter(Frame::is_connectionless)?;
        Connectionless::parse(frame.id, frame.body).ok().flatten()
    }
}

impl Capture {
    /// Every capture in the repository, by name.
    pub(crate) fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let captures = files.iter().map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap();
            Self::parse(name, &std::fs::read_to_string(file).unwrap())
        });
        captures.collect()
    }

    fn parse(name: &str, text: &str) -> Self {
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let head = lines.next().unwrap();
        assert_eq!(head["format"], "jamcap-1", "{name}");
        let mut datagrams: Vec<Datagram> = Vec::new();
        for line in lines {
            let (src, dst) = (line["src"].as_u64().unwrap() as u16, line["dst"].as_u64().unwrap() as u16);
            let Some(at) = line["t"].as_f64().map(Duration::from_secs_f64) else { continue };
            match line["hex"].as_str() {
                Some(hex) => {
                    let to_server = line["dir"] == "c2s";
                    datagrams.push(Datagram { at, src, dst, to_server, payload: unhex(hex) });
                }
                // Most audio was left out; what stands for it keeps connections alive.
                None => {
                    let of_flow = |datagram: &&Datagram| (datagram.src, datagram.dst) == (src, dst);
                    let audio = datagrams.iter().filter(of_flow).rfind(|datagram| datagram.frame().is_none());
                    datagrams.extend(audio.cloned().map(|audio| Datagram { at, ..audio }));
                }
            }
        }
        let about = head["about"].as_str().unwrap().to_owned();
        Self { name: name.to_owned(), about, datagrams }
    }

    /// The ports of clients that were connected, in the order of their appearance.
    pub(crate) fn musicians(&self) -> Vec<u16> {
        let mut ports = Vec::new();
        for datagram in self.datagrams.iter().filter(|datagram| !datagram.to_server) {
            let connected = datagram.frame().is_some_and(|frame| !frame.is_connectionless());
            if connected && !ports.contains(&datagram.dst) {
                ports.push(datagram.dst);
            }
        }
        ports
    }

    /// What one client received and sent.
    pub(crate) fn of(&self, port: u16) -> impl Iterator<Item = &Datagram> {
        self.datagrams.iter().filter(move |datagram| datagram.src == port || datagram.dst == port)
    }
}

/// Undoes repetition and splitting of one direction.
pub(crate) struct Listener(Reliable);

impl Listener {
    pub(crate) fn new() -> Self {
        Self(Reliable::new(ReliableLimits::default(), 0))
    }

    /// The message that is complete with this datagram.
    pub(crate) fn hear(&mut self, datagram: &Datagram) -> Option<Message> {
        let frame = datagram.frame().filter(|frame| !frame.is_connectionless() && frame.id != id::ACKN)?;
        match self.0.handle_frame(&frame) {
            Received::Message { id, body } => Message::parse(id, &body).unwrap(),
            _ => None,
        }
    }
}

/// The messages of one direction of one client, without repetitions.
pub(crate) fn messages(capture: &Capture, port: u16, to_server: bool) -> Vec<Message> {
    let mut listener = Listener::new();
    let direction = capture.of(port).filter(|datagram| datagram.to_server == to_server);
    direction.filter_map(|datagram| listener.hear(datagram)).collect()
}

pub(crate) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
