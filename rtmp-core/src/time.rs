//! Media time: 32-bit milliseconds that wrap after 49.7 days.

use std::fmt;

/// A media time of the protocol in milliseconds, modulo 2^32.
///
/// Timestamps wrap, so they have no total order; compare two of them with [`since`](Self::since), which is right as
/// long as they are less than 24.8 days apart (spec 3.3).
///
/// ```
/// use rtmp_core::Timestamp;
///
/// let before = Timestamp::from_millis(0xffff_fff0);
/// let after = before + 0x20;
/// assert_eq!(after.millis(), 0x10);
/// assert_eq!(after.since(before), 0x20);
/// assert_eq!(before.since(after), -0x20);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Timestamp(u32);

impl Timestamp {
    /// The time 0.
    pub const ZERO: Self = Self(0);

    /// A time of so many milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// Milliseconds, modulo 2^32.
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// Signed milliseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// This time moved by `millis`, forwards or backwards.
    #[must_use]
    pub const fn shifted(self, millis: i32) -> Self {
        Self(self.0.wrapping_add(millis.cast_unsigned()))
    }
}

impl std::ops::Add<u32> for Timestamp {
    type Output = Self;

    fn add(self, millis: u32) -> Self {
        Self(self.0.wrapping_add(millis))
    }
}

impl From<u32> for Timestamp {
    fn from(millis: u32) -> Self {
        Self(millis)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
