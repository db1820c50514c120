//! Checks a tree against the tables and reads every directive to its value or default (spec 1.3, 1.4).

use std::collections::BTreeMap;
use std::time::Duration;

use super::build_vhost::parse_rule;
use super::diagnostic::{Location, Report, Severity, nearest};
use super::table::{DirectiveSpec, Kind, ROOT, Scope, find, join, walk};
use super::tree::Directive;

/// The value of one directive: as the configuration says, or the default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Setting {
    /// The words that count: `on` or `off` for a switch, the number that is used for a number.
    pub(crate) words: Vec<String>,
    /// Where it was written; `None` where the default counts.
    pub(crate) location: Option<Location>,
}

/// All directives of one table with their values, by path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Values(pub(crate) BTreeMap<String, Setting>);

/// What to do with names that no table has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unknown {
    Refuse,
    Warn,
}

/// Reads `children` by `table`. Messages name directives as `shown_parent` and the path.
pub(crate) fn read(
    table: &'static [DirectiveSpec],
    shown_parent: &str,
    children: &[Directive],
    unknown: Unknown,
    report: &mut Report,
) -> Values {
    let mut reader = Reader { values: Values::default(), unknown, report, silent: false };
    reader.block(table, "", shown_parent, children);
    reader.values
}

struct Reader<'a> {
    values: Values,
    unknown: Unknown,
    report: &'a mut Report,
    /// Inside a block without effect, which had its one warning.
    silent: bool,
}

