//! `srs-edge demo`: a built-in stream, published to an origin and served by an edge, all in this process.

mod bits;
mod card;
mod encoder;
mod publisher;
mod stream;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use edge_cluster::config::{EdgeConfig, LoadOptions, LogLevel, MemorySources, load};
use edge_cluster::tokio::Edge;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::FAILED;
use crate::app::{App, Configuration};
use crate::events::Teller;
use crate::hooks::Hooks;
use crate::http::{self, Listener, Roles};
use crate::log::{self, Log, Target};
use crate::machine::Machine;
use crate::process::identity::Identity;
use crate::process::limits::raise_open_files;
use crate::reload::ReloadStatus;
use crate::signals::{Caught, Signals};

const APP: &str = "live";
const STREAM: &str = "demo";
/// Where streams over HTTP and the HTTP API are, if nobody else is there.
const HTTP_PORT: u16 = 8080;

/// Serves until a signal says stop. Port 0 takes free ports for everything.
pub(crate) fn run(port: u16) -> io::Result<ExitCode> {
    let (log, writer) = log::start(Target::Console, LogLevel::Warn, false)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(serve(port, log.clone()));
    runtime.shutdown_background();
    writer.finish(&log);
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(message) => {
            writeln!(io::stderr(), "srs-edge: {message}")?;
            Ok(ExitCode::from(FAILED))
        }
    }
}

async fn serve(port: u16, log: Log) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut signals = Signals::new().map_err(|error| text(&error))?;
    // Only this process publishes.
    let origin = Edge::bind((Ipv4Addr::LOCALHOST, 0), config("", "")?).await.map_err(|error| text(&error))?;
    let origin_at = *origin.local_addrs().first().ok_or("the origin has no address")?;
    let cluster = format!("cluster {{ mode remote; origin {origin_at}; }} min_latency on; tcp_nodelay on;");
    let edge_config = Arc::new(config(
        "http_api { enabled on; } http_server { enabled on; dir /nonexistent; }",
        &format!("{cluster} security {{ enabled on; allow play all; }} http_remux {{ enabled on; }}"),
    )?);
    let identity =
        Identity { server: format!("vid-{}", crate::id::random(7)), service: crate::id::random(8) };
    let configuration = Arc::new(Configuration::new(Arc::clone(&edge_config)));
    let hooks = Hooks::new(identity.clone(), log.clone(), Arc::clone(&configuration));
    let edge = Edge::builder(Arc::clone(&edge_config))
        .handler(Arc::new(Teller::new(log.clone(), hooks, Arc::clone(&configuration))))
        .bind_to((Ipv4Addr::UNSPECIFIED, port))
        .await
        .map_err(|error| text(&error))?;
    let edge_at = *edge.local_addrs().first().ok_or("the edge has no address")?;
    let http_port = if port == 0 { 0 } else { HTTP_PORT };
    let http = TcpListener::bind((Ipv4Addr::UNSPECIFIED, http_port)).await;
    let http_at = http.as_ref().ok().and_then(|listener| listener.local_addr().ok());
    let (ask_reload, _nobody_reloads) = mpsc::channel(1);
    let app = Arc::new(App {
        machine: Machine::new(0),
        edge: edge.handle(),
        reloads: ReloadStatus::default(),
        log,
        identity,
        configuration,
        ask_reload,
    });
    if let Ok(socket) = http {
        let roles = Roles { api: true, streams: true, metrics: false };
        let room = http::room(raise_open_files(), edge_config.max_connections, 1);
        tokio::spawn(http::serve(Listener { socket, roles }, app, room));
    }
    invite(origin_at, edge_at, http_at).map_err(|error| text(&error))?;
    let stop = async {
        while !matches!(signals.next().await, Caught::Quit | Caught::Terminate | Caught::Interrupt) {}
    };
    tokio::select! {
        ended = edge.run_until(stop) => ended.map_err(|error| text(&error)),
        ended = origin.run_until(publisher::publish_forever(origin_at, APP, STREAM)) => {
            ended.map_err(|error| text(&error))
        }
    }
}

fn config(root: &str, vhost: &str) -> Result<EdgeConfig, String> {
    let text = format!("listen 1935; max_connections 500; {root} vhost __defaultVhost__ {{ {vhost} }}");
    let files = MemorySources::from([("demo", text.as_str())]);
    load(&files, "demo", &LoadOptions::default())
        .map(|loaded| loaded.config)
        .map_err(|error| error.to_string())
}

/// Says what to open.
fn invite(origin: SocketAddr, edge: SocketAddr, http: Option<SocketAddr>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let port = edge.port();
    writeln!(
        out,
        "A test picture goes to an origin at {origin}; an edge pulls it from there when somebody looks."
    )?;
    writeln!(out, "Open one of these, on this machine or with its address from another one:")?;
    writeln!(out, "  ffplay -fflags nobuffer rtmp://127.0.0.1:{port}/{APP}/{STREAM}")?;
    writeln!(out, "  vlc rtmp://127.0.0.1:{port}/{APP}/{STREAM}")?;
    match http {
        Some(http) => {
            let port = http.port();
            writeln!(out, "  vlc http://127.0.0.1:{port}/{APP}/{STREAM}.flv")?;
            writeln!(out, "  curl http://127.0.0.1:{port}/api/v1/clients/")?;
        }
        None => writeln!(out, "(Port {HTTP_PORT} is taken, so there is no HTTP.)")?,
    }
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()
}
