//! Compiles the CELT sources into one static library.
//!
//! The library holds several *builds* of the sources: one for encoding, one for decoding, on x86-64 each a second
//! time for processors with AVX2. Each is a single translation unit, so the compiler sees across the files of the
//! library, and each has symbol names of its own. `docs/codec.md` says what that is worth.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

#[path = "sliding.rs"]
mod sliding;

/// The files every build needs (`celt_sources.mk` of libopus). `celt` comes first: it defines what the others
/// declare.
const COMMON: [&str; 16] = [
    "celt",
    "bands",
    "celt_lpc",
    "cwrs",
    "entcode",
    "entdec",
    "entenc",
    "kiss_fft",
    "laplace",
    "mathops",
    "mdct",
    "modes",
    "pitch",
    "quant_bands",
    "rate",
    "vq",
];
const ENCODER: &str = "celt_encoder";
const DECODER: &str = "celt_decoder";

/// Every symbol the sources define on any architecture, from `symbols.txt` beside this file.
const SYMBOLS: &str = include_str!("symbols.txt");

/// Results stay the same bit for bit: nobody reads errno or floating point exceptions of the codec.
const EXACT_MATH: [&str; 2] = ["-fno-math-errno", "-fno-trapping-math"];

/// Sums may be reordered, and there are no infinities or NaNs.
///
/// Only for the encoder, whose input is 16-bit samples: finite, whatever a peer sends. The decoder's concealment
/// compares in a way that catches NaNs, so it keeps exact arithmetic.
const FAST_MATH: [&str; 4] =
    ["-fno-signed-zeros", "-fassociative-math", "-freciprocal-math", "-ffinite-math-only"];

/// What the 64-bit AVX2 builds may use; `codec/opus_custom/ffi.rs` asks the processor for the same list.
const AVX2: [&str; 6] = ["-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mlzcnt", "-mtune=haswell"];

/// One compilation of the sources.
struct Build {
    /// Part of the symbol names.
    name: &'static str,
    /// Source files without folder and extension, relative to `celt`.
    files: Vec<String>,
    flags: Vec<&'static str>,
    defines: Vec<&'static str>,
    units: Units,
}

/// How files become objects.
#[derive(Clone, Copy, PartialEq)]
enum Units {
    /// All files together, with full optimisation.
    One,
    /// Each file alone, as the build files of libopus do it (feature `plain-opus`).
    PerFile,
}

/// Compiles the sources in `opus` and tells cargo to link them.
pub(crate) fn compile(opus: &Path) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = Target::from_cargo();
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    let version: String = version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    println!("cargo:rustc-env=JAM_MIXER_SYMBOL_VERSION={version}");

    let builds = builds(&target);
    let objects: Vec<PathBuf> = thread::scope(|scope| {
        let jobs: Vec<_> = builds
            .iter()
            .map(|build| {
                let (out, target, version) = (&out, &target, &version);
                scope.spawn(move || build.compile(opus, out, target, version))
            })
            .collect();
        jobs.into_iter().flat_map(|job| job.join().expect("the C compiler reports its own errors")).collect()
    });
    cc::Build::new().objects(objects).compile("jam_mixer_celt");
}

/// The builds for a target.
fn builds(target: &Target) -> Vec<Build> {
    let mut builds = Vec::new();
    for (name, avx2_name, file, math) in
        [("encode", "encode_avx2", ENCODER, &FAST_MATH[..]), ("decode", "decode_avx2", DECODER, &[])]
    {
        let mut build = Build::new(name, &[file]);
        build.flags.extend(math);
        build.defines.push("FLOAT_APPROX");
        build.baseline_simd(target);
        builds.push(build);
        if target.arch == "x86_64" {
            let mut build = Build::new(avx2_name, &[file]);
            build.flags.extend(math);
            build.flags.extend(AVX2);
            build.defines.push("FLOAT_APPROX");
            build.x86_simd(&["pitch_avx"]);
            build.defines.extend(["OPUS_X86_MAY_HAVE_AVX2", "OPUS_X86_PRESUME_AVX2"]);
            build.defines.extend(["OPUS_X86_MAY_HAVE_SSE4_1", "OPUS_X86_PRESUME_SSE4_1"]);
            builds.push(build);
        }
    }
    if cfg!(feature = "plain-opus") {
        builds.push(Build::plain(target));
    }
    builds
}

