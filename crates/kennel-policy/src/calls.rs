//! The hand-written table of calls whose actions are not one action of the same name, and its small language.
//!
//! `data/README.md` documents the columns.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::Value;

use crate::call::{Call, at_path, folded, texts_at};

static TEXT: &str = include_str!("../data/calls.tsv");

static ROWS: LazyLock<HashMap<String, Vec<Row>>> = LazyLock::new(|| {
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let row = Row::parse(line);
        rows.entry(key(row.service, row.call))
            .or_default()
            .push(row);
    }
    rows
});

/// A row: one action that one call may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The service's prefix.
    pub(crate) service: &'static str,
    /// The call.
    pub(crate) call: &'static str,
    /// All must hold.
    when: Vec<When>,
    /// `s3:GetObject`; `None`: the call needs no permission.
    pub(crate) action: Option<&'static str>,
    /// Where the resource is named, if elsewhere than usual.
    pub(crate) on: On,
    /// Why, for people; may be empty.
    pub(crate) why: &'static str,
}

/// Where a row's resource is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Where any call names it.
    Usual,
    /// In the request, at this path.
    Path(&'static str),
    /// In the request, as the keys of the object at this path.
    Keys(&'static str),
    /// In the request alone: the record's `resources` name the source of a copy, too.
    Target,
    /// In the header `x-amz-copy-source`.
    CopySource,
    /// In the statements of PartiQL at this path.
    Sql(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    /// One of these paths has a value.
    Has(Vec<&'static str>),
    /// This path has no value.
    No(&'static str),
    /// The text at the path.
    Text(&'static str, Test, &'static str, bool),
    /// The call only read.
    ReadOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    Contains,
    /// Begins with this word, in any case.
    FirstWord,
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (service, call, when, action, on, why) =
            (next(), next(), next(), next(), next(), next());
        Self {
            service,
            call,
            when: match when {
                "-" | "" => Vec::new(),
                conditions => conditions.split(" & ").map(When::parse).collect(),
            },
            action: Some(action).filter(|action| *action != "-"),
            on: match on.split_once(' ') {
                Some(("keys", path)) => On::Keys(path),
                Some(("sql", path)) => On::Sql(path),
                _ if on.is_empty() => On::Usual,
                _ if on == "target" => On::Target,
                _ if on == "copy-source" => On::CopySource,
                _ => On::Path(on),
            },
            why,
        }
    }

    fn holds(&self, call: &Call) -> bool {
        self.when.iter().all(|when| when.holds(call))
    }
}

impl When {
    fn parse(text: &'static str) -> Self {
        if text == "read-only" {
            return Self::ReadOnly;
        }
        if let Some(paths) = text.strip_prefix("has ") {
            return Self::Has(paths.split('|').collect());
        }
        if let Some(path) = text.strip_prefix("no ") {
            return Self::No(path);
        }
        const SIGNS: [(&str, Test, bool); 6] = [
            ("!=", Test::Equals, false),
            ("!*", Test::Contains, false),
            ("!~", Test::FirstWord, false),
            ("=", Test::Equals, true),
            ("*", Test::Contains, true),
            ("~", Test::FirstWord, true),
        ];
        // The first sign counts: what is looked for may hold others.
        let found = SIGNS
            .iter()
            .filter_map(|sign| Some((text.find(sign.0)?, sign)))
            .min_by_key(|(at, _)| *at);
        if let Some((at, (sign, test, wanted))) = found {
            return Self::Text(&text[..at], *test, &text[at + sign.len()..], *wanted);
        }
        Self::Has(vec![text])
    }

    fn holds(&self, call: &Call) -> bool {
        match self {
            Self::ReadOnly => call.read_only == Some(true),
            Self::Has(paths) => paths.iter().any(|path| has(&call.request, path)),
            Self::No(path) => !has(&call.request, path),
            Self::Text("userIdentity.type", _, value, wanted) => {
                (call.principal_type.as_deref() == Some(value)) == *wanted
            }
            Self::Text(path, test, value, wanted) => {
                let found = at_path(&call.request, path).into_iter().any(|found| {
                    let text = match found {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    match test {
                        Test::Equals => text.eq_ignore_ascii_case(value),
                        Test::Contains => text.contains(value),
                        Test::FirstWord => first_word(&text).eq_ignore_ascii_case(value),
                    }
                });
                found == *wanted
            }
        }
    }
}

/// Whether anything but nothing is there: neither null nor an empty text, list or object.
fn has(request: &Value, path: &str) -> bool {
    at_path(request, path).into_iter().any(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(object) => !object.is_empty(),
        _ => true,
    })
}

fn first_word(text: &str) -> &str {
    text.trim_start()
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default()
}

fn key(service: &str, call: &str) -> String {
    format!("{service}:{}", call.to_ascii_lowercase())
}

/// The rows of a call that hold for it; `None` when the table does not know the call.
pub(crate) fn rows(service: &str, name: &str, call: &Call) -> Option<Vec<&'static Row>> {
    let rows = ROWS.get(&key(service, name))?;
    Some(rows.iter().filter(|row| row.holds(call)).collect())
}

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.values().flatten()
}

/// The source of a copy: `bucket/key`, decoded, without its version; an ARN of an access point stays one.
pub(crate) fn copy_source(request: &Value) -> Option<String> {
    let header = texts_at(request, "x-amz-copy-source").first().copied()?;
    let path = header.split("?versionId=").next().unwrap_or(header);
    let decoded = percent_decoded(path);
    let source = decoded.trim_start_matches('/');
    (source.starts_with("arn:")
        || source
            .split_once('/')
            .is_some_and(|(_, key)| !key.is_empty()))
    .then(|| source.to_owned())
}

/// `%41` → `A`; what is no valid encoding stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = (bytes[index] == b'%')
            .then(|| bytes.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

/// Tables and indexes that PartiQL statements name: `("Music", Some("by-artist"))`.
pub(crate) fn sql_tables(request: &Value, path: &str, verb: &str) -> Vec<(String, Option<String>)> {
    let verb = verb.to_ascii_lowercase();
    texts_at(request, path)
        .into_iter()
        .filter(|statement| verb.ends_with(&first_word(statement).to_ascii_lowercase()))
        .filter_map(sql_table)
        .collect()
}

fn sql_table(statement: &str) -> Option<(String, Option<String>)> {
    let lower = statement.to_ascii_lowercase();
    let after = match first_word(&lower) {
        "select" | "delete" => lower.find("from").map(|at| at + 4),
        "insert" => lower.find("into").map(|at| at + 4),
        "update" => lower.find("update").map(|at| at + 6),
        _ => None,
    }?;
    let rest = statement.get(after..)?;
    if !rest.starts_with(|c: char| c.is_whitespace() || c == '"') {
        return None;
    }
    let (table, rest) = sql_name(rest.trim_start())?;
    let index = rest
        .strip_prefix('.')
        .and_then(sql_name)
        .map(|(name, _)| name);
    Some((table, index))
}

/// A name, quoted or not, and what follows it.
fn sql_name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let length = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
        .unwrap_or(text.len());
    (length > 0).then(|| (text[..length].to_owned(), &text[length..]))
}

/// Whether a call carries tags for what it creates.
pub(crate) fn has_tags(request: &Value) -> bool {
    [
        "tags",
        "tagSet",
        "tagList",
        "tagSpecificationSet",
        "tagSpecifications",
        "tagSpecification",
    ]
    .iter()
    .any(|name| has(request, name))
        || request.as_object().is_some_and(|object| {
            object.iter().any(|(key, value)| {
                // EC2's newer calls wrap all parameters once more.
                key.ends_with("Request")
                    && value.as_object().is_some_and(|inner| {
                        inner.keys().any(|name| folded(name) == "tagspecification")
                    })
            })
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reference;

    #[test]
    fn every_action_of_the_table_exists_and_every_row_can_hold() {
        for row in all() {
            if let Some(action) = row.action {
                let found = reference::action(action).unwrap_or_else(|| panic!("{action}"));
                assert_eq!(found.id(), action);
            }
            assert!(reference::service(row.service).is_some(), "{}", row.service);
        }
    }

    #[test]
    fn conditions_look_at_the_request() {
        let call = |request: Value| Call {
            request,
            ..Call::default()
        };
        let holds = |when: &'static str, request: Value| When::parse(when).holds(&call(request));
        assert!(holds("has tags|x", json!({"x": 1})) && !holds("has tags", json!({"tags": []})));
        assert!(
            holds("no versionId", json!({})) && !holds("no versionId", json!({"versionId": "v"}))
        );
        assert!(holds(
            "x-amz-acl!=private",
            json!({"x-amz-acl": "public-read"})
        ));
        assert!(
            holds("s~select", json!({"s": " SELECT * FROM t"}))
                && !holds("s~select", json!({"s": "selected"}))
        );
        assert!(holds("s!~select", json!({})));
    }

    #[test]
    fn the_source_of_a_copy_is_decoded_and_loses_its_version() {
        let source = |header: &str| copy_source(&json!({ "x-amz-copy-source": header }));
        assert_eq!(source("/b/a%20b?versionId=1").unwrap(), "b/a b");
        assert_eq!(source("b/k%zz").unwrap(), "b/k%zz");
        assert_eq!(source("b"), None);
        assert!(
            source("arn:aws:s3:us-east-1:1:accesspoint/ap/object/k")
                .unwrap()
                .starts_with("arn:")
        );
    }

    #[test]
    fn tables_of_partiql_are_read_from_the_statement() {
        let table = |statement: &str| sql_table(statement);
        assert_eq!(
            table("SELECT * FROM \"Music\".\"by-artist\" WHERE a=1"),
            Some(("Music".into(), Some("by-artist".into())))
        );
        assert_eq!(
            table("insert into Music value {}"),
            Some(("Music".into(), None))
        );
        assert_eq!(table("UPDATE \"a.b\" SET x=1"), Some(("a.b".into(), None)));
        assert_eq!(table("DELETE FROM t WHERE k=1"), Some(("t".into(), None)));
        assert_eq!(table("SELECT fromage"), None);
        assert_eq!(table(""), None);
    }
}
