//! A jam server as a library.

pub mod codec;
