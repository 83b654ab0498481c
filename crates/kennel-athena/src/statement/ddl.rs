//! Writing a table's DDL, as Athena prints it.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use super::{
    hive::{Column, Delimiters, HiveTable, RowFormat, StoredAs},
    types::hive_type,
};

impl HiveTable {
    /// The canonical DDL: clauses in Hive's order, names in backticks, text in single quotes,
    /// properties sorted. No semicolon, no newline at the end.
    ///
    /// Athena reads it, and [`Statement::parse`](super::Statement::parse) makes the same table of
    /// it. Columns of Arrow types that Hive does not have get the nearest type that it has.
    pub fn to_ddl(&self) -> String {
        Ddl(self).to_string()
    }
}

struct Ddl<'a>(&'a HiveTable);

impl Display for Ddl<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let table = self.0;
        f.write_str("CREATE EXTERNAL TABLE ")?;
        if table.if_not_exists {
            f.write_str("IF NOT EXISTS ")?;
        }
        let name = table.name.parts().map(quoted_name).collect::<Vec<_>>();
        f.write_str(&name.join("."))?;
        f.write_str("(\n")?;
        write_columns(f, &table.columns)?;
        if let Some(comment) = &table.comment {
            write!(f, "\nCOMMENT {}", quoted_text(comment))?;
        }
        if !table.partition_columns.is_empty() {
            f.write_str("\nPARTITIONED BY (\n")?;
            write_columns(f, &table.partition_columns)?;
        }
        if let Some(clustering) = &table.clustering {
            let columns = clustering.columns.iter().map(|name| quoted_name(name));
            let columns = columns.collect::<Vec<_>>().join(", ");
            let bucket_count = clustering.bucket_count;
            write!(f, "\nCLUSTERED BY ({columns}) INTO {bucket_count} BUCKETS")?;
        }
        match &table.row_format {
            Some(RowFormat::Serde { class, properties }) => {
                write!(f, "\nROW FORMAT SERDE\n  {}", quoted_text(class))?;
                write_properties(f, "WITH SERDEPROPERTIES", properties)?;
            }
            Some(RowFormat::Delimited(delimiters)) => write_delimiters(f, delimiters)?,
            None => {}
        }
        match &table.stored_as {
            Some(StoredAs::Format(format)) => write!(f, "\nSTORED AS {}", format.keyword())?,
            Some(StoredAs::Classes { input, output }) => {
                write!(f, "\nSTORED AS INPUTFORMAT\n  {}", quoted_text(input))?;
                write!(f, "\nOUTPUTFORMAT\n  {}", quoted_text(output))?;
            }
            None => {}
        }
        if let Some(location) = &table.location {
            write!(f, "\nLOCATION\n  {}", quoted_text(location))?;
        }
        write_properties(f, "TBLPROPERTIES", &table.properties)
    }
}

/// One column a line, and the closing bracket.
fn write_columns(f: &mut Formatter<'_>, columns: &[Column]) -> fmt::Result {
    for (index, column) in columns.iter().enumerate() {
        let separator = if index > 0 { ",\n" } else { "" };
        let (name, data_type) = (quoted_name(&column.name), hive_type(&column.data_type));
        write!(f, "{separator}  {name} {data_type}")?;
        if let Some(comment) = &column.comment {
            write!(f, " COMMENT {}", quoted_text(comment))?;
        }
    }
    f.write_str(")")
}

fn write_delimiters(f: &mut Formatter<'_>, delimiters: &Delimiters) -> fmt::Result {
    f.write_str("\nROW FORMAT DELIMITED")?;
    for (clause, text) in [
        ("FIELDS TERMINATED BY", &delimiters.fields),
        ("ESCAPED BY", &delimiters.escape),
        (
            "COLLECTION ITEMS TERMINATED BY",
            &delimiters.collection_items,
        ),
        ("MAP KEYS TERMINATED BY", &delimiters.map_keys),
        ("LINES TERMINATED BY", &delimiters.lines),
        ("NULL DEFINED AS", &delimiters.null),
    ] {
        if let Some(text) = text {
            write!(f, "\n  {clause} {}", quoted_text(text))?;
        }
    }
    Ok(())
}

fn write_properties(
    f: &mut Formatter<'_>,
    clause: &str,
    properties: &BTreeMap<String, String>,
) -> fmt::Result {
    if properties.is_empty() {
        return Ok(());
    }
    write!(f, "\n{clause} (")?;
    for (index, (key, value)) in properties.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let (key, value) = (quoted_text(key), quoted_text(value));
        write!(f, "{separator}\n  {key}={value}")?;
    }
    f.write_str(")")
}

