//! An edge in front of the attacked server: what it waits for, and whom its origin refuses.

use std::path::Path;
use std::time::Duration;

use rtmp_core::message::Command;

use super::Target;
use super::edge::Edge;
use super::findings::Findings;
use super::flood::name_after_name;
use super::http::metric;
use super::siege::{GRACE, Siege};
use super::watch::Log;
use crate::args::Args;
use crate::clock::{instant, wait};
use crate::run::wait_for_listener;
use crate::target::Place;

/// Streams that may be waited for, and that are remembered afterwards; each shard's part is rounded up.
const NAMES_MAX: u64 = 1024 + 1024 + 64;
/// How long a stream is pulled on after its last viewer, and remembered then.
const LINGER: Duration = Duration::from_secs(6);

/// Starts `program` as an edge whose origin is the server of `origin`, with a siege of its own.
pub(super) fn build(args: &Args, program: &Path, origin: &Siege) -> Result<(Siege, Target), String> {
    let vhost = format!(
        "vhost __defaultVhost__ {{ min_latency on; tcp_nodelay on; cluster {{ mode remote; origin {}; }} }}",
        origin.server()
    );
    let failed = |error: std::io::Error| format!("--edge {}: {error}", program.display());
    let mut edge = Edge::start(program, &origin.folder, "front", &vhost).map_err(failed)?;
    wait_for_listener(edge.rtmp, Some(&mut edge.server))?;
    let place = Place::parse(&format!("rtmp://{}/live/show", edge.rtmp))?;
    let (time, connections) = (args.attack.attack_time, args.attack.attack_connections);
    let mut siege = Siege::new(place.clone(), time, connections, origin.folder.clone());
    siege.api = Some(edge.http);
    let pid = Some(edge.server.pid());
    let play = vec![place.clone()];
    let target = Target { publish: place, play, server: Some(edge.server), pid, log: Some(Log(edge.log)) };
    Ok((siege, target))
}

/// Names of streams that nobody has, each of which the origin is asked for.
pub(super) fn names(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let api = siege.api.ok_or("no HTTP API")?;
    let streams = || metric(api, "srs_streams");
    let before = streams()?;
    name_after_name(siege, &mut findings, |script, name| {
        script.command(&Command::new("play", 3.0).with(name), 1)
    });
    let most = streams()?;
    let end = instant() + LINGER + GRACE;
    while streams()? > before && instant() < end {
        wait(Duration::from_millis(100));
    }
    let after = streams()?;
    findings.note("streams", most);
    findings.note("streams_afterwards", after);
    findings.require(most <= before + NAMES_MAX, || format!("{most} streams were there at once"));
    findings.require(after <= before, || format!("{after} streams are left, {before} were there before"));
    Ok(findings)
}