impl Build {
    fn new(name: &'static str, coders: &[&str]) -> Self {
        // The encoder goes before the decoder, which redefines one of its words.
        let (first, rest) = COMMON.split_at(1);
        let files = first.iter().chain(coders).chain(rest).map(|&file| file.to_owned()).collect();
        Self { name, files, flags: EXACT_MATH.to_vec(), defines: Vec::new(), units: Units::One }
    }

    /// The sources as libopus' own build files compile them: the yardstick for speed and samples.
    fn plain(target: &Target) -> Self {
        let mut build = Self::new("plain", &[ENCODER, DECODER]);
        build.units = Units::PerFile;
        build.flags.clear();
        if target.arch == "x86_64" {
            build.x86_simd(&["pitch_avx", "x86cpu", "x86_celt_map"]);
            build.defines.extend(["OPUS_HAVE_RTCD", "CPU_INFO_BY_C", "OPUS_X86_MAY_HAVE_AVX2"]);
        } else {
            build.baseline_simd(target);
        }
        build
    }

    /// What every processor of the target has.
    fn baseline_simd(&mut self, target: &Target) {
        match target.arch.as_str() {
            "x86_64" => self.x86_simd(&[]),
            "x86" if target.has("sse2") => {
                self.flags.extend(["-msse2", "-mfpmath=sse"]);
                self.x86_simd(&[]);
            }
            "aarch64" if target.has("neon") && !target.msvc => {
                self.files.extend(["arm/celt_neon_intr".to_owned(), "arm/pitch_neon_intr".to_owned()]);
                self.defines.extend([
                    "OPUS_ARM_MAY_HAVE_NEON",
                    "OPUS_ARM_MAY_HAVE_NEON_INTR",
                    "OPUS_ARM_PRESUME_NEON",
                    "OPUS_ARM_PRESUME_NEON_INTR",
                    "OPUS_ARM_PRESUME_AARCH64_NEON_INTR",
                ]);
            }
            "arm" if target.neon_at_run_time() => {
                self.files.extend(["arm/armcpu".to_owned(), "arm/arm_celt_map".to_owned()]);
                self.defines.extend(["OPUS_HAVE_RTCD", "OPUS_ARM_MAY_HAVE_NEON_INTR"]);
            }
            _ => {}
        }
    }

    fn x86_simd(&mut self, more: &[&str]) {
        for file in ["pitch_sse", "vq_sse2"].iter().chain(more) {
            self.files.push(format!("x86/{file}"));
        }
        self.defines.extend([
            "OPUS_X86_MAY_HAVE_SSE",
            "OPUS_X86_MAY_HAVE_SSE2",
            "OPUS_X86_PRESUME_SSE",
            "OPUS_X86_PRESUME_SSE2",
        ]);
    }

    /// Compiles the build; files for processors beyond the baseline are units of their own.
    fn compile(&self, opus: &Path, out: &Path, target: &Target, version: &str) -> Vec<PathBuf> {
        let names = out.join(format!("jam_celt_{}.h", self.name));
        let mut header = private_names(self.name, version);
        if self.units == Units::One {
            header += &own_mathematics(version);
        }
        fs::write(&names, header).expect("OUT_DIR is writable");
        let settings = || self.settings(opus, target, &names);
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        let mut objects = Vec::new();
        match self.units {
            Units::One => objects.extend(self.one_unit(settings(), opus, out, "", &files)),
            Units::PerFile => {
                for file in files {
                    let mut build = settings();
                    build.opt_level(2);
                    if file == "x86/pitch_avx" {
                        build.flag("-mavx").flag("-mfma").flag("-mavx2");
                    }
                    objects.extend(build.file(opus.join(format!("celt/{file}.c"))).compile_intermediates());
                }
            }
        }
        if target.neon_at_run_time() {
            let mut build = settings();
            build.flag("-march=armv7-a").flag("-mfpu=neon");
            objects.extend(self.one_unit(
                build,
                opus,
                out,
                "_neon",
                &["arm/celt_neon_intr", "arm/pitch_neon_intr"],
            ));
        }
        objects
    }

