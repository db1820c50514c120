//! A publisher and a player, by `rtmp-core`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtmp_core::message::{Connect, PublishKind};
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, ServerConnection,
    ServerEvent, Target, Timestamp,
};

use super::{PATIENCE, open};

/// `@setDataFrame onMetaData` with an empty list.
const METADATA: &[u8] = b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09";

/// A client that runs until it is dropped.
pub(crate) struct Client {
    /// Its end of the connection.
    pub(crate) addr: SocketAddr,
    events: Receiver<ClientEvent>,
    /// While set, nothing is read from the socket.
    stalled: Arc<AtomicBool>,
    /// Dropping it ends the thread.
    _stop: Sender<()>,
}

impl Client {
    /// Publishes 25 small pictures a second, every tenth a key picture, once the server allows it.
    pub(crate) fn publish(port: u16, tc_url: &str, stream: &str) -> Self {
        Self::start(open(port), tc_url, stream, Purpose::Publish(PublishKind::Live), Pictures::Themselves)
    }

    /// Publishes the pictures that are put into the channel.
    pub(crate) fn publish_by_hand(port: u16, tc_url: &str, stream: &str) -> (Self, Sender<Picture>) {
        let (hand, pictures) = channel();
        let purpose = Purpose::Publish(PublishKind::Live);
        (Self::start(open(port), tc_url, stream, purpose, Pictures::ByHand(pictures)), hand)
    }

    pub(crate) fn play(port: u16, tc_url: &str, stream: &str) -> Self {
        Self::play_on(open(port), tc_url, stream)
    }

    pub(crate) fn play_on(socket: TcpStream, tc_url: &str, stream: &str) -> Self {
        Self::start(socket, tc_url, stream, Purpose::Play, Pictures::Themselves)
    }

    fn start(socket: TcpStream, tc_url: &str, stream: &str, purpose: Purpose, pictures: Pictures) -> Self {
        let app = tc_url.split('?').next().unwrap().rsplit('/').next().unwrap();
        let mut target = Target::new(tc_url, app, stream, purpose);
        target.properties.push("pageUrl", "http://page.example.com/watch");
        let client = ClientConnection::new(Arc::new(ConnectionConfig::default()), target, 1, Instant::now());
        let addr = socket.local_addr().unwrap();
        let (sender, events) = channel();
        let (stop, stopped) = channel();
        let stalled = Arc::new(AtomicBool::new(false));
        let stalls = Arc::clone(&stalled);
        std::thread::spawn(move || drop(run(socket, client, &sender, &stopped, pictures, &stalls)));
        Self { addr, events, stalled, _stop: stop }
    }

    /// Stops reading, or goes on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Waits until the server says that it plays.
    pub(crate) fn wait_until_playing(&self) {
        self.wait_for(|event| match event {
            ClientEvent::Refused(status) => panic!("refused: {status:?}"),
            event => (*event == ClientEvent::PlayStarted).then_some(()),
        });
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

    /// The next picture, unless none comes for so long.
    pub(crate) fn next_picture(&self, wait: Duration) -> Option<Picture> {
        loop {
            match self.events.recv_timeout(wait).ok()? {
                ClientEvent::Media(media) if media.kind == MediaKind::Video && media.payload[1] == 1 => {
                    return Some(Picture::of(&media));
                }
                ClientEvent::Refused(status) => panic!("refused: {status:?}"),
                _ => {}
            }
        }
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
    pictures: Pictures,
    stalled: &AtomicBool,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut input, mut scratch) = (BytesMut::new(), vec![0; 65536]);
    let mut number: Option<u32> = None;
    let tick = Duration::from_millis(if matches!(pictures, Pictures::ByHand(_)) { 1 } else { 40 });
    socket.set_read_timeout(Some(tick))?;
    loop {
        socket.write_all(&client.outgoing().split())?;
        match socket.read(if stalled.load(Ordering::Relaxed) { &mut [] } else { &mut scratch[..] }) {
            Ok(0) if stalled.load(Ordering::Relaxed) => std::thread::sleep(tick),
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
                client.send_media(&media(0, &[0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0]))?;
                number = Some(0);
            }
            events.send(event)?;
        }
        socket.write_all(&client.outgoing().split())?;
        let Some(number) = &mut number else { continue };
        match &pictures {
            Pictures::Themselves => {
                let picture = Picture { number: *number, is_key: number.is_multiple_of(10), length: 10 };
                client.send_media(&picture.media())?;
                *number += 1;
            }
            Pictures::ByHand(pictures) => {
                while let Ok(picture) = pictures.try_recv() {
                    client.send_media(&picture.media())?;
                    socket.write_all(&client.outgoing().split())?;
                }
            }
        }
    }
}

/// Where a publisher has its pictures from.
enum Pictures {
    /// It makes one every 40 ms.
    Themselves,
    ByHand(Receiver<Picture>),
}

/// A picture of a stream with 25 of them a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Picture {
    pub(crate) number: u32,
    pub(crate) is_key: bool,
    /// Bytes, 10 at least.
    pub(crate) length: usize,
}

impl Picture {
    fn media(self) -> Media {
        let mut payload = vec![0; self.length];
        payload[0] = if self.is_key { 0x17 } else { 0x27 };
        payload[1] = 1;
        payload[5..9].copy_from_slice(&self.number.to_be_bytes());
        payload[9] = 9;
        media(self.number * 40, &payload)
    }

    pub(crate) fn of(media: &Media) -> Self {
        let payload = &media.payload;
        let number = u32::from_be_bytes(payload[5..9].try_into().unwrap());
        Self { number, is_key: payload[0] == 0x17, length: payload.len() }
    }
}

fn media(millis: u32, payload: &[u8]) -> Media {
    let payload = Bytes::copy_from_slice(payload);
    Media { kind: MediaKind::Video, timestamp: Timestamp::from_millis(millis), payload }
}

/// What somebody says who connects to us, as an origin hears it.
pub(crate) fn accept_connect(mut socket: TcpStream) -> Connect {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut server = ServerConnection::new(Arc::new(ConnectionConfig::default()), 1, Instant::now());
    let (mut input, mut scratch) = (BytesMut::new(), vec![0; 65536]);
    loop {
        let length = socket.read(&mut scratch).unwrap();
        assert!(length > 0, "the other side has closed");
        input.extend_from_slice(&scratch[..length]);
        // It pauses at each event and leaves the rest.
        let _ = server.handle_input(Instant::now(), &mut input).unwrap();
        while let Some(event) = server.poll_event() {
            if let ServerEvent::ConnectRequested { connect, .. } = event {
                return *connect;
            }
        }
        socket.write_all(&server.outgoing().split()).unwrap();
    }
}
