//! `onStatus` and the information objects of results (spec 7.4).

use std::borrow::Cow;

use crate::amf::amf0::Value;
use crate::amf::{Object, Text};

/// The codes of the field.
pub mod code {
    /// The connection is accepted.
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    /// The connection is refused.
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    /// The application does not exist.
    pub const CONNECT_INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    /// The connection is being closed.
    pub const CONNECT_CLOSED: &str = "NetConnection.Connect.Closed";
    /// Please connect again (Enhanced RTMP).
    pub const CONNECT_RECONNECT: &str = "NetConnection.Connect.ReconnectRequest";
    /// A call is not known.
    pub const CALL_FAILED: &str = "NetConnection.Call.Failed";
    /// Play begins, what was before is void.
    pub const PLAY_RESET: &str = "NetStream.Play.Reset";
    /// Play is accepted.
    pub const PLAY_START: &str = "NetStream.Play.Start";
    /// A publisher appeared.
    pub const PLAY_PUBLISH_NOTIFY: &str = "NetStream.Play.PublishNotify";
    /// The publisher is gone; shipped players end on it.
    pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
    /// Play has ended.
    pub const PLAY_STOP: &str = "NetStream.Play.Stop";
    /// Play has come to its end.
    pub const PLAY_COMPLETE: &str = "NetStream.Play.Complete";
    /// There is no such stream.
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    /// Play is refused or broke.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    /// Publish is accepted.
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    /// The name is busy or not allowed.
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    /// Publish is not allowed.
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    /// Publish is refused.
    pub const PUBLISH_REJECTED: &str = "NetStream.Publish.Rejected";
    /// Publish has ended.
    pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
    /// The stream broke.
    pub const FAILED: &str = "NetStream.Failed";
    /// The viewer pauses.
    pub const PAUSE_NOTIFY: &str = "NetStream.Pause.Notify";
    /// The viewer goes on.
    pub const UNPAUSE_NOTIFY: &str = "NetStream.Unpause.Notify";
}

/// Whether a status is good or bad news.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Good.
    Status,
    /// To be noticed.
    Warning,
    /// Bad; shipped players stop on it.
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// An information object: level, code, description and whatever else there is.
///
/// ```
/// use rtmp_core::message::{Status, status::code};
///
/// let status = Status::error(code::PUBLISH_BAD_NAME, "stream is busy");
/// assert_eq!(Status::from_value(&status.to_value()), Some(status));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Good or bad.
    pub level: Level,
    /// One of [`code`], or another.
    pub code: Cow<'static, str>,
    /// For people.
    pub description: Cow<'static, str>,
    /// Further properties.
    pub extra: Object<Value>,
}

impl Status {
    /// Good news.
    pub fn ok(code: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let (code, description) = (code.into(), description.into());
        Self { level: Level::Status, code, description, extra: Object::new() }
    }

    /// Bad news.
    pub fn error(code: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { level: Level::Error, ..Self::ok(code, description) }
    }

    /// Refuses a connection and names the place to go to, in the form origin clusters use.
    pub fn redirect(url: &str) -> Self {
        let ex: Object<Value> =
            [("code", Value::from(302_u32)), ("redirect", Value::from(url))].into_iter().collect();
        Self::error(code::CONNECT_REJECTED, "RTMP 302 Redirect").with("ex", ex)
    }

    /// The same status with one more property.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.extra.push(Text::from_static(key), value);
        self
    }

    /// Where a redirect leads: `ex.redirect`, or `tcUrl` of a reconnect request.
    pub fn redirect_url(&self) -> Option<&str> {
        let ex = self.extra.get("ex").and_then(Value::as_object);
        let url = |key| ex.and_then(|ex| ex.get(key)).and_then(Value::as_str);
        let reconnect = || match &*self.code {
            code::CONNECT_RECONNECT => self.extra.get("tcUrl").and_then(Value::as_str),
            _ => None,
        };
        // A second form of the key carries the stream name too.
        url("redirect2").or_else(|| url("redirect")).or_else(reconnect).filter(|url| !url.is_empty())
    }

    /// Reads an information object. `None` when the value is no object with a code.
    pub fn from_value(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let text = |key| Some(object.get(key)?.as_text()?.to_string_lossy().into_owned());
        let level = match object.get("level").and_then(Value::as_str) {
            Some("error") => Level::Error,
            Some("warning") => Level::Warning,
            _ => Level::Status,
        };
        let known = ["level", "code", "description"];
        Some(Self {
            level,
            code: text("code")?.into(),
            description: text("description").unwrap_or_default().into(),
            extra: object
                .iter()
                .filter(|(key, _)| !known.iter().any(|known| *key == *known))
                .cloned()
                .collect(),
        })
    }

    /// The information object.
    pub fn to_value(&self) -> Value {
        let mut object = Object::new()
            .with(Text::from_static("level"), Text::from_static(self.level.as_str()))
            .with(Text::from_static("code"), &*self.code)
            .with(Text::from_static("description"), &*self.description);
        for (key, value) in &self.extra {
            object.push(key.clone(), value.clone());
        }
        Value::Object(object)
    }
}
