//! What geometries are made of.

use std::sync::Arc;

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType},
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{CoordsIter, Geometry, LineString, MultiLineString, MultiPoint, Point, Polygon};

use super::{
    Kind, Shapes, geometry_type, is_empty, only, simplify, text::turned, to_lists, to_shapes, typed,
};
use crate::functions::{
    nested::{Nested, Typed},
    scalar::Call,
    unify::list_of,
};

/// A function of one geometry to another one.
macro_rules! to_shape {
    ($name:literal, $each:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry)"),
            |given| one(given, geometry_type()),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_shapes(call, |row| $each(shapes.get(row)?))
            },
        )
    };
}

/// A function of one geometry to several.
macro_rules! to_many {
    ($name:literal, $each:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry)"),
            |given| one(given, list_of(geometry_type())),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_lists(call, |row| $each(shapes.get(row)?))
            },
        )
    };
}

/// A function of one geometry and a place in it.
macro_rules! nth {
    ($name:literal, $each:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry, bigint)"),
            |given| typed(given, &[Kind::Geometry, Kind::Integer], geometry_type()),
            |call| nth(call, $each),
        )
    };
}

fn one(given: &[DataType], returns: DataType) -> Result<Option<Typed>> {
    typed(given, &[Kind::Geometry], returns)
}

/// A function of one geometry to a number.
fn counted(
    name: &'static str,
    usage: &'static str,
    count: fn(&Call) -> Result<ArrayRef>,
) -> Nested {
    Nested::new(name, usage, |given| one(given, DataType::Int64), count)
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [facts(), parts()].concat()
}

/// What a geometry is, and its ends and rings.
fn facts() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "st_geometrytype",
            "st_geometrytype(geometry)",
            |given| one(given, DataType::Utf8),
            |call| {
                let shapes = Shapes::new(call, 0);
                call.to_texts(|row| Ok(Some(type_of(&shapes.get(row)?))))
            },
        ),
        counted("st_numgeometries", "st_numgeometries(geometry)", |call| {
            let shapes = Shapes::new(call, 0);
            call.to_integers(|row| Ok(Some(geometries(shapes.get(row)?).len() as i64)))
        }),
        counted(
            "st_numinteriorring",
            "st_numinteriorring(geometry)",
            |call| {
                let shapes = Shapes::new(call, 0);
                call.to_integers(|row| {
                    let polygon = polygon("ST_NumInteriorRing", shapes.get(row)?)?;
                    Ok(polygon.map(|polygon| polygon.interiors().len() as i64))
                })
            },
        ),
        to_shape!("st_startpoint", |shape| end_of(
            "ST_StartPoint",
            shape,
            |line| line.0.first()
        )),
        to_shape!("st_endpoint", |shape| end_of(
            "ST_EndPoint",
            shape,
            |line| line.0.last()
        )),
        to_shape!("st_exteriorring", |shape| {
            let polygon = polygon("ST_ExteriorRing", shape)?;
            Ok(polygon.map(|polygon| polygon.exterior().clone().into()))
        }),
        to_shape!("st_boundary", boundary),
    ]
    .map(Nested::build)
    .into()
}

