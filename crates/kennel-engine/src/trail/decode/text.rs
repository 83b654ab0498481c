//! From the JSON text of a value to the text that a column holds.

use std::borrow::Cow;

use super::{
    scan::{Scanner, hex4},
    value::{Kind, Value},
};

/// The text of a value: a string unescaped, a boolean or a number as written, an object or a list as
/// compact JSON. `None` for null and for what is absent.
#[inline]
pub(crate) fn plain<'t>(record: &'t str, value: &Value) -> Option<Cow<'t, str>> {
    match value.kind() {
        Kind::Absent | Kind::Null => None,
        Kind::String => {
            let inner = &record[value.inside()];
            Some(match value.is_escaped() {
                true => Cow::Owned(unescaped(inner)),
                false => Cow::Borrowed(inner),
            })
        }
        _ => Some(compact(record, value)),
    }
}

#[cold]
fn unescaped(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    unescape(inner, &mut text);
    text
}

/// The bytes of [`plain`]. Where a value lies is known, so that nobody looks for the ends of characters there.
#[inline]
pub(crate) fn plain_bytes<'t>(record: &'t str, value: &Value) -> Option<Cow<'t, [u8]>> {
    match value.kind() {
        Kind::String if !value.is_escaped() => {
            Some(Cow::Borrowed(&record.as_bytes()[value.inside()]))
        }
        _ => plain(record, value).map(bytes_of),
    }
}

/// Compact JSON of a value; a string keeps its quotes. `None` for null and for what is absent.
#[inline]
pub(crate) fn json_bytes<'t>(record: &'t str, value: &Value) -> Option<Cow<'t, [u8]>> {
    match (value.is_some(), value.is_loose()) {
        (false, _) => None,
        (true, false) => Some(Cow::Borrowed(&record.as_bytes()[value.span()])),
        (true, true) => Some(bytes_of(compact(record, value))),
    }
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Valid, compact JSON of any value: keys, numbers and escapes as written.
#[inline]
pub(crate) fn compact<'t>(record: &'t str, value: &Value) -> Cow<'t, str> {
    let raw = value.raw(record);
    if value.is_loose() {
        let mut text = String::with_capacity(raw.len());
        tighten(raw, &mut text);
        Cow::Owned(text)
    } else {
        Cow::Borrowed(raw)
    }
}

/// Writes JSON without blanks outside strings; control characters become escapes, and each lone
/// surrogate becomes the replacement character's.
fn tighten(raw: &str, out: &mut String) {
    let bytes = raw.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    let mut is_string = false;
    // Copies up to `at`, writes `instead`, goes on after `length` bytes. All of these bytes are ASCII.
    macro_rules! replace {
        ($instead:expr, $length:expr) => {{
            out.push_str(&raw[copied..at]);
            out.push_str($instead);
            at += $length;
            copied = at;
        }};
    }
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                is_string = !is_string;
                at += 1;
            }
            b'\\' => match surrogate(bytes, at) {
                Surrogate::None => at += 2,
                Surrogate::Pair(_) => at += 12,
                Surrogate::Lone => replace!("\\ufffd", 6),
            },
            0..=b' ' if !is_string => replace!("", 1),
            0..0x20 => replace!(&format!("\\u{byte:04x}"), 1),
            _ => at += 1,
        }
    }
    out.push_str(&raw[copied..]);
}

/// What a backslash begins.
enum Surrogate {
    /// No surrogate.
    None,
    /// Two that make one character.
    Pair(char),
    /// One that makes none.
    Lone,
}

fn surrogate(bytes: &[u8], at: usize) -> Surrogate {
    let unit = |at: usize| match bytes.get(at..at + 6) {
        Some([b'\\', b'u', digits @ ..]) => hex4(digits),
        _ => None,
    };
    match unit(at) {
        Some(high @ 0xD800..0xDC00) => match unit(at + 6) {
            Some(low @ 0xDC00..0xE000) => {
                let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                char::from_u32(code).map_or(Surrogate::Lone, Surrogate::Pair)
            }
            _ => Surrogate::Lone,
        },
        Some(0xDC00..0xE000) => Surrogate::Lone,
        _ => Surrogate::None,
    }
}

/// Appends the characters that the inside of a JSON string stands for.
pub(crate) fn unescape(inner: &str, out: &mut String) {
    let bytes = inner.as_bytes();
    let mut rest = inner;
    while let Some(offset) = rest.find('\\') {
        out.push_str(&rest[..offset]);
        let at = bytes.len() - rest.len() + offset;
        let mut length = 2;
        match bytes.get(at + 1) {
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'u') => {
                length = 6;
                match surrogate(bytes, at) {
                    Surrogate::Pair(character) => {
                        length = 12;
                        out.push(character);
                    }
                    Surrogate::Lone => out.push(char::REPLACEMENT_CHARACTER),
                    Surrogate::None => {
                        let code = bytes.get(at + 2..at + 6).and_then(hex4);
                        out.push(
                            code.and_then(char::from_u32)
                                .unwrap_or(char::REPLACEMENT_CHARACTER),
                        );
                    }
                }
            }
            Some(other) => out.push(char::from(*other)),
            None => length = 1,
        }
        rest = inner.get(at + length..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Calls `each` with every key and value of an object that was scanned before; spans count from the
/// record's beginning.
pub(crate) fn for_each_entry(
    record: &str,
    object: &Value,
    stack: &mut Vec<u8>,
    mut each: impl FnMut(&Value, &Value),
) {
    if object.kind() != Kind::Object {
        return;
    }
    let span = object.span();
    let mut scanner = Scanner::new(&record.as_bytes()[..span.end], 0, stack);
    scanner.at = span.start + 1;
    // The object was scanned before: this cannot fail, and if it did, there would be no more entries.
    if scanner.token() == Ok(b'}') {
        return;
    }
    loop {
        let (Ok(key), Ok(value)) = (scanner.key(), scanner.value()) else {
            return;
        };
        each(&key, &value);
        if scanner.entry_follows() != Ok(true) {
            return;
        }
    }
}

/// The value of an entry, its key compared without letter case; of two the last.
pub(crate) fn entry(
    record: &str,
    object: &Value,
    name: &str,
    stack: &mut Vec<u8>,
) -> Option<Value> {
    let mut found = None;
    for_each_entry(record, object, stack, |key, value| {
        if plain(record, key).is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            found = Some(*value);
        }
    });
    found
}
