//! The run: everybody joins, settles, is measured, and leaves.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

use jam_proto::AudioProps;
use jam_proto::client::ClientConfig;
use jam_proto::message::{ChannelInfo, City, Connectionless, Name};
use jam_proto::rng::Rng;
use jam_proto::wire::FrameWriter;

use crate::args::{Args, FadersArg, PhaseArg, SourcesArg};
use crate::clock::Nanos;
use crate::floor::Floor;
use crate::histogram::Histogram;
use crate::impair::Network;
use crate::musician::Musician;
use crate::priority;
use crate::probe::{Recording, sweep_datagram};
use crate::process::{Server, Usage};
use crate::reference::{Reference, Yardstick};
use crate::signal::Loop;
use crate::socket::Sockets;
use crate::stream::StreamStats;

/// The shortest piece of the schedule.
const SLOT_NANOS: i64 = 333_333;
/// How long a spawned server may take to answer its first ping.
const START_MAX: Duration = Duration::from_secs(15);
/// Blocks between two sweeps of the probe: 256 ms at 128 samples.
const SWEEP_SAMPLES: usize = 96 * 128;
/// The listener keeps this many datagrams, more than one loop of tones.
const LISTENER_DATAGRAMS: usize = 400;
/// The probe keeps at most this many: ten minutes of the shortest datagrams, 115 MB of the largest.
const PROBE_DATAGRAMS: usize = 450_000;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) props: AudioProps,
    pub(crate) musicians: usize,
    pub(crate) joined: usize,
    pub(crate) refused: usize,
    /// Length of the measured time.
    pub(crate) seconds: f64,
    pub(crate) streams: StreamStats,
    pub(crate) sent: u64,
    pub(crate) dropped: u64,
    pub(crate) turnaround: Histogram,
    pub(crate) sweeps: usize,
    pub(crate) ping: Histogram,
    /// Tones heard by a listener, of those that play; `None` if faders differ or nobody listens.
    pub(crate) heard: Option<(usize, usize)>,
    /// How late this program's own sends were.
    pub(crate) own_delay: Histogram,
    pub(crate) usage: Option<(Usage, Usage)>,
    /// Processor time of this program during the measurement, microseconds.
    pub(crate) own_cpu_micros: u64,
    pub(crate) reference: Option<Reference>,
    /// Microseconds per musician and block.
    pub(crate) floor: Option<f64>,
    pub(crate) server_exit: Option<String>,
    /// The spawned server ended before it was asked to.
    pub(crate) has_server_ended: bool,
}

/// Does what the arguments ask.
pub(crate) fn run(args: &Args) -> io::Result<Measured> {
    let address = resolve(args)?;
    let props = args.props();
    let mut server = args.spawn.as_deref().map(Server::spawn).transpose()?;
    wait_for_answer(address, server.as_mut())?;
    let pid = server.as_ref().map(Server::pid).or(args.server_pid);
    let band = Band::new(args, props, address)?;
    // After the server was started, which must not inherit it.
    if args.realtime
        && let Err(reason) = priority::raise()
    {
        eprintln!("jam-load: no real-time priority ({reason}); measuring without");
    }
    let mut measured = band.play(args, pid)?;
    measured.has_server_ended = server.as_mut().is_some_and(|s| s.ended().is_some());
    measured.server_exit = server.as_mut().map(|s| s.stop().unwrap_or_else(|| "killed".to_owned()));
    Ok(measured)
}

/// The address that the server's name stands for.
pub(crate) fn resolve(args: &Args) -> io::Result<SocketAddr> {
    args.server.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))
}

/// Pings until the server answers.
pub(crate) fn wait_for_answer(address: SocketAddr, mut server: Option<&mut Server>) -> io::Result<()> {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let ping = Connectionless::Ping { time_ms: 1 }.frame(&mut FrameWriter::new());
    let patience = Duration::from_secs(if server.is_some() { START_MAX.as_secs() } else { 3 });
    let start = now();
    while start.elapsed() < patience {
        if let Some(status) = server.as_mut().and_then(|s| s.ended()) {
            return Err(io::Error::other(format!("the server ended at once ({status})")));
        }
        // While nothing listens there yet, sends and receives are refused at once.
        let answered = socket.send(&ping).is_ok() && socket.recv(&mut [0; 64]).is_ok();
        if answered {
            return Ok(());
        }
        Nanos::now().plus(Duration::from_millis(50)).sleep_until();
    }
    Err(io::Error::other(format!("nothing answers at {address}")))
}

#[expect(clippy::disallowed_methods, reason = "this program owns its clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// All musicians and the schedule they play to.
pub(crate) struct Band {
    props: AudioProps,
    address: SocketAddr,
    own_addresses: bool,
    musicians: Vec<Musician>,
    /// Musicians that have begun to play, in order.
    started: usize,
    sockets: Sockets,
    network: Network,
    period_nanos: i64,
    slots: i64,
    phase: PhaseArg,
    begin: Nanos,
    /// Slots done since the beginning.
    slot: i64,
    sent: u64,
    sweeps: Vec<Nanos>,
    own_delay: Histogram,
    tone_peak: f64,
}

