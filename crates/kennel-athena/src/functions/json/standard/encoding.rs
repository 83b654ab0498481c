//! `FORMAT JSON ENCODING UTF16`: JSON as bytes, the lower ones first.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, BinaryBuilder, StringBuilder},
        datatypes::DataType,
    },
    error::Result,
};

use crate::functions::scalar::{Call, Kind, Spec, varchar};

/// Bytes as text, and text as bytes.
pub(super) fn functions() -> [Spec; 2] {
    [
        Spec::new(
            "__json_decoded",
            &[Kind::Encoded, Kind::Text],
            varchar,
            |call| {
                let bytes = call.args[0].as_binary::<i32>();
                let mut result = StringBuilder::with_capacity(call.rows, 0);
                for bytes in bytes {
                    result.append_option(bytes.map(|bytes| decoded(bytes, encoding(call))));
                }
                Ok(Arc::new(result.finish()))
            },
        ),
        Spec::new(
            "__json_encoded",
            &[Kind::Text, Kind::Text],
            |_| Ok(DataType::Binary),
            encode,
        ),
    ]
}

fn encoding(call: &Call) -> &str {
    call.constant_text(1).flatten().unwrap_or_default()
}

/// What is no such text becomes one that is no JSON.
fn decoded(bytes: &[u8], encoding: &str) -> String {
    let broken = char::REPLACEMENT_CHARACTER;
    match encoding {
        "UTF16" => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
            let text = char::decode_utf16(units).map(|each| each.unwrap_or(broken));
            text.chain((!rest.is_empty()).then_some(broken)).collect()
        }
        "UTF32" => {
            let (units, rest) = bytes.as_chunks::<4>();
            let text = units
                .iter()
                .map(|unit| char::from_u32(u32::from_le_bytes(*unit)).unwrap_or(broken));
            text.chain((!rest.is_empty()).then_some(broken)).collect()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn encode(call: &Call) -> Result<ArrayRef> {
    let is_short = encoding(call) == "UTF16";
    let mut result = BinaryBuilder::with_capacity(call.rows, 0);
    for text in call.text(0) {
        result.append_option(text.map(|text| -> Vec<u8> {
            match is_short {
                true => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                false => text
                    .chars()
                    .flat_map(|c| u32::from(c).to_le_bytes())
                    .collect(),
            }
        }));
    }
    Ok(Arc::new(result.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read() {
        assert_eq!(decoded(b"1\0\xe9\0", "UTF16"), "1é");
        assert_eq!(decoded(b"1\0\0\0", "UTF32"), "1");
        assert_eq!(decoded(b"1\0\xe9", "UTF16"), "1\u{fffd}");
        assert_eq!(decoded(b"\0\xd8", "UTF16"), "\u{fffd}");
        assert_eq!(decoded(b"1\0\xff\xff", "UTF32"), "\u{fffd}");
        assert_eq!(decoded(b"\xff", "UTF8"), "\u{fffd}");
    }
}
