//! Commands of the peer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::{EndReason, PublishStyle, RequestId, ServerEvent};
use super::{Phase, STREAM_MSID, ServerConnection, Session};
use crate::amf::amf0::Value;
use crate::amf::{Object, Text};
use crate::chunk::CSID_COMMAND;
use crate::error::{ConnectionError, LimitExceeded, LimitKind, Waiting};
use crate::message::{
    Call, Capabilities, Command, Connect, PauseState, PlayArguments, PublishKind, Status, UserControl, status,
};
use crate::url::NameFault;
use crate::{DEFAULT_VHOST, MediaKind};

/// A question to the owner, with what its answer needs.
#[derive(Debug)]
pub(super) enum Request {
    Connect { transaction: f64, object_encoding: f64, capabilities: Option<Capabilities> },
    Publish { msid: u32 },
    Play { msid: u32, name: Arc<str>, duration: Option<Duration> },
}

impl ServerConnection {
    pub(super) fn handle_command(
        &mut self,
        now: Instant,
        command: Command,
        msid: u32,
    ) -> Result<(), ConnectionError> {
        let call = Call::from_command(&command);
        if let Phase::Opening = self.phase {
            return match call {
                Call::Connect(connect) => self.on_connect(*connect, command.transaction),
                // Nothing else makes sense before `connect`; the deadline ends those who never send it.
                _ => {
                    self.link.stats.commands_unknown += 1;
                    Ok(())
                }
            };
        }
        match call {
            Call::CreateStream => self.on_create_stream(&command)?,
            Call::ReleaseStream(_) => {
                self.session.introduce();
                self.reply(&command, Value::Undefined, 0)?;
            }
            Call::FcPublish(_) => {
                self.session.fc_publish = true;
                self.session.introduce();
                self.reply(&command, Value::Undefined, 0)?;
            }
            Call::FcUnpublish(_) => self.on_fc_unpublish(now, &command, msid)?,
            Call::GetStreamLength(_) => self.reply(&command, 0.0, 0)?,
            Call::Publish { name, kind } => self.on_publish(now, name, kind, msid)?,
            Call::Play(arguments) => self.on_play(now, arguments, msid)?,
            Call::Pause { state, .. } => self.on_pause(state)?,
            Call::ReceiveAudio(wanted) => self.on_receive(MediaKind::Audio, wanted),
            Call::ReceiveVideo(wanted) => self.on_receive(MediaKind::Video, wanted),
            Call::DeleteStream(_) | Call::CloseStream => self.end(now, EndReason::Peer),
            Call::Close => self.become_closing(),
            // Live streams have one position, and an error status would stop shipped players.
            Call::Seek { .. } => {}
            // Measured servers ignore these; clients do not wait.
            Call::FcSubscribe(_) | Call::CheckBandwidth => {}
            Call::Connect(_) | Call::Other => {
                self.link.stats.commands_unknown += 1;
                if command.transaction > 0.0 && !is_reply(&command) {
                    self.reply(&command, Value::Null, msid)?;
                }
                self.events.push_back(ServerEvent::Command(Box::new(command)));
            }
        }
        self.limit_pause(now);
        Ok(())
    }

    /// While a viewer pauses, its next command has to come in time.
    fn limit_pause(&mut self, now: Instant) {
        let Phase::Playing(play) = &self.phase else { return };
        let after = self.link.config.timeouts.paused.filter(|_| play.state == PauseState::Paused);
        self.deadline = after.map(|after| (now + after, Waiting::Resume, after));
    }

    fn on_connect(&mut self, mut connect: Connect, transaction: f64) -> Result<(), ConnectionError> {
        let limits = &self.link.config.limits;
        if connect.tc_url.is_empty() {
            let app = connect.app.to_string_lossy();
            connect.tc_url = format!("rtmp://{DEFAULT_VHOST}/{app}").into();
        }
        let fault = if connect.tc_url.len() > limits.tc_url_bytes_max {
            Some("tcUrl is too long".to_owned())
        } else if connect.app.len() > limits.app_bytes_max {
            Some("app is too long".to_owned())
        } else if connect.tc_url.to_str().is_none_or(|url| url.chars().any(char::is_control)) {
            Some("tcUrl has control characters".to_owned())
        } else {
            match connect.app.to_str() {
                Some(app) => NameFault::of_whole(app, limits.app_bytes_max, limits.app_bytes_max)
                    .map(|fault| fault.to_string()),
                None => Some("app is not UTF-8".to_owned()),
            }
        };
        let request = Request::Connect {
            transaction,
            object_encoding: connect.object_encoding,
            capabilities: connect.capabilities.clone(),
        };
        if let Some(fault) = fault {
            return self.refuse_unasked(&request, Status::error(status::code::CONNECT_REJECTED, fault));
        }
        self.session.follows_reconnects =
            connect.capabilities.as_ref().is_some_and(|caps| caps.has(Capabilities::RECONNECT));
        let request = self.ask(request);
        self.events.push_back(ServerEvent::ConnectRequested { request, connect: Box::new(connect) });
        Ok(())
    }

    /// Refuses what cannot be asked for; the owner hears of it, too.
    fn refuse_unasked(&mut self, request: &Request, status: Status) -> Result<(), ConnectionError> {
        self.events.push_back(ServerEvent::Refused(status.clone()));
        Ok(self.refuse(request, &status)?)
    }

    fn on_create_stream(&mut self, command: &Command) -> Result<(), ConnectionError> {
        let limit = self.link.config.limits.create_streams_max;
        if self.session.streams_created >= limit {
            return Err(LimitExceeded::new(LimitKind::CreateStreams, limit).into());
        }
        self.session.streams_created += 1;
        self.session.style.get_or_insert(PublishStyle::Flash);
        Ok(self.reply(command, f64::from(STREAM_MSID), 0)?)
    }

