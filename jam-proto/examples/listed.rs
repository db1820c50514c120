//! Puts a line on a directory's list and keeps it there: the registering half of a server.
//!
//! Try it: `cargo run -p jam-proto --example listed -- 127.0.0.1:22124 "Cellar" "Köln" de`. Clients hide servers that do
//! not answer their pings, so the line is seen only by those who ask the directory themselves.

use jam_proto::directory::{Registrar, RegistrarCommand, RegistrarConfig, RegistrarInput, RegistrarOutput};
use jam_proto::message::{OsType, Registration, VersionAndOs};
use jam_proto::tables::Country;
use std::net::{ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, name, city, country] = arguments.as_slice() else {
        return Err("usage: listed DIRECTORY:PORT NAME CITY COUNTRY".into());
    };
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let registration = Registration {
        internal_port: socket.local_addr()?.port(),
        country: Country::parse(country).ok_or("unknown country")?,
        clients_max: 10,
        permanent: false,
        name: name.as_str().try_into()?,
        internal_address: None,
        city: city.as_str().try_into()?,
    };
    let version = VersionAndOs { os: OsType::LINUX, version: "3.12.0".try_into()? };
    let mut registrar = Registrar::new(RegistrarConfig::new(directory, registration, version));
    registrar.command(clock(), RegistrarCommand::Start);

    let mut buffer = [0; 20_000];
    loop {
        while let Some(output) = registrar.poll_output() {
            match output {
                RegistrarOutput::Resolve(name) => {
                    let address = name.to_socket_addrs().ok().and_then(|mut all| all.find(|a| a.is_ipv4()));
                    registrar.handle_input(clock(), RegistrarInput::Resolved(address));
                }
                RegistrarOutput::Transmit(t) => drop(socket.send_to(&t.payload, t.dst)),
                RegistrarOutput::Status(status) => println!("Server Registration Status update: {status}"),
                other => println!("{other:?}"),
            }
        }
        let wait = registrar.poll_timeout().map(|at| at.saturating_duration_since(clock()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, src)) => {
                registrar.handle_input(clock(), RegistrarInput::Datagram { src, payload: &buffer[..length] });
            }
            Err(_) => registrar.handle_input(clock(), RegistrarInput::Timeout),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this program is the driver: it owns the clock")]
fn clock() -> Instant {
    Instant::now()
}
