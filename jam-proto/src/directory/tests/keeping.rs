use super::*;
use crate::Input;
use crate::message::{RegistrationResult, ServerListEntry};
use crate::wire::FrameWriter;

fn directory() -> Directory {
    Directory::new(config())
}

fn config() -> DirectoryConfig {
    let own = OwnEntry {
        name: "Dir".try_into().unwrap(),
        city: "Dirtown".try_into().unwrap(),
        country: Country(82),
        clients_max: 10,
    };
    DirectoryConfig { own, ..DirectoryConfig::default() }
}

fn sent(directory: &mut Directory) -> Vec<(SocketAddr, Connectionless)> {
    let outputs = std::iter::from_fn(|| directory.poll_output());
    outputs
        .filter_map(|output| match output {
            DirectoryOutput::Transmit(transmit) => Some((transmit.dst, message(&transmit))),
            DirectoryOutput::Event(_) => None,
        })
        .collect()
}

fn events(directory: &mut Directory) -> Vec<String> {
    let outputs = std::iter::from_fn(|| directory.poll_output());
    outputs
        .filter_map(|output| match output {
            DirectoryOutput::Transmit(_) => None,
            DirectoryOutput::Event(event) => Some(event.to_string()),
        })
        .collect()
}

/// Registers and returns the answer.
fn register(directory: &mut Directory, now: Instant, src: &str, what: Registration) -> RegistrationResult {
    assert!(directory.handle(now, addr(src), &Connectionless::RegisterServerEx(what, version("3.9.1"))));
    match sent(directory).as_slice() {
        [(to, Connectionless::RegistrationResult(result))] if *to == addr(src) => *result,
        other => panic!("{other:?}"),
    }
}

/// Asks for the list: hole punches (server, address) and the full list.
fn list(
    directory: &mut Directory,
    now: Instant,
    client: &str,
) -> (Vec<(SocketAddr, String)>, Vec<ServerListEntry>) {
    directory.handle(now, addr(client), &Connectionless::RequestServerList);
    let mut messages = sent(directory);
    let (to, Connectionless::ServerList(full)) = messages.pop().unwrap() else { panic!("no full list") };
    let (also_to, Connectionless::ReducedServerList(reduced)) = messages.pop().unwrap() else {
        panic!("no reduced list")
    };
    assert_eq!((to, also_to), (addr(client), addr(client)));
    assert!(full.iter().map(|e| (e.address, &e.name)).eq(reduced.iter().map(|e| (e.address, &e.name))));
    let punches = messages.into_iter().map(|(server, message)| match message {
        Connectionless::SendEmpty(address) => (server, address.to_string()),
        other => panic!("{other:?}"),
    });
    (punches.collect(), full)
}

#[test]
fn a_registered_server_is_listed_after_the_directory_itself() {
    let (t0, mut d) = (start(), directory());
    assert_eq!(
        register(&mut d, t0, "203.0.113.9:5000", registration("Cellar")),
        RegistrationResult::Registered
    );
    let (punches, full) = list(&mut d, t0, "198.51.100.1:22134");
    assert_eq!(punches, [(addr("203.0.113.9:5000"), "198.51.100.1:22134".into())]);
    let [own, cellar] = full.as_slice() else { panic!("{full:?}") };
    assert_eq!((own.address, &*own.name, own.permanent, own.clients_max), (v4("0.0.0.0:0"), "Dir", true, 10));
    assert_eq!((cellar.address, &*cellar.name, cellar.permanent), (v4("203.0.113.9:5000"), "Cellar", false));
    assert_eq!((&*cellar.city, cellar.country, cellar.clients_max), ("Köln", Country(82), 10));
}

