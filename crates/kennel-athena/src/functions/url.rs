//! Trino's functions of URLs. A text that is no URL gives null.
//!
//! Source: Trino manual, "URL functions"; RFC 2396, by which Java reads URLs.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef, common::exec_err, error::Result, logical_expr::ScalarUDF,
};

use super::scalar::{Call, Kind, Spec, bigint, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT: &[Kind] = &[Kind::Text];
    [
        Spec::new("url_encode", TEXT, varchar, |call| {
            let texts = call.text(0);
            call.to_texts(|row| Ok(Some(encoded(texts.value(row)))))
        }),
        Spec::new("url_decode", TEXT, varchar, |call| {
            let texts = call.text(0);
            call.to_texts(|row| match decoded(texts.value(row), true) {
                Some(text) => Ok(Some(text)),
                None => exec_err!("Illegal hex characters in escape (%) pattern"),
            })
        }),
        Spec::new("url_extract_protocol", TEXT, varchar, |call| {
            part(call, |url| url.scheme.to_owned())
        }),
        Spec::new("url_extract_host", TEXT, varchar, |call| {
            part(call, |url| url.host.to_owned())
        }),
        Spec::new("url_extract_port", TEXT, bigint, |call| {
            let texts = call.text(0);
            call.to_integers(|row| Ok(Url::read(texts.value(row)).and_then(|url| url.port)))
        }),
        Spec::new("url_extract_path", TEXT, varchar, |call| {
            part(call, |url| unescaped(url.path))
        }),
        Spec::new("url_extract_query", TEXT, varchar, |call| {
            part(call, |url| unescaped(url.query.unwrap_or("")))
        }),
        Spec::new("url_extract_fragment", TEXT, varchar, |call| {
            part(call, |url| unescaped(url.fragment))
        }),
        Spec::new(
            "url_extract_parameter",
            &[Kind::Text, Kind::Text],
            varchar,
            parameter,
        ),
    ]
    .map(Spec::build)
    .into()
}

fn part(call: &Call, part: impl Fn(&Url<'_>) -> String) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_texts(|row| Ok(Url::read(texts.value(row)).map(|url| part(&url))))
}

/// A URL taken apart; what is absent is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<i64>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: &'a str,
}

impl<'a> Url<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        if !is_legal(rest, "") || !is_legal(fragment, "") {
            return None;
        }
        let mut url = Self {
            fragment,
            ..Self::default()
        };
        let mut rest = rest;
        let until = rest.find(['/', '?']).unwrap_or(rest.len());
        if let Some(colon) = rest[..until].find(':') {
            let scheme = &rest[..colon];
            let mut letters = scheme.chars();
            let is_scheme = letters.next()?.is_ascii_alphabetic()
                && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            rest = &rest[colon + 1..];
            if !is_scheme || rest.is_empty() {
                return None;
            }
            url.scheme = scheme;
            // `mailto:x@y` has neither host nor path.
            if !rest.starts_with('/') {
                return Some(url);
            }
        }
        if let Some((before, query)) = rest.split_once('?') {
            (rest, url.query) = (before, Some(query));
        }
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find('/').unwrap_or(after.len());
            let authority = &after[..end];
            rest = &after[end..];
            if authority.is_empty() && rest.is_empty() {
                return None;
            }
            (url.host, url.port) = server(authority)?;
        }
        if rest.contains(['[', ']']) {
            return None;
        }
        url.path = rest;
        Some(url)
    }
}

/// May all characters stand in a URL? Letters beyond ASCII may, as Java has it.
fn is_legal(text: &str, more: &str) -> bool {
    const SIGNS: &str = "-_.!~*'();/?:@&=+$,[]";
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if character == '%' {
            let digits = rest.as_bytes().get(1..3);
            if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                return false;
            }
        }
        let is_fine = character == '%'
            || character.is_ascii_alphanumeric()
            || SIGNS.contains(character)
            || more.contains(character)
            || !character.is_ascii() && !character.is_control() && !character.is_whitespace();
        if !is_fine {
            return false;
        }
        rest = &rest[character.len_utf8()..];
    }
    true
}

/// Host and port; no host where the authority does not name one, `None` where it is broken.
fn server(authority: &str) -> Option<(&str, Option<i64>)> {
    let server = authority.rsplit('@').next()?;
    let (host, port) = if server.starts_with('[') {
        let end = server.find(']')?;
        let (host, rest) = server.split_at(end + 1);
        (host, rest.strip_prefix(':').unwrap_or(rest))
    } else {
        server.split_once(':').unwrap_or((server, ""))
    };
    let is_name = host.starts_with('[')
        || !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit());
    if !is_name || !is_port {
        return Some(("", None));
    }
    Some((host, port.parse().ok()))
}

/// `%41` undone, and `+` with `form`; `None` for `%` without two digits. Broken UTF-8 becomes U+FFFD.
fn decoded(text: &str, form: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let digits = text.get(at..at + 2)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                result.push(u8::from_str_radix(digits, 16).ok()?);
                at += 2;
            }
            b'+' if form => result.push(b' '),
            other => result.push(other),
        }
    }
    Some(String::from_utf8_lossy(&result).into_owned())
}

fn unescaped(text: &str) -> String {
    decoded(text, false).unwrap_or_else(|| text.to_owned())
}

/// As forms are sent: blanks as `+`.
fn encoded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => result.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => {
                result.push(char::from(byte));
            }
            other => result.push_str(&format!("%{other:02X}")),
        }
    }
    result
}

fn parameter(call: &Call) -> Result<ArrayRef> {
    let (urls, names) = (call.text(0), call.text(1));
    call.to_texts(|row| {
        let query = Url::read(urls.value(row)).and_then(|url| url.query);
        Ok(query.and_then(|query| {
            query.split('&').find_map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decode = |text: &str| decoded(text, true);
                (decode(name).as_deref() == Some(names.value(row)))
                    .then(|| decode(value).unwrap_or_else(|| value.to_owned()))
            })
        }))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart_as_java_does() {
        let shown = |text| {
            Url::read(text).map(|url| {
                format!(
                    "{}|{}|{:?}|{}|{}|{}",
                    url.scheme,
                    url.host,
                    url.port,
                    url.path,
                    url.query.unwrap_or(""),
                    url.fragment
                )
            })
        };
        let cases = [
            (
                "http://a.b:80/c/d?e=f#g",
                Some("http|a.b|Some(80)|/c/d|e=f|g"),
            ),
            ("https://user:pw@a.b", Some("https|a.b|None|||")),
            ("mailto:test@example.com", Some("mailto||None|||")),
            ("foo", Some("||None|foo||")),
            ("https:/auth/login", Some("https||None|/auth/login||")),
            ("http://[::1]:8080/", Some("http|[::1]|Some(8080)|/||")),
            ("http://example.com/^", None),
            ("http://example.com/a b", None),
            ("http://example.com/%zz", None),
            (":x", None),
            ("", Some("||None|||")),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(text in ".{0,40}") {
            prop_assert_eq!(decoded(&encoded(&text), true), Some(text));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[a:/?#@\\[\\]%0-9 é.]{0,20}") {
            let _ = Url::read(&text);
        }
    }
}
