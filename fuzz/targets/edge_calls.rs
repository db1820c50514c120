//! A whole edge of two shards under any clients, any origins, any answers and any passing of time.
#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use edge_cluster::config::{LoadOptions, MemorySources, load};
use edge_cluster::edge::{
    Command as EdgeCommand, Edge, EdgeOptions, Event, FlvRequest, Input, Output, PeerMessage, QuestionId,
    Verdict,
};
use edge_cluster::upstream::ConnectFailure;
use edge_cluster::{ConnId, EdgeConfig, ShardId};
use libfuzzer_sys::fuzz_target;
use rtmp_core::amf::Object;
use rtmp_core::amf::amf0::Value;
use rtmp_core::chunk::{ChunkWriter, Message, MessageType};
use rtmp_core::handshake::{ClientHandshake, PACKET_BYTES, Scheme};
use rtmp_core::message::{Command, Status, status::code};
use rtmp_core::{Media, MediaKind, Progress, ServerConnection, ServerEvent, Timestamp};

const SHARDS: usize = 2;
const CONNS_MAX: usize = 12;
/// Where it is low, the limit of media: each shard soon lets go what it can.
const MEDIA_MAX: u64 = 20_000;
/// What cannot be let go: newest segments and tables, of one shard.
const MEDIA_REST: usize = 128 << 10;
const CONF: &str = "listen 1935; max_connections 100;
    vhost local { min_latency on; publish { kickoff_for_idle 30; } play { queue_length 1; } }
    vhost remote { cluster { mode remote; origin a:1935 b:1936; } play { gop_cache off; mw_latency 350; } }
    vhost asks { http_hooks { enabled on; on_connect http://h/; on_publish http://h/; on_play http://h/; } }
    vhost copies { forward { enabled on; destination c:1935; } play { time_jitter zero; mix_correct on; } }
    vhost probes { cluster { mode remote; origin a:1935; token_traverse on; } http_remux { enabled on; } }";
const OTHER_CONF: &str =
    "listen 1935; vhost local { chunk_size 4096; play { atc on; send_min_interval 0.05; } }
    vhost remote { cluster { mode remote; origin b:1936; } } vhost new { } http_server { enabled on; }";
const VHOSTS: [&str; 6] = ["local", "remote", "asks", "copies", "probes", "unknown"];

/// One socket of the edge and what is behind it.
struct Conn {
    shard: usize,
    /// Bytes the edge has not taken.
    unread: BytesMut,
    writer: ChunkWriter,
    /// Whether the peer takes what is sent.
    takes: bool,
    /// An origin, when the edge opened the connection.
    origin: Option<Box<ServerConnection>>,
    connecting: bool,
    closing: bool,
}

struct World {
    now: Instant,
    edges: Vec<Edge>,
    conns: BTreeMap<ConnId, Conn>,
    accepted: u64,
    mail: VecDeque<(usize, ShardId, PeerMessage)>,
    questions: Vec<QuestionId>,
    drained: [bool; SHARDS],
    draining: bool,
}

fn config(text: &str) -> Arc<EdgeConfig> {
    let files = MemorySources::from([("conf", text)]);
    let mut options = LoadOptions::default();
    options.lenient = true;
    Arc::new(load(&files, "conf", &options).expect("a configuration").config)
}

impl World {
    fn input(&mut self, shard: usize, input: Input<'_>) {
        self.edges[shard].handle_input(self.now, input);
        self.settle();
    }

    /// Does what the shards want until they want nothing.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            let Some((shard, output)) = (0..SHARDS).find_map(|n| Some((n, self.edges[n].poll_output()?)))
            else {
                let Some((to, from, message)) = self.mail.pop_front() else { return };
                self.edges[to].handle_input(self.now, Input::Peer { from, message });
                continue;
            };
            self.obey(shard, output);
        }
        panic!("the shards never rest");
    }

    fn obey(&mut self, shard: usize, output: Output) {
        match output {
            Output::Write { conn } => self.write(conn, usize::MAX),
            Output::Read { conn } => self.offer(conn, &[]),
            Output::Close { conn, .. } => {
                self.write(conn, usize::MAX);
                // An upstream connection may have ended in the same moment; drivers then report its end once more.
                let Some(known) = self.conns.get_mut(&conn) else {
                    assert!(conn.is_outbound(), "closes what it knows");
                    return self.edges[shard].handle_input(self.now, Input::Closed { conn });
                };
                assert!(!std::mem::replace(&mut known.closing, true), "closes once");
            }
            Output::Connect { conn, .. } => {
                let new =
                    self.conn(shard, Some(Box::new(ServerConnection::new(Arc::default(), 3, self.now))));
                assert!(self.conns.insert(conn, new).is_none(), "a new name");
            }
            Output::Move { conn, to, state } => {
                let moved = self.conns.get_mut(&conn).expect("moves what it knows");
                assert!(moved.shard == shard && usize::from(to.0) != shard);
                moved.shard = usize::from(to.0);
                self.edges[usize::from(to.0)].handle_input(self.now, Input::Adopt { conn, state });
                self.offer(conn, &[]);
            }
            Output::Peer { to, message } => {
                self.mail.push_back((usize::from(to.0), self.edges[shard].shard(), message));
            }
            Output::Ask(question) => {
                assert_eq!(usize::from(question.id.shard().0), shard);
                self.questions.push(question.id);
            }
            Output::Event(Event::Drained { .. }) => self.drained[shard] = true,
            Output::FlvAccepted { conn } | Output::Nodelay { conn, .. } => {
                assert!(self.conns.contains_key(&conn))
            }
            _ => {}
        }
    }

    fn conn(&self, shard: usize, origin: Option<Box<ServerConnection>>) -> Conn {
        Conn {
            shard,
            unread: BytesMut::new(),
            writer: ChunkWriter::default(),
            takes: true,
            connecting: origin.is_some(),
            origin,
            closing: false,
        }
    }

    /// Sends up to `bytes` of what waits on a connection.
    fn write(&mut self, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.takes && !conn.connecting) else {
            return;
        };
        let mut left = bytes;
        let mut sent = BytesMut::new();
        let machine = &mut self.edges[conn.shard];
        if let Some(segment) = machine.take_whole(id) {
            let whole = machine.whole_bytes(&segment);
            assert_eq!(whole.len(), segment.len());
            let count = whole.len().min(left);
            left -= count;
            sent.extend_from_slice(&whole[..count]);
            if count < segment.len() {
                machine.give_back(id, segment, count);
            }
        }
        while let Some(mut outgoing) = self.edges[conn.shard].outgoing(self.now, id) {
            let count = outgoing.remaining().min(left);
            if count == 0 {
                break;
            }
            left -= count;
            sent.extend_from_slice(&outgoing.copy_to_bytes(count));
            assert!(sent.len() < 64 << 20, "what waits has an end");
        }
        if let Some(origin) = &mut conn.origin {
            // The origin says yes to everything.
            while let Ok(progress) = origin.handle_input(self.now, &mut sent) {
                while let Some(event) = origin.poll_event() {
                    if let ServerEvent::ConnectRequested { request, .. }
                    | ServerEvent::PublishRequested { request, .. }
                    | ServerEvent::PlayRequested { request, .. } = event
                    {
                        origin.accept(self.now, request).expect("open");
                    }
                }
                if progress == Progress::NeedBytes {
                    break;
                }
            }
            let answer = origin.outgoing().split();
            if !answer.is_empty() {
                conn.unread.extend_from_slice(&answer);
                self.offer(id, &[]);
            }
        }
    }

    /// Bytes arrive.
    fn offer(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.connecting) else { return };
        conn.unread.extend_from_slice(bytes);
        let (shard, mut unread) = (conn.shard, std::mem::take(&mut conn.unread));
        let before = unread.len();
        self.edges[shard].handle_input(self.now, Input::Received { conn: id, bytes: &mut unread });
        assert!(unread.len() <= before);
        if let Some(conn) = self.conns.get_mut(&id) {
            unread.unsplit(std::mem::take(&mut conn.unread));
            conn.unread = unread;
        }
    }

    /// Closes what the edge wants to be closed, and lets time pass.
    fn pass(&mut self, time: Duration) {
        let gone: Vec<_> = self.conns.iter().filter(|(_, conn)| conn.closing).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.close(id));
        self.now += time;
        for shard in 0..SHARDS {
            for _ in 0..1000 {
                if self.edges[shard].poll_timeout().is_none_or(|at| at > self.now) {
                    break;
                }
                self.input(shard, Input::Timeout);
            }
            let next = self.edges[shard].poll_timeout();
            assert!(next.is_none_or(|at| at > self.now), "a deadline moves");
        }
    }

    fn close(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(&id) else { return };
        // An attempt that the edge gave up itself is just over.
        let input = match conn.connecting && !conn.closing {
            true => Input::ConnectFailed {
                conn: id,
                reason: ConnectFailure::Io(std::io::ErrorKind::ConnectionRefused),
            },
            false => Input::Closed { conn: id },
        };
        self.input(conn.shard, input);
        assert!(self.edges[conn.shard].outgoing(self.now, id).is_none(), "forgotten");
    }

    fn accept(&mut self, shard: usize) -> ConnId {
        let id = ConnId::inbound(self.accepted);
        self.accepted += 1;
        let conn = self.conn(shard, None);
        self.conns.insert(id, conn);
        let peer = SocketAddr::from(([192, 0, 2, self.accepted as u8], 4000));
        self.input(shard, Input::Accepted { conn: id, peer });
        id
    }

    fn say(&mut self, id: ConnId, message: &Message) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let mut wire = BytesMut::new();
        conn.writer.write(&mut wire, message);
        self.offer(id, &wire);
        self.settle();
    }
}

