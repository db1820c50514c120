//! Viewers that never read.

use std::time::Duration;

use rtmp_core::message::{Command, Control, UserControl};

use super::findings::Findings;
use super::script::Script;
use super::siege::{GRACE, PER_ADDRESS_MAX, Siege};
use super::swarm::Swarm;
use crate::clock::instant;

/// A viewer whose connection takes nothing for 30 s is closed; before that the system's buffers take some MiB.
const STALL_LIMIT: Duration = Duration::from_secs(90);

/// Zero windows: viewers, and clients that make the server answer.
pub(super) fn unread(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let place = siege.place.clone();
    let viewer = Script::play(&place, &place.stream).bytes();
    let mut asking = Script::session(&place);
    for n in 0..50 {
        asking = asking.command(&Command::new("getStreamLength", f64::from(n)).with("x"), 0);
    }
    let mut pinging = Script::play(&place, &place.stream);
    for n in 0..5000 {
        pinging = pinging.control(&Control::UserControl(UserControl::PingRequest(n)));
    }
    let (asking, pinging) = (asking.bytes(), pinging.bytes());
    let mut swarm = Swarm::default();
    let mut from = None;
    for n in 0..siege.connections {
        if n.is_multiple_of(PER_ADDRESS_MAX / 4) {
            from = siege.address();
        }
        let script = match n % 4 {
            0 => &asking,
            1 => &pinging,
            _ => &viewer,
        };
        swarm.open_as(siege.server(), from, script.clone(), false);
    }
    let begun = instant();
    swarm.run(siege.time, |_| false);
    let stalled = begun.elapsed();
    swarm.read_at_last();
    swarm.run(GRACE, |swarm| swarm.is_over());
    findings.note("connections", swarm.members.len());
    findings.note("closed", swarm.closed());
    findings.let_in = swarm.members.len() as u64;
    findings.refused = swarm.closed() as u64;
    if stalled > STALL_LIMIT + GRACE {
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.require(closed == all, || format!("only {closed} of {all} were closed after 90 s"));
    }
    Ok(findings)
}
