//! A take: its tracks, its clock, its files.

use super::names;
use super::op::{FileId, FileOp};
use super::project::{self, Item};
use super::queue::Queue;
use super::wav;
use crate::tap::Stem;
use jam_proto::rng::Rng;
use jam_proto::{ChannelId, Layout};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Who plays on a channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Musician {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
}

/// What keeps a take in bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeLimits {
    pub(super) tracks_max: usize,
    pub(super) file_data_bytes_max: u64,
}

/// One recording run.
#[derive(Debug)]
pub(super) struct Take {
    directory: PathBuf,
    name: String,
    /// Ticks since the start.
    ticks: u64,
    tick_samples: u64,
    open: Vec<Option<Track>>,
    items: Vec<Item>,
    file_names: BTreeSet<String>,
    next_file: u64,
}

/// A file that is being written.
#[derive(Debug)]
struct Track {
    file: FileId,
    layout: Layout,
    musician: Musician,
    host: String,
    file_name: String,
    started_tick: u64,
    /// Sample bytes so far, silence included.
    data_bytes: u64,
    buffer: Vec<u8>,
    /// Zeros to be written before the next sample.
    gap_bytes: u64,
    in_this_tick: bool,
}

impl Take {
    pub(super) fn start(
        parent: &std::path::Path,
        unix_time: Duration,
        tick_samples: usize,
        next_file: u64,
        queue: &mut Queue,
    ) -> Self {
        let name = names::take(unix_time);
        let directory = parent.join(&name);
        queue.push(FileOp::CreateDir { path: directory.clone() });
        Self {
            directory,
            name,
            ticks: 0,
            tick_samples: tick_samples as u64,
            open: (0..ChannelId::COUNT_MAX).map(|_| None).collect(),
            items: Vec::new(),
            file_names: BTreeSet::new(),
            next_file,
        }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    pub(super) const fn next_file(&self) -> u64 {
        self.next_file
    }

    /// Adds one channel's samples of this tick. Returns false if they have no place: too many tracks.
    pub(super) fn add(
        &mut self,
        stem: &Stem<'_>,
        musician: &Musician,
        limits: TakeLimits,
        queue: &mut Queue,
    ) -> bool {
        let bytes = 2 * stem.pcm.len() as u64;
        let continues = self.open.get(stem.channel.index()).and_then(Option::as_ref).is_some_and(|track| {
            track.layout == stem.layout
                && track.musician.addr == musician.addr
                && track.data_bytes + bytes <= limits.file_data_bytes_max
        });
        if !continues {
            self.close(stem.channel, queue);
            if self.file_names.len() >= limits.tracks_max {
                return false;
            }
            let track = self.open_track(stem.layout, musician, queue);
            if let Some(slot) = self.open.get_mut(stem.channel.index()) {
                *slot = Some(track);
            }
        }
        if let Some(Some(track)) = self.open.get_mut(stem.channel.index()) {
            if track.musician.name != musician.name {
                track.musician.name.clone_from(&musician.name);
            }
            track.in_this_tick = true;
            track.write(stem.pcm, queue);
        }
        true
    }

    /// Ends a tick: channels that were not in it have left.
    pub(super) fn end_tick(&mut self, queue: &mut Queue) {
        for channel in (0..ChannelId::COUNT_MAX as u8).filter_map(ChannelId::new) {
            match self.open.get_mut(channel.index()) {
                Some(Some(track)) if track.in_this_tick => track.in_this_tick = false,
                Some(Some(_)) => self.close(channel, queue),
                _ => {}
            }
        }
        self.ticks += 1;
    }

    /// Lets ticks pass of which there are no samples: all tracks are silent.
    pub(super) fn skip(&mut self, ticks: u64, queue: &mut Queue) {
        self.ticks += ticks;
        for track in self.open.iter_mut().flatten() {
            let bytes = ticks * self.tick_samples * 2 * track.layout.sides() as u64;
            track.skip(bytes, queue);
        }
    }

    /// Ends a channel's track, if it has one.
    pub(super) fn close(&mut self, channel: ChannelId, queue: &mut Queue) {
        let Some(mut track) = self.open.get_mut(channel.index()).and_then(Option::take) else { return };
        track.flush(queue);
        track.fill_gap(queue);
        queue.push(FileOp::Close {
            file: track.file,
            header: wav::closed_header(track.layout, track.data_bytes),
        });
        self.items.push(Item {
            track: format!("{}-{}", names::musician(&track.musician.name), track.host),
            file_name: track.file_name,
            position: track.started_tick * self.tick_samples,
            length: track.data_bytes / (2 * track.layout.sides() as u64),
        });
    }

    /// Ends the take: closes all tracks and writes the project files. Returns the number of files with sound.
    pub(super) fn finish(mut self, rng: &mut Rng, queue: &mut Queue) -> usize {
        for channel in (0..ChannelId::COUNT_MAX as u8).filter_map(ChannelId::new) {
            self.close(channel, queue);
        }
        // Tracks end in another order than they began; within a track the earlier one comes first.
        self.items.sort_by_key(|item| item.position);
        project::sort(&mut self.items);
        let reaper = project::reaper(&self.items, &self.directory, rng);
        let audacity = project::audacity(&self.items);
        for (extension, text) in [("rpp", reaper), ("lof", audacity)] {
            let path = self.directory.join(format!("{}.{extension}", self.name));
            queue.push(FileOp::WriteText { path, text });
        }
        self.items.len()
    }

    fn open_track(&mut self, layout: Layout, musician: &Musician, queue: &mut Queue) -> Track {
        let host = names::host(musician.addr);
        let stem = format!("{}-{host}-{}-{}", names::musician(&musician.name), self.ticks, layout.sides());
        let mut file_name = format!("{stem}.wav");
        let mut suffix = 0;
        while !self.file_names.insert(file_name.clone()) {
            suffix += 1;
            file_name = format!("{stem}_{suffix}.wav");
        }
        let file = FileId(self.next_file);
        self.next_file += 1;
        queue.push(FileOp::Create { file, path: self.directory.join(&file_name) });
        queue.push(FileOp::Append { file, bytes: wav::open_header(layout).to_vec() });
        Track {
            file,
            layout,
            musician: musician.clone(),
            host,
            file_name,
            started_tick: self.ticks,
            data_bytes: 0,
            buffer: Vec::new(),
            gap_bytes: 0,
            in_this_tick: false,
        }
    }
}

impl Track {
    fn write(&mut self, pcm: &[i16], queue: &mut Queue) {
        let bytes = 2 * pcm.len();
        if self.buffer.capacity() == 0 || self.buffer.len() + bytes > self.buffer.capacity() {
            self.flush(queue);
            match queue.buffer(bytes) {
                Some(buffer) => self.buffer = buffer,
                None => return self.skip(bytes as u64, queue),
            }
            self.fill_gap(queue);
        }
        self.data_bytes += bytes as u64;
        for sample in pcm {
            self.buffer.extend_from_slice(&sample.to_le_bytes());
        }
    }

    /// Leaves a gap, so that what follows is in its place.
    fn skip(&mut self, bytes: u64, queue: &mut Queue) {
        self.flush(queue);
        queue.silenced_bytes += bytes;
        self.gap_bytes += bytes;
        self.data_bytes += bytes;
    }

    fn fill_gap(&mut self, queue: &mut Queue) {
        if self.gap_bytes > 0 {
            queue.push(FileOp::AppendSilence { file: self.file, bytes: self.gap_bytes });
            self.gap_bytes = 0;
        }
    }

    /// Sends off what has been collected.
    fn flush(&mut self, queue: &mut Queue) {
        let buffer = std::mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            queue.push(FileOp::Append { file: self.file, bytes: buffer });
        } else if buffer.capacity() > 0 {
            queue.give_back(buffer);
        }
    }
}
