//! Well-known text of geometries. A point without coordinates is one of NaN.

use datafusion::{
    common::{exec_datafusion_err, exec_err},
    error::Result,
};
use geo::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon,
};

/// Deepest nesting of collections that is read.
const DEEPEST: usize = 64;

/// Coordinates beyond are refused: products of them would leave the doubles.
const FARTHEST: f64 = 1e100;

/// The point without coordinates.
pub(super) fn empty_point() -> Geometry {
    Point::new(f64::NAN, f64::NAN).into()
}

pub(super) fn read(text: &str) -> Result<Geometry> {
    let mut reader = Reader { text, at: 0 };
    let geometry = reader.geometry(0).filter(|_| reader.is_at_end());
    geometry.ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        exec_datafusion_err!("Invalid WKT: {shown}")
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn accept(&mut self, sign: char) -> bool {
        let is_there = self.rest().starts_with(sign);
        if is_there {
            self.at += sign.len_utf8();
        }
        is_there
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_ascii_uppercase()
    }

    fn is_empty(&mut self) -> bool {
        let before = self.at;
        let is_empty = self.word() == "EMPTY";
        if !is_empty {
            self.at = before;
        }
        is_empty
    }

    fn geometry(&mut self, depth: usize) -> Option<Geometry> {
        let kind = self.word();
        // A third and fourth coordinate are read and left out.
        let before = self.at;
        if !["Z", "M", "ZM"].contains(&self.word().as_str()) {
            self.at = before;
        }
        Some(match kind.as_str() {
            "POINT" if self.is_empty() => empty_point(),
            "POINT" => match self.coords()?.as_slice() {
                [only] => Point(*only).into(),
                _ => return None,
            },
            "LINESTRING" => self.line()?.into(),
            "POLYGON" => self.polygon()?.into(),
            "MULTIPOINT" => MultiPoint(self.list(Self::point)?).into(),
            // What is empty is no part.
            "MULTILINESTRING" => {
                let mut lines = self.list(Self::line)?;
                lines.retain(|line| !line.0.is_empty());
                MultiLineString(lines).into()
            }
            "MULTIPOLYGON" => {
                let mut polygons = self.list(Self::polygon)?;
                polygons.retain(|polygon| !polygon.exterior().0.is_empty());
                MultiPolygon(polygons).into()
            }
            "GEOMETRYCOLLECTION" if depth < DEEPEST => {
                let all = self.list(|reader| reader.geometry(depth + 1))?;
                Geometry::GeometryCollection(GeometryCollection(all))
            }
            _ => return None,
        })
    }

    /// `EMPTY`, or items in brackets.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        if self.is_empty() {
            return Some(vec![]);
        }
        if !self.accept('(') {
            return None;
        }
        let mut items = vec![item(self)?];
        while self.accept(',') {
            items.push(item(self)?);
        }
        self.accept(')').then_some(items)
    }

    fn coords(&mut self) -> Option<Vec<Coord>> {
        self.list(Self::coord)
    }

    fn line(&mut self) -> Option<LineString> {
        self.coords().map(LineString)
    }

    fn polygon(&mut self) -> Option<Polygon> {
        let mut rings = self.list(Self::line)?.into_iter();
        let outer = rings.next().unwrap_or(LineString(vec![]));
        let holes = rings.filter(|ring| !ring.0.is_empty());
        Some(Polygon::new(outer, holes.collect()))
    }

    /// A point of several, in brackets of its own or not.
    fn point(&mut self) -> Option<Point> {
        let is_bracketed = self.accept('(');
        let coord = self.coord()?;
        (!is_bracketed || self.accept(')')).then_some(Point(coord))
    }

    fn coord(&mut self) -> Option<Coord> {
        let (x, y) = (self.number()?, self.number()?);
        for _ in 0..2 {
            let before = self.at;
            if self.number().is_none() {
                self.at = before;
            }
        }
        Some(Coord { x, y })
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += length;
        let number: f64 = rest[..length].parse().ok()?;
        (number.abs() < FARTHEST).then_some(number)
    }
}

/// Checks coordinates that are given as numbers.
pub(super) fn checked(x: f64, y: f64) -> Result<Coord> {
    if x.abs() < FARTHEST && y.abs() < FARTHEST {
        return Ok(Coord { x, y });
    }
    exec_err!("coordinates must be finite numbers: {x}, {y}")
}

fn coords(line: &LineString) -> String {
    let each = line
        .0
        .iter()
        .map(|coord| format!("{} {}", coord.x, coord.y));
    format!("({})", each.collect::<Vec<_>>().join(", "))
}

