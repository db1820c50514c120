//! The command line of the attacks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::duration;

/// Options that only `--hostile` uses.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Attacks")]
pub(crate) struct AttackOptions {
    /// Attacks the server while a publisher and viewers use it, one attack after the other, and prints one line of JSON
    /// for each: what it is, what is promised, what was measured, how the viewers were served, the server's memory.
    /// Fails if a promise breaks. For servers on loopback: attackers come from 127.64.0.0 and up.
    #[arg(long)]
    pub(crate) hostile: bool,

    /// Attacks this srs-edge: it is started with configurations written for the attacks, which also allows those on the
    /// HTTP API, on hooks and on the configuration itself.
    #[arg(long, value_name = "PROGRAM", requires = "hostile", conflicts_with_all = ["publish", "play", "spawn", "server_pid", "floor"])]
    pub(crate) edge: Option<PathBuf>,

    /// Runs only the attacks with these names.
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "hostile")]
    pub(crate) attacks: Vec<String>,

    /// How long each attack lasts at least.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration, requires = "hostile")]
    pub(crate) attack_time: Duration,

    /// Connections of an attack; floods open several times as many.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=4000), requires = "hostile")]
    pub(crate) attack_connections: u16,

    /// The HTTP API of the server, to attack it too.
    #[arg(long, value_name = "HOST:PORT", requires = "hostile", conflicts_with = "edge")]
    pub(crate) api: Option<SocketAddr>,
}
