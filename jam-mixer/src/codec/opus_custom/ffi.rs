//! The C side: every `unsafe` line of the workspace.
//!
//! What the C library promises and this file relies on:
//!
//! - A *mode* (tables of one block length) is read-only after its creation. Modes live as long as the process.
//! - A coder state is one piece of memory of `*_get_size` bytes, initialised in place by `*_init`. It holds one
//!   pointer, to its mode, and none into itself: a byte copy is a second, independent coder in the same state.
//! - `encode` reads `frame_size * channels` samples and writes at most the given number of bytes, if that is three or
//!   more; `decode` reads
//!   `len` bytes and writes `frame_size * channels` samples. Neither keeps a pointer or allocates.
//! - The library has no other global state, so coders on different threads do not meet.
#![expect(clippy::indexing_slicing, reason = "one place for each of the two block lengths")]
#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use jam_proto::{BlockCodec, Layout};

use super::BLOCK_BYTES_MIN;
use crate::codec::CodecError;

/// A C type we only ever point at.
macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        struct $name {
            _opaque: [u8; 0],
        }
    )*};
}
opaque!(CMode, CEncoder, CDecoder);

/// One build of the C sources (`build/celt.rs`): its functions and the modes it made.
struct Library {
    mode_create: unsafe extern "C" fn(rate: i32, frame_size: c_int, error: *mut c_int) -> *mut CMode,
    mode_destroy: unsafe extern "C" fn(mode: *mut CMode),
    modes: [OnceLock<Mode>; 3],
}

/// The functions of a build for encoding.
struct EncoderLibrary {
    library: Library,
    get_size: unsafe extern "C" fn(mode: *const CMode, channels: c_int) -> c_int,
    init: unsafe extern "C" fn(st: *mut CEncoder, mode: *const CMode, channels: c_int) -> c_int,
    ctl: unsafe extern "C" fn(st: *mut CEncoder, request: c_int, ...) -> c_int,
    encode: unsafe extern "C" fn(
        st: *mut CEncoder,
        pcm: *const i16,
        frame_size: c_int,
        out: *mut c_uchar,
        out_bytes: c_int,
    ) -> c_int,
}

/// The functions of a build for decoding.
struct DecoderLibrary {
    library: Library,
    get_size: unsafe extern "C" fn(mode: *const CMode, channels: c_int) -> c_int,
    init: unsafe extern "C" fn(st: *mut CDecoder, mode: *const CMode, channels: c_int) -> c_int,
    decode: unsafe extern "C" fn(
        st: *mut CDecoder,
        data: *const c_uchar,
        len: c_int,
        pcm: *mut i16,
        frame_size: c_int,
    ) -> c_int,
}

/// The private name of a function in one build.
macro_rules! symbol {
    ($build:literal, $name:literal) => {
        concat!("jam_mixer_", env!("JAM_MIXER_SYMBOL_VERSION"), "_", $build, "_opus_custom_", $name)
    };
}

/// A function of mathematics for the C side, by the name that `build/celt.rs` gives it there.
macro_rules! mathematics {
    ($($function:ident),*) => {$(
        // SAFETY: the name has the package and its version in it, so nothing else is called so.
        #[unsafe(export_name = concat!("jam_mixer_", env!("JAM_MIXER_SYMBOL_VERSION"), "_", stringify!($function)))]
        extern "C" fn $function(x: f64) -> f64 {
            libm::$function(x)
        }
    )*};
}
mathematics!(acos, cos, sin);

macro_rules! library {
    ($build:literal) => {{
        unsafe extern "C" {
            #[link_name = symbol!($build, "mode_create")]
            fn mode_create(rate: i32, frame_size: c_int, error: *mut c_int) -> *mut CMode;
            #[link_name = symbol!($build, "mode_destroy")]
            fn mode_destroy(mode: *mut CMode);
        }
        Library { mode_create, mode_destroy, modes: [const { OnceLock::new() }; 3] }
    }};
}

