//! What clients ask for: names are taken apart, the vhost is found, the checks begin.

use std::sync::Arc;
use std::time::Instant;

use rtmp_core::message::{Connect, Status, status::code};
use rtmp_core::{Limits, NameFault, PublishStyle, RequestId, StreamUrl};

use super::Edge;
use super::client::{ClientInfo, ClientKind};
use super::event::Event;
use super::ids::vid;
use super::io::{FlvRequest, MovedConnection, Output};
use super::question::QuestionKind;
use super::refusal::Refusal;
use super::rules::Applicant;
use super::session::{Asked, ConnectFacts, Deciding, FlvBody, Stage, Step, Wire};
use super::vhosts::Vhost;
use super::{Conn, TimerKey};
use crate::admission::match_mount;
use crate::config::{EdgeConfig, Operation, VhostConfig};
use crate::conn::ConnId;
use crate::key::StreamKey;

impl FlvRequest {
    /// The refusal that opening it meets under `config` whatever the streams are, for an answer to `HEAD`. Whoever answers
    /// questions (hooks, an origin) is not asked: that would be a play.
    pub fn refusal(&self, config: &EdgeConfig) -> Option<Refusal> {
        let url = match self.url() {
            Ok(url) => url,
            Err(refusal) => return Some(refusal),
        };
        let Some(vhost) = config.vhost(&url.vhost) else { return Some(Refusal::Mount) };
        let url = match self.mounted(url, vhost) {
            Ok(url) => url,
            Err(refusal) => return Some(refusal),
        };
        let applicant = Applicant {
            operation: Operation::Play,
            ip: self.peer.ip().to_canonical(),
            page_url: &self.page_url,
            stream: url.stream_name(),
        };
        let next = |step: &Step| (*step != Step::Acquire).then(|| step.next());
        std::iter::successors(Some(Step::ReferAll), next).find_map(|step| applicant.refusal(step, vhost))
    }

    /// The host as it stands in a URL, and the query with `?` in front.
    fn base_and_query(&self) -> (String, String) {
        let host = match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.host,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let query = match self.query.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        (if host.contains(':') { format!("[{host}]") } else { host.to_owned() }, query)
    }

    /// By the rules of RTMP names: a parameter names the vhost, else the host does.
    fn url(&self) -> Result<StreamUrl, Refusal> {
        if self.query.len() > Limits::default().query_bytes_max {
            return Err(Refusal::Name(NameFault::QueryLength));
        }
        let (base, query) = self.base_and_query();
        StreamUrl::parse(&format!("rtmp://{base}/{query}"), "").map_err(Refusal::Url)
    }

    /// The same with the app and stream that the path names, when the vhost offers streams over HTTP.
    fn mounted(&self, mut url: StreamUrl, vhost: &VhostConfig) -> Result<StreamUrl, Refusal> {
        let remux = vhost.http_remux.as_ref().ok_or(Refusal::Mount)?;
        let mounted = match_mount(&remux.mount, &url.vhost, &self.path).ok_or(Refusal::Mount)?;
        (url.app, url.stream) = (mounted.app, mounted.stream);
        if url.app.is_empty() {
            url.app = rtmp_core::DEFAULT_APP.to_owned();
        }
        usable(url)
    }
}

/// What a client names over RTMP, when it can be used.
fn names(tc_url: &str, stream: &str) -> Result<StreamUrl, Refusal> {
    StreamUrl::parse(tc_url, stream).map_err(Refusal::Url).and_then(usable)
}

/// Names go to logs, hooks, keys and other servers, so each is looked at once it is known what it is: a `tcUrl` or a path
/// may hold more than the properties that were checked when they arrived. No directive changes these limits.
fn usable(url: StreamUrl) -> Result<StreamUrl, Refusal> {
    match url.fault(&Limits::default()) {
        None => Ok(url),
        Some(fault) => Err(Refusal::Name(fault)),
    }
}

impl Edge {
    pub(super) fn on_connect_requested(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        connect: &Connect,
    ) {
        let Some(session) = self.session(conn) else { return };
        session.connect = ConnectFacts::of(connect);
        let tc_url = Arc::clone(&session.connect.tc_url);
        let url = match names(&tc_url, "") {
            Ok(url) => url,
            Err(refusal) => return self.refuse(now, conn, Some(Asked::Connect(request)), refusal),
        };
        if self.draining.is_some() {
            return self.refuse(now, conn, Some(Asked::Connect(request)), Refusal::Draining);
        }
        let Some(vhost) = self.vhosts.find(&url.vhost).cloned() else {
            if url.vhost != url.host {
                let refusal = Refusal::Vhost(url.vhost.into());
                return self.refuse(now, conn, Some(Asked::Connect(request)), refusal);
            }
            // The stream's name may still name a vhost that is served.
            return self.accept_connect(now, conn, request);
        };
        if let Some(rtmp) = self.session(conn).and_then(|session| session.rtmp()) {
            rtmp.configure(Arc::clone(&vhost.connection));
        }
        if !vhost.extension.connect_hook_early || !self.asks(&vhost, QuestionKind::Connect) {
            return self.accept_connect(now, conn, request);
        }
        let Some(client) = self.describe(conn, &vhost, &url, ClientKind::RtmpPlay) else { return };
        self.decide(now, conn, Asked::Connect(request), client, vhost, Step::OnConnect);
    }

    pub(super) fn accept_connect(&mut self, now: Instant, conn: ConnId, request: RequestId) {
        if let Some(session) = self.session(conn) {
            session.stage = Stage::Idle;
            if let Some(rtmp) = session.rtmp() {
                // It is open: the request was just made, or was waiting.
                let _ = rtmp.accept(now, request);
            }
        }
    }

