//! The command line.

use super::{Found, Kind, OptionError, Origin, Table, Values};

/// What a command line said.
#[derive(Debug)]
pub(crate) enum Args {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// Run with these values; the texts are warnings.
    Run(Values, Vec<String>),
}

/// Reads arguments from left to right; the last of several equal options wins.
///
/// A value follows in the next argument (`--port 22124`, `-p 22124`) or behind an equals sign (`--port=22124`).
///
/// # Errors
///
/// The first argument that cannot be understood.
pub(crate) fn parse_args(table: Table, args: impl IntoIterator<Item = String>) -> Result<Args, OptionError> {
    let mut values = Values::new(table);
    let mut warnings = Vec::new();
    let mut args = args.into_iter().peekable();
    while let Some(argument) = args.next() {
        if matches!(argument.as_str(), "-h" | "-?" | "--help") {
            return Ok(Args::Help);
        }
        if matches!(argument.as_str(), "-v" | "-V" | "--version") {
            return Ok(Args::Version);
        }
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        let found = table.by_argument(&name).ok_or_else(|| unknown(table, &name))?;
        let takes_value = match found {
            Found::Ours(def) => !matches!(def.kind, Kind::Flag),
            Found::Foreign(def) => def.takes_value,
        };
        let value = match attached {
            Some(value) => Some(value),
            None if takes_value => args.next_if(|next| table.by_argument(next).is_none()),
            None => None,
        };
        match found {
            Found::Ours(def) => {
                let text = match value {
                    Some(text) => text,
                    None if takes_value => return Err(missing_value(&name, &def.kind)),
                    None => "true".to_owned(),
                };
                values.set(def, text, Origin::CommandLine(name))?;
            }
            Found::Foreign(def) => warnings.push(def.judge(&name)?),
        }
    }
    Ok(Args::Run(values, warnings))
}

fn missing_value(name: &str, kind: &Kind) -> OptionError {
    OptionError::new(name, format!("needs a value: {name} {}", kind.placeholder()))
}

fn unknown(table: Table, name: &str) -> OptionError {
    let Some(rest) = name.strip_prefix('-') else {
        return OptionError::new(name, "is not an option; options start with a dash, see --help");
    };
    if let Some(long) = rest.strip_prefix('-') {
        return OptionError::new(name, "unknown option, see --help")
            .meant(table.nearest_long(long).map(|n| format!("--{n}")));
    }
    // `-p22124` and `-port` are likely slips.
    let mut letters = rest.chars();
    let meant = match letters.next().and_then(|letter| table.by_short(letter).map(|found| (letter, found))) {
        Some((letter, Found::Ours(def))) if letters.as_str().chars().all(|c| c.is_ascii_digit()) => {
            (!matches!(def.kind, Kind::Flag)).then(|| format!("-{letter} {}", letters.as_str()))
        }
        _ => table.nearest_long(rest).map(|n| format!("--{n}")),
    };
    OptionError::new(name, "unknown option, see --help").meant(meant)
}
