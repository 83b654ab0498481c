//! The points of two geometries that are nearest to each other.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, StringArray, StructArray},
        datatypes::{DataType, Field, Fields},
    },
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{
    Coord, CoordsIter, Geometry, Intersects, Line, LinesIter, Point,
    line_intersection::{LineIntersection, line_intersection},
};

use super::{Kind, Shapes, geometry_type, is_empty, solid, text, typed};
use crate::functions::{nested::Nested, opaque, scalar::Call};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Nested::new(
            "geometry_nearest_points",
            "geometry_nearest_points(geometry, geometry)",
            |given| {
                let returns = DataType::Struct(pair());
                typed(given, &[Kind::Geometry, Kind::Geometry], returns)
            },
            nearest_points,
        )
        .build(),
    ]
}

/// Two geometries without names.
fn pair() -> Fields {
    ["c0", "c1"]
        .map(|name| Field::new(name, geometry_type(), true))
        .into_iter()
        .collect()
}

fn nearest_points(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (Shapes::new(call, 0), Shapes::new(call, 1));
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let found = match call.all_valid(row) {
            true => nearest(left.get(row)?, right.get(row)?),
            false => None,
        };
        let written = |coord: Coord| text::write(&Point(coord).into());
        firsts.push(found.map(|(first, _)| written(first)));
        seconds.push(found.map(|(_, second)| written(second)));
    }
    let column = |texts: Vec<Option<String>>| {
        opaque::wrap(Arc::new(StringArray::from(texts)), &geometry_type())
    };
    let columns = vec![column(firsts)?, column(seconds)?];
    let nulls = columns[0].nulls().cloned();
    Ok(Arc::new(StructArray::try_new(pair(), columns, nulls)?))
}

/// One point of each; `None` where one is empty.
fn nearest(left: Geometry, right: Geometry) -> Option<(Coord, Coord)> {
    if is_empty(&left) || is_empty(&right) {
        return None;
    }
    let (left, right) = (solid(left), solid(right));
    // A point of one that lies in an area of the other.
    let within = |inner: &Geometry, outer: &Geometry| {
        let mut coords = inner.coords_iter();
        coords.find(|coord| outer.intersects(&Point(*coord)))
    };
    if let Some(shared) = within(&right, &left).or_else(|| within(&left, &right)) {
        return Some((shared, shared));
    }
    let (near, far) = (segments(&left), segments(&right));
    let mut best: Option<(f64, (Coord, Coord))> = None;
    for a in &near {
        for b in &far {
            let found = between(*a, *b);
            let distance = apart(found.0, found.1);
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, found));
            }
        }
    }
    best.map(|(_, found)| found)
}

/// Its segments; a point is one without length.
fn segments(shape: &Geometry) -> Vec<Line> {
    match shape {
        Geometry::Point(point) => vec![Line::new(point.0, point.0)],
        Geometry::MultiPoint(points) => points.iter().map(|p| Line::new(p.0, p.0)).collect(),
        Geometry::LineString(line) => line.lines().collect(),
        Geometry::MultiLineString(lines) => lines.lines_iter().collect(),
        Geometry::Polygon(polygon) => polygon.lines_iter().collect(),
        Geometry::MultiPolygon(polygons) => polygons.lines_iter().collect(),
        Geometry::GeometryCollection(all) => all.iter().flat_map(segments).collect(),
        Geometry::Line(line) => vec![*line],
        Geometry::Rect(rect) => rect.to_polygon().lines_iter().collect(),
        Geometry::Triangle(triangle) => triangle.to_polygon().lines_iter().collect(),
    }
}

/// The square of the distance.
fn apart(a: Coord, b: Coord) -> f64 {
    let step = a - b;
    step.x * step.x + step.y * step.y
}

/// The nearest points of two segments.
fn between(a: Line, b: Line) -> (Coord, Coord) {
    match line_intersection(a, b) {
        Some(LineIntersection::SinglePoint { intersection, .. }) => (intersection, intersection),
        Some(LineIntersection::Collinear { intersection }) => {
            (intersection.start, intersection.start)
        }
        None => {
            let ends = [
                (a.start, foot(a.start, b)),
                (a.end, foot(a.end, b)),
                (foot(b.start, a), b.start),
                (foot(b.end, a), b.end),
            ];
            let nearer = |x: &(Coord, Coord), y: &(Coord, Coord)| {
                apart(x.0, x.1).total_cmp(&apart(y.0, y.1))
            };
            ends.into_iter()
                .min_by(nearer)
                .unwrap_or((a.start, b.start))
        }
    }
}

/// The point of a segment that is nearest to this one.
fn foot(of: Coord, on: Line) -> Coord {
    let step = on.end - on.start;
    let length = step.x * step.x + step.y * step.y;
    if length == 0.0 {
        return on.start;
    }
    let from = of - on.start;
    let part = (from.x * step.x + from.y * step.y) / length;
    match part {
        part if part <= 0.0 => on.start,
        part if part >= 1.0 => on.end,
        part => on.start + step * part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_points_of_kinds() {
        let square = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))";
        for (left, right, found) in [
            ("POINT (1 2)", "POINT (5 5)", Some([1.0, 2.0, 5.0, 5.0])),
            ("POINT (6 2)", square, Some([6.0, 2.0, 4.0, 2.0])),
            (square, "POINT (1 1)", Some([1.0; 4])),
            (
                "LINESTRING (0 0, 10 10)",
                "LINESTRING (0 10, 10 0)",
                Some([5.0; 4]),
            ),
            (
                "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (0 6, 6 0))",
                "MULTIPOINT ((9 9), (4 4))",
                Some([3.0, 3.0, 4.0, 4.0]),
            ),
            (square, "POINT EMPTY", None),
        ] {
            let read = |wkt| text::read(wkt).unwrap();
            let points = nearest(read(left), read(right));
            let numbers = points.map(|(a, b)| [a.x, a.y, b.x, b.y]);
            assert_eq!(numbers, found, "{left} {right}");
        }
    }
}
