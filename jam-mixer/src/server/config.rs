//! Everything an owner decides about a jam server, in one place.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jam_proto::directory::{DirectoryLimits, ListFilter};
use jam_proto::message::{Licence, ServerFeatures};
use jam_proto::tables::Country;
use jam_proto::{ConfigError, ServerConfig, ServerConfigBuilder};

use crate::engine::{EngineConfig, TickLength};
use crate::load::OverloadConfig;

/// How musicians find the server.
#[derive(Clone, Debug, Default)]
pub enum ListingConfig {
    /// They know its address.
    #[default]
    Private,
    /// It registers with a directory.
    Register {
        /// `host` or `host:port` of the directory.
        directory: String,
        /// The server's own UDP port; 0 if the driver is to fill it in.
        port: u16,
        /// The address told to the directory for musicians of the same network; `None` if the driver is to find it.
        internal_address: Option<Ipv4Addr>,
    },
    /// It is a directory itself.
    Directory {
        /// The address that servers of its own network are known by outside of it.
        public_address: Option<Ipv4Addr>,
        /// Who may register.
        filter: ListFilter,
        /// Bounds.
        limits: DirectoryLimits,
    },
}

/// Everything an owner decides about a jam server. Made by [`JamConfig::builder`].
///
/// ```
/// use jam_mixer::JamConfig;
///
/// let config = JamConfig::builder().channels_max(20).fast_update(true).welcome("Have fun").build()?;
/// assert_eq!(config.protocol.channels_max(), 20);
/// assert_eq!(config.engine.tick.samples(), 64);
/// # Ok::<(), jam_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JamConfig {
    /// Who may come and what they are told.
    pub protocol: Arc<ServerConfig>,
    /// Tick, jitter buffers, groups.
    pub engine: EngineConfig,
    /// How musicians find the server.
    pub listing: ListingConfig,
    /// When newcomers are refused.
    pub overload: OverloadConfig,
}

impl JamConfig {
    /// A private server for 10 musicians with ticks of 128 samples.
    pub fn builder() -> JamConfigBuilder {
        JamConfigBuilder {
            protocol: ServerConfig::builder(),
            engine: EngineConfig::default(),
            listing: ListingConfig::default(),
            overload: OverloadConfig::default(),
        }
    }
}

/// Collects the values of a [`JamConfig`].
#[derive(Clone, Debug)]
#[must_use]
pub struct JamConfigBuilder {
    protocol: ServerConfigBuilder,
    engine: EngineConfig,
    listing: ListingConfig,
    overload: OverloadConfig,
}

impl JamConfigBuilder {
    /// How many musicians can be connected: 1 to 150, default 10.
    pub fn channels_max(self, channels: u16) -> Self {
        self.protocol(|p| p.channels_max(channels))
    }

    /// A message for every newcomer; HTML is allowed, and what exceeds 1600 UTF-16 units is cut. Default none.
    pub fn welcome(self, text: impl Into<String>) -> Self {
        self.protocol(|p| p.welcome(text))
    }

    /// Name, city and country shown in server lists; name and city are cut at 20 UTF-16 units.
    pub fn info(self, name: impl Into<String>, city: impl Into<String>, country: Country) -> Self {
        self.protocol(|p| p.name(name).city(city).country(country))
    }

    /// Whether newcomers have to agree to the welcome message. Default no.
    pub fn licence_required(self, required: bool) -> Self {
        self.protocol(|p| p.licence(if required { Licence::Required } else { Licence::None }))
    }

    /// Ticks of 64 instead of 128 samples: 1.3 ms less delay for more work. Default off.
    pub fn fast_update(mut self, fast: bool) -> Self {
        self.engine.tick = if fast { TickLength::Samples64 } else { TickLength::Samples128 };
        self.feature(ServerFeatures::FAST_UPDATE, fast)
    }

    /// Pan by delay instead of level (spec 5.7). Default off.
    pub fn delay_panning(mut self, on: bool) -> Self {
        self.engine.delay_panning = on;
        self.feature(ServerFeatures::DELAY_PANNING, on)
    }

    /// Whether clients are told that they may send uncompressed audio. Default on.
    pub fn raw_audio(self, on: bool) -> Self {
        self.feature(ServerFeatures::RAW_AUDIO, on)
    }

    /// Whether clients are disconnected when the server stops, instead of waiting for it to come back. Default off.
    pub fn disconnect_on_quit(self, on: bool) -> Self {
        self.feature(ServerFeatures::DISCONNECT_ON_QUIT, on)
    }

    /// How musicians find the server. Default: they know its address.
    pub fn listing(self, listing: ListingConfig) -> Self {
        Self { listing, ..self }
    }

    /// When newcomers are refused because the machine is at its limit.
    pub fn overload(self, overload: OverloadConfig) -> Self {
        Self { overload, ..self }
    }

    /// Whatever else the protocol side has settings for.
    pub fn protocol(self, change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder) -> Self {
        Self { protocol: change(self.protocol), ..self }
    }

    /// Whatever else the audio side has settings for.
    pub fn engine(mut self, change: impl FnOnce(&mut EngineConfig)) -> Self {
        change(&mut self.engine);
        self
    }

    fn feature(self, feature: ServerFeatures, on: bool) -> Self {
        self.protocol(|p| if on { p.with(feature) } else { p.without(feature) })
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the value that makes no sense.
    pub fn build(self) -> Result<JamConfig, ConfigError> {
        Ok(JamConfig {
            protocol: self.protocol.build()?,
            engine: self.engine,
            listing: self.listing,
            overload: self.overload,
        })
    }
}

/// What stays as it was started, whatever a reload says: the engine, its threads and the sockets go on as they are, and
/// clients must be told what is true of them. An offer of raw audio to a server that takes none would be noise.
const LASTING: [ServerFeatures; 6] = [
    ServerFeatures::FAST_UPDATE,
    ServerFeatures::MULTITHREADING,
    ServerFeatures::DELAY_PANNING,
    ServerFeatures::IPV6,
    ServerFeatures::RAW_AUDIO,
    ServerFeatures::LOGGING,
];

/// `config` with the lasting features of the configuration that runs.
pub(super) fn with_features_of(config: Arc<ServerConfig>, running: &ServerConfig) -> Arc<ServerConfig> {
    if LASTING.iter().all(|&feature| config.has(feature) == running.has(feature)) {
        return config;
    }
    let builder = LASTING.iter().fold(config.to_builder(), |builder, &feature| {
        if running.has(feature) { builder.with(feature) } else { builder.without(feature) }
    });
    // Cannot fail: features are not checked, and everything else has been.
    builder.build().unwrap_or(config)
}
