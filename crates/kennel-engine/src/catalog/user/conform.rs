//! Columns of records in the types that a user's table declares: structs of other fields, maps, JSON text.
//!
//! What a SerDe would do with the same record: fields are found by name whatever their case, a missing one is null, an
//! object in a text column is its JSON, and JSON text in a nested column is read. What does not fit is null.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, BooleanBuilder, Int32Builder, ListArray, MapArray,
            StringBuilder, StructArray, new_null_array,
        },
        buffer::{NullBuffer, OffsetBuffer},
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, Field, FieldRef, Fields},
    },
    common::{DataFusionError, Result as DataFusionResult, internal_err},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility, expr::ScalarFunction,
    },
};
use serde_json::{Map, Value};

use crate::trail::schema::{KnownField, RECORD, Shape};

/// An expression in another type, if that needs more than a cast.
pub(crate) fn conformed(expr: Expr, from: &DataType, to: &DataType, column: &str) -> Expr {
    if from == to {
        return expr;
    }
    let is_nested = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Struct(_) | DataType::List(_) | DataType::Map(..)
        )
    };
    if !is_nested(from) && !is_nested(to) {
        // Athena's JSON SerDes give null for what does not fit.
        return datafusion::logical_expr::expr_fn::try_cast(expr, to.clone());
    }
    let function = Conform {
        signature: Signature::any(1, Volatility::Immutable),
        to: to.clone(),
        column: column.to_owned(),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

/// The function; its type is its own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Conform {
    signature: Signature,
    to: DataType,
    /// The column of the record, for the names of its fields.
    column: String,
}

impl ScalarUDFImpl for Conform {
    fn name(&self) -> &str {
        "kennel_conform"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(Field::new(&self.column, self.to.clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else {
            return internal_err!("a column to conform is missing");
        };
        let array = value.into_array(args.number_rows)?;
        let known = RECORD
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(&self.column));
        let array = conform(&array, &self.to, known.map(|field| &field.shape))?;
        Ok(ColumnarValue::Array(array))
    }
}

fn conform(array: &ArrayRef, to: &DataType, shape: Option<&Shape>) -> DataFusionResult<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let array = array.as_struct();
            let columns = fields.iter().map(|field| {
                let found = array
                    .fields()
                    .iter()
                    .position(|known| known.name().eq_ignore_ascii_case(field.name()));
                match found {
                    Some(index) => conform(
                        array.column(index),
                        field.data_type(),
                        shape_of(shape, field.name()),
                    ),
                    None => Ok(new_null_array(field.data_type(), array.len())),
                }
            });
            let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
            let made = StructArray::try_new_with_length(
                fields.clone(),
                columns,
                array.nulls().cloned(),
                array.len(),
            );
            Ok(Arc::new(made?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let array = array.as_list::<i32>();
            let items = conform(array.values(), item.data_type(), shape)?;
            let made = ListArray::try_new(
                Arc::clone(item),
                array.offsets().clone(),
                items,
                array.nulls().cloned(),
            );
            Ok(Arc::new(made?))
        }
        (DataType::Utf8, DataType::Struct(_) | DataType::List(_) | DataType::Map(..)) => {
            let parsed = array
                .as_string::<i32>()
                .iter()
                .map(|text| serde_json::from_str::<Value>(text?).ok());
            let parsed = parsed.collect::<Vec<_>>();
            from_json(&parsed.iter().map(Option::as_ref).collect::<Vec<_>>(), to)
        }
        (DataType::Struct(_) | DataType::List(_) | DataType::Map(..), DataType::Utf8) => {
            let mut builder = StringBuilder::new();
            for row in 0..array.len() {
                match to_json(array, row, shape) {
                    Value::Null => builder.append_null(),
                    value => builder.append_value(value.to_string()),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        (
            DataType::Struct(_) | DataType::List(_) | DataType::Map(..),
            DataType::Struct(_) | DataType::List(_) | DataType::Map(..),
        ) => {
            let values = (0..array.len())
                .map(|row| to_json(array, row, shape))
                .collect::<Vec<_>>();
            from_json(&values.iter().map(Some).collect::<Vec<_>>(), to)
        }
        _ => {
            let options = CastOptions {
                safe: true,
                ..CastOptions::default()
            };
            match cast_with_options(array, to, &options) {
                Ok(array) => Ok(array),
                Err(_) => Ok(new_null_array(to, array.len())),
            }
        }
    }
}

/// The shape of a field of an object.
fn shape_of<'a>(shape: Option<&'a Shape>, name: &str) -> Option<&'a Shape> {
    known_field(shape, name).map(|field| &field.shape)
}

fn known_field<'a>(shape: Option<&'a Shape>, name: &str) -> Option<&'a KnownField> {
    let (Shape::Object(fields) | Shape::Objects(fields)) = shape? else {
        return None;
    };
    fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
}

