//! One viewer: a connection, its judge, and its manners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp_core::{ClientEvent, ConnectionConfig, MediaKind, Purpose, Target};

use crate::clock::Nanos;
use crate::conn::{Connection, End, Route, Scratch};
use crate::judge::Judge;
use crate::tally::{EXAMPLES_MAX, Tally};
use crate::worker::Seat;

/// Receive buffer of a viewer that does not keep up: the server feels it at once.
const SMALL_BUFFER: usize = 64 << 10;

/// How a viewer reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// At once, whatever comes.
    Prompt,
    /// Not at all for this long, once, in the middle of the measurement.
    Stops(Duration),
    /// At most so many bytes per second.
    Slow(u32),
}

/// What viewers have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) config: Arc<ConnectionConfig>,
    pub(crate) check_every: u64,
    pub(crate) buffer: Nanos,
    /// Streams have pictures; without, the first sound starts a viewer.
    pub(crate) has_video: bool,
}

/// A viewer from its first SYN to its last byte.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) conn: Connection,
    judge: Judge,
    manner: Manner,
    begun: Nanos,
    late: Duration,
    started: Option<Nanos>,
    /// Reads nothing until then.
    silent_until: Option<Instant>,
    woken: bool,
    /// Bytes a slow viewer may read now.
    allowance: u32,
    /// Why the server does not want it.
    refusal: Option<String>,
    over: bool,
}

impl Viewer {
    /// A viewer that comes `late` after it was due.
    pub(crate) fn begin(
        common: &Common,
        seat: &Seat,
        seed: u64,
        now: Instant,
        late: Duration,
    ) -> std::io::Result<Self> {
        let (place, manner) = (&seat.place, seat.manner);
        let target = Target::new(&place.tc_url, &place.app, &place.stream, Purpose::Play);
        let receive_buffer = (manner != Manner::Prompt).then_some(SMALL_BUFFER);
        let route = Route { server: place.address, source: seat.source, receive_buffer };
        Ok(Self {
            conn: Connection::open(&route, target, &common.config, seed, now)?,
            judge: Judge::new(place.number, common.check_every, seed, common.buffer),
            manner,
            begun: Nanos::now(),
            late,
            started: None,
            silent_until: None,
            woken: false,
            allowance: 0,
            refusal: None,
            over: false,
        })
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// Stops reading, if that is its manner.
    pub(crate) fn fall_silent(&mut self, now: Instant) {
        if let Manner::Stops(time) = self.manner {
            self.silent_until = Some(now + time);
        }
    }

    /// Whether a silent viewer's time is over.
    pub(crate) fn wakes(&mut self, now: Instant) -> bool {
        let wakes = self.silent_until.is_some_and(|until| until <= now);
        if wakes {
            self.silent_until = None;
            self.woken = true;
        }
        wakes
    }

    /// Lets a slow viewer read what it may in `time`.
    pub(crate) fn allow(&mut self, time: Duration) -> bool {
        let Manner::Slow(rate) = self.manner else { return false };
        self.allowance = (f64::from(rate) * time.as_secs_f64()) as u32;
        true
    }

    /// Reads what has come. `measuring` says whether latencies count now.
    pub(crate) fn read(
        &mut self,
        common: &Common,
        scratch: &mut Scratch,
        tally: &mut Tally,
        measuring: bool,
        now: Instant,
    ) -> Result<(), End> {
        let budget = match self.manner {
            _ if self.silent_until.is_some() => return Ok(()),
            Manner::Slow(_) => std::mem::take(&mut self.allowance) as usize,
            Manner::Prompt | Manner::Stops(_) => usize::MAX,
        };
        let Self { conn, judge, manner, begun, late, started, refusal, over, .. } = self;
        let before = conn.bytes;
        let result = conn.read(scratch, now, budget, |event| match event {
            ClientEvent::Media(media) => {
                let wall = Nanos::now();
                let Some(seen) = judge.take(&media, wall) else { return };
                if seen.starts || !common.has_video && started.is_none() {
                    *started = Some(wall);
                    tally.started += 1;
                    tally.startup.add(wall.since(*begun));
                    tally.since_due.add(wall.since(*begun) + late.as_nanos() as i64);
                    if let Some(stamp) = seen.stamp {
                        tally.delay.add(wall.since(stamp.sent));
                    }
                }
                let Some(stamp) = seen.stamp.filter(|_| measuring && *manner == Manner::Prompt) else {
                    return;
                };
                // What was sent before the viewer started comes out of the server's cache.
                if started.is_some_and(|started| stamp.sent >= started) {
                    tally.latency.add(wall.since(stamp.sent));
                    if media.kind == MediaKind::Video {
                        tally.video_latency.add(wall.since(stamp.sent));
                    }
                }
            }
            ClientEvent::Refused(status) => *refusal = Some(status.code.to_string()),
            ClientEvent::Redirected { url, .. } => *refusal = Some(format!("redirected to {url}")),
            ClientEvent::Ended(_) => tally.ended += 1,
            ClientEvent::Closed => *over = true,
            _ => {}
        });
        tally.bytes += self.conn.bytes - before;
        result?;
        if self.over { Err(End::Closed) } else { Ok(()) }
    }

    /// The viewer is gone; `end` says why, unless it left by itself.
    pub(crate) fn finish(self, end: Option<&End>, tally: &mut Tally) {
        tally.faults.add(&self.judge.faults);
        let room = tally.examples.len() < EXAMPLES_MAX;
        tally.examples.extend(self.judge.example.filter(|_| room));
        let slow = self.manner != Manner::Prompt;
        if slow {
            tally.slow.viewers += 1;
            tally.slow.resumed += u64::from(self.woken && end.is_none());
            tally.slow.resyncs += self.judge.given.resyncs;
            tally.slow.skipped += self.judge.given.skipped;
        } else {
            tally.given.add(&self.judge.given);
        }
        match (end, self.refusal) {
            (_, Some(status)) => *tally.refused.entry(status).or_default() += 1,
            (Some(_), None) if slow => tally.slow.disconnected += 1,
            (Some(end), None) => *tally.lost.entry(end.to_string()).or_default() += 1,
            (None, None) => {}
        }
    }
}
