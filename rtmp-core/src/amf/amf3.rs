//! AMF3: found inside AMF0 behind a switch marker, from Flash players with `objectEncoding` 3.
//!
//! String and trait references are resolved while reading; references to objects stay [`Value::Reference`] with
//! their number, so that cyclic values can neither loop nor grow, and writing a value again keeps every number valid.

use bytes::{BufMut, Bytes, BytesMut};

use super::{AmfError, AmfErrorKind, Object, Reader, Text};
use crate::limits::AmfLimits;

const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0a;
const XML: u8 = 0x0b;
const BYTE_ARRAY: u8 = 0x0c;
const VECTOR_INT: u8 = 0x0d;
const VECTOR_UINT: u8 = 0x0e;
const VECTOR_DOUBLE: u8 = 0x0f;
const VECTOR_OBJECT: u8 = 0x10;
const DICTIONARY: u8 = 0x11;

const INTEGER_MIN: i32 = -(1 << 28);
const INTEGER_MAX: i32 = (1 << 28) - 1;
const ENCODE_DEPTH_MAX: u32 = 64;

/// An AMF3 value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Undefined.
    Undefined,
    /// Null.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A signed integer of 29 bits.
    Integer(i32),
    /// A double.
    Double(f64),
    /// A string.
    String(Text),
    /// An XML document of the old kind.
    XmlDocument(Text),
    /// Milliseconds since 1970.
    Date(f64),
    /// An array: named elements first, then dense ones.
    Array {
        /// Elements with a name.
        named: Object<Self>,
        /// Elements by position.
        dense: Vec<Self>,
    },
    /// An object.
    Object {
        /// The class; empty for an anonymous object.
        class: Text,
        /// Properties that belong to the class.
        sealed: Object<Self>,
        /// Further properties; `None` when the class allows none.
        dynamic: Option<Object<Self>>,
    },
    /// An object of one of the two known classes whose private format is a single value (`flex.messaging.io`
    /// `ArrayCollection` and `ObjectProxy`).
    Wrapped {
        /// The class.
        class: Text,
        /// The value inside.
        value: Box<Self>,
    },
    /// An XML document.
    Xml(Text),
    /// Bytes.
    ByteArray(Bytes),
    /// A vector of signed integers.
    VectorInt {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<i32>,
    },
    /// A vector of unsigned integers.
    VectorUint {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<u32>,
    },
    /// A vector of doubles.
    VectorDouble {
        /// Whether its length is fixed.
        fixed: bool,
        /// The elements.
        elements: Vec<f64>,
    },
    /// A vector of objects.
    VectorObject {
        /// Whether its length is fixed.
        fixed: bool,
        /// The class of the elements.
        class: Text,
        /// The elements.
        elements: Vec<Self>,
    },
    /// A dictionary: pairs of any values.
    Dictionary {
        /// Whether keys are held weakly.
        weak: bool,
        /// The pairs.
        entries: Vec<(Self, Self)>,
    },
    /// A reference to an earlier object of the same message, by its number.
    Reference(u32),
}

impl Value {
    /// The number, when it is one of either kind.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some((*number).into()),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The string, when it is one.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// What earlier parts of a value can be referred to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    strings: Vec<Text>,
    traits: Vec<Traits>,
    objects: u32,
}

#[derive(Clone, Debug)]
struct Traits {
    class: Text,
    sealed: Vec<Text>,
    dynamic: bool,
    external: bool,
}

/// Reads all values of a message that is AMF3 from its first byte. Reference tables are shared by all of them.
///
/// # Errors
///
/// [`AmfError`] with the offset of what cannot be read.
pub fn decode_all(bytes: Bytes, limits: AmfLimits) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader::new(bytes, limits);
    let mut tables = Tables::default();
    let mut values = Vec::new();
    while !reader.is_empty() {
        values.push(read_value(&mut reader, &mut tables, 0)?);
    }
    Ok(values)
}

