//! A machine among simulated origins, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use edge_cluster::config::HostPort;
use edge_cluster::upstream::{ConnectFailure, UpstreamInput, UpstreamOutput};
use rtmp_core::segment::{Cursor, Framing, Outgoing, Ring, SegmentWriter};
use rtmp_core::sim::{Delivery, End, LinkConfig, Pair};
use rtmp_core::{ConnectionConfig, EndReason, Progress, ServerConnection, ServerEvent};

use crate::machine::{Flow, Machine};
use crate::origin::{Behaviour, FRAME, Live, Origin, frame, metadata, serve};

pub(crate) struct World<M: Machine> {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) machine: M,
    pub(crate) origins: BTreeMap<String, Origin>,
    pub(crate) events: Vec<(Duration, M::Event)>,
    /// What happened, in words.
    pub(crate) trace: Vec<(Duration, String)>,
    /// When connects began, and where to.
    pub(crate) connects: Vec<(Duration, HostPort)>,
    pub(crate) farewells: Vec<Bytes>,
    live: Option<Live>,
    /// Servers that still read what a farewell brought.
    parting: Vec<(String, ServerConnection, BytesMut)>,
    link: LinkConfig,
    seed: u64,
    outputs: u64,
    /// The local stream, for machines that publish: its segments, and the place of the connection among them.
    ring: Ring,
    writer: SegmentWriter,
    cursor: Option<Cursor>,
    frames: u32,
}

#[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

impl<M: Machine> World<M> {
    pub(crate) fn new(machine: M, start: Instant, hosts: &[&str], seed: u64) -> Self {
        let origin = || Origin {
            behaviour: Behaviour::Up,
            publishing: true,
            connects: Vec::new(),
            names: Vec::new(),
            styles: Vec::new(),
            received: Vec::new(),
            farewells: 0,
        };
        let mut link = LinkConfig::default();
        link.latency = Duration::from_millis(10);
        Self {
            start,
            now: start,
            machine,
            origins: hosts.iter().map(|host| ((*host).to_owned(), origin())).collect(),
            events: Vec::new(),
            trace: Vec::new(),
            connects: Vec::new(),
            farewells: Vec::new(),
            live: None,
            parting: Vec::new(),
            link,
            seed,
            outputs: 0,
            ring: Ring::default(),
            writer: SegmentWriter::new(Framing::Chunks { size: 60_000 }),
            cursor: None,
            frames: 1,
        }
    }

    pub(crate) fn origin(&mut self, host: &str) -> &mut Origin {
        self.origins.get_mut(host).expect("an origin of this world")
    }

    /// The host of the live connection.
    pub(crate) fn connected_to(&self) -> Option<&str> {
        self.live.as_ref().map(|live| &*live.host)
    }

    /// The whole trace without times.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.trace.iter().map(|(_, word)| &**word).collect()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The process of an origin dies: its connection breaks, its port is closed.
    pub(crate) fn kill(&mut self, host: &str) {
        self.origin(host).behaviour = Behaviour::Closed;
        self.cut(host);
    }

    /// The connection to an origin breaks.
    pub(crate) fn cut(&mut self, host: &str) {
        if let Some(live) = self.live.take_if(|live| live.host == host && live.opens.is_none()) {
            self.machine.handle_input(self.now, live.attempt, UpstreamInput::Closed).done();
            self.drain();
        }
    }

    /// No byte of the origin arrives any more.
    pub(crate) fn stall(&mut self) {
        let far = self.now + Duration::from_secs(3600);
        self.live.as_mut().expect("a connection").pair.stall(End::Client, far);
    }

    /// The origin pings now and then, though it has nothing to send.
    pub(crate) fn keep_alive(&mut self) {
        self.live.as_mut().expect("a connection").keep_alive = true;
    }

    pub(crate) fn server(&mut self) -> &mut ServerConnection {
        &mut self.live.as_mut().expect("a connection").server
    }

