//! A JSON scanner that finds where values begin and end and builds nothing.
//!
//! It checks the grammar of RFC 8259 but for two leniencies: control characters inside strings are let
//! through, and so are lone surrogates; both are flagged, so that what leaves here as JSON is valid.
//! Depth costs one byte a level on the heap, never the call stack.

use wide::u8x16;

use super::{
    opening::Opening,
    scan_error::{Expected, ScanError},
    value::{Kind, Value},
};
use crate::trail::words::is_same;

/// A position in JSON text.
pub(crate) struct Scanner<'b, 's> {
    pub(crate) bytes: &'b [u8],
    pub(crate) at: usize,
    /// Where the record begins: spans count from here.
    base: usize,
    /// What closes the open containers: kept outside, so that it is allocated once.
    stack: &'s mut Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct StringFlags {
    is_escaped: bool,
    is_loose: bool,
}

impl<'b, 's> Scanner<'b, 's> {
    /// Stands at `at`, which is also where spans count from.
    pub(crate) fn new(bytes: &'b [u8], at: usize, stack: &'s mut Vec<u8>) -> Self {
        Self {
            bytes,
            at,
            base: at,
            stack,
        }
    }

    /// Skips blanks; the byte that follows.
    #[inline]
    pub(crate) fn token(&mut self) -> Result<u8, ScanError> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte > b' ' {
                return Ok(byte);
            }
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Err(self.invalid(Expected::Token));
            }
            self.at += 1;
        }
        Err(ScanError::END)
    }

    pub(crate) fn invalid(&self, expected: Expected) -> ScanError {
        ScanError::invalid(self.at, expected)
    }

    /// A key and its colon; stands at the value then, blanks skipped.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Value, ScanError> {
        if self.token()? != b'"' {
            return Err(self.invalid(Expected::Key));
        }
        let start = self.at;
        let flags = self.string()?;
        let key = self.spanned(start, Kind::String, flags.is_escaped, flags.is_loose);
        if self.token()? != b':' {
            return Err(self.invalid(Expected::Colon));
        }
        self.at += 1;
        self.token()?;
        Ok(key)
    }

    /// The key here if it is this name as it stands, with its colon right behind it; stands at the value then, blanks
    /// not skipped. Else nothing happened.
    #[inline]
    pub(crate) fn take_key(&mut self, name: &str) -> Option<Value> {
        let (start, length) = (self.at, name.len());
        let rest = self.bytes.get(start..)?.get(..length + 3)?;
        // The quote behind it tells most names apart.
        let is_it = rest[length + 1] == b'"'
            && rest[length + 2] == b':'
            && rest[0] == b'"'
            && is_same(&rest[1..=length], name.as_bytes());
        if !is_it {
            return None;
        }
        self.at = start + length + 2;
        let key = self.spanned(start, Kind::String, false, false);
        self.at += 1;
        Some(key)
    }

    /// After an entry of an object: the key of the next one if it begins like this; stands at its value then, blanks not
    /// skipped. Else nothing happened.
    #[inline]
    pub(crate) fn take_entry(&mut self, opening: &Opening) -> Option<Value> {
        let start = self.at + 1;
        let rest = self.bytes.get(self.at..)?.first_chunk()?;
        if !opening.begins(rest) {
            return None;
        }
        self.at += opening.length() - 1;
        let key = self.spanned(start, Kind::String, false, false);
        self.at += 1;
        Some(key)
    }

    /// After an entry of an object: whether another follows. Stands at its key, or after the `}`.
    #[inline]
    pub(crate) fn entry_follows(&mut self) -> Result<bool, ScanError> {
        match self.token()? {
            b',' => {
                self.at += 1;
                self.token()?;
                Ok(true)
            }
            b'}' => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.invalid(Expected::ObjectGoesOn)),
        }
    }

    /// The value here, whatever it is; stands after it then.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value, ScanError> {
        let first = self.token()?;
        let start = self.at;
        if first == b'"' {
            let flags = self.string()?;
            return Ok(self.spanned(start, Kind::String, flags.is_escaped, flags.is_loose));
        }
        if matches!(first, b'{' | b'[') {
            let is_loose = self.container()?;
            let kind = if first == b'{' {
                Kind::Object
            } else {
                Kind::Array
            };
            return Ok(self.spanned(start, kind, false, is_loose));
        }
        let kind = self.scalar(first)?;
        Ok(self.spanned(start, kind, false, false))
    }

    pub(crate) fn spanned(
        &self,
        start: usize,
        kind: Kind,
        is_escaped: bool,
        is_loose: bool,
    ) -> Value {
        let span = start - self.base..self.at - self.base;
        Value::new(span, kind, is_escaped, is_loose)
    }

    /// The bytes inside the quotes of a string that this scanner found.
    #[inline]
    pub(crate) fn inside(&self, string: &Value) -> &'b [u8] {
        &self.bytes[self.base..][string.inside()]
    }

    /// A literal or a number.
    #[inline]
    fn scalar(&mut self, first: u8) -> Result<Kind, ScanError> {
        match first {
            b'n' => self.literal(b"null", Kind::Null),
            b't' => self.literal(b"true", Kind::Boolean),
            b'f' => self.literal(b"false", Kind::Boolean),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.invalid(Expected::Value)),
        }
    }

    #[inline]
    fn literal(&mut self, word: &'static [u8], kind: Kind) -> Result<Kind, ScanError> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(kind);
        }
        if word.starts_with(rest) {
            return Err(ScanError::END);
        }
        Err(self.invalid(Expected::Value))
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start {
            Ok(())
        } else if self.at == self.bytes.len() {
            Err(ScanError::END)
        } else {
            Err(self.invalid(Expected::Digit))
        }
    }

    fn number(&mut self) -> Result<Kind, ScanError> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
            if self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(self.invalid(Expected::NoLeadingZero));
            }
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number)
    }

    /// A string; stands at its opening quote, then after the closing one.
    #[inline]
    fn string(&mut self) -> Result<StringFlags, ScanError> {
        self.at = next_special(self.bytes, self.at + 1);
        // Nearly all strings.
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(StringFlags::default());
        }
        self.special_string()
    }

    /// The rest of a string, from its first special byte on.
    fn special_string(&mut self) -> Result<StringFlags, ScanError> {
        let mut flags = StringFlags::default();
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(flags);
                }
                Some(b'\\') => {
                    flags.is_escaped = true;
                    flags.is_loose |= self.escape()?;
                }
                Some(_) => {
                    flags.is_loose = true;
                    self.at += 1;
                }
                None => return Err(ScanError::END),
            }
            self.at = next_special(self.bytes, self.at);
        }
    }

    /// An escape; whether it is a lone surrogate.
    fn escape(&mut self) -> Result<bool, ScanError> {
        match self.bytes.get(self.at + 1) {
            None => Err(ScanError::END),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(false)
            }
            Some(b'u') => {
                let unit = self.code_unit()?;
                self.at += 6;
                if !(0xD800..0xDC00).contains(&unit) {
                    return Ok((0xDC00..0xE000).contains(&unit));
                }
                match self.bytes.get(self.at..self.at + 2) {
                    Some(b"\\u") if (0xDC00..0xE000).contains(&self.code_unit()?) => {
                        self.at += 6;
                        Ok(false)
                    }
                    Some(_) => Ok(true),
                    None => Err(ScanError::END),
                }
            }
            Some(_) => Err(self.invalid(Expected::Escape)),
        }
    }

    /// The number of the `\uXXXX` here.
    fn code_unit(&self) -> Result<u32, ScanError> {
        let Some(digits) = self.bytes.get(self.at + 2..self.at + 6) else {
            return Err(ScanError::END);
        };
        hex4(digits).ok_or_else(|| self.invalid(Expected::HexDigits))
    }

    /// An object or a list; whether it is loose. A loop with a stack of its own: depth is data.
    fn container(&mut self) -> Result<bool, ScanError> {
        let floor = self.stack.len();
        let result = self.container_above(floor);
        self.stack.truncate(floor);
        result
    }

    fn container_above(&mut self, floor: usize) -> Result<bool, ScanError> {
        let mut is_loose = false;
        // Skips blanks and notes them.
        macro_rules! token {
            () => {{
                let before = self.at;
                let byte = self.token()?;
                is_loose |= self.at != before;
                byte
            }};
        }
        macro_rules! key {
            () => {{
                if token!() != b'"' {
                    return Err(self.invalid(Expected::Key));
                }
                is_loose |= self.string()?.is_loose;
                if token!() != b':' {
                    return Err(self.invalid(Expected::Colon));
                }
                self.at += 1;
            }};
        }
        loop {
            // At a value.
            let first = token!();
            match first {
                b'"' => is_loose |= self.string()?.is_loose,
                b'{' => {
                    self.at += 1;
                    if token!() != b'}' {
                        self.stack.push(b'}');
                        key!();
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if token!() != b']' {
                        self.stack.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                _ => {
                    self.scalar(first)?;
                }
            }
            // After a value: close what ends here, go on with what follows.
            loop {
                if self.stack.len() == floor {
                    return Ok(is_loose);
                }
                let close = self.stack[self.stack.len() - 1];
                let byte = token!();
                if byte == close {
                    self.at += 1;
                    self.stack.pop();
                } else if byte == b',' {
                    self.at += 1;
                    if close == b'}' {
                        key!();
                    }
                    break;
                } else {
                    return Err(self.invalid(Expected::ContainerGoesOn));
                }
            }
        }
    }

    /// Passes over an element of a list that is no valid JSON, by its brackets and quotes alone: its end is
    /// where another element or the list's end follows.
    pub(crate) fn pass_over(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        self.balanced()?;
        let end = self.at;
        let is_end = end > start
            && match self.token()? {
                b']' => true,
                b',' => {
                    self.at += 1;
                    self.token()? == b'{'
                }
                _ => false,
            };
        self.at = end;
        if is_end {
            Ok(())
        } else {
            Err(self.invalid(Expected::ElementEnd))
        }
    }

    /// Goes to the next text that looks like the beginning of a record as CloudTrail writes it.
    pub(crate) fn next_record(&mut self) -> Result<(), ScanError> {
        const BEGINNING: &[u8] = b"{\"eventVersion\":";
        let rest = self.bytes.get(self.at + 1..).unwrap_or_default();
        let found = rest.windows(BEGINNING.len()).position(|w| w == BEGINNING);
        self.at += 1 + found.ok_or(ScanError::END)?;
        Ok(())
    }

    fn balanced(&mut self) -> Result<(), ScanError> {
        // No record is longer; a quote that is missing must not make every search go to the text's end.
        const LONGEST_BYTES: usize = 1 << 20;
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(&byte) = self.bytes.get(self.at) {
            if self.at - start > LONGEST_BYTES {
                return Err(self.invalid(Expected::RecordEnd));
            }
            match byte {
                b'"' => {
                    self.at += 1;
                    loop {
                        match self.bytes.get(self.at) {
                            Some(b'"') => break,
                            Some(b'\\') => self.at += 2,
                            Some(_) => self.at += 1,
                            None => return Err(ScanError::END),
                        }
                    }
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth <= 1 => {
                    self.at += depth;
                    return Ok(());
                }
                b'}' | b']' => depth -= 1,
                b',' if depth == 0 => return Ok(()),
                _ => {}
            }
            self.at += 1;
        }
        Err(ScanError::END)
    }
}

/// The number that four hexadecimal digits write.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// The position of the next quote, backslash or control character at or after `at`, or the text's length.
#[inline]
fn next_special(bytes: &[u8], at: usize) -> usize {
    const QUOTE: u8x16 = u8x16::new([b'"'; 16]);
    const BACKSLASH: u8x16 = u8x16::new([b'\\'; 16]);
    const LAST_CONTROL: u8x16 = u8x16::new([0x1f; 16]);
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, behind)) = rest.split_first_chunk::<16>() {
        let chunk = u8x16::new(*chunk);
        let is_control = chunk.min(LAST_CONTROL).simd_eq(chunk);
        let hits = chunk.simd_eq(QUOTE) | chunk.simd_eq(BACKSLASH) | is_control;
        let hits = hits.to_bitmask();
        if hits != 0 {
            return bytes.len() - rest.len() + hits.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let offset = rest.iter().position(is_special);
    bytes.len() - rest.len() + offset.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_special_byte_is_found_wherever_it_lies(
            text in prop::collection::vec(prop_oneof![9 => 0x20..=0xff_u8, 1 => any::<u8>(), 1 => Just(b'\\')], 0..80),
            at in 0..90_usize,
        ) {
            let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let rest = text.get(at..).unwrap_or_default();
            let expected = rest.iter().position(is_special).map_or(text.len(), |offset| at + offset);
            prop_assert_eq!(next_special(&text, at), expected);
        }
    }
}
