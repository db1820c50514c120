//! One tick, step by step.

use super::batch::Batch;
use super::source::{Source, SourceCounters};
use super::{Engine, Slot, Tick, TickReport};
use crate::codec::{Codec, StreamSpec};
use crate::job::{Executor, Job};
use crate::mix::group::{FORMATS, Packed};
use crate::mix::groups::MergeRule;
use crate::mix::kernel;
use crate::mix::mixer::Path;
use crate::mix::planes::{Need, Planes, Side, SourceView};
use crate::mix::set::ChannelSet;
use crate::mix::weights::Rules;
use crate::pcm;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};
use std::any::Any;
use std::sync::Arc;

/// Fewer sources or groups than this are not worth waking another thread for.
const WORK_PER_JOB_MIN: usize = 4;

impl<C: Codec> Engine<C> {
    /// Makes one tick: decodes, mixes, encodes, and lends what came out.
    pub fn tick(&mut self, executor: &mut dyn Executor) -> Tick<'_> {
        self.report = TickReport::default();
        self.decode(executor);
        self.regroup();
        self.weigh();
        self.fill_planes();
        self.mix_and_encode(executor);
        self.mix_main();
        self.pack();
        self.merge();
        self.measure_levels();
        self.phase.number += 1;
        self.stats.add(&self.report);
        self.stats.forks = self.groups.forks;
        self.stats.merges = self.groups.merges;
        self.last_tick()
    }

    /// Lets `ticks` pass without audio after a stall: buffers advance, sequence numbers too, so delay does not grow.
    pub fn skip(&mut self, ticks: u32) {
        if ticks == 0 {
            // No stall: datagrams that have begun are completed.
            return;
        }
        for channel in self.open.iter() {
            if let Some(source) = self.slots[channel.index()].as_mut().and_then(|slot| slot.source.as_mut()) {
                source.skip(&self.phase, ticks);
            }
        }
        self.phase.number += u64::from(ticks);
        self.resumed = [BlockCodec::Opus, BlockCodec::Opus64].map(|codec| self.phase.blocks(codec).start);
        self.stats.ticks_skipped += u64::from(ticks);
    }

    fn decode(&mut self, executor: &mut dyn Executor) {
        let configured = self.slots.iter().flatten().filter(|slot| slot.props.is_some()).count();
        let mut sources = self
            .slots
            .iter_mut()
            .flatten()
            .filter_map(|slot| slot.source.take_if(|source| source.spec().is_some()));
        run_batches(
            &mut self.jobs,
            &mut self.spare_jobs,
            executor,
            configured,
            |batch: &mut Batch<C>, share| {
                batch.phase = self.phase;
                batch.sources.extend(sources.by_ref().take(share));
            },
        );
        self.resized.clear();
        let mut sum = SourceCounters::default();
        for batch in batches::<C>(&mut self.jobs) {
            for mut source in batch.sources.drain(..) {
                let done = std::mem::take(&mut source.counters);
                sum.decoded += done.decoded;
                sum.concealed += done.concealed;
                sum.idle += done.idle;
                sum.decode_errors += done.decode_errors;
                let channel = source.channel;
                if let Some(blocks) = source.jitter_mut().and_then(crate::jitter::JitterBuffer::take_resized)
                {
                    self.resized.push((channel, blocks));
                }
                if let Some(slot) = &mut self.slots[channel.index()] {
                    slot.source = Some(source);
                }
            }
        }
        self.report.decoded = sum.decoded;
        self.report.concealed = sum.concealed;
        self.report.idle = sum.idle;
        self.report.decode_errors = sum.decode_errors;
    }

    /// Brings listeners and groups together: joins, leaves, moved faders, ended fades.
    fn regroup(&mut self) {
        if !self.regroup && self.dirty.is_empty() {
            return;
        }
        let mut fading = ChannelSet::default();
        for channel in self.open.iter() {
            let Some(slot) = &mut self.slots[channel.index()] else { continue };
            fading.set(channel, slot.is_fading());
            if std::mem::take(&mut slot.regroup) {
                match listening(slot) {
                    Some(spec) => match slot.encoder.take().map_or_else(|| self.codec.encoder(spec), Ok) {
                        Ok(encoder) => {
                            slot.first_block = self.phase.blocks(spec.codec).start;
                            slot.sequence_base = None;
                            self.groups.join(channel, spec, encoder);
                        }
                        Err(_) => {
                            self.stats.encoders_failed += 1;
                            self.groups.leave(channel);
                        }
                    },
                    None => self.groups.leave(channel),
                }
            }
        }
        self.groups.regroup(self.dirty, fading, &self.gains, self.phase.number);
        self.dirty = ChannelSet::default();
        self.regroup = false;
    }

    /// Multiplies faders and fades out, where they changed.
    fn weigh(&mut self) {
        let Self { gains, fades, config, open, faded, groups, .. } = self;
        let rules = Rules { gains, fades, delay_panning: config.delay_panning };
        let faded = std::mem::take(faded);
        for group in groups.iter_mut() {
            let Some(listener) = group.members.first() else { continue };
            // The fade of a listener that is alone is a factor of its whole mix.
            let all = std::mem::take(&mut group.stale) || (group.alone && faded.contains(listener));
            for source in if all { *open } else { open.and(faded) }.iter() {
                group.weights.set(source, rules.term(listener, source, group.spec.layout));
            }
        }
    }

    fn fill_planes(&mut self) {
        let mut active = ChannelSet::default();
        let mut settled = ChannelSet::default();
        let mut split = false;
        for source in self.slots.iter().flatten().filter_map(playing) {
            if source.sounds() && self.fades[source.channel.index()] > 0.0 {
                active.insert(source.channel);
                settled.set(source.channel, self.fades[source.channel.index()] >= 1.0);
                split |= source.layout() == Layout::Stereo;
            }
        }
        let mut need = Need { stereo: self.config.main_mix, ..Need::default() };
        for group in self.groups.iter_mut() {
            group.path = Path::choose(&group.weights, active, settled);
            need.sums |= group.path == Path::Shared;
            match group.spec.layout {
                Layout::Mono => need.mono = true,
                Layout::Stereo => need.stereo = true,
            }
        }
        let planes = own(&mut self.planes, self.phase.samples, self.config.delay_panning);
        planes.clear(split);
        for source in self.slots.iter().flatten().filter_map(playing) {
            if active.contains(source.channel) {
                let view = SourceView {
                    channel: source.channel,
                    layout: source.layout(),
                    pcm: source.pcm(),
                    before: source.before(),
                    settled: settled.contains(source.channel),
                };
                planes.push(&view, need);
            }
        }
        if need.sums {
            planes.sum_up(need);
        }
    }

    fn mix_and_encode(&mut self, executor: &mut dyn Executor) {
        let count = self.groups.len();
        let mut groups = self.groups.take_all();
        run_batches(&mut self.jobs, &mut self.spare_jobs, executor, count, |batch: &mut Batch<C>, share| {
            batch.phase = self.phase;
            batch.planes = Some(Arc::clone(&self.planes));
            batch.groups.extend(groups.by_ref().take(share));
        });
        drop(groups);
        for batch in batches::<C>(&mut self.jobs) {
            for mut group in batch.groups.drain(..) {
                let blocks = self.phase.blocks(group.spec.codec).count() as u32;
                self.report.encodes += blocks;
                self.report.encodes_shared += blocks * (group.members.len() as u32 - 1);
                self.report.encode_errors += std::mem::take(&mut group.encode_errors);
                self.groups.put_back(group);
            }
        }
        self.report.groups = count as u32;
        self.report.merges_waiting = self.groups.merges_waiting() as u32;
    }

    /// The mix of everybody, for taps.
    fn mix_main(&mut self) {
        if !self.config.main_mix {
            return;
        }
        for (sums, side) in self.main_sums.iter_mut().zip([Side::Left, Side::Right]) {
            sums.clear();
            sums.resize(self.phase.samples, 0.0);
            for &channel in self.planes.channels() {
                kernel::add_scaled(sums, self.planes.source(side, channel, 0), self.fades[channel.index()]);
            }
        }
        self.main_mix.resize(2 * self.phase.samples, 0);
        let [left, right] = &self.main_sums;
        pcm::write_stereo(&mut self.main_mix, left, right);
    }

    /// Puts blocks and sequence bytes together. Listeners of a group share the bytes if they want no sequence bytes,
    /// or count them alike.
    ///
    /// Every listener's sequence starts at 0: a shipped client has just begun to count there, takes the first datagram
    /// as late and so starts with an empty buffer. From anywhere else it would take it as early, half of the time,
    /// and then play with the longest delay its buffer has (spec 4.3).
    fn pack(&mut self) {
        self.wire.clear();
        self.datagrams.clear();
        for group in self.groups.iter_mut() {
            group.datagrams = [Packed::default(); FORMATS];
        }
        for channel in self.open.iter() {
            let Some(slot) = &mut self.slots[channel.index()] else { continue };
            let (Some(props), Some(id)) = (slot.props, self.groups.of(channel)) else { continue };
            let Some(group) = self.groups.get_mut(id) else { continue };
            let since = slot.first_block.max(self.resumed[usize::from(props.codec == BlockCodec::Opus64)]);
            let factor = props.factor.blocks() as u64;
            for (nth, last) in self.phase.blocks(props.codec).enumerate() {
                // All listeners of a mode are in the same phase: a datagram ends where the count is divisible.
                if !(last + 1).is_multiple_of(factor) || last + 1 < since + factor {
                    continue;
                }
                let first = last + 1 - factor;
                let next = slot.next_sequence;
                let base = *slot.sequence_base.get_or_insert_with(|| (first as u8).wrapping_sub(next));
                slot.next_sequence = (last as u8).wrapping_sub(base).wrapping_add(1);
                let base = if props.sequence == Sequence::With { base } else { 0 };
                let format = format_index(&props, nth);
                let place = match group.datagrams.get(format).filter(|packed| packed.serves(base)) {
                    Some(packed) => packed.place,
                    None => {
                        let start = self.wire.len() as u32;
                        for index in first..=last {
                            self.wire.extend_from_slice(group.block(index));
                            if props.sequence == Sequence::With {
                                self.wire.push((index as u8).wrapping_sub(base));
                            }
                        }
                        let place = (start, self.wire.len() as u32);
                        if let Some(packed) = group.datagrams.get_mut(format) {
                            *packed = Packed { place, sequence_base: base };
                        }
                        place
                    }
                };
                self.datagrams.push((channel, place));
            }
        }
        self.report.datagrams = self.datagrams.len() as u32;
    }

    fn merge(&mut self) {
        let rule = MergeRule {
            identical_blocks: self.config.merge_blocks,
            waiting_max: self.config.merges_waiting_max,
        };
        self.regroup |= self.groups.advance_merges(&self.phase, rule);
    }

    fn measure_levels(&mut self) {
        self.levels_due = self.level_clock.tick(self.phase.samples);
        if self.levels_due {
            self.levels.clear();
            for slot in self.slots.iter_mut().flatten() {
                if let Some(source) = &mut slot.source {
                    self.levels.push((source.channel, source.meter.report()));
                }
            }
        }
    }
}

