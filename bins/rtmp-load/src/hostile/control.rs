//! Acknowledgements, windows, pings: what makes a server talk.

use rtmp_core::chunk::MessageType;
use rtmp_core::message::{BandwidthLimit, Command, Control, UserControl};

use super::findings::{Findings, round};
use super::peer::message;
use super::script::Script;
use super::siege::Siege;
use crate::clock::instant;

/// Answers to the opening of a session: handshake, windows, results.
const OPENING_BYTES: u64 = 4096;

/// Each game on some connections, counting what comes back.
pub(super) fn games(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let place = siege.place.clone();
    let session = || Script::session(&place);
    let filler = message(MessageType::AUDIO, 1, vec![0xaf; 100]);
    let bandwidth = |window| Control::SetPeerBandwidth { window, limit: BandwidthLimit::Hard };
    let repeated =
        |script: Script, number: u32, one: &dyn Fn(Script, u32) -> Script| (0..number).fold(script, one);
    let games = [
        (
            "window_of_one_byte",
            repeated(session().control(&Control::WindowAckSize(1)), 5000, &|s, _| s.message(&filler)),
        ),
        (
            "window_of_zero",
            repeated(session().control(&Control::WindowAckSize(0)), 1000, &|s, _| s.message(&filler)),
        ),
        (
            "pings",
            repeated(session(), 5000, &|s, n| s.control(&Control::UserControl(UserControl::PingRequest(n)))),
        ),
        ("bandwidths", repeated(session(), 5000, &|s, n| s.control(&bandwidth(n)))),
        (
            "acknowledgements",
            repeated(session(), 5000, &|s, n| {
                s.control(&Control::Acknowledgement(n.wrapping_mul(0x9e37_79b9)))
            }),
        ),
        ("aborts", repeated(session(), 5000, &|s, n| s.control(&Control::Abort(n)))),
        (
            "pongs",
            repeated(session(), 5000, &|s, n| s.control(&Control::UserControl(UserControl::PingResponse(n)))),
        ),
        (
            "buffer_lengths",
            repeated(session(), 5000, &|s, n| {
                s.control(&Control::UserControl(UserControl::SetBufferLength { msid: n, millis: u32::MAX }))
            }),
        ),
        ("chunk_sizes", repeated(session(), 2000, &|s, n| s.control(&Control::SetChunkSize(128 + n)))),
        (
            "pauses",
            repeated(session().command(&Command::new("play", 3.0).with(&*place.stream), 1), 40, &|s, n| {
                s.command(&Command::new("pause", 0.0).with(n % 2 == 0).with(0.0), 1)
            }),
        ),
        ("empty_control", session().message(&message(MessageType::USER_CONTROL, 0, Vec::new()))),
        ("short_chunk_size", session().message(&message(MessageType::SET_CHUNK_SIZE, 0, vec![1]))),
    ];
    let number = (siege.connections / 20).max(2);
    let share = siege.time / games.len() as u32;
    let mut worst = 0.0_f64;
    for (name, script) in games {
        let begun = instant();
        let mut swarm = siege.swarm(number, &script.bytes());
        swarm.run(share.max(std::time::Duration::from_millis(250)), |_| false);
        findings.refused += swarm.closed() as u64;
        findings.let_in += swarm.members.len() as u64;
        // Media that a viewer asked for is no answer.
        if name == "pauses" {
            continue;
        }
        let all = swarm.members.len() as u64;
        let (sent, back) = (swarm.sent(), swarm.back().saturating_sub(all * OPENING_BYTES));
        worst = worst.max(back as f64 / sent.max(1) as f64);
        findings.require(back <= sent, || {
            format!("{name}: {back} bytes for {sent} in {:.1} s", begun.elapsed().as_secs_f64())
        });
    }
    findings.note("most_bytes_back_per_byte_sent", round(worst, 3));
    Ok(findings)
}
