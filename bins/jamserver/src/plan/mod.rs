//! `jamserver plan`: how many musicians a line carries, and in what quality (spec 3.3, 3.7, 9.7).
//!
//! A server receives one stream from every musician and sends one to every musician. Both have the same size, so N
//! musicians need N times one stream in each direction, and the slower direction decides.

mod rate;
mod table;

pub(crate) use rate::Rate;

use jam_proto::audio::Quality;
use jam_proto::{AudioProps, BlockCodec, BlockFactor, Layout, Sequence};

use crate::options::{OptionError, Values};

/// Bytes of the IPv4 and UDP headers around every datagram.
const IP4_BYTES: u64 = 28;
/// The same for IPv6.
const IP6_BYTES: u64 = 48;
/// What a DSL line adds around the IP datagram; shipped clients reckon with 77 bytes in all (spec 3.7).
const DSL_BYTES: u64 = 49;

/// The sound card buffers of clients and what they make of them (spec 3.3).
const BUFFERS: [(u32, BlockCodec, BlockFactor); 3] = [
    (64, BlockCodec::Opus64, BlockFactor::One),
    (128, BlockCodec::Opus, BlockFactor::One),
    (256, BlockCodec::Opus, BlockFactor::Two),
];

/// All qualities, from small to large.
const QUALITIES: [Quality; 4] = [Quality::Low, Quality::Normal, Quality::High, Quality::Raw];

/// The word for a quality in options and tables.
const fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Low => "low",
        Quality::Normal => "normal",
        Quality::High => "high",
        Quality::Raw => "raw",
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) up: Rate,
    pub(crate) down: Rate,
    pub(crate) musicians: u32,
    ip_bytes: u64,
    quality: Option<String>,
    channels: Option<String>,
    buffer: Option<String>,
    json: bool,
}

/// One way to play, and how many can play so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) buffer: u32,
    pub(crate) layout: Layout,
    pub(crate) quality: Quality,
    /// Bits per second of one musician in one direction, with IP and UDP headers.
    pub(crate) bits: u64,
    /// The same with the overhead of a DSL line.
    pub(crate) line_bits: u64,
    /// How many musicians the upload and the download carry.
    pub(crate) up_max: u64,
    pub(crate) down_max: u64,
    /// The same with the overhead of a DSL line.
    pub(crate) line_up_max: u64,
    pub(crate) line_down_max: u64,
}

/// Whether the wanted number of musicians fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Also with the overhead of a DSL line.
    Yes,
    /// Only if the line adds nothing to the IP datagrams.
    Tight,
    No,
}

impl Row {
    /// Musicians the slower direction carries.
    pub(crate) fn musicians_max(&self) -> u64 {
        self.up_max.min(self.down_max)
    }

    pub(crate) fn line_musicians_max(&self) -> u64 {
        self.line_up_max.min(self.line_down_max)
    }

    /// The direction that decides.
    pub(crate) fn limit(&self) -> &'static str {
        match self.up_max.cmp(&self.down_max) {
            std::cmp::Ordering::Less => "upload",
            std::cmp::Ordering::Greater => "download",
            std::cmp::Ordering::Equal => "both",
        }
    }

    pub(crate) fn verdict(&self, musicians: u32) -> Verdict {
        let wanted = u64::from(musicians);
        if self.line_musicians_max() >= wanted {
            Verdict::Yes
        } else if self.musicians_max() >= wanted {
            Verdict::Tight
        } else {
            Verdict::No
        }
    }

    pub(crate) fn channels(&self) -> &'static str {
        match self.layout {
            Layout::Mono => "mono",
            Layout::Stereo => "stereo",
        }
    }
}

