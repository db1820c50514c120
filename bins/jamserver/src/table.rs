//! The options of `jamserver`: this table is the only place where one is defined.

use crate::options::{Foreign, ForeignDef, Kind, OptionDef, Table};
use crate::settings::{self, DirectoryChoice, ServerInfo};

/// The options of `jamserver` itself.
pub(crate) const SERVER: Table =
    Table { parts: &[GENERAL, OPTIONS], foreign: FOREIGN, env_prefix: "JAMSERVER_" };

/// The options of `jamserver demo`: the server's, and the band's.
pub(crate) const DEMO: Table =
    Table { parts: &[BAND, GENERAL, OPTIONS], foreign: FOREIGN, env_prefix: "JAMSERVER_" };

/// The options of `jamserver plan`.
pub(crate) const PLAN: Table = Table { parts: &[PLANNING], foreign: &[], env_prefix: "" };

/// An option with one name and no default; the rest is filled in with struct update.
const BLANK: OptionDef =
    OptionDef { key: "", aliases: &[], short: None, kind: Kind::Flag, default: "", group: "", help: "" };

const GENERAL: &[OptionDef] = &[OptionDef {
    key: "config",
    kind: Kind::Text { name: "FILE" },
    group: "Configuration",
    help: "Reads options from this TOML file; the command line and the environment win over it.",
    ..BLANK
}];

const NETWORK: &str = "Network";
const MUSIC: &str = "Music and musicians";
const SPEED: &str = "Processor";
const DIRECTORY: &str = "Server list (directory)";
const RECORDING: &str = "Recording";
const REMOTE: &str = "Remote control (JSON-RPC)";
const LOG: &str = "Log";
const HABIT: &str = "Accepted as always on";

