//! Which row is which: a row's key as JSON text and what else of it counts, and the rows of an earlier state to hold
//! them against. Of each earlier row two hashes stay in memory; the texts of keys wait in a temporary file.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, Read, Seek, SeekFrom, Write},
};

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use crate::output::{distinct_names, value};

/// Columns that say when, not what, and what a finding that is back was accepted by.
const TIMES: [&str; 4] = [
    "analysis_time",
    "snapshot_at",
    "superseded_at",
    "expired_suppression",
];
/// Keys that wait in memory.
const IN_MEMORY_BYTES: usize = 4 << 20;

/// What a row of this state is against the earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It was there.
    #[default]
    Same,
    /// Its key was not there.
    New,
    /// Its key was there with other values.
    Changed,
}

/// The columns that identify a row, and those that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumns {
    /// Names of the key, as JSON has them; all columns but noise where the question has none.
    pub(crate) key: Vec<String>,
    key_at: Vec<usize>,
    compared_at: Vec<usize>,
}

impl KeyColumns {
    /// Finds the columns in a schema; the name of one that is missing otherwise.
    pub(crate) fn find(
        schema: &SchemaRef,
        key: &[String],
        noise: &[String],
    ) -> Result<Self, String> {
        let names = distinct_names(schema);
        Self::among(&names, key, noise)
    }

    /// The same by names alone, as a file has them.
    pub(crate) fn among(
        names: &[String],
        key: &[String],
        noise: &[String],
    ) -> Result<Self, String> {
        let is_noise = |name: &String| noise.contains(name) || TIMES.contains(&name.as_str());
        let mut wanted = key.to_vec();
        if wanted.is_empty() {
            wanted = names
                .iter()
                .filter(|name| !is_noise(name))
                .cloned()
                .collect();
        }
        let key_at = wanted
            .iter()
            .map(|column| {
                let found = names.iter().position(|name| name == column);
                found.ok_or_else(|| column.clone())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let compared_at =
            (0..names.len()).filter(|index| !key_at.contains(index) && !is_noise(&names[*index]));
        Ok(Self {
            compared_at: compared_at.collect(),
            key: wanted,
            key_at,
        })
    }

    /// A row's key and what is compared of it, as JSON arrays, in the place of what the texts hold.
    pub(crate) fn texts(
        &self,
        batch: &RecordBatch,
        row: usize,
        key: &mut String,
        rest: &mut String,
    ) {
        for (columns, text) in [(&self.key_at, key), (&self.compared_at, rest)] {
            text.clear();
            text.push('[');
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                value::write_json(batch.column(*column), row, text);
            }
            text.push(']');
        }
    }

    /// The same from the values of a line of JSON.
    pub(crate) fn texts_of_line(&self, values: &[&str], key: &mut String, rest: &mut String) {
        for (columns, text) in [(&self.key_at, key), (&self.compared_at, rest)] {
            text.clear();
            text.push('[');
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(values.get(*column).copied().unwrap_or("null"));
            }
            text.push(']');
        }
    }
}

/// 128 bits of SHA-256: no two rows of a question share them by chance or by will.
fn hash(text: &str) -> u128 {
    let digest = Sha256::digest(text);
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(first)
}

/// The rows of an earlier state.
pub(crate) struct Known {
    rows: HashMap<u128, Row>,
    texts: SpooledTempFile,
    written: u64,
}

struct Row {
    /// How often the key is there and was not met yet.
    unmet: u32,
    compared: u128,
    /// Where the text of its key lies.
    start: u64,
    length: u32,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self {
            rows: HashMap::new(),
            texts: SpooledTempFile::new(IN_MEMORY_BYTES),
            written: 0,
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, key: &str, compared: &str) -> io::Result<()> {
        match self.rows.entry(hash(key)) {
            Entry::Occupied(mut known) => {
                let unmet = &mut known.get_mut().unmet;
                *unmet = unmet.saturating_add(1);
            }
            Entry::Vacant(place) => {
                self.texts.write_all(key.as_bytes())?;
                place.insert(Row {
                    unmet: 1,
                    compared: hash(compared),
                    start: self.written,
                    length: u32::try_from(key.len()).unwrap_or(u32::MAX),
                });
                self.written += key.len() as u64;
            }
        }
        Ok(())
    }

    /// Meets a row of the later state.
    pub(crate) fn meet(&mut self, key: &str, compared: &str) -> Mark {
        match self.rows.get_mut(&hash(key)) {
            Some(row) if row.unmet > 0 => {
                row.unmet -= 1;
                match row.compared == hash(compared) {
                    true => Mark::Same,
                    false => Mark::Changed,
                }
            }
            _ => Mark::New,
        }
    }

    /// The keys of rows that were not met, in the order in which they were added, as often as they are.
    pub(crate) fn gone(mut self, mut each: impl FnMut(&str)) -> io::Result<()> {
        let mut gone = self
            .rows
            .into_values()
            .filter(|row| row.unmet > 0)
            .collect::<Vec<_>>();
        gone.sort_unstable_by_key(|row| row.start);
        let mut text = Vec::new();
        for row in gone {
            self.texts.seek(SeekFrom::Start(row.start))?;
            text.resize(row.length as usize, 0);
            self.texts.read_exact(&mut text)?;
            let key = String::from_utf8_lossy(&text);
            (0..row.unmet).for_each(|_| each(&key));
        }
        Ok(())
    }
}

