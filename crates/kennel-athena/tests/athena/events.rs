//! The table `events`: four rows in the shape of CloudTrail's, as a Parquet file.
//!
//! Its structs have field names in mixed case, a map lies inside a struct, `resources` is a list of
//! structs that is filled, empty and null.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::arrow::{
    array::{
        ArrayRef, BooleanArray, Int64Array, ListArray, MapArray, RecordBatch, StringArray,
        StructArray, TimestampMicrosecondArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields},
};
use datafusion::parquet::arrow::ArrowWriter;

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn row(columns: Vec<(&str, ArrayRef)>, valid: Option<Vec<bool>>) -> ArrayRef {
    let fields: Fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::new(
        fields,
        columns,
        valid.map(NullBuffer::from),
    ))
}

/// `{aud: kennel, env: prod}`, `{}`, null, `{aud: other}`.
fn attributes() -> ArrayRef {
    let entry = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    let keys = Arc::new(StringArray::from(vec!["aud", "env", "aud"]));
    let values = text(&[Some("kennel"), Some("prod"), Some("other")]);
    let entries = StructArray::new(entry.clone(), vec![keys, values], None);
    Arc::new(MapArray::new(
        Arc::new(Field::new("entries", DataType::Struct(entry), false)),
        OffsetBuffer::from_lengths([2, 0, 0, 1]),
        entries,
        Some(NullBuffer::from(vec![true, true, false, true])),
        false,
    ))
}

fn identity() -> ArrayRef {
    let issuer = row(
        vec![
            (
                "arn",
                text(&[
                    Some("arn:aws:iam::111122223333:role/Deploy"),
                    None,
                    None,
                    None,
                ]),
            ),
            ("userName", text(&[Some("Deploy"), None, None, None])),
        ],
        Some(vec![true, false, false, false]),
    );
    let federation = row(vec![("attributes", attributes())], None);
    let session = row(
        vec![
            ("sessionIssuer", issuer),
            ("webIdFederationData", federation),
        ],
        None,
    );
    row(
        vec![
            (
                "type",
                text(&[
                    Some("AssumedRole"),
                    Some("IAMUser"),
                    Some("Root"),
                    Some("IAMUser"),
                ]),
            ),
            (
                "arn",
                text(&[
                    Some("arn:aws:sts::111122223333:assumed-role/Deploy/ci"),
                    Some("arn:aws:iam::111122223333:user/Ann"),
                    Some("arn:aws:iam::123456789012:root"),
                    None,
                ]),
            ),
            (
                "accountId",
                text(&[
                    Some("111122223333"),
                    Some("111122223333"),
                    Some("123456789012"),
                    Some("012345678901"),
                ]),
            ),
            ("sessionContext", session),
        ],
        None,
    )
}

/// Two, none, null, one.
fn resources() -> ArrayRef {
    let items = row(
        vec![
            (
                "ARN",
                text(&[
                    Some("arn:aws:s3:::a"),
                    Some("arn:aws:s3:::b"),
                    Some("arn:aws:kms:::key"),
                ]),
            ),
            (
                "accountId",
                text(&[Some("111122223333"), None, Some("012345678901")]),
            ),
        ],
        None,
    );
    Arc::new(ListArray::new(
        Arc::new(Field::new_list_field(items.data_type().clone(), true)),
        OffsetBuffer::from_lengths([2, 0, 0, 1]),
        items,
        Some(NullBuffer::from(vec![true, true, false, true])),
    ))
}

/// `[read, write]`, `[]`, null, `[admin, null]`.
fn tags() -> ArrayRef {
    Arc::new(ListArray::new(
        Arc::new(Field::new_list_field(DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2, 0, 0, 2]),
        text(&[Some("read"), Some("write"), Some("admin"), None]),
        Some(NullBuffer::from(vec![true, true, false, true])),
    ))
}

/// Writes the table into a folder and returns the path of its file.
pub(crate) fn write(folder: &Path) -> PathBuf {
    let at = |second: i64| Some(1_772_338_500_000_000 + second * 1_000_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        (
            "eventtime",
            text(&[
                Some("2026-03-01T04:15:00Z"),
                Some("2026-03-01T04:16:00Z"),
                Some("2026-03-02T00:00:00Z"),
                None,
            ]),
        ),
        (
            "event_time",
            Arc::new(
                TimestampMicrosecondArray::from(vec![at(0), at(60), at(71_100), None])
                    .with_timezone("UTC"),
            ),
        ),
        (
            "eventname",
            text(&[
                Some("GetObject"),
                Some("ConsoleLogin"),
                Some("CreateUser"),
                Some("Decrypt"),
            ]),
        ),
        (
            "readonly",
            text(&[Some("true"), Some("false"), Some("false"), None]),
        ),
        (
            "denied",
            Arc::new(BooleanArray::from(vec![
                Some(false),
                Some(true),
                Some(false),
                None,
            ])),
        ),
        (
            "requestparameters",
            text(&[
                Some(r#"{"bucketName":"a","x-amz":[1,2.50,{"k":null}],"n":9007199254740993}"#),
                Some("\"plain\""),
                Some("not json"),
                None,
            ]),
        ),
        ("useridentity", identity()),
        ("resources", resources()),
        ("tags", tags()),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let path = folder.join("events.parquet");
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}
