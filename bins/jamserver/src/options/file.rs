//! The configuration file: TOML, one key per option.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Found, Kind, OptionError, Origin, Table, Values};

/// Reads a configuration file; `path` is only for messages.
///
/// # Errors
///
/// A syntax error, an unknown key or an invalid value, with its line and column.
pub(crate) fn parse_file(table: Table, path: &str, text: &str) -> Result<(Values, Vec<String>), OptionError> {
    let mut values = Values::new(table);
    let mut warnings = Vec::new();
    let document = DeTable::parse(text).map_err(|e| {
        let start = e.span().map_or(0, |span| span.start);
        let (line, column) = position(text, start);
        OptionError::new(format!("{path}:{line}:{column}"), e.message().trim())
    })?;
    // In the order of the file, so that the first mistake is the one reported.
    let mut entries: Vec<_> = document.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let (line, column) = position(text, key.span().start);
        let place = format!("{path}:{line}:{column}: {}", key.get_ref());
        match table.by_long(key.get_ref()) {
            None => {
                return Err(OptionError::new(place, "unknown key").meant(table.nearest_long(key.get_ref())));
            }
            Some(Found::Foreign(def)) => warnings.push(def.judge(&place)?),
            Some(Found::Ours(def)) => {
                let (line, column) = position(text, value.span().start);
                let origin = Origin::File {
                    path: path.to_owned(),
                    line,
                    column,
                    key: key.get_ref().clone().into_owned(),
                };
                let text = plain(&def.kind, value).map_err(|m| OptionError::new(origin.to_string(), m))?;
                values.set(def, text, origin)?;
            }
        }
    }
    Ok((values, warnings))
}

/// The value as the command line would spell it.
fn plain(kind: &Kind, value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    let wanted = match (kind, value.get_ref()) {
        (Kind::Flag, DeValue::Boolean(b)) => return Ok(b.to_string()),
        (Kind::Flag, _) => "true or false",
        (Kind::Number { .. }, DeValue::Integer(n)) if n.radix() == 10 => return Ok(n.as_str().to_owned()),
        (Kind::Number { words, .. }, DeValue::String(s)) if words.contains(&s.as_ref()) => {
            return Ok(s.clone().into_owned());
        }
        (Kind::Number { words: [], .. }, _) => "a number without quotes",
        (Kind::Number { .. }, _) => "a number without quotes, or one of its words in quotes",
        (Kind::List { .. }, DeValue::Array(items)) => {
            let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            match items {
                Some(items) => return Ok(items.join(",")),
                None => "an array of texts in quotes",
            }
        }
        (_, DeValue::String(s)) => return Ok(s.clone().into_owned()),
        (Kind::List { .. }, _) => "an array of texts in quotes",
        _ => "a text in quotes",
    };
    Err(format!("the value must be {wanted}"))
}

/// Line and column of a byte position, both counted from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
