//! Prints what the codec alone costs on this machine, as one line of JSON.
//!
//! ```text
//! opus-cost [shipped|default]
//! ```
//!
//! The figures are nanoseconds of processor time per block, best of several runs. `shipped` (the default) uses the
//! encoder settings of shipped servers, `default` those of this workspace. `reference` is one decode plus one encode
//! of a mono stream of normal quality with 128-sample blocks and shipped settings.

use std::fmt::Write as _;
use std::process::ExitCode;

use benches::bare::{self, STREAMS};
use jam_mixer::codec::{CodecError, EncoderSettings};

fn main() -> ExitCode {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "shipped".to_owned());
    let settings = match choice.as_str() {
        "shipped" => EncoderSettings::SHIPPED,
        "default" => EncoderSettings::default(),
        other => {
            eprintln!("opus-cost: unknown settings {other:?}; use \"shipped\" or \"default\"");
            return ExitCode::from(2);
        }
    };
    match report(&choice, settings) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("opus-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(choice: &str, settings: EncoderSettings) -> Result<String, CodecError> {
    let mut line =
        format!("{{\"unit\":\"ns\",\"settings\":\"{choice}\",\"reference\":{:.0}", bare::reference_ns()?);
    for stream in STREAMS {
        let cost = bare::measure(stream.spec, settings, 10)?;
        let _ = write!(
            line,
            ",\"{}\":{{\"block_bytes\":{},\"decode\":{:.0},\"encode\":{:.0},\"conceal\":{:.0}}}",
            stream.name, stream.spec.block_bytes, cost.decode, cost.encode, cost.conceal
        );
    }
    line.push('}');
    Ok(line)
}
