//! Well-known binary of geometries, which is read in both byte orders and written in the lower one.

use datafusion::{common::exec_err, error::Result};
use geo::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon,
};

use super::text::{checked, empty_point};

/// Deepest nesting of collections that is read.
const DEEPEST: usize = 64;

pub(super) fn read(bytes: &[u8]) -> Result<Geometry> {
    let mut reader = Reader(bytes);
    match reader.geometry(0).filter(|_| reader.0.is_empty()) {
        Some(geometry) => Ok(geometry),
        None => exec_err!("Invalid WKB"),
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self, is_little: bool) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_at_checked(N)?;
        self.0 = rest;
        let mut array: [u8; N] = taken.try_into().ok()?;
        if !is_little {
            array.reverse();
        }
        Some(array)
    }

    fn count(&mut self, is_little: bool) -> Option<u32> {
        self.array(is_little).map(u32::from_le_bytes)
    }

    /// So many items. None of them is made before it is read, so that a count makes no room.
    fn list<T>(
        &mut self,
        is_little: bool,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::new();
        for _ in 0..self.count(is_little)? {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn coord(&mut self, is_little: bool) -> Option<Coord> {
        let x = f64::from_le_bytes(self.array(is_little)?);
        let y = f64::from_le_bytes(self.array(is_little)?);
        Some(Coord { x, y })
    }

    fn line(&mut self, is_little: bool) -> Option<LineString> {
        let line = self.list(is_little, |reader| {
            let coord = reader.coord(is_little)?;
            checked(coord.x, coord.y).ok()
        })?;
        Some(LineString(line))
    }

    fn geometry(&mut self, depth: usize) -> Option<Geometry> {
        let [order] = self.array(true)?;
        let is_little = order == 1;
        if order > 1 || depth > DEEPEST {
            return None;
        }
        let kind = self.count(is_little)?;
        let all = |reader: &mut Self| reader.list(is_little, |item| item.geometry(depth + 1));
        Some(match kind {
            1 => {
                let coord = self.coord(is_little)?;
                match coord.x.is_nan() && coord.y.is_nan() {
                    true => empty_point(),
                    false => Point(checked(coord.x, coord.y).ok()?).into(),
                }
            }
            2 => self
                .line(is_little)
                .filter(|line| line.0.len() != 1)?
                .into(),
            3 => {
                let rings = self.list(is_little, |reader| reader.line(is_little))?;
                if rings.iter().any(|ring| (1..3).contains(&ring.0.len())) {
                    return None;
                }
                let mut rings = rings.into_iter();
                let outer = rings.next().unwrap_or(LineString(vec![]));
                Polygon::new(outer, rings.collect()).into()
            }
            4 => MultiPoint(of(all(self)?)?).into(),
            5 => MultiLineString(of(all(self)?)?).into(),
            6 => MultiPolygon(of(all(self)?)?).into(),
            7 => Geometry::GeometryCollection(GeometryCollection(all(self)?)),
            _ => return None,
        })
    }
}

/// The parts, if all are of one kind.
fn of<T: TryFrom<Geometry>>(all: Vec<Geometry>) -> Option<Vec<T>> {
    all.into_iter().map(|part| T::try_from(part).ok()).collect()
}

pub(super) fn write(geometry: &Geometry) -> Vec<u8> {
    let mut out = Vec::new();
    put(geometry, &mut out);
    out
}

fn start(kind: u32, count: Option<usize>, out: &mut Vec<u8>) {
    out.push(1);
    out.extend(kind.to_le_bytes());
    out.extend(count.iter().flat_map(|count| (*count as u32).to_le_bytes()));
}

fn coord(coord: Coord, out: &mut Vec<u8>) {
    out.extend(coord.x.to_le_bytes());
    out.extend(coord.y.to_le_bytes());
}

fn ring(line: &LineString, out: &mut Vec<u8>) {
    out.extend((line.0.len() as u32).to_le_bytes());
    line.0.iter().for_each(|each| coord(*each, out));
}

fn put(geometry: &Geometry, out: &mut Vec<u8>) {
    match geometry {
        Geometry::Point(point) => {
            start(1, None, out);
            coord(point.0, out);
        }
        Geometry::LineString(line) => {
            start(2, None, out);
            ring(line, out);
        }
        Geometry::Polygon(polygon) => {
            let is_empty = polygon.exterior().0.is_empty();
            let count = if is_empty {
                0
            } else {
                1 + polygon.interiors().len()
            };
            start(3, Some(count), out);
            let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            rings.take(count).for_each(|line| ring(line, out));
        }
        Geometry::MultiPoint(points) => {
            start(4, Some(points.0.len()), out);
            points.0.iter().for_each(|part| put(&(*part).into(), out));
        }
        Geometry::MultiLineString(lines) => {
            start(5, Some(lines.0.len()), out);
            lines
                .0
                .iter()
                .for_each(|part| put(&part.clone().into(), out));
        }
        Geometry::MultiPolygon(polygons) => {
            start(6, Some(polygons.0.len()), out);
            polygons
                .0
                .iter()
                .for_each(|part| put(&part.clone().into(), out));
        }
        Geometry::GeometryCollection(all) => {
            start(7, Some(all.0.len()), out);
            all.0.iter().for_each(|part| put(part, out));
        }
        Geometry::Line(line) => put(&LineString::from(line).into(), out),
        Geometry::Rect(rect) => put(&rect.to_polygon().into(), out),
        Geometry::Triangle(triangle) => put(&triangle.to_polygon().into(), out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::geo::text;

    #[test]
    fn bytes_lead_back() {
        for wkt in [
            "POINT (1 2.5)",
            "POINT EMPTY",
            "LINESTRING (1 1, 2 2)",
            "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 2, 2 1, 1 1))",
            "POLYGON EMPTY",
            "MULTIPOINT ((1 2), (3 4))",
            "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
            "GEOMETRYCOLLECTION (POINT (1 1), LINESTRING (0 0, 1 1))",
        ] {
            let bytes = write(&text::read(wkt).unwrap());
            assert_eq!(text::write(&read(&bytes).unwrap()), wkt);
        }
        let big = [
            0, 0, 0, 0, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(text::write(&read(&big).unwrap()), "POINT (1 2)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0_u8..8, 0..80)) {
            let _ = read(&bytes);
        }
    }
}
