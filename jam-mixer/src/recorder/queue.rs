//! Operations on their way to the disk, and the buffers that carry samples there.

use super::op::FileOp;
use std::collections::VecDeque;

/// Samples travel in buffers of this size: 85 ms of stereo.
pub(super) const BUFFER_BYTES: usize = 16 * 1024;

/// Buffers kept for reuse: two for each of 150 tracks.
const FREE_MAX: usize = 300;

/// A bounded queue. Buffers are counted from when a track takes one until the disk gives it back.
#[derive(Debug)]
pub(super) struct Queue {
    ops: VecDeque<FileOp>,
    free: Vec<Vec<u8>>,
    buffers_out: usize,
    buffers_max: usize,
    /// Operations ever queued and ever answered; the difference waits for the disk.
    pub(super) queued: u64,
    pub(super) answered: u64,
    /// Sample bytes that had no buffer and became silence.
    pub(super) silenced_bytes: u64,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            ops: VecDeque::new(),
            free: Vec::new(),
            buffers_out: 0,
            buffers_max: (bytes_max / BUFFER_BYTES).max(1),
            queued: 0,
            answered: 0,
            silenced_bytes: 0,
        }
    }

    pub(super) fn push(&mut self, op: FileOp) {
        self.queued += 1;
        self.ops.push_back(op);
    }

    pub(super) fn pop(&mut self) -> Option<FileOp> {
        self.ops.pop_front()
    }

    /// Operations that are not answered yet.
    pub(super) const fn waiting(&self) -> usize {
        self.queued.saturating_sub(self.answered) as usize
    }

    /// An empty buffer for at least `bytes`; `None` while too many are on their way.
    pub(super) fn buffer(&mut self, bytes: usize) -> Option<Vec<u8>> {
        if bytes > BUFFER_BYTES || self.buffers_out >= self.buffers_max {
            return None;
        }
        self.buffers_out += 1;
        Some(self.free.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)))
    }

    /// Takes a buffer back. Others, like that of a file header, are let go.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() >= BUFFER_BYTES {
            buffer.clear();
            self.buffers_out = self.buffers_out.saturating_sub(1);
            if self.free.len() < FREE_MAX {
                self.free.push(buffer);
            }
        }
    }

    /// Bytes of all buffers, used or free.
    pub(super) fn buffer_bytes(&self) -> usize {
        (self.buffers_out + self.free.len()) * BUFFER_BYTES
    }
}
