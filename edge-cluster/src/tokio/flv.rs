//! The body of a response over HTTP.

use bytes::Bytes;
use tokio::sync::mpsc;

/// Pieces that wait to be sent; a slow reader holds its queue in the shard, not here.
pub(super) const PIECES_MAX: usize = 2;
/// Largest piece.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// An FLV stream as it comes; dropping it ends the viewer.
#[derive(Debug)]
pub struct FlvBody {
    pieces: mpsc::Receiver<Bytes>,
}

impl FlvBody {
    pub(super) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { pieces }
    }

    /// The next bytes; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }

    /// The same for hand-written futures.
    pub fn poll_next(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
        self.pieces.poll_recv(context)
    }
}
