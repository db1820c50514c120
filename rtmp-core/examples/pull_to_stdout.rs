//! Plays a stream and writes it to standard output as FLV.
//!
//! Try: `cargo run -p rtmp-core --example pull_to_stdout -- rtmp://127.0.0.1/live show > show.flv`

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::{ClientConnection, ClientEvent, ConnectionConfig, Progress, Purpose, StreamUrl, Target, flv};

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (tc_url, stream) = args.next().zip(args.next()).ok_or("usage: pull_to_stdout TC_URL STREAM")?;
    let url = StreamUrl::parse(&tc_url, &stream)?;
    let target = Target::new(tc_url, url.app, stream, Purpose::Play);
    let mut client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 1, Instant::now());
    let mut socket = TcpStream::connect((url.host.as_str(), url.port))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&flv::header(flv::Content::AudioVideo))?;
    let (mut input, mut tags, mut scratch) = (BytesMut::new(), BytesMut::new(), vec![0; 64 << 10]);
    loop {
        socket.write_all(&client.outgoing().split())?;
        let wait = client.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.read(&mut scratch) {
            Ok(0) => return Ok(()),
            Ok(length) => input.extend_from_slice(&scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => client.handle_timeout(Instant::now())?,
            Err(error) => return Err(error.into()),
        }
        let mut progress = Progress::Paused;
        while progress != Progress::NeedBytes {
            progress = client.handle_input(Instant::now(), &mut input)?;
            while let Some(event) = client.poll_event() {
                match event {
                    ClientEvent::Media(media) => drop(flv::write_tag(&mut tags, &media)),
                    ClientEvent::Refused(status) | ClientEvent::Ended(status) => {
                        return Err(format!("{}: {}", status.code, status.description).into());
                    }
                    ClientEvent::Closed => return Ok(()),
                    other => eprintln!("{other:?}"),
                }
            }
            out.write_all(&tags.split())?;
        }
    }
}
