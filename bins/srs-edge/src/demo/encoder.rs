//! A very small H.264 encoder: pictures of one colour per macroblock, Constrained Baseline profile.
//!
//! Key pictures are coded as 16x16 intra macroblocks whose only coefficients are those of the mean; other pictures skip
//! the macroblocks that stay and code the rest the same way. That needs few bits and no search, and every decoder
//! reproduces it exactly.

use super::bits::BitWriter;

/// Quantiser of all macroblocks: steps of the mean are fine enough for every value of a sample to be met.
const QP: i32 = 18;
/// What one step of a mean coefficient adds to every sample, in 64ths, at that quantiser (luma, chroma).
const STEP: [i32; 2] = [20, 40];
/// Bits of `frame_num`.
const FRAME_NUM_BITS: u32 = 8;

/// Luma and the two colour differences.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Colour(pub(super) [u8; 3]);

/// What a decoder predicts where there is no neighbour.
const NEUTRAL: Colour = Colour([128; 3]);

/// Width and height of pictures, in macroblocks, and the lines that are cut off at the bottom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// An even number.
    pub(super) cut_lines: u32,
}

/// Makes coded pictures.
#[derive(Debug)]
pub(super) struct Encoder {
    size: Size,
    /// The last picture as a decoder has it.
    decoded: Vec<Colour>,
    frame_num: u32,
    key_pictures: u32,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Slice {
    Key,
    Inter,
}

impl Encoder {
    pub(super) fn new(size: Size) -> Self {
        Self { size, decoded: vec![NEUTRAL; size.columns * size.rows], frame_num: 0, key_pictures: 0 }
    }

    /// The sequence parameter set.
    pub(super) fn sps(&self) -> Vec<u8> {
        let mut w = BitWriter::default();
        let Size { columns, rows, cut_lines } = self.size;
        w.bits(66, 8); // profile: Baseline,
        w.bits(0xc0, 8); // constrained;
        w.bits(30, 8); // level 3
        w.ue(0); // id
        w.ue(FRAME_NUM_BITS - 4);
        w.ue(2); // pictures are shown in the order of decoding
        w.ue(1); // reference pictures
        w.bits(0, 1);
        w.ue(columns as u32 - 1);
        w.ue(rows as u32 - 1);
        w.bits(1, 1); // frames, not fields
        w.bits(1, 1); // direct_8x8_inference
        w.bits(u32::from(cut_lines > 0), 1);
        if cut_lines > 0 {
            for cut in [0, 0, 0, cut_lines / 2] {
                w.ue(cut);
            }
        }
        w.bits(0, 1); // no VUI
        w.into_nal(0x67)
    }

    /// The picture parameter set.
    pub(super) fn pps(&self) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.ue(0); // id
        w.ue(0); // of the sequence parameter set
        w.bits(0, 1); // CAVLC
        w.bits(0, 1);
        w.ue(0); // one slice group
        w.ue(0); // one reference picture
        w.ue(0);
        w.bits(0, 1); // no weights
        w.bits(0, 2);
        w.se(QP - 26);
        w.se(0);
        w.se(0); // chroma has the same quantiser
        w.bits(1, 1); // slices say how to deblock
        w.bits(0, 1);
        w.bits(0, 1);
        w.into_nal(0x68)
    }

    /// A picture that needs no other one. `picture` has a colour per macroblock, row by row.
    pub(super) fn key(&mut self, picture: &[Colour]) -> Vec<u8> {
        self.frame_num = 0;
        self.key_pictures += 1;
        self.slice(Slice::Key, picture)
    }

    /// A picture that changes the last one.
    pub(super) fn inter(&mut self, picture: &[Colour]) -> Vec<u8> {
        self.frame_num = (self.frame_num + 1) % (1 << FRAME_NUM_BITS);
        self.slice(Slice::Inter, picture)
    }

    fn slice(&mut self, slice: Slice, picture: &[Colour]) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.ue(0); // first macroblock
        w.ue(if slice == Slice::Key { 7 } else { 5 });
        w.ue(0); // picture parameter set
        w.bits(self.frame_num, FRAME_NUM_BITS);
        if slice == Slice::Key {
            w.ue(self.key_pictures % 2); // neighbours in time differ
            w.bits(0, 2); // no old pictures are kept
        } else {
            w.bits(0, 1); // as many reference pictures as usual,
            w.bits(0, 1); // in the usual order,
            w.bits(0, 1); // kept in the usual way
        }
        w.se(0); // quantiser as in the parameter set
        w.ue(1); // no deblocking: it would soften what the next picture is predicted from

