//! Gains, pans, mute notices, jitter buffer sizes, levels (spec 5.6, 5.8, 5.10).

use super::*;
use crate::message::{Levels, MuteState};
use crate::{Gain, Pan};

fn two() -> (Room, Musician, Musician) {
    let mut room = Room::new();
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    (ann.heard, bob.heard, room.events) = (vec![], vec![], vec![]);
    (room, ann, bob)
}

fn gain(channel: u8, gain: u16) -> Message {
    Message::ChannelGain { channel: slot(channel), gain: Gain(gain) }
}

fn muting(channel: u8, state: MuteState) -> Message {
    Message::MuteStateChanged { channel: slot(channel), state }
}

#[test]
fn faders_and_pans_are_events_with_the_numbers_of_the_wire() {
    let (mut room, mut ann, _) = two();
    ann.say(&gain(1, 12_345));
    ann.say(&Message::ChannelPan { channel: slot(1), pan: Pan::new(65_535) });
    room.play(&mut [&mut ann]);
    let (listener, source) = (slot(0), slot(1));
    assert_eq!(
        room.events(),
        [
            Event::Gain { listener, source, gain: Gain(12_345) },
            Event::Pan { listener, source, pan: Pan::RIGHT }
        ]
    );
}

#[test]
fn gains_are_lowered_to_the_policy() {
    for (gain_max, set, heard) in [(65_535, 65_535, 65_535), (32_768, 65_535, 32_768), (32_768, 100, 100)] {
        let mut room = Room::with(|config| config.gain_max(Gain(gain_max)));
        let mut ann = room.joined("192.0.2.1:5000", "Ann");
        room.events();
        ann.say(&gain(0, set));
        room.play(&mut [&mut ann]);
        assert_eq!(room.events(), [Event::Gain { listener: slot(0), source: slot(0), gain: Gain(heard) }]);
    }
}

#[test]
fn a_fader_of_a_free_slot_moves_nothing() {
    let (mut room, mut ann, _) = two();
    ann.say(&gain(7, 0));
    ann.say(&Message::ChannelPan { channel: slot(7), pan: Pan::LEFT });
    room.play(&mut [&mut ann]);
    assert_eq!(room.events(), []);
}

#[test]
fn muting_is_told_to_the_muted_once_per_change() {
    let (mut room, mut ann, mut bob) = two();
    for (level, notice) in [
        (0, Some(MuteState::Muted)),
        (0, None),
        (5, Some(MuteState::Unmuted)),
        (7, None),
        (0, Some(MuteState::Muted)),
    ] {
        ann.say(&gain(1, level));
        room.play(&mut [&mut ann, &mut bob]);
        let expected: Vec<Message> = notice.map(|state| muting(0, state)).into_iter().collect();
        assert_eq!(std::mem::take(&mut bob.heard).iter().map(Sent::message).collect::<Vec<_>>(), expected);
        assert!(ann.heard.is_empty());
    }
}

#[test]
fn who_mutes_itself_is_told_so() {
    let (mut room, mut ann, _) = two();
    ann.say(&gain(0, 0));
    room.play(&mut [&mut ann]);
    assert_eq!(ann.heard_messages(), [muting(0, MuteState::Muted)]);
}

#[test]
fn a_reused_slot_starts_unmuted_and_those_muted_by_its_last_user_are_told() {
    let (mut room, mut ann, mut bob) = two();
    ann.say(&gain(1, 0));
    bob.say(&gain(0, 0));
    room.play(&mut [&mut ann, &mut bob]);
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    room.play(&mut [&mut bob]);
    bob.heard.clear();

    let mut eve = Musician::new("192.0.2.3:5000", "Eve");
    let _ = room.audio(eve.addr, 45);
    room.play(&mut [&mut eve, &mut bob]);
    assert_eq!(eve.id(), slot(0));
    assert!(bob.heard_messages().contains(&muting(0, MuteState::Unmuted)));
    // Bob had muted Ann, not Eve: his next zero is a change.
    eve.heard.clear();
    bob.say(&gain(0, 0));
    room.play(&mut [&mut eve, &mut bob]);
    assert_eq!(eve.heard_messages(), [muting(1, MuteState::Muted)]);
}

