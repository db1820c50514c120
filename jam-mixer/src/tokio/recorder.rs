//! The recorder of a running server.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Notice;
use super::wait::Waker;
use crate::recorder::RecorderEvent;
use crate::recorder::thread::{
    RecorderBusy, RecorderControl, RecorderFeed, RecorderOrder, RecorderSetup, RecorderStatus, spawn,
};

/// A server that stops waits so long for the recorder's disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// An order to a recorder counts as taken after this time, also if its disk still has other work.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A handle that can be cloned and sent around: gives orders to the recorder of a running server.
#[derive(Clone, Debug)]
pub struct RecorderHandle(RecorderControl);

impl RecorderHandle {
    /// Gives an order and waits until it is carried out, but for no longer than a second: a slow disk may be at work.
    ///
    /// # Errors
    ///
    /// [`RecorderBusy`] if the order cannot be taken.
    pub async fn order(&self, order: RecorderOrder) -> Result<(), RecorderBusy> {
        let (done, carried_out) = oneshot::channel();
        self.0.order(order, move || {
            // The asker may have lost patience.
            let _ = done.send(());
        })?;
        // Late or never: the order is in the queue, and what became of it shows in the status.
        let _ = tokio::time::timeout(ANSWER_WITHIN, carried_out).await;
        Ok(())
    }

    /// Where the recorder stands.
    #[must_use]
    pub fn status(&self) -> RecorderStatus {
        self.0.status()
    }

    /// Closes all files; `false` if the disk does not answer. Once done it stays done.
    pub(super) fn finish(&self) -> bool {
        self.0.finish(PATIENCE)
    }
}

/// Starts a recorder that tells the owner what happens, and wakes the audio thread when clients are to be told.
pub(super) fn start(
    setup: RecorderSetup,
    tick_samples: usize,
    notices: mpsc::WeakSender<Notice>,
    waker: Waker,
) -> io::Result<(RecorderFeed, RecorderHandle)> {
    let on_event = move |event: RecorderEvent| {
        if matches!(event, RecorderEvent::StateChanged(_)) {
            waker.wake();
        }
        // A full queue means that nobody listens; after the audio thread has ended nobody can.
        if let Some(notices) = notices.upgrade() {
            let _ = notices.try_send(Notice::Recorder(event));
        }
    };
    let (feed, control) = spawn(setup, tick_samples, on_event)?;
    Ok((feed, RecorderHandle(control)))
}
