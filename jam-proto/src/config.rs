//! What an owner decides about a server: names, texts, features, limits.

use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::guard::{GuardLimits, IpNetwork, IpNetworks, Rate};
use crate::message::{
    ChatText, City, Licence, OsType, RecorderState, ServerFeatures, ServerName, Text, VersionAndOs,
    VersionText,
};
use crate::tables::Country;
use crate::text;
use crate::types::{ChannelId, Gain};

/// The version announced by default: a number whose features we have, and a suffix that marks it as ours (spec 11.1).
pub const DEFAULT_VERSION: &str = "3.12.4-rs";

/// Bounds of one [`Server`](crate::Server). Every field is enforced and counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerLimits {
    /// What strangers may cost.
    pub guard: GuardLimits,
    /// Newcomers being asked to prove their address at once. Default 256: more than there are channels, so that a full
    /// house that meets a restarted server is asked at once. Beyond, who was asked [`ServerLimits::probe_interval`] ago
    /// gives way; it is asked the same again with its next datagram.
    pub probes_max: usize,
    /// Of these, from one host (an IPv4 address or the /64 of an IPv6 address); beyond, one of its own gives way in the
    /// same manner. Default 16.
    pub probes_per_host_max: usize,
    /// How often a newcomer is asked within its first time to answer, and once in each further one. Default 3.
    pub probe_attempts_max: u8,
    /// How often a message is sent to a newcomer that has a slot but has not acknowledged all that proves its address,
    /// 400 ms apart: one that was lucky with its guesses keeps the slot no longer. Default 8: 3.2 s.
    pub unproven_attempts_max: u32,
    /// Time between two questions. Default 400 ms.
    pub probe_interval: Duration,
    /// Time a newcomer has to answer. Whoever still knocks then gets the same once more, and later up to four times as
    /// much. Default 2 s.
    pub probe_lifetime: Duration,
    /// Channels of one host. Default 150: musicians may share an address translation.
    pub channels_per_host_max: usize,
    /// A channel without datagrams for so long has left. Default 30 s (spec 5.3).
    pub silence_max: Duration,
    /// A channel that has not told who it is, or not its format, for so long belongs to a client that died while it
    /// joined, or that cannot tell. It is asked again at once, as it may have been started anew, then after a quarantine
    /// that is longer by this much each time. Default 10 s.
    pub unidentified_max: Duration,
    /// The longest such quarantine. Default 60 s.
    pub unidentified_quarantine_max: Duration,
    /// How often a message is sent to a channel that does not acknowledge it, 400 ms apart. Default 75: 30 s.
    pub attempts_max: u32,
    /// A channel gets audio only if it sent some within this time; it keeps its slot. Default 2 s (spec 10.6).
    pub audio_recent: Duration,
    /// A channel with nothing but datagrams of a wrong size for so long has a client that started anew. Default 1 s.
    pub wrong_size_max: Duration,
    /// Audio from an address that disconnected is ignored for so long. Default 1 s (spec 5.5).
    pub quarantine: Duration,
    /// Addresses in quarantine at once. Default 256.
    pub quarantined_max: usize,
    /// Connected messages per channel; beyond, they are dropped and the peer repeats them. Default 200/s, 1000 at once.
    pub messages: Rate,
    /// Of these, messages that say who the musician is. Default 5/s, 20 at once: some programs send one with each letter.
    pub renames: Rate,
    /// Other names are told to everybody at once, and again after so long if there are more. Default 250 ms.
    pub renames_pause: Duration,
    /// Chat lines per channel. Default 2/s, 10 at once.
    pub chat: Rate,
    /// Chat lines waiting for one receiver; who is that slow misses what comes. Default 16.
    pub chat_queue_max: usize,
    /// Outputs waiting to be polled before new inputs are put off. Default 4,096.
    pub outputs_max: usize,
    /// Networks banned at run time. Default 1,024.
    pub bans_max: usize,
    /// Networks in each of the lists `allow` and `deny`. Default 65,536.
    pub networks_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            guard: GuardLimits::default(),
            probes_max: 256,
            probes_per_host_max: 16,
            probe_attempts_max: 3,
            unproven_attempts_max: 8,
            probe_interval: Duration::from_millis(400),
            probe_lifetime: Duration::from_secs(2),
            channels_per_host_max: ChannelId::COUNT_MAX,
            silence_max: Duration::from_secs(30),
            unidentified_max: Duration::from_secs(10),
            unidentified_quarantine_max: Duration::from_secs(60),
            attempts_max: 75,
            audio_recent: Duration::from_secs(2),
            wrong_size_max: Duration::from_secs(1),
            quarantine: Duration::from_secs(1),
            quarantined_max: 256,
            messages: Rate { per_second: 200, burst: 1_000 },
            renames: Rate { per_second: 5, burst: 20 },
            renames_pause: Duration::from_millis(250),
            chat: Rate { per_second: 2, burst: 10 },
            chat_queue_max: 16,
            outputs_max: 4_096,
            bans_max: 1_024,
            networks_max: 65_536,
        }
    }
}

