//! Writing the same segment to many viewers.

use std::rc::Rc;

use super::link::Link;
use super::shard::Shard;
use crate::conn::ConnId;
use crate::edge::WholeSegment;

/// Viewers per group: their states have to stay in the cache while the system sends.
const GROUP: usize = 32;

/// Connections that have something to write. Those that get one whole segment are asked for it together, and written to
/// in a loop that does nothing else: deciding and sending viewer by viewer costs up to a tenth more.
#[derive(Debug, Default)]
pub(super) struct Writers {
    conns: Vec<ConnId>,
    links: Vec<(ConnId, Rc<Link>)>,
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    conn: ConnId,
    link: Rc<Link>,
    segment: WholeSegment,
    /// Bytes the socket took.
    sent: usize,
}

impl Writers {
    pub(super) fn push(&mut self, conn: ConnId) {
        self.conns.push(conn);
    }

    pub(super) fn is_full(&self) -> bool {
        self.conns.len() >= GROUP
    }

    /// Writes to all of them.
    pub(super) fn write(&mut self, shard: &Shard) {
        if let [conn] = self.conns[..] {
            self.conns.clear();
            return shard.flush(conn);
        }
        // A loop of its own: the memory behind the links comes for many of them at a time.
        self.links.extend(self.conns.drain(..).filter_map(|conn| Some((conn, shard.link(conn)?))));
        for (conn, link) in self.links.drain(..) {
            let segment = link.idle_socket().and_then(|_| shard.machine.borrow_mut().take_whole(conn));
            match segment {
                Some(segment) => self.writes.push(Write { conn, link, segment, sent: 0 }),
                None => link.flush(shard, conn),
            }
        }
        let machine = shard.machine.borrow();
        for write in &mut self.writes {
            let bytes = machine.whole_bytes(&write.segment);
            let Some(socket) = write.link.idle_socket() else { continue };
            write.sent = socket.try_write(bytes).unwrap_or(0);
        }
        drop(machine);
        for Write { conn, link, segment, sent } in self.writes.drain(..) {
            if sent > 0 {
                link.has_written();
            }
            if sent < segment.len() {
                shard.machine.borrow_mut().give_back(conn, segment, sent);
                // Finds out why.
                link.flush(shard, conn);
            }
        }
    }
}