/// A name in backticks.
pub fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Text in single quotes, with Hive's escapes.
pub fn quoted_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for ch in text.chars() {
        match ch {
            '\\' | '\'' => quoted.extend(['\\', ch]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ch if ch.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(ch))),
            ch => quoted.push(ch),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
    use proptest::{option, prelude::*};

    use super::*;
    use crate::statement::{Clustering, FileFormat, Statement, StatementError, TableName, split};

    fn parse(sql: &str) -> Result<HiveTable, StatementError> {
        match Statement::parse(&split(sql)?[0])? {
            Statement::CreateExternalTable(table) => Ok(table),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_guides_table_is_printed_as_it_was_written() {
        let written = include_str!("../../tests/ddl/k9_guide.sql");
        // The comment above it and the semicolon are not part of the table.
        let (_, written) = written.split_once('\n').unwrap();
        let written = written.trim_end().trim_end_matches(';');
        assert_eq!(parse(written).unwrap().to_ddl(), written);
    }

    #[test]
    fn cloudtrails_table_survives_printing() {
        let table = parse(include_str!("../../tests/ddl/cloudtrail_projection.sql")).unwrap();
        assert_eq!(parse(&table.to_ddl()).unwrap(), table);
    }

    #[test]
    fn types_that_hive_does_not_have_become_the_nearest_one() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for (data_type, expected) in [
            (DataType::Utf8View, "string"),
            (DataType::UInt32, "bigint"),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
                "timestamp",
            ),
            (dictionary, "string"),
            (DataType::Time64(TimeUnit::Microsecond), "string"),
        ] {
            assert_eq!(hive_type(&data_type), expected);
        }
    }

    fn data_types() -> impl Strategy<Value = DataType> {
        let simple = prop_oneof![
            Just(DataType::Int8),
            Just(DataType::Int64),
            Just(DataType::Float64),
            Just(DataType::Boolean),
            Just(DataType::Utf8),
            Just(DataType::Binary),
            Just(DataType::Date32),
            Just(DataType::Timestamp(TimeUnit::Microsecond, None)),
            (1..=38_u8)
                .prop_flat_map(|p| (Just(p), 0..=p))
                .prop_map(|(p, s)| DataType::Decimal128(p, s.try_into().unwrap())),
        ];
        simple.prop_recursive(5, 24, 4, |inner| {
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|element| DataType::new_list(element, true)),
                (inner.clone(), inner.clone()).prop_map(|(key, value)| {
                    let entry = vec![
                        Field::new("key", key, false),
                        Field::new("value", value, true),
                    ];
                    let entries = Field::new("entries", DataType::Struct(entry.into()), false);
                    DataType::Map(entries.into(), false)
                }),
                prop::collection::btree_map(lower_name(), inner, 1..4).prop_map(|fields| {
                    let fields = fields
                        .into_iter()
                        .map(|(name, t)| Field::new(name, t, true));
                    DataType::Struct(fields.collect())
                }),
            ]
        })
    }

    /// Any name but an empty one and one that folding would change.
    fn lower_name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_][a-z0-9_]{0,6}",
            "[a-z`'\" .<>;é\\\\]{1,6}",
            "(end|timestamp|comment|2xx)"
        ]
    }

    fn columns(
        count: std::ops::Range<usize>,
        prefix: &'static str,
    ) -> impl Strategy<Value = Vec<Column>> {
        let column = (lower_name(), data_types(), option::of(any::<String>()));
        prop::collection::vec(column, count).prop_map(move |columns| {
            let columns = columns.into_iter().enumerate();
            columns
                .map(|(index, (name, data_type, comment))| Column {
                    name: format!("{prefix}{index}{name}"),
                    data_type,
                    comment,
                })
                .collect()
        })
    }

    fn properties() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..4)
    }

    fn row_formats() -> impl Strategy<Value = RowFormat> {
        let text = || option::of(any::<String>());
        prop_oneof![
            (any::<String>(), properties())
                .prop_map(|(class, properties)| RowFormat::Serde { class, properties }),
            (text(), text(), text(), text(), text(), text()).prop_map(
                |(fields, escape, collection_items, map_keys, lines, null)| {
                    RowFormat::Delimited(Delimiters {
                        fields,
                        escape,
                        collection_items,
                        map_keys,
                        lines,
                        null,
                    })
                }
            ),
        ]
    }

    fn stored_as() -> impl Strategy<Value = StoredAs> {
        prop_oneof![
            prop::sample::select(FileFormat::ALL.to_vec()).prop_map(StoredAs::Format),
            (any::<String>(), any::<String>())
                .prop_map(|(input, output)| StoredAs::Classes { input, output }),
        ]
    }

    fn clusterings() -> impl Strategy<Value = Clustering> {
        (
            prop::collection::vec(lower_name(), 1..3),
            1..=i32::MAX.unsigned_abs(),
        )
            .prop_map(|(columns, bucket_count)| Clustering {
                columns,
                bucket_count,
            })
    }

    fn tables() -> impl Strategy<Value = HiveTable> {
        // A table's own name has no dot: one in backticks parts it from its schema.
        let table_name = lower_name().prop_filter("no dot", |name| !name.contains('.'));
        let name = (option::of(lower_name()), table_name)
            .prop_map(|(schema, table)| TableName::new(schema.as_deref(), &table));
        let text = || option::of(any::<String>());
        (
            (
                name,
                any::<bool>(),
                columns(1..4, "c"),
                columns(0..3, "p"),
                text(),
            ),
            (
                option::of(clusterings()),
                option::of(row_formats()),
                option::of(stored_as()),
            ),
            (text(), properties()),
        )
            .prop_map(
                |(
                    (name, if_not_exists, columns, partition_columns, comment),
                    (clustering, row_format, stored_as),
                    (location, properties),
                )| HiveTable {
                    name,
                    if_not_exists,
                    columns,
                    partition_columns,
                    comment,
                    clustering,
                    row_format,
                    stored_as,
                    location,
                    properties,
                },
            )
    }

    proptest! {
        #[test]
        fn a_printed_table_is_read_back_the_same(table in tables()) {
            let ddl = table.to_ddl();
            prop_assert_eq!(parse(&ddl), Ok(table), "{}", ddl);
        }
    }
}
