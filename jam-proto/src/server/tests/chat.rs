//! Chat and welcome message (spec 5.9).

use super::*;
use crate::guard::Rate;
use crate::message::ChatText;
use crate::text::{LocalTime, utf16_units};

fn say(text: &str) -> Message {
    Message::Chat(ChatText::new(text).unwrap())
}

fn two() -> (Room, Musician, Musician) {
    let mut room = Room::new();
    let mut ann = room.joined("192.0.2.1:5000", "A&n");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    (ann.heard, bob.heard, room.events) = (vec![], vec![], vec![]);
    (room, ann, bob)
}

#[test]
fn what_one_says_everybody_reads_with_colour_time_and_name() {
    let (mut room, mut ann, mut bob) = two();
    room.command(Command::LocalTime(LocalTime::from_second_of_day(6 * 3_600 + 18 * 60 + 2))).unwrap();
    room.pass(ms(2_900));
    ann.say(&say("1 < 2"));
    bob.say(&say(""));
    room.play(&mut [&mut ann, &mut bob]);
    let lines = [
        r#"<font color="mediumblue">(06:18:04 AM) <b>A&amp;n</b></font> 1 &lt; 2"#,
        r#"<font color="red">(06:18:04 AM) <b>Bob</b></font> "#,
    ];
    let expected = lines.map(say).to_vec();
    assert_eq!((ann.heard_messages(), bob.heard_messages()), (expected.clone(), expected));
    assert_eq!(
        room.events(),
        [
            Event::Chat { channel: slot(0), line: lines[0].into() },
            Event::Chat { channel: slot(1), line: lines[1].into() },
        ]
    );
}

#[test]
fn a_text_that_grows_by_escaping_still_arrives() {
    let (mut room, mut ann, mut bob) = two();
    ann.say(&say(&"\"".repeat(1_600)));
    room.play(&mut [&mut ann, &mut bob]);
    let Some(Message::Chat(line)) = bob.reassembled().pop() else { panic!("no chat") };
    assert!((1_790..=1_800).contains(&utf16_units(&line)));
    assert!(line.ends_with("&quot;"));
}

#[test]
fn long_lines_are_split_only_for_those_who_understand_it() {
    let (mut room, mut ann, mut bob) = two();
    let mut old = Musician::new("192.0.2.3:5000", "Old");
    let _ = room.audio(old.addr, 45);
    // A client from before split messages acknowledges 34 and says nothing.
    old.knows_split = false;
    room.play(&mut [&mut old]);
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob, &mut old]);
    (bob.heard, old.heard) = (vec![], vec![]);
    ann.say(&say(&"x".repeat(600)));
    room.play(&mut [&mut ann, &mut bob, &mut old]);
    assert_eq!((bob.heard_ids(), old.heard_ids()), (vec![2001, 2001], vec![18]));
}

#[test]
fn a_talker_has_a_rate_and_what_exceeds_it_is_acknowledged_and_dropped() {
    let (mut room, mut ann, mut bob) = two();
    for n in 0..20 {
        ann.say(&say(&n.to_string()));
    }
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!((bob.heard.len(), room.stats().chat_lines, room.stats().chat_limited), (10, 10, 10));
    assert_eq!(ann.reliable.queue_messages(), 0);
    room.pass(ms(500));
    bob.heard.clear();
    ann.say(&say("later"));
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!(bob.heard.len(), 1);
}

#[test]
fn a_reader_who_is_slow_misses_lines_but_not_the_list() {
    let mut room = Room::limited(
        |limits| {
            limits.chat = Rate { per_second: 1_000, burst: 1_000 };
            limits.chat_queue_max = 5;
        },
        |config| config,
    );
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    let mut bob = room.joined("192.0.2.2:5000", "Bob");
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    bob.heard.clear();
    for n in 0..50 {
        ann.say(&say(&n.to_string()));
        room.play(&mut [&mut ann]);
    }
    ann.say(&Message::ChannelInfo(info("Anne")));
    room.play(&mut [&mut ann]);
    // One line was under way and five waited.
    assert_eq!(room.stats().chat_overflowed, 44);
    room.pass(ms(400));
    room.play(&mut [&mut ann, &mut bob]);
    let ids = bob.heard_ids();
    assert_eq!((ids.iter().filter(|id| **id == 18).count(), ids.contains(&24)), (6, true));
}

#[test]
fn the_welcome_message_has_its_prefix_and_is_not_escaped() {
    let mut room = Room::with(|config| config.welcome("<i>Hello</i>"));
    let ann = room.joined("192.0.2.1:5000", "Ann");
    assert!(ann.heard_messages().contains(&say("<b>Server Welcome Message:</b> <i>Hello</i>")));
    room.connectionless(addr("198.51.100.7:9"), &Connectionless::RequestWelcomeMessage);
    assert_eq!(
        room.one_sent().connectionless(),
        Connectionless::WelcomeMessage(ChatText::cut("<i>Hello</i>"))
    );
}

#[test]
fn a_long_welcome_message_is_split_because_it_is_framed_when_it_is_sent() {
    let mut room = Room::with(|config| config.welcome("w".repeat(1_600)));
    let ann = room.joined("192.0.2.1:5000", "Ann");
    let ids = ann.heard_ids();
    assert_eq!(ids, [21, 21, 32, 36, 24, 34, 11, 23, 2001, 2001, 2001, 29, 33, 24]);
}

#[test]
fn the_owner_speaks_verbatim_to_all_or_to_one() {
    let (mut room, mut ann, mut bob) = two();
    room.command(Command::Broadcast("<b>5 minutes</b>")).unwrap();
    room.command(Command::PrivateChat { channel: slot(1), text: "psst" }).unwrap();
    room.play(&mut [&mut ann, &mut bob]);
    assert_eq!(ann.heard_messages(), [say("<b>5 minutes</b>")]);
    assert_eq!(bob.heard_messages(), [say("<b>5 minutes</b>"), say("psst")]);
    assert_eq!(room.events(), []);
}
