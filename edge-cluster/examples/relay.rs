//! A relay in ten lines: it pulls from the origin what viewers ask for, and sends there what publishers bring.
//!
//! ```text
//! cargo run --release -p edge-cluster --features tokio --example relay -- [listen] [origin]
//! cargo run --release -p edge-cluster --features tokio --example relay -- '[::]:1935' origin.example:1935
//! ```
//!
//! Without an origin it relays from publishers to viewers of its own.

use edge_cluster::EdgeConfig;
use edge_cluster::tokio::{Edge, ServeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ServeError> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "[::]:1935".to_owned());
    let config = arguments.fold(EdgeConfig::builder(), |config, origin| config.origin(origin)).build()?;
    let edge = Edge::bind(listen, config).await?;
    println!("relaying on {:?}", edge.local_addrs());
    edge.run_until(tokio::signal::ctrl_c()).await
}
