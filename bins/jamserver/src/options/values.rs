//! The values that hold, and where each came from.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::{OptionDef, OptionError, Table};

/// Where a value was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// On the command line, spelled like this.
    CommandLine(String),
    /// In this environment variable.
    Environment(String),
    /// In a configuration file.
    File { path: String, line: usize, column: usize, key: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(name) | Self::Environment(name) => f.write_str(name),
            Self::File { path, line, column, key } => write!(f, "{path}:{line}:{column}: {key}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Given {
    text: String,
    origin: Origin,
}

/// The value of every option of a table.
#[derive(Debug)]
pub(crate) struct Values {
    table: Table,
    given: BTreeMap<&'static str, Given>,
    /// Which options somebody asked for: a test proves that none is parsed and then forgotten.
    read: RefCell<BTreeSet<&'static str>>,
}

impl Values {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, given: BTreeMap::new(), read: RefCell::default() }
    }

    /// Records a value after checking it; it replaces what was recorded before.
    pub(crate) fn set(
        &mut self,
        def: &'static OptionDef,
        text: String,
        origin: Origin,
    ) -> Result<(), OptionError> {
        def.kind.check(&text).map_err(|e| OptionError::new(origin.to_string(), e.message).meant(e.meant))?;
        self.given.insert(def.key, Given { text, origin });
        Ok(())
    }

    /// Takes every value `stronger` has.
    pub(crate) fn overlay(&mut self, stronger: Self) {
        self.given.extend(stronger.given);
    }

    /// Whether somebody gave the option; an empty text counts as not given.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|g| !g.text.is_empty())
    }

    /// The text of an option, or its default; `None` if that is empty.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let def = self.def(key);
        self.read.borrow_mut().insert(def.key);
        let text = self.given.get(key).map_or(def.default, |g| g.text.as_str());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key).as_deref() == Some("true")
    }

    /// The option as a value of another type; `None` if it has none.
    pub(crate) fn parsed<T: FromStr>(&self, key: &str) -> Result<Option<T>, OptionError>
    where
        T::Err: fmt::Display,
    {
        self.text(key)
            .map(|text| text.parse().map_err(|e: T::Err| self.error(key, e.to_string())))
            .transpose()
    }

    /// The items of a list.
    pub(crate) fn list<T: FromStr>(&self, key: &str) -> Result<Vec<T>, OptionError>
    where
        T::Err: fmt::Display,
    {
        let text = self.text(key).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| item.parse().map_err(|e: T::Err| self.error(key, e.to_string())))
            .collect()
    }

    /// An error about the value of `key`, pointing at where it was given.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) -> OptionError {
        let place = match self.given.get(key) {
            Some(given) => given.origin.to_string(),
            None => format!("--{key}"),
        };
        OptionError::new(place, message)
    }

    /// Every option that was given, with its value and origin, in alphabetical order.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.given.iter().map(|(key, g)| (*key, g.text.as_str(), &g.origin))
    }

    /// The options of the table nobody asked for yet.
    #[cfg(test)]
    pub(crate) fn unread(&self) -> Vec<&'static str> {
        self.table.iter().map(|d| d.key).filter(|key| !self.read.borrow().contains(key)).collect()
    }

    fn def(&self, key: &str) -> &'static OptionDef {
        match self.table.iter().find(|d| d.key == key) {
            Some(def) => def,
            None => unreachable!("the table has no option {key}"),
        }
    }
}