#[test]
fn the_shown_address_depends_on_who_asks() {
    // Entries: outside server, server of the directory's network that announces its public address, loopback server.
    let t0 = start();
    let mut d = directory();
    register(&mut d, t0, "203.0.113.9:5000", registration("outside"));
    let mut announces = registration("lan");
    announces.internal_address = Some(Ipv4Addr::new(198, 51, 100, 77));
    register(&mut d, t0, "192.168.0.4:22124", announces);
    let mut old = registration("loop");
    old.internal_address = None;
    register(&mut d, t0, "127.0.0.1:22130", old);

    for (client, addresses, punched) in [
        ("198.51.100.1:1", ["203.0.113.9:5000", "198.51.100.77:22124", "127.0.0.1:22124"], "198.51.100.1:1"),
        ("192.168.0.9:1", ["203.0.113.9:5000", "192.168.0.4:22124", "127.0.0.1:22130"], "192.168.0.9:1"),
        ("127.0.0.1:1", ["203.0.113.9:5000", "192.168.0.4:22124", "127.0.0.1:22130"], "127.0.0.1:1"),
        // Behind the outside server's own router: its address in their common network.
        ("203.0.113.9:1", ["192.168.1.5:22124", "198.51.100.77:22124", "127.0.0.1:22124"], "203.0.113.9:1"),
    ] {
        let (punches, full) = list(&mut d, t0, client);
        let shown: Vec<String> = full.iter().skip(1).map(|entry| entry.address.to_string()).collect();
        assert_eq!(shown, addresses, "{client}");
        assert_eq!(punches, [(addr("203.0.113.9:5000"), punched.into())], "only outside servers punch");
    }
}

#[test]
fn a_directory_behind_a_router_lets_servers_punch_towards_its_public_address() {
    let t0 = start();
    let public_address = Some(Ipv4Addr::new(198, 51, 100, 77));
    let mut d = Directory::new(DirectoryConfig { public_address, ..config() });
    register(&mut d, t0, "203.0.113.9:5000", registration("outside"));
    assert_eq!(list(&mut d, t0, "192.168.0.9:4").0, [(addr("203.0.113.9:5000"), "198.51.100.77:4".into())]);
    assert_eq!(list(&mut d, t0, "198.51.100.1:4").0, [(addr("203.0.113.9:5000"), "198.51.100.1:4".into())]);
}

#[test]
fn the_source_is_the_key_of_an_entry() {
    let (t0, mut d) = (start(), directory());
    register(&mut d, t0, "203.0.113.9:5000", registration("one"));
    register(&mut d, t0, "203.0.113.9:5001", registration("two"));
    register(&mut d, t0 + S, "203.0.113.9:5000", registration("one, renamed"));
    let names: Vec<String> = d.entries().iter().map(|entry| entry.registration.name.to_string()).collect();
    assert_eq!(names, ["one, renamed", "two"]);

    d.handle(t0, addr("203.0.113.9:5002"), &Connectionless::UnregisterServer);
    assert_eq!(d.entries().len(), 2, "a stranger unregisters nobody");
    d.handle(t0, addr("203.0.113.9:5000"), &Connectionless::UnregisterServer);
    assert_eq!(d.entries().len(), 1);
    assert_eq!(events(&mut d), ["Server 203.0.113.9:5000 unregistered"]);
}

#[test]
fn entries_expire_33_minutes_after_their_last_registration() {
    let (t0, mut d) = (start(), directory());
    register(&mut d, t0, "203.0.113.9:5000", registration("one"));
    register(&mut d, t0, "203.0.113.8:5000", registration("two"));
    register(&mut d, t0 + MIN * 15, "203.0.113.8:5000", registration("two"));
    let mut gone = Vec::new();
    let mut empties = 0;
    while let Some(now) = d.poll_timeout() {
        d.handle_input(now, Input::Timeout);
        assert!(d.poll_timeout().is_none_or(|next| next > now));
        while let Some(output) = d.poll_output() {
            match output {
                DirectoryOutput::Event(event) => gone.push((now - t0, event.to_string())),
                DirectoryOutput::Transmit(transmit) => {
                    assert_eq!(message(&transmit), Connectionless::Empty);
                    empties += 1;
                }
            }
        }
    }
    let expired = |n: u32, address: &str| (MIN * n, format!("Server {address} expired"));
    assert_eq!(gone, [expired(33, "203.0.113.9:5000"), expired(48, "203.0.113.8:5000")]);
    assert_eq!(empties, 33 + 48, "one keep-alive for each every 59 s");
    assert_eq!((d.stats().entries_expired, d.stats().entries), (2, 0));
}

