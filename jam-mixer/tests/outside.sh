#!/usr/bin/env bash
# Builds the packages the way other people meet them, in a folder of its own outside the workspace:
#
#   1. from the packaged files alone (cargo package)
#   2. as a path dependency of a foreign program, with a C compiler and no cmake
#   3. the same from a vendor directory, offline, with an empty cargo home
#   4. as a registry package out of a vendor directory, offline, with an empty cargo home
#   5. in one program with the `opus` crate, which brings its own copy of libopus (needs cmake; skipped without)
#
# Needs a committed work tree and, for 1, 3 and 5, a package registry.
set -euo pipefail

workspace=$(cd "$(dirname "$0")/../.." && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
export CARGO_TARGET_DIR="$room/target"
# Steps 3 and 4 change HOME; the compiler stays where it is.
export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
step() { printf '\n== %s\n' "$*"; }

step "1: from the packaged files"
cargo package --quiet --manifest-path "$workspace/Cargo.toml" -p jam-proto -p jam-mixer
ls "$CARGO_TARGET_DIR"/package/*.crate

# A cmake that fails, first in the path: nobody may use it.
mkdir "$room/shims"
printf '#!/bin/sh\necho "cmake was called" >&2\nexit 1\n' > "$room/shims/cmake"
chmod +x "$room/shims/cmake"
without_cmake() { PATH="$room/shims:$PATH" "$@"; }

mkdir -p "$room/program/src"
cat > "$room/program/src/main.rs" <<'RUST'
use jam_mixer::codec::{Codec, Decode, Encode, OpusCustom, StreamSpec};
use jam_proto::{BlockCodec, Layout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = StreamSpec { codec: BlockCodec::Opus, layout: Layout::Mono, block_bytes: 45 };
    let codec = OpusCustom::default();
    let (mut encoder, mut decoder) = (codec.encoder(spec)?, codec.decoder(spec)?);
    let (mut block, mut heard) = ([0; 45], [0; 128]);
    let mut peak = 0;
    for number in 0..100 {
        let pcm: Vec<i16> = (0..128)
            .map(|n| (8000.0 * (0.05 * (number * 128 + n) as f32).sin()) as i16)
            .collect();
        encoder.encode(&pcm, &mut block)?;
        decoder.decode(Some(&block), &mut heard)?;
        peak = peak.max(heard.iter().copied().max().unwrap_or(0));
    }
    assert!((7000..9000).contains(&peak), "peak {peak}");
    #[cfg(feature = "both")]
    {
        let mut other = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio)?;
        let mut packet = [0; 400];
        let length = other.encode(&[100; 960], &mut packet)?;
        assert!(length > 0);
        println!("both codecs work in one program, opus: {}", opus::version());

        // Our standard Opus packets, decoded by the other library.
        let mut packets = jam_mixer::codec::OpusPackets::new(Layout::Mono, 96_000)?;
        let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono)?;
        let pcm: Vec<i16> = (0..48_000).map(|n| (8000.0 * (0.05 * n as f32).sin()) as i16).collect();
        let mut heard = Vec::new();
        packets.push(&pcm, |packet| {
            let mut out = [0; 960];
            let samples = decoder.decode(packet, &mut out, false).expect("a standard packet");
            heard.extend_from_slice(&out[..samples]);
        })?;
        assert_eq!(heard.len(), pcm.len());
        let delay = usize::from(jam_mixer::codec::OpusPackets::PRE_SKIP);
        let worst = pcm.iter().zip(&heard[delay..]).skip(960).map(|(a, b)| (a - b).abs()).max();
        assert!(worst < Some(800), "worst {worst:?}");
    }
    println!("peak {peak}");
    Ok(())
}
RUST

program() {
    cat > "$room/program/Cargo.toml" <<TOML
[package]
name = "program"
version = "0.1.0"
edition = "2024"

[features]
both = ["dep:opus"]

[workspace]

[dependencies]
$1
opus = { version = "0.4", optional = true }
TOML
    rm -f "$room/program/Cargo.lock"
}

step "2: path dependency of a foreign program, without cmake"
program "jam-mixer = { path = \"$workspace/jam-mixer\" }
jam-proto = { path = \"$workspace/jam-proto\" }"
cd "$room/program"
without_cmake cargo run --quiet

step "3: the same, vendored, offline, empty cargo home"
mkdir -p .cargo "$room/empty-home"
cargo vendor --quiet vendor
cat > .cargo/config.toml <<TOML
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "$room/program/vendor"
TOML
rm -rf "$CARGO_TARGET_DIR"
HOME="$room/empty-home" CARGO_HOME="$room/empty-home" without_cmake cargo run --quiet --offline

step "4: as a registry package in a vendor directory, offline, empty cargo home"
# In the workspace: here the vendor directory would replace the registry for it too.
(cd "$workspace" && CARGO_TARGET_DIR="$room/target-package" \
    cargo package --quiet --no-verify -p jam-proto -p jam-mixer)
for crate in "$room"/target-package/package/*.crate; do
    tar -xzf "$crate" -C vendor
done
for name in jam-proto jam-mixer; do
    mv vendor/$name-* "vendor/$name"
    printf '{"files":{}}' > "vendor/$name/.cargo-checksum.json"
done
program 'jam-mixer = "0.1"
jam-proto = "0.1"'
rm -rf "$CARGO_TARGET_DIR"
HOME="$room/empty-home" CARGO_HOME="$room/empty-home" without_cmake cargo run --quiet --offline

step "5: in one program with the opus crate"
if command -v cmake > /dev/null; then
    rm -r .cargo
    program "jam-mixer = { path = \"$workspace/jam-mixer\" }
jam-proto = { path = \"$workspace/jam-proto\" }"
    cargo run --quiet --features both
else
    echo "skipped: no cmake"
fi

step "all good"
