//! A server in this process that passes one stream on, with something wrong with it on purpose.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]
#![expect(clippy::disallowed_methods, reason = "a driver reads the clock")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtmp_core::media::{Headers, MediaRole};
use rtmp_core::message::{Status, status::code};
use rtmp_core::{Media, MediaKind, Progress, ServerConnection, ServerEvent};

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    /// Every 20th picture is left out.
    Drops,
    /// Now and then everything up to the next key frame is left out.
    Jumps,
    /// Every 20th sound comes twice.
    Repeats,
    /// Every 20th picture changes places with the one behind it.
    Swaps,
    /// One bit of every 20th picture is another one.
    Corrupts,
    /// Nobody gets a sequence header.
    NoHeaders,
    /// Viewers begin with any picture.
    NoKey,
    /// Media time is 3 ms off for every 20th picture.
    Shifts,
    /// Nobody may watch.
    Refuses,
    /// Viewers are thrown out after 30 messages.
    Disconnects,
}

#[derive(Debug)]
struct Relay {
    wrong: Wrong,
    headers: Headers,
    viewers: Vec<Viewer>,
}

#[derive(Debug)]
struct Viewer {
    conn: Arc<Mutex<ServerConnection>>,
    stream: TcpStream,
    /// Headers went out, and the key frame after them came.
    begun: bool,
    pictures: u32,
    messages: u32,
    held: Option<Media>,
    jumping: bool,
}

/// Listens on loopback for as long as the test runs.
pub(crate) fn listen(wrong: Wrong) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = Arc::new(Mutex::new(Relay { wrong, headers: Headers::default(), viewers: Vec::new() }));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let relay = Arc::clone(&relay);
            thread::spawn(move || serve(&relay, stream));
        }
    });
    address
}

/// One connection, until its peer or a fault ends it.
fn serve(relay: &Mutex<Relay>, mut stream: TcpStream) -> Option<()> {
    let conn = Arc::new(Mutex::new(ServerConnection::new(Arc::default(), 1, Instant::now())));
    let mut scratch = [0; 16 << 10];
    let mut input = BytesMut::new();
    loop {
        let count = stream.read(&mut scratch).ok().filter(|&count| count > 0)?;
        input.extend_from_slice(&scratch[..count]);
        loop {
            let mut server = conn.lock().unwrap_or_else(PoisonError::into_inner);
            let progress = server.handle_input(Instant::now(), &mut input).ok()?;
            let events: Vec<_> = std::iter::from_fn(|| server.poll_event()).collect();
            drop(server);
            for event in events {
                handle(relay, &conn, &stream, event);
            }
            let waiting = conn.lock().unwrap_or_else(PoisonError::into_inner).outgoing().split();
            stream.write_all(&waiting).ok()?;
            if progress == Progress::NeedBytes {
                break;
            }
        }
    }
}

fn handle(relay: &Mutex<Relay>, conn: &Arc<Mutex<ServerConnection>>, stream: &TcpStream, event: ServerEvent) {
    let now = Instant::now();
    let mut relay = relay.lock().unwrap_or_else(PoisonError::into_inner);
    let mut server = conn.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        ServerEvent::ConnectRequested { request, .. } | ServerEvent::PublishRequested { request, .. } => {
            server.accept(now, request).unwrap();
        }
        ServerEvent::PlayRequested { request, .. } if relay.wrong == Wrong::Refuses => {
            let status = Status::error(code::PLAY_STREAM_NOT_FOUND, "nothing to see");
            server.reject(request, &status).unwrap();
        }
        ServerEvent::PlayRequested { request, .. } => {
            server.accept(now, request).unwrap();
            relay.viewers.push(Viewer {
                conn: Arc::clone(conn),
                stream: stream.try_clone().unwrap(),
                begun: false,
                pictures: 0,
                messages: 0,
                held: None,
                jumping: false,
            });
        }
        ServerEvent::Media(media) => {
            drop(server);
            relay.headers.remember(&media);
            let Relay { wrong, headers, viewers } = &mut *relay;
            viewers.retain_mut(|viewer| viewer.pass(*wrong, headers, &media).is_some());
        }
        _ => {}
    }
}

impl Viewer {
    /// Sends what the server makes of a message; `None` ends the viewer.
    fn pass(&mut self, wrong: Wrong, headers: &Headers, media: &Media) -> Option<()> {
        let role = media.role();
        if !matches!(role, MediaRole::KeyFrame | MediaRole::Frame) {
            return Some(());
        }
        let is_video = media.kind == MediaKind::Video;
        let begins =
            role == MediaRole::KeyFrame || is_video && wrong == Wrong::NoKey && role == MediaRole::Frame;
        if !self.begun {
            if !begins || wrong == Wrong::NoKey && role == MediaRole::KeyFrame {
                return Some(());
            }
            self.begun = true;
            for header in headers.iter().filter(|_| wrong != Wrong::NoHeaders) {
                self.send(header)?;
            }
        }
        self.pictures += u32::from(is_video);
        self.messages += 1;
        let now = is_video && self.pictures.is_multiple_of(20) && role == MediaRole::Frame;
        self.jumping = (self.jumping || now && wrong == Wrong::Jumps) && role != MediaRole::KeyFrame;
        let mut changed = media.clone();
        match wrong {
            Wrong::Drops if now => return Some(()),
            Wrong::Jumps if self.jumping => return Some(()),
            Wrong::Repeats if !is_video && self.messages.is_multiple_of(20) => self.send(media)?,
            Wrong::Swaps if now => {
                self.held = Some(changed);
                return Some(());
            }
            Wrong::Corrupts if now => {
                let mut payload = media.payload.to_vec();
                payload[99] ^= 4;
                changed.payload = Bytes::from(payload);
            }
            Wrong::Shifts if now => changed.timestamp = media.timestamp + 3,
            Wrong::Disconnects if self.messages > 30 => {
                let _ = self.stream.shutdown(Shutdown::Both);
                return None;
            }
            _ => {}
        }
        self.send(&changed)?;
        match self.held.take_if(|_| is_video) {
            Some(held) => self.send(&held),
            None => Some(()),
        }
    }

    fn send(&mut self, media: &Media) -> Option<()> {
        let mut server = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        server.send_media(media).ok()?;
        let waiting = server.outgoing().split();
        self.stream.write_all(&waiting).ok()
    }
}