impl Band {
    pub(crate) fn new(args: &Args, props: AudioProps, address: SocketAddr) -> io::Result<Self> {
        let number = usize::from(args.number);
        // Loud enough to be music, quiet enough that all together do not clip.
        let tone_peak = 0.3 / (number as f64).sqrt();
        let mut musicians = Vec::new();
        for n in 0..number {
            let music = if n == 0 {
                Loop::sweep(&props, SWEEP_SAMPLES / props.codec.samples())
            } else {
                Loop::tone(&props, n, tone_peak)
            };
            let recording = match n {
                0 => Some(Recording::new(PROBE_DATAGRAMS)),
                1 => Some(Recording::new(LISTENER_DATAGRAMS)),
                _ => None,
            };
            let music = music.map_err(io::Error::other)?;
            let mut config = ClientConfig::new(props);
            config.jitter_size = args.jitbuf;
            config.info = ChannelInfo {
                name: Name::cut(&format!("load {n}")),
                city: City::cut("jam-load"),
                ..ChannelInfo::default()
            };
            musicians.push(Musician::new(props, config, address, music, recording, now()));
        }
        let samples = (props.codec.samples() * props.factor.blocks()) as i64;
        let period_nanos = samples * 1_000_000_000 / 48_000;
        Ok(Self {
            props,
            address,
            own_addresses: args.sources == SourcesArg::Spread,
            musicians,
            started: 0,
            sockets: Sockets::new(),
            network: Network::new(args.impairment(), args.seed),
            period_nanos,
            slots: (period_nanos / SLOT_NANOS).max(1),
            phase: args.phase,
            begin: Nanos::now(),
            slot: 0,
            sent: 0,
            sweeps: Vec::new(),
            own_delay: Histogram::default(),
            tone_peak,
        })
    }

    /// Everybody joins and sets the faders. Returns how many are ready to be measured.
    pub(crate) fn join(&mut self, args: &Args) -> io::Result<usize> {
        let number = self.musicians.len();
        let joining = Duration::from_secs_f64(number as f64 / args.join_rate);
        let joined_by = self.begin.plus(joining + Duration::from_secs_f64(args.join_patience));
        while Nanos::now() < joined_by && !self.everybody_ready() {
            let due = (Nanos::now().since(self.begin) as f64 / 1e9 * args.join_rate) as usize + 1;
            while self.started < due.min(number) {
                self.sockets.open(self.address, self.own_addresses)?;
                self.started += 1;
            }
            self.step()?;
        }
        let joined = self.musicians.iter().filter(|m| m.is_ready()).count();
        self.set_faders(args)?;
        self.play_for(args.settle)?;
        Ok(joined)
    }

    pub(crate) fn restart_counting(&mut self) {
        let now = Nanos::now();
        for musician in &mut self.musicians {
            musician.restart_counting(now);
        }
        self.sweeps.clear();
        self.own_delay = Histogram::default();
    }

    /// What was counted since then, by each musician.
    pub(crate) fn counted(&mut self) -> impl Iterator<Item = (StreamStats, &Musician)> {
        let now = Nanos::now();
        self.musicians.iter_mut().map(move |musician| (musician.finish(now), &*musician))
    }

    fn play(mut self, args: &Args, pid: Option<u32>) -> io::Result<Measured> {
        let joined = self.join(args)?;
        let number = self.musicians.len();
        self.restart_counting();
        let (sent, dropped) = (self.sent, self.network.dropped);
        let yardstick =
            args.reference.then(|| Yardstick::start(self.props, number, args.realtime)).transpose()?;
        let floor = args.floor.then(|| Floor::start(self.props, number, args.realtime)).transpose()?;
        let usage = pid.map(Usage::of).transpose()?;
        let own = Usage::of(std::process::id())?;
        let start = Nanos::now();
        self.play_for(args.seconds)?;
        let seconds = Nanos::now().since(start) as f64 / 1e9;
        let usage = usage.zip(pid.map(Usage::of).transpose()?);
        let own_cpu_micros = Usage::of(std::process::id())?.cpu_micros - own.cpu_micros;
        let (sent, dropped) = (self.sent - sent, self.network.dropped - dropped);
        let reference = yardstick.map(Yardstick::finish).transpose()?;
        let floor = floor.map(Floor::finish).transpose()?;
        let mut streams = StreamStats::default();
        let mut ping = Histogram::default();
        for (stats, musician) in self.counted() {
            streams.merge(&stats);
            ping.merge(&musician.ping_times);
        }
        self.leave()?;
        Ok(Measured {
            props: self.props,
            musicians: number,
            joined,
            refused: self.musicians.iter().filter(|m| m.is_refused()).count(),
            seconds,
            streams,
            sent,
            dropped,
            turnaround: self.turnaround(args)?,
            sweeps: self.sweeps.len(),
            ping,
            heard: self.heard(args)?,
            own_delay: self.own_delay,
            usage,
            own_cpu_micros,
            reference,
            floor,
            server_exit: None,
            has_server_ended: false,
        })
    }

