//! A reader of JSON text that stops where the answer is, as Jackson's streaming parser does in Trino.
//!
//! It works on the text itself: object keys keep their order, and what stands behind the value that was
//! asked for is not looked at.

use crate::functions::cast::double_text;

/// Deepest nesting that is read; deeper text counts as no JSON. Bounds the stack.
const MAX_DEPTH: usize = 512;

/// Text that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::functions) struct Malformed;

/// What begins where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

impl Start {
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::Object | Self::Array)
    }
}

/// A place in a JSON text.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.blanks();
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    /// What value stands here.
    pub(super) fn start(&mut self) -> Read<Start> {
        self.blanks();
        Ok(match self.peek().ok_or(Malformed)? {
            b'{' => Start::Object,
            b'[' => Start::Array,
            b'"' => Start::Text,
            b'-' | b'0'..=b'9' => Start::Number,
            b't' => Start::True,
            b'f' => Start::False,
            b'n' => Start::Null,
            _ => return Err(Malformed),
        })
    }

    /// Is nothing but blanks left?
    pub(super) fn at_end(&mut self) -> bool {
        self.blanks();
        self.at == self.text.len()
    }

    /// Enters an object or array; `false` when it is empty (and then it is left already).
    pub(super) fn enter(&mut self, start: Start) -> Read<bool> {
        let (open, close) = match start {
            Start::Object => (b'{', b'}'),
            Start::Array => (b'[', b']'),
            _ => return Err(Malformed),
        };
        if !self.accept(open) {
            return Err(Malformed);
        }
        if self.accept(close) {
            return Ok(false);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Malformed);
        }
        Ok(true)
    }

    /// After a member or element: `true` when another one follows.
    pub(super) fn more(&mut self, start: Start) -> Read<bool> {
        if self.accept(b',') {
            return Ok(true);
        }
        let close = if start == Start::Object { b'}' } else { b']' };
        if self.accept(close) {
            self.depth -= 1;
            return Ok(false);
        }
        Err(Malformed)
    }

    /// The key of a member, its quotes and escapes included, and the colon after it.
    pub(super) fn key(&mut self) -> Read<&'a str> {
        self.blanks();
        let key = self.quoted()?;
        if self.accept(b':') {
            Ok(key)
        } else {
            Err(Malformed)
        }
    }

    /// A text with its quotes.
    fn quoted(&mut self) -> Read<&'a str> {
        let begin = self.at;
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        self.at += 1;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek().ok_or(Malformed)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                            if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                                return Err(Malformed);
                            }
                            self.at += 5;
                        }
                        _ => return Err(Malformed),
                    }
                }
                0..=0x1f => return Err(Malformed),
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(&self.text[begin..self.at])
    }

    fn digits(&mut self) -> Read<()> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin {
            Err(Malformed)
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Read<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // `01` and `1x` are no numbers.
        match self.peek() {
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'.' => Err(Malformed),
            _ => Ok(()),
        }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        match self.peek() {
            Some(byte) if byte.is_ascii_alphanumeric() => Err(Malformed),
            _ => Ok(()),
        }
    }

    /// Passes over a value and returns its text as written.
    pub(super) fn skip(&mut self) -> Read<&'a str> {
        let start = self.start()?;
        let begin = self.at;
        match start {
            Start::Text => _ = self.quoted()?,
            Start::Number => self.number()?,
            Start::True => self.word("true")?,
            Start::False => self.word("false")?,
            Start::Null => self.word("null")?,
            Start::Object | Start::Array => {
                let mut more = self.enter(start)?;
                while more {
                    if start == Start::Object {
                        self.key()?;
                    }
                    self.skip()?;
                    more = self.more(start)?;
                }
            }
        }
        Ok(&self.text[begin..self.at])
    }
}

/// The text that a quoted text stands for. Halves of surrogate pairs that stand alone become U+FFFD.
pub(super) fn unquote(quoted: &str) -> String {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(quoted);
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut result = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        match escape {
            b'b' => result.push('\u{8}'),
            b'f' => result.push('\u{c}'),
            b'n' => result.push('\n'),
            b'r' => result.push('\r'),
            b't' => result.push('\t'),
            b'u' => {
                let unit = |text: &str| text.get(..4).and_then(|d| u16::from_str_radix(d, 16).ok());
                let Some(first) = unit(rest) else { continue };
                rest = &rest[4..];
                let second = rest.strip_prefix("\\u").and_then(unit);
                let pair = [first, second.unwrap_or(0)];
                match char::decode_utf16(pair).next() {
                    Some(Ok(character)) => {
                        if character.len_utf16() == 2 {
                            rest = &rest[6..];
                        }
                        result.push(character);
                    }
                    _ => result.push(char::REPLACEMENT_CHARACTER),
                }
            }
            other => result.push(char::from(other)),
        }
    }
    result.push_str(rest);
    result
}

