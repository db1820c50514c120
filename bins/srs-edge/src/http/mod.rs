//! HTTP: the API, the streams and files, the metrics. One listener does several of these where the addresses are equal.

mod api;
mod body;
mod files;
mod flv;
mod guard;
mod listener;
mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::app::App;
pub(crate) use listener::{Listener, Roles, bind};

/// Longest wait for a request, also for the next one on the same connection (spec 11).
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Larger heads of requests are refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Larger bodies are refused; no path reads one.
const BODY_BYTES_MAX: u64 = 64 * 1024;
/// Connections of one listener at the same time; viewers of streams count against `max_connections` too.
const CONNECTIONS_MAX: usize = 16_384;
/// So many there may be however few files this process may open.
const CONNECTIONS_MIN: usize = 16;
/// How long a peer may take nothing of what it asked for.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two probes for a peer that has been silent.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Wait after a failed accept: without it a lack of file descriptors would be a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Failed accepts are logged so often at most.
const ACCEPT_LOG_EVERY: Duration = Duration::from_secs(10);

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
struct Peer(SocketAddr);

/// How many connections each of `listeners` may have when this process may open `files`: half of those that RTMP leaves,
/// so that a flood of requests takes no file from streams.
pub(crate) fn room(files: Option<u64>, max_connections: u32, listeners: usize) -> usize {
    let Some(files) = files else { return CONNECTIONS_MAX };
    let left = files.saturating_sub(u64::from(max_connections));
    let each = left / 2 / u64::try_from(listeners.max(1)).unwrap_or(u64::MAX);
    usize::try_from(each).unwrap_or(usize::MAX).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}

/// Serves one listener for ever, so many connections at the same time.
pub(crate) async fn serve(listener: Listener, app: Arc<App>, room: usize) {
    let router = router(listener.roles, &app);
    let room = Arc::new(Semaphore::new(room));
    let mut quiet_until = crate::clock::now();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.socket.accept().await {
            Ok((socket, peer)) => {
                let router = router.clone();
                watch(&socket, app.config().connections.keepalive);
                tokio::spawn(async move {
                    connection(socket, peer, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                let now = crate::clock::now();
                if now >= quiet_until {
                    let level = edge_cluster::config::LogLevel::Warn;
                    app.log.failure(level, app.log.cid(), "http: accept ", &error);
                    quiet_until = now + ACCEPT_LOG_EVERY;
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Lets the system notice a peer that is gone or reads no more: without it such a connection would stay for ever. The
/// stall timeout alone needs something to send; viewers of a stream that rests get nothing.
fn watch(socket: &TcpStream, keepalive: Option<Duration>) {
    use rustix::net::sockopt;
    let _ = sockopt::set_tcp_user_timeout(socket, STALL_TIMEOUT.as_millis() as u32);
    if let Some(silence) = keepalive {
        // Systems count whole seconds. The stall timeout also says how long probes may go without an answer.
        let _ = sockopt::set_tcp_keepidle(socket, silence.max(Duration::from_secs(1)));
        let _ = sockopt::set_tcp_keepintvl(socket, PROBE_EVERY);
        let _ = sockopt::set_socket_keepalive(socket, true);
    }
}

async fn connection(socket: TcpStream, peer: SocketAddr, router: Router) {
    // Replies are small and wanted at once.
    let _ = socket.set_nodelay(true);
    // A listener of both families shows IPv4 addresses as IPv6 ones.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    // A peer that breaks the protocol or leaves ends only its own connection.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

fn router(roles: Roles, app: &Arc<App>) -> Router {
    let mut router = Router::new();
    if roles.api {
        router = router.merge(api::routes());
        if !roles.streams {
            router = router.merge(api::root_route());
        }
    }
    if roles.api || roles.metrics {
        router = router.route("/metrics", get(metrics::answer));
    }
    router = if roles.streams { router.fallback(streams) } else { router.fallback(not_found) };
    let guarded = guard::Guarded { app: Arc::clone(app), roles };
    router.layer(middleware::from_fn_with_state(guarded, guard::guard)).with_state(Arc::clone(app))
}

/// Everything that no other path takes: live streams, then files.
async fn streams(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let (request, _) = request.into_parts();
    match flv::answer(&app, peer, &request).await {
        Some(response) => response,
        None => files::answer(&app.config().http_server.dir, &request).await,
    }
}

async fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_peer_is_probed_where_that_is_wanted() {
        use rustix::net::sockopt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let addr = listener.local_addr().expect("an address");
        for keepalive in [None, Some(Duration::from_secs(90))] {
            let socket = TcpStream::connect(addr).await.expect("a connection");
            watch(&socket, keepalive);
            assert_eq!(sockopt::socket_keepalive(&socket), Ok(keepalive.is_some()));
            assert_eq!(sockopt::tcp_user_timeout(&socket), Ok(30_000));
            if let Some(silence) = keepalive {
                assert_eq!(sockopt::tcp_keepidle(&socket), Ok(silence));
                assert_eq!(sockopt::tcp_keepintvl(&socket), Ok(PROBE_EVERY));
            }
        }
    }

    #[test]
    fn requests_leave_open_files_to_streams() {
        assert_eq!(room(None, 1000, 1), CONNECTIONS_MAX);
        assert_eq!(room(Some(1 << 20), 1000, 2), CONNECTIONS_MAX);
        assert_eq!(room(Some(4096), 1000, 2), 774);
        assert_eq!(room(Some(1000), 1000, 1), CONNECTIONS_MIN);
    }
}
