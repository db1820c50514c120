//! Files of `http_server.dir`.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::body::Pieces;

/// Bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const PIECES: usize = 2;

/// A file below `folder`, if the request names one.
pub(super) async fn answer(folder: &str, request: &Parts) -> Response {
    let method = &request.method;
    if *method != Method::GET && *method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD, OPTIONS")]).into_response();
    }
    let path = request.uri.path();
    let Some(relative) = relative(path) else { return StatusCode::BAD_REQUEST.into_response() };
    match open(Path::new(folder), &relative).await {
        Ok(Found::File(file, length)) => {
            let body = if *method == Method::HEAD { Body::empty() } else { stream(file) };
            let headers =
                [(CONTENT_TYPE, content_type(&relative).to_owned()), (CONTENT_LENGTH, length.to_string())];
            (headers, body).into_response()
        }
        // Only with the slash do links in the page mean the folder.
        Ok(Found::Folder) => match path.starts_with("//") {
            true => StatusCode::BAD_REQUEST.into_response(),
            false => (StatusCode::FOUND, [(LOCATION, format!("{path}/"))]).into_response(),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            StatusCode::FORBIDDEN.into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

enum Found {
    File(File, u64),
    Folder,
}

async fn open(folder: &Path, relative: &Path) -> io::Result<Found> {
    // Links may lead out of the folder; then the file is somebody else's.
    let folder = tokio::fs::canonicalize(folder).await?;
    let path = tokio::fs::canonicalize(folder.join(relative)).await?;
    if !path.starts_with(&folder) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(&path).await?;
    let metadata = file.metadata().await?;
    match () {
        () if metadata.is_dir() => Ok(Found::Folder),
        () if metadata.is_file() => Ok(Found::File(file, metadata.len())),
        () => Err(io::ErrorKind::NotFound.into()),
    }
}

fn stream(mut file: File) -> Body {
    let (pieces, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            let result = file.read_buf(&mut piece).await;
            let done = !matches!(result, Ok(1..));
            let piece = match result {
                Ok(0) => return,
                Ok(_) => Ok(piece.freeze()),
                Err(error) => Err(error),
            };
            if pieces.send(piece).await.is_err() || done {
                return;
            }
        }
    });
    Body::new(Pieces(receiver))
}

/// The path below the folder; `None` for one that is not plain: `..`, hidden files, bytes that are no text.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode(path)?;
    let mut relative = PathBuf::new();
    for part in decoded.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\0', '\\']) {
            return None;
        }
        relative.push(part);
    }
    if decoded.ends_with('/') {
        relative.push("index.html");
    }
    Some(relative)
}

pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript",
        "css" => "text/css",
        "json" => "application/json",
        "txt" | "log" => "text/plain; charset=utf-8",
        "xml" => "text/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "wasm" => "application/wasm",
        "m3u8" => "application/vnd.apple.mpegurl",
        "ts" => "video/MP2T",
        "mpd" => "application/dash+xml",
        "mp4" | "m4s" => "video/mp4",
        "flv" => "video/x-flv",
        "aac" => "audio/x-aac",
        "mp3" => "audio/mpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_folder() {
        let of = |path: &str| relative(path).map(|path| path.display().to_string());
        assert_eq!(of("/a/b.html").as_deref(), Some("a/b.html"));
        assert_eq!(of("//a//%62/").as_deref(), Some("a/b/index.html"));
        assert_eq!(of("/").as_deref(), Some("index.html"));
        for bad in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/a/..%2fx",
            "/.git/x",
            "/a%00",
            "/..%5cx",
            "/%",
            "/%f",
            "/%ff",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
