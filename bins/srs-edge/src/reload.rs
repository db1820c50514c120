//! What became of the last reload (`rpc=reload-fetch`).

use std::sync::Mutex;

use serde::Serialize;

/// The result of a reload. `state` is 0 before the first one, 1 while one is under way, 2 afterwards.
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
        Self(Mutex::new(Report { err: 0, msg: "no reload yet".into(), state: 0, rid: String::new() }))
    }
}

impl ReloadStatus {
    /// A reload begins.
    pub(crate) fn begin(&self) {
        self.set(Report { err: 0, msg: "under way".into(), state: 1, rid: crate::id::random(8) });
    }

    /// It is done, or refused for a reason.
    pub(crate) fn end(&self, result: &Result<(), String>) {
        let (err, msg) = match result {
            Ok(()) => (0, "Success".to_owned()),
            Err(reason) => (1, reason.clone()),
        };
        let rid = self.last().rid;
        self.set(Report { err, msg, state: 2, rid });
    }

    /// The result of the last one.
    pub(crate) fn last(&self) -> Report {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn set(&self, report: Report) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = report;
    }
}
