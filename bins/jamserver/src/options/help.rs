//! The help text.

use std::fmt::Write as _;

use super::Table;

/// Where the explanations start.
const COLUMN: usize = 34;
/// Where lines break.
const WIDTH: usize = 100;

/// The options of a table under their headings, ready to print.
pub(crate) fn render(table: Table) -> String {
    let mut out = String::new();
    let mut heading = "";
    for def in table.iter() {
        if def.group != heading {
            heading = def.group;
            let _ = write!(out, "\n{heading}:\n");
        }
        let short = def.short.map_or_else(|| "    ".to_owned(), |c| format!("-{c}, "));
        let placeholder = def.kind.placeholder();
        let left = format!("  {short}--{} {placeholder}", def.key);
        let mut text = def.help.to_owned();
        if !def.aliases.is_empty() {
            let names: Vec<String> = def.aliases.iter().map(|a| format!("--{a}")).collect();
            let _ = write!(text, " Also {}.", names.join(", "));
        }
        let range = def.kind.range();
        match (range.as_str(), def.default) {
            ("", "") => {}
            ("", default) => {
                let _ = write!(text, " [default: {default}]");
            }
            (range, "") => {
                let _ = write!(text, " [{range}]");
            }
            (range, default) => {
                let _ = write!(text, " [{range}; default: {default}]");
            }
        }
        entry(&mut out, left.trim_end(), &text);
    }
    out
}

/// Writes one option: its names, then its explanation in a column of its own.
fn entry(out: &mut String, left: &str, text: &str) {
    let mut line = format!("{left:COLUMN$}");
    if left.len() + 2 > COLUMN {
        out.push_str(left);
        out.push('\n');
        line = " ".repeat(COLUMN);
    }
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(COLUMN);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
