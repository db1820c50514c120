//! The environment.

use super::{Kind, OptionError, Origin, Table, Values};

/// Reads the variables that belong to the table; empty ones count as not set.
///
/// Returns the values and warnings about variables that look like options but are none.
///
/// # Errors
///
/// The first variable with an invalid value.
pub(crate) fn parse_env(
    table: Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(Values, Vec<String>), OptionError> {
    let mut values = Values::new(table);
    let mut warnings = Vec::new();
    let names: Vec<String> = table.iter().map(|def| def.env_name(table.env_prefix)).collect();
    for (name, text) in variables {
        if table.env_prefix.is_empty() || !name.starts_with(table.env_prefix) || text.is_empty() {
            continue;
        }
        let Some(def) = table.iter().zip(&names).find(|(_, n)| **n == name).map(|(def, _)| def) else {
            let meant = super::nearest(&name.to_lowercase(), names.iter().map(String::as_str));
            let error =
                OptionError::new(name, "no option has this name; the variable is ignored").meant(meant);
            warnings.push(error.to_string());
            continue;
        };
        let text = if matches!(def.kind, Kind::Flag) { truth(&text) } else { text };
        values.set(def, text, Origin::Environment(name))?;
    }
    Ok((values, warnings))
}

/// The usual spellings of yes and no in environments.
fn truth(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => "true".to_owned(),
        "0" | "false" | "no" | "off" => "false".to_owned(),
        _ => text.to_owned(),
    }
}