/// A value as JSON; fields of a record have the names that CloudTrail gives them, and those without value are left out.
fn to_json(array: &ArrayRef, row: usize, shape: Option<&Shape>) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(array.columns()) {
                let known = known_field(shape, field.name());
                let name = known.map_or(field.name().as_str(), |known| known.name);
                let value = to_json(column, row, known.map(|known| &known.shape));
                if !value.is_null() {
                    object.insert(name.to_owned(), value);
                }
            }
            Value::Object(object)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array(
                (0..items.len())
                    .map(|item| to_json(&items, item, shape))
                    .collect(),
            )
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |item| {
                let key = match to_json(keys, item, None) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, to_json(values, item, None))
            };
            Value::Object((0..entries.len()).map(entry).collect())
        }
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row);
            match shape {
                Some(Shape::Json) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
                _ => text.into(),
            }
        }
        DataType::Boolean => array.as_boolean().value(row).into(),
        _ => match cast_with_options(
            &array.slice(row, 1),
            &DataType::Utf8,
            &CastOptions::default(),
        ) {
            Ok(text) if !text.is_null(0) => {
                let text = text.as_string::<i32>().value(0).to_owned();
                serde_json::from_str::<serde_json::Number>(&text)
                    .map_or(Value::String(text), Value::Number)
            }
            _ => Value::Null,
        },
    }
}

/// JSON values as an array of any of Hive's types.
fn from_json(values: &[Option<&Value>], to: &DataType) -> DataFusionResult<ArrayRef> {
    let is_null = |value: &&Value| value.is_null();
    match to {
        DataType::Struct(fields) => struct_of(values, fields),
        DataType::List(item) => {
            let lists = values
                .iter()
                .map(|value| value.and_then(Value::as_array))
                .collect::<Vec<_>>();
            let offsets =
                OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let nulls = lists.iter().map(Option::is_some).collect::<NullBuffer>();
            let items = lists
                .iter()
                .flatten()
                .flat_map(|list| list.iter().map(Some))
                .collect::<Vec<_>>();
            let items = from_json(&items, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                items,
                Some(nulls),
            )?))
        }
        DataType::Map(entries, sorted) => map_of(values, entries, *sorted),
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            for value in values {
                match value {
                    None | Some(Value::Null) => builder.append_null(),
                    Some(Value::String(text)) => builder.append_value(text),
                    Some(other) => builder.append_value(other.to_string()),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::Boolean => {
            let mut builder = BooleanBuilder::new();
            for value in values {
                builder.append_option(match value {
                    Some(Value::Bool(value)) => Some(*value),
                    Some(Value::String(text)) => text.parse().ok(),
                    _ => None,
                });
            }
            Ok(Arc::new(builder.finish()))
        }
        DataType::Int32 => {
            let mut builder = Int32Builder::new();
            for value in values
                .iter()
                .map(|value| value.filter(|value| !is_null(value)))
            {
                let number = value.and_then(|value| match value {
                    Value::String(text) => text.parse().ok(),
                    other => other.as_i64(),
                });
                builder.append_option(number.and_then(|number| i32::try_from(number).ok()));
            }
            Ok(Arc::new(builder.finish()))
        }
        other => {
            let texts = from_json(values, &DataType::Utf8)?;
            let options = CastOptions {
                safe: true,
                ..CastOptions::default()
            };
            cast_with_options(&texts, other, &options)
                .or_else(|_| Ok::<_, DataFusionError>(new_null_array(other, values.len())))
        }
    }
}

fn struct_of(values: &[Option<&Value>], fields: &Fields) -> DataFusionResult<ArrayRef> {
    let objects = values
        .iter()
        .map(|value| value.and_then(Value::as_object))
        .collect::<Vec<_>>();
    let columns = fields.iter().map(|field| {
        let of_field = objects.iter().map(|object| {
            let mut found = object.iter().flat_map(|object| object.iter());
            // Of two keys that differ in case alone the last one counts.
            found
                .by_ref()
                .filter(|(name, _)| name.eq_ignore_ascii_case(field.name()))
                .last()
                .map(|(_, value)| value)
        });
        from_json(&of_field.collect::<Vec<_>>(), field.data_type())
    });
    let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
    let nulls = objects.iter().map(Option::is_some).collect::<NullBuffer>();
    let made = StructArray::try_new_with_length(fields.clone(), columns, Some(nulls), values.len());
    Ok(Arc::new(made?))
}

