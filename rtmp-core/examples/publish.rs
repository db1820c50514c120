//! Publishes an FLV file in real time.
//!
//! Try: `cargo run -p rtmp-core --example publish -- rtmp://127.0.0.1/live show < show.flv`

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmp_core::message::PublishKind;
use rtmp_core::{ClientConnection, ClientEvent, ConnectionConfig, Progress, Purpose, StreamUrl, Target, flv};

/// The longest tag that is read.
const TAG_BYTES_MAX: u32 = 16 << 20;

struct Publisher {
    client: ClientConnection,
    socket: TcpStream,
    input: BytesMut,
    scratch: Vec<u8>,
    accepted: bool,
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (tc_url, stream) = args.next().zip(args.next()).ok_or("usage: publish TC_URL STREAM < FILE.flv")?;
    let url = StreamUrl::parse(&tc_url, &stream)?;
    let target = Target::new(tc_url, url.app, stream, Purpose::Publish(PublishKind::Live));
    let client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 1, Instant::now());
    let socket = TcpStream::connect((url.host.as_str(), url.port))?;
    socket.set_nodelay(true)?;
    let mut publisher =
        Publisher { client, socket, input: BytesMut::new(), scratch: vec![0; 16 << 10], accepted: false };
    while !publisher.accepted {
        publisher.serve(Duration::from_secs(1))?;
    }
    let (mut file, mut bytes, mut piece) = (std::io::stdin().lock(), BytesMut::new(), vec![0; 64 << 10]);
    let mut reader = flv::Reader::new(TAG_BYTES_MAX);
    let mut begin = None;
    loop {
        while let Some(media) = reader.read(&mut bytes)? {
            // The first message is due now, the others as long after it as their times say.
            let (started, first) = *begin.get_or_insert_with(|| (Instant::now(), media.timestamp));
            let due =
                started + Duration::from_millis(media.timestamp.since(first).max(0).unsigned_abs().into());
            while Instant::now() < due {
                publisher.serve(due.saturating_duration_since(Instant::now()))?;
            }
            publisher.client.send_media(&media)?;
            publisher.flush()?;
        }
        match file.read(&mut piece)? {
            0 => break,
            length => bytes.extend_from_slice(&piece[..length]),
        }
    }
    publisher.client.close()?;
    publisher.flush()?;
    Ok(())
}

impl Publisher {
    fn flush(&mut self) -> std::io::Result<()> {
        self.socket.write_all(&self.client.outgoing().split())
    }

    /// Sends what waits and listens to the server, for `wait` at most.
    #[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
    fn serve(&mut self, wait: Duration) -> Result<(), Box<dyn Error>> {
        self.flush()?;
        let due = self.client.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        let wait = wait.min(due.unwrap_or(wait)).max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(wait))?;
        match self.socket.read(&mut self.scratch) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(length) => self.input.extend_from_slice(&self.scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.client.handle_timeout(Instant::now())?
            }
            Err(error) => return Err(error.into()),
        }
        let mut progress = Progress::Paused;
        while progress != Progress::NeedBytes {
            progress = self.client.handle_input(Instant::now(), &mut self.input)?;
            while let Some(event) = self.client.poll_event() {
                match event {
                    ClientEvent::PublishAccepted => self.accepted = true,
                    ClientEvent::Refused(status) | ClientEvent::Ended(status) => {
                        return Err(format!("{}: {}", status.code, status.description).into());
                    }
                    _ => {}
                }
            }
        }
        self.flush()?;
        Ok(())
    }
}
