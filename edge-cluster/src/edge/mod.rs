//! One shard of an edge: connections, who is asked when, which stream is where.

mod client;
mod event;
mod options;
mod question;
mod refusal;
mod snapshot;

pub use client::{ClientInfo, ClientKind};
pub use event::{CloseReason, Event, UpstreamKind};
pub use options::EdgeOptions;
pub use question::{Question, QuestionId, QuestionKind, Verdict};
pub use refusal::Refusal;
pub use snapshot::{
    AudioSnapshot, ClientSnapshot, Snapshot, SourceSnapshot, StreamSnapshot, Totals, Traffic, VhostSnapshot,
    VideoSnapshot,
};
