//! The driver on real sockets of the loopback interface.
#![expect(clippy::disallowed_methods, reason = "real sockets, real time")]

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use edge_cluster::config::{EdgeConfig, LoadOptions, MemorySources, load};
use edge_cluster::edge::{EdgeOptions, Event, FlvRequest, Question, QuestionKind, Refusal, Verdict};
use edge_cluster::tokio::{Answer, Edge, EdgeHandle, FlvError, Handler, ServeError};
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, Target, Timestamp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client over a real socket.
struct Client {
    socket: TcpStream,
    connection: ClientConnection,
    input: BytesMut,
}

impl Client {
    async fn connect(addr: SocketAddr, purpose: Purpose) -> Self {
        Self::connect_to(addr, "v.example", "show", purpose).await
    }

    async fn connect_to(addr: SocketAddr, vhost: &str, stream: &str, purpose: Purpose) -> Self {
        let socket = TcpStream::connect(addr).await.expect("a listener");
        let target = Target::new(format!("rtmp://{vhost}/live"), "live", stream, purpose);
        let config = Arc::new(ConnectionConfig::default());
        let connection = ClientConnection::new(config, target, 1, Instant::now());
        Self { socket, connection, input: BytesMut::new() }
    }

    async fn play(addr: SocketAddr) -> Self {
        Self::connect(addr, Purpose::Play).await
    }

    async fn publish(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr, Purpose::Publish(Default::default())).await;
        client.until(|event| *event == ClientEvent::PublishAccepted).await;
        client
    }

    /// Goes on until an event is the right one.
    async fn until(&mut self, wanted: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
        let search = async {
            loop {
                while let Some(event) = self.connection.poll_event() {
                    if wanted(&event) {
                        return event;
                    }
                }
                self.flush().await;
                let progress = self.connection.handle_input(Instant::now(), &mut self.input);
                if progress.expect("RTMP") == Progress::NeedBytes && self.connection.outgoing().is_empty() {
                    if let Some(event) = self.connection.poll_event() {
                        if wanted(&event) {
                            return event;
                        }
                        continue;
                    }
                    let count = self.socket.read_buf(&mut self.input).await.expect("bytes");
                    assert!(count > 0, "the server has closed");
                }
            }
        };
        timeout(PATIENCE, search).await.expect("in time")
    }

    async fn flush(&mut self) {
        let out = self.connection.outgoing().split();
        self.socket.write_all(&out).await.expect("taken");
    }

    async fn send(&mut self, kind: MediaKind, millis: u32, payload: &[u8]) {
        let timestamp = Timestamp::from_millis(millis);
        let media = Media { kind, timestamp, payload: Bytes::copy_from_slice(payload) };
        self.connection.send_media(&media).expect("publishing");
        self.flush().await;
    }

    /// Waits until the server closes.
    async fn closed(&mut self) {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = timeout(PATIENCE, self.socket.read_to_end(&mut bytes)).await.expect("in time");
    }
}

const HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1];
const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 9, 9];

struct Running {
    addr: SocketAddr,
    handle: EdgeHandle,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(edge: impl Future<Output = Result<Edge, ServeError>>) -> Self {
        let edge = edge.await.expect("it starts");
        let (addr, handle) = (edge.local_addrs()[0], edge.handle());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(edge.run_until(stopped));
        Self { addr, handle, stop, task }
    }

    async fn plain(shards: u16, vhost: &str) -> Self {
        let config = EdgeConfig::builder().vhost(vhost).build().expect("a configuration");
        let shards = NonZeroU16::new(shards).expect("above 0");
        Self::start(Edge::builder(config).shards(shards).bind_to("127.0.0.1:0")).await
    }

    async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("no panic").expect("a clean end");
    }
}

