//! Asking origins about clients (token traverse, spec 7).

use std::sync::Arc;
use std::time::Instant;

use rtmp_core::Progress;

use super::event::{Event, UpstreamKind};
use super::ids::mix;
use super::io::Output;
use super::options::EdgeOptions;
use super::refusal::Refusal;
use super::session::{Step, WaitsFor};
use super::upstream::Owner;
use super::vhosts::Vhost;
use super::{Edge, TimerKey};
use crate::conn::ConnId;
use crate::upstream::{
    OriginSettings, Probe, ProbeClient, ProbeEvent, ProbeRefusal, ProbeSettings, UpstreamInput,
    UpstreamOutput,
};

/// A probe that runs.
#[derive(Debug)]
pub(super) struct ProbeRun {
    probe: Probe,
    conn: Option<ConnId>,
}

impl ProbeRun {
    pub(super) fn private(&mut self) -> &mut bytes::BytesMut {
        self.probe.private()
    }
}

impl Edge {
    /// Asks the origins of `vhost` about a client.
    pub(super) fn begin_probe(&mut self, now: Instant, conn: ConnId, vhost: &Vhost) -> Result<(), Refusal> {
        if self.probes.len() >= EdgeOptions::part(self.options.probes_max, self.shards) {
            return Err(Refusal::ProbesBusy);
        }
        let origin = OriginSettings::of(&self.config, vhost, Arc::clone(&self.options.own));
        let seed = mix(self.seed ^ conn.get());
        let Some(session) = self.session(conn) else { return Ok(()) };
        let facts = &session.connect;
        let text = |text: &str| (!text.is_empty()).then(|| text.into());
        let client = ProbeClient {
            tc_url: (&*facts.tc_url).into(),
            app: (&*facts.app).into(),
            page_url: text(&facts.page_url),
            swf_url: text(&facts.swf_url),
            arguments: facts.arguments.to_vec(),
        };
        let Some(deciding) = session.deciding() else { return Ok(()) };
        deciding.waits_for = Some(WaitsFor::Probe);
        let probe = Probe::new(Arc::new(ProbeSettings::new(origin)), client, seed, now);
        self.probes.insert(conn, ProbeRun { probe, conn: None });
        self.drive_probe(now, conn);
        Ok(())
    }

    /// The client is gone.
    pub(super) fn cancel_probe(&mut self, now: Instant, conn: ConnId) {
        if let Some(run) = self.probes.get_mut(&conn) {
            run.probe.stop();
            self.drive_probe(now, conn);
            self.end_probe(conn);
        }
    }

    pub(super) fn probe_input(
        &mut self,
        now: Instant,
        client: ConnId,
        attempt: u64,
        input: UpstreamInput<'_>,
    ) -> Progress {
        let Some(run) = self.probes.get_mut(&client) else { return Progress::NeedBytes };
        let progress = run.probe.handle_input(now, attempt, input);
        self.drive_probe(now, client);
        progress
    }

    pub(super) fn on_probe_timeout(&mut self, now: Instant, client: ConnId) {
        if let Some(run) = self.probes.get_mut(&client) {
            run.probe.handle_timeout(now);
            self.drive_probe(now, client);
        }
    }

    fn drive_probe(&mut self, now: Instant, client: ConnId) {
        let owner = Owner::Probe(client);
        while let Some(run) = self.probes.get_mut(&client) {
            let Some(output) = run.probe.poll_output() else { break };
            match output {
                UpstreamOutput::Connect { attempt, target, timeout } => {
                    let conn = self.open_upstream(now, owner, attempt, target, timeout);
                    if let Some(run) = self.probes.get_mut(&client) {
                        run.conn = Some(conn);
                    }
                }
                UpstreamOutput::Write => {
                    if let Some(conn) = run.conn {
                        self.outputs.push_back(Output::Write { conn });
                    }
                }
                UpstreamOutput::Disconnect { farewell, .. } => {
                    let conn = run.conn.take();
                    self.close_upstream(conn, farewell.into());
                }
                UpstreamOutput::Event(event) => self.on_probe_event(now, client, event),
            }
        }
        if let Some(run) = self.probes.get(&client) {
            self.timers.set(TimerKey::Probe(client), run.probe.poll_timeout());
        }
    }

    fn on_probe_event(&mut self, now: Instant, client: ConnId, event: ProbeEvent) {
        match event {
            ProbeEvent::AttemptFailed { target, error } => {
                let Some(info) = self.session(client).and_then(|session| session.client.clone()) else {
                    return;
                };
                let (kind, key) = (UpstreamKind::Probe, info.key.clone());
                self.event(Event::UpstreamFailed { kind, key, target, reason: error.to_string() });
            }
            ProbeEvent::Accepted => {
                self.end_probe(client);
                self.resume(now, client, Step::TokenTraverse);
                self.settle(now, client);
            }
            ProbeEvent::Refused(why) => {
                self.end_probe(client);
                if let Some(deciding) = self.session(client).and_then(|session| session.deciding()) {
                    deciding.waits_for = None;
                }
                let refusal = match why {
                    ProbeRefusal::Status(status) => Refusal::Origin {
                        code: (&*status.code).into(),
                        reason: (&*status.description).into(),
                    },
                    _ => Refusal::NoOrigin,
                };
                self.refuse(now, client, None, refusal);
            }
        }
    }

    fn end_probe(&mut self, client: ConnId) {
        if let Some(mut run) = self.probes.remove(&client) {
            let conn = run.conn.take();
            self.close_upstream(conn, bytes::BytesMut::new());
            self.timers.remove(TimerKey::Probe(client));
        }
    }
}
