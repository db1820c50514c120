//! What became of the last reload (`rpc=reload-fetch`).

use std::sync::Mutex;

use serde::Serialize;

/// What `err` is for a configuration that is refused; the number is that of SRS.
const CONFIG_INVALID: u32 = 1023;

/// How far a reload is; scripts wait for the numbers of SRS.
#[derive(Clone, Copy)]
enum State {
    None = 0,
    UnderWay = 10,
    Refused = 20,
    Done = 90,
}

/// The result of a reload.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Report {
    /// 0 is good.
    err: u32,
    msg: String,
    state: u32,
    /// Name of this reload.
    rid: String,
}

/// Where the result is kept.
#[derive(Debug)]
pub(crate) struct ReloadStatus(Mutex<Report>);

impl Default for ReloadStatus {
    fn default() -> Self {
        Self(Mutex::new(Report {
            err: 0,
            msg: "no reload yet".into(),
            state: State::None as u32,
            rid: String::new(),
        }))
    }
}

impl ReloadStatus {
    /// A reload begins.
    pub(crate) fn begin(&self) {
        let state = State::UnderWay as u32;
        self.set(Report { err: 0, msg: "under way".into(), state, rid: crate::id::random(8) });
    }

    /// It is done, or refused for a reason.
    pub(crate) fn end(&self, result: &Result<(), String>) {
        let (err, msg, state) = match result {
            Ok(()) => (0, "Success".to_owned(), State::Done as u32),
            Err(reason) => (CONFIG_INVALID, reason.clone(), State::Refused as u32),
        };
        let rid = self.last().rid;
        self.set(Report { err, msg, state, rid });
    }

    /// The result of the last one.
    pub(crate) fn last(&self) -> Report {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, report: Report) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = report;
    }
}
