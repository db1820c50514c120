//! What servers want: bytes written, connections opened, moved and closed.

use std::time::Duration;

use bytes::Buf;
use edge_cluster::edge::{Event, HOLD_BYTES, Input, Output, UpstreamKind};
use edge_cluster::upstream::ConnectFailure;
use edge_cluster::{ConnId, ShardId};

use super::{Client, ENDS, Holder, Line, Net, Parcel, Side};

impl<C: Client> Net<C> {
    pub(super) fn flush(&mut self, line: usize, end: usize) {
        let holder = self.lines[line].ends[end].holder;
        match holder {
            Holder::Client(client) => {
                let outgoing = self.clients[client].outgoing();
                self.lines[line].pair.send(self.now, ENDS[end], outgoing);
                if outgoing.is_empty() && self.clients[client].wants_close() {
                    self.lines[line].pair.close(ENDS[end]);
                    self.lines[line].ends[end].holder = Holder::Nobody;
                    self.clients[client].handle_closed(self.now);
                }
            }
            Holder::Server(node, shard, conn) => {
                let blocked = self.lines[line].ends[end].blocked || self.lines[line].ends[end].closing;
                if blocked {
                    self.write(line, end, node, shard, conn);
                }
            }
            Holder::Moving(..) | Holder::Nobody => {}
        }
    }

    fn write(&mut self, line: usize, end: usize, node: usize, shard: ShardId, conn: ConnId) {
        let Line { pair, ends } = &mut self.lines[line];
        let side = &mut ends[end];
        side.blocked = false;
        let machine = &mut self.nodes[node].shards[usize::from(shard.0)];
        let total = self.sent.entry((node, conn)).or_default();
        let mut may_wait = true;
        if let Some(segment) = machine.take_whole(conn) {
            let sent = pair.send(self.now, ENDS[end], &mut machine.whole_bytes(&segment));
            *total += sent as u64;
            may_wait = sent < segment.len();
            if may_wait {
                machine.give_back(conn, segment, sent);
            }
        }
        while may_wait && let Some(mut outgoing) = machine.outgoing(self.now, conn) {
            let waiting = outgoing.remaining();
            if waiting == 0 {
                break;
            }
            let sent = pair.send(self.now, ENDS[end], &mut outgoing);
            *total += sent as u64;
            if sent < waiting {
                side.blocked = true;
                break;
            }
            if !outgoing.has_remaining() && outgoing.is_last() {
                break;
            }
        }
        if side.closing && !side.blocked {
            pair.close(ENDS[end]);
            side.holder = Holder::Nobody;
            self.input(node, shard, Input::Closed { conn });
        } else if side.unread.len() > HOLD_BYTES {
            self.offer(line, end);
        }
    }

    pub(super) fn input(&mut self, node: usize, shard: ShardId, input: Input<'_>) {
        let closed = if let Input::Closed { conn } = &input { Some(*conn) } else { None };
        self.nodes[node].shards[usize::from(shard.0)].handle_input(self.now, input);
        self.pump(node, shard);
        if let Some(conn) = closed {
            self.sent.remove(&(node, conn));
        }
    }

    pub(super) fn pump(&mut self, node: usize, shard: ShardId) {
        while let Some(output) = self.nodes[node].shards[usize::from(shard.0)].poll_output() {
            self.carry_out(node, shard, output);
        }
    }

    fn end_of(&self, node: usize, conn: ConnId) -> Option<(usize, usize)> {
        let line = self.lines.iter().position(|line| line.ends.iter().any(|side| holds(side, node, conn)))?;
        let end = self.lines[line].ends.iter().position(|side| holds(side, node, conn))?;
        Some((line, end))
    }

    fn carry_out(&mut self, node: usize, shard: ShardId, output: Output) {
        match output {
            Output::Write { conn } => {
                if let Some(body) = self.bodies.get_mut(&(node, conn)) {
                    let machine = &mut self.nodes[node].shards[usize::from(shard.0)];
                    while let Some(mut outgoing) = machine.outgoing(self.now, conn)
                        && outgoing.has_remaining()
                    {
                        let piece = outgoing.copy_to_bytes(outgoing.remaining());
                        body.extend_from_slice(&piece);
                        *self.sent.entry((node, conn)).or_default() += piece.len() as u64;
                    }
                } else if let Some((line, end)) = self.end_of(node, conn)
                    && !self.lines[line].ends[end].blocked
                {
                    self.write(line, end, node, shard, conn);
                }
            }
            Output::Read { conn } => {
                if let Some((line, end)) = self.end_of(node, conn) {
                    self.offer(line, end);
                }
            }
            Output::Close { conn, .. } => {
                self.nodes[node].pulls.remove(&conn);
                match self.end_of(node, conn) {
                    Some((line, end)) => {
                        self.lines[line].ends[end].closing = true;
                        if !self.lines[line].ends[end].blocked {
                            self.write(line, end, node, shard, conn);
                        }
                    }
                    None => self.input(node, shard, Input::Closed { conn }),
                }
            }
            Output::Connect { conn, target, .. } => {
                let found = self.nodes.iter().position(|server| server.host == target.host && server.up);
                match found {
                    Some(other) => {
                        self.dial(Holder::Server(node, shard, conn), other);
                        self.input(node, shard, Input::Connected { conn });
                    }
                    None => {
                        self.nodes[node].pulls.remove(&conn);
                        let reason = ConnectFailure::Io(std::io::ErrorKind::ConnectionRefused);
                        self.input(node, shard, Input::ConnectFailed { conn, reason });
                    }
                }
            }
            Output::Move { conn, to, state } => {
                if let Some((line, end)) = self.end_of(node, conn) {
                    self.lines[line].ends[end].holder = Holder::Moving(node, conn);
                }
                self.send(node, shard, to, Parcel::Adopt(conn, state));
            }
            Output::Peer { to, message } => self.send(node, shard, to, Parcel::Peer(shard, message)),
            Output::FlvAccepted { conn } => {
                self.flv_accepted.insert((node, conn));
            }
            Output::Ask(question) => self.nodes[node].questions.push(question),
            Output::Event(event) => {
                if let Event::UpstreamConnecting { kind: UpstreamKind::Pull, key: Some(key), conn, .. } =
                    &event
                {
                    self.nodes[node].pulls.insert(*conn, key.clone());
                }
                if let Event::Closed { conn, sent_bytes, .. } = event {
                    assert_eq!(sent_bytes, self.sent_bytes(node, conn), "of {conn:?}, which is closed");
                }
                self.nodes[node].events.push(event);
            }
            _ => {}
        }
    }

    fn send(&mut self, node: usize, from: ShardId, to: ShardId, parcel: Parcel) {
        let delay = Duration::from_micros(self.chance.below(3000));
        let queue = self.nodes[node].queues.entry((from.0, to.0)).or_default();
        let last = queue.back().map_or(self.now, |(at, _)| *at);
        queue.push_back(((self.now + delay).max(last), parcel));
    }
}

fn holds(side: &Side, node: usize, conn: ConnId) -> bool {
    matches!(side.holder, Holder::Server(of, _, held) if of == node && held == conn)
}
