//! Trino's types as written in a query: read into sqlparser's, turned into Arrow's.
//!
//! `json` is `LargeUtf8` and text is `Utf8`: so the two stay apart in every plan, without metadata
//! that aggregates, `CASE` or `UNNEST` would lose.

pub(crate) mod fine;
pub(crate) mod written;

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit},
    common::plan_err,
    error::Result,
    logical_expr::planner::TypePlanner,
    sql::sqlparser::{
        ast::{
            ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Ident, ObjectName,
            StructBracketKind, StructField, TimezoneInfo,
        },
        keywords::Keyword,
        parser::{Parser, ParserError},
        tokenizer::Token,
    },
};

/// The zone of timestamps with time zone, unless the query names another one.
pub(crate) const UTC: &str = "+00:00";

/// Is this one of the names of UTC?
pub(crate) fn is_utc(zone: &str) -> bool {
    use crate::functions::zone::Zone;
    zone == UTC || Zone::read(zone) == Some(Zone::utc())
}

/// Timestamp with time zone, as Trino's functions return it.
pub(crate) fn zoned() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
}

/// The type of JSON values.
pub(crate) const JSON: DataType = DataType::LargeUtf8;

/// The type of IP addresses: 16 bytes in network order, IPv4 as `::ffff:a.b.c.d`.
pub(crate) const ADDRESS: DataType = DataType::FixedSizeBinary(16);

/// The type of IP prefixes: the lowest address, then the length, which counts from 0 to 32 for IPv4.
pub(crate) const PREFIX: DataType = DataType::FixedSizeBinary(17);

/// The type of UUIDs: its 16 bytes and two that are zero, so that plans tell it from [`ADDRESS`].
pub(crate) const UUID: DataType = DataType::FixedSizeBinary(18);

/// A type that Arrow does not have: a row of one field, whose name says what it is. Unlike metadata,
/// names of fields survive every plan.
pub(crate) fn opaque(name: &str, held: DataType) -> DataType {
    DataType::Struct(Fields::from(vec![Field::new(name, held, true)]))
}

/// The name of such a type; times are [`fine`]'s.
pub(crate) fn opaque_name(data_type: &DataType) -> Option<&str> {
    let DataType::Struct(fields) = data_type else {
        return None;
    };
    let [field] = fields.as_ref() else {
        return None;
    };
    let (_, held) = OPAQUE.iter().find(|(name, _)| name == field.name())?;
    (field.data_type() == held).then_some(field.name())
}

/// The names of these types, and what is held: sketches are bytes, shapes are well-known text.
const OPAQUE: [(&str, DataType); 10] = [
    ("bingtile", DataType::Utf8),
    ("color", DataType::Int64),
    ("geometry", DataType::Utf8),
    ("hyperloglog", DataType::Binary),
    ("qdigest(bigint)", DataType::Binary),
    ("qdigest(double)", DataType::Binary),
    ("qdigest(real)", DataType::Binary),
    ("setdigest", DataType::Binary),
    ("sphericalgeography", DataType::Utf8),
    ("tdigest", DataType::Binary),
];

/// Is this `varbinary`?
pub(crate) fn is_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::FixedSizeBinary(_) => ![ADDRESS, PREFIX, UUID].contains(data_type),
        _ => false,
    }
}

/// Is this text (and not JSON)?
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The names of the two kinds of intervals here.
const MONTHS: &str = "interval_year_to_month";
const SECONDS: &str = "interval_day_to_second";

