//! Google's encoded polylines: latitudes and longitudes in steps of a hundred-thousandth degree.
//!
//! Source: Google, "Encoded polyline algorithm format".

use std::sync::Arc;

use datafusion::{arrow::datatypes::DataType, common::exec_err, logical_expr::ScalarUDF};
use geo::{Coord, Geometry, LineString};

use super::{Kind, Shapes, geometry_type, only, text::checked, to_shapes, typed};
use crate::functions::nested::Nested;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "to_encoded_polyline",
            "to_encoded_polyline(geometry)",
            |given| typed(given, &[Kind::Geometry], DataType::Utf8),
            |call| {
                let shapes = Shapes::new(call, 0);
                call.to_texts(|row| match shapes.get(row)? {
                    Geometry::LineString(line) => Ok(Some(encode(&line.0))),
                    Geometry::MultiPoint(points) => {
                        let coords: Vec<_> = points.0.iter().map(|point| point.0).collect();
                        Ok(Some(encode(&coords)))
                    }
                    other => only("to_encoded_polyline", "LINE_STRING or MULTI_POINT", &other),
                })
            },
        ),
        Nested::new(
            "from_encoded_polyline",
            "from_encoded_polyline(varchar)",
            |given| typed(given, &[Kind::Text], geometry_type()),
            |call| {
                let texts = call.text(0);
                to_shapes(call, |row| {
                    let text = texts.value(row);
                    match decode(text).filter(|coords| coords.len() != 1) {
                        Some(coords) => Ok(Some(LineString(coords).into())),
                        None => exec_err!("Input is not a valid encoded polyline: {text}"),
                    }
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

const STEPS: f64 = 1e5;

fn encode(coords: &[Coord]) -> String {
    let mut out = String::new();
    let mut before = [0_i64; 2];
    for coord in coords {
        let steps = [coord.y, coord.x].map(|degrees| (degrees * STEPS).round() as i64);
        for (step, before) in steps.into_iter().zip(before) {
            let change = step.wrapping_sub(before);
            put((change << 1 ^ change >> 63) as u64, &mut out);
        }
        before = steps;
    }
    out
}

/// Five bits a letter, the lowest first.
fn put(mut bits: u64, out: &mut String) {
    loop {
        let more = u8::from(bits > 31) << 5;
        out.push(char::from((bits as u8 & 31 | more) + 63));
        bits >>= 5;
        if bits == 0 {
            return;
        }
    }
}

fn decode(text: &str) -> Option<Vec<Coord>> {
    let mut letters = text.bytes().peekable();
    let mut coords = Vec::new();
    let mut place = [0_i64; 2];
    while letters.peek().is_some() {
        for axis in &mut place {
            let (mut bits, mut shift) = (0_u64, 0);
            loop {
                let part = letters.next()?.checked_sub(63).filter(|part| *part < 64)?;
                if shift > 55 {
                    return None;
                }
                bits |= u64::from(part & 31) << shift;
                shift += 5;
                if part < 32 {
                    break;
                }
            }
            *axis = axis.checked_add((bits >> 1) as i64 ^ -((bits & 1) as i64))?;
        }
        let [y, x] = place.map(|steps| steps as f64 / STEPS);
        coords.push(checked(x, y).ok()?);
    }
    Some(coords)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_published_example_is_read() {
        let coords = decode("_p~iF~ps|U_ulLnnqC_mqNvxq`@").unwrap();
        let found: Vec<_> = coords.iter().map(|coord| (coord.x, coord.y)).collect();
        assert_eq!(found, [(-120.2, 38.5), (-120.95, 40.7), (-126.453, 43.252)]);
        assert_eq!(encode(&coords), "_p~iF~ps|U_ulLnnqC_mqNvxq`@");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~é]{0,40}") {
            let _ = decode(&text);
        }

        #[test]
        fn lines_lead_back(steps in prop::collection::vec((-18_000_000_i32..18_000_000, -9_000_000_i32..9_000_000), 0..20)) {
            let coords: Vec<_> = steps
                .iter()
                .map(|(x, y)| Coord { x: f64::from(*x) / STEPS, y: f64::from(*y) / STEPS })
                .collect();
            prop_assert_eq!(decode(&encode(&coords)).unwrap(), coords);
        }
    }
}
