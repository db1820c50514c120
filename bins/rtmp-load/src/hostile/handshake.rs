//! Before the first message: slowness, noise, single bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rtmp_core::message::PublishKind;
use rtmp_core::{
    ClientConnection, ClientEvent, ConnectionConfig, Media, MediaKind, Progress, Purpose, Target, Timestamp,
};

use super::findings::{Findings, round};
use super::peer::{Peer, hello, is_pending};
use super::script::Script;
use super::siege::{CONNECT_LIMIT, GRACE, HANDSHAKE_LIMIT, Siege};
use crate::clock::{instant, wait};

/// Frames of the stream that is published byte by byte.
const FRAMES: u32 = 20;
/// How long such a session may take in all.
const SESSION_LIMIT: Duration = Duration::from_secs(20);

/// Connections that say nothing, half of C1, no C2, no `connect`; those in the middle dribble.
pub(super) fn slow(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let half = hello()[..700].to_vec();
    let stages = [
        ("silent", Vec::new(), HANDSHAKE_LIMIT),
        ("half_of_c1", half, HANDSHAKE_LIMIT),
        ("no_c2", hello(), HANDSHAKE_LIMIT),
        ("no_connect", Script::handshake().bytes(), HANDSHAKE_LIMIT + CONNECT_LIMIT),
    ];
    let share = siege.connections / stages.len();
    let mut swarms: Vec<_> = stages.iter().map(|(_, script, _)| siege.swarm(share, script)).collect();
    let begun = instant();
    // A byte now and then buys no time.
    let mut dribbled = 0;
    while begun.elapsed() < HANDSHAKE_LIMIT + CONNECT_LIMIT + GRACE && !swarms.iter().all(|s| s.is_over()) {
        for swarm in &mut swarms {
            swarm.run(Duration::ZERO, |_| true);
        }
        if begun.elapsed().as_millis() / 250 > dribbled {
            dribbled += 1;
            swarms[1].say(&[0]);
        }
        wait(Duration::from_millis(20));
    }
    for ((name, _, limit), swarm) in stages.iter().zip(&swarms) {
        findings.note(&format!("{name}_longest_s"), round(swarm.longest_life(), 2));
        findings.refused += swarm.closed() as u64;
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.require(closed == all, || format!("{name}: only {closed} of {all} connections were closed"));
        findings.require(swarm.longest_life() <= (*limit + GRACE).as_secs_f64(), || {
            format!("{name}: a connection lived {:.1} s", swarm.longest_life())
        });
    }
    findings.note("connections", findings.refused);
    Ok(findings)
}

/// Bytes of other protocols, and of none.
pub(super) fn noise(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut garbage = |bytes: usize| -> Vec<u8> {
        (0..bytes)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect()
    };
    let mut behind = Script::handshake().bytes();
    behind.extend(garbage(5000));
    let mut encrypted = hello();
    encrypted[0] = 6;
    let scripts = [
        ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("tls", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &garbage(500)].concat()),
        ("noise", [&[0xff][..], &garbage(4000)].concat()),
        ("rtmpe", encrypted),
        ("noise_behind_the_handshake", behind),
    ];
    for (name, script) in scripts {
        let mut swarm = siege.swarm(siege.connections / 5, &script);
        swarm.run(HANDSHAKE_LIMIT + CONNECT_LIMIT + GRACE, |swarm| swarm.is_over());
        findings.note(&format!("{name}_longest_s"), round(swarm.longest_life(), 2));
        findings.refused += swarm.closed() as u64;
        let (closed, all) = (swarm.closed(), swarm.members.len());
        findings.require(closed == all, || format!("{name}: only {closed} of {all} connections were closed"));
    }
    Ok(findings)
}

