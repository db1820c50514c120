//! What is posted to a hook (spec 8): the fields of SRS in the order of SRS.

use std::net::IpAddr;

use serde::Serialize;

use crate::process::identity::Identity;

/// What a hook is told about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Connect,
    Close { sent_bytes: u64, received_bytes: u64 },
    Publish,
    Unpublish,
    Play,
    Stop,
}

impl Action {
    /// Its name, which is that of the directive.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "on_connect",
            Self::Close { .. } => "on_close",
            Self::Publish => "on_publish",
            Self::Unpublish => "on_unpublish",
            Self::Play => "on_play",
            Self::Stop => "on_stop",
        }
    }
}

/// Whom a hook is told about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subject<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) ip: IpAddr,
    pub(crate) vhost: &'a str,
    pub(crate) app: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) param: &'a str,
    pub(crate) tc_url: &'a str,
    pub(crate) page_url: &'a str,
    pub(crate) stream_url: String,
    pub(crate) stream_id: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    server_id: &'a str,
    service_id: &'a str,
    action: &'static str,
    client_id: &'a str,
    ip: IpAddr,
    vhost: &'a str,
    app: &'a str,
    #[serde(rename = "tcUrl", skip_serializing_if = "Option::is_none")]
    tc_url: Option<&'a str>,
    // on_connect has the page in front of the stream, on_play behind it.
    #[serde(rename = "pageUrl", skip_serializing_if = "Option::is_none")]
    page_url_of_connect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(rename = "pageUrl", skip_serializing_if = "Option::is_none")]
    page_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_bytes: Option<u64>,
}

/// The body of a request.
pub(crate) fn body(identity: &Identity, action: Action, subject: &Subject<'_>) -> Vec<u8> {
    let closed = match action {
        Action::Close { sent_bytes, received_bytes } => Some((sent_bytes, received_bytes)),
        _ => None,
    };
    let open = closed.is_none();
    // Asked early, a client has not named its stream yet.
    let stream = open && (action != Action::Connect || !subject.stream.is_empty());
    let of_stream = open && action != Action::Connect;
    let body = Body {
        server_id: &identity.server,
        service_id: &identity.service,
        action: action.name(),
        client_id: subject.client_id,
        ip: subject.ip,
        vhost: subject.vhost,
        app: subject.app,
        tc_url: open.then_some(subject.tc_url),
        page_url_of_connect: (action == Action::Connect).then_some(subject.page_url),
        stream: stream.then_some(subject.stream),
        param: stream.then_some(subject.param),
        page_url: (action == Action::Play).then_some(subject.page_url),
        stream_url: of_stream.then_some(&subject.stream_url),
        stream_id: of_stream.then_some(subject.stream_id),
        send_bytes: closed.map(|(sent, _)| sent),
        recv_bytes: closed.map(|(_, received)| received),
    };
    // Text and numbers always have a form in JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = r#"{"server_id":"vid-0x1y2z3","service_id":"a1b2c3d4","action":"ACTION","client_id":"9k3l2m1n","ip":"192.168.1.10","vhost":"__defaultVhost__","app":"live""#;

    fn text(action: Action, page_url: &str) -> String {
        let identity = Identity { server: "vid-0x1y2z3".into(), service: "a1b2c3d4".into() };
        let subject = Subject {
            client_id: "9k3l2m1n",
            ip: [192, 168, 1, 10].into(),
            vhost: "__defaultVhost__",
            app: "live",
            stream: "livestream",
            param: "?token=abc",
            tc_url: "rtmp://192.168.1.10/live",
            page_url,
            stream_url: "/live/livestream".into(),
            stream_id: "vid-9q8w7e6",
        };
        String::from_utf8(body(&identity, action, &subject)).unwrap()
    }

    fn expect(action: Action, rest: &str) {
        let common = COMMON.replace("ACTION", action.name());
        assert_eq!(text(action, "http://p/"), format!("{common},{rest}}}"));
    }

    #[test]
    fn row_19_hook_bodies_are_those_of_srs() {
        const STREAM: &str =
            r#""tcUrl":"rtmp://192.168.1.10/live","stream":"livestream","param":"?token=abc""#;
        const IDS: &str = r#""stream_url":"/live/livestream","stream_id":"vid-9q8w7e6""#;
        for action in [Action::Publish, Action::Unpublish, Action::Stop] {
            expect(action, &format!("{STREAM},{IDS}"));
        }
        expect(Action::Play, &format!(r#"{STREAM},"pageUrl":"http://p/",{IDS}"#));
        expect(
            Action::Connect,
            r#""tcUrl":"rtmp://192.168.1.10/live","pageUrl":"http://p/","stream":"livestream","param":"?token=abc""#,
        );
        expect(Action::Close { sent_bytes: 1, received_bytes: 2 }, r#""send_bytes":1,"recv_bytes":2"#);
    }

    #[test]
    fn what_a_client_says_stays_inside_its_quotes() {
        let text = text(Action::Play, "\",\"ip\":\"10.0.0.1\"\n\u{0}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ip"], "192.168.1.10");
        assert_eq!(value["pageUrl"], "\",\"ip\":\"10.0.0.1\"\n\u{0}");
    }
}
