//! The audio thread: one loop that receives, mixes and sends.
//!
//! Everything that a musician's sound touches happens here, so nothing is handed over, locked or queued on its way.
//! Between ticks the thread sleeps. It looks at its sockets right before mixing (a datagram that arrived just in time is
//! in the mix), and while it has time to spare once more in the middle of a tick: pings and messages are then answered
//! within half a tick, in a busy room within one.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jam_proto::Input;

use super::control::{MusicianInfo, Order};
use super::priority::{self, Realtime};
use super::socket::{self, Sockets};
use super::wait::{Waker, sharpen_timers, sleep_until, wait_for_input};
use super::{Closing, DriverStats, Notice};
use crate::codec::Codec;
use crate::recorder::RecorderEvent;
use crate::recorder::thread::RecorderFeed;
use crate::server::{Command, Event, JamServer, Output};

/// Datagrams read in one go before the clock is looked at again; more wait in the kernel's buffer.
const RECEIVE_MAX: usize = 1024;
/// Longer datagrams are cut, and then are neither a frame nor audio of any size: the longest audio has 4 x 1,276 bytes,
/// messages to a server less.
const DATAGRAM_BYTES_MAX: usize = 6_000;

/// A tick that works for more than this part of its time leaves out the look in between: waking up and fetching the code
/// into the caches again costs a room of 40 musicians a twelfth.
const SPARE_TIME: u32 = 8;

pub(super) struct AudioThread<C: Codec> {
    pub(super) jam: JamServer<C>,
    pub(super) sockets: Sockets,
    pub(super) waker: Waker,
    pub(super) orders: Receiver<Order>,
    pub(super) notices: tokio::sync::mpsc::Sender<Notice>,
    pub(super) recorder: Option<RecorderFeed>,
    pub(super) tap: Option<super::Tap>,
    pub(super) realtime: Realtime,
    pub(super) stats: Arc<Mutex<DriverStats>>,
    pub(super) local_time: super::LocalClock,
    pub(super) time_due: Option<Instant>,
}

impl<C: Codec> AudioThread<C> {
    /// Runs until it is told to stop, or until nobody can tell it any more.
    pub(super) fn run(mut self) -> Closing {
        sharpen_timers();
        if let Err(denied) = priority::apply(self.realtime) {
            self.notify(Notice::RealtimeDenied(denied));
        }
        let mut own = DriverStats::default();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut worked = Duration::ZERO;
        loop {
            let woken = clock();
            let stopping = self.obey(woken);
            self.receive(&mut buffer, &mut own);
            let now = clock();
            self.tell_time(now);
            self.tell_recording(now);
            let ticks = self.jam.ticks();
            self.jam.handle_input(now, Input::Timeout);
            self.flush(&mut own);
            if self.jam.ticks() != ticks {
                let done = clock();
                worked = done.duration_since(woken);
                self.jam.report_work(done, worked);
                self.flush(&mut own);
            }
            self.publish(&own);
            if stopping {
                let stats = DriverStats { jam: self.jam.stats(), ..own };
                return Closing { stats, directory: self.jam.directory_text(), ..Closing::default() };
            }
            self.wait(worked);
        }
    }

    /// Chat lines show the time of day; it is asked for once a minute.
    fn tell_time(&mut self, now: Instant) {
        if self.time_due.is_none_or(|due| now >= due) {
            self.time_due = Some(now + Duration::from_secs(60));
            self.jam.set_local_time(now, (self.local_time)());
        }
    }

    /// Clients show whether they are being recorded.
    fn tell_recording(&mut self, now: Instant) {
        if let Some(recorder) = &self.recorder {
            let state = recorder.state();
            if state != self.jam.protocol().recorder() {
                // Cannot fail while outputs are drained; if it does, the next round says it.
                let _ = self.jam.command(now, Command::Recorder(state));
            }
        }
    }

