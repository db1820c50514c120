//! Who is let in: limits of connections, web pages, addresses of streams over HTTP.

mod gate;
mod mount;
mod refer;

pub use gate::{Gate, GateRefusal, GateStats};
pub use mount::{Mounted, match_mount};
pub use refer::refer_allows;
