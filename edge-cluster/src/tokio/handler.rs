//! Who hears of events and answers questions.

use std::io;
use std::net::SocketAddr;

use super::order::{Order, OrderSender};
use crate::admission::GateRefusal;
use crate::edge::{Event, Question, QuestionId, Verdict};

/// The owner's side. All methods are called on the threads of the shards or of the acceptor: they must not block.
pub trait Handler: Send + Sync + 'static {
    /// Something happened.
    fn on_event(&self, event: Event) {
        let _ = event;
    }

    /// A client waits for a decision. Keep `answer` for as long as it takes; dropping it refuses the client.
    fn on_question(&self, question: Question, answer: Answer) {
        let _ = question;
        answer.give(Verdict::deny("nobody decides"));
    }

    /// A connection was not let in.
    fn on_turned_away(&self, peer: SocketAddr, why: GateRefusal) {
        let _ = (peer, why);
    }

    /// A connection could not be accepted, for instance because the process has no descriptor left. The acceptor
    /// tries again after a moment, and tells of an error that lasts every 10 s.
    fn on_accept_error(&self, listener: SocketAddr, error: &io::Error) {
        let _ = (listener, error);
    }
}

/// Nobody listens.
pub(super) struct Silent;

impl Handler for Silent {}

/// The answer to one question.
#[derive(Debug)]
pub struct Answer {
    question: QuestionId,
    shard: Option<OrderSender>,
}

impl Answer {
    pub(super) fn new(question: QuestionId, shard: OrderSender) -> Self {
        Self { question, shard: Some(shard) }
    }

    /// Decides.
    pub fn give(mut self, verdict: Verdict) {
        self.send(verdict);
    }

    fn send(&mut self, verdict: Verdict) {
        if let Some(shard) = self.shard.take() {
            // A shard that is gone has no use for an answer.
            let _ = shard.send(Order::Answer { question: self.question, verdict });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.send(Verdict::deny("nobody decided"));
    }
}
