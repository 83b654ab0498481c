//! Trino's functions of text. Positions count characters from 1.
//!
//! Source: Trino manual, "String functions and operators".

mod compare;
mod joined;
mod like;
mod maps;
mod padding;
mod words;

pub(crate) use like::plain_pattern;

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder},
        datatypes::{DataType, Int64Type},
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::{
        Cast, ScalarUDF,
        expr::ScalarFunction,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};
use memchr::memmem::Finder;

use super::scalar::{Call, Kind, Spec, bigint, integer, same, varbinary, varchar, varchar_array};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT: &[Kind] = &[Kind::Text];
    const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];
    const TEXT_TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];
    const TEXT_TEXT_INTEGER: &[Kind] = &[Kind::Text, Kind::Text, Kind::Integer];
    let mut all: Vec<_> = [
        Spec::new("chr", &[Kind::Integer], varchar, chr),
        Spec::new("codepoint", TEXT, integer, codepoint),
        Spec::new("from_utf8", &[Kind::Binary, Kind::Any], varchar, from_utf8).at_least(1),
        Spec::new("length", &[Kind::TextOrBinary], bigint, length),
        Spec::new("lower", TEXT, varchar, |call| {
            each(call, |text| match text.is_ascii() {
                true => text.to_ascii_lowercase(),
                false => changed(text, lower),
            })
        }),
        Spec::new("upper", TEXT, varchar, |call| {
            each(call, |text| match text.is_ascii() {
                true => text.to_ascii_uppercase(),
                false => changed(text, char::to_uppercase),
            })
        }),
        Spec::new("normalize", TEXT_TEXT, varchar, normalize).at_least(1),
        Spec::new("replace", TEXT_TEXT_TEXT, varchar, replace).at_least(2),
        Spec::new("soundex", TEXT, varchar, compare::soundex),
        Spec::new("split", TEXT_TEXT_INTEGER, varchar_array, split).at_least(2),
        Spec::new("split_part", TEXT_TEXT_INTEGER, varchar, split_part),
        Spec::new("to_utf8", TEXT, varbinary, |call| {
            let texts = call.text(0);
            call.to_bytes(|row| Ok(Some(texts.value(row))))
        }),
        Spec::new("translate", TEXT_TEXT_TEXT, varchar, translate),
    ]
    .map(Spec::build)
    .into();
    all.push(strpos());
    all.push(substr());
    all.push(like::function());
    all.extend(compare::functions());
    all.extend(joined::functions());
    all.extend(maps::functions());
    all.extend(padding::functions());
    all.extend(words::functions());
    all
}

/// `concat`.
pub(super) fn concat() -> Arc<ScalarUDF> {
    joined::concat_function()
}

fn each(call: &Call, each: impl Fn(&str) -> String) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_texts(|row| Ok(Some(each(texts.value(row)))))
}

/// Letter by letter: a letter that would become several stays, as in Trino.
fn changed<I: Iterator<Item = char>>(text: &str, change: impl Fn(char) -> I) -> String {
    text.chars().map(|letter| one(letter, &change)).collect()
}

/// One letter changed, unless it would become several.
fn one<I: Iterator<Item = char>>(letter: char, change: impl Fn(char) -> I) -> char {
    let mut changed = change(letter);
    match (changed.next(), changed.next()) {
        (Some(only), None) => only,
        _ => letter,
    }
}

/// The dotted capital I is the one letter that becomes one in Java and two here.
fn lower(letter: char) -> impl Iterator<Item = char> {
    let letter = if letter == 'İ' { 'i' } else { letter };
    letter.to_lowercase()
}

fn chr(call: &Call) -> Result<ArrayRef> {
    let codes = call.integers(0);
    call.to_texts(|row| {
        let code = codes.value(row);
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        match character {
            Some(character) => Ok(Some(character.to_string())),
            None => exec_err!("Not a valid Unicode code point: {code}"),
        }
    })
}

fn codepoint(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_small_integers(|row| {
        let mut characters = texts.value(row).chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => Ok(i32::try_from(u32::from(only)).ok()),
            _ => exec_err!("codepoint takes a varchar of one character"),
        }
    })
}

