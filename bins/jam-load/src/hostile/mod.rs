//! Attacks on a running server, with musicians connected whose service is checked (`--hostile`).
//!
//! ```text
//!   this thread ── the musicians of a usual run ───────▶ lost, late, pings, chat lines
//!                                                               │
//!   siege ─┬─ forged addresses: one socket, all of 127/8 ─▶ bytes sent, bytes back, per address
//!          └─ bad members: clients that have joined            │
//!                                                               ▼
//!                                            one line of JSON per attack, and a verdict
//! ```

mod attack;
mod member;
mod siege;
mod strangers;
mod verdict;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{TryRecvError, channel};

use crate::args::Args;
use crate::histogram::Histogram;
use crate::priority;
use crate::process::{Server, Usage};
use crate::run::{Band, resolve, wait_for_answer};
use crate::stream::StreamStats;
use attack::Attack;
use siege::{Outcome, Siege};

/// One attack and what it led to.
#[derive(Debug)]
struct Round {
    attack: Attack,
    seconds: f64,
    outcome: Outcome,
    service: Service,
    /// Memory before and after, if the server's process is known.
    memory: Option<(Usage, Usage)>,
    /// How the server ended, if it did.
    ended: Option<String>,
}

/// What the musicians saw.
#[derive(Debug, Default)]
struct Service {
    streams: StreamStats,
    /// Datagrams of the musician that got fewest.
    received_least: u64,
    /// Datagrams each should have got.
    expected_each: u64,
    pings: u64,
    ping_times: Histogram,
    /// Chat lines of the musician that got most.
    chat_lines_most: u64,
}

/// Runs all attacks, or those that were asked for. Returns whether every promise was kept.
pub(crate) fn run(args: &Args) -> io::Result<bool> {
    let attacks = chosen(&args.attacks)?;
    let address = resolve(args)?;
    let SocketAddr::V4(target) = address else {
        return Err(io::Error::other("attacks need an IPv4 address"));
    };
    if !target.ip().is_loopback() {
        return Err(io::Error::other("attacks are for servers on loopback"));
    }
    let props = args.props();
    let mut server = args.spawn.as_deref().map(Server::spawn).transpose()?;
    wait_for_answer(address, server.as_mut())?;
    let pid = server.as_ref().map(Server::pid).or(args.server_pid);
    let siege = Siege::new(target, props, args.seed, args.attack_seconds, args.attack_rate)?;
    let (orders, ordered) = channel();
    let (outcome, outcomes) = channel();
    // Before the priority is raised, which the attackers must not inherit.
    std::thread::spawn(move || siege.obey(&ordered, &outcome));
    if args.realtime
        && let Err(reason) = priority::raise()
    {
        eprintln!("jam-load: no real-time priority ({reason}); measuring without");
    }

    let mut band = Band::new(args, props, address)?;
    let joined = band.join(args)?;
    let number = usize::from(args.number);
    if joined != number {
        return Err(io::Error::other(format!("only {joined} of {number} musicians joined")));
    }
    let first = pid.map(Usage::of).transpose()?;
    let mut kept = true;
    for attack in attacks {
        for left in (0..=args.attack_retries).rev() {
            let before = pid.map(Usage::of).transpose()?;
            band.restart_counting();
            let begin = crate::clock::Nanos::now();
            orders.send(attack).map_err(io::Error::other)?;
            let mut result = None;
            band.play_while(|| {
                result = match outcomes.try_recv() {
                    Ok(outcome) => Some(outcome),
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Disconnected) => {
                        Some(Err(io::Error::other("the attackers have ended")))
                    }
                };
                false
            })?;
            let outcome = result.ok_or_else(|| io::Error::other("no outcome"))??;
            let seconds = crate::clock::Nanos::now().since(begin) as f64 / 1e9;
            let ended = server.as_mut().and_then(Server::ended);
            // A server that has ended has no memory to look at.
            let after = pid.and_then(|pid| Usage::of(pid).ok());
            let round = Round {
                attack,
                seconds,
                outcome,
                service: service(&mut band, args, seconds),
                memory: before.zip(after),
                ended,
            };
            let broken = verdict::broken(args, &round, first);
            println!("{}", verdict::line(&round, &broken));
            for line in &broken {
                eprintln!("jam-load: {}: {line}", attack.name());
            }
            if round.ended.is_some() {
                return Ok(false);
            }
            if broken.is_empty() {
                break;
            }
            match left {
                0 => kept = false,
                _ => eprintln!("jam-load: {}: again, in case the machine stood still", attack.name()),
            }
        }
    }
    band.leave()?;
    Ok(kept)
}

/// The attacks with these names, or all.
fn chosen(names: &[String]) -> io::Result<Vec<Attack>> {
    if let Some(unknown) = names.iter().find(|name| Attack::ALL.iter().all(|a| a.name() != *name)) {
        let known: Vec<&str> = Attack::ALL.iter().map(|a| a.name()).collect();
        return Err(io::Error::other(format!(
            "no attack is called {unknown}; there are {}",
            known.join(", ")
        )));
    }
    let wanted = |attack: &Attack| names.is_empty() || names.iter().any(|name| name == attack.name());
    Ok(Attack::ALL.into_iter().filter(wanted).collect())
}

fn service(band: &mut Band, args: &Args, seconds: f64) -> Service {
    let props = args.props();
    let samples = props.codec.samples() * props.factor.blocks();
    let mut service = Service {
        received_least: u64::MAX,
        expected_each: (seconds * 48_000.0 / samples as f64) as u64,
        ..Service::default()
    };
    for (stats, musician) in band.counted() {
        service.received_least = service.received_least.min(stats.received);
        service.streams.merge(&stats);
        service.pings += musician.pings_counted;
        service.ping_times.merge(&musician.ping_times);
        service.chat_lines_most = service.chat_lines_most.max(musician.chat_lines);
    }
    service
}
