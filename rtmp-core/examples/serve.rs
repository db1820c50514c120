//! Serves an FLV file to every player that asks, out of shared segments.
//!
//! Try: `cargo run -p rtmp-core --example serve -- 127.0.0.1:1935 show.flv`, then
//! `ffplay rtmp://127.0.0.1/live/show`.

use std::error::Error;
use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use rtmp_core::segment::{Cursor, Framing, Outgoing, Ring, SegmentWriter};
use rtmp_core::{ConnectionConfig, Progress, ServerConnection, ServerEvent, flv};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (address, path) = args.next().zip(args.next()).ok_or("usage: serve ADDRESS FILE")?;
    let config = Arc::new(ConnectionConfig::default());
    let mut writer = SegmentWriter::new(Framing::Chunks { size: config.chunk_size });
    let (mut ring, mut reader) = (Ring::default(), flv::Reader::new(8 << 20));
    let mut file = BytesMut::from(&std::fs::read(path)?[..]);
    while let Some(media) = reader.read(&mut file)? {
        writer.push(&media).map(|segment| ring.push(Arc::new(segment)));
    }
    writer.finish().map(|segment| ring.push(Arc::new(segment)));
    let ring = Arc::new(ring);
    for (number, socket) in TcpListener::bind(address)?.incoming().enumerate() {
        let (socket, config, ring) = (socket?, Arc::clone(&config), Arc::clone(&ring));
        std::thread::spawn(move || println!("player {number}: {:?}", serve(socket, config, number, &ring)));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
fn serve(
    mut socket: TcpStream,
    config: Arc<ConnectionConfig>,
    seed: usize,
    ring: &Ring,
) -> Result<(), Box<dyn Error>> {
    let mut server = ServerConnection::new(config, seed as u64, Instant::now());
    let (mut input, mut scratch) = (BytesMut::new(), [0; 4096]);
    while server.msid().is_none() {
        match socket.read(&mut scratch)? {
            0 => return Ok(()),
            length => input.extend_from_slice(&scratch[..length]),
        }
        while server.handle_input(Instant::now(), &mut input)? != Progress::NeedBytes {
            while let Some(event) = server.poll_event() {
                match event {
                    ServerEvent::ConnectRequested { request, .. }
                    | ServerEvent::PlayRequested { request, .. } => server.accept(Instant::now(), request)?,
                    ServerEvent::PublishRequested { .. } => return Ok(()),
                    _ => {}
                }
            }
        }
        socket.write_all(&server.outgoing().split())?;
    }
    let mut cursor = Cursor::new(server.msid().unwrap_or(1), ring.front(), 0);
    let mut outgoing = Outgoing::new(server.outgoing(), &mut cursor, ring);
    while outgoing.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = outgoing.chunks_vectored(&mut slices);
        let written = socket.write_vectored(&slices[..count])?;
        outgoing.advance(written);
    }
    // Closing while acknowledgements wait unread would reset the connection and lose what is under way.
    socket.shutdown(Shutdown::Write)?;
    while socket.read(&mut scratch)? > 0 {}
    Ok(())
}
