//! How much coding hurts a sound: signal to noise ratio and noise to mask ratio.

use std::f64::consts::TAU;
use std::sync::LazyLock;

/// Samples of one analysed stretch: 21 ms.
const WINDOW: usize = 1024;
/// Upper edges of the critical bands in Hz (Zwicker's table, continued to the codec's limit of 20 kHz).
const BAND_EDGES: [f64; 25] = [
    100.0, 200.0, 300.0, 400.0, 510.0, 630.0, 770.0, 920.0, 1080.0, 1270.0, 1480.0, 1720.0, 2000.0, 2320.0,
    2700.0, 3150.0, 3700.0, 4400.0, 5300.0, 6400.0, 7700.0, 9500.0, 12_000.0, 15_500.0, 20_000.0,
];
/// A masker hides what lies this much below it in its own band.
const MASK_OFFSET_DB: f64 = 14.0;
/// How fast masking falls per band below and above the masker.
const MASK_SLOPE_DOWN_DB: f64 = 27.0;
const MASK_SLOPE_UP_DB: f64 = 10.0;
/// What nobody hears at concert level: per band, relative to a full-scale square (about 96 dB below it).
const ABSOLUTE_THRESHOLD: f64 = 2.5e-10;

/// What coding did to a sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// Signal to noise ratio over the whole sound, in dB. Larger is better.
    pub snr_db: f64,
    /// Noise to mask ratio: noise over masking threshold per critical band, mean over bands and time, in dB.
    /// Smaller is better; below 0 the noise is masked on the average.
    pub nmr_db: f64,
    /// The noise to mask ratio that the worst twentieth of the stretches exceeds, in dB.
    pub nmr_worst_db: f64,
}

/// Compares what was heard with the original; both interleaved, already aligned.
#[must_use]
pub fn compare(original: &[i16], heard: &[i16], sides: usize) -> Quality {
    let (mut power, mut noise) = (1e-9, 1e-9);
    for (original, heard) in original.iter().zip(heard) {
        power += f64::from(*original).powi(2);
        noise += (f64::from(*original) - f64::from(*heard)).powi(2);
    }
    let mut stretches = Vec::new();
    let samples = original.len().min(heard.len()) / sides;
    for side in 0..sides {
        for start in (0..samples.saturating_sub(WINDOW)).step_by(WINDOW / 2) {
            let at = |pcm: &[i16], n: usize| f64::from(pcm[(start + n) * sides + side]) / 32_768.0;
            let signal = band_powers(|n| at(original, n));
            // Silence has nothing to mask with and nothing to hurt.
            if signal.iter().sum::<f64>() < 1e-8 {
                continue;
            }
            let noise = band_powers(|n| at(original, n) - at(heard, n));
            let mask = masking_threshold(&signal);
            let ratios = noise.iter().zip(&mask).map(|(noise, mask)| noise / mask);
            let mean = ratios.map(|ratio| 10.0 * (ratio + 1e-6).log10()).sum::<f64>() / noise.len() as f64;
            stretches.push(mean);
        }
    }
    stretches.sort_by(f64::total_cmp);
    let count = stretches.len().max(1) as f64;
    Quality {
        snr_db: 10.0 * (power / noise).log10(),
        nmr_db: stretches.iter().sum::<f64>() / count,
        nmr_worst_db: stretches.get(stretches.len() * 19 / 20).copied().unwrap_or_default(),
    }
}

/// The masking threshold of each band: the signal spread over its neighbours, lowered by the offset.
fn masking_threshold(signal: &[f64; 25]) -> [f64; 25] {
    std::array::from_fn(|band| {
        let mut mask = ABSOLUTE_THRESHOLD;
        for (masker, power) in signal.iter().enumerate() {
            let distance = band as f64 - masker as f64;
            let slope = if distance < 0.0 { -MASK_SLOPE_DOWN_DB } else { MASK_SLOPE_UP_DB };
            mask += power * 10_f64.powf((-MASK_OFFSET_DB - distance * slope) / 10.0);
        }
        mask
    })
}

/// Power per critical band of a windowed stretch.
fn band_powers(sample: impl Fn(usize) -> f64) -> [f64; 25] {
    let mut re: Vec<f64> = (0..WINDOW)
        .map(|n| sample(n) * (0.5 - 0.5 * (TAU * n as f64 / WINDOW as f64).cos()) / WINDOW as f64)
        .collect();
    let mut im = vec![0.0; WINDOW];
    fft(&mut re, &mut im);
    let mut bands = [0.0; 25];
    let mut band = 0;
    for bin in 1..WINDOW / 2 {
        let hertz = bin as f64 * 48_000.0 / WINDOW as f64;
        while band < bands.len() && hertz > BAND_EDGES[band] {
            band += 1;
        }
        if let Some(power) = bands.get_mut(band) {
            *power += re[bin].powi(2) + im[bin].powi(2);
        }
    }
    bands
}

/// The discrete Fourier transform in place, of one stretch.
fn fft(re: &mut [f64], im: &mut [f64]) {
    static TURNS: LazyLock<Vec<(f64, f64)>> =
        LazyLock::new(|| (0..WINDOW / 2).map(|k| (-TAU * k as f64 / WINDOW as f64).sin_cos()).collect());
    let turns = &*TURNS;
    let n = WINDOW;
    let mut j = 0;
    for i in 1..n {
        let mut bit = n >> 1;
        while j & bit != 0 {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        for start in (0..n).step_by(2 * half) {
            for k in 0..half {
                let (sin, cos) = turns[k * (n / 2 / half)];
                let (a, b) = (start + k, start + k + half);
                let (x, y) = (re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos);
                (re[b], im[b]) = (re[a] - x, im[a] - y);
                (re[a], im[a]) = (re[a] + x, im[a] + y);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, amplitude: f64) -> Vec<i16> {
        (0..48_000).map(|n| (amplitude * (TAU * hertz * f64::from(n) / 48_000.0).sin()) as i16).collect()
    }

    fn sum(a: &[i16], b: &[i16]) -> Vec<i16> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    #[test]
    fn equal_noise_hurts_less_beside_the_tone_that_masks_it() {
        let signal = tone(1_000.0, 10_000.0);
        let near = compare(&signal, &sum(&signal, &tone(1_050.0, 1_000.0)), 1);
        let far = compare(&signal, &sum(&signal, &tone(200.0, 1_000.0)), 1);
        assert!((near.snr_db - far.snr_db).abs() < 0.1, "{near:?} {far:?}");
        assert!(near.nmr_db + 0.5 < far.nmr_db, "{near:?} {far:?}");
    }

    #[test]
    fn more_noise_is_worse_in_both_measures() {
        let signal = tone(1_000.0, 10_000.0);
        let less = compare(&signal, &sum(&signal, &tone(3_000.0, 100.0)), 1);
        let more = compare(&signal, &sum(&signal, &tone(3_000.0, 1_000.0)), 1);
        assert!(more.snr_db + 19.0 < less.snr_db, "{less:?} {more:?}");
        assert!(more.nmr_db > less.nmr_db && more.nmr_worst_db > less.nmr_worst_db, "{less:?} {more:?}");
    }
}
