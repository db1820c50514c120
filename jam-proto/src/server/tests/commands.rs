//! What owners want, and when they cannot have it.

use super::*;
use crate::CommandError;
use crate::message::ServerFeatures;

fn ip_net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

#[test]
fn impossible_commands_are_refused_with_the_reason() {
    let mut room = Room::limited(|limits| limits.bans_max = 1, |config| config);
    let _ann = room.joined("192.0.2.1:5000", "Ann");
    let long = "x".repeat(1_801);
    let nobody = slot(9);
    room.command(Command::Ban { network: ip_net("10.0.0.1"), duration: None }).unwrap();
    let cases = [
        (Command::JitterSize { channel: nobody, blocks: 4 }, CommandError::NoSuchChannel(nobody)),
        (Command::JitterSize { channel: slot(0), blocks: 0 }, CommandError::JitterBlocks { blocks: 0 }),
        (Command::JitterSize { channel: slot(0), blocks: 21 }, CommandError::JitterBlocks { blocks: 21 }),
        (Command::Levels(&[1, 2]), CommandError::LevelCount { given: 2, connected: 1 }),
        (Command::Disconnect(nobody), CommandError::NoSuchChannel(nobody)),
        (Command::PrivateChat { channel: nobody, text: "" }, CommandError::NoSuchChannel(nobody)),
        (
            Command::Broadcast(&long),
            CommandError::Text(crate::message::TextTooLong { units: 1_801, units_max: 1_800 }),
        ),
        (
            Command::Ban { network: ip_net("10.0.0.2"), duration: None },
            CommandError::TooManyBans { bans_max: 1 },
        ),
    ];
    for (command, error) in cases {
        assert_eq!(room.command(command.clone()), Err(error), "{command:?}");
        assert_eq!((room.sent_ids(), room.server.connected()), (vec![], 1));
    }
}

#[test]
fn the_recorder_is_announced_to_all_and_to_newcomers_and_in_the_features() {
    let mut room = Room::with(|config| config.recorder(RecorderState::NotEnabled));
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    assert!(ann.heard_messages().contains(&Message::RecorderState(RecorderState::NotEnabled)));
    ann.heard.clear();
    for _ in 0..2 {
        room.command(Command::Recorder(RecorderState::Recording)).unwrap();
    }
    room.play(&mut [&mut ann]);
    assert_eq!(ann.heard_messages(), [Message::RecorderState(RecorderState::Recording)]);
    let bob = room.joined("192.0.2.2:5000", "Bob");
    assert!(bob.heard_messages().contains(&Message::RecorderState(RecorderState::Recording)));
    room.sent();
    room.connectionless(addr("198.51.100.1:9"), &Connectionless::RequestServerFeatures);
    let bits =
        ServerFeatures::RAW_AUDIO.with(ServerFeatures::RECORDING).with(ServerFeatures::RECORDER_DIRECTORY);
    assert_eq!(room.one_sent().connectionless(), Connectionless::ServerFeatures(bits));
}

#[test]
fn a_removed_musician_is_told_and_may_come_again() {
    let mut room = Room::new();
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    room.events();
    room.command(Command::Disconnect(slot(0))).unwrap();
    assert_eq!(room.one_sent().connectionless(), Connectionless::Disconnection);
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::Removed, .. }]));
    room.pass(ms(1_000));
    ann = Musician::new("192.0.2.1:5000", &ann.name);
    room.join(&mut ann);
    assert_eq!(ann.channel, Some(slot(0)));
}

#[test]
fn a_closed_server_turns_newcomers_away_and_keeps_its_musicians() {
    let mut room = Room::new();
    let ann = room.joined("192.0.2.1:5000", "Ann");
    room.command(Command::Admission(Admission::Closed)).unwrap();
    let _ = room.audio(addr("192.0.2.2:5000"), 45);
    assert_eq!(room.one_sent().connectionless(), Connectionless::ServerFull);
    assert_eq!((room.stats().refused, room.audio(ann.addr, 45)), (1, Disposition::Audio(slot(0))));
    room.command(Command::Admission(Admission::Open)).unwrap();
    assert_eq!(room.joined("192.0.2.2:5000", "Bob").id(), slot(1));
}

