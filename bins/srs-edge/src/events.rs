//! What happens on the edge, told to the log and to hooks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge_cluster::admission::GateRefusal;
use edge_cluster::config::LogLevel;
use edge_cluster::edge::{ClientInfo, ClientKind, CloseReason, Event, Question, Refusal};
use edge_cluster::tokio::{Answer, Handler};
use edge_cluster::{ConnId, StreamKey};

use crate::app::Configuration;
use crate::clock;
use crate::hooks::{Action, Hooks};
use crate::log::Log;

/// Warnings of one kind in one second; more are only counted. A line that breaks slows thousands of viewers at once.
const WARNINGS_MAX: u32 = 20;

/// Requests of one connection that are logged; who plays and publishes without end fills no disk.
const REQUESTS_LOGGED: u32 = 8;

/// Tells events on. Its methods run on the threads that carry media: none of them waits.
pub(crate) struct Teller {
    log: Log,
    hooks: Hooks,
    configuration: Arc<Configuration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Open connections of clients.
    known: BTreeMap<ConnId, Known>,
    /// Streams whose begin was told, and whose end was not.
    streams: BTreeSet<StreamKey>,
    slow: Budget,
    refused: Budget,
    broken: Budget,
    turned_away: Budget,
    streams_changed: Budget,
    upstream: Budget,
    shed: Budget,
}

/// What is known of an open connection.
#[derive(Clone, Debug)]
struct Known {
    /// Its name in the log.
    cid: Arc<str>,
    /// Where it comes from.
    ip: IpAddr,
    /// Requests so far.
    requests: u32,
}

impl Known {
    fn of(client: &ClientInfo) -> Self {
        Self { cid: Arc::clone(&client.client_id), ip: client.peer.ip().to_canonical(), requests: 0 }
    }
}

/// How many warnings of one kind there were in this second.
#[derive(Debug, Default)]
struct Budget {
    since: Option<Instant>,
    count: u32,
}

impl Budget {
    /// One more: `Ok` when it may be written, with the number of those that were left out before.
    fn spend(&mut self, now: Instant) -> Result<u32, ()> {
        let fresh =
            self.since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1));
        if fresh {
            let left_out = self.count.saturating_sub(WARNINGS_MAX);
            *self = Self { since: Some(now), count: 1 };
            return Ok(left_out);
        }
        self.count = self.count.saturating_add(1);
        if self.count <= WARNINGS_MAX { Ok(0) } else { Err(()) }
    }
}

impl Handler for Teller {
    fn on_event(&self, event: Event) {
        self.tell(&event);
    }

    fn on_question(&self, question: Question, answer: Answer) {
        self.hooks.ask(&self.configuration.get(), question, answer);
    }

    fn on_turned_away(&self, peer: SocketAddr, why: GateRefusal) {
        if self.is_within_budget(|state| &mut state.turned_away, "more connections were turned away") {
            self.log.warn(self.log.cid(), &format!("connection of {peer} turned away: {why}"));
        }
    }

    fn on_accept_error(&self, listener: SocketAddr, error: &io::Error) {
        self.log.failure(LogLevel::Error, self.log.cid(), &format!("cannot accept on {listener} "), error);
    }
}

impl Teller {
    pub(crate) fn new(log: Log, hooks: Hooks, configuration: Arc<Configuration>) -> Self {
        Self { log, hooks, configuration, state: Mutex::default() }
    }

