//! What is wrong with an option, in one line.

use std::fmt;

/// One line that says where, what, and what was probably meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OptionError {
    place: String,
    message: String,
    meant: Option<String>,
}

impl OptionError {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), meant: None }
    }

    /// Adds the nearest valid choice.
    #[must_use]
    pub(crate) fn meant(mut self, choice: Option<impl Into<String>>) -> Self {
        self.meant = choice.map(Into::into);
        self
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if let Some(meant) = &self.meant {
            write!(f, " (did you mean {meant}?)")?;
        }
        Ok(())
    }
}

impl std::error::Error for OptionError {}
