//! The recorder: every musician's decoded signal in a file of its own, with project files (spec 7).
//!
//! ```text
//!   tick ──stems──▶ ┌──────────┐ ──FileOp──▶ disk (`disk::Disk`; with a thread around both: `thread::spawn`)
//!   joined, named ─▶│ Recorder │ ◀──Report──
//!   enable, restart▶└──────────┘ ──RecorderEvent──▶ your program
//! ```
//!
//! A *take* is one recording run and one directory; a *track* is what one client played in one format without
//! interruption, and one WAV file. The recorder itself opens nothing: it says what to do with files
//! ([`poll_op`](Recorder::poll_op)) and is told how it went ([`handle_report`](Recorder::handle_report)).
//!
//! **Bounds.** Samples wait for the disk in at most [`queue_bytes_max`](RecorderConfig::queue_bytes_max). When the disk
//! is slower than that, a track gets silence of the same length, so that everything after it is still in its place. A
//! failed operation disables recording, as does a disk that stops answering.
//!
//! **Differences from shipped servers.** A track near 4 GiB goes on in a second file of the same track, because the
//! sizes of a WAV file end there. A channel that has no place ([`tracks_max`](RecorderConfig::tracks_max)) is not
//! recorded until the next take. Ticks that the server skipped are silence instead of missing.
//!
//! # Examples
//!
//! ```
//! use jam_mixer::{recorder::{FileOp, Recorder, RecorderConfig}, tap::Stem};
//! use jam_proto::{ChannelId, Layout};
//! use std::time::Duration;
//!
//! let mut recorder = Recorder::new(RecorderConfig::new("/srv/jam"), Duration::from_secs(1_798_675_199));
//! recorder.set_enabled(true);
//! let guitar = ChannelId::new(0).unwrap();
//! recorder.join(guitar, "203.0.113.7:22134".parse().unwrap());
//! recorder.set_name(guitar, "Ann");
//! recorder.tick(Duration::from_secs(1_798_675_200), [Stem { channel: guitar, layout: Layout::Mono, pcm: &[0; 128] }]);
//!
//! let FileOp::CreateDir { path } = recorder.poll_op().unwrap() else { panic!() };
//! assert_eq!(path.to_str(), Some("/srv/jam/Jam-20261231-000000000"));
//! let FileOp::Create { path, .. } = recorder.poll_op().unwrap() else { panic!() };
//! assert!(path.ends_with("Ann_-203_0_113_x_22134-0-1.wav"));
//! ```

#[cfg(feature = "disk")]
pub mod disk;
mod names;
mod op;
mod project;
mod queue;
#[cfg(feature = "disk")]
mod studio;
mod take;
#[cfg(feature = "disk")]
pub mod thread;
mod wav;

use crate::tap::Stem;
use jam_proto::ChannelId;
use jam_proto::message::RecorderState;
use jam_proto::rng::Rng;
pub use op::{FileId, FileOp, RecorderError, RecorderEvent, Report};
use queue::Queue;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use take::{Musician, Take, TakeLimits};

/// Events kept for an owner that does not ask for them; older ones go first.
const EVENTS_MAX: usize = 64;

/// Where and within what bounds to record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// The directory of the takes. Make it absolute: project files name their sounds by it.
    pub directory: PathBuf,
    /// Samples of a tick: 128, or 64 for a fast server. Track starts are counted in ticks. Default 128.
    pub tick_samples: usize,
    /// Bytes of samples that may wait for the disk, at least one buffer of 16 KiB. Default 29 MB: a second of 150
    /// stereo musicians.
    pub queue_bytes_max: usize,
    /// File operations that may wait for the disk before it counts as stalled. Default 8192.
    pub operations_max: usize,
    /// Tracks of one take. Default 1000: a take of 150 musicians who each come and go six times.
    pub tracks_max: usize,
    /// Sample bytes of one file; a longer track goes on in another. Default and upper bound: what a WAV file can say.
    pub file_data_bytes_max: u64,
    /// Where the random identifiers in project files begin.
    pub seed: u64,
}