macro_rules! encoder_library {
    ($build:literal) => {{
        unsafe extern "C" {
            #[link_name = symbol!($build, "encoder_get_size")]
            fn get_size(mode: *const CMode, channels: c_int) -> c_int;
            #[link_name = symbol!($build, "encoder_init")]
            fn init(st: *mut CEncoder, mode: *const CMode, channels: c_int) -> c_int;
            #[link_name = symbol!($build, "encoder_ctl")]
            fn ctl(st: *mut CEncoder, request: c_int, ...) -> c_int;
            #[link_name = symbol!($build, "encode")]
            fn encode(
                st: *mut CEncoder,
                pcm: *const i16,
                frame_size: c_int,
                out: *mut c_uchar,
                out_bytes: c_int,
            ) -> c_int;
        }
        EncoderLibrary { library: library!($build), get_size, init, ctl, encode }
    }};
}

macro_rules! decoder_library {
    ($build:literal) => {{
        unsafe extern "C" {
            #[link_name = symbol!($build, "decoder_get_size")]
            fn get_size(mode: *const CMode, channels: c_int) -> c_int;
            #[link_name = symbol!($build, "decoder_init")]
            fn init(st: *mut CDecoder, mode: *const CMode, channels: c_int) -> c_int;
            #[link_name = symbol!($build, "decode")]
            fn decode(
                st: *mut CDecoder,
                data: *const c_uchar,
                len: c_int,
                pcm: *mut i16,
                frame_size: c_int,
            ) -> c_int;
        }
        DecoderLibrary { library: library!($build), get_size, init, decode }
    }};
}

/// Which compilation of the sources does the work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Flavour {
    /// The fastest for this processor.
    #[default]
    Tuned,
    /// What every processor of the target can run.
    #[cfg(feature = "plain-opus")]
    Baseline,
    /// As libopus' own build files make it.
    #[cfg(feature = "plain-opus")]
    Plain,
}

/// Whether the processor has what the AVX2 builds use.
#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

fn encoder_library(flavour: Flavour) -> &'static EncoderLibrary {
    match flavour {
        Flavour::Tuned => tuned_encoder_library(),
        #[cfg(feature = "plain-opus")]
        Flavour::Baseline => baseline_encoder_library(),
        #[cfg(feature = "plain-opus")]
        Flavour::Plain => {
            static PLAIN: EncoderLibrary = encoder_library!("plain");
            &PLAIN
        }
    }
}

fn tuned_encoder_library() -> &'static EncoderLibrary {
    #[cfg(target_arch = "x86_64")]
    {
        static AVX2: EncoderLibrary = encoder_library!("encode_avx2");
        if has_avx2() {
            return &AVX2;
        }
    }
    baseline_encoder_library()
}

fn baseline_encoder_library() -> &'static EncoderLibrary {
    static BASELINE: EncoderLibrary = encoder_library!("encode");
    &BASELINE
}

fn decoder_library(flavour: Flavour) -> &'static DecoderLibrary {
    match flavour {
        Flavour::Tuned => tuned_decoder_library(),
        #[cfg(feature = "plain-opus")]
        Flavour::Baseline => baseline_decoder_library(),
        #[cfg(feature = "plain-opus")]
        Flavour::Plain => {
            static PLAIN: DecoderLibrary = decoder_library!("plain");
            &PLAIN
        }
    }
}

fn tuned_decoder_library() -> &'static DecoderLibrary {
    #[cfg(target_arch = "x86_64")]
    {
        static AVX2: DecoderLibrary = decoder_library!("decode_avx2");
        if has_avx2() {
            return &AVX2;
        }
    }
    baseline_decoder_library()
}

fn baseline_decoder_library() -> &'static DecoderLibrary {
    static BASELINE: DecoderLibrary = decoder_library!("decode");
    &BASELINE
}

