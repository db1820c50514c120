//! Lines with statistics, now and then (`pithy_print_ms`, spec 14.1): one client of each kind at a time, in turn, so that
//! thousands of clients do not fill the disk.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use edge_cluster::ConnId;
use edge_cluster::config::{EdgeConfig, VhostConfig};
use edge_cluster::edge::{ClientSnapshot, OutletSnapshot, Snapshot, SourceSnapshot, Traffic, UpstreamKind};

use crate::app::App;
use crate::clock;

/// Shortest interval; 0 would be a busy loop.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest average.
const FIVE_MINUTES: Duration = Duration::from_secs(300);
/// How far apart samples of a connection are.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);

/// How often lines are written.
pub(super) fn interval(config: &EdgeConfig) -> Duration {
    config.pithy_print.max(INTERVAL_MIN)
}

/// Remembers what the averages need, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    samples: BTreeMap<ConnId, VecDeque<(Instant, Traffic)>>,
    turn: usize,
}

impl Statistics {
    /// Writes a line about one viewer, one publisher, one pull, one push and one forward.
    pub(super) async fn print(&mut self, app: &App) {
        let snapshot = app.snapshot().await;
        let now = clock::now();
        self.sample(&snapshot, now);
        self.turn = self.turn.wrapping_add(1);
        let config = app.config();
        for publish in [false, true] {
            let clients: Vec<&ClientSnapshot> =
                snapshot.clients.iter().filter(|client| client.info.kind.is_publish() == publish).collect();
            if let Some(client) = clients.get(self.turn % clients.len().max(1)) {
                let vhost = config.vhosts.iter().find(|vhost| *vhost.name == *client.info.key.vhost);
                app.log.info(&client.info.client_id, &self.line(client, vhost, now));
            }
        }
        let is_pull = |source: &SourceSnapshot| matches!(source, SourceSnapshot::Origin { .. });
        let pulls: Vec<_> = snapshot.streams.iter().filter(|stream| is_pull(&stream.source)).collect();
        if let Some(stream) = pulls.get(self.turn % pulls.len().max(1))
            && let SourceSnapshot::Origin { origin } = &stream.source
        {
            let time = stream.live.unwrap_or_default().as_millis();
            let (kbps, key) = (stream.traffic.received_kbps_30s, &stream.key);
            let line = format!(
                "<- EIG time={time}, msgs={}, ikbps={kbps}, origin={origin}, url={key}",
                stream.frames
            );
            app.log.info(app.log.cid(), &line);
        }
        for (kind, word) in [(UpstreamKind::Push, "EPB"), (UpstreamKind::Forward, "FWR")] {
            let outlets: Vec<_> = snapshot.outlets.iter().filter(|outlet| outlet.kind == kind).collect();
            if let Some(outlet) = outlets.get(self.turn % outlets.len().max(1)) {
                let OutletSnapshot { conn, waiting, target, key, alive, traffic, .. } = outlet;
                let (okbps, ikbps) = self.rates(*conn, *traffic, *alive, now);
                let line = format!(
                    "<- {word} time={}, msgs={waiting}, okbps={okbps}, ikbps={ikbps}, to={target}, url={key}",
                    alive.as_millis()
                );
                app.log.info(&conn.to_string(), &line);
            }
        }
    }

    fn line(&self, client: &ClientSnapshot, vhost: Option<&VhostConfig>, now: Instant) -> String {
        let time = client.alive.as_millis();
        let (okbps, ikbps) = self.rates(client.info.conn, client.traffic, client.alive, now);
        if client.info.kind.is_publish() {
            let [mr, latency, first, silence] = vhost.map_or([0; 4], |vhost| {
                let publish = &vhost.publish;
                let millis = |time: Duration| time.as_millis();
                let waits =
                    [publish.mr_latency, publish.first_message_timeout, publish.silence_timeout].map(millis);
                [u128::from(publish.mr), waits[0], waits[1], waits[2]]
            });
            format!(
                "<- CPB time={time}, okbps={okbps}, ikbps={ikbps}, mr={mr}/{latency}, p1stpt={first}, pnt={silence}"
            )
        } else {
            let (latency, messages) =
                vhost.map_or((0, 0), |vhost| (vhost.play.mw_latency.as_millis(), vhost.play.mw_messages));
            let waiting = client.waiting;
            format!(
                "-> PLA time={time}, msgs={waiting}, okbps={okbps}, ikbps={ikbps}, mw={latency}/{messages}"
            )
        }
    }

    /// Rates out and in of a connection: over its whole life, 30 seconds and 5 minutes.
    fn rates(&self, conn: ConnId, traffic: Traffic, alive: Duration, now: Instant) -> (String, String) {
        let oldest = self.samples.get(&conn).and_then(VecDeque::front);
        // Younger connections have the average of their life.
        let (then, before) = match oldest {
            Some((at, traffic)) if alive > FIVE_MINUTES => (now.saturating_duration_since(*at), *traffic),
            _ => (alive, Traffic::default()),
        };
        let all = |bytes: u64, last: u32, before: u64| {
            format!("{},{last},{}", kbps(bytes, alive), kbps(bytes.saturating_sub(before), then))
        };
        (
            all(traffic.sent_bytes, traffic.sent_kbps_30s, before.sent_bytes),
            all(traffic.received_bytes, traffic.received_kbps_30s, before.received_bytes),
        )
    }

    fn sample(&mut self, snapshot: &Snapshot, now: Instant) {
        let mut kept = BTreeMap::new();
        let clients = snapshot.clients.iter().map(|client| (client.info.conn, client.traffic));
        let outlets = snapshot.outlets.iter().map(|outlet| (outlet.conn, outlet.traffic));
        for (conn, traffic) in clients.chain(outlets) {
            let mut samples = self.samples.remove(&conn).unwrap_or_default();
            let age = |at: Instant| now.saturating_duration_since(at);
            if samples.back().is_none_or(|(at, _)| age(*at) >= SAMPLE_INTERVAL) {
                samples.push_back((now, traffic));
            }
            // The front stays the youngest one that is old enough.
            while samples.get(1).is_some_and(|(at, _)| age(*at) >= FIVE_MINUTES) {
                samples.pop_front();
            }
            kept.insert(conn, samples);
        }
        self.samples = kept;
    }
}

fn kbps(bytes: u64, time: Duration) -> u64 {
    // Bits per millisecond.
    bytes.saturating_mul(8) / u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
