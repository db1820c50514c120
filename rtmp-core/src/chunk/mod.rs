//! The chunk layer: messages cut into chunks and put together again (spec section 3).
//!
//! ```text
//!   bytes ──▶ ChunkReader ──▶ Message ──▶ ChunkWriter ──▶ bytes
//! ```

mod header;
mod reader;
mod writer;

use bytes::Bytes;

pub(crate) use header::{EXTENDED, Header};
pub use reader::ChunkReader;
pub use writer::{ChunkWriter, Compression};

use crate::Timestamp;

/// The chunk size of a fresh connection, in each direction.
pub const DEFAULT_CHUNK_SIZE: u32 = 128;
/// Sizes above this behave like this: a message cannot be longer.
pub const CHUNK_SIZE_MAX: u32 = 0xff_ffff;
/// Chunk stream of protocol control and user control messages.
pub const CSID_CONTROL: u32 = 2;
/// Chunk stream of connection commands and their replies.
pub const CSID_COMMAND: u32 = 3;
/// Chunk stream of data messages.
pub const CSID_DATA: u32 = 4;
/// Chunk stream of stream commands and `onStatus`.
pub const CSID_STREAM: u32 = 5;
/// Chunk stream of video.
pub const CSID_VIDEO: u32 = 6;
/// Chunk stream of audio.
pub const CSID_AUDIO: u32 = 7;
/// The largest chunk stream id.
pub const CSID_MAX: u32 = 65_599;

/// A complete message of the chunk layer. What its payload means is the business of [`crate::message`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Chunk stream it travels on (2..=65,599).
    pub csid: u32,
    /// Absolute time, already put together from deltas.
    pub timestamp: Timestamp,
    /// Message type.
    pub kind: MessageType,
    /// Message stream it belongs to; 0 is the connection itself.
    pub msid: u32,
    /// The payload without any chunk header.
    pub payload: Bytes,
}

/// A message type as it stands on the wire (spec section 5).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageType(pub u8);

impl MessageType {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// Abort.
    pub const ABORT: Self = Self(2);
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// User Control.
    pub const USER_CONTROL: Self = Self(4);
    /// Window Acknowledgement Size.
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// Audio.
    pub const AUDIO: Self = Self(8);
    /// Video.
    pub const VIDEO: Self = Self(9);
    /// Data, AMF3 form.
    pub const DATA_AMF3: Self = Self(15);
    /// Shared object, AMF3 form.
    pub const SHARED_OBJECT_AMF3: Self = Self(16);
    /// Command, AMF3 form.
    pub const COMMAND_AMF3: Self = Self(17);
    /// Data, AMF0 form.
    pub const DATA: Self = Self(18);
    /// Shared object, AMF0 form.
    pub const SHARED_OBJECT: Self = Self(19);
    /// Command, AMF0 form.
    pub const COMMAND: Self = Self(20);
    /// Aggregate of several media messages.
    pub const AGGREGATE: Self = Self(22);

    /// Whether this is one of the control messages of types 1 to 6.
    pub const fn is_control(self) -> bool {
        1 <= self.0 && self.0 <= 6
    }
}