/// The names and the values of a line of JSON as [`crate::output`] writes it, each value as it stands there. `None` for
/// what is no such line.
pub(crate) fn members(line: &str) -> Option<Vec<(String, &str)>> {
    let mut rest = line.trim().strip_prefix('{')?;
    let mut found = Vec::new();
    if let Some(end) = rest.strip_prefix('}') {
        return end.is_empty().then_some(found);
    }
    loop {
        let (name, after) = value_at(rest)?;
        let name = serde_json::from_str(name).ok()?;
        let (value, after) = value_at(after.strip_prefix(':')?)?;
        found.push((name, value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (after == "}").then_some(found),
        }
    }
}

/// Splits the value off that a text begins with. It ends at a comma, colon or bracket that is not its own.
fn value_at(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_u32;
    let mut in_text = false;
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        if in_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b':' if depth > 0 => {}
            b'}' | b']' | b',' | b':' => {
                return (index > 0).then(|| text.split_at(index));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(rows: &[(&str, i64)]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 2] = [
            (
                "arn",
                Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
            ),
            (
                "n",
                Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
            ),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn compared(before: &[(&str, i64)], after: &[(&str, i64)]) -> (Vec<Mark>, Vec<String>) {
        let key = ["arn".to_owned()];
        let mut known = Known::new();
        let (mut text, mut rest) = (String::new(), String::new());
        let rows = batch(before);
        let columns = KeyColumns::find(&rows.schema(), &key, &[]).unwrap();
        for row in 0..rows.num_rows() {
            columns.texts(&rows, row, &mut text, &mut rest);
            known.add(&text, &rest).unwrap();
        }
        let rows = batch(after);
        let marks = (0..rows.num_rows()).map(|row| {
            columns.texts(&rows, row, &mut text, &mut rest);
            known.meet(&text, &rest)
        });
        let marks = marks.collect();
        let mut gone = Vec::new();
        known.gone(|key| gone.push(key.to_owned())).unwrap();
        (marks, gone)
    }

    #[test]
    fn rows_are_new_changed_the_same_or_gone() {
        let (marks, gone) = compared(
            &[("a", 1), ("b", 1), ("gone \"x\"", 1)],
            &[("a", 1), ("b", 2), ("c", 1)],
        );
        assert_eq!(marks, [Mark::Same, Mark::Changed, Mark::New]);
        assert_eq!(gone, [r#"["gone \"x\""]"#]);
    }

    #[test]
    fn duplicates_count_as_often_as_they_are() {
        let (marks, gone) = compared(&[("a", 1), ("b", 1), ("b", 1)], &[("a", 1), ("a", 1)]);
        assert_eq!(marks, [Mark::Same, Mark::New]);
        assert_eq!(gone, [r#"["b"]"#, r#"["b"]"#]);
    }

    #[test]
    fn without_a_key_all_columns_but_times_and_noise_are_one() {
        let names = ["arn", "analysis_time", "n", "last_used"].map(str::to_owned);
        let columns = KeyColumns::among(&names, &[], &["last_used".into()]).unwrap();
        assert_eq!(columns.key, ["arn", "n"]);
        assert_eq!(
            KeyColumns::among(&names, &["other".into()], &[]),
            Err("other".into())
        );
    }

    #[test]
    fn a_line_is_taken_apart_as_it_was_written() {
        let line = r#"{"a":"x,\"}{","b":[1,{"c":":"}],"é\n":null,"d":-1.5e3}"#;
        let values = members(line).unwrap();
        assert_eq!(
            values,
            [
                ("a".to_owned(), r#""x,\"}{""#),
                ("b".to_owned(), r#"[1,{"c":":"}]"#),
                ("é\n".to_owned(), "null"),
                ("d".to_owned(), "-1.5e3"),
            ]
        );
        assert_eq!(members("{}"), Some(vec![]));
        for broken in [
            "",
            "{",
            "[]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":1}x"#,
            r#"{a:1}"#,
            r#"{"a":"1}"#,
        ] {
            assert_eq!(members(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_row_of_a_file_is_the_row_that_was_written() {
        let rows = batch(&[("tab\t\"quoted\" ünï\u{1b}", i64::MIN)]);
        let names = ["arn", "n"].map(str::to_owned);
        let key = ["arn".to_owned()];
        let columns = KeyColumns::find(&rows.schema(), &key, &[]).unwrap();
        let (mut text, mut rest) = (String::new(), String::new());
        columns.texts(&rows, 0, &mut text, &mut rest);
        let mut line = Vec::new();
        let mut writer = crate::output::writer(
            crate::output::Format::Jsonl,
            &rows.schema(),
            crate::output::Look::default(),
        );
        writer.batch(&rows, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        let values = members(&line).unwrap();
        let values = values.iter().map(|(_, value)| *value).collect::<Vec<_>>();
        let columns = KeyColumns::among(&names, &key, &[]).unwrap();
        let (mut text_again, mut rest_again) = (String::new(), String::new());
        columns.texts_of_line(&values, &mut text_again, &mut rest_again);
        assert_eq!((text, rest), (text_again, rest_again));
    }
}