impl ServerLimits {
    fn check(&self) -> Result<(), ConfigError> {
        let zero = [
            ("probes_max", self.probes_max == 0),
            ("probes_per_host_max", self.probes_per_host_max == 0),
            ("probe_attempts_max", self.probe_attempts_max == 0),
            ("unproven_attempts_max", self.unproven_attempts_max == 0),
            ("probe_interval", self.probe_interval.is_zero()),
            ("probe_lifetime", self.probe_lifetime.is_zero()),
            ("channels_per_host_max", self.channels_per_host_max == 0),
            ("silence_max", self.silence_max.is_zero()),
            ("unidentified_max", self.unidentified_max.is_zero()),
            ("attempts_max", self.attempts_max == 0),
            ("audio_recent", self.audio_recent.is_zero()),
            ("wrong_size_max", self.wrong_size_max.is_zero()),
            ("messages", self.messages.per_second == 0 || self.messages.burst == 0),
            ("renames", self.renames.per_second == 0 || self.renames.burst == 0),
            ("chat", self.chat.per_second == 0 || self.chat.burst == 0),
            ("chat_queue_max", self.chat_queue_max == 0),
            ("outputs_max", self.outputs_max == 0),
            ("guard.sources_max", self.guard.sources_max == 0),
            ("guard.wrong_acknowledgements_max", self.guard.wrong_acknowledgements_max == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((limit, _)) => Err(ConfigError::ZeroLimit { limit }),
            None => Ok(()),
        }
    }
}

/// Everything an owner decides about a server; immutable and shared. Made by [`ServerConfig::builder`].
///
/// ```
/// use jam_proto::ServerConfig;
///
/// let config = ServerConfig::builder().channels_max(20).welcome("Have <b>fun</b>").build()?;
/// assert_eq!(config.channels_max(), 20);
/// let renamed = config.to_builder().name("Cellar").build()?;
/// assert_eq!(renamed.channels_max(), 20);
/// # Ok::<(), jam_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    channels_max: u8,
    welcome: Text<{ text::WELCOME_UNITS_MAX }>,
    name: ServerName,
    city: City,
    country: Country,
    version: VersionAndOs,
    licence: Licence,
    recorder: RecorderState,
    features: ServerFeatures,
    gain_max: Gain,
    allow: Arc<[IpNetwork]>,
    deny: Arc<[IpNetwork]>,
    allowed: IpNetworks,
    denied: IpNetworks,
    limits: ServerLimits,
}

impl ServerConfig {
    /// A builder with the defaults of shipped servers: 10 channels, no texts, raw audio allowed.
    pub fn builder() -> ServerConfigBuilder {
        ServerConfigBuilder {
            channels_max: 10,
            welcome: String::new(),
            name: String::new(),
            city: String::new(),
            country: Country::default(),
            version: DEFAULT_VERSION.into(),
            os: OsType::LINUX,
            licence: Licence::None,
            recorder: RecorderState::NotInitialised,
            features: ServerFeatures::RAW_AUDIO,
            gain_max: Gain(u16::MAX),
            allow: Vec::new(),
            deny: Vec::new(),
            limits: ServerLimits::default(),
        }
    }

