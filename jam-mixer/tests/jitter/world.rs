//! A sender, a link and a server tick in virtual time, and what a listener would notice.

use jam_mixer::jitter::{JitterBuffer, JitterConfig, Slot};
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};

use crate::shipped::AutoBuffer;

/// A small generator (xorshift64*): the same seed gives the same run.
#[derive(Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn gauss(&mut self) -> f64 {
        let r = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        r * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// What happens to datagrams between the sender's sound card and the server.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// Standard deviation of the delay; the sum never falls below zero.
    pub(crate) gauss_ms: f64,
    /// Whether datagrams may overtake each other.
    pub(crate) reorder: bool,
    /// Share lost at random.
    pub(crate) loss: f64,
    /// Share duplicated, the copy 5 ms later.
    pub(crate) duplicate: f64,
    /// The link stalls: length and mean distance (exponential).
    pub(crate) stall_ms: f64,
    pub(crate) stall_every_ms: f64,
    /// How fast the sender's sound card is.
    pub(crate) ppm: f64,
    /// The sender's sound card delivers so many blocks at once.
    pub(crate) sender_batch: usize,
}

impl Link {
    pub(crate) const CLEAN: Self = Self {
        gauss_ms: 0.05,
        reorder: false,
        loss: 0.0,
        duplicate: 0.0,
        stall_ms: 0.0,
        stall_every_ms: 0.0,
        ppm: 20.0,
        sender_batch: 1,
    };
}

#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) client_samples: usize,
    pub(crate) server_samples: usize,
    pub(crate) factor: usize,
    pub(crate) numbered: bool,
}

impl Mode {
    pub(crate) const USUAL: Self =
        Self { client_samples: 128, server_samples: 128, factor: 1, numbered: true };

    pub(crate) fn block_us(&self) -> f64 {
        self.client_samples as f64 / 0.048
    }

    pub(crate) fn tick_us(&self) -> f64 {
        self.server_samples as f64 / 0.048
    }

    pub(crate) fn props(&self) -> AudioProps {
        AudioProps {
            codec: if self.client_samples == 128 { BlockCodec::Opus } else { BlockCodec::Opus64 },
            layout: Layout::Mono,
            block_bytes: 8,
            factor: match self.factor {
                1 => BlockFactor::One,
                2 => BlockFactor::Two,
                _ => BlockFactor::Four,
            },
            sequence: if self.numbered { Sequence::With } else { Sequence::Without },
        }
    }

    pub(crate) fn blocks_per_tick(&self) -> usize {
        (self.server_samples / self.client_samples).max(1)
    }
}

/// One datagram on its way.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) first: i64,
    pub(crate) sent_us: f64,
    pub(crate) arrives_us: f64,
}

/// All datagrams of `seconds`, in order of arrival; `BASE_US` is the delay of the empty link.
pub(crate) const BASE_US: f64 = 10_000.0;

pub(crate) fn traffic(mode: &Mode, link: &Link, seconds: f64, seed: u64) -> (Vec<Sent>, Vec<bool>) {
    let mut chance = Chance::new(seed);
    let period = mode.block_us() * mode.factor as f64 * (1.0 - link.ppm * 1e-6);
    let count = (seconds * 1e6 / period) as i64;
    let phase = chance.unit() * mode.tick_us();
    let mut lost = vec![false; count as usize * mode.factor];
    let mut datagrams = Vec::new();
    let mut stall_start = f64::MAX;
    let mut last_arrival = 0.0;
    if link.stall_every_ms > 0.0 {
        stall_start = -link.stall_every_ms * 1e3 * (1.0 - chance.unit()).ln();
    }
    for n in 0..count {
        let sent_us = phase + period * n as f64;
        let leaves =
            phase + period * ((n / link.sender_batch as i64 + 1) * link.sender_batch as i64 - 1) as f64;
        let mut arrives = leaves + BASE_US + (link.gauss_ms * 1e3 * (chance.gauss() + 2.5)).max(0.0);
        while arrives > stall_start + link.stall_ms * 1e3 {
            stall_start += link.stall_ms * 1e3 - link.stall_every_ms * 1e3 * (1.0 - chance.unit()).ln();
        }
        if arrives > stall_start {
            arrives = stall_start + link.stall_ms * 1e3;
        }
        if !link.reorder {
            arrives = arrives.max(last_arrival);
        }
        last_arrival = arrives;
        let first = n * mode.factor as i64;
        if chance.unit() < link.loss {
            for block in 0..mode.factor {
                lost[first as usize + block] = true;
            }
            continue;
        }
        datagrams.push(Sent { first, sent_us, arrives_us: arrives });
        if chance.unit() < link.duplicate {
            datagrams.push(Sent { first, sent_us, arrives_us: arrives + 5_000.0 });
        }
    }
    datagrams.sort_by(|a, b| a.arrives_us.total_cmp(&b.arrives_us));
    (datagrams, lost)
}

/// A buffer under test.
pub(crate) trait Subject {
    fn put(&mut self, blocks: &[i64], lead_us: u32);
    /// The block played; for a splice the second one.
    fn get(&mut self) -> Option<i64>;
    fn end_tick(&mut self) {}
    fn size(&self) -> usize;
}