    /// Compiles `files` together.
    fn one_unit(
        &self,
        mut build: cc::Build,
        opus: &Path,
        out: &Path,
        suffix: &str,
        files: &[&str],
    ) -> Vec<PathBuf> {
        let mut text = String::from("/* Generated: one translation unit of CELT. */\n");
        for &file in files {
            match (file == DECODER).then(|| sliding::decoder(opus)).flatten() {
                Some(source) => text += &source,
                None => drop(writeln!(text, "#include \"{file}.c\"")),
            }
        }
        let file = out.join(format!("jam_celt_{}{suffix}.c", self.name));
        fs::write(&file, text).expect("OUT_DIR is writable");
        build.file(file).compile_intermediates()
    }

    /// Compiler settings of all units of this build.
    fn settings(&self, opus: &Path, target: &Target, names: &Path) -> cc::Build {
        let mut build = cc::Build::new();
        // The codec is most of a server's work; it is fast in debug builds and tests too.
        build.opt_level(3).warnings(false).pic(true).force_frame_pointer(false);
        for folder in ["include", "celt", "silk", "."] {
            build.include(opus.join(folder));
        }
        build
            .define("OPUS_BUILD", None)
            .define("CUSTOM_MODES", None)
            // A damaged state ends the process instead of reading or writing out of bounds.
            .define("ENABLE_HARDENING", None)
            .define("HAVE_LRINT", None)
            .define("HAVE_LRINTF", None)
            .define("OPUS_EXPORT", Some(""))
            .define("PACKAGE_VERSION", Some("\"1.6.1\""));
        for define in &self.defines {
            build.define(define, None);
        }
        if target.msvc {
            build.define("USE_ALLOCA", None).flag(format!("/FI{}", names.display()));
            if self.flags.contains(&AVX2[0]) {
                build.flag("/arch:AVX2");
            }
        } else {
            build.define("VAR_ARRAYS", None).flag("-include").flag(names).flag("-fvisibility=hidden");
            for flag in &self.flags {
                build.flag(flag);
            }
        }
        build
    }
}

/// A header that renames every symbol, forced into each file.
///
/// The builds then do not collide with each other, nor with another copy of libopus in the same program, nor with
/// another version of this package.
fn private_names(build: &str, version: &str) -> String {
    let mut text = String::from("/* Generated: private names for every symbol of this build of CELT. */\n");
    for symbol in SYMBOLS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let _ = writeln!(text, "#define {symbol} jam_mixer_{version}_{build}_{symbol}");
    }
    text
}

/// The functions of the system's library of mathematics that the sources call, replaced by those of
/// `codec/opus_custom/ffi.rs`: a process that needs none of that library does not map it, 0.6 MB of resident memory.
fn own_mathematics(version: &str) -> String {
    // First, because it declares the functions under their own names.
    let mut text = String::from("#include <math.h>\n");
    for function in ["acos", "cos", "sin"] {
        let own = format!("jam_mixer_{version}_{function}");
        let _ = writeln!(text, "double {own}(double x);\n#define {function} {own}");
    }
    text
}

/// The target as cargo describes it.
struct Target {
    arch: String,
    os: String,
    abi: String,
    features: String,
    msvc: bool,
}

impl Target {
    fn from_cargo() -> Self {
        let get = |name: &str| env::var(name).unwrap_or_default();
        Self {
            arch: get("CARGO_CFG_TARGET_ARCH"),
            os: get("CARGO_CFG_TARGET_OS"),
            abi: get("CARGO_CFG_TARGET_ABI"),
            features: get("CARGO_CFG_TARGET_FEATURE"),
            msvc: get("CARGO_CFG_TARGET_ENV") == "msvc",
        }
    }

    fn has(&self, feature: &str) -> bool {
        self.features.split(',').any(|have| have == feature)
    }

    /// 32-bit ARM Linux with the hardware floating point ABI: the library asks /proc/cpuinfo for NEON.
    fn neon_at_run_time(&self) -> bool {
        self.arch == "arm" && self.os == "linux" && self.abi == "eabihf"
    }
}