    /// A builder that starts from these values, for changes at run time.
    pub fn to_builder(&self) -> ServerConfigBuilder {
        ServerConfigBuilder {
            channels_max: u16::from(self.channels_max),
            welcome: self.welcome.to_string(),
            name: self.name.to_string(),
            city: self.city.to_string(),
            country: self.country,
            version: self.version.version.to_string(),
            os: self.version.os,
            licence: self.licence,
            recorder: self.recorder,
            features: self.features,
            gain_max: self.gain_max,
            allow: self.allow.to_vec(),
            deny: self.deny.to_vec(),
            limits: self.limits.clone(),
        }
    }

    /// How many musicians can be connected, 1 to 150.
    #[must_use]
    pub const fn channels_max(&self) -> u8 {
        self.channels_max
    }

    /// The welcome message without its prefix; empty if there is none.
    #[must_use]
    pub fn welcome(&self) -> &str {
        self.welcome.as_str()
    }

    /// The name in directories.
    #[must_use]
    pub const fn name(&self) -> &ServerName {
        &self.name
    }

    /// The city in directories.
    #[must_use]
    pub const fn city(&self) -> &City {
        &self.city
    }

    /// The country in directories.
    #[must_use]
    pub const fn country(&self) -> Country {
        self.country
    }

    /// What messages 29 and 1011 say.
    #[must_use]
    pub const fn version(&self) -> &VersionAndOs {
        &self.version
    }

    /// Whether newcomers have to agree to something.
    #[must_use]
    pub const fn licence(&self) -> Licence {
        self.licence
    }

    /// What the recorder is doing when the server starts.
    #[must_use]
    pub const fn recorder(&self) -> RecorderState {
        self.recorder
    }

    /// The louder end of what a musician may set for another, also by programs that offer more than 1.0.
    #[must_use]
    pub const fn gain_max(&self) -> Gain {
        self.gain_max
    }

    /// Whether a feature was switched on.
    #[must_use]
    pub const fn has(&self, feature: ServerFeatures) -> bool {
        self.features.contains(feature)
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &ServerLimits {
        &self.limits
    }

    /// Whether an address may come at all: in the allow list if there is one, and not in the deny list.
    #[must_use]
    pub fn admits(&self, ip: std::net::IpAddr) -> bool {
        (self.allowed.is_empty() || self.allowed.contains(ip)) && !self.denied.contains(ip)
    }

    /// The bits of message 1019, with this state of the recorder.
    pub(crate) fn feature_bits(&self, recorder: RecorderState) -> ServerFeatures {
        let mut bits = self.features;
        if recorder != RecorderState::NotInitialised {
            bits = bits.with(ServerFeatures::RECORDER_DIRECTORY);
        }
        if recorder == RecorderState::Recording {
            bits = bits.with(ServerFeatures::RECORDING);
        }
        if !self.welcome.is_empty() {
            bits = bits.with(ServerFeatures::WELCOME_MESSAGE);
        }
        if self.licence == Licence::Required {
            bits = bits.with(ServerFeatures::LICENCE_REQUIRED);
        }
        bits
    }

    /// The welcome message as a chat text, with the prefix that clients recognise.
    pub(crate) fn welcome_line(&self) -> Option<ChatText> {
        (!self.welcome.is_empty())
            .then(|| ChatText::cut(&format!("{}{}", text::WELCOME_PREFIX, self.welcome())))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.allowed.memory_bytes()
            + self.denied.memory_bytes()
            + (self.allow.len() + self.deny.len()) * size_of::<IpNetwork>()
    }
}

/// Collects the values of a [`ServerConfig`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerConfigBuilder {
    channels_max: u16,
    welcome: String,
    name: String,
    city: String,
    country: Country,
    version: String,
    os: OsType,
    licence: Licence,
    recorder: RecorderState,
    features: ServerFeatures,
    gain_max: Gain,
    allow: Vec<IpNetwork>,
    deny: Vec<IpNetwork>,
    limits: ServerLimits,
}

