//! Who shares a mix and an encoder, and how that changes without anything to hear.
//!
//! An encoder has a history that the listener's decoder mirrors, so a listener is never simply moved:
//!
//! ```text
//! split:  faders differ now ── the listener's new group starts with a fork of the old encoder and so continues
//!                              bit for bit
//! merge:  faders equal now  ── both encoders keep running on the same mix until they have written the same bytes
//!                              for 256 consecutive blocks; then the younger one is dropped
//! ```
//!
//! A listener that appears always gets an encoder of its own first, in its initial state, as its decoder expects.
//! There are never more groups than listeners, and never more merges waiting than groups.

use super::gains::GainMatrix;
use super::group::{BLOCKS_KEPT, Group, GroupId, Merging};
use super::set::ChannelSet;
use crate::codec::{Encode, StreamSpec};
use crate::engine::TickPhase;
use jam_proto::ChannelId;

const CHANNELS: usize = ChannelId::COUNT_MAX;

/// Limits of merging.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergeRule {
    /// Identical blocks before two groups become one.
    pub identical_blocks: u16,
    /// With more merges waiting than this, a group whose mix is digital silence merges at once.
    pub waiting_max: usize,
}

/// All groups of a room.
pub(crate) struct Groups<E> {
    table: Vec<Option<Box<Group<E>>>>,
    of: [Option<GroupId>; CHANNELS],
    births: u64,
    tick_samples: usize,
    /// Splits since the start.
    pub forks: u64,
    /// Completed merges since the start.
    pub merges: u64,
}

