//! The inner loops of mixing: slices and numbers only.
//!
//! Sums are formed in ascending channel order with one multiplication and one addition per term, as the plain double
//! loop does, so the direct kernels give its results bit for bit.

/// Adds `source` to `sum`.
pub(crate) fn add(sum: &mut [f32], source: &[f32]) {
    for (s, &x) in sum.iter_mut().zip(source) {
        *s += x;
    }
}

/// Takes `source` out of `sum`.
pub(crate) fn subtract(sum: &mut [f32], source: &[f32]) {
    for (s, &x) in sum.iter_mut().zip(source) {
        *s -= x;
    }
}

/// Adds `weight * source` to `sum`.
pub(crate) fn add_scaled(sum: &mut [f32], source: &[f32], weight: f32) {
    for (s, &x) in sum.iter_mut().zip(source) {
        *s += weight * x;
    }
}

/// Mixes computed together by [`matrix`]: each loaded sample is used so many times.
pub(crate) const LISTENERS: usize = 4;

/// A weight once per lane of the narrowest vector registers, so that the inner loop need not spread it.
pub(crate) type Lanes = [f32; 4];

/// Samples of a listener that are summed at a time: two registers each, eight of the sixteen there are.
const TILE: usize = 2 * size_of::<Lanes>() / size_of::<f32>();

/// [`LISTENERS`] mixes at once: `sums[l] = Σ weights[s][l] * source s`, sources ascending.
///
/// `sources` holds one source every `stride` floats, starting `lead` floats in; the order of `weights` is the same.
/// `samples` is a multiple of 8. About 22 multiplications and additions per nanosecond on a 2.7 GHz machine with
/// nothing but the baseline instruction set.
pub(crate) fn matrix(
    sums: &mut [Vec<f32>; LISTENERS],
    sources: &[f32],
    stride: usize,
    lead: usize,
    weights: &[[Lanes; LISTENERS]],
    samples: usize,
) {
    for start in (0..samples).step_by(TILE) {
        let mut tiles = [[Lanes::default(); 2]; LISTENERS];
        for (source, weights) in sources.chunks_exact(stride).zip(weights) {
            let Some(x) = source.get(lead + start..).and_then(<[f32]>::first_chunk::<TILE>) else { break };
            let (x, _) = x.as_chunks::<4>();
            for (tile, weight) in tiles.iter_mut().zip(weights) {
                for (sums, x) in tile.iter_mut().zip(x) {
                    for ((sum, &x), &weight) in sums.iter_mut().zip(x).zip(weight) {
                        *sum += weight * x;
                    }
                }
            }
        }
        for (sums, tile) in sums.iter_mut().zip(&tiles) {
            if let Some(out) = sums.get_mut(start..start + TILE) {
                out.copy_from_slice(tile.as_flattened());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_matrix_kernel_gives_the_plain_sums_bit_for_bit(
            seed in any::<u32>(), sources in 0usize..40, lead in prop::sample::select(vec![0usize, 64]),
            samples in prop::sample::select(vec![64usize, 128]),
        ) {
            let mut state = seed;
            let mut random = move || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32
            };
            let stride = lead + samples + 16;
            let plane: Vec<f32> = (0..sources * stride).map(|_| random() / 256.0 - 32768.0).collect();
            let weights: Vec<[Lanes; LISTENERS]> =
                (0..sources).map(|_| std::array::from_fn(|_| [random() / 8_388_608.0; 4])).collect();
            let mut sums: [Vec<f32>; LISTENERS] = std::array::from_fn(|_| vec![f32::NAN; samples]);
            matrix(&mut sums, &plane, stride, lead, &weights, samples);
            for (l, row) in sums.iter().enumerate() {
                let mut plain = vec![0.0; samples];
                for (source, weights) in plane.chunks_exact(stride).zip(&weights) {
                    add_scaled(&mut plain, &source[lead..], weights[l][0]);
                }
                prop_assert_eq!(row, &plain);
            }
        }
    }
}
