//! Streams over HTTP (spec 12).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, REFERER};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use edge_cluster::edge::{FlvRequest, Refusal};
use edge_cluster::tokio::{FlvBody, FlvError};
use hyper::body::Frame;

use super::files::percent_decode;
use crate::app::App;

/// Answers if the request is for a stream; `None` where it may be for a file.
pub(super) async fn answer(app: &App, peer: SocketAddr, request: &Parts) -> Option<Response> {
    let path = percent_decode(request.uri.path()).filter(|path| path.ends_with(".flv"))?;
    let remux = app.config().vhosts.iter().any(|vhost| vhost.enabled && vhost.http_remux.is_some());
    if !remux || (request.method != Method::GET && request.method != Method::HEAD) {
        return None;
    }
    let header = |name: HeaderName| {
        request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let wanted = FlvRequest {
        peer,
        host: header(HOST),
        path,
        query: request.uri.query().unwrap_or_default().to_owned(),
        page_url: header(REFERER),
    };
    let headers = [(CONTENT_TYPE, "video/x-flv"), (CACHE_CONTROL, "no-store")];
    if request.method == Method::HEAD {
        // What a viewer would get, without one: no play begins, no hook and no origin is asked.
        return match wanted.refusal(&app.config()) {
            None => Some((headers, Body::empty()).into_response()),
            Some(refusal) => refused(&refusal),
        };
    }
    match app.edge.open_flv(wanted).await {
        Ok(body) => Some((headers, Body::new(Stream(body))).into_response()),
        Err(FlvError::Refused(refusal)) => refused(&refusal),
        Err(error) => Some((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()),
    }
}

/// The answer to a request that is refused; `None` where it may be for a file.
fn refused(refusal: &Refusal) -> Option<Response> {
    match refusal {
        Refusal::Mount => None,
        Refusal::StreamNotFound => Some(StatusCode::NOT_FOUND.into_response()),
        Refusal::Name(_) => Some((StatusCode::BAD_REQUEST, format!("{refusal}\n")).into_response()),
        refusal => Some((StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response()),
    }
}

/// The body of a response.
struct Stream(FlvBody);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
