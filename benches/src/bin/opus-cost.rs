//! Prints what the codec alone costs on this machine, as one line of JSON.
//!
//! ```text
//! opus-cost [plain|shipped|default|COMPLEXITY]
//! ```
//!
//! The figures are nanoseconds of processor time per block, best of several runs. `plain` (the default) is libopus
//! as it is ordinarily compiled, with the encoder settings of shipped servers; `shipped` is the codec of this
//! workspace with the same settings; `default` has the settings of this workspace, and a number from 0 to 10 is a
//! complexity. `reference` is always one decode plus one encode of `plain` for a mono stream of normal quality with
//! 128-sample blocks: what load tests divide by.

use std::fmt::Write as _;
use std::process::ExitCode;

use benches::bare::{self, STREAMS};
use jam_mixer::codec::{CodecError, EncoderSettings, ModeSettings, OpusCustom};

fn main() -> ExitCode {
    let choice = std::env::args().nth(1).unwrap_or_else(|| "plain".to_owned());
    let Some(codec) = codec(&choice) else {
        eprintln!("opus-cost: {choice:?} is neither plain, shipped, default nor a complexity from 0 to 10");
        return ExitCode::from(2);
    };
    match codec.and_then(|codec| report(&choice, &codec)) {
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

fn codec(choice: &str) -> Option<Result<OpusCustom, CodecError>> {
    match choice {
        "plain" => Some(OpusCustom::plain(EncoderSettings::SHIPPED)),
        "shipped" => Some(OpusCustom::new(EncoderSettings::SHIPPED)),
        "default" => Some(Ok(OpusCustom::default())),
        number => {
            let mode = ModeSettings { complexity: number.parse().ok()?, packet_loss_percent: 0 };
            Some(OpusCustom::new(EncoderSettings { opus: mode, opus64: mode }))
        }
    }
}

fn report(choice: &str, codec: &OpusCustom) -> Result<String, CodecError> {
    let mut line =
        format!("{{\"unit\":\"ns\",\"codec\":\"{choice}\",\"reference\":{:.0}", bare::reference_ns()?);
    for stream in STREAMS {
        let cost = bare::measure(codec, stream.spec, 10)?;
        let _ = write!(
            line,
            ",\"{}\":{{\"block_bytes\":{},\"decode\":{:.0},\"encode\":{:.0},\"conceal\":{:.0}}}",
            stream.name, stream.spec.block_bytes, cost.decode, cost.encode, cost.conceal
        );
    }
    line.push('}');
    Ok(line)
}
