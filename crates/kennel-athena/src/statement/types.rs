//! Hive's types as Arrow's, and back.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, Fields, TimeUnit},
    sql::sqlparser::tokenizer::Token,
};

use super::{StatementError, cursor::Cursor, name::is_plain};

/// Deepest nesting of types that is read; `array<int>` has two levels.
///
/// CloudTrail's tables have five. The limit keeps hostile text from exhausting the stack, here and
/// wherever the type is walked later.
pub const MAX_TYPE_DEPTH: usize = 64;

const A_TYPE: &str = "a type such as string, bigint or array<string>";

/// Reads a type: any that Athena's DDL has, nested, with blanks anywhere.
pub(super) fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType, StatementError> {
    nested_type(cursor, 1)
}

fn nested_type(cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType, StatementError> {
    if depth > MAX_TYPE_DEPTH {
        let (line, column) = cursor.place();
        let limit = MAX_TYPE_DEPTH;
        return Err(StatementError::TooDeep {
            limit,
            line,
            column,
        });
    }
    let Some(word) = cursor.peek_word(0) else {
        return Err(cursor.unexpected(A_TYPE));
    };
    let simple = match word.as_str() {
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "BOOLEAN" => DataType::Boolean,
        "STRING" | "VARCHAR" | "CHAR" => DataType::Utf8,
        "BINARY" => DataType::Binary,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "DECIMAL" | "NUMERIC" => DataType::Decimal128(10, 0),
        "ARRAY" => return array(cursor, depth),
        "MAP" => return map(cursor, depth),
        "STRUCT" => return structure(cursor, depth),
        _ => return Err(cursor.unexpected(A_TYPE)),
    };
    cursor.expect(&[&word])?;
    match word.as_str() {
        "DOUBLE" => _ = cursor.accept(&["PRECISION"]),
        "VARCHAR" => length(cursor, 65_535)?,
        "CHAR" => length(cursor, 255)?,
        "DECIMAL" | "NUMERIC" => return decimal(cursor),
        _ => {}
    }
    Ok(simple)
}

/// The length of a text; Arrow's text has none, so it is only checked.
fn length(cursor: &mut Cursor<'_>, most: u32) -> Result<(), StatementError> {
    if cursor.accept_sign(&Token::LParen) {
        cursor.number(1, most)?;
        cursor.expect_sign(&Token::RParen)?;
    }
    Ok(())
}

fn decimal(cursor: &mut Cursor<'_>) -> Result<DataType, StatementError> {
    let (mut precision, mut scale) = (10, 0);
    if cursor.accept_sign(&Token::LParen) {
        precision = cursor.number(1, 38)?;
        if cursor.accept_sign(&Token::Comma) {
            scale = cursor.number(0, precision)?;
        }
        cursor.expect_sign(&Token::RParen)?;
    }
    let fits = "both are at most 38";
    Ok(DataType::Decimal128(
        u8::try_from(precision).expect(fits),
        i8::try_from(scale).expect(fits),
    ))
}

fn array(cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType, StatementError> {
    cursor.expect(&["ARRAY"])?;
    cursor.expect_sign(&Token::Lt)?;
    let element = nested_type(cursor, depth + 1)?;
    cursor.expect_sign(&Token::Gt)?;
    Ok(DataType::new_list(element, true))
}

fn map(cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType, StatementError> {
    cursor.expect(&["MAP"])?;
    cursor.expect_sign(&Token::Lt)?;
    let key = nested_type(cursor, depth + 1)?;
    cursor.expect_sign(&Token::Comma)?;
    let value = nested_type(cursor, depth + 1)?;
    cursor.expect_sign(&Token::Gt)?;
    let entry = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(entry), false);
    Ok(DataType::Map(Arc::new(entries), false))
}

fn structure(cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType, StatementError> {
    cursor.expect(&["STRUCT"])?;
    cursor.expect_sign(&Token::Lt)?;
    let mut names = BTreeSet::new();
    let mut fields = Vec::new();
    loop {
        let place = cursor.place();
        let name = cursor.name("the name of a struct field")?;
        cursor.expect_sign(&Token::Colon)?;
        let data_type = nested_type(cursor, depth + 1)?;
        if cursor.accept(&["COMMENT"]) {
            cursor.text("a comment in quotes")?;
        }
        if !names.insert(name.clone()) {
            return Err(Cursor::repeated("struct field", &name, place));
        }
        fields.push(Field::new(name, data_type, true));
        if cursor.accept_sign(&Token::Gt) {
            return Ok(DataType::Struct(fields.into()));
        }
        if !cursor.accept_sign(&Token::Comma) {
            return Err(cursor.unexpected("`,` or `>`"));
        }
    }
}

/// Hive's word for a type. What Hive does not have becomes the nearest wider type, at last `string`.
pub fn hive_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "int".into(),
        DataType::Int64 | DataType::UInt32 => "bigint".into(),
        DataType::UInt64 => "decimal(20,0)".into(),
        DataType::Float16 | DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "binary".into(),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => {
            format!("array<{}>", hive_type(element.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) => {
                let types = entry.iter().map(|field| hive_type(field.data_type()));
                format!("map<{}>", types.collect::<Vec<_>>().join(","))
            }
            _ => "string".into(),
        },
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                format!(
                    "{}:{}",
                    field_name(field.name()),
                    hive_type(field.data_type())
                )
            });
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        DataType::Dictionary(_, value) => hive_type(value),
        DataType::RunEndEncoded(_, values) => hive_type(values.data_type()),
        _ => "string".into(),
    }
}

