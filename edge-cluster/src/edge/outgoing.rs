//! What a connection has to send.

use std::io::IoSlice;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use rtmp_core::MediaKind;
use rtmp_core::flv::{self, Content};
use rtmp_core::segment::{Outgoing, Ring};

use super::conns::Follower;
use super::session::{FlvBody, Session, Stage, Wire};
use super::streams::Stream;
use super::upstream::{Owner, Upstream};
use super::{Conn, Edge};
use crate::conn::ConnId;

/// Bytes that wait to be sent on one connection: those for it alone, and its part of the shared segments. Write
/// [`chunks_vectored`](Buf::chunks_vectored) to the socket, then [`advance`](Buf::advance) by what it took.
///
/// [`remaining`](Buf::remaining) does not look far ahead and is 0 only when nothing is left: ask again after each write.
#[derive(Debug)]
pub struct EdgeOutgoing<'a> {
    pub(super) bytes: Bytes<'a>,
    /// Counters of bytes sent: of the connection, of its stream, of the shard.
    pub(super) counters: [Option<&'a mut u64>; 3],
    /// What else waits is not written before these are out.
    pub(super) continues: bool,
}

impl EdgeOutgoing<'_> {
    /// Whether nothing was left behind these bytes: once they are all taken, the next [`Output::Write`] tells when to
    /// ask again.
    ///
    /// [`Output::Write`]: super::Output::Write
    #[must_use]
    pub fn is_last(&self) -> bool {
        !self.continues
    }
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made for each write, on the stack")]
pub(super) enum Bytes<'a> {
    Private(&'a mut BytesMut),
    Shared(Outgoing<'a, Ring>),
}

impl Buf for EdgeOutgoing<'_> {
    fn remaining(&self) -> usize {
        match &self.bytes {
            Bytes::Private(bytes) => bytes.len(),
            Bytes::Shared(outgoing) => outgoing.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Private(bytes) => bytes,
            Bytes::Shared(outgoing) => outgoing.chunk(),
        }
    }

    fn chunks_vectored<'b>(&'b self, slices: &mut [IoSlice<'b>]) -> usize {
        match &self.bytes {
            Bytes::Private(bytes) => bytes.chunks_vectored(slices),
            Bytes::Shared(outgoing) => outgoing.chunks_vectored(slices),
        }
    }

    /// # Panics
    ///
    /// When `count` is more than [`remaining`](Buf::remaining), as the trait asks.
    fn advance(&mut self, count: usize) {
        match &mut self.bytes {
            Bytes::Private(bytes) => {
                bytes.advance(count);
                if bytes.is_empty() {
                    // A viewer lives for hours and says little: it does not keep a buffer.
                    **bytes = BytesMut::new();
                }
            }
            Bytes::Shared(outgoing) => outgoing.advance(count),
        }
        for counter in self.counters.iter_mut().flatten() {
            **counter += count as u64;
        }
    }
}

impl Edge {
    /// What waits to be sent on a connection; `None` when it is not known (any more).
    ///
    /// When everything is taken and it was not the [last](EdgeOutgoing::is_last), ask again.
    pub fn outgoing(&mut self, now: Instant, conn: ConnId) -> Option<EdgeOutgoing<'_>> {
        let all = &mut self.totals.sent_bytes;
        let (found, followers) = self.conns.with_followers(conn)?;
        match found {
            Conn::Session(session) => {
                let playing = match session.stage {
                    Stage::Playing(id) => self.streams.get_mut(id).map(|stream| (id, stream)),
                    _ => None,
                };
                let Session { wire, meter, .. } = &mut **session;
                let Some((id, stream)) = playing else {
                    let bytes = Bytes::Private(wire.private());
                    return Some(EdgeOutgoing {
                        bytes,
                        counters: [Some(&mut meter.sent), Some(all), None],
                        continues: false,
                    });
                };
                let is_held = match wire {
                    Wire::Flv(body) => !begin_flv(body, conn, stream),
                    Wire::Rtmp(_) => false,
                };
                if is_held {
                    let counters = [Some(&mut meter.sent), Some(all), None];
                    return Some(EdgeOutgoing {
                        bytes: Bytes::Private(wire.private()),
                        counters,
                        continues: false,
                    });
                }
                let is_rtmp = matches!(wire, Wire::Rtmp(_));
                let continues = stream.hub.prepare(now, conn, wire);
                let private = wire.private();
                if private.is_empty() {
                    // A viewer lives for hours and says little: it does not keep a buffer.
                    *private = BytesMut::new();
                    if is_rtmp && !continues {
                        followers.insert(conn, Follower { stream: id, sent: 0 });
                    }
                }
                let bytes = Bytes::Shared(stream.hub.outgoing(conn, private)?);
                let counters = [Some(&mut meter.sent), Some(all), Some(&mut stream.meter.sent)];
                Some(EdgeOutgoing { bytes, counters, continues })
            }
            Conn::Upstream(upstream) => {
                let Upstream { owner, meter, farewell, .. } = &mut **upstream;
                let counters = [Some(&mut meter.sent), Some(all), None];
                if let Some(farewell) = farewell {
                    return Some(EdgeOutgoing {
                        bytes: Bytes::Private(farewell),
                        counters,
                        continues: false,
                    });
                }
                match *owner {
                    Owner::Probe(client) => {
                        let bytes = Bytes::Private(self.probes.get_mut(&client)?.private());
                        Some(EdgeOutgoing { bytes, counters, continues: false })
                    }
                    Owner::Outlet(id, number) => {
                        let stream = self.streams.get_mut(id)?;
                        let outlet = stream.home.as_mut()?.outlets.get_mut(&number)?;
                        let continues = stream.hub.prepare(now, conn, &mut outlet.machine);
                        // Before the origin has accepted, it gets commands only.
                        let bytes = match stream.hub.is_viewer(conn) {
                            true => Bytes::Shared(stream.hub.outgoing(conn, outlet.machine.private())?),
                            false => Bytes::Private(outlet.machine.private()),
                        };
                        Some(EdgeOutgoing { bytes, counters, continues })
                    }
                    Owner::Pull(id) => {
                        let run = self.streams.get_mut(id)?.home.as_mut()?.pull.as_mut()?;
                        let bytes = Bytes::Private(run.pull.private());
                        Some(EdgeOutgoing { bytes, counters, continues: false })
                    }
                }
            }
        }
    }
}

/// Puts the file header in front of a body, once it is known what the stream consists of (spec 12). Says whether it is
/// there: until then nothing is sent, not even metadata, which does not tell.
fn begin_flv(body: &mut FlvBody, conn: ConnId, stream: &mut Stream) -> bool {
    if body.has_header {
        return true;
    }
    let Some(content) = stream.hub.content() else { return false };
    body.has_header = true;
    let Some(remux) = stream.vhost.http_remux.as_ref() else {
        body.private.extend_from_slice(&flv::header(content));
        return true;
    };
    let guessed = |is_there: bool| is_there || !remux.guess_has_av;
    let audio = remux.has_audio && guessed(content != Content::Video);
    let video = remux.has_video && guessed(content != Content::Audio);
    let content = match (audio, video) {
        (true, false) => Content::Audio,
        (false, true) => Content::Video,
        _ => Content::AudioVideo,
    };
    body.private.extend_from_slice(&flv::header(content));
    let kinds = [(MediaKind::Audio, audio, remux.has_audio), (MediaKind::Video, video, remux.has_video)];
    for (kind, announced, wanted) in kinds {
        if !wanted || (!announced && remux.drop_if_not_match) {
            stream.hub.receive(conn, kind, false);
        }
    }
    true
}
