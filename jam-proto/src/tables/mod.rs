//! Countries, instruments, skills and qualities: the numbers of the wire and what they mean to people
//! (spec 3.3, 13.2, 13.3).

mod country;
mod instrument;
mod quality;

pub use country::Country;
pub use instrument::{Instrument, Skill};
pub use quality::Quality;