pub(super) fn read_value(reader: &mut Reader, tables: &mut Tables, depth: u32) -> Result<Value, AmfError> {
    reader.count_value()?;
    let at = reader.offset();
    let marker = reader.u8()?;
    Ok(match marker {
        UNDEFINED => Value::Undefined,
        NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        // 29 bits with sign: move the sign to the top and back.
        INTEGER => Value::Integer((read_u29(reader)? << 3).cast_signed() >> 3),
        DOUBLE => Value::Double(reader.f64()?),
        STRING => Value::String(read_text(reader, tables)?),
        XML_DOCUMENT..=DICTIONARY => {
            let head = read_u29(reader)?;
            if head & 1 == 0 {
                let index = head >> 1;
                if index >= tables.objects {
                    return Err(Reader::error_at(at, AmfErrorKind::Reference(index)));
                }
                return Ok(Value::Reference(index));
            }
            tables.objects = tables.objects.saturating_add(1);
            read_complex(reader, tables, depth, marker, head >> 1)?
        }
        marker => return Err(Reader::error_at(at, AmfErrorKind::Marker(marker))),
    })
}

/// A value that takes a place in the object table; `head` is its first number without the reference bit.
fn read_complex(
    reader: &mut Reader,
    tables: &mut Tables,
    depth: u32,
    marker: u8,
    head: u32,
) -> Result<Value, AmfError> {
    Ok(match marker {
        XML_DOCUMENT => Value::XmlDocument(reader.text(head)?),
        XML => Value::Xml(reader.text(head)?),
        DATE => Value::Date(reader.f64()?),
        BYTE_ARRAY => Value::ByteArray(reader.bytes(head)?),
        ARRAY => {
            let depth = reader.deeper(depth)?;
            let named = read_named(reader, tables, depth)?;
            Value::Array { named, dense: read_elements(reader, tables, depth, head)? }
        }
        OBJECT => read_object(reader, tables, depth, head)?,
        VECTOR_INT => {
            let fixed = reader.u8()? != 0;
            Value::VectorInt { fixed, elements: read_words(reader, head)?.map(u32::cast_signed).collect() }
        }
        VECTOR_UINT => {
            let fixed = reader.u8()? != 0;
            Value::VectorUint { fixed, elements: read_words(reader, head)?.collect() }
        }
        VECTOR_DOUBLE => {
            let fixed = reader.u8()? != 0;
            let mut elements = Vec::new();
            for _ in 0..head {
                reader.count_value()?;
                elements.push(reader.f64()?);
            }
            Value::VectorDouble { fixed, elements }
        }
        VECTOR_OBJECT => {
            let depth = reader.deeper(depth)?;
            let fixed = reader.u8()? != 0;
            let class = read_text(reader, tables)?;
            Value::VectorObject { fixed, class, elements: read_elements(reader, tables, depth, head)? }
        }
        _ => {
            let depth = reader.deeper(depth)?;
            let weak = reader.u8()? != 0;
            let mut entries = Vec::new();
            for _ in 0..head {
                let key = read_value(reader, tables, depth)?;
                entries.push((key, read_value(reader, tables, depth)?));
            }
            Value::Dictionary { weak, entries }
        }
    })
}

fn read_object(reader: &mut Reader, tables: &mut Tables, depth: u32, head: u32) -> Result<Value, AmfError> {
    let depth = reader.deeper(depth)?;
    let traits = read_traits(reader, tables, head)?;
    if traits.external {
        let known = ["flex.messaging.io.ArrayCollection", "flex.messaging.io.ObjectProxy"];
        if !known.iter().any(|class| traits.class == *class) {
            return Err(reader.error(AmfErrorKind::Externalizable));
        }
        let value = Box::new(read_value(reader, tables, depth)?);
        return Ok(Value::Wrapped { class: traits.class, value });
    }
    let mut sealed = Object::new();
    for name in traits.sealed {
        sealed.push(name, read_value(reader, tables, depth)?);
    }
    let dynamic = match traits.dynamic {
        true => Some(read_named(reader, tables, depth)?),
        false => None,
    };
    Ok(Value::Object { class: traits.class, sealed, dynamic })
}

fn read_traits(reader: &mut Reader, tables: &mut Tables, head: u32) -> Result<Traits, AmfError> {
    if head & 1 == 0 {
        let index = head >> 1;
        let known = tables.traits.get(index as usize).cloned();
        return known.ok_or_else(|| reader.error(AmfErrorKind::Reference(index)));
    }
    let external = head & 2 != 0;
    let dynamic = head & 4 != 0;
    let class = read_text(reader, tables)?;
    let mut sealed = Vec::new();
    for _ in 0..if external { 0 } else { head >> 3 } {
        reader.count_value()?;
        sealed.push(read_text(reader, tables)?);
    }
    let traits = Traits { class, sealed, dynamic, external };
    tables.traits.push(traits.clone());
    Ok(traits)
}

