//! A directory and nothing else: keeps a list of servers and gives it to clients.
//!
//! Try it: `cargo run -p jam-proto --example directory -- 0.0.0.0:22124 "My list"`, start a server with this machine as
//! its directory, and enter this machine as a custom directory in a client.

use jam_proto::Input;
use jam_proto::directory::{Directory, DirectoryConfig, DirectoryOutput, OwnEntry};
use jam_proto::message::ServerName;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = UdpSocket::bind(arguments.next().unwrap_or_else(|| "0.0.0.0:22124".to_owned()))?;
    let name = arguments.next().unwrap_or_else(|| "Example directory".to_owned());
    let own = OwnEntry { name: ServerName::new(&name)?, clients_max: 0, ..OwnEntry::default() };
    let mut directory = Directory::new(DirectoryConfig { own, ..DirectoryConfig::default() });

    let mut buffer = [0; 20_000];
    loop {
        while let Some(output) = directory.poll_output() {
            match output {
                DirectoryOutput::Transmit(t) => drop(socket.send_to(&t.payload, t.dst)),
                DirectoryOutput::Event(event) => println!("{event}"),
                other => println!("{other:?}"),
            }
        }
        let wait = directory.poll_timeout().map(|at| at.saturating_duration_since(clock()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, src)) => {
                directory.handle_input(clock(), Input::Datagram { src, payload: &buffer[..length] })
            }
            Err(_) => directory.handle_input(clock(), Input::Timeout),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this program is the driver: it owns the clock")]
fn clock() -> Instant {
    Instant::now()
}
