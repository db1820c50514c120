//! What those get who have proven nothing (spec 10.6).

use super::*;
use crate::guard::ReplyPolicy;
use crate::responder::Answer;

const ANN: &str = "192.0.2.1:22134";

fn strict(limits: &mut ServerLimits) {
    limits.guard.replies = ReplyPolicy::Strict;
}

#[test]
fn a_tiny_datagram_draws_nothing_until_it_has_paid_for_the_question() {
    let mut room = Room::new();
    for bytes in 1..=17 {
        room.audio(addr(ANN), 1).consumed();
        assert_eq!(room.sent(), [], "{bytes} bytes");
    }
    room.audio(addr(ANN), 1).consumed();
    assert_eq!(room.questions().len(), 2);
    // The repetition has to be paid for as well.
    room.pass(ms(2_000));
    assert_eq!(room.sent(), []);
}

#[test]
fn a_stranger_is_asked_three_times_and_then_forgotten() {
    let mut room = Room::new();
    room.audio(addr(ANN), 1_000).consumed();
    let first = room.questions();
    room.pass(ms(1_999));
    assert_eq!(room.sent(), [first.clone(), first.clone()].concat());
    room.pass(ms(10_000));
    assert_eq!((room.sent(), room.server.poll_timeout(), room.stats().probes_expired), (vec![], None, 1));
    // Too late: the answer to a question that is forgotten proves nothing.
    room.answer(&first);
    assert_eq!(room.server.connected(), 0);
    room.audio(addr(ANN), 45).consumed();
    assert_eq!(room.questions().len(), 2);
}

#[test]
fn audio_that_goes_on_draws_no_more_questions_than_silence() {
    let mut room = Room::new();
    for _ in 0..199 {
        room.audio(addr(ANN), 45).consumed();
        room.pass(ms(10));
    }
    assert_eq!(room.sent().len(), 3 * 2);
}

#[test]
fn a_question_that_is_answered_is_not_asked_again() {
    let mut room = Room::new();
    room.audio(addr(ANN), 1_000).consumed();
    let questions = room.questions();
    room.acknowledge(&questions[0]);
    room.pass(ms(400));
    assert_eq!(room.one_sent(), questions[1]);
    room.acknowledge(&questions[1]);
    assert_eq!(room.server.connected(), 1);
}

#[test]
fn a_format_announced_before_the_first_audio_is_remembered() {
    let mut room = Room::new();
    room.message(addr(ANN), 0, &Message::AudioProps(props()));
    assert_eq!(room.sent(), []);
    room.audio(addr(ANN), 45).consumed();
    let questions = room.questions();
    room.answer(&questions);
    assert_eq!(room.sent_ids(), [32, 1]);
    assert_eq!(room.events().get(1), Some(&Event::Transport { channel: slot(0), props: props() }));
}

#[test]
fn a_goodbye_before_the_join_ends_the_questions() {
    let mut room = Room::new();
    room.audio(addr(ANN), 1_000).consumed();
    room.sent();
    room.connectionless(addr(ANN), &Connectionless::Disconnection);
    room.pass(ms(5_000));
    assert_eq!((room.sent(), room.events()), (vec![], vec![]));
}

#[test]
fn guessing_acknowledgements_locks_an_address_out() {
    let mut room = Room::new();
    let guess = |room: &mut Room| {
        room.audio(addr(ANN), 45).consumed();
        let sent = room.sent();
        let asked = sent.first().map(|sent| sent.counter);
        if asked.is_some() {
            let wrong = (0..=255).find(|guess| sent.iter().all(|sent| sent.counter != *guess));
            room.raw_message(addr(ANN), id::ACKN, wrong.unwrap(), &[21, 0]);
        }
        asked
    };
    assert!(guess(&mut room).is_some());
    room.pass(ms(400));
    assert!(guess(&mut room).is_some());
    for _ in 0..59 {
        room.pass(ms(1_000));
        assert_eq!(guess(&mut room), None);
    }
    assert_eq!((room.stats().locked_out, room.stats().acknowledgements_wrong), (1, 2));
    room.pass(ms(1_000));
    assert!(guess(&mut room).is_some());
}

