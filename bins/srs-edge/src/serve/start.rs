//! Everything between a good configuration and a server that serves.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use edge_cluster::config::{EdgeConfig, LogTank};
use edge_cluster::tokio::Edge;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::stop::{Stop, drain, tell_hooks, unless_interrupted};
use super::{Job, main_loop};
use crate::app::{App, Configuration};
use crate::events::Teller;
use crate::hooks::Hooks;
use crate::http;
use crate::log::{self, Log, Target};
use crate::machine::Machine;
use crate::process::daemon;
use crate::process::identity::{Identity, for_origins, identity};
use crate::process::limits::raise_open_files;
use crate::process::notify::Notifier;
use crate::process::pid::PidFile;
use crate::reload::ReloadStatus;
use crate::signals::Signals;

/// Whether the server goes to the background: only where the configuration says so, unlike in SRS, and not in a container.
pub(super) fn in_background(config: &EdgeConfig) -> bool {
    config.daemon && !(config.container.in_docker && config.container.disable_daemon)
}

/// Where the log goes. A server in the background has no console.
pub(super) fn log_target(config: &EdgeConfig) -> Target {
    match config.log.tank {
        LogTank::Console if !in_background(config) => Target::Console,
        _ => log::file(&config.log.file),
    }
}

/// Starts, serves and stops.
pub(super) fn start(job: Job) -> Result<(), String> {
    let config = Arc::clone(&job.config);
    std::env::set_current_dir(&config.work_dir)
        .map_err(|error| format!("cannot enter work_dir {}: {error}", config.work_dir))?;
    let pid_path = Path::new(&config.pid);
    let pid_file = PidFile::acquire(pid_path)?;
    let (log, writer) = log::start(log_target(&config), config.log.level, config.log.utc)
        .map_err(|error| format!("cannot start the log: {error}"))?;
    let (identity, problem) = identity(config.server_id.as_deref(), pid_path);
    if let Some(problem) = problem {
        log.warn(log.cid(), &problem);
    }
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))
        .and_then(|runtime| {
            let result = runtime.block_on(serve(job, log.clone(), identity));
            // Files that are being read must not hold up the end.
            runtime.shutdown_background();
            result
        });
    match &result {
        Ok(()) => log.info(log.cid(), "srs-edge is done"),
        Err(message) => log.error(log.cid(), message),
    }
    writer.finish(&log);
    drop(pid_file);
    result
}

async fn serve(job: Job, log: Log, identity: Identity) -> Result<(), String> {
    let Job { source, config, warnings, warnings_omitted, files } = job;
    let mut signals = Signals::new().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (ask_reload, mut asked) = mpsc::channel(1);
    let configuration = Arc::new(Configuration::new(Arc::clone(&config)));
    let hooks = Hooks::new(identity.clone(), log.clone(), Arc::clone(&configuration));
    let teller = Teller::new(log.clone(), hooks.clone(), Arc::clone(&configuration));
    let listeners = http::bind(&config)?;
    let edge = Edge::builder(Arc::clone(&config))
        .options(for_origins(&identity))
        .handler(Arc::new(teller))
        .bind()
        .await
        .map_err(|error| format!("rtmp: {error}"))?;
    let app = Arc::new(App {
        machine: Machine::new(config.stats_network),
        edge: edge.handle(),
        reloads: ReloadStatus::default(),
        log,
        identity,
        configuration,
        ask_reload,
    });
    introduce(&app, &edge.local_addrs(), &listeners);
    for warning in &warnings {
        app.log.warn(app.log.cid(), &format!("configuration: {warning}"));
    }
    if warnings_omitted > 0 {
        app.log.warn(app.log.cid(), &format!("configuration: and {warnings_omitted} more warnings"));
    }
    let room = http::room(raise_open_files(), config.max_connections, listeners.len());
    let serve = |listener| tokio::spawn(http::serve(listener, Arc::clone(&app), room));
    let http: Vec<_> = listeners.into_iter().map(serve).collect();

    let manager = Notifier::new(std::env::var("NOTIFY_SOCKET").ok().as_deref());
    manager.tell("READY=1");
    if daemon::is_detached() {
        daemon::close_console().map_err(|error| format!("cannot close the console: {error}"))?;
    }
    let mut stop = Stop::Fast;
    let steer = async {
        stop = main_loop(&app, &source, &mut signals, &mut asked, files).await;
        manager.tell("STOPPING=1");
        if stop == Stop::Graceful {
            drain(&app, &mut signals, || http.iter().for_each(JoinHandle::abort)).await;
            stop = Stop::Fast;
        }
    };
    edge.run_until(steer).await.map_err(|error| error.to_string())?;
    tell_hooks(&hooks).await;
    if stop == Stop::Graceful {
        unless_interrupted(tokio::time::sleep(app.config().stop.grace_final_wait), &mut signals).await;
    }
    Ok(())
}

/// Says who serves, where, and how.
fn introduce(app: &App, rtmp: &[std::net::SocketAddr], http: &[http::Listener]) {
    let (log, config) = (&app.log, app.config());
    let say = |text: &str| log.info(log.cid(), text);
    let identity = &app.identity;
    let mut lines =
        vec![format!("{} server={} service={}", crate::SIGNATURE, identity.server, identity.service)];
    lines.extend(rtmp.iter().map(|address| format!("rtmp on {address}")));
    lines.extend(http.iter().map(http::Listener::describe));
    lines.iter().for_each(|line| say(line));
    if !in_background(&config) {
        say("stays in the foreground (daemon on; is for the background, and has no effect in a container)");
    }
    if let (Target::File(path), false) = (log_target(&config), daemon::is_detached()) {
        // A closed terminal must not stop the streams.
        let _ = writeln!(io::stderr(), "{}, log {}", lines.join(", "), path.display());
    }
}