#[test]
fn the_list_ends_at_150_with_the_directory_and_a_single_address_has_a_share() {
    let (t0, mut d) = (start(), directory());
    for n in 0..60 {
        let result = register(&mut d, t0, &format!("203.0.113.9:{}", 5000 + n), registration("one host"));
        let expected = if n < 50 { RegistrationResult::Registered } else { RegistrationResult::ListFull };
        assert_eq!(result, expected, "{n}");
    }
    for n in 0..110 {
        let result = register(&mut d, t0, &format!("198.51.100.{n}:22124"), registration("many hosts"));
        let expected = if n < 99 { RegistrationResult::Registered } else { RegistrationResult::ListFull };
        assert_eq!(result, expected, "{n}");
    }
    let known = register(&mut d, t0, "198.51.100.5:22124", registration("known"));
    assert_eq!(known, RegistrationResult::Registered, "who is listed may renew");
    let (punches, full) = list(&mut d, t0, "192.0.2.1:1");
    assert_eq!((punches.len(), full.len()), (149, 150));
    assert_eq!(d.stats().registrations_refused, 10 + 11);
}

#[test]
fn the_filter_refuses_old_versions_before_it_looks_at_addresses() {
    let t0 = start();
    let mut d =
        Directory::new(DirectoryConfig { filter: "[3.11.0];203.0.113.9".parse().unwrap(), ..config() });
    let ask = |d: &mut Directory, src: &str, text: Option<&str>| {
        let message = match text {
            Some(text) => Connectionless::RegisterServerEx(registration("x"), version(text)),
            None => Connectionless::RegisterServer(registration("x")),
        };
        d.handle(t0, addr(src), &message);
        match sent(d).as_slice() {
            [(_, Connectionless::RegistrationResult(result))] => *result,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(&mut d, "203.0.113.9:1", Some("3.9.1")), RegistrationResult::VersionTooOld);
    assert_eq!(ask(&mut d, "203.0.113.9:1", None), RegistrationResult::VersionTooOld);
    assert_eq!(ask(&mut d, "203.0.113.8:1", Some("3.9.1")), RegistrationResult::VersionTooOld);
    assert_eq!(ask(&mut d, "203.0.113.8:1", Some("3.11.0")), RegistrationResult::RequirementsNotFulfilled);
    assert_eq!(ask(&mut d, "203.0.113.9:1", Some("3.12.4dev-nogit")), RegistrationResult::Registered);
    d.command(DirectoryCommand::Filter(ListFilter::default()));
    assert_eq!(ask(&mut d, "203.0.113.8:1", None), RegistrationResult::Registered);
}

#[test]
fn the_log_tells_requests_and_decisions() {
    let (t0, mut d) = (start(), directory());
    for _ in 0..2 {
        let message = Connectionless::RegisterServerEx(registration("Cellar"), version("3.9.1"));
        d.handle(t0, addr("203.0.113.9:5000"), &message);
    }
    let requested = "Requested to register entry for 203.0.113.9:5000 (192.168.1.5:22124): Cellar (external)";
    assert_eq!(events(&mut d), [requested, "Server 203.0.113.9:5000 registered", requested]);
    d.command(DirectoryCommand::Remove(v4("203.0.113.9:5000")));
    assert_eq!(events(&mut d), ["Server 203.0.113.9:5000 unregistered"]);
}

#[test]
fn a_client_that_repeats_every_two_seconds_gets_its_list_each_time_for_a_while() {
    let (t0, mut d) = (start(), directory());
    for n in 0..149 {
        // The longest texts: 20 characters of three bytes.
        let mut big = registration(&"音".repeat(20));
        big.city = "音".repeat(20).as_str().try_into().unwrap();
        register(&mut d, t0, &format!("198.51.100.{n}:22124"), big);
    }
    let lists = |d: &mut Directory, src: &str, at: Duration| {
        d.handle(t0 + at, addr(src), &Connectionless::RequestServerList);
        let payload: usize = std::iter::from_fn(|| d.poll_output())
            .map(|output| match output {
                DirectoryOutput::Transmit(transmit) if transmit.dst == addr(src) => transmit.payload.len(),
                _ => 0,
            })
            .sum();
        payload
    };
    let answered = (0..6).filter(|n| lists(&mut d, "192.0.2.1:9", S * 2 * *n) > 25_000).count();
    assert!(answered >= 5, "{answered}");

    // Somebody forges another address ten times a second for an hour.
    let mut reflected = 0;
    for n in 0..36_000_u32 {
        reflected += lists(&mut d, &format!("192.0.2.2:{}", 1 + n % 60_000), MIN + MS * 100 * n);
    }
    let bound = (160 << 10) + 3_600 * (2 << 10);
    assert!(reflected <= bound, "{reflected} of {bound}");
    assert!(d.stats().lists_refused_source > 30_000);
}

#[test]
fn many_forged_addresses_together_meet_the_total() {
    let (t0, mut d) = (start(), directory());
    for n in 0..149 {
        register(&mut d, t0, &format!("198.51.100.{n}:22124"), registration("a name of 20 units"));
    }
    let mut bytes = 0;
    for n in 0..50_000_u32 {
        let src = SocketAddr::from((Ipv4Addr::from(0x0B00_0000 + n), 9));
        d.handle(t0 + MS * n / 5, src, &Connectionless::RequestServerList);
        while let Some(output) = d.poll_output() {
            if let DirectoryOutput::Transmit(transmit) = output {
                bytes += transmit.payload.len();
            }
        }
    }
    assert!(bytes <= (2 << 20) + 10 * (512 << 10), "{bytes} in 10 s, for 2.25 MB of requests with headers");
    assert!(d.stats().lists_refused_total > 40_000);
}

#[test]
fn other_messages_and_other_families_are_left_alone() {
    let (t0, mut d) = (start(), directory());
    assert!(!d.handle(t0, addr("192.0.2.1:1"), &Connectionless::RequestVersionAndOs));
    assert!(!d.handle(t0, addr("192.0.2.1:1"), &Connectionless::SendEmpty(v4("1.2.3.4:5"))));
    assert!(d.handle(t0, addr("192.0.2.1:1"), &Connectionless::Empty));
    assert!(d.handle(t0, addr("[2001:db8::1]:1"), &Connectionless::RequestServerList));
    for payload in [&b""[..], b"\0\0", &[0; 60], b"\0\0\xef\x03\0\0\0\0\0"] {
        d.handle_input(t0, Input::Datagram { src: addr("192.0.2.1:1"), payload });
    }
    assert_eq!((sent(&mut d), d.stats().messages_ipv6), (vec![], 1));
    // A dual-stack socket's spelling is the same source.
    register(&mut d, t0, "192.0.2.1:1", registration("x"));
    let again = Connectionless::UnregisterServer.frame(&mut FrameWriter::new());
    d.handle_input(t0, Input::Datagram { src: addr("[::ffff:192.0.2.1]:1"), payload: &again });
    assert_eq!(d.entries().len(), 0);
}

#[test]
fn a_saved_list_is_restored_in_order_with_fresh_life() {
    let (t0, mut d) = (start(), directory());
    for (src, name) in
        [("203.0.113.9:5000", "first"), ("203.0.113.8:5000", "zweite; \"Größe\""), ("10.0.0.8:1", "")]
    {
        register(&mut d, t0, src, registration(name));
    }
    let text = d.save();
    assert!(text.starts_with("10.0.0.8:1;192.168.1.5:22124;;S8O2bG4=;82;10;0\n"), "{text}");

    let later = t0 + MIN * 30;
    let mut restored = directory();
    assert_eq!(restored.restore(later, &text.replace('\n', "\r\n")), []);
    let both = [&d, &restored]
        .map(|d| d.entries().iter().map(|e| (e.address, e.registration.clone())).collect::<Vec<_>>());
    assert_eq!(both[0], both[1]);
    assert!(restored.entries().iter().all(|entry| entry.expires_at == Some(later + MIN * 33)));
    assert!(restored.poll_timeout().is_some());
    assert_eq!(restored.save(), text);
}

#[test]
fn lines_that_cannot_be_used_are_named() {
    let t0 = start();
    let limits = DirectoryLimits { entries_max: 3, ..DirectoryLimits::default() };
    let mut d = Directory::new(DirectoryConfig { limits, ..config() });
    let text = "1.2.3.4:5;1.2.3.4:5;QQ==;QQ==;82;10;0\n\nnonsense\n1.2.3.4:5;1.2.3.4:5;QQ==;QQ==;82;10;0\n\
                1.2.3.5:5;1.2.3.4:5;QQ==;QQ==;82;10;0\n1.2.3.6:5;1.2.3.4:5;QQ==;QQ==;82;10;0\n";
    let warnings: Vec<String> = d.restore(t0, text).iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "line 3: 1 fields instead of 7; the entry is skipped",
            "line 4: the address occurs twice; the entry is skipped",
            "line 6: the list is full; the entry is skipped",
        ]
    );
    assert_eq!(d.entries().len(), 2);
}