fn read_named(reader: &mut Reader, tables: &mut Tables, depth: u32) -> Result<Object<Value>, AmfError> {
    let mut named = Object::new();
    loop {
        let key = read_text(reader, tables)?;
        if key.is_empty() {
            return Ok(named);
        }
        named.push(key, read_value(reader, tables, depth)?);
    }
}

fn read_elements(
    reader: &mut Reader,
    tables: &mut Tables,
    depth: u32,
    count: u32,
) -> Result<Vec<Value>, AmfError> {
    let mut elements = Vec::new();
    for _ in 0..count {
        elements.push(read_value(reader, tables, depth)?);
    }
    Ok(elements)
}

fn read_words(reader: &mut Reader, count: u32) -> Result<impl Iterator<Item = u32> + use<>, AmfError> {
    let mut words = Vec::new();
    for _ in 0..count {
        reader.count_value()?;
        words.push(reader.u32()?);
    }
    Ok(words.into_iter())
}

fn read_text(reader: &mut Reader, tables: &mut Tables) -> Result<Text, AmfError> {
    let head = read_u29(reader)?;
    if head & 1 == 0 {
        let index = head >> 1;
        let known = tables.strings.get(index as usize).cloned();
        return known.ok_or_else(|| reader.error(AmfErrorKind::Reference(index)));
    }
    let text = reader.text(head >> 1)?;
    // The empty string is never referred to.
    if !text.is_empty() {
        tables.strings.push(text.clone());
    }
    Ok(text)
}

