//! Counters as Prometheus text.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use edge_cluster::config::ExporterConfig;
use edge_cluster::edge::{ClientKind, Snapshot};

use crate::app::{App, figures};

pub(super) async fn answer(State(app): State<Arc<App>>) -> Response {
    let text = text(&app, &app.snapshot().await);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn text(app: &App, snapshot: &Snapshot) -> String {
    let config = app.config();
    let mut page = Page::new(&config.exporter);
    let (process, totals) = (app.machine.process(), &snapshot.totals);
    let identity = &app.identity;
    page.metric("srs_build_info", "gauge", "Always 1; the labels say which server this is.");
    page.sample(
        "srs_build_info",
        &[
            ("server", &identity.server),
            ("service", &identity.service),
            ("version", env!("CARGO_PKG_VERSION")),
        ],
        1,
    );
    page.single(
        "srs_cpu_percent",
        "gauge",
        "Share of all processors that the process uses, in percent.",
        process.cpu_percent * 100.0,
    );
    page.single("srs_memory", "gauge", "Resident memory of the process, in kilobytes.", process.mem_kbyte);
    page.single("srs_uptime_seconds", "gauge", "Time since start.", process.srs_uptime);
    let edge = figures(snapshot);
    page.single("srs_send_bytes_total", "counter", "Bytes sent.", edge.sent_bytes);
    page.single("srs_receive_bytes_total", "counter", "Bytes received.", edge.received_bytes);
    page.single("srs_streams", "gauge", "Streams.", totals.streams);
    page.single(
        "srs_connections",
        "gauge",
        "Open connections, those to upstream servers included.",
        edge.connections,
    );
    page.single("srs_clients_total", "counter", "Clients accepted.", totals.accepted);
    page.single("srs_clients_errs_total", "counter", "Clients refused.", totals.refused);
    page.single(
        "srs_upstream_attempts_total",
        "counter",
        "Connections to upstream servers begun.",
        totals.upstream_attempts,
    );
    page.single(
        "srs_viewer_resyncs_total",
        "counter",
        "Viewers that were too slow and went on at a later key frame.",
        totals.resyncs,
    );
    page.single("srs_media_bytes", "gauge", "Bytes of media held.", totals.memory_bytes);
    page.single("srs_media_bytes_max", "gauge", "Bytes of media that may be held.", totals.media_bytes_max);
    page.single(
        "srs_media_sheds_total",
        "counter",
        "How often media was let go because too much was held.",
        totals.media_sheds,
    );
    page.single(
        "srs_media_shed_bytes_total",
        "counter",
        "Bytes of media let go because too much was held.",
        totals.media_shed_bytes,
    );
    // SRS has one number here; dashboards that were made for it show a series for each label.
    page.single("srs_clients", "gauge", "Clients.", snapshot.clients.len());
    page.metric("srs_clients_by_type", "gauge", "Clients, by what they do.");
    for kind in [
        ClientKind::RtmpPlay,
        ClientKind::FlvPlay,
        ClientKind::FmlePublish,
        ClientKind::HaivisionPublish,
        ClientKind::FlashPublish,
    ] {
        let count = snapshot.clients.iter().filter(|client| client.info.kind == kind).count();
        page.sample("srs_clients_by_type", &[("type", kind.as_str())], count);
    }
    page.metric("srs_vhost_streams", "gauge", "Streams with a source, by vhost.");
    for vhost in &snapshot.vhosts {
        page.sample("srs_vhost_streams", &[("vhost", &vhost.name)], vhost.streams);
    }
    page.text
}

/// The text, line by line.
struct Page {
    text: String,
    /// Labels of every sample, from the configuration.
    labels: Vec<(&'static str, String)>,
}

impl Page {
    fn new(config: &ExporterConfig) -> Self {
        let labels = [("label", &config.label), ("tag", &config.tag)];
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        Self { text: String::new(), labels: labels.map(|(name, value)| (name, value.clone())).collect() }
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        let configured = self.labels.iter().map(|(name, value)| (*name, value.as_str()));
        let mut separator = '{';
        for (label, value) in labels.iter().copied().chain(configured) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{separator}{label}=\"{value}\"");
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }
}
