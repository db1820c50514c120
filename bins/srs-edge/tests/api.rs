//! Rows 23 and 36 of the compatibility checklist: the HTTP API and the counters.
#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use std::io::{Read as _, Write as _};

use common::rtmp::Client;
use common::{Folder, Server, free_port, get, open, request, wait_until};
use serde_json::Value;

/// A server with an API: its folder, its ports.
fn serve(test: &str, api: &str, more: &str) -> (Folder, Server, u16, u16) {
    let (rtmp, http) = (free_port(), free_port());
    let text = format!(
        "listen 127.0.0.1:{rtmp}; max_connections 100; pid a.pid; srs_log_file a.log; srs_log_tank file;
         http_api {{ enabled on; listen 127.0.0.1:{http}; {api} }} {more} vhost __defaultVhost__ {{ }}"
    );
    let folder = Folder::new(test).file("a.conf", &text);
    let server = Server::start(&folder);
    (folder, server, rtmp, http)
}

/// Whether these fields follow one another in the text.
fn in_order(text: &str, names: &str) {
    let mut rest = text;
    for name in names.split_whitespace() {
        let field = format!("\"{name}\":");
        let at = rest.find(&field).unwrap_or_else(|| panic!("{name} is not in its place: {text}"));
        rest = &rest[at + field.len()..];
    }
}

fn first(port: u16, list: &str) -> Option<Value> {
    get(port, &format!("/api/v1/{list}/")).json()[list].get(0).cloned()
}

#[test]
fn row_23_http_api_shapes() {
    let (_folder, server, rtmp, http) = serve("shapes", "", "");
    let url = format!("rtmp://127.0.0.1:{rtmp}/live");
    let publisher = Client::publish(rtmp, &url, "show");
    publisher.wait_until_published();
    let player = Client::play(rtmp, &url, "show?token=1");
    player.wait_for_picture();

    let versions = get(http, "/api/v1/versions");
    assert_eq!(versions.header("content-type"), Some("application/json"));
    let versions = versions.json();
    assert_eq!((&versions["code"], &versions["pid"]), (&0.into(), &server.child.id().to_string().into()));
    assert!(versions["server"].as_str().unwrap().starts_with("vid-"));
    assert_eq!(versions["service"].as_str().unwrap().len(), 8);
    assert_eq!(versions["data"]["version"], env!("CARGO_PKG_VERSION"));
    for path in ["/", "/api/", "/api/v1/", "/api", "/api/v1"] {
        assert!(get(http, path).json()["urls"].is_object(), "{path}");
    }

    let vhost = first(http, "vhosts").unwrap();
    assert_eq!((&vhost["name"], &vhost["enabled"]), (&"__defaultVhost__".into(), &true.into()));
    assert!(vhost["kbps"]["recv_30s"].is_u64() && vhost["hls"]["enabled"] == false, "{vhost}");
    let stream = first(http, "streams").unwrap();
    assert_eq!(
        (&stream["name"], &stream["app"], &stream["url"]),
        (&"show".into(), &"live".into(), &"/live/show".into())
    );
    assert_eq!(stream["tcUrl"], url.as_str(), "what the publisher connected to");
    assert_eq!((&stream["vhost"], &stream["clients"]), (&vhost["id"], &2.into()));
    assert_eq!(stream["publish"]["active"], true);
    assert!(stream["recv_bytes"].as_u64().unwrap() > 0 && stream["frames"].as_u64().unwrap() > 0, "{stream}");
    assert_eq!((&stream["video"]["codec"], &stream["audio"]), (&"H264".into(), &Value::Null), "{stream}");

    let clients = get(http, "/api/v1/clients/").json();
    let of_kind = |kind: &str| {
        clients["clients"].as_array().unwrap().iter().find(|c| c["type"] == kind).unwrap().clone()
    };
    let (publishing, playing) = (of_kind("fmle-publish"), of_kind("rtmp-play"));
    assert_eq!((&publishing["publish"], &playing["publish"]), (&true.into(), &false.into()));
    assert_eq!(stream["publish"]["cid"], publishing["id"]);
    assert_eq!(
        (&playing["stream"], &playing["vhost"], &playing["ip"]),
        (&stream["id"], &vhost["id"], &"127.0.0.1".into())
    );
    assert_eq!(
        (&playing["tcUrl"], &playing["pageUrl"]),
        (&url.into(), &"http://page.example.com/watch".into())
    );
    assert!(playing["alive"].is_f64() && playing["send_bytes"].as_u64().unwrap() > 0, "{playing}");
    for (list, one) in [("vhosts", &vhost), ("streams", &stream), ("clients", &playing)] {
        let id = one["id"].as_str().unwrap();
        let found = get(http, &format!("/api/v1/{list}/{id}")).json();
        assert_eq!(found[list.trim_end_matches('s')]["id"], id);
    }
    for (path, code) in [("vhosts/x", 2014), ("streams/x", 2048), ("clients/x", 2049)] {
        assert_eq!(get(http, &format!("/api/v1/{path}")).json()["code"], code, "{path}");
    }
    assert_eq!(get(http, "/api/v1/nothing").status, 404);

    let data = get(http, "/api/v1/summaries").json()["data"].clone();
    assert_eq!((&data["ok"], &data["self"]["pid"]), (&true.into(), &server.child.id().into()));
    assert!(data["system"]["ilde_time"].is_f64() && data["system"]["conn_srs"].as_u64() >= Some(2), "{data}");
}