/// Reads a type where the parser stands.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<SqlType, ParserError> {
    let Token::Word(word) = &parser.peek_token_ref().token else {
        return parser.parse_data_type();
    };
    let name = word.value.to_ascii_lowercase();
    let opens = parser.peek_nth_token_ref(1).token == Token::LParen;
    match name.as_str() {
        "array" if opens => {
            open(parser)?;
            let element = parse(parser)?;
            parser.expect_token(&Token::RParen)?;
            Ok(SqlType::Array(ArrayElemTypeDef::AngleBracket(Box::new(
                element,
            ))))
        }
        "map" if opens => {
            open(parser)?;
            let key = parse(parser)?;
            parser.expect_token(&Token::Comma)?;
            let value = parse(parser)?;
            parser.expect_token(&Token::RParen)?;
            Ok(SqlType::Map(Box::new(key), Box::new(value)))
        }
        "row" if opens => {
            open(parser)?;
            let fields = parser.parse_comma_separated(row_field)?;
            parser.expect_token(&Token::RParen)?;
            Ok(SqlType::Struct(fields, StructBracketKind::Parentheses))
        }
        "json" => {
            parser.next_token();
            Ok(SqlType::JSON)
        }
        "interval" => {
            parser.next_token();
            let months = parser.parse_keywords(&[Keyword::YEAR, Keyword::TO, Keyword::MONTH]);
            if !months {
                parser.expect_keywords(&[Keyword::DAY, Keyword::TO, Keyword::SECOND])?;
            }
            let name = if months { MONTHS } else { SECONDS };
            Ok(SqlType::Custom(
                ObjectName::from(vec![Ident::new(name)]),
                vec![],
            ))
        }
        // Hive's spelling of text.
        "string" => {
            parser.next_token();
            Ok(SqlType::Varchar(None))
        }
        _ => parser.parse_data_type(),
    }
}

fn open(parser: &mut Parser<'_>) -> Result<(), ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen).map(|_| ())
}

/// `name type`, or a type alone.
fn row_field(parser: &mut Parser<'_>) -> Result<StructField, ParserError> {
    let words = |n: usize| match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) => Some((word.keyword, word.quote_style.is_some())),
        _ => None,
    };
    let is_named = match (words(0), words(1)) {
        (Some((_, true)), Some(_)) => true,
        (Some((first, false)), Some((second, _))) => !matches!(
            (first, second),
            (Keyword::DOUBLE, Keyword::PRECISION)
                | (
                    Keyword::TIMESTAMP | Keyword::TIME,
                    Keyword::WITH | Keyword::WITHOUT
                )
                | (Keyword::INTERVAL, Keyword::DAY | Keyword::YEAR)
        ),
        _ => false,
    };
    let field_name = is_named.then(|| parser.parse_identifier()).transpose()?;
    Ok(StructField {
        field_name,
        field_type: parse(parser)?,
        options: None,
    })
}

/// Turns the types that DataFusion does not have, or has otherwise, into Arrow's.
#[derive(Debug)]
pub(crate) struct AthenaTypes;

impl TypePlanner for AthenaTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        check(sql_type)?;
        Ok(arrow_type(sql_type).map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}

/// Refuses more digits than there are.
fn check(sql_type: &SqlType) -> Result<()> {
    match sql_type {
        SqlType::Time(Some(digits), _) | SqlType::Timestamp(Some(digits), _)
            if second_digits(Some(*digits)).is_none() =>
        {
            plan_err!("{sql_type}: the precision must be in the range 0 to 12, not {digits}")
        }
        SqlType::Decimal(info) => {
            let (precision, scale) = match info {
                ExactNumberInfo::None => (38, 0),
                ExactNumberInfo::Precision(precision) => (*precision, 0),
                ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
            };
            let fits = u64::try_from(scale).is_ok_and(|scale| scale <= precision);
            match (1..=38).contains(&precision) && fits {
                true => Ok(()),
                false => plan_err!(
                    "{sql_type}: a decimal has 1 to 38 digits, and at most all of them after the point"
                ),
            }
        }
        SqlType::Array(ArrayElemTypeDef::AngleBracket(element)) => check(element),
        SqlType::Map(key, value) => check(key).and_then(|()| check(value)),
        SqlType::Struct(fields, _) => fields.iter().try_for_each(|field| check(&field.field_type)),
        _ => Ok(()),
    }
}

