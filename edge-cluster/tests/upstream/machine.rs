//! The machines under one roof.

use std::time::Instant;

use bytes::BytesMut;
use edge_cluster::upstream::{
    Forward, Probe, ProbeEvent, Pull, PullEvent, Push, PushEvent, UpstreamInput, UpstreamOutput,
};
use rtmp_core::{Media, Progress};

/// What the world needs of a machine.
pub(crate) trait Machine {
    type Event: std::fmt::Debug + Clone + PartialEq;
    fn handle_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress;
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_output(&mut self) -> Option<UpstreamOutput<Self::Event>>;
    fn private(&mut self) -> &mut BytesMut;
    /// Writes a message of a publish.
    fn send_media(&mut self, media: &Media);
    /// Whether `event` lets shared media flow, and on which message stream.
    fn flow(event: &Self::Event) -> Option<Flow>;
    /// A word for the trace; `None` for what happens all the time.
    fn word(event: &Self::Event) -> Option<String>;
}

/// What an event says about shared media.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flow {
    Begins(u32),
    Ends,
}

macro_rules! machine {
    ($machine:ty, $event:ty, $word:path, $flow:expr, $send:expr) => {
        impl Machine for $machine {
            type Event = $event;
            fn handle_input(&mut self, now: Instant, attempt: u64, input: UpstreamInput<'_>) -> Progress {
                self.handle_input(now, attempt, input)
            }
            fn handle_timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }
            fn poll_timeout(&self) -> Option<Instant> {
                self.poll_timeout()
            }
            fn poll_output(&mut self) -> Option<UpstreamOutput<$event>> {
                self.poll_output()
            }
            fn private(&mut self) -> &mut BytesMut {
                self.private()
            }
            fn send_media(&mut self, media: &Media) {
                $send(self, media);
            }
            fn flow(event: &$event) -> Option<Flow> {
                $flow(event)
            }
            fn word(event: &$event) -> Option<String> {
                $word(event)
            }
        }
    };
}

machine!(Pull, PullEvent, pull_word, |_| None, |_, _| {});
machine!(Push, PushEvent, push_word, push_flow, |push: &mut Push, media| push.send_media(media).unwrap());
machine!(Forward, PushEvent, push_word, push_flow, |push: &mut Forward, media| push
    .send_media(media)
    .unwrap());

machine!(Probe, ProbeEvent, probe_word, |_| None, |_, _| {});

fn probe_word(event: &ProbeEvent) -> Option<String> {
    Some(match event {
        ProbeEvent::AttemptFailed { target, error } => format!("failed {}: {error}", target.host),
        ProbeEvent::Accepted => "accepted".to_owned(),
        ProbeEvent::Refused(refusal) => format!("refused: {refusal}"),
        _ => return None,
    })
}

fn push_flow(event: &PushEvent) -> Option<Flow> {
    match event {
        PushEvent::Join { msid } => Some(Flow::Begins(*msid)),
        PushEvent::Left { .. } => Some(Flow::Ends),
        _ => None,
    }
}

fn push_word(event: &PushEvent) -> Option<String> {
    Some(match event {
        PushEvent::Accepted => "accepted".to_owned(),
        PushEvent::Join { .. } => "join".to_owned(),
        PushEvent::Left { .. } => "left".to_owned(),
        PushEvent::AttemptFailed { target, error } => format!("failed {}: {error}", target.host),
        PushEvent::RoundFailed { .. } => "wait".to_owned(),
        PushEvent::Redirected { from, to } => format!("redirected {}>{}", from.host, to.host),
        PushEvent::Refused(status) => format!("refused {}", status.code),
        PushEvent::GaveUp(status) => format!("gave up {}", status.code),
        _ => return None,
    })
}

fn pull_word(event: &PullEvent) -> Option<String> {
    Some(match event {
        PullEvent::Accepted => "accepted".to_owned(),
        PullEvent::SourceBegan => "source".to_owned(),
        PullEvent::SourceEnded { why, .. } => format!("ended {}", first_word(&format!("{why:?}"))),
        PullEvent::Redirected { from, to } => format!("redirected {}>{}", from.host, to.host),
        PullEvent::AttemptFailed { target, error } => format!("failed {}: {error}", target.host),
        PullEvent::RoundFailed { wait } => format!("wait {}", wait.as_secs_f64().round()),
        _ => return None,
    })
}

pub(crate) fn first_word(text: &str) -> &str {
    text.split([' ', '(', '{']).next().unwrap_or_default()
}
