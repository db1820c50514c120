//! Where a directory says it is: its SRV record `_jamulus._udp` (spec 10.3).
//!
//! The system's resolver answers addresses only, so this asks the name servers of `/etc/resolv.conf` itself, over UDP and
//! within [`LIMIT`]. Whatever goes wrong counts as "there is no record", and the name is looked up as an address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, TYPE};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// The time all name servers together have to answer (spec 10.3).
const LIMIT: Duration = Duration::from_millis(500);
/// So many name servers are asked, as the system's resolver does.
const SERVERS_MAX: usize = 3;
/// An answer that does not fit into this is cut by its sender, and then there is more than one record anyway.
const ANSWER_BYTES_MAX: usize = 1232;

/// What the record of a host says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Service {
    /// There is not exactly one record, or nobody answered.
    Unknown,
    /// Here.
    At { host: String, port: u16 },
    /// The host offers no such service.
    Unavailable,
}

/// Asks for the record of a host name. Addresses have none.
pub(super) async fn look_up(host: &str) -> Service {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Service::Unknown;
    }
    // Unreadable or not there: no name servers.
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    ask_all(&name_servers(&text), host).await
}

/// The name servers that the system's configuration lists.
fn name_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines().map(str::split_whitespace);
    let addresses = lines.filter_map(|mut words| match (words.next(), words.next()) {
        (Some("nameserver"), Some(address)) => address.parse::<IpAddr>().ok(),
        _ => None,
    });
    addresses.take(SERVERS_MAX).map(|ip| (ip, 53).into()).collect()
}

/// Asks one name server after the other, each with its share of the time that is left.
async fn ask_all(servers: &[SocketAddr], host: &str) -> Service {
    let end = Instant::now() + LIMIT;
    for (place, &server) in servers.iter().enumerate() {
        let left = end.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(servers.len() - place).unwrap_or(1);
        // The number and the port of the question are what a forger would have to guess.
        let id = super::random_seed() as u16;
        if let Ok(Ok(Some(service))) = timeout_at(Instant::now() + share, ask(server, host, id)).await {
            return service;
        }
    }
    Service::Unknown
}

/// Asks a name server; `None` if the question or the answer makes no sense.
async fn ask(server: SocketAddr, host: &str, id: u16) -> io::Result<Option<Service>> {
    let Some(question) = question(host, id) else { return Ok(None) };
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut buffer = [0; ANSWER_BYTES_MAX];
    loop {
        let len = socket.recv(&mut buffer).await?;
        if let Some(service) = read(buffer.get(..len).unwrap_or_default(), id) {
            return Ok(Some(service));
        }
    }
}

fn question(host: &str, id: u16) -> Option<Vec<u8>> {
    let name = format!("_jamulus._udp.{}", host.trim_end_matches('.'));
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(&name).ok()?, TYPE::SRV.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// What an answer says; `None` if it is no answer to this question.
fn read(answer: &[u8], id: u16) -> Option<Service> {
    let packet = Packet::parse(answer).ok()?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut records = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::SRV(record) => Some(record),
        _ => None,
    });
    let (Some(record), None) = (records.next(), records.next()) else { return Some(Service::Unknown) };
    let host = record.target.to_string();
    Some(match host.trim_end_matches('.') {
        "" => Service::Unavailable,
        host => Service::At { host: host.to_owned(), port: record.port },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    /// A name server's answer with these targets and ports.
    fn answer(question: &[u8], records: &[(&'static str, u16)]) -> Vec<u8> {
        let mut packet = Packet::parse(question).unwrap().into_reply();
        for &(target, port) in records {
            let target =
                if target.is_empty() { Name::new_with_labels(&[]) } else { Name::new(target).unwrap() };
            let record = SRV { priority: 1, weight: 1, port, target };
            let name = Name::new("_jamulus._udp.jam.example").unwrap();
            packet.answers.push(ResourceRecord::new(name, CLASS::IN, 60, RData::SRV(record)));
        }
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn exactly_one_record_counts_and_a_dot_means_no() {
        let question = question("jam.example", 7).unwrap();
        let at = |host: &str, port| Service::At { host: host.to_owned(), port };
        for (records, wanted) in [
            (&[("one.jam.example", 22_124)][..], at("one.jam.example", 22_124)),
            (&[("one.jam.example", 1), ("two.jam.example", 2)], Service::Unknown),
            (&[], Service::Unknown),
            (&[("", 0)], Service::Unavailable),
        ] {
            assert_eq!(read(&answer(&question, records), 7), Some(wanted));
        }
        assert_eq!(read(&answer(&question, &[]), 8), None, "the answer to another question");
        assert_eq!(read(&question, 7), None, "a question is no answer");
        for len in 0..question.len() {
            assert_eq!(read(&question[..len], 7), None);
        }
    }

    #[test]
    fn broken_answers_do_no_harm() {
        let whole =
            answer(&question("jam.example", 7).unwrap(), &[("one.jam.example", 1), ("two.jam.example", 2)]);
        for at in 0..whole.len() {
            for value in [0, 1, 0x3f, 0x40, 0x7f, 0xc0, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                let from_us = read(&broken, 7).is_some();
                assert!(!from_us || broken[..2] == [0, 7], "byte {at} = {value}");
                assert!(!matches!(read(&broken[..at], 7), Some(Service::At { .. })), "cut at {at}");
            }
        }
    }

    #[test]
    fn the_systems_name_servers_are_read() {
        let text = "# a comment\nsearch example\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
                    nameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let wanted = ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        assert_eq!(name_servers(text), wanted);
    }

    #[tokio::test]
    async fn the_second_name_server_answers_when_the_first_is_silent() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
        let serve = async {
            let mut buffer = [0; 512];
            let (len, asker) = server.recv_from(&mut buffer).await.unwrap();
            // A guess of somebody else comes first.
            let mut forged = answer(&buffer[..len], &[("evil.example", 1)]);
            forged[0] ^= 1;
            server.send_to(&forged, asker).await.unwrap();
            let answer = answer(&buffer[..len], &[("one.jam.example", 22_130)]);
            server.send_to(&answer, asker).await.unwrap();
        };
        let (service, ()) = tokio::join!(ask_all(&servers, "jam.example"), serve);
        assert_eq!(service, Service::At { host: "one.jam.example".to_owned(), port: 22_130 });
    }

    #[tokio::test]
    async fn addresses_and_impossible_names_are_not_asked_for() {
        assert_eq!(look_up("192.0.2.1").await, Service::Unknown);
        assert_eq!(look_up("[::1]").await, Service::Unknown);
        assert_eq!(question(&"x".repeat(64), 1), None);
    }
}
