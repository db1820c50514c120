//! What the options mean: typed settings from checked texts.

mod directory;
mod network;
mod server_info;

pub(crate) use directory::{DirectoryChoice, ListFilter};
pub(crate) use network::Network;
pub(crate) use server_info::ServerInfo;
