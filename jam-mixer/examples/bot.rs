//! A bot that joins a jam and plays a tone. Try it with a server on this machine: `cargo run --release -p jam-mixer
//! --example bot 127.0.0.1:22124 440`, and listen with a Jamulus client. Ctrl-C ends it.
#![allow(clippy::disallowed_methods, reason = "whoever drives a machine owns the clock")]

use std::f64::consts::TAU;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use jam_mixer::codec::{Codec, Encode, JamCodec, StreamSpec};
use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientConfig, ClientOutput};
use jam_proto::message::{ChannelInfo, Name};
use jam_proto::{BlockCodec, Input, Layout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let server: SocketAddr = args.next().ok_or("which server? 127.0.0.1:22124 for instance")?.parse()?;
    let hertz: f64 = args.next().map_or(Ok(440.0), |text| text.parse())?;

    let props = Quality::Normal.props(BlockCodec::Opus, Layout::Mono);
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let mut encoder = JamCodec::default().encoder(spec)?;
    let mut config = ClientConfig::new(props);
    config.info = ChannelInfo { name: Name::new("Tone bot")?, ..ChannelInfo::default() };
    let start = Instant::now();
    let mut client = Client::new(config, server, start);

    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.set_nonblocking(true)?;
    let (mut pcm, mut block, mut buffer) = ([0i16; 128], [0u8; 45], [0u8; 2048]);
    for number in 0u64.. {
        for (n, sample) in (number * 128..).zip(&mut pcm) {
            *sample = (4000.0 * (TAU * hertz * n as f64 / 48_000.0).sin()) as i16;
        }
        encoder.encode(&pcm, &mut block)?;
        if let Some(datagram) = client.send_block(&block) {
            socket.send_to(datagram, server)?;
        }
        while let Ok((bytes, src)) = socket.recv_from(&mut buffer) {
            // The mix comes back as `ClientDisposition::Audio`; this bot does not listen.
            let _ = client.handle_input(Instant::now(), Input::Datagram { src, payload: &buffer[..bytes] });
        }
        let _ = client.handle_input(Instant::now(), Input::Timeout);
        while let Some(output) = client.poll_output() {
            match output {
                ClientOutput::Transmit(t) => drop(socket.send_to(&t.payload, t.dst)),
                ClientOutput::Event(event) => println!("{event:?}"),
                _ => {}
            }
        }
        if client.has_left() {
            break;
        }
        let next = start + Duration::from_nanos((number + 1) * 128 * 62_500 / 3);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
