//! From the first datagram to the first audio (spec 5.3, 5.4).

use super::*;
use crate::message::{ClientListEntry, Licence};

const ANN: &str = "192.0.2.1:22134";

#[test]
fn a_newcomer_is_asked_to_prove_itself_and_then_told_everything_in_order() {
    let mut room = Room::with(|config| config.welcome("Hello").licence(Licence::Required));
    assert_eq!(room.audio(addr(ANN), 45), Disposition::Consumed);
    let questions = room.questions();
    room.answer(&questions);
    let mut order = Vec::new();
    // Strictly one at a time: the next message comes after the acknowledgement of the last.
    while let [sent] = &room.sent()[..] {
        order.push(sent.id);
        room.acknowledge(&sent.clone());
        room.sent.retain(|sent| sent.id != id::ACKN);
    }
    assert_eq!(order, [32, 36, 24, 34, 11, 23, 18, 27, 29, 33]);
}

#[test]
fn what_this_server_does_not_have_is_left_out() {
    let mut room = Room::with(|config| config.without(crate::message::ServerFeatures::RAW_AUDIO));
    let ann = room.joined(ANN, "Ann");
    assert_eq!(ann.heard_ids(), [21, 21, 32, 24, 34, 11, 23, 29, 33, 24]);
}

#[test]
fn the_slot_is_taken_and_announced_only_after_the_matching_acknowledgement() {
    let mut room = Room::new();
    let _ = room.audio(addr(ANN), 45);
    let questions = room.questions();
    assert_eq!((room.server.connected(), room.events()), (0, vec![]));

    let wrong = (0..=255).find(|guess| questions.iter().all(|question| question.counter != *guess));
    room.raw_message(addr(ANN), id::ACKN, wrong.unwrap(), &[21, 0]);
    // Half an answer, even if it is repeated, is none.
    room.answer(&[questions[1].clone(), questions[1].clone()]);
    assert_eq!((room.server.connected(), room.sent()), (0, vec![]));

    room.acknowledge(&questions[0]);
    assert_eq!(room.events(), [Event::Joined { channel: slot(0), addr: addr(ANN), connected: 1 }],);
    assert_eq!(room.one_sent().message(), Message::ClientId(slot(0)));
}

#[test]
fn a_join_is_complete_with_events_in_order() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    assert_eq!(
        room.events(),
        [
            Event::Joined { channel: slot(0), addr: addr(ANN), connected: 1 },
            Event::Transport { channel: slot(0), props: props() },
            Event::JitterBuffer { channel: slot(0), size: JitterSize::Auto },
            Event::Identified { channel: slot(0), info: info("Ann") },
        ]
    );
    let list = Message::ClientList(vec![ClientListEntry { channel: slot(0), info: info("Ann") }]);
    assert_eq!(ann.heard_messages().last(), Some(&list));
    assert_eq!(room.audio(ann.addr, 45), Disposition::Audio(slot(0)));
    assert_eq!(room.audio(ann.addr, 46), Disposition::WrongSize(slot(0)));
    assert!(room.server.is_audio_due(room.now, slot(0)));
}

#[test]
fn a_format_sent_before_the_acknowledgement_is_not_lost() {
    let mut room = Room::new();
    let _ = room.audio(addr(ANN), 45);
    let questions = room.questions();
    // A client answers first and acknowledges then; it cannot be acknowledged itself before it is connected.
    room.message(addr(ANN), 7, &Message::AudioProps(props()));
    assert_eq!(room.sent(), []);
    room.answer(&questions);
    assert_eq!(room.events().get(1), Some(&Event::Transport { channel: slot(0), props: props() }));
    let sent = room.sent();
    assert_eq!(sent.iter().map(|sent| sent.id).collect::<Vec<_>>(), [32, 1]);
    assert_eq!((sent[1].counter, &sent[1].body[..]), (7, &[20, 0][..]));
    // The client's repetition is acknowledged again and changes nothing.
    room.message(addr(ANN), 7, &Message::AudioProps(props()));
    assert_eq!(room.sent_ids(), [id::ACKN]);
    assert_eq!(room.events(), []);
}

#[test]
fn no_audio_before_the_musician_is_identified_and_its_address_proven() {
    let mut room = Room::new();
    let _ = room.audio(addr(ANN), 45);
    let questions = room.questions();
    room.answer(&questions);
    // Who forges an address can send these, but not acknowledge what it cannot read.
    room.message(addr(ANN), 0, &Message::AudioProps(props()));
    room.message(addr(ANN), 1, &Message::ChannelInfo(info("Eve")));
    assert_eq!(room.audio(addr(ANN), 45), Disposition::Audio(slot(0)));
    assert!(!room.server.is_audio_due(room.now, slot(0)));
    room.command(Command::Levels(&[3])).unwrap();
    assert!(!room.sent_ids().contains(&id::CLM_CHANNEL_LEVEL_LIST));
}

