//! Arrow's types under the names that Athena gives them.

use datafusion::arrow::datatypes::DataType;

/// `varchar`, `timestamp(6)`, `row(arn varchar, …)`.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 | DataType::UInt8 => "smallint".into(),
        DataType::Int32 | DataType::UInt16 => "integer".into(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".into(),
        DataType::Float16 | DataType::Float32 => "real".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".into(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "varbinary".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Timestamp(_, None) => "timestamp".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision}, {scale})")
        }
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("array({})", type_name(field.data_type()))
        }
        DataType::Struct(fields) => {
            let parts = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), type_name(field.data_type())));
            format!("row({})", parts.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let (key, value) = (
                    type_name(fields[0].data_type()),
                    type_name(fields[1].data_type()),
                );
                format!("map({key}, {value})")
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, value) => type_name(value),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;

    #[test]
    fn types_are_called_as_in_athena() {
        let row = DataType::Struct(Fields::from(vec![
            Field::new("arn", DataType::Utf8, true),
            Field::new("tags", DataType::new_list(DataType::Int64, true), true),
        ]));
        assert_eq!(type_name(&row), "row(arn varchar, tags array(bigint))");
        assert_eq!(type_name(&DataType::Decimal128(10, 2)), "decimal(10, 2)");
    }
}
