//! What every request passes first: size, name and password, pages of other sites.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, ORIGIN, SERVER,
    WWW_AUTHENTICATE,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use edge_cluster::config::ApiAuth;

use super::{BODY_BYTES_MAX, Roles};
use crate::app::App;

#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) app: Arc<App>,
    pub(super) roles: Roles,
}

/// Answers what needs no handler, and adds the headers that every response has.
pub(super) async fn guard(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    let config = guarded.app.config();
    let path = request.uri().path();
    // Counters are as open as the port that was made for them; on the port of the API they are part of it.
    let counters = path == "/metrics" && !guarded.roles.metrics;
    let api = guarded.roles.api && (path.contains("/api/") || counters);
    let open = if api || !guarded.roles.streams {
        config.http_api.crossdomain
    } else {
        config.http_server.crossdomain
    };
    let other_site = open && request.headers().contains_key(ORIGIN);
    let auth = config.http_api.auth.as_ref().filter(|_| api);
    let mut response = if request.method() == Method::OPTIONS {
        // Browsers ask before they have a password to give.
        StatusCode::OK.into_response()
    } else if !auth.is_none_or(|auth| allowed(auth, request.headers())) {
        let asked = match auth {
            Some(ApiAuth::Bearer(_)) => "Bearer",
            _ => r#"Basic realm="srs-edge""#,
        };
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, asked)]).into_response()
    } else if body_bytes(request.headers()) > BODY_BYTES_MAX {
        StatusCode::PAYLOAD_TOO_LARGE.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(crate::SIGNATURE));
    if other_site {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, HEAD, PUT, DELETE, OPTIONS"),
        );
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            // The asterisk stands for every header but the first of the others, which old browsers do not know it for.
            HeaderValue::from_static(
                "*,authorization,cache-control,content-type,origin,range,referer,x-requested-with",
            ),
        );
    }
    response
}

fn body_bytes(headers: &HeaderMap) -> u64 {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn allowed(auth: &ApiAuth, headers: &HeaderMap) -> bool {
    let (name, expected) = match auth {
        ApiAuth::Basic(basic) => {
            ("basic", base64(format!("{}:{}", basic.username, basic.password).as_bytes()))
        }
        ApiAuth::Bearer(bearer) => ("bearer", bearer.token.clone()),
        // A way that this program does not know lets nobody in.
        _ => return false,
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((scheme, given)) = given.split_once(' ') else { return false };
    scheme.eq_ignore_ascii_case(name) && same(given.trim().as_bytes(), expected.as_bytes())
}

/// Compares without telling by the time it takes how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().chain([0, 0].iter()).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > group.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_compared_as_browsers_send_them() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("admin:ä", "YWRtaW46w6Q=")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert!(same(b"ab", b"ab") && !same(b"ab", b"ac") && !same(b"a", b"ab"));
    }
}
