//! Commands to the server: `/api/v1/raw?rpc=...`.

use axum::response::Response;
use serde_json::json;

use super::reply::{Api, Code};

pub(super) async fn answer(api: Api) -> Response {
    let app = api.app();
    let config = app.config();
    let http_api = &config.http_api;
    match api.query("rpc").unwrap_or_default() {
        // What is allowed may be asked always.
        "raw" => {
            let listen: Vec<String> = http_api.listen.iter().map(ToString::to_string).collect();
            api.ok(json!({ "http_api": {
                "enabled": http_api.enabled,
                "listen": listen.join(" "),
                "crossdomain": http_api.crossdomain,
                "raw_api": {
                    "enabled": http_api.raw_api,
                    "allow_reload": http_api.allow_reload,
                    "allow_query": false,
                    "allow_update": false,
                },
            } }))
        }
        _ if !http_api.raw_api => api.error(Code::RawDisabled),
        "reload" if !http_api.allow_reload => api.error(Code::RawDisabled),
        "reload" => {
            // A reload that is asked for already reads what is there now.
            let _ = app.ask_reload.try_send(());
            api.error(Code::Ok)
        }
        "reload-fetch" => api.data(app.reloads.last()),
        _ => api.error(Code::RawRequest),
    }
}
