//! A peer that joins like any musician and then behaves badly.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Instant;

use jam_proto::client::{Client, ClientCommand, ClientConfig, ClientOutput};
use jam_proto::message::{ChannelInfo, Message, Name};
use jam_proto::wire::{Frame, FrameWriter};
use jam_proto::{AudioProps, Input};

/// Whether a member answers the server as it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manners {
    /// Acknowledges what it gets.
    Polite,
    /// Everything twice, as if the network did it.
    Twice,
    /// Joins, and from then on never acknowledges anything.
    Deaf,
}

/// One bad member: a client with its own socket, and messages that go past the client's good manners.
#[derive(Debug)]
pub(super) struct Member {
    socket: UdpSocket,
    server: SocketAddr,
    config: ClientConfig,
    client: Client,
    manners: Manners,
    leaving: bool,
    writer: FrameWriter,
    counter: u8,
    pub(super) datagrams_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) datagrams_back: u64,
    pub(super) bytes_back: u64,
    /// The audio datagrams sent last, to be replayed.
    pub(super) sent_before: Vec<Vec<u8>>,
}

impl Member {
    pub(super) fn new(
        server: SocketAddrV4,
        from: Ipv4Addr,
        props: AudioProps,
        manners: Manners,
        now: Instant,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let mut config = ClientConfig::new(props);
        config.info = ChannelInfo { name: Name::cut("hostile"), ..ChannelInfo::default() };
        let client = Client::new(config.clone(), server.into(), now);
        Ok(Self {
            socket,
            server: server.into(),
            config,
            client,
            manners,
            leaving: false,
            writer: FrameWriter::new(),
            counter: 100,
            datagrams_sent: 0,
            bytes_sent: 0,
            datagrams_back: 0,
            bytes_back: 0,
            sent_before: Vec::new(),
        })
    }

    pub(super) fn is_joined(&self) -> bool {
        self.client.channel().is_some() && self.client.is_connected()
    }

    /// Does what a client does each period: a block of audio, answers, repetitions. Thrown out, it comes again.
    pub(super) fn play(&mut self, now: Instant) -> io::Result<()> {
        let mut buffer = [0; 65_536];
        // Bounded: a server that talks without end must not hold the attack up.
        for _ in 0..256 {
            let bytes = match self.socket.recv(&mut buffer) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(e) => return Err(e),
            };
            self.datagrams_back += 1;
            self.bytes_back += bytes as u64;
            let deaf = self.manners == Manners::Deaf && self.is_joined();
            if !deaf || Frame::parse(&buffer[..bytes]).is_none() {
                let _ = self
                    .client
                    .handle_input(now, Input::Datagram { src: self.server, payload: &buffer[..bytes] });
            }
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            let _ = self.client.handle_input(now, Input::Timeout);
        }
        let mut out: Vec<Vec<u8>> = Vec::new();
        if let Some(audio) = self.client.send_block(&[]) {
            out.push(audio.to_vec());
            self.sent_before.push(audio.to_vec());
            if self.sent_before.len() > 512 {
                self.sent_before.remove(0);
            }
        }
        while let Some(output) = self.client.poll_output() {
            if let ClientOutput::Transmit(transmit) = output {
                out.push(transmit.payload.to_vec());
            }
        }
        for datagram in &out {
            self.send(datagram)?;
            if self.manners == Manners::Twice {
                self.send(datagram)?;
            }
        }
        if self.client.has_left() && !self.leaving {
            self.client = Client::new(self.config.clone(), self.server, now);
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self, now: Instant) {
        // Who was thrown out has nothing to say.
        let _ = self.client.command(now, ClientCommand::Leave);
        self.leaving = true;
    }

    /// Sends a message at once, whatever waits for its acknowledgement.
    pub(super) fn shout(&mut self, message: &Message) -> io::Result<()> {
        self.counter = self.counter.wrapping_add(1);
        let datagram = message.frame(self.counter, &mut self.writer);
        self.send(&datagram)
    }

    pub(super) fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        match self.socket.send(payload) {
            Ok(bytes) => {
                self.datagrams_sent += 1;
                self.bytes_sent += bytes as u64;
                Ok(())
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) => {
                Ok(())
            }
            Err(e) => Err(e),
        }
    }
}
