//! What messages mean: control, commands, status, data, aggregates (spec sections 4, 5 and 7).

mod aggregate;
mod call;
mod command;
mod control;
mod data;
pub mod status;

pub use aggregate::{Aggregate, SubMessage};
pub use call::{Call, Capabilities, Connect, PauseState, PlayArguments, PublishKind};
pub use command::Command;
pub(crate) use command::amf0_part;
pub use control::{BandwidthLimit, Control, ControlError, UserControl};
pub use data::{DataFrame, SAMPLE_ACCESS, without_property};
pub use status::{Level, Status};

pub use crate::chunk::{Message, MessageType};
