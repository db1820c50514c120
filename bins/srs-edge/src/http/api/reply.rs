//! A request to the API, and the envelope of all replies.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::app::App;

/// Longest name of a JSONP function.
const CALLBACK_BYTES_MAX: usize = 64;

/// What the API answers; the numbers are those of SRS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    Ok = 0,
    /// The raw API does not know the request.
    RawRequest = 1060,
    /// The raw API is off, or does not allow this.
    RawDisabled = 1061,
    VhostNotFound = 2014,
    StreamNotFound = 2048,
    ClientNotFound = 2049,
}

/// A request.
pub(super) struct Api {
    app: Arc<App>,
    query: Vec<(String, String)>,
}

impl FromRequestParts<Arc<App>> for Api {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { app: Arc::clone(app), query })
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    code: u32,
    server: &'a str,
    service: &'a str,
    pid: String,
    #[serde(flatten)]
    payload: T,
}

/// An object with one field. Going through [`serde_json::Value`] would sort what is in it.
struct Field<T> {
    name: &'static str,
    value: T,
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, &self.value)])
    }
}

impl Api {
    pub(super) fn app(&self) -> &App {
        &self.app
    }

    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Code 0 with these fields beside it.
    pub(super) fn ok(&self, fields: impl Serialize) -> Response {
        self.reply(Code::Ok, fields)
    }

    /// Code 0 with an object called `data`.
    pub(super) fn data(&self, data: impl Serialize) -> Response {
        self.field("data", data)
    }

    /// Code 0 with one field beside it.
    pub(super) fn field(&self, name: &'static str, value: impl Serialize) -> Response {
        self.reply(Code::Ok, Field { name, value })
    }

    /// A code alone. As in SRS the status is 200 all the same.
    pub(super) fn error(&self, code: Code) -> Response {
        self.reply(code, json!({}))
    }

    fn reply(&self, code: Code, payload: impl Serialize) -> Response {
        let identity = &self.app.identity;
        let envelope = Envelope {
            code: code as u32,
            server: &identity.server,
            service: &identity.service,
            pid: std::process::id().to_string(),
            payload,
        };
        let Ok(json) = serde_json::to_string(&envelope) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        match self.query("callback").filter(|name| !name.is_empty()) {
            None => respond("application/json", json),
            Some(name) if is_function(name) => respond("text/javascript", format!("{name}({json})")),
            // Anything else would be a script of whoever made the link.
            Some(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    }
}

fn respond(content_type: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], text).into_response()
}

/// `[A-Za-z0-9_.$]{1,64}` (spec 11).
fn is_function(name: &str) -> bool {
    (1..=CALLBACK_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_plain_names() {
        assert!(is_function("jQuery_1.$f") && is_function(&"a".repeat(64)));
        for bad in ["", "a b", "alert(1)//", "a<", "ä", &"a".repeat(65)] {
            assert!(!is_function(bad), "{bad}");
        }
    }
}
