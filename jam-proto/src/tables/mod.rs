//! Countries, instruments and skills: the numbers of the wire and what they mean to people (spec 13.2, 13.3).

mod country;
mod instrument;

pub use country::Country;
pub use instrument::{Instrument, Skill};
