//! Which row is which: a row's key as JSON text and what else of it counts, and the rows of an earlier state to hold
//! them against. Of each earlier row two hashes stay in memory; the texts of keys wait in a temporary file.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    io::{self, Read, Seek, SeekFrom, Write},
    sync::LazyLock,
};

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use siphasher::sip128::SipHasher13;
use tempfile::SpooledTempFile;

use crate::output::{cells::Cells, distinct_names};

/// Columns that say when, not what, and what a finding that is back was accepted by.
const TIMES: [&str; 4] = [
    "analysis_time",
    "snapshot_at",
    "superseded_at",
    "expired_suppression",
];
/// Keys are handed on in pieces of this size.
const WRITTEN_AT_ONCE: usize = 256 << 10;
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

    /// A row's key, as a JSON array of the values that `cell` has as JSON, in the place of what the text holds.
    pub(crate) fn key_of<'c>(&self, cell: impl Fn(usize) -> &'c str, text: &mut String) {
        join(&self.key_at, cell, text);
    }

    /// A row by the values that `cell` has as JSON; `text` is for the work.
    pub(crate) fn print_of<'c>(&self, cell: impl Fn(usize) -> &'c str, text: &mut String) -> Print {
        join(&self.key_at, &cell, text);
        let key = hash(text);
        join(&self.compared_at, &cell, text);
        Print {
            key,
            compared: hash(text),
        }
    }

    /// The rows of a batch with their keys, in the place of those that `keyed` has.
    pub(crate) fn keyed(&self, batch: &RecordBatch, keyed: &mut Keyed) {
        let columns = Cells::all(batch);
        keyed.keys.clear();
        keyed.rows.clear();
        let mut rest = String::new();
        for row in 0..batch.num_rows() {
            let start = keyed.keys.len();
            push(&self.key_at, &columns, row, &mut keyed.keys);
            rest.clear();
            push(&self.compared_at, &columns, row, &mut rest);
            keyed.push(start, &rest);
        }
    }

    /// Adds the row of a line, by its values as JSON.
    pub(crate) fn add_line(&self, values: &[&str], text: &mut String, keyed: &mut Keyed) {
        let cell = |column: usize| values.get(column).copied().unwrap_or("null");
        join(&self.key_at, cell, text);
        let start = keyed.keys.len();
        keyed.keys.push_str(text);
        join(&self.compared_at, cell, text);
        keyed.push(start, text);
    }
}

fn join<'c>(columns: &[usize], cell: impl Fn(usize) -> &'c str, text: &mut String) {
    text.clear();
    text.push('[');
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(cell(*column));
    }
    text.push(']');
}

fn push(places: &[usize], columns: &[Cells<'_>], row: usize, text: &mut String) {
    text.push('[');
    for (index, column) in places.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        columns[*column].get(row).write_json(text);
    }
    text.push(']');
}

/// A row, by hashes: of its key, and of what else of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print {
    key: u128,
    compared: u128,
}

/// Rows with the texts of their keys.
#[derive(Default)]
pub(crate) struct Keyed {
    keys: String,
    rows: Vec<(Print, usize, usize)>,
}

impl Keyed {
    /// Whether there is enough to be handed on.
    pub(crate) fn is_much(&self) -> bool {
        self.keys.len() >= WRITTEN_AT_ONCE
    }

    /// The row whose key is what follows this place.
    fn push(&mut self, start: usize, rest: &str) {
        let print = Print {
            key: hash(&self.keys[start..]),
            compared: hash(rest),
        };
        self.rows.push((print, start, self.keys.len()));
    }
}

/// 128 bits under a key that this process alone knows: no two rows of a question share them by chance or by will.
fn hash(text: &str) -> u128 {
    static HASHER: LazyLock<SipHasher13> = LazyLock::new(|| {
        let key = || RandomState::new().hash_one(0);
        SipHasher13::new_with_keys(key(), key())
    });
    HASHER.hash(text.as_bytes()).as_u128()
}

/// Of a hash nothing needs hashing again.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().take(8).enumerate() {
            self.0 |= u64::from(*byte) << (8 * index);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The rows of an earlier state. In which order they are added makes no difference.
pub(crate) struct Known {
    rows: HashMap<u128, Row, BuildHasherDefault<Taken>>,
    /// What counts of further rows of a key, as far as they were not met.
    more: HashMap<u128, Vec<u128>, BuildHasherDefault<Taken>>,
    texts: SpooledTempFile,
    written: u64,
}

struct Row {
    /// What counts of the first row of its key; [`MET`] when that was met.
    compared: u128,
    /// Where the text of its key lies.
    start: u64,
    length: u32,
    /// How often the key is there and was not met yet.
    unmet: u32,
}

/// In the place of a hash. One in 2^128 is the same.
const MET: u128 = 0;

impl Known {
    pub(crate) fn new() -> Self {
        Self {
            rows: HashMap::default(),
            more: HashMap::default(),
            texts: SpooledTempFile::new(IN_MEMORY_BYTES),
            written: 0,
        }
    }