impl<E: Encode> Groups<E> {
    pub(crate) fn new(tick_samples: usize) -> Self {
        Self {
            table: Vec::with_capacity(CHANNELS),
            of: [None; CHANNELS],
            births: 0,
            tick_samples,
            forks: 0,
            merges: 0,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let groups: usize = self.iter().map(Group::memory_bytes).sum();
        self.table.capacity() * size_of::<Option<Box<Group<E>>>>() + groups
    }

    /// The most [`memory_bytes`](Self::memory_bytes) can be with so many groups of such blocks.
    pub(crate) const fn memory_bytes_max(groups: usize, block_bytes: usize, pcm_len: usize) -> usize {
        let group = size_of::<Group<E>>() + pcm_len * size_of::<i16>() + block_bytes * BLOCKS_KEPT as usize;
        2 * CHANNELS * size_of::<Option<Box<Group<E>>>>() + groups * group
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group<E>> {
        self.table.iter().flatten().map(Box::as_ref)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group<E>> {
        self.table.iter_mut().flatten().map(Box::as_mut)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.iter().flatten().count()
    }

    /// The group of a listener.
    pub(crate) fn of(&self, listener: ChannelId) -> Option<GroupId> {
        self.of[listener.index()]
    }

    pub(crate) fn get(&self, id: GroupId) -> Option<&Group<E>> {
        self.table.get(usize::from(id.0))?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group<E>> {
        self.table.get_mut(usize::from(id.0))?.as_deref_mut()
    }

    /// Hands all groups out, in order of their numbers, to be worked on elsewhere.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Box<Group<E>>> {
        self.table.iter_mut().filter_map(Option::take)
    }

    /// Takes a group back after [`Groups::take_all`].
    pub(crate) fn put_back(&mut self, group: Box<Group<E>>) {
        let place = usize::from(group.id.0);
        if let Some(slot) = self.table.get_mut(place) {
            *slot = Some(group);
        }
    }

    /// A listener appears, with an encoder in its initial state.
    pub(crate) fn join(&mut self, listener: ChannelId, spec: StreamSpec, encoder: E) {
        self.leave(listener);
        let (id, born) = (self.vacant(), self.birth());
        let group = Group::new(id, spec, born, encoder, self.tick_samples);
        self.found(group, listener);
    }

    /// A listener disappears.
    pub(crate) fn leave(&mut self, listener: ChannelId) {
        let Some(id) = self.of[listener.index()].take() else { return };
        let Some(group) = self.get_mut(id) else { return };
        group.members.remove(listener);
        if group.members.is_empty() {
            self.remove(id);
        }
    }

    /// Brings the groups in line with the faders after those of `dirty` listeners, or their fades, changed.
    /// `fading` listeners share with nobody.
    pub(crate) fn regroup(&mut self, dirty: ChannelSet, fading: ChannelSet, gains: &GainMatrix, tick: u64) {
        for place in 0..self.table.len() {
            self.split(GroupId(place as u8), dirty, gains, tick);
        }
        for group in self.iter_mut() {
            let alone = !group.members.and(fading).is_empty();
            if group.alone != alone {
                // The listener's own fade leaves all its factors, and the mix may be somebody else's too.
                group.seeking = true;
                group.stale = true;
            }
            group.alone = alone;
        }
        for place in 0..self.table.len() {
            self.seek(GroupId(place as u8), gains);
        }
    }

    /// Lets members go whose rows are no longer the group's.
    fn split(&mut self, id: GroupId, dirty: ChannelSet, gains: &GainMatrix, tick: u64) {
        let Some(group) = self.get_mut(id) else { return };
        let changed = group.members.and(dirty);
        if changed.is_empty() {
            return;
        }
        let (members, layout) = (group.members, group.spec.layout);
        // Whoever did not touch a fader keeps the group.
        let unchanged = members.without(changed).first();
        let Some(stays) = unchanged.or_else(|| members.first()) else { return };
        if unchanged.is_none() {
            group.stale = true;
            group.seeking = true;
            self.cancel_merges(id);
        }
        for listener in changed.iter().filter(|&listener| listener != stays) {
            if !gains.same_mix(listener, stays, layout) {
                self.move_out(listener, id, gains, tick);
            }
        }
    }

    /// A listener leaves its group for a fork of it.
    fn move_out(&mut self, listener: ChannelId, id: GroupId, gains: &GainMatrix, tick: u64) {
        let Some(group) = self.get(id) else { return };
        let (parent, layout) = (group.born, group.spec.layout);
        // Whoever split from the same group in this very tick has the same history: equal rows can stay together.
        let sibling = self.iter().find(|other| {
            other.parent == Some((parent, tick))
                && other.members.first().is_some_and(|other| gains.same_mix(listener, other, layout))
        });
        if let Some(sibling) = sibling.map(|sibling| sibling.id) {
            self.relocate(listener, sibling);
            return;
        }
        let (new, born) = (self.vacant(), self.birth());
        let Some(group) = self.get(id) else { return };
        let fork = group.fork(new, born, tick);
        self.leave(listener);
        self.found(fork, listener);
        self.forks += 1;
    }

    /// Pairs a group that changed with its equals: all of them wait to merge into the oldest.
    fn seek(&mut self, id: GroupId, gains: &GainMatrix) {
        let Some(group) = self.get_mut(id) else { return };
        if !std::mem::take(&mut group.seeking) || group.alone {
            return;
        }
        let (Some(leader), spec) = (group.members.first(), group.spec) else { return };
        let equal = |other: &Group<E>| {
            other.spec == spec
                && !other.alone
                && other.members.first().is_some_and(|other| gains.same_mix(leader, other, spec.layout))
        };
        let Some(oldest) = self.iter().filter(|&other| equal(other)).min_by_key(|other| other.born) else {
            return;
        };
        let oldest = oldest.id;
        for other in self.iter_mut().filter(|other| equal(other)) {
            if other.id != oldest && other.merging.is_none() {
                other.merging = Some(Merging { into: oldest, identical: 0 });
            }
        }
    }

    /// Compares the blocks of this tick and completes merges. Says whether the table changed.
    pub(crate) fn advance_merges(&mut self, phase: &TickPhase, rule: MergeRule) -> bool {
        let mut waiting = self.merges_waiting();
        let mut merged = false;
        if waiting == 0 {
            return merged;
        }
        for place in 0..self.table.len() {
            let id = GroupId(place as u8);
            let Some((group, merging)) = self.get(id).and_then(|group| Some((group, group.merging?))) else {
                continue;
            };
            let Some(into) = self.get(merging.into) else { continue };
            let mut identical = merging.identical;
            for index in phase.blocks(group.spec.codec) {
                identical =
                    if group.block(index) == into.block(index) { identical.saturating_add(1) } else { 0 };
            }
            // Only between blocks: half a collected block belongs to its group.
            let boundary = phase.blocks(group.spec.codec).next().is_some();
            let hurry = waiting > rule.waiting_max && group.silent && into.silent;
            // A datagram may reach back four blocks, so these must be equal in any case.
            let enough = if hurry { 0 } else { rule.identical_blocks }.max(BLOCKS_KEPT as u16);
            if boundary && identical >= enough {
                self.merge(id, merging.into);
                waiting -= 1;
                merged = true;
            } else if let Some(group) = self.get_mut(id) {
                group.merging = Some(Merging { identical, ..merging });
            }
        }
        merged
    }

    /// Groups that wait for their encoder to converge.
    pub(crate) fn merges_waiting(&self) -> usize {
        self.iter().filter(|group| group.merging.is_some()).count()
    }

    fn merge(&mut self, id: GroupId, into: GroupId) {
        let Some(members) = self.get(id).map(|group| group.members) else { return };
        for listener in members.iter() {
            self.relocate(listener, into);
        }
        self.merges += 1;
    }

    /// Moves a listener between groups that have written the same bytes.
    fn relocate(&mut self, listener: ChannelId, into: GroupId) {
        self.leave(listener);
        if let Some(group) = self.get_mut(into) {
            group.members.insert(listener);
            self.of[listener.index()] = Some(into);
        }
    }

    fn found(&mut self, mut group: Group<E>, listener: ChannelId) {
        let id = group.id;
        group.members.insert(listener);
        self.of[listener.index()] = Some(id);
        let place = usize::from(id.0);
        if place == self.table.len() {
            self.table.push(Some(Box::new(group)));
        } else {
            self.table[place] = Some(Box::new(group));
        }
    }

    fn remove(&mut self, id: GroupId) {
        if let Some(slot) = self.table.get_mut(usize::from(id.0)) {
            *slot = None;
        }
        self.cancel_merges(id);
    }

    /// Ends the merge of a group and all merges into it; those look for another partner.
    fn cancel_merges(&mut self, id: GroupId) {
        if let Some(group) = self.get_mut(id) {
            group.merging = None;
        }
        for group in self.iter_mut() {
            if group.merging.is_some_and(|merging| merging.into == id) {
                group.merging = None;
                group.seeking = true;
            }
        }
    }

    fn vacant(&self) -> GroupId {
        let place = self.table.iter().position(Option::is_none).unwrap_or(self.table.len());
        // At most one group per listener and at most 150 listeners, plus the one being split.
        GroupId(place as u8)
    }

    fn birth(&mut self) -> u64 {
        self.births += 1;
        self.births
    }
}
