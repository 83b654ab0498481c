//! Why a scan stopped.

use std::num::NonZeroU64;

/// Why a scan stopped, in eight bytes, so that what a scan finds comes back in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanError(NonZeroU64);

/// What a text that is no JSON should have had somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Expected {
    Token,
    Key,
    Colon,
    Value,
    Digit,
    NoLeadingZero,
    Escape,
    HexDigits,
    ObjectGoesOn,
    ListGoesOn,
    ContainerGoesOn,
    ElementEnd,
    RecordEnd,
}

impl Expected {
    /// In words, in the order of the variants.
    const WORDS: [&str; Self::RecordEnd as usize + 1] = [
        "a JSON token",
        "a key",
        "`:`",
        "a value",
        "a digit",
        "a number without leading zeros",
        "an escape of JSON",
        "four hexadecimal digits",
        "`,` or `}`",
        "`,` or `]`",
        "`,` or the end of the object or list",
        "the end of an element",
        "the end of a record",
    ];
}

impl ScanError {
    /// The text ends inside the value.
    pub(crate) const END: Self = Self(NonZeroU64::MAX);
    /// The lowest bits of the number less one say what was expected, the others where.
    const EXPECTED_BITS: u32 = 8;

    /// The text is no JSON here.
    #[cold]
    pub(super) fn invalid(at: usize, expected: Expected) -> Self {
        let packed = (at as u64) << Self::EXPECTED_BITS | expected as u64;
        Self(NonZeroU64::new(packed + 1).unwrap_or(NonZeroU64::MIN))
    }

    /// Where the text is no JSON, counted like the scanner's position, and what was expected there. `None` when it ends
    /// too early.
    pub(crate) fn invalid_at(self) -> Option<(usize, &'static str)> {
        let packed = self.0.get() - 1;
        let word = packed & ((1 << Self::EXPECTED_BITS) - 1);
        let word = *Expected::WORDS.get(word as usize)?;
        Some(((packed >> Self::EXPECTED_BITS) as usize, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_and_where_comes_back() {
        assert_eq!(ScanError::END.invalid_at(), None);
        for at in [0, 1, 255, 256, usize::MAX >> 9] {
            let first = ScanError::invalid(at, Expected::Token);
            assert_eq!(first.invalid_at(), Some((at, "a JSON token")));
            let last = ScanError::invalid(at, Expected::RecordEnd);
            assert_eq!(last.invalid_at(), Some((at, "the end of a record")));
        }
        assert_eq!(size_of::<Result<(), ScanError>>(), 8);
    }
}
