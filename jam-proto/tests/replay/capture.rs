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
            let at = line["t"].as_f64().map(Duration::from_secs_f64);
            let left_out = line["skipped_audio"].as_u64().unwrap_or_default();
            let Some(at) = at.or_else(|| end_of_flow(&datagrams, src, dst, left_out)) else { continue };
            match line["hex"].as_str() {
                Some(hex) => {
                    let to_server = line["dir"] == "c2s";
                    datagrams.push(Datagram { at, src, dst, to_server, payload: unhex(hex) });
                }
                // Most audio was left out; what stands for it keeps connections alive.
                None => datagrams.extend(stand_in(&datagrams, src, dst, at)),
            }
        }
        datagrams.sort_by_key(|datagram| datagram.at);
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

    /// The ports of everybody who sent audio, welcome or not.
    pub(crate) fn players(&self) -> Vec<u16> {
        let mut ports = Vec::new();
        let audio = self.datagrams.iter().filter(|datagram| datagram.to_server && datagram.frame().is_none());
        for datagram in audio {
            if !ports.contains(&datagram.src) {
                ports.push(datagram.src);
            }
        }
        ports
    }

    /// The datagrams of each run of the server: one, or two where it was restarted.
    pub(crate) fn runs(&self) -> Vec<Vec<Datagram>> {
        let is_start = |datagram: &Datagram| {
            !datagram.to_server
                && datagram.frame().is_some_and(|frame| (frame.id, frame.counter) == (id::CLIENT_ID, 0))
        };
        if self.name != "server_restart" {
            return vec![self.datagrams.clone()];
        }
        let (first, second) = self.datagrams.split_at(self.datagrams.iter().rposition(is_start).unwrap());
        // The audio datagram that the new server saw first was left out.
        let is_audio = |datagram: &&Datagram| datagram.to_server && datagram.frame().is_none();
        let knock = Datagram { at: second[0].at, ..first.iter().rfind(is_audio).unwrap().clone() };
        vec![first.to_vec(), [&[knock], second].concat()]
    }

    /// What one client received and sent.
    pub(crate) fn of(&self, port: u16) -> impl Iterator<Item = &Datagram> {
        self.datagrams.iter().filter(move |datagram| datagram.src == port || datagram.dst == port)
    }
}

/// Audio like the last of this flow, in the format announced last.
fn stand_in(datagrams: &[Datagram], src: u16, dst: u16, at: Duration) -> Option<Datagram> {
    let of_flow = |datagram: &&Datagram| (datagram.src, datagram.dst) == (src, dst);
    let mut audio = Datagram {
        at,
        ..datagrams.iter().filter(of_flow).rfind(|datagram| datagram.frame().is_none())?.clone()
    };
    let client = if audio.to_server { src } else { dst };
    let props = datagrams.iter().rev().filter(|datagram| datagram.src == client).find_map(|datagram| {
        let frame = datagram.frame().filter(|frame| frame.id == id::NETW_TRANSPORT_PROPS)?;
        match Message::parse(frame.id, frame.body) {
            Ok(Some(Message::AudioProps(props))) => Some(props),
            _ => None,
        }
    });
    if let Some(props) = props {
        audio.payload.resize(props.datagram_bytes(), 0);
    }
    Some(audio)
}

/// About when a client sent the last of so many audio datagrams that were left out at the end of its flow.
fn end_of_flow(datagrams: &[Datagram], src: u16, dst: u16, left_out: u64) -> Option<Duration> {
    let flow = || datagrams.iter().filter(|datagram| (datagram.src, datagram.dst) == (src, dst));
    let audio = || flow().filter(|datagram| datagram.to_server && datagram.frame().is_none());
    let (first, thirtieth) = (audio().next()?.at, audio().nth(30)?.at);
    let end = audio().next_back()?.at + (thirtieth - first) / 30 * left_out as u32;
    // Nobody plays on after saying goodbye.
    let goodbye = flow().find(|datagram| datagram.connectionless() == Some(Connectionless::Disconnection));
    Some(goodbye.map_or(end, |goodbye| end.min(goodbye.at - Duration::from_millis(1))))
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