#[test]
fn a_ban_removes_and_keeps_out_until_it_ends() {
    let mut room = Room::new();
    let _ann = room.joined("192.0.2.1:5000", "Ann");
    let bob = room.joined("198.51.100.1:5000", "Bob");
    room.sent();
    let network = ip_net("192.0.2.0/24");
    room.command(Command::Ban { network, duration: Some(ms(60_000)) }).unwrap();
    assert_eq!(room.sent_ids(), [id::CLM_DISCONNECTION, id::CONN_CLIENTS_LIST]);
    assert_eq!(room.server.views().map(|view| view.addr).collect::<Vec<_>>(), [bob.addr]);
    room.pass(ms(20_000));
    room.sent();
    let _ = room.audio(addr("192.0.2.9:5000"), 45);
    room.connectionless(addr("192.0.2.9:5000"), &Connectionless::Ping { time_ms: 1 });
    assert_eq!((room.sent_ids(), room.stats().datagrams_denied), (vec![], 2));
    room.pass(ms(40_000));
    let _ = room.audio(addr("192.0.2.9:5000"), 45);
    assert!(room.sent_ids().contains(&id::REQ_NETW_TRANSPORT_PROPS));
    room.command(Command::Ban { network, duration: None }).unwrap();
    room.command(Command::Unban(network)).unwrap();
    let _ = room.audio(addr("192.0.2.10:5000"), 45);
    assert!(room.sent_ids().contains(&id::REQ_NETW_TRANSPORT_PROPS));
}

#[test]
fn a_new_configuration_holds_from_now_on() {
    let mut room = Room::with(|config| config.welcome("old"));
    let _ann = room.joined("192.0.2.1:5000", "Ann");
    let bob = room.joined("198.51.100.1:5000", "Bob");
    let config = room.server.config().to_builder();
    let config = config.channels_max(1).welcome("new").deny([ip_net("192.0.2.0/24")]).build().unwrap();
    room.command(Command::Reload(config)).unwrap();
    assert_eq!(room.server.views().map(|view| view.addr).collect::<Vec<_>>(), [bob.addr]);
    room.sent();
    room.connectionless(addr("203.0.113.1:9"), &Connectionless::RequestWelcomeMessage);
    assert_eq!(
        room.one_sent().connectionless(),
        Connectionless::WelcomeMessage(crate::message::ChatText::cut("new"))
    );
    let _ = room.audio(addr("203.0.113.1:9"), 45);
    assert_eq!(room.one_sent().connectionless(), Connectionless::ServerFull);
}

#[test]
fn shutting_down_tells_the_clients_only_if_configured() {
    for told in [false, true] {
        let mut room =
            Room::with(|config| if told { config.with(ServerFeatures::DISCONNECT_ON_QUIT) } else { config });
        let ann = room.joined("192.0.2.1:5000", "Ann");
        room.events();
        room.command(Command::Shutdown).unwrap();
        assert_eq!(room.sent_ids(), if told { vec![id::CLM_DISCONNECTION] } else { vec![] });
        assert_eq!(
            room.events(),
            [Event::Left { channel: slot(0), addr: ann.addr, reason: LeaveReason::Shutdown, connected: 0 }]
        );
        room.pass(ms(2_000));
        let _ = room.audio(ann.addr, 45);
        assert_eq!((room.server.connected(), room.sent_ids()), (0, vec![id::CLM_SERVER_FULL]));
    }
}

