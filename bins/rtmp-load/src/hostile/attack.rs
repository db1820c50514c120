//! The list of attacks.

use super::findings::Findings;
use super::siege::Siege;
use super::{amf, chunks, config, control, flood, front, handshake, hooks, http, order, readers};

/// What an attack needs to be run at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Needs {
    /// Any RTMP server.
    Server,
    /// The address of its HTTP API.
    Api,
    /// The program, to start it with configurations of its own.
    Program,
    /// The program, as an edge in front of the server: it is attacked and watched instead.
    Front,
}

/// One kind of attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What the server promises, beside serving its viewers all the time.
    pub(super) promise: &'static str,
    pub(super) needs: Needs,
    /// How much more memory the server may need while it lasts, in MiB.
    pub(super) growth_mib: u64,
    /// Whether new viewers may be turned away while it lasts; they are served afterwards in any case.
    pub(super) fills_the_house: bool,
    pub(super) strike: fn(&mut Siege) -> Result<Findings, String>,
}

/// An attack on the RTMP port with the usual bound of memory.
const fn attack(
    name: &'static str,
    about: &'static str,
    promise: &'static str,
    strike: fn(&mut Siege) -> Result<Findings, String>,
) -> Attack {
    Attack { name, about, promise, needs: Needs::Server, growth_mib: 16, fills_the_house: false, strike }
}

impl Attack {
    const fn growing(self, growth_mib: u64) -> Self {
        Self { growth_mib, ..self }
    }

    const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    const fn filling_the_house(self) -> Self {
        Self { fills_the_house: true, ..self }
    }
}

/// All attacks, in the order in which they are run.
pub(super) const ALL: &[Attack] = &[
    attack("calm", "nothing, for comparison", "viewers are served", |_| Ok(Findings::default())),
    attack(
        "slow-handshakes",
        "connections that say nothing, half of C1, no C2 or no connect, and dribble",
        "closed after 5 s for the handshake and 5 s for connect",
        handshake::slow,
    ),
    attack(
        "noise",
        "HTTP, TLS, RTMPE and random bytes, also behind a handshake",
        "closed by the handshake limit at the latest",
        handshake::noise,
    ),
    attack(
        "one-byte-writes",
        "a publisher and a viewer that are legal, but write each byte alone",
        "served like anybody else",
        handshake::one_byte_writes,
    ),
    attack(
        "chunk-sizes",
        "chunk sizes of 0, 1, 127, 65,537, 2^24, 2^31 - 1 and with the top bit",
        "below 128 closed, all others work",
        chunks::sizes,
    ),
    attack(
        "announced-lengths",
        "messages of 16 MiB announced by strangers, of 8 MiB on 55 chunk streams by publishers, few bytes sent",
        "too long ones close at once, the others cost what was sent",
        chunks::lengths,
    )
    .growing(32),
    attack(
        "hoard",
        "strangers that leave 1.5 MB of commands unfinished",
        "closed: a stranger may keep 320 KiB",
        chunks::hoard,
    )
    .growing(80),
    attack(
        "chunk-streams",
        "messages on 100,000 chunk streams",
        "closed at the 17th, of publishers and viewers at the 65th",
        chunks::streams,
    ),
    attack(
        "amf-bombs",
        "nested arrays and objects, counts and lengths of 2^32 - 1, 60,000 properties, AMF3 in AMF0",
        "closed or passed over, nothing reserved for what is only announced",
        amf::bombs,
    ),
    attack(
        "unread",
        "viewers that never read, and some that ask for answers they never read",
        "they cost their queue and their replies at most, and are closed when their connection took nothing for 30 s",
        readers::unread,
    )
    .growing(32),
    attack(
        "hijack",
        "publishes of the stream that is live, by strangers and from the publisher's address, media behind them",
        "refused, the stream goes on undisturbed",
        order::hijack,
    ),
    attack(
        "wrong-order",
        "requests before connect, twice, after the end, with ids of others, unknown ones",
        "answered, passed over or closed, nobody else notices",
        order::wrong,
    ),
    attack(
        "control-games",
        "windows of one byte, floods of pings, of bandwidths and of aborts, broken control messages",
        "no more bytes come back than were sent",
        control::games,
    ),
    attack(
        "flood-one-address",
        "thousands of connects from one address that then say nothing",
        "64 are let in, the others closed at once; newcomers from elsewhere are served",
        flood::one_address,
    ),
    attack(
        "flood-many-addresses",
        "thousands of connects from as many addresses as needed to fill the house, silent",
        "viewers stay, newcomers are served again when the handshake limit has passed",
        flood::many_addresses,
    )
    .growing(48)
    .filling_the_house(),
    attack(
        "stream-names",
        "names that nobody has, played and published in turn, thousands a second",
        "they cost no memory once they are left",
        flood::names,
    ),
    attack(
        "http-requests",
        "methods, paths that lead out, heads and bodies without end, scripts as callbacks, orders without a password",
        "none succeeds, nobody is kicked, no file is shown",
        http::requests,
    )
    .needing(Needs::Api),
    attack(
        "http-slow",
        "requests whose heads never end, a byte a second",
        "closed after 15 s, others are answered meanwhile",
        http::slow,
    )
    .needing(Needs::Api),
    attack(
        "http-flood",
        "2,800 requests without end to a server that may open 1,400 files",
        "RTMP keeps its files: who comes is served at once",
        flood::http,
    )
    .needing(Needs::Program),
    attack(
        "hooks",
        "hooks that hang, close, answer noise, dribble, flood, redirect; 640 clients for the one that hangs",
        "a client is answered within the hook's time limit, a crowd within twice that, who asks a good hook at once",
        hooks::webs,
    )
    .needing(Needs::Program),
    attack(
        "edge-stream-names",
        "names that nobody has, played at an edge that asks its origin about each, thousands a second",
        "1,024 are waited for, as many remembered for three seconds, the others refused; nothing is left of them",
        front::names,
    )
    .growing(48)
    .needing(Needs::Front),
    attack(
        "edge-hijack",
        "publishes at an edge of the stream that it pulls, media behind them",
        "refused by the origin, the pull goes on undisturbed",
        order::hijack,
    )
    .needing(Needs::Front),
    attack(
        "configurations",
        "includes in circles, without end, of devices, folders and pipes; blocks without end",
        "-t ends with exit code 2 and a reason",
        config::configurations,
    )
    .needing(Needs::Program),
];