#[test]
fn guessers_keep_nobody_out_who_is_behind_the_same_address() {
    let mut room = Room::new();
    for port in 5_000..5_100 {
        let from = SocketAddr::new(addr(ANN).ip(), port);
        room.audio(from, 45).consumed();
        let asked = room.sent();
        if let Some(asked) = asked.first() {
            let wrong = (0..=255).find(|guess| room.is_no_question_to(from, *guess)).unwrap();
            assert_ne!(asked.counter, wrong);
            for _ in 0..4 {
                room.raw_message(from, id::ACKN, wrong, &[21, 0]);
            }
        }
    }
    assert_eq!(room.stats().locked_out, 100);
    let ann = room.joined(ANN, "Ann");
    // Nor does one who holds a slot and guesses on.
    let lucky = room.joined_half("192.0.2.1:6000");
    for n in 1..=9 {
        room.raw_message(lucky.dst, id::ACKN, lucky.counter.wrapping_add(n), &[32, 0]);
    }
    assert!(matches!(room.events().last(), Some(Event::Left { reason: LeaveReason::Forged, .. })));
    let bob = room.joined("192.0.2.1:6001", "Bob");
    assert_eq!((ann.id(), bob.id()), (slot(0), slot(1)));
}

#[test]
fn wrong_acknowledgements_an_hour_apart_do_not_add_up() {
    let mut room = Room::new();
    for _ in 0..10 {
        room.audio(addr(ANN), 45).consumed();
        room.sent();
        let wrong = (0..=255).find(|guess| room.is_no_question_to(addr(ANN), *guess)).unwrap();
        room.raw_message(addr(ANN), id::ACKN, wrong, &[21, 0]);
        room.pass(ms(3_600_000));
        room.sent();
    }
    assert_eq!((room.stats().acknowledgements_wrong, room.stats().locked_out), (10, 0));
    assert_eq!(room.joined(ANN, "Ann").id(), slot(0));
}

#[test]
fn who_guesses_on_after_a_lucky_guess_is_thrown_out() {
    let mut room = Room::new();
    let client_id = room.joined_half(ANN);
    for n in 1..=9 {
        room.raw_message(addr(ANN), id::ACKN, client_id.counter.wrapping_add(n), &[32, 0]);
    }
    assert!(matches!(room.events().last(), Some(Event::Left { reason: LeaveReason::Forged, .. })));
    room.pass(ms(2_000));
    room.sent();
    room.audio(addr(ANN), 45).consumed();
    assert_eq!(room.sent(), []);
}

/// Guesses for both questions, none twice, as long as they are listened to.
fn guess_until_locked_out(room: &mut Room, from: SocketAddr, first: u8) {
    for n in 0..3 {
        room.raw_message(from, id::ACKN, first.wrapping_add(n * 61), &[21, 0]);
    }
}

#[test]
fn one_forged_address_in_thousands_gets_a_slot_and_keeps_it_for_seconds() {
    let mut room =
        Room::limited(|limits| limits.guard.sources_max = 60_000, |config| config.channels_max(150));
    let forged = 50_000_u32;
    for n in 0..forged {
        let [_, a, b, c] = n.to_be_bytes();
        let from = SocketAddr::from(([10, a, b, c], 5_000));
        room.audio(from, 45).consumed();
        guess_until_locked_out(&mut room, from, n as u8);
        room.now += ms(1);
        if n.is_multiple_of(100) {
            room.pass(ms(0));
            room.sent();
        }
    }
    let joined = room.events().iter().filter(|event| matches!(event, Event::Joined { .. })).count();
    // Two of three different guesses are right once in 10,880 times: 4 or 5 are expected.
    assert!((1..=14).contains(&joined), "{joined} of {forged} forged addresses got a slot");
    room.pass(ms(3_300));
    assert_eq!((room.server.connected(), room.stats().left_unresponsive), (0, joined as u64));
}

#[test]
fn the_oldest_question_gives_way_once_there_was_time_for_an_answer() {
    let mut room = Room::limited(|limits| limits.probes_max = 2, |config| config);
    let at = ["192.0.2.1:5000", "192.0.2.2:5000", "192.0.2.3:5000"].map(addr);
    let first = [at[0], at[1]].map(|at| {
        room.audio(at, 45).consumed();
        room.questions()
    });
    for _ in 0..40 {
        room.audio(at[2], 45).consumed();
        assert_eq!(room.sent(), []);
        room.now += ms(10);
    }
    room.audio(at[2], 45).consumed();
    let third: Vec<Sent> = room.sent().into_iter().filter(|sent| sent.dst == at[2]).collect();
    assert_eq!((third[0].dst, room.stats().probes_evicted, room.stats().probes_limited), (at[2], 1, 40));
    // Who gave way is not known, and neither right nor wrong, until it knocks again: it is asked the same.
    room.answer(&first[0]);
    assert_eq!(room.server.connected(), 0);
    room.answer(&third);
    room.sent();
    room.audio(at[0], 45).consumed();
    assert_eq!(room.questions(), first[0]);
    room.answer(&first[0]);
    room.answer(&first[1]);
    assert_eq!((room.server.connected(), room.stats().acknowledgements_wrong), (3, 0));
}

