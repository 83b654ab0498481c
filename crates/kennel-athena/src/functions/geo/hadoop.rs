//! Geometries as the Spatial Framework for Hadoop keeps them: a reference system, a kind, an Esri shape.
//!
//! Sources: Trino manual, "Geospatial functions"; Esri, "ESRI Shapefile Technical Description".

use datafusion::{common::exec_err, error::Result};
use geo::{Coord, Geometry, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon};

use super::text::{area, checked, empty_point};

/// Bytes of the reference system, which is not looked at.
const REFERENCE: usize = 4;

/// Coordinates below mean that there is none.
const NO_NUMBER: f64 = -1e38;

pub(super) fn read(bytes: &[u8]) -> Result<Geometry> {
    let Some((&[kind], shape)) = bytes
        .get(REFERENCE..)
        .and_then(|rest| rest.split_first_chunk::<1>())
        .filter(|(_, shape)| !shape.is_empty())
    else {
        return exec_err!("Hadoop shape input is too short");
    };
    if kind > 6 {
        return exec_err!("Invalid Hadoop shape type: {}", i8::from_le_bytes([kind]));
    }
    let mut reader = Reader(shape);
    match reader.shape(kind).filter(|_| reader.0.is_empty()) {
        Some(geometry) => Ok(geometry),
        None => exec_err!("Invalid Hadoop shape"),
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(i32::from_le_bytes(self.array()?)).ok()
    }

    fn coord(&mut self) -> Option<Coord> {
        let x = f64::from_le_bytes(self.array()?);
        let y = f64::from_le_bytes(self.array()?);
        Some(Coord { x, y })
    }

    /// So many coordinates. None is made before it is read, so that a count makes no room.
    fn coords(&mut self, count: usize) -> Option<Vec<Coord>> {
        let mut coords = Vec::new();
        for _ in 0..count {
            let coord = self.coord()?;
            coords.push(checked(coord.x, coord.y).ok()?);
        }
        Some(coords)
    }

    /// The kind says which of the geometries of an Esri shape it is.
    fn shape(&mut self, kind: u8) -> Option<Geometry> {
        Some(match (self.count()?, kind) {
            (1, 0 | 1) => {
                let coord = self.coord()?;
                match coord.x.is_nan() || coord.x < NO_NUMBER {
                    true => empty_point(),
                    false => Point(checked(coord.x, coord.y).ok()?).into(),
                }
            }
            (3, 2) => match <[LineString; 1]>::try_from(self.paths()?) {
                Ok([line]) => line.into(),
                Err(none) if none.is_empty() => LineString(vec![]).into(),
                Err(_) => return None,
            },
            (3, 0 | 5) => MultiLineString(self.paths()?).into(),
            (5, 3) => match <[Polygon; 1]>::try_from(polygons(self.paths()?)?) {
                Ok([polygon]) => polygon.into(),
                Err(none) if none.is_empty() => Polygon::new(LineString(vec![]), vec![]).into(),
                Err(_) => return None,
            },
            (5, 0 | 6) => MultiPolygon(polygons(self.paths()?)?).into(),
            (8, 0 | 4) => {
                self.corners()?;
                let count = self.count()?;
                MultiPoint(self.coords(count)?.into_iter().map(Point).collect()).into()
            }
            _ => return None,
        })
    }

    /// The box around a shape.
    fn corners(&mut self) -> Option<()> {
        self.coord()?;
        self.coord()?;
        Some(())
    }

    fn paths(&mut self) -> Option<Vec<LineString>> {
        self.corners()?;
        let (parts, points) = (self.count()?, self.count()?);
        let mut starts = Vec::new();
        for _ in 0..parts {
            starts.push(self.count()?);
        }
        let coords = self.coords(points)?;
        let ends = starts.iter().skip(1).copied().chain([points]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                coords
                    .get(*start..end)
                    .map(|path| LineString(path.to_vec()))
            })
            .collect()
    }
}

/// Rings that go with the clock begin a polygon, the others are its holes.
fn polygons(rings: Vec<LineString>) -> Option<Vec<Polygon>> {
    let mut polygons: Vec<Polygon> = Vec::new();
    for ring in rings {
        if area(&ring) > 0.0 {
            polygons.last_mut()?.interiors_push(ring);
        } else {
            polygons.push(Polygon::new(ring, vec![]));
        }
    }
    Some(polygons)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::geo::text;

    /// A shape's bytes: numbers are integers, all others doubles.
    fn bytes(kind: u8, integers: &[i32], doubles: &[f64], more: &[i32], points: &[f64]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, kind];
        bytes.extend(integers.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(doubles.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(more.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(points.iter().flat_map(|n| n.to_le_bytes()));
        bytes
    }

    #[test]
    fn shapes_are_read() {
        let frame = [0.0; 4];
        let with_hole = [
            0.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0,
        ];
        for (given, wkt) in [
            (bytes(1, &[1], &[3.0, 4.5], &[], &[]), "POINT (3 4.5)"),
            (
                bytes(1, &[1], &[f64::MIN, f64::MIN], &[], &[]),
                "POINT EMPTY",
            ),
            (
                bytes(4, &[8], &frame, &[2], &[1.0, 2.0, 3.0, 4.0]),
                "MULTIPOINT ((1 2), (3 4))",
            ),
            (
                bytes(2, &[3], &frame, &[1, 2, 0], &[1.0, 2.0, 3.0, 4.0]),
                "LINESTRING (1 2, 3 4)",
            ),
            (
                bytes(5, &[3], &frame, &[0, 0], &[]),
                "MULTILINESTRING EMPTY",
            ),
            (
                bytes(3, &[5], &frame, &[2, 8, 0, 4], &with_hole),
                "POLYGON ((0 0, 9 0, 0 9, 0 0), (1 1, 1 2, 2 1, 1 1))",
            ),
            (bytes(6, &[5], &frame, &[0, 0], &[]), "MULTIPOLYGON EMPTY"),
        ] {
            assert_eq!(text::write(&read(&given).unwrap()), wkt);
        }
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for (given, reason) in [
            (vec![1, 2], "too short"),
            (vec![0, 0, 0, 0, 1], "too short"),
            (vec![0, 0, 0, 0, 7, 1], "Invalid Hadoop shape type: 7"),
            (vec![0, 0, 0, 0, 255, 1], "Invalid Hadoop shape type: -1"),
            (
                bytes(5, &[1], &[1.0, 2.0], &[], &[]),
                "Invalid Hadoop shape",
            ),
            (bytes(1, &[1], &[1.0], &[], &[]), "Invalid Hadoop shape"),
            (
                bytes(2, &[3], &[0.0; 4], &[1, i32::MAX, 0], &[]),
                "Invalid Hadoop shape",
            ),
            (
                bytes(2, &[3], &[0.0; 4], &[1, 0, 9], &[]),
                "Invalid Hadoop shape",
            ),
        ] {
            let error = read(&given).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0_u8..9, 0..120)) {
            let _ = read(&bytes);
        }
    }
}
