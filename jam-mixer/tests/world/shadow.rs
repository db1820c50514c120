//! The judge: the plain mixer, told the same as the server under test, and a comparison of what both send.

use bytes::Bytes;
use jam_mixer::codec::{Codec, Decode, JamCodec, StreamSpec};
use jam_mixer::engine::{EngineConfig, Role, TickLength};
use jam_mixer::reference::ReferenceEngine;
use jam_proto::audio::AudioDatagram;
use jam_proto::server::Event;
use jam_proto::wire::Frame;
use jam_proto::{AudioProps, ChannelId, canonical};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub(crate) struct Shadow {
    engine: ReferenceEngine<JamCodec>,
    channels: BTreeMap<SocketAddr, (ChannelId, Option<AudioProps>)>,
    /// Whose next datagram may hold half a block from before a stall, where a tick is half a block.
    unsure: BTreeSet<ChannelId>,
    half_blocks: bool,
    pub(crate) compared: u64,
    /// Datagrams the plain mixer made and the server kept, because it had not heard from the listener for too long.
    pub(crate) withheld: u64,
}

impl Shadow {
    pub(crate) fn new(config: EngineConfig) -> Self {
        Self {
            half_blocks: config.tick == TickLength::Samples64,
            engine: ReferenceEngine::new(config, JamCodec::default()),
            channels: BTreeMap::new(),
            unsure: BTreeSet::new(),
            compared: 0,
            withheld: 0,
        }
    }

    pub(crate) fn on_datagram(&mut self, src: SocketAddr, payload: &[u8], lead_us: Option<u32>) {
        let Some((channel, Some(props))) = self.channels.get(&canonical(src)) else { return };
        if Frame::parse(payload).is_none() && payload.len() == props.datagram_bytes() {
            self.engine.push(*channel, payload, lead_us);
        }
    }

    pub(crate) fn on_event(&mut self, event: &Event) {
        match *event {
            Event::Joined { channel, addr, .. } => {
                self.channels.insert(addr, (channel, None));
                self.engine.open(channel);
            }
            Event::Identified { channel, .. } => self.engine.set_role(channel, Role::Musician),
            Event::Transport { channel, props } => {
                assert!(
                    self.engine.configure(channel, props),
                    "a format without codec was let in: {props:?}"
                );
                for (known, format) in self.channels.values_mut() {
                    if *known == channel {
                        *format = Some(props);
                    }
                }
            }
            Event::Gain { listener, source, gain } => self.engine.set_gain(listener, source, gain),
            Event::Pan { listener, source, pan } => self.engine.set_pan(listener, source, pan),
            Event::JitterBuffer { channel, size } => self.engine.set_jitter(channel, size),
            Event::Left { channel, addr, .. } => {
                self.channels.remove(&addr);
                self.engine.close(channel);
            }
            _ => {}
        }
    }

    /// Passes over the ticks the server has given up.
    pub(crate) fn on_skip(&mut self, skipped: u64) {
        self.engine.skip(skipped as u32);
        if skipped > 0 && self.half_blocks {
            self.unsure.extend(self.channels.values().map(|(channel, _)| *channel));
        }
    }

    /// Makes the ticks the server has made, and compares what they sent to each channel, in order.
    pub(crate) fn on_ticks(&mut self, run: u64, sent: &[(SocketAddr, Bytes)]) {
        let mut plain: BTreeMap<ChannelId, Vec<Vec<u8>>> = BTreeMap::new();
        for _ in 0..run {
            for (channel, datagram) in self.engine.tick().0 {
                plain.entry(channel).or_default().push(datagram);
            }
        }
        let mut of_server: BTreeMap<ChannelId, Vec<&Bytes>> = BTreeMap::new();
        for (dst, datagram) in sent {
            let (channel, _) = self.channels.get(dst).unwrap_or_else(|| panic!("audio for nobody: {dst}"));
            of_server.entry(*channel).or_default().push(datagram);
        }
        for (channel, sent) in &of_server {
            let plain = plain.remove(channel).unwrap_or_default();
            assert_eq!(plain.len(), sent.len(), "datagrams for channel {channel}");
            for (plain, sent) in plain.iter().zip(sent) {
                if !self.unsure.remove(channel) {
                    self.compare(*channel, plain, sent);
                    self.compared += 1;
                }
            }
        }
        self.withheld += plain.values().map(|datagrams| datagrams.len() as u64).sum::<u64>();
    }

    fn compare(&self, channel: ChannelId, plain: &[u8], sent: &[u8]) {
        let props = self.channels.values().find_map(|(known, props)| props.filter(|_| *known == channel));
        let props = props.expect("audio needs a format");
        let [plain, sent] =
            [plain, sent].map(|d| AudioDatagram::parse(&props, d).expect("of the announced size"));
        for (plain, sent) in plain.blocks().zip(sent.blocks()) {
            assert_eq!(plain.sequence, sent.sequence, "sequence for channel {channel}");
            // Coded blocks of one mix may differ where encoders were forked; what they sound like is measured by ears.
            if props.is_raw_size() {
                let [plain, sent] = [plain.bytes, sent.bytes].map(|bytes| samples(&props, bytes));
                for (n, (plain, sent)) in plain.iter().zip(&sent).enumerate() {
                    assert!(
                        plain.abs_diff(*sent) <= 1,
                        "sample {n} for channel {channel}: {plain}, sent {sent}"
                    );
                }
            }
        }
    }
}

fn samples(props: &AudioProps, raw: &[u8]) -> Vec<i16> {
    let spec = StreamSpec::from(*props);
    let mut pcm = vec![0; spec.pcm_len()];
    let decoded =
        JamCodec::default().decoder(spec).and_then(|mut raw_decoder| raw_decoder.decode(Some(raw), &mut pcm));
    decoded.expect("raw blocks of the right size can be decoded");
    pcm
}
