//! JSON paths of `json_extract` and its kin, by Trino's rules.
//!
//! A path is `$`, then steps: `.name` (letters, digits, `_` and `:`), `[name]` (letters, digits, `_`),
//! or `["any text"]` with `\"` and `\\`. Anything else is an error. A step that is a number is an
//! index where an array stands, and a key where an object stands.
//!
//! Source: Trino's JsonPathTokenizer and JsonExtract, and the manual page "JSON functions".

use datafusion::{common::exec_err, error::Result};

use super::scan::{Malformed, Reader, Start, unquote};

/// A path, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    key: String,
    index: Option<usize>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// An execution error that names the path.
    pub(super) fn parse(path: &str) -> Result<Self> {
        match steps(path) {
            Some(steps) => Ok(Self { steps }),
            None => exec_err!("Invalid JSON path: '{path}'"),
        }
    }

    /// Moves a reader at the beginning of a text to the value that the path leads to.
    ///
    /// `None` when there is none. Of equal keys, the first counts.
    ///
    /// # Errors
    /// [`Malformed`] when the text up to there is no JSON.
    pub(super) fn follow<'a>(&self, text: &'a str) -> Result<Option<Reader<'a>>, Malformed> {
        let mut reader = Reader::new(text);
        reader.start()?;
        for step in &self.steps {
            let found = match reader.start()? {
                Start::Object => member(&mut reader, &step.key)?,
                Start::Array => element(&mut reader, step.index)?,
                _ => false,
            };
            if !found {
                return Ok(None);
            }
        }
        Ok(Some(reader))
    }
}

fn member(reader: &mut Reader<'_>, wanted: &str) -> Result<bool, Malformed> {
    let mut more = reader.enter(Start::Object)?;
    while more {
        let key = reader.key()?;
        let inner = &key[1..key.len() - 1];
        if inner == wanted || inner.contains('\\') && unquote(key) == wanted {
            return Ok(true);
        }
        reader.skip()?;
        more = reader.more(Start::Object)?;
    }
    Ok(false)
}

fn element(reader: &mut Reader<'_>, wanted: Option<usize>) -> Result<bool, Malformed> {
    let Some(wanted) = wanted else {
        return Ok(false);
    };
    let mut more = reader.enter(Start::Array)?;
    let mut index = 0;
    while more {
        if index == wanted {
            return Ok(true);
        }
        reader.skip()?;
        more = reader.more(Start::Array)?;
        index += 1;
    }
    Ok(false)
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let key;
        if let Some(after) = rest.strip_prefix('.') {
            (key, rest) = unquoted(after, true)?;
        } else {
            let after = rest.strip_prefix('[')?;
            let closed;
            (key, closed) = match after.strip_prefix('"') {
                Some(after) => quoted(after)?,
                None => unquoted(after, false)?,
            };
            rest = closed.strip_prefix(']')?;
        }
        let index = key.parse().ok();
        steps.push(Step { key, index });
    }
    Some(steps)
}

fn unquoted(text: &str, colon: bool) -> Option<(String, &str)> {
    let allowed = |c: char| c.is_alphanumeric() || c == '_' || colon && c == ':';
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((key, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            other => key.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, path: &str) -> Result<Option<String>, Malformed> {
        let reader = Path::parse(path).unwrap().follow(text)?;
        reader
            .map(|mut reader| reader.skip().map(str::to_owned))
            .transpose()
    }

    #[test]
    fn paths_follow_trinos_rules() {
        let text = r#"{"a":{"b":[10,{"c d":1,"x:y":2}],"0":"zero"},"a":3,"é":4,"q\"\\":5}"#;
        let cases = [
            ("$", Some(text)),
            ("$.a.b[0]", Some("10")),
            ("$.a.b.0", Some("10")),
            ("$.a[\"b\"][1][\"c d\"]", Some("1")),
            ("$.a.b[1].x:y", Some("2")),
            ("$[a][0]", Some("\"zero\"")),
            ("$.a.b[2]", None),
            ("$.a.b.c", None),
            ("$.é", Some("4")),
            ("$[\"q\\\"\\\\\"]", Some("5")),
            ("$.A", None),
        ];
        for (path, expected) in cases {
            assert_eq!(found(text, path).unwrap().as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_an_error() {
        for path in [
            "",
            "a",
            "$.",
            "$a",
            "$.a-b",
            "$['a']",
            "$.a b",
            "$[\"a]",
            "$[a",
            "$[\"a\\n\"]",
            "$..a",
            "$.*",
            "$[*]",
            " $.a",
            "$.a ",
            "$[x:y]",
            "$.x-amz-copy-source",
        ] {
            let error = Path::parse(path).unwrap_err().to_string();
            assert!(
                error.contains(&format!("Invalid JSON path: '{path}'")),
                "{error}"
            );
        }
    }

    #[test]
    fn what_stands_behind_the_answer_is_not_read() {
        assert_eq!(
            found("{\"a\":1 rubbish", "$.a").unwrap().as_deref(),
            Some("1")
        );
        assert_eq!(found("{\"b\":rubbish", "$.a"), Err(Malformed));
        assert_eq!(found("plain text", "$.a"), Err(Malformed));
    }
}
