//! The machines that speak to origins, among simulated origins that die, stall, refuse and redirect.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod chaos;
mod machine;
mod origin;
mod probe;
mod pull;
mod push;
mod redirect;
mod vectors;
mod wire;
mod world;
