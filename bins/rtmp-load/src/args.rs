//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::hostile::AttackOptions;
use crate::source::SourceSettings;

/// Synthetic publishers and viewers for an RTMP server: measures what it costs and verifies what it delivers.
///
/// A publisher sends H.264 and AAC messages of the right sizes at the right times. Each frame carries a sequence
/// number, the time it was sent, and a checksum. Viewers are complete RTMP clients; each of them is held to: sequence
/// headers first, a key frame first, no frame missing, repeated, reordered, changed or of another stream, media time
/// that follows the publisher's. A server may leave frames out for a viewer that is too slow, but only up to a key
/// frame; such gaps are counted as resyncs. The result is one line of JSON on standard output.
///
/// Without --publish the viewers play what another rtmp-load publishes, or any other program; frames without stamps
/// are counted and their order is not judged.
///
/// Latency is the time from sending a frame to receiving it, of frames sent while a viewer watches. Startup is the
/// time from the first SYN to the first key frame; "since due" counts what this program needs to begin with all viewers,
/// too. Delay is the age of that key frame: how far behind the publisher a player stays that skips nothing. A stall is
/// a picture that comes after a player with --buffer would have shown it.
///
/// Examples:
///
///   rtmp-load --publish rtmp://127.0.0.1/live/a --play rtmp://127.0.0.1/live/a --viewers 500
///
///   rtmp-load --publish rtmp://127.0.0.1:1936/live/a --play rtmp://127.0.0.1:1935/live/a --viewers 300 \
///       --join all --churn 20 --stop-readers 5:10s --seconds 30 --spawn 'srs-edge -c edge.conf'
///
/// The least that any server can cost: the same bytes out of one buffer, in the same writes.
///
///   rtmp-load --play rtmp://127.0.0.1:1999/live/a --viewers 500 \
///       --spawn 'rtmp-load --floor 127.0.0.1:1999 --merge 350ms'
#[derive(Clone, Debug, Parser)]
#[command(version, verbatim_doc_comment)]
pub(crate) struct Args {
    /// Publishes to this server.
    #[arg(help_heading = "Stream", long, value_name = "URL")]
    pub(crate) publish: Option<String>,

    /// Plays from this server; several times for several servers, between which viewers are dealt out.
    #[arg(help_heading = "Stream", long, value_name = "URL")]
    pub(crate) play: Vec<String>,

    /// Streams; with more than one, -0, -1 and so on are appended to the name.
    #[arg(help_heading = "Stream", long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) streams: u16,

    /// Viewers, dealt out over the streams.
    #[arg(help_heading = "Viewers", short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) viewers: u32,

    /// How long to measure, after everybody has joined and settled.
    #[arg(help_heading = "Viewers", long, default_value = "10s", value_parser = duration)]
    pub(crate) seconds: Duration,

    /// How long to publish before the first viewer joins.
    #[arg(help_heading = "Stream", long, default_value = "3s", value_parser = duration)]
    pub(crate) warm: Duration,

    /// How long to wait between the last join and measuring.
    #[arg(help_heading = "Viewers", long, default_value = "2s", value_parser = duration)]
    pub(crate) settle: Duration,

    /// Bits per second of each stream: 800k, 2.5M.
    #[arg(help_heading = "Stream", long, default_value = "1M", value_parser = bits)]
    pub(crate) bitrate: u64,

    /// Bits per second of it that are audio; 0 for none.
    #[arg(help_heading = "Stream", long, default_value = "64k", value_parser = bits)]
    pub(crate) audio: u64,

    /// Pictures per second; 0 for none.
    #[arg(help_heading = "Stream", long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(0..=240))]
    pub(crate) fps: u32,

    /// Time from key frame to key frame.
    #[arg(help_heading = "Stream", long, default_value = "2s", value_parser = duration)]
    pub(crate) gop: Duration,

    /// Viewers that join per second, or "all" for all at once.
    #[arg(help_heading = "Viewers", long, default_value = "100", value_parser = join)]
    pub(crate) join: Join,

