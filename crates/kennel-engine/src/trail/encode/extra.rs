//! The column of unknown fields: one JSON object in the shape of the record.

use crate::trail::{
    decode::{Unknown, compact},
    schema::{KnownField, Shape, Slot},
};

/// Writes the unknown fields of an object and of those below it, without the braces.
pub(super) fn write_unknown(
    record: &str,
    unknown: &[Unknown],
    fields: &[KnownField],
    parent: Option<Slot>,
    out: &mut String,
) {
    let begin = out.len();
    let separate = |out: &mut String| {
        if out.len() > begin {
            out.push(',');
        }
    };
    for field in unknown.iter().filter(|field| field.parent == parent) {
        separate(out);
        write_field(record, field, out);
    }
    for field in fields {
        let before = out.len();
        separate(out);
        out.push('"');
        out.push_str(field.name);
        let content = match field.shape {
            Shape::Object(fields) => {
                out.push_str("\":{");
                let start = out.len();
                write_unknown(record, unknown, fields, Some(field.slot), out);
                let end = out.len();
                out.push('}');
                end - start
            }
            Shape::Objects(_) => {
                out.push_str("\":[");
                let start = out.len();
                write_elements(record, unknown, field.slot, out);
                let end = out.len();
                out.push(']');
                end - start
            }
            _ => 0,
        };
        if content == 0 {
            out.truncate(before);
        }
    }
}

/// Writes the unknown fields of a list's elements, `{}` for an element without any.
fn write_elements(record: &str, unknown: &[Unknown], slot: Slot, out: &mut String) {
    // They were noted in the order of the elements.
    let mut element = None;
    for field in unknown.iter().filter(|field| field.parent == Some(slot)) {
        if element == Some(field.element) {
            out.push(',');
        } else {
            let next = element.map_or(0, |element| {
                out.push_str("},");
                element + 1
            });
            for _ in next..field.element {
                out.push_str("{},");
            }
            out.push('{');
            element = Some(field.element);
        }
        write_field(record, field, out);
    }
    if element.is_some() {
        out.push('}');
    }
}

fn write_field(record: &str, field: &Unknown, out: &mut String) {
    out.push_str(&compact(record, &field.key));
    out.push(':');
    out.push_str(&compact(record, &field.value));
}
