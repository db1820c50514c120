//! The driver: runs a [`JamServer`](crate::JamServer) on real sockets, with an async face.
//!
//! ```text
//!   your async program                      audio thread (its own OS thread, real-time if granted)
//!   ──────────────────                      ───────────────────────────────────────────────────────
//!   JamServer::command ───── orders ──────▶ JamServer machine ◀──▶ UDP sockets (IPv4, IPv6)
//!   JamServer::next_notice ◀─ bounded queue ─┘      ├──▶ worker threads when one core is not enough
//!   JamServer::recorder ───── orders ─▶ recorder ◀──┘    (a thread with files, a second of ticks behind at most)
//! ```
//!
//! The async runtime never touches sound: it serves the control side only, so a slow task cannot make anybody's audio
//! late. It needs timers, and for looking up a directory also I/O: a runtime of your own wants `enable_all`. One driver
//! runs one room; several rooms in a process are several drivers. Who wants to hear along, to stream the jam or to analyse
//! it, gives the builder a [`tap`](Builder::tap).

mod control;
mod priority;
mod recorder;
mod socket;
mod srv;
#[cfg(test)]
mod tests;
mod thread;
mod wait;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use jam_proto::message::ServerFeatures;
use jam_proto::text::LocalTime;
use tokio::net::ToSocketAddrs;
use tokio::sync::mpsc;

pub use control::{Control, MusicianInfo, OrderError};
pub use priority::{Realtime, RealtimeDenied};
pub use recorder::RecorderHandle;
pub use socket::{BindError, Listen};

use crate::codec::{JamCodec, OpusCustom, RawBlocks};
use crate::job::{Executor, Inline};
use crate::pool::Pool;
use crate::recorder::RecorderEvent;
use crate::recorder::thread::RecorderSetup;
use crate::server::{Command, Event, JamConfig, JamServer as Machine, ListingConfig, Stats};
use crate::tap::Frames;
use control::Order;
use socket::Sockets;
use srv::Service;
use thread::AudioThread;
use wait::Waker;

/// Notices that wait for the owner; beyond, they are dropped and counted ([`DriverStats::events_dropped`]).
const NOTICES_MAX: usize = 1024;
/// Commands that wait for the audio thread.
const ORDERS_MAX: usize = 64;

/// Tells the local time of day for chat lines.
pub type LocalClock = Arc<dyn Fn() -> LocalTime + Send + Sync>;

/// Hears the samples of each tick; see [`Builder::tap`].
pub type Tap = Arc<dyn Fn(&Frames<'_>) + Send + Sync>;

/// Why a jam server could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The address could not be looked up.
    #[error("cannot look up the address to listen on: {0}")]
    Lookup(std::io::Error),
    /// The system refused a thread or a descriptor.
    #[error("cannot start the audio thread: {0}")]
    Start(std::io::Error),
    /// The audio thread is gone: it was stopped, or it panicked (a defect of this crate).
    #[error("the audio thread has ended")]
    Ended,
}

/// What the server tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Something happened in the jam.
    Event(Event),
    /// The system does not allow real-time priority; the text says how to grant it. The server runs without.
    RealtimeDenied(RealtimeDenied),
    /// Something happened to the recorder.
    Recorder(RecorderEvent),
}

/// Counters of the driver and of its machine.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DriverStats {
    /// The machine's counters.
    pub jam: Stats,
    /// Datagrams that arrived.
    pub datagrams_received: u64,
    /// Datagrams handed to the system.
    pub datagrams_sent: u64,
    /// Datagrams that the system did not take.
    pub send_errors: u64,
    /// Errors while reading, such as reports about earlier sends.
    pub receive_errors: u64,
    /// Notices that the owner did not fetch in time.
    pub events_dropped: u64,
}

