//! Bits of an H.264 stream.

/// Writes bits, most significant first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits in use of the last byte; 0 is none.
    used: u8,
}

impl BitWriter {
    /// The lowest `count` bits of `value`.
    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            let bit = (value.checked_shr(shift).unwrap_or(0) & 1) as u8;
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// An unsigned Exp-Golomb code.
    pub(super) fn ue(&mut self, value: u32) {
        let code = value + 1;
        let length = 32 - code.leading_zeros();
        self.bits(0, length - 1);
        self.bits(code, length);
    }

    /// A signed Exp-Golomb code.
    pub(super) fn se(&mut self, value: i32) {
        let magnitude = value.unsigned_abs();
        self.ue(if value > 0 { 2 * magnitude - 1 } else { 2 * magnitude });
    }

    /// Ends the stream as the payload of a NAL unit ends, and puts it into one with the header `header`.
    pub(super) fn into_nal(mut self, header: u8) -> Vec<u8> {
        self.bits(1, 1);
        let mut nal = vec![header];
        let mut zeros = 0;
        for byte in self.bytes {
            // Three bytes that look like a start code are kept apart.
            if zeros == 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let mut bits = BitWriter::default();
        for value in [0, 1, 2, 3] {
            bits.ue(value); // 1 010 011 00100
        }
        for value in [0, 1, -1, 2] {
            bits.se(value); // 1 010 011 00100
        }
        assert_eq!(bits.into_nal(0x67), [0x67, 0b1010_0110, 0b0100_1010, 0b0110_0100, 0x80]);
    }

    #[test]
    fn no_start_code_is_inside() {
        let mut bits = BitWriter::default();
        bits.bits(1, 24);
        bits.bits(0, 24);
        assert_eq!(bits.into_nal(0x65), [0x65, 0, 0, 3, 1, 0, 0, 3, 0, 0x80]);
    }
}
