//! Lines of JSON-RPC: what a request is, and how answers look (spec 8.1).
//!
//! Nothing here knows what a method does; answers are compact, their keys sorted, as shipped servers write them.

use serde_json::{Map, Value, json};

/// What became of a request.
pub(crate) type Outcome = Result<Value, Refusal>;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// An error object.
    Error { code: i64, message: String },
    /// A bare text where the error object belongs: one shipped method answers so (spec 8.3).
    Text(&'static str),
}

impl Refusal {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self::Error { code, message: message.into() }
    }

    /// A parameter that is not what it should be.
    pub(crate) fn parameter(what: &str) -> Self {
        Self::new(INVALID_PARAMS, format!("Invalid params: {what}"))
    }

    fn json(self) -> Value {
        match self {
            Self::Error { code, message } => json!({ "code": code, "message": message }),
            Self::Text(text) => text.into(),
        }
    }
}

pub(crate) const PARSE_ERROR: i64 = -32_700;
pub(crate) const INVALID_REQUEST: i64 = -32_600;
pub(crate) const METHOD_NOT_FOUND: i64 = -32_601;
pub(crate) const INVALID_PARAMS: i64 = -32_602;
/// The method is known but could not be carried out.
pub(crate) const INTERNAL_ERROR: i64 = -32_603;
pub(crate) const UNAUTHENTICATED: i64 = 401;
pub(crate) const AUTHENTICATION_FAILED: i64 = 400;

/// What a line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// One request.
    One(Map<String, Value>),
    /// Several, to be answered in one array.
    Batch(Vec<Map<String, Value>>),
    /// Nothing that can be done; this is the answer, and the connection goes on.
    Answer(String),
    /// Nothing that can be done; this is the answer if there is one, and the connection ends.
    HangUp(Option<String>),
}

impl Line {
    /// Reads a line, without its line feed.
    pub(crate) fn read(line: &[u8]) -> Self {
        if line.trim_ascii().is_empty() {
            return Self::Answer(without_id(PARSE_ERROR, "Parse error: Blank line received"));
        }
        match serde_json::from_slice(line) {
            Ok(Value::Object(request)) => Self::One(request),
            Ok(Value::Array(items)) if items.is_empty() => Self::HangUp(Some(without_id(
                INVALID_REQUEST,
                "Invalid request: Empty batch request encountered",
            ))),
            Ok(Value::Array(items)) => {
                let requests: Option<Vec<_>> = items
                    .into_iter()
                    .map(|item| match item {
                        Value::Object(request) => Some(request),
                        _ => None,
                    })
                    .collect();
                requests.map_or(Self::HangUp(None), Self::Batch)
            }
            _ => Self::HangUp(Some(without_id(PARSE_ERROR, "Parse error: Invalid JSON received"))),
        }
    }
}

/// A request whose form is right.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) params: &'a Map<String, Value>,
}

impl<'a> Request<'a> {
    /// Checks the form; parameters are needed even where a method has none.
    pub(crate) fn read(request: &'a Map<String, Value>) -> Result<Self, Refusal> {
        let Some(Value::String(method)) = request.get("method") else {
            let message = "Invalid request: The `method` member is not a string";
            return Err(Refusal::new(INVALID_REQUEST, message));
        };
        let Some(Value::Object(params)) = request.get("params") else {
            return Err(Refusal::parameter("The `params` member is not an object"));
        };
        Ok(Self { method, params })
    }

    /// A parameter that must be a text.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, Refusal> {
        let value = self.params.get(name).and_then(Value::as_str);
        value.ok_or_else(|| Refusal::parameter(&format!("{name} is not a string")))
    }
}

/// The answer to a request; its `id` comes back whatever it is.
pub(crate) fn answer(request: &Map<String, Value>, outcome: Outcome) -> Value {
    let (key, value) = match outcome {
        Ok(result) => ("result", result),
        Err(refusal) => ("error", refusal.json()),
    };
    json!({ "id": request.get("id"), "jsonrpc": "2.0", key: value })
}

/// News that nobody asked for.
pub(crate) fn notification(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

/// An answer to something that is no request.
pub(crate) fn without_id(code: i64, message: &str) -> String {
    json!({ "error": { "code": code, "message": message }, "jsonrpc": "2.0" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hang_up(text: &str) -> Line {
        Line::HangUp(Some(text.to_owned()))
    }

    /// The texts are those of a real 3.9.1 on the wire.
    #[test]
    fn what_is_no_request_is_answered_as_shipped_servers_do() {
        let invalid =
            r#"{"error":{"code":-32700,"message":"Parse error: Invalid JSON received"},"jsonrpc":"2.0"}"#;
        let empty = r#"{"error":{"code":-32600,"message":"Invalid request: Empty batch request encountered"},"jsonrpc":"2.0"}"#;
        let blank =
            r#"{"error":{"code":-32700,"message":"Parse error: Blank line received"},"jsonrpc":"2.0"}"#;
        for (line, wanted) in [
            ("", Line::Answer(blank.to_owned())),
            (" \r", Line::Answer(blank.to_owned())),
            ("{bad", hang_up(invalid)),
            ("5", hang_up(invalid)),
            ("null", hang_up(invalid)),
            ("\"x\"", hang_up(invalid)),
            ("[]", hang_up(empty)),
            ("[1]", Line::HangUp(None)),
            ("[{},null]", Line::HangUp(None)),
        ] {
            assert_eq!(Line::read(line.as_bytes()), wanted, "{line}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Line::read(deep.as_bytes()), hang_up(invalid));
        assert_eq!(Line::read(b"\xff"), hang_up(invalid));
    }

    #[test]
    fn the_form_of_a_request_is_checked_before_anything_else() {
        let refused = |text: &str| {
            let Line::One(request) = Line::read(text.as_bytes()) else { panic!("{text}") };
            let outcome = Request::read(&request).map(|request| request.method.into());
            answer(&request, outcome).to_string()
        };
        for (line, wanted) in [
            (
                r#"{"id":2,"method":7,"params":{}}"#,
                r#"{"error":{"code":-32600,"message":"Invalid request: The `method` member is not a string"},"id":2,"jsonrpc":"2.0"}"#,
            ),
            (
                r#"{"id":[1],"method":"x"}"#,
                r#"{"error":{"code":-32602,"message":"Invalid params: The `params` member is not an object"},"id":[1],"jsonrpc":"2.0"}"#,
            ),
            (r#"{"method":"x","params":{}}"#, r#"{"id":null,"jsonrpc":"2.0","result":"x"}"#),
        ] {
            assert_eq!(refused(line), wanted, "{line}");
        }
    }
}