/// What is left of a server that has stopped.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Closing {
    /// The last counters.
    pub stats: DriverStats,
    /// The list as its file should hold it, if the server was a directory.
    pub directory: Option<String>,
    /// Whether the recorder, if there is one, has written everything; otherwise its disk did not answer in time.
    pub is_recording_whole: bool,
}

/// How many threads work on a tick.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Threads {
    /// The audio thread and helpers on the other cores, which are woken only when a tick is long.
    #[default]
    Auto,
    /// So many threads at most, the audio thread included.
    AtMost(NonZeroUsize),
}

/// Settings of the driver; [`JamServer::builder`] starts one.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    config: JamConfig,
    listen: Listen,
    realtime: Realtime,
    traffic_class: u8,
    threads: Threads,
    local_time: LocalClock,
    recorder: Option<RecorderSetup>,
    tap: Option<Tap>,
    seed: u64,
}

impl Builder {
    /// Where to listen. Default: every address, port 22124.
    pub fn listen(self, listen: Listen) -> Self {
        Self { listen, ..self }
    }

    /// How the audio threads are scheduled. Default: real-time priority 50 where granted.
    pub fn realtime(self, realtime: Realtime) -> Self {
        Self { realtime, ..self }
    }

    /// The type-of-service byte of everything sent (spec 10.2). Default 128, DSCP CS4.
    pub fn traffic_class(self, traffic_class: u8) -> Self {
        Self { traffic_class, ..self }
    }

    /// How many threads work on a tick. Default [`Threads::Auto`].
    pub fn threads(self, threads: Threads) -> Self {
        Self { threads, ..self }
    }

    /// Where chat lines get their time of day from. Default: UTC.
    pub fn local_time(self, local_time: LocalClock) -> Self {
        Self { local_time, ..self }
    }

    /// Records what everybody plays; see [`JamServer::recorder`]. Default: no recorder.
    pub fn recorder(self, recorder: RecorderSetup) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Hears what everybody plays, tick by tick while somebody is connected: each musician by itself, and the mix of all
    /// if [`EngineConfig::main_mix`](crate::engine::EngineConfig::main_mix) is on. Default: no tap.
    ///
    /// The tap is called on the audio thread, after the musicians have been sent their mix. It must not wait: copy the
    /// samples into a bounded queue and leave the rest to another thread. A panic in it ends the server.
    ///
    /// ```
    /// use jam_mixer::{JamConfig, tokio::JamServer};
    /// use std::sync::{Arc, mpsc::sync_channel};
    ///
    /// let (sender, mixes) = sync_channel::<Vec<i16>>(375);
    /// let config = JamConfig::builder().engine(|engine| engine.main_mix = true).build()?;
    /// let builder = JamServer::builder(config).tap(Arc::new(move |frames| {
    ///     if let Some(mix) = frames.main_mix() {
    ///         // A listener that does not keep up misses a tick.
    ///         let _ = sender.try_send(mix.to_vec());
    ///     }
    /// }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tap(self, tap: Tap) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// The seed of the unguessable counters. Default: from the operating system.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Opens the sockets and starts the audio thread.
    ///
    /// # Errors
    ///
    /// [`ServeError::Bind`] if a socket cannot be opened, [`ServeError::Start`] without threads.
    pub fn start(self) -> Result<JamServer, ServeError> {
        let sockets = Sockets::open(self.listen, self.traffic_class)?;
        let local_addrs = sockets.local_addrs();
        let mut config = self.config;
        complete(&mut config.listing, &local_addrs);
        let waker = Waker::new().map_err(ServeError::Start)?;
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        let (outbox, notices) = mpsc::channel(NOTICES_MAX);
        let stats = Arc::new(Mutex::new(DriverStats::default()));
        let raw = if config.protocol.has(ServerFeatures::RAW_AUDIO) {
            RawBlocks::Allowed
        } else {
            RawBlocks::Refused
        };
        let codec = JamCodec::new(OpusCustom::default(), raw);
        let executor = executor(self.threads, self.realtime).map_err(ServeError::Start)?;
        let tick_samples = config.engine.tick.samples();
        let recorder = self
            .recorder
            .map(|mut setup| {
                setup.seed = self.seed;
                recorder::start(setup, tick_samples, outbox.downgrade(), waker.clone())
            })
            .transpose()
            .map_err(ServeError::Start)?;
        let (feed, recorder) = recorder.unzip();
        let machine = Machine::new(config, codec, executor, self.seed, thread::clock());
        let audio = AudioThread {
            jam: machine,
            sockets,
            waker: waker.clone(),
            orders: inbox,
            notices: outbox,
            recorder: feed,
            tap: self.tap,
            realtime: self.realtime,
            stats: Arc::clone(&stats),
            local_time: self.local_time,
            time_due: None,
        };
        let thread = std::thread::Builder::new()
            .name("jam-audio".to_owned())
            .spawn(move || audio.run())
            .map_err(ServeError::Start)?;
        Ok(JamServer {
            control: Control { orders, waker, local_addrs: local_addrs.into() },
            recorder,
            notices,
            stats,
            thread: Some(thread),
        })
    }
}

