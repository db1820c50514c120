//! What the options mean: typed settings from checked texts.

mod directory;
mod network;
mod server_info;

pub(crate) use directory::DirectoryChoice;
pub(crate) use network::Network;
pub(crate) use server_info::ServerInfo;

/// Checks what `--listfilter` says.
pub(crate) fn check_list_filter(text: &str) -> Result<(), String> {
    text.parse::<jam_proto::directory::ListFilter>().map(drop).map_err(|e| e.to_string())
}
