//! Synthetic musicians: measures a Jamulus-compatible server.
//!
//! ```text
//!                  ┌─ musician 0: the probe, plays sweeps and hears only itself ─▶ turnaround
//!   one thread ────┼─ musician 1: plays a tone and keeps the end of its mix ─────▶ tones heard
//!   and schedule   └─ musicians 2…: play tones, count what arrives ──────────────▶ lost, late, gaps
//!                                    one UDP socket each
//! ```
#![forbid(unsafe_code)]

mod args;
mod clock;
mod floor;
mod histogram;
mod hostile;
mod impair;
mod musician;
mod priority;
mod probe;
mod process;
mod reference;
mod report;
mod run;
mod signal;
mod socket;
mod stream;

use std::process::ExitCode;

use clap::Parser as _;

/// Exit codes: 0 measured and within limits, 1 failed or beyond a limit, 2 wrong options.
fn main() -> ExitCode {
    let args = args::Args::parse();
    if args.hostile {
        return match hostile::run(&args) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("jam-load: {}: {error}", args.server);
                ExitCode::FAILURE
            }
        };
    }
    let measured = match run::run(&args) {
        Ok(measured) => measured,
        Err(error) => {
            eprintln!("jam-load: {}: {error}", args.server);
            return ExitCode::FAILURE;
        }
    };
    println!("{}", report::report(&args, &measured));
    let failures = report::failures(&args, &measured);
    for failure in &failures {
        eprintln!("jam-load: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