impl RecorderConfig {
    /// Records below `directory`, with defaults for everything else.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            tick_samples: 128,
            queue_bytes_max: 29_000_000,
            operations_max: 8192,
            tracks_max: 1000,
            file_data_bytes_max: wav::DATA_BYTES_MAX,
            seed: 0,
        }
    }
}

/// Counters of a recorder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecorderStats {
    /// Takes started.
    pub takes: u64,
    /// Ticks of channels that had no place for another track.
    pub stems_refused: u64,
    /// Sample bytes that became silence because the disk was slow or ticks were skipped.
    pub bytes_silenced: u64,
    /// Failed file operations.
    pub operations_failed: u64,
    /// Events that nobody asked for in time.
    pub events_dropped: u64,
}

/// The recorder of one server; see the [module](self).
///
/// It is initialised from the start: an owner whose directory cannot be used has no recorder, and tells clients
/// [`RecorderState::NotInitialised`]. It starts disabled.
#[derive(Debug)]
pub struct Recorder {
    config: RecorderConfig,
    is_enabled: bool,
    musicians: Vec<Option<Musician>>,
    take: Option<Take>,
    /// Start of the latest take: two takes never share a name.
    last_start: Duration,
    next_file: u64,
    queue: Queue,
    /// Failures of operations up to this one have been dealt with.
    failures_until: u64,
    events: VecDeque<RecorderEvent>,
    rng: Rng,
    stats: RecorderStats,
}

impl Recorder {
    /// A disabled recorder. `unix_time` is the wall clock's time since 1970 in UTC: no take is named earlier.
    #[must_use]
    pub fn new(config: RecorderConfig, unix_time: Duration) -> Self {
        let queue = Queue::new(config.queue_bytes_max);
        let rng = Rng::new(config.seed);
        Self {
            config,
            is_enabled: false,
            musicians: (0..ChannelId::COUNT_MAX).map(|_| None).collect(),
            take: None,
            last_start: unix_time,
            next_file: 0,
            queue,
            failures_until: 0,
            events: VecDeque::new(),
            rng,
            stats: RecorderStats::default(),
        }
    }

    /// What clients are told (message 33).
    #[must_use]
    pub const fn state(&self) -> RecorderState {
        if self.is_enabled { RecorderState::Recording } else { RecorderState::NotEnabled }
    }

