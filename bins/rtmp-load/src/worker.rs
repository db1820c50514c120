//! The viewers of one thread.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::clock::instant;
use crate::conn::{End, Scratch};
use crate::tally::Tally;
use crate::target::Place;
use crate::viewer::{Common, Manner, Viewer};

/// Joins between two looks at what has arrived.
const JOINS_MAX: usize = 4;
/// Time for viewers that have begun between two looks at those who have not.
const LATER: Duration = Duration::from_micros(200);
/// Longest sleep: joins, churn, slow readers and deadlines are looked at so often.
const TICK: Duration = Duration::from_millis(10);
/// How often the machines' deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(250);

/// What the threads and the conductor tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Latencies count, viewers leave and stop.
    pub(crate) measuring: AtomicBool,
    pub(crate) stopping: AtomicBool,
    /// Bytes received so far.
    pub(crate) bytes: AtomicU64,
    /// Viewers that have started or given up, first ones only.
    pub(crate) settled: AtomicU64,
}

/// A viewer to be.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) place: Place,
    /// The address it comes from.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) manner: Manner,
    /// When it joins.
    pub(crate) due: Instant,
}

/// One thread's viewers.
#[derive(Debug)]
pub(crate) struct Worker {
    common: Common,
    shared: Arc<Shared>,
    seats: Vec<Seat>,
    /// One for each seat.
    viewers: Vec<Option<Box<Viewer>>>,
    settled: Vec<bool>,
    /// Viewers that have begun and have something to read.
    later: VecDeque<usize>,
    is_later: Vec<bool>,
    /// Seats that were taken, in order.
    joined: usize,
    /// Seats of viewers that keep up.
    prompt: usize,
    /// Viewers replaced per second.
    churn: f64,
    churn_due: f64,
    silenced: bool,
    random: u64,
    poll: Poll,
    scratch: Scratch,
    tally: Tally,
    reported: u64,
}

impl Worker {
    pub(crate) fn new(
        common: Common,
        shared: Arc<Shared>,
        seats: Vec<Seat>,
        churn: f64,
        seed: u64,
    ) -> io::Result<Self> {
        let prompt = seats.iter().filter(|seat| seat.manner == Manner::Prompt).count();
        Ok(Self {
            common,
            shared,
            viewers: seats.iter().map(|_| None).collect(),
            settled: vec![false; seats.len()],
            later: VecDeque::new(),
            is_later: vec![false; seats.len()],
            seats,
            joined: 0,
            prompt,
            churn,
            churn_due: 0.0,
            silenced: false,
            random: seed.wrapping_mul(2).wrapping_add(1),
            poll: Poll::new()?,
            scratch: Scratch::default(),
            tally: Tally::default(),
            reported: 0,
        })
    }