const SAMPLE_RATE: i32 = 48_000;
/// What the library reports when memory is short (`OPUS_ALLOC_FAIL`).
const ALLOC_FAIL: i32 = -7;

/// An integer setting of an encoder (`opus_defines.h`).
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Setting {
    /// Bits per second; [`BITRATE_MAX`] means "as much as the block holds".
    Bitrate = 4002,
    /// 0 is constant bit rate.
    VariableBitrate = 4006,
    /// 0 to 10.
    Complexity = 4010,
    /// Expected loss in percent.
    PacketLossPercent = 4014,
}

/// The bit rate is whatever fills the block.
pub(super) const BITRATE_MAX: i32 = -1;

/// Samples per side of what a coder takes at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// A jam block.
    Block(BlockCodec),
    /// A packet of standard Opus, 20 ms.
    Packet,
}

impl Length {
    pub(super) const PACKET_SAMPLES: usize = 960;

    const fn samples(self) -> usize {
        match self {
            Self::Block(codec) => codec.samples(),
            Self::Packet => Self::PACKET_SAMPLES,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Block(BlockCodec::Opus) => 0,
            Self::Block(BlockCodec::Opus64) => 1,
            Self::Packet => 2,
        }
    }
}

/// The tables of one block length.
#[derive(Clone, Copy)]
struct Mode {
    pointer: NonNull<CMode>,
    samples: usize,
}

// SAFETY: the C library only reads a mode after its creation, and a `Mode` is never destroyed once handed out.
unsafe impl Send for Mode {}
// SAFETY: as above; shared reads only.
unsafe impl Sync for Mode {}

impl Library {
    /// The mode of a block length, made on first use and shared by the whole process.
    fn mode(&self, length: Length) -> Result<Mode, CodecError> {
        let slot = &self.modes[length.index()];
        if let Some(mode) = slot.get() {
            return Ok(*mode);
        }
        let samples = length.samples();
        let mut error: c_int = 0;
        // SAFETY: plain numbers, and `error` outlives the call.
        let pointer = unsafe { (self.mode_create)(SAMPLE_RATE, samples as c_int, &mut error) };
        let pointer = NonNull::new(pointer).ok_or(CodecError::Allocation { code: error })?;
        if slot.set(Mode { pointer, samples }).is_err() {
            // SAFETY: another thread was faster; nobody else has seen this pointer.
            unsafe { (self.mode_destroy)(pointer.as_ptr()) };
        }
        slot.get().copied().ok_or(CodecError::Allocation { code: ALLOC_FAIL })
    }
}

/// One cache line of a coder state: at least as strictly aligned as anything `malloc` returns.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// The memory of one coder state.
///
/// A `Vec` so that a shortage is an error, cloning is a byte copy, and dropping frees it.
#[derive(Clone)]
struct Memory(Vec<Line>);

impl Memory {
    /// Zeroed memory of at least `bytes`.
    fn new(bytes: c_int) -> Result<Self, CodecError> {
        let failed = CodecError::Allocation { code: ALLOC_FAIL };
        let lines = usize::try_from(bytes).map_err(|_| failed)?.div_ceil(size_of::<Line>());
        let mut memory = Vec::new();
        memory.try_reserve_exact(lines).map_err(|_| failed)?;
        memory.resize(lines, Line([0; 64]));
        Ok(Self(memory))
    }

    fn pointer<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

/// Turns the library's return value into a result.
fn checked(code: c_int) -> Result<(), i32> {
    if code < 0 { Err(code) } else { Ok(()) }
}

/// An initialised encoder state.
pub(super) struct EncoderState {
    library: &'static EncoderLibrary,
    memory: Memory,
    mode: Mode,
    layout: Layout,
}

impl EncoderState {
    pub(super) fn new(flavour: Flavour, length: Length, layout: Layout) -> Result<Self, CodecError> {
        let library = encoder_library(flavour);
        let mode = library.library.mode(length)?;
        let sides = layout.sides() as c_int;
        // SAFETY: the mode is alive (see `Mode`).
        let mut memory = Memory::new(unsafe { (library.get_size)(mode.pointer.as_ptr(), sides) })?;
        // SAFETY: the memory has the size the library asked for and the alignment of `Line`.
        let code = unsafe { (library.init)(memory.pointer(), mode.pointer.as_ptr(), sides) };
        checked(code).map_err(|code| CodecError::Allocation { code })?;
        Ok(Self { library, memory, mode, layout })
    }

