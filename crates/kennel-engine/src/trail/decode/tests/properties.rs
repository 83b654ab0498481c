//! What holds for any input.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

/// JSON values as a pair of texts: with blanks strewn in, and compact.
fn json() -> impl Strategy<Value = (String, String)> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
    ];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number,
        string(),
    ];
    let leaf = scalar.prop_map(|text| (text.clone(), text));
    leaf.prop_recursive(5, 48, 6, |inner| {
        let key =
            (blank(), string(), blank()).prop_map(|(a, key, b)| (format!("{a}{key}{b}"), key));
        let entry =
            (key, inner.clone(), blank()).prop_map(|((loose_key, key), (loose, tight), b)| {
                (format!("{loose_key}:{b}{loose}"), format!("{key}:{tight}"))
            });
        prop_oneof![list(inner, '[', ']').boxed(), list(entry, '{', '}').boxed()]
    })
}

fn list(
    item: impl Strategy<Value = (String, String)>,
    open: char,
    close: char,
) -> impl Strategy<Value = (String, String)> {
    (prop::collection::vec((item, blank()), 0..6), blank()).prop_map(move |(items, before)| {
        let loose = items.iter().map(|((loose, _), b)| format!("{b}{loose}{b}"));
        let tight = items.iter().map(|((_, tight), _)| tight.clone());
        (
            format!(
                "{open}{before}{}{close}",
                loose.collect::<Vec<_>>().join(",")
            ),
            format!("{open}{}{close}", tight.collect::<Vec<_>>().join(",")),
        )
    })
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r\n  ")]
}

/// A JSON string of any characters, some of them written as escapes.
fn string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => any::<char>().prop_map(|c| {
            let quoted = serde_json::to_string(&c.to_string()).unwrap();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        1 => Just("\\u0000".to_owned()),
        1 => Just("\\ud83d\\ude00".to_owned()),
        1 => Just("\\/".to_owned()),
        1 => Just("\\\\".to_owned()),
    ];
    prop::collection::vec(character, 0..12).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

proptest! {
    #[test]
    fn any_json_comes_back_from_request_parameters_without_its_blanks((loose, tight) in json()) {
        let rows = decode_record(&format!(r#""requestParameters":{loose}"#));
        let expected = if tight == "null" { "<null>".to_owned() } else { tight.clone() };
        prop_assert_eq!(rows.text("requestparameters"), expected);
        // And as an unknown field.
        let rows = decode_record(&format!(r#""novel":{loose}"#));
        prop_assert_eq!(rows.text("extra"), format!(r#"{{"novel":{tight}}}"#));
    }

    #[test]
    fn any_string_comes_back_as_its_characters(text in ".*") {
        let quoted = serde_json::to_string(&text).unwrap();
        let rows = decode_record(&format!(r#""userAgent":{quoted},"userIdentity":{{"arn":{quoted}}}"#));
        prop_assert_eq!(rows.text("useragent"), text.clone());
        prop_assert_eq!(rows.text("useridentity.arn"), text);
    }

    #[test]
    fn any_value_in_any_field_makes_a_row(
        values in prop::collection::vec(json(), 8),
    ) {
        let fields = [
            "eventTime", "eventName", "userIdentity", "resources", "tlsDetails", "requestParameters",
            "responseElements", "additionalEventData",
        ];
        let fields = fields
            .iter()
            .zip(&values)
            .map(|(name, (loose, _))| format!(r#""{name}":{loose}"#))
            .collect::<Vec<_>>()
            .join(",");
        let rows = decode_record(&fields);
        if let Some(extra) = rows.text_at("extra", 0) {
            // Only the grammar: numbers may be larger than any type.
            prop_assert!(serde_json::from_str::<BTreeMap<String, IgnoredAny>>(&extra).is_ok());
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = try_decode(&bytes);
        let _ = try_decode([&[0x1f, 0x8b][..], &bytes].concat());
        let _ = try_decode(gzip(&bytes));
    }

    #[test]
    fn a_damaged_text_never_gives_more_rows_than_records(
        at in 0..400_usize,
        byte in any::<u8>(),
        cut in 0..400_usize,
    ) {
        let record = record(r#""eventName":"a\u00e9","userIdentity":{"type":"Root","x":[{}]},"resources":[{"ARN":"a"}]"#);
        let mut text = format!(r#"{{"Records":[{record},{record},{record}]}}"#).into_bytes();
        let position = at % text.len();
        text[position] = byte;
        text.truncate(text.len() - cut % 20);
        if let Ok((rows, outcome)) = try_decode(&text) {
            prop_assert!(rows.0.num_rows() <= 4);
            prop_assert_eq!(outcome.record_count as usize, rows.0.num_rows());
        }
    }

    #[test]
    fn reading_in_pieces_gives_the_same_rows(
        values in prop::collection::vec(json(), 1..12),
        broken in prop::collection::vec(any::<bool>(), 12),
        held in 1..400_usize,
        wrap in 0..3_usize,
    ) {
        let records = values
            .iter()
            .zip(&broken)
            .map(|((loose, _), broken)| {
                let end = if *broken { ",]}" } else { "" };
                record(&format!("\"eventName\":\"é\",\"requestParameters\":{loose}{end}"))
            })
            .collect::<Vec<_>>();
        let text = match wrap {
            0 => format!("\u{feff}{{ \"Records\" : [ {} ] , \"x\":1}} ", records.join(" , ")),
            1 => format!("[{}]", records.join(",")),
            _ => records.join("\n"),
        };
        // What is held must hold the longest record, and be less than all.
        let longest = records.iter().map(String::len).max().unwrap_or_default();
        let limits = DecodeLimits { max_held_bytes: longest * 4 + held, ..DecodeLimits::default() };
        let whole = decode_within(&gzip(&text), TrailTable::Events, DecodeLimits::default());
        let pieces = decode_within(&gzip(&text), TrailTable::Events, limits);
        prop_assert_eq!(&whole, &pieces);
        let plain = decode_within(text.as_bytes(), TrailTable::Events, DecodeLimits::default());
        match (whole, plain) {
            (Ok((whole, _)), Ok((plain, _))) => prop_assert_eq!(whole, plain),
            (whole, plain) => prop_assert_eq!(whole.is_err(), plain.is_err()),
        }
    }
}