    fn on_publish(
        &mut self,
        now: Instant,
        name: Option<Text>,
        kind: PublishKind,
        msid: u32,
    ) -> Result<(), ConnectionError> {
        self.end(now, EndReason::Replaced);
        let style = self.session.style.take().unwrap_or(PublishStyle::Flash);
        let name = self.check_name(name);
        let (name, fault) = match name {
            Ok(name) => (name, None),
            Err(fault) => ("".into(), Some(fault)),
        };
        let request = Request::Publish { msid };
        if let Some(fault) = fault {
            return self.refuse_unasked(&request, Status::error(status::code::PUBLISH_BAD_NAME, fault));
        }
        let request = self.ask(request);
        self.events.push_back(ServerEvent::PublishRequested { request, name, kind, style });
        Ok(())
    }

    fn on_play(&mut self, now: Instant, arguments: PlayArguments, msid: u32) -> Result<(), ConnectionError> {
        self.end(now, EndReason::Replaced);
        self.session.style = None;
        if arguments.name.is_none() {
            // Flash players stop with `play(false)`.
            return Ok(());
        }
        let (name, fault) = match self.check_name(arguments.name) {
            Ok(name) => (name, None),
            Err(fault) => ("".into(), Some(fault)),
        };
        let duration = arguments.duration_millis.filter(|&millis| millis > 0.0);
        // A duration beyond what fits is no limit at all.
        let duration = duration.and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok());
        let request = Request::Play { msid, name: Arc::clone(&name), duration };
        if let Some(fault) = fault {
            return self.refuse_unasked(&request, Status::error(status::code::PLAY_STREAM_NOT_FOUND, fault));
        }
        let request = self.ask(request);
        self.events.push_back(ServerEvent::PlayRequested { request, name, start: arguments.start });
        Ok(())
    }

    fn on_pause(&mut self, state: PauseState) -> Result<(), ConnectionError> {
        let Phase::Playing(play) = &mut self.phase else { return Ok(()) };
        play.state = state;
        let msid = play.msid;
        let (status, event) = match state {
            PauseState::Paused => {
                (Status::ok(status::code::PAUSE_NOTIFY, "Paused stream."), UserControl::StreamEof(msid))
            }
            PauseState::Playing => {
                (Status::ok(status::code::UNPAUSE_NOTIFY, "Unpaused stream."), UserControl::StreamBegin(msid))
            }
        };
        self.put_status(&status, msid)?;
        self.link.send_user_control(event);
        self.events.push_back(ServerEvent::Pause(state));
        Ok(())
    }

    fn on_receive(&mut self, kind: MediaKind, wanted: bool) {
        let Phase::Playing(play) = &mut self.phase else { return };
        match kind {
            MediaKind::Audio => play.audio = wanted,
            _ => play.video = wanted,
        }
        self.events.push_back(ServerEvent::Receive { kind, wanted });
    }

    /// Ends a publish the way encoders expect: notice, result, status.
    fn on_fc_unpublish(&mut self, now: Instant, command: &Command, msid: u32) -> Result<(), ConnectionError> {
        let Phase::Publishing { msid: stream } = self.phase else {
            return Ok(self.reply(command, Value::Undefined, msid)?);
        };
        let notice = Object::new()
            .with("code", status::code::UNPUBLISH_SUCCESS)
            .with("description", "Stop publishing stream.");
        self.link.send_command(&Command::new("onFCUnpublish", 0.0).with(notice), stream)?;
        self.reply(command, Value::Undefined, stream)?;
        self.put_status(&Status::ok(status::code::UNPUBLISH_SUCCESS, "Stream is now unpublished"), stream)?;
        self.end(now, EndReason::Peer);
        Ok(())
    }

    /// Ends what is running, if anything.
    fn end(&mut self, now: Instant, reason: EndReason) {
        if self.msid().is_some() {
            self.session.fc_publish = false;
            self.events.push_back(ServerEvent::Ended(reason));
            self.become_open(now, Waiting::Request);
        }
    }

    fn ask(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.session.next_request);
        self.session.next_request = self.session.next_request.wrapping_add(1);
        self.phase = Phase::Asking { id, request: Box::new(request) };
        // The owner may take its time; it has its own deadlines.
        self.deadline = None;
        id
    }

    fn reply(
        &mut self,
        to: &Command,
        value: impl Into<Value>,
        msid: u32,
    ) -> Result<(), crate::amf::AmfError> {
        let mut message = Command::new("_result", to.transaction).with(value).message(msid)?;
        message.csid = CSID_COMMAND;
        self.link.send(&message);
        Ok(())
    }

    /// A stream name that can be used, or what is wrong with it.
    fn check_name(&self, name: Option<Text>) -> Result<Arc<str>, String> {
        let limits = &self.link.config.limits;
        let text = name.unwrap_or_default();
        let Some(whole) = text.to_str() else { return Err("stream name is not UTF-8".to_owned()) };
        match NameFault::of_whole(whole, limits.name_bytes_max, limits.query_bytes_max) {
            Some(fault) => Err(fault.to_string()),
            None => Ok(whole.into()),
        }
    }
}

impl Session {
    /// `releaseStream` or `FCPublish`: it matters whether `createStream` came before.
    fn introduce(&mut self) {
        self.style = Some(match self.style {
            None | Some(PublishStyle::Fmle) => PublishStyle::Fmle,
            Some(PublishStyle::Flash | PublishStyle::Haivision) => PublishStyle::Haivision,
        });
    }
}

fn is_reply(command: &Command) -> bool {
    command.name == "_result" || command.name == "_error"
}
