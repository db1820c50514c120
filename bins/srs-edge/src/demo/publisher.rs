//! Publishes the built-in stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::message::PublishKind;
use rtmp_core::{ClientConnection, ClientEvent, ConnectionConfig, Progress, Purpose, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::stream::TestStream;
use crate::clock;

/// Wait before another attempt.
const RETRY: Duration = Duration::from_secs(1);

/// Publishes `app/name` to `server`, for ever.
pub(super) async fn publish_forever(server: SocketAddr, app: &str, name: &str) {
    loop {
        // Only a server that goes away ends it, and then the program does too.
        let _ = publish(server, app, name).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn publish(server: SocketAddr, app: &str, name: &str) -> io::Result<()> {
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let purpose = Purpose::Publish(PublishKind::Live);
    let target = Target::new(format!("rtmp://{server}/{app}"), app, name, purpose);
    let mut client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 1, clock::now());
    let mut stream = TestStream::new();
    let mut next = stream.next();
    let mut began: Option<Instant> = None;
    let mut input = BytesMut::new();
    loop {
        let outgoing = client.outgoing().split();
        socket.write_all(&outgoing).await?;
        let due = began.map(|began| began + next.0);
        let wake = [due, client.poll_timeout()].into_iter().flatten().min();
        tokio::select! {
            read = socket.read_buf(&mut input) => if read? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            },
            () = sleep_until(wake) => {}
        }
        let now = clock::now();
        client.handle_timeout(now).map_err(io::Error::other)?;
        while client.handle_input(now, &mut input).map_err(io::Error::other)? != Progress::NeedBytes {}
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::PublishAccepted => began = Some(now),
                ClientEvent::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
                _ => {}
            }
        }
        while began.is_some_and(|began| began + next.0 <= now) {
            client.send_media(&next.1).map_err(io::Error::other)?;
            next = stream.next();
        }
    }
}

/// Never, without a time.
async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