    pub(super) fn on_publish_requested(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: RequestId,
        name: &str,
        style: PublishStyle,
    ) {
        let asked = Asked::Publish(request);
        let Some((client, vhost)) = self.identify(now, conn, asked, name, style.into()) else { return };
        let home = client.key.home(self.shards);
        self.decide(now, conn, asked, client, vhost, Step::ReferAll);
        if home != self.shard
            && self.session(conn).is_some_and(|session| matches!(session.stage, Stage::Deciding(_)))
            && let Some(Conn::Session(session)) = self.conns.remove(conn)
        {
            self.timers.remove(TimerKey::Conn(conn));
            let state = Box::new(MovedConnection { session });
            self.outputs.push_back(Output::Move { conn, to: home, state });
            return;
        }
        self.advance(now, conn);
    }

    pub(super) fn on_play_requested(&mut self, now: Instant, conn: ConnId, request: RequestId, name: &str) {
        let asked = Asked::Play(request);
        let Some((client, vhost)) = self.identify(now, conn, asked, name, ClientKind::RtmpPlay) else {
            return;
        };
        self.decide(now, conn, asked, client, vhost, Step::ReferAll);
        self.advance(now, conn);
    }

    /// Finds out who wants which stream, or refuses.
    fn identify(
        &mut self,
        now: Instant,
        conn: ConnId,
        asked: Asked,
        name: &str,
        kind: ClientKind,
    ) -> Option<(Arc<ClientInfo>, Arc<Vhost>)> {
        let tc_url = Arc::clone(&self.session(conn)?.connect.tc_url);
        let refusal = match names(&tc_url, name) {
            Err(refusal) => refusal,
            Ok(url) => match self.vhosts.find(&url.vhost).cloned() {
                None => Refusal::Vhost(url.vhost.into()),
                Some(vhost) => {
                    let client = self.describe(conn, &vhost, &url, kind)?;
                    self.event(Event::Identified { client: Arc::clone(&client) });
                    if self.draining.is_none() {
                        return Some((client, vhost));
                    }
                    Refusal::Draining
                }
            },
        };
        self.refuse(now, conn, Some(asked), refusal);
        None
    }

    /// Writes down who the client is.
    fn describe(
        &mut self,
        conn: ConnId,
        vhost: &Vhost,
        url: &StreamUrl,
        kind: ClientKind,
    ) -> Option<Arc<ClientInfo>> {
        let seed = self.seed;
        let session = self.session(conn)?;
        let key = StreamKey::new(Arc::clone(&vhost.name), url.app.as_str(), url.stream_name());
        let client = Arc::new(ClientInfo {
            conn,
            client_id: Arc::clone(&session.client_id),
            peer: session.peer,
            kind,
            stream_id: vid(seed, key.to_string().as_bytes()),
            key,
            stream: url.stream.as_str().into(),
            param: url.param.as_str().into(),
            tc_url: Arc::clone(&session.connect.tc_url),
            page_url: Arc::clone(&session.connect.page_url),
            swf_url: Arc::clone(&session.connect.swf_url),
            arguments: Arc::clone(&session.connect.arguments),
        });
        session.client = Some(Arc::clone(&client));
        Some(client)
    }

    /// Puts a request in front of the checks.
    fn decide(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: Asked,
        client: Arc<ClientInfo>,
        vhost: Arc<Vhost>,
        step: Step,
    ) {
        let Some(session) = self.session(conn) else { return };
        let deciding = Deciding { request, client, vhost, step, waits_for: None, deadline: None };
        session.stage = Stage::Deciding(Box::new(deciding));
        if let Asked::Connect(_) = request {
            self.advance(now, conn);
        }
    }

    pub(super) fn on_open_flv(&mut self, now: Instant, conn: ConnId, request: &FlvRequest) {
        self.open_session(now, conn, request.peer, Wire::Flv(FlvBody::default()));
        let (base, query) = request.base_and_query();
        let parsed = request.url();
        if let Some(session) = self.session(conn) {
            session.connect.page_url = request.page_url.as_str().into();
            session.connect.tc_url = format!("http://{base}{query}").into();
        }
        let refusal = match parsed.and_then(|url| self.offered(url, request)) {
            Err(refusal) => refusal,
            Ok(_) if self.draining.is_some() => Refusal::Draining,
            Ok((vhost, url)) => {
                let tc_url = format!("http://{base}/{}{query}", url.app);
                if let Some(session) = self.session(conn) {
                    session.connect.tc_url = tc_url.into();
                    session.connect.app = url.app.as_str().into();
                }
                let Some(client) = self.describe(conn, &vhost, &url, ClientKind::FlvPlay) else { return };
                self.event(Event::Identified { client: Arc::clone(&client) });
                self.decide(now, conn, Asked::Flv, client, vhost, Step::ReferAll);
                self.advance(now, conn);
                return self.settle(now, conn);
            }
        };
        self.refuse(now, conn, Some(Asked::Flv), refusal);
    }

    /// The vhost and the stream that a request over HTTP names.
    fn offered(&self, url: StreamUrl, request: &FlvRequest) -> Result<(Arc<Vhost>, StreamUrl), Refusal> {
        let vhost = self.vhosts.find(&url.vhost).ok_or(Refusal::Mount)?;
        Ok((Arc::clone(vhost), request.mounted(url, vhost)?))
    }

    /// The status for a refused `connect`.
    pub(super) fn connect_status(refusal: &Refusal) -> Status {
        Status::error(code::CONNECT_REJECTED, refusal.to_string())
    }
}
