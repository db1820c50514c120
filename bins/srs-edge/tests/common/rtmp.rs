//! A publisher and a player, by `rtmp-core`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::message::PublishKind;
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, Target, Timestamp,
};

use super::{PATIENCE, open};

/// `@setDataFrame onMetaData` with an empty list.
const METADATA: &[u8] = b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09";

/// A client that runs until it is dropped.
pub(crate) struct Client {
    events: Receiver<ClientEvent>,
    /// Dropping it ends the thread.
    _stop: Sender<()>,
}

impl Client {
    /// Publishes 25 small pictures a second, every tenth a key picture, once the server allows it.
    pub(crate) fn publish(port: u16, tc_url: &str, stream: &str) -> Self {
        Self::start(port, tc_url, stream, Purpose::Publish(PublishKind::Live))
    }

    pub(crate) fn play(port: u16, tc_url: &str, stream: &str) -> Self {
        Self::start(port, tc_url, stream, Purpose::Play)
    }

    fn start(port: u16, tc_url: &str, stream: &str, purpose: Purpose) -> Self {
        let app = tc_url.split('?').next().unwrap().rsplit('/').next().unwrap();
        let mut target = Target::new(tc_url, app, stream, purpose);
        target.properties.push("pageUrl", "http://page.example.com/watch");
        let client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 1, Instant::now());
        let socket = open(port);
        let (sender, events) = channel();
        let (stop, stopped) = channel();
        std::thread::spawn(move || drop(run(socket, client, &sender, &stopped)));
        Self { events, _stop: stop }
    }

    /// Waits for an event and returns what `wanted` makes of it.
    pub(crate) fn wait_for<T>(&self, mut wanted: impl FnMut(&ClientEvent) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let event = self.events.recv_timeout(left).expect("the event did not come");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    /// Waits until the server takes the stream.
    pub(crate) fn wait_until_published(&self) {
        self.wait_for(|event| match event {
            ClientEvent::Refused(status) => panic!("refused: {status:?}"),
            event => (*event == ClientEvent::PublishAccepted).then_some(()),
        });
    }

    /// Waits for a picture.
    pub(crate) fn wait_for_picture(&self) -> Media {
        self.wait_for(|event| match event {
            ClientEvent::Media(media) if media.kind == MediaKind::Video && media.payload[1] == 1 => {
                Some(media.clone())
            }
            ClientEvent::Refused(status) => panic!("refused: {status:?}"),
            _ => None,
        })
    }

    /// Waits for the refusal and returns its code.
    pub(crate) fn wait_for_refusal(&self) -> String {
        self.wait_for(|event| match event {
            ClientEvent::Refused(status) | ClientEvent::Ended(status) => Some(status.code.to_string()),
            ClientEvent::PublishAccepted | ClientEvent::Media(_) => panic!("not refused"),
            _ => None,
        })
    }

    /// Waits until the server has closed the connection.
    pub(crate) fn wait_until_closed(&self) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match self.events.recv_timeout(Duration::from_millis(100)) {
                Err(RecvTimeoutError::Disconnected) => return,
                _ => continue,
            }
        }
        panic!("the connection stays");
    }
}

fn run(
    mut socket: TcpStream,
    mut client: ClientConnection,
    events: &Sender<ClientEvent>,
    stopped: &Receiver<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut input, mut scratch) = (BytesMut::new(), vec![0; 65536]);
    let mut pictures: Option<u32> = None;
    socket.set_read_timeout(Some(Duration::from_millis(40)))?;
    loop {
        socket.write_all(&client.outgoing().split())?;
        match socket.read(&mut scratch) {
            Ok(0) => return Ok(()),
            Ok(length) => input.extend_from_slice(&scratch[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected) {
            client.close()?;
            socket.write_all(&client.outgoing().split())?;
            return Ok(());
        }
        while client.handle_input(Instant::now(), &mut input)? != Progress::NeedBytes {}
        while let Some(event) = client.poll_event() {
            if event == ClientEvent::PublishAccepted {
                // What encoders say first, in a write of its own.
                client.send_media(&Media { kind: MediaKind::Data, ..media(0, METADATA) })?;
                pictures = Some(0);
            }
            events.send(event)?;
        }
        socket.write_all(&client.outgoing().split())?;
        if let Some(number) = &mut pictures {
            if *number == 0 {
                client.send_media(&media(0, &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0]))?;
            }
            let first = if number.is_multiple_of(10) { 0x17 } else { 0x27 };
            client.send_media(&media(*number * 40, &[first, 1, 0, 0, 0, 0, 0, 0, 1, 9]))?;
            *number += 1;
        }
    }
}

fn media(millis: u32, payload: &[u8]) -> Media {
    let payload = Bytes::copy_from_slice(payload);
    Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(millis), payload }
}
