//! AMF0: the form of practically all commands and metadata.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use rtmp_core::{AmfLimits, amf::amf0::{self, Value}};
//!
//! let mut wire = BytesMut::new();
//! amf0::encode(&Value::from("live"), &mut wire)?;
//! assert_eq!(wire[..], [0x02, 0, 4, b'l', b'i', b'v', b'e']);
//! assert_eq!(amf0::decode_all(wire.freeze(), AmfLimits::default())?, [Value::from("live")]);
//! # Ok::<(), rtmp_core::amf::AmfError>(())
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::{AmfError, AmfErrorKind, Object, Reader, Text, amf3};
use crate::limits::AmfLimits;

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0a;
const DATE: u8 = 0x0b;
const LONG_STRING: u8 = 0x0c;
const UNSUPPORTED: u8 = 0x0d;
const XML: u8 = 0x0f;
const TYPED_OBJECT: u8 = 0x10;
const AMF3: u8 = 0x11;

/// Deepest value [`encode`] writes; deeper ones could not be read back by us either.
const ENCODE_DEPTH_MAX: u32 = 64;

/// An AMF0 value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A double.
    Number(f64),
    /// A truth value; any non-zero byte is true.
    Boolean(bool),
    /// A string. Above 65,535 bytes it is written in the long form.
    String(Text),
    /// An anonymous object.
    Object(Object<Self>),
    /// Null.
    Null,
    /// Undefined.
    Undefined,
    /// A reference to an earlier object of the same message, by number.
    Reference(u16),
    /// An associative array. The count on the wire is only a hint and not kept.
    EcmaArray(Object<Self>),
    /// A dense array.
    StrictArray(Vec<Self>),
    /// A date.
    Date {
        /// Milliseconds since 1970.
        unix_millis: f64,
        /// Minutes of time zone; to be ignored by receivers.
        zone_minutes: i16,
    },
    /// A string in the long form although it is short (when it is long, [`String`](Self::String) is the same).
    LongString(Text),
    /// A value the sender could not express.
    Unsupported,
    /// An XML document.
    Xml(Text),
    /// An object of a named class.
    TypedObject {
        /// The class.
        class: Text,
        /// The properties.
        properties: Object<Self>,
    },
    /// One value in AMF3.
    Amf3(Box<amf3::Value>),
}

impl Value {
    /// The number, when it is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Amf3(value) => value.as_number(),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            Self::Amf3(value) => value.as_bool(),
            _ => None,
        }
    }

    /// The string, when it is one of either form.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Self::String(text) | Self::LongString(text) => Some(text),
            Self::Amf3(value) => value.as_text(),
            _ => None,
        }
    }

    /// The string, when it is one and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_text()?.to_str()
    }

    /// The properties, when it is an object, a typed object or an associative array.
    pub fn as_object(&self) -> Option<&Object<Self>> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) | Self::TypedObject { properties: object, .. } => {
                Some(object)
            }
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::String(text)
    }
}

impl From<Object<Self>> for Value {
    fn from(object: Object<Self>) -> Self {
        Self::Object(object)
    }
}

/// What a decoder does with an object that ends where the message ends, without its end marker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CutObjects {
    /// It is an error; right for commands.
    #[default]
    Refuse,
    /// It counts as complete; some encoders cut their metadata so.
    Accept,
}

/// Reads the values of a message one after the other.
#[derive(Clone, Debug)]
pub struct Decoder {
    reader: Reader,
    cut: CutObjects,
}

impl Decoder {
    /// A decoder at the front of `bytes`.
    pub fn new(bytes: Bytes, limits: AmfLimits) -> Self {
        Self { reader: Reader::new(bytes, limits), cut: CutObjects::Refuse }
    }

    /// The same decoder with another treatment of cut objects.
    #[must_use]
    pub fn cut_objects(mut self, cut: CutObjects) -> Self {
        self.cut = cut;
        self
    }

    /// The next value; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`AmfError`] with the offset of what cannot be read.
    pub fn next_value(&mut self) -> Result<Option<Value>, AmfError> {
        if self.reader.is_empty() { Ok(None) } else { self.value(0).map(Some) }
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// The bytes that have not been read.
    pub fn remaining(&self) -> Bytes {
        self.reader.remaining()
    }

    /// Goes on `bytes` further, without reading.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.reader.skip(bytes);
    }

