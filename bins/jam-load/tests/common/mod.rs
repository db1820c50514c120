//! A server in this process, and the program run against it.

use std::process::{Command, Output};

use jam_mixer::JamConfig;
use jam_mixer::tokio::{JamServer, Listen, Realtime};

/// Serves four musicians while `test` runs.
pub(crate) fn with_server(test: impl FnOnce(String) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = JamConfig::builder().channels_max(4).build().unwrap();
        let listen = Listen { v4: Some([127, 0, 0, 1].into()), v6: None, port: 0, v6_optional: false };
        let server = JamServer::builder(config).listen(listen).realtime(Realtime::Off).start().unwrap();
        let addr = server.local_addrs()[0].to_string();
        let load = tokio::task::spawn_blocking(move || test(addr));
        server.run_until(async { load.await.unwrap() }).await.unwrap();
    });
}

/// Runs the program to its end.
pub(crate) fn jam_load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jam-load")).args(args).output().unwrap()
}
