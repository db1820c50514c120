//! The conformance vectors, and captured byte streams of shipped programs.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod peer;

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use rtmp_core::amf::{Object, Text, amf0, amf3};
use rtmp_core::chunk::{ChunkReader, Message};
use rtmp_core::{ConnectionError, Limits};
use serde_json::Value as Json;

pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A section of the vector file.
pub(crate) fn vectors(section: &str) -> Json {
    let text = std::fs::read_to_string(data("rtmp-vectors.json")).expect("vector file");
    let mut all: Json = serde_json::from_str(&text).expect("vector file is JSON");
    all[section].take()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

pub(crate) fn field<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_else(|| panic!("no text {key} in {json}"))
}

pub(crate) fn number(json: &Json, key: &str) -> u32 {
    let number = json[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {json}"));
    u32::try_from(number).expect("32 bits")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Limits that allow everything legal.
pub(crate) fn wide_limits() -> Limits {
    let mut limits = Limits::default();
    limits.chunk_size_min = 1;
    limits
}

/// Feeds `wire` in pieces of `piece` bytes.
pub(crate) fn read_all(
    reader: &mut ChunkReader,
    wire: &[u8],
    piece: usize,
) -> Result<Vec<Message>, ConnectionError> {
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for part in wire.chunks(piece.max(1)) {
        input.extend_from_slice(part);
        while let Some(message) = reader.read(&mut input)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

/// The value a vector describes.
pub(crate) fn amf0_value(json: &Json) -> amf0::Value {
    let v = &json["v"];
    let text = |json: &Json| Text::from(json.as_str().expect("text"));
    match field(json, "t") {
        "number" => amf0::Value::Number(double(v)),
        "boolean" => amf0::Value::Boolean(v.as_bool().expect("boolean")),
        "string" => amf0::Value::String(text(v)),
        "long_string" => amf0::Value::LongString(text(v)),
        "object" => amf0::Value::Object(pairs(v)),
        "ecma" => amf0::Value::EcmaArray(pairs(v)),
        "strict" => amf0::Value::StrictArray(v.as_array().expect("array").iter().map(amf0_value).collect()),
        "null" => amf0::Value::Null,
        "undefined" => amf0::Value::Undefined,
        "date" => {
            let zone_minutes = json["tz"].as_i64().expect("zone") as i16;
            amf0::Value::Date { unix_millis: double(v), zone_minutes }
        }
        "reference" => amf0::Value::Reference(v.as_u64().expect("index") as u16),
        "unsupported" => amf0::Value::Unsupported,
        "xml" => amf0::Value::Xml(text(v)),
        "typed" => amf0::Value::TypedObject { class: text(&json["class"]), properties: pairs(v) },
        "amf3" => amf0::Value::Amf3(Box::new(amf3_value(v))),
        other => panic!("unknown vector type {other}"),
    }
}

pub(crate) fn amf3_value(json: &Json) -> amf3::Value {
    match json {
        Json::Number(number) => amf3::Value::Integer(number.as_i64().expect("integer") as i32),
        Json::String(text) => amf3::Value::String(text.as_str().into()),
        _ => {
            let v = &json["v"];
            match field(json, "t") {
                "integer" => amf3::Value::Integer(v.as_i64().expect("integer") as i32),
                "double" => amf3::Value::Double(v.as_f64().expect("double")),
                "undefined" => amf3::Value::Undefined,
                "null" => amf3::Value::Null,
                "boolean" => amf3::Value::Boolean(v.as_bool().expect("boolean")),
                "string" => amf3::Value::String(v.as_str().expect("text").into()),
                "array" => {
                    let dense = v.as_array().expect("array").iter().map(amf3_value).collect();
                    amf3::Value::Array { named: Object::new(), dense }
                }
                "object" => {
                    let properties = v.as_array().expect("pairs").iter();
                    let dynamic = properties
                        .map(|pair| (pair[0].as_str().expect("key"), amf3_value(&pair[1])))
                        .collect();
                    amf3::Value::Object {
                        class: Text::default(),
                        sealed: Object::new(),
                        dynamic: Some(dynamic),
                    }
                }
                other => panic!("unknown vector type {other}"),
            }
        }
    }
}

fn pairs(json: &Json) -> Object<amf0::Value> {
    let properties = json.as_array().expect("pairs").iter();
    properties.map(|pair| (pair[0].as_str().expect("key"), amf0_value(&pair[1]))).collect()
}

fn double(json: &Json) -> f64 {
    match json["bits"].as_str() {
        Some(bits) => f64::from_bits(u64::from_str_radix(bits, 16).expect("bits")),
        None => json.as_f64().expect("number"),
    }
}

/// Compares bit for bit, so that NaN equals itself.
pub(crate) fn same_bytes(value: &amf0::Value, expected: &amf0::Value) -> bool {
    encoded(value) == encoded(expected)
}

pub(crate) fn encoded(value: &amf0::Value) -> Bytes {
    let mut out = BytesMut::new();
    amf0::encode(value, &mut out).expect("value of a vector");
    out.freeze()
}