/// Parts of a geometry.
fn parts() -> Vec<Arc<ScalarUDF>> {
    [
        to_many!("st_points", |shape: Geometry| {
            let points = (!is_empty(&shape)).then(|| corners(shape));
            Ok(points.map(|points| points.into_iter().map(Into::into).collect()))
        }),
        to_many!("st_geometries", |shape: Geometry| {
            Ok(if is_empty(&shape) {
                None
            } else {
                Some(geometries(shape))
            })
        }),
        to_many!("st_interiorrings", |shape| {
            let polygon = polygon("ST_InteriorRings", shape)?;
            Ok(polygon.map(|polygon| {
                polygon
                    .interiors()
                    .iter()
                    .cloned()
                    .map(Into::into)
                    .collect()
            }))
        }),
        nth!("st_pointn", |shape, place| match shape {
            Geometry::LineString(line) => Ok(line.0.get(place).map(|coord| Point(*coord).into())),
            other => only("ST_PointN", "LINE_STRING", &other),
        }),
        nth!("st_geometryn", |shape, place| Ok(geometries(shape)
            .into_iter()
            .nth(place))),
        nth!("st_interiorringn", |shape, place| {
            let polygon = polygon("ST_InteriorRingN", shape)?;
            let ring = polygon.and_then(|polygon| polygon.interiors().get(place).cloned());
            Ok(ring.map(Into::into))
        }),
        Nested::new(
            "simplify_geometry",
            "simplify_geometry(geometry, double)",
            |given| typed(given, &[Kind::Geometry, Kind::Double], geometry_type()),
            |call| {
                let (shapes, tolerances) = (Shapes::new(call, 0), call.doubles(1));
                to_shapes(call, |row| {
                    simplify::simplified(shapes.get(row)?, tolerances.value(row)).map(Some)
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

fn type_of(shape: &Geometry) -> &'static str {
    match super::kind_of(shape) {
        "POINT" => "ST_Point",
        "LINE_STRING" => "ST_LineString",
        "MULTI_POINT" => "ST_MultiPoint",
        "MULTI_LINE_STRING" => "ST_MultiLineString",
        "MULTI_POLYGON" => "ST_MultiPolygon",
        "GEOMETRY_COLLECTION" => "ST_GeomCollection",
        _ => "ST_Polygon",
    }
}

/// All points; outer rings go with the clock, and holes against it.
fn corners(shape: Geometry) -> Vec<Point> {
    let of_polygon = |polygon: Polygon| {
        let (outer, holes) = polygon.into_inner();
        let outer = std::iter::once(turned(&outer, false));
        let rings = outer.chain(holes.into_iter().map(|ring| turned(&ring, true)));
        rings.flat_map(|ring| ring.0).map(Point).collect::<Vec<_>>()
    };
    match shape {
        Geometry::Polygon(polygon) => of_polygon(polygon),
        Geometry::MultiPolygon(polygons) => polygons.0.into_iter().flat_map(of_polygon).collect(),
        Geometry::GeometryCollection(all) => all
            .0
            .into_iter()
            .filter(|part| !is_empty(part))
            .flat_map(corners)
            .collect(),
        other => other.coords_iter().map(Point).collect(),
    }
}

/// The parts of a collection; a single geometry is its own part, an empty one has none.
pub(super) fn geometries(shape: Geometry) -> Vec<Geometry> {
    match shape {
        shape if is_empty(&shape) => vec![],
        Geometry::MultiPoint(points) => points.0.into_iter().map(Into::into).collect(),
        Geometry::MultiLineString(lines) => lines.0.into_iter().map(Into::into).collect(),
        Geometry::MultiPolygon(polygons) => polygons.0.into_iter().map(Into::into).collect(),
        Geometry::GeometryCollection(all) => all.0,
        other => vec![other],
    }
}

/// The polygon; `None` for an empty one.
fn polygon(function: &str, shape: Geometry) -> Result<Option<Polygon>> {
    match shape {
        Geometry::Polygon(polygon) => Ok(Some(polygon).filter(|p| !p.exterior().0.is_empty())),
        other => only(function, "POLYGON", &other),
    }
}

fn end_of(
    function: &str,
    shape: Geometry,
    end: fn(&LineString) -> Option<&geo::Coord>,
) -> Result<Option<Geometry>> {
    match shape {
        Geometry::LineString(line) => Ok(end(&line).map(|coord| Point(*coord).into())),
        other => only(function, "LINE_STRING", &other),
    }
}

fn boundary(shape: Geometry) -> Result<Option<Geometry>> {
    let rings = |polygon: &Polygon| {
        let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
        rings
            .filter(|ring| !ring.0.is_empty())
            .cloned()
            .collect::<Vec<_>>()
    };
    let ends = |lines: &[LineString]| {
        let open = lines.iter().filter(|line| !line.is_closed());
        let coords = open
            .flat_map(|line| [line.0.first(), line.0.last()])
            .flatten();
        MultiPoint(coords.map(|coord| Point(*coord)).collect())
    };
    Ok(Some(match shape {
        Geometry::Point(_) | Geometry::MultiPoint(_) => MultiPoint(vec![]).into(),
        Geometry::LineString(line) => ends(&[line]).into(),
        Geometry::MultiLineString(lines) => ends(&lines.0).into(),
        Geometry::Polygon(polygon) => MultiLineString(rings(&polygon)).into(),
        Geometry::MultiPolygon(all) => MultiLineString(all.iter().flat_map(rings).collect()).into(),
        other => return only("ST_Boundary", "POINT, LINE_STRING or POLYGON", &other),
    }))
}

/// A part of each geometry, by a place that counts from 1; null where there is none.
fn nth(
    call: &Call,
    each: impl Fn(Geometry, usize) -> Result<Option<Geometry>>,
) -> Result<ArrayRef> {
    let (shapes, places) = (Shapes::new(call, 0), call.integers(1));
    to_shapes(call, |row| {
        // The kind is checked, whatever the place.
        let place = places
            .value(row)
            .checked_sub(1)
            .and_then(|place| usize::try_from(place).ok());
        each(shapes.get(row)?, place.unwrap_or(usize::MAX))
    })
}
