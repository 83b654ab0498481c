//! Tags: maps, or text holding a JSON object or a Python dict.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, MapBuilder, MapFieldNames, StringBuilder},
    compute::cast,
    datatypes::DataType,
};

use super::{
    IngestError,
    convert::{Cells, as_text},
    is_text, is_text_map,
    timestamp::is_blank,
};
use crate::k9::tags_type;

type TagsBuilder = MapBuilder<StringBuilder, StringBuilder>;

/// Makes `map<string,string>` of a column of tags.
///
/// Text is a JSON object or a Python dict (both occur in k9's own samples); values that are not text
/// keep their JSON form, null values their key. A struct (what some writers make of dicts) is a map of
/// its non-null fields, a list of key–value pairs a map.
pub(super) fn tags(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let data_type = array.data_type();
    if is_text_map(data_type) {
        return from_map(array, cells);
    }
    if is_text(data_type) {
        return from_text(array, cells);
    }
    match data_type {
        DataType::Null => cast_null(array),
        DataType::Struct(_) => from_struct(array, cells),
        DataType::List(item) | DataType::LargeList(item) if is_pair(item.data_type()) => {
            from_pairs(array, cells)
        }
        _ => Err(cells.wrong_type(array, "tags: a map, or text holding a JSON object")),
    }
}

fn is_pair(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(fields) if fields.len() == 2 && fields.iter().all(|f| is_text(f.data_type())))
}

fn builder(rows: usize) -> TagsBuilder {
    let names = MapFieldNames {
        entry: "entries".into(),
        key: "key".into(),
        value: "value".into(),
    };
    MapBuilder::with_capacity(
        Some(names),
        StringBuilder::new(),
        StringBuilder::new(),
        rows,
    )
}

fn finish(mut builder: TagsBuilder) -> ArrayRef {
    let array: ArrayRef = Arc::new(builder.finish());
    debug_assert_eq!(
        array.data_type(),
        &tags_type(),
        "the builder's names are those of the type"
    );
    array
}

fn close_row(builder: &mut TagsBuilder, is_valid: bool) -> Result<(), IngestError> {
    builder.append(is_valid).map_err(IngestError::Convert)
}

fn cast_null(array: &ArrayRef) -> Result<ArrayRef, IngestError> {
    let mut builder = builder(array.len());
    (0..array.len()).try_for_each(|_| close_row(&mut builder, false))?;
    Ok(finish(builder))
}

/// Rebuilds a map, since writers name its parts differently.
fn from_map(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let map = array.as_map();
    let keys = as_text(map.keys(), cells)?;
    let values = as_text(map.values(), cells)?;
    let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
    let mut builder = builder(map.len());
    for row in 0..map.len() {
        if map.is_valid(row) {
            let range = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
            for entry in range.filter(|entry| keys.is_valid(*entry)) {
                builder.keys().append_value(keys.value(entry));
                builder
                    .values()
                    .append_option(values.is_valid(entry).then(|| values.value(entry)));
            }
        }
        close_row(&mut builder, map.is_valid(row))?;
    }
    Ok(finish(builder))
}

