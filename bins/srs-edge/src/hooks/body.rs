//! What is posted to a hook (spec 8): the fields of SRS in the order of SRS.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

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
    pub(crate) tc_url: Cow<'a, str>,
    pub(crate) page_url: &'a str,
    pub(crate) stream_url: String,
    pub(crate) stream_id: &'a str,
}

/// A value of a field.
#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    Ip(IpAddr),
    Number(u64),
}

/// Fields in an order of their own for each action: scripts without a parser of JSON cut them out.
struct Body<'a>(Vec<(&'static str, Value<'a>)>);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The body of a request.
pub(crate) fn body(identity: &Identity, action: Action, subject: &Subject<'_>) -> Vec<u8> {
    use Value::{Ip, Number, Text};

    let mut fields = vec![
        ("server_id", Text(&identity.server)),
        ("service_id", Text(&identity.service)),
        ("action", Text(action.name())),
        ("client_id", Text(subject.client_id)),
        ("ip", Ip(subject.ip)),
        ("vhost", Text(subject.vhost)),
        ("app", Text(subject.app)),
    ];
    let stream = || ("stream", Text(subject.stream));
    let param = || ("param", Text(subject.param));
    let tc_url = || ("tcUrl", Text(&subject.tc_url));
    let page_url = || ("pageUrl", Text(subject.page_url));
    let ids = || [("stream_url", Text(&subject.stream_url)), ("stream_id", Text(subject.stream_id))];
    match action {
        // Asked early, a client has not named its stream yet.
        Action::Connect if subject.stream.is_empty() => fields.extend([tc_url(), page_url()]),
        Action::Connect => fields.extend([stream(), param(), tc_url(), page_url()]),
        Action::Close { sent_bytes, received_bytes } => {
            fields.extend([("send_bytes", Number(sent_bytes)), ("recv_bytes", Number(received_bytes))]);
        }
        Action::Play => {
            fields.extend([stream(), tc_url(), param(), page_url()]);
            fields.extend(ids());
        }
        Action::Publish | Action::Unpublish | Action::Stop => {
            fields.extend([tc_url(), stream(), param()]);
            fields.extend(ids());
        }
    }
    // Text and numbers always have a form in JSON.
    serde_json::to_vec(&Body(fields)).unwrap_or_default()
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
            tc_url: "rtmp://192.168.1.10/live".into(),
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
        const TC_URL: &str = r#""tcUrl":"rtmp://192.168.1.10/live""#;
        expect(
            Action::Play,
            &format!(r#""stream":"livestream",{TC_URL},"param":"?token=abc","pageUrl":"http://p/",{IDS}"#),
        );
        expect(
            Action::Connect,
            &format!(r#""stream":"livestream","param":"?token=abc",{TC_URL},"pageUrl":"http://p/""#),
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