/// The outer ring goes against the clock and the holes with it, as Trino writes them.
fn rings(polygon: &Polygon) -> String {
    let outer = std::iter::once(turned(polygon.exterior(), true));
    let holes = polygon.interiors().iter().map(|ring| turned(ring, false));
    let rings: Vec<_> = outer.chain(holes).map(|ring| coords(&ring)).collect();
    format!("({})", rings.join(", "))
}

/// Twice the area of a ring, below zero where it goes with the clock.
pub(super) fn area(ring: &LineString) -> f64 {
    ring.lines().map(|line| line.determinant()).sum()
}

/// The ring from the same point on, in this direction.
pub(super) fn turned(ring: &LineString, against_the_clock: bool) -> LineString {
    let area = area(ring);
    let mut ring = ring.clone();
    if area != 0.0 && (area > 0.0) != against_the_clock {
        ring.0.reverse();
    }
    ring
}

fn many<'a, T: 'a>(kind: &str, items: &'a [T], each: impl Fn(&'a T) -> String) -> String {
    if items.is_empty() {
        return format!("{kind} EMPTY");
    }
    let items: Vec<_> = items.iter().map(each).collect();
    format!("{kind} ({})", items.join(", "))
}

pub(super) fn write(geometry: &Geometry) -> String {
    match geometry {
        Geometry::Point(point) if point.x().is_nan() => "POINT EMPTY".into(),
        Geometry::Point(point) => format!("POINT ({} {})", point.x(), point.y()),
        Geometry::LineString(line) if line.0.is_empty() => "LINESTRING EMPTY".into(),
        Geometry::LineString(line) => format!("LINESTRING {}", coords(line)),
        Geometry::Polygon(polygon) if polygon.exterior().0.is_empty() => "POLYGON EMPTY".into(),
        Geometry::Polygon(polygon) => format!("POLYGON {}", rings(polygon)),
        Geometry::MultiPoint(points) => many("MULTIPOINT", &points.0, |point| {
            format!("({} {})", point.x(), point.y())
        }),
        Geometry::MultiLineString(lines) => many("MULTILINESTRING", &lines.0, coords),
        Geometry::MultiPolygon(polygons) => many("MULTIPOLYGON", &polygons.0, rings),
        Geometry::GeometryCollection(all) => many("GEOMETRYCOLLECTION", &all.0, write),
        Geometry::Line(line) => write(&LineString::from(line).into()),
        Geometry::Rect(rect) => write(&rect.to_polygon().into()),
        Geometry::Triangle(triangle) => write(&triangle.to_polygon().into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_is_read_and_written() {
        for (given, written) in [
            ("point(1 2.50)", "POINT (1 2.5)"),
            ("POINT Z (1 2 3)", "POINT (1 2)"),
            ("POINT EMPTY", "POINT EMPTY"),
            (
                " LINESTRING (1 1,2 2 , -3 1e2)",
                "LINESTRING (1 1, 2 2, -3 100)",
            ),
            (
                "POLYGON ((1 1, 1 4, 4 4, 4 1))",
                "POLYGON ((1 1, 4 1, 4 4, 1 4, 1 1))",
            ),
            (
                "POLYGON ((0 0, 9 0, 0 9), (1 1, 2 1, 1 2))",
                "POLYGON ((0 0, 9 0, 0 9, 0 0), (1 1, 1 2, 2 1, 1 1))",
            ),
            ("MULTIPOINT (1 2, (3 4))", "MULTIPOINT ((1 2), (3 4))"),
            ("MULTIPOLYGON EMPTY", "MULTIPOLYGON EMPTY"),
            (
                "GEOMETRYCOLLECTION (POINT (1 1), MULTILINESTRING ((0 0, 1 1)))",
                "GEOMETRYCOLLECTION (POINT (1 1), MULTILINESTRING ((0 0, 1 1)))",
            ),
        ] {
            assert_eq!(write(&read(given).unwrap()), written);
        }
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        let deep = "GEOMETRYCOLLECTION (".repeat(100_000);
        for text in [
            "",
            "POINT",
            "POINT (1)",
            "POINT (1 2",
            "POINT (1 2) x",
            "POINT (NaN 1)",
            "CIRCLE (1 1)",
            "POINT (1e300 0)",
            "MULTIPOINT ((1 2)",
            "POINT (é 1)",
            &deep,
        ] {
            assert!(read(text).is_err(), "{text:.40}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Z]{0,8} ?[(),0-9. eE-]{0,30}") {
            let _ = read(&text);
        }

        #[test]
        fn texts_lead_back(points in prop::collection::vec((-1e9_f64..1e9, any::<i32>()), 2..9)) {
            let line: LineString = points.iter().map(|(x, y)| (*x, f64::from(*y))).collect();
            let geometry = Geometry::from(line);
            prop_assert_eq!(read(&write(&geometry)).unwrap(), geometry);
        }
    }
}
