//! A recorder and its disk on a thread of their own (feature `disk`).
//!
//! ```text
//!   audio thread ─▶ RecorderFeed ───── 1 s of ticks ────▶ ┌────────────────────────┐ ─▶ files
//!   owner ────────▶ RecorderControl ───── orders ───────▶ │ thread: Recorder, Disk │ ─▶ on_event
//!                   RecorderControl::status ◀──────────── └────────────────────────┘
//! ```
//!
//! The audio thread copies the samples of a tick into a queue and never waits: not for the disk, not for a lock. When
//! the queue is full because the disk is slow, ticks are left out until half of it is free again, and the files get
//! silence of the same length.

#[cfg(test)]
mod tests;

use super::RecorderEvent;
use super::studio::Studio;
use crate::tap::{Frames, Stem};
use jam_proto::message::RecorderState;
use jam_proto::{ChannelId, Layout};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Orders that wait for the thread beside the ticks.
const ORDERS_MAX: usize = 64;
/// Emptied batches kept for reuse; in a burst more are made and then let go.
const SPENT_MAX: usize = 16;

/// How a recorder is set up; see [`spawn`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderSetup {
    /// Where takes go; `None` until [`RecorderOrder::SetDirectory`]. Make it absolute.
    pub directory: Option<PathBuf>,
    /// Whether recording is on as soon as there is a directory. Default yes.
    pub is_enabled: bool,
    /// Where the random identifiers in project files begin.
    pub seed: u64,
}

impl RecorderSetup {
    /// Records below `directory` from the start; without one, as soon as it is given.
    #[must_use]
    pub const fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, is_enabled: true, seed: 0 }
    }
}

/// What an owner can ask of a recorder. Without a directory only [`SetDirectory`](Self::SetDirectory) has an effect;
/// [`SetEnabled`](Self::SetEnabled) is remembered for the next one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RecorderOrder {
    /// Enables or disables recording; disabling ends the take.
    SetEnabled(bool),
    /// Enables what is disabled and the reverse.
    Toggle,
    /// Ends the take and starts another, if one is running.
    Restart,
    /// Ends the take and records here from now on; the directory is made if needed. If it cannot be used, there is no
    /// recorder until the next one is given. `None`: there is no recorder any more.
    SetDirectory(Option<PathBuf>),
}

/// Where a recorder stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecorderStatus {
    /// What clients are told.
    pub state: RecorderState,
    /// The directory of the takes as it was given, also if it cannot be used.
    pub directory: Option<PathBuf>,
    /// Why the directory cannot be used, or what ended the last take; empty if nothing did.
    pub error: String,
    /// The directory of the running take.
    pub take: Option<PathBuf>,
}

/// The recorder's thread has no room for an order, or has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the recorder does not answer: its disk is stalled, or it has been stopped")]
pub struct RecorderBusy;

/// What audio thread, owner and recorder thread look at together.
#[derive(Debug)]
pub(super) struct Shared {
    /// A [`RecorderState`] as a number.
    pub(super) state: AtomicU8,
    pub(super) ticks_waiting: AtomicUsize,
    pub(super) status: Mutex<RecorderStatus>,
}

pub(super) enum Message {
    Tick(Box<Batch>),
    Idle,
    Order(RecorderOrder, Box<dyn FnOnce() + Send>),
    Stop(SyncSender<()>),
}

/// The samples of a tick.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// Ticks before this one that found no room.
    pub(super) lost: u64,
    pub(super) roster: Arc<Roster>,
    stems: Vec<(ChannelId, Layout, usize)>,
    pcm: Vec<i16>,
}

/// Who is to be recorded, channels ascending.
pub(super) type Roster = Vec<(ChannelId, SocketAddr, Arc<str>)>;

/// Starts a recorder on a thread of its own. `tick_samples` is 64 or 128; `on_event` is called on that thread.
///
/// A directory that cannot be used is no error here: it is reported as an event and in the status.
///
/// # Errors
///
/// If the system gives no thread.
pub fn spawn(
    setup: RecorderSetup,
    tick_samples: usize,
    on_event: impl FnMut(RecorderEvent) + Send + 'static,
) -> io::Result<(RecorderFeed, RecorderControl)> {
    let ticks_max = (48_000 / tick_samples.max(1)).max(1);
    let (sender, inbox) = mpsc::sync_channel(ticks_max + ORDERS_MAX);
    let (give_back, spent) = mpsc::sync_channel(SPENT_MAX);
    let shared = Arc::new(Shared {
        state: AtomicU8::new(RecorderState::NotInitialised as u8),
        ticks_waiting: AtomicUsize::new(0),
        status: Mutex::new(RecorderStatus {
            state: RecorderState::NotInitialised,
            directory: None,
            error: String::new(),
            take: None,
        }),
    });
    let studio = Studio::new(setup, tick_samples, Arc::clone(&shared), give_back, on_event);
    let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || studio.run(&inbox))?;
    let feed = RecorderFeed {
        to_thread: sender.clone(),
        spent,
        shared: Arc::clone(&shared),
        musicians: (0..ChannelId::COUNT_MAX).map(|_| None).collect(),
        roster: Arc::default(),
        is_roster_stale: false,
        lost: 0,
        ticks_max,
    };
    Ok((feed, RecorderControl { to_thread: sender, shared, thread: Arc::new(Mutex::new(Some(thread))) }))
}

