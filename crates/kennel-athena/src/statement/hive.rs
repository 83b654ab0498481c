//! `CREATE EXTERNAL TABLE` as Hive and Athena have it.
//!
//! Clauses may come in any order, and any word may name a column, as Athena takes them.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{arrow::datatypes::DataType, sql::sqlparser::tokenizer::Token};

use super::{StatementError, TableName, cursor::Cursor, types};

pub use types::MAX_TYPE_DEPTH;

/// A table as its DDL declares it. [`HiveTable::to_ddl`] writes it down again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiveTable {
    /// Its name.
    pub name: TableName,
    /// Whether a table that is there already is left as it is.
    pub if_not_exists: bool,
    /// The columns that its files hold, at least one.
    pub columns: Vec<Column>,
    /// The columns that its folders hold; their names differ from those of `columns`.
    pub partition_columns: Vec<Column>,
    /// What the table is for.
    pub comment: Option<String>,
    /// How rows are spread over files.
    pub clustering: Option<Clustering>,
    /// How a row is read: the SerDe, or delimiters.
    pub row_format: Option<RowFormat>,
    /// How rows are found in a file.
    pub stored_as: Option<StoredAs>,
    /// Where the files are, as written: mostly `s3://bucket/prefix`. Athena wants one.
    pub location: Option<String>,
    /// `TBLPROPERTIES`: keys as written.
    pub properties: BTreeMap<String, String>,
}

/// A column of a [`HiveTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, lower-case.
    pub name: String,
    /// Type. Text is `Utf8` whatever its length; a timestamp is `Timestamp(µs)` without zone.
    pub data_type: DataType,
    /// What the column is for.
    pub comment: Option<String>,
}

/// `CLUSTERED BY (…) INTO n BUCKETS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clustering {
    /// Columns, lower-case.
    pub columns: Vec<String>,
    /// Number of buckets.
    pub bucket_count: u32,
}

/// `ROW FORMAT …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFormat {
    /// `SERDE 'class' WITH SERDEPROPERTIES (…)`.
    Serde {
        /// The Java class.
        class: String,
        /// Its properties: keys as written.
        properties: BTreeMap<String, String>,
    },
    /// `DELIMITED …`.
    Delimited(Delimiters),
}

/// `ROW FORMAT DELIMITED …`: what is not given has Hive's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delimiters {
    /// `FIELDS TERMINATED BY`.
    pub fields: Option<String>,
    /// `ESCAPED BY`.
    pub escape: Option<String>,
    /// `COLLECTION ITEMS TERMINATED BY`.
    pub collection_items: Option<String>,
    /// `MAP KEYS TERMINATED BY`.
    pub map_keys: Option<String>,
    /// `LINES TERMINATED BY`.
    pub lines: Option<String>,
    /// `NULL DEFINED AS`.
    pub null: Option<String>,
}

/// `STORED AS …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredAs {
    /// A format that Hive knows by name.
    Format(FileFormat),
    /// `INPUTFORMAT 'class' OUTPUTFORMAT 'class'`.
    Classes {
        /// The Java class that reads.
        input: String,
        /// The Java class that writes.
        output: String,
    },
}

/// Formats of `STORED AS`, as Athena lists them, and Hive's `JSONFILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FileFormat {
    Avro,
    Ion,
    JsonFile,
    Orc,
    Parquet,
    RcFile,
    SequenceFile,
    TextFile,
}

impl FileFormat {
    pub(super) const ALL: [Self; 8] = [
        Self::Avro,
        Self::Ion,
        Self::JsonFile,
        Self::Orc,
        Self::Parquet,
        Self::RcFile,
        Self::SequenceFile,
        Self::TextFile,
    ];

    /// The word in the DDL.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Ion => "ION",
            Self::JsonFile => "JSONFILE",
            Self::Orc => "ORC",
            Self::Parquet => "PARQUET",
            Self::RcFile => "RCFILE",
            Self::SequenceFile => "SEQUENCEFILE",
            Self::TextFile => "TEXTFILE",
        }
    }
}

/// The clauses that may stand once each, and how each begins.
const CLAUSES: [(&str, &[&str]); 9] = [
    ("COMMENT", &["COMMENT"]),
    ("PARTITIONED BY", &["PARTITIONED", "BY"]),
    ("CLUSTERED BY", &["CLUSTERED", "BY"]),
    ("ROW FORMAT", &["ROW", "FORMAT"]),
    ("WITH SERDEPROPERTIES", &["WITH", "SERDEPROPERTIES"]),
    ("STORED AS", &["STORED", "AS"]),
    ("LOCATION", &["LOCATION"]),
    ("TBLPROPERTIES", &["TBLPROPERTIES"]),
    // Hive's older word for the same.
    ("TBLPROPERTIES", &["TABLEPROPERTIES"]),
];