    /// The directory of the takes.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// Whether a take is running. It starts with the first samples after enabling.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.take.is_some()
    }

    /// Enables or disables recording; disabling ends the take.
    pub fn set_enabled(&mut self, is_enabled: bool) {
        if self.is_enabled == is_enabled {
            return;
        }
        self.is_enabled = is_enabled;
        if !is_enabled {
            self.end_take();
        }
        self.event(RecorderEvent::StateChanged(self.state()));
    }

    /// Ends the take so that the next samples start another; nothing happens unless a take is running.
    pub fn restart(&mut self) {
        self.end_take();
    }

    /// Ends the take, because the server is idle or stops. The next samples start another.
    pub fn end_take(&mut self) {
        let Some(take) = self.take.take() else { return };
        self.next_file = take.next_file();
        let path = take.directory();
        let tracks = take.finish(&mut self.rng, &mut self.queue);
        self.event(RecorderEvent::TakeEnded { path, tracks });
    }

    /// Ends the take and records elsewhere from now on.
    pub fn set_directory(&mut self, directory: impl Into<PathBuf>) {
        self.end_take();
        self.config.directory = directory.into();
    }

    /// A musician has connected. Without this a channel is not recorded.
    pub fn join(&mut self, channel: ChannelId, addr: SocketAddr) {
        self.leave(channel);
        if let Some(slot) = self.musicians.get_mut(channel.index()) {
            *slot = Some(Musician { name: String::new(), addr });
        }
    }

    /// A musician has told a name. An open file keeps its own; the project files will use this one.
    pub fn set_name(&mut self, channel: ChannelId, name: &str) {
        if let Some(Some(musician)) = self.musicians.get_mut(channel.index()) {
            name.clone_into(&mut musician.name);
        }
    }

    /// A musician has gone: the track ends.
    pub fn leave(&mut self, channel: ChannelId) {
        if let Some(slot) = self.musicians.get_mut(channel.index()) {
            *slot = None;
        }
        if let Some(take) = &mut self.take {
            take.close(channel, &mut self.queue);
        }
    }

    /// Takes the samples of one tick. `unix_time` is the wall clock's time since 1970 in UTC; it names the take.
    ///
    /// A channel that is missing in a tick has ended its track.
    pub fn tick<'a>(&mut self, unix_time: Duration, stems: impl IntoIterator<Item = Stem<'a>>) {
        if !self.is_enabled {
            return;
        }
        for stem in stems {
            let Some(Some(musician)) = self.musicians.get(stem.channel.index()) else { continue };
            if self.take.is_none() {
                let start = unix_time.max(self.last_start + Duration::from_millis(1));
                self.last_start = start;
                let config = &self.config;
                let take = Take::start(
                    &config.directory,
                    start,
                    config.tick_samples,
                    self.next_file,
                    &mut self.queue,
                );
                self.stats.takes += 1;
                let path = take.directory();
                self.take = Some(take);
                push_event(&mut self.events, &mut self.stats, RecorderEvent::TakeStarted { path });
            }
            let limits = TakeLimits {
                tracks_max: self.config.tracks_max,
                file_data_bytes_max: self.config.file_data_bytes_max.min(wav::DATA_BYTES_MAX),
            };
            let is_placed =
                self.take.as_mut().is_some_and(|take| take.add(&stem, musician, limits, &mut self.queue));
            self.stats.stems_refused += u64::from(!is_placed);
        }
        if let Some(take) = &mut self.take {
            take.end_tick(&mut self.queue);
        }
        let waiting = self.queue.waiting();
        if waiting > self.config.operations_max {
            self.fail(RecorderError::DiskStalled(waiting));
        }
    }

    /// Ticks that the mixer left out: silence on all tracks.
    pub fn skip(&mut self, ticks: u64) {
        if let Some(take) = &mut self.take {
            take.skip(ticks, &mut self.queue);
        }
    }

    /// The next file operation, in the order to carry them out. Each must be answered by one [`Report`].
    pub fn poll_op(&mut self) -> Option<FileOp> {
        self.queue.pop()
    }

    /// How an operation went; reports come in the order of the operations.
    pub fn handle_report(&mut self, report: Report) {
        self.queue.answered += 1;
        let (buffer, error) = match report {
            Report::Done(buffer) => (buffer, None),
            Report::Failed { error, buffer } => (buffer, Some(error)),
        };
        if let Some(buffer) = buffer {
            self.queue.give_back(buffer);
        }
        let Some(error) = error else { return };
        self.stats.operations_failed += 1;
        // One full disk fails many operations in a row; those queued before recording was disabled say nothing new.
        if self.queue.answered > self.failures_until {
            self.fail(RecorderError::File(error));
        }
    }

    /// Operations not answered yet, in this queue or at the disk.
    #[must_use]
    pub const fn operations_waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<RecorderEvent> {
        self.events.pop_front()
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> RecorderStats {
        RecorderStats { bytes_silenced: self.queue.silenced_bytes, ..self.stats }
    }

    /// Memory of the sample buffers; at most `queue_bytes_max`.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.queue.buffer_bytes()
    }

    fn fail(&mut self, error: RecorderError) {
        self.event(RecorderEvent::Failed(error));
        self.set_enabled(false);
        self.end_take();
        self.failures_until = self.queue.queued;
    }

    fn event(&mut self, event: RecorderEvent) {
        push_event(&mut self.events, &mut self.stats, event);
    }
}

fn push_event(events: &mut VecDeque<RecorderEvent>, stats: &mut RecorderStats, event: RecorderEvent) {
    if events.len() >= EVENTS_MAX {
        events.pop_front();
        stats.events_dropped += 1;
    }
    events.push_back(event);
}
