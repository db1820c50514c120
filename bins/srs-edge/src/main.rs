//! `srs-edge`: an SRS-compatible RTMP edge and origin, and the tool for its configuration.
//!
//! ```text
//! srs-edge -c FILE              serves
//! srs-edge demo                 serves a built-in stream through an origin and an edge
//! srs-edge -t -c FILE           checks a configuration
//! srs-edge directives [NAME]    explains directives
//! srs-edge diff OLD NEW         tells what a reload would change
//! ```
#![forbid(unsafe_code)]

mod app;
mod clock;
mod demo;
mod events;
mod files;
mod hooks;
mod http;
mod id;
mod log;
mod machine;
mod options;
mod process;
mod reload;
mod serve;
mod signals;
mod source;
mod tool;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::options::{Action, Options};
use crate::process::limits::raise_open_files;
use crate::source::Source;

/// What the program calls itself on the wire.
const SIGNATURE: &str = concat!("srs-edge/", env!("CARGO_PKG_VERSION"));
/// Exit codes beside 0: failed; bad configuration or bad use.
const FAILED: u8 = 1;
const BAD: u8 = 2;

fn main() -> ExitCode {
    let result = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => run(options),
        Err(message) => refuse(&message),
    };
    match result {
        Ok(code) => code,
        // The reader of a pipe may leave early: srs-edge directives | head
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails too.
            let _ = writeln!(io::stderr(), "srs-edge: cannot write: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(options: Options) -> io::Result<ExitCode> {
    let mut out = io::stdout();
    let source = |input| Source::new(input, options.lenient, raise_open_files());
    match options.action {
        Action::Help => out.write_all(options::HELP.as_bytes())?,
        Action::Version => writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?,
        Action::Signature => writeln!(out, "{SIGNATURE}")?,
        Action::Serve(input) => return serve::run(source(input)),
        Action::Demo { port } => return demo::run(port),
        Action::Check(input) => {
            let name = input.to_string();
            return tool::check(&source(input), &name, &mut out);
        }
        Action::Directives(name) => return tool::directives(name.as_deref(), &mut out),
        Action::Diff { old, new } => {
            let file = |path| source(options::Input::File(path));
            return tool::diff(&file(old), &file(new), &mut out);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong with the configuration or the use.
fn refuse(message: &str) -> io::Result<ExitCode> {
    writeln!(io::stderr(), "srs-edge: {message}")?;
    Ok(ExitCode::from(BAD))
}
