//! The checks of a request, in their order (spec 4.2).

use std::sync::Arc;
use std::time::Instant;

use super::Edge;
use super::client::ClientInfo;
use super::close::Told;
use super::event::Event;
use super::io::Output;
use super::question::{Question, QuestionId, QuestionKind, Verdict};
use super::refusal::Refusal;
use super::rules::Applicant;
use super::session::{Asked, Deciding, Stage, Step, WaitsFor};
use super::vhosts::Vhost;
use crate::config::Operation;
use crate::conn::ConnId;

/// What a check comes to.
enum Check {
    Pass,
    Wait,
    Refuse(Refusal),
}

impl Edge {
    /// Goes on with the checks until one has to wait, one refuses, or the client is served.
    pub(super) fn advance(&mut self, now: Instant, conn: ConnId) {
        loop {
            let Some(deciding) = self.session(conn).and_then(|session| session.deciding()) else { return };
            if deciding.waits_for.is_some() {
                return;
            }
            let step = deciding.step;
            match self.check(now, conn, step) {
                Check::Pass => {
                    if !self.pass(now, conn, step) {
                        return;
                    }
                }
                Check::Wait => return,
                Check::Refuse(refusal) => return self.refuse(now, conn, None, refusal),
            }
        }
    }

    /// A check was passed; says whether another one follows.
    fn pass(&mut self, now: Instant, conn: ConnId, step: Step) -> bool {
        let Some(session) = self.session(conn) else { return false };
        if step == Step::OnConnect {
            session.connect_allowed = true;
        }
        let Some(deciding) = session.deciding() else { return false };
        deciding.waits_for = None;
        deciding.deadline = None;
        if let Asked::Connect(request) = deciding.request {
            self.accept_connect(now, conn, request);
            return false;
        }
        deciding.step = step.next();
        step != Step::Acquire
    }

    fn check(&mut self, now: Instant, conn: ConnId, step: Step) -> Check {
        let Some(session) = self.session(conn) else { return Check::Wait };
        let (ip, connect_allowed) = (session.ip(), session.connect_allowed);
        let Some(deciding) = session.deciding() else { return Check::Wait };
        let Deciding { request, client, vhost, .. } = deciding;
        let (request, client, vhost) = (*request, Arc::clone(client), Arc::clone(vhost));
        let operation = client.kind.operation();
        match step {
            Step::OnConnect if connect_allowed || request == Asked::Flv => Check::Pass,
            Step::OnConnect => self.ask(now, conn, &vhost, QuestionKind::Connect),
            Step::TokenTraverse if vhost.cluster.is_edge() && vhost.cluster.token_traverse => {
                match self.begin_probe(now, conn, &vhost) {
                    Ok(()) => Check::Wait,
                    Err(refusal) => Check::Refuse(refusal),
                }
            }
            Step::TokenTraverse => Check::Pass,
            Step::ReferAll | Step::Security | Step::Name | Step::ReferBefore | Step::ReferAfter => {
                let (page_url, stream) = (&*client.page_url, &*client.key.stream);
                let applicant = Applicant { operation, ip, page_url, stream };
                applicant.refusal(step, &vhost).map_or(Check::Pass, Check::Refuse)
            }
            Step::OnRequest => {
                let question = match operation {
                    Operation::Publish => QuestionKind::Publish,
                    Operation::Play => QuestionKind::Play,
                };
                self.ask(now, conn, &vhost, question)
            }
            Step::Acquire => match operation {
                Operation::Publish => self.acquire_publish(now, conn, &client, &vhost),
                Operation::Play => self.acquire_play(now, conn, &client, &vhost),
            }
            .map_or_else(Check::Refuse, |()| Check::Wait),
        }
    }

    /// Whether the owner is asked at this point.
    pub(super) fn asks(&self, vhost: &Vhost, kind: QuestionKind) -> bool {
        let hooks = vhost.http_hooks.as_ref().map(|hooks| match kind {
            QuestionKind::Connect => &hooks.on_connect,
            QuestionKind::Publish => &hooks.on_publish,
            QuestionKind::Play => &hooks.on_play,
        });
        self.options.ask_always || hooks.is_some_and(|urls| !urls.is_empty())
    }

