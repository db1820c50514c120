//! Commands of the server.

use std::time::Instant;

use super::{
    CONNECT, CREATE_STREAM, ClientConnection, ClientEvent, FC_PUBLISH, PUBLISH, Phase, Purpose,
    RELEASE_STREAM,
};
use crate::amf::amf0::Value;
use crate::chunk::CHUNK_SIZE_MAX;
use crate::config::AnnouncePublish;
use crate::error::ConnectionError;
use crate::message::{Command, Control, Level, Status, UserControl, status};

impl ClientConnection {
    pub(super) fn handle_command(&mut self, now: Instant, command: Command) -> Result<(), ConnectionError> {
        match command.name.as_bytes() {
            b"_result" => self.on_result(now, &command)?,
            b"_error" => self.on_error(&command),
            b"onStatus" => self.on_status(now, &command),
            // The server's side notes; publishers get `onStatus` as well.
            b"onBWDone" | b"onFCPublish" | b"onFCUnpublish" | b"onFCSubscribe" | b"_checkbw" => {}
            b"close" => self.become_closing(),
            _ => {
                // Some origins redirect in a call with a name of their own.
                match find_status(&command).filter(|status| status.redirect_url().is_some()) {
                    Some(status) => self.redirect(status),
                    None => {
                        self.link.stats.commands_unknown += 1;
                        self.events.push_back(ClientEvent::Command(Box::new(command)));
                    }
                }
            }
        }
        Ok(())
    }

    fn on_result(&mut self, now: Instant, command: &Command) -> Result<(), ConnectionError> {
        match self.phase {
            Phase::Connecting if is(command.transaction, CONNECT) => {
                let accepted = || Status::ok(status::code::CONNECT_SUCCESS, "");
                let status = find_status(command).unwrap_or_else(accepted);
                if status.level == Level::Error {
                    self.refuse(status);
                    return Ok(());
                }
                self.events.push_back(ClientEvent::Connected(Box::new(status)));
                self.send_create_stream()?;
                self.phase = Phase::Creating;
                self.wait_for_answer(now, self.link.config.timeouts.connect);
            }
            Phase::Creating if is(command.transaction, CREATE_STREAM) => {
                // A server that forgets the number means the usual one.
                let msid = command.argument(0).and_then(Value::as_number).map_or(1, |msid| msid as u32);
                self.send_request(msid)?;
                self.phase = Phase::Starting { msid };
                self.wait_for_answer(now, self.link.config.timeouts.request);
            }
            // Results of calls nobody waits for, or of calls never made.
            _ => {}
        }
        Ok(())
    }

    fn on_error(&mut self, command: &Command) {
        let awaited = match self.phase {
            Phase::Connecting => is(command.transaction, CONNECT),
            Phase::Creating => is(command.transaction, CREATE_STREAM),
            Phase::Starting { .. } => is(command.transaction, PUBLISH),
            _ => false,
        };
        let refusal = || Status::error(status::code::CALL_FAILED, "refused without a reason");
        let status = find_status(command);
        // Servers may refuse `releaseStream` and `FCPublish`; that means nothing.
        if awaited || status.as_ref().is_some_and(|status| status.redirect_url().is_some()) {
            self.refuse(status.unwrap_or_else(refusal));
        }
    }

    fn on_status(&mut self, now: Instant, command: &Command) {
        let Some(status) = find_status(command) else { return };
        if &*status.code == status::code::CONNECT_RECONNECT {
            let url = status.redirect_url().map(str::to_owned);
            self.events.push_back(ClientEvent::ReconnectRequested { url });
            return;
        }
        if status.redirect_url().is_some() {
            self.redirect(status);
            return;
        }
        let running = matches!(self.phase, Phase::Running { .. });
        if status.level == Level::Error {
            if running {
                self.events.push_back(ClientEvent::Ended(Box::new(status)));
            } else {
                self.refuse(status);
            }
            return;
        }
        match &*status.code {
            status::code::PUBLISH_START if self.is_publishing() => self.start_running(now),
            status::code::PLAY_START | status::code::PLAY_PUBLISH_NOTIFY if !self.is_publishing() => {
                self.start_running(now);
            }
            status::code::PLAY_UNPUBLISH_NOTIFY
            | status::code::PLAY_STOP
            | status::code::PLAY_COMPLETE
            | status::code::UNPUBLISH_SUCCESS
            | status::code::CONNECT_CLOSED => {
                self.events.push_back(ClientEvent::Ended(Box::new(status)));
            }
            _ => self.events.push_back(ClientEvent::Status(Box::new(status))),
        }
    }

    /// The server accepted; only the first sign of it counts.
    pub(super) fn start_running(&mut self, now: Instant) {
        let Phase::Starting { msid } = self.phase else { return };
        self.phase = Phase::Running { msid };
        if self.is_publishing() {
            self.deadline = None;
            self.events.push_back(ClientEvent::PublishAccepted);
        } else {
            self.wait_for_media(now, self.link.config.timeouts.first_media);
            self.events.push_back(ClientEvent::PlayStarted);
        }
    }

    fn refuse(&mut self, status: Status) {
        if status.redirect_url().is_some() {
            self.redirect(status);
            return;
        }
        self.events.push_back(ClientEvent::Refused(Box::new(status)));
        self.become_closing();
    }

    fn redirect(&mut self, status: Status) {
        let url = status.redirect_url().unwrap_or_default().to_owned();
        self.events.push_back(ClientEvent::Redirected { url, status: Box::new(status) });
        self.become_closing();
    }

    fn send_create_stream(&mut self) -> Result<(), ConnectionError> {
        let size = self.link.config.chunk_size.clamp(1, CHUNK_SIZE_MAX);
        self.link.send_control(&Control::SetChunkSize(size));
        if self.is_publishing() && self.link.config.announce_publish == AnnouncePublish::Announce {
            let name = self.target.stream.as_str();
            self.link.send_command(&Command::new("releaseStream", RELEASE_STREAM).with(name), 0)?;
            self.link.send_command(&Command::new("FCPublish", FC_PUBLISH).with(name), 0)?;
        }
        self.link.send_command(&Command::new("createStream", CREATE_STREAM), 0)?;
        Ok(())
    }

    fn send_request(&mut self, msid: u32) -> Result<(), ConnectionError> {
        let name = self.target.stream.as_str();
        match self.target.purpose {
            Purpose::Publish(kind) => {
                let command = Command::new("publish", PUBLISH).with(name).with(kind.as_str());
                self.link.send_command(&command, msid)?;
            }
            Purpose::Play => {
                // Media may follow at once, so its bounds are set before the request leaves.
                self.link.expect_media();
                self.link.send_command(&Command::new("play", 0.0).with(name), msid)?;
                let millis = self.link.config.buffer_millis;
                self.link.send_user_control(UserControl::SetBufferLength { msid, millis });
            }
        }
        Ok(())
    }
}

/// The information object of a reply or status, wherever the server put it.
fn find_status(command: &Command) -> Option<Status> {
    let values = command.arguments.iter().chain([&command.object]);
    values.filter_map(Status::from_value).next()
}

/// Transactions are small whole numbers in doubles.
fn is(transaction: f64, expected: f64) -> bool {
    (transaction - expected).abs() < 0.5
}