#[test]
fn row_23_fields_have_the_order_of_srs() {
    let (_folder, _server, rtmp, http) = serve("order", "", "");
    let publisher = Client::publish(rtmp, &format!("rtmp://127.0.0.1:{rtmp}/live"), "show");
    publisher.wait_until_published();
    let text = |list: &str| get(http, &format!("/api/v1/{list}")).text();
    in_order(&text("versions"), "code server service pid data major minor revision version");
    in_order(
        &text("vhosts"),
        "vhosts id name enabled clients streams send_bytes recv_bytes kbps recv_30s send_30s hls enabled",
    );
    in_order(
        &text("streams"),
        "streams id name vhost app tcUrl url live_ms clients frames send_bytes recv_bytes kbps publish active cid video
         audio",
    );
    in_order(
        &text("clients"),
        "clients id vhost stream ip pageUrl swfUrl tcUrl url name type publish alive send_bytes recv_bytes kbps",
    );
}

#[test]
fn row_23_lists_have_pages_and_delete_kicks() {
    let (_folder, _server, rtmp, http) = serve("pages", "", "");
    let url = format!("rtmp://127.0.0.1:{rtmp}/live");
    let publishers: Vec<Client> = (0..12).map(|n| Client::publish(rtmp, &url, &format!("show{n}"))).collect();
    publishers.iter().for_each(Client::wait_until_published);
    let count = |query: &str| {
        get(http, &format!("/api/v1/clients/?{query}")).json()["clients"].as_array().unwrap().len()
    };
    assert_eq!((count(""), count("count=1"), count("count=11"), count("start=10&count=5")), (10, 10, 11, 2));
    assert_eq!((count("start=99"), count("start=x&count=-1")), (0, 10));
    let id = first(http, "clients").unwrap()["id"].as_str().unwrap().to_owned();
    let kicked = request(http, "DELETE", &format!("/api/v1/clients/{id}"), "").json();
    assert_eq!(kicked["code"], 0);
    wait_until("the client is gone", || (count("count=99") == 11).then_some(()));
    assert_eq!(request(http, "DELETE", &format!("/api/v1/clients/{id}"), "").json()["code"], 2049);
}

#[test]
fn row_23_other_sites_functions_and_passwords() {
    let auth = "auth { enabled on; username admin; password s3cret; }";
    let (_folder, _server, _rtmp, http) = serve("auth", auth, "");
    let refused = get(http, "/api/v1/versions");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"srs-edge\"")));
    assert_eq!(
        request(http, "GET", "/api/v1/versions", "Authorization: Basic YWRtaW46d3Jvbmc=\r\n").status,
        401
    );
    let good = "Authorization: Basic YWRtaW46czNjcmV0\r\n";
    assert_eq!(request(http, "GET", "/api/v1/versions", good).status, 200);
    assert_eq!(get(http, "/").status, 200, "only paths with /api/ are closed,");
    assert_eq!(get(http, "/metrics").status, 401, "and counters, on this port");
    assert_eq!(request(http, "OPTIONS", "/api/v1/clients/x", "Origin: http://a\r\n").status, 200);

    let from_site = request(http, "GET", "/api/v1/versions", &format!("{good}Origin: http://a\r\n"));
    assert_eq!(from_site.header("access-control-allow-origin"), Some("*"));
    let headers = from_site.header("access-control-allow-headers").unwrap();
    assert!(headers.starts_with("*,authorization,"), "any header of theirs, as with SRS: {headers}");
    assert_eq!(request(http, "GET", "/api/v1/versions", good).header("access-control-allow-origin"), None);

    let function = request(http, "GET", "/api/v1/versions?callback=cb.x", good).text();
    assert!(function.starts_with("cb.x({\"code\":0,") && function.ends_with(')'), "{function}");
    assert_eq!(request(http, "GET", "/api/v1/versions?callback=alert(1)", good).status, 400);
}

#[test]
fn row_23_a_token_opens_the_api() {
    let (_folder, _server, _rtmp, http) =
        serve("bearer", "auth { enabled on; type bearer; token srs-token; }", "");
    let refused = get(http, "/api/v1/versions");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let status = |header: &str| {
        request(http, "GET", "/api/v1/versions", &format!("Authorization: {header}\r\n")).status
    };
    assert_eq!((status("Bearer srs-token"), status("bearer srs-token")), (200, 200));
    for wrong in ["Bearer srs-toke", "Bearer", "Bearer ", "Basic srs-token", "srs-token", "Basic Og=="] {
        assert_eq!(status(wrong), 401, "{wrong}");
    }
}