#[test]
fn an_owner_that_does_not_drain_costs_a_bounded_queue() {
    let t0 = start();
    let limits = DirectoryLimits { outputs_max: 10, ..DirectoryLimits::default() };
    let mut d = Directory::new(DirectoryConfig { limits, ..config() });
    for n in 0..20 {
        let message = Connectionless::RegisterServer(registration("x"));
        d.handle(t0, addr(&format!("203.0.113.9:{}", 1 + n)), &message);
    }
    assert_eq!(std::iter::from_fn(|| d.poll_output()).count(), 10);
    assert_eq!(d.stats().outputs_dropped, 50);
}

#[test]
fn what_the_price_says_is_what_is_sent() {
    let (t0, mut d) = (start(), directory());
    for n in 0..40 {
        register(&mut d, t0, &format!("198.51.100.{n}:22124"), registration(&"ö".repeat(n % 20)));
        register(&mut d, t0, &format!("10.0.0.{n}:22124"), registration(&"x".repeat(n % 20)));
    }
    let price = d.answer_bytes();
    d.handle(t0, addr("192.0.2.1:1"), &Connectionless::RequestServerList);
    let sent: u64 = std::iter::from_fn(|| d.poll_output())
        .map(|output| match output {
            DirectoryOutput::Transmit(t) if t.dst == addr("192.0.2.1:1") => t.payload.len() as u64,
            // What is sent to the server, and what the server sends to the client.
            DirectoryOutput::Transmit(t) => t.payload.len() as u64 + 9,
            DirectoryOutput::Event(event) => panic!("{event}"),
        })
        .sum();
    assert_eq!(sent, price);
}