/// A number of 29 bits in one to four bytes; the fourth byte gives all its eight bits.
fn read_u29(reader: &mut Reader) -> Result<u32, AmfError> {
    let mut number = 0;
    for _ in 0..3 {
        let byte = reader.u8()?;
        number = number << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Ok(number << 8 | u32::from(reader.u8()?))
}

/// Appends one value to `out`. No string or trait reference is written: every value is complete in itself.
///
/// # Errors
///
/// When an integer has more than 29 bits, a length more than 28, or the value is nested deeper than 64.
pub fn encode(value: &Value, out: &mut BytesMut) -> Result<(), AmfError> {
    put_value(value, out, 0)
}

pub(super) fn put_value(value: &Value, out: &mut BytesMut, depth: u32) -> Result<(), AmfError> {
    if depth > ENCODE_DEPTH_MAX {
        return Err(AmfError { offset: out.len(), kind: AmfErrorKind::Depth(ENCODE_DEPTH_MAX) });
    }
    let deeper = depth.saturating_add(1);
    match value {
        Value::Undefined => out.put_u8(UNDEFINED),
        Value::Null => out.put_u8(NULL),
        Value::Boolean(false) => out.put_u8(FALSE),
        Value::Boolean(true) => out.put_u8(TRUE),
        Value::Integer(number) if (INTEGER_MIN..=INTEGER_MAX).contains(number) => {
            out.put_u8(INTEGER);
            put_u29(number.cast_unsigned() & 0x1fff_ffff, out);
        }
        Value::Integer(number) => {
            return Err(AmfError { offset: out.len(), kind: AmfErrorKind::Integer(*number) });
        }
        Value::Double(number) => {
            out.put_u8(DOUBLE);
            out.put_f64(*number);
        }
        Value::String(text) => put_bytes(STRING, text.as_bytes(), out)?,
        Value::XmlDocument(text) => put_bytes(XML_DOCUMENT, text.as_bytes(), out)?,
        Value::Xml(text) => put_bytes(XML, text.as_bytes(), out)?,
        Value::ByteArray(bytes) => put_bytes(BYTE_ARRAY, bytes, out)?,
        Value::Date(millis) => {
            out.put_slice(&[DATE, 0x01]);
            out.put_f64(*millis);
        }
        Value::Array { named, dense } => {
            put_head(ARRAY, dense.len(), out)?;
            put_named(named, out, deeper)?;
            dense.iter().try_for_each(|element| put_value(element, out, deeper))?;
        }
        Value::Object { class, sealed, dynamic } => {
            out.put_u8(OBJECT);
            let flags = 0b0011 | u32::from(dynamic.is_some()) << 3;
            put_u29(small(sealed.len(), 4, out)? << 4 | flags, out);
            put_text(class, out)?;
            sealed.iter().try_for_each(|(name, _)| put_text(name, out))?;
            sealed.iter().try_for_each(|(_, value)| put_value(value, out, deeper))?;
            if let Some(dynamic) = dynamic {
                put_named(dynamic, out, deeper)?;
            }
        }
        Value::Wrapped { class, value } => {
            out.put_slice(&[OBJECT, 0b0111]);
            put_text(class, out)?;
            put_value(value, out, deeper)?;
        }
        Value::VectorInt { fixed, elements } => {
            put_head(VECTOR_INT, elements.len(), out)?;
            out.put_u8((*fixed).into());
            elements.iter().for_each(|&element| out.put_i32(element));
        }
        Value::VectorUint { fixed, elements } => {
            put_head(VECTOR_UINT, elements.len(), out)?;
            out.put_u8((*fixed).into());
            elements.iter().for_each(|&element| out.put_u32(element));
        }
        Value::VectorDouble { fixed, elements } => {
            put_head(VECTOR_DOUBLE, elements.len(), out)?;
            out.put_u8((*fixed).into());
            elements.iter().for_each(|&element| out.put_f64(element));
        }
        Value::VectorObject { fixed, class, elements } => {
            put_head(VECTOR_OBJECT, elements.len(), out)?;
            out.put_u8((*fixed).into());
            put_text(class, out)?;
            elements.iter().try_for_each(|element| put_value(element, out, deeper))?;
        }
        Value::Dictionary { weak, entries } => {
            put_head(DICTIONARY, entries.len(), out)?;
            out.put_u8((*weak).into());
            for (key, value) in entries {
                put_value(key, out, deeper)?;
                put_value(value, out, deeper)?;
            }
        }
        // The marker of a reference is that of any complex value; readers look at the number only.
        Value::Reference(index) => {
            out.put_u8(OBJECT);
            put_u29(small(*index as usize, 1, out)? << 1, out);
        }
    }
    Ok(())
}

fn put_named(named: &Object<Value>, out: &mut BytesMut, depth: u32) -> Result<(), AmfError> {
    for (key, value) in named {
        put_text(key, out)?;
        put_value(value, out, depth)?;
    }
    out.put_u8(0x01);
    Ok(())
}

fn put_bytes(marker: u8, bytes: &[u8], out: &mut BytesMut) -> Result<(), AmfError> {
    put_head(marker, bytes.len(), out)?;
    out.put_slice(bytes);
    Ok(())
}

fn put_text(text: &Text, out: &mut BytesMut) -> Result<(), AmfError> {
    put_u29(small(text.len(), 1, out)? << 1 | 1, out);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_head(marker: u8, count: usize, out: &mut BytesMut) -> Result<(), AmfError> {
    out.put_u8(marker);
    put_u29(small(count, 1, out)? << 1 | 1, out);
    Ok(())
}

/// A count that fits 29 bits after `flags` flag bits.
fn small(count: usize, flags: u32, out: &BytesMut) -> Result<u32, AmfError> {
    let fits = u32::try_from(count).ok().filter(|&count| count < 1 << 29_u32.saturating_sub(flags));
    let length = u32::try_from(count).unwrap_or(u32::MAX);
    fits.ok_or(AmfError { offset: out.len(), kind: AmfErrorKind::StringBytes(length) })
}

fn put_u29(number: u32, out: &mut BytesMut) {
    let seven = |shift: u32| (number >> shift & 0x7f) as u8;
    match number {
        0..=0x7f => out.put_u8(seven(0)),
        0x80..=0x3fff => out.put_slice(&[seven(7) | 0x80, seven(0)]),
        0x4000..=0x1f_ffff => out.put_slice(&[seven(14) | 0x80, seven(7) | 0x80, seven(0)]),
        _ => out.put_slice(&[seven(22) | 0x80, seven(15) | 0x80, seven(8) | 0x80, number as u8]),
    }
}