    fn tell(&self, event: &Event) {
        let log = &self.log;
        match event {
            Event::Opened { conn, peer, client_id } => {
                let (cid, ip) = (Arc::clone(client_id), peer.ip().to_canonical());
                self.state().known.insert(*conn, Known { cid, ip, requests: 0 });
                if log.enabled(LogLevel::Debug) {
                    log.debug(client_id, &format!("RTMP client ip={ip}, port={}, conn={conn}", peer.port()));
                }
            }
            Event::Identified { client } => self.identified(client),
            Event::Refused { conn, client, refusal } => self.refused(*conn, client.as_deref(), refusal),
            Event::PublishBegan { client } if self.is_logged(client) => {
                log.info(&client.client_id, &format!("start publish, url={}", client.stream_url()));
            }
            Event::PublishEnded { client } => self.hook(Action::Unpublish, client),
            Event::PlayBegan { client } if self.is_logged(client) => {
                log.info(&client.client_id, &format!("start play, url={}", client.stream_url()));
            }
            Event::PlayEnded { client } => self.hook(Action::Stop, client),
            Event::Closed { conn, client, reason, sent_bytes, received_bytes } => {
                let (sent_bytes, received_bytes) = (*sent_bytes, *received_bytes);
                let Known { cid, ip, .. } = self.known(*conn, client.as_deref());
                // Of who said nothing that was understood, no other line has the address.
                let ip = if client.is_none() { format!("ip={ip}, ") } else { String::new() };
                let text = format!(
                    "client finished: {reason}, {ip}send_bytes={sent_bytes}, recv_bytes={received_bytes}"
                );
                match reason {
                    CloseReason::Protocol(_) | CloseReason::TooSlow => {
                        if self.is_within_budget(|state| &mut state.broken, "more connections broke") {
                            log.warn(&cid, &text);
                        }
                    }
                    CloseReason::OriginsLost => self.upstream_trouble(&cid, &text),
                    // Why was said when it happened.
                    CloseReason::Refused(_) => log.debug(&cid, &text),
                    // Who says nothing at all is a port scan or a health check.
                    _ if client.is_none() => log.debug(&cid, &text),
                    _ => log.info(&cid, &text),
                }
                self.state().known.remove(conn);
                // Viewers over HTTP do not connect in the sense of RTMP: on_play and on_stop are all that hooks hear.
                if let Some(client) = client.as_ref().filter(|client| client.kind != ClientKind::FlvPlay) {
                    self.hook(Action::Close { sent_bytes, received_bytes }, client);
                }
            }
            Event::UpstreamConnecting { kind, key, conn, target } => {
                let url = key.as_ref().map(ToString::to_string).unwrap_or_default();
                log.info(&conn.to_string(), &format!("edge-{kind} connecting to {target}, url={url}"));
            }
            Event::UpstreamBegan { kind, key, conn } => {
                log.info(&conn.to_string(), &format!("edge-{kind} began, url={key}"));
            }
            // A failure is told by the next event: it is the server's, or its publisher is dropped for it.
            Event::UpstreamEnded { is_failure: true, .. } => {}
            Event::UpstreamEnded { kind, key, target, reason, .. } => {
                log.info(log.cid(), &format!("edge-{kind} of {target} ended, url={key}: {reason}"));
            }
            Event::UpstreamFailed { kind, key, target, reason } => {
                self.upstream_trouble(
                    log.cid(),
                    &format!("edge-{kind} of {target} failed, url={key}: {reason}"),
                );
            }
            Event::UpstreamWaits { kind, key, wait } => {
                let wait = wait.as_secs_f64();
                self.upstream_trouble(
                    log.cid(),
                    &format!("edge-{kind} waits {wait:.1} s, because every server has failed, url={key}"),
                );
            }
            Event::UpstreamRedirected { kind, key, from, to } => {
                log.info(log.cid(), &format!("edge-{kind} of {from} redirected to {to}, url={key}"));
            }
            Event::StreamBegan { key } => self.stream_began(key),
            Event::StreamEnded { key } => self.stream_ended(key),
            Event::MediaShed { bytes } => self.media_shed(*bytes),
            Event::Resynced { conn, dropped } => self.slow_viewer(*conn, *dropped),
            _ => {}
        }
    }

    /// A client says what it wants, for the first time or again.
    fn identified(&self, client: &ClientInfo) {
        let requests = {
            let mut state = self.state();
            let known = state.known.entry(client.conn).or_insert_with(|| Known::of(client));
            known.requests = known.requests.saturating_add(1);
            known.requests
        };
        let text = match requests {
            ..=REQUESTS_LOGGED => format!(
                "client identified, type={}, vhost={}, app={}, stream={}, param={}, ip={}, conn={}",
                client.kind,
                client.key.vhost,
                client.key.app,
                client.key.stream,
                client.param,
                client.peer.ip().to_canonical(),
                client.conn
            ),
            requests if requests == REQUESTS_LOGGED + 1 => {
                "further requests of this client are not logged".to_owned()
            }
            _ => return,
        };
        self.log.info(&client.client_id, &text);
    }

