//! The remote control: JSON-RPC 2.0, one line of JSON each way, over TCP (spec 8).
//!
//! ```text
//!   program ──lines──▶ connection: reads, asks the office ──▶ queue ──▶ writer ──lines──▶ program
//!                                   notifications (to who has authenticated) ──▶ ┘
//! ```
//!
//! **Bounds.** [`CONNECTIONS_MAX`] connections, lines of [`LINE_BYTES_MAX`], [`QUEUE_MAX`] lines waiting for a program
//! that does not read (notifications are dropped then), [`WRITE_PATIENCE`] until such a program is let go. A wrong
//! secret is answered after [`WRONG_SECRET_PAUSE`], and a connection that does not authenticate in [`LOGIN_WITHIN`]
//! ends. The audio thread is reached through commands only.

mod connection;
mod countries;
mod message;
mod methods;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::log::say;
use crate::office::Office;
pub(crate) use message::notification;
pub(crate) use methods::chat;

/// Programs connected at once; more are turned away.
const CONNECTIONS_MAX: usize = 16;
/// Bytes of a line; a longer one ends the connection.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines on their way to one program.
const QUEUE_MAX: usize = 64;
/// A program that reads nothing for so long is let go.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// A secret cannot be guessed at speed.
const WRONG_SECRET_PAUSE: Duration = Duration::from_secs(1);
/// Wrong secrets of a connection, each answered after the pause; the last one ends it. A batch of them would hold one of
/// the few places for as long as it is.
const WRONG_SECRETS_MAX: u32 = 3;
/// Time to send the secret; long enough for somebody who types it.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);
/// A secret shorter than this is refused at the start (spec 8.1).
const SECRET_CHARS_MIN: usize = 16;

/// Where the remote control listens, and what it wants to hear first.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct RpcSettings {
    pub(crate) addr: SocketAddr,
    pub(crate) secret: String,
}

impl std::fmt::Debug for RpcSettings {
    /// Without the secret, which has no place in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcSettings").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Reads the secret: the first line of a file.
pub(crate) fn read_secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let secret = text.lines().next().unwrap_or_default();
    if secret.chars().count() < SECRET_CHARS_MIN {
        return Err(format!(
            "the first line of {} has less than {SECRET_CHARS_MIN} characters",
            file.display()
        ));
    }
    Ok(secret.to_owned())
}

/// Opens the port and serves it from now on; returns where.
pub(crate) async fn start(settings: &RpcSettings, office: Arc<Office>) -> Result<SocketAddr, String> {
    let explain = |e: std::io::Error| format!("cannot open the JSON-RPC port {}: {e}", settings.addr);
    let listener = TcpListener::bind(settings.addr).await.map_err(explain)?;
    let addr = listener.local_addr().map_err(explain)?;
    let secret: Arc<str> = settings.secret.as_str().into();
    tokio::spawn(accept(listener, secret, office));
    Ok(addr)
}

async fn accept(listener: TcpListener, secret: Arc<str>, office: Arc<Office>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let (secret, office) = (Arc::clone(&secret), Arc::clone(&office));
                    tokio::spawn(async move {
                        connection::serve(stream, peer, &secret, &office).await;
                        drop(place);
                    });
                }
                Err(_) => say(&format!("- JSON-RPC: no room for a connection from {}", peer.ip())),
            },
            // The peer gave up, or no descriptors are left; neither is mended by hurry.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
