//! What a hook answered.

use hyper::StatusCode;

/// Why an answer is not yes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The hook works and says no.
    No(String),
    /// The hook does not work.
    Broken(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::No(text) | Self::Broken(text)) = self;
        f.write_str(text)
    }
}

/// Yes is status 200 or 201 with the text `0`, or with a JSON object whose `code` is 0 (spec 8).
pub(crate) fn judge(status: StatusCode, body: &[u8]) -> Result<(), Refusal> {
    if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
        let text = format!("status {status}");
        // 4xx is how web frameworks say no; 3xx and 5xx are accidents.
        return Err(if status.is_client_error() { Refusal::No(text) } else { Refusal::Broken(text) });
    }
    let body = body.trim_ascii();
    if body == b"0" {
        return Ok(());
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(object)) => match object.get("code").and_then(serde_json::Value::as_i64)
        {
            Some(0) => Ok(()),
            Some(code) => Err(Refusal::No(format!("code {code}"))),
            None => Err(Refusal::No("an object without a number as code".into())),
        },
        Ok(serde_json::Value::Number(code)) => Err(Refusal::No(format!("code {code}"))),
        _ if body.is_empty() => Err(Refusal::No("an empty body".into())),
        _ => Err(Refusal::No("neither 0 nor a JSON object".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_19_hook_answers() {
        for (status, body) in
            [(200, "0"), (201, "0"), (200, "0\n"), (200, r#"{"code":0}"#), (200, r#"{"code":0,"data":null}"#)]
        {
            assert_eq!(judge(StatusCode::from_u16(status).unwrap(), body.as_bytes()), Ok(()), "{body}");
        }
        for (status, body) in [
            (200, ""),
            (200, "1"),
            (200, "00"),
            (200, "ok"),
            (200, r#"{"code":1}"#),
            (200, r#"{"code":"0"}"#),
            (200, "{}"),
            (200, "[0]"),
            (200, r#"{"code":0"#),
            (202, "0"),
            (302, "0"),
            (403, "0"),
            (500, r#"{"code":0}"#),
        ] {
            assert!(
                judge(StatusCode::from_u16(status).unwrap(), body.as_bytes()).is_err(),
                "{status} {body}"
            );
        }
    }
}
