//! Commands as they stand on the wire: a name, a transaction, an object, further values (spec section 7).

use bytes::{Bytes, BytesMut};

use crate::Timestamp;
use crate::amf::amf0::{self, Decoder, Value};
use crate::amf::{AmfError, Text};
use crate::chunk::{CSID_COMMAND, CSID_STREAM, Message, MessageType};
use crate::limits::AmfLimits;

const AMF0_STRING: u8 = 0x02;

/// A command with any name and values. [`Call`](super::Call) gives the known ones a meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The name; empty when the sender did not send a string.
    pub name: Text,
    /// The transaction, 0 when no answer is expected.
    pub transaction: f64,
    /// The command object; usually null outside `connect`.
    pub object: Value,
    /// Further values.
    pub arguments: Vec<Value>,
}

impl Command {
    /// A command without further values.
    pub fn new(name: &'static str, transaction: f64) -> Self {
        Self { name: Text::from_static(name), transaction, object: Value::Null, arguments: Vec::new() }
    }

    /// The same command with one more value.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.arguments.push(value.into());
        self
    }

    /// Reads the payload of a command message of type 20, or 17 with or without its format byte. Missing values
    /// become null.
    ///
    /// # Errors
    ///
    /// [`AmfError`] with the offset of what cannot be read.
    pub fn parse(kind: MessageType, payload: &Bytes, limits: AmfLimits) -> Result<Self, AmfError> {
        let mut decoder = Decoder::new(amf0_part(kind, payload), limits);
        let name = decoder.next_value()?.unwrap_or(Value::Null);
        let transaction = decoder.next_value()?.unwrap_or(Value::Null);
        let object = decoder.next_value()?.unwrap_or(Value::Null);
        let mut arguments = Vec::new();
        while let Some(value) = decoder.next_value()? {
            arguments.push(value);
        }
        Ok(Self {
            name: name.as_text().cloned().unwrap_or_default(),
            transaction: transaction.as_number().unwrap_or(0.0),
            object,
            arguments,
        })
    }

    /// The value at `index` behind the command object.
    pub fn argument(&self, index: usize) -> Option<&Value> {
        self.arguments.get(index)
    }

    /// The payload of the command in AMF0.
    ///
    /// # Errors
    ///
    /// When a value cannot be written, see [`amf0::encode`].
    pub fn payload(&self) -> Result<Bytes, AmfError> {
        let mut payload = BytesMut::with_capacity(256);
        amf0::encode(&Value::String(self.name.clone()), &mut payload)?;
        amf0::encode(&Value::Number(self.transaction), &mut payload)?;
        amf0::encode(&self.object, &mut payload)?;
        amf0::encode_all(&self.arguments, &mut payload)?;
        Ok(payload.freeze())
    }

    /// The command as a message of type 20: on the connection's chunk stream for message stream 0, on the stream
    /// commands' one otherwise.
    ///
    /// # Errors
    ///
    /// When a value cannot be written, see [`amf0::encode`].
    pub fn message(&self, msid: u32) -> Result<Message, AmfError> {
        let csid = if msid == 0 { CSID_COMMAND } else { CSID_STREAM };
        let payload = self.payload()?;
        Ok(Message { csid, timestamp: Timestamp::ZERO, kind: MessageType::COMMAND, msid, payload })
    }
}

/// The AMF0 values of a command or data message: types 15 and 17 put a format byte in front, which some senders
/// forget (spec 5.1).
pub(crate) fn amf0_part(kind: MessageType, payload: &Bytes) -> Bytes {
    let amf3_form = kind == MessageType::COMMAND_AMF3 || kind == MessageType::DATA_AMF3;
    match payload.first() {
        Some(&first) if amf3_form && first != AMF0_STRING => payload.slice(1..),
        _ => payload.clone(),
    }
}
