//! Records what one encoder publishes into an FLV file.
//!
//! Try: `cargo run -p rtmp-core --example record -- 127.0.0.1:1935 show.flv`, then publish with
//! `ffmpeg -re -f lavfi -i testsrc -c:v flv1 -f flv rtmp://127.0.0.1/live/show`.

use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::message::DataFrame;
use rtmp_core::{ConnectionConfig, Media, MediaKind, Progress, ServerConnection, ServerEvent, flv};

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (address, path) = args.next().zip(args.next()).ok_or("usage: record ADDRESS FILE")?;
    let (mut socket, peer) = TcpListener::bind(address)?.accept()?;
    let mut file = File::create(path)?;
    file.write_all(&flv::header(flv::Content::AudioVideo))?;
    let mut server = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, Instant::now());
    let (mut input, mut tags, mut scratch) = (BytesMut::new(), BytesMut::new(), vec![0; 64 << 10]);
    println!("{peer} connected");
    loop {
        let wait = server.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.read(&mut scratch) {
            Ok(0) => return Ok(()),
            Ok(length) => input.extend_from_slice(&scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => server.handle_timeout(Instant::now())?,
            Err(error) => return Err(error.into()),
        }
        let mut progress = Progress::Paused;
        while progress != Progress::NeedBytes {
            progress = server.handle_input(Instant::now(), &mut input)?;
            while let Some(event) = server.poll_event() {
                match event {
                    ServerEvent::ConnectRequested { request, .. }
                    | ServerEvent::PublishRequested { request, .. } => {
                        server.accept(Instant::now(), request)?
                    }
                    ServerEvent::Media(media) => drop(flv::write_tag(&mut tags, &without_prefix(media))),
                    ServerEvent::Closed | ServerEvent::PlayRequested { .. } => return Ok(()),
                    _ => {}
                }
            }
            socket.write_all(&server.outgoing().split())?;
            file.write_all(&tags.split())?;
        }
    }
}

/// Files and players get metadata without the encoder's `@setDataFrame`.
fn without_prefix(media: Media) -> Media {
    match DataFrame::recognise(&media.payload) {
        DataFrame::Set { frame, .. } if media.kind == MediaKind::Data => Media { payload: frame, ..media },
        _ => media,
    }
}