/// What stands for bytes that are no UTF-8: a code point, or a text of at most one character.
fn replacement(call: &Call, row: usize) -> Result<String> {
    let Some(array) = call.args.get(1) else {
        return Ok(char::REPLACEMENT_CHARACTER.into());
    };
    if array.data_type().is_integer() {
        let codes = datafusion::arrow::compute::cast(array, &DataType::Int64)?;
        let code = codes.as_primitive::<Int64Type>().value(row);
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        return character
            .map(String::from)
            .ok_or_else(|| exec_datafusion_err!("Invalid replacement character: {code}"));
    }
    let texts = datafusion::arrow::compute::cast(array, &DataType::Utf8)?;
    let text = texts.as_string::<i32>().value(row);
    if text.chars().count() > 1 {
        return exec_err!("Replacement character string must empty or a single character");
    }
    Ok(text.to_owned())
}

fn from_utf8(call: &Call) -> Result<ArrayRef> {
    let bytes = call.bytes(0);
    call.to_texts(|row| {
        let replacement = replacement(call, row)?;
        let mut text = String::new();
        for chunk in bytes.value(row).utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push_str(&replacement);
            }
        }
        Ok(Some(text))
    })
}

fn length(call: &Call) -> Result<ArrayRef> {
    if *call.args[0].data_type() == DataType::Binary {
        let bytes = call.bytes(0);
        return call.to_integers(|row| Ok(i64::try_from(bytes.value(row).len()).ok()));
    }
    let texts = call.text(0);
    call.to_integers(|row| Ok(i64::try_from(texts.value(row).chars().count()).ok()))
}

fn normalize(call: &Call) -> Result<ArrayRef> {
    use unicode_normalization::UnicodeNormalization;
    let texts = call.text(0);
    call.to_texts(|row| {
        let text = texts.value(row);
        let form = call.args.get(1).map(|_| call.text(1).value(row));
        Ok(Some(
            match form.unwrap_or("NFC").to_ascii_uppercase().as_str() {
                "NFC" => text.nfc().collect::<String>(),
                "NFD" => text.nfd().collect(),
                "NFKC" => text.nfkc().collect(),
                "NFKD" => text.nfkd().collect(),
                other => {
                    return exec_err!(
                        "Normalization form must be one of [NFD, NFC, NFKD, NFKC], not {other}"
                    );
                }
            },
        ))
    })
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (texts, searched) = (call.text(0), call.text(1));
    call.to_texts(|row| {
        let new = if call.args.len() > 2 {
            call.text(2).value(row)
        } else {
            ""
        };
        Ok(Some(texts.value(row).replace(searched.value(row), new)))
    })
}

/// `strpos(text, part[, instance])`; a negative instance counts from the end.
pub(super) fn strpos() -> Arc<ScalarUDF> {
    let strpos = Spec::new(
        "strpos",
        &[Kind::Text, Kind::Text, Kind::Integer],
        bigint,
        |call| {
            let (texts, parts) = (call.text(0), call.text(1));
            call.to_integers(|row| {
                let instance = call.integer_at(2, row).unwrap_or(1);
                if instance == 0 {
                    return exec_err!("'instance' must not be a positive or negative number.");
                }
                Ok(Some(position(texts.value(row), parts.value(row), instance)))
            })
        },
    );
    Spec {
        simplify: Some(faster_strpos),
        ..strpos.at_least(2).also(&["index"])
    }
    .build()
}

/// DataFusion's own looks for a constant text in a column much faster, and means the same.
fn faster_strpos(args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
    let [text, part] = args.as_slice() else {
        return Ok(ExprSimplifyResult::Original(args));
    };
    let args = vec![text.clone(), part.clone()];
    let found = ScalarFunction::new_udf(datafusion::functions::unicode::strpos(), args);
    let found = Box::new(Expr::ScalarFunction(found));
    Ok(ExprSimplifyResult::Simplified(Expr::Cast(Cast::new(
        found,
        DataType::Int64,
    ))))
}

