//! Protocol control and user control messages (spec section 4).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Timestamp;
use crate::chunk::{CSID_CONTROL, Message, MessageType};

/// A control message that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("type {kind} with {length} bytes of payload")]
pub struct ControlError {
    /// The message type.
    pub kind: u8,
    /// Bytes of payload, which are too few.
    pub length: usize,
}

/// A message of types 1 to 6, which rule the connection itself.
///
/// ```
/// use rtmp_core::message::{Control, MessageType};
///
/// let message = Control::WindowAckSize(2_500_000).message();
/// assert_eq!((message.kind, &message.payload[..]), (MessageType::WINDOW_ACK_SIZE, &[0, 0x26, 0x25, 0xa0][..]));
/// assert_eq!(Control::parse(message.kind, &message.payload)?, Some(Control::WindowAckSize(2_500_000)));
/// # Ok::<(), rtmp_core::message::ControlError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Control {
    /// The sender's chunk size from now on. The unused top bit is masked.
    SetChunkSize(u32),
    /// The unfinished message of this chunk stream is void.
    Abort(u32),
    /// Bytes received so far, modulo 2^32.
    Acknowledgement(u32),
    /// An event of the stream layer.
    UserControl(UserControl),
    /// The sender expects an acknowledgement each time so many bytes have arrived.
    WindowAckSize(u32),
    /// The receiver should not send more than this without acknowledgement.
    SetPeerBandwidth {
        /// Bytes.
        window: u32,
        /// How binding it is.
        limit: BandwidthLimit,
    },
}

/// How binding a Set Peer Bandwidth is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BandwidthLimit {
    /// Use this window.
    Hard,
    /// Use the smaller of this and the present one.
    Soft,
    /// Hard if the last one was hard, otherwise to be ignored.
    Dynamic,
    /// A value the specification does not know.
    Other(u8),
}

/// An event of a User Control message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UserControl {
    /// The stream is usable (0).
    StreamBegin(u32),
    /// The stream has ended, or pauses (1).
    StreamEof(u32),
    /// No data for a while (2).
    StreamDry(u32),
    /// The viewer's buffer (3).
    SetBufferLength {
        /// Message stream.
        msid: u32,
        /// Milliseconds.
        millis: u32,
    },
    /// The stream is recorded (4).
    StreamIsRecorded(u32),
    /// To be answered with the same number (6).
    PingRequest(u32),
    /// The answer (7).
    PingResponse(u32),
    /// The viewer's buffer is empty (0x1f).
    BufferEmpty(u32),
    /// The viewer's buffer is full (0x20).
    BufferFull(u32),
    /// Any other event, or a known one with too little data.
    Other {
        /// The event number.
        event: u16,
        /// Its data.
        data: Bytes,
    },
}

impl Control {
    /// Reads a control message. `None` for a message of another type.
    ///
    /// # Errors
    ///
    /// When the payload is too short for its type.
    pub fn parse(kind: MessageType, payload: &Bytes) -> Result<Option<Self>, ControlError> {
        if !kind.is_control() {
            return Ok(None);
        }
        let error = ControlError { kind: kind.0, length: payload.len() };
        if kind == MessageType::USER_CONTROL {
            return UserControl::parse(payload).map(|event| Some(Self::UserControl(event))).ok_or(error);
        }
        let (number, rest) = payload.split_first_chunk::<4>().ok_or(error)?;
        let number = u32::from_be_bytes(*number);
        Ok(Some(match kind {
            MessageType::SET_CHUNK_SIZE => Self::SetChunkSize(number & 0x7fff_ffff),
            MessageType::ABORT => Self::Abort(number),
            MessageType::ACKNOWLEDGEMENT => Self::Acknowledgement(number),
            MessageType::WINDOW_ACK_SIZE => Self::WindowAckSize(number),
            _ => {
                // Some senders leave the limit byte out.
                let limit = match rest.first() {
                    None | Some(2) => BandwidthLimit::Dynamic,
                    Some(0) => BandwidthLimit::Hard,
                    Some(1) => BandwidthLimit::Soft,
                    Some(&other) => BandwidthLimit::Other(other),
                };
                Self::SetPeerBandwidth { window: number, limit }
            }
        }))
    }

    /// The message on the control chunk stream.
    pub fn message(&self) -> Message {
        let mut payload = BytesMut::with_capacity(16);
        let kind = match self {
            Self::SetChunkSize(number) => put(MessageType::SET_CHUNK_SIZE, *number, &mut payload),
            Self::Abort(number) => put(MessageType::ABORT, *number, &mut payload),
            Self::Acknowledgement(number) => put(MessageType::ACKNOWLEDGEMENT, *number, &mut payload),
            Self::WindowAckSize(number) => put(MessageType::WINDOW_ACK_SIZE, *number, &mut payload),
            Self::SetPeerBandwidth { window, limit } => {
                let kind = put(MessageType::SET_PEER_BANDWIDTH, *window, &mut payload);
                payload.put_u8(match limit {
                    BandwidthLimit::Hard => 0,
                    BandwidthLimit::Soft => 1,
                    BandwidthLimit::Dynamic => 2,
                    BandwidthLimit::Other(other) => *other,
                });
                kind
            }
            Self::UserControl(event) => {
                event.put(&mut payload);
                MessageType::USER_CONTROL
            }
        };
        Message { csid: CSID_CONTROL, timestamp: Timestamp::ZERO, kind, msid: 0, payload: payload.freeze() }
    }
}

fn put(kind: MessageType, number: u32, payload: &mut BytesMut) -> MessageType {
    payload.put_u32(number);
    kind
}

impl UserControl {
    /// `None` when the payload is shorter than any event, or a ping without its number.
    fn parse(payload: &Bytes) -> Option<Self> {
        let (event, data) = payload.split_first_chunk::<2>()?;
        let event = u16::from_be_bytes(*event);
        let number = |at: usize| Some(u32::from_be_bytes(*data.get(at..)?.split_first_chunk()?.0));
        let known = match event {
            0 => number(0).map(Self::StreamBegin),
            1 => number(0).map(Self::StreamEof),
            2 => number(0).map(Self::StreamDry),
            3 => number(0).zip(number(4)).map(|(msid, millis)| Self::SetBufferLength { msid, millis }),
            4 => number(0).map(Self::StreamIsRecorded),
            6 => return number(0).map(Self::PingRequest),
            7 => return number(0).map(Self::PingResponse),
            0x1f => number(0).map(Self::BufferEmpty),
            0x20 => number(0).map(Self::BufferFull),
            _ => None,
        };
        Some(known.unwrap_or_else(|| Self::Other { event, data: payload.slice(2..) }))
    }

    fn put(&self, payload: &mut BytesMut) {
        let (event, number) = match *self {
            Self::StreamBegin(msid) => (0, msid),
            Self::StreamEof(msid) => (1, msid),
            Self::StreamDry(msid) => (2, msid),
            Self::SetBufferLength { msid, .. } => (3, msid),
            Self::StreamIsRecorded(msid) => (4, msid),
            Self::PingRequest(number) => (6, number),
            Self::PingResponse(number) => (7, number),
            Self::BufferEmpty(msid) => (0x1f, msid),
            Self::BufferFull(msid) => (0x20, msid),
            Self::Other { event, ref data } => {
                payload.put_u16(event);
                payload.put_slice(data);
                return;
            }
        };
        payload.put_u16(event);
        payload.put_u32(number);
        if let Self::SetBufferLength { millis, .. } = *self {
            payload.put_u32(millis);
        }
    }
}
