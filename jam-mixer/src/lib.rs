//! A jam server as a library.

#![deny(unsafe_code)]

pub mod codec;
pub mod jitter;
