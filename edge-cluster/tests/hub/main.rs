//! Streams and their viewers.

mod judge;
mod overlap;
mod rows;
mod sharing;
mod sources;
mod timing;
mod vectors;
mod world;
