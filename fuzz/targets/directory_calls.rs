//! A directory and a registration under any messages and any passing of time.
#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jam_proto::Input;
use jam_proto::directory::{
    Directory, DirectoryConfig, DirectoryOutput, Registrar, RegistrarConfig, RegistrarInput, RegistrarOutput,
};
use jam_proto::message::{OsType, Registration, ServerName, VersionAndOs, VersionText};
use jam_proto::wire::FrameWriter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let mut directory = Directory::new(DirectoryConfig::default());
    let registration = Registration {
        internal_port: 22_124,
        country: Default::default(),
        clients_max: 10,
        permanent: false,
        name: ServerName::cut("here"),
        internal_address: None,
        city: Default::default(),
    };
    let version = VersionAndOs { os: OsType::LINUX, version: VersionText::cut("3.12.4") };
    let mut registrar = Registrar::new(RegistrarConfig::new("directory.example", registration, version));
    let mut writer = FrameWriter::new();
    let mut rest = data;
    while let Some((&[what, a, b, len], tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(usize::from(len).min(tail.len()));
        rest = tail;
        let src = SocketAddr::from(([203, 0, 113, a % 8], 22_124));
        match what % 4 {
            0 => now += Duration::from_millis(u64::from(a) * u64::from(b) * 64),
            1 => registrar.handle_input(now, RegistrarInput::Resolved((b & 1 == 0).then_some(src))),
            2 => {
                // A list as a file would hold it, then one as it would be written.
                let _ = directory.restore(now, &String::from_utf8_lossy(body));
                let text = directory.save();
                let mut fresh = Directory::new(DirectoryConfig::default());
                assert_eq!(fresh.restore(now, &text), [], "what is saved can be read");
            }
            _ => {
                let frame = writer.frame(1004 + u16::from(b % 15), 0, body);
                directory.handle_input(now, Input::Datagram { src, payload: &frame });
                registrar.handle_input(now, RegistrarInput::Datagram { src, payload: &frame });
            }
        }
        directory.handle_input(now, Input::Timeout);
        registrar.handle_input(now, RegistrarInput::Timeout);
        while let Some(output) = directory.poll_output() {
            if let DirectoryOutput::Transmit(t) = output {
                assert!(t.payload.len() <= 20_000);
            }
        }
        while let Some(output) = registrar.poll_output() {
            if let RegistrarOutput::Transmit(t) = output {
                assert!(t.payload.len() <= 600);
            }
        }
        assert!(directory.entries().len() <= 150);
        assert!(directory.poll_timeout().is_none_or(|at| at > now));
        assert!(registrar.poll_timeout().is_none_or(|at| at > now));
    }
});
