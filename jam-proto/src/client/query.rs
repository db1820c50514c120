//! Questions that need no connection: version, lists, ping (spec 2.4, 6.6).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::io::{Input, Transmit, canonical};
use crate::message::{Connectionless, id};
use crate::wire::{Frame, FrameWriter};

/// What anybody may ask a server or directory.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Question {
    /// How far away is it, and how many clients has it? Answered by [`Connectionless::PingWithClients`].
    Ping,
    /// What is it? Answered by [`Connectionless::VersionAndOs`].
    Version,
    /// Who is connected? Answered by [`Connectionless::ClientList`].
    ClientList,
    /// Which servers does the directory list? Answered by [`Connectionless::ServerList`], often preceded by a
    /// [`Connectionless::ReducedServerList`].
    ServerList,
    /// What can it do? Answered by [`Connectionless::ServerFeatures`], by new servers only.
    Features,
    /// What does it greet with? Answered by [`Connectionless::WelcomeMessage`], by new servers only.
    WelcomeMessage,
}

impl Question {
    fn message(self, time_ms: u32) -> Connectionless {
        match self {
            Self::Ping => Connectionless::PingWithClients { time_ms, clients: 0 },
            Self::Version => Connectionless::RequestVersionAndOs,
            Self::ClientList => Connectionless::RequestClientList,
            Self::ServerList => Connectionless::RequestServerList,
            Self::Features => Connectionless::RequestServerFeatures,
            Self::WelcomeMessage => Connectionless::RequestWelcomeMessage,
        }
    }

    const fn answer_id(self) -> u16 {
        match self {
            Self::Ping => id::CLM_PING_MS_WITHNUMCLIENTS,
            Self::Version => id::CLM_VERSION_AND_OS,
            Self::ClientList => id::CLM_CONN_CLIENTS_LIST,
            Self::ServerList => id::CLM_SERVER_LIST,
            Self::Features => id::CLM_SERVER_FEATURES,
            Self::WelcomeMessage => id::CLM_WELCOME_MESSAGE,
        }
    }
}

/// What a query wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum QueryOutput {
    /// Send this datagram.
    Transmit(Transmit),
    /// A question is answered. A reduced server list is given, too, but the full one is awaited.
    Answer {
        /// The answer.
        message: Connectionless,
        /// Time since the question was asked last.
        round_trip: Duration,
    },
    /// Everything is answered, or the questions in the list were asked in vain.
    Finished {
        /// What stayed unanswered.
        unanswered: Vec<Question>,
    },
}

/// Asks one address some questions, each until it is answered or was asked five times, every 2 s.
///
/// ```
/// use jam_proto::client::{Query, QueryOutput, Question};
/// # #[allow(clippy::disallowed_methods)]
/// # fn main() -> Result<(), std::net::AddrParseError> {
///
/// let mut query = Query::new("192.0.2.1:22124".parse()?, &[Question::Version], std::time::Instant::now());
/// let Some(QueryOutput::Transmit(request)) = query.poll_output() else { panic!("it asks at once") };
/// assert_eq!(request.payload.len(), 9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Query {
    dst: SocketAddr,
    questions: SmallVec<[Question; 6]>,
    started_at: Instant,
    asked_at: Instant,
    attempts: u32,
    reduced_list_seen: bool,
    finished: bool,
    writer: FrameWriter,
    outputs: VecDeque<QueryOutput>,
}

impl Query {
    /// Shipped clients repeat list requests after this.
    const REPEAT_AFTER: Duration = Duration::from_secs(2);
    const ATTEMPTS_MAX: u32 = 5;

    /// A query that asks at once; repeated questions are asked once.
    #[must_use]
    pub fn new(dst: SocketAddr, questions: &[Question], now: Instant) -> Self {
        let mut questions = SmallVec::from_slice(questions);
        questions.sort_unstable();
        questions.dedup();
        let mut query = Self {
            dst: canonical(dst),
            questions,
            started_at: now,
            asked_at: now,
            attempts: 0,
            reduced_list_seen: false,
            finished: false,
            writer: FrameWriter::new(),
            outputs: VecDeque::new(),
        };
        query.ask(now);
        query
    }

    fn ask(&mut self, now: Instant) {
        self.asked_at = now;
        self.attempts += 1;
        let time_ms = now.saturating_duration_since(self.started_at).as_millis() as u32;
        for question in &self.questions {
            let payload = question.message(time_ms).frame(&mut self.writer);
            self.outputs.push_back(QueryOutput::Transmit(Transmit { dst: self.dst, payload }));
        }
        self.finish_if(self.questions.is_empty());
    }

    fn finish_if(&mut self, over: bool) {
        if over && !self.finished {
            self.finished = true;
            let unanswered = self.questions.to_vec();
            self.outputs.push_back(QueryOutput::Finished { unanswered });
        }
    }

    /// Takes a datagram or the passing of time.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { src, payload } => self.on_datagram(now, src, payload),
            Input::Timeout if self.poll_timeout().is_some_and(|due| due <= now) => {
                if self.attempts < Self::ATTEMPTS_MAX { self.ask(now) } else { self.finish_if(true) }
            }
            Input::Timeout => {}
        }
    }

    fn on_datagram(&mut self, now: Instant, src: SocketAddr, payload: &[u8]) {
        // A directory may answer from another port (spec 6.6).
        if self.finished || canonical(src).ip() != self.dst.ip() {
            return;
        }
        let Some(frame) = Frame::parse(payload) else { return };
        let Ok(Some(message)) = Connectionless::parse(frame.id, frame.body) else { return };
        let answered = self.questions.iter().position(|question| question.answer_id() == frame.id);
        let early_list = frame.id == id::CLM_RED_SERVER_LIST
            && self.questions.contains(&Question::ServerList)
            && !std::mem::replace(&mut self.reduced_list_seen, true);
        if answered.is_none() && !early_list {
            return;
        }
        let round_trip = now.saturating_duration_since(self.asked_at);
        self.outputs.push_back(QueryOutput::Answer { message, round_trip });
        if let Some(at) = answered {
            self.questions.remove(at);
            self.finish_if(self.questions.is_empty());
        }
    }

    /// The next thing to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<QueryOutput> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None` once the query is finished.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.finished).then(|| self.asked_at + Self::REPEAT_AFTER)
    }
}
