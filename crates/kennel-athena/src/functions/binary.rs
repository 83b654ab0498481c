//! Trino's functions of bytes: digests, and bytes written as text or numbers.
//!
//! Source: Trino manual, "Binary functions and operators".

mod hashes;
mod spooky;

pub(super) use hashes::hash64;

use std::sync::Arc;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float32Array, Int32Array},
        compute::cast,
        datatypes::{DataType, Float32Type, Int32Type},
    },
    common::{exec_err, plan_err},
    error::Result,
    logical_expr::ScalarUDF,
};

use super::scalar::{Call, Kind, Spec, bigint, double, integer, varbinary, varchar};

/// As Java reads base 64: padding may be left out, unused bits may be set.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

const BYTES: &[Kind] = &[Kind::Binary];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    const EITHER: &[Kind] = &[Kind::TextOrBinary];
    let mut all: Vec<_> = [
        Spec::new("to_hex", BYTES, varchar, |call| {
            to_text(call, |bytes| {
                bytes.iter().map(|byte| format!("{byte:02X}")).collect()
            })
        }),
        Spec::new("from_hex", EITHER, varbinary, |call| {
            from_text(call, from_hex)
        }),
        Spec::new("to_base64", BYTES, varchar, |call| {
            to_text(call, |bytes| PLAIN.encode(bytes))
        }),
        Spec::new("from_base64", EITHER, varbinary, |call| {
            from_text(call, |text| PLAIN.decode(text).ok())
        }),
        Spec::new("to_base64url", BYTES, varchar, |call| {
            to_text(call, |bytes| URL.encode(bytes))
        }),
        Spec::new("from_base64url", EITHER, varbinary, |call| {
            from_text(call, |text| URL.decode(text).ok())
        }),
        Spec::new("to_base32", BYTES, varchar, |call| to_text(call, to_base32)),
        Spec::new("from_base32", EITHER, varbinary, |call| {
            from_text(call, from_base32)
        }),
    ]
    .map(Spec::build)
    .into();
    all.extend(numbers());
    all.extend(hashes::functions());
    all
}

fn of_real(given: &[DataType]) -> Result<DataType> {
    match given {
        [DataType::Float64] => plan_err!(
            "Unexpected parameters (double) for function to_ieee754_32. Expected: to_ieee754_32(real)"
        ),
        _ => varbinary(given),
    }
}

/// Numbers as bytes, the most significant first, and back.
fn numbers() -> Vec<Arc<ScalarUDF>> {
    [
        Spec::new("to_big_endian_64", &[Kind::Integer], varbinary, |call| {
            let numbers = call.integers(0);
            call.to_bytes(|row| Ok(Some(numbers.value(row).to_be_bytes())))
        }),
        Spec::new("from_big_endian_64", BYTES, bigint, |call| {
            let bytes = call.bytes(0);
            call.to_integers(|row| fixed(bytes.value(row)).map(|b| Some(i64::from_be_bytes(b))))
        }),
        Spec::new(
            "to_big_endian_32",
            &[Kind::SmallInteger],
            varbinary,
            |call| {
                let numbers = call.args[0].as_primitive::<Int32Type>();
                call.to_bytes(|row| Ok(Some(numbers.value(row).to_be_bytes())))
            },
        ),
        Spec::new("from_big_endian_32", BYTES, integer, |call| {
            let bytes = call.bytes(0);
            let numbers: Int32Array = (0..call.rows)
                .map(|row| {
                    let is_valid = bytes.is_valid(row);
                    is_valid
                        .then(|| fixed(bytes.value(row)).map(i32::from_be_bytes))
                        .transpose()
                })
                .collect::<Result<_>>()?;
            Ok(Arc::new(numbers))
        }),
        Spec::new("to_ieee754_64", &[Kind::Double], varbinary, |call| {
            let numbers = call.doubles(0);
            call.to_bytes(|row| Ok(Some(numbers.value(row).to_be_bytes())))
        }),
        Spec::new("from_ieee754_64", BYTES, double, |call| {
            let bytes = call.bytes(0);
            call.to_doubles(|row| fixed(bytes.value(row)).map(|b| Some(f64::from_be_bytes(b))))
        }),
        Spec::new("to_ieee754_32", &[Kind::Number], of_real, |call| {
            let numbers = cast(&call.args[0], &DataType::Float32)?;
            let numbers = numbers.as_primitive::<Float32Type>();
            call.to_bytes(|row| Ok(Some(numbers.value(row).to_be_bytes())))
        }),
        Spec::new(
            "from_ieee754_32",
            BYTES,
            |_| Ok(DataType::Float32),
            |call| {
                let bytes = call.bytes(0);
                let numbers: Float32Array = (0..call.rows)
                    .map(|row| {
                        let is_valid = bytes.is_valid(row);
                        is_valid
                            .then(|| fixed(bytes.value(row)).map(f32::from_be_bytes))
                            .transpose()
                    })
                    .collect::<Result<_>>()?;
                Ok(Arc::new(numbers))
            },
        ),
    ]
    .map(Spec::build)
    .into()
}

fn to_text(call: &Call, each: impl Fn(&[u8]) -> String) -> Result<ArrayRef> {
    let bytes = call.bytes(0);
    call.to_texts(|row| Ok(Some(each(bytes.value(row)))))
}

fn from_text(call: &Call, each: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<ArrayRef> {
    let texts = cast(&call.args[0], &DataType::Binary)?;
    let texts = texts.as_binary::<i32>();
    call.to_bytes(|row| match each(texts.value(row)) {
        Some(bytes) => Ok(Some(bytes)),
        None => exec_err!(
            "'{}' cannot be decoded",
            String::from_utf8_lossy(texts.value(row))
        ),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    match bytes.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) => exec_err!("expected {N}-byte input, but got instead: {}", bytes.len()),
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn to_base32(bytes: &[u8]) -> String {
    let mut result = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let value = (bits >> (35 - 5 * index)) & 31;
            result.push(if index < letters {
                char::from(ALPHABET[value as usize])
            } else {
                '='
            });
        }
    }
    result
}

fn from_base32(text: &[u8]) -> Option<Vec<u8>> {
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    let text = &text[..end];
    // So many letters no bytes are written with.
    if matches!(text.len() % 8, 1 | 3 | 6) {
        return None;
    }
    let mut result = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text {
        let value = ALPHABET.iter().position(|letter| letter == byte)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            result.push((bits >> held & 0xff) as u8);
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base_32_is_that_of_the_standard() {
        let cases = [
            ("", ""),
            ("f", "MY======"),
            ("fo", "MZXQ===="),
            ("foo", "MZXW6==="),
            ("foob", "MZXW6YQ="),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI======"),
        ];
        for (plain, written) in cases {
            assert_eq!(to_base32(plain.as_bytes()), written);
        }
        assert_eq!(from_base32(b"mzxw6"), None);
        assert_eq!(from_base32(b"M"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: Vec<u8>) {
            let base32 = to_base32(&bytes);
            prop_assert_eq!(from_base32(base32.as_bytes()), Some(bytes.clone()));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            prop_assert_eq!(from_hex(hex.as_bytes()), Some(bytes));
        }
    }
}