/// The stream a channel is to be sent, if any.
fn listening<C: Codec>(slot: &Slot<C>) -> Option<StreamSpec> {
    slot.spec().filter(|_| slot.role.listens())
}

fn playing<C: Codec>(slot: &Slot<C>) -> Option<&Source<C>> {
    slot.source.as_deref().filter(|source| source.plays)
}

/// The planes, owned by nobody else: the jobs of the last tick have given them up.
fn own(planes: &mut Arc<Planes>, samples: usize, delay_panning: bool) -> &mut Planes {
    if Arc::get_mut(planes).is_none() {
        // Only after a job has panicked half-way.
        *planes = Arc::new(Planes::new(samples, delay_panning));
    }
    #[expect(clippy::expect_used, reason = "made or found unshared above")]
    Arc::get_mut(planes).expect("the engine owns the planes between ticks")
}

/// Which of the datagram formats: factor, sequence flag, first or second datagram of the tick.
fn format_index(props: &AudioProps, nth: usize) -> usize {
    let factor = match props.factor {
        BlockFactor::One => 0,
        BlockFactor::Two => 1,
        BlockFactor::Four => 2,
    };
    factor * 4 + usize::from(props.sequence == Sequence::With) * 2 + nth
}

/// Cuts `count` pieces of work into as many jobs as are worthwhile, has `fill` fill each with its share, runs them.
/// Jobs not needed this time are kept in `spare`.
fn run_batches<C: Codec>(
    jobs: &mut Vec<Box<dyn Job>>,
    spare: &mut Vec<Box<dyn Job>>,
    executor: &mut dyn Executor,
    count: usize,
    mut fill: impl FnMut(&mut Batch<C>, usize),
) {
    let width = executor.width().min(count / WORK_PER_JOB_MIN).max(1);
    while jobs.len() > width {
        spare.extend(jobs.pop());
    }
    while jobs.len() < width {
        jobs.push(spare.pop().unwrap_or_else(|| Box::new(Batch::<C>::new())));
    }
    for (index, batch) in batches::<C>(jobs).enumerate() {
        // Shares differ by one at most.
        fill(batch, count / width + usize::from(index < count % width));
    }
    executor.run(jobs);
}

fn batches<C: Codec>(jobs: &mut [Box<dyn Job>]) -> impl Iterator<Item = &mut Batch<C>> {
    jobs.iter_mut().filter_map(|job| {
        let job: &mut dyn Any = job.as_mut();
        job.downcast_mut()
    })
}
