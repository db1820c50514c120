//! What the options mean: the configuration of the server, from checked texts.

mod directory;
mod server_info;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use jam_mixer::JamConfig;
use jam_mixer::server::ListingConfig;
use jam_mixer::tokio::{Listen, Realtime, Threads};
use jam_proto::ServerLimits;
use jam_proto::directory::{DirectoryLimits, ListFilter};
use jam_proto::guard::{IpNetwork, ReplyPolicy};
use jam_proto::message::ServerFeatures;

use crate::options::{OptionError, Values};
use crate::rpc::{RpcSettings, read_secret};
pub(crate) use directory::DirectoryChoice;
pub(crate) use server_info::ServerInfo;

/// UTF-16 units of a welcome message (spec 5.9).
const WELCOME_UNITS_MAX: usize = 1600;

/// Everything that decides how the server runs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: JamConfig,
    pub(crate) listen: Listen,
    pub(crate) traffic_class: u8,
    pub(crate) threads: Threads,
    pub(crate) realtime: Realtime,
    pub(crate) directory: Option<DirectoryChoice>,
    pub(crate) directory_file: Option<PathBuf>,
    pub(crate) log_file: Option<PathBuf>,
    /// Where to record, absolute.
    pub(crate) recording: Option<PathBuf>,
    /// Whether recording is on from the start.
    pub(crate) is_recording: bool,
    pub(crate) rpc: Option<RpcSettings>,
    /// What is odd about them, one line each.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// The first option whose value makes no sense, or no sense beside the others.
    pub(crate) fn from_values(values: &Values) -> Result<Self, OptionError> {
        // These say what is the case anyway: a server, without a window, with IPv6 unless it is switched off.
        for key in ["server", "nogui", "config"] {
            values.text(key);
        }
        if values.flag("enableipv6") && values.flag("noipv6") {
            return Err(values.error("noipv6", "contradicts --enableipv6"));
        }
        let mut warnings = Vec::new();
        let directory: Option<DirectoryChoice> = values.parsed("directoryaddress")?;
        let threads = threads(values)?;
        let info: Option<ServerInfo> = values.parsed("serverinfo")?;
        if let (Some(DirectoryChoice::At(_)), None) = (&directory, &info) {
            warnings.push("--serverinfo is not given: the server list will show no name".to_owned());
        }
        let info = info.unwrap_or_default();
        let (allow, deny) = (values.list::<IpNetwork>("allow")?, values.list::<IpNetwork>("deny")?);
        let mut builder = JamConfig::builder()
            .channels_max(values.parsed("numchannels")?.unwrap_or(10))
            .welcome(welcome(values, &mut warnings)?)
            .info(info.name, info.city, info.country)
            .licence_required(values.flag("licence"))
            .fast_update(values.flag("fastupdate"))
            .delay_panning(values.flag("delaypan"))
            .raw_audio(!values.flag("noraw"))
            .disconnect_on_quit(values.flag("discononquit"))
            .listing(listing(values, directory.as_ref())?)
            .protocol(|p| p.allow(allow).deny(deny));
        if values.flag("strictreplies") {
            let mut limits = ServerLimits::default();
            limits.guard.replies = ReplyPolicy::Strict;
            builder = builder.protocol(|p| p.limits(limits));
        }
        let log_file = values.text("log").map(PathBuf::from);
        for (feature, on) in [
            (ServerFeatures::MULTITHREADING, threads != Threads::AtMost(NonZeroUsize::MIN)),
            (ServerFeatures::LOGGING, log_file.is_some()),
            (ServerFeatures::IPV6, !values.flag("noipv6")),
        ] {
            builder = builder.protocol(|p| if on { p.with(feature) } else { p.without(feature) });
        }
        Ok(Self {
            config: builder.build().map_err(|e| OptionError::new("options", e.to_string()))?,
            listen: listen(values)?,
            traffic_class: values.parsed("qos")?.unwrap_or(128),
            threads,
            realtime: realtime(values)?,
            directory,
            directory_file: values.text("directoryfile").map(PathBuf::from),
            log_file,
            recording: values.text("recording").map(|directory| absolute(&directory)),
            is_recording: !values.flag("norecord"),
            rpc: rpc(values, &mut warnings)?,
            warnings,
        })
    }
}

/// The path from the root; project files and a changed working directory ask for it.
pub(crate) fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