/// The audio thread's end of a recorder. Nothing here waits.
#[derive(Debug)]
pub struct RecorderFeed {
    to_thread: SyncSender<Message>,
    spent: Receiver<Box<Batch>>,
    shared: Arc<Shared>,
    /// The name is `None` until the musician told it.
    musicians: Vec<Option<(SocketAddr, Option<Arc<str>>)>>,
    roster: Arc<Roster>,
    is_roster_stale: bool,
    /// Ticks that found no room since the last one that did.
    lost: u64,
    ticks_max: usize,
}

impl RecorderFeed {
    /// What clients are to be told.
    #[must_use]
    pub fn state(&self) -> RecorderState {
        self.shared.state()
    }

    /// Keeps the books about who is there, and ends the take when nobody is.
    ///
    /// A track begins when its musician has said who it is, so that the file has its name. Nobody hears it before.
    pub fn handle_event(&mut self, event: &jam_proto::server::Event) {
        use jam_proto::server::Event;
        match event {
            Event::Joined { channel, addr, .. } => self.set(*channel, Some((*addr, None))),
            Event::Identified { channel, info } | Event::Renamed { channel, info } => {
                if let Some(Some((addr, _))) = self.musicians.get(channel.index()) {
                    self.set(*channel, Some((*addr, Some(info.name.as_str().into()))));
                }
            }
            Event::Left { channel, connected, .. } => {
                self.set(*channel, None);
                if *connected == 0 {
                    // A full queue is no harm: the thread notices the silence.
                    let _ = self.to_thread.try_send(Message::Idle);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, channel: ChannelId, musician: Option<(SocketAddr, Option<Arc<str>>)>) {
        if let Some(slot) = self.musicians.get_mut(channel.index()) {
            *slot = musician;
            self.is_roster_stale = true;
        }
    }

    /// Takes the samples of a tick, if they are wanted. Returns whether the recorder has just fallen behind.
    pub fn tick(&mut self, frames: &Frames<'_>) -> bool {
        if self.state() != RecorderState::Recording {
            self.lost = 0;
            return false;
        }
        // After a full queue, wait until half of it is free: one gap instead of many.
        let room = if self.lost > 0 { self.ticks_max / 2 } else { self.ticks_max };
        if self.shared.ticks_waiting.load(Ordering::Relaxed) >= room {
            self.lost += 1;
            return self.lost == 1;
        }
        if std::mem::take(&mut self.is_roster_stale) {
            self.roster = Arc::new(self.make_roster());
        }
        let mut batch = self.spent.try_recv().unwrap_or_default();
        batch.fill(frames, &self.roster, std::mem::take(&mut self.lost));
        self.shared.ticks_waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.to_thread.try_send(Message::Tick(batch)) {
            // Orders cannot take the place of ticks for long; the tick is a gap like any other.
            self.shared.ticks_waiting.fetch_sub(1, Ordering::Relaxed);
            if let TrySendError::Full(Message::Tick(batch)) = error {
                self.lost = batch.lost + 1;
                return self.lost == 1;
            }
        }
        false
    }

    fn make_roster(&self) -> Roster {
        let channels = (0..ChannelId::COUNT_MAX as u8).filter_map(ChannelId::new);
        channels
            .filter_map(|channel| {
                let (addr, name) = self.musicians.get(channel.index())?.as_ref()?;
                Some((channel, *addr, Arc::clone(name.as_ref()?)))
            })
            .collect()
    }
}

impl Batch {
    fn fill(&mut self, frames: &Frames<'_>, roster: &Arc<Roster>, lost: u64) {
        self.number = frames.number();
        self.lost = lost;
        self.roster = Arc::clone(roster);
        self.stems.clear();
        self.pcm.clear();
        for stem in frames.stems() {
            self.stems.push((stem.channel, stem.layout, stem.pcm.len()));
            self.pcm.extend_from_slice(stem.pcm);
        }
    }

    pub(super) fn stems(&self) -> impl Iterator<Item = Stem<'_>> {
        let mut rest = self.pcm.as_slice();
        self.stems.iter().map(move |&(channel, layout, samples)| {
            let (pcm, behind) = rest.split_at_checked(samples).unwrap_or_default();
            rest = behind;
            Stem { channel, layout, pcm }
        })
    }
}

impl Shared {
    pub(super) fn state(&self) -> RecorderState {
        match self.state.load(Ordering::Acquire) {
            state if state == RecorderState::Recording as u8 => RecorderState::Recording,
            state if state == RecorderState::NotEnabled as u8 => RecorderState::NotEnabled,
            _ => RecorderState::NotInitialised,
        }
    }
}

/// The owner's end of a recorder; can be cloned and sent around.
#[derive(Clone, Debug)]
pub struct RecorderControl {
    to_thread: SyncSender<Message>,
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl RecorderControl {
    /// Gives an order; `done` is called on the recorder's thread when it has been carried out.
    ///
    /// # Errors
    ///
    /// [`RecorderBusy`] if the order cannot be taken.
    pub fn order(
        &self,
        order: RecorderOrder,
        done: impl FnOnce() + Send + 'static,
    ) -> Result<(), RecorderBusy> {
        self.to_thread.try_send(Message::Order(order, Box::new(done))).map_err(|_| RecorderBusy)
    }

    /// Where the recorder stands.
    #[must_use]
    pub fn status(&self) -> RecorderStatus {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the take, waits until everything is written, and ends the thread. Blocks for at most `patience`.
    ///
    /// Returns whether everything was carried out; if not, the thread ends when the disk lets it.
    #[must_use]
    pub fn finish(&self, patience: Duration) -> bool {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        let (done, finished) = mpsc::sync_channel(1);
        self.to_thread.try_send(Message::Stop(done)).is_ok()
            && finished.recv_timeout(patience).is_ok()
            && thread.join().is_ok()
    }
}
