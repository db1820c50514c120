//! The configuration tool: `-t`, `directives`, `diff`.

use std::io::{self, Write};
use std::process::ExitCode;

use edge_cluster::config::table::Reload;
use edge_cluster::config::{Difference, difference, manual, similar_directive};

use crate::source::{Source, report};
use crate::{BAD, refuse};

/// Lists all errors and warnings, and says in one line what a good configuration has.
pub(crate) fn check(source: &Source, name: &str, out: &mut impl Write) -> io::Result<ExitCode> {
    let Some(loaded) = report(source.read())? else {
        return Ok(ExitCode::from(BAD));
    };
    let edges = loaded.config.vhosts.iter().filter(|vhost| vhost.cluster.is_edge()).count();
    let listen: Vec<String> = loaded.config.listen.iter().map(ToString::to_string).collect();
    let vhosts = loaded.config.vhosts.len();
    let warnings = loaded.warnings.len() + loaded.warnings_omitted;
    writeln!(
        out,
        "{name}: the configuration is good: listen {}, vhosts {vhosts} (edges {edges}), warnings {warnings}",
        listen.join(" ")
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual.
pub(crate) fn directives(name: Option<&str>, out: &mut impl Write) -> io::Result<ExitCode> {
    let text = manual(name);
    if let (true, Some(name)) = (text.is_empty(), name) {
        let hint =
            similar_directive(name).map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
        return refuse(&format!("no directive {name:?}{hint}"));
    }
    out.write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Tells what a reload from one file to the other would change.
pub(crate) fn diff(old: &Source, new: &Source, out: &mut impl Write) -> io::Result<ExitCode> {
    let (Some(old), Some(new)) = (report(old.read())?, report(new.read())?) else {
        return Ok(ExitCode::from(BAD));
    };
    let found = difference(&old.config, &new.config);
    if found.is_empty() {
        writeln!(out, "no difference")?;
    }
    for (line, _) in describe(&found) {
        writeln!(out, "{line}")?;
    }
    match found.check() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => refuse(&format!("the reload would be refused: {error}")),
    }
}

/// A difference, line by line, and when each counts.
pub(crate) fn describe(found: &Difference) -> impl Iterator<Item = (String, Reload)> {
    let added = found.vhosts_added.iter().map(|vhost| format!("vhost {vhost}: added"));
    let removed = found
        .vhosts_removed
        .iter()
        .map(|vhost| format!("vhost {vhost}: removed, its clients stay until they leave"));
    let changes = found.changes.iter().map(|change| (change.to_string(), change.reload));
    added.chain(removed).map(|line| (line, Reload::Live)).chain(changes)
}
