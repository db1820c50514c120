//! Aggregate messages: several media messages in one (spec 5.3).

use bytes::{Buf, Bytes};

use crate::Timestamp;
use crate::chunk::MessageType;

const TAG_HEADER: usize = 11;

/// A message taken out of an aggregate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubMessage {
    /// Audio, video or data.
    pub kind: MessageType,
    /// Its own time.
    pub timestamp: Timestamp,
    /// Its payload, a part of the aggregate's.
    pub payload: Bytes,
}

/// Walks through the messages of an aggregate. A cut tag ends the walk, an aggregate inside is skipped.
///
/// ```
/// use bytes::Bytes;
/// use rtmp_core::{Timestamp, message::Aggregate};
///
/// let payload = Bytes::from_static(b"\x08\0\0\x01\0\x03\xe8\0\0\0\0\xaf\0\0\0\x0c");
/// let messages: Vec<_> = Aggregate::new(Timestamp::from_millis(5000), payload, 4096).collect();
/// assert_eq!((messages[0].timestamp.millis(), &messages[0].payload[..]), (5000, &[0xaf][..]));
/// ```
#[derive(Clone, Debug)]
pub struct Aggregate {
    rest: Bytes,
    timestamp: Timestamp,
    first: Option<Timestamp>,
    tags_left: usize,
    dropped: bool,
}

impl Aggregate {
    /// The messages in the `payload` of an aggregate message of the given time, at most `tags_max` of them.
    pub fn new(timestamp: Timestamp, payload: Bytes, tags_max: usize) -> Self {
        Self { rest: payload, timestamp, first: None, tags_left: tags_max, dropped: false }
    }

    /// Whether something could not be taken: a cut tag, a nested aggregate, or more tags than allowed.
    pub fn dropped(&self) -> bool {
        self.dropped
    }
}

impl Iterator for Aggregate {
    type Item = SubMessage;

    fn next(&mut self) -> Option<SubMessage> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let header = self.rest.split_first_chunk::<TAG_HEADER>();
            let (Some((header, body)), Some(tags_left)) = (header, self.tags_left.checked_sub(1)) else {
                self.dropped = true;
                self.rest.clear();
                return None;
            };
            self.tags_left = tags_left;
            let [kind, l2, l1, l0, t2, t1, t0, t3, ..] = *header;
            let length = u32::from_be_bytes([0, l2, l1, l0]) as usize;
            let time = Timestamp::from_millis(u32::from_be_bytes([t3, t2, t1, t0]));
            if body.len() < length {
                self.dropped = true;
                self.rest.clear();
                return None;
            }
            let end = length.saturating_add(TAG_HEADER);
            let payload = self.rest.slice(TAG_HEADER..end);
            // The back pointer behind the last tag may be missing.
            self.rest.advance(end.saturating_add(4).min(self.rest.len()));
            let first = *self.first.get_or_insert(time);
            if MessageType(kind) == MessageType::AGGREGATE {
                self.dropped = true;
                continue;
            }
            let timestamp = self.timestamp.shifted(time.since(first));
            return Some(SubMessage { kind: MessageType(kind), timestamp, payload });
        }
    }
}