fn field_name(name: &str) -> String {
    if is_plain(name) {
        name.to_owned()
    } else {
        super::ddl::quoted_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DataType, StatementError> {
        // The first words choose Hive's lexical rules.
        let sql = format!("SHOW {text}");
        let mut cursor = Cursor::new(&sql)?;
        cursor.expect(&["SHOW"])?;
        let data_type = data_type(&mut cursor)?;
        cursor.expect_end()?;
        Ok(data_type)
    }

    #[test]
    fn simple_types_are_read_in_any_case() {
        let cases = [
            ("tinyint", DataType::Int8, "tinyint"),
            ("SmallInt", DataType::Int16, "smallint"),
            ("INTEGER", DataType::Int32, "int"),
            ("bigint", DataType::Int64, "bigint"),
            ("float", DataType::Float32, "float"),
            ("double precision", DataType::Float64, "double"),
            ("boolean", DataType::Boolean, "boolean"),
            ("varchar ( 20 )", DataType::Utf8, "string"),
            ("char(3)", DataType::Utf8, "string"),
            ("binary", DataType::Binary, "binary"),
            ("date", DataType::Date32, "date"),
            ("decimal", DataType::Decimal128(10, 0), "decimal(10,0)"),
            ("decimal(38)", DataType::Decimal128(38, 0), "decimal(38,0)"),
            (
                "decimal(11, 5)",
                DataType::Decimal128(11, 5),
                "decimal(11,5)",
            ),
            (
                "timestamp",
                DataType::Timestamp(TimeUnit::Microsecond, None),
                "timestamp",
            ),
        ];
        for (text, expected, printed) in cases {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
            assert_eq!(hive_type(&expected), printed);
        }
    }

    #[test]
    fn nested_types_are_read_with_blanks_and_comments_anywhere() {
        let text = "struct < Type : string, `2xx-count`:int COMMENT 'a>b', 4xx:int,\n\
                    attributes: map<string , array<struct<a:int>>>/* ! */, timestamp:date>";
        let expected = "struct<type:string,`2xx-count`:int,`4xx`:int,\
                        attributes:map<string,array<struct<a:int>>>,timestamp:date>";
        assert_eq!(hive_type(&parse(text).unwrap()), expected);
        assert_eq!(parse(expected), parse(text));
        let DataType::Map(entries, false) = parse("map<string,string>").unwrap() else {
            panic!("not a map");
        };
        let DataType::Struct(entry) = entries.data_type() else {
            panic!("not a struct");
        };
        assert_eq!(
            (
                entries.name().as_str(),
                entry[0].name().as_str(),
                entry[1].name().as_str()
            ),
            ("entries", "key", "value")
        );
        assert!(!entry[0].is_nullable() && entry[1].is_nullable());
    }

    #[test]
    fn wrong_types_are_errors_that_say_what_was_expected() {
        let cases = [
            (
                "text",
                "expected a type such as string, bigint or array<string>, found `text`",
            ),
            ("array<>", "expected `<`, found `<>`"),
            ("array<int", "expected `>`, found the end of the statement"),
            ("map<string>", "expected `,`, found `>`"),
            ("struct<a:int a:int>", "expected `,` or `>`, found `a`"),
            ("struct<a:int,A:int>", "struct field `a` is given twice"),
            (
                "decimal(39,1)",
                "expected a number from 1 to 38, found `39`",
            ),
            ("decimal(5,6)", "expected a number from 0 to 5, found `6`"),
            (
                "varchar(99999999999)",
                "expected a number from 1 to 65535, found `99999999999`",
            ),
            (
                "array<int>>",
                "expected the end of the statement, found `>`",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn hostile_nesting_is_an_error() {
        for opening in ["array<", "map<int,", "struct<a:"] {
            let nested = |levels: usize| {
                parse(&format!(
                    "{}int{}",
                    opening.repeat(levels),
                    ">".repeat(levels)
                ))
            };
            assert!(nested(MAX_TYPE_DEPTH - 1).is_ok());
            for levels in [MAX_TYPE_DEPTH, 100_000] {
                assert!(matches!(
                    nested(levels),
                    Err(StatementError::TooDeep { .. })
                ));
            }
        }
    }
}
