//! What geometries measure, and what can be told of them.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef},
        datatypes::DataType,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{
    Area, BoundingRect, Centroid, CoordsIter, Distance, Euclidean, Geometry, HasDimensions,
    InterpolateLine, Length, LineLocatePoint, LineString, Point, Rect, Validation,
    dimensions::Dimensions,
    line_intersection::{LineIntersection, line_intersection},
};

use super::{
    Kind, Shapes, class_of, geometry_type, is_empty, only, solid, to_lists, to_shapes, typed,
};
use crate::functions::{
    nested::{Nested, Typed},
    scalar::Call,
    unify::list_of,
};

/// A function of one geometry to numbers or truth.
macro_rules! of_shape {
    ($name:literal, $returns:expr, $to:ident, $each:expr) => {
        Nested::new(
            $name,
            concat!($name, "(geometry)"),
            |given| one(given, $returns),
            |call| {
                let shapes = Shapes::new(call, 0);
                call.$to(|row| $each(shapes.get(row)?))
            },
        )
    };
}

fn one(given: &[DataType], returns: DataType) -> Result<Option<Typed>> {
    typed(given, &[Kind::Geometry], returns)
}

const DOUBLE: DataType = DataType::Float64;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [facts(), places(), measures(), along_lines()].concat()
}

/// What one geometry is.
fn facts() -> Vec<Arc<ScalarUDF>> {
    [
        of_shape!("st_x", DOUBLE, to_doubles, |shape| coordinate(
            "ST_X",
            &shape,
            Point::x
        )),
        of_shape!("st_y", DOUBLE, to_doubles, |shape| coordinate(
            "ST_Y",
            &shape,
            Point::y
        )),
        of_shape!("st_xmin", DOUBLE, to_doubles, |shape| Ok(
            bounds(shape).map(|b| b.min().x)
        )),
        of_shape!("st_xmax", DOUBLE, to_doubles, |shape| Ok(
            bounds(shape).map(|b| b.max().x)
        )),
        of_shape!("st_ymin", DOUBLE, to_doubles, |shape| Ok(
            bounds(shape).map(|b| b.min().y)
        )),
        of_shape!("st_ymax", DOUBLE, to_doubles, |shape| Ok(
            bounds(shape).map(|b| b.max().y)
        )),
        of_shape!("st_coorddim", DataType::Int8, to_integers, |_| Ok(Some(2))),
        of_shape!("st_dimension", DataType::Int8, to_integers, dimension),
        of_shape!("st_numpoints", DataType::Int64, to_integers, |shape| Ok(
            Some(points(&shape))
        )),
        of_shape!("st_isempty", DataType::Boolean, to_booleans, |shape| Ok(
            Some(is_empty(&shape))
        )),
        of_shape!("st_isclosed", DataType::Boolean, to_booleans, is_closed),
        of_shape!("st_isring", DataType::Boolean, to_booleans, is_ring),
        of_shape!("st_issimple", DataType::Boolean, to_booleans, |shape| {
            Ok(Some(is_simple(&solid(shape))))
        }),
        of_shape!("st_isvalid", DataType::Boolean, to_booleans, |shape| {
            Ok(Some(invalid_reason(&shape).is_none()))
        }),
        of_shape!(
            "geometry_invalid_reason",
            DataType::Utf8,
            to_texts,
            |shape| Ok(invalid_reason(&shape))
        ),
    ]
    .map(Nested::build)
    .into()
}