fn executor(threads: Threads, realtime: Realtime) -> std::io::Result<Box<dyn Executor>> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = match threads {
        Threads::Auto => cores,
        Threads::AtMost(n) => n.get(),
    };
    if threads <= 1 {
        return Ok(Box::new(Inline));
    }
    let pool = Pool::with_start(threads - 1, move || {
        wait::sharpen_timers();
        // The audio thread reports a refusal; one report is enough.
        let _ = priority::apply(realtime);
    })?;
    Ok(Box::new(pool))
}

/// Fills in what only the sockets know: the port, and the address in the own network (spec 6.3).
fn complete(listing: &mut ListingConfig, local_addrs: &[SocketAddr]) {
    let ListingConfig::Register { port, internal_address, .. } = listing else { return };
    if *port == 0 {
        *port = local_addrs.first().map_or(0, SocketAddr::port);
    }
    if internal_address.is_none() {
        *internal_address = socket::outward_address();
    }
}

/// A jam server that runs: dropping it stops it.
#[derive(Debug)]
pub struct JamServer {
    control: Control,
    recorder: Option<RecorderHandle>,
    notices: mpsc::Receiver<Notice>,
    stats: Arc<Mutex<DriverStats>>,
    thread: Option<std::thread::JoinHandle<Closing>>,
}

impl JamServer {
    /// Settings other than the defaults.
    pub fn builder(config: JamConfig) -> Builder {
        Builder {
            config,
            listen: Listen::everywhere(jam_proto::DEFAULT_PORT),
            realtime: Realtime::default(),
            traffic_class: 128,
            threads: Threads::default(),
            local_time: Arc::new(utc),
            recorder: None,
            tap: None,
            seed: random_seed(),
        }
    }

    /// Starts a server on `addr` with the default settings. `[::]:PORT` listens on IPv6 and IPv4.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`]; [`ServeError::Lookup`] if `addr` is a name that is not found.
    pub async fn bind(addr: impl ToSocketAddrs, config: JamConfig) -> Result<Self, ServeError> {
        let addr = tokio::net::lookup_host(addr)
            .await
            .and_then(|mut addrs| {
                addrs.next().ok_or_else(|| std::io::Error::other("the name has no address"))
            })
            .map_err(ServeError::Lookup)?;
        Self::builder(config).listen(addr.into()).start()
    }