/// The Arrow type of a type; `None` where DataFusion's own choice is right.
fn arrow_type(sql_type: &SqlType) -> Option<DataType> {
    Some(match sql_type {
        SqlType::JSON => JSON,
        SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Text | SqlType::String(_) => {
            DataType::Utf8
        }
        SqlType::Varbinary(_) => DataType::Binary,
        SqlType::Boolean => DataType::Boolean,
        SqlType::TinyInt(None) => DataType::Int8,
        SqlType::SmallInt(None) => DataType::Int16,
        SqlType::Int(None) | SqlType::Integer(None) => DataType::Int32,
        SqlType::BigInt(None) => DataType::Int64,
        SqlType::Real => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
        SqlType::Date => DataType::Date32,
        SqlType::Time(digits, zone) => {
            let kind = match zone {
                TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => fine::Kind::Time,
                TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => fine::Kind::TimeWithZone,
            };
            fine::time_type(kind, second_digits(*digits)?)
        }
        SqlType::Uuid => UUID,
        SqlType::Custom(name, modifiers) => custom(&name.to_string(), modifiers)?,
        SqlType::Decimal(ExactNumberInfo::None) => DataType::Decimal128(38, 0),
        SqlType::Decimal(ExactNumberInfo::Precision(precision)) => DataType::Decimal128(
            u8::try_from(*precision)
                .ok()
                .filter(|p| (1..=38).contains(p))?,
            0,
        ),
        SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale)) => {
            let precision = u8::try_from(*precision)
                .ok()
                .filter(|p| (1..=38).contains(p))?;
            DataType::Decimal128(precision, i8::try_from(*scale).ok()?)
        }
        SqlType::Timestamp(digits, zone) => {
            let is_zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
            let kind = fine::Kind::Timestamp(is_zoned.then(|| UTC.into()));
            fine::time_type(kind, second_digits(*digits)?)
        }
        SqlType::Array(ArrayElemTypeDef::AngleBracket(element)) => {
            DataType::new_list(arrow_type(element)?, true)
        }
        SqlType::Map(key, value) => map_type(arrow_type(key)?, arrow_type(value)?),
        SqlType::Struct(fields, _) => {
            let fields = fields.iter().enumerate().map(|(index, field)| {
                let name = field
                    .field_name
                    .as_ref()
                    .map_or_else(|| format!("c{index}"), |name| name.value.to_lowercase());
                Some(Field::new(name, arrow_type(&field.field_type)?, true))
            });
            DataType::Struct(fields.collect::<Option<Fields>>()?)
        }
        _ => return None,
    })
}

/// The digits of a second that a type asks for: three where it does not.
fn second_digits(written: Option<u64>) -> Option<u8> {
    let digits = u8::try_from(written.unwrap_or(3)).ok()?;
    (digits <= fine::MOST_DIGITS).then_some(digits)
}

/// The name of the type that carries the time zone of a rewritten query; nobody writes it.
pub(crate) const ZONE_TYPE: &str = "__zone";

/// The same of a timestamp of so many digits that lies beyond Arrow's calendar.
pub(crate) const FINE_TYPE: &str = "__timestamp";

fn custom(name: &str, modifiers: &[String]) -> Option<DataType> {
    match (name.to_ascii_lowercase().as_str(), modifiers) {
        ("ipaddress", []) => Some(ADDRESS),
        ("ipprefix", []) => Some(PREFIX),
        ("unknown", []) => Some(DataType::Null),
        (MONTHS, []) => Some(DataType::Interval(IntervalUnit::YearMonth)),
        (SECONDS, []) => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        (FINE_TYPE, [digits]) => {
            let kind = fine::Kind::Timestamp(None);
            Some(
                fine::Fine {
                    kind,
                    digits: digits.parse().ok()?,
                }
                .data_type(),
            )
        }
        (FINE_TYPE, [digits, zone]) => {
            let kind = fine::Kind::Timestamp(Some(zone.as_str().into()));
            Some(
                fine::Fine {
                    kind,
                    digits: digits.parse().ok()?,
                }
                .data_type(),
            )
        }
        (name, []) if OPAQUE.iter().any(|(known, _)| *known == name) => OPAQUE
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(name, held)| opaque(name, held.clone())),
        ("qdigest", [value]) => {
            let name = format!("qdigest({})", value.to_ascii_lowercase());
            let (name, held) = OPAQUE.iter().find(|(known, _)| *known == name)?;
            Some(opaque(name, held.clone()))
        }
        (ZONE_TYPE, [zone]) => Some(DataType::Timestamp(
            TimeUnit::Millisecond,
            Some(zone.as_str().into()),
        )),
        _ => None,
    }
}

/// Arrow's map, with the names that Arrow and Parquet use.
pub(crate) fn map_type(key: DataType, value: DataType) -> DataType {
    let entry = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("entries", DataType::Struct(entry), false)),
        false,
    )
}
