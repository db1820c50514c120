//! One run: publish, join, settle, measure.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rtmp_core::ConnectionConfig;

use crate::args::Args;
use crate::clock::{Nanos, instant, wait};
use crate::process::{Server, Usage};
use crate::publisher::{PublishShared, Published, publish};
use crate::tally::Tally;
use crate::target::Place;
use crate::usage::of_tree;
use crate::viewer::{Common, Manner};
use crate::worker::{Seat, Shared, Worker};

/// How long a spawned server may take to listen, and to accept the publishers.
const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);

/// What a run found out.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// Bytes all viewers received while measuring.
    pub(crate) bytes: u64,
    pub(crate) tally: Tally,
    pub(crate) published: Option<Published>,
    /// Seats whose first viewer had neither started nor given up when the measurement began.
    pub(crate) unsettled: u64,
    pub(crate) server: Option<ServerUsage>,
    pub(crate) own_cpu_micros: u64,
    pub(crate) server_exit: Option<String>,
}

/// The server before the viewers came, and at the beginning and the end of the measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerUsage {
    pub(crate) before: Usage,
    pub(crate) start: Usage,
    pub(crate) end: Usage,
}

pub(crate) fn run(args: &Args) -> Result<Measured, String> {
    if args.publish.is_none() && args.play.is_empty() {
        return Err("nothing to do: --publish or --play is needed".to_owned());
    }
    raise_open_files();
    let publish_place = args.publish.as_deref().map(Place::parse).transpose()?;
    let play_places = args.play.iter().map(|url| Place::parse(url)).collect::<Result<Vec<_>, _>>()?;
    let mut server =
        args.spawn.as_deref().map(Server::spawn).transpose().map_err(|e| format!("--spawn: {e}"))?;
    let pid = args.server_pid.or_else(|| server.as_ref().map(Server::pid));
    for place in publish_place.iter().chain(&play_places) {
        wait_for_listener(place.address, server.as_mut())?;
    }

    let publishing = publish_place.map(|place| Publishing::start(args, &place));
    if let Some(publishing) = &publishing {
        publishing.wait_accepted(u64::from(args.streams))?;
        wait(args.warm);
    }
    let usage = || pid.map(of_tree).transpose().map_err(|error| format!("server process: {error}"));
    let before = usage()?;
    let viewing = Viewing::start(args, &play_places).map_err(|error| format!("viewers: {error}"))?;
    let unsettled = viewing.wait_settled(args);
    wait(args.settle);

    let (start, own_start) = (usage()?, own_cpu_micros());
    let (bytes, begun) = (viewing.shared.bytes.load(Ordering::Relaxed), instant());
    viewing.shared.measuring.store(true, Ordering::Relaxed);
    wait(args.seconds);
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = viewing.shared.bytes.load(Ordering::Relaxed) - bytes;
    let (end, own_end) = (usage()?, own_cpu_micros());

    let tally = viewing.stop()?;
    let published = publishing.map(Publishing::stop).transpose()?;
    let server_exit = server.as_mut().and_then(Server::ended);
    let usage = before.zip(start).zip(end);
    Ok(Measured {
        seconds,
        bytes,
        tally,
        published,
        unsettled,
        server: usage.map(|((before, start), end)| ServerUsage { before, start, end }),
        own_cpu_micros: own_end.saturating_sub(own_start),
        server_exit,
    })
}

/// The thread of the publishers.
#[derive(Debug)]
pub(crate) struct Publishing {
    shared: Arc<PublishShared>,
    thread: thread::JoinHandle<io::Result<Published>>,
}

impl Publishing {
    pub(crate) fn start(args: &Args, place: &Place) -> Self {
        let shared = Arc::new(PublishShared::default());
        let places: Vec<_> = (0..args.streams).map(|n| place.numbered(n, args.streams)).collect();
        let (settings, theirs) = (args.source(), Arc::clone(&shared));
        let config = Arc::new(ConnectionConfig::default());
        let thread = thread::spawn(move || publish(&places, settings, &config, &theirs));
        Self { shared, thread }
    }

    pub(crate) fn wait_accepted(&self, streams: u64) -> Result<(), String> {
        let deadline = instant() + PATIENCE;
        while self.shared.accepted.load(Ordering::Relaxed) < streams && !self.thread.is_finished() {
            if instant() > deadline {
                let accepted = self.shared.accepted.load(Ordering::Relaxed);
                return Err(format!("only {accepted} of {streams} publishers were accepted"));
            }
            wait(STEP);
        }
        Ok(())
    }