fn map_of(
    values: &[Option<&Value>],
    entries: &FieldRef,
    sorted: bool,
) -> DataFusionResult<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else {
        return internal_err!("a map's entries are a struct");
    };
    let [key_field, value_field] = fields.as_ref() else {
        return internal_err!("a map's entries have a key and a value");
    };
    let objects = values
        .iter()
        .map(|value| value.and_then(Value::as_object))
        .collect::<Vec<_>>();
    let offsets =
        OffsetBuffer::from_lengths(objects.iter().map(|object| object.map_or(0, Map::len)));
    let nulls = objects.iter().map(Option::is_some).collect::<NullBuffer>();
    let keys = objects
        .iter()
        .flatten()
        .flat_map(|object| object.keys())
        .map(|key| Value::String(key.clone()));
    let keys = keys.collect::<Vec<_>>();
    let keys = from_json(
        &keys.iter().map(Some).collect::<Vec<_>>(),
        key_field.data_type(),
    )?;
    if keys.null_count() > 0 {
        return Ok(new_null_array(
            &DataType::Map(Arc::clone(entries), sorted),
            values.len(),
        ));
    }
    let items = objects
        .iter()
        .flatten()
        .flat_map(|object| object.values().map(Some))
        .collect::<Vec<_>>();
    let items = from_json(&items, value_field.data_type())?;
    let made = StructArray::try_new(fields.clone(), vec![keys, items], None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        offsets,
        made,
        Some(nulls),
        sorted,
    )?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{array::StringArray, util::display::array_value_to_string};
    use kennel_athena::statement::{Statement, split};

    use super::*;

    fn hive(text: &str) -> DataType {
        let sql = format!("CREATE EXTERNAL TABLE t (a {text})");
        match Statement::parse(&split(&sql).unwrap()[0]) {
            Ok(Statement::CreateExternalTable(table)) => table.columns[0].data_type.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn text(array: &ArrayRef) -> Vec<String> {
        (0..array.len())
            .map(|row| array_value_to_string(array, row).unwrap())
            .collect()
    }

    #[test]
    fn json_text_becomes_any_type_and_what_does_not_fit_is_null() {
        let json: ArrayRef = Arc::new(StringArray::from(vec![
            Some(r#"{"A":"x","b":[1,"2",null,"z"],"c":{"k":{"v":true}},"d":"5","e":"true"}"#),
            Some("[1]"),
            Some("{"),
            None,
        ]));
        let made = conform(
            &json,
            &hive("struct<a:string,b:array<int>,c:map<string,string>,d:bigint,e:boolean>"),
            None,
        )
        .unwrap();
        assert_eq!(
            text(&made),
            [
                r#"{a: x, b: [1, 2, , ], c: {k: {"v":true}}, d: 5, e: true}"#,
                "",
                "",
                ""
            ]
        );
        assert_eq!(made.null_count(), 3);
    }

    #[test]
    fn structs_conform_by_name_and_print_as_cloudtrail_wrote_them() {
        let json: ArrayRef = Arc::new(StringArray::from(vec![
            Some(
                r#"{"type":"AssumedRole","accountid":"111122223333","sessioncontext":{"sessionissuer":{"arn":"r"},"webidfederationdata":{"federatedprovider":"p","attributes":{"a":"b"}}}}"#,
            ),
            None,
        ]));
        let identity = conform(
            &json,
            &crate::trail::schema::event_schema()
                .field_with_name("useridentity")
                .unwrap()
                .data_type()
                .clone(),
            None,
        )
        .unwrap();
        let shape = RECORD
            .iter()
            .find(|field| field.name == "userIdentity")
            .map(|field| &field.shape);
        let old = conform(
            &identity,
            &hive("struct<accountid:string,nothing:int,sessioncontext:struct<webidfederationdata:map<string,string>>>"),
            shape,
        )
        .unwrap();
        assert_eq!(
            text(&old)[0],
            r#"{accountid: 111122223333, nothing: , sessioncontext: {webidfederationdata: {attributes: {"a":"b"}, federatedProvider: p}}}"#
        );
        assert!(old.is_null(1));
        let printed = conform(&identity, &DataType::Utf8, shape).unwrap();
        let printed: Value = serde_json::from_str(&text(&printed)[0]).unwrap();
        assert_eq!(printed["sessionContext"]["sessionIssuer"]["arn"], "r");
        assert_eq!(printed["accountId"], "111122223333");
        let round = conform(
            &conform(&identity, &DataType::Utf8, shape).unwrap(),
            identity.data_type(),
            None,
        )
        .unwrap();
        assert_eq!(text(&round), text(&identity));
    }
}
