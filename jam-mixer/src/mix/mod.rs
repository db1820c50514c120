//! Personal mixes: faders, sums, and who shares them.
#![expect(
    clippy::indexing_slicing,
    reason = "tables have a place for each of the 150 values a ChannelId can have; rows have one length"
)]

pub(crate) mod gains;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod kernel;
pub(crate) mod mixer;
pub(crate) mod planes;
pub(crate) mod set;
pub(crate) mod weights;
