//! `http_api`, `http_server` and their blocks (spec 2.3).

use super::Kind::{Switch, Text};
use super::Reload::{Live, Restart};
use super::{DirectiveSpec, PORT_OR_ENDPOINT, block, row};

const AUTH: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Live, "Asks who it is on every path that contains /api/."),
    row("type", Text, "basic", Live, "basic asks for a name and a password, bearer for a token."),
    row("token", Text, "", Live, "The token that must be given with type bearer."),
    row(
        "rtc_bearer_enabled",
        Switch,
        "off",
        Live,
        "Asks for the token on the paths of WebRTC, too; there are none.",
    )
    .ignored(),
    row("username", Text, "", Live, "The name that must be given."),
    row("password", Text, "", Live, "The password that must be given."),
];

const RAW_API: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Live, "Allows commands through the HTTP API."),
    row("allow_reload", Switch, "off", Live, "Allows the command that reloads the configuration."),
    row("allow_query", Switch, "off", Live, "Known to SRS, which no longer has the command.").ignored(),
    row("allow_update", Switch, "off", Live, "Known to SRS, which no longer has the command.").ignored(),
];

const API_HTTPS: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves the HTTP API over TLS too."),
    row("listen", PORT_OR_ENDPOINT, "1990", Restart, "Where the HTTPS API listens."),
    row("key", Text, "./conf/server.key", Restart, "File of the private key, in PEM form."),
    row("cert", Text, "./conf/server.crt", Restart, "File of the certificates, in PEM form."),
];

const SERVER_HTTPS: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves HTTP streams over TLS too."),
    row("listen", PORT_OR_ENDPOINT, "8088", Restart, "Where the HTTPS server listens."),
    row("key", Text, "./conf/server.key", Restart, "File of the private key, in PEM form."),
    row("cert", Text, "./conf/server.crt", Restart, "File of the certificates, in PEM form."),
];

/// `http_api { ... }`.
pub(super) const API: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves the HTTP API: versions, streams, clients, kicking."),
    row(
        "listen",
        PORT_OR_ENDPOINT,
        "1985",
        Restart,
        "Where the HTTP API listens; may be that of http_server.",
    ),
    row("crossdomain", Switch, "on", Live, "Lets pages of other sites use the HTTP API (CORS headers)."),
    block("auth", AUTH, "Authentication of the HTTP API."),
    block("raw_api", RAW_API, "Commands of the HTTP API that change the server."),
    block("https", API_HTTPS, "The HTTP API over TLS.").later(),
];

/// `http_server { ... }`.
pub(super) const SERVER: &[DirectiveSpec] = &[
    row("enabled", Switch, "off", Restart, "Serves HTTP-FLV streams, see http_remux."),
    row(
        "listen",
        PORT_OR_ENDPOINT,
        "8080",
        Restart,
        "Where the HTTP server listens; may be that of http_api.",
    ),
    row("dir", Text, "./objs/nginx/html", Live, "Folder of the files that are served beside the streams."),
    row("crossdomain", Switch, "on", Live, "Lets pages of other sites play the streams (CORS headers)."),
    block("https", SERVER_HTTPS, "The HTTP server over TLS.").later(),
];