const A_CLAUSE: &str =
    "PARTITIONED BY, ROW FORMAT, STORED AS, LOCATION, TBLPROPERTIES or the end of the statement";

/// Reads what follows `CREATE EXTERNAL TABLE`.
pub(super) fn external_table(cursor: &mut Cursor<'_>) -> Result<HiveTable, StatementError> {
    let if_not_exists = cursor.accept(&["IF", "NOT", "EXISTS"]);
    let mut table = HiveTable {
        name: cursor.table_name()?,
        if_not_exists,
        columns: vec![],
        partition_columns: vec![],
        comment: None,
        clustering: None,
        row_format: None,
        stored_as: None,
        location: None,
        properties: BTreeMap::new(),
    };
    let mut names = BTreeSet::new();
    table.columns = columns(cursor, &mut names)?;
    let mut seen = BTreeSet::new();
    let mut serde_properties = None;
    while cursor.peek(0).is_some() {
        let place = cursor.place();
        let Some((clause, words)) = CLAUSES.iter().find(|(_, words)| cursor.at(words)) else {
            return Err(cursor.unexpected(A_CLAUSE));
        };
        if !seen.insert(clause) {
            return Err(Cursor::repeated("clause", clause, place));
        }
        let before_clause = cursor.unexpected("ROW FORMAT SERDE to have properties");
        cursor.expect(words)?;
        match *clause {
            "COMMENT" => table.comment = Some(comment(cursor)?),
            "PARTITIONED BY" => table.partition_columns = columns(cursor, &mut names)?,
            "CLUSTERED BY" => table.clustering = Some(clustering(cursor)?),
            "ROW FORMAT" => table.row_format = Some(row_format(cursor)?),
            "WITH SERDEPROPERTIES" => serde_properties = Some((properties(cursor)?, before_clause)),
            "STORED AS" => table.stored_as = Some(stored_as(cursor)?),
            "LOCATION" => table.location = Some(cursor.text("a location in quotes")?),
            _ => table.properties = properties(cursor)?,
        }
    }
    match (serde_properties, &mut table.row_format) {
        (None, _) => {}
        (Some((given, _)), Some(RowFormat::Serde { properties, .. })) => *properties = given,
        (Some((_, error)), _) => return Err(error),
    }
    Ok(table)
}

/// Reads `(name type [COMMENT '…'], …)`; `names` are those that are taken.
pub(super) fn columns(
    cursor: &mut Cursor<'_>,
    names: &mut BTreeSet<String>,
) -> Result<Vec<Column>, StatementError> {
    cursor.list(|cursor| {
        let place = cursor.place();
        let column = column(cursor)?;
        match names.insert(column.name.clone()) {
            true => Ok(column),
            false => Err(Cursor::repeated("column", &column.name, place)),
        }
    })
}

/// Reads `name type [COMMENT '…']`.
pub(super) fn column(cursor: &mut Cursor<'_>) -> Result<Column, StatementError> {
    let name = cursor.name("the name of a column")?;
    let data_type = types::data_type(cursor)?;
    let comment = match cursor.accept(&["COMMENT"]) {
        true => Some(comment(cursor)?),
        false => None,
    };
    Ok(Column {
        name,
        data_type,
        comment,
    })
}

fn comment(cursor: &mut Cursor<'_>) -> Result<String, StatementError> {
    cursor.text("a comment in quotes")
}

fn clustering(cursor: &mut Cursor<'_>) -> Result<Clustering, StatementError> {
    let columns = cursor.list(|cursor| cursor.name("the name of a column"))?;
    cursor.expect(&["INTO"])?;
    let bucket_count = cursor.number(1, i32::MAX.unsigned_abs())?;
    cursor.expect(&["BUCKETS"])?;
    Ok(Clustering {
        columns,
        bucket_count,
    })
}

fn row_format(cursor: &mut Cursor<'_>) -> Result<RowFormat, StatementError> {
    if cursor.accept(&["DELIMITED"]) {
        return Ok(RowFormat::Delimited(delimiters(cursor)?));
    }
    if !cursor.accept(&["SERDE"]) {
        return Err(cursor.unexpected("SERDE or DELIMITED"));
    }
    Ok(RowFormat::Serde {
        class: cursor.text("a class in quotes")?,
        properties: BTreeMap::new(),
    })
}

