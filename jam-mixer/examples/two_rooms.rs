//! Two jams in one process. Try it: `cargo run --release -p jam-mixer --features tokio --example two_rooms`, then
//! connect Jamulus clients to 127.0.0.1:22124 and 127.0.0.1:22125; the rooms do not hear each other.
use jam_mixer::{JamConfig, tokio::JamServer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hall = JamConfig::builder().channels_max(150).welcome("The hall: everybody").build()?;
    let studio = JamConfig::builder().channels_max(4).welcome("The studio: four people").build()?;
    // Each room has its own audio thread; one async thread serves the control side of both.
    let hall = JamServer::bind("[::]:22124", hall).await?;
    let studio = JamServer::bind("[::]:22125", studio).await?;
    println!("hall {:?}, studio {:?}", hall.local_addrs(), studio.local_addrs());
    let (hall, studio) =
        tokio::join!(hall.run_until(tokio::signal::ctrl_c()), studio.run_until(tokio::signal::ctrl_c()));
    hall?;
    studio?;
    Ok(())
}