impl Question {
    pub(crate) fn from_values(values: &Values) -> Result<Self, OptionError> {
        let needed = |key: &'static str| {
            values
                .parsed::<Rate>(key)?
                .ok_or_else(|| values.error(key, "is needed: the line's rate, such as 1M"))
        };
        Ok(Self {
            up: needed("up")?,
            down: needed("down")?,
            musicians: values.parsed("musicians")?.unwrap_or(5),
            ip_bytes: if values.flag("ipv6") { IP6_BYTES } else { IP4_BYTES },
            quality: values.text("quality"),
            channels: values.text("channels"),
            buffer: values.text("buffer"),
            json: values.flag("json"),
        })
    }

    /// The answer as text or JSON, ready to print.
    pub(crate) fn answer(&self) -> String {
        if self.json { table::json(self, &self.rows()) } else { table::text(self, &self.rows()) }
    }

    /// Every combination that was not excluded, small buffers and low qualities first.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (buffer, codec, factor) in BUFFERS {
            for layout in [Layout::Mono, Layout::Stereo] {
                for quality in QUALITIES {
                    let block_bytes = quality.block_bytes(codec, layout);
                    let props = AudioProps { codec, layout, block_bytes, factor, sequence: Sequence::With };
                    let row = self.row(buffer, quality, &props);
                    if self.is_wanted(&row) {
                        rows.push(row);
                    }
                }
            }
        }
        rows
    }

    fn row(&self, buffer: u32, quality: Quality, props: &AudioProps) -> Row {
        let payload = props.datagram_bytes() as u64;
        let bits_per_byte = 8 * 48_000 / u64::from(buffer);
        let bits = (payload + self.ip_bytes) * bits_per_byte;
        let line_bits = (payload + self.ip_bytes + DSL_BYTES) * bits_per_byte;
        Row {
            buffer,
            layout: props.layout,
            quality,
            bits,
            line_bits,
            up_max: self.up.0 / bits,
            down_max: self.down.0 / bits,
            line_up_max: self.up.0 / line_bits,
            line_down_max: self.down.0 / line_bits,
        }
    }

    fn is_wanted(&self, row: &Row) -> bool {
        let agrees = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        agrees(&self.quality, quality_name(row.quality))
            && agrees(&self.channels, row.channels())
            && agrees(&self.buffer, &row.buffer.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn question(up: u64, down: u64, musicians: u32) -> Question {
        Question {
            up: Rate(up),
            down: Rate(down),
            musicians,
            ip_bytes: IP4_BYTES,
            quality: None,
            channels: None,
            buffer: None,
            json: false,
        }
    }

    #[test]
    fn rates_are_those_of_the_specification() {
        // Buffer, channels, quality, kbit/s over IPv4, kbit/s as clients display it: spec 3.7.
        let table = [
            (64, "mono", "low", 246, 540),
            (64, "mono", "normal", 306, 600),
            (64, "mono", "high", 390, 684),
            (64, "mono", "raw", 942, 1236),
            (64, "stereo", "low", 318, 612),
            (64, "stereo", "normal", 384, 678),
            (64, "stereo", "high", 612, 906),
            (64, "stereo", "raw", 1710, 2004),
            (128, "mono", "low", 162, 309),
            (128, "mono", "normal", 222, 369),
            (128, "mono", "high", 333, 480),
            (128, "mono", "raw", 855, 1002),
            (128, "stereo", "low", 228, 375),
            (128, "stereo", "normal", 300, 447),
            (128, "stereo", "high", 582, 729),
            (128, "stereo", "raw", 1623, 1770),
            (256, "mono", "low", 120, 193),
            (256, "mono", "normal", 180, 253),
            (256, "mono", "high", 291, 364),
            (256, "mono", "raw", 813, 886),
            (256, "stereo", "low", 186, 259),
            (256, "stereo", "normal", 258, 331),
            (256, "stereo", "high", 540, 613),
            (256, "stereo", "raw", 1581, 1654),
        ];
        let rows = question(1_000_000, 10_000_000, 5).rows();
        let ours: Vec<_> = rows
            .iter()
            .map(|r| (r.buffer, r.channels(), quality_name(r.quality), r.bits / 1000, r.line_bits / 1000))
            .collect();
        assert_eq!(ours, table);
    }

    #[test]
    fn the_slower_direction_decides() {
        let rows = question(1_000_000, 10_000_000, 5).rows();
        let row = rows
            .iter()
            .find(|r| (r.buffer, r.channels(), quality_name(r.quality)) == (256, "mono", "normal"))
            .unwrap();
        assert_eq!((row.up_max, row.down_max, row.musicians_max(), row.limit()), (5, 55, 5, "upload"));
        assert_eq!((row.line_musicians_max(), row.verdict(5)), (3, Verdict::Tight));
        assert_eq!(row.verdict(3), Verdict::Yes);
        assert_eq!(row.verdict(6), Verdict::No);
        let rows = question(10_000_000, 1_000_000, 5).rows();
        assert!(rows.iter().all(|r| r.limit() == "download"));
    }

    #[test]
    fn ip_version_6_costs_20_bytes_more_per_datagram() {
        let mut question = question(1_000_000, 1_000_000, 5);
        let four = question.rows();
        question.ip_bytes = IP6_BYTES;
        let extra: Vec<u64> =
            question.rows().iter().zip(&four).map(|(six, four)| six.bits - four.bits).collect();
        assert_eq!((extra[0], extra[8], extra[16]), (120_000, 60_000, 30_000));
    }
}
