//! More connections than anybody needs.

use std::time::Duration;

use super::findings::{Findings, round};
use super::siege::{GRACE, HANDSHAKE_LIMIT, PER_ADDRESS_MAX, Siege};
use super::swarm::Swarm;
use crate::clock::instant;

/// How many times as many connections a flood has as another attack.
const FLOOD: usize = 10;
/// Who is beyond a limit is closed this soon.
const AT_ONCE: Duration = Duration::from_secs(2);

/// All from one address.
pub(super) fn one_address(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let from = siege.address();
    let mut swarm = Swarm::default();
    for _ in 0..siege.connections * FLOOD {
        swarm.open(siege.server(), from, Vec::new());
    }
    let all = swarm.members.len();
    let inside = if from.is_some() { PER_ADDRESS_MAX } else { all };
    let begun = instant();
    swarm.run(AT_ONCE + GRACE, |swarm| swarm.members.len() - swarm.closed() <= inside);
    let early = swarm.closed();
    findings.note("connections", all);
    findings.note("closed_at_once", early);
    findings.note("at_once_s", round(begun.elapsed().as_secs_f64(), 2));
    findings.require(all - early <= inside, || format!("{} of one address were let in", all - early));
    swarm.run(HANDSHAKE_LIMIT + GRACE, |swarm| swarm.is_over());
    findings.note("longest_s", round(swarm.longest_life(), 2));
    findings.refused = swarm.closed() as u64;
    let closed = swarm.closed();
    findings.require(closed == all, || format!("only {closed} of {all} were closed at last"));
    Ok(findings)
}

/// From so many that the limit of one address does not help.
pub(super) fn many_addresses(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut swarm = siege.swarm(siege.connections * FLOOD, &[]);
    let all = swarm.members.len();
    swarm.run(AT_ONCE, |_| false);
    let early = swarm.closed();
    findings.note("connections", all);
    findings.note("closed_at_once", early);
    findings.note("let_in", all - early);
    swarm.run(HANDSHAKE_LIMIT + GRACE, |swarm| swarm.is_over());
    findings.note("longest_s", round(swarm.longest_life(), 2));
    findings.refused = swarm.closed() as u64;
    let closed = swarm.closed();
    findings.require(closed == all, || format!("only {closed} of {all} were closed at last"));
    Ok(findings)
}
