//! Errors and warnings with their place.

use std::fmt;
use std::sync::Arc;

/// Where something stands in a configuration.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Location {
    /// Name of the file as it was asked from [`Sources`](super::Sources), or of the environment variable.
    pub file: Arc<str>,
    /// Line, from 1; 0 when the whole file (or a variable) is meant.
    pub line: u32,
    /// Column in characters, from 1; 0 when the whole line is meant. A tabulator is one character.
    pub column: u32,
}

impl Location {
    /// The file or variable as a whole.
    pub(crate) fn whole(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 0, column: 0 }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// Whether a [`Diagnostic`] keeps the configuration from being used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The configuration is not usable.
    Error,
    /// The configuration is usable, but probably does not do what its author thinks.
    Warning,
}

/// One error or warning: `edge.conf:7:9: unknown directive vhost.cluster.orgin (did you mean "origin"?)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// What, in lower case and without a full stop.
    pub message: String,
    /// The nearest name that would have been accepted.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)?;
        match &self.suggestion {
            Some(name) => write!(f, " (did you mean {name:?}?)"),
            None => Ok(()),
        }
    }
}

/// A configuration that cannot be used. It lists everything that was found, not only the first mistake.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", summary(.diagnostics))]
pub struct ConfigError {
    diagnostics: Vec<Diagnostic>,
    omitted: usize,
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return String::from("the configuration has errors");
    };
    match errors.count() {
        0 => first.to_string(),
        more => format!("{first}, and {more} more"),
    }
}

impl ConfigError {
    /// Errors and warnings in the order of the configuration. At least one is an error.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error)
    }

    /// Diagnostics beyond [`ConfigLimits::diagnostics_max`](super::ConfigLimits::diagnostics_max), which were not kept.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

/// Collects diagnostics up to a bound. The first errors are kept even where warnings fill the list.
#[derive(Debug)]
pub(crate) struct Report {
    diagnostics: Vec<Diagnostic>,
    max: usize,
    omitted: usize,
    errors: usize,
    is_partial: bool,
}

impl Report {
    pub(crate) fn new(max: usize) -> Self {
        Self { diagnostics: Vec::new(), max: max.max(1), omitted: 0, errors: 0, is_partial: false }
    }

    pub(crate) fn error(&mut self, location: &Location, message: impl Into<String>) {
        self.push(Severity::Error, location, message.into(), None);
    }

    /// An error about something that is not there. Where a file is missing it may be in that file.
    pub(crate) fn lacks(&mut self, location: &Location, message: impl Into<String>) {
        if !self.is_partial {
            self.error(location, message);
        }
    }

    pub(crate) fn warn(&mut self, location: &Location, message: impl Into<String>) {
        self.push(Severity::Warning, location, message.into(), None);
    }

    pub(crate) fn push(
        &mut self,
        severity: Severity,
        location: &Location,
        message: String,
        suggestion: Option<String>,
    ) {
        if severity == Severity::Warning && self.is_partial {
            return;
        }
        let first_error = severity == Severity::Error && !self.failed();
        self.errors += usize::from(severity == Severity::Error);
        if self.diagnostics.len() >= self.max {
            self.omitted += 1;
            if !first_error {
                return;
            }
            self.diagnostics.pop();
        }
        self.diagnostics.push(Diagnostic { severity, location: location.clone(), message, suggestion });
    }

    /// Whether an error was reported.
    pub(crate) fn failed(&self) -> bool {
        self.errors > 0
    }

    /// Errors so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// From now on a part of the configuration is missing: warnings, and errors about what is not there, would often be
    /// wrong and are left out.
    pub(crate) fn set_partial(&mut self) {
        self.is_partial = true;
    }

    /// The warnings and how many were not kept, or the error.
    pub(crate) fn finish(self) -> Result<(Vec<Diagnostic>, usize), ConfigError> {
        if self.failed() {
            return Err(self.into_error());
        }
        Ok((self.diagnostics, self.omitted))
    }

    /// The error, after [`Report::failed`].
    pub(crate) fn into_error(self) -> ConfigError {
        ConfigError { diagnostics: self.diagnostics, omitted: self.omitted }
    }
}

/// The name of `known` that `word` was probably meant to be: at most a third of its letters differ.
pub(crate) fn nearest<N: AsRef<str>>(word: &str, known: impl Iterator<Item = N>) -> Option<String> {
    // No known name is longer; comparing more would only cost time.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .map(|name| (distance(&lower, &name.as_ref().to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.as_ref().len().min(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.as_ref().to_owned())
}

/// Edit distance where swapping neighbours is one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (cell(&last, j) + usize::from(x != y)).min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_few_letters_away() {
        let known = || ["origin", "mode", "vhost"].into_iter();
        assert_eq!(nearest("orgin", known()), Some("origin".into()));
        assert_eq!(nearest("ORIGIN", known()), Some("origin".into()));
        assert_eq!(nearest("vhots", known()), Some("vhost".into()), "swapped neighbours");
        assert_eq!(nearest("listen", known()), None);
        assert_eq!(nearest(&"o".repeat(10_000), known()), None);
    }

    #[test]
    fn a_full_report_still_holds_the_first_error() {
        let at = Location::whole(&Arc::from("a"));
        let mut report = Report::new(2);
        (0..5).for_each(|i| report.warn(&at, i.to_string()));
        report.error(&at, "bad");
        let error = report.finish().unwrap_err();
        assert_eq!(error.diagnostics().len(), 2);
        assert_eq!(error.omitted(), 4);
        assert_eq!(error.to_string(), "a: bad");
    }
}
