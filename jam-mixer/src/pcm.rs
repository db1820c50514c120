//! Samples of one tick: peaks, sides, and the way from the mix's floats back to 16 bits.

/// The largest magnitude of `samples`, 0 to 32768.
#[must_use]
pub(crate) fn peak(samples: &[i16]) -> u16 {
    /// What a processor with 128-bit registers compares at once.
    const LANES: usize = 8;
    // Running extremes instead of absolute values, in lanes: this is what processors have instructions for. A fold
    // over single samples stays one when the program that uses the engine is optimised for size.
    let (mut low, mut high) = ([0i16; LANES], [0i16; LANES]);
    let (rows, rest) = samples.as_chunks::<LANES>();
    for row in rows {
        for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(row) {
            *low = x.min(*low);
            *high = x.max(*high);
        }
    }
    let ends = low.iter().chain(&high).chain(rest);
    ends.fold(0, |peak, x| x.unsigned_abs().max(peak))
}

/// Ends a sum: saturates to 16 bits and cuts the fraction off towards zero (spec 5.7).
#[inline]
#[must_use]
pub(crate) fn to_sample(sum: f32) -> i16 {
    // That is what `as` does, and it does so for several samples at once.
    sum as i16
}

/// Writes the samples of one side.
pub(crate) fn write_mono(pcm: &mut [i16], sums: &[f32]) {
    for (out, &sum) in pcm.iter_mut().zip(sums) {
        *out = to_sample(sum);
    }
}

/// Writes both sides, interleaved.
pub(crate) fn write_stereo(pcm: &mut [i16], left: &[f32], right: &[f32]) {
    let (pairs, _) = pcm.as_chunks_mut::<2>();
    for ((pair, &l), &r) in pairs.iter_mut().zip(left).zip(right) {
        *pair = [to_sample(l), to_sample(r)];
    }
}

/// Fades `pcm` of interleaved `sides` linearly to silence: the last sounds of a source that stopped.
pub(crate) fn fade_out(pcm: &mut [i16], sides: usize) {
    let samples = (pcm.len() / sides) as i32;
    for (n, sample) in pcm.chunks_exact_mut(sides).enumerate() {
        for x in sample {
            *x = (i32::from(*x) * (samples - 1 - n as i32) / samples) as i16;
        }
    }
}

/// Fades `pcm` of interleaved `sides` linearly in from silence: the first sounds of a source that resumes.
pub(crate) fn fade_in(pcm: &mut [i16], sides: usize) {
    let samples = (pcm.len() / sides) as i32;
    for (n, sample) in pcm.chunks_exact_mut(sides).enumerate() {
        for x in sample {
            *x = (i32::from(*x) * (n as i32 + 1) / samples) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_counts_both_polarities() {
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[0, 5, -3]), 5);
        assert_eq!(peak(&[0, 5, -30]), 30);
        assert_eq!(peak(&[i16::MIN, i16::MAX]), 32768);
    }

    #[test]
    fn sums_saturate_and_lose_their_fraction_towards_zero() {
        for (sum, sample) in [
            (0.0, 0),
            (0.99, 0),
            (-0.99, 0),
            (1.5, 1),
            (-1.5, -1),
            (32766.9, 32766),
            (32767.5, 32767),
            (40000.0, 32767),
            (-32768.9, -32768),
            (-4.0e6, -32768),
        ] {
            assert_eq!(to_sample(sum), sample, "{sum}");
        }
    }

    #[test]
    fn a_fade_out_ends_at_zero() {
        let mut pcm = [1000i16; 8];
        fade_out(&mut pcm, 2);
        assert_eq!(pcm, [750, 750, 500, 500, 250, 250, 0, 0]);
    }

    #[test]
    fn a_fade_in_ends_at_full_level() {
        let mut pcm = [-1000i16; 8];
        fade_in(&mut pcm, 2);
        assert_eq!(pcm, [-250, -250, -500, -500, -750, -750, -1000, -1000]);
    }
}
