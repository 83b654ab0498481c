//! How geometries lie to each other, and what becomes of two of them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef},
        datatypes::DataType,
    },
    common::{exec_datafusion_err, exec_err},
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{
    BooleanOps, Buffer, ConvexHull, CoordsIter, Geometry, GeometryCollection, Intersects,
    MultiLineString, MultiPoint, MultiPolygon, Point, Relate, Validation,
    relate::IntersectionMatrix,
};

use super::{
    Kind, Shapes, geometry_type, is_empty, kind_of, listed, parts::geometries, solid, text,
    to_shapes, typed,
};
use crate::functions::{nested::Nested, opaque, scalar::Call};

/// A relation of two geometries.
macro_rules! relation {
    ($name:literal, $holds:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry, geometry)"),
            |given| typed(given, &[Kind::Geometry, Kind::Geometry], DataType::Boolean),
            |call| {
                let (a, b) = (Shapes::new(call, 0), Shapes::new(call, 1));
                call.to_booleans(|row| Ok(Some($holds(&matrix(a.get(row)?, b.get(row)?)?))))
            },
        )
    };
}

/// What becomes of two geometries.
macro_rules! operation {
    ($name:literal, $operation:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry, geometry)"),
            |given| typed(given, &[Kind::Geometry, Kind::Geometry], geometry_type()),
            |call| {
                let (a, b) = (Shapes::new(call, 0), Shapes::new(call, 1));
                to_shapes(call, |row| {
                    combined(a.get(row)?, b.get(row)?, $operation).map(Some)
                })
            },
        )
    };
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [relations(), operations()].concat()
}

