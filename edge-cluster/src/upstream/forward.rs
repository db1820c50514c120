//! Sending a copy of a stream to a fixed server (spec 9.8).

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmp_core::{CommandError, Media, Progress};

use super::{ForwardSettings, Push, PushEvent, PushStatus, UpstreamInput, UpstreamOutput, UpstreamStream};

/// A copy of a stream for one server, as long as there is a publisher. As a [`Push`], but nobody waits for it: it
/// refuses nobody and never gives up.
///
/// Its events are [`Accepted`](PushEvent::Accepted), [`Join`](PushEvent::Join), [`Left`](PushEvent::Left),
/// [`AttemptFailed`](PushEvent::AttemptFailed), [`RoundFailed`](PushEvent::RoundFailed) and
/// [`Redirected`](PushEvent::Redirected).
#[derive(Debug)]
pub struct Forward(Push);

impl Forward {
    /// Begins to forward `stream`; the first output connects. `seed` fills handshakes and spreads waits.
    pub fn new(settings: &ForwardSettings, stream: UpstreamStream, seed: u64, now: Instant) -> Self {
        Self(Push::new(Arc::new(settings.as_push()), stream, seed, now))
    }

    /// As [`Push::handle_input`].
    pub fn handle_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress {
        self.0.handle_input(now, attempt, input)
    }

    /// Something is due, see [`poll_timeout`](Self::poll_timeout). Early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest; `None` means never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<UpstreamOutput<PushEvent>> {
        self.0.poll_output()
    }

    /// Bytes for the running connection, to be sent in front of the next shared segment: take them from the front.
    pub fn private(&mut self) -> &mut BytesMut {
        self.0.private()
    }

    /// As [`Push::pending_bytes`].
    pub fn pending_bytes(&self) -> usize {
        self.0.pending_bytes()
    }

    /// As [`Push::send_media`].
    ///
    /// # Errors
    ///
    /// When the server takes no media, or is too slow.
    pub fn send_media(&mut self, media: &Media) -> Result<(), CommandError> {
        self.0.send_media(media)
    }

    /// The publisher is gone, or the configuration names this server no more.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// How it stands.
    pub fn status(&self) -> PushStatus {
        self.0.status()
    }
}
