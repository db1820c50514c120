//! The ways a session ends or comes back (spec 5.5, 11.4).

use super::*;

const ANN: &str = "192.0.2.1:22134";

#[test]
fn a_goodbye_frees_the_slot_at_once_and_the_others_get_a_new_list() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    (bob.heard, room.events) = (vec![], vec![]);
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    assert_eq!(
        room.events(),
        [Event::Left { channel: slot(0), addr: ann.addr, reason: LeaveReason::Disconnected, connected: 1 }]
    );
    room.play(&mut [&mut bob]);
    let Some(Message::ClientList(list)) = bob.heard_messages().pop() else { panic!("no list") };
    assert_eq!(list.iter().map(|entry| entry.channel).collect::<Vec<_>>(), [slot(1)]);
}

#[test]
fn late_audio_after_a_goodbye_does_not_make_a_ghost() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    room.sent();
    for _ in 0..9 {
        assert_eq!(room.audio(ann.addr, 45), Disposition::Consumed);
        room.pass(ms(100));
    }
    room.message(ann.addr, 99, &Message::AudioProps(props()));
    assert_eq!((room.server.connected(), room.sent_ids(), room.stats().quarantined), (0, vec![], 9));
    // A second later it is a newcomer like any other.
    room.pass(ms(100));
    let mut again = Musician::new(ANN, "Ann");
    room.join(&mut again);
    assert_eq!(again.channel, Some(slot(0)));
}

#[test]
fn silence_for_30_s_ends_a_connection_whatever_messages_arrive() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    room.events();
    for second in 0..29 {
        room.pass(ms(1_000));
        ann.say(&Message::ChannelGain { channel: slot(0), gain: crate::Gain(second) });
        room.play(&mut [&mut ann]);
        room.connectionless(ann.addr, &Connectionless::Ping { time_ms: 1 });
    }
    room.pass(ms(999));
    assert_eq!(room.server.connected(), 1);
    room.pass(ms(1));
    assert!(matches!(room.events().last(), Some(Event::Left { reason: LeaveReason::TimedOut, .. })));
    assert_eq!(room.server.poll_timeout(), None);
}

#[test]
fn audio_of_any_size_keeps_a_connection_alive() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    for n in 0..60 {
        room.pass(ms(900));
        assert_ne!(room.audio(ann.addr, 44 + n % 2), Disposition::Consumed);
    }
    assert_eq!(room.server.connected(), 1);
}

#[test]
fn who_acknowledges_nothing_for_30_s_is_given_up() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.command(Command::Broadcast("hello?")).unwrap();
    room.events();
    for _ in 0..302 {
        room.pass(ms(100));
        let _ = room.audio(ann.addr, 45);
    }
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Unresponsive, .. }]));
    assert_eq!(room.sent().iter().filter(|sent| sent.id == id::CHAT_TEXT).count(), 75);
}

#[test]
fn a_client_that_died_while_it_joined_is_asked_again_when_it_is_started_anew() {
    let mut room = Room::new();
    assert_eq!(room.audio(addr(ANN), 45), Disposition::Consumed);
    let questions = room.questions();
    room.message(addr(ANN), 7, &Message::AudioProps(props()));
    room.answer(&questions);
    // Everything is acknowledged, but the answer that says who it is never comes.
    loop {
        let sent: Vec<Sent> = room.sent().into_iter().filter(|sent| sent.id != id::ACKN).collect();
        if sent.is_empty() {
            break;
        }
        room.answer(&sent);
    }
    room.events();
    // The next program at this address waits for audio before it says anything, and its audio has the right size.
    for _ in 0..99 {
        room.pass(ms(100));
        assert_eq!(room.audio(addr(ANN), 45), Disposition::Audio(slot(0)));
    }
    assert!(!room.server.is_audio_due(room.now, slot(0)));
    room.pass(ms(200));
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Unidentified, .. }]));
    assert_eq!(room.audio(addr(ANN), 45), Disposition::Consumed);
    assert_eq!(room.questions().len(), 2);
}

/// A client that acknowledges everything and never says who it is, until it is given up; how long it waited before it
/// had a channel.
fn play_without_a_name(room: &mut Room) -> u128 {
    let came_at = room.now;
    while room.server.connected() == 0 {
        room.pass(ms(100));
        let _ = room.audio(addr(ANN), 45);
        let told: Vec<Sent> = room.sent().into_iter().filter(|sent| (2..1_000).contains(&sent.id)).collect();
        room.answer(&told);
    }
    let waited = (room.now - came_at).as_millis();
    while room.server.connected() == 1 {
        let told: Vec<Sent> =
            room.sent().into_iter().filter(|sent| ![1, id::CLM_SERVER_FULL].contains(&sent.id)).collect();
        room.answer(&told);
        room.pass(ms(100));
        let _ = room.audio(addr(ANN), 45);
    }
    waited
}

#[test]
fn who_never_says_who_it_is_is_let_in_less_and_less_often() {
    let mut room = Room::new();
    let waited: Vec<u128> = (0..9).map(|_| play_without_a_name(&mut room) / 1_000).collect();
    assert_eq!(waited, [0, 0, 10, 20, 30, 40, 50, 60, 60]);
    let stats = room.stats();
    assert_eq!((stats.joined, stats.left_unidentified, stats.left_restarted), (9, 9, 0));
    // Who says it after all starts with a clean slate.
    room.pass(ms(60_000));
    room.sent();
    let ann = room.joined(ANN, "Ann");
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    room.pass(ms(1_000));
    room.sent();
    assert_eq!([play_without_a_name(&mut room), play_without_a_name(&mut room)].map(|ms| ms / 1_000), [0, 0]);
}

