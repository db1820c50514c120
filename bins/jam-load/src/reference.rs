//! What the codec alone costs on this machine, as a measure for servers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jam_mixer::codec::{
    Codec, CodecError, Decode, Encode, EncoderSettings, JamCodec, OpusCustom, RawBlocks, StreamSpec,
};
use jam_proto::AudioProps;

use crate::clock::Nanos;
use crate::priority;
use crate::signal::Loop;

/// Processor time of one block, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) decode_micros: f64,
    pub(crate) encode_micros: f64,
}

impl Reference {
    pub(crate) fn total_micros(&self) -> f64 {
        self.decode_micros + self.encode_micros
    }
}

/// Time between two rounds: a quarter of the rhythm of a server with 128-sample ticks.
const ROUND_EVERY: Duration = Duration::from_micros(10_667);

/// Measures the bare codec beside a run: libopus as its own build files compile it, with the encoder settings of
/// shipped programs, a decoder and an encoder for each musician.
///
/// It works in rounds with pauses between them, as a server does, and all the time that the server is measured: what
/// the machine does to the one (cold caches, a noisy neighbour) it does to the other.
pub(crate) struct Yardstick {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Reference, CodecError>>,
}

impl Yardstick {
    /// Starts the rounds on a thread of their own.
    pub(crate) fn start(props: AudioProps, musicians: usize, realtime: bool) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("yardstick".to_owned()).spawn(move || {
            if realtime {
                // The musicians report a refusal.
                let _ = priority::raise();
            }
            measure(&props, musicians, &stopped)
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends them; the mean over all rounds.
    pub(crate) fn finish(self) -> io::Result<Reference> {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.thread.join().map_err(|_| io::Error::other("the yardstick panicked"))?;
        result.map_err(io::Error::other)
    }
}

fn measure(props: &AudioProps, musicians: usize, stop: &AtomicBool) -> Result<Reference, CodecError> {
    let spec = StreamSpec { codec: props.codec, layout: props.layout, block_bytes: props.block_bytes };
    let codec = JamCodec::new(OpusCustom::plain(EncoderSettings::SHIPPED)?, RawBlocks::Allowed);
    let mut coders = (0..musicians)
        .map(|_| Ok((codec.decoder(spec)?, codec.encoder(spec)?, vec![0i16; spec.pcm_len()])))
        .collect::<Result<Vec<_>, CodecError>>()?;
    let music = Loop::tone(props, 20, 0.3)?;
    let mut coded = vec![0; usize::from(props.block_bytes)];
    let (mut decoding, mut encoding) = (0, 0);
    let mut next = Nanos::now();
    let mut rounds = 0u64;
    while rounds == 0 || !stop.load(Ordering::Relaxed) {
        let start = Nanos::thread_cpu();
        for (musician, (decoder, _, pcm)) in coders.iter_mut().enumerate() {
            decoder.decode(Some(music.block(rounds + 3 * musician as u64)), pcm)?;
        }
        let between = Nanos::thread_cpu();
        for (_, encoder, pcm) in &mut coders {
            encoder.encode(pcm, &mut coded)?;
        }
        let end = Nanos::thread_cpu();
        decoding += between.since(start);
        encoding += end.since(between);
        rounds += 1;
        next = next.plus(ROUND_EVERY);
        next.sleep_until();
    }
    let blocks = (rounds * musicians as u64) as f64;
    let micros = |nanos: i64| nanos as f64 / blocks / 1000.0;
    Ok(Reference { decode_micros: micros(decoding), encode_micros: micros(encoding) })
}
