//! How far texts are from each other, and what a text is checked for.

use std::sync::Arc;

use datafusion::{
    arrow::array::ArrayRef, common::exec_err, error::Result, logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec, bigint, boolean};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];
    [
        Spec::new("hamming_distance", TEXT_TEXT, bigint, hamming),
        Spec::new("levenshtein_distance", TEXT_TEXT, bigint, levenshtein),
        Spec::new("luhn_check", &[Kind::Text], boolean, luhn),
    ]
    .map(Spec::build)
    .into()
}

fn hamming(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.to_integers(|row| {
        let (mut left, mut right) = (left.value(row).chars(), right.value(row).chars());
        let mut distance = 0;
        loop {
            match (left.next(), right.next()) {
                (None, None) => return Ok(Some(distance)),
                (Some(a), Some(b)) => distance += i64::from(a != b),
                _ => {
                    return exec_err!(
                        "The input strings to hamming_distance function must have the same length"
                    );
                }
            }
        }
    })
}

/// Trino's bound on the product of both lengths.
const LARGEST: usize = 1_000_000;

fn levenshtein(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (call.text(0), call.text(1));
    call.to_integers(|row| {
        let left: Vec<char> = left.value(row).chars().collect();
        let right: Vec<char> = right.value(row).chars().collect();
        if left.len().saturating_mul(right.len().saturating_sub(1)) > LARGEST {
            return exec_err!("The combined inputs for Levenshtein distance are too large");
        }
        Ok(i64::try_from(distance(&left, &right)).ok())
    })
}

fn distance(left: &[char], right: &[char]) -> usize {
    let mut distances: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut diagonal = distances[0];
        distances[0] = row + 1;
        for (column, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = distances[column + 1];
            distances[column + 1] = changed
                .min(distances[column] + 1)
                .min(distances[column + 1] + 1);
        }
    }
    distances[right.len()]
}

fn luhn(call: &Call) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_booleans(|row| {
        let text = texts.value(row);
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return exec_err!("Input contains invalid digit: '{text}'");
        }
        let sum: u64 = text
            .bytes()
            .rev()
            .enumerate()
            .map(|(index, digit)| {
                let digit = u64::from(digit - b'0');
                match (index % 2, digit * 2) {
                    (0, _) => digit,
                    (_, doubled) if doubled > 9 => doubled - 9,
                    (_, doubled) => doubled,
                }
            })
            .sum();
        Ok(Some(!text.is_empty() && sum.is_multiple_of(10)))
    })
}

/// The American Soundex code: a letter and three digits.
pub(super) fn soundex(call: &Call) -> Result<ArrayRef> {
    const CODES: &[u8; 26] = b"01230120022455012623010202";
    let texts = call.text(0);
    call.to_texts(|row| {
        let text = texts.value(row);
        let mut letters = text.chars().filter(|character| character.is_alphabetic());
        let code = |letter: char| {
            let index = u32::from(letter.to_ascii_uppercase()).checked_sub(u32::from('A'));
            match index.and_then(|index| CODES.get(index as usize)) {
                Some(code) => Ok(*code),
                None => exec_err!("The character is not mapped: {letter}"),
            }
        };
        let Some(first) = letters.next() else {
            return Ok(Some(String::new()));
        };
        let mut result = String::from(first.to_ascii_uppercase());
        let mut last = code(first)?;
        for letter in letters {
            // H and W do not part equal codes, vowels do.
            if matches!(letter, 'h' | 'w' | 'H' | 'W') {
                continue;
            }
            let code = code(letter)?;
            if code != b'0' && code != last && result.len() < 4 {
                result.push(char::from(code));
            }
            last = code;
        }
        while result.len() < 4 {
            result.push('0');
        }
        Ok(Some(result))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn distance_is_symmetric_and_bounded(a in "[ab]{0,8}", b in "[ab]{0,8}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let there = distance(&a, &b);
            prop_assert_eq!(there, distance(&b, &a));
            prop_assert!(there >= a.len().abs_diff(b.len()));
            prop_assert!(there <= a.len().max(b.len()));
            prop_assert_eq!(there == 0, a == b);
        }
    }
}
