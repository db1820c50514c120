//! A running server, and musicians who play there.
#![allow(dead_code, reason = "each test program uses a part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use jam_proto::audio::Quality;
use jam_proto::client::{Client, ClientConfig, ClientEvent, ClientOutput};
use jam_proto::message::{ChannelInfo, Name};
use jam_proto::{BlockCodec, Input, Layout};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes longer on a machine that is merely busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jamserver"));
    command.env_clear().env("TZ", "UTC0").stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running server on a free port.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) stderr: BufReader<ChildStderr>,
    pub(crate) said: Vec<String>,
    pub(crate) addr: SocketAddr,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    pub(crate) fn start_with(args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_as(program(), args, variables)
    }

    /// Starts it by a shell that has set limits.
    pub(crate) fn start_limited(limits: &str, args: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        shell.env_clear().env("TZ", "UTC0").stdin(Stdio::null());
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_jamserver")]);
        Self::start_as(shell, args, &[])
    }

    fn start_as(mut command: Command, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["demo"].iter().filter(|_| args.first() == Some(&"demo")))
            .args(["-p", "0"].iter().filter(|_| !args.contains(&"-p")))
            .args(["--serverbindip", "127.0.0.1", "-4", "--realtime", "off"])
            .args(args.iter().filter(|arg| **arg != "demo"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, stderr, said: Vec::new(), addr: ([127, 0, 0, 1], 0).into() };
        let line = server.wait_for_line("- listening on ");
        server.addr = line.trim_start_matches("- listening on ").split(' ').next().unwrap().parse().unwrap();
        server
    }

    /// Reads diagnostics until a line holds this text.
    pub(crate) fn wait_for_line(&mut self, wanted: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "no {wanted:?} in {:#?}", self.said);
            self.said.push(line.trim_end().to_owned());
            if line.contains(wanted) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Stops it and returns its exit status, what it logged and what else it said.
    pub(crate) fn stop(self, signal: Signal) -> (ExitStatus, String, Vec<String>) {
        self.signal(signal);
        self.finish()
    }

    /// Waits for the end of a server that was told to stop.
    pub(crate) fn finish(mut self) -> (ExitStatus, String, Vec<String>) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        self.said.extend(rest.lines().map(str::to_owned));
        let mut log = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log, self.said)
    }
}

/// A musician who plays coded silence in real time.
pub(crate) struct Musician {
    pub(crate) client: Client,
    pub(crate) socket: UdpSocket,
    pub(crate) events: Vec<ClientEvent>,
}

impl Musician {
    pub(crate) fn new(name: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let mut config = ClientConfig::new(Quality::Normal.props(BlockCodec::Opus, Layout::Stereo));
        config.info = ChannelInfo { name: Name::cut(name), ..ChannelInfo::default() };
        Self { client: Client::new(config, server, Instant::now()), socket, events: Vec::new() }
    }

    /// Sends a block, and takes what comes within a moment.
    pub(crate) fn play_once(&mut self) {
        // What a stereo encoder makes of silence.
        let mut silence = [0; 71];
        silence[..3].copy_from_slice(&[0x04, 0xFF, 0xFE]);
        let mut buffer = [0; 20_000];
        if let Some(datagram) = self.client.send_block(&silence) {
            let _ = self.socket.send(datagram);
        }
        let input = match self.socket.recv(&mut buffer) {
            Ok(len) => Input::Datagram { src: self.client.server(), payload: &buffer[..len] },
            Err(_) => Input::Timeout,
        };
        let _ = self.client.handle_input(Instant::now(), input);
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Transmit(transmit) => drop(self.socket.send(&transmit.payload)),
                ClientOutput::Event(event) => self.events.push(event),
                _ => {}
            }
        }
    }

    /// Plays until an event is of the wanted kind, takes it out, and returns what `wanted` makes of it.
    pub(crate) fn play_until<T>(&mut self, wanted: impl Fn(&ClientEvent) -> Option<T>) -> T {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            self.play_once();
            let found = self.events.iter().enumerate().find_map(|(at, event)| Some((at, wanted(event)?)));
            if let Some((at, found)) = found {
                self.events.remove(at);
                return found;
            }
        }
        panic!("it did not happen; what happened: {:#?}", self.events);
    }

    pub(crate) fn names(event: &ClientEvent) -> Option<Vec<String>> {
        match event {
            ClientEvent::ClientList(list)
                if list.iter().all(|e| !e.info.name.is_empty()) && !list.is_empty() =>
            {
                Some(list.iter().map(|e| e.info.name.to_string()).collect())
            }
            _ => None,
        }
    }
}

pub(crate) fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("jamserver-test-{}-{name}", std::process::id()))
}
