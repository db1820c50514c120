use super::*;
use crate::Input;
use crate::message::RegistrationResult;
use crate::wire::FrameWriter;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One call, from an address out of a few.
#[derive(Clone, Debug)]
enum Call {
    Register(bool, u32),
    Unregister,
    List,
    Bytes(Vec<u8>),
    Message(u16, Vec<u8>),
    Timeout,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (any::<bool>(), any::<u32>()).prop_map(|(old, lan)| Call::Register(old, lan)),
        1 => Just(Call::Unregister),
        4 => Just(Call::List),
        1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(Call::Bytes),
        2 => (1004_u16..1020, proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(id, b)| Call::Message(id, b)),
        2 => Just(Call::Timeout),
    ]
}

fn source(n: u8) -> SocketAddr {
    let port = 22_124 + u16::from(n / 8);
    match n % 8 {
        0 => SocketAddr::from(([10, 0, 0, 1], port)),
        1 => SocketAddr::from(([127, 0, 0, 1], port)),
        2 => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], port)),
        3 => SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xcb00, 0x7101], port)),
        n => SocketAddr::from(([203, 0, 113, n], port)),
    }
}

fn payload(call: &Call) -> Option<Vec<u8>> {
    let mut frames = FrameWriter::new();
    let message = match call {
        Call::Register(old, lan) => {
            let mut what = registration("x");
            what.internal_address = Some((*lan).into());
            if *old {
                Connectionless::RegisterServer(what)
            } else {
                Connectionless::RegisterServerEx(what, version("3.9.1"))
            }
        }
        Call::Unregister => Connectionless::UnregisterServer,
        Call::List => Connectionless::RequestServerList,
        Call::Bytes(bytes) => return Some(bytes.clone()),
        Call::Message(id, body) => return Some(frames.frame(*id, 0, body).to_vec()),
        Call::Timeout => return None,
    };
    Some(message.frame(&mut frames).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_directory_keeps_its_limits_whatever_happens(
        calls in proptest::collection::vec((any::<u8>(), 0_u64..40_000, call()), 1..300),
    ) {
        let budget = ListBudget {
            source_burst_bytes: 8_000,
            source_bytes_per_s: 100,
            punches_burst: 4,
            punches_per_s: 1,
            ..ListBudget::default()
        };
        let limits = DirectoryLimits { entries_max: 20, entries_per_address_max: 6, budget, ..DirectoryLimits::default() };
        let mut directory = Directory::new(DirectoryConfig { limits: limits.clone(), ..DirectoryConfig::default() });
        let t0 = start();
        let mut now = t0;
        let mut received: BTreeMap<std::net::IpAddr, u64> = BTreeMap::new();
        let mut balance: BTreeMap<std::net::IpAddr, i64> = BTreeMap::new();
        for (from, after, call) in calls {
            now += MS * after as u32;
            let input = payload(&call);
            match &input {
                Some(payload) => directory.handle_input(now, Input::Datagram { src: source(from), payload }),
                None => {
                    directory.handle_input(now, Input::Timeout);
                    prop_assert!(directory.poll_timeout().is_none_or(|at| at > now));
                }
            }
            if let Some(payload) = &input {
                *balance.entry(crate::canonical(source(from)).ip()).or_default() -= payload.len() as i64;
            }
            let mut outputs = 0;
            while let Some(output) = directory.poll_output() {
                outputs += 1;
                let DirectoryOutput::Transmit(transmit) = output else { continue };
                *balance.entry(transmit.dst.ip()).or_default() += transmit.payload.len() as i64;
                if matches!(message(&transmit), Connectionless::ServerList(_) | Connectionless::ReducedServerList(_)) {
                    *received.entry(transmit.dst.ip()).or_default() += transmit.payload.len() as u64;
                }
            }
            prop_assert!(outputs <= 2 * limits.entries_max + 4);
            for bytes in received.values() {
                prop_assert!(*bytes <= 8_000 + 100 * (now - t0).as_secs() + 100);
            }
            // Whatever is sent to whom: its share of lists, of punches, and the keep-alives of its entries.
            let seconds = (now - t0).as_secs() as i64;
            for bytes in balance.values() {
                let keep_alives = 9 * limits.entries_per_address_max as i64 * (seconds / 59 + 1);
                prop_assert!(*bytes <= 8_000 + 100 * (seconds + 1) + 15 * (4 + seconds + 1) + keep_alives);
            }
            let entries = directory.entries();
            prop_assert!(entries.len() < limits.entries_max);
            for entry in entries {
                prop_assert_eq!(entries.iter().filter(|other| other.address == entry.address).count(), 1);
                let of_address = entries.iter().filter(|other| other.address.ip() == entry.address.ip()).count();
                prop_assert!(of_address <= limits.entries_per_address_max);
                prop_assert!(entry.expires_at <= Some(now + limits.entry_life));
            }
        }
        let mut again = Directory::new(DirectoryConfig { limits, ..DirectoryConfig::default() });
        prop_assert_eq!(again.restore(now, &directory.save()), vec![]);
        prop_assert_eq!(again.save(), directory.save());
    }

    #[test]
    fn a_registrar_answers_nobody_but_its_directory_whatever_happens(
        calls in proptest::collection::vec((any::<u8>(), 0_u64..20_000, call()), 1..200),
    ) {
        let home = source(4);
        let config = RegistrarConfig::new("directory.example", registration("x"), version("3.12.0"));
        let mut registrar = Registrar::new(config);
        let mut now = start();
        registrar.command(now, RegistrarCommand::Start);
        for (from, after, call) in calls {
            now += MS * after as u32;
            let src = if from < 64 { home } else { source(from) };
            let is_home = src == home;
            match (&call, payload(&call)) {
                (Call::Register(..), _) => registrar.handle_input(now, RegistrarInput::Resolved(Some(home))),
                (Call::List, _) => {
                    let ok = Connectionless::RegistrationResult(RegistrationResult::Registered);
                    registrar.handle(now, src, &ok);
                }
                (Call::Unregister, _) => {
                    registrar.handle(now, src, &Connectionless::SendEmpty(v4("192.0.2.99:9")));
                }
                (_, Some(payload)) => registrar.handle_input(now, RegistrarInput::Datagram { src, payload: &payload }),
                _ => {
                    registrar.handle_input(now, RegistrarInput::Timeout);
                    prop_assert!(registrar.poll_timeout().is_some_and(|at| at > now));
                }
            }
            while let Some(output) = registrar.poll_output() {
                if let RegistrarOutput::Transmit(transmit) = output {
                    prop_assert!(transmit.dst == home || is_home, "{:?} sent to {}", message(&transmit), transmit.dst);
                }
            }
        }
    }
}
