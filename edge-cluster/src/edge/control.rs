//! What the owner does to a running shard: reload, stop.

use std::sync::Arc;
use std::time::Instant;

use super::event::{CloseReason, Event};
use super::io::{Command, Output};
use super::session::Stage;
use super::vhosts::{Vhosts, connection_config};
use super::{Conn, Edge, TimerKey};
use crate::config::EdgeConfig;
use crate::conn::ConnId;

impl Edge {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Kick(conn) => self.close(now, conn, CloseReason::Kicked),
            Command::Drain => self.drain(now),
        }
    }

    /// Another configuration counts from now on (spec 1.8). Clients and streams of vhosts that are gone keep what they
    /// have until they leave.
    pub(super) fn on_reload(&mut self, now: Instant, config: Arc<EdgeConfig>) {
        self.vhosts = Vhosts::new(&config, self.seed);
        self.greeting = Arc::new(connection_config(&config, None));
        self.config = config;
        for id in self.streams.ids() {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            let Some(vhost) = self.vhosts.named(&stream.vhost.name) else { continue };
            let forwards_changed = stream.vhost.forward != vhost.forward;
            stream.vhost = Arc::clone(vhost);
            let settings = stream.settings();
            stream.hub.configure(Arc::clone(&settings));
            if let Some(home) = stream.home.as_mut() {
                home.ingest.configure(now, settings);
                let publisher = home.publisher.as_ref().map(|publisher| publisher.conn);
                if let Some(conn) = publisher {
                    self.reload_publisher(conn);
                }
            }
            self.reload_pull(id);
            self.reload_outlets(now, id, forwards_changed);
            self.pump(now, id);
            self.review_stream(now, id);
        }
        self.event(Event::Reloaded);
    }

    /// A publisher's times change while it publishes; its chunk size does not.
    fn reload_publisher(&mut self, conn: ConnId) {
        let Some(Conn::Session(session)) = self.conns.get_mut(conn) else { return };
        let vhost = session.client.as_ref().and_then(|client| self.vhosts.named(&client.key.vhost));
        let (Some(vhost), Stage::Publishing(_)) = (vhost, &session.stage) else { return };
        let vhost = Arc::clone(vhost);
        if let Some(rtmp) = session.rtmp() {
            let chunk_size = rtmp.chunk_size();
            rtmp.configure(vhost.with_chunk_size(chunk_size));
        }
    }

    fn drain(&mut self, now: Instant) {
        if self.draining.is_some() {
            return;
        }
        let until = now + self.options.drain_limit;
        self.draining = Some(until);
        self.timers.set(TimerKey::Drain, Some(until));
        for (conn, entry) in self.conns.iter_mut() {
            let Conn::Session(session) = entry else { continue };
            if let Some(rtmp) = session.rtmp()
                // Clients that do not understand it, or are not connected yet, stay until they leave.
                && rtmp.request_reconnect(None, "server is stopping").unwrap_or(false)
            {
                self.outputs.push_back(Output::Write { conn });
            }
        }
        self.check_drained();
    }

    /// The time of a draining shard is over.
    pub(super) fn close_remaining(&mut self, now: Instant) {
        for conn in self.sessions() {
            self.close(now, conn, CloseReason::Draining);
        }
    }

    fn sessions(&self) -> Vec<ConnId> {
        let session = |(conn, entry): (ConnId, &Conn)| matches!(entry, Conn::Session(_)).then_some(conn);
        self.conns.iter().filter_map(session).collect()
    }

    /// Tells once that a draining shard has nobody left.
    pub(super) fn check_drained(&mut self) {
        let anybody = self.conns.iter().any(|(_, conn)| matches!(conn, Conn::Session(_)));
        if self.draining.is_some() && !anybody && !self.drained {
            self.drained = true;
            self.event(Event::Drained);
        }
    }

    /// The connection of the client with this id.
    pub fn find_client(&self, client_id: &str) -> Option<ConnId> {
        self.conns.iter().find_map(|(conn, entry)| match entry {
            Conn::Session(session) if *session.client_id == *client_id && session.client.is_some() => {
                Some(conn)
            }
            _ => None,
        })
    }
}
