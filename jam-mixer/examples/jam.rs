//! A jam server in ten lines. Try it: `cargo run --release -p jam-mixer --features tokio --example jam`, then connect
//! a Jamulus client to 127.0.0.1.
use jam_mixer::{JamConfig, tokio::JamServer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = JamConfig::builder().channels_max(20).welcome("Have fun").build()?;
    let server = JamServer::bind("[::]:22124", config).await?;
    println!("jam on {:?}", server.local_addrs());
    server.run_until(tokio::signal::ctrl_c()).await?;
    Ok(())
}
