//! Geometries on the globe, which is a sphere here as it is in Trino.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType, common::exec_err, error::Result, logical_expr::ScalarUDF,
};
use geo::{CoordsIter, Geometry, LineString, Point};

use super::{Kind, Shapes, geometry_type, kind_of, sphere_type, typed};
use crate::functions::{nested::Nested, opaque};

pub(super) const RADIUS_KM: f64 = 6_371.01;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "to_spherical_geography",
            "to_spherical_geography(geometry)",
            |given| typed(given, &[Kind::Geometry], sphere_type()),
            |call| {
                let shapes = Shapes::new(call, 0);
                let texts = call.to_texts(|row| {
                    let shape = shapes.get(row)?;
                    for coord in super::solid(shape.clone()).coords_iter() {
                        check(coord.y, coord.x)?;
                    }
                    Ok(Some(super::text::write(&shape)))
                })?;
                opaque::wrap(texts, &sphere_type())
            },
        ),
        Nested::new(
            "to_geometry",
            "to_geometry(sphericalgeography)",
            |given| typed(given, &[Kind::Sphere], geometry_type()),
            |call| opaque::wrap(opaque::held(&call.args[0]), &geometry_type()),
        ),
        Nested::new(
            "from_geojson_geometry",
            "from_geojson_geometry(varchar)",
            |given| typed(given, &[Kind::Text], sphere_type()),
            |call| {
                let texts = call.text(0);
                let texts = call.to_texts(|row| {
                    let shape = super::geojson::read(texts.value(row))?;
                    Ok(Some(super::text::write(&shape)))
                })?;
                opaque::wrap(texts, &sphere_type())
            },
        ),
        Nested::new(
            "to_geojson_geometry",
            "to_geojson_geometry(sphericalgeography)",
            |given| typed(given, &[Kind::Sphere], DataType::Utf8),
            |call| {
                let shapes = Shapes::new(call, 0);
                call.to_texts(|row| Ok(Some(super::geojson::write(&shapes.get(row)?))))
            },
        ),
        Nested::new(
            "great_circle_distance",
            "great_circle_distance(latitude, longitude, latitude, longitude)",
            |given| typed(given, &[Kind::Double; 4], DataType::Float64),
            |call| {
                let [a, b, c, d] = [0, 1, 2, 3].map(|index| call.doubles(index));
                call.to_doubles(|row| {
                    let from = (a.value(row), b.value(row));
                    let to = (c.value(row), d.value(row));
                    check(from.0, from.1)?;
                    check(to.0, to.1)?;
                    Ok(Some(kilometers(from, to)))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

fn check(latitude: f64, longitude: f64) -> Result<()> {
    if !(-90.0..=90.0).contains(&latitude) {
        return exec_err!("Latitude must be between -90 and 90");
    }
    if !(-180.0..=180.0).contains(&longitude) {
        return exec_err!("Longitude must be between -180 and 180");
    }
    Ok(())
}

/// Between two places by latitude and longitude. Its steps are those of Trino, to the last digit.
pub(super) fn kilometers(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let turn = from.1.to_radians() - to.1.to_radians();
    let across = b.cos() * turn.sin();
    let up = a.cos() * b.sin() - a.sin() * b.cos() * turn.cos();
    let along = a.sin() * b.sin() + a.cos() * b.cos() * turn.cos();
    (across * across + up * up).sqrt().atan2(along) * RADIUS_KM
}

/// Metres between two points.
pub(super) fn distance(a: Point, b: Point) -> f64 {
    kilometers((a.y(), a.x()), (b.y(), b.x())) * 1000.0
}

/// Metres along a line.
pub(super) fn length(line: &LineString) -> f64 {
    let each = line
        .lines()
        .map(|line| distance(Point(line.start), Point(line.end)));
    // An empty sum of doubles would be -0.
    each.fold(0.0, |sum, part| sum + part)
}

/// Square metres of polygons; none of those that are empty.
pub(super) fn area(shape: &Geometry) -> Result<Option<f64>> {
    let polygons = match shape {
        Geometry::Polygon(polygon) => std::slice::from_ref(polygon),
        Geometry::MultiPolygon(polygons) => polygons.0.as_slice(),
        other => {
            return exec_err!(
                "When applied to SphericalGeography inputs, ST_Area only supports POLYGON or MULTI_POLYGON. Input type is: {}",
                kind_of(other)
            );
        }
    };
    let polygons = polygons
        .iter()
        .filter(|polygon| !polygon.exterior().0.is_empty());
    let mut whole = None;
    for polygon in polygons {
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            check_ring(ring)?;
        }
        let holes: f64 = polygon.interiors().iter().map(excess).sum();
        let meters = RADIUS_KM * 1000.0;
        let area = (excess(polygon.exterior()) - holes) * meters * meters;
        whole = Some(whole.unwrap_or(0.0) + area);
    }
    Ok(whole)
}

fn check_ring(ring: &LineString) -> Result<()> {
    // The last corner is the first one again.
    if ring.0.len() < 4 {
        return exec_err!("Polygon is not valid: a loop contains less then 3 vertices.");
    }
    if ring.lines().any(|line| line.start == line.end) {
        return exec_err!("Polygon is not valid: it has two identical consecutive vertices");
    }
    Ok(())
}

/// The spherical excess of a ring: its area on the sphere of radius 1.
fn excess(ring: &LineString) -> f64 {
    let slope = |latitude: f64| (latitude.to_radians() / 2.0).tan();
    let each = ring.lines().map(|line| {
        let turn = ((line.end.x - line.start.x).to_radians() / 2.0).tan();
        let (a, b) = (slope(line.start.y), slope(line.end.y));
        2.0 * (turn * (a + b)).atan2(1.0 + a * b)
    });
    let area = each.sum::<f64>().abs();
    // A ring around a pole turns once around the globe, and what it leaves out was summed.
    let turn: f64 = ring
        .lines()
        .map(|line| (line.end.x - line.start.x + 540.0).rem_euclid(360.0) - 180.0)
        .sum();
    match turn.abs() > 180.0 {
        true => (area - std::f64::consts::TAU).abs(),
        false => area,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_areas_are_those_of_the_globe() {
        let found = kilometers((36.12, -86.67), (33.94, -118.40));
        assert!((found - 2_886.448_973_436_703).abs() < 1e-6, "{found}");
        let quarter: LineString = vec![(0.0, 0.0), (90.0, 0.0), (0.0, 90.0), (0.0, 0.0)].into();
        let cap: LineString = vec![
            (-135.0, 85.0),
            (-45.0, 85.0),
            (45.0, 85.0),
            (135.0, 85.0),
            (-135.0, 85.0),
        ]
        .into();
        assert!(excess(&cap) < 0.02, "{}", excess(&cap));
        assert!((excess(&quarter) - std::f64::consts::FRAC_PI_2).abs() < 1e-9);
        assert!(check(91.0, 0.0).is_err());
        assert!(check(0.0, f64::NAN).is_err());
    }
}
