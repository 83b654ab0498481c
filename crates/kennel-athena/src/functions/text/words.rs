//! Words: their stems, and the functions that Teradata's users know.
//!
//! Source: Trino manual, "String functions and operators" and "Teradata functions"; the stems are those
//! of the Snowball project.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef, common::exec_err, error::Result, logical_expr::ScalarUDF,
};
use rust_stemmers::{Algorithm, Stemmer};

use super::{lower, one};
use crate::functions::scalar::{Call, Kind, Spec, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new("word_stem", &[Kind::Text, Kind::Text], varchar, word_stem).at_least(1),
        Spec::new("title_case", &[Kind::Text], varchar, title_case),
        Spec::new("char2hexint", &[Kind::Text], varchar, |call| {
            let texts = call.text(0);
            call.to_texts(|row| {
                let units = texts.value(row).encode_utf16();
                Ok(Some(
                    units.map(|unit| format!("{unit:04X}")).collect::<String>(),
                ))
            })
        }),
    ]
    .map(Spec::build)
    .into()
}

/// The first letter of each word in upper case, all others in lower case; blanks part words.
fn title_case(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_texts(|row| {
        let mut is_first = true;
        let letters = texts.value(row).chars().map(|letter| {
            let changed = match is_first {
                true => one(letter, char::to_uppercase),
                false => one(letter, lower),
            };
            is_first = letter.is_whitespace();
            changed
        });
        Ok(Some(letters.collect::<String>()))
    })
}

/// The algorithm of a language, by its code of two letters.
fn algorithm(language: &str) -> Option<Algorithm> {
    Some(match language {
        "ar" => Algorithm::Arabic,
        "da" => Algorithm::Danish,
        "de" => Algorithm::German,
        "el" => Algorithm::Greek,
        "en" => Algorithm::English,
        "es" => Algorithm::Spanish,
        "fi" => Algorithm::Finnish,
        "fr" => Algorithm::French,
        "hu" => Algorithm::Hungarian,
        "it" => Algorithm::Italian,
        "nl" => Algorithm::Dutch,
        "no" => Algorithm::Norwegian,
        "pt" => Algorithm::Portuguese,
        "ro" => Algorithm::Romanian,
        "ru" => Algorithm::Russian,
        "sv" => Algorithm::Swedish,
        "ta" => Algorithm::Tamil,
        "tr" => Algorithm::Turkish,
        _ => return None,
    })
}

fn word_stem(call: &Call) -> Result<ArrayRef> {
    let words = call.text(0);
    call.to_texts(|row| {
        let language = call.args.get(1).map_or("en", |_| call.text(1).value(row));
        let Some(algorithm) = algorithm(language) else {
            return exec_err!("Unknown stemmer language: {language}");
        };
        let stemmer = Stemmer::create(algorithm);
        Ok(Some(stemmer.stem(words.value(row)).into_owned()))
    })
}