#[test]
fn times_without_end_are_taken_for_never() {
    const NEVER: Duration = Duration::MAX;
    let mut room = Room::limited(
        |limits| {
            (limits.probe_interval, limits.probe_lifetime, limits.silence_max) = (NEVER, NEVER, NEVER);
            (limits.unidentified_max, limits.audio_recent, limits.wrong_size_max) = (NEVER, NEVER, NEVER);
            (limits.unidentified_quarantine_max, limits.quarantine) = (NEVER, NEVER);
            (limits.renames_pause, limits.guard.lockout) = (NEVER, NEVER);
        },
        |config| config,
    );
    let guesser = addr("192.0.2.9:5000");
    for _ in 0..3 {
        let _ = room.audio(guesser, 1_000);
        let sent = room.sent();
        for n in 0..=255 {
            if sent.iter().all(|sent| sent.counter != n) {
                room.raw_message(guesser, id::ACKN, n, &[21, 0]);
            }
        }
    }
    assert_eq!(room.stats().locked_out, 1);
    let mut ann = room.joined("192.0.2.1:5000", "Ann");
    let _ = room.audio(addr("192.0.2.2:5000"), 1_000);
    ann.say(&Message::ChannelInfo(info("Anna")));
    ann.say(&Message::ChannelInfo(info("Anne")));
    room.play(&mut [&mut ann]);
    room.command(Command::Ban { network: IpNetwork::host(addr("192.0.2.7:1").ip()), duration: Some(NEVER) })
        .unwrap();
    for _ in 0..5 {
        room.pass(Duration::from_secs(1_000_000));
        room.play(&mut [&mut ann]);
        let _ = room.audio(ann.addr, 44);
    }
    assert_eq!(room.server.connected(), 1);
    room.connectionless(ann.addr, &Connectionless::Disconnection);
    room.sent();
    room.pass(Duration::from_secs(1_000_000));
    let _ = room.audio(ann.addr, 45);
    assert_eq!((room.sent(), room.stats().quarantined), (vec![], 1));
    room.command(Command::Reload(Arc::clone(room.server.config()))).unwrap();
}

#[test]
fn a_shorter_time_is_in_force_as_soon_as_it_is_loaded() {
    let mut room = Room::new();
    let ann = room.joined("192.0.2.1:5000", "Ann");
    let _ = room.audio(ann.addr, 45);
    room.pass(ms(1_000));
    room.events();
    let limits = ServerLimits { silence_max: ms(3_000), ..ServerLimits::default() };
    let config = room.server.config().to_builder().limits(limits).build().unwrap();
    room.command(Command::Reload(config)).unwrap();
    room.pass(ms(1_999));
    assert_eq!(room.events(), []);
    room.pass(ms(1));
    assert!(matches!(room.events()[..], [Event::Left { reason: LeaveReason::TimedOut, .. }]));
}

#[test]
fn outputs_that_nobody_polls_put_off_everything_but_audio() {
    let mut room = Room::limited(|limits| limits.outputs_max = 1, |config| config);
    let ann = room.joined("192.0.2.1:5000", "Ann");
    room.server.command(room.now, Command::Broadcast("one")).unwrap();
    let refused = room.server.command(room.now, Command::Broadcast("two"));
    assert_eq!(refused, Err(CommandError::OutputsWaiting { outputs: 1 }));
    let ping = Connectionless::Ping { time_ms: 7 }.frame(&mut FrameWriter::new());
    for payload in [&ping[..], &[0x55; 45]] {
        let input = Input::Datagram { src: ann.addr, payload };
        let disposition = server_input(&mut room, input);
        assert_eq!(disposition == Disposition::Audio(slot(0)), payload.len() == 45);
    }
    assert_eq!(room.stats().datagrams_deferred, 1);
    // A timeout that is due moves nevertheless, and nothing is lost by the delay.
    room.now += ms(400);
    let _ = room.server.handle_input(room.now, Input::Timeout);
    assert!(room.server.poll_timeout().is_some_and(|next| next > room.now));
    room.collect();
    assert_eq!(room.sent_ids(), [id::CHAT_TEXT]);
    room.pass(ms(20));
    assert_eq!(room.sent_ids(), [id::CHAT_TEXT]);
}

fn server_input(room: &mut Room, input: Input<'_>) -> Disposition {
    room.server.handle_input(room.now, input)
}
