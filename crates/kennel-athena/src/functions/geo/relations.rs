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
    Buffer, ConvexHull, CoordsIter, Geometry, GeometryCollection, MultiPolygon, Point, Relate,
    Validation,
    buffer::{BufferStyle, LineCap, LineJoin},
    relate::IntersectionMatrix,
};

use super::{
    Kind, Shapes, geometry_type, is_empty, listed,
    overlay::{self, Operation},
    solid, text, to_shapes, typed,
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
            |call| {
                to_shapes(call, |row| {
                    united(listed(call, 0, row)?.into_iter().flatten().collect())
                })
            },
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

/// A geometry of as few wrappings as may be.
fn unwrapped(polygons: MultiPolygon) -> Geometry {
    match <[geo::Polygon; 1]>::try_from(polygons.0) {
        Ok([only]) => only.into(),
        Err(many) => MultiPolygon(many).into(),
    }
}

/// What becomes of two geometries that are valid.
fn combined(a: Geometry, b: Geometry, operation: Operation) -> Result<Geometry> {
    check(&a)?;
    check(&b)?;
    Ok(overlay::combined(a, b, operation))
}

/// Each polygon must be valid; several may overlap.
fn check(shape: &Geometry) -> Result<()> {
    let valid = match shape {
        shape if is_empty(shape) => return Ok(()),
        Geometry::Polygon(polygon) => polygon.check_validation(),
        Geometry::MultiPolygon(polygons) => {
            polygons.0.iter().try_for_each(Validation::check_validation)
        }
        Geometry::GeometryCollection(all) => return all.0.iter().try_for_each(check),
        _ => return Ok(()),
    };
    valid.or_else(|wrong| exec_err!("the geometry is not valid: {wrong}"))
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
        [a, b, c] if a == c => {
            let mut ends = vec![*a, *b];
            ends.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
            geo::LineString(ends).into()
        }
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

/// The turn at each corner of a curve: a circle has 96, as in Trino.
const CURVE: f64 = std::f64::consts::TAU / 96.0;

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
        if distance.is_infinite() {
            return Ok(Some(MultiPolygon::<f64>(vec![]).into()));
        }
        check(&shape)?;
        // Curves of larger ratios have more corners than memory holds.
        if distance > 1e12 {
            return exec_err!("distance {distance} is too large");
        }
        let style = BufferStyle::new(distance)
            .line_cap(LineCap::Round(CURVE))
            .line_join(LineJoin::Round(CURVE));
        Ok(Some(unwrapped(solid(shape).buffer_with_style(style))))
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

    #[test]
    fn what_crosses_itself_is_refused() {
        let square = read("POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))");
        let bow = read("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))");
        assert!(combined(bow, square, Operation::Union).is_err());
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