const OPTIONS: &[OptionDef] = &[
    OptionDef {
        key: "port",
        short: Some('p'),
        kind: Kind::Number { name: "PORT", min: 0, max: 65_535, words: &[] },
        default: "22124",
        group: NETWORK,
        help: "UDP port to listen on; 0 takes any free one.",
        ..BLANK
    },
    OptionDef {
        key: "serverbindip4",
        aliases: &["serverbindip"],
        kind: Kind::Ip4,
        group: NETWORK,
        help: "Listens on this IPv4 address only; IPv6 stays on all addresses without --serverbindip6 or --noipv6.",
        ..BLANK
    },
    OptionDef {
        key: "serverbindip6",
        kind: Kind::Ip6,
        group: NETWORK,
        help: "Listens on this IPv6 address only; IPv4 stays on all addresses without --serverbindip4.",
        ..BLANK
    },
    OptionDef {
        key: "noipv6",
        short: Some('4'),
        group: NETWORK,
        help: "Listens on IPv4 only; without it IPv6 is used where the machine has it.",
        ..BLANK
    },
    OptionDef {
        key: "qos",
        short: Some('Q'),
        kind: Kind::Number { name: "TOS", min: 0, max: 255, words: &[] },
        default: "128",
        group: NETWORK,
        help: "Type-of-service byte of everything sent (128 is DSCP CS4); 0 leaves the system's.",
        ..BLANK
    },
    OptionDef {
        key: "allow",
        kind: Kind::List { name: "NETWORKS", check: settings::check_network },
        group: NETWORK,
        help: "Serves only these networks, such as 192.0.2.0/24,2001:db8::/32.",
        ..BLANK
    },
    OptionDef {
        key: "deny",
        kind: Kind::List { name: "NETWORKS", check: settings::check_network },
        group: NETWORK,
        help: "Ignores everything from these networks, also where --allow includes them.",
        ..BLANK
    },
    OptionDef {
        key: "strictreplies",
        group: NETWORK,
        help: "Sends nobody who has not joined more bytes than came from there; connect dialogs then show the version \
               of this server late and its musicians much later. Lists of a directory have limits of their own.",
        ..BLANK
    },
    OptionDef {
        key: "numchannels",
        short: Some('u'),
        kind: Kind::Number { name: "N", min: 1, max: 150, words: &[] },
        default: "10",
        group: MUSIC,
        help: "Musicians at the same time.",
        ..BLANK
    },
    OptionDef {
        key: "welcomemessage",
        short: Some('w'),
        kind: Kind::Text { name: "TEXT|FILE" },
        group: MUSIC,
        help: "Chat text for everybody who joins, HTML allowed; if it is the path of a file, the file's content.",
        ..BLANK
    },
    OptionDef {
        key: "licence",
        short: Some('L'),
        group: MUSIC,
        help: "Clients show an agreement window before they join.",
        ..BLANK
    },
    OptionDef {
        key: "delaypan",
        short: Some('P'),
        group: MUSIC,
        help: "Pans by a short delay between the ears instead of by level.",
        ..BLANK
    },
    OptionDef {
        key: "noraw",
        group: MUSIC,
        help: "Does not offer uncompressed audio to clients that could use it.",
        ..BLANK
    },
    OptionDef {
        key: "discononquit",
        short: Some('d'),
        group: MUSIC,
        help: "Disconnects the clients when the server stops; without it they reconnect to a restarted server.",
        ..BLANK
    },
    OptionDef {
        key: "fastupdate",
        short: Some('F'),
        group: SPEED,
        help: "Mixes every 64 samples instead of 128: less delay for clients with small buffers, more work.",
        ..BLANK
    },
    OptionDef {
        key: "threads",
        kind: Kind::Number { name: "N", min: 1, max: 64, words: &["auto"] },
        default: "auto",
        group: SPEED,
        help: "Threads that decode, mix and encode; auto takes more cores when one is not enough.",
        ..BLANK
    },
    OptionDef {
        key: "realtime",
        kind: Kind::Number { name: "PRIORITY", min: 1, max: 99, words: &["auto", "off"] },
        default: "auto",
        group: SPEED,
        help: "Real-time priority of the audio thread; auto uses one if the system grants it.",
        ..BLANK
    },
    OptionDef {
        key: "directoryaddress",
        aliases: &["directoryserver", "centralserver"],
        short: Some('e'),
        kind: Kind::Checked { name: "ADDRESS|GENRE", check: DirectoryChoice::check },
        group: DIRECTORY,
        help: "Registers with the directory at this host[:port], or with a public one by its genre: any_genre_1, \
               any_genre_2, any_genre_asia, rock, jazz, classical_folk, choral_barbershop. \"localhost\" makes this \
               server a directory itself.",
        ..BLANK
    },
    OptionDef {
        key: "serverinfo",
        short: Some('o'),
        kind: Kind::Checked { name: "NAME;CITY;COUNTRY", check: ServerInfo::check },
        group: DIRECTORY,
        help: "What server lists say about this server; the country is a two-letter code such as de.",
        ..BLANK
    },
    OptionDef {
        key: "serverpublicip",
        kind: Kind::Ip4,
        group: DIRECTORY,
        help: "Public address to register, for a server behind the same router as its directory.",
        ..BLANK
    },
    OptionDef {
        key: "directoryfile",
        kind: Kind::Text { name: "FILE" },
        group: DIRECTORY,
        help: "Where a directory keeps its list over a restart.",
        ..BLANK
    },
    OptionDef {
        key: "listfilter",
        short: Some('f'),
        kind: Kind::Checked { name: "ITEM;ITEM", check: settings::check_list_filter },
        group: DIRECTORY,
        help: "A directory accepts only servers with these IP addresses; [x.y.z] sets the oldest version accepted.",
        ..BLANK
    },
    OptionDef {
        key: "recording",
        short: Some('R'),
        kind: Kind::Text { name: "DIR" },
        group: RECORDING,
        help: "Records every musician into files of their own below this directory, with projects for REAPER and \
               Audacity.",
        ..BLANK
    },
    OptionDef {
        key: "norecord",
        group: RECORDING,
        help: "Does not record until a signal or the remote control says so.",
        ..BLANK
    },
    OptionDef {
        key: "jsonrpcport",
        kind: Kind::Number { name: "PORT", min: 0, max: 65_535, words: &[] },
        group: REMOTE,
        help: "TCP port for programs that watch and control the server; 0 takes any free one.",
        ..BLANK
    },
    OptionDef {
        key: "jsonrpcsecretfile",
        kind: Kind::Text { name: "FILE" },
        group: REMOTE,
        help: "Its first line, of 16 characters at least, is what those programs have to know.",
        ..BLANK
    },
    OptionDef {
        key: "jsonrpcbindip",
        kind: Kind::Ip4,
        default: "127.0.0.1",
        group: REMOTE,
        help: "Listens on this IPv4 address; what is said there is not encrypted.",
        ..BLANK
    },
    OptionDef {
        key: "log",
        short: Some('l'),
        kind: Kind::Text { name: "FILE" },
        group: LOG,
        help: "Appends a line for each musician who joins, and when the server idles.",
        ..BLANK
    },
    OptionDef {
        key: "server",
        short: Some('s'),
        group: HABIT,
        help: "This program is a server only.",
        ..BLANK
    },
    OptionDef { key: "nogui", short: Some('n'), group: HABIT, help: "This program has no window.", ..BLANK },
    OptionDef {
        key: "enableipv6",
        short: Some('6'),
        group: HABIT,
        help: "IPv6 is used where the machine has it, unless --noipv6 is given.",
        ..BLANK
    },
    OptionDef {
        key: "multithreading",
        short: Some('T'),
        group: HABIT,
        help: "The work is spread over the processor's cores, unless --threads 1 is given.",
        ..BLANK
    },
];