/// Points and frames of a geometry.
fn places() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "st_centroid",
            "st_centroid(geometry)",
            |given| one(given, geometry_type()),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_shapes(call, |row| {
                    let center = solid(shapes.get(row)?).centroid();
                    Ok(Some(
                        center.map_or_else(super::text::empty_point, Into::into),
                    ))
                })
            },
        ),
        Nested::new(
            "st_envelope",
            "st_envelope(geometry)",
            |given| one(given, geometry_type()),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_shapes(call, |row| {
                    let empty = || geo::Polygon::new(LineString(vec![]), vec![]);
                    let rect = bounds(shapes.get(row)?).map(|rect| frame(&rect));
                    Ok(Some(rect.unwrap_or_else(empty).into()))
                })
            },
        ),
        Nested::new(
            "st_envelopeaspts",
            "st_envelopeaspts(geometry)",
            |given| one(given, list_of(geometry_type())),
            |call| {
                let shapes = Shapes::new(call, 0);
                to_lists(call, |row| {
                    let corners = bounds(shapes.get(row)?).map(|rect| [rect.min(), rect.max()]);
                    Ok(corners.map(|corners| corners.map(|corner| Point(corner).into()).into()))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

/// Distances, lengths and areas.
fn measures() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "st_distance",
            "st_distance(geometry, geometry), st_distance(sphericalgeography, sphericalgeography)",
            |given| match typed(given, &[Kind::Geometry, Kind::Geometry], DOUBLE)? {
                None => typed(given, &[Kind::Sphere, Kind::Sphere], DOUBLE),
                found => Ok(found),
            },
            distance,
        ),
        Nested::new(
            "st_area",
            "st_area(geometry), st_area(sphericalgeography)",
            either,
            |call| {
                let shapes = Shapes::new(call, 0);
                let is_flat = *call.args[0].data_type() == geometry_type();
                call.to_doubles(|row| {
                    let shape = shapes.get(row)?;
                    match is_flat {
                        true => Ok(Some(solid(shape).unsigned_area())),
                        false => super::sphere::area(&shape),
                    }
                })
            },
        ),
        Nested::new(
            "st_length",
            "st_length(geometry), st_length(sphericalgeography)",
            either,
            |call| {
                let shapes = Shapes::new(call, 0);
                let is_flat = *call.args[0].data_type() == geometry_type();
                call.to_doubles(|row| {
                    let lines = lines("ST_Length", shapes.get(row)?)?;
                    // In the plane, an empty line has the length 0.
                    if !is_flat && lines.iter().all(|line| line.0.is_empty()) {
                        return Ok(None);
                    }
                    let each = lines.iter().map(|line| match is_flat {
                        true => Euclidean.length(line),
                        false => super::sphere::length(line),
                    });
                    Ok(Some(each.sum()))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

/// Places along lines.
fn along_lines() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "line_locate_point",
            "line_locate_point(geometry, geometry)",
            |given| typed(given, &[Kind::Geometry, Kind::Geometry], DOUBLE),
            |call| {
                let (lines, points) = (Shapes::new(call, 0), Shapes::new(call, 1));
                call.to_doubles(|row| located(lines.get(row)?, points.get(row)?))
            },
        ),
        Nested::new(
            "line_interpolate_point",
            "line_interpolate_point(geometry, double)",
            |given| typed(given, &[Kind::Geometry, Kind::Double], geometry_type()),
            |call| {
                let (lines, fractions) = (Shapes::new(call, 0), call.doubles(1));
                to_shapes(call, |row| {
                    let found = along(&lines.get(row)?, &[fractions.value(row)])?;
                    Ok(found.into_iter().next())
                })
            },
        ),
        Nested::new(
            "line_interpolate_points",
            "line_interpolate_points(geometry, double)",
            |given| {
                typed(
                    given,
                    &[Kind::Geometry, Kind::Double],
                    list_of(geometry_type()),
                )
            },
            |call| {
                let (lines, fractions) = (Shapes::new(call, 0), call.doubles(1));
                to_lists(call, |row| {
                    let (line, step) = (lines.get(row)?, fractions.value(row));
                    let found = along(&line, &steps(step)?)?;
                    Ok((!is_empty(&line)).then_some(found))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

fn either(given: &[DataType]) -> Result<Option<Typed>> {
    match one(given, DataType::Float64)? {
        None => typed(given, &[Kind::Sphere], DataType::Float64),
        found => Ok(found),
    }
}

fn coordinate(function: &str, shape: &Geometry, of: fn(Point) -> f64) -> Result<Option<f64>> {
    match shape {
        Geometry::Point(point) => Ok(Some(of(*point)).filter(|value| !value.is_nan())),
        other => only(function, "POINT", other),
    }
}

fn bounds(shape: Geometry) -> Option<Rect> {
    solid(shape).bounding_rect()
}

/// A rectangle, from its lower left corner up.
pub(super) fn frame(rect: &Rect) -> geo::Polygon {
    let (min, max) = (rect.min(), rect.max());
    let ring = [
        (min.x, min.y),
        (min.x, max.y),
        (max.x, max.y),
        (max.x, min.y),
    ];
    geo::Polygon::new(LineString::from(ring.to_vec()), vec![])
}

fn dimension(shape: Geometry) -> Result<Option<i64>> {
    // An empty one has the dimension of its kind.
    Ok(Some(match (&shape, solid(shape.clone()).dimensions()) {
        (_, Dimensions::TwoDimensional) => 2,
        (_, Dimensions::OneDimensional) => 1,
        (Geometry::Polygon(_) | Geometry::MultiPolygon(_), _) => 2,
        (Geometry::LineString(_) | Geometry::MultiLineString(_), _) => 1,
        _ => 0,
    }))
}

/// Number of points; the last one of a ring, which is its first, does not count.
fn points(shape: &Geometry) -> i64 {
    let of_polygon = |polygon: &geo::Polygon| {
        let sizes = rings(polygon).map(|ring| ring.0.len().saturating_sub(1) as i64);
        sizes.sum::<i64>()
    };
    match shape {
        Geometry::Point(point) if point.x().is_nan() => 0,
        Geometry::Polygon(polygon) => of_polygon(polygon),
        Geometry::MultiPolygon(polygons) => polygons.0.iter().map(of_polygon).sum(),
        Geometry::GeometryCollection(all) => all.0.iter().map(points).sum(),
        other => other.coords_count() as i64,
    }
}

fn is_closed(shape: Geometry) -> Result<Option<bool>> {
    match shape {
        Geometry::LineString(line) => Ok(Some(line.is_closed())),
        Geometry::MultiLineString(lines) => Ok(Some(lines.0.iter().all(LineString::is_closed))),
        other => only("ST_IsClosed", "LINE_STRING or MULTI_LINE_STRING", &other),
    }
}

fn is_ring(shape: Geometry) -> Result<Option<bool>> {
    match shape {
        Geometry::LineString(line) => {
            let is_closed = line.is_closed() && line.0.len() > 3;
            let polygon = geo::Polygon::new(line, vec![]);
            Ok(Some(is_closed && polygon.is_valid()))
        }
        other => only("ST_IsRing", "LINE_STRING", &other),
    }
}

/// Does it nowhere touch itself, but where a ring closes?
fn is_simple(shape: &Geometry) -> bool {
    match shape {
        Geometry::LineString(line) => is_simple_line(line),
        Geometry::MultiLineString(lines) => {
            lines.0.iter().all(is_simple_line) && are_apart(&lines.0)
        }
        Geometry::MultiPoint(points) => {
            let mut points: Vec<_> = points.iter().map(|p| (p.x(), p.y())).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            points.windows(2).all(|pair| pair[0] != pair[1])
        }
        Geometry::GeometryCollection(all) => all.0.iter().all(is_simple),
        other => other.is_valid(),
    }
}

/// Do lines meet at no more than their ends?
fn are_apart(lines: &[LineString]) -> bool {
    let is_end = |line: &LineString, at: geo::Coord| {
        !line.is_closed() && (line.0.first() == Some(&at) || line.0.last() == Some(&at))
    };
    let apart = |a: &LineString, b: &LineString| {
        let mut pairs = a.lines().flat_map(|x| b.lines().map(move |y| (x, y)));
        pairs.all(|(x, y)| match line_intersection(x, y) {
            None => true,
            Some(LineIntersection::SinglePoint { intersection, .. }) => {
                is_end(a, intersection) && is_end(b, intersection)
            }
            Some(LineIntersection::Collinear { .. }) => false,
        })
    };
    (0..lines.len()).all(|a| (a + 1..lines.len()).all(|b| apart(&lines[a], &lines[b])))
}

/// Why a geometry is not valid: Trino's reasons, as far as their places can be told, or those of the
/// library that is used here.
fn invalid_reason(shape: &Geometry) -> Option<String> {
    // Java writes whole numbers with a point.
    let at = |at: geo::Coord| format!("({:?} {:?})", at.x, at.y);
    match shape {
        shape if is_empty(shape) => None,
        Geometry::MultiPoint(points) => {
            let mut places = points.0.iter().enumerate();
            let repeated = places.find(|(place, p)| points.0[..*place].contains(p));
            repeated.map(|(_, p)| format!("Repeated points at or near {0} and {0}", at(p.0)))
        }
        Geometry::GeometryCollection(all) => all.0.iter().find_map(invalid_reason),
        other => {
            let lines: Vec<&LineString> = match other {
                Geometry::LineString(line) => vec![line],
                Geometry::MultiLineString(lines) => lines.0.iter().collect(),
                Geometry::Polygon(polygon) => rings(polygon).collect(),
                Geometry::MultiPolygon(all) => all.0.iter().flat_map(rings).collect(),
                _ => vec![],
            };
            let mut pairs = lines.iter().flat_map(|line| line.0.windows(2));
            if let Some(pair) = pairs.find(|pair| pair[0] == pair[1]) {
                return Some(format!("Degenerate segments at or near {}", at(pair[0])));
            }
            match other {
                Geometry::LineString(_) | Geometry::MultiLineString(_) => {
                    (!is_simple(other)).then(|| "Self-tangency or crossing".into())
                }
                other => other
                    .check_validation()
                    .err()
                    .map(|wrong| wrong.to_string()),
            }
        }
    }
}

fn rings(polygon: &geo::Polygon) -> impl Iterator<Item = &LineString> {
    std::iter::once(polygon.exterior()).chain(polygon.interiors())
}

fn is_simple_line(line: &LineString) -> bool {
    let parts: Vec<_> = line.lines().filter(|part| part.start != part.end).collect();
    let last = parts.len().saturating_sub(1);
    let may_meet = |a: usize, b: usize, at: geo::Coord| {
        b == a + 1 && at == parts[a].end
            || a == 0 && b == last && line.is_closed() && at == parts[0].start
    };
    (0..parts.len()).all(|a| {
        (a + 1..parts.len()).all(|b| match line_intersection(parts[a], parts[b]) {
            None => true,
            Some(LineIntersection::SinglePoint { intersection, .. }) => {
                may_meet(a, b, intersection)
            }
            Some(LineIntersection::Collinear { .. }) => false,
        })
    })
}

fn lines(function: &str, shape: Geometry) -> Result<Vec<LineString>> {
    match shape {
        Geometry::LineString(line) => Ok(vec![line]),
        Geometry::MultiLineString(lines) => Ok(lines.0),
        other => only(function, "LINE_STRING or MULTI_LINE_STRING", &other),
    }
}

fn distance(call: &Call) -> Result<ArrayRef> {
    let (a, b) = (Shapes::new(call, 0), Shapes::new(call, 1));
    let is_flat = *call.args[0].data_type() == geometry_type();
    call.to_doubles(|row| {
        let (a, b) = (a.get(row)?, b.get(row)?);
        if is_empty(&a) || is_empty(&b) {
            return Ok(None);
        }
        if is_flat {
            return Ok(Some(Euclidean.distance(&solid(a), &solid(b))));
        }
        match (a, b) {
            (Geometry::Point(a), Geometry::Point(b)) => Ok(Some(super::sphere::distance(a, b))),
            (Geometry::Point(_), other) | (other, _) => only("ST_Distance", "POINT", &other),
        }
    })
}

/// Most points along one line.
const MOST_POINTS: f64 = 100_000.0;

/// Each of these parts of a length; of no part, the beginning alone.
fn steps(step: f64) -> Result<Vec<f64>> {
    if step <= 0.0 || step.is_nan() {
        return Ok(vec![step]);
    }
    let count = (1.0 / step).floor();
    if count > MOST_POINTS {
        return exec_err!("a fraction of {step} makes too many points");
    }
    // One step beyond the end is an error, as it is for one point.
    let count = count.max(1.0) as u32;
    Ok((1..=count).map(|n| f64::from(n) * step).collect())
}

/// Which part of a line's length lies before the place that is nearest to a point.
fn located(line: Geometry, point: Geometry) -> Result<Option<f64>> {
    let lines = match line {
        Geometry::LineString(line) => vec![line],
        Geometry::MultiLineString(lines) => lines.0,
        other => {
            return exec_err!(
                "First argument to line_locate_point must be a LineString or a MultiLineString. Got: {}",
                class_of(&other)
            );
        }
    };
    let point = match point {
        Geometry::Point(point) => point,
        other => {
            return exec_err!(
                "Second argument to line_locate_point must be a Point. Got: {}",
                class_of(&other)
            );
        }
    };
    if point.x().is_nan() {
        return Ok(None);
    }
    let (mut passed, mut best) = (0.0, None);
    for line in lines.iter().filter(|line| !line.0.is_empty()) {
        let length = Euclidean.length(line);
        let distance = Euclidean.distance(line, &point);
        let part = line.line_locate_point(&point).unwrap_or(0.0);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, passed + part * length));
        }
        passed += length;
    }
    Ok(best.map(|(_, at)| if passed > 0.0 { at / passed } else { 0.0 }))
}

/// The points that lie at parts of a line's length.
fn along(shape: &Geometry, fractions: &[f64]) -> Result<Vec<Geometry>> {
    let Geometry::LineString(line) = shape else {
        return only("line_interpolate_point", "LINE_STRING", shape);
    };
    if fractions
        .iter()
        .any(|fraction| !(0.0..=1.0).contains(fraction))
    {
        return exec_err!("fraction must be between 0 and 1");
    }
    let found = fractions
        .iter()
        .filter_map(|fraction| Euclidean.point_at_ratio_from_start(line, *fraction));
    Ok(found.map(Into::into).collect())
}