#[tokio::test]
async fn what_one_publishes_others_see_on_every_shard_and_over_http() {
    let edge = Running::plain(3, "http_remux { enabled on; } min_latency on;").await;
    let mut publisher = Client::publish(edge.addr).await;
    publisher.send(MediaKind::Video, 0, HEADER).await;
    publisher.send(MediaKind::Video, 0, KEY).await;
    let mut viewers = Vec::new();
    for _ in 0..6 {
        viewers.push(Client::play(edge.addr).await);
    }
    let is = |payload: &'static [u8]| move |event: &ClientEvent| matches!(event, ClientEvent::Media(media) if media.payload == payload);
    for viewer in &mut viewers {
        viewer.until(is(HEADER)).await;
        viewer.until(is(KEY)).await;
    }
    let request = |path: &str| FlvRequest {
        peer: ([127, 0, 0, 1], 9).into(),
        host: "localhost:8080".into(),
        path: path.into(),
        query: String::new(),
        page_url: String::new(),
    };
    let refused = edge.handle.open_flv(request("/live/show.mp3")).await.expect_err("not offered");
    assert_eq!(refused, FlvError::Refused(Refusal::Mount));
    let mut body = edge.handle.open_flv(request("/live/show.flv")).await.expect("offered");
    let mut file = Vec::new();
    while file.len() < 13 + 2 * 15 + HEADER.len() + KEY.len() {
        file.extend_from_slice(&timeout(PATIENCE, body.next()).await.expect("in time").expect("more"));
    }
    assert_eq!(file[..5], *b"FLV\x01\x01");
    let snapshot = edge.handle.snapshot().await.expect("running");
    assert_eq!((snapshot.totals.publishers, snapshot.totals.viewers, snapshot.streams.len()), (1, 7, 1));
    drop(publisher);
    let mut rest = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.next()).await.expect("the body ends with the stream") {
        rest.push(piece);
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_picture_that_nothing_follows_is_sent_when_its_time_comes() {
    // The merged write of 350 ms ends by the clock, which an input of another task has set. Without that the picture would
    // wait until the machine has something else to do: for the next sample of the rates, up to 10 s.
    let edge = Running::plain(1, "publish { normal_timeout 60000; }").await;
    let mut publisher = Client::publish(edge.addr).await;
    publisher.send(MediaKind::Video, 0, HEADER).await;
    let mut viewer = Client::play(edge.addr).await;
    viewer.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == HEADER)).await;
    for number in 1..=4_u8 {
        let picture = [0x17, 1, 0, 0, 0, number];
        let begun = Instant::now();
        publisher.send(MediaKind::Video, u32::from(number) * 1000, &picture).await;
        viewer
            .until(|event| matches!(event, ClientEvent::Media(media) if media.payload == picture[..]))
            .await;
        assert!(begun.elapsed() < Duration::from_secs(2), "picture {number} took {:?}", begun.elapsed());
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_long_gop_reaches_the_viewers_of_all_shards_whole() {
    let edge = Running::plain(4, "min_latency on;").await;
    let mut publisher = Client::publish(edge.addr).await;
    publisher.send(MediaKind::Video, 0, HEADER).await;
    publisher.send(MediaKind::Video, 0, KEY).await;
    let mut watcher = Client::play(edge.addr).await;
    watcher.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == KEY)).await;
    // More messages between two shards than are taken in one go; each is seen before the next, so none are joined.
    for number in 1..=200_u8 {
        publisher.send(MediaKind::Video, u32::from(number) * 10, &[0x27, 1, 0, 0, 0, number]).await;
        let is_it = |event: &ClientEvent| matches!(event, ClientEvent::Media(media) if media.payload.ends_with(&[number]));
        watcher.until(is_it).await;
    }
    let mut viewers = Vec::new();
    for _ in 0..8 {
        viewers.push(Client::play(edge.addr).await);
    }
    for viewer in &mut viewers {
        let is_key = |event: &ClientEvent| matches!(event, ClientEvent::Media(media) if media.payload == KEY);
        viewer.until(is_key).await;
        for number in 1..=200_u8 {
            let picture = viewer.until(|event| matches!(event, ClientEvent::Media(_))).await;
            let ClientEvent::Media(media) = picture else { panic!("media") };
            assert_eq!(media.payload.last(), Some(&number), "one after the other");
        }
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_segment_that_a_socket_takes_in_part_goes_on_where_it_was_left() {
    const PICTURES: u32 = 600;
    let edge = Running::plain(1, "min_latency on;").await;
    let mut publisher = Client::publish(edge.addr).await;
    publisher.send(MediaKind::Video, 0, HEADER).await;
    publisher.send(MediaKind::Video, 0, KEY).await;
    let mut viewers = Vec::new();
    for _ in 0..4 {
        let mut viewer = Client::play(edge.addr).await;
        viewer.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == KEY)).await;
        viewers.push(viewer);
    }
    // Nobody reads what is more than the sockets hold.
    let picture = |n: u32| {
        let mut payload = vec![0x27, 1, 0, 0, 0];
        payload.extend((0..20_000_u32).map(|at| (at ^ n) as u8));
        payload
    };
    for n in 1..=PICTURES {
        publisher.send(MediaKind::Video, n, &picture(n)).await;
    }
    for viewer in &mut viewers {
        for n in 1..=PICTURES {
            let event = viewer.until(|event| matches!(event, ClientEvent::Media(_))).await;
            let ClientEvent::Media(media) = event else { unreachable!("asked for media") };
            assert!(media.timestamp.millis() == n && media.payload == picture(n), "picture {n}");
        }
    }
    edge.stop().await;
}