impl ServerConfigBuilder {
    /// How many musicians can be connected: 1 to 150, default 10.
    pub fn channels_max(mut self, channels: u16) -> Self {
        self.channels_max = channels;
        self
    }

    /// A message for every newcomer; HTML is allowed, and what exceeds 1600 UTF-16 units is cut. Default none.
    pub fn welcome(mut self, text: impl Into<String>) -> Self {
        self.welcome = text.into();
        self
    }

    /// The name in directories, cut at 20 UTF-16 units.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The city in directories, cut at 20 UTF-16 units.
    pub fn city(mut self, city: impl Into<String>) -> Self {
        self.city = city.into();
        self
    }

    /// The country in directories.
    pub fn country(mut self, country: Country) -> Self {
        self.country = country;
        self
    }

    /// The version told to peers: at least 3.6.0, at most 30 UTF-16 units. Default [`DEFAULT_VERSION`].
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// The operating system told to peers. Default Linux.
    pub fn os(mut self, os: OsType) -> Self {
        self.os = os;
        self
    }

    /// Whether newcomers have to agree to the welcome message. Default no.
    pub fn licence(mut self, licence: Licence) -> Self {
        self.licence = licence;
        self
    }

    /// What the recorder is doing when the server starts. Default: there is none.
    pub fn recorder(mut self, state: RecorderState) -> Self {
        self.recorder = state;
        self
    }

    /// Switches features on, for instance `ServerFeatures::FAST_UPDATE`.
    ///
    /// Recorder, licence and welcome message show by themselves. Raw audio is on by default.
    /// `DISCONNECT_ON_QUIT` makes [`Command::Shutdown`](crate::server::Command::Shutdown) tell the clients.
    pub fn with(mut self, features: ServerFeatures) -> Self {
        self.features = self.features.with(features);
        self
    }

    /// Switches features off, for instance `ServerFeatures::RAW_AUDIO`.
    pub fn without(mut self, features: ServerFeatures) -> Self {
        self.features.0 &= !features.0;
        self
    }

    /// The loudest a musician may set another; what is above is lowered to it. Default 1.99997, all the wire can say.
    pub fn gain_max(mut self, gain: Gain) -> Self {
        self.gain_max = gain;
        self
    }

    /// Only these networks may come. Default: everybody.
    pub fn allow(mut self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        self.allow = networks.into_iter().collect();
        self
    }

    /// These networks may not come, even if allowed. Default: nobody.
    pub fn deny(mut self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        self.deny = networks.into_iter().collect();
        self
    }