#[test]
fn what_a_leaver_had_muted_is_forgotten_with_who_was_muted() {
    let (mut room, mut ann, bob) = two();
    let mut dan = room.joined("192.0.2.3:5000", "Dan");
    dan.say(&gain(1, 0));
    room.play(&mut [&mut dan]);
    for gone in [&dan, &bob] {
        room.connectionless(gone.addr, &Connectionless::Disconnection);
    }
    let mut eve = room.joined("192.0.2.4:5000", "Eve");
    assert_eq!(eve.id(), slot(1));
    eve.heard.clear();
    let mut fay = Musician::new("192.0.2.5:5000", "Fay");
    let _ = room.audio(fay.addr, 45);
    room.play(&mut [&mut ann, &mut eve, &mut fay]);
    assert_eq!(fay.id(), slot(2));
    // Dan had muted Bob, not her.
    let notices = [MuteState::Muted, MuteState::Unmuted].map(|state| muting(2, state));
    assert!(!eve.heard_messages().iter().any(|message| notices.contains(message)));
}

#[test]
fn mute_notices_do_not_pile_up_for_a_slow_receiver() {
    let (mut room, mut ann, mut bob) = two();
    for n in 0..1_000 {
        ann.say(&gain(1, n % 2));
        room.play(&mut [&mut ann]);
        room.pass(ms(10));
    }
    // Bob, who acknowledged nothing in the meantime, still is connected and gets the last state.
    room.audio(bob.addr, 45).ignore();
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    let heard = bob.heard_messages();
    assert!(heard.len() <= 4, "{heard:?}");
    assert_eq!(heard.last(), Some(&muting(0, MuteState::Unmuted)));
}

#[test]
fn jitter_buffer_wishes_go_in_and_automatic_sizes_come_out() {
    let (mut room, mut ann, _) = two();
    ann.say(&Message::JitterBufferSize(JitterSize::Blocks(5)));
    room.play(&mut [&mut ann]);
    assert_eq!(room.events(), [Event::JitterBuffer { channel: slot(0), size: JitterSize::Blocks(5) }]);
    room.command(Command::JitterSize { channel: slot(0), blocks: 7 }).unwrap();
    room.play(&mut [&mut ann]);
    assert_eq!(ann.heard_messages(), [Message::JitterBufferSize(JitterSize::Blocks(7))]);
}

#[test]
fn levels_go_to_everybody_as_the_same_bytes() {
    let (mut room, ann, bob) = two();
    let mut eve = room.joined("192.0.2.3:5000", "Eve");
    room.pass(ms(400));
    room.play(&mut [&mut eve]);
    room.sent();
    room.server.command(room.now, Command::Levels(&[1, 2, 9])).unwrap();
    let mut transmits = Vec::new();
    while let Some(Output::Transmit(transmit)) = room.server.poll_output() {
        transmits.push(transmit);
    }
    assert_eq!(transmits.iter().map(|t| t.dst).collect::<Vec<_>>(), [ann.addr, bob.addr, eve.addr]);
    for transmit in &transmits {
        assert_eq!(transmit.payload.as_ptr(), transmits[0].payload.as_ptr());
        let sent = Sent::new(transmit);
        assert_eq!((sent.id, &sent.body[..]), (id::CLM_CHANNEL_LEVEL_LIST, &[0x21, 0xF9][..]));
        assert_eq!(sent.connectionless(), Connectionless::Levels(Levels::new([1, 2, 9])));
    }
}

impl Disposition {
    /// For steps whose disposition is not the point.
    fn ignore(self) {}
}

/// Somebody tells another name every 5 ms for so long, while another acknowledges what it hears 30 ms later.
fn rename_all_the_time(room: &mut Room, who: SocketAddr, listener: SocketAddr, time: Duration) -> Vec<Sent> {
    let end = room.now + time;
    let (mut heard, mut counter) = (Vec::new(), 100_u8);
    while room.now < end {
        for _ in 0..6 {
            counter = counter.wrapping_add(1);
            room.message(who, counter, &Message::ChannelInfo(info(&format!("Ann {counter}"))));
            room.pass(ms(5));
        }
        let told: Vec<Sent> = room.sent().into_iter().filter(|sent| sent.id != id::ACKN).collect();
        for sent in told {
            room.acknowledge(&sent);
            heard.extend((sent.dst == listener).then_some(sent));
        }
    }
    heard
}

