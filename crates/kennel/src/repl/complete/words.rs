//! Words that can be offered, and which of them fit what was typed.

use std::collections::HashSet;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use kennel_engine::TableShape;
use reedline::{Span, Suggestion};

use super::{super::types::type_name, Completion, MOST};
use crate::text::visible;

/// Something that can be offered.
pub(super) struct Word {
    pub(super) value: String,
    pub(super) about: String,
    /// The lower, the earlier.
    pub(super) rank: u8,
}

pub(super) fn table_word(table: &TableShape, value: &str) -> Word {
    Word {
        value: value.into(),
        about: format!("{}, {} columns", table.schema, table.columns.fields().len()),
        rank: 0,
    }
}

pub(super) fn field_word(field: &Field, rank: u8) -> Word {
    Word {
        value: quoted(field.name()),
        about: type_name(field.data_type()),
        rank,
    }
}

/// A name as it must be written.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_plain {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A name without its quotes.
pub(super) fn bare(name: &str) -> String {
    for quote in ['"', '`'] {
        let inner = name
            .strip_prefix(quote)
            .and_then(|name| name.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    name.to_owned()
}

/// The fields of the struct at a path; the columns themselves where the path is empty.
pub(super) fn fields_at(fields: &Fields, path: &[String]) -> Vec<Word> {
    let Some((first, inner)) = path.split_first() else {
        return fields.iter().map(|field| field_word(field, 0)).collect();
    };
    let field = fields
        .iter()
        .find(|field| field.name().eq_ignore_ascii_case(first));
    match field.map(|field| field.data_type()) {
        Some(DataType::Struct(fields)) => fields_at(fields, inner),
        _ => vec![],
    }
}

/// Those that begin as typed, by rank and name; without any, those that contain it.
pub(super) fn offer(words: Vec<Word>, typed: &str, pos: usize) -> Completion {
    let lower = typed.to_lowercase();
    let unquoted = |word: &Word| word.value.trim_start_matches('"').to_lowercase();
    let (mut chosen, others): (Vec<_>, Vec<_>) = words
        .into_iter()
        .partition(|word| unquoted(word).starts_with(&lower));
    if chosen.is_empty() && lower.len() > 1 {
        chosen.extend(
            others
                .into_iter()
                .filter(|word| unquoted(word).contains(&lower)),
        );
    }
    chosen.sort_by(|a, b| (a.rank, &a.value).cmp(&(b.rank, &b.value)));
    let mut seen = HashSet::new();
    // A name that cannot be shown as it is cannot be offered either.
    chosen.retain(|word| {
        *visible(&word.value) == *word.value && seen.insert(word.value.to_lowercase())
    });
    let suggestion = |word: Word| Suggestion {
        value: word.value,
        description: (!word.about.is_empty()).then(|| visible(&word.about).into_owned()),
        span: Span::new(pos - typed.len(), pos),
        ..Suggestion::default()
    };
    Completion {
        suggestions: chosen.into_iter().take(MOST).map(suggestion).collect(),
        wanted: None,
    }
}