#[test]
fn a_late_answer_is_no_guess_even_if_other_questions_are_asked_now() {
    let mut room = Room::new();
    room.audio(addr(ANN), 45).consumed();
    let old = room.questions();
    room.pass(ms(64_000));
    room.sent();
    room.audio(addr(ANN), 45).consumed();
    let new = room.questions();
    assert_ne!(old, new);
    for _ in 0..3 {
        room.answer(&old);
    }
    assert_eq!((room.server.connected(), room.stats().acknowledgements_wrong), (0, 0));
    room.answer(&new);
    assert_eq!((room.server.connected(), room.stats().locked_out), (1, 0));
}

#[test]
fn other_addresses_are_asked_other_questions() {
    let mut room = Room::with(|config| config.channels_max(150));
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..200_u16 {
        let from =
            if n % 2 == 0 { addr(&format!("10.0.0.{n}:5000")) } else { addr(&format!("10.0.0.1:{n}")) };
        room.now += ms(50);
        room.audio(from, 45).consumed();
        let asked = room.sent();
        seen.extend(asked.iter().filter(|sent| sent.dst == from).map(|sent| sent.counter));
    }
    assert!(seen.len() > 150, "{} of 256 counters", seen.len());
}

#[test]
fn one_host_cannot_take_all_questions() {
    let mut room = Room::limited(|limits| limits.probes_per_host_max = 2, |config| config);
    for n in 0..5 {
        room.audio(addr(&format!("[2001:db8::{n}]:5000")), 45).consumed();
    }
    room.audio(addr("[2001:db8:0:1::1]:5000"), 45).consumed();
    assert_eq!((room.sent().len(), room.stats().probes_limited), (3 * 2, 3));
    // One of its own gives way, nobody else's.
    room.now += ms(400);
    room.audio(addr("[2001:db8::2]:5000"), 45).consumed();
    let asked: Vec<SocketAddr> = room.sent().iter().map(|sent| sent.dst).collect();
    assert_eq!(asked.iter().filter(|dst| **dst == addr("[2001:db8::2]:5000")).count(), 2);
    assert_eq!(room.stats().probes_evicted, 1);
}

#[test]
fn one_host_cannot_take_more_channels_than_allowed() {
    let mut room = Room::limited(|limits| limits.channels_per_host_max = 1, |config| config);
    let ann = room.joined("192.0.2.1:5000", "Ann");
    room.audio(addr("192.0.2.1:5001"), 45).consumed();
    assert_eq!(room.one_sent().connectionless(), Connectionless::ServerFull);
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    assert_eq!(room.joined("192.0.2.1:5001", "Ann").id(), slot(0));
}

#[test]
fn a_full_server_says_so_once_a_second_per_address() {
    let mut room = Room::with(|config| config.channels_max(1));
    let _ann = room.joined(ANN, "Ann");
    for _ in 0..100 {
        room.audio(addr("192.0.2.2:5000"), 45).consumed();
        room.pass(ms(25));
    }
    let sent = room.sent();
    let refusals = sent.iter().filter(|sent| sent.id == id::CLM_SERVER_FULL).count();
    assert_eq!((refusals, room.stats().refused, room.stats().refused_silently), (3, 3, 97));
}

#[test]
fn a_full_server_says_so_to_so_many_per_second() {
    let mut room = Room::with(|config| config.channels_max(1));
    let _ann = room.joined(ANN, "Ann");
    for n in 0..1_000 {
        room.audio(addr(&format!("10.0.{}.{}:5000", n / 250, n % 250)), 45).consumed();
    }
    assert_eq!(room.sent().len(), 200);
}