    /// Carries out what the owner asked for; `true` if that was to stop.
    fn obey(&mut self, now: Instant) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Command(command, answer)) => {
                    // The asker may have gone; the command counts all the same.
                    let _ = answer.send(self.jam.command(now, command));
                }
                Ok(Order::DirectoryText(answer)) => drop(answer.send(self.jam.directory_text())),
                Ok(Order::Musicians(answer)) => drop(answer.send(self.musicians())),
                Ok(Order::Resolved(host, addr)) => self.jam.directory_resolved(now, &host, addr),
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => {
                    self.jam.stop(now);
                    return true;
                }
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn musicians(&self) -> Vec<MusicianInfo> {
        let engine = self.jam.engine();
        let views = self.jam.protocol().views();
        views
            .map(|view| MusicianInfo {
                channel: view.channel,
                addr: view.addr,
                info: view.info.cloned().unwrap_or_default(),
                jitter_blocks: engine.jitter_blocks(view.channel),
                layout: view.props.map(|props| props.layout),
            })
            .collect()
    }

    fn receive(&mut self, buffer: &mut [u8], stats: &mut DriverStats) {
        for socket in self.sockets.iter() {
            let now = clock();
            for _ in 0..RECEIVE_MAX {
                match socket::receive(socket, buffer) {
                    Ok((bytes, src)) => {
                        let payload = buffer.get(..bytes).unwrap_or_default();
                        self.jam.handle_input(now, Input::Datagram { src, payload });
                        stats.datagrams_received += 1;
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                    // Reports about earlier sends and interruptions: the next datagram may be fine.
                    Err(_) => stats.receive_errors += 1,
                }
            }
        }
    }

    fn flush(&mut self, stats: &mut DriverStats) {
        while let Some(output) = self.jam.poll_output() {
            match output {
                Output::Transmit(t) => {
                    stats.datagrams_sent += 1;
                    stats.send_errors += u64::from(!self.sockets.send(t.dst, &t.payload));
                }
                Output::Audio(batch) => {
                    stats.datagrams_sent += batch.len() as u64;
                    stats.send_errors += self.sockets.send_batch(batch.iter());
                    // After sending: who listens without playing costs a musician nothing.
                    let frames = batch.frames();
                    if let Some(tap) = &self.tap {
                        tap(&frames);
                    }
                    if self.recorder.as_mut().is_some_and(|recorder| recorder.tick(&frames)) {
                        let _ = self.notices.try_send(Notice::Recorder(RecorderEvent::Behind));
                    }
                }
                Output::Event(event) => {
                    if let (Some(recorder), Event::Protocol(event)) = (&mut self.recorder, &event) {
                        recorder.handle_event(event);
                    }
                    if self.notices.try_send(Notice::Event(event)).is_err() {
                        stats.events_dropped += 1;
                    }
                }
            }
        }
    }

    fn notify(&self, notice: Notice) {
        // Nobody may be listening, and a full queue is no reason to let musicians wait.
        let _ = self.notices.try_send(notice);
    }

    fn publish(&self, own: &DriverStats) {
        // Readers hold the lock for a copy only; if one does just now, the next round publishes.
        if let Ok(mut shared) = self.stats.try_lock() {
            *shared = DriverStats { jam: self.jam.stats(), ..*own };
        }
    }

    /// Waits for the next tick or the look in between; the last tick worked for `worked`.
    fn wait(&self, worked: Duration) {
        let now = clock();
        let Some(tick) = self.jam.next_tick() else {
            wait_for_input(&self.sockets, &self.waker, now, self.jam.poll_timeout());
            return;
        };
        let period = self.jam.tick_period();
        let half = tick.checked_sub(period / 2).unwrap_or(tick);
        let looks_between = worked * SPARE_TIME < period && half > now + Duration::from_micros(100);
        sleep_until(now, if looks_between { half } else { tick });
    }
}

/// A copy of the newest counters.
pub(super) fn read_stats(shared: &Mutex<DriverStats>) -> DriverStats {
    *shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}