/// A whole publish and a whole play, every byte in a write of its own.
pub(super) fn one_byte_writes(siege: &mut Siege) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let publish = |siege: &mut Siege| -> Result<(u64, u64), String> {
        let target = |purpose| Target::new(&siege.place.tc_url, &siege.place.app, "byte-by-byte", purpose);
        let (publish, play) = (target(Purpose::Publish(PublishKind::Live)), target(Purpose::Play));
        let mut publisher = Slow::open(siege, publish)?;
        publisher.until(|seen| seen.accepted)?;
        let mut viewer = Slow::open(siege, play)?;
        viewer.until(|seen| seen.accepted)?;
        for number in 0..FRAMES {
            // A sequence header, then key frames.
            let head: &[u8] = if number == 0 { b"\x17\0\0\0\0" } else { b"\x17\x01\0\0\0" };
            let payload: Vec<u8> = [head, &number.to_be_bytes(), &[0; 300]].concat();
            let media = Media {
                kind: MediaKind::Video,
                timestamp: Timestamp::from_millis(number * 40),
                payload: payload.into(),
            };
            publisher.client.send_media(&media).map_err(|error| error.to_string())?;
            publisher.flush()?;
        }
        viewer.until(|seen| seen.frames.len() >= FRAMES as usize)?;
        let in_order = viewer.seen.frames.windows(2).all(|pair| number_of(&pair[0]) < number_of(&pair[1]));
        if !in_order {
            return Err("frames came in another order".to_owned());
        }
        Ok((publisher.written + viewer.written, viewer.seen.frames.len() as u64))
    };
    match publish(siege) {
        Ok((writes, frames)) => {
            findings.note("writes", writes);
            findings.note("frames_published_and_played", frames);
        }
        Err(error) => findings.require(false, || format!("a legal session failed: {error}")),
    }
    Ok(findings)
}

fn number_of(payload: &Bytes) -> Option<u32> {
    Some(u32::from_be_bytes(payload.get(5..9)?.try_into().ok()?))
}

/// A client that is legal but writes single bytes.
#[derive(Debug)]
struct Slow {
    peer: Peer,
    client: ClientConnection,
    input: BytesMut,
    seen: Seen,
    written: u64,
}

/// What such a client has heard.
#[derive(Debug, Default)]
struct Seen {
    accepted: bool,
    frames: Vec<Bytes>,
}

impl Slow {
    fn open(siege: &mut Siege, target: Target) -> Result<Self, String> {
        let config = Arc::new(ConnectionConfig::default());
        Ok(Self {
            peer: siege.peer().map_err(|error| error.to_string())?,
            client: ClientConnection::new(config, target, 1, instant()),
            input: BytesMut::new(),
            seen: Seen::default(),
            written: 0,
        })
    }

    fn flush(&mut self) -> Result<(), String> {
        while let Some(byte) = self.client.outgoing().first().copied() {
            self.peer.send(&[byte]).map_err(|error| error.to_string())?;
            self.client.outgoing().advance(1);
            self.written += 1;
        }
        Ok(())
    }

    /// Goes on until it has heard what it waits for.
    fn until(&mut self, heard: impl Fn(&Seen) -> bool) -> Result<(), String> {
        use std::io::Read as _;
        let end = instant() + SESSION_LIMIT;
        let mut raw = [0; 16 << 10];
        self.peer
            .stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .map_err(|error| error.to_string())?;
        while !heard(&self.seen) {
            if instant() > end {
                return Err("nothing came".to_owned());
            }
            self.flush()?;
            match self.peer.stream.read(&mut raw) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(count) => self.input.extend_from_slice(&raw[..count]),
                Err(error) if is_pending(&error) => continue,
                Err(error) => return Err(error.to_string()),
            }
            loop {
                let progress = self.client.handle_input(instant(), &mut self.input);
                while let Some(event) = self.client.poll_event() {
                    match event {
                        ClientEvent::PublishAccepted | ClientEvent::PlayStarted => self.seen.accepted = true,
                        ClientEvent::Media(media) if media.kind == MediaKind::Video => {
                            self.seen.frames.push(media.payload);
                        }
                        _ => {}
                    }
                }
                self.flush()?;
                if progress.map_err(|error| error.to_string())? == Progress::NeedBytes {
                    break;
                }
            }
        }
        Ok(())
    }
}