    pub(crate) fn input(&mut self, input: UpstreamInput<'_>) {
        let attempt = self.live.as_ref().expect("a connection").attempt;
        self.machine.handle_input(self.now, attempt, input).done();
        self.drain();
    }

    fn note(&mut self, word: String) {
        self.trace.push((self.elapsed(), word));
    }

    /// Takes the outputs.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.outputs += 1;
            assert!(self.outputs < 2_000_000, "the machine does not come to rest: {:?}", self.trace);
            match output {
                UpstreamOutput::Connect { attempt, target, timeout } => {
                    assert!(self.live.is_none(), "two connections at a time: {:?}", self.trace);
                    self.connects.push((self.elapsed(), target.clone()));
                    self.note(format!("connect {}", target.host));
                    self.open(attempt, target, timeout);
                }
                UpstreamOutput::Write => {}
                UpstreamOutput::Disconnect { attempt, farewell } => {
                    assert!(self.cursor.is_none(), "media flows to a connection that is closed");
                    self.flush();
                    let live = self.live.take().expect("there is something to disconnect");
                    assert_eq!(live.attempt, attempt, "an old attempt is disconnected");
                    self.note("disconnect".to_owned());
                    self.part(live, &farewell);
                    self.farewells.push(farewell);
                }
                UpstreamOutput::Event(event) => {
                    if let Some(word) = M::word(&event) {
                        self.note(word);
                    }
                    match M::flow(&event) {
                        None => {}
                        Some(Flow::Begins(msid)) => self.join(msid),
                        Some(Flow::Ends) => {
                            self.flush();
                            assert!(self.cursor.take().is_some(), "nothing flows: {:?}", self.trace);
                        }
                    }
                    self.events.push((self.elapsed(), event));
                }
                _ => unreachable!("outputs of this version"),
            }
        }
    }

    fn open(&mut self, attempt: u64, target: HostPort, timeout: Duration) {
        let behaviour = self.origins.get(&target.host).map(|origin| origin.behaviour.clone());
        let opens = match behaviour {
            None => (self.now + Duration::from_millis(5), Err(ConnectFailure::NameNotFound)),
            Some(Behaviour::Closed) => {
                let refused = ConnectFailure::Io(std::io::ErrorKind::ConnectionRefused);
                (self.now + Duration::from_millis(20), Err(refused))
            }
            // The machine's own deadline is as good as the driver's.
            Some(Behaviour::Dark) => (self.now + timeout * 2, Err(ConnectFailure::TimedOut)),
            Some(_) => (self.now + Duration::from_millis(20), Ok(())),
        };
        let seed = self.seed.wrapping_add(attempt);
        let mut config = ConnectionConfig::default();
        config.timeouts.first_media = None;
        config.timeouts.media = None;
        self.live = Some(Live {
            attempt,
            host: target.host,
            opens: Some(opens),
            pair: Pair::new(self.link.clone(), seed),
            server: ServerConnection::new(Arc::new(config), seed, self.now),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            frames: 0,
            next_frame: self.now,
            keep_alive: false,
        });
    }

    /// As the hub does: headers privately, then everything from the newest key frame on.
    fn join(&mut self, msid: u32) {
        assert!(self.cursor.is_none(), "two cursors for one connection");
        self.machine.send_media(&metadata());
        self.machine.send_media(&frame(0));
        let newest = self.ring.iter().rev().find(|(_, segment)| segment.starts_with_key());
        let next = newest.map_or_else(|| self.ring.end(), |(number, _)| number);
        self.cursor = Some(Cursor::new(msid, next, 0));
    }

    /// The local publisher sends one more frame.
    pub(crate) fn publish_frame(&mut self) {
        self.writer.push(&frame(self.frames));
        self.frames += 1;
        self.ring.push(Arc::new(self.writer.finish().expect("a message")));
    }

    /// Runs while the local publisher sends.
    pub(crate) fn publish_for(&mut self, frames: u32) {
        for _ in 0..frames {
            self.publish_frame();
            self.run_for(FRAME);
        }
    }

    /// Sends what waits; says whether it was something.
    fn flush(&mut self) -> bool {
        let Some(live) = &mut self.live else { return false };
        let private = self.machine.private();
        match &mut self.cursor {
            Some(cursor) => {
                live.pair.send(self.now, End::Client, &mut Outgoing::new(private, cursor, &self.ring)) > 0
            }
            None => live.pair.send(self.now, End::Client, private) > 0,
        }
    }

    /// The origin reads everything that was sent, the farewell last.
    fn part(&mut self, mut live: Live, farewell: &Bytes) {
        let mut rest = live.to_server;
        let later = self.now + Duration::from_secs(3600);
        live.pair.receive(later, End::Server, &mut rest);
        rest.extend_from_slice(farewell);
        self.parting.push((live.host, live.server, rest));
        let now = self.now;
        while let Some((host, mut server, mut bytes)) = self.parting.pop() {
            let origin = self.origins.get_mut(&host).expect("an origin of this world");
            let _ = server.handle_input(now, &mut bytes);
            while let Some(event) = server.poll_event() {
                match event {
                    ServerEvent::Ended(EndReason::Peer) => origin.farewells += 1,
                    ServerEvent::Media(media) => origin.received.push(media),
                    _ => {}
                }
            }
        }
    }

    /// Lets everything that is due happen, without moving the clock; says whether something did.
    fn settle(&mut self) -> bool {
        let mut moved = self.live.as_ref().is_some_and(|live| live.opens.is_none()) && self.flush();
        let Some(live) = &mut self.live else { return false };
        let attempt = live.attempt;
        if let Some((at, result)) = live.opens {
            if self.now < at {
                return false;
            }
            live.opens = None;
            match result {
                Ok(()) => self.machine.handle_input(self.now, attempt, UpstreamInput::Connected).done(),
                Err(failure) => {
                    self.live = None;
                    self.machine
                        .handle_input(self.now, attempt, UpstreamInput::ConnectFailed(failure))
                        .done();
                }
            }
            self.drain();
            return true;
        }
        let origin = self.origins.get_mut(&live.host).expect("an origin of this world");
        moved |= live.pair.receive(self.now, End::Server, &mut live.to_server) == Delivery::Bytes;
        if origin.behaviour != Behaviour::Mute {
            // An error of the origin's own machine is its death.
            let _ = live.server.handle_input(self.now, &mut live.to_server);
            moved |= serve(live, origin, self.now);
        } else {
            live.next_frame = self.now + FRAME;
        }
        moved |= live.pair.send(self.now, End::Server, live.server.outgoing()) > 0;
        match live.pair.receive(self.now, End::Client, &mut live.to_client) {
            Delivery::Bytes => {
                let mut bytes = live.to_client.split();
                while self.machine.handle_input(self.now, attempt, UpstreamInput::Received(&mut bytes))
                    == Progress::Paused
                {
                    self.drain();
                }
                if let Some(live) = self.live.as_mut().filter(|live| live.attempt == attempt) {
                    live.to_client = bytes;
                }
                moved = true;
            }
            Delivery::Closed | Delivery::Reset => {
                self.live = None;
                self.machine.handle_input(self.now, attempt, UpstreamInput::Closed).done();
                moved = true;
            }
            Delivery::Nothing => {}
        }
        self.drain();
        moved
    }

    /// Runs, waking at every delivery and timeout.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        loop {
            while self.settle() {}
            let next = [self.machine.poll_timeout(), self.live.as_ref().and_then(Live::next)];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            if next >= end {
                self.now = end;
                while self.settle() {}
                return;
            }
            self.now = self.now.max(next);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
    }

    pub(crate) fn run_secs(&mut self, seconds: f64) {
        self.run_for(Duration::from_secs_f64(seconds));
    }
}

pub(crate) trait Done {
    fn done(self);
}

impl Done for Progress {
    fn done(self) {
        assert_eq!(self, Self::NeedBytes);
    }
}