    fn everybody_ready(&self) -> bool {
        self.started == self.musicians.len() && self.musicians.iter().all(Musician::is_ready)
    }

    /// Plans all faders and plays on until they are set, ten seconds at most.
    fn set_faders(&mut self, args: &Args) -> io::Result<()> {
        let mut random = Rng::new(args.seed);
        for (n, musician) in self.musicians.iter_mut().enumerate() {
            musician.plan_faders(n == 0, args.faders, &mut random);
        }
        let until = Nanos::now().plus(Duration::from_secs(10));
        while Nanos::now() < until {
            self.step()?;
            // Not `all`: every musician moves one fader per round.
            let done =
                self.musicians.iter_mut().map(|m| m.move_faders(now())).fold(true, |all, one| all & one);
            if done {
                break;
            }
        }
        Ok(())
    }

    fn play_for(&mut self, seconds: f64) -> io::Result<()> {
        let end = Nanos::now().plus(Duration::from_secs_f64(seconds));
        self.play_while(|| Nanos::now() < end)
    }

    pub(crate) fn play_while(&mut self, mut more: impl FnMut() -> bool) -> io::Result<()> {
        let mut ping_at = Nanos::now();
        while more() {
            if Nanos::now() >= ping_at {
                // Twice a second, as clients do.
                ping_at = ping_at.plus(Duration::from_millis(500));
                let at = Nanos::now();
                let ping = self.musicians.first_mut().map(|probe| probe.ping(at));
                if let Some(ping) = ping.filter(|ping| self.network.passes(at, 0, ping)) {
                    self.sockets.send(0, &ping)?;
                }
            }
            self.step()?;
        }
        Ok(())
    }

    /// One slot: its musicians read what arrived for them, and send audio and protocol messages.
    fn step(&mut self) -> io::Result<()> {
        let due = Nanos(
            self.begin.0
                + self.slot / self.slots * self.period_nanos
                + self.slot % self.slots * self.period_nanos / self.slots,
        );
        due.sleep_until();
        self.own_delay.add(Nanos::now().since(due));
        let slot = self.slot % self.slots;
        self.slot += 1;
        for n in 0..self.started {
            let own_slot = match self.phase {
                PhaseArg::Spread => n as i64 % self.slots,
                PhaseArg::Aligned => 0,
            };
            if own_slot == slot {
                self.read(n)?;
                self.send_audio(n)?;
                self.send_messages(n)?;
            }
        }
        while let Some((musician, payload)) = self.network.due(Nanos::now()) {
            self.sockets.send(musician, &payload)?;
        }
        Ok(())
    }

    fn read(&mut self, n: usize) -> io::Result<()> {
        let (musician, now) = (&mut self.musicians[n], now());
        self.sockets.drain(n, |arrival, payload| musician.on_datagram(now, arrival, payload))
    }

    fn send_audio(&mut self, n: usize) -> io::Result<()> {
        let (number, datagram) = self.musicians[n].next_audio();
        let at = Nanos::now();
        if n == 0 && number == sweep_datagram(&self.props) {
            self.sweeps.push(at);
        }
        let Some(datagram) = datagram else { return Ok(()) };
        self.sent += 1;
        if self.network.passes(at, n, datagram) {
            self.sockets.send(n, datagram)?;
        }
        Ok(())
    }

    fn send_messages(&mut self, n: usize) -> io::Result<()> {
        while let Some(datagram) = self.musicians[n].poll_transmit(now()) {
            if self.network.passes(Nanos::now(), n, &datagram) {
                self.sockets.send(n, &datagram)?;
            }
        }
        Ok(())
    }

    /// Everybody says goodbye, and once more a little later, as clients do.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        for musician in &mut self.musicians {
            musician.leave(now());
        }
        let until = Nanos::now().plus(Duration::from_millis(200));
        while Nanos::now() < until {
            self.step()?;
        }
        Ok(())
    }

    fn turnaround(&self, args: &Args) -> io::Result<Histogram> {
        let recording = self.musicians.first().and_then(|probe| probe.recording.as_ref());
        // Among the tones of all others a sweep cannot be told.
        match recording.filter(|_| args.faders != FadersArg::Untouched) {
            Some(recording) => recording.turnaround(&self.props, &self.sweeps).map_err(io::Error::other),
            None => Ok(Histogram::default()),
        }
    }

    fn heard(&self, args: &Args) -> io::Result<Option<(usize, usize)>> {
        let recording = self.musicians.get(1).and_then(|listener| listener.recording.as_ref());
        let Some(recording) = recording.filter(|_| args.faders != FadersArg::Different) else {
            return Ok(None);
        };
        let samples = Loop::tone_samples(&self.props);
        let tones: Vec<usize> =
            (1..self.musicians.len()).map(|n| Loop::tone_periods(&self.props, n)).collect();
        let heard =
            recording.tones_heard(&self.props, &tones, samples, self.tone_peak).map_err(io::Error::other)?;
        Ok(Some((heard, tones.len())))
    }
}
