//! A jam server without any runtime: this is the whole loop, but for the time of day that chat lines show
//! (`JamServer::set_local_time`). Try it: `cargo run --release -p jam-mixer --example by_hand`, then connect a Jamulus
//! client to 127.0.0.1. The driver of the feature `tokio` is this loop with batched sends, precise sleep and real-time
//! priority.
#![allow(clippy::disallowed_methods, reason = "whoever drives a machine owns the clock")]

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use jam_mixer::codec::JamCodec;
use jam_mixer::{Inline, JamConfig, JamServer, Output};
use jam_proto::Input;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("0.0.0.0:22124")?;
    let config = JamConfig::builder().welcome("Driven by hand").build()?;
    // The seed should be unguessable; the address of a fresh allocation will do for an example.
    let seed = &raw const *Box::new(0) as u64 ^ u64::from(std::process::id());
    let mut jam = JamServer::new(config, JamCodec::default(), Box::new(Inline), seed, Instant::now());
    // No datagram that means anything is longer.
    let mut buffer = [0; 6000];
    let mut ticks = 0;
    let mut woken = Instant::now();
    println!("jam on {}", socket.local_addr()?);
    loop {
        while let Some(output) = jam.poll_output() {
            match output {
                Output::Transmit(t) => drop(socket.send_to(&t.payload, t.dst)),
                Output::Audio(batch) => {
                    batch.iter().for_each(|(dst, audio)| drop(socket.send_to(audio, dst)))
                }
                Output::Event(event) => println!("{event:?}"),
                _ => {}
            }
        }
        let now = Instant::now();
        if jam.ticks() != ticks {
            // How the server knows when it is full.
            ticks = jam.ticks();
            jam.report_work(now, now - woken);
        }
        let wait = jam.poll_timeout().map_or(Duration::from_secs(1), |at| at.saturating_duration_since(now));
        if wait.is_zero() {
            woken = now;
            jam.handle_input(now, Input::Timeout);
            continue;
        }
        socket.set_read_timeout(Some(wait))?;
        match socket.recv_from(&mut buffer) {
            Ok((bytes, src)) => {
                jam.handle_input(Instant::now(), Input::Datagram { src, payload: &buffer[..bytes] });
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