/// How two geometries lie to each other.
fn relations() -> Vec<Arc<ScalarUDF>> {
    [
        relation!("st_contains", IntersectionMatrix::is_contains),
        relation!("st_crosses", IntersectionMatrix::is_crosses),
        relation!("st_disjoint", IntersectionMatrix::is_disjoint),
        relation!("st_equals", IntersectionMatrix::is_equal_topo),
        relation!("st_intersects", IntersectionMatrix::is_intersects),
        relation!("st_overlaps", IntersectionMatrix::is_overlaps),
        relation!("st_touches", IntersectionMatrix::is_touches),
        relation!("st_within", IntersectionMatrix::is_within),
        Nested::new(
            "st_relate",
            "st_relate(geometry, geometry, varchar)",
            |given| {
                let kinds = [Kind::Geometry, Kind::Geometry, Kind::Text];
                typed(given, &kinds, DataType::Boolean)
            },
            |call| {
                let (a, b) = (Shapes::new(call, 0), Shapes::new(call, 1));
                let patterns = call.text(2);
                call.to_booleans(|row| {
                    let pattern = patterns.value(row);
                    matrix(a.get(row)?, b.get(row)?)?
                        .matches(pattern)
                        .map(Some)
                        .map_err(|_| exec_datafusion_err!("Invalid relation pattern: {pattern}"))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

/// What becomes of geometries.
fn operations() -> Vec<Arc<ScalarUDF>> {
    [
        operation!("st_union", Operation::Union),
        operation!("st_intersection", Operation::Intersection),
        operation!("st_difference", Operation::Difference),
        operation!("st_symdifference", Operation::SymmetricDifference),
        Nested::new(
            "geometry_union",
            "geometry_union(array(geometry))",
            |given| typed(given, &[Kind::Geometries], geometry_type()),
            |call| to_shapes(call, |row| united(listed(call, 0, row)?)),
        ),
        Nested::new(
            "st_convexhull",
            "st_convexhull(geometry)",
            |given| typed(given, &[Kind::Geometry], geometry_type()),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_shapes(call, |row| Ok(Some(hull(shapes.get(row)?))))
            },
        ),
        Nested::new(
            "st_buffer",
            "st_buffer(geometry, double)",
            |given| typed(given, &[Kind::Geometry, Kind::Double], geometry_type()),
            buffer,
        ),
    ]
    .map(Nested::build)
    .into()
}

fn matrix(a: Geometry, b: Geometry) -> Result<IntersectionMatrix> {
    Ok(solid(a).relate(&solid(b)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
    SymmetricDifference,
}

/// All polygons of a geometry; `None` where it has other parts.
fn polygons(shape: &Geometry) -> Option<MultiPolygon> {
    let parts = geometries(shape.clone())
        .into_iter()
        .map(|part| match part {
            Geometry::Polygon(polygon) => Some(vec![polygon]),
            nested @ (Geometry::MultiPolygon(_) | Geometry::GeometryCollection(_)) => {
                polygons(&nested).map(|polygons| polygons.0)
            }
            _ => None,
        });
    let all = parts.collect::<Option<Vec<_>>>()?;
    Some(MultiPolygon(all.concat()))
}

fn lines(shape: &Geometry) -> Option<MultiLineString> {
    let parts = geometries(shape.clone())
        .into_iter()
        .map(|part| match part {
            Geometry::LineString(line) => Some(line),
            _ => None,
        });
    parts.collect::<Option<Vec<_>>>().map(MultiLineString)
}

fn points(shape: &Geometry) -> Option<Vec<Point>> {
    let parts = geometries(shape.clone())
        .into_iter()
        .map(|part| match part {
            Geometry::Point(point) => Some(point),
            _ => None,
        });
    parts.collect()
}

/// A geometry of as few wrappings as may be.
fn unwrapped(polygons: MultiPolygon) -> Geometry {
    match <[geo::Polygon; 1]>::try_from(polygons.0) {
        Ok([only]) => only.into(),
        Err(many) => MultiPolygon(many).into(),
    }
}

fn of_points(points: Vec<Point>) -> Geometry {
    match points.as_slice() {
        [] => text::empty_point(),
        [only] => (*only).into(),
        _ => MultiPoint(points).into(),
    }
}

fn of_lines(lines: MultiLineString) -> Geometry {
    match <[geo::LineString; 1]>::try_from(lines.0) {
        Ok([only]) => only.into(),
        Err(many) => MultiLineString(many).into(),
    }
}

fn combined(a: Geometry, b: Geometry, operation: Operation) -> Result<Geometry> {
    use Operation::{Difference, Intersection, SymmetricDifference, Union};
    if is_empty(&a) || is_empty(&b) {
        return Ok(match operation {
            Intersection if is_empty(&a) => a,
            Intersection => b,
            Difference => a,
            _ if is_empty(&a) => b,
            _ => a,
        });
    }
    check(&a)?;
    check(&b)?;
    if let (Some(p), Some(q)) = (polygons(&a), polygons(&b)) {
        return Ok(unwrapped(match operation {
            Union => p.union(&q),
            Intersection => p.intersection(&q),
            Difference => p.difference(&q),
            SymmetricDifference => p.xor(&q),
        }));
    }
    let keep = |points: Vec<Point>, other: &Geometry, inside: bool| {
        points
            .into_iter()
            .filter(move |point| other.intersects(point) == inside)
            .collect::<Vec<_>>()
    };
    match (points(&a), points(&b), operation) {
        (Some(p), _, Intersection) => return Ok(of_points(keep(p, &b, true))),
        (_, Some(q), Intersection) => return Ok(of_points(keep(q, &a, true))),
        (Some(p), _, Difference) => return Ok(of_points(keep(p, &b, false))),
        (None, Some(_), Difference) => return Ok(a),
        (Some(p), Some(q), Union) => {
            let mut all = p;
            let new = keep(q, &of_points(all.clone()), false);
            all.extend(new);
            return Ok(of_points(all));
        }
        (Some(p), Some(q), SymmetricDifference) => {
            let mut all = keep(p, &b, false);
            all.extend(keep(q, &a, false));
            return Ok(of_points(all));
        }
        (Some(p), None, Union | SymmetricDifference) => {
            return Ok(together(keep(p, &b, false), b));
        }
        (None, Some(q), Union | SymmetricDifference) => {
            return Ok(together(keep(q, &a, false), a));
        }
        (None, None, _) => {}
    }
    match (lines(&a), polygons(&b), polygons(&a), lines(&b), operation) {
        (Some(line), Some(polygon), _, _, Intersection)
        | (_, _, Some(polygon), Some(line), Intersection) => {
            Ok(of_lines(polygon.clip(&line, false)))
        }
        (Some(line), Some(polygon), _, _, Difference) => Ok(of_lines(polygon.clip(&line, true))),
        (_, _, Some(_), Some(_), Difference) => Ok(a),
        (Some(line), Some(polygon), _, _, _) | (_, _, Some(polygon), Some(line), _) => {
            let outside = of_lines(polygon.clip(&line, true));
            let all = [outside, unwrapped(polygon)]
                .into_iter()
                .filter(|part| !is_empty(part));
            Ok(Geometry::GeometryCollection(GeometryCollection(
                all.collect(),
            )))
        }
        _ => exec_err!(
            "{} and {} cannot be combined here; polygons, points, and lines with polygons can",
            kind_of(&a),
            kind_of(&b)
        ),
    }
}

/// Some points beside what they are not part of.
fn together(points: Vec<Point>, other: Geometry) -> Geometry {
    if points.is_empty() {
        return other;
    }
    Geometry::GeometryCollection(GeometryCollection(vec![of_points(points), other]))
}

fn check(shape: &Geometry) -> Result<()> {
    match shape.check_validation() {
        Ok(()) => Ok(()),
        Err(wrong) => exec_err!("the geometry is not valid: {wrong}"),
    }
}

/// The union of all; `None` of none.
fn united(shapes: Vec<Geometry>) -> Result<Option<Geometry>> {
    let mut shapes = shapes.into_iter();
    let Some(first) = shapes.next() else {
        return Ok(None);
    };
    shapes
        .try_fold(first, |whole, shape| {
            combined(whole, shape, Operation::Union)
        })
        .map(Some)
}

fn hull(shape: Geometry) -> Geometry {
    if is_empty(&shape) {
        return shape;
    }
    let shape = solid(shape);
    let mut corners = shape.convex_hull().exterior().0.clone();
    corners.dedup();
    match corners.as_slice() {
        [] => text::empty_point(),
        [only] => Point(*only).into(),
        // There and back is no polygon.
        [a, b, c] if a == c => geo::LineString(vec![*a, *b]).into(),
        [ring @ .., _] => {
            // It begins where the geometry does, as far as that is a corner.
            let first = shape
                .coords_iter()
                .find_map(|at| ring.iter().position(|c| *c == at));
            let mut ring = ring.to_vec();
            ring.rotate_left(first.unwrap_or(0));
            geo::Polygon::new(geo::LineString(ring), vec![]).into()
        }
    }
}

fn buffer(call: &Call) -> Result<ArrayRef> {
    let (shapes, distances) = (Shapes::new(call, 0), call.doubles(1));
    to_shapes(call, |row| {
        let (shape, distance) = (shapes.get(row)?, distances.value(row));
        if distance.is_nan() {
            return exec_err!("distance is NaN");
        }
        if distance < 0.0 {
            return exec_err!("distance is negative");
        }
        if is_empty(&shape) {
            return Ok(None);
        }
        if distance == 0.0 {
            return Ok(Some(shape));
        }
        check(&shape)?;
        // Curves of larger ratios have more corners than memory holds.
        if distance > 1e12 {
            return exec_err!("distance {distance} is too large");
        }
        Ok(Some(unwrapped(solid(shape).buffer(distance))))
    })
}

/// The union of a column of geometries, one row of it; none of none.
pub(in crate::functions) fn union_of(column: &ArrayRef) -> Result<ArrayRef> {
    of_column(column, united)
}

/// The hull of a column of geometries.
pub(in crate::functions) fn hull_of(column: &ArrayRef) -> Result<ArrayRef> {
    of_column(column, |all| {
        let all = Geometry::GeometryCollection(GeometryCollection(all));
        Ok((!is_empty(&all)).then(|| hull(all)))
    })
}

fn of_column(
    column: &ArrayRef,
    whole: impl FnOnce(Vec<Geometry>) -> Result<Option<Geometry>>,
) -> Result<ArrayRef> {
    let shapes = Shapes::of(column);
    let valid = (0..column.len()).filter(|row| column.is_valid(*row));
    let all = valid
        .map(|row| shapes.get(row))
        .collect::<Result<Vec<_>>>()?;
    let text = whole(all)?.map(|geometry| text::write(&geometry));
    let texts = datafusion::arrow::array::StringArray::from_iter_values(text);
    opaque::wrap(Arc::new(texts), &geometry_type())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(wkt: &str) -> Geometry {
        text::read(wkt).unwrap()
    }

    fn combine(a: &str, b: &str, operation: Operation) -> String {
        text::write(&combined(read(a), read(b), operation).unwrap())
    }

    #[test]
    fn kinds_are_combined() {
        let square = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))";
        let line = "LINESTRING (-2 2, 6 2)";
        assert_eq!(
            combine("POINT (1 1)", square, Operation::Intersection),
            "POINT (1 1)"
        );
        assert_eq!(
            combine("POINT (9 1)", square, Operation::Intersection),
            "POINT EMPTY"
        );
        assert_eq!(
            combine(line, square, Operation::Intersection),
            "LINESTRING (0 2, 4 2)"
        );
        assert_eq!(
            combine(
                "POINT (1 1)",
                "MULTIPOINT ((1 1), (2 2))",
                Operation::SymmetricDifference
            ),
            "POINT (2 2)"
        );
        assert_eq!(combine("POINT EMPTY", square, Operation::Union), square);
        assert!(combined(read(line), read(line), Operation::Union).is_err());
        let bow = read("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))");
        assert!(combined(bow, read(square), Operation::Union).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_ends_the_program(
            a in prop::collection::vec((-9_i32..9, -9_i32..9), 1..7),
            b in prop::collection::vec((-9_i32..9, -9_i32..9), 3..7),
        ) {
            let texts = |points: &[(i32, i32)]| {
                let all: Vec<_> = points.iter().map(|(x, y)| format!("{x} {y}")).collect();
                all.join(", ")
            };
            let shapes = [
                format!("MULTIPOINT ({})", texts(&a)),
                format!("LINESTRING ({})", texts(&b)),
                format!("POLYGON (({}))", texts(&b)),
                "POINT EMPTY".to_owned(),
            ];
            for (first, second) in shapes.iter().flat_map(|a| shapes.iter().map(move |b| (a, b))) {
                let (first, second) = (read(first), read(second));
                let _ = matrix(first.clone(), second.clone());
                let _ = hull(first.clone());
                for operation in [
                    Operation::Union,
                    Operation::Intersection,
                    Operation::Difference,
                    Operation::SymmetricDifference,
                ] {
                    let _ = combined(first.clone(), second.clone(), operation);
                }
            }
        }
    }
}
