//! The protocol server under any datagrams from a handful of addresses, any commands and any passing of time.
#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jam_proto::guard::IpNetwork;
use jam_proto::message::{RecorderState, id};
use jam_proto::server::{Admission, Command, Output};
use jam_proto::text::LocalTime;
use jam_proto::wire::FrameWriter;
use jam_proto::{ChannelId, Disposition, Input, Server, ServerConfig};
use libfuzzer_sys::fuzz_target;

const ADDRESSES: usize = 6;

fuzz_target!(|data: &[u8]| {
    let start = Instant::now();
    let mut now = start;
    let config =
        ServerConfig::builder().channels_max(3).welcome("hello").build().expect("a valid configuration");
    let bound = Server::memory_bytes_max(&config);
    let mut server = Server::new(config, 1, now);
    let mut writer = FrameWriter::new();
    // Id and counter of the last messages that each address was sent and has to acknowledge, the latest first: a
    // newcomer is asked two questions at once.
    let mut owed: [[Option<(u16, u8)>; 2]; ADDRESSES] = Default::default();
    let mut rest = data;
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        let who = usize::from(a) % ADDRESSES;
        let src = SocketAddr::from(([192, 0, 2, who as u8], 22_134));
        let receive = |server: &mut Server, payload: &[u8]| match server
            .handle_input(now, Input::Datagram { src, payload })
        {
            Disposition::Audio(channel) | Disposition::WrongSize(channel) => assert!(channel.index() < 3),
            Disposition::Consumed => {}
        };
        match what % 8 {
            0 | 1 => receive(&mut server, body),
            // A frame with any id and counter, its checksum right.
            2 | 3 => {
                let id = match b {
                    u8::MAX => id::SPLIT,
                    _ => u16::from(b) + if what & 8 != 0 { 1000 } else { 0 },
                };
                let frame = writer.frame(id, what >> 4, body);
                receive(&mut server, &frame);
            }
            // What a well-behaved client says.
            4 => {
                if let Some((id, counter)) = owed[who][usize::from(b & 1)] {
                    let frame = writer.frame(1, counter, &id.to_le_bytes());
                    receive(&mut server, &frame);
                }
            }
            5 => {
                now += Duration::from_millis(u64::from(a) * u64::from(b));
                let _ = server.handle_input(now, Input::Timeout);
            }
            6 => {
                let channel = ChannelId::new(a % 4).expect("below 150");
                let text = String::from_utf8_lossy(body);
                let network: IpNetwork = ["192.0.2.0/30", "192.0.2.4/31", "192.0.2.5"]
                    [usize::from(what >> 4) % 3]
                    .parse()
                    .expect("a network");
                let _ = match b % 12 {
                    0 => server.command(now, Command::Broadcast(&text)),
                    1 => server.command(now, Command::PrivateChat { channel, text: &text }),
                    2 => server.command(now, Command::Disconnect(channel)),
                    3 => server.command(now, Command::JitterSize { channel, blocks: what >> 3 }),
                    4 => server.command(now, Command::Levels(body)),
                    5 => server.command(now, Command::Shutdown),
                    6 => {
                        let duration = (what & 8 == 0).then(|| Duration::from_millis(u64::from(len)));
                        server.command(now, Command::Ban { network, duration })
                    }
                    7 => server.command(now, Command::Unban(network)),
                    8 => {
                        let open = what & 8 == 0;
                        let admission = if open { Admission::Open } else { Admission::Closed };
                        server.command(now, Command::Admission(admission))
                    }
                    9 => {
                        let states = [
                            RecorderState::NotInitialised,
                            RecorderState::NotEnabled,
                            RecorderState::Recording,
                        ];
                        server.command(now, Command::Recorder(states[usize::from(what >> 3) % 3]))
                    }
                    10 => {
                        let time = LocalTime::from_second_of_day(u64::from(what) << 12);
                        server.command(now, Command::LocalTime(time))
                    }
                    _ => {
                        let builder = server.config().to_builder().channels_max(1 + u16::from(what >> 3) % 3);
                        let config = builder.build().expect("a valid configuration");
                        server.command(now, Command::Reload(config))
                    }
                };
            }
            _ => receive(&mut server, &[0x55; 45]),
        }
        let mut outputs = 0;
        while let Some(output) = server.poll_output() {
            outputs += 1;
            assert!(outputs < 10_000, "outputs end");
            let Output::Transmit(t) = output else { continue };
            let index = match t.dst {
                SocketAddr::V4(v4) => usize::from(v4.ip().octets()[3]),
                SocketAddr::V6(_) => ADDRESSES,
            };
            if let (Some(slots), Some(frame)) =
                (owed.get_mut(index), jam_proto::wire::Frame::parse(&t.payload))
            {
                let message = Some((frame.id, frame.counter));
                if !frame.is_connectionless() && frame.id != 1 && !slots.contains(&message) {
                    *slots = [message, slots[0]];
                }
            }
        }
        if server.poll_timeout().is_some_and(|at| at <= now) {
            let _ = server.handle_input(now, Input::Timeout);
            while server.poll_output().is_some() {}
            assert!(server.poll_timeout().is_none_or(|at| at > now), "a deadline moves");
        }
        assert!(server.memory_bytes() <= bound, "{} > {bound}", server.memory_bytes());
    }
});
