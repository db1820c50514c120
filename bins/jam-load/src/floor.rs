//! What the least possible server would cost on this machine.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jam_mixer::codec::{Codec, Decode, Encode, JamCodec, StreamSpec};
use jam_proto::AudioProps;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};

use crate::clock::Nanos;
use crate::priority;
use crate::signal::Loop;

/// A server without protocol, jitter buffers and mixes, beside a run and in the same rhythm: per block it wakes up,
/// reads one datagram of each musician from one socket, decodes it, encodes one block for all and sends it to each.
///
/// What a server with one mix for everybody costs above this is its own; what is in it belongs to the kernel and the
/// codec (the same codec that `jamserver` has).
pub(crate) struct Floor {
    stop: Arc<AtomicBool>,
    server: JoinHandle<io::Result<f64>>,
    musicians: JoinHandle<io::Result<()>>,
}

impl Floor {
    /// Starts its server and its musicians on threads of their own.
    pub(crate) fn start(props: AudioProps, musicians: usize, realtime: bool) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        server.set_nonblocking(true)?;
        let sockets = (0..musicians).map(|_| musician(&server)).collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(address).collect::<io::Result<Vec<_>>>()?;
        // Half a block apart: when the server wakes up, everything is there.
        let every = block_time(&props);
        let begin = Nanos::now().plus(every);
        let (serving, playing) = (Arc::clone(&stop), Arc::clone(&stop));
        let server = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
            if realtime {
                // The musicians of the run report a refusal.
                let _ = priority::raise();
            }
            serve(&props, &server, &addresses, begin.plus(every / 2), &serving)
        })?;
        let musicians = std::thread::Builder::new()
            .name("floor-music".to_owned())
            .spawn(move || play(&props, &sockets, begin, &playing))?;
        Ok(Self { stop, server, musicians })
    }

    /// Ends them; processor time of the server per musician and block, in microseconds.
    pub(crate) fn finish(self) -> io::Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let panicked = |_| io::Error::other("the floor panicked");
        self.musicians.join().map_err(panicked)??;
        self.server.join().map_err(panicked)?
    }
}

fn block_time(props: &AudioProps) -> Duration {
    Duration::from_nanos(props.codec.samples() as u64 * 1_000_000_000 / 48_000)
}

fn musician(server: &UdpSocket) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server.local_addr()?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn address(socket: &UdpSocket) -> io::Result<Option<SockaddrIn>> {
    match socket.local_addr()? {
        std::net::SocketAddr::V4(v4) => Ok(Some(v4.into())),
        std::net::SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

fn serve(
    props: &AudioProps,
    socket: &UdpSocket,
    addresses: &[Option<SockaddrIn>],
    begin: Nanos,
    stop: &AtomicBool,
) -> io::Result<f64> {
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let codec = JamCodec::default();
    let mut decoders = addresses
        .iter()
        .map(|_| codec.decoder(spec).map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    let mut encoder = codec.encoder(spec).map_err(io::Error::other)?;
    let mut pcm = vec![0i16; spec.pcm_len()];
    let (mut datagram, mut coded) = ([0; 2_048], vec![0; usize::from(props.block_bytes)]);
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(addresses.len(), None);
    let (every, mut next, mut blocks) = (block_time(props), begin, 0u64);
    let start = Nanos::thread_cpu();
    while !stop.load(Ordering::Relaxed) {
        next.sleep_until();
        next = next.plus(every);
        for decoder in &mut decoders {
            // The address is asked for, as a server must.
            let Ok((len, _)) = socket.recv_from(&mut datagram) else { break };
            decoder.decode(Some(&datagram[..len]), &mut pcm).map_err(io::Error::other)?;
            blocks += 1;
        }
        encoder.encode(&pcm, &mut coded).map_err(io::Error::other)?;
        let pieces = vec![[IoSlice::new(&coded)]; addresses.len()];
        let mut done = 0;
        while done < addresses.len() {
            let (pieces, addresses) = (&pieces[done..], &addresses[done..]);
            let none: [nix::sys::socket::ControlMessage<'_>; 0] = [];
            let sent =
                sendmmsg(socket.as_raw_fd(), &mut headers, pieces, addresses, none, MsgFlags::empty())?
                    .count();
            done += sent.max(1);
        }
    }
    let micros = Nanos::thread_cpu().since(start) as f64 / 1000.0;
    if blocks == 0 {
        return Err(io::Error::other("the floor's datagrams did not arrive"));
    }
    Ok(micros / blocks as f64)
}

/// Everybody reads what came and sends a block, again and again.
fn play(props: &AudioProps, sockets: &[UdpSocket], begin: Nanos, stop: &AtomicBool) -> io::Result<()> {
    let music = Loop::tone(props, 20, 0.3).map_err(io::Error::other)?;
    let (every, mut next, mut round) = (block_time(props), begin, 0);
    let mut datagram = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        next.sleep_until();
        next = next.plus(every);
        for (n, socket) in sockets.iter().enumerate() {
            while socket.recv(&mut datagram).is_ok() {}
            socket.send(music.block(round + 3 * n as u64))?;
        }
        round += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jam_proto::audio::Quality;
    use jam_proto::{BlockCodec, BlockFactor, Layout, Sequence};

    use super::*;

    #[test]
    fn its_server_gets_blocks_and_takes_time_for_them() {
        let (codec, layout) = (BlockCodec::Opus, Layout::Mono);
        let block_bytes = Quality::Normal.block_bytes(codec, layout);
        let props =
            AudioProps { codec, layout, block_bytes, factor: BlockFactor::One, sequence: Sequence::With };
        let floor = Floor::start(props, 3, false).unwrap();
        // A measurement takes its time: some blocks.
        Nanos::now().plus(block_time(&props) * 30).sleep_until();
        let micros = floor.finish().unwrap();
        assert!(micros > 0.5, "{micros}");
    }
}