    /// How long to wait for the last viewer's first key frame.
    #[arg(help_heading = "Viewers", long, default_value = "20s", value_parser = duration)]
    pub(crate) join_patience: Duration,

    /// Viewers that leave per second of the measurement, each replaced by a new one; half leave without a word.
    #[arg(help_heading = "Viewers", long, default_value_t = 0.0, value_parser = rate)]
    pub(crate) churn: f64,

    /// So many viewers stop reading for so long when the measurement begins: 5:10s.
    #[arg(help_heading = "Viewers", long, value_name = "N:TIME", value_parser = stop_readers)]
    pub(crate) stop_readers: Option<(u32, Duration)>,

    /// So many viewers never read faster than so many bits per second: 5:200k.
    #[arg(help_heading = "Viewers", long, value_name = "N:BITS", value_parser = slow_readers)]
    pub(crate) slow_readers: Option<(u32, u64)>,

    /// Whether all viewers come from one address, or (loopback only) each from its own: servers limit the connections
    /// of one address.
    #[arg(help_heading = "Viewers", long, value_enum, default_value_t = Sources::Spread)]
    pub(crate) sources: Sources,

    /// Every viewer checks each so many-th frame's checksum; 1 for all, 0 for none.
    #[arg(help_heading = "Viewers", long, value_name = "N", default_value_t = 64)]
    pub(crate) check: u64,

    /// A viewer's buffer: a picture later than this is a stall.
    #[arg(help_heading = "Viewers", long, default_value = "1s", value_parser = duration)]
    pub(crate) buffer: Duration,

    /// Threads for the viewers; unless given, one for every two processors: the others are the server's.
    #[arg(help_heading = "Viewers", long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: Option<u16>,

    /// Seed of the random decisions.
    #[arg(help_heading = "Viewers", long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Measures the processor time and memory of this process and its children.
    #[arg(help_heading = "Server", long, value_name = "PID", conflicts_with = "spawn")]
    pub(crate) server_pid: Option<u32>,

    /// Starts this server, measures it and its children, and stops it at the end.
    #[arg(help_heading = "Server", long, value_name = "COMMAND")]
    pub(crate) spawn: Option<String>,

    /// Fails if the 99th percentile of the latency is longer.
    #[arg(help_heading = "Limits", long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_latency: Option<Duration>,

    /// Fails if the 99th percentile of the startup time is longer.
    #[arg(help_heading = "Limits", long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_startup: Option<Duration>,

    /// Fails if there are more stalls.
    #[arg(help_heading = "Limits", long, value_name = "N")]
    pub(crate) max_stalls: Option<u64>,

    /// Instead of measuring, be the server that does the least: publishes its own stream to everybody who connects.
    #[arg(help_heading = "Floor", long, value_name = "HOST:PORT", conflicts_with_all = ["publish", "play", "spawn", "server_pid"])]
    pub(crate) floor: Option<SocketAddr>,

    /// How long the floor collects messages for one write; 0 writes each at once.
    #[arg(help_heading = "Floor", long, value_name = "TIME", default_value = "0", value_parser = duration, requires = "floor")]
    pub(crate) merge: Duration,

    #[command(flatten)]
    pub(crate) attack: AttackOptions,
}

/// Where viewers come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Sources {
    /// 127.1.0.1, 127.1.0.2 and so on, if the server is on loopback.
    Spread,
    /// The system's choice.
    One,
}

impl Sources {
    /// The address of viewer number `n` on its way to `server`; `None` leaves it to the system.
    pub(crate) fn of(self, n: u32, server: SocketAddr) -> Option<SocketAddr> {
        if self == Self::One || !server.is_ipv4() || !server.ip().is_loopback() {
            return None;
        }
        let [_, b, c, d] = (n + 1).to_be_bytes();
        Some(SocketAddr::from(([127, 1 + b, c, d], 0)))
    }
}

/// How fast viewers come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Join {
    AllAtOnce,
    /// So many per second.
    Rate(f64),
}