fn position(text: &str, part: &str, instance: i64) -> i64 {
    if part.is_empty() {
        return 1;
    }
    let wanted = usize::try_from(instance.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let starts = text
        .char_indices()
        .map(|(at, _)| at)
        .filter(|at| text[*at..].starts_with(part));
    let found = if instance > 0 {
        // Looking for one place needs no list of all.
        match wanted {
            0 => text.find(part),
            _ => starts.clone().nth(wanted),
        }
    } else {
        let all: Vec<_> = starts.collect();
        all.iter().rev().nth(wanted).copied()
    };
    found.map_or(0, |at| {
        i64::try_from(text[..at].chars().count() + 1).unwrap_or(i64::MAX)
    })
}

/// `substr(text, start[, length])`; a negative start counts from the end. Of bytes, too.
pub(super) fn substr() -> Arc<ScalarUDF> {
    Spec::new(
        "substr",
        &[Kind::TextOrBinary, Kind::Integer, Kind::Integer],
        same,
        |call| {
            let starts = call.integers(1);
            if call.return_type == DataType::Binary {
                let bytes = call.bytes(0);
                return call.to_bytes(|row| {
                    let bytes = bytes.value(row);
                    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                    let range = range(count, starts.value(row), call.integer_at(2, row));
                    Ok(Some(&bytes[range]))
                });
            }
            let texts = call.text(0);
            call.to_texts(|row| {
                let length = call.integer_at(2, row);
                Ok(Some(piece(texts.value(row), starts.value(row), length)))
            })
        },
    )
    .at_least(2)
    .also(&["substring"])
    .build()
}

/// The places from `start` on, of `count` ones.
fn range(count: i64, start: i64, length: Option<i64>) -> std::ops::Range<usize> {
    let from = match start {
        0 => count,
        start if start > 0 => (start - 1).min(count),
        start => match count.checked_add(start) {
            Some(from) if from >= 0 => from,
            _ => count,
        },
    };
    let to = match length {
        None => count,
        Some(length) => from.saturating_add(length.max(0)).min(count),
    };
    usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0)
}

fn piece(text: &str, start: i64, length: Option<i64>) -> &str {
    if text.is_ascii() {
        let count = i64::try_from(text.len()).unwrap_or(i64::MAX);
        return &text[range(count, start, length)];
    }
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let range = range(count, start, length);
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    &text[at(range.start)..at(range.end)]
}

fn split(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.text(0), call.text(1));
    let mut result = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        if !call.all_valid(row) {
            result.append_null();
            continue;
        }
        let (text, delimiter) = (texts.value(row), delimiters.value(row));
        if delimiter.is_empty() {
            return exec_err!("The delimiter may not be the empty string");
        }
        match call.integer_at(2, row) {
            Some(limit) if limit <= 0 => return exec_err!("Limit must be positive"),
            Some(limit) if limit > i64::from(i32::MAX) => return exec_err!("Limit is too large"),
            Some(limit) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                text.splitn(limit, delimiter)
                    .for_each(|part| result.values().append_value(part));
            }
            None => text
                .split(delimiter)
                .for_each(|part| result.values().append_value(part)),
        }
        result.append(true);
    }
    Ok(Arc::new(result.finish()))
}

fn split_part(call: &Call) -> Result<ArrayRef> {
    let (texts, delimiters) = (call.text(0), call.text(1));
    let indices = call.integers(2);
    // What is looked for in all rows is prepared once.
    let constant = call.constant_text(1).flatten();
    let finder = constant.map(|delimiter| Finder::new(delimiter.as_bytes()));
    call.to_texts(|row| {
        let index = match usize::try_from(indices.value(row)) {
            Ok(index) if index > 0 => index - 1,
            _ => return exec_err!("Index must be greater than zero"),
        };
        let (text, delimiter) = (texts.value(row), delimiters.value(row));
        // An empty delimiter cuts at each character.
        Ok(match &finder {
            _ if delimiter.is_empty() => text
                .char_indices()
                .nth(index)
                .map(|(at, character)| &text[at..at + character.len_utf8()]),
            Some(finder) => part(text, finder, index),
            None => text.split(delimiter).nth(index),
        })
    })
}

/// The part with this index, from 0, between the places of what is looked for.
fn part<'a>(text: &'a str, delimiter: &Finder<'_>, index: usize) -> Option<&'a str> {
    let mut rest = text;
    for _ in 0..index {
        let at = delimiter.find(rest.as_bytes())?;
        rest = &rest[at + delimiter.needle().len()..];
    }
    let end = delimiter.find(rest.as_bytes()).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Characters replaced one by one; those without a counterpart are left out.
fn translate(call: &Call) -> Result<ArrayRef> {
    let (texts, from, to) = (call.text(0), call.text(1), call.text(2));
    call.to_texts(|row| {
        let to: Vec<char> = to.value(row).chars().collect();
        let mut map = std::collections::HashMap::new();
        for (index, character) in from.value(row).chars().enumerate() {
            map.entry(character)
                .or_insert_with(|| to.get(index).copied());
        }
        let text = texts.value(row).chars();
        Ok(Some(
            text.filter_map(|character| map.get(&character).copied().unwrap_or(Some(character)))
                .collect::<String>(),
        ))
    })
}