    /// Changes a setting; the error is the library's number.
    pub(super) fn set(&mut self, setting: Setting, value: i32) -> Result<(), i32> {
        // SAFETY: the state is initialised, and every `Setting` takes one 32-bit integer.
        checked(unsafe { (self.library.ctl)(self.memory.pointer(), setting as c_int, value) })
    }

    /// Encodes one block and returns how many bytes of `block` were written; the error is the library's number.
    pub(super) fn encode(&mut self, pcm: &[i16], block: &mut [u8]) -> Result<usize, i32> {
        assert_eq!(pcm.len(), self.mode.samples * self.layout.sides(), "the caller checks the length");
        // With an explicit bit rate the library writes three bytes even into a shorter block.
        assert!(block.len() >= usize::from(BLOCK_BYTES_MIN), "the caller checks the length");
        let bytes = c_int::try_from(block.len()).unwrap_or(c_int::MAX);
        // SAFETY: `pcm` holds a full block (asserted) and `block` is writable for `bytes`; the state is initialised.
        let written = unsafe {
            (self.library.encode)(
                self.memory.pointer(),
                pcm.as_ptr(),
                self.mode.samples as c_int,
                block.as_mut_ptr(),
                bytes,
            )
        };
        usize::try_from(written).map_err(|_| written)
    }

    /// A byte copy of the state, which has no pointer into itself.
    pub(super) fn fork(&self) -> Self {
        Self { library: self.library, memory: self.memory.clone(), mode: self.mode, layout: self.layout }
    }
}

/// An initialised decoder state.
pub(super) struct DecoderState {
    library: &'static DecoderLibrary,
    memory: Memory,
    mode: Mode,
    layout: Layout,
}

impl DecoderState {
    pub(super) fn new(flavour: Flavour, length: Length, layout: Layout) -> Result<Self, CodecError> {
        let library = decoder_library(flavour);
        let mode = library.library.mode(length)?;
        let sides = layout.sides() as c_int;
        // SAFETY: the mode is alive (see `Mode`).
        let mut memory = Memory::new(unsafe { (library.get_size)(mode.pointer.as_ptr(), sides) })?;
        // SAFETY: the memory has the size the library asked for and the alignment of `Line`.
        let code = unsafe { (library.init)(memory.pointer(), mode.pointer.as_ptr(), sides) };
        checked(code).map_err(|code| CodecError::Allocation { code })?;
        Ok(Self { library, memory, mode, layout })
    }

    /// Decodes one block, or conceals a lost one; the error is the library's number and leaves `pcm` untouched.
    pub(super) fn decode(&mut self, block: Option<&[u8]>, pcm: &mut [i16]) -> Result<(), i32> {
        assert_eq!(pcm.len(), self.mode.samples * self.layout.sides(), "the caller checks the length");
        let (data, len) = match block {
            // The library reads the first byte of anything that is not null.
            Some(block) if !block.is_empty() => {
                (block.as_ptr(), c_int::try_from(block.len()).unwrap_or(c_int::MAX))
            }
            _ => (ptr::null(), 0),
        };
        // SAFETY: `data` is null or readable for `len`; `pcm` is writable for a full block (asserted); the state is
        // initialised.
        let samples = unsafe {
            (self.library.decode)(
                self.memory.pointer(),
                data,
                len,
                pcm.as_mut_ptr(),
                self.mode.samples as c_int,
            )
        };
        checked(samples)
    }
}
