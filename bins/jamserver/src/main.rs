//! A Jamulus-compatible jam server.
//!
//! ```text
//! jamserver [OPTIONS]        serves a jam session
//! jamserver plan [OPTIONS]   says how many musicians a line carries
//! jamserver demo [OPTIONS]   serves a session with a small band already in it
//! ```
#![forbid(unsafe_code)]

mod banner;
mod cli;
mod demo;
mod log;
mod notify;
mod office;
mod options;
mod plan;
mod rpc;
mod serve;
mod settings;
mod signals;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os().skip(1).collect())
}