    /// The addresses it listens on, IPv4 first.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.control.local_addrs
    }

    /// A handle for commands.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// The recorder, if the builder was given one.
    #[must_use]
    pub fn recorder(&self) -> Option<RecorderHandle> {
        self.recorder.clone()
    }

    /// Carries out a command; see [`Control::command`].
    ///
    /// # Errors
    ///
    /// As [`Control::command`].
    pub async fn command(&self, command: Command) -> Result<(), OrderError> {
        self.control.command(command).await
    }

    /// The newest counters.
    #[must_use]
    pub fn stats(&self) -> DriverStats {
        thread::read_stats(&self.stats)
    }

    /// The next thing worth telling; `None` once the audio thread has ended.
    ///
    /// Poll this (or [`run_until`](Self::run_until)): looking up the directory's address happens here, off the audio
    /// thread.
    pub async fn next_notice(&mut self) -> Option<Notice> {
        let notice = self.notices.recv().await?;
        if let Notice::Event(Event::ResolveDirectory { host }) = &notice {
            tokio::spawn(resolve(Arc::clone(host), self.control.clone()));
        }
        Some(notice)
    }

    /// Runs until `stop` is ready, then stops in order: musicians are told if the configuration says so, the
    /// registration is taken back.
    ///
    /// # Errors
    ///
    /// [`ServeError::Ended`] if the audio thread ended by itself.
    pub async fn run_until(mut self, stop: impl Future) -> Result<Closing, ServeError> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = {
                let notice = std::pin::pin!(self.next_notice());
                either(stop.as_mut(), notice).await
            };
            match next {
                Either::Left(_) => return self.stop().await,
                Either::Right(Some(_)) => {}
                Either::Right(None) => return Err(ServeError::Ended),
            }
        }
    }

    /// Stops in order and waits for the audio thread, and for the recorder to close its files: some milliseconds
    /// without giving way to other tasks, 10 s where a disk does not answer. So does dropping the server.
    ///
    /// # Errors
    ///
    /// [`ServeError::Ended`] if the audio thread had ended by itself.
    pub async fn stop(mut self) -> Result<Closing, ServeError> {
        self.control.stop().map_err(|_| ServeError::Ended)?;
        // The queue closes when the thread is done.
        while self.notices.recv().await.is_some() {}
        let thread = self.thread.take().ok_or(ServeError::Ended)?;
        let closing = thread.join().map_err(|_| ServeError::Ended)?;
        let is_recording_whole = self.recorder.as_ref().is_none_or(RecorderHandle::finish);
        Ok(Closing { is_recording_whole, ..closing })
    }
}

impl Drop for JamServer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It may have ended by itself.
            let _ = self.control.stop();
            let _ = thread.join();
        }
        if let Some(recorder) = &self.recorder {
            // Nobody is left to be told that a disk does not answer.
            let _ = recorder.finish();
        }
    }
}

enum Either<L, R> {
    Left(L),
    Right(R),
}

async fn either<L, R>(
    mut left: std::pin::Pin<&mut impl Future<Output = L>>,
    mut right: std::pin::Pin<&mut impl Future<Output = R>>,
) -> Either<L, R> {
    use std::task::Poll;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(value) = left.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(value));
        }
        right.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

/// Looks up a directory and tells the server.
async fn resolve(host: Arc<str>, control: Control) {
    let addr = directory_address(&host).await;
    // A server that has stopped meanwhile has no use for the answer.
    let _ = control.order(Order::Resolved(host, addr));
}

/// The address of a directory: IPv4 only, because its messages carry nothing else (spec 6). A name without a port may
/// have a record that says where the directory is (spec 10.3).
async fn directory_address(host: &str) -> Option<SocketAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let place = if has_port {
        host.to_owned()
    } else {
        match srv::look_up(host).await {
            Service::At { host, port } => format!("{host}:{port}"),
            Service::Unknown => format!("{host}:{}", jam_proto::DEFAULT_PORT),
            Service::Unavailable => return None,
        }
    };
    tokio::net::lookup_host(place).await.ok()?.find(SocketAddr::is_ipv4)
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn utc() -> LocalTime {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LocalTime::from_second_of_day(seconds % 86_400)
}

/// The standard library's hash seeds come from the operating system's generator.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