#[tokio::test]
async fn limits_turn_connections_away_and_a_kick_makes_room() {
    let config = EdgeConfig::builder().root("max_connections 2;").build().expect("a configuration");
    let edge = Running::start(Edge::bind("127.0.0.1:0", config)).await;
    let mut publisher = Client::publish(edge.addr).await;
    let mut second = Client::publish_is_refused(edge.addr).await;
    second.closed().await;
    let clients = edge.handle.snapshot().await.expect("running").clients;
    assert_eq!(clients.len(), 1);
    let id = Arc::clone(&clients[0].info.client_id);
    assert!(!edge.handle.kick("nobody!!").await.expect("running"));
    assert!(edge.handle.kick(&id).await.expect("running"));
    publisher.closed().await;
    edge.stop().await;
}

impl Client {
    /// Wants to publish and is told that the stream is busy.
    async fn publish_is_refused(addr: SocketAddr) -> Self {
        let mut client = Self::connect(addr, Purpose::Publish(Default::default())).await;
        let refused = client.until(|event| matches!(event, ClientEvent::Refused(_))).await;
        let ClientEvent::Refused(status) = refused else { panic!("refused") };
        assert_eq!(status.code, "NetStream.Publish.BadName");
        client
    }
}

/// Notes everything and allows everybody but viewers.
#[derive(Default)]
struct Notes {
    events: Mutex<Vec<String>>,
}

impl Notes {
    /// Waits for an event.
    async fn hears(&self, wanted: &str) {
        while !self.events.lock().expect("no panic").iter().any(|name| name == wanted) {
            tokio::task::yield_now().await;
        }
    }
}

impl Handler for Notes {
    fn on_event(&self, event: Event) {
        let name = format!("{event:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
        self.events.lock().expect("no panic").push(name);
    }

    fn on_question(&self, question: Question, answer: Answer) {
        match question.kind {
            QuestionKind::Play => drop(answer),
            _ => answer.give(Verdict::Allow),
        }
    }
}

#[tokio::test]
async fn the_handler_hears_of_everything_and_decides() {
    let notes = Arc::new(Notes::default());
    let mut options = EdgeOptions::default();
    options.ask_always = true;
    let config = EdgeConfig::builder().build().expect("a configuration");
    let handler = Arc::clone(&notes);
    let edge =
        Running::start(Edge::builder(config).options(options).handler(handler).bind_to("127.0.0.1:0")).await;
    let publisher = Client::publish(edge.addr).await;
    let mut viewer = Client::play(edge.addr).await;
    viewer.until(|event| matches!(event, ClientEvent::Refused(_))).await;
    drop((viewer, publisher));
    let both_closed = async {
        while notes.events.lock().expect("no panic").iter().filter(|name| *name == "Closed").count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, both_closed).await.expect("in time");
    let events = notes.events.lock().expect("no panic").clone();
    for expected in ["Opened", "Identified", "PublishBegan", "PublishEnded", "Refused"] {
        assert!(events.iter().any(|name| name == expected), "{expected} in {events:?}");
    }
    edge.stop().await;
}

#[tokio::test]
async fn a_drained_edge_ends_by_itself() {
    let edge = Running::plain(2, "").await;
    let mut viewer = Client::play(edge.addr).await;
    viewer.until(|event| matches!(event, ClientEvent::Connected(_))).await;
    edge.handle.drain();
    assert!(edge.handle.is_draining());
    viewer.until(|event| matches!(event, ClientEvent::ReconnectRequested { .. })).await;
    drop(viewer);
    timeout(PATIENCE, edge.task).await.expect("in time").expect("no panic").expect("a clean end");
    assert!(TcpStream::connect(edge.addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_reload_moves_listeners_and_keeps_connections() {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let (first, second) = (free(), free());
    let config = |addr: SocketAddr| EdgeConfig::builder().listen(addr.to_string()).build().expect("valid");
    let edge = Running::start(Edge::builder(config(first)).bind()).await;
    let mut publisher = Client::publish(first).await;
    edge.handle.reload(config(second)).await.expect("taken");
    assert_eq!(edge.handle.local_addrs(), [second]);
    publisher.send(MediaKind::Video, 0, HEADER).await;
    publisher.send(MediaKind::Video, 0, KEY).await;
    let mut viewer = Client::play(second).await;
    viewer.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == KEY)).await;
    let mode = EdgeConfig::builder().origin("elsewhere").build().expect("valid");
    edge.handle.reload(mode).await.expect_err("the mode of a vhost does not change");
    edge.stop().await;
}

#[tokio::test]
async fn a_listener_that_a_reload_opens_is_no_origin_and_one_that_it_closes_may_be() {
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let (first, second) = (free(), free());
    let config = |listen: SocketAddr, origin: SocketAddr| {
        let config = EdgeConfig::builder().listen(listen.to_string());
        config.origin(origin.to_string()).build().expect("valid")
    };
    let notes = Arc::new(Notes::default());
    let builder = Edge::builder(config(first, second)).handler(Arc::clone(&notes) as Arc<dyn Handler>);
    let edge = Running::start(builder.bind()).await;
    edge.handle.reload(config(second, second)).await.expect("taken");
    let mut viewer = Client::play(second).await;
    viewer.until(|event| matches!(event, ClientEvent::PlayStarted | ClientEvent::Status(_))).await;
    timeout(PATIENCE, notes.hears("UpstreamFailed")).await.expect("in time");
    let snapshot = edge.handle.snapshot().await.expect("running");
    assert_eq!(snapshot.totals.accepted, 1, "nobody but the viewer has connected");
    drop(viewer);

    let origin = Running::start(Edge::bind(first, EdgeConfig::builder().build().expect("valid"))).await;
    let mut publisher = Client::publish(first).await;
    publisher.send(MediaKind::Video, 0, HEADER).await;
    publisher.send(MediaKind::Video, 0, KEY).await;
    edge.handle.reload(config(second, first)).await.expect("taken");
    let mut viewer = Client::play(second).await;
    viewer.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == KEY)).await;
    edge.stop().await;
    origin.stop().await;
}