fn delimiters(cursor: &mut Cursor<'_>) -> Result<Delimiters, StatementError> {
    let mut delimiters = Delimiters::default();
    loop {
        let place = cursor.place();
        let (clause, slot) = if cursor.accept(&["FIELDS", "TERMINATED", "BY"]) {
            ("FIELDS", &mut delimiters.fields)
        } else if cursor.accept(&["ESCAPED", "BY"]) {
            ("ESCAPED BY", &mut delimiters.escape)
        } else if cursor.accept(&["COLLECTION", "ITEMS", "TERMINATED", "BY"]) {
            ("COLLECTION ITEMS", &mut delimiters.collection_items)
        } else if cursor.accept(&["MAP", "KEYS", "TERMINATED", "BY"]) {
            ("MAP KEYS", &mut delimiters.map_keys)
        } else if cursor.accept(&["LINES", "TERMINATED", "BY"]) {
            ("LINES", &mut delimiters.lines)
        } else if cursor.accept(&["NULL", "DEFINED", "AS"]) {
            ("NULL DEFINED AS", &mut delimiters.null)
        } else {
            return Ok(delimiters);
        };
        if slot.is_some() {
            return Err(Cursor::repeated("clause", clause, place));
        }
        *slot = Some(cursor.text("text in quotes")?);
    }
}

fn stored_as(cursor: &mut Cursor<'_>) -> Result<StoredAs, StatementError> {
    if cursor.accept(&["INPUTFORMAT"]) {
        let input = cursor.text("a class in quotes")?;
        cursor.expect(&["OUTPUTFORMAT"])?;
        let output = cursor.text("a class in quotes")?;
        return Ok(StoredAs::Classes { input, output });
    }
    FileFormat::ALL
        .into_iter()
        .find(|format| cursor.accept(&[format.keyword()]))
        .map(StoredAs::Format)
        .ok_or_else(|| cursor.unexpected("a format such as PARQUET, or INPUTFORMAT"))
}

