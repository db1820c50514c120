//! Compiles the CELT part of libopus with custom modes for the feature `opus-custom`.
//!
//! The C sources are those of libopus 1.6.1 as they travel inside the registry package `opusic-sys`; nothing of
//! that package itself is compiled or linked. `docs/codec.md` describes the build and what to do when it fails.

#[cfg(feature = "opus-custom")]
#[path = "build/celt.rs"]
mod celt;
#[cfg(feature = "opus-custom")]
#[path = "build/locate.rs"]
mod locate;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    #[cfg(feature = "opus-custom")]
    match locate::opus_source() {
        Ok(opus) => celt::compile(&opus),
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(1);
        }
    }
}