#[test]
fn audio_is_not_due_to_who_sends_none() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    room.pass(ms(2_000));
    assert!(room.server.is_audio_due(room.now, slot(0)));
    room.pass(ms(1));
    assert!(!room.server.is_audio_due(room.now, slot(0)));
    let _ = room.audio(ann.addr, 45);
    assert!(room.server.is_audio_due(room.now, slot(0)));
}

#[test]
fn counters_up_to_the_proof_are_unguessable_and_then_run_on() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let counters: Vec<u8> = ann.heard.iter().map(|sent| sent.counter).collect();
    let runs_on = |pair: &[u8]| pair[1] == pair[0].wrapping_add(1);
    // 21 21 32 36 24 34 11 23 | 29 33 24
    assert!(counters[..8].windows(2).any(|pair| !runs_on(pair)), "{counters:?}");
    assert!(counters[7..].windows(2).all(runs_on), "{counters:?}");
}

#[test]
fn the_lowest_free_slot_is_taken() {
    let mut room = Room::new();
    let musicians: Vec<Musician> =
        (1..=3).map(|n| room.joined(&format!("192.0.2.{n}:5000"), &format!("m{n}"))).collect();
    assert_eq!(musicians.iter().map(Musician::id).collect::<Vec<_>>(), [slot(0), slot(1), slot(2)]);
    room.connectionless(musicians[1].addr, &Connectionless::Disconnection);
    assert_eq!(room.joined("192.0.2.9:5000", "new").id(), slot(1));
}

#[test]
fn lists_are_ascending_and_sent_to_everybody_only_when_something_changed() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    let both = Message::ClientList(vec![
        ClientListEntry { channel: slot(0), info: info("Ann") },
        ClientListEntry { channel: slot(1), info: info("Bob") },
    ]);
    assert_eq!(bob.heard_messages().last(), Some(&both));

    bob.heard.clear();
    bob.say(&Message::ChannelInfo(info("Bob")));
    room.events();
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!((bob.heard_ids(), room.events()), (vec![], vec![]));

    ann.heard.clear();
    bob.say(&Message::ChannelInfo(info("Bobby")));
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!((ann.heard_ids(), bob.heard_ids()), (vec![24], vec![24]));
    assert_eq!(room.events(), [Event::Renamed { channel: slot(1), info: info("Bobby") }]);

    // Asked for, a list goes to who asked only.
    (ann.heard, bob.heard) = (vec![], vec![]);
    ann.say(&Message::RequestClientList);
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!((ann.heard_ids(), bob.heard_ids()), (vec![24], vec![]));
}

#[test]
fn a_musician_who_has_not_said_who_it_is_is_in_the_lists_without_name() {
    let mut room = Room::new();
    let _ = room.audio(addr(ANN), 45);
    let questions = room.questions();
    room.answer(&questions);
    room.sent();
    room.connectionless(addr("198.51.100.1:9"), &Connectionless::RequestClientList);
    let list = vec![ClientListEntry { channel: slot(0), info: ChannelInfo::default() }];
    assert_eq!(room.one_sent().connectionless(), Connectionless::ClientList(list));
}

#[test]
fn unknown_and_malformed_messages_are_acknowledged_and_have_no_effect() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.events();
    let long_name = [&[82, 0, 0, 0, 0, 0, 0][..], &[17, 0], &[b'x'; 17], &[0, 0]].concat();
    let cases: [(u16, &[u8]); 8] = [
        (999, &[1]),
        (3_000, &[]),
        (10, &[0, 0]),
        (13, &[150, 0, 128]),
        (13, &[0]),
        (20, &[0; 18]),
        (25, &long_name),
        (24, &[1, 2, 3]),
    ];
    for (counter, (message, body)) in cases.into_iter().enumerate() {
        room.raw_message(ann.addr, message, 100 + counter as u8, body);
        let sent = room.one_sent();
        assert_eq!((sent.id, sent.body), (id::ACKN, message.to_le_bytes().to_vec()), "{message}");
        assert_eq!(room.events(), [], "{message}");
    }
    assert_eq!((room.stats().messages_unknown, room.stats().messages_malformed), (3, 5));
}

#[test]
fn a_repeated_message_is_acknowledged_again_and_not_processed_again() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.events();
    let gain = Message::ChannelGain { channel: slot(0), gain: crate::Gain(5) };
    for events in [1, 0, 0] {
        room.message(ann.addr, 77, &gain);
        assert_eq!((room.sent_ids(), room.events().len()), (vec![id::ACKN], events));
    }
}

