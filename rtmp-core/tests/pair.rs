//! Both machines against each other over a simulated link.
#![expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rtmp_core::message::{PublishKind, Status, status};
use rtmp_core::sim::{Delivery, End, LinkConfig, Pair};
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, ConnectionError, Media, MediaKind, Progress, Purpose,
    ServerConnection, ServerEvent, Target, Timestamp, Waiting,
};

struct World {
    now: Instant,
    link: Pair,
    client: ClientConnection,
    server: ServerConnection,
    to_client: BytesMut,
    to_server: BytesMut,
    client_events: Vec<ClientEvent>,
    server_events: Vec<ServerEvent>,
    error: Option<ConnectionError>,
    accept: bool,
}

impl World {
    fn new(purpose: Purpose, link: LinkConfig, seed: u64, config: ConnectionConfig) -> Self {
        let now = Instant::now();
        let config = Arc::new(config);
        let target = Target::new("rtmp://origin/live", "live", "show", purpose);
        Self {
            now,
            link: Pair::new(link, seed),
            client: ClientConnection::new(Arc::clone(&config), target, seed, now),
            server: ServerConnection::new(config, seed ^ 1, now),
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            error: None,
            accept: true,
        }
    }

    /// Lets everything that is due happen, without moving the clock.
    fn settle(&mut self) -> bool {
        let mut moved = self.link.send(self.now, End::Client, self.client.outgoing()) > 0;
        moved |= self.link.send(self.now, End::Server, self.server.outgoing()) > 0;
        moved |= self.link.receive(self.now, End::Server, &mut self.to_server) == Delivery::Bytes;
        moved |= self.link.receive(self.now, End::Client, &mut self.to_client) == Delivery::Bytes;
        let results = [
            self.server.handle_input(self.now, &mut self.to_server),
            self.client.handle_input(self.now, &mut self.to_client),
        ];
        for result in results {
            match result {
                Ok(progress) => moved |= progress == Progress::Paused,
                Err(error) => self.error = Some(error),
            }
        }
        while let Some(event) = self.server.poll_event() {
            if let ServerEvent::ConnectRequested { request, .. }
            | ServerEvent::PublishRequested { request, .. }
            | ServerEvent::PlayRequested { request, .. } = &event
                && self.accept
            {
                self.server.accept(self.now, *request).expect("open request");
                moved = true;
            }
            self.server_events.push(event);
        }
        self.client_events.extend(std::iter::from_fn(|| self.client.poll_event()));
        moved
    }

    /// Runs until `end`, waking at every delivery and timeout.
    fn run_for(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            while self.settle() {}
            let timeouts = [self.link.poll_timeout(), self.client.poll_timeout(), self.server.poll_timeout()];
            let next = timeouts.into_iter().flatten().min().unwrap_or(end);
            if next >= end {
                self.now = end;
                while self.settle() {}
                return;
            }
            self.now = self.now.max(next);
            if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
                self.error = self.server.handle_timeout(self.now).err().or_else(|| self.error.take());
            }
            if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
                self.error = self.client.handle_timeout(self.now).err().or_else(|| self.error.take());
            }
        }
    }
}

fn media(n: u32, length: usize) -> Media {
    let kind = MediaKind::ALL[n as usize % 3];
    let mut payload = vec![n as u8; length.max(1)];
    if kind == MediaKind::Data {
        payload[0] = 2;
    }
    Media { kind, timestamp: Timestamp::from_millis(n * 20), payload: payload.into() }
}

