//! What the owner wants.

use std::sync::Arc;
use std::time::Instant;

use super::{Admission, Command, LeaveReason, Server, all_ids};
use crate::config::ServerConfig;
use crate::directory::RegistrarCommand;
use crate::error::CommandError;
use crate::message::{ChatText, Message, RecorderState, ServerFeatures};
use crate::types::{ChannelId, JitterSize};

impl Server {
    /// Does what the owner wants.
    ///
    /// # Errors
    /// [`CommandError`] if it cannot be done; nothing has changed then.
    pub fn command(&mut self, now: Instant, command: Command<'_>) -> Result<(), CommandError> {
        let outputs = self.outputs.len();
        if outputs >= self.limits().outputs_max {
            return Err(CommandError::OutputsWaiting { outputs });
        }
        match command {
            Command::JitterSize { channel, blocks } => self.announce_jitter(channel, blocks)?,
            Command::Levels(levels) => {
                let (given, connected) = (levels.len(), self.connected());
                if given != connected {
                    return Err(CommandError::LevelCount { given, connected });
                }
                self.send_levels(levels);
            }
            Command::Recorder(state) => self.set_recorder(state),
            Command::LocalTime(time) => self.local_time = (now, time),
            Command::Broadcast(text) => {
                let text = ChatText::new(text)?;
                self.chat_to_all(&text);
            }
            Command::PrivateChat { channel, text } => {
                let text = ChatText::new(text)?;
                self.existing(channel)?;
                let body = Message::Chat(text).body(&mut self.writer);
                self.chat_to(channel, body);
            }
            Command::Disconnect(channel) => {
                self.existing(channel)?;
                self.remove(now, channel, LeaveReason::Removed);
            }
            Command::Admission(admission) => self.admission = admission,
            Command::Ban { network, duration } => {
                let until = duration.and_then(|duration| now.checked_add(duration));
                let bans_max = self.limits().bans_max;
                if !self.bans.add(now, network, until, bans_max) {
                    return Err(CommandError::TooManyBans { bans_max });
                }
                self.dirty.snapshot = true;
                self.remove_unwelcome(now);
            }
            Command::Unban(network) => {
                self.bans.remove(network);
                self.dirty.snapshot = true;
            }
            Command::Registrar(command) => self.on_registrar_command(now, command),
            Command::Resolved(address) => self.on_resolved(now, address),
            Command::Directory(command) => self.on_directory_command(command),
            Command::Reload(config) => self.reload(now, config),
            Command::Shutdown => {
                self.admission = Admission::Closed;
                self.on_registrar_command(now, RegistrarCommand::Stop);
                let tell = self.config.has(ServerFeatures::DISCONNECT_ON_QUIT);
                for id in all_ids() {
                    if tell {
                        self.remove(now, id, LeaveReason::Shutdown);
                    } else {
                        self.leave(now, id, LeaveReason::Shutdown);
                    }
                }
            }
        }
        self.settle(now);
        Ok(())
    }

    fn existing(&self, channel: ChannelId) -> Result<(), CommandError> {
        self.channel(channel).map(|_| ()).ok_or(CommandError::NoSuchChannel(channel))
    }

    fn announce_jitter(&mut self, id: ChannelId, blocks: u8) -> Result<(), CommandError> {
        let Some(size @ JitterSize::Blocks(_)) = JitterSize::from_wire(u16::from(blocks)) else {
            return Err(CommandError::JitterBlocks { blocks });
        };
        let channel = self.channel_mut(id).ok_or(CommandError::NoSuchChannel(id))?;
        channel.news.jitter = Some(size);
        self.talk_to(id);
        Ok(())
    }

    fn set_recorder(&mut self, state: RecorderState) {
        if self.recorder == state {
            return;
        }
        self.recorder = state;
        self.dirty.snapshot = true;
        for channel in self.channels.iter_mut().flatten() {
            channel.note_recorder();
            self.dirty.talk.set(channel.id, true);
        }
    }

    fn reload(&mut self, now: Instant, config: Arc<ServerConfig>) {
        self.responder.reload(&config);
        self.config = config;
        self.dirty.snapshot = true;
        self.remove_unwelcome(now);
        // Something may be due earlier now.
        self.wake_at(Some(now));
    }

    fn remove_unwelcome(&mut self, now: Instant) {
        for id in all_ids() {
            if self.channel(id).is_some_and(|channel| !self.admits(now, channel.addr.ip())) {
                self.remove(now, id, LeaveReason::Banned);
            }
        }
    }
}
