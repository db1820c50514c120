//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use jam_proto::audio::Quality;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, JitterSize, Layout, Sequence};

use crate::impair::Impairment;

/// Synthetic musicians for a Jamulus-compatible server: measures what they receive and what they cost.
///
/// Each musician is a complete client with its own socket: it joins, is identified, plays a tone and receives its
/// mix. One of them, the probe, plays short sweeps and mutes everybody else, so that the time from sending a block to
/// receiving the mix that contains it can be measured after the run. The result is one line of JSON on standard
/// output.
///
/// "lost" counts gaps in the sequence bytes of what the server sends. "late" counts datagrams that arrive more than
/// one mixing period (2.67 ms, or the datagram's own period if longer) plus 1 ms behind the schedule set by the
/// earliest datagram of the same second. Arrival times are the kernel's, so a busy measuring program does not make
/// the server look late.
///
/// Examples:
///
///   jam-load 127.0.0.1:22124 -n 40 --seconds 20
///
///   jam-load 127.0.0.1:22124 -n 40 --spawn 'target/release/jamserver -p 22124 -u 50' --reference
///
///   jam-load 127.0.0.1:22130 -n 40 --spawn 'QT_QPA_PLATFORM=offscreen Jamulus -s -n -p 22130 -u 50'
#[derive(Clone, Debug, Parser)]
#[command(version, verbatim_doc_comment)]
pub(crate) struct Args {
    /// The server: an IP address or name, and a port.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,