    /// The bounds.
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that makes no sense.
    pub fn build(self) -> Result<Arc<ServerConfig>, ConfigError> {
        let channels = self.channels_max;
        let channels_max = u8::try_from(channels)
            .ok()
            .filter(|n| (1..=ChannelId::COUNT_MAX).contains(&usize::from(*n)))
            .ok_or(ConfigError::Channels { channels })?;
        let units = text::utf16_units(&self.version);
        if units > 30 {
            return Err(ConfigError::Version { units });
        }
        let version = VersionAndOs { os: self.os, version: VersionText::cut(&self.version) };
        if version.numbers() < [3, 6, 0] {
            return Err(ConfigError::VersionTooOld { version: self.version });
        }
        self.limits.check()?;
        let networks_max = self.limits.networks_max;
        for (list, networks) in [("allow", self.allow.len()), ("deny", self.deny.len())] {
            if networks > networks_max {
                return Err(ConfigError::TooManyNetworks { list, networks, networks_max });
            }
        }
        // These show by themselves, whatever the caller set.
        let derived = ServerFeatures::RECORDER_DIRECTORY
            .with(ServerFeatures::RECORDING)
            .with(ServerFeatures::WELCOME_MESSAGE)
            .with(ServerFeatures::LICENCE_REQUIRED);
        Ok(Arc::new(ServerConfig {
            channels_max,
            welcome: Text::cut(&self.welcome),
            name: ServerName::cut(&self.name),
            city: City::cut(&self.city),
            country: self.country,
            version,
            licence: self.licence,
            recorder: self.recorder,
            features: ServerFeatures(self.features.0 & !derived.0),
            gain_max: self.gain_max,
            allowed: self.allow.iter().copied().collect(),
            denied: self.deny.iter().copied().collect(),
            allow: self.allow.into(),
            deny: self.deny.into(),
            limits: self.limits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let build = |builder: ServerConfigBuilder| builder.build().map(|_| ()).unwrap_err();
        let new = ServerConfig::builder;
        assert_eq!(build(new().channels_max(0)), ConfigError::Channels { channels: 0 });
        assert_eq!(build(new().channels_max(151)), ConfigError::Channels { channels: 151 });
        assert_eq!(build(new().version("3".repeat(31))), ConfigError::Version { units: 31 });
        assert_eq!(build(new().version("3.5.9")), ConfigError::VersionTooOld { version: "3.5.9".into() });
        let limits = ServerLimits { probes_max: 0, ..ServerLimits::default() };
        assert_eq!(build(new().limits(limits)), ConfigError::ZeroLimit { limit: "probes_max" });
        let limits = ServerLimits { networks_max: 1, ..ServerLimits::default() };
        let two = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        assert_eq!(
            build(new().limits(limits).deny(two)),
            ConfigError::TooManyNetworks { list: "deny", networks: 2, networks_max: 1 }
        );
    }

    #[test]
    fn long_texts_are_cut_and_survive_a_rebuild() {
        let long = "ä".repeat(2_000);
        let config = ServerConfig::builder().welcome(&long).name(&long).city(&long).build().unwrap();
        let again = config.to_builder().build().unwrap();
        for config in [config, again] {
            assert_eq!(text::utf16_units(config.welcome()), 1_600);
            assert_eq!(text::utf16_units(config.name()), 20);
            assert_eq!(text::utf16_units(config.city()), 20);
            assert_eq!(config.welcome_line().map(|line| text::utf16_units(&line)), Some(1_631));
        }
    }

    #[test]
    fn feature_bits_follow_the_configuration() {
        let bits = |config: Arc<ServerConfig>, recorder| config.feature_bits(recorder).0;
        let plain = ServerConfig::builder().build().unwrap();
        assert_eq!(bits(plain, RecorderState::NotInitialised), 0x40);
        // As the development version answers with a welcome message (spec 2.4).
        let welcome = ServerConfig::builder().welcome("hi").with(ServerFeatures::IPV6).build().unwrap();
        assert_eq!(bits(Arc::clone(&welcome), RecorderState::NotInitialised), 0x160);
        assert_eq!(bits(Arc::clone(&welcome), RecorderState::NotEnabled), 0x164);
        assert_eq!(bits(welcome, RecorderState::Recording), 0x16C);
        let silent = ServerConfig::builder()
            .without(ServerFeatures::RAW_AUDIO)
            .with(ServerFeatures::RECORDING)
            .licence(Licence::Required)
            .build()
            .unwrap();
        assert_eq!(bits(silent, RecorderState::NotInitialised), 0x400);
    }

    #[test]
    fn the_deny_list_wins() {
        let nets = |text: &str| [text.parse::<IpNetwork>().unwrap()];
        let config =
            ServerConfig::builder().allow(nets("10.0.0.0/8")).deny(nets("10.0.0.0/24")).build().unwrap();
        for (ip, admitted) in [("10.1.0.1", true), ("10.0.0.1", false), ("192.0.2.1", false), ("::1", false)]
        {
            assert_eq!(config.admits(ip.parse().unwrap()), admitted, "{ip}");
        }
    }
}
