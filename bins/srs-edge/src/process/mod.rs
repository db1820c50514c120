//! What makes a program a server of the system: its pid file, its name, the background, its limits.

pub(crate) mod daemon;
pub(crate) mod identity;
pub(crate) mod limits;
pub(crate) mod notify;
pub(crate) mod pid;
