//! Every Arrow type, once as JSON and once as a cell.

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array,
        Decimal128Array, Decimal256Array, DictionaryArray, DurationMillisecondArray,
        FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array,
        Int32Array, Int64Array, IntervalMonthDayNanoArray, IntervalYearMonthArray,
        LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, ListViewArray, MapArray,
        NullArray, RunArray, StringArray, StringViewArray, StructArray, Time32MillisecondArray,
        Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt64Array, UnionArray,
    },
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, Fields, Int32Type, IntervalMonthDayNano, UnionFields, i256},
};

use super::*;

fn json(array: impl Array) -> Vec<String> {
    (0..array.len())
        .map(|row| {
            let mut text = String::new();
            write_json(&array, row, &mut text);
            serde_json::from_str::<serde_json::Value>(&text).expect("the text is JSON");
            text
        })
        .collect()
}

fn text(array: impl Array) -> Vec<Option<String>> {
    (0..array.len())
        .map(|row| {
            let mut text = String::new();
            write_text(&array, row, &mut text).then_some(text)
        })
        .collect()
}

#[test]
fn numbers_keep_every_digit() {
    assert_eq!(
        json(Int64Array::from(vec![i64::MIN, i64::MAX])),
        ["-9223372036854775808", "9223372036854775807"]
    );
    assert_eq!(
        json(UInt64Array::from(vec![u64::MAX])),
        ["18446744073709551615"]
    );
    assert_eq!(json(Int8Array::from(vec![Some(-1), None])), ["-1", "null"]);
    let decimals = Decimal128Array::from(vec![12_345, -5])
        .with_precision_and_scale(38, 2)
        .unwrap();
    assert_eq!(json(decimals), ["123.45", "-0.05"]);
    let scaled = Decimal128Array::from(vec![12])
        .with_precision_and_scale(5, -3)
        .unwrap();
    assert_eq!(json(scaled), ["12000"]);
    let wide = Decimal256Array::from(vec![
        i256::from_string("12345678901234567890123456789012345678901234567890").unwrap(),
    ]);
    let wide = wide.with_precision_and_scale(76, 10).unwrap();
    assert_eq!(
        json(wide),
        ["1234567890123456789012345678901234567890.1234567890"]
    );
}

#[test]
fn floats_read_back_and_what_json_lacks_is_null() {
    let floats = Float64Array::from(vec![
        0.1,
        1.0,
        1e300,
        5e-324,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]);
    assert_eq!(
        json(floats.clone()),
        [
            "0.1", "1.0", "1e300", "5e-324", "-0.0", "null", "null", "null"
        ]
    );
    assert_eq!(
        text(floats)[5..],
        [
            Some("NaN".into()),
            Some("Infinity".into()),
            Some("-Infinity".into())
        ]
    );
    assert_eq!(
        json(Float32Array::from(vec![0.1, f32::NAN])),
        ["0.1", "null"]
    );
}

