//! Shared segments with spliced headers, read back: every viewer gets what a plain writer would have sent it.
#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use rtmp_core::chunk::{ChunkReader, ChunkWriter, Message, MessageType};
use rtmp_core::message::Control;
use rtmp_core::segment::{Cursor, Framing, Outgoing, Ring, Segment, SegmentWriter};
use rtmp_core::{Limits, Media, MediaKind, Timestamp};

const SEGMENTS_MAX: usize = 6;

struct Viewer {
    msid: u32,
    shift: i32,
    cursor: Cursor,
    private: BytesMut,
    writer: ChunkWriter,
    /// Messages in `private`.
    waiting: Vec<Message>,
    wire: BytesMut,
    expected: Vec<Message>,
}

impl Viewer {
    fn new(msid: u32, next: u64, shift: i32, chunk_size: u32) -> Self {
        let mut writer = ChunkWriter::default();
        let mut wire = BytesMut::new();
        let told = Control::SetChunkSize(chunk_size).message();
        writer.write(&mut wire, &told);
        writer.set_chunk_size(chunk_size);
        let cursor = Cursor::new(msid, next, shift);
        let private = BytesMut::new();
        Self { msid, shift, cursor, private, writer, waiting: Vec::new(), wire, expected: vec![told] }
    }

    fn say(&mut self, message: Message) {
        self.writer.write(&mut self.private, &message);
        self.waiting.push(message);
    }

    /// Takes up to `bytes` of what it has to get.
    fn take(&mut self, ring: &Ring, log: &Log, bytes: usize) {
        let before = self.cursor.next();
        let mut outgoing = Outgoing::new(&mut self.private, &mut self.cursor, ring);
        let bytes = bytes.min(outgoing.remaining());
        self.wire.extend_from_slice(&outgoing.copy_to_bytes(bytes));
        drop(outgoing);
        if self.private.is_empty() {
            self.expected.append(&mut self.waiting);
        }
        for number in before..self.cursor.next() {
            assert!(self.waiting.is_empty(), "private bytes come before the next segment");
            for media in log.segment(number) {
                let timestamp = media.timestamp.shifted(self.shift);
                self.expected.push(Message { timestamp, ..media.message(self.msid) });
            }
        }
    }
}

/// What was written, by segment.
#[derive(Default)]
struct Log {
    front: u64,
    segments: VecDeque<Vec<Media>>,
    open: Vec<Media>,
}

impl Log {
    fn segment(&self, number: u64) -> &[Media] {
        &self.segments[(number - self.front) as usize]
    }

    /// A segment is complete; all but the last `keep` messages are in it.
    fn complete(&mut self, ring: &mut Ring, segment: Option<Segment>, keep: usize) {
        let Some(segment) = segment else { return };
        let last = self.open.split_off(self.open.len() - keep);
        let media: Vec<_> = (0..segment.index().len()).filter_map(|at| segment.media(at)).collect();
        assert_eq!(media, self.open, "a segment can be read back");
        self.segments.push_back(std::mem::replace(&mut self.open, last));
        ring.push(Arc::new(segment));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[size, scale], mut rest)) = data.split_first_chunk() else { return };
    let chunk_size = u32::from(size).max(1);
    let mut writer = SegmentWriter::new(Framing::Chunks { size: chunk_size });
    let (mut ring, mut log) = (Ring::default(), Log::default());
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut time = Timestamp::from_millis(u32::from(scale) << 20);
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        match what % 8 {
            0..3 => {
                // Mostly small steps; sometimes far ahead or back.
                time = match what >> 5 {
                    0 => time.shifted(-(i32::from(b) << 8)),
                    1 => time + (u32::from(b) << 18),
                    _ => time + u32::from(b),
                };
                let kind = MediaKind::ALL[usize::from(a) % 3];
                let media = Media { kind, timestamp: time, payload: Bytes::copy_from_slice(body) };
                let finished = writer.push(&media);
                log.open.push(media);
                log.complete(&mut ring, finished, 1);
            }
            3 => {
                let finished = if a & 1 == 0 { writer.finish() } else { writer.restart() };
                log.complete(&mut ring, finished, 0);
            }
            4 if viewers.len() < 4 => {
                let next = ring.front() + u64::from(a) % (ring.end() - ring.front() + 1);
                let shift = (i32::from(b) - 128) << (a & 15);
                viewers.push(Viewer::new(1 + u32::from(a >> 6), next, shift, chunk_size));
            }
            what => {
                let count = viewers.len().max(1);
                let Some(viewer) = viewers.get_mut(usize::from(a) % count) else { continue };
                match what {
                    4 => viewer.cursor.jump(ring.front() + u64::from(b) % (ring.end() - ring.front() + 1)),
                    5 => {
                        let kind = MediaKind::ALL[usize::from(b) % 3];
                        let own = b & 4 == 0;
                        let message = Message {
                            csid: if own { 3 } else { kind.csid() },
                            timestamp: if own { Timestamp::ZERO } else { time.shifted(viewer.shift) },
                            kind: if own { MessageType::COMMAND } else { kind.message_type() },
                            msid: if own { 0 } else { viewer.msid },
                            payload: Bytes::copy_from_slice(body),
                        };
                        if !own {
                            viewer.cursor.resend_header(kind);
                        }
                        viewer.say(message);
                    }
                    _ => viewer.take(&ring, &log, usize::from(b) * 3),
                }
            }
        }
        while ring.end() - ring.front() > SEGMENTS_MAX as u64 {
            ring.pop();
            log.segments.pop_front();
            log.front += 1;
            for viewer in viewers.iter_mut().filter(|viewer| viewer.cursor.next() < ring.front()) {
                viewer.cursor.jump(ring.front());
            }
        }
    }
    let mut limits = Limits::default();
    limits.chunk_size_min = 1;
    limits.header_budget = u32::MAX;
    for mut viewer in viewers {
        while viewer.cursor.next() < ring.end()
            || viewer.cursor.is_mid_segment()
            || !viewer.private.is_empty()
        {
            viewer.take(&ring, &log, usize::MAX);
        }
        let mut reader = ChunkReader::new(&limits);
        for expected in viewer.expected {
            assert_eq!(reader.read(&mut viewer.wire), Ok(Some(expected)));
        }
        assert_eq!(reader.read(&mut viewer.wire), Ok(None));
        assert!(viewer.wire.is_empty());
    }
});