#[tokio::test]
async fn an_edge_that_is_its_own_origin_does_not_pull_from_itself() {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let config = EdgeConfig::builder().origin(format!("localhost:{port}")).build().expect("valid");
    let notes = Arc::new(Notes::default());
    let builder = Edge::builder(config).handler(Arc::clone(&notes) as Arc<dyn Handler>);
    let edge = Running::start(builder.bind_to(("127.0.0.1", port))).await;
    let mut viewer = Client::play(edge.addr).await;
    viewer.until(|event| matches!(event, ClientEvent::PlayStarted | ClientEvent::Status(_))).await;
    timeout(PATIENCE, notes.hears("UpstreamFailed")).await.expect("in time");
    let snapshot = edge.handle.snapshot().await.expect("running");
    assert_eq!(snapshot.totals.accepted, 1, "nobody but the viewer has connected");
    edge.stop().await;
}

/// An edge whose vhost `door` asks the edge itself for the vhost `source`, as the configuration says.
async fn edge_with_a_door(vhosts: &str) -> (Running, Arc<Notes>) {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let text = format!(
        "listen 127.0.0.1:{port}; {vhosts}
         vhost door {{ cluster {{ mode remote; origin localhost:{port}; vhost source; }} }}"
    );
    let files = MemorySources::from([("a", text)]);
    let config = load(&files, "a", &LoadOptions::default()).expect("valid").config;
    let notes = Arc::new(Notes::default());
    let builder = Edge::builder(config).handler(Arc::clone(&notes) as Arc<dyn Handler>);
    (Running::start(builder.bind()).await, notes)
}

#[tokio::test]
async fn a_vhost_of_the_same_server_may_be_the_origin_where_it_is_no_edge() {
    let (edge, _) = edge_with_a_door("vhost source { }").await;
    for (published, played) in [("source", "door"), ("door", "source")] {
        let purpose = Purpose::Publish(Default::default());
        let mut publisher = Client::connect_to(edge.addr, published, published, purpose).await;
        publisher.until(|event| *event == ClientEvent::PublishAccepted).await;
        publisher.send(MediaKind::Video, 0, HEADER).await;
        publisher.send(MediaKind::Video, 0, KEY).await;
        let mut viewer = Client::connect_to(edge.addr, played, published, Purpose::Play).await;
        viewer.until(|event| matches!(event, ClientEvent::Media(media) if media.payload == KEY)).await;
    }
    edge.stop().await;
}

#[tokio::test]
async fn edges_of_the_same_server_do_not_pull_in_circles() {
    // What is asked for is another edge, or nobody's.
    let other = "vhost source { cluster { mode remote; origin elsewhere.invalid; } }";
    for vhosts in [other, ""] {
        let (edge, notes) = edge_with_a_door(vhosts).await;
        let mut viewer = Client::connect_to(edge.addr, "door", "show", Purpose::Play).await;
        viewer.until(|event| matches!(event, ClientEvent::PlayStarted | ClientEvent::Status(_))).await;
        timeout(PATIENCE, notes.hears("UpstreamFailed")).await.expect("in time");
        let snapshot = edge.handle.snapshot().await.expect("running");
        assert_eq!(snapshot.totals.accepted, 1, "nobody but the viewer has connected");
        edge.stop().await;
    }
}
