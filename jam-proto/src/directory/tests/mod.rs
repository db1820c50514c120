//! Both machines, told as transcripts, against captures, and together over a bad network.

mod capture;
mod keeping;
mod laws;
mod registering;
mod world;

pub(super) use crate::sim::start;

use super::*;
use crate::Transmit;
use crate::message::{Connectionless, OsType, Registration, VersionAndOs};
use crate::tables::Country;
use crate::wire::Frame;
use std::net::{SocketAddr, SocketAddrV4};
use std::time::Instant;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const MIN: Duration = Duration::from_secs(60);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn v4(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

fn registration(name: &str) -> Registration {
    Registration {
        internal_port: 22124,
        country: Country(82),
        clients_max: 10,
        permanent: false,
        name: name.try_into().unwrap(),
        internal_address: Some(Ipv4Addr::new(192, 168, 1, 5)),
        city: "Köln".try_into().unwrap(),
    }
}

fn version(text: &str) -> VersionAndOs {
    VersionAndOs { os: OsType::LINUX, version: text.try_into().unwrap() }
}

fn message(transmit: &Transmit) -> Connectionless {
    let frame = Frame::parse(&transmit.payload).expect("machines send frames");
    Connectionless::parse(frame.id, frame.body)
        .expect("machines send valid bodies")
        .expect("of known messages")
}