#[test]
fn the_last_slot_goes_to_who_answers_first() {
    let mut room = Room::with(|config| config.channels_max(1));
    let questions = ["192.0.2.1:5000", "192.0.2.2:5000"].map(|at| {
        room.audio(addr(at), 45).consumed();
        room.questions()
    });
    room.answer(&questions[1]);
    room.sent();
    room.answer(&questions[0]);
    assert_eq!(room.one_sent().connectionless(), Connectionless::ServerFull);
    assert_eq!(room.server.views().map(|view| view.addr).collect::<Vec<_>>(), [questions[1][0].dst]);
}

#[test]
fn requests_of_anybody_are_answered_while_idle() {
    let version = Room::new().server.config().version().clone();
    let cases = [
        (Connectionless::Ping { time_ms: 0x1234_5678 }, Connectionless::Ping { time_ms: 0x1234_5678 }),
        (
            Connectionless::PingWithClients { time_ms: 9, clients: 200 },
            Connectionless::PingWithClients { time_ms: 9, clients: 0 },
        ),
        (Connectionless::RequestVersionAndOs, Connectionless::VersionAndOs(version)),
        (Connectionless::RequestClientList, Connectionless::ClientList(vec![])),
    ];
    for (question, answer) in cases {
        let mut room = Room::new();
        room.connectionless(addr(ANN), &question);
        assert_eq!(room.one_sent().connectionless(), answer);
        assert_eq!((room.server.connected(), room.server.poll_timeout()), (0, None));
    }
}

#[test]
fn malformed_and_unknown_requests_are_not_answered() {
    let mut room = Room::new();
    for (message, body) in [
        (id::CLM_PING_MS, &[1, 2, 3][..]),
        (id::CLM_PING_MS, &[1, 2, 3, 4, 5]),
        (id::CLM_PING_MS_WITHNUMCLIENTS, &[1, 2, 3, 4]),
        (1_023, &[0; 6]),
        (1_028, &[]),
        (1_999, &[]),
        (id::CLM_SERVER_FULL, &[]),
        (id::CLM_EMPTY_MESSAGE, &[]),
        (id::CLM_VERSION_AND_OS, &[]),
        (id::ACKN, &[21, 0]),
        (id::CHAT_TEXT, &[0, 0]),
        (999, &[]),
    ] {
        room.raw_message(addr(ANN), message, 0, body);
    }
    assert_eq!((room.sent(), room.events()), (vec![], vec![]));
}

#[test]
fn a_strict_server_answers_as_soon_as_the_questions_have_paid() {
    let mut room = Room::limited(strict, |config| config);
    for answers in [0, 0, 1, 0, 1] {
        room.connectionless(addr(ANN), &Connectionless::RequestVersionAndOs);
        assert_eq!(room.sent().len(), answers);
    }
    // 9 bytes in, 9 bytes out.
    room.connectionless(addr("192.0.2.2:9"), &Connectionless::RequestClientList);
    assert_eq!(room.sent().len(), 1);
    assert_eq!((room.stats().requests_unpaid, room.stats().bytes_loaned), (3, 0));
}

#[test]
fn a_connect_dialog_is_served_at_once_even_for_a_long_list() {
    let mut room = Room::with(|config| config.channels_max(50));
    for n in 0..50 {
        let _musician = room.joined(&format!("10.0.0.{n}:5000"), &format!("musician {n}"));
    }
    room.pass(ms(400));
    room.sent();
    let dialog = addr("198.51.100.1:22140");
    room.connectionless(dialog, &Connectionless::RequestVersionAndOs);
    room.connectionless(dialog, &Connectionless::PingWithClients { time_ms: 1, clients: 0 });
    room.connectionless(dialog, &Connectionless::RequestClientList);
    let ids: Vec<u16> = room.sent().iter().filter(|sent| sent.dst == dialog).map(|sent| sent.id).collect();
    assert_eq!(ids, [id::CLM_VERSION_AND_OS, id::CLM_PING_MS_WITHNUMCLIENTS, id::CLM_CONN_CLIENTS_LIST]);
}