fn slow() -> LinkConfig {
    let mut link = LinkConfig::default();
    link.latency = Duration::from_millis(40);
    link.bandwidth = Some(2_000_000);
    link.piece_bytes_max = 700;
    link
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_publish_arrives_message_by_message(
        seed in any::<u64>(),
        lengths in prop::collection::vec(prop_oneof![4 => 1..400_usize, 1 => 1..120_000_usize], 1..30),
        chunk_size in 128..70_000_u32,
    ) {
        let mut config = ConnectionConfig::default();
        config.chunk_size = chunk_size;
        config.limits.events_max = 8;
        let mut world = World::new(Purpose::Publish(PublishKind::Live), slow(), seed, config);
        world.run_for(1000);
        prop_assert!(world.client_events.contains(&ClientEvent::PublishAccepted));
        let sent: Vec<_> = lengths.iter().enumerate().map(|(n, length)| media(n as u32, *length)).collect();
        for media in &sent {
            world.client.send_media(media).expect("accepted");
            world.run_for(20);
        }
        world.run_for(4000);
        let arrived: Vec<_> = world.server_events.iter().filter_map(|event| match event {
            ServerEvent::Media(media) => Some(media.clone()),
            _ => None,
        }).collect();
        prop_assert_eq!(arrived, sent);
        prop_assert_eq!(world.error, None);
    }

    #[test]
    fn a_play_arrives_message_by_message(
        seed in any::<u64>(),
        lengths in prop::collection::vec(prop_oneof![4 => 1..400_usize, 1 => 1..120_000_usize], 1..30),
    ) {
        let mut world = World::new(Purpose::Play, slow(), seed, ConnectionConfig::default());
        world.run_for(1000);
        prop_assert!(world.client_events.contains(&ClientEvent::PlayStarted));
        let sent: Vec<_> = lengths.iter().enumerate().map(|(n, length)| media(n as u32, *length)).collect();
        for media in &sent {
            world.server.send_media(media).expect("playing");
            world.run_for(20);
        }
        world.run_for(4000);
        let arrived: Vec<_> = world.client_events.iter().filter_map(|event| match event {
            ClientEvent::Media(media) => Some(media.clone()),
            _ => None,
        }).collect();
        // The first one is what every play begins with.
        prop_assert_eq!(&arrived[1..], &sent);
        prop_assert_eq!(world.error, None);
    }
}

#[test]
fn a_redirect_travels_from_server_to_client() {
    let mut world = World::new(Purpose::Play, slow(), 1, ConnectionConfig::default());
    world.accept = false;
    world.run_for(500);
    let Some(ServerEvent::ConnectRequested { request, .. }) = world.server_events.last() else {
        panic!("connect")
    };
    world.server.reject(*request, &Status::redirect("rtmp://other/live")).expect("open request");
    world.run_for(500);
    assert!(
        world
            .client_events
            .iter()
            .any(|e| matches!(e, ClientEvent::Redirected { url, .. } if url == "rtmp://other/live"))
    );
    assert_eq!(world.client_events.last(), Some(&ClientEvent::Closed));
}

#[test]
fn a_stalled_publisher_is_given_up_and_a_reset_link_delivers_nothing() {
    let mut world = World::new(Purpose::Publish(PublishKind::Live), slow(), 1, ConnectionConfig::default());
    world.run_for(1000);
    world.client.send_media(&media(0, 100)).expect("accepted");
    world.run_for(100);
    world.link.stall(End::Server, world.now + Duration::from_secs(60));
    world.client.send_media(&media(1, 100)).expect("accepted");
    world.run_for(6000);
    assert!(matches!(world.error, Some(ConnectionError::Silent { waiting: Waiting::Media, .. })));
    world.link.reset();
    let mut bytes = BytesMut::new();
    assert_eq!(world.link.receive(world.now, End::Client, &mut bytes), Delivery::Reset);
    assert_eq!(world.link.send(world.now, End::Client, &mut Bytes::from_static(b"x")), 0);
}

#[test]
fn the_link_keeps_order_window_and_bandwidth() {
    let mut config = LinkConfig::default();
    config.bandwidth = Some(1000);
    config.window_bytes = 600;
    let start = Instant::now();
    let mut pair = Pair::new(config, 3);
    let mut data = Bytes::from((0..1000_u32).map(|n| n as u8).collect::<Vec<_>>());
    let sent = data.clone();
    assert_eq!(pair.send(start, End::Client, &mut data), 600);
    assert_eq!(pair.send(start, End::Client, &mut data), 0, "the writer is blocked");
    let mut got = BytesMut::new();
    assert_eq!(pair.receive(start, End::Server, &mut got), Delivery::Nothing);
    let half = start + Duration::from_millis(300);
    pair.receive(half, End::Server, &mut got);
    assert!(got.len() <= 300);
    assert_eq!(pair.receive(start + Duration::from_millis(600), End::Server, &mut got), Delivery::Bytes);
    assert_eq!(got[..], sent[..600]);
    pair.close(End::Client);
    assert_eq!(pair.receive(start + Duration::from_secs(1), End::Server, &mut got), Delivery::Closed);
}

#[test]
fn an_unpublish_reaches_the_player_and_the_connection_can_play_again() {
    let mut world = World::new(Purpose::Play, slow(), 1, ConnectionConfig::default());
    world.run_for(1000);
    world
        .server
        .end_stream(world.now, &Status::ok(status::code::PLAY_UNPUBLISH_NOTIFY, "gone"))
        .expect("playing");
    world.run_for(200);
    let ended = world.client_events.iter().any(|event| matches!(event, ClientEvent::Ended(_)));
    assert!(ended && world.client_events.contains(&ClientEvent::StreamEof));
    world.client.close().expect("says good-bye");
    world.run_for(200);
    assert_eq!(world.error, None);
}