#[test]
fn a_client_started_anew_with_another_size_is_welcomed_anew() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    room.events();
    for _ in 0..=100 {
        assert_eq!(room.audio(ann.addr, 22), Disposition::WrongSize(slot(0)));
        room.pass(ms(10));
    }
    room.sent();
    assert_eq!(room.audio(ann.addr, 22), Disposition::Consumed);
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Restarted, .. }]));
    let mut again = Musician::new(ANN, "Ann");
    room.play(&mut [&mut again]);
    assert_eq!(again.channel, Some(slot(0)));
    assert!(matches!(room.events()[..], [Event::Joined { .. }, .., Event::Identified { .. }]));
}

#[test]
fn a_client_started_anew_is_recognised_by_its_missing_sequence_bytes() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    ann.say(&Message::AudioProps(AudioProps { sequence: Sequence::With, ..props() }));
    room.play(&mut [&mut ann]);
    room.events();
    // What Debian's client sends first when it is killed and started again within the 30 s.
    let mut again = Musician::new(ANN, "Ann");
    again.say(&Message::AudioProps(props()));
    room.play(&mut [&mut again]);
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Restarted, .. }]));
    room.join(&mut again);
    // Its message was kept: the format is known as soon as there is a channel.
    assert!(matches!(room.events()[..], [Event::Joined { .. }, Event::Transport { .. }, ..]));
    assert_eq!(again.channel, Some(slot(0)));
}

#[test]
fn a_client_started_anew_in_the_same_format_is_recognised_by_its_count() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    // A pause alone is none, neither is a count that goes on.
    room.pass(ms(300));
    let _ = room.audio(ann.addr, 45);
    ann.say(&Message::RequestClientList);
    room.play(&mut [&mut ann]);
    assert_eq!(room.stats().left_restarted, 0);
    room.pass(ms(300));
    room.events();
    let mut again = Musician::new(ANN, "Ann");
    again.say(&Message::AudioProps(props()));
    room.play(&mut [&mut again]);
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Restarted, .. }]));
    room.join(&mut again);
    assert_eq!(again.channel, Some(slot(0)), "and is told everything");
}

#[test]
fn one_datagram_of_the_right_size_among_wrong_ones_shows_that_the_client_is_the_same() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    for n in 0..50 {
        let _ = room.audio(ann.addr, if n % 8 == 0 { 45 } else { 22 });
        room.pass(ms(100));
    }
    assert_eq!((room.server.connected(), room.stats().left_restarted), (1, 0));
}

#[test]
fn sequence_bytes_that_come_long_before_their_announcement_are_no_restart() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    for _ in 0..300 {
        assert_eq!(room.audio(ann.addr, 46), Disposition::WrongSize(slot(0)));
        room.pass(ms(10));
    }
    ann.say(&Message::AudioProps(AudioProps { sequence: Sequence::With, ..props() }));
    room.play(&mut [&mut ann]);
    assert_eq!(room.audio(ann.addr, 46), Disposition::Audio(slot(0)));
}

#[test]
fn a_new_size_whose_announcement_waits_behind_other_messages_is_no_restart() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let gain = |n| Message::ChannelGain { channel: slot(0), gain: crate::Gain(n) };
    let mut counter = 50;
    room.message(ann.addr, counter, &gain(0));
    for step in 1..=150 {
        assert_eq!(room.audio(ann.addr, 90), Disposition::WrongSize(slot(0)), "{step}0 ms");
        room.pass(ms(10));
        if step % 30 == 0 {
            counter += 1;
            room.message(ann.addr, counter, &gain(step));
        }
    }
    room.message(ann.addr, counter + 1, &Message::AudioProps(AudioProps { block_bytes: 90, ..props() }));
    assert_eq!(room.audio(ann.addr, 90), Disposition::Audio(slot(0)));
    assert_eq!(room.stats().left_restarted, 0);
}

#[test]
fn messages_of_a_program_started_anew_do_not_hide_that_it_was() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.message(ann.addr, 50, &Message::RequestClientList);
    // It comes back so fast that only the sizes of its datagrams tell, and its count goes on from 0.
    for step in 0..=100_u8 {
        assert_eq!(room.audio(ann.addr, 22), Disposition::WrongSize(slot(0)));
        room.pass(ms(10));
        if step % 10 == 5 {
            room.message(ann.addr, step / 10, &Message::RequestClientList);
        }
    }
    assert_eq!(room.audio(ann.addr, 22), Disposition::Consumed);
    assert_eq!(room.stats().left_restarted, 1);
}

#[test]
fn a_pause_before_a_new_size_is_no_restart() {
    let mut room = Room::new();
    let mut ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    room.pass(ms(5_000));
    assert_eq!(room.audio(ann.addr, 90), Disposition::WrongSize(slot(0)));
    ann.say(&Message::AudioProps(AudioProps { block_bytes: 90, ..props() }));
    room.play(&mut [&mut ann]);
    assert_eq!(room.audio(ann.addr, 90), Disposition::Audio(slot(0)));
}

#[test]
fn a_new_address_is_a_new_channel_and_the_old_one_times_out() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    let _ = room.audio(ann.addr, 45);
    room.pass(ms(1_000));
    let rebound = room.joined("192.0.2.1:40000", "Ann");
    assert_eq!(rebound.id(), slot(1));
    for _ in 0..29 {
        let _ = room.audio(rebound.addr, 45);
        room.pass(ms(1_000));
    }
    assert_eq!(room.server.views().map(|view| view.channel).collect::<Vec<_>>(), [slot(1)]);
}

#[test]
fn counters_keep_what_those_who_left_have_counted() {
    let mut room = Room::new();
    let ann = room.joined("192.0.2.1:5000", "Ann");
    let before = room.stats();
    assert!(before.messages_sent > 5);
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    assert_eq!(room.stats().messages_sent, before.messages_sent);
}