#[test]
fn row_23_without_crossdomain_other_sites_get_nothing() {
    let (_folder, _server, _rtmp, http) =
        serve("site", "crossdomain off;", "extension { srs_version 7.0.18; }");
    let response = request(http, "GET", "/api/v1/versions", "Origin: http://a\r\n");
    assert_eq!(response.header("access-control-allow-origin"), None);
    let data = &response.json()["data"];
    assert_eq!(
        (&data["major"], &data["revision"], &data["version"]),
        (&7.into(), &18.into(), &"7.0.18".into())
    );
}

#[test]
fn row_23_raw_api() {
    let (folder, _server, _rtmp, http) = serve("raw", "raw_api { enabled on; allow_reload on; }", "");
    let raw = |rpc: &str| get(http, &format!("/api/v1/raw?rpc={rpc}")).json();
    assert_eq!(raw("raw")["http_api"]["raw_api"]["allow_reload"], true);
    assert_eq!(raw("nonsense")["code"], 1060);
    assert_eq!(raw("reload-fetch")["data"]["state"], 0);
    assert_eq!(raw("reload")["code"], 0);
    let data = wait_until("the reload is done", || {
        Some(raw("reload-fetch")["data"].clone()).filter(|d| d["state"] == 90)
    });
    assert_eq!((&data["err"], &data["msg"]), (&0.into(), &"Success".into()));
    folder.write("a.conf", "listen;");
    assert_eq!(raw("reload")["code"], 0);
    let failed = wait_until("it is refused", || {
        Some(raw("reload-fetch")["data"].clone()).filter(|d| d["state"] == 20)
    });
    assert_eq!(failed["err"], 1023);
    assert!(failed["msg"].as_str().unwrap().contains("listen"), "{failed}");

    let (_folder, _server, _rtmp, http) = serve("raw-off", "", "");
    let raw = |rpc: &str| get(http, &format!("/api/v1/raw?rpc={rpc}")).json();
    assert_eq!(raw("raw")["http_api"]["raw_api"]["enabled"], false);
    assert_eq!((&raw("reload")["code"], &raw("reload-fetch")["code"]), (&1061.into(), &1061.into()));
}

#[test]
fn row_30_large_requests_are_refused() {
    let (_folder, _server, _rtmp, http) = serve("large", "", "");
    assert_eq!(request(http, "POST", "/api/v1/versions", "Content-Length: 1000000\r\n").status, 413);
    assert_eq!(
        request(http, "GET", "/api/v1/versions", &format!("X: {}\r\n", "x".repeat(20_000))).status,
        431
    );
    let mut socket = open(http);
    socket.write_all(b"\x16\x03\x01 no http\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(get(http, "/api/v1/versions").status, 200);
}

#[test]
fn row_30_who_does_not_finish_a_request_is_disconnected() {
    let (_folder, _server, _rtmp, http) = serve("slow", "", "");
    let mut socket = open(http);
    socket.write_all(b"GET /api/v1/versions HTTP/1.1\r\nHost: a\r\n").unwrap();
    // Closed after 15 s, with or without a word.
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(get(http, "/api/v1/versions").status, 200);
}

#[test]
fn row_36_counters_for_prometheus() {
    let port = free_port();
    let exporter = format!("exporter {{ enabled on; listen 127.0.0.1:{port}; label cn; tag \"a\\b\"; }}");
    let (_folder, _server, rtmp, http) = serve("metrics", "", &exporter);
    let publisher = Client::publish(rtmp, &format!("rtmp://127.0.0.1:{rtmp}/live"), "show");
    publisher.wait_until_published();
    for port in [port, http] {
        let response = get(port, "/metrics");
        assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = response.text();
        let labels = r#"label="cn",tag="a\\b""#;
        for line in [
            format!("srs_streams{{{labels}}} 1"),
            format!("srs_clients{{{labels}}} 1"),
            format!("srs_clients_by_type{{type=\"fmle-publish\",{labels}}} 1"),
            format!("srs_clients_by_type{{type=\"rtmp-play\",{labels}}} 0"),
            "# TYPE srs_receive_bytes_total counter".to_owned(),
            format!("srs_media_sheds_total{{{labels}}} 0"),
            "# TYPE srs_media_bytes_max gauge".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        // Every sample belongs to a metric that was announced.
        let mut announced = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => announced = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert!(
                    line.starts_with(announced) && line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(),
                    "{line}"
                ),
            }
        }
    }
    assert_eq!(get(port, "/api/v1/versions").status, 404);
}