impl Join {
    /// When viewer number `n` joins, from the beginning.
    pub(crate) fn due(self, n: u32) -> Duration {
        match self {
            Self::AllAtOnce => Duration::ZERO,
            Self::Rate(rate) => Duration::from_secs_f64(f64::from(n) / rate),
        }
    }
}

impl Args {
    /// What each stream consists of.
    pub(crate) fn source(&self) -> SourceSettings {
        let audio = self.audio.min(self.bitrate);
        let gop = (self.gop.as_secs_f64() * f64::from(self.fps)).round().max(1.0) as u64;
        SourceSettings { bitrate: self.bitrate, audio, fps: self.fps, gop }
    }
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    Some((number.parse().ok()?, unit))
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = match number_and_unit(text) {
        Some((number, "ms")) => number / 1e3,
        Some((number, "s" | "")) => number,
        Some((number, "min")) => number * 60.0,
        _ => f64::NAN,
    };
    match seconds {
        0.0..=86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("\"{text}\" is not a time such as 350ms, 10s or 5min")),
    }
}

fn bits(text: &str) -> Result<u64, String> {
    let bits = match number_and_unit(text) {
        Some((number, "")) => number,
        Some((number, "k")) => number * 1e3,
        Some((number, "M")) => number * 1e6,
        _ => f64::NAN,
    };
    match bits {
        0.0..=1e9 => Ok(bits as u64),
        _ => Err(format!("\"{text}\" is not a number of bits per second such as 800k or 2.5M")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("\"{text}\" is not a number from 0 to 100000")),
    }
}

fn join(text: &str) -> Result<Join, String> {
    match (text, rate(text)) {
        ("all", _) => Ok(Join::AllAtOnce),
        (_, Ok(rate)) if rate > 0.0 => Ok(Join::Rate(rate)),
        _ => Err(format!("\"{text}\" is neither \"all\" nor a number of viewers per second")),
    }
}

fn stop_readers(text: &str) -> Result<(u32, Duration), String> {
    let (number, time) = text.split_once(':').ok_or("5:10s means 5 viewers for 10 seconds")?;
    Ok((number.parse().map_err(|_| format!("\"{number}\" is not a number of viewers"))?, duration(time)?))
}

fn slow_readers(text: &str) -> Result<(u32, u64), String> {
    let (number, rate) = text.split_once(':').ok_or("5:200k means 5 viewers with 200 kbit/s")?;
    Ok((number.parse().map_err(|_| format!("\"{number}\" is not a number of viewers"))?, bits(rate)?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn values_come_with_their_units() {
        assert_eq!(duration("350ms"), Ok(Duration::from_millis(350)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert!(duration("1h").is_err() && duration("s").is_err());
        assert_eq!((bits("800k"), bits("2.5M"), bits("64000")), (Ok(800_000), Ok(2_500_000), Ok(64_000)));
        assert!(bits("1G").is_err() && bits("-1").is_err());
        assert_eq!(stop_readers("5:10s"), Ok((5, Duration::from_secs(10))));
        assert_eq!(slow_readers("5:200k"), Ok((5, 200_000)));
        assert!(stop_readers("5").is_err() && slow_readers("x:1k").is_err());
    }

    #[test]
    fn on_loopback_each_viewer_may_have_an_address_of_its_own() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 1935));
        assert_eq!(Sources::Spread.of(0, loopback), Some(SocketAddr::from(([127, 1, 0, 1], 0))));
        assert_eq!(Sources::Spread.of(299, loopback), Some(SocketAddr::from(([127, 1, 1, 44], 0))));
        assert_eq!(Sources::One.of(0, loopback), None);
        assert_eq!(Sources::Spread.of(0, SocketAddr::from(([192, 0, 2, 1], 1935))), None);
    }

    #[test]
    fn viewers_join_at_a_rate_or_at_once() {
        assert_eq!(join("all"), Ok(Join::AllAtOnce));
        assert_eq!(join("50").map(|join| join.due(100)), Ok(Duration::from_secs(2)));
        assert!(join("0").is_err() && join("none").is_err());
    }
}
