//! Geometries from and to texts, bytes, numbers and each other.

use std::sync::Arc;

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType},
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{Coord, Geometry, LineString, MultiPoint, Point};

use super::{
    Kind, Shapes, binary, class_of, geometry_type, hadoop, listed, only, text, to_shapes, typed,
};
use crate::functions::{nested::Nested, opaque, scalar::Call};

const TEXT: &[Kind] = &[Kind::Text];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [from_texts(), from_others()].concat()
}

/// From numbers and texts.
fn from_texts() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "st_point",
            "st_point(x, y)",
            |given| typed(given, &[Kind::Double, Kind::Double], geometry_type()),
            |call| {
                let (x, y) = (call.doubles(0), call.doubles(1));
                to_shapes(call, |row| {
                    Ok(Some(
                        Point(text::checked(x.value(row), y.value(row))?).into(),
                    ))
                })
            },
        ),
        Nested::new(
            "st_geometryfromtext",
            "st_geometryfromtext(varchar)",
            |given| typed(given, TEXT, geometry_type()),
            |call| from_text(call, "ST_GeometryFromText", |_| true, ""),
        ),
        Nested::new(
            "st_linefromtext",
            "st_linefromtext(varchar)",
            |given| typed(given, TEXT, geometry_type()),
            |call| {
                let is_line = |shape: &Geometry| matches!(shape, Geometry::LineString(_));
                from_text(call, "ST_LineFromText", is_line, "LINE_STRING")
            },
        ),
        Nested::new(
            "st_polygon",
            "st_polygon(varchar)",
            |given| typed(given, TEXT, geometry_type()),
            |call| {
                let is_polygon = |shape: &Geometry| matches!(shape, Geometry::Polygon(_));
                from_text(call, "ST_Polygon", is_polygon, "POLYGON")
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

/// From other geometries and from bytes, and back.
fn from_others() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "st_linestring",
            "st_linestring(array(geometry))",
            |given| typed(given, &[Kind::Geometries], geometry_type()),
            |call| {
                to_shapes(call, |row| {
                    let coords = coords("ST_LineString", "null point", listed(call, 0, row)?)?;
                    if let Some(at) = coords.windows(2).position(|pair| pair[0] == pair[1]) {
                        return exec_err!(
                            "Invalid input to ST_LineString: consecutive duplicate points at index {}",
                            at + 2
                        );
                    }
                    // One point makes no line.
                    let coords = if coords.len() < 2 { vec![] } else { coords };
                    Ok(Some(LineString(coords).into()))
                })
            },
        ),
        Nested::new(
            "st_multipoint",
            "st_multipoint(array(geometry))",
            |given| typed(given, &[Kind::Geometries], geometry_type()),
            |call| {
                to_shapes(call, |row| {
                    let coords = coords("ST_MultiPoint", "null", listed(call, 0, row)?)?;
                    let points = MultiPoint(coords.into_iter().map(Point).collect());
                    Ok((!points.0.is_empty()).then(|| points.into()))
                })
            },
        ),
        Nested::new(
            "st_geomfrombinary",
            "st_geomfrombinary(varbinary)",
            |given| typed(given, &[Kind::Bytes], geometry_type()),
            |call| {
                let bytes = call.bytes(0);
                to_shapes(call, |row| binary::read(bytes.value(row)).map(Some))
            },
        ),
        Nested::new(
            "geometry_from_hadoop_shape",
            "geometry_from_hadoop_shape(varbinary)",
            |given| typed(given, &[Kind::Bytes], geometry_type()),
            |call| {
                let bytes = call.bytes(0);
                to_shapes(call, |row| hadoop::read(bytes.value(row)).map(Some))
            },
        ),
        Nested::new(
            "st_asbinary",
            "st_asbinary(geometry)",
            |given| typed(given, &[Kind::Geometry], DataType::Binary),
            |call| {
                let shapes = Shapes::new(call, 0);
                call.to_bytes(|row| Ok(Some(binary::write(&shapes.get(row)?))))
            },
        ),
        Nested::new(
            "st_astext",
            "st_astext(geometry)",
            |given| typed(given, &[Kind::Geometry], DataType::Utf8),
            |call| Ok(opaque::held(&call.args[0])),
        ),
    ]
    .map(Nested::build)
    .into()
}

fn from_text(
    call: &Call,
    function: &str,
    is_right: fn(&Geometry) -> bool,
    kind: &str,
) -> Result<ArrayRef> {
    let texts = call.text(0);
    to_shapes(call, |row| {
        let shape = text::read(texts.value(row))?;
        match is_right(&shape) {
            true => Ok(Some(shape)),
            false => only(function, kind, &shape),
        }
    })
}

/// The coordinates of points; `null` is what a null among them is called.
fn coords(function: &str, null: &str, points: Vec<Option<Geometry>>) -> Result<Vec<Coord>> {
    let each = points.into_iter().enumerate().map(|(index, point)| {
        let wrong = match point {
            Some(Geometry::Point(point)) if !point.x().is_nan() => return Ok(point.0),
            Some(Geometry::Point(_)) => "empty point".into(),
            None => null.into(),
            Some(other) => format!("geometry is not a point: {}", class_of(&other)),
        };
        exec_err!(
            "Invalid input to {function}: {wrong} at index {}",
            index + 1
        )
    });
    each.collect()
}
