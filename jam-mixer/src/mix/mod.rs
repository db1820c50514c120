//! Personal mixes: faders, sums, and who shares them.

pub(crate) mod gains;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod kernel;
pub(crate) mod mixer;
pub(crate) mod planes;
pub(crate) mod set;
pub(crate) mod weights;