#[test]
fn a_forger_can_borrow_no_more_for_its_victims_than_documented() {
    // 128 musicians: the longest answer there is.
    let mut room = Room::with(|config| config.channels_max(128));
    for n in 0..128 {
        let _musician = room.joined(&format!("10.0.0.{n}:5000"), "sixteen letters!");
        room.pass(ms(100));
    }
    room.pass(ms(10_000));
    room.sent();
    let sent_to = |room: &mut Room, host: fn(u32) -> u32| {
        let (mut asked, mut answered) = (0, 0);
        for n in 0..10_000 {
            let victim = SocketAddr::from(((0xC633_0000 | host(n)).to_be_bytes(), 9));
            room.connectionless(victim, &Connectionless::RequestClientList);
            asked += 9;
            let sent = room.sent();
            answered += sent.iter().filter(|s| s.dst == victim).map(|s| s.body.len() + 9).sum::<usize>();
            room.now += ms(1);
        }
        (asked, answered)
    };
    let list = 5 * 1024;
    let (asked, answered) = sent_to(&mut room, |_| 1);
    assert!(answered > 0 && answered <= asked + 2 * 1024 + list + 256 * 10, "one victim: {answered}");
    let (asked, answered) = sent_to(&mut room, |n| n % 5_000);
    assert!(answered <= asked + 16 * 1024 + list + 8 * 1024 * 10, "all victims: {answered}");
}

#[test]
fn so_many_addresses_are_in_quarantine_at_once() {
    let mut room = Room::limited(|limits| limits.quarantined_max = 1, |config| config);
    let addrs = ["192.0.2.1:5000", "192.0.2.2:5000"].map(|at| room.joined(at, "x").addr);
    for addr in addrs {
        room.connectionless(addr, &Connectionless::Disconnection);
    }
    room.sent();
    for addr in addrs {
        room.audio(addr, 45).consumed();
    }
    assert_eq!(room.questions()[0].dst, addrs[0]);
}

#[test]
fn a_channel_that_sends_too_many_messages_is_not_acknowledged_until_it_slows_down() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.pass(ms(10_000));
    room.sent();
    // After a pause, a count from 0 would look like a program that was started anew.
    for n in 1..=1_500_u16 {
        room.raw_message(ann.addr, 999, n as u8, &[]);
    }
    assert_eq!((room.sent().len(), room.stats().messages_limited), (1_000, 500));
    room.pass(ms(100));
    for n in 0..30 {
        room.raw_message(ann.addr, 999, 100 + n, &[]);
    }
    assert_eq!(room.sent().len(), 20);
}

#[test]
fn a_connected_musician_is_answered_without_books_but_at_a_rate() {
    let mut room = Room::limited(strict, |config| config.welcome("x".repeat(1_000)));
    let ann = room.joined(ANN, "Ann");
    room.sent();
    for _ in 0..1_000 {
        room.connectionless(ann.addr, &Connectionless::RequestWelcomeMessage);
    }
    // 60 at once; 1,011 bytes cost eight.
    assert_eq!(room.sent().len(), 7);
}

#[test]
fn musicians_behind_one_address_are_all_answered_and_strangers_there_take_nothing_from_them() {
    let mut room = Room::with(|config| config.channels_max(30));
    let musicians: Vec<SocketAddr> =
        (0..30).map(|n| room.joined(&format!("192.0.2.1:{}", 5_000 + n), "x").addr).collect();
    room.pass(ms(1_000));
    room.sent();
    // The responder of a thread of its own keeps other books, by the same rules.
    let mut responder = Responder::new(room.server.config(), 1, room.now);
    let (snapshot, mut writer) = (room.server.snapshot(), FrameWriter::new());
    let ping = Connectionless::Ping { time_ms: 1 };
    let (frame, welcome) =
        (ping.frame(&mut writer), Connectionless::RequestWelcomeMessage.frame(&mut writer));
    for _ in 0..40 {
        for n in 0..100 {
            let stranger = SocketAddr::new(addr(ANN).ip(), 40_000 + n);
            let _ = room.datagram(stranger, &welcome);
            let _ = responder.answer(room.now, &snapshot, stranger, &welcome);
        }
        room.sent();
        for from in &musicians {
            room.connectionless(*from, &ping);
            assert_eq!(room.one_sent().connectionless(), ping);
            let answer = responder.answer(room.now, &snapshot, *from, &frame);
            assert_eq!(answer, Answer::Reply(frame.clone()));
        }
        room.now += ms(500);
    }
}

#[test]
fn an_empty_datagram_is_nothing() {
    let mut room = Room::new();
    let ann = room.joined(ANN, "Ann");
    room.audio(ann.addr, 0).consumed();
    room.audio(addr("192.0.2.2:1"), 0).consumed();
    assert_eq!((room.stats().datagrams_empty, room.sent()), (2, vec![]));
}