    /// Adds rows.
    pub(crate) fn add(&mut self, added: &Keyed) -> io::Result<()> {
        self.texts.write_all(added.keys.as_bytes())?;
        for (print, start, end) in &added.rows {
            match self.rows.entry(print.key) {
                Entry::Occupied(mut known) => {
                    let unmet = &mut known.get_mut().unmet;
                    *unmet = unmet.saturating_add(1);
                    self.more.entry(print.key).or_default().push(print.compared);
                }
                Entry::Vacant(place) => {
                    place.insert(Row {
                        unmet: 1,
                        compared: print.compared,
                        start: self.written + *start as u64,
                        length: u32::try_from(end - start).unwrap_or(u32::MAX),
                    });
                }
            }
        }
        self.written += added.keys.len() as u64;
        Ok(())
    }

    /// Meets a row of the later state.
    pub(crate) fn meet(&mut self, met: Print) -> Mark {
        let Some(row) = self.rows.get_mut(&met.key).filter(|row| row.unmet > 0) else {
            return Mark::New;
        };
        row.unmet -= 1;
        if row.compared == met.compared {
            row.compared = MET;
            return Mark::Same;
        }
        let more = self.more.get_mut(&met.key);
        let is_among = more.is_some_and(|more| {
            let found = more.iter().position(|compared| *compared == met.compared);
            found.map(|index| more.swap_remove(index)).is_some()
        });
        match is_among {
            true => Mark::Same,
            false => Mark::Changed,
        }
    }

    /// The keys of rows that were not met, sorted by their texts, as often as they are.
    pub(crate) fn gone(mut self, mut each: impl FnMut(&str)) -> io::Result<()> {
        let gone = self.rows.into_values().filter(|row| row.unmet > 0);
        let mut gone = gone.collect::<Vec<_>>();
        gone.sort_unstable_by_key(|row| row.start);
        let mut keys = Vec::with_capacity(gone.len());
        for row in gone {
            self.texts.seek(SeekFrom::Start(row.start))?;
            let mut text = vec![0; row.length as usize];
            self.texts.read_exact(&mut text)?;
            keys.push((text, row.unmet));
        }
        keys.sort_unstable();
        for (text, unmet) in keys {
            let key = String::from_utf8_lossy(&text);
            (0..unmet).for_each(|_| each(&key));
        }
        Ok(())
    }
}

/// The names and the values of a line of JSON as [`crate::output`] writes it, all as they stand there. `None` for what is
/// no such line.
pub(crate) fn members(line: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = line.trim().strip_prefix('{')?;
    let mut found = Vec::new();
    if let Some(end) = rest.strip_prefix('}') {
        return end.is_empty().then_some(found);
    }
    loop {
        let (name, after) = value_at(rest)?;
        let is_text = name.len() > 1 && name.starts_with('"') && name.ends_with('"');
        let (value, after) = value_at(after.strip_prefix(':').filter(|_| is_text)?)?;
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
    use crate::output::{JsonRows, JsonWriter};

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
        let rows = batch(before);
        let columns = KeyColumns::find(&rows.schema(), &key, &[]).unwrap();
        // In pieces, as they come.
        for row in 0..rows.num_rows() {
            let mut keyed = Keyed::default();
            columns.keyed(&rows.slice(row, 1), &mut keyed);
            known.add(&keyed).unwrap();
        }
        let rows = batch(after);
        let mut objects = JsonRows::default();
        JsonWriter::lines(&rows.schema()).rows(&rows, &mut objects);
        let mut text = String::new();
        let marks = (0..rows.num_rows())
            .map(|row| known.meet(columns.print_of(|column| objects.cell(row, column), &mut text)));
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
        let (marks, gone) = compared(&[("b", 1), ("a", 1), ("b", 1)], &[("a", 1), ("a", 1)]);
        assert_eq!(marks, [Mark::Same, Mark::New]);
        assert_eq!(gone, [r#"["b"]"#, r#"["b"]"#]);
        let rows = [("a", 1), ("a", 2), ("a", 2), ("a", 3)];
        let backwards = rows.iter().rev().copied().collect::<Vec<_>>();
        for before in [&rows[..], &backwards] {
            let (marks, gone) = compared(before, &[("a", 2), ("a", 9), ("a", 2), ("a", 3)]);
            assert_eq!(marks, [Mark::Same, Mark::Changed, Mark::Same, Mark::Same]);
            assert!(gone.is_empty());
        }
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
                (r#""a""#, r#""x,\"}{""#),
                (r#""b""#, r#"[1,{"c":":"}]"#),
                (r#""é\n""#, "null"),
                (r#""d""#, "-1.5e3"),
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
        let of_names = KeyColumns::among(&names, &key, &[]).unwrap();
        let mut again = Keyed::default();
        of_names.add_line(&values, &mut String::new(), &mut again);
        let mut keyed = Keyed::default();
        columns.keyed(&rows, &mut keyed);
        assert_eq!((keyed.keys, keyed.rows), (again.keys, again.rows));
    }
}
