//! Streams and their viewers.

mod judge;
mod rows;
mod sharing;
mod timing;
mod vectors;
mod world;