/// What clients say: the whole way to a publish or play, or one call.
fn calls(which: u8, vhost: &str, stream: &str) -> Vec<(Command, u32)> {
    let mut connect = Command::new("connect", 1.0);
    let tc_url = format!("rtmp://{vhost}/live");
    connect.object =
        Value::Object(Object::new().with("app", "live").with("tcUrl", &*tc_url).with("pageUrl", "http://p"));
    let create = Command::new("createStream", 2.0);
    let publish = Command::new("publish", 3.0).with(stream).with("live");
    let play = Command::new("play", 3.0).with(stream);
    match which % 10 {
        0..3 => vec![(connect, 0), (create, 0), (publish, 1)],
        3..6 => vec![(connect, 0), (create, 0), (play, 1)],
        6 => vec![(Command::new("FCUnpublish", 4.0).with(stream), 0)],
        7 => vec![(Command::new("deleteStream", 5.0).with(1.0), 0)],
        8 => vec![(Command::new("pause", 0.0).with(which & 64 != 0).with(0.0), 1)],
        _ => vec![(Command::new("receiveVideo", 0.0).with(which & 64 != 0), 1)],
    }
}

fn media(what: u8, time: u8, scale: u8, body: &[u8]) -> Media {
    let (kind, head): (_, &[u8]) = match what % 8 {
        0 => (MediaKind::Video, &[0x17, 0, 0, 0, 0, 1]),
        1 | 2 => (MediaKind::Video, &[0x17, 1, 0, 0, 0]),
        3 | 4 => (MediaKind::Video, &[0x27, 1, 0, 0, 0]),
        5 => (MediaKind::Audio, &[0xaf, 0, 0x12, 0x10]),
        6 => (MediaKind::Audio, &[0xaf, 1]),
        _ => (MediaKind::Data, b"\x02\x00\x0aonMetaData"),
    };
    let timestamp = Timestamp::from_millis(u32::from(time) << (scale & 23));
    Media { kind, timestamp, payload: Bytes::from([head, body].concat()) }
}

