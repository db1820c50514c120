//! The running server: starts it, obeys signals, stops it in good order.

mod reload;
mod start;
mod statistics;
mod stop;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use edge_cluster::config::{Diagnostic, EdgeConfig, Loaded};
use tokio::sync::mpsc;

use crate::app::App;
use crate::files::Mark;
use crate::process::daemon;
use crate::signals::{Caught, Signals};
use crate::source::{Source, report};
use crate::watch::{self, Watch};
use crate::{BAD, FAILED};
use reload::reload;
use statistics::Statistics;
use stop::Stop;

/// A configuration that is good, and where it came from.
struct Job {
    source: Source,
    config: Arc<EdgeConfig>,
    warnings: Vec<Diagnostic>,
    warnings_omitted: usize,
    files: Vec<(PathBuf, Mark)>,
}

/// Serves until a signal asks to stop.
pub(crate) fn run(source: Source) -> io::Result<ExitCode> {
    let (result, files) = source.read_and_list();
    let Loaded { config, warnings, warnings_omitted, .. } = match result {
        Ok(loaded) => loaded,
        Err(error) => {
            report(Err(error))?;
            return Ok(ExitCode::from(BAD));
        }
    };
    if start::in_background(&config) {
        if !daemon::is_detached() {
            return daemon::detach();
        }
        daemon::leave_session()?;
    }
    let job = Job { source, config: Arc::new(config), warnings, warnings_omitted, files };
    match start::start(job) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(message) => {
            writeln!(io::stderr(), "srs-edge: {message}")?;
            Ok(ExitCode::from(FAILED))
        }
    }
}

/// Does what signals, the HTTP API and the clock ask for, until it is time to stop.
async fn main_loop(
    app: &App,
    source: &Source,
    signals: &mut Signals,
    asked: &mut mpsc::Receiver<()>,
    files: Vec<(PathBuf, Mark)>,
) -> Stop {
    let mut watch = Watch::default();
    watch.set(files);
    let mut look = tokio::time::interval(watch::INTERVAL);
    let mut statistics = Statistics::default();
    let mut print = tokio::time::interval(statistics::interval(&app.config()));
    print.reset();
    loop {
        let reload_now = tokio::select! {
            caught = signals.next() => match caught {
                Caught::Reload => true,
                Caught::Reopen => {
                    app.log.reopen(start::log_target(&app.config()));
                    app.log.info(app.log.cid(), "log file opened again");
                    false
                }
                Caught::Ignored => false,
                Caught::Quit | Caught::Terminate | Caught::Interrupt => {
                    app.log.info(app.log.cid(), &format!("signal: {caught:?}"));
                    return stop::wanted(caught, &app.config());
                }
            },
            Some(()) = asked.recv() => true,
            _ = look.tick(), if app.config().auto_reload => watch.look(crate::clock::now()),
            _ = print.tick() => {
                statistics.print(app).await;
                false
            }
        };
        if reload_now {
            watch.set(reload(app, source).await);
            print = tokio::time::interval(statistics::interval(&app.config()));
            print.reset();
        }
    }
}
