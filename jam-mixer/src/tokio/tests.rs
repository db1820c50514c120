//! The driver on real sockets, as programs that embed it use it.

use std::net::UdpSocket;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientConfig, ClientOutput};
use jam_proto::{BlockCodec, Input, Layout};

use super::*;

/// Nothing here takes longer on a machine that is merely busy.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_tap_hears_the_musicians_and_the_mix_of_all() {
    let (sender, ticks) = sync_channel(1);
    let tap: Tap = Arc::new(move |frames: &Frames<'_>| {
        let stems: Vec<(u8, usize)> =
            frames.stems().map(|stem| (stem.channel.number(), stem.pcm.len())).collect();
        // Before the musician has told its format there is nothing to hear of it.
        if !stems.is_empty() {
            let _ = sender.try_send((frames.samples(), stems, frames.main_mix().map(<[i16]>::len)));
        }
    });
    let config = JamConfig::builder().engine(|engine| engine.main_mix = true).build().unwrap();
    let listen = Listen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    // No runtime: starting and stopping do without.
    let server = JamServer::builder(config).listen(listen).realtime(Realtime::Off).tap(tap).start().unwrap();
    let addr = server.local_addrs()[0];

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    let props = Quality::Normal.props(BlockCodec::Opus, Layout::Stereo);
    let start = thread::clock();
    let mut client = Client::new(ClientConfig::new(props), addr, start);
    let mut buffer = [0; 20_000];
    let heard = loop {
        assert!(thread::clock() < start + PATIENCE, "the tap hears nothing");
        if let Ok(heard) = ticks.try_recv() {
            break heard;
        }
        let block = vec![0; usize::from(client.audio_props().block_bytes)];
        if let Some(datagram) = client.send_block(&block) {
            socket.send_to(datagram, addr).unwrap();
        }
        let input = match socket.recv_from(&mut buffer) {
            Ok((bytes, src)) => Input::Datagram { src, payload: &buffer[..bytes] },
            Err(_) => Input::Timeout,
        };
        let _ = client.handle_input(thread::clock(), input);
        while let Some(output) = client.poll_output() {
            if let ClientOutput::Transmit(t) = output {
                socket.send_to(&t.payload, t.dst).unwrap();
            }
        }
    };
    assert_eq!(heard, (128, vec![(0, 256)], Some(256)));
}