#[test]
fn news_are_told_though_somebody_renames_itself_all_the_time() {
    for pause in [0, 250] {
        let mut room = Room::limited(
            |limits| {
                limits.renames_pause = ms(pause);
                limits.renames = limits.messages;
            },
            |config| config,
        );
        let ann = room.joined("192.0.2.1:5000", "Ann");
        let bob = room.joined("192.0.2.2:5000", "Bob");
        rename_all_the_time(&mut room, ann.addr, bob.addr, ms(300));
        room.command(Command::Recorder(RecorderState::Recording)).unwrap();
        room.command(Command::JitterSize { channel: bob.id(), blocks: 5 }).unwrap();
        room.command(Command::Broadcast("hello")).unwrap();
        let gain = Gain::ZERO;
        room.message(ann.addr, 99, &Message::ChannelGain { channel: bob.id(), gain });
        let heard = rename_all_the_time(&mut room, ann.addr, bob.addr, ms(600));
        for message in [id::RECORDER_STATE, id::JITT_BUF_SIZE, id::CHAT_TEXT, id::MUTE_STATE_CHANGED] {
            let at = heard.iter().position(|sent| sent.id == message);
            assert!(at.is_some_and(|at| at < 12), "{message} came as number {at:?} of {}", heard.len());
        }
        assert!(heard.iter().any(|sent| sent.id == id::CONN_CLIENTS_LIST));
    }
}

#[test]
fn lists_for_other_names_come_four_times_a_second_and_the_last_name_is_in_the_last_one() {
    let mut room = Room::limited(|limits| limits.renames = limits.messages, |config| config);
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    room.pass(ms(1_000));
    room.play(&mut [&mut ann, &mut bob]);
    room.message(ann.addr, 50, &Message::ChannelInfo(info("Anna")));
    let first: Vec<Sent> = room.sent().into_iter().filter(|sent| sent.id == id::CONN_CLIENTS_LIST).collect();
    assert_eq!(first.len(), 2, "the first one comes at once");
    room.answer(&first);
    let heard = rename_all_the_time(&mut room, ann.addr, bob.addr, ms(2_000));
    room.pass(ms(250));
    let last: Vec<Sent> = room.sent().into_iter().filter(|sent| sent.id != id::ACKN).collect();
    room.answer(&last);
    let last = [heard, last].concat();
    let lists: Vec<Message> = last
        .iter()
        .filter(|sent| sent.dst == bob.addr && sent.id == id::CONN_CLIENTS_LIST)
        .map(Sent::message)
        .collect();
    assert!((7..=9).contains(&lists.len()), "{} lists", lists.len());
    let Some(Message::ClientList(list)) = lists.last() else { panic!("no list") };
    let name = room.server.view(ann.id()).and_then(|view| view.info).map(|info| info.name.to_string());
    assert_eq!(Some(list[0].info.name.to_string()), name);
    // Nothing is due any more.
    room.pass(ms(1_000));
    room.sent();
    room.message(ann.addr, 50, &Message::ChannelInfo(info("Ann")));
    assert_eq!(room.sent_ids().iter().filter(|sent| **sent == id::CONN_CLIENTS_LIST).count(), 2);
}

#[test]
fn names_beyond_the_rate_are_not_acknowledged_not_even_in_parts() {
    let mut room = Room::new();
    let ann = room.joined("192.0.2.1:5000", "Ann");
    room.pass(ms(10_000));
    room.sent();
    let mut writer = FrameWriter::new();
    for counter in 1..=50 {
        let message = Message::ChannelInfo(info(&format!("Ann {counter}")));
        let body = message.body(&mut writer);
        if counter % 2 == 0 {
            room.message(ann.addr, counter, &message);
        } else {
            let part = [&[25, 0, 1, 0], &body[..]].concat();
            room.raw_message(ann.addr, id::SPLIT, counter, &part);
        }
    }
    let acknowledged = room.sent_ids().iter().filter(|sent| **sent == id::ACKN).count();
    assert_eq!((acknowledged, room.stats().messages_limited), (20, 30));
    // It gets through when it has calmed down, as programs repeat it.
    room.pass(ms(400));
    room.message(ann.addr, 50, &Message::ChannelInfo(info("Ann 50")));
    assert_eq!(room.server.view(ann.id()).unwrap().info.unwrap().name.to_string(), "Ann 50");
}