impl Reader<'_> {
    fn block(&mut self, table: &'static [DirectiveSpec], parent: &str, shown: &str, children: &[Directive]) {
        let mut seen: BTreeMap<&'static str, &Location> = BTreeMap::new();
        for directive in children {
            let Some(spec) = find(table, &directive.name) else {
                self.report_unknown(table, shown, directive);
                continue;
            };
            if let (Some(first), false) = (seen.get(spec.name), spec.repeats) {
                self.report_repeated(directive, first);
                continue;
            }
            seen.insert(spec.name, &directive.location);
            self.warn_of_scope(spec, &join(shown, spec.name), directive);
            // A vhost has values of its own.
            let path = join(parent, spec.name);
            if path != "vhost" {
                self.directive(spec, &path, &join(shown, spec.name), directive);
            }
        }
        for spec in table.iter().filter(|spec| !seen.contains_key(spec.name)) {
            self.absent(spec, &join(parent, spec.name));
        }
    }

    fn directive(&mut self, spec: &'static DirectiveSpec, path: &str, shown: &str, directive: &Directive) {
        let at = &directive.location;
        let words = match spec.kind {
            Kind::Block(table) => {
                if !directive.has_block && !self.silent {
                    self.report.warn(at, format!("{shown} is a block, its arguments have no effect"));
                }
                let silent = self.silent;
                self.silent |= spec.scope != Scope::Core;
                self.block(table, path, shown, &directive.children);
                self.silent = silent;
                return;
            }
            Kind::Opaque => vec![written(directive)],
            Kind::Rule => vec![self.rule(shown, directive)],
            _ => {
                if directive.has_block && !self.silent {
                    self.report.warn(at, format!("{shown} takes no block, what it holds has no effect"));
                }
                self.words(spec, shown, directive)
            }
        };
        let setting = self.values.0.entry(path.into()).or_default();
        setting.words.extend(words);
        setting.location.get_or_insert_with(|| at.clone());
    }

    /// A rule that cannot be read is named here, where it stands: several of a name are one setting.
    fn rule(&mut self, shown: &str, directive: &Directive) -> String {
        let text = directive.args.join(" ");
        if parse_rule(&text).is_none() {
            let message = format!("{shown} is publish or play and all, an address or a range, not {text:?}");
            self.report.error(&directive.location, message);
        }
        text
    }

    /// The words of a directive that count.
    fn words(&mut self, spec: &DirectiveSpec, shown: &str, directive: &Directive) -> Vec<String> {
        let Some(word) = directive.arg() else {
            return default_words(spec);
        };
        let one = matches!(
            spec.kind,
            Kind::Switch | Kind::Integer { .. } | Kind::Number | Kind::Bytes | Kind::Text | Kind::Choice(_)
        );
        if one && directive.args.len() > 1 {
            self.warn(directive, format!("{shown} takes one value, the others have no effect"));
        }
        let used = match spec.kind {
            Kind::Switch if matches!(word, "on" | "off") => word.into(),
            Kind::Switch => {
                self.warn(directive, format!("{shown} is on or off; {word:?} reads as {}", spec.default));
                spec.default.into()
            }
            Kind::Integer { min, max } => self.integer(word, min, max, shown, directive),
            Kind::Number => {
                let (number, whole) = leading_number(word);
                if !whole {
                    self.warn(directive, format!("{shown} is a number; {word:?} reads as {number}"));
                }
                number.into()
            }
            Kind::Bytes => match parse_bytes(word) {
                Some(_) => word.into(),
                None => {
                    let default = spec.default;
                    self.warn(
                        directive,
                        format!("{shown} is a size such as 32m; {word:?} reads as {default}"),
                    );
                    default.into()
                }
            },
            Kind::Choice(known) if !known.contains(&word) => {
                let message =
                    format!("{shown} is one of {}; {word:?} reads as {:?}", known.join(", "), spec.default);
                self.warn(directive, message);
                spec.default.into()
            }
            Kind::Text | Kind::Choice(_) => word.into(),
            _ => return directive.args.clone(),
        };
        vec![used]
    }

    fn integer(&mut self, word: &str, min: i64, max: i64, shown: &str, directive: &Directive) -> String {
        let (text, _) = leading_number(word);
        let integral = text.split('.').next().unwrap_or_default();
        let negative = integral.starts_with('-');
        // Too many digits mean the largest number there is.
        let number = integral.parse().unwrap_or(if negative { i64::MIN } else { i64::MAX });
        if integral != word && number.to_string() != word {
            self.warn(directive, format!("{shown} is a whole number; {word:?} reads as {number}"));
        }
        let used = number.clamp(min, max);
        if used != number {
            self.warn(directive, format!("{shown} {number} is outside {min}..{max}; {used} is used"));
        }
        used.to_string()
    }

    fn absent(&mut self, spec: &'static DirectiveSpec, path: &str) {
        match spec.kind {
            Kind::Block(_) if path == "vhost" => {}
            Kind::Block(table) => table.iter().for_each(|child| self.absent(child, &join(path, child.name))),
            _ => {
                self.values.0.insert(path.into(), Setting { words: default_words(spec), location: None });
            }
        }
    }

    fn warn(&mut self, directive: &Directive, message: String) {
        if !self.silent {
            self.report.warn(&directive.location, message);
        }
    }

    fn warn_of_scope(&mut self, spec: &DirectiveSpec, shown: &str, directive: &Directive) {
        let message = match spec.scope {
            Scope::Core => return,
            Scope::Later => format!("{shown} is planned and has no effect yet"),
            Scope::Ignored => format!("{shown} is accepted and has no effect here"),
        };
        self.warn(directive, message);
    }

    fn report_unknown(&mut self, table: &'static [DirectiveSpec], shown: &str, directive: &Directive) {
        let severity = match self.unknown {
            Unknown::Refuse => Severity::Error,
            Unknown::Warn => Severity::Warning,
        };
        let message = format!("unknown directive {}", join(shown, &directive.name));
        let suggestion =
            elsewhere(directive).or_else(|| nearest(&directive.name, table.iter().map(|spec| spec.name)));
        self.report.push(severity, &directive.location, message, suggestion);
    }

    fn report_repeated(&mut self, directive: &Directive, first: &Location) {
        let name = &directive.name;
        if name == "http_remux" {
            self.report
                .error(&directive.location, format!("more than one http_remux, the first is at {first}"));
        } else {
            self.warn(directive, format!("second {name} without effect, the first at {first} counts"));
        }
    }
}

/// The first place where a directive of this name and form belongs: many are written one block too far out or in.
fn elsewhere(directive: &Directive) -> Option<String> {
    let mut found = None;
    walk(ROOT, "", &mut |path, spec| {
        let is_block = matches!(spec.kind, Kind::Block(_) | Kind::Opaque);
        if found.is_none() && spec.name == directive.name && is_block == directive.has_block {
            found = Some(path.to_owned());
        }
    });
    found
}