fn from_struct(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let rows = array.as_struct();
    let fields = rows
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| {
            cast(column, &DataType::Utf8)
                .map(|column| (field.name(), column))
                .map_err(|_| cells.wrong_type(array, "tags: text values"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut builder = builder(rows.len());
    for row in 0..rows.len() {
        for (name, column) in &fields {
            let column = column.as_string::<i32>();
            if rows.is_valid(row) && column.is_valid(row) {
                builder.keys().append_value(name);
                builder.values().append_value(column.value(row));
            }
        }
        close_row(&mut builder, rows.is_valid(row))?;
    }
    Ok(finish(builder))
}

fn from_pairs(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let list = if matches!(array.data_type(), DataType::LargeList(_)) {
        let DataType::LargeList(item) = array.data_type() else {
            unreachable!("just matched")
        };
        cast(array, &DataType::List(Arc::clone(item))).map_err(IngestError::Convert)?
    } else {
        Arc::clone(array)
    };
    let list = list.as_list::<i32>();
    let mut builder = builder(list.len());
    for row in 0..list.len() {
        if list.is_valid(row) {
            let pairs = list.value(row);
            let pairs = pairs.as_struct();
            let (keys, values) = (
                as_text(pairs.column(0), cells)?,
                as_text(pairs.column(1), cells)?,
            );
            let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
            for entry in (0..pairs.len()).filter(|entry| keys.is_valid(*entry)) {
                builder.keys().append_value(keys.value(entry));
                builder
                    .values()
                    .append_option(values.is_valid(entry).then(|| values.value(entry)));
            }
        }
        close_row(&mut builder, list.is_valid(row))?;
    }
    Ok(finish(builder))
}

fn from_text(array: &ArrayRef, cells: &Cells<'_>) -> Result<ArrayRef, IngestError> {
    let texts = as_text(array, cells)?;
    let texts = texts.as_string::<i32>();
    let mut builder = builder(texts.len());
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text.filter(|text| !is_blank(text)) else {
            close_row(&mut builder, false)?;
            continue;
        };
        let entries = parse(text);
        if entries.is_none() {
            cells.unreadable(row, text, "a JSON object or Python dict");
        }
        let is_valid = entries.is_some();
        for (key, value) in entries.into_iter().flatten() {
            builder.keys().append_value(key);
            builder.values().append_option(value);
        }
        close_row(&mut builder, is_valid)?;
    }
    Ok(finish(builder))
}

/// Reads a JSON object, else a Python dict of texts, numbers, booleans and None.
fn parse(text: &str) -> Option<BTreeMap<String, Option<String>>> {
    if let Ok(object) = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) {
        let value = |value| match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        return Some(object.into_iter().map(|(key, v)| (key, value(v))).collect());
    }
    PythonDict { rest: text.trim() }.read()
}

/// Python's `repr` of a flat dict: `{'Owner': 'product', "it's": None}`.
struct PythonDict<'a> {
    rest: &'a str,
}

impl PythonDict<'_> {
    fn read(mut self) -> Option<BTreeMap<String, Option<String>>> {
        let mut entries = BTreeMap::new();
        self.take("{")?;
        while self.take("}").is_none() {
            let key = self.text()?;
            self.take(":")?;
            let value = if self.rest.starts_with(['\'', '"']) {
                Some(self.text()?)
            } else {
                self.bare()?
            };
            entries.insert(key, value);
            if self.take(",").is_none() && !self.rest.starts_with('}') {
                return None;
            }
        }
        self.rest.is_empty().then_some(entries)
    }

    /// Takes a token and the white space after it.
    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?.trim_start();
        Some(())
    }

    fn bare(&mut self) -> Option<Option<String>> {
        let end = self.rest.find([',', '}'])?;
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let word = word.trim();
        match word {
            "None" => Some(None),
            "True" | "False" => Some(Some(word.into())),
            number if number.parse::<f64>().is_ok() => Some(Some(number.into())),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let mut chars = self.rest.chars();
        let quote = chars.next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => text.push(match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'x' => escape(&mut chars, 2)?,
                    'u' => escape(&mut chars, 4)?,
                    'U' => escape(&mut chars, 8)?,
                    c @ ('\\' | '\'' | '"') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
        self.rest = chars.as_str().trim_start();
        Some(text)
    }
}

fn escape(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let code = chars.by_ref().take(digits).collect::<String>();
    (code.len() == digits)
        .then(|| u32::from_str_radix(&code, 16).ok())
        .flatten()
        .and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Option<Vec<(String, Option<String>)>> {
        parse(text).map(|map| map.into_iter().collect())
    }

    #[test]
    fn json_and_python_texts_are_the_same_tags() {
        let expected = vec![
            ("BusinessUnit".to_owned(), Some("R&D".to_owned())),
            ("Env".into(), Some("dev".into())),
        ];
        for text in [
            r#"{"BusinessUnit": "R&D", "Env": "dev"}"#,
            "{'BusinessUnit': 'R&D', 'Env': 'dev'}",
            "{'Env':'dev','BusinessUnit':\"R&D\",}",
            " { 'BusinessUnit' : 'R&D' , 'Env' : 'dev' } ",
        ] {
            assert_eq!(entries(text), Some(expected.clone()), "{text}");
        }
        assert_eq!(entries("{}"), Some(vec![]));
        assert_eq!(
            entries(r"{'a': 'it\'s \x41\u00e9', 'n': None, 'i': 3}"),
            Some(vec![
                ("a".into(), Some("it's Aé".into())),
                ("i".into(), Some("3".into())),
                ("n".into(), None),
            ])
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "[]",
            "{",
            "{'a'}",
            "{'a': 'b'",
            "{'a': 'b'} x",
            "{'a': b}",
            "{'a' 'b'}",
            "text",
            "{'a': '\\",
            "{'a': [1]}",
        ] {
            assert_eq!(entries(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", dict in "[{}'\":,\\\\xuN a]{0,30}") {
            parse(&text);
            parse(&dict);
        }
    }
}
