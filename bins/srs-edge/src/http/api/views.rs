//! Vhosts, streams and clients in the words of the API.

use std::collections::HashMap;

use edge_cluster::edge::{
    AudioSnapshot, ClientKind, ClientSnapshot, Snapshot, SourceSnapshot, StreamSnapshot, Traffic,
    VhostSnapshot, VideoSnapshot,
};
use serde::Serialize;

#[derive(Serialize)]
struct Kbps {
    recv_30s: u32,
    send_30s: u32,
}

impl From<Traffic> for Kbps {
    fn from(traffic: Traffic) -> Self {
        Self { recv_30s: traffic.received_kbps_30s, send_30s: traffic.sent_kbps_30s }
    }
}

#[derive(Serialize)]
struct Hls {
    enabled: bool,
}

#[derive(Serialize)]
pub(super) struct Vhost<'a> {
    id: &'a str,
    name: &'a str,
    enabled: bool,
    clients: u32,
    streams: u32,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
    hls: Hls,
}

/// One vhost.
pub(super) fn vhost(vhost: &VhostSnapshot) -> Vhost<'_> {
    Vhost {
        id: &vhost.id,
        name: &vhost.name,
        enabled: vhost.enabled,
        clients: vhost.clients,
        streams: vhost.streams,
        send_bytes: vhost.traffic.sent_bytes,
        recv_bytes: vhost.traffic.received_bytes,
        kbps: vhost.traffic.into(),
        hls: Hls { enabled: false },
    }
}

#[derive(Serialize)]
struct Publish<'a> {
    active: bool,
    cid: &'a str,
}

#[derive(Serialize)]
struct Video<'a> {
    codec: &'a str,
    profile: &'a str,
    level: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Audio<'a> {
    codec: &'a str,
    sample_rate: u32,
    channel: u32,
    profile: &'a str,
}

#[derive(Serialize)]
pub(super) struct Stream<'a> {
    id: &'a str,
    name: &'a str,
    vhost: &'a str,
    app: &'a str,
    #[serde(rename = "tcUrl")]
    tc_url: String,
    url: String,
    live_ms: u128,
    clients: u32,
    frames: u64,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
    publish: Publish<'a>,
    video: Option<Video<'a>>,
    audio: Option<Audio<'a>>,
}

#[derive(Serialize)]
pub(super) struct Client<'a> {
    id: &'a str,
    vhost: &'a str,
    stream: &'a str,
    ip: String,
    #[serde(rename = "pageUrl")]
    page_url: &'a str,
    #[serde(rename = "swfUrl")]
    swf_url: &'a str,
    #[serde(rename = "tcUrl")]
    tc_url: &'a str,
    url: String,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    publish: bool,
    alive: f64,
    send_bytes: u64,
    recv_bytes: u64,
    kbps: Kbps,
}

/// Makes objects that refer to each other by their ids.
pub(super) struct Views<'a> {
    snapshot: &'a Snapshot,
    /// Of each stream: what its publisher connected to, or else one of its viewers. Scripts make addresses of it.
    tc_urls: HashMap<&'a str, &'a str>,
}

impl<'a> Views<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut tc_urls = HashMap::new();
        for ClientSnapshot { info, .. } in &snapshot.clients {
            if info.kind.is_publish() {
                tc_urls.insert(&*info.stream_id, &*info.tc_url);
            } else {
                tc_urls.entry(&*info.stream_id).or_insert(&*info.tc_url);
            }
        }
        Self { snapshot, tc_urls }
    }

    fn vhost_id(&self, name: &str) -> &'a str {
        self.snapshot
            .vhosts
            .iter()
            .find(|vhost| *vhost.name == *name)
            .map(|vhost| &*vhost.id)
            .unwrap_or_default()
    }

    /// One stream.
    pub(super) fn stream(&self, stream: &'a StreamSnapshot) -> Stream<'a> {
        let key = &stream.key;
        Stream {
            id: &stream.id,
            name: &key.stream,
            vhost: self.vhost_id(&key.vhost),
            app: &key.app,
            tc_url: match self.tc_urls.get(&*stream.id) {
                Some(tc_url) => (*tc_url).to_owned(),
                None => format!("rtmp://{}/{}", key.vhost, key.app),
            },
            url: format!("/{}/{}", key.app, key.stream),
            live_ms: stream.live.unwrap_or_default().as_millis(),
            clients: stream.clients,
            frames: stream.frames,
            send_bytes: stream.traffic.sent_bytes,
            recv_bytes: stream.traffic.received_bytes,
            kbps: stream.traffic.into(),
            publish: match &stream.source {
                SourceSnapshot::Publisher { client_id } => Publish { active: true, cid: client_id },
                SourceSnapshot::Origin { .. } => Publish { active: true, cid: "" },
                _ => Publish { active: false, cid: "" },
            },
            video: stream.video.as_ref().map(video),
            audio: stream.audio.as_ref().map(audio),
        }
    }

    /// One client.
    pub(super) fn client(&self, client: &'a ClientSnapshot) -> Client<'a> {
        let info = &client.info;
        Client {
            id: &info.client_id,
            vhost: self.vhost_id(&info.key.vhost),
            stream: &info.stream_id,
            ip: info.peer.ip().to_canonical().to_string(),
            page_url: &info.page_url,
            swf_url: &info.swf_url,
            tc_url: match info.kind {
                // The parameters of an address over HTTP are the viewer's, tokens among them.
                ClientKind::FlvPlay => info.tc_url.split('?').next().unwrap_or_default(),
                _ => &info.tc_url,
            },
            url: format!("/{}/{}", info.key.app, info.key.stream),
            name: &info.key.stream,
            kind: info.kind.as_str(),
            publish: info.kind.is_publish(),
            alive: client.alive.as_millis() as f64 / 1000.0,
            send_bytes: client.traffic.sent_bytes,
            recv_bytes: client.traffic.received_bytes,
            kbps: client.traffic.into(),
        }
    }
}

fn video(video: &VideoSnapshot) -> Video<'_> {
    Video {
        codec: &video.codec,
        profile: &video.profile,
        level: &video.level,
        width: video.width,
        height: video.height,
    }
}

fn audio(audio: &AudioSnapshot) -> Audio<'_> {
    Audio {
        codec: &audio.codec,
        sample_rate: audio.sample_rate,
        channel: audio.channels,
        profile: &audio.profile,
    }
}
