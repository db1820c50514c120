//! Asks and tells web addresses about clients (`http_hooks`, spec 8), beside the media path.

mod answer;
mod body;
mod breaker;
mod client;
mod turns;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use edge_cluster::ConnId;
use edge_cluster::config::{EdgeConfig, HooksConfig};
use edge_cluster::edge::{ClientInfo, ClientKind, Question, QuestionKind, Verdict};
use edge_cluster::tokio::Answer;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub(crate) use body::Action;
use body::{Subject, body};
use client::Client;
use turns::Turns;

use crate::app::Configuration;
use crate::log::Log;
use crate::process::identity::Identity;

/// Requests under way at the same time.
const REQUESTS_MAX: usize = 512;
/// Of those, requests to one URL: one that hangs must not keep others from being asked.
const REQUESTS_PER_URL_MAX: usize = 64;
/// Things to tell that wait for hooks; more are dropped with a warning. Questions do not count: each belongs to a client
/// that waits, and those have a limit of their own.
const WAITING_MAX: usize = 16_384;

/// Something to tell.
struct Note {
    action: Action,
    client: Arc<ClientInfo>,
    urls: Vec<String>,
}

/// Asks and tells. To be cloned freely.
#[derive(Clone)]
pub(crate) struct Hooks(Arc<Shared>);

struct Shared {
    runtime: Handle,
    client: Client,
    identity: Identity,
    log: Log,
    requests: Semaphore,
    turns: Turns,
    configuration: Arc<Configuration>,
    /// A connection is here while a task tells about it.
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    by_connection: BTreeMap<ConnId, VecDeque<Note>>,
    waiting: usize,
}

impl Hooks {
    /// Works on the runtime that it is made in.
    pub(crate) fn new(identity: Identity, log: Log, configuration: Arc<Configuration>) -> Self {
        Self(Arc::new(Shared {
            runtime: Handle::current(),
            client: Client::new(),
            identity,
            log,
            requests: Semaphore::new(REQUESTS_MAX),
            turns: Turns::new(REQUESTS_PER_URL_MAX),
            configuration,
            lanes: Mutex::default(),
        }))
    }

    /// Asks all URLs of the hook, in order; each has to say yes.
    pub(crate) fn ask(&self, config: &EdgeConfig, question: Question, answer: Answer) {
        let Question { kind, client, .. } = question;
        let action = match kind {
            QuestionKind::Connect => Action::Connect,
            QuestionKind::Publish => Action::Publish,
            QuestionKind::Play => Action::Play,
            // A question that this program does not know cannot have been configured.
            _ => return answer.give(Verdict::Allow),
        };
        let (shared, urls) = (Arc::clone(&self.0), urls(config, action, &client));
        self.0.runtime.spawn(async move {
            answer.give(match shared.post_all(&urls, action, &client).await {
                Ok(()) => Verdict::Allow,
                Err(()) => Verdict::deny(format!("refused by {}", action.name())),
            });
        });
    }

    /// Tells all URLs of the hook, after what was told about the connection before. Their answers are only logged.
    pub(crate) fn tell(&self, config: &EdgeConfig, action: Action, client: &Arc<ClientInfo>) {
        let urls = urls(config, action, client);
        if urls.is_empty() {
            return;
        }
        let mut lanes = self.0.lanes();
        if lanes.waiting >= WAITING_MAX {
            drop(lanes);
            self.0
                .log
                .warn(&client.client_id, &format!("too much to tell hooks, {} is dropped", action.name()));
            return;
        }
        lanes.waiting += 1;
        let note = Note { action, client: Arc::clone(client), urls };
        match lanes.by_connection.get_mut(&client.conn) {
            Some(lane) => lane.push_back(note),
            None => {
                lanes.by_connection.insert(client.conn, VecDeque::from([note]));
                let (shared, conn) = (Arc::clone(&self.0), client.conn);
                self.0.runtime.spawn(async move { shared.work(conn).await });
            }
        }
    }

    /// Whether everything was told.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.lanes().waiting == 0
    }
}

impl Shared {
    /// Tells about one connection until there is nothing left.
    async fn work(&self, conn: ConnId) {
        while let Some(note) = self.next(conn) {
            // A failure was logged and changes nothing: the client is gone, or goes on.
            let _ = self.post_all(&note.urls, note.action, &note.client).await;
            self.lanes().waiting -= 1;
        }
    }

    fn next(&self, conn: ConnId) -> Option<Note> {
        let mut lanes = self.lanes();
        let note = lanes.by_connection.get_mut(&conn).and_then(VecDeque::pop_front);
        if note.is_none() {
            lanes.by_connection.remove(&conn);
        }
        note
    }

    async fn post_all(&self, urls: &[String], action: Action, client: &ClientInfo) -> Result<(), ()> {
        let body = Bytes::from(body(&self.identity, action, &subject(client)));
        for url in urls {
            let _turn = self.turns.wait(url).await;
            // The semaphore is never closed.
            let _permit = self.requests.acquire().await;
            let limit = self.configuration.get().hook_timeout;
            if let Err(failure) = self.client.post(url, body.clone(), limit).await {
                let (action, refusal) = (action.name(), &failure.refusal);
                self.log.warn(&client.client_id, &format!("http: {action} failed, url={url}, {refusal}"));
                if failure.left_alone {
                    self.log.error(self.log.cid(), &format!("http: {url} is left alone for some seconds"));
                }
                return Err(());
            }
        }
        Ok(())
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Lanes> {
        // Queues are usable whatever happened to the thread that held them.
        self.lanes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The URLs of today's configuration: hooks are read on each use (spec 1.8).
fn urls(config: &EdgeConfig, action: Action, client: &ClientInfo) -> Vec<String> {
    let of = |hooks: &HooksConfig| match action {
        Action::Connect => hooks.on_connect.clone(),
        Action::Close { .. } => hooks.on_close.clone(),
        Action::Publish => hooks.on_publish.clone(),
        Action::Unpublish => hooks.on_unpublish.clone(),
        Action::Play => hooks.on_play.clone(),
        Action::Stop => hooks.on_stop.clone(),
    };
    let vhost = config.vhosts.iter().find(|vhost| *vhost.name == *client.key.vhost);
    vhost.and_then(|vhost| vhost.http_hooks.as_ref()).map(of).unwrap_or_default()
}

fn subject(client: &ClientInfo) -> Subject<'_> {
    Subject {
        client_id: &client.client_id,
        ip: client.peer.ip().to_canonical(),
        vhost: &client.key.vhost,
        app: &client.key.app,
        stream: &client.stream,
        param: &client.param,
        // Over HTTP nothing is connected to. SRS makes one up that a script for RTMP understands; the address that was
        // asked for has the token in it, which `param` has already.
        tc_url: match client.kind {
            ClientKind::FlvPlay => format!("rtmp://{}/{}", client.key.vhost, client.key.app).into(),
            _ => Cow::Borrowed(&client.tc_url),
        },
        page_url: &client.page_url,
        stream_url: client.stream_url(),
        stream_id: &client.stream_id,
    }
}