#[test]
fn forged_registrations_and_requests_send_a_victim_no_more_than_documented() {
    let (t0, mut d) = (start(), directory());
    let victim = addr("203.0.113.9:0").ip();
    let mut received = std::collections::BTreeMap::<std::net::IpAddr, u64>::new();
    let (mut registered, mut answered) = (0_u64, 0_u64);
    let mut count = |d: &mut Directory| {
        while let Some(output) = d.poll_output() {
            if let DirectoryOutput::Transmit(transmit) = output {
                *received.entry(transmit.dst.ip()).or_default() += transmit.payload.len() as u64;
            }
        }
    };
    let mut frames = FrameWriter::new();
    let registration = Connectionless::RegisterServerEx(registration("x"), version("3.9.1"));
    let registration_bytes = registration.frame(&mut frames).len() as u64;
    for port in 1..=100 {
        d.handle(t0, SocketAddr::new(victim, port), &registration);
        registered += 1;
        count(&mut d);
    }
    assert_eq!(d.entries().len(), 50);
    // An entry that comes and goes does not get another share, and nobody asks twice.
    for n in 0..100_000_u32 {
        let now = t0 + MS * n / 10;
        let client = SocketAddr::from((0x0100_0000_u32.wrapping_add(n * 101).to_be_bytes(), 22_134));
        d.handle(now, client, &Connectionless::RequestServerList);
        if n % 100 == 0 {
            let port = (n / 100 % 50) as u16 + 1;
            d.handle(now, SocketAddr::new(victim, port), &Connectionless::UnregisterServer);
            d.handle(now, SocketAddr::new(victim, port), &registration);
            registered += 1;
        }
        answered = d.stats().lists_sent;
        count(&mut d);
    }
    let (punches, answers) = (15 * (200 + 50 * 10), 10 * registered);
    assert!(answers < registration_bytes * registered);
    assert!(answered > 500, "{answered} lists");
    let to_victim = received[&victim];
    assert!((punches..=punches + answers).contains(&to_victim), "{to_victim} bytes for {answered} lists");
    let stats = d.stats();
    assert!(stats.punches_requested <= 700 && stats.punches_limited > 100_000, "{stats:?}");
}

#[test]
fn an_entry_whose_time_has_no_end_stays() {
    let limits = DirectoryLimits { entry_life: Duration::MAX, ..DirectoryLimits::default() };
    let mut d = Directory::new(DirectoryConfig { limits, ..config() });
    let t0 = start();
    for _ in 0..2 {
        register(&mut d, t0, "203.0.113.9:5000", registration("Cellar"));
    }
    d.handle_input(t0 + MIN * 1_000_000, Input::Timeout);
    assert_eq!((d.entries().len(), d.entries()[0].expires_at), (1, None));
}