impl Subject for AutoBuffer {
    fn put(&mut self, blocks: &[i64], _: u32) {
        self.put(blocks);
    }
    fn get(&mut self) -> Option<i64> {
        self.get()
    }
    fn end_tick(&mut self) {
        self.apply();
    }
    fn size(&self) -> usize {
        self.size()
    }
}

/// Ours, with the blocks' running numbers as payload.
pub(crate) struct Ours {
    pub(crate) buffer: JitterBuffer,
    numbered: bool,
    with_lead: bool,
}

impl Ours {
    pub(crate) fn new(mode: &Mode, size: JitterSize, with_lead: bool) -> Self {
        let config = JitterConfig::default();
        let buffer = JitterBuffer::new(&mode.props(), mode.blocks_per_tick() as u8, size, &config);
        Self { buffer, numbered: mode.numbered, with_lead }
    }
}

impl Subject for Ours {
    fn put(&mut self, blocks: &[i64], lead_us: u32) {
        let mut datagram = [0_u8; 36];
        let mut len = 0;
        for block in blocks {
            datagram[len..len + 8].copy_from_slice(&block.to_le_bytes());
            len += 8;
            if self.numbered {
                datagram[len] = *block as u8;
                len += 1;
            }
        }
        self.buffer.put(&datagram[..len], self.with_lead.then_some(lead_us));
    }

    fn get(&mut self) -> Option<i64> {
        match self.buffer.get() {
            Slot::Block(block) | Slot::Splice { second: block, .. } => {
                Some(i64::from_le_bytes(block.try_into().expect("blocks have 8 bytes")))
            }
            Slot::Lost => None,
        }
    }

    fn size(&self) -> usize {
        usize::from(self.buffer.auto_size())
    }
}

/// What a listener notices, from `warm_up` on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// Mean time from the sound card to the tick that plays the block, without the empty link's delay, in ms.
    pub(crate) delay_ms: f64,
    /// Blocks concealed, cut out or played out of order without a network loss as the cause, per million.
    pub(crate) faults_ppm: f64,
    /// Mean of the size shown to users.
    pub(crate) size: f64,
    /// Changes of that size per minute.
    pub(crate) changes_per_min: f64,
}

pub(crate) fn run(
    subject: &mut dyn Subject,
    mode: &Mode,
    traffic: &(Vec<Sent>, Vec<bool>),
    warm_up_s: f64,
) -> Heard {
    let (datagrams, lost) = traffic;
    let end_us = datagrams.iter().map(|sent| sent.sent_us).fold(0.0, f64::max) - 100_000.0;
    let mut sent_us = vec![0.0; lost.len()];
    for sent in datagrams {
        for block in 0..mode.factor {
            sent_us[sent.first as usize + block] = sent.sent_us;
        }
    }
    let mut coming = datagrams.iter().peekable();
    let (mut delay, mut played, mut gets, mut faults) = (0.0, 0_u64, 0_u64, 0_i64);
    let (mut last, mut concealed) = (-1_i64, 0_i64);
    let (mut sizes, mut size_before, mut changes, mut ticks) = (0, 0, 0_u64, 0_u64);
    let mut tick = 0_u64;
    loop {
        let now = tick as f64 * mode.tick_us();
        tick += 1;
        if now > end_us {
            break;
        }
        let decodes = mode.server_samples >= mode.client_samples || tick % 2 == 1;
        let deadline = if decodes { now } else { now + mode.tick_us() };
        while let Some(sent) = coming.next_if(|sent| sent.arrives_us <= now) {
            let blocks: Vec<i64> = (sent.first..sent.first + mode.factor as i64).collect();
            subject.put(&blocks, (deadline - sent.arrives_us) as u32);
        }
        let counts = now > warm_up_s * 1e6;
        if decodes {
            for n in 0..mode.blocks_per_tick() {
                gets += u64::from(counts);
                let Some(block) = subject.get() else {
                    concealed += 1;
                    continue;
                };
                if block <= last {
                    faults += i64::from(counts);
                    continue;
                }
                let gap = block - last - 1;
                let excused =
                    lost[(last + 1) as usize..block as usize].iter().filter(|&&lost| lost).count() as i64;
                if counts && last >= 0 {
                    faults += (gap.max(concealed) - excused).max(0);
                }
                concealed = 0;
                last = block;
                if counts {
                    let in_datagram = block % mode.factor as i64;
                    let sound_card_us = sent_us[block as usize]
                        - (mode.factor as i64 - 1 - in_datagram) as f64 * mode.block_us();
                    delay += now + n as f64 * mode.block_us() - sound_card_us - BASE_US;
                    played += 1;
                }
            }
        }
        subject.end_tick();
        if counts {
            ticks += 1;
            sizes += subject.size();
            changes += u64::from(size_before != subject.size() && size_before != 0);
        }
        size_before = subject.size();
    }
    let minutes = (end_us / 1e6 - warm_up_s) / 60.0;
    Heard {
        delay_ms: delay / played.max(1) as f64 / 1e3,
        faults_ppm: faults as f64 * 1e6 / gets as f64,
        size: sizes as f64 / ticks as f64,
        changes_per_min: changes as f64 / minutes,
    }
}
