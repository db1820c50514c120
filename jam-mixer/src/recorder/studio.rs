//! What lives on a recorder's thread.

use super::disk::{Disk, prepare};
use super::thread::{Batch, Message, RecorderOrder, RecorderSetup, RecorderStatus, Roster, Shared};
use super::{Recorder, RecorderConfig, RecorderEvent};
use jam_proto::message::RecorderState;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Without ticks for so long nobody is there any more, even if the message about it found the queue full.
const IDLE_AFTER: Duration = Duration::from_secs(2);

pub(super) struct Studio<F> {
    /// `None` without a directory that can be used.
    recorder: Option<Recorder>,
    disk: Disk,
    setup: RecorderSetup,
    tick_samples: usize,
    roster: Arc<Roster>,
    last_number: u64,
    shared: Arc<Shared>,
    give_back: SyncSender<Box<Batch>>,
    on_event: F,
}

impl<F: FnMut(RecorderEvent)> Studio<F> {
    pub(super) fn new(
        setup: RecorderSetup,
        tick_samples: usize,
        shared: Arc<Shared>,
        give_back: SyncSender<Box<Batch>>,
        on_event: F,
    ) -> Self {
        Self {
            recorder: None,
            disk: Disk::new(),
            setup,
            tick_samples,
            roster: Arc::default(),
            last_number: 0,
            shared,
            give_back,
            on_event,
        }
    }

    /// Runs until it is told to stop, or until nobody can tell it any more.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        let directory = self.setup.directory.take();
        self.set_directory(directory.as_deref());
        self.settle();
        loop {
            match self.wait(inbox) {
                Ok(Message::Tick(batch)) => {
                    self.tick(&batch);
                    self.settle();
                    self.shared.ticks_waiting.fetch_sub(1, Ordering::Relaxed);
                    // With enough of them in store this one is let go.
                    let _ = self.give_back.try_send(batch);
                }
                Ok(Message::Idle) => {
                    self.end_take();
                    self.settle();
                }
                Ok(Message::Order(order, done)) => {
                    self.obey(order);
                    self.settle();
                    done();
                }
                Ok(Message::Stop(done)) => {
                    self.end_take();
                    self.settle();
                    // The asker may have lost patience.
                    let _ = done.try_send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.end_take();
                    self.settle();
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_take();
                    self.settle();
                    return;
                }
            }
        }
    }

    fn wait(&self, inbox: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        if self.recorder.as_ref().is_some_and(Recorder::is_running) {
            inbox.recv_timeout(IDLE_AFTER)
        } else {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        }
    }

    fn tick(&mut self, batch: &Batch) {
        let Some(recorder) = &mut self.recorder else { return };
        if !Arc::ptr_eq(&self.roster, &batch.roster) {
            call_the_roll(recorder, &self.roster, &batch.roster);
            self.roster = Arc::clone(&batch.roster);
        }
        let missing = batch.number.saturating_sub(self.last_number).saturating_sub(1);
        self.last_number = batch.number;
        if recorder.is_running() {
            recorder.skip(missing);
        }
        recorder.tick(unix_time(), batch.stems());
        if batch.lost > 0 {
            (self.on_event)(RecorderEvent::Gap { ticks: batch.lost });
        }
    }

    fn end_take(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.end_take();
        }
    }

    fn obey(&mut self, order: RecorderOrder) {
        if let RecorderOrder::SetDirectory(directory) = &order {
            self.set_directory(directory.as_deref());
        }
        if let RecorderOrder::SetEnabled(is_enabled) = order {
            self.setup.is_enabled = is_enabled;
        }
        let Some(recorder) = &mut self.recorder else { return };
        let was_enabled = recorder.state() == RecorderState::Recording;
        match order {
            RecorderOrder::SetEnabled(is_enabled) => recorder.set_enabled(is_enabled),
            RecorderOrder::Toggle => recorder.set_enabled(!was_enabled),
            RecorderOrder::Restart => recorder.restart(),
            RecorderOrder::SetDirectory(_) => {}
        }
        // A directory that cannot be used ends the recorder, not what its owner wants of the next one.
        self.setup.is_enabled = recorder.state() == RecorderState::Recording;
        if !was_enabled && recorder.state() == RecorderState::Recording {
            // What ended the take before is history now.
            self.status().error.clear();
        }
    }

    fn set_directory(&mut self, directory: Option<&Path>) {
        // The old take is whole before anything else happens.
        self.end_take();
        self.settle();
        {
            let mut status = self.status();
            status.directory = directory.map(Path::to_owned);
            status.error.clear();
        }
        let Some(directory) = directory else {
            self.recorder = None;
            return;
        };
        match prepare(directory) {
            Ok(()) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.set_directory(directory);
                } else {
                    let mut config = RecorderConfig::new(directory);
                    config.tick_samples = self.tick_samples;
                    config.seed = self.setup.seed;
                    let mut recorder = Recorder::new(config, unix_time());
                    recorder.set_enabled(self.setup.is_enabled);
                    self.recorder = Some(recorder);
                    self.roster = Arc::default();
                }
            }
            Err(error) => {
                self.recorder = None;
                let error = error.to_string();
                self.status().error.clone_from(&error);
                (self.on_event)(RecorderEvent::Unusable(error));
            }
        }
    }

    /// Carries out what the recorder wants done with files, and tells what happened.
    fn settle(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            while let Some(op) = recorder.poll_op() {
                recorder.handle_report(self.disk.perform(op));
            }
        }
        while let Some(event) = self.recorder.as_mut().and_then(Recorder::poll_event) {
            match &event {
                RecorderEvent::TakeStarted { path } => self.status().take = Some(path.clone()),
                RecorderEvent::TakeEnded { .. } => self.status().take = None,
                RecorderEvent::Failed(error) => self.status().error = error.to_string(),
                // Told below, together with the changes that only the directory makes.
                RecorderEvent::StateChanged(_) => continue,
                _ => {}
            }
            (self.on_event)(event);
        }
        let state = self.recorder.as_ref().map_or(RecorderState::NotInitialised, Recorder::state);
        if state != self.shared.state() {
            self.status().state = state;
            self.shared.state.store(state as u8, Ordering::Release);
            (self.on_event)(RecorderEvent::StateChanged(state));
        }
    }

    fn status(&self) -> MutexGuard<'_, RecorderStatus> {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a recorder who has come, gone, or changed name between two rosters.
fn call_the_roll(recorder: &mut Recorder, before: &Roster, now: &Roster) {
    let find = |roster: &Roster, channel| {
        roster
            .binary_search_by_key(&channel, |(channel, ..)| *channel)
            .ok()
            .and_then(|at| roster.get(at).cloned())
    };
    for (channel, ..) in before {
        if find(now, *channel).is_none() {
            recorder.leave(*channel);
        }
    }
    for (channel, addr, name) in now {
        let known = find(before, *channel);
        if known.as_ref().is_none_or(|(_, known, _)| known != addr) {
            recorder.join(*channel, *addr);
        }
        recorder.set_name(*channel, name);
    }
}

#[expect(clippy::disallowed_methods, reason = "takes are named by the wall clock, which this thread reads")]
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
