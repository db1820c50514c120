//! `srs-edge`: today the configuration tool of the coming edge. It checks a file, explains directives and tells what a
//! reload would change. It does not serve yet, and says so.
#![forbid(unsafe_code)]

mod files;
mod options;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use edge_cluster::config::{
    ConfigError, Difference, LoadOptions, Loaded, Severity, difference, load, load_environment, manual,
    similar_directive,
};

use crate::options::{Action, Input, Options};

/// Exit codes: fine; the output could not be written; bad configuration or bad use.
const FAILED: u8 = 1;
const BAD: u8 = 2;

fn main() -> ExitCode {
    let result = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => run(&options),
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

fn run(options: &Options) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match &options.action {
        Action::Help => out.write_all(options::HELP.as_bytes())?,
        Action::Version => writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?,
        Action::Signature => writeln!(out, "srs-edge/{}", env!("CARGO_PKG_VERSION"))?,
        Action::Serve => {
            return refuse("this version only checks configurations and does not serve; add -t to check");
        }
        Action::Check(input) => return check(&read(input, options.lenient), input, &mut out),
        Action::Directives(name) => return directives(name.as_deref(), &mut out),
        Action::Diff { old, new } => return diff(old, new, options.lenient, &mut out),
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(message: &str) -> io::Result<ExitCode> {
    writeln!(io::stderr(), "srs-edge: {message}")?;
    Ok(ExitCode::from(BAD))
}

/// Reads a configuration with the environment of this process.
fn read(input: &Input, lenient: bool) -> Result<Loaded, ConfigError> {
    let mut options = LoadOptions::default();
    options.lenient = lenient;
    options.open_files_max = files::open_files_max();
    options.environment = environment();
    let sources = files::Disk { file_bytes_max: options.limits.file_bytes_max };
    match input {
        Input::File(path) => load(&sources, path, &options),
        Input::Environment => load_environment(&options),
    }
}

/// The variables of SRS. Those that are not text cannot be meant.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("SRS_"))
        .collect()
}

fn check(result: &Result<Loaded, ConfigError>, input: &Input, out: &mut impl Write) -> io::Result<ExitCode> {
    let good = report(result)?;
    let Some(loaded) = good else {
        return Ok(ExitCode::from(BAD));
    };
    let edges = loaded.config.vhosts.iter().filter(|vhost| vhost.cluster.is_edge()).count();
    let listen: Vec<String> = loaded.config.listen.iter().map(ToString::to_string).collect();
    let vhosts = loaded.config.vhosts.len();
    let warnings = loaded.warnings.len() + loaded.warnings_omitted;
    writeln!(
        out,
        "{input}: the configuration is good: listen {}, vhosts {vhosts} (edges {edges}), warnings {warnings}",
        listen.join(" ")
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Lists errors and warnings; gives back a usable configuration.
fn report(result: &Result<Loaded, ConfigError>) -> io::Result<Option<&Loaded>> {
    let mut err = io::stderr().lock();
    let (diagnostics, omitted) = match result {
        Ok(loaded) => (loaded.warnings.as_slice(), loaded.warnings_omitted),
        Err(error) => (error.diagnostics(), error.omitted()),
    };
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(err, "{severity}: {diagnostic}")?;
    }
    if omitted > 0 {
        writeln!(err, "and {omitted} more")?;
    }
    Ok(result.as_ref().ok())
}

fn directives(name: Option<&str>, out: &mut impl Write) -> io::Result<ExitCode> {
    let text = manual(name);
    if let (true, Some(name)) = (text.is_empty(), name) {
        let hint =
            similar_directive(name).map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
        return refuse(&format!("no directive {name:?}{hint}"));
    }
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn diff(old: &str, new: &str, lenient: bool, out: &mut impl Write) -> io::Result<ExitCode> {
    let (old, new) = (read(&Input::File(old.into()), lenient), read(&Input::File(new.into()), lenient));
    let (Some(old), Some(new)) = (report(&old)?, report(&new)?) else {
        return Ok(ExitCode::from(BAD));
    };
    let found = difference(&old.config, &new.config);
    write_difference(&found, out)?;
    match found.check() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => refuse(&format!("the reload would be refused: {error}")),
    }
}

fn write_difference(found: &Difference, out: &mut impl Write) -> io::Result<()> {
    if found.is_empty() {
        return writeln!(out, "no difference");
    }
    for vhost in &found.vhosts_added {
        writeln!(out, "vhost {vhost}: added")?;
    }
    for vhost in &found.vhosts_removed {
        writeln!(out, "vhost {vhost}: removed, its clients stay until they leave")?;
    }
    found.changes.iter().try_for_each(|change| writeln!(out, "{change}"))
}