    /// Runs until the conductor says stop.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1024);
        let mut ticked = instant();
        let mut deadlines = ticked;
        while !self.shared.stopping.load(Ordering::Relaxed) {
            // Who joins does not keep those waiting who have joined.
            let is_busy = self.has_more_joins() || !self.later.is_empty();
            let wait = if is_busy { Duration::ZERO } else { TICK };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let mut has_newcomers = false;
            for event in &events {
                let index = event.token().0;
                if self.has_started(index) {
                    // Once, however often something comes until then.
                    if !std::mem::replace(&mut self.is_later[index], true) {
                        self.later.push_back(index);
                    }
                } else {
                    has_newcomers = true;
                    self.read(index, instant());
                }
            }
            let now = instant();
            // First those who are on their way, then those who come, then those who have arrived.
            if !has_newcomers && !self.join_due(now) {
                self.read_later();
            }
            if now >= ticked + TICK {
                self.tick(now, now - ticked);
                ticked = now;
            }
            if now >= deadlines + DEADLINES {
                deadlines = now;
                self.check_deadlines(now);
            }
            let bytes = self.tally.bytes;
            self.shared
                .bytes
                .fetch_add(bytes - std::mem::replace(&mut self.reported, bytes), Ordering::Relaxed);
        }
        for index in 0..self.viewers.len() {
            self.leave(index, None);
        }
        Ok(self.tally)
    }

    fn has_started(&self, index: usize) -> bool {
        matches!(self.viewers.get(index), Some(Some(viewer)) if viewer.has_started())
    }

    /// Reads what has come for viewers that have begun. Each of them would be a computer of its own: what it reads does
    /// not keep others waiting for their first picture.
    fn read_later(&mut self) {
        let until = instant() + LATER;
        while let Some(index) = self.later.pop_front() {
            self.is_later[index] = false;
            let now = instant();
            self.read(index, now);
            if now >= until {
                break;
            }
        }
    }

    fn has_more_joins(&self) -> bool {
        self.seats.get(self.joined).is_some_and(|seat| seat.due <= instant())
    }

    fn join_due(&mut self, now: Instant) -> bool {
        let before = self.joined;
        for _ in 0..JOINS_MAX {
            if self.seats.get(self.joined).is_none_or(|seat| seat.due > now) {
                break;
            }
            let late = now.saturating_duration_since(self.seats[self.joined].due);
            self.join(self.joined, instant(), late);
            self.joined += 1;
        }
        self.joined > before
    }

    fn tick(&mut self, now: Instant, passed: Duration) {
        let measuring = self.shared.measuring.load(Ordering::Relaxed);
        if measuring {
            self.churn_due += self.churn * passed.as_secs_f64();
            while self.churn_due >= 1.0 {
                self.churn_due -= 1.0;
                self.replace_one(now);
            }
            if !std::mem::replace(&mut self.silenced, true) {
                self.viewers.iter_mut().flatten().for_each(|viewer| viewer.fall_silent(now));
            }
        }
        for index in 0..self.seats.len() {
            if self.seats[index].manner == Manner::Prompt {
                continue;
            }
            let Some(viewer) = &mut self.viewers[index] else { continue };
            if viewer.allow(passed) || viewer.wakes(now) {
                self.read(index, now);
            }
        }
    }

    fn join(&mut self, index: usize, now: Instant, late: Duration) {
        self.tally.begun += 1;
        let seed = self.draw();
        let seat = &self.seats[index];
        let viewer = Viewer::begin(&self.common, seat, seed, now, late);
        let registered = viewer.and_then(|mut viewer| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut viewer.conn.stream, Token(index), interest)?;
            Ok(viewer)
        });
        match registered {
            Ok(viewer) => self.viewers[index] = Some(Box::new(viewer)),
            Err(error) => {
                *self.tally.lost.entry(error.to_string()).or_default() += 1;
                self.settle(index);
            }
        }
    }

    fn read(&mut self, index: usize, now: Instant) {
        let Some(Some(viewer)) = self.viewers.get_mut(index) else { return };
        let measuring = self.shared.measuring.load(Ordering::Relaxed);
        let result = viewer.read(&self.common, &mut self.scratch, &mut self.tally, measuring, now);
        if viewer.has_started() {
            self.settle(index);
        }
        if let Err(end) = result {
            self.leave(index, Some(&end));
        }
    }

    fn check_deadlines(&mut self, now: Instant) {
        for index in 0..self.viewers.len() {
            let Some(viewer) = &mut self.viewers[index] else { continue };
            if let Err(end) = viewer.conn.handle_timeout(now) {
                self.leave(index, Some(&end));
            }
        }
    }

    /// A viewer leaves, half of them without a word, and another one takes its seat.
    fn replace_one(&mut self, now: Instant) {
        // Those that stop or are slow have the last seats, and stay.
        let seats = self.prompt.min(self.joined);
        if seats == 0 {
            return;
        }
        let draw = self.draw();
        let index = (draw >> 1) as usize % seats;
        if let Some(viewer) = &mut self.viewers[index] {
            if draw & 1 == 0 && viewer.conn.client.close().is_ok() {
                let _ = viewer.conn.flush();
            }
            self.leave(index, None);
            self.tally.left += 1;
        }
        self.join(index, now, Duration::ZERO);
    }

    fn leave(&mut self, index: usize, end: Option<&End>) {
        if let Some(viewer) = self.viewers[index].take() {
            viewer.finish(end, &mut self.tally);
            self.settle(index);
        }
    }

    /// Counts a seat whose first viewer has started or given up.
    fn settle(&mut self, index: usize) {
        if !std::mem::replace(&mut self.settled[index], true) {
            self.shared.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
