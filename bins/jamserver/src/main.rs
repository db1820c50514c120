//! A Jamulus-compatible jam server.
//!
//! ```text
//! jamserver [OPTIONS]        serves a jam session
//! jamserver plan [OPTIONS]   says how many musicians a line carries
//! jamserver demo [OPTIONS]   serves a session with a small band already in it
//! ```
#![forbid(unsafe_code)]

mod cli;
mod demo;
mod options;
mod plan;
mod settings;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args().skip(1).collect())
}
