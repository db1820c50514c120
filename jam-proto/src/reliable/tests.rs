use super::*;
use crate::message::{ChatText, RecorderState};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct End {
    reliable: Reliable,
    writer: FrameWriter,
}

impl End {
    fn new(limits: ReliableLimits, counter_first: u8) -> Self {
        Self { reliable: Reliable::new(limits, counter_first), writer: FrameWriter::new() }
    }

    fn send(&mut self, message: Message) {
        assert_eq!(self.reliable.send(&message, &mut self.writer), Ok(()));
    }

    /// Everything due, as (number, counter, body length).
    fn transmits(&mut self, now: Instant) -> Vec<(u16, u8, usize)> {
        self.datagrams(now)
            .iter()
            .map(|datagram| {
                let frame = Frame::parse(datagram).unwrap();
                (frame.id, frame.counter, frame.body.len())
            })
            .collect()
    }

    fn datagrams(&mut self, now: Instant) -> Vec<Bytes> {
        std::iter::from_fn(|| self.reliable.poll_transmit(now, &mut self.writer)).collect()
    }

    fn acknowledge(&mut self, id: u16, counter: u8) -> Received<'static> {
        let body = id.to_le_bytes();
        match self.reliable.handle_frame(&Frame { id: id::ACKN, counter, body: &body }) {
            Received::Message { .. } => unreachable!("an acknowledgement is never a message"),
            Received::Acknowledged { id } => Received::Acknowledged { id },
            Received::WrongAcknowledgement => Received::WrongAcknowledgement,
            Received::Duplicate => Received::Duplicate,
            Received::Part => Received::Part,
            Received::Malformed => Received::Malformed,
        }
    }
}

fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin for virtual time")]
    Instant::now()
}

#[test]
fn one_message_is_outstanding_and_repeated_every_400_ms() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    end.send(Message::RequestSplitSupport);
    end.send(Message::RequestAudioProps);
    assert_eq!(end.transmits(t0), [(34, 0, 0)]);
    assert_eq!(end.reliable.poll_timeout(), Some(t0 + ms(400)));
    assert_eq!(end.transmits(t0 + ms(399)), []);
    assert_eq!(end.transmits(t0 + ms(400)), [(34, 0, 0)]);
    assert_eq!(end.reliable.poll_timeout(), Some(t0 + ms(800)));
    assert_eq!(end.acknowledge(34, 0), Received::Acknowledged { id: 34 });
    assert_eq!(end.transmits(t0 + ms(500)), [(21, 1, 0)]);
    assert_eq!(end.acknowledge(21, 1), Received::Acknowledged { id: 21 });
    assert_eq!(end.transmits(t0 + ms(500)), []);
    assert_eq!(end.reliable.poll_timeout(), None);
}

#[test]
fn an_acknowledgement_needs_number_and_counter() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 200), clock());
    end.send(Message::RequestAudioProps);
    assert_eq!(end.acknowledge(21, 200), Received::WrongAcknowledgement, "not sent yet");
    assert_eq!(end.transmits(t0), [(21, 200, 0)]);
    assert_eq!(end.acknowledge(21, 201), Received::WrongAcknowledgement);
    assert_eq!(end.acknowledge(23, 200), Received::WrongAcknowledgement);
    assert_eq!(end.acknowledge(21, 200), Received::Acknowledged { id: 21 });
    assert_eq!(end.acknowledge(21, 200), Received::Duplicate, "its retransmission was acknowledged, too");
    assert_eq!(end.reliable.stats().wrong_acknowledgements, 3);
}

#[test]
fn the_counter_wraps() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 255), clock());
    end.send(Message::RequestAudioProps);
    end.send(Message::RequestChannelInfo);
    assert_eq!(end.transmits(t0), [(21, 255, 0)]);
    assert_eq!(end.acknowledge(21, 255), Received::Acknowledged { id: 21 });
    assert_eq!(end.transmits(t0), [(23, 0, 0)]);
}

#[test]
fn a_repetition_is_acknowledged_but_not_processed() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    let frame = Frame { id: 999, counter: 9, body: b"?" };
    assert!(matches!(end.reliable.handle_frame(&frame), Received::Message { id: 999, .. }));
    assert_eq!(end.transmits(t0), [(id::ACKN, 9, 2)]);
    assert_eq!(end.reliable.handle_frame(&frame), Received::Duplicate);
    assert_eq!(end.transmits(t0), [(id::ACKN, 9, 2)]);
    assert!(matches!(
        end.reliable.handle_frame(&Frame { counter: 10, ..frame }),
        Received::Message { id: 999, .. }
    ));
}

#[test]
fn what_processing_triggers_precedes_the_acknowledgement() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    let _ = end.reliable.handle_frame(&Frame { id: 34, counter: 2, body: &[] });
    end.send(Message::SplitSupported);
    assert_eq!(end.transmits(t0), [(35, 0, 0), (id::ACKN, 2, 2)]);
}

#[test]
fn attempts_end_where_the_limit_says() {
    let limits = ReliableLimits { attempts_max: Some(3), ..ReliableLimits::default() };
    let (mut end, t0) = (End::new(limits, 7), clock());
    end.send(Message::RequestAudioProps);
    for attempt in 0..3 {
        assert_eq!(end.transmits(t0 + attempt * ms(400)), [(21, 7, 0)]);
        assert!(!end.reliable.is_exhausted());
    }
    assert_eq!(end.transmits(t0 + ms(1200)), []);
    assert!(end.reliable.is_exhausted());
    assert_eq!(end.reliable.poll_timeout(), None);
}