const BAND: &[OptionDef] = &[
    OptionDef {
        key: "tempo",
        kind: Kind::Number { name: "BPM", min: 60, max: 180, words: &[] },
        default: "100",
        group: "Band",
        help: "Beats per minute.",
        ..BLANK
    },
    OptionDef {
        key: "band",
        kind: Kind::List { name: "PARTS", check: crate::demo::Part::check },
        default: "bass,chords,beat",
        group: "Band",
        help: "Who plays along: any of bass, chords, beat, melody.",
        ..BLANK
    },
];

const LINE: &str = "Line";
const JAM: &str = "Jam";

const PLANNING: &[OptionDef] = &[
    OptionDef {
        key: "up",
        kind: Kind::Checked { name: "RATE", check: crate::plan::Rate::check },
        group: LINE,
        help: "What the server's line can send, in bit/s: 1M, 800k, 2.5M.",
        ..BLANK
    },
    OptionDef {
        key: "down",
        kind: Kind::Checked { name: "RATE", check: crate::plan::Rate::check },
        group: LINE,
        help: "What the server's line can receive.",
        ..BLANK
    },
    OptionDef {
        key: "ipv6",
        group: LINE,
        help: "Counts IPv6 headers: 48 bytes per datagram instead of 28.",
        ..BLANK
    },
    OptionDef {
        key: "musicians",
        kind: Kind::Number { name: "N", min: 1, max: 150, words: &[] },
        default: "5",
        group: JAM,
        help: "How many want to play.",
        ..BLANK
    },
    OptionDef {
        key: "quality",
        kind: Kind::Choice(&["low", "normal", "high", "raw"]),
        group: JAM,
        help: "Shows this audio quality only.",
        ..BLANK
    },
    OptionDef {
        key: "channels",
        kind: Kind::Choice(&["mono", "stereo"]),
        group: JAM,
        help: "Shows mono or stereo only.",
        ..BLANK
    },
    OptionDef {
        key: "buffer",
        kind: Kind::Choice(&["64", "128", "256"]),
        group: JAM,
        help: "Shows this sound card buffer (samples per datagram) only.",
        ..BLANK
    },
    OptionDef { key: "json", group: "Output", help: "Prints JSON for programs.", ..BLANK },
];

/// Options of the original program that are not ours (spec 9.1 and the program's own help).
const FOREIGN: &[ForeignDef] = &[
    foreign("inifile", Some('i'), true, Foreign::Window),
    foreign("notranslation", Some('t'), false, Foreign::Window),
    foreign("startminimized", Some('z'), false, Foreign::Window),
    foreign("connect", Some('c'), true, Foreign::Client),
    foreign("nojackconnect", Some('j'), false, Foreign::Client),
    foreign("mutestream", Some('M'), false, Foreign::Client),
    foreign("mutemyown", None, false, Foreign::Client),
    foreign("clientname", None, true, Foreign::Client),
    foreign("ctrlmidich", None, true, Foreign::Client),
    foreign("htmlstatus", Some('m'), true, Foreign::Missing),
];

const fn foreign(key: &'static str, short: Option<char>, takes_value: bool, verdict: Foreign) -> ForeignDef {
    ForeignDef { key, short, takes_value, verdict }
}
