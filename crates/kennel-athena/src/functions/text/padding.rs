//! Blanks and other characters around texts: `trim` and `pad` in all their forms.

use std::sync::Arc;

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType},
    common::{exec_datafusion_err, exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use crate::functions::scalar::{Call, Kind, Spec, same, varchar};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const TEXT_TEXT: &[Kind] = &[Kind::Text, Kind::Text];
    const PAD: &[Kind] = &[Kind::TextOrBinary, Kind::Integer, Kind::TextOrBinary];
    let pad_type = |given: &[DataType]| match given {
        [text, _, pad] if text == pad => same(given),
        _ => plan_err!("text is padded with text, and bytes with bytes"),
    };
    [
        Spec::new("trim", TEXT_TEXT, varchar, |call| trim(call, true, true))
            .at_least(1)
            .also(&["btrim"]),
        Spec::new("ltrim", TEXT_TEXT, varchar, |call| trim(call, true, false)).at_least(1),
        Spec::new("rtrim", TEXT_TEXT, varchar, |call| trim(call, false, true)).at_least(1),
        Spec::new("lpad", PAD, pad_type, |call| pad(call, true)),
        Spec::new("rpad", PAD, pad_type, |call| pad(call, false)),
    ]
    .map(Spec::build)
    .into()
}

/// Java's blanks: those that are separators, but for the ones that forbid a line break.
fn is_blank(character: char) -> bool {
    match character {
        '\u{1c}'..='\u{1f}' => true,
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        other => other.is_whitespace(),
    }
}

fn trim(call: &Call, left: bool, right: bool) -> Result<ArrayRef> {
    let texts = call.text(0);
    call.to_texts(|row| {
        let mut text = texts.value(row);
        let characters = call.args.get(1).map(|_| call.text(1).value(row));
        let goes = |character: char| match characters {
            Some(characters) => characters.contains(character),
            None => is_blank(character),
        };
        if left {
            text = text.trim_start_matches(goes);
        }
        if right {
            text = text.trim_end_matches(goes);
        }
        Ok(Some(text))
    })
}

/// The most bytes that one padded value may have; more would take all memory for one typing error.
const LARGEST: usize = 64 << 20;

fn target(length: i64) -> Result<usize> {
    match i32::try_from(length).map(usize::try_from) {
        Ok(Ok(length)) => Ok(length),
        _ => exec_err!("Target length must be in the range [0..2147483647]"),
    }
}

fn pad(call: &Call, left: bool) -> Result<ArrayRef> {
    let lengths = call.integers(1);
    if call.return_type == DataType::Binary {
        let (bytes, pads) = (call.bytes(0), call.bytes(2));
        return call.to_bytes(|row| {
            let wanted = target(lengths.value(row))?;
            padded(bytes.value(row), wanted, pads.value(row), left, "bytes").map(Some)
        });
    }
    let (texts, pads) = (call.text(0), call.text(2));
    call.to_texts(|row| {
        let wanted = target(lengths.value(row))?;
        let text: Vec<char> = texts.value(row).chars().collect();
        let pad: Vec<char> = pads.value(row).chars().collect();
        let padded = padded(&text, wanted, &pad, left, "string")?;
        Ok(Some(padded.into_iter().collect::<String>()))
    })
}

fn padded<T: Copy>(
    value: &[T],
    wanted: usize,
    pad: &[T],
    left: bool,
    kind: &str,
) -> Result<Vec<T>> {
    if pad.is_empty() {
        return exec_err!("Padding {kind} must not be empty");
    }
    let Some(missing) = wanted.checked_sub(value.len()) else {
        return Ok(value[..wanted].to_vec());
    };
    if missing > LARGEST {
        return Err(exec_datafusion_err!(
            "a value of {wanted} characters is too long"
        ));
    }
    let filling = pad.iter().copied().cycle().take(missing);
    Ok(if left {
        filling.chain(value.iter().copied()).collect()
    } else {
        value.iter().copied().chain(filling).collect()
    })
}