#[test]
fn an_unacknowledged_message_is_repeated_every_400_ms_unchanged() {
    let mut room = Room::new();
    let mut ann = Musician::new(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    let questions = room.questions();
    room.answer(&questions);
    let first = room.one_sent();
    room.pass(ms(399));
    assert_eq!(room.sent(), []);
    room.pass(ms(1));
    assert_eq!(room.one_sent(), first);
    room.pass(ms(800));
    assert_eq!(room.sent(), [first.clone(), first]);
    // Whoever answers late joins late.
    room.audio(ann.addr, 45).then_ignore();
    room.pass(ms(400));
    room.play(&mut [&mut ann]);
    assert_eq!(ann.channel, Some(slot(0)));
}

#[test]
fn a_client_that_starts_slowly_gets_in_whenever_it_answers() {
    for slow in [2_200, 3_000, 5_000, 9_000] {
        let mut room = Room::new();
        let mut ann = Musician::new(ANN, "Ann");
        for _ in 0..slow / 10 {
            room.audio(ann.addr, 45).then_ignore();
            room.pass(ms(10));
        }
        let questions = room.sent();
        assert!(questions.len() <= 2 * 9, "{} questions in {slow} ms", questions.len());
        // It answers all of them now, the last ones long after it has a channel, and sends its format as often.
        room.sent = questions;
        room.play(&mut [&mut ann]);
        let stats = room.stats();
        assert_eq!((stats.joined, stats.identified, stats.locked_out), (1, 1, 0), "{slow} ms");
        assert_eq!((stats.acknowledgements_wrong, room.server.connected()), (0, 1), "{slow} ms");
    }
}

#[test]
fn who_goes_on_knocking_is_asked_less_and_less() {
    let mut room = Room::new();
    let began_at = room.now;
    let mut asked = Vec::new();
    while room.now < began_at + ms(30_000) {
        room.audio(addr(ANN), 45).then_ignore();
        asked.extend(room.sent().first().map(|_| (room.now - began_at).as_millis()));
        room.pass(ms(100));
        asked.extend(room.sent().first().map(|_| (room.now - began_at).as_millis()));
    }
    let later = (0..7).flat_map(|n| [4_000 + 4_000 * n, 4_400 + 4_000 * n]).take_while(|at| *at < 30_000);
    let expected: Vec<u128> = [0, 400, 800, 2_000, 2_400].into_iter().chain(later).collect();
    assert_eq!(asked, expected);
}

#[test]
fn a_second_format_replaces_the_first_and_the_same_again_does_nothing() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    room.events();
    let with_sequence = AudioProps { sequence: Sequence::With, ..props() };
    for events in [vec![Event::Transport { channel: slot(0), props: with_sequence }], vec![]] {
        ann.say(&Message::AudioProps(with_sequence));
        room.play(&mut [&mut ann]);
        assert_eq!(room.events(), events);
    }
    assert_eq!(room.audio(ann.addr, 45), Disposition::WrongSize(slot(0)));
    assert_eq!(room.audio(ann.addr, 46), Disposition::Audio(slot(0)));
}

#[test]
fn a_codec_of_long_ago_is_answered_with_a_hint() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    (ann.heard, room.events) = (vec![], vec![]);
    ann.say(&Message::CeltProps);
    room.play(&mut [&mut ann]);
    assert_eq!((ann.heard_ids(), room.events()), (vec![26], vec![]));
}

#[test]
fn block_sizes_no_codec_has_are_refused() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.events();
    let mut body = vec![0; 19];
    body[..4].copy_from_slice(&20_000_u32.to_le_bytes());
    (body[4], body[6], body[11]) = (1, 1, 2);
    room.raw_message(ann.addr, id::NETW_TRANSPORT_PROPS, 50, &body);
    assert_eq!(room.events(), []);
    assert_eq!(room.audio(ann.addr, 45), Disposition::Audio(slot(0)));
}

#[test]
fn a_mapped_address_is_the_same_musician() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    assert_eq!(room.audio(addr("[::ffff:192.0.2.1]:22134"), 45), Disposition::Audio(ann.id()));
}

#[test]
fn one_hundred_and_fifty_musicians_have_slots_0_to_149() {
    let mut room = Room::with(|config| config.channels_max(150));
    for n in 0..150_u8 {
        let musician = room.joined(&format!("10.0.0.{n}:4000"), &format!("m{n}"));
        assert_eq!(musician.id(), slot(n));
    }
    assert_eq!(room.server.views().count(), 150);
    let _ = room.audio(addr("10.0.1.1:4000"), 45);
    assert_eq!(room.one_sent_to("10.0.1.1:4000").connectionless(), Connectionless::ServerFull);
}

impl Room {
    fn one_sent_to(&mut self, at: &str) -> Sent {
        let mut sent = self.sent();
        sent.retain(|sent| sent.dst == addr(at));
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }
}

impl Disposition {
    /// For steps whose disposition is not the point.
    fn then_ignore(self) {}
}
