//! `typeof` with the lengths that the query says of texts: see the rewrite's `lengths`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, StringArray},
        datatypes::DataType,
    },
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    scalar::{Call, Kind, Spec, varchar},
    type_name,
    unify::{element_of, entry_of},
};
use crate::types::is_text;

/// `__typeof(x, 'array(varchar(3))')`.
pub(super) fn function() -> Arc<ScalarUDF> {
    Spec::new("__typeof", &[Kind::Any, Kind::Text], varchar, run).build()
}

fn run(call: &Call) -> Result<ArrayRef> {
    let said = call.constant_text(1).flatten().unwrap_or("_");
    let name = named(call.args[0].data_type(), said);
    Ok(Arc::new(StringArray::from(vec![name; call.rows])))
}

/// The name of a type, its texts as long as `said` says.
fn named(data_type: &DataType, said: &str) -> String {
    let Some((kind, inner)) = said.strip_suffix(')').and_then(|said| said.split_once('(')) else {
        return type_name(data_type);
    };
    let parts = parts(inner);
    match (kind, parts.as_slice()) {
        ("varchar" | "char", _) if is_text(data_type) => said.to_owned(),
        ("array", [element]) => match element_of(data_type) {
            Some(of) => format!("array({})", named(of, element)),
            None => type_name(data_type),
        },
        ("map", [key, value]) => match entry_of(data_type) {
            Some((k, v)) => format!("map({}, {})", named(k, key), named(v, value)),
            None => type_name(data_type),
        },
        ("row", said) => match data_type {
            DataType::Struct(fields) if fields.len() == said.len() => {
                let fields = fields.iter().zip(said).enumerate();
                let fields = fields.map(|(place, (field, said))| {
                    let inner = named(field.data_type(), said);
                    // As in `type_name`: fields without a name are called by their place.
                    match *field.name() == format!("c{place}") {
                        true => inner,
                        false => format!("{} {inner}", field.name()),
                    }
                });
                format!("row({})", fields.collect::<Vec<_>>().join(", "))
            }
            _ => type_name(data_type),
        },
        _ => type_name(data_type),
    }
}

/// What stands between the commas outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Fields};

    use super::*;
    use crate::types::map_type;

    #[test]
    fn lengths_are_written_where_texts_are() {
        let row = DataType::Struct(Fields::from(vec![
            Field::new("c0", DataType::Int32, true),
            Field::new("name", DataType::Utf8, true),
        ]));
        let texts = DataType::new_list(DataType::Utf8, true);
        let cases = [
            (DataType::Utf8, "varchar(3)", "varchar(3)"),
            (DataType::Int64, "varchar(3)", "bigint"),
            (texts.clone(), "array(char(2))", "array(char(2))"),
            (texts, "map(_,_)", "array(varchar)"),
            (
                map_type(DataType::Utf8, row),
                "map(varchar(1),row(_,varchar(5)))",
                "map(varchar(1), row(integer, name varchar(5)))",
            ),
        ];
        for (data_type, said, expected) in cases {
            assert_eq!(named(&data_type, said), expected);
        }
    }
}