#[test]
fn instants_are_utc_with_the_fewest_digits_that_lose_nothing() {
    assert_eq!(
        json(TimestampSecondArray::from(vec![0, 951_782_399])),
        [r#""1970-01-01T00:00:00Z""#, r#""2000-02-28T23:59:59Z""#]
    );
    assert_eq!(
        json(TimestampMillisecondArray::from(vec![1, -1])),
        [
            r#""1970-01-01T00:00:00.001Z""#,
            r#""1969-12-31T23:59:59.999Z""#
        ]
    );
    let micros =
        TimestampMicrosecondArray::from(vec![1_772_435_659_753_800, 1_772_435_659_000_000]);
    assert_eq!(
        text(micros.clone()),
        [
            Some("2026-03-02T07:14:19.753800Z".into()),
            Some("2026-03-02T07:14:19Z".into())
        ]
    );
    assert_eq!(json(micros.clone().with_timezone("+05:00")), json(micros));
    assert_eq!(
        json(TimestampNanosecondArray::from(vec![1])),
        [r#""1970-01-01T00:00:00.000000001Z""#]
    );
}

#[test]
fn years_beyond_four_digits_are_written_too() {
    assert_eq!(
        json(TimestampSecondArray::from(vec![253_402_300_800])),
        [r#""+010000-01-01T00:00:00Z""#]
    );
    assert_eq!(
        json(TimestampSecondArray::from(vec![-62_167_219_201])),
        [r#""-000001-12-31T23:59:59Z""#]
    );
    for extreme in [i64::MIN, i64::MAX] {
        assert!(json(TimestampSecondArray::from(vec![extreme]))[0].ends_with("Z\""));
        assert!(json(Date64Array::from(vec![extreme]))[0].contains('-'));
    }
    assert_eq!(
        json(Date32Array::from(vec![i32::MIN, i32::MAX])),
        [r#""-5877641-06-23""#, r#""+5881580-07-11""#]
    );
}

#[test]
fn dates_times_and_spans_are_iso_8601() {
    assert_eq!(
        json(Date32Array::from(vec![19_782, -1])),
        [r#""2024-02-29""#, r#""1969-12-31""#]
    );
    assert_eq!(
        json(Date64Array::from(vec![86_400_000, 1])),
        [r#""1970-01-02""#, r#""1970-01-01T00:00:00.001Z""#]
    );
    assert_eq!(
        json(Time32MillisecondArray::from(vec![15_000_500])),
        [r#""04:10:00.500""#]
    );
    assert_eq!(
        json(Time64NanosecondArray::from(vec![0])),
        [r#""00:00:00""#]
    );
    assert_eq!(
        json(DurationMillisecondArray::from(vec![1500, -1, 0])),
        [r#""PT1.500S""#, r#""PT-0.001S""#, r#""PT0S""#]
    );
    assert_eq!(json(IntervalYearMonthArray::from(vec![14])), [r#""P14M""#]);
    let interval = IntervalMonthDayNano {
        months: 1,
        days: -2,
        nanoseconds: 3_000_000_000,
    };
    assert_eq!(
        json(IntervalMonthDayNanoArray::from(vec![interval])),
        [r#""P1M-2DT3S""#]
    );
}

#[test]
fn texts_of_every_kind_are_escaped_in_json_and_plain_in_cells() {
    let hostile = "a\"b\\\n\u{1b}é";
    let expected = r#""a\"b\\\n\u001bé""#;
    let arrays: [ArrayRef; 3] = [
        Arc::new(StringArray::from(vec![hostile])),
        Arc::new(LargeStringArray::from(vec![hostile])),
        Arc::new(StringViewArray::from(vec![hostile])),
    ];
    for array in arrays {
        assert_eq!(json(Arc::clone(&array)), [expected]);
        assert_eq!(text(array), [Some(hostile.to_owned())]);
    }
    assert_eq!(
        json(BooleanArray::from(vec![Some(true), Some(false), None])),
        ["true", "false", "null"]
    );
    assert_eq!(text(NullArray::new(1)), [None]);
}

#[test]
fn binary_of_every_kind_is_base64() {
    let bytes: &[u8] = &[0, 255, 16];
    let arrays: [ArrayRef; 4] = [
        Arc::new(BinaryArray::from(vec![bytes])),
        Arc::new(LargeBinaryArray::from(vec![bytes])),
        Arc::new(BinaryViewArray::from(vec![bytes])),
        Arc::new(FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap()),
    ];
    for array in arrays {
        assert_eq!(json(Arc::clone(&array)), [r#""AP8Q""#]);
        assert_eq!(text(array), [Some("AP8Q".into())]);
    }
}

#[test]
fn lists_of_every_kind_are_arrays() {
    let rows = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    let expected = ["[1,null]", "null", "[]"];
    assert_eq!(
        json(ListArray::from_iter_primitive::<Int32Type, _, _>(
            rows.clone()
        )),
        expected
    );
    assert_eq!(
        json(LargeListArray::from_iter_primitive::<Int32Type, _, _>(rows)),
        expected
    );
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [Some(vec![Some(1), Some(2)])],
        2,
    );
    assert_eq!(json(fixed), ["[1,2]"]);
    let field = Arc::new(Field::new("item", DataType::Int32, true));
    let view = ListViewArray::new(
        field,
        ScalarBuffer::from(vec![1, 0]),
        ScalarBuffer::from(vec![2, 1]),
        Arc::new(Int32Array::from(vec![7, 8, 9])),
        None,
    );
    assert_eq!(json(view), ["[8,9]", "[7]"]);
}

#[test]
fn structs_and_maps_are_objects_also_in_cells() {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let structs = StructArray::from(vec![
        (Arc::new(Field::new("name", DataType::Utf8, true)), names),
        (Arc::new(Field::new("n", DataType::Int32, true)), numbers),
    ]);
    assert_eq!(
        json(structs.clone()),
        [r#"{"name":"x","n":1}"#, r#"{"name":null,"n":2}"#]
    );
    assert_eq!(text(structs)[0].as_deref(), Some(r#"{"name":"x","n":1}"#));

    let map = MapArray::new_from_strings(
        ["a\"b", "c"].into_iter(),
        &StringArray::from(vec![Some("1"), None]),
        &[0, 2, 2],
    )
    .unwrap();
    assert_eq!(json(map), [r#"{"a\"b":"1","c":null}"#, "{}"]);

    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("keys", DataType::Int32, false)),
            Arc::new(Int32Array::from(vec![5])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("values", DataType::Boolean, true)),
            Arc::new(BooleanArray::from(vec![true])) as ArrayRef,
        ),
    ]);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let numbered = MapArray::new(field, OffsetBuffer::from_lengths([1]), entries, None, false);
    assert_eq!(json(numbered), [r#"{"5":true}"#]);
}

#[test]
fn dictionaries_runs_and_unions_show_what_they_stand_for() {
    let dictionary: DictionaryArray<Int32Type> = [Some("a"), None, Some("b"), Some("a")]
        .into_iter()
        .collect();
    assert_eq!(
        json(dictionary.clone()),
        [r#""a""#, "null", r#""b""#, r#""a""#]
    );
    assert_eq!(text(dictionary)[1], None);

    let null_inside = DictionaryArray::new(
        Int8Array::from(vec![0, 1]),
        Arc::new(StringArray::from(vec![None, Some("x")])),
    );
    assert_eq!(text(null_inside), [None, Some("x".into())]);

    let runs = RunArray::try_new(
        &Int32Array::from(vec![2, 3]),
        &StringArray::from(vec![Some("a"), None]),
    )
    .unwrap();
    assert_eq!(json(runs.clone()), [r#""a""#, r#""a""#, "null"]);
    assert_eq!(text(runs.slice(1, 2)), [Some("a".into()), None]);

    let fields = [
        (0, Arc::new(Field::new("n", DataType::Int32, true))),
        (1, Arc::new(Field::new("t", DataType::Utf8, true))),
    ];
    let union = UnionArray::try_new(
        fields.into_iter().collect::<UnionFields>(),
        ScalarBuffer::from(vec![0i8, 1]),
        None,
        vec![
            Arc::new(Int32Array::from(vec![4, 0])),
            Arc::new(StringArray::from(vec!["", "x"])),
        ],
    )
    .unwrap();
    assert_eq!(json(union), ["4", r#""x""#]);
}

#[test]
fn a_slice_shows_its_own_rows() {
    let fields = Fields::from(vec![Field::new("n", DataType::Int32, true)]);
    let structs = StructArray::new(
        fields,
        vec![Arc::new(Int32Array::from(vec![1, 2, 3]))],
        None,
    );
    assert_eq!(json(structs.slice(2, 1)), [r#"{"n":3}"#]);
    assert!(is_number(&DataType::Dictionary(
        Box::new(DataType::Int8),
        Box::new(DataType::Float64)
    )));
    assert!(!is_number(&DataType::Utf8View));
}

#[test]
fn texts_are_escaped_as_serde_json_does() {
    let all = (0..=0x2ff_u32)
        .filter_map(char::from_u32)
        .collect::<String>();
    for text in [all.as_str(), "", "plain", "\"", "\\", "é\u{1}", "ends\n"] {
        let mut ours = String::new();
        push_json_string(text, &mut ours);
        assert_eq!(ours, serde_json::to_string(text).unwrap());
    }
}
