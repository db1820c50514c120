//! The end (spec 14.2).

use std::time::Duration;

use edge_cluster::config::EdgeConfig;

use crate::app::App;
use crate::hooks::Hooks;
use crate::signals::{Caught, Signals};

/// How long the last things may be told to hooks.
const HOOKS_MAX: Duration = Duration::from_secs(2);
/// How often to ask whether hooks were told everything.
const HOOKS_POLL: Duration = Duration::from_millis(20);

/// How to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// Now.
    Fast,
    /// When clients have left.
    Graceful,
}

/// How a signal wants the server to stop.
pub(super) fn wanted(signal: Caught, config: &EdgeConfig) -> Stop {
    match signal {
        Caught::Quit => Stop::Graceful,
        Caught::Terminate if config.stop.force_grace_quit => Stop::Graceful,
        _ => Stop::Fast,
    }
}

/// Begins a graceful stop. The edge ends it when the last client has left or its limit is reached; this only returns when
/// somebody is out of patience.
pub(super) async fn drain(app: &App, signals: &mut Signals, close_http: impl FnOnce()) {
    let log = &app.log;
    log.info(log.cid(), "graceful stop begins");
    let begin = tokio::time::sleep(app.config().stop.grace_start_wait);
    if unless_interrupted(begin, signals).await {
        close_http();
        app.edge.drain();
        unless_interrupted(std::future::pending(), signals).await;
    }
    log.info(log.cid(), "graceful stop was cut short");
}

/// Lets hooks hear the last things.
pub(super) async fn tell_hooks(hooks: &Hooks) {
    let told = async {
        while !hooks.is_idle() {
            tokio::time::sleep(HOOKS_POLL).await;
        }
    };
    // A hook that does not answer must not hold up the end.
    let _ = tokio::time::timeout(HOOKS_MAX, told).await;
}

/// Lets `work` go on until it is done (`true`), or until a signal says that somebody is out of patience.
pub(super) async fn unless_interrupted(work: impl Future<Output = ()>, signals: &mut Signals) -> bool {
    let impatient = async {
        while !matches!(signals.next().await, Caught::Quit | Caught::Terminate | Caught::Interrupt) {}
    };
    tokio::select! {
        () = work => true,
        () = impatient => false,
    }
}
