//! The 44 bytes before the samples (spec 7.3).

use jam_proto::Layout;

/// Bytes before the first sample.
pub(super) const HEADER_BYTES: usize = 44;
/// The data size while a file is open: players then read to the end of the file, so a crash loses nothing.
const OPEN_DATA_BYTES: u32 = 0x7fff_f000;
const RATE: u32 = 48_000;
/// What the RIFF size counts besides the samples.
const RIFF_EXTRA: u32 = 36;
/// The most sample bytes whose sizes fit 32 bits.
pub(super) const DATA_BYTES_MAX: u64 = (u32::MAX - RIFF_EXTRA) as u64;

/// The header of a file that is still being written.
pub(super) fn open_header(layout: Layout) -> [u8; HEADER_BYTES] {
    header(layout, 0, OPEN_DATA_BYTES)
}

/// The header of a complete file.
pub(super) fn closed_header(layout: Layout, data_bytes: u64) -> [u8; HEADER_BYTES] {
    let data_bytes = data_bytes.min(DATA_BYTES_MAX) as u32;
    header(layout, data_bytes + RIFF_EXTRA, data_bytes)
}

fn header(layout: Layout, riff_bytes: u32, data_bytes: u32) -> [u8; HEADER_BYTES] {
    let sides = layout.sides() as u16;
    let align = 2 * sides;
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &riff_bytes.to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &sides.to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * u32::from(align)).to_le_bytes(),
        &align.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data_bytes.to_le_bytes(),
    ];
    let mut header = [0; HEADER_BYTES];
    for (to, &from) in header.iter_mut().zip(fields.iter().copied().flatten()) {
        *to = from;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_file_has_no_riff_size_and_a_large_data_size() {
        let expected = [
            b'R', b'I', b'F', b'F', 0, 0, 0, 0, b'W', b'A', b'V', b'E', b'f', b'm', b't', b' ', 16, 0, 0, 0,
            1, 0, 2, 0, 0x80, 0xbb, 0, 0, 0x00, 0xee, 0x02, 0, 4, 0, 16, 0, b'd', b'a', b't', b'a', 0x00,
            0xf0, 0xff, 0x7f,
        ];
        assert_eq!(open_header(Layout::Stereo), expected);
    }

    #[test]
    fn a_closed_file_has_its_true_sizes() {
        let header = closed_header(Layout::Mono, 256);
        assert_eq!(header[4..8], 292_u32.to_le_bytes());
        assert_eq!(header[40..44], 256_u32.to_le_bytes());
        assert_eq!(header[22..24], [1, 0]);
        assert_eq!(header[28..34], [0x00, 0x77, 0x01, 0, 2, 0]);
    }
}