    /// Whether the present request of this client is one of those that are logged.
    fn is_logged(&self, client: &ClientInfo) -> bool {
        self.state().known.get(&client.conn).is_none_or(|known| known.requests <= REQUESTS_LOGGED)
    }

    fn hook(&self, action: Action, client: &Arc<ClientInfo>) {
        self.hooks.tell(&self.configuration.get(), action, client);
    }

    /// Every shard with viewers tells that a stream began and ended; one line will do.
    fn stream_began(&self, key: &StreamKey) {
        let is_new = self.state().streams.insert(key.clone());
        if is_new && self.is_within_budget(|state| &mut state.streams_changed, "more streams began or ended")
        {
            self.log.info(self.log.cid(), &format!("stream began, url={key}"));
        }
    }

    fn stream_ended(&self, key: &StreamKey) {
        let was_known = self.state().streams.remove(key);
        if was_known
            && self.is_within_budget(|state| &mut state.streams_changed, "more streams began or ended")
        {
            self.log.info(self.log.cid(), &format!("stream ended, url={key}"));
        }
    }

    fn refused(&self, conn: ConnId, client: Option<&ClientInfo>, refusal: &Refusal) {
        if self.is_within_budget(|state| &mut state.refused, "more clients were refused") {
            let code = refusal.number().map(|number| format!(" (code {number})")).unwrap_or_default();
            let Known { cid, ip, .. } = self.known(conn, client);
            self.log.warn(&cid, &format!("client refused: {refusal}{code}, ip={ip}"));
        }
    }

    fn upstream_trouble(&self, cid: &str, text: &str) {
        if self.is_within_budget(|state| &mut state.upstream, "more upstream connections ended or failed") {
            self.log.warn(cid, text);
        }
    }

    fn media_shed(&self, bytes: u64) {
        if self.is_within_budget(|state| &mut state.shed, "more times media was let go") {
            let text = format!("extension.media_max_bytes is reached: {bytes} bytes of media let go");
            self.log.warn(self.log.cid(), &text);
        }
    }

    fn slow_viewer(&self, conn: ConnId, dropped: u64) {
        if self.is_within_budget(|state| &mut state.slow, "more viewers were too slow") {
            let text = format!("viewer is too slow and goes on at a later key frame, dropped={dropped}");
            self.log.warn(&self.known(conn, None).cid, &text);
        }
    }

    /// Whether one more warning of this kind may be written. What was left out is told in one line, with the first
    /// warning of a later second.
    fn is_within_budget(&self, of: fn(&mut State) -> &mut Budget, what: &str) -> bool {
        let left_out = of(&mut self.state()).spend(clock::now());
        if let Ok(left_out @ 1..) = left_out {
            self.log.warn(self.log.cid(), &format!("{left_out} {what}"));
        }
        left_out.is_ok()
    }

    fn known(&self, conn: ConnId, client: Option<&ClientInfo>) -> Known {
        match (client, self.state().known.get(&conn)) {
            (Some(client), _) => Known::of(client),
            (None, Some(known)) => known.clone(),
            (None, None) => {
                Known { cid: conn.to_string().into(), ip: Ipv4Addr::UNSPECIFIED.into(), requests: 0 }
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A table of names is usable whatever happened to the thread that held it.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the start of a test's own time")]
    fn warnings_do_not_fill_the_disk() {
        let start = Instant::now();
        let mut budget = Budget::default();
        let written = (0..100).filter(|_| budget.spend(start).is_ok()).count();
        assert_eq!(written, 20);
        assert_eq!(budget.spend(start + Duration::from_secs(1)), Ok(80));
        assert_eq!(budget.spend(start + Duration::from_secs(1)), Ok(0));
    }
}