        let mut skipped = 0;
        for index in 0..self.decoded.len() {
            let wanted = picture.get(index).copied().unwrap_or(NEUTRAL);
            if slice == Slice::Inter {
                if self.decoded.get(index) == Some(&wanted) {
                    skipped += 1;
                    continue;
                }
                w.ue(skipped);
                skipped = 0;
            }
            let decoded = self.macroblock(&mut w, slice, index, wanted);
            if let Some(place) = self.decoded.get_mut(index) {
                *place = decoded;
            }
        }
        if slice == Slice::Inter && skipped > 0 {
            w.ue(skipped);
        }
        w.into_nal(if slice == Slice::Key { 0x65 } else { 0x41 })
    }

    /// Codes one macroblock and returns what a decoder makes of it.
    fn macroblock(&self, w: &mut BitWriter, slice: Slice, index: usize, wanted: Colour) -> Colour {
        let columns = self.size.columns;
        // The prediction is the edge of the left or the upper neighbour, which is of one colour.
        let (luma_mode, chroma_mode, predicted) = if !index.is_multiple_of(columns) {
            (1, 1, self.decoded.get(index - 1))
        } else if index >= columns {
            (0, 2, self.decoded.get(index - columns))
        } else {
            (2, 0, None)
        };
        let predicted = predicted.copied().unwrap_or(NEUTRAL);
        let steps = |plane: usize| {
            let (from, to) = (predicted.0[plane], wanted.0[plane]);
            let step = STEP[plane.min(1)];
            let distance = 64 * (i32::from(to) - i32::from(from));
            // To the nearest step.
            (2 * distance + distance.signum() * step) / (2 * step)
        };
        let levels = [steps(0), steps(1), steps(2)];
        let chroma = levels[1] != 0 || levels[2] != 0;
        // Of the 24 types of 16x16 intra macroblocks, those without coefficients beside the means.
        let kind = 1 + luma_mode + if chroma { 4 } else { 0 };
        w.ue(kind + if slice == Slice::Inter { 5 } else { 0 });
        w.ue(chroma_mode);
        w.se(0); // quantiser as before
        mean(w, levels[0], Plane::Luma);
        if chroma {
            mean(w, levels[1], Plane::Chroma);
            mean(w, levels[2], Plane::Chroma);
        }
        Colour(std::array::from_fn(|plane| {
            let change = (levels[plane] * STEP[plane.min(1)] + 32) >> 6;
            (i32::from(predicted.0[plane]) + change).clamp(0, 255) as u8
        }))
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Plane {
    Luma,
    Chroma,
}

/// A block of coefficients of which only the first is not zero, in CAVLC.
fn mean(w: &mut BitWriter, level: i32, plane: Plane) {
    if level == 0 {
        // No coefficient.
        return match plane {
            Plane::Luma => w.bits(0b1, 1),
            Plane::Chroma => w.bits(0b01, 2),
        };
    }
    if level.abs() == 1 {
        // One coefficient, a "trailing one", with its sign.
        match plane {
            Plane::Luma => w.bits(0b01, 2),
            Plane::Chroma => w.bits(0b1, 1),
        }
        w.bits(u32::from(level < 0), 1);
    } else {
        match plane {
            Plane::Luma => w.bits(0b00_0101, 6),
            Plane::Chroma => w.bits(0b00_0111, 6),
        }
        // It cannot be 1 or -1, so the codes of those are free for the next ones.
        let magnitude = level.unsigned_abs() - 2;
        let code = 2 * magnitude + u32::from(level < 0);
        match code {
            0..14 => w.bits(1, code + 1),
            14..30 => {
                w.bits(1, 15);
                w.bits(code - 14, 4);
            }
            _ => {
                w.bits(1, 16);
                w.bits(code - 30, 12);
            }
        }
    }
    // No zeros in front of it.
    w.bits(1, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 4, rows: 3, cut_lines: 8 };

    #[test]
    fn a_decoder_ends_up_with_the_wanted_colours() {
        let mut encoder = Encoder::new(SIZE);
        let picture: Vec<Colour> =
            (0..12).map(|n| Colour([16 + n * 19, 240 - n * 17, 30 + n * 15])).collect();
        let key = encoder.key(&picture);
        assert_eq!(key[0], 0x65);
        for (decoded, wanted) in encoder.decoded.iter().zip(&picture) {
            assert_eq!(decoded, wanted);
        }
    }

    #[test]
    fn what_stays_costs_nothing() {
        let mut encoder = Encoder::new(SIZE);
        let mut picture = vec![Colour([90, 100, 110]); 12];
        encoder.key(&picture);
        let still = encoder.inter(&picture);
        picture[5] = Colour([200, 100, 110]);
        let moved = encoder.inter(&picture);
        assert!(still.len() < moved.len() && moved.len() < 12, "{} {}", still.len(), moved.len());
        assert_eq!(encoder.decoded[5], picture[5]);
    }
}