    /// Musicians, the probe included.
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=150))]
    pub(crate) number: u16,

    /// How long to measure, after everybody has joined and settled.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// How long to wait before measuring: servers fade newcomers in for 3 s.
    #[arg(long, default_value_t = 4.0, value_parser = seconds)]
    pub(crate) settle: f64,

    /// Block length: 128 samples or 64.
    #[arg(long, value_enum, default_value_t = CodecArg::Opus)]
    pub(crate) codec: CodecArg,

    /// Sides of what each musician sends and hears.
    #[arg(long, value_enum, default_value_t = ChannelsArg::Stereo)]
    pub(crate) channels: ChannelsArg,

    /// Block size, by the name clients give it.
    #[arg(long, value_enum, default_value_t = QualityArg::Normal)]
    pub(crate) quality: QualityArg,

    /// Blocks per datagram.
    #[arg(long, default_value = "1", value_parser = ["1", "2", "4"])]
    pub(crate) factor: String,

    /// Whether everybody wants the same mix, or each listener sets every fader differently.
    #[arg(long, value_enum, default_value_t = FadersArg::Equal)]
    pub(crate) faders: FadersArg,

    /// Share of the musicians' datagrams that get lost on the way to the server: 5% or 0.05.
    #[arg(long, default_value = "0", value_parser = share)]
    pub(crate) loss: f64,

    /// Random delay of each datagram on the way to the server, up to this: 3ms.
    #[arg(long, default_value = "0", value_parser = duration)]
    pub(crate) jitter: Duration,

    /// Share of datagrams that are overtaken by later ones: 1%.
    #[arg(long, default_value = "0", value_parser = share)]
    pub(crate) reorder: f64,

    /// Jitter buffer the musicians ask for: auto, or 1 to 20 blocks.
    #[arg(long, default_value = "auto", value_parser = jitter_size)]
    pub(crate) jitbuf: JitterSize,

    /// Musicians that join per second.
    #[arg(long, default_value_t = 50.0, value_parser = seconds)]
    pub(crate) join_rate: f64,

    /// How long to wait for the last musician to hear something, in seconds.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    pub(crate) join_patience: f64,

    /// When within a datagram's period each musician sends.
    #[arg(long, value_enum, default_value_t = PhaseArg::Spread)]
    pub(crate) phase: PhaseArg,

    /// Whether all musicians come from one address, or (loopback only) each from its own.
    #[arg(long, value_enum, default_value_t = SourcesArg::Spread)]
    pub(crate) sources: SourcesArg,

    /// Asks for real-time priority, below a server's, so that other programs do not delay the musicians.
    #[arg(long)]
    pub(crate) realtime: bool,

    /// Seed of the random decisions.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Measures the processor time and memory of this process.
    #[arg(long, value_name = "PID", conflicts_with = "spawn")]
    pub(crate) server_pid: Option<u32>,

    /// Starts this server, measures it, and stops it at the end.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) spawn: Option<String>,

    /// Attacks the server while the musicians play, one attack after the other, and prints one line of JSON for each:
    /// what was sent, what came back, what the musicians noticed, the server's memory. Fails if a promise breaks. The
    /// server needs room for one more than the musicians, and an IPv4 address on loopback: forged addresses are
    /// 127.64.0.0 and up.
    #[arg(long, conflicts_with = "reference")]
    pub(crate) hostile: bool,

    /// How long each attack lasts.
    #[arg(long, default_value_t = 5.0, value_parser = seconds, requires = "hostile")]
    pub(crate) attack_seconds: f64,

    /// How often an attack is repeated during which a promise was broken: a machine that stands still for more than
    /// 10 ms loses datagrams by itself. The last time counts.
    #[arg(long, default_value_t = 0, requires = "hostile")]
    pub(crate) attack_retries: u8,

    /// Datagrams per second of an attack, 200,000 at most.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=200_000), requires = "hostile")]
    pub(crate) attack_rate: u32,

    /// Runs only the attacks with these names.
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "hostile")]
    pub(crate) attacks: Vec<String>,

    /// Fails if any stranger gets one byte more than it sent; without it, beyond the loan that servers grant by
    /// default to fill connect dialogs.
    #[arg(long, requires = "hostile")]
    pub(crate) strict: bool,

    /// Measures, beside the run, what decoding and encoding one block costs with the settings of shipped programs, and
    /// reports the server's cost per musician as a multiple of it.
    #[arg(long)]
    pub(crate) reference: bool,

    /// Measures, beside the run, what the least possible server with one mix would cost over loopback: receive, decode,
    /// encode once, send; and reports the server's cost per musician as a multiple of it. It loads the machine with a
    /// second server and its musicians.
    #[arg(long, conflicts_with = "hostile")]
    pub(crate) floor: bool,

    /// Fails if more datagrams are lost than this number or share.
    #[arg(long, value_name = "N|SHARE", value_parser = limit)]
    pub(crate) max_lost: Option<Limit>,

    /// Fails if more datagrams are late than this number or share.
    #[arg(long, value_name = "N|SHARE", value_parser = limit)]
    pub(crate) max_late: Option<Limit>,

    /// Fails if the 99th percentile of the turnaround is longer.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_turnaround: Option<Duration>,

    /// Fails if the 99th percentile of the time between two datagrams is longer.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) max_gap: Option<Duration>,

    /// Fails if a musician costs more than this multiple of the reference.
    #[arg(long, value_name = "RATIO", requires = "reference")]
    pub(crate) max_ratio: Option<f64>,

    /// Fails if the server's memory ever exceeded this many MiB.
    #[arg(long, value_name = "MIB")]
    pub(crate) max_rss: Option<f64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum CodecArg {
    /// 128 samples, 2.67 ms.
    Opus,
    /// 64 samples, 1.33 ms.
    Opus64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ChannelsArg {
    Mono,
    Stereo,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum QualityArg {
    Low,
    Normal,
    High,
    Raw,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum FadersArg {
    /// Nobody but the probe touches a fader.
    Equal,
    /// Nobody touches a fader, the probe neither: no turnaround is measured.
    Untouched,
    /// Every listener sets every other musician's fader to a random position.
    Different,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum PhaseArg {
    /// Evenly over the period, as on the Internet.
    Spread,
    /// All at the same moment: the worst case for receive buffers.
    Aligned,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SourcesArg {
    /// 127.1.0.1, 127.1.0.2 and so on, if the server is on loopback.
    Spread,
    /// The system's choice.
    One,
}

/// The most of something that is still good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    Count(u64),
    Share(f64),
}

impl Limit {
    pub(crate) fn allows(self, count: u64, total: u64) -> bool {
        match self {
            Self::Count(most) => count <= most,
            Self::Share(most) => count as f64 <= most * total as f64,
        }
    }
}

impl Args {
    /// The audio format all musicians use, with sequence bytes.
    pub(crate) fn props(&self) -> AudioProps {
        let codec = match self.codec {
            CodecArg::Opus => BlockCodec::Opus,
            CodecArg::Opus64 => BlockCodec::Opus64,
        };
        let layout = match self.channels {
            ChannelsArg::Mono => Layout::Mono,
            ChannelsArg::Stereo => Layout::Stereo,
        };
        let quality = match self.quality {
            QualityArg::Low => Quality::Low,
            QualityArg::Normal => Quality::Normal,
            QualityArg::High => Quality::High,
            QualityArg::Raw => Quality::Raw,
        };
        let factor = match self.factor.as_str() {
            "2" => BlockFactor::Two,
            "4" => BlockFactor::Four,
            _ => BlockFactor::One,
        };
        AudioProps {
            codec,
            layout,
            block_bytes: quality.block_bytes(codec, layout),
            factor,
            sequence: Sequence::With,
        }
    }

    pub(crate) fn impairment(&self) -> Impairment {
        Impairment { loss: self.loss, jitter: self.jitter, reorder: self.reorder }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("\"{text}\" is not a share such as 5% or 0.05");
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse::<f64>().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(wrong()) }
}

fn limit(text: &str) -> Result<Limit, String> {
    match text.parse() {
        Ok(count) => Ok(Limit::Count(count)),
        Err(_) => share(text).map(Limit::Share),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a time such as 3ms, 500us or 1s");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "" if number == 0.0 => 0.0,
        _ => return Err(wrong()),
    };
    if seconds <= 60.0 { Ok(Duration::from_secs_f64(seconds)) } else { Err(wrong()) }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.1..=86_400.0).contains(&value) => Ok(value),
        _ => Err(format!("\"{text}\" is not a number from 0.1 to 86400")),
    }
}

fn jitter_size(text: &str) -> Result<JitterSize, String> {
    let blocks = if text == "auto" {
        Some(JitterSize::Auto)
    } else {
        text.parse().ok().and_then(JitterSize::from_wire)
    };
    match blocks {
        Some(JitterSize::Auto) if text != "auto" => Err("21 is spelled auto".to_owned()),
        Some(size) => Ok(size),
        None => Err(format!("\"{text}\" is neither auto nor a number of blocks from 1 to 20")),
    }
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
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.5"), Ok(0.5));
        assert!(share("101%").is_err() && share("x").is_err());
        assert_eq!(limit("3"), Ok(Limit::Count(3)));
        assert_eq!(limit("0.5%"), Ok(Limit::Share(0.005)));
        assert_eq!(duration("3ms"), Ok(Duration::from_millis(3)));
        assert_eq!(duration("500us"), Ok(Duration::from_micros(500)));
        assert!(duration("3").is_err() && duration("1h").is_err());
        assert_eq!(jitter_size("auto"), Ok(JitterSize::Auto));
        assert_eq!(jitter_size("5"), Ok(JitterSize::Blocks(5)));
        assert!(jitter_size("21").is_err() && jitter_size("0").is_err());
    }

    #[test]
    fn options_make_an_audio_format() {
        let args = Args::parse_from([
            "jam-load",
            "h:1",
            "--codec",
            "opus64",
            "--channels",
            "mono",
            "--quality",
            "high",
        ]);
        let props = args.props();
        assert_eq!((props.codec, props.layout, props.block_bytes), (BlockCodec::Opus64, Layout::Mono, 36));
    }

    #[test]
    fn limits_judge_numbers_and_shares() {
        assert!(Limit::Count(3).allows(3, 10) && !Limit::Count(3).allows(4, 1000));
        assert!(Limit::Share(0.005).allows(5, 1000) && !Limit::Share(0.005).allows(6, 1000));
    }
}
