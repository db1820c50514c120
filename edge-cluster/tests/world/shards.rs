//! What one shard makes of what another one says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use edge_cluster::config::EdgeConfig;
use edge_cluster::edge::{CloseReason, Edge, EdgeOptions, Event, FlvRequest, Input, Output, PeerMessage};
use edge_cluster::hub::Update;
use edge_cluster::{ConnId, ShardId, StreamKey};

/// Somebody wants to see the stream; what its home is told, where that is another shard.
fn view(edge: &mut Edge, now: Instant, conn: ConnId, query: &str) -> Option<PeerMessage> {
    let request = FlvRequest {
        peer: ([10, 9, 9, 9], 1000).into(),
        host: "v.example".to_owned(),
        path: "/live/show.flv".to_owned(),
        query: query.to_owned(),
        page_url: String::new(),
    };
    edge.handle_input(now, Input::OpenFlv { conn, request: Box::new(request) });
    std::iter::from_fn(|| edge.poll_output()).find_map(|output| match output {
        Output::Peer {
            message: message @ (PeerMessage::Subscribe { .. } | PeerMessage::AskAs { .. }),
            ..
        } => Some(message),
        _ => None,
    })
}

/// The same, for the first viewer of a shard: the subscription.
fn subscribe(edge: &mut Edge, now: Instant, conn: ConnId) -> Option<(StreamKey, u64)> {
    match view(edge, now, conn, "")? {
        PeerMessage::Subscribe { number, client } => Some((client.key.clone(), number)),
        _ => None,
    }
}

#[test]
fn what_comes_late_for_an_earlier_subscription_is_not_for_the_next_one() {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    let now = Instant::now();
    let vhost = "http_remux { enabled on; }";
    let config = Arc::new(EdgeConfig::builder().vhost(vhost).build().expect("a configuration"));
    let shard = |n| Edge::new(Arc::clone(&config), EdgeOptions::default(), ShardId(n), 2, 1, now);
    let [first, second] = [0, 1].map(ConnId::inbound);
    let away = |n| {
        let mut edge = shard(n);
        subscribe(&mut edge, now, first).map(|(key, number)| (edge, key, number))
    };
    let (mut edge, key, earlier) = (0..2).find_map(away).expect("one of two shards is not the home");
    edge.handle_input(now, Input::Closed { conn: first });
    let (_, next) = subscribe(&mut edge, now, second).expect("another subscription");
    let mut begins = |number| {
        let update = Update::Begin { epoch: 1, chunk_size: 60_000, continues: false };
        let message = PeerMessage::Update { key: key.clone(), number, update };
        edge.handle_input(now, Input::Peer { from: ShardId(9), message });
        std::iter::from_fn(|| edge.poll_output())
            .any(|output| matches!(output, Output::Event(Event::StreamBegan { .. })))
    };
    assert!(!begins(earlier));
    assert!(begins(next));
}

#[test]
fn the_home_of_a_stream_is_told_of_later_viewers_when_origins_would_be_asked_otherwise() {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    let now = Instant::now();
    for origin in [None, Some("origin")] {
        let vhost = "http_remux { enabled on; }";
        let config = origin.into_iter().fold(EdgeConfig::builder(), |config, origin| config.origin(origin));
        let config = Arc::new(config.vhost(vhost).build().expect("a configuration"));
        let away = |n| {
            let mut edge = Edge::new(Arc::clone(&config), EdgeOptions::default(), ShardId(n), 2, 1, now);
            subscribe(&mut edge, now, ConnId::inbound(0)).map(|(_, number)| (edge, number))
        };
        let (mut edge, subscription) = (0..2).find_map(away).expect("one of two shards is not the home");
        let mut told = |n, query: &str| match view(&mut edge, now, ConnId::inbound(n), query) {
            None => None,
            Some(PeerMessage::AskAs { number, client }) => {
                assert_eq!(number, subscription);
                Some(client.param.to_string())
            }
            Some(other) => panic!("{other:?}"),
        };
        let queries = ["", "token=a", "token=a", "token=b"];
        let said: Vec<_> = (1..).zip(queries).map(|(n, query)| told(n, query)).collect();
        match origin {
            None => assert_eq!(said, [None, None, None, None], "there is nobody to ask"),
            Some(_) => assert_eq!(said, [None, Some("?token=a".into()), None, Some("?token=b".into())]),
        }
    }
}

#[test]
fn a_connection_that_breaks_the_protocol_ends_for_that_reason() {
    #[expect(clippy::disallowed_methods, reason = "any instant serves as the start of virtual time")]
    let now = Instant::now();
    let config = Arc::new(EdgeConfig::builder().build().expect("a configuration"));
    let mut edge = Edge::new(config, EdgeOptions::default(), ShardId(0), 1, 1, now);
    let (conn, peer) = (ConnId::inbound(7), SocketAddr::from(([192, 0, 2, 1], 5000)));
    edge.handle_input(now, Input::Accepted { conn, peer });
    edge.handle_input(
        now,
        Input::Received { conn, bytes: &mut BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..]) },
    );
    edge.handle_input(now, Input::Closed { conn });
    let events: Vec<Event> = std::iter::from_fn(|| edge.poll_output())
        .filter_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    let [Event::Opened { client_id, .. }, Event::Closed { reason, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(client_id.len(), 8);
    assert!(matches!(reason, CloseReason::Protocol(_)), "{reason}");
}
