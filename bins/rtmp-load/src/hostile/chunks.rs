//! Games with the chunk layer: sizes, lengths that never come, streams without number.

use std::time::Duration;

use rtmp_core::chunk::MessageType;
use rtmp_core::message::Command;

use super::findings::{Findings, round};
use super::peer::{connect_command, message};
use super::script::Script;
use super::siege::{GRACE, Siege};
use crate::clock::wait;

/// An error closes a connection this soon.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The largest length a chunk header can announce.
const LENGTH_MAX: u32 = 0xff_ffff;

/// Chunk sizes from nothing to beyond what the field can hold.
pub(super) fn sizes(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let connect = connect_command(&siege.place);
    for (value, legal) in [
        (0, false),
        (1, false),
        (127, false),
        (128, true),
        (65_536, true),
        (65_537, true),
        (0xff_ffff, true),
        (0x0100_0000, true),
        (0x7fff_ffff, true),
        // The top bit does not count.
        (0x8000_0000, false),
        (0xffff_ffff, true),
    ] {
        let mut peer = siege.greeted().map_err(|error| error.to_string())?;
        let size: u32 = value;
        let told = peer.message(&message(MessageType::SET_CHUNK_SIZE, 0, size.to_be_bytes().to_vec()));
        peer.write_in_chunks_of(size & 0x7fff_ffff);
        let works =
            told.is_ok() && peer.command(&connect, 0).is_ok() && peer.await_command("_result").is_ok();
        findings.note(&format!("{size:#x}"), if works { "works" } else { "closed" });
        findings.refused += u64::from(!works);
        findings.require(works == legal, || {
            format!("chunk size {size} {}", if legal { "is refused" } else { "is accepted" })
        });
    }
    Ok(findings)
}

/// Lengths of 16 MiB that never come, from nobodies and from publishers, on all their chunk streams.
pub(super) fn lengths(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    for (name, kind) in
        [("video", MessageType::VIDEO), ("command", MessageType::COMMAND), ("data", MessageType::DATA)]
    {
        let script = Script::handshake().chunk(6, kind, LENGTH_MAX, &[0; 100]).bytes();
        let mut swarm = siege.swarm(siege.connections, &script);
        swarm.run(AT_ONCE + GRACE, |swarm| swarm.is_over());
        findings.note(&format!("{name}_closed_after_s"), round(swarm.longest_life(), 2));
        findings.refused += swarm.closed() as u64;
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.require(closed == all, || {
            format!("{name}: only {closed} of {all} announcements of 16 MiB were refused")
        });
    }
    // What is allowed: 60 unfinished key frames of 8 MiB each, one byte of each sent.
    let mut swarms = Vec::new();
    for n in 0..siege.connections {
        let mut script = Script::publish(&siege.place, &format!("announced-{n}"));
        for csid in 70..125 {
            script = script.chunk(csid, MessageType::VIDEO, 8 << 20, &[0x17; 128]);
        }
        swarms.push(siege.swarm(1, &script.bytes()));
    }
    for _ in 0..10 {
        for swarm in &mut swarms {
            swarm.run(Duration::ZERO, |_| true);
        }
        wait(siege.time / 10);
    }
    let sent: u64 = swarms.iter().map(super::swarm::Swarm::sent).sum();
    findings.let_in = siege.connections as u64;
    findings.note("announced_gib", round((siege.connections * 55) as f64 * 8.0 / 1024.0, 1));
    findings.note("sent_mib", round(sent as f64 / 1048576.0, 1));
    Ok(findings)
}

/// As many unfinished bytes as the server takes before anybody has said what it wants.
pub(super) fn hoard(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut script = Script::handshake().control(&rtmp_core::message::Control::SetChunkSize(100_000));
    for csid in 3..18 {
        script = script.chunk(csid, MessageType::COMMAND, 250_000, &[2; 100_000]);
    }
    let mut swarm = siege.swarm(siege.connections, &script.bytes());
    swarm.run(siege.time.max(AT_ONCE), |_| false);
    findings.refused += swarm.closed() as u64;
    findings.note("sent_mib", round(swarm.sent() as f64 / 1048576.0, 1));
    let (closed, all) = (swarm.closed(), swarm.members.len());
    findings.note("closed", closed);
    findings.require(closed == all, || {
        format!("{} of {all} connections may keep 1.5 MB of unfinished commands", all - closed)
    });
    Ok(findings)
}

/// 100,000 chunk streams, one small message on each.
pub(super) fn streams(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let place = siege.place.clone();
    let mut flood = |name: &str, opening: Script| {
        let mut script = opening;
        for n in 0..100_000 {
            script = script.chunk(2 + n % 65_598, MessageType::AUDIO, 1, &[0xaf]);
        }
        let mut swarm = siege.swarm(siege.connections / 10, &script.bytes());
        swarm.run(AT_ONCE + 3 * GRACE, |swarm| swarm.is_over());
        findings.note(&format!("{name}_closed_after_s"), round(swarm.longest_life(), 2));
        findings.refused += swarm.closed() as u64;
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.let_in += all as u64;
        findings.require(closed == all, || format!("{name}: only {closed} of {all} connections were closed"));
    };
    flood("stranger", Script::handshake());
    flood("connected", Script::session(&place));
    flood("publisher", Script::publish(&place, "streams"));
    flood("viewer", Script::session(&place).command(&Command::new("play", 3.0).with(&*place.stream), 1));
    Ok(findings)
}