    fn ask(&mut self, now: Instant, conn: ConnId, vhost: &Vhost, kind: QuestionKind) -> Check {
        if !self.asks(vhost, kind) {
            return Check::Pass;
        }
        let id = QuestionId::new(self.shard, self.questions_asked);
        let deadline = now + self.options.answer_timeout;
        let Some(deciding) = self.session(conn).and_then(|session| session.deciding()) else {
            return Check::Wait;
        };
        deciding.waits_for = Some(WaitsFor::Owner(id));
        deciding.deadline = Some(deadline);
        let client = Arc::clone(&deciding.client);
        self.questions_asked += 1;
        self.questions.insert(id, conn);
        self.outputs.push_back(Output::Ask(Question { id, kind, client }));
        Check::Wait
    }

    pub(super) fn on_answer(&mut self, now: Instant, question: QuestionId, verdict: Verdict) {
        let Some(conn) = self.questions.remove(&question) else { return };
        let Some(deciding) = self.session(conn).and_then(|session| session.deciding()) else { return };
        let step = deciding.step;
        match verdict {
            Verdict::Allow => self.resume(now, conn, step),
            Verdict::Deny(reason) => {
                let question = question_of(deciding);
                self.refuse(now, conn, None, Refusal::Denied { question, reason });
            }
        }
        self.settle(now, conn);
    }

    /// The check that was waited for is passed.
    pub(super) fn resume(&mut self, now: Instant, conn: ConnId, step: Step) {
        if self.pass(now, conn, step) {
            self.advance(now, conn);
        }
        self.read_on(conn);
    }

    /// Asks for the bytes that were not looked at while a decision was pending.
    pub(super) fn read_on(&mut self, conn: ConnId) {
        if let Some(session) = self.session(conn)
            && session.holds_input
            && !matches!(session.stage, Stage::Deciding(_))
        {
            session.holds_input = false;
            self.outputs.push_back(Output::Read { conn });
        }
    }

    pub(super) fn on_decision_timeout(&mut self, now: Instant, conn: ConnId) {
        let Some(deciding) = self.session(conn).and_then(|session| session.deciding()) else { return };
        let refusal = match deciding.waits_for {
            Some(WaitsFor::Owner(_)) => Refusal::Unanswered(question_of(deciding)),
            _ => Refusal::NoOrigin,
        };
        self.refuse(now, conn, None, refusal);
    }

    /// Says no. `asked` names a request that is not in front of the checks (yet).
    pub(super) fn refuse(&mut self, now: Instant, conn: ConnId, asked: Option<Asked>, refusal: Refusal) {
        let Some(session) = self.session(conn) else { return };
        let client = session.client.clone();
        let asked = asked.or_else(|| session.deciding().map(|deciding| deciding.request));
        if let (Some(asked), Some(rtmp)) = (asked, session.rtmp()) {
            let (request, status) = match asked {
                Asked::Connect(request) => (Some(request), Self::connect_status(&refusal)),
                Asked::Publish(request) => (Some(request), refusal.status(Operation::Publish)),
                Asked::Play(request) => (Some(request), refusal.status(Operation::Play)),
                Asked::Flv => (None, refusal.status(Operation::Play)),
            };
            if let Some(request) = request {
                // It waits for its answer; a status that cannot be written leaves a closed connection.
                let _ = rtmp.reject(request, &status);
            }
        }
        self.on_refused(now, conn, client, refusal);
    }

    /// A client was told no.
    pub(super) fn on_refused(
        &mut self,
        now: Instant,
        conn: ConnId,
        client: Option<Arc<ClientInfo>>,
        refusal: Refusal,
    ) {
        self.totals.refused += 1;
        self.event(Event::Refused { conn, client, refusal: refusal.clone() });
        self.close_after(now, conn, super::CloseReason::Refused(refusal), Told::Already);
    }
}

/// The question a request waits at, or would wait at next.
fn question_of(deciding: &Deciding) -> QuestionKind {
    match (deciding.step, deciding.client.kind.operation()) {
        (Step::OnConnect, _) => QuestionKind::Connect,
        (_, Operation::Publish) => QuestionKind::Publish,
        (_, Operation::Play) => QuestionKind::Play,
    }
}
