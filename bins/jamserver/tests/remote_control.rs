//! The remote control: JSON-RPC lines over TCP. What is compared byte for byte was seen on the wire of a real 3.9.1.
#![expect(clippy::disallowed_methods, reason = "a running program lives in real time")]
#![expect(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod support;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use jam_proto::client::{ClientCommand, ClientEvent};
use jam_proto::message::{ChatText, RecorderState};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Musician, PATIENCE, Server, run, temporary, text};

const SECRET: &str = "0123456789abcdef";

/// A program at the remote control.
struct Remote {
    stream: BufReader<TcpStream>,
    /// News that came while an answer was awaited.
    news: VecDeque<Value>,
}

impl Remote {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream), news: VecDeque::new() }
    }

    fn send(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; empty when the server has hung up.
    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            // What was sent to a connection that had ended already.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            read => read.map(|_| line.trim_end().to_owned()).unwrap(),
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.send(&json!({ "id": 1, "method": method, "params": params }).to_string());
        loop {
            let line: Value = serde_json::from_str(&self.line()).unwrap();
            if line.get("method").is_none() {
                return line;
            }
            self.news.push_back(line);
        }
    }

    fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits for news of this kind and returns their parameters.
    fn news(&mut self, method: &str) -> Value {
        loop {
            let waiting = self.news.pop_front();
            let line = waiting.unwrap_or_else(|| serde_json::from_str(&self.line()).unwrap());
            if line["method"] == method {
                return line["params"].clone();
            }
        }
    }
}

/// A server with a remote control.
struct Room {
    server: Server,
    rpc: SocketAddr,
    secret: PathBuf,
}

impl Room {
    fn open(name: &str, args: &[&str]) -> Self {
        let secret = temporary(name);
        std::fs::write(&secret, format!("{SECRET}\nnot this line\n")).unwrap();
        let mut all = vec!["--jsonrpcport", "0", "--jsonrpcsecretfile", secret.to_str().unwrap()];
        all.extend(args);
        let mut server = Server::start(&all);
        let line = server.wait_for_line("- JSON-RPC: Server started on ");
        let rpc: SocketAddr = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(rpc.ip().is_loopback());
        Self { server, rpc, secret }
    }

    fn remote(&self) -> Remote {
        let mut remote = Remote::connect(self.rpc);
        assert_eq!(remote.result("jamulus/apiAuth", json!({ "secret": SECRET })), "ok");
        remote
    }

    fn close(self) {
        let (status, _, said) = self.server.stop(Signal::SIGTERM);
        std::fs::remove_file(&self.secret).unwrap();
        assert!(status.success(), "{said:#?}");
        assert!(!said.join("\n").contains(SECRET), "{said:#?}");
    }
}

