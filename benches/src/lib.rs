//! Shared helpers of the benches: signals, processor time, and the bare cost of the codec.
//!
//! "Bare cost" is the yardstick of the load tests: the processor time of one decode plus one encode with the
//! settings of shipped servers and nothing around them. A server cannot be cheaper per musician with an own mix.

pub mod bare;
pub mod cpu;
pub mod quality;
pub mod room;
pub mod signal;
