//! The HTTP API (spec 11): paths, names of fields and codes are those of SRS.

mod raw;
mod reply;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use edge_cluster::edge::Snapshot;
use serde::Serialize;
use serde_json::json;

use crate::app::{App, figures};
use crate::clock;
use crate::machine::{SelfFigures, SystemFigures};
use reply::{Api, Code};
use views::Views;

/// Objects in a list where the request does not ask for more.
const PAGE: usize = 10;

/// All paths but `/`, which a server of files has itself.
pub(super) fn routes() -> Router<Arc<App>> {
    let both = |router: Router<Arc<App>>, path: &str, method: axum::routing::MethodRouter<Arc<App>>| {
        // With and without a slash at the end.
        router.route(path, method.clone()).route(&format!("{path}/"), method)
    };
    let mut router = Router::new();
    router = both(router, "/api", get(api_root));
    router = both(router, "/api/v1", get(v1_root));
    router = both(router, "/api/v1/versions", get(versions));
    router = both(router, "/api/v1/summaries", get(summaries));
    router = both(router, "/api/v1/features", get(features));
    router = both(router, "/api/v1/vhosts", get(vhosts));
    router = both(router, "/api/v1/streams", get(streams));
    router = both(router, "/api/v1/clients", get(clients));
    router = both(router, "/api/v1/raw", get(raw::answer));
    router
        .route("/api/v1/vhosts/{id}", get(vhost))
        .route("/api/v1/streams/{id}", get(stream))
        .route("/api/v1/clients/{id}", get(client).delete(kick))
}

/// The path `/`.
pub(super) fn root_route() -> Router<Arc<App>> {
    Router::new().route("/", get(root))
}

async fn root(api: Api) -> Response {
    api.ok(json!({ "urls": { "api": "the api root" } }))
}

async fn api_root(api: Api) -> Response {
    api.ok(json!({ "urls": { "v1": "the api version 1.0" } }))
}

async fn v1_root(api: Api) -> Response {
    api.ok(json!({ "urls": {
        "versions": "the version of this server",
        "summaries": "figures of the process and the machine",
        "features": "what this server can do",
        "vhosts": "all vhosts, or one by its id",
        "streams": "all streams, or one by its id",
        "clients": "all clients, or one by its id; DELETE disconnects it",
        "raw": { "raw": "rpc=raw, what the raw API allows", "reload": "rpc=reload, reads the configuration again",
            "reload-fetch": "rpc=reload-fetch, what became of it" },
    } }))
}

async fn versions(api: Api) -> Response {
    #[derive(Serialize)]
    struct Data {
        major: u64,
        minor: u64,
        revision: u64,
        version: String,
        signature: &'static str,
    }
    let version = match api.app().config().srs_version.clone() {
        version if version.is_empty() => env!("CARGO_PKG_VERSION").to_owned(),
        version => version,
    };
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, revision) = (next(), next(), next());
    api.data(Data { major, minor, revision, version, signature: crate::SIGNATURE })
}

async fn summaries(api: Api) -> Response {
    #[derive(Serialize)]
    struct Data {
        ok: bool,
        now_ms: u128,
        #[serde(rename = "self")]
        process: SelfFigures,
        system: SystemFigures,
    }
    let app = api.app();
    let edge = figures(&app.snapshot().await);
    let (process, system) = (app.machine.process(), app.machine.system(edge));
    let now_ms = clock::since_1970().as_millis();
    api.data(Data { ok: true, now_ms, process, system })
}

async fn features(api: Api) -> Response {
    api.data(json!({
        "options": "RTMP edge and origin, HTTP-FLV, HTTP hooks, HTTP API, Prometheus",
        "features": { "rtmp": true, "edge": true, "forward": true, "flv": true, "hooks": true, "api": true,
            "exporter": true, "hls": false, "dvr": false, "rtc": false, "srt": false },
    }))
}

async fn vhosts(api: Api) -> Response {
    let snapshot = api.app().snapshot().await;
    let vhosts: Vec<_> = snapshot.vhosts.iter().map(views::vhost).collect();
    api.field("vhosts", vhosts)
}

async fn vhost(api: Api, Path(id): Path<String>) -> Response {
    let snapshot = api.app().snapshot().await;
    match snapshot.vhosts.iter().find(|vhost| *vhost.id == *id) {
        Some(found) => api.field("vhost", views::vhost(found)),
        None => api.error(Code::VhostNotFound),
    }
}

async fn streams(api: Api) -> Response {
    let snapshot = api.app().snapshot().await;
    let views = Views::new(&snapshot);
    let streams: Vec<_> = page(&api, &snapshot.streams).map(|stream| views.stream(stream)).collect();
    api.field("streams", streams)
}

async fn stream(api: Api, Path(id): Path<String>) -> Response {
    let snapshot = api.app().snapshot().await;
    match snapshot.streams.iter().find(|stream| *stream.id == *id) {
        Some(found) => api.field("stream", Views::new(&snapshot).stream(found)),
        None => api.error(Code::StreamNotFound),
    }
}

async fn clients(api: Api) -> Response {
    let snapshot = api.app().snapshot().await;
    let views = Views::new(&snapshot);
    let clients: Vec<_> = page(&api, &snapshot.clients).map(|client| views.client(client)).collect();
    api.field("clients", clients)
}

async fn client(api: Api, Path(id): Path<String>) -> Response {
    let snapshot = api.app().snapshot().await;
    match find_client(&snapshot, &id) {
        Some(found) => api.field("client", Views::new(&snapshot).client(found)),
        None => api.error(Code::ClientNotFound),
    }
}

async fn kick(api: Api, Path(id): Path<String>) -> Response {
    let app = api.app();
    let snapshot = app.snapshot().await;
    let Some(found) = find_client(&snapshot, &id) else { return api.error(Code::ClientNotFound) };
    app.log.warn(&found.info.client_id, "kicked by the HTTP API");
    match app.edge.kick(&found.info.client_id).await {
        Ok(true) => api.error(Code::Ok),
        _ => api.error(Code::ClientNotFound),
    }
}

fn find_client<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a edge_cluster::edge::ClientSnapshot> {
    snapshot.clients.iter().find(|client| *client.info.client_id == *id)
}

/// The part of a list that the request asks for: `start`, and `count`, which is at least 10.
fn page<'a, T>(api: &Api, list: &'a [T]) -> impl Iterator<Item = &'a T> {
    let number = |name: &str| api.query(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    list.iter().skip(number("start")).take(number("count").max(PAGE))
}
