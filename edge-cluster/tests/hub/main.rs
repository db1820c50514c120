//! Streams and their viewers.

mod judge;
mod rows;
mod sharing;
mod vectors;
mod world;