/// Reads `('key' = 'value', …)`. Of two equal keys the last one counts, as in Hive.
pub(super) fn properties(
    cursor: &mut Cursor<'_>,
) -> Result<BTreeMap<String, String>, StatementError> {
    let pairs = cursor.list(|cursor| {
        let key = cursor.text("a property's name in quotes")?;
        cursor.expect_sign(&Token::Eq)?;
        let value = match cursor.peek(0) {
            // Hive wants quotes here; published DDL often has none.
            Some(Token::Number(digits, _)) => Some(digits.clone()),
            Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.value.clone()),
            _ => None,
        };
        let value = match value {
            Some(bare) => {
                cursor.skip();
                bare
            }
            None => cursor.text("a property's value in quotes")?,
        };
        Ok((key, value))
    })?;
    Ok(pairs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Statement, split};

    fn parse(sql: &str) -> Result<HiveTable, StatementError> {
        match Statement::parse(&split(sql).unwrap()[0])? {
            Statement::CreateExternalTable(table) => Ok(table),
            other => panic!("{other:?}"),
        }
    }

    fn names(columns: &[Column]) -> Vec<&str> {
        columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn the_guides_table_is_read() {
        let table = parse(include_str!("../../tests/ddl/k9_guide.sql")).unwrap();
        assert_eq!(
            table.name,
            TableName::new(None, "principal_access_summaries_latest")
        );
        assert_eq!(table.columns.len(), 9);
        assert_eq!(types::hive_type(&table.columns[0].data_type), "timestamp");
        assert_eq!(
            types::hive_type(&table.columns[4].data_type),
            "map<string,string>"
        );
        assert_eq!(
            names(&table.partition_columns),
            ["customer_id", "csp", "account_id"]
        );
        assert!(
            matches!(&table.row_format, Some(RowFormat::Serde { class, .. })
            if class == "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
        );
        assert!(
            matches!(&table.stored_as, Some(StoredAs::Classes { output, .. })
            if output.ends_with("MapredParquetOutputFormat"))
        );
        assert_eq!(
            table.location.as_deref(),
            Some("s3://<SECURE_INBOX_BUCKET_NAME>/hive/parquet/pas")
        );
        assert_eq!(table.properties["parquet.compression"], "SNAPPY");
    }

    #[test]
    fn cloudtrails_table_with_partition_projection_is_read() {
        let table = parse(include_str!("../../tests/ddl/cloudtrail_projection.sql")).unwrap();
        assert_eq!(table.columns.len(), 27);
        assert_eq!(names(&table.partition_columns), ["timestamp"]);
        assert_eq!(
            types::hive_type(&table.columns[1].data_type),
            "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,\
             accesskeyid:string,username:string,\
             onbehalfof:struct<userid:string,identitystorearn:string>,\
             sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,\
             sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,\
             ec2roledelivery:string,\
             webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>>"
        );
        assert_eq!(
            table.properties["projection.timestamp.interval.unit"],
            "DAYS"
        );
        assert_eq!(
            table.properties["storage.location.template"],
            "s3://safeco-trail/AWSLogs/111122223333/CloudTrail/us-east-1/${timestamp}"
        );
    }

    #[test]
    fn clauses_come_in_any_order_with_either_quote_and_comments_between() {
        let table = parse(
            "create external table if not exists AwsDataCatalog.`Lake`.events (\n\
             start bigint, `END` bigint comment 'the last', time string, type string, table string, partition int)\n\
             TBLPROPERTIES (\"has_encrypted_data\"='true', 'skip.header.line.count' = 1) -- first\n\
             location \"s3://bucket/${prefix}/\" /* then */ stored as textfile\n\
             comment 'it''s mine' partitioned by (dt string) clustered by (start) into 8 buckets\n\
             WITH SERDEPROPERTIES ('separatorChar'=',', 'escapeChar'='\\\\', 'input.regex'='\\\"(.*)\\\"')\n\
             ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'",
        )
        .unwrap();
        assert!(table.if_not_exists);
        assert_eq!(table.name.to_string(), "lake.events");
        assert_eq!(
            names(&table.columns),
            ["start", "end", "time", "type", "table", "partition"]
        );
        assert_eq!(table.columns[1].comment.as_deref(), Some("the last"));
        assert_eq!(table.comment.as_deref(), Some("it's mine"));
        assert_eq!(table.properties["skip.header.line.count"], "1");
        assert_eq!(
            table.stored_as,
            Some(StoredAs::Format(FileFormat::TextFile))
        );
        assert_eq!(table.clustering.as_ref().unwrap().bucket_count, 8);
        let Some(RowFormat::Serde { properties, .. }) = &table.row_format else {
            panic!("no SerDe");
        };
        assert_eq!(properties["escapeChar"], "\\");
        assert_eq!(properties["input.regex"], "\"(.*)\"");
    }

    #[test]
    fn delimited_rows_are_read() {
        let table = parse(
            "CREATE EXTERNAL TABLE t (a int) ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' \
             ESCAPED BY '\\\\' COLLECTION ITEMS TERMINATED BY '\\002' MAP KEYS TERMINATED BY ':' \
             LINES TERMINATED BY '\\n' NULL DEFINED AS '' LOCATION 's3://bucket/'",
        )
        .unwrap();
        let text = |text: &str| Some(text.to_owned());
        let expected = Delimiters {
            fields: text("\t"),
            escape: text("\\"),
            collection_items: text("\u{2}"),
            map_keys: text(":"),
            lines: text("\n"),
            null: text(""),
        };
        assert_eq!(table.row_format, Some(RowFormat::Delimited(expected)));
    }

    #[test]
    fn wrong_ddl_is_an_error_at_its_place() {
        let cases = [
            ("t", "expected `(`, found the end of the statement", (1, 24)),
            ("t ()", "expected the name of a column, found `)`", (1, 26)),
            ("t (a int b int)", "expected `,` or `)`, found `b`", (1, 32)),
            ("t (a int,\n A int)", "column `a` is given twice", (2, 2)),
            (
                "t (a int) PARTITIONED BY (a string)",
                "column `a` is given twice",
                (1, 49),
            ),
            (
                "t (a int) STORED AS CSV",
                "expected a format such as PARQUET, or INPUTFORMAT, found `CSV`",
                (1, 43),
            ),
            (
                "t (a int) LOCATION s3://b",
                "expected a location in quotes, found `s3`",
                (1, 42),
            ),
            (
                "t (a int) LOCATION 'a' LOCATION 'b'",
                "clause `LOCATION` is given twice",
                (1, 46),
            ),
            (
                "t (a int) TBLPROPERTIES (a='b')",
                "expected a property's name in quotes, found `a`",
                (1, 48),
            ),
            (
                "t (a int) WITH SERDEPROPERTIES ('a'='b')",
                "expected ROW FORMAT SERDE to have properties, found `WITH`",
                (1, 33),
            ),
            (
                "t (a int) ROW FORMAT 'x'",
                "expected SERDE or DELIMITED, found `'x'`",
                (1, 44),
            ),
            ("a.b.c.d (a int)", "expected `(`, found `.`", (1, 28)),
        ];
        for (rest, message, place) in cases {
            let error = parse(&format!("CREATE EXTERNAL TABLE {rest}")).unwrap_err();
            assert_eq!(
                (error.to_string().as_str(), error.place()),
                (message, Some(place))
            );
        }
        let error = parse("CREATE EXTERNAL TABLE t (a int) AS SELECT 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("expected {A_CLAUSE}, found `AS`")
        );
    }
}
