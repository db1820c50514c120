//! A jam server without a mixer: every musician hears itself. Shows the whole loop that drives a [`Server`].
//!
//! `cargo run -p jam-proto --example echo_server -- 127.0.0.1:22124 [welcome message]`

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use jam_proto::server::{Event, Output};
use jam_proto::{Disposition, Input, Server, ServerConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let local: SocketAddr = args.next().as_deref().unwrap_or("127.0.0.1:22124").parse()?;
    let config = ServerConfig::builder().name("Echo").welcome(args.next().unwrap_or_default()).build()?;
    let socket = UdpSocket::bind(local)?;
    let mut server = Server::new(config, seed(), now());
    println!("echoing on {}", socket.local_addr()?);

    let mut buffer = [0; 20_000];
    loop {
        while let Some(output) = server.poll_output() {
            match output {
                // A datagram that cannot be sent is like one that gets lost.
                Output::Transmit(transmit) => drop(socket.send_to(&transmit.payload, transmit.dst)),
                Output::Event(Event::Left { channel, reason, connected, .. }) => {
                    println!(
                        "channel {channel} left ({reason:?}), {connected} connected; {:?}",
                        server.stats()
                    );
                }
                Output::Event(event) => println!("{event:?}"),
                _ => {}
            }
        }
        let wait = server.poll_timeout().map(|at| at.saturating_duration_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let Ok((bytes, src)) = socket.recv_from(&mut buffer) else {
            let _ = server.handle_input(now(), Input::Timeout);
            continue;
        };
        let payload = buffer.get(..bytes).unwrap_or_default();
        let at = now();
        if let Disposition::Audio(channel) = server.handle_input(at, Input::Datagram { src, payload })
            && server.is_audio_due(at, channel)
        {
            drop(socket.send_to(payload, src));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Not to be guessed by strangers: the standard library's hash keys come from the operating system.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
