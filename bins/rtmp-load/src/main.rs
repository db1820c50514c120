//! Synthetic publishers and viewers: measures an RTMP server and verifies what it delivers.
//!
//! ```text
//!   publishers ──stamped frames──▶ the server ──▶ viewers, a thread per processor
//!   (one thread)                                   └─ each: rtmp_core::ClientConnection ▶ Judge ▶ Tally
//!                                  conductor: join, settle, measure, stop ▶ one line of JSON
//! ```
#![forbid(unsafe_code)]

mod args;
mod clock;
mod conn;
mod floor;
#[path = "../../jam-load/src/histogram.rs"]
mod histogram;
mod hostile;
mod judge;
mod playout;
#[path = "../../jam-load/src/process.rs"]
mod process;
mod publisher;
mod report;
mod run;
mod source;
mod stamp;
mod tally;
mod target;
mod usage;
mod viewer;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

/// Exit codes: 0 measured, faultless and within limits, 1 not so, 2 wrong options.
fn main() -> ExitCode {
    let args = args::Args::parse();
    if args.floor.is_some() {
        let Err(error) = floor::serve(&args) else { return ExitCode::SUCCESS };
        eprintln!("rtmp-load: {error}");
        return ExitCode::FAILURE;
    }
    if args.attack.hostile {
        return match hostile::run(&args) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("rtmp-load: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let measured = match run::run(&args) {
        Ok(measured) => measured,
        Err(error) => {
            eprintln!("rtmp-load: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", report::report(&args, &measured));
    let failures = report::failures(&args, &measured);
    for failure in &failures {
        eprintln!("rtmp-load: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
