//! Compiles the CELT sources into one static library with private symbol names.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The codec proper (`celt_sources.mk` of libopus).
const BASE: [&str; 18] = [
    "bands",
    "celt",
    "celt_decoder",
    "celt_encoder",
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

/// Every symbol the sources define on any architecture, from `symbols.txt` beside this file.
const SYMBOLS: &str = include_str!("symbols.txt");

/// What the target's processor can do.
enum Simd {
    /// x86 with SSE2 at least; SSE4.1 and AVX2 are chosen at run time.
    X86,
    /// NEON is part of the architecture or was asked for.
    Neon,
    /// 32-bit ARM Linux: NEON is chosen at run time.
    NeonAtRunTime,
    /// Plain C.
    Scalar,
}

/// Compiles the sources in `opus` and tells cargo to link them.
pub(crate) fn compile(opus: &Path) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = Target::from_cargo();
    let simd = target.simd();
    let header = out.join("jam_private_names.h");
    fs::write(&header, private_names()).expect("OUT_DIR is writable");

    let mut base = settings(opus, &header, &target, &simd);
    for name in BASE {
        base.file(opus.join(format!("celt/{name}.c")));
    }
    let mut objects = Vec::new();
    match simd {
        Simd::X86 => {
            for name in ["pitch_sse", "vq_sse2", "x86cpu", "x86_celt_map"] {
                base.file(opus.join(format!("celt/x86/{name}.c")));
            }
            let mut avx2 = settings(opus, &header, &target, &simd);
            if target.msvc {
                avx2.flag("/arch:AVX2");
            } else {
                avx2.flag("-mavx").flag("-mfma").flag("-mavx2");
            }
            avx2.file(opus.join("celt/x86/pitch_avx.c"));
            objects.extend(avx2.compile_intermediates());
        }
        Simd::Neon | Simd::NeonAtRunTime => {
            if matches!(simd, Simd::NeonAtRunTime) {
                base.file(opus.join("celt/arm/armcpu.c")).file(opus.join("celt/arm/arm_celt_map.c"));
            }
            let mut neon = settings(opus, &header, &target, &simd);
            if target.arch == "arm" {
                neon.flag("-march=armv7-a").flag("-mfpu=neon");
            }
            neon.file(opus.join("celt/arm/celt_neon_intr.c")).file(opus.join("celt/arm/pitch_neon_intr.c"));
            objects.extend(neon.compile_intermediates());
        }
        Simd::Scalar => {}
    }
    base.objects(objects);
    base.compile("jam_mixer_celt");
}

/// Compiler settings common to all files.
fn settings(opus: &Path, header: &Path, target: &Target, simd: &Simd) -> cc::Build {
    let mut build = cc::Build::new();
    // The codec is most of a server's work; it is fast in debug builds and tests too.
    build.opt_level(3).warnings(false).pic(true);
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
    if target.msvc {
        build.define("USE_ALLOCA", None).flag(format!("/FI{}", header.display()));
    } else {
        build.define("VAR_ARRAYS", None).flag("-include").flag(header);
        build.flag_if_supported("-fvisibility=hidden");
        // Nobody reads errno or floating point exceptions of the codec; results stay the same bit for bit.
        build.flag_if_supported("-fno-math-errno").flag_if_supported("-fno-trapping-math");
    }
    match simd {
        Simd::X86 => {
            for name in [
                "OPUS_HAVE_RTCD",
                "CPU_INFO_BY_C",
                "OPUS_X86_MAY_HAVE_SSE",
                "OPUS_X86_MAY_HAVE_SSE2",
                "OPUS_X86_MAY_HAVE_AVX2",
                "OPUS_X86_PRESUME_SSE",
                "OPUS_X86_PRESUME_SSE2",
            ] {
                build.define(name, None);
            }
            if target.arch == "x86" && !target.msvc {
                build.flag("-msse2").flag("-mfpmath=sse");
            }
        }
        Simd::Neon => {
            for name in [
                "OPUS_ARM_MAY_HAVE_NEON",
                "OPUS_ARM_MAY_HAVE_NEON_INTR",
                "OPUS_ARM_PRESUME_NEON",
                "OPUS_ARM_PRESUME_NEON_INTR",
            ] {
                build.define(name, None);
            }
            if target.arch == "aarch64" {
                build.define("OPUS_ARM_PRESUME_AARCH64_NEON_INTR", None);
            }
        }
        Simd::NeonAtRunTime => {
            build.define("OPUS_HAVE_RTCD", None).define("OPUS_ARM_MAY_HAVE_NEON_INTR", None);
        }
        Simd::Scalar => {}
    }
    build
}

/// A header that renames every symbol, forced into each file.
///
/// Another copy of libopus in the same program then cannot collide with this one, nor can another version of this
/// package: the version is part of the name.
fn private_names() -> String {
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets CARGO_PKG_VERSION");
    let version: String = version.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut text = String::from("/* Generated: private names for every symbol of this copy of CELT. */\n");
    for symbol in SYMBOLS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let _ = writeln!(text, "#define {symbol} jam_mixer_{version}_{symbol}");
    }
    println!("cargo:rustc-env=JAM_MIXER_SYMBOL_VERSION={version}");
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

    fn simd(&self) -> Simd {
        match self.arch.as_str() {
            "x86_64" => Simd::X86,
            "x86" if self.has("sse2") => Simd::X86,
            "aarch64" if self.has("neon") && !self.msvc => Simd::Neon,
            "arm" if self.has("neon") => Simd::Neon,
            // The check reads /proc/cpuinfo; NEON files link only with the hardware floating point ABI.
            "arm" if self.os == "linux" && self.abi == "eabihf" => Simd::NeonAtRunTime,
            _ => Simd::Scalar,
        }
    }
}
