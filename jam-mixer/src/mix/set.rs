//! A set of channels as a bit field: the table of a whole room fits three machine words.

use jam_proto::ChannelId;

const WORDS: usize = ChannelId::COUNT_MAX.div_ceil(64);

/// A set of channels, iterated in ascending order.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChannelSet([u64; WORDS]);

impl ChannelSet {
    pub(crate) fn insert(&mut self, channel: ChannelId) {
        let (word, bit) = place(channel);
        self.0[word] |= bit;
    }

    pub(crate) fn remove(&mut self, channel: ChannelId) {
        let (word, bit) = place(channel);
        self.0[word] &= !bit;
    }

    pub(crate) fn set(&mut self, channel: ChannelId, member: bool) {
        if member {
            self.insert(channel);
        } else {
            self.remove(channel);
        }
    }

    pub(crate) fn contains(&self, channel: ChannelId) -> bool {
        let (word, bit) = place(channel);
        self.0[word] & bit != 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub(crate) fn first(&self) -> Option<ChannelId> {
        self.iter().next()
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ChannelId> {
        self.0.into_iter().enumerate().flat_map(|(index, word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                ChannelId::new((index * 64) as u8 + u8::try_from(bit).ok().filter(|&b| b < 64)?)
            })
        })
    }
}

impl FromIterator<ChannelId> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = ChannelId>>(channels: I) -> Self {
        let mut set = Self::default();
        channels.into_iter().for_each(|channel| set.insert(channel));
        set
    }
}

const fn place(channel: ChannelId) -> (usize, u64) {
    (channel.index() / 64, 1 << (channel.index() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn channel(number: u8) -> ChannelId {
        ChannelId::new(number).unwrap()
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_set(calls in prop::collection::vec((0u8..150, any::<bool>()), 0..300)) {
            let (mut set, mut model) = (ChannelSet::default(), BTreeSet::new());
            for (number, member) in calls {
                set.set(channel(number), member);
                if member { model.insert(number); } else { model.remove(&number); }
                prop_assert_eq!(set.contains(channel(number)), member);
            }
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(set.first().map(ChannelId::number), model.first().copied());
            prop_assert_eq!(set.iter().map(ChannelId::number).collect::<Vec<_>>(),
                model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn combines_like_sets() {
        let a: ChannelSet = [1, 70, 149].map(channel).into_iter().collect();
        let b: ChannelSet = [70, 100].map(channel).into_iter().collect();
        let numbers = |set: ChannelSet| set.iter().map(ChannelId::number).collect::<Vec<_>>();
        assert_eq!(numbers(a.and(b)), [70]);
        assert_eq!(numbers(a.without(b)), [1, 149]);
    }
}
