//! Records a stream through an edge of its own, to an FLV file or to standard output: one pull, which goes on at the next
//! origin when one fails, in one file whose times go on.
//!
//! ```text
//! cargo run --release -p edge-cluster --features tokio --example keep -- FILE APP/STREAM ORIGIN...
//! cargo run --release -p edge-cluster --features tokio --example keep -- show.flv live/show 10.0.0.1:1935 10.0.0.2:1935
//! cargo run --release -p edge-cluster --features tokio --example keep -- - live/show localhost:1936 | ffplay -
//! ```
//!
//! It ends with Ctrl-C, or when the stream has not come within a minute. Once it was there, a stream that ends is waited
//! for: the recording goes on with the next one of its name.

use std::error::Error;

use edge_cluster::EdgeConfig;
use edge_cluster::edge::FlvRequest;
use edge_cluster::tokio::{Edge, EdgeHandle};
use tokio::io::{AsyncWrite, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (file, stream) =
        arguments.next().zip(arguments.next()).ok_or("usage: keep FILE APP/STREAM ORIGIN...")?;
    let config = EdgeConfig::builder().vhost("http_remux { enabled on; }");
    let origins: Vec<String> = arguments.collect();
    let config = origins.iter().fold(config, |config, origin| config.origin(origin.as_str())).build()?;
    // Origins look for their vhost under this name.
    let host = origins.into_iter().next().ok_or("no origin")?;
    let out: Box<dyn AsyncWrite + Unpin> = match file.as_str() {
        "-" => Box::new(tokio::io::stdout()),
        file => Box::new(tokio::fs::File::create(file).await?),
    };
    // Viewers could connect, too; here nobody knows the port.
    let edge = Edge::bind("127.0.0.1:0", config).await?;
    let handle = edge.handle();
    let mut result = Ok(());
    edge.run_until(async {
        tokio::select! {
            ended = record(&handle, host, &stream, out) => result = ended,
            _ = tokio::signal::ctrl_c() => {}
        }
    })
    .await?;
    result
}

async fn record(
    edge: &EdgeHandle,
    host: String,
    stream: &str,
    mut out: impl AsyncWrite + Unpin,
) -> Result<(), Box<dyn Error>> {
    let request = FlvRequest {
        peer: ([127, 0, 0, 1], 0).into(),
        host,
        path: format!("/{stream}.flv"),
        query: String::new(),
        page_url: String::new(),
    };
    let mut body = edge.open_flv(request).await?;
    while let Some(bytes) = body.next().await {
        out.write_all(&bytes).await?;
    }
    Ok(out.flush().await?)
}
