//! What the main loop and the remote control share: the ways to command the server, and what they know of it.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jam_mixer::server::{Command, ListingConfig};
use jam_mixer::tokio::{Control, MusicianInfo, OrderError, RecorderHandle};
use jam_proto::directory::RegistrationStatus;
use jam_proto::server::Event;
use jam_proto::{ServerConfig, ServerConfigBuilder};
use serde_json::json;
use tokio::sync::mpsc::WeakSender;

use crate::rpc::{chat, notification};
use crate::settings::{DirectoryChoice, Settings};

/// Commands a running server on behalf of whoever may. Cheap to share.
#[derive(Debug)]
pub(crate) struct Office {
    control: Control,
    tick_period: Duration,
    recorder: RecorderHandle,
    /// The configuration in force. Held while it changes: two changes at once must not undo each other.
    config: tokio::sync::Mutex<Arc<ServerConfig>>,
    /// One list of musicians is made at a time, whoever asks: it costs the audio thread a little.
    counting: tokio::sync::Mutex<()>,
    listing: Mutex<Listing>,
    /// Programs that want to know what happens; the remote control bounds their number.
    listeners: Mutex<Vec<WeakSender<String>>>,
}

#[derive(Debug)]
struct Listing {
    directory: Option<DirectoryChoice>,
    config: ListingConfig,
    status: RegistrationStatus,
}

impl Office {
    pub(crate) fn new(control: Control, recorder: RecorderHandle, settings: &Settings) -> Self {
        Self {
            control,
            tick_period: Duration::from_secs(settings.config.engine.tick.samples() as u64) / 48_000,
            recorder,
            config: tokio::sync::Mutex::new(Arc::clone(&settings.config.protocol)),
            counting: tokio::sync::Mutex::default(),
            listing: Mutex::new(Listing {
                directory: settings.directory.clone(),
                config: settings.config.listing.clone(),
                status: RegistrationStatus::default(),
            }),
            listeners: Mutex::default(),
        }
    }

    /// The length of a tick.
    pub(crate) const fn tick_period(&self) -> Duration {
        self.tick_period
    }

    pub(crate) const fn recorder(&self) -> &RecorderHandle {
        &self.recorder
    }

    pub(crate) async fn command(&self, command: Command) -> Result<(), OrderError> {
        self.control.command(command).await
    }

    pub(crate) async fn musicians(&self) -> Result<Vec<MusicianInfo>, OrderError> {
        let _turn = self.counting.lock().await;
        self.control.musicians().await
    }

    /// The configuration in force.
    pub(crate) async fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&*self.config.lock().await)
    }

    /// Puts another configuration in force.
    pub(crate) async fn replace_config(&self, config: Arc<ServerConfig>) -> Result<(), OrderError> {
        let mut current = self.config.lock().await;
        self.command(Command::Reload(Arc::clone(&config))).await?;
        *current = config;
        Ok(())
    }

    /// Changes something of the configuration in force.
    pub(crate) async fn reconfigure(
        &self,
        change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
    ) -> Result<(), String> {
        let mut current = self.config.lock().await;
        let config = change(current.to_builder()).build().map_err(text)?;
        self.command(Command::Reload(Arc::clone(&config))).await.map_err(text)?;
        *current = config;
        Ok(())
    }

    /// The directory, and where the registration stands.
    pub(crate) fn listing(&self) -> (Option<DirectoryChoice>, RegistrationStatus) {
        let listing = lock(&self.listing);
        (listing.directory.clone(), listing.status)
    }

    /// Leaves the server list it is on, and goes onto another one if there is a choice.
    ///
    /// # Errors
    ///
    /// A server does not begin or cease to be a directory while it runs.
    pub(crate) async fn register_with(&self, choice: Option<DirectoryChoice>) -> Result<(), String> {
        let config = {
            let listing = lock(&self.listing);
            let own = Some(&DirectoryChoice::Own);
            if choice.as_ref() == own || listing.directory.as_ref() == own {
                return Err("becoming a directory, or ceasing to be one, takes a restart".to_owned());
            }
            listing_at(&listing.config, choice.as_ref())
        };
        self.command(Command::List(config.clone())).await.map_err(text)?;
        let mut listing = lock(&self.listing);
        listing.directory = choice;
        listing.config = config;
        Ok(())
    }

    /// From now on this program is told what happens.
    pub(crate) fn tell_from_now_on(&self, listener: WeakSender<String>) {
        lock(&self.listeners).push(listener);
    }

    /// Takes notice of what happened in the jam.
    pub(crate) fn handle_event(&self, event: &Event) {
        match event {
            Event::Registration(status) => lock(&self.listing).status = *status,
            Event::Joined { channel, addr, connected } => self.tell(&notification(
                "jamulusserver/clientConnected",
                json!({
                    "id": channel.number(),
                    "address": addr.ip().to_canonical().to_string(),
                    "totalChannels": connected,
                }),
            )),
            Event::Left { channel, .. } => self
                .tell(&notification("jamulusserver/clientDisconnected", json!({ "id": channel.number() }))),
            Event::Chat { channel, line } => self.tell(&chat(channel.number().into(), line)),
            _ => {}
        }
    }

    /// Tells every listening program. One that does not read misses it; one that has gone is forgotten.
    pub(crate) fn tell(&self, line: &str) {
        lock(&self.listeners).retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            let _ = listener.try_send(line.to_owned());
            true
        });
    }
}

/// The same server on another list, or on none.
fn listing_at(now: &ListingConfig, choice: Option<&DirectoryChoice>) -> ListingConfig {
    let Some(choice) = choice else { return ListingConfig::Private };
    let internal_address = match now {
        ListingConfig::Register { internal_address, .. } => *internal_address,
        _ => None,
    };
    ListingConfig::Register { directory: choice.to_string(), port: 0, internal_address }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
