//! Data messages: metadata and whatever else travels beside audio and video (spec 7.6).

use bytes::{BufMut, Bytes, BytesMut};

use crate::amf::amf0::{CutObjects, Decoder, Value};
use crate::amf::{AmfError, Text};
use crate::limits::AmfLimits;

/// The payload that lets old players read samples; sent once when a play starts.
pub const SAMPLE_ACCESS: &[u8] = b"\x02\x00\x11|RtmpSampleAccess\x01\x01\x01\x01";

/// What a data message is for. The bytes are never rewritten: `frame` is a part of the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DataFrame {
    /// `@setDataFrame`: keep this for viewers that come later. `frame` is the payload without that word.
    Set {
        /// Usually `onMetaData`.
        name: Text,
        /// The data message viewers get.
        frame: Bytes,
    },
    /// `@clearDataFrame`: forget it.
    Clear {
        /// Usually `onMetaData`.
        name: Text,
    },
    /// Any other message with a name. `onMetaData` without a word in front means the same as `Set`.
    Named {
        /// The name.
        name: Text,
        /// The whole payload.
        frame: Bytes,
    },
    /// Something without a name, such as the time codes of some encoders; ignore it.
    Opaque,
}

impl DataFrame {
    /// Recognises the payload of a data message.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rtmp_core::message::DataFrame;
    ///
    /// let payload = Bytes::from_static(b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09");
    /// let DataFrame::Set { name, frame } = DataFrame::recognise(&payload) else { panic!("metadata") };
    /// assert_eq!(name, "onMetaData");
    /// assert_eq!(frame, payload.slice(16..));
    /// ```
    pub fn recognise(payload: &Bytes) -> Self {
        let mut decoder = Decoder::new(payload.clone(), AmfLimits::data());
        let Some(first) = next_text(&mut decoder) else { return Self::Opaque };
        let frame = decoder.remaining();
        match first.as_bytes() {
            b"@setDataFrame" => match next_text(&mut decoder) {
                Some(name) => Self::Set { name, frame },
                None => Self::Opaque,
            },
            b"@clearDataFrame" => match next_text(&mut decoder) {
                Some(name) => Self::Clear { name },
                None => Self::Opaque,
            },
            _ => Self::Named { name: first, frame: payload.clone() },
        }
    }

    /// The metadata viewers get, when this message brings some.
    pub fn metadata(&self) -> Option<&Bytes> {
        match self {
            Self::Set { name, frame } | Self::Named { name, frame } if *name == "onMetaData" => Some(frame),
            _ => None,
        }
    }
}

fn next_text(decoder: &mut Decoder) -> Option<Text> {
    decoder.next_value().ok().flatten()?.as_text().cloned()
}

/// The data message `frame` without the property `key` of its object; everything else keeps its bytes, but for
/// the number of properties that an associative array says it has. A relay removes `duration`, which players would take for
/// the length of a recording. `None` when there is nothing to do.
///
/// # Errors
///
/// When the values cannot be read; relay the frame as it is then.
pub fn without_property(frame: &Bytes, key: &str) -> Result<Option<Bytes>, AmfError> {
    let mut decoder = Decoder::new(frame.clone(), AmfLimits::data()).cut_objects(CutObjects::Accept);
    decoder.next_value()?;
    let start = decoder.offset();
    let Some(value) = decoder.next_value()? else { return Ok(None) };
    let Some(object) = value.as_object().filter(|object| object.get(key).is_some()) else { return Ok(None) };
    let head = match value {
        Value::Object(_) => 1,
        Value::EcmaArray(_) => 5,
        _ => return Ok(None),
    };
    // Read the properties once more, one by one, and copy what stays.
    let mut rest = Decoder::new(frame.clone(), AmfLimits::data()).cut_objects(CutObjects::Accept);
    let head_end = start.saturating_add(head);
    rest.skip(head_end);
    let mut out = BytesMut::with_capacity(frame.len());
    out.put_slice(frame.get(..head_end).unwrap_or_default());
    let mut removed = 0_u32;
    for (name, _) in object {
        let from = rest.offset();
        rest.skip(name.len().saturating_add(2));
        rest.next_value()?;
        if *name != *key {
            out.put_slice(frame.get(from..rest.offset()).unwrap_or_default());
        } else {
            removed = removed.saturating_add(1);
        }
    }
    // An associative array says how many there are. Some players read as many, others until its end.
    if let Value::EcmaArray(_) = value
        && let Some(count) = out.get_mut(start.saturating_add(1)..head_end)
        && let Ok(before) = <[u8; 4]>::try_from(&*count)
    {
        count.copy_from_slice(&u32::from_be_bytes(before).saturating_sub(removed).to_be_bytes());
    }
    out.put_slice(frame.get(rest.offset()..).unwrap_or_default());
    Ok(Some(out.freeze()))
}