    fn value(&mut self, depth: u32) -> Result<Value, AmfError> {
        let start = self.reader.offset();
        self.reader.count_value()?;
        let reader = &mut self.reader;
        Ok(match reader.u8()? {
            NUMBER => Value::Number(reader.f64()?),
            BOOLEAN => Value::Boolean(reader.u8()? != 0),
            STRING => Value::String(self.short_text()?),
            OBJECT => Value::Object(self.properties(depth)?),
            NULL => Value::Null,
            UNDEFINED => Value::Undefined,
            REFERENCE => Value::Reference(reader.u16()?),
            ECMA_ARRAY => {
                reader.u32()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            STRICT_ARRAY => Value::StrictArray(self.elements(depth)?),
            DATE => {
                Value::Date { unix_millis: reader.f64()?, zone_minutes: i16::from_be_bytes(reader.array()?) }
            }
            LONG_STRING => Value::LongString(self.long_text()?),
            UNSUPPORTED => Value::Unsupported,
            XML => Value::Xml(self.long_text()?),
            TYPED_OBJECT => {
                let class = self.short_text()?;
                Value::TypedObject { class, properties: self.properties(depth)? }
            }
            AMF3 => {
                let depth = reader.deeper(depth)?;
                Value::Amf3(Box::new(amf3::read_value(reader, &mut amf3::Tables::default(), depth)?))
            }
            OBJECT_END => return Err(Reader::error_at(start, AmfErrorKind::UnexpectedEnd)),
            marker => return Err(Reader::error_at(start, AmfErrorKind::Marker(marker))),
        })
    }

    fn short_text(&mut self) -> Result<Text, AmfError> {
        let length = self.reader.u16()?;
        self.reader.text(length.into())
    }

    fn long_text(&mut self) -> Result<Text, AmfError> {
        let length = self.reader.u32()?;
        self.reader.text(length)
    }

    fn properties(&mut self, depth: u32) -> Result<Object<Value>, AmfError> {
        let depth = self.reader.deeper(depth)?;
        let mut properties = Object::new();
        loop {
            if self.cut == CutObjects::Accept && self.reader.is_empty() {
                return Ok(properties);
            }
            let key = self.short_text()?;
            if key.is_empty() && self.reader.peek() == Some(OBJECT_END) {
                self.reader.u8()?;
                return Ok(properties);
            }
            properties.push(key, self.value(depth)?);
        }
    }

    fn elements(&mut self, depth: u32) -> Result<Vec<Value>, AmfError> {
        let depth = self.reader.deeper(depth)?;
        let count = self.reader.u32()?;
        // Nothing is reserved for a count: each value has to arrive first.
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.value(depth)?);
        }
        Ok(elements)
    }
}

/// Reads all values of a message.
///
/// # Errors
///
/// [`AmfError`] with the offset of what cannot be read.
pub fn decode_all(bytes: Bytes, limits: AmfLimits) -> Result<Vec<Value>, AmfError> {
    let mut decoder = Decoder::new(bytes, limits);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value()? {
        values.push(value);
    }
    Ok(values)
}

/// Appends one value to `out`.
///
/// # Errors
///
/// When a property name or class has more than 65,535 bytes, or the value is nested deeper than 64. `out` then holds
/// a part of the value.
pub fn encode(value: &Value, out: &mut BytesMut) -> Result<(), AmfError> {
    put_value(value, out, 0)
}

/// Appends several values to `out`.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_all<'a>(
    values: impl IntoIterator<Item = &'a Value>,
    out: &mut BytesMut,
) -> Result<(), AmfError> {
    values.into_iter().try_for_each(|value| encode(value, out))
}

fn put_value(value: &Value, out: &mut BytesMut, depth: u32) -> Result<(), AmfError> {
    if depth > ENCODE_DEPTH_MAX {
        return Err(AmfError { offset: out.len(), kind: AmfErrorKind::Depth(ENCODE_DEPTH_MAX) });
    }
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(value) => out.put_slice(&[BOOLEAN, u8::from(*value)]),
        Value::String(text) if text.len() <= usize::from(u16::MAX) => {
            out.put_u8(STRING);
            put_short_text(text, out)?;
        }
        Value::String(text) | Value::LongString(text) => {
            out.put_u8(LONG_STRING);
            put_long_text(text, out)?;
        }
        Value::Object(object) => {
            out.put_u8(OBJECT);
            put_properties(object, out, depth)?;
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
        Value::Reference(index) => {
            out.put_u8(REFERENCE);
            out.put_u16(*index);
        }
        Value::EcmaArray(object) => {
            out.put_u8(ECMA_ARRAY);
            out.put_u32(object.len() as u32);
            put_properties(object, out, depth)?;
        }
        Value::StrictArray(elements) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(elements.len() as u32);
            for element in elements {
                put_value(element, out, depth.saturating_add(1))?;
            }
        }
        Value::Date { unix_millis, zone_minutes } => {
            out.put_u8(DATE);
            out.put_f64(*unix_millis);
            out.put_i16(*zone_minutes);
        }
        Value::Unsupported => out.put_u8(UNSUPPORTED),
        Value::Xml(text) => {
            out.put_u8(XML);
            put_long_text(text, out)?;
        }
        Value::TypedObject { class, properties } => {
            out.put_u8(TYPED_OBJECT);
            put_short_text(class, out)?;
            put_properties(properties, out, depth)?;
        }
        Value::Amf3(value) => {
            out.put_u8(AMF3);
            amf3::put_value(value, out, depth.saturating_add(1))?;
        }
    }
    Ok(())
}

fn put_properties(object: &Object<Value>, out: &mut BytesMut, depth: u32) -> Result<(), AmfError> {
    for (key, value) in object {
        put_short_text(key, out)?;
        put_value(value, out, depth.saturating_add(1))?;
    }
    out.put_slice(&[0, 0, OBJECT_END]);
    Ok(())
}

fn put_short_text(text: &Text, out: &mut BytesMut) -> Result<(), AmfError> {
    let Ok(length) = u16::try_from(text.len()) else { return Err(too_long(text, out)) };
    out.put_u16(length);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_long_text(text: &Text, out: &mut BytesMut) -> Result<(), AmfError> {
    let Ok(length) = u32::try_from(text.len()) else { return Err(too_long(text, out)) };
    out.put_u32(length);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn too_long(text: &Text, out: &BytesMut) -> AmfError {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    AmfError { offset: out.len(), kind: AmfErrorKind::StringBytes(length) }
}
