//! What an attack found out.

use serde_json::{Map, Value};

/// Figures of an attack, and promises that it saw broken.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Named figures, in the words of the attack.
    pub(super) measured: Map<String, Value>,
    /// One line for each broken promise.
    pub(super) broken: Vec<String>,
    /// Connections that the server refused or closed; what it logs is divided by them.
    pub(super) refused: u64,
    /// Connections that came so far as to say what they want: each has its story in the log.
    pub(super) let_in: u64,
}

impl Findings {
    /// Notes a figure.
    pub(super) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.measured.insert(name.to_owned(), value.into());
    }

    /// Holds the server to a promise.
    pub(super) fn require(&mut self, kept: bool, otherwise: impl FnOnce() -> String) {
        if !kept {
            self.broken.push(otherwise());
        }
    }
}

/// Milliseconds or seconds as people read them.
pub(super) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