#[test]
fn the_responder_answers_what_the_server_would_answer() {
    let mut room = Room::with(|config| config.welcome("Hello"));
    let ann = room.joined(ANN, "Ann");
    room.sent();
    let snapshot = room.server.snapshot();
    let config = Arc::clone(room.server.config());
    let mut writer = FrameWriter::new();
    assert_eq!((snapshot.clients(), snapshot.is_connected(ann.addr)), (1, true));
    for question in [
        Connectionless::Ping { time_ms: 1 },
        Connectionless::PingWithClients { time_ms: 1, clients: 0 },
        Connectionless::RequestVersionAndOs,
        Connectionless::RequestClientList,
        Connectionless::RequestServerFeatures,
        Connectionless::RequestWelcomeMessage,
    ] {
        let src = addr("198.51.100.1:9");
        let frame = question.frame(&mut writer);
        let mut responder = Responder::new(&config, 1, room.now);
        let Answer::Reply(reply) = responder.answer(room.now, &snapshot, src, &frame) else {
            panic!("{question:?} is not answered")
        };
        room.connectionless(src, &question);
        let by_server = room.one_sent();
        let parsed = Frame::parse(&reply).unwrap();
        assert_eq!((parsed.id, parsed.body), (by_server.id, &by_server.body[..]));
    }
}

#[test]
fn the_responder_leaves_to_the_server_what_changes_it() {
    let room = Room::with(|config| config.deny(["10.0.0.0/8".parse().unwrap()]));
    let snapshot = room.server.snapshot();
    let mut responder = Responder::new(room.server.config(), 1, room.now);
    let mut writer = FrameWriter::new();
    let mut answer = |src: &str, payload: &[u8]| responder.answer(room.now, &snapshot, addr(src), payload);
    let mut frame = |message: Connectionless| message.frame(&mut writer);
    let (ping, goodbye) = (frame(Connectionless::Ping { time_ms: 1 }), frame(Connectionless::Disconnection));
    let (list, empty) = (frame(Connectionless::RequestServerList), frame(Connectionless::Empty));
    assert_eq!(answer(ANN, &[0x55; 45]), Answer::NotMine);
    assert_eq!(answer(ANN, &Message::RequestClientList.frame(0, &mut FrameWriter::new())), Answer::NotMine);
    assert_eq!(answer(ANN, &goodbye), Answer::NotMine);
    assert_eq!(answer(ANN, &list), Answer::NotMine);
    assert_eq!(answer(ANN, &empty), Answer::Silent);
    assert_eq!(answer("10.1.1.1:9", &ping), Answer::Silent);
    assert_eq!(answer(ANN, &ping), Answer::Reply(ping.clone()));
    assert_eq!((responder.stats().requests_answered, responder.stats().datagrams_denied), (1, 1));
}

#[test]
fn the_responder_knows_who_is_banned_and_for_how_long() {
    let mut room = Room::new();
    let mut responder = Responder::new(room.server.config(), 1, room.now);
    let ping = Connectionless::Ping { time_ms: 1 }.frame(&mut FrameWriter::new());
    let mut is_answered = |room: &Room| {
        let answer = responder.answer(room.now, &room.server.snapshot(), addr(ANN), &ping);
        answer != Answer::Silent
    };
    let network = IpNetwork::host(addr(ANN).ip());
    assert!(is_answered(&room));
    for (duration, later) in [(Some(ms(5_000)), true), (None, false)] {
        room.command(Command::Ban { network, duration }).unwrap();
        assert!(!is_answered(&room));
        room.pass(ms(5_000));
        assert_eq!(is_answered(&room), later);
    }
    room.command(Command::Unban(network)).unwrap();
    assert!(is_answered(&room));
    assert_eq!(room.sent(), []);
}

impl Room {
    /// Whether an address is asked nothing under this counter, now or just before.
    fn is_no_question_to(&self, at: SocketAddr, counter: u8) -> bool {
        let asked = |period| self.server.questions_to(at, period).contains(&counter);
        let period = self.server.questions_period(self.now);
        !asked(period) && !period.checked_sub(1).is_some_and(asked)
    }

    /// Somebody who answered the questions and nothing else; what it is told then.
    fn joined_half(&mut self, at: &str) -> Sent {
        self.sent();
        self.audio(addr(at), 45).consumed();
        let questions = self.questions();
        self.answer(&questions);
        self.one_sent()
    }
}

impl Disposition {
    fn consumed(self) {
        assert_eq!(self, Self::Consumed);
    }
}