#[test]
fn the_queue_is_bounded_by_messages() {
    let limits = ReliableLimits { queue_messages_max: 2, ..ReliableLimits::default() };
    let (mut end, t0) = (End::new(limits, 0), clock());
    end.send(Message::RequestAudioProps);
    assert_eq!(end.transmits(t0).len(), 1);
    end.send(Message::RequestChannelInfo);
    let refused = end.reliable.send(&Message::RequestSplitSupport, &mut end.writer);
    assert_eq!(refused, Err(QueueFull { messages: 2, bytes: 0 }));
    assert_eq!(end.acknowledge(21, 0), Received::Acknowledged { id: 21 });
    end.send(Message::RequestSplitSupport);
}

#[test]
fn the_queue_is_bounded_by_bytes() {
    let limits = ReliableLimits { queue_bytes_max: 10, ..ReliableLimits::default() };
    let (mut end, t0) = (End::new(limits, 0), clock());
    assert_eq!(end.reliable.send_body(500, Bytes::from_static(&[0; 6])), Ok(()));
    assert_eq!(end.transmits(t0).len(), 1);
    let refused = end.reliable.send_body(500, Bytes::from_static(&[0; 5]));
    assert_eq!(refused, Err(QueueFull { messages: 1, bytes: 6 }));
    assert_eq!(end.acknowledge(500, 0), Received::Acknowledged { id: 500 });
    assert_eq!(end.reliable.send_body(500, Bytes::from_static(&[0; 10])), Ok(()));
}

#[test]
fn the_latest_of_a_kind_replaces_those_that_wait() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    let state = |state| Message::RecorderState(state);
    end.send(state(RecorderState::NotInitialised));
    for latest in [RecorderState::NotEnabled, RecorderState::Recording, RecorderState::NotEnabled] {
        assert_eq!(end.reliable.send_latest(&state(latest), &mut end.writer), Ok(()));
    }
    assert_eq!(end.reliable.queue_messages(), 2, "what was queued in order stays");
    assert_eq!(end.transmits(t0), [(33, 0, 1)]);
    assert_eq!(end.acknowledge(33, 0), Received::Acknowledged { id: 33 });
    let last = end.datagrams(t0);
    assert_eq!(Frame::parse(&last[0]).map(|frame| frame.body), Some(&[2_u8][..]));
    // Outstanding: it cannot be replaced any more.
    assert_eq!(end.reliable.send_latest(&state(RecorderState::Recording), &mut end.writer), Ok(()));
    assert_eq!(end.reliable.queue_messages(), 2);
    assert_eq!(end.reliable.stats().superseded, 2);
}

#[test]
fn split_support_learnt_after_queueing_still_counts() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    end.send(Message::RequestSplitSupport);
    end.send(Message::Chat(ChatText::cut(&"w".repeat(606))));
    assert_eq!(end.transmits(t0), [(34, 0, 0)]);
    end.reliable.allow_split();
    assert_eq!(end.acknowledge(34, 0), Received::Acknowledged { id: 34 });
    assert_eq!(end.transmits(t0), [(2001, 1, 554)]);
    assert_eq!(end.acknowledge(2001, 1), Received::Acknowledged { id: 2001 });
    assert_eq!(end.acknowledge(2001, 2), Received::WrongAcknowledgement, "not sent yet");
    assert_eq!(end.transmits(t0), [(2001, 2, 62)]);
    assert_eq!(end.transmits(t0 + ms(400)), [(2001, 2, 62)]);
    assert_eq!(end.acknowledge(2001, 2), Received::Acknowledged { id: 2001 });
    assert_eq!(end.reliable.queue_messages(), 0);
}

#[test]
fn without_split_support_long_messages_go_whole() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    end.send(Message::Chat(ChatText::cut(&"w".repeat(606))));
    assert_eq!(end.transmits(t0), [(18, 0, 608)]);
    end.reliable.allow_split();
    assert_eq!(end.transmits(t0 + ms(400)), [(18, 0, 608)], "a repetition keeps its form");
}

#[test]
fn a_whole_message_ends_an_assembly() {
    let mut end = End::new(ReliableLimits::default(), 0);
    let part = |index: u8| [18, 0, 2, index, b'x'];
    let mut split = |counter, index| {
        end.reliable.handle_frame(&Frame { id: id::SPLIT, counter, body: &part(index) }) == Received::Part
    };
    assert!(split(0, 0));
    assert!(split(1, 0));
    let _ = end.reliable.handle_frame(&Frame { id: 16, counter: 2, body: &[] });
    let last = Frame { id: id::SPLIT, counter: 3, body: &part(1) };
    assert_eq!(end.reliable.handle_frame(&last), Received::Malformed);
}

#[test]
fn a_reset_forgets_the_peer() {
    let (mut end, t0) = (End::new(ReliableLimits::default(), 0), clock());
    end.send(Message::RequestAudioProps);
    assert_eq!(end.transmits(t0).len(), 1);
    let frame = Frame { id: 20, counter: 0, body: &[] };
    let _ = end.reliable.handle_frame(&frame);
    end.reliable.reset(9);
    assert_eq!(end.transmits(t0 + ms(1000)), []);
    assert!(matches!(end.reliable.handle_frame(&frame), Received::Message { .. }));
    end.send(Message::RequestChannelInfo);
    assert_eq!(end.transmits(t0), [(23, 9, 0), (id::ACKN, 0, 2)]);
}
