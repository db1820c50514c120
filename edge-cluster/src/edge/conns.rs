//! The connections of a shard, and which of them do nothing but follow their stream.

use std::collections::BTreeMap;

use super::room::give_back_room;
use super::session::{Session, Stage, Wire};
use super::streams::StreamId;
use super::upstream::Upstream;
use crate::conn::ConnId;
use crate::conn_map::ConnMap;

/// What a connection is.
#[derive(Debug)]
pub(super) enum Conn {
    Session(Box<Session>),
    Upstream(Box<Upstream>),
}

/// All connections by their numbers.
///
/// A *follower* is a viewer over RTMP for which nothing waits but what everybody gets. Its segments are handed out and
/// counted without a look at its session, whose memory is cold by the next picture. Whoever gets at a session to change
/// it ends that: [`get_mut`](Self::get_mut) and [`iter_mut`](Self::iter_mut) move the count there, and the viewer
/// follows again once [`Edge::outgoing`](super::Edge::outgoing) has found nothing else for it.
#[derive(Debug, Default)]
pub(super) struct Conns {
    table: BTreeMap<ConnId, Conn>,
    followers: ConnMap<Follower>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    pub(super) stream: StreamId,
    /// Bytes sent since it follows: they belong to the meter of its session.
    pub(super) sent: u64,
}

impl Conns {
    pub(super) fn get(&self, conn: ConnId) -> Option<&Conn> {
        self.table.get(&conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Conn> {
        let found = self.table.get_mut(&conn)?;
        if let Some(follower) = self.followers.remove(&conn) {
            count(found, follower);
        }
        Some(found)
    }

    pub(super) fn insert(&mut self, conn: ConnId, state: Conn) {
        self.followers.remove(&conn);
        self.table.insert(conn, state);
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Conn> {
        self.get_mut(conn)?;
        self.table.remove(&conn)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Conn)> {
        self.table.iter().map(|(id, conn)| (*id, conn))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnId, &mut Conn)> {
        for (id, follower) in self.followers.drain() {
            if let Some(conn) = self.table.get_mut(&id) {
                count(conn, follower);
            }
        }
        self.table.iter_mut().map(|(id, conn)| (*id, conn))
    }

    /// The connection as [`get_mut`](Self::get_mut) finds it, and the followers to make it one of them.
    pub(super) fn with_followers(&mut self, conn: ConnId) -> Option<(&mut Conn, &mut ConnMap<Follower>)> {
        self.get_mut(conn)?;
        Some((self.table.get_mut(&conn)?, &mut self.followers))
    }

    pub(super) fn follower(&mut self, conn: ConnId) -> Option<&mut Follower> {
        let follower = self.followers.get_mut(&conn)?;
        debug_assert!(follows(self.table.get(&conn), follower.stream), "a session has changed unseen");
        Some(follower)
    }

    pub(super) fn give_back_room(&mut self, most: usize) {
        give_back_room(&mut self.followers, most);
    }

    /// Bytes that the meter of a session does not know of yet.
    pub(super) fn sent_as_follower(&self, conn: ConnId) -> u64 {
        self.followers.get(&conn).map_or(0, |follower| follower.sent)
    }
}

fn follows(conn: Option<&Conn>, stream: StreamId) -> bool {
    let Some(Conn::Session(session)) = conn else { return false };
    let has_nothing = matches!(&session.wire, Wire::Rtmp(rtmp) if rtmp.pending_bytes() == 0);
    has_nothing && matches!(session.stage, Stage::Playing(id) if id == stream)
}

/// A follower is none any more.
fn count(conn: &mut Conn, follower: Follower) {
    if let Conn::Session(session) = conn {
        session.meter.sent += follower.sent;
    }
}