#[test]
fn strangers_and_broken_lines_are_answered_as_shipped_servers_do() {
    let room = Room::open("strangers", &[]);
    let mut remote = Remote::connect(room.rpc);
    for (line, wanted) in [
        (
            r#"{"id":1,"jsonrpc":"2.0","method":"jamulus/getMode","params":{}}"#,
            r#"{"error":{"code":401,"message":"Unauthenticated: Please authenticate using jamulus/apiAuth first"},"id":1,"jsonrpc":"2.0"}"#,
        ),
        ("", r#"{"error":{"code":-32700,"message":"Parse error: Blank line received"},"jsonrpc":"2.0"}"#),
        (
            r#"{"id":2,"method":"nope"}"#,
            r#"{"error":{"code":-32602,"message":"Invalid params: The `params` member is not an object"},"id":2,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"{"id":2,"method":"jamulus/apiAuth","params":{}}"#,
            r#"{"error":{"code":-32602,"message":"Invalid params: secret is not a string"},"id":2,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"{"id":2,"method":"jamulus/apiAuth","params":{"secret":"not this line"}}"#,
            r#"{"error":{"code":400,"message":"Authentication failed."},"id":2,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"[{"id":"a","method":"jamulus/apiAuth","params":{"secret":"0123456789abcdef"}},{"id":[1],"method":"jamulus/getMode","params":{}}]"#,
            r#"[{"id":"a","jsonrpc":"2.0","result":"ok"},{"id":[1],"jsonrpc":"2.0","result":{"mode":"server"}}]"#,
        ),
        (
            r#"{"id":2,"method":"nope","params":{}}"#,
            r#"{"error":{"code":-32601,"message":"Method not found"},"id":2,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"{"id":2,"method":"jamulusserver/getRecorderStatus","params":{}}"#,
            r#"{"id":2,"jsonrpc":"2.0","result":{"enabled":false,"errorMessage":"","initialised":false,"recordingDirectory":""}}"#,
        ),
        (
            r#"{"id":2,"method":"jamulusserver/setServerName","params":{"serverName":5}}"#,
            r#"{"error":{"code":-32602,"message":"Invalid params: serverName is not a string"},"id":2,"jsonrpc":"2.0"}"#,
        ),
        (
            r#"{bad"#,
            r#"{"error":{"code":-32700,"message":"Parse error: Invalid JSON received"},"jsonrpc":"2.0"}"#,
        ),
    ] {
        assert_eq!(remote.ask(line), wanted, "{line}");
    }
    assert_eq!(remote.line(), "", "the line that was no JSON ends the connection");
    for (line, wanted) in [
        (
            "[]".to_owned(),
            r#"{"error":{"code":-32600,"message":"Invalid request: Empty batch request encountered"},"jsonrpc":"2.0"}"#,
        ),
        ("[1]".to_owned(), ""),
        (
            "x".repeat(70_000),
            r#"{"error":{"code":-32700,"message":"Parse error: Line too long"},"jsonrpc":"2.0"}"#,
        ),
    ] {
        let mut remote = Remote::connect(room.rpc);
        remote.send(&line);
        assert_eq!(remote.line(), wanted);
    }
    room.close();
}

#[test]
fn guesses_take_time_and_connections_are_counted() {
    let mut room = Room::open("bounds", &[]);
    let mut crowd: Vec<Remote> = (0..16).map(|_| Remote::connect(room.rpc)).collect();
    for remote in &mut crowd {
        assert!(remote.ask("").contains("Blank line"));
    }
    assert_eq!(Remote::connect(room.rpc).line(), "", "there is no room for a seventeenth");
    room.server.wait_for_line("no room for a connection from 127.0.0.1");
    let start = std::time::Instant::now();
    let answer = crowd[0].call("jamulus/apiAuth", json!({ "secret": "0123456789abcdeX" }));
    assert_eq!(answer["error"]["code"], 400);
    assert!(start.elapsed() >= std::time::Duration::from_secs(1));
    // Who leaves makes room; the server needs a moment to notice.
    crowd.clear();
    let welcome = (0..1000).any(|_| {
        let mut remote = Remote::connect(room.rpc);
        remote.send("");
        !remote.line().is_empty()
    });
    assert!(welcome);
    room.close();
}

#[test]
fn the_third_wrong_secret_ends_a_connection_and_the_batch_it_stands_in() {
    let room = Room::open("guesses", &[]);
    let mut remote = Remote::connect(room.rpc);
    let guess = json!({ "id": 1, "method": "jamulus/apiAuth", "params": { "secret": "0123456789abcdeX" } });
    let answers: Vec<Value> =
        serde_json::from_str(&remote.ask(&json!(vec![guess; 900]).to_string())).unwrap();
    assert_eq!(
        answers.iter().map(|answer| answer["error"]["code"].as_i64()).collect::<Vec<_>>(),
        [Some(400); 3]
    );
    assert_eq!(remote.line(), "");
    room.close();
}

#[test]
fn a_program_sees_who_plays_and_talks_to_them() {
    let room = Room::open("talks", &["-o", "Cellar;Köln;de", "-w", "Hello"]);
    let mut remote = room.remote();
    let profile = remote.result("jamulusserver/getServerProfile", json!({}));
    for (key, wanted) in [
        ("name", json!("Cellar")),
        ("city", json!("Köln")),
        ("countryId", json!(82)),
        ("welcomeMessage", json!("Hello")),
        ("registrationStatus", json!("not_registered")),
        ("directory", json!("")),
        ("directoryType", json!("none")),
    ] {
        assert_eq!(profile[key], wanted, "{key}");
    }
    assert_eq!(remote.result("jamulusserver/setServerName", json!({ "serverName": "Attic" })), "ok");
    assert_eq!(remote.result("jamulusserver/setWelcomeMessage", json!({ "welcomeMessage": "Hi" })), "ok");
    let profile = remote.result("jamulusserver/getServerProfile", json!({}));
    assert_eq!((&profile["name"], &profile["welcomeMessage"]), (&json!("Attic"), &json!("Hi")));
    assert_eq!(
        remote.result("jamulusserver/getClients", json!({})),
        json!({ "clients": [], "connections": 0 })
    );

    let mut ann = Musician::new("Ann", room.server.addr);
    let said = |ann: &mut Musician| {
        ann.play_until(|event| match event {
            ClientEvent::Chat(text) => Some(text.to_string()),
            _ => None,
        })
    };
    assert!(said(&mut ann).ends_with(" Hi"));
    ann.play_until(|event| Musician::names(event).map(drop));
    let joined = remote.news("jamulusserver/clientConnected");
    assert_eq!(joined, json!({ "id": 0, "address": "127.0.0.1", "totalChannels": 1 }));
    let list = remote.result("jamulusserver/getClients", json!({}));
    let client = &list["clients"][0];
    assert_eq!((&list["connections"], &client["id"], &client["name"]), (&json!(1), &json!(0), &json!("Ann")));
    assert_eq!((&client["channels"], &client["skillLevelCode"]), (&json!(2), &json!(0)));
    assert!(client["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(client["jitterBufferSize"].as_u64().unwrap() > 0);

    assert_eq!(
        remote.result("jamulusserver/privateChatMessage", json!({ "id": 0, "chatMessage": "psst" })),
        "ok"
    );
    assert_eq!(said(&mut ann), "psst");
    let nobody = remote.call("jamulusserver/privateChatMessage", json!({ "id": 7, "chatMessage": "psst" }));
    assert_eq!(nobody, json!({ "error": "invalid channel ID", "id": 1, "jsonrpc": "2.0" }));
    let empty = remote.call("jamulusserver/privateChatMessage", json!({ "id": 0, "chatMessage": "" }));
    assert_eq!(empty["error"]["code"], -32_602);
    let long = remote.call("jamulusserver/broadcastChatMessage", json!({ "chatMessage": "x".repeat(1801) }));
    assert_eq!(long["error"]["code"], -32_602);

    let mut other = room.remote();
    remote.send(
        r#"{"id":9,"method":"jamulusserver/broadcastChatMessage","params":{"chatMessage":"<b>all</b>"}}"#,
    );
    assert_eq!(said(&mut ann), "<b>all</b>");
    let line = other.news("jamulusserver/chatMessageReceived");
    assert_eq!(line, json!({ "id": -1, "chatMessage": "<b>all</b>" }));
    let now = std::time::Instant::now();
    ann.client.command(now, ClientCommand::Chat(ChatText::cut("hello"))).unwrap();
    assert!(said(&mut ann).contains("hello"));
    let line = other.news("jamulusserver/chatMessageReceived");
    assert!(line["id"] == 0 && line["chatMessage"].as_str().unwrap().contains("hello"), "{line}");
    ann.client.command(now, ClientCommand::Leave).unwrap();
    ann.play_until(|event| matches!(event, ClientEvent::Left(_)).then_some(()));
    assert_eq!(other.news("jamulusserver/clientDisconnected"), json!({ "id": 0 }));
    room.close();
}

#[test]
fn a_program_records() {
    let room = Room::open("records", &["--norecord"]);
    let directory = temporary("rpc-takes");
    let mut remote = room.remote();
    let mut ann = Musician::new("Ann", room.server.addr);
    let mut wait = |wanted: RecorderState| {
        let is = |event: &ClientEvent| {
            matches!(event, ClientEvent::RecorderState(s) if *s == wanted).then_some(())
        };
        ann.play_until(is);
    };
    wait(RecorderState::NotInitialised);
    let acknowledged = json!("acknowledged");
    let nowhere = json!({ "recordingDirectory": "/proc/nope" });
    assert_eq!(remote.result("jamulusserver/setRecordingDirectory", nowhere), acknowledged);
    let status = remote.result("jamulusserver/getRecorderStatus", json!({}));
    assert_eq!((&status["initialised"], &status["recordingDirectory"]), (&json!(false), &json!("")));
    assert!(status["errorMessage"].as_str().unwrap().contains("/proc/nope"), "{status}");

    let there = json!({ "recordingDirectory": directory.to_str().unwrap() });
    assert_eq!(remote.result("jamulusserver/setRecordingDirectory", there), acknowledged);
    let status = remote.result("jamulusserver/getRecorderStatus", json!({}));
    let wanted = json!({
        "enabled": false, "errorMessage": "", "initialised": true, "recordingDirectory": directory.to_str().unwrap(),
    });
    assert_eq!(status, wanted);
    wait(RecorderState::NotEnabled);
    assert_eq!(remote.result("jamulusserver/startRecording", json!({})), acknowledged);
    wait(RecorderState::Recording);
    assert_eq!(remote.result("jamulusserver/getRecorderStatus", json!({}))["enabled"], true);
    let mut server = room.server;
    server.wait_for_line("- recording to ");
    assert_eq!(remote.result("jamulusserver/restartRecording", json!({})), acknowledged);
    server.wait_for_line("- recording finished: 1 files");
    server.wait_for_line("- recording to ");
    assert_eq!(remote.result("jamulusserver/stopRecording", json!({})), acknowledged);
    wait(RecorderState::NotEnabled);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
    std::fs::remove_dir_all(&directory).unwrap();
    Room { server, ..room }.close();
}

#[test]
fn the_server_list_is_chosen_while_running() {
    let directory = Server::start(&["-e", "localhost"]);
    let mut room = Room::open("lists", &["-o", "Cellar;Köln;de"]);
    let mut remote = room.remote();
    let there = json!({ "directoryType": "custom", "directoryAddress": directory.addr.to_string() });
    assert_eq!(remote.result("jamulusserver/setDirectory", there), "ok");
    room.server.wait_for_line("Server Registration Status update: Registered");
    let profile = remote.result("jamulusserver/getServerProfile", json!({}));
    assert_eq!(
        (&profile["registrationStatus"], &profile["directoryType"]),
        (&json!("registered"), &json!("custom"))
    );
    assert_eq!(profile["directoryAddress"], directory.addr.to_string());
    let own = json!({ "directoryType": "custom", "directoryAddress": "localhost" });
    assert_eq!(remote.call("jamulusserver/setDirectory", own)["error"]["code"], -32_603);
    assert_eq!(remote.result("jamulusserver/setDirectory", json!({ "directoryType": "none" })), "ok");
    room.server.wait_for_line("Server Registration Status update: Not registered");
    room.close();
    let (_, _, said) = directory.stop(Signal::SIGTERM);
    assert!(
        said.iter().any(|line| line.starts_with("Requested to register entry for 127.0.0.1:")),
        "{said:#?}"
    );
}

#[test]
fn a_secret_must_be_there_and_long_enough() {
    let secret = temporary("short");
    std::fs::write(&secret, "0123456789abcde\n0123456789abcdef\n").unwrap();
    let name = secret.to_str().unwrap();
    for (args, wanted) in [
        (vec!["--jsonrpcport", "0"], "jamserver: --jsonrpcport: needs --jsonrpcsecretfile".to_owned()),
        (
            vec!["--jsonrpcsecretfile", name],
            "jamserver: --jsonrpcsecretfile: has no use without --jsonrpcport".to_owned(),
        ),
        (
            vec!["--jsonrpcport", "0", "--jsonrpcsecretfile", name],
            format!("jamserver: --jsonrpcsecretfile: the first line of {name} has less than 16 characters"),
        ),
    ] {
        let output = run(&args);
        assert_eq!((output.status.code(), text(&output.stderr).trim_end()), (Some(2), wanted.as_str()));
    }
    std::fs::remove_file(&secret).unwrap();
}