fuzz_target!(|data: &[u8]| {
    let now = Instant::now();
    let (first, other) = (config(CONF), config(OTHER_CONF));
    let mut options = EdgeOptions::default();
    let has = |bit: u8| data.first().is_some_and(|first| first & bit == bit);
    options.ask_always = has(1);
    options.media_bytes_max = has(2).then_some(MEDIA_MAX);
    let memory_max = if has(2) { MEDIA_MAX as usize + MEDIA_REST * SHARDS } else { 64 << 20 };
    let shards = SHARDS as u16;
    let edges =
        (0..shards).map(|n| Edge::new(first.clone(), options.clone(), ShardId(n), shards, 1, now)).collect();
    let mut world = World {
        now,
        edges,
        conns: BTreeMap::new(),
        accepted: 0,
        mail: VecDeque::new(),
        questions: Vec::new(),
        drained: [false; SHARDS],
        draining: false,
    };
    let mut rest = data.get(1..).unwrap_or_default();
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        let id = world.conns.keys().nth(usize::from(a) % world.conns.len().max(1)).copied();
        match (what % 14, id) {
            (0, _) if world.conns.len() < CONNS_MAX => {
                let id = world.accept(usize::from(a & 1));
                let mut hello = BytesMut::new();
                ClientHandshake::new(1, Scheme::Simple, &mut hello);
                // Nobody judges C2.
                hello.resize(1 + 2 * PACKET_BYTES, 0);
                world.offer(id, &hello);
                for (command, msid) in
                    calls(b, VHOSTS[usize::from(b >> 4) % VHOSTS.len()], ["x", "y"][usize::from(a >> 7)])
                {
                    world.say(id, &command.message(msid).expect("flat values"));
                }
            }
            (1 | 2, Some(id)) => match world.conns.get_mut(&id).and_then(|conn| conn.origin.as_mut()) {
                Some(origin) => {
                    let _ = origin.send_media(&media(what >> 4, b, a, body));
                    let wire = origin.outgoing().split();
                    world.offer(id, &wire);
                }
                None => world.say(id, &media(what >> 4, b, a, body).message(1)),
            },
            (3, Some(id)) => {
                for (command, msid) in calls(b, VHOSTS[usize::from(what >> 4) % VHOSTS.len()], "x") {
                    world.say(id, &command.message(msid).expect("flat values"));
                }
            }
            (4, Some(id)) => world.offer(id, body),
            (5, Some(id)) => {
                let payload = Bytes::copy_from_slice(body);
                let kind = MessageType(b % 23);
                world.say(id, &Message { csid: 3, timestamp: Timestamp::ZERO, kind, msid: 0, payload });
            }
            (6, Some(id)) => world.close(id),
            (7, Some(id)) => {
                if let Some(conn) = world.conns.get_mut(&id) {
                    conn.takes = b & 1 == 0;
                }
                world.write(id, usize::from(b) * 64);
            }
            (8, Some(id)) => {
                // A connection of ours comes about, or not.
                let Some(conn) = world.conns.get_mut(&id).filter(|conn| conn.connecting) else { continue };
                let shard = conn.shard;
                if b % 4 == 0 {
                    world.close(id);
                } else {
                    conn.connecting = false;
                    world.input(shard, Input::Connected { conn: id });
                    world.write(id, usize::MAX);
                }
            }
            (9, Some(id)) => {
                let Some(origin) = world.conns.get_mut(&id).and_then(|conn| conn.origin.as_mut()) else {
                    continue;
                };
                let status =
                    Status::ok([code::PLAY_UNPUBLISH_NOTIFY, code::PLAY_STOP][usize::from(b & 1)], "over");
                let _ = if b & 2 == 0 {
                    origin.send_status(&status)
                } else {
                    origin.end_stream(world.now, &status)
                };
                if b & 4 == 0 {
                    let _ = origin.request_reconnect(Some("rtmp://a:1935/live"), "moving");
                }
                let wire = origin.outgoing().split();
                world.offer(id, &wire);
            }
            (10, _) => {
                if let Some(question) = world.questions.pop() {
                    let verdict = if b & 7 == 0 { Verdict::deny("no") } else { Verdict::Allow };
                    world.input(usize::from(question.shard().0), Input::Answer { question, verdict });
                }
            }
            (11, _) if world.conns.len() < CONNS_MAX => {
                let id = ConnId::inbound(world.accepted);
                world.accepted += 1;
                let shard = usize::from(a & 1);
                let conn = world.conn(shard, None);
                world.conns.insert(id, conn);
                let host = VHOSTS[usize::from(b) % VHOSTS.len()].to_owned();
                let path = if b & 64 == 0 {
                    "/live/x.flv".to_owned()
                } else {
                    String::from_utf8_lossy(body).into_owned()
                };
                let (query, page_url) = (String::new(), String::new());
                let peer = SocketAddr::from(([192, 0, 2, 99], 4000));
                let request = Box::new(FlvRequest { peer, host, path, query, page_url });
                world.input(shard, Input::OpenFlv { conn: id, request });
            }
            (12, _) => world.pass(Duration::from_millis(u64::from(a) * u64::from(b))),
            (13, id) => match (b % 8, id) {
                (0, _) => {
                    world.draining = true;
                    (0..SHARDS).for_each(|shard| world.input(shard, Input::Command(EdgeCommand::Drain)));
                }
                (1, Some(id)) => {
                    let shard = world.conns.get(&id).map_or(0, |conn| conn.shard);
                    world.input(shard, Input::Command(EdgeCommand::Kick(id)));
                }
                (2 | 3, _) => {
                    let config = if b & 1 == 0 { &other } else { &first };
                    (0..SHARDS).for_each(|shard| world.input(shard, Input::Reload(config.clone())));
                }
                _ => (0..SHARDS).for_each(|shard| {
                    let snapshot = world.edges[shard].snapshot(world.now);
                    assert!(snapshot.clients.len() <= world.conns.len());
                }),
            },
            _ => {}
        }
        world.settle();
        let memory: usize = world.edges.iter().map(Edge::memory_bytes).sum();
        assert!(memory < memory_max, "{memory} bytes");
    }
    // Everybody leaves; nothing is left behind.
    while let Some(id) = world.conns.keys().next().copied() {
        world.close(id);
    }
    for _ in 0..8 {
        world.pass(Duration::from_secs(60));
        while let Some(id) = world.conns.keys().next().copied() {
            world.close(id);
        }
    }
    assert!(!world.draining || world.drained == [true; SHARDS], "an edge without connections is drained");
    let snapshot = world.edges.iter().map(|edge| edge.snapshot(world.now).clients.len()).sum::<usize>();
    assert_eq!(snapshot, 0, "nobody is there any more");
});
