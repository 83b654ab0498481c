//! JSON text, rewritten in place: keys, numbers and layout stay as they are, texts become tokens. What is no JSON after
//! all loses nothing but the texts in it.

use super::{
    REMOVED,
    columns::{is_open_key, is_secret_key},
    pattern,
    token::{Kind, Tokens, is_account},
};

/// JSON texts in JSON texts are followed so far; what lies deeper is a token.
const DEEPEST: usize = 8;

/// Whether a text could be an object or a list.
pub(super) fn is_json(text: &str) -> bool {
    text.starts_with(['{', '['])
}

/// Rewrites a text. With `knows_keys` it is one of AWS: keys stay, and what stands below harmless ones; else keys are
/// names like any other.
pub(super) fn redact(text: &str, knows_keys: bool, tokens: &Tokens) -> String {
    Rewriter {
        text,
        tokens,
        knows_keys,
        depth: 0,
    }
    .rewritten()
}

struct Rewriter<'a> {
    text: &'a str,
    tokens: &'a Tokens,
    knows_keys: bool,
    depth: usize,
}

impl Rewriter<'_> {
    fn rewritten(&self) -> String {
        let bytes = self.text.as_bytes();
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        // The key of each object that is open; `None` for lists.
        let mut keys: Vec<Option<String>> = Vec::new();
        // What a list below a key holds is what the key says.
        let key_of = |keys: &[Option<String>]| keys.iter().rev().flatten().next().cloned();
        while at < bytes.len() {
            match bytes[at] {
                b'"' => {
                    let end = end_of_text(bytes, at);
                    let raw = &self.text[at..end];
                    if self.is_key(bytes, end) && keys.last().is_some_and(Option::is_some) {
                        let key = text_of(raw);
                        out.push_str(&quoted(&self.of_key(&key)));
                        out.push_str(&self.text[end..after_colon(bytes, end)]);
                        at = after_colon(bytes, end);
                        if is_secret_key(&key) {
                            out.push_str(&quoted(REMOVED));
                            at = end_of_value(bytes, at);
                        }
                        if let Some(open) = keys.last_mut() {
                            *open = Some(key);
                        }
                    } else {
                        let value = self.of_text(&text_of(raw), key_of(&keys).as_deref());
                        out.push_str(&quoted(&value));
                        at = end;
                    }
                }
                b'{' | b'[' => {
                    keys.push((bytes[at] == b'{').then(String::new));
                    out.push(char::from(bytes[at]));
                    at += 1;
                }
                b'}' | b']' => {
                    keys.pop();
                    out.push(char::from(bytes[at]));
                    at += 1;
                }
                _ => {
                    // Numbers, words, what stands between; and text that is no JSON.
                    let rest = &bytes[at..];
                    let length = rest.iter().position(|byte| b"\"{}[]".contains(byte));
                    let end = at + length.unwrap_or(rest.len());
                    out.push_str(&self.of_bare(&self.text[at..end]));
                    at = end;
                }
            }
        }
        out
    }

    /// Whether a text is followed by a colon.
    fn is_key(&self, bytes: &[u8], end: usize) -> bool {
        bytes[end..].trim_ascii_start().first() == Some(&b':')
    }

    fn of_key(&self, key: &str) -> String {
        match self.knows_keys {
            true => pattern::redact(key, self.tokens),
            false => self.tokens.of_value(key),
        }
    }

    fn of_text(&self, text: &str, key: Option<&str>) -> String {
        if is_json(text.trim_start()) && self.depth < DEEPEST {
            return Rewriter {
                text,
                depth: self.depth + 1,
                ..*self
            }
            .rewritten();
        }
        // Policies come in escapes: `%7B%22Version…`.
        if text.starts_with("%7B") || text.starts_with("%5B") {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
            return self.of_text(&decoded, key);
        }
        match key {
            Some(key) if self.knows_keys && is_open_key(key) => pattern::redact(text, self.tokens),
            _ => self.tokens.of_value(text),
        }
    }

    /// Numbers, `true`, commas. A number of twelve digits is an account.
    fn of_bare(&self, text: &str) -> String {
        let is_between = |c: char| c == ',' || c == ':' || c.is_ascii_whitespace();
        let pieces = text.split_inclusive(is_between).map(|piece| {
            let bare = piece.trim_end_matches(is_between);
            let rest = &piece[bare.len()..];
            match bare {
                _ if is_account(bare) => quoted(&self.tokens.of(Kind::Account, bare)) + rest,
                "" | "true" | "false" | "null" => piece.to_owned(),
                _ if is_number(bare) => piece.to_owned(),
                // No JSON has this here.
                _ => self.tokens.of(Kind::Text, bare) + rest,
            }
        });
        pieces.collect()
    }
}

fn is_number(text: &str) -> bool {
    let is_of_numbers = |byte| b"0123456789+-.eE".contains(&byte);
    text.bytes().all(is_of_numbers) && text.parse::<f64>().is_ok()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text always serialises")
}

/// The content of a text in quotes; where the escapes are wrong, as it stands.
fn text_of(raw: &str) -> String {
    serde_json::from_str(raw).unwrap_or_else(|_| raw.trim_matches('"').to_owned())
}

/// Behind the quote that ends the text that begins here.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind the colon that follows, and the spaces around it.
fn after_colon(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == b':') {
        at += 1;
    }
    at
}

/// Behind the value that begins here, whatever it is.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = end_of_text(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