/// A directive without comments and line ends.
fn written(directive: &Directive) -> String {
    let mut text = directive.args.join(" ");
    if directive.has_block {
        let inner: Vec<String> =
            directive.children.iter().map(|child| format!("{} {};", child.name, written(child))).collect();
        text = format!("{text} {{ {} }}", inner.join(" "));
    }
    text.trim().to_owned()
}

fn default_words(spec: &DirectiveSpec) -> Vec<String> {
    if spec.default.is_empty() { Vec::new() } else { vec![spec.default.into()] }
}

/// Sign, digits and fraction at the start of a word, `0` where there are none, and whether that was the whole word.
fn leading_number(word: &str) -> (&str, bool) {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(word.starts_with(['-', '+']));
    let whole = digits(word.get(sign..).unwrap_or_default());
    let mut end = sign + whole;
    if let Some(fraction) = word.get(end..).and_then(|rest| rest.strip_prefix('.')) {
        let count = digits(fraction);
        end += if count > 0 || whole > 0 { count + 1 } else { 0 };
    }
    if end == sign {
        return ("0", false);
    }
    let number = word.get(..end).unwrap_or("0");
    (number.strip_prefix('+').unwrap_or(number), end == word.len())
}

/// `32m` and the like.
fn parse_bytes(word: &str) -> Option<u64> {
    let (digits, shift) = match word.as_bytes().last()? {
        b'k' | b'K' => (word.get(..word.len() - 1)?, 10),
        b'm' | b'M' => (word.get(..word.len() - 1)?, 20),
        b'g' | b'G' => (word.get(..word.len() - 1)?, 30),
        _ => (word, 0),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Values {
    /// The words of a directive; none where the table has no such path.
    pub(crate) fn words(&self, path: &str) -> &[String] {
        debug_assert!(self.0.contains_key(path), "{path} is in no table");
        self.0.get(path).map_or(&[], |setting| &setting.words)
    }

    /// Where it was written, if it was.
    pub(crate) fn location(&self, path: &str) -> Option<&Location> {
        self.0.get(path).and_then(|setting| setting.location.as_ref())
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.words(path).first().cloned().unwrap_or_default()
    }

    pub(crate) fn on(&self, path: &str) -> bool {
        self.words(path).first().is_some_and(|word| word == "on")
    }

    pub(crate) fn integer(&self, path: &str) -> i64 {
        self.words(path).first().and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// An integer that its table keeps in range.
    pub(crate) fn count(&self, path: &str) -> u32 {
        self.integer(path).clamp(0, u32::MAX.into()).try_into().unwrap_or(u32::MAX)
    }

    pub(crate) fn number(&self, path: &str) -> f64 {
        self.words(path).first().and_then(|word| word.parse().ok()).unwrap_or(0.0)
    }

    pub(crate) fn seconds(&self, path: &str) -> Duration {
        // A century is for ever, and a duration takes no infinity and nothing below zero.
        Duration::try_from_secs_f64(self.number(path).clamp(0.0, 3.2e9)).unwrap_or_default()
    }

    pub(crate) fn milliseconds(&self, path: &str) -> Duration {
        self.seconds(path) / 1000
    }

    pub(crate) fn bytes(&self, path: &str) -> u64 {
        self.words(path).first().and_then(|word| parse_bytes(word)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_like_c_reads_them() {
        for (word, number, whole) in [
            ("10", "10", true),
            ("10s", "10", false),
            ("abc", "0", false),
            ("", "0", false),
            ("-", "0", false),
            (".", "0", false),
            ("-5", "-5", true),
            ("+5", "5", true),
            ("1.5", "1.5", true),
            ("1.", "1.", true),
            (".5x", ".5", false),
            ("1.2.3", "1.2", false),
        ] {
            assert_eq!(leading_number(word), (number, whole), "{word:?}");
            assert!(number.parse::<f64>().is_ok(), "{number}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_bytes("32m"), Some(32 << 20));
        assert_eq!(parse_bytes("7"), Some(7));
        assert_eq!(parse_bytes("1K"), Some(1024));
        for bad in ["", "m", "1x", "-1", "+1", "99999999999g", "1é"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }
}
