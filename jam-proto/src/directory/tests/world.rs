use super::*;
use crate::sim::{Loss, Network};
use crate::{Input, wire::FrameWriter};
use std::collections::BTreeSet;

/// A directory, registering servers, and clients that ask for the list, over one bad network.
struct World {
    now: Instant,
    net: Network,
    directory: Directory,
    servers: Vec<(SocketAddr, Registrar)>,
    /// Who punched a hole for whom.
    punched: BTreeSet<(SocketAddr, SocketAddr)>,
    lists: Vec<(SocketAddr, usize)>,
}

const DIRECTORY: &str = "203.0.113.1:22124";

impl World {
    fn new(seed: u64, servers: usize) -> Self {
        let mut net = Network::new(seed);
        net.usual_link()
            .delay(MS * 20)
            .jitter(MS * 30)
            .loss(Loss::Random(0.2))
            .duplicate(0.05)
            .reorder(0.05, MS * 40);
        let config = |n| {
            RegistrarConfig::new("directory.example", registration(&format!("Room {n}")), version("3.12.0"))
        };
        let servers =
            (0..servers).map(|n| (addr(&format!("198.51.100.{n}:22124")), Registrar::new(config(n))));
        Self {
            now: start(),
            net,
            directory: Directory::new(DirectoryConfig::default()),
            servers: servers.collect(),
            punched: BTreeSet::new(),
            lists: Vec::new(),
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            let timeouts = self.servers.iter().filter_map(|(_, r)| r.poll_timeout());
            let next = timeouts.chain(self.directory.poll_timeout()).chain(self.net.next_delivery()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next >= self.now, "time never goes backwards");
            self.now = next;
            while let Some(delivery) = self.net.poll(next) {
                self.deliver(delivery.src, delivery.dst, &delivery.payload);
                self.drain();
            }
            self.directory.handle_input(next, Input::Timeout);
            for (_, registrar) in &mut self.servers {
                registrar.handle_input(next, RegistrarInput::Timeout);
                assert!(registrar.poll_timeout().is_none_or(|at| at > next));
            }
            assert!(self.directory.poll_timeout().is_none_or(|at| at > next));
        }
        self.now = end;
    }

    fn deliver(&mut self, src: SocketAddr, dst: SocketAddr, payload: &[u8]) {
        if dst == addr(DIRECTORY) {
            self.directory.handle_input(self.now, Input::Datagram { src, payload });
        } else if let Some((_, registrar)) = self.servers.iter_mut().find(|(address, _)| *address == dst) {
            registrar.handle_input(self.now, RegistrarInput::Datagram { src, payload });
        } else {
            let frame = Frame::parse(payload).unwrap();
            match Connectionless::parse(frame.id, frame.body).unwrap().unwrap() {
                Connectionless::Empty => drop(self.punched.insert((src, dst))),
                Connectionless::ServerList(list) => self.lists.push((dst, list.len())),
                Connectionless::ReducedServerList(_) => {}
                other => panic!("a client got {other:?}"),
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.directory.poll_output() {
            if let DirectoryOutput::Transmit(t) = output {
                self.net.send(self.now, addr(DIRECTORY), t.dst, t.payload);
            }
        }
        for (address, registrar) in &mut self.servers {
            while let Some(output) = registrar.poll_output() {
                match output {
                    RegistrarOutput::Transmit(t) => self.net.send(self.now, *address, t.dst, t.payload),
                    RegistrarOutput::Resolve(_) => {
                        registrar.handle_input(self.now, RegistrarInput::Resolved(Some(addr(DIRECTORY))));
                    }
                    RegistrarOutput::Status(_) => {}
                }
            }
        }
    }

    /// As clients do: ask every two seconds until the full list is there.
    fn ask(&mut self, client: SocketAddr) -> usize {
        let wants = Connectionless::RequestServerList.frame(&mut FrameWriter::new());
        for asked in 1..=8 {
            self.net.send(self.now, client, addr(DIRECTORY), wants.clone());
            self.run_for(S * 2);
            if self.lists.iter().any(|(to, _)| *to == client) {
                return asked;
            }
        }
        panic!("no list after eight requests");
    }
}

#[test]
fn servers_get_listed_stay_listed_and_leave_over_a_bad_network() {
    let mut punched = 0;
    for seed in 0..20 {
        let mut world = World::new(seed, 30);
        for (_, registrar) in &mut world.servers {
            registrar.command(world.now, RegistrarCommand::Start);
        }
        // A fifth of all datagrams is lost: five tries leave one server in a hundred for the next refresh.
        world.run_for(MIN * 40);
        assert!(world.directory.entries().len() >= 29, "seed {seed}: {}", world.directory.entries().len());
        let client = addr("192.0.2.8:22134");
        world.ask(client);
        assert_eq!(world.lists.first(), Some(&(client, world.directory.entries().len() + 1)), "seed {seed}");
        punched += world.punched.len();
        assert!(world.punched.iter().all(|(_, to)| *to == client), "seed {seed}");

        // Half leave properly, the others vanish.
        let now = world.now;
        for (n, (_, registrar)) in world.servers.iter_mut().enumerate() {
            if n % 2 == 0 {
                registrar.command(now, RegistrarCommand::Stop);
            }
        }
        world.run_for(S);
        assert!(world.directory.entries().len() < 25, "seed {seed}");
        world.servers.clear();
        world.run_for(MIN * 35);
        assert_eq!(world.directory.entries().len(), 0, "seed {seed}");
        assert_eq!(
            world.directory.poll_timeout(),
            None,
            "seed {seed}: nothing to do, nothing to wake up for"
        );
    }
    // Request to the server and empty message from it: 0.8 times 0.8 of 600 in the mean.
    assert!((340..=600).contains(&punched), "most servers opened their NAT: {punched}");
}

#[test]
fn a_forged_answer_or_order_reaches_nobody() {
    let mut world = World::new(1, 1);
    world.servers[0].1.command(world.now, RegistrarCommand::Start);
    world.run_for(MIN);
    let (server, victim, attacker) = (world.servers[0].0, addr("192.0.2.200:7"), addr("192.0.2.66:22124"));
    let punch = Connectionless::SendEmpty(v4("192.0.2.200:7")).frame(&mut FrameWriter::new());
    for _ in 0..50 {
        world.net.send(world.now, attacker, server, punch.clone());
    }
    world.run_for(MIN);
    assert!(world.punched.iter().all(|(_, to)| *to != victim));
    assert!(world.servers[0].1.stats().messages_from_strangers > 30);
}
