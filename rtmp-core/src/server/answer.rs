//! Answers of the owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::RequestId;
use super::request::Request;
use super::{Phase, Play, ServerConnection};
use crate::Timestamp;
use crate::amf::amf0::Value;
use crate::amf::{AmfError, Object};
use crate::chunk::{CSID_STREAM, Message, MessageType};
use crate::config::BandwidthDone;
use crate::error::{CommandError, Waiting};
use crate::message::{Capabilities, Command, PauseState, SAMPLE_ACCESS, Status, UserControl, status};

/// What shipped servers call themselves; players only look at its form.
const SERVER_VERSION: &str = "FMS/3,5,3,888";
const SERVER_CAPABILITIES: u32 = 127;

impl ServerConnection {
    /// Says yes to an open request. Then call `handle_input` again, input may be waiting.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownRequest`] when it has been answered already, or the connection is closing.
    pub fn accept(&mut self, now: Instant, request: RequestId) -> Result<(), CommandError> {
        match self.take_request(request)? {
            Request::Connect { transaction, object_encoding, capabilities } => {
                self.accept_connect(transaction, object_encoding, capabilities)?;
                self.phase = Phase::Open;
                self.wait_for(now, Waiting::Request, self.link.config.timeouts.request);
            }
            Request::Publish { msid } => {
                self.accept_publish(msid)?;
                self.phase = Phase::Publishing { msid };
                self.link.expect_media();
                self.wait_for_media(now, self.link.config.timeouts.first_media);
            }
            Request::Play { msid, name, duration } => {
                self.accept_play(now, msid, &name, duration)?;
            }
        }
        Ok(())
    }

    /// Says no to an open request: the status goes out, then the connection closes.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownRequest`] when it has been answered already; when the status cannot be written.
    pub fn reject(&mut self, request: RequestId, status: &Status) -> Result<(), CommandError> {
        let request = self.take_request(request)?;
        Ok(self.refuse(&request, status)?)
    }

    /// Writes the refusal and closes.
    pub(super) fn refuse(&mut self, request: &Request, status: &Status) -> Result<(), AmfError> {
        let written = match request {
            Request::Connect { transaction, .. } => {
                let mut command = Command::new("_error", *transaction).with(status.to_value());
                command.object = Value::Object(Object::new().with("fmsVer", SERVER_VERSION));
                self.link.send_command(&command, 0)
            }
            Request::Publish { msid } | Request::Play { msid, .. } => self.put_status(status, *msid),
        };
        self.become_closing();
        written
    }

    fn take_request(&mut self, wanted: RequestId) -> Result<Request, CommandError> {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Asking { id, request } if id == wanted => Ok(*request),
            other => {
                self.phase = other;
                Err(CommandError::UnknownRequest)
            }
        }
    }

    fn accept_connect(
        &mut self,
        transaction: f64,
        object_encoding: f64,
        capabilities: Option<Capabilities>,
    ) -> Result<(), AmfError> {
        self.link.announce();
        let mut properties = Object::new()
            .with("fmsVer", SERVER_VERSION)
            .with("capabilities", SERVER_CAPABILITIES)
            .with("mode", 1_u32);
        let data = Object::new().with("version", "3,5,3,888");
        let mut info = Status::ok(status::code::CONNECT_SUCCESS, "Connection succeeded")
            .with("objectEncoding", object_encoding)
            .with("data", Value::EcmaArray(data));
        if capabilities.is_some() {
            // The document leaves open which of the two objects peers look at (spec 8.4).
            for (key, value) in Capabilities::relay_properties() {
                properties.push(key.clone(), value.clone());
                info.extra.push(key, value);
            }
        }
        let mut result = Command::new("_result", transaction).with(info.to_value());
        result.object = Value::Object(properties);
        self.link.send_command(&result, 0)?;
        if self.link.config.bandwidth_done == BandwidthDone::Send {
            self.link.send_command(&Command::new("onBWDone", 0.0), 0)?;
        }
        Ok(())
    }

    fn accept_publish(&mut self, msid: u32) -> Result<(), AmfError> {
        let started = "Started publishing stream.";
        if self.session.fc_publish {
            let notice = Object::new().with("code", status::code::PUBLISH_START).with("description", started);
            self.link.send_command(&Command::new("onFCPublish", 0.0).with(notice), msid)?;
        }
        self.put_status(&Status::ok(status::code::PUBLISH_START, started), msid)
    }

    fn accept_play(
        &mut self,
        now: Instant,
        msid: u32,
        name: &Arc<str>,
        duration: Option<Duration>,
    ) -> Result<(), AmfError> {
        // Players get their stream's name back without the query, which may hold secrets.
        let details = name.split(['?', '#']).next().unwrap_or_default();
        self.link.send_user_control(UserControl::StreamBegin(msid));
        for (code, description) in [
            (status::code::PLAY_RESET, "Playing and resetting stream."),
            (status::code::PLAY_START, "Started playing stream."),
        ] {
            self.put_status(&Status::ok(code, description).with("details", details), msid)?;
        }
        self.link.send(&Message {
            csid: CSID_STREAM,
            timestamp: Timestamp::ZERO,
            kind: MessageType::DATA,
            msid,
            payload: bytes::Bytes::from_static(SAMPLE_ACCESS),
        });
        self.phase = Phase::Playing(Play {
            msid,
            state: PauseState::Playing,
            audio: true,
            video: true,
            ends: duration.and_then(|duration| now.checked_add(duration)),
        });
        self.link.expect_no_media();
        self.deadline = None;
        Ok(())
    }
}
