//! Message numbers, named as in the protocol (spec 2.1, 2.3).

/// Declares the numbers and a function that names them.
macro_rules! ids {
    ($($(#[doc = $doc:expr])+ $name:ident = $id:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: u16 = $id;)+

        /// The protocol's name of a message number, for logs and captures.
        #[must_use]
        pub const fn name(id: u16) -> Option<&'static str> {
            match id {
                $($id => Some(stringify!($name)),)+
                _ => None,
            }
        }
    };
}

ids! {
    /// Acknowledgement of a connected message.
    ACKN = 1;
    /// Jitter buffer size in blocks, or automatic.
    JITT_BUF_SIZE = 10;
    /// Asks a client for its jitter buffer wish.
    REQ_JITT_BUF_SIZE = 11;
    /// How loud the sender wants a channel.
    CHANNEL_GAIN = 13;
    /// Asks the server for its client list.
    REQ_CONN_CLIENTS_LIST = 16;
    /// A chat line.
    CHAT_TEXT = 18;
    /// The audio format of the connection.
    NETW_TRANSPORT_PROPS = 20;
    /// Asks a client for its audio format.
    REQ_NETW_TRANSPORT_PROPS = 21;
    /// Asks a client who it is.
    REQ_CHANNEL_INFOS = 23;
    /// Who is connected.
    CONN_CLIENTS_LIST = 24;
    /// Who the sender is.
    CHANNEL_INFOS = 25;
    /// Answer to audio formats of clients that predate Opus.
    OPUS_SUPPORTED = 26;
    /// The server wants an agreement shown.
    LICENCE_REQUIRED = 27;
    /// Opts in to level meters; history since 3.6.0.
    REQ_CHANNEL_LEVEL_LIST = 28;
    /// Version and operating system of the server.
    VERSION_AND_OS = 29;
    /// Where the sender wants a channel.
    CHANNEL_PAN = 30;
    /// Somebody muted or unmuted the receiver.
    MUTE_STATE_CHANGED = 31;
    /// The channel number of the receiver.
    CLIENT_ID = 32;
    /// Whether the server records.
    RECORDER_STATE = 33;
    /// Asks whether the receiver knows split messages.
    REQ_SPLIT_MESS_SUPPORT = 34;
    /// The sender knows split messages.
    SPLIT_MESS_SUPPORTED = 35;
    /// The server takes raw audio.
    RAWAUDIO_SUPPORTED = 36;
    /// A part of a split message.
    SPLIT = 2001;

    /// Round trip measurement of a connected client.
    CLM_PING_MS = 1001;
    /// Round trip measurement with the number of clients.
    CLM_PING_MS_WITHNUMCLIENTS = 1002;
    /// No channel is free.
    CLM_SERVER_FULL = 1003;
    /// Registration of servers before 3.5.9.
    CLM_REGISTER_SERVER = 1004;
    /// Takes a server off the list.
    CLM_UNREGISTER_SERVER = 1005;
    /// The list of a directory.
    CLM_SERVER_LIST = 1006;
    /// Asks a directory for its list.
    CLM_REQ_SERVER_LIST = 1007;
    /// A directory asks a server to open its NAT for a client.
    CLM_SEND_EMPTY_MESSAGE = 1008;
    /// Opens or keeps open a NAT.
    CLM_EMPTY_MESSAGE = 1009;
    /// The sender leaves.
    CLM_DISCONNECTION = 1010;
    /// Version and operating system.
    CLM_VERSION_AND_OS = 1011;
    /// Asks for version and operating system.
    CLM_REQ_VERSION_AND_OS = 1012;
    /// Who is connected.
    CLM_CONN_CLIENTS_LIST = 1013;
    /// Asks who is connected.
    CLM_REQ_CONN_CLIENTS_LIST = 1014;
    /// Level meters of all channels.
    CLM_CHANNEL_LEVEL_LIST = 1015;
    /// Answer of a directory to a registration.
    CLM_REGISTER_SERVER_RESP = 1016;
    /// Registration with version and operating system.
    CLM_REGISTER_SERVER_EX = 1017;
    /// The list of a directory with fewer fields.
    CLM_RED_SERVER_LIST = 1018;
    /// What a server can do.
    CLM_SERVER_FEATURES = 1019;
    /// Asks what a server can do.
    CLM_REQ_SERVER_FEATURES = 1020;
    /// The welcome message of a server.
    CLM_WELCOME_MESSAGE = 1021;
    /// Asks for the welcome message.
    CLM_REQ_WELCOME_MESSAGE = 1022;
}
