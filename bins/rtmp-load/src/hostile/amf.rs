//! Values that are small on the wire and large in memory, or deep.

use rtmp_core::chunk::MessageType;
use rtmp_core::message::{Command, Control};

use super::findings::Findings;
use super::peer::{Heard, message};
use super::siege::Siege;
use crate::clock::instant;

const NUMBER: u8 = 0;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const REFERENCE: u8 = 7;
const ECMA_ARRAY: u8 = 8;
const STRICT_ARRAY: u8 = 10;
const LONG_STRING: u8 = 12;
const AMF3: u8 = 17;

/// Each bomb with its name.
fn bombs_of_all_kinds() -> Vec<(&'static str, Vec<u8>)> {
    let property = |name: &[u8]| [&(name.len() as u16).to_be_bytes(), name].concat();
    let counted = |marker: u8, count: u32| [&[marker][..], &count.to_be_bytes()].concat();
    let mut properties = vec![OBJECT];
    for n in 0..20_000_u32 {
        properties.extend(property(format!("{n:x}").as_bytes()));
        properties.extend([NULL]);
    }
    properties.extend([0, 0, 9]);
    let mut references = counted(STRICT_ARRAY, 60_000);
    references.extend([REFERENCE, 0, 0].repeat(60_000));
    vec![
        ("nested_arrays", counted(STRICT_ARRAY, 1).repeat(20_000)),
        ("nested_objects", [&[OBJECT][..], &property(b"a")].concat().repeat(20_000)),
        ("nested_amf3_arrays", [&[AMF3][..], &[9, 3, 1].repeat(20_000)].concat()),
        ("ecma_array_of_4_billion", counted(ECMA_ARRAY, u32::MAX)),
        ("strict_array_of_4_billion", [counted(STRICT_ARRAY, u32::MAX), vec![NULL; 60_000]].concat()),
        ("nulls", vec![NULL; 60_000]),
        ("string_of_4_gib", [counted(LONG_STRING, u32::MAX), vec![b'a'; 1000]].concat()),
        ("string_of_60_kb", [counted(LONG_STRING, 60_000), vec![b'a'; 60_000]].concat()),
        ("properties", properties),
        ("references", references),
        ("not_utf8", [&[2, 0, 4][..], &[0xff, 0xfe, 0xc0, 0x80]].concat()),
        ("no_number", [&[NUMBER][..], &[0x7f, 0xf8, 0, 0, 0, 0, 0, 1]].concat().repeat(4000)),
        ("unknown_marker", vec![0x1f; 100]),
    ]
}

/// Throws them as command, as `connect` and as metadata, until the time is over.
pub(super) fn bombs(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let (mut thrown, mut survived) = (0_u64, 0_u64);
    let begun = instant();
    let mut rounds = 0;
    while rounds == 0 || begun.elapsed() < siege.time {
        rounds += 1;
        for (name, bomb) in bombs_of_all_kinds() {
            for place in ["connect", "command", "metadata"] {
                match throw(siege, place, &bomb) {
                    Ok(true) => survived += 1,
                    Ok(false) => findings.refused += 1,
                    Err(error) => findings.require(false, || format!("{name} as {place}: {error}")),
                }
                thrown += 1;
            }
        }
    }
    findings.note("thrown", thrown);
    findings.let_in = thrown;
    findings.note("closed", findings.refused);
    findings.note("passed_over", survived);
    Ok(findings)
}

/// Whether the connection survives.
fn throw(siege: &mut Siege, as_what: &str, bomb: &[u8]) -> Result<bool, String> {
    let text = |text: &str| [&[2][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let number = [NUMBER, 0x40, 0, 0, 0, 0, 0, 0, 0];
    let failed = |error: std::io::Error| error.to_string();
    let mut peer = match as_what {
        "connect" => siege.greeted().map_err(failed)?,
        _ => siege.connected().map_err(failed)?,
    };
    let stream = format!("bomb-{:p}", bomb.as_ptr());
    if as_what == "metadata" {
        peer.publish(&stream).map_err(failed)?;
    }
    let (kind, head) = match as_what {
        "connect" => (MessageType::COMMAND, [text("connect"), number.to_vec()].concat()),
        "command" => (MessageType::COMMAND, [text("anything"), number.to_vec(), vec![NULL]].concat()),
        _ => (MessageType::DATA, [text("@setDataFrame"), text("onMetaData")].concat()),
    };
    let whole = [head, bomb.to_vec()].concat();
    // The server may close in the middle.
    let sent =
        peer.control(&Control::SetChunkSize(65_536)).and_then(|()| peer.message(&message(kind, 1, whole)));
    if sent.is_err() {
        return Ok(false);
    }
    // Whoever is still there answers this.
    if as_what == "connect" {
        return Ok(matches!(peer.hear(instant() + siege.time / 20), Ok(Heard::Message(_))));
    }
    let asked = peer.command(&Command::new("getStreamLength", 9.0).with("x"), 0);
    Ok(asked.is_ok() && peer.await_command("_result").is_ok())
}
