//! What the built-in stream shows: colour bars, a running clock, a block that runs along the bottom.

use super::encoder::{Colour, Size};

/// Pictures per second.
pub(super) const PICTURES_PER_SECOND: u32 = 25;
/// 640 x 360.
pub(super) const SIZE: Size = Size { columns: 40, rows: 23, cut_lines: 8 };

/// White, yellow, cyan, green, magenta, red, blue, black at 75 % (BT.601).
const BARS: [Colour; 8] = [
    Colour([180, 128, 128]),
    Colour([162, 44, 142]),
    Colour([131, 156, 44]),
    Colour([112, 72, 58]),
    Colour([84, 184, 198]),
    Colour([65, 100, 212]),
    Colour([35, 212, 114]),
    Colour([16, 128, 128]),
];
const BLACK: Colour = Colour([16, 128, 128]);
const GREY: Colour = Colour([60, 128, 128]);
const WHITE: Colour = Colour([235, 128, 128]);

/// The rows with the clock, the clock's first row, and its first column.
const CLOCK: std::ops::Range<usize> = 7..16;
const TEXT: (usize, usize) = (9, 5);
const RUNNER_ROWS: std::ops::Range<usize> = 19..21;
const RUNNER_COLUMNS: usize = 3;

/// Digits and the colon, five rows of three columns, the left one the highest bit.
const FONT: [[u8; 5]; 11] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [0, 2, 0, 2, 0],
];

/// The picture with this number, a colour for each macroblock.
pub(super) fn picture(number: u32) -> Vec<Colour> {
    let clock = clock(number / PICTURES_PER_SECOND);
    let places = SIZE.rows * SIZE.columns;
    (0..places).map(|place| colour(place / SIZE.columns, place % SIZE.columns, number, &clock)).collect()
}

fn colour(row: usize, column: usize, number: u32, clock: &[usize; 8]) -> Colour {
    if CLOCK.contains(&row) {
        return if is_ink(row, column, clock) { WHITE } else { BLACK };
    }
    if RUNNER_ROWS.contains(&row) {
        // Half a macroblock a picture, from edge to edge and back.
        let range = SIZE.columns - RUNNER_COLUMNS;
        let way = (number as usize / 2) % (2 * range);
        let left = way.min(2 * range - way);
        return if (left..left + RUNNER_COLUMNS).contains(&column) { WHITE } else { GREY };
    }
    if row >= CLOCK.end {
        return GREY;
    }
    BARS.get(column * BARS.len() / SIZE.columns).copied().unwrap_or(BLACK)
}

fn is_ink(row: usize, column: usize, clock: &[usize; 8]) -> bool {
    let (Some(y), Some(x)) = (row.checked_sub(TEXT.0), column.checked_sub(TEXT.1)) else { return false };
    // Four columns for each sign, the fourth one empty.
    let sign = clock.get(x / 4).and_then(|&sign| FONT.get(sign)).and_then(|sign| sign.get(y));
    x % 4 < 3 && sign.is_some_and(|bits| bits >> (2 - x % 4) & 1 == 1)
}

/// Indices into [`FONT`] for `HH:MM:SS`.
fn clock(seconds: u32) -> [usize; 8] {
    let [h, m, s] = [seconds / 3600 % 100, seconds / 60 % 60, seconds % 60].map(|part| part as usize);
    [h / 10, h % 10, 10, m / 10, m % 10, 10, s / 10, s % 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock's rows as text.
    fn shown(number: u32) -> Vec<String> {
        let picture = picture(number);
        let rows = picture.chunks(SIZE.columns).skip(TEXT.0).take(5);
        rows.map(|row| {
            row.iter().skip(TEXT.1).take(31).map(|c| if *c == WHITE { '#' } else { ' ' }).collect()
        })
        .collect()
    }

    #[test]
    fn the_clock_runs() {
        assert_eq!(
            shown(25 * (12 * 3600 + 34 * 60 + 5)),
            [
                " #  ###     ### # #     ### ###",
                "##    #  #    # # #  #  # # #  ",
                " #  ###      ## ###     # # ###",
                " #  #    #    #   #  #  # #   #",
                "### ###     ###   #     ### ###",
            ]
        );
    }

    #[test]
    fn pictures_move() {
        assert_ne!(picture(0), picture(2));
        assert_eq!(picture(0).len(), 40 * 23);
        assert_eq!(picture(0)[0], BARS[0]);
        assert_eq!(picture(0)[39], BARS[7]);
    }
}