/// Writes a text as JSON does, its quotes included.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes a value without blanks, its texts spelled one way; with `sorted`, the keys of each object in
/// order (the last of equal keys stays).
///
/// # Errors
/// [`Malformed`] when no JSON value stands where `reader` is.
pub(super) fn compact(reader: &mut Reader<'_>, sorted: bool, out: &mut String) -> Read<()> {
    let start = reader.start()?;
    match start {
        Start::Text => quote(&unquote(reader.skip()?), out),
        Start::Array => {
            out.push('[');
            let mut more = reader.enter(start)?;
            while more {
                compact(reader, sorted, out)?;
                more = reader.more(start)?;
                if more {
                    out.push(',');
                }
            }
            out.push(']');
        }
        Start::Object if sorted => {
            let mut members = std::collections::BTreeMap::new();
            let mut more = reader.enter(start)?;
            while more {
                let key = unquote(reader.key()?);
                let mut value = String::new();
                compact(reader, sorted, &mut value)?;
                members.insert(key, value);
                more = reader.more(start)?;
            }
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(key, out);
                out.push(':');
                out.push_str(value);
            }
            out.push('}');
        }
        Start::Object => {
            out.push('{');
            let mut more = reader.enter(start)?;
            while more {
                quote(&unquote(reader.key()?), out);
                out.push(':');
                compact(reader, sorted, out)?;
                more = reader.more(start)?;
                if more {
                    out.push(',');
                }
            }
            out.push('}');
        }
        Start::Number => number(reader.skip()?, out),
        _ => out.push_str(reader.skip()?),
    }
    Ok(())
}

/// Integers as they are, whatever their size; fractions are doubles, as Trino reads them.
fn number(text: &str, out: &mut String) {
    if !text.contains(['.', 'e', 'E']) {
        out.push_str(if text == "-0" { "0" } else { text });
        return;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => out.push_str(&double_text(value)),
        // JSON has no such numbers, so Trino writes the word.
        Ok(value) => quote(&double_text(value), out),
        Err(_) => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compacted(text: &str, sorted: bool) -> Read<String> {
        let mut reader = Reader::new(text);
        let mut out = String::new();
        compact(&mut reader, sorted, &mut out)?;
        if reader.at_end() {
            Ok(out)
        } else {
            Err(Malformed)
        }
    }

    #[test]
    fn values_lose_blanks_and_keep_integers_and_order() {
        let text = " { \"b\" : [ 1.50 , 9007199254740993, -0, 1e3, 1E400 ] , \"a\" : { } , \"c\":\"\\u00e9\\/\" } ";
        assert_eq!(
            compacted(text, false).as_deref(),
            Ok("{\"b\":[1.5,9007199254740993,0,1000.0,\"Infinity\"],\"a\":{},\"c\":\"é/\"}")
        );
        assert_eq!(
            compacted("{\"b\":1,\"a\":[],\"b\":2}", true).as_deref(),
            Ok("{\"a\":[],\"b\":2}")
        );
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            "nul",
            "\"\\x\"",
            "\"\u{1}\"",
            "tru e",
            "[1 2]",
            "'a'",
            "\"a",
            "1x",
            "{\"a\":1,}",
        ] {
            assert_eq!(compacted(text, false), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn surrogates_are_joined_and_halves_replaced() {
        assert_eq!(unquote("\"\\ud83d\\ude00!\""), "😀!");
        assert_eq!(unquote("\"\\ud83dx\\ude00\""), "\u{fffd}x\u{fffd}");
        assert_eq!(unquote("\"\\ud83d\\u0041\""), "\u{fffd}A");
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_exhaust_the_stack() {
        let text = "[".repeat(200_000);
        assert_eq!(compacted(&text, false), Err(Malformed));
    }

    proptest! {
        #[test]
        fn any_text_survives_quoting(text in any::<String>()) {
            let mut quoted = String::new();
            quote(&text, &mut quoted);
            prop_assert_eq!(unquote(&quoted), text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9a-z\\\\ue. -]{0,40}") {
            let _ = compacted(&text, true);
        }

        #[test]
        fn compact_text_stays_as_it_is(text in "[\\[\\]{}\",:0-9truefalsn ]{0,30}") {
            if let Ok(once) = compacted(&text, false) {
                prop_assert_eq!(compacted(&once, false), Ok(once.clone()));
            }
        }
    }
}