    /// How often a publisher was refused or lost its connection.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) -> Result<Published, String> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let result = self.thread.join().map_err(|_| "the publishers' thread broke".to_owned())?;
        result.map_err(|error| format!("publishers: {error}"))
    }
}

/// The threads of the viewers.
#[derive(Debug)]
pub(crate) struct Viewing {
    pub(crate) shared: Arc<Shared>,
    begun: Instant,
    seats: u64,
    threads: Vec<thread::JoinHandle<io::Result<Tally>>>,
}

impl Viewing {
    pub(crate) fn start(args: &Args, places: &[Place]) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let begun = instant();
        // The other half is the server's.
        let processors = thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        let threads = args.threads.map_or(processors, usize::from);
        let mut seats: Vec<Vec<Seat>> = vec![Vec::new(); threads];
        for n in 0..args.viewers {
            let Some(place) = places.get(n as usize % places.len().max(1)) else { break };
            let number = (n as usize / places.len()) % usize::from(args.streams);
            let place = place.numbered(number as u16, args.streams);
            let source = args.sources.of(n, place.address);
            let seat = Seat { place, source, manner: manner(args, n), due: begun + args.join.due(n) };
            seats[n as usize % threads].push(seat);
        }
        let common = Common {
            config: Arc::new(config(args)),
            check_every: args.check,
            buffer: Nanos(args.buffer.as_nanos() as i64),
            has_video: args.fps > 0,
        };
        let mut workers = Vec::new();
        for (n, seats) in seats.into_iter().enumerate() {
            let (churn, seed) = (args.churn / threads as f64, args.seed.wrapping_add(n as u64));
            workers.push(Worker::new(common.clone(), Arc::clone(&shared), seats, churn, seed)?);
        }
        let threads = workers.into_iter().map(|worker| thread::spawn(move || worker.run())).collect();
        let seats = if places.is_empty() { 0 } else { u64::from(args.viewers) };
        Ok(Self { shared, begun, seats, threads })
    }

    /// Waits until every first viewer has started or given up; how many have not when patience ends.
    pub(crate) fn wait_settled(&self, args: &Args) -> u64 {
        let deadline = self.begun + args.join.due(args.viewers) + args.join_patience;
        loop {
            let unsettled = self.seats.saturating_sub(self.shared.settled.load(Ordering::Relaxed));
            if unsettled == 0 || instant() > deadline {
                return unsettled;
            }
            wait(STEP);
        }
    }

    pub(crate) fn stop(self) -> Result<Tally, String> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for thread in self.threads {
            let result = thread.join().map_err(|_| "a thread of viewers broke".to_owned())?;
            tally.merge(result.map_err(|error| format!("viewers: {error}"))?);
        }
        Ok(tally)
    }
}

/// The last viewers are those that stop, and before them those that are slow.
fn manner(args: &Args, n: u32) -> Manner {
    let from_end = args.viewers - 1 - n;
    let (stops, time) = args.stop_readers.unwrap_or_default();
    let (slow, rate) = args.slow_readers.unwrap_or_default();
    match from_end {
        n if n < stops => Manner::Stops(time),
        n if n < stops.saturating_add(slow) => Manner::Slow((rate / 8) as u32),
        _ => Manner::Prompt,
    }
}

/// Viewers wait for ever: a server that sends nothing is seen in the numbers.
fn config(args: &Args) -> ConnectionConfig {
    let mut config = ConnectionConfig::default();
    config.timeouts.media = None;
    config.timeouts.first_media = None;
    config.timeouts.handshake = args.join_patience;
    config.timeouts.connect = args.join_patience;
    config.timeouts.request = args.join_patience;
    config.flash_version = "LNX 9,0,124,2".to_owned();
    config
}

pub(crate) fn wait_for_listener(address: SocketAddr, mut server: Option<&mut Server>) -> Result<(), String> {
    let deadline = instant() + PATIENCE;
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
            Ok(_) => return Ok(()),
            Err(error) if server.is_none() || instant() > deadline => {
                return Err(format!("{address}: {error}"));
            }
            Err(_) => {}
        }
        if let Some(status) = server.as_mut().and_then(|server| server.ended()) {
            return Err(format!("the server ended: {status}"));
        }
        wait(STEP);
    }
}

fn own_cpu_micros() -> u64 {
    Usage::of(std::process::id()).map_or(0, |usage| usage.cpu_micros)
}

/// Each viewer is an open file.
pub(crate) fn raise_open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without permission the limit stays, and the viewers beyond it are reported as lost.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
