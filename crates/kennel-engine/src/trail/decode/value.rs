//! What is known of a value in a record: where it lies, and what it is.

use std::ops::Range;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// There is none.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string; its span includes the quotes.
    String,
    /// An object.
    Object,
    /// A list.
    Array,
}

/// Where a value lies in its record, as bytes from the record's beginning, and what it is. A batch holds millions of
/// them: what is known of one takes eight bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Value {
    start: u32,
    /// Its length, then what the constants name.
    rest: u32,
}

impl Value {
    const KINDS: [Kind; 7] = [
        Kind::Absent,
        Kind::Null,
        Kind::Boolean,
        Kind::Number,
        Kind::String,
        Kind::Object,
        Kind::Array,
    ];
    const KIND: u32 = 0b111;
    const ESCAPED: u32 = 1 << 3;
    const LOOSE: u32 = 1 << 4;
    const LENGTH_AT: u32 = 5;
    /// No value that is held is longer, since no record is.
    const MOST_BYTES: usize = (u32::MAX >> Self::LENGTH_AT) as usize;

    #[inline]
    pub(super) fn new(span: Range<usize>, kind: Kind, is_escaped: bool, is_loose: bool) -> Self {
        // A record that is longer is refused once its end is found.
        let length = span.len().min(Self::MOST_BYTES) as u32;
        Self {
            start: u32::try_from(span.start).unwrap_or(u32::MAX),
            rest: (length << Self::LENGTH_AT)
                | (u32::from(is_loose) * Self::LOOSE)
                | (u32::from(is_escaped) * Self::ESCAPED)
                | kind as u32,
        }
    }

    /// Where it lies.
    #[inline]
    pub(crate) fn span(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + (self.rest >> Self::LENGTH_AT) as usize
    }

    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        Self::KINDS[(self.rest & Self::KIND) as usize % Self::KINDS.len()]
    }

    /// Whether a string has an escape.
    #[inline]
    pub(crate) fn is_escaped(&self) -> bool {
        self.rest & Self::ESCAPED != 0
    }

    /// Whether the text is not compact, valid JSON as it stands: blanks outside strings, control characters in
    /// them, or lone surrogates.
    #[inline]
    pub(crate) fn is_loose(&self) -> bool {
        self.rest & Self::LOOSE != 0
    }

    /// Its JSON text, as written.
    #[inline]
    pub(crate) fn raw<'t>(&self, record: &'t str) -> &'t str {
        &record[self.span()]
    }

    /// Of a string, where it lies without its quotes.
    #[inline]
    pub(crate) fn inside(&self) -> Range<usize> {
        let Range { start, end } = self.span();
        start + 1..end - 1
    }

    /// Whether there is a value other than null.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self.kind(), Kind::Absent | Kind::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_value_comes_back_from_eight_bytes() {
        assert_eq!(size_of::<Value>(), 8);
        assert_eq!(Value::default().kind(), Kind::Absent);
        let most = Value::MOST_BYTES;
        for kind in Value::KINDS {
            for (span, flags) in [(2..2, 0), (7..9, 1), (1..most, 2), (most..2 * most, 3)] {
                let (is_escaped, is_loose) = (flags & 1 != 0, flags & 2 != 0);
                let value = Value::new(span.clone(), kind, is_escaped, is_loose);
                assert_eq!(
                    (value.span(), value.kind()),
                    (span, kind),
                    "{is_escaped} {is_loose}"
                );
                assert_eq!(
                    (value.is_escaped(), value.is_loose()),
                    (is_escaped, is_loose)
                );
            }
        }
        let too_long = Value::new(3..most + 9, Kind::String, true, true);
        assert_eq!(too_long.span(), 3..3 + most, "it is refused later");
    }
}