fn rpc(values: &Values, warnings: &mut Vec<String>) -> Result<Option<RpcSettings>, OptionError> {
    let port: Option<u16> = values.parsed("jsonrpcport")?;
    let file = values.text("jsonrpcsecretfile").map(PathBuf::from);
    let ip: Ipv4Addr = values.parsed("jsonrpcbindip")?.unwrap_or(Ipv4Addr::LOCALHOST);
    let (port, file) = match (port, file) {
        (Some(port), Some(file)) => (port, file),
        (Some(_), None) => return Err(values.error("jsonrpcport", "needs --jsonrpcsecretfile")),
        (None, Some(_)) => {
            return Err(values.error("jsonrpcsecretfile", "has no use without --jsonrpcport"));
        }
        (None, None) => return Ok(None),
    };
    let secret = read_secret(&file).map_err(|e| values.error("jsonrpcsecretfile", e))?;
    if !ip.is_loopback() {
        warnings.push(format!(
            "JSON-RPC on {ip} is open to others, and not encrypted: everybody on the way can read the secret"
        ));
    }
    Ok(Some(RpcSettings { addr: (ip, port).into(), secret }))
}

fn listen(values: &Values) -> Result<Listen, OptionError> {
    let port = values.parsed("port")?.unwrap_or(jam_proto::DEFAULT_PORT);
    let v4: Option<Ipv4Addr> = values.parsed("serverbindip4")?;
    let v6: Option<Ipv6Addr> = values.parsed("serverbindip6")?;
    if v6.is_some() && values.flag("noipv6") {
        return Err(values.error("serverbindip6", "contradicts --noipv6"));
    }
    let everywhere = Listen::everywhere(port);
    Ok(Listen {
        v4: v4.or(everywhere.v4),
        v6: if values.flag("noipv6") { None } else { v6.or(everywhere.v6) },
        // An address that was asked for must be there; IPv6 as such need not.
        v6_optional: v6.is_none(),
        ..everywhere
    })
}

fn threads(values: &Values) -> Result<Threads, OptionError> {
    let threads = match values.text("threads").as_deref() {
        None | Some("auto") => Threads::Auto,
        Some(number) => {
            let number = number.parse().map_err(|_| values.error("threads", "is not a number"))?;
            Threads::AtMost(number)
        }
    };
    if values.flag("multithreading") && threads == Threads::AtMost(NonZeroUsize::MIN) {
        return Err(values.error("threads", "1 contradicts --multithreading"));
    }
    Ok(threads)
}

fn realtime(values: &Values) -> Result<Realtime, OptionError> {
    match values.text("realtime").as_deref() {
        None | Some("auto") => Ok(Realtime::default()),
        Some("off") => Ok(Realtime::Off),
        Some(_) => Ok(values.parsed("realtime")?.map_or_else(Realtime::default, Realtime::Wanted)),
    }
}

/// The welcome message: a text, or what is in the file of that name (spec 5.9).
fn welcome(values: &Values, warnings: &mut Vec<String>) -> Result<String, OptionError> {
    let Some(text) = values.text("welcomemessage") else { return Ok(String::new()) };
    let text = if Path::new(&text).is_file() {
        let content = std::fs::read_to_string(&text)
            .map_err(|e| values.error("welcomemessage", format!("cannot read {text}: {e}")))?;
        content.trim_end().to_owned()
    } else {
        text
    };
    let units = text.encode_utf16().count();
    if units > WELCOME_UNITS_MAX {
        warnings.push(format!(
            "the welcome message has {units} characters; clients get the first {WELCOME_UNITS_MAX}"
        ));
    }
    Ok(text)
}

fn listing(values: &Values, directory: Option<&DirectoryChoice>) -> Result<ListingConfig, OptionError> {
    let public: Option<Ipv4Addr> = values.parsed("serverpublicip")?;
    let filter: Option<ListFilter> = values.parsed("listfilter")?;
    let has_file = values.text("directoryfile").is_some();
    match directory {
        Some(DirectoryChoice::Own) => Ok(ListingConfig::Directory {
            public_address: public,
            filter: filter.unwrap_or_default(),
            limits: DirectoryLimits::default(),
        }),
        _ if filter.is_some() => {
            Err(values.error("listfilter", "is for directories only: add --directoryaddress localhost"))
        }
        _ if has_file => {
            Err(values.error("directoryfile", "is for directories only: add --directoryaddress localhost"))
        }
        Some(DirectoryChoice::At(host)) => Ok(ListingConfig::Register {
            directory: host.to_string(),
            // The driver knows the port once the socket is open.
            port: 0,
            internal_address: public,
        }),
        None if public.is_some() => {
            Err(values.error("serverpublicip", "has no use without --directoryaddress"))
        }
        None => Ok(ListingConfig::Private),
    }
}

/// Checks one network of `--allow` or `--deny`.
pub(crate) fn check_network(text: &str) -> Result<(), String> {
    match text.parse::<IpNetwork>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("\"{text}\" is not a network such as 192.0.2.0/24 or an address")),
    }
}

/// Checks what `--listfilter` says.
pub(crate) fn check_list_filter(text: &str) -> Result<(), String> {
    text.parse::<ListFilter>().map(drop).map_err(|e| e.to_string())
}
