//! GeoJSON of geometries on the globe.
//!
//! Sources: Trino manual, "Geospatial functions"; RFC 7946. What is written has the member `crs`, outer rings
//! that go with the clock, and coordinates of eight decimals, as what Trino writes has.

use datafusion::{common::exec_err, error::Result};
use geo::{
    Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon,
    Point, Polygon,
};

use super::text::{checked, empty_point, turned};
use crate::functions::{cast::double_text, json::Tree};

/// The names of the kinds whose coordinates are a member.
const KINDS: [&str; 6] = [
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
];

pub(super) fn read(text: &str) -> Result<Geometry> {
    let Ok(tree) = Tree::read(text) else {
        return exec_err!("Invalid GeoJSON: the text is not JSON");
    };
    geometry(&tree)
}

fn geometry(tree: &Tree) -> Result<Geometry> {
    let kind = match tree.member("type") {
        Some(Tree::Text(kind)) => kind.as_str(),
        _ => {
            return exec_err!(
                "Invalid GeoJSON: Could not parse Geometry from Json string.  No 'type' property found."
            );
        }
    };
    // A missing member is an empty geometry.
    let items = |name: &str| match tree.member(name) {
        None | Some(Tree::Null) => Some([].as_slice()),
        Some(Tree::Array(items)) => Some(items.as_slice()),
        Some(_) => None,
    };
    let found = match kind {
        "GeometryCollection" => match items("geometries") {
            Some(parts) => {
                let parts = parts.iter().map(geometry).collect::<Result<_>>()?;
                Some(Geometry::GeometryCollection(GeometryCollection(parts)))
            }
            None => None,
        },
        kind if KINDS.contains(&kind) => items("coordinates").and_then(|items| shape(kind, items)),
        other => {
            return exec_err!(
                "Invalid GeoJSON: Could not parse Geometry from GeoJson string.  Unsupported 'type':{other}"
            );
        }
    };
    match found {
        Some(found) => Ok(found),
        None => exec_err!("Invalid GeoJSON: Could not parse {kind} from GeoJson string."),
    }
}

/// A geometry of a kind from its coordinates; `None` where they do not fit.
fn shape(kind: &str, items: &[Tree]) -> Option<Geometry> {
    Some(match kind {
        "Point" if items.is_empty() => empty_point(),
        "Point" => Point(coord(items)?).into(),
        "LineString" => line(items)?.into(),
        "Polygon" => polygon(items)?.into(),
        "MultiPoint" => MultiPoint(many(items, |item| coord(item).map(Point))?).into(),
        // What is empty is no part.
        "MultiLineString" => {
            let mut lines = many(items, line)?;
            lines.retain(|line| !line.0.is_empty());
            MultiLineString(lines).into()
        }
        _ => {
            let mut polygons = many(items, polygon)?;
            polygons.retain(|polygon| !polygon.exterior().0.is_empty());
            MultiPolygon(polygons).into()
        }
    })
}

fn many<T>(items: &[Tree], each: impl Fn(&[Tree]) -> Option<T>) -> Option<Vec<T>> {
    let inner = |item: &Tree| match item {
        Tree::Array(inner) => each(inner),
        _ => None,
    };
    items.iter().map(inner).collect()
}

/// What stands behind the second number is left out.
fn coord(items: &[Tree]) -> Option<Coord> {
    match items {
        [Tree::Number(x), Tree::Number(y), ..] => checked(x.parse().ok()?, y.parse().ok()?).ok(),
        _ => None,
    }
}

fn line(items: &[Tree]) -> Option<LineString> {
    let coords = many(items, coord)?;
    (coords.len() != 1).then_some(LineString(coords))
}

/// Rings must be closed.
fn polygon(items: &[Tree]) -> Option<Polygon> {
    let rings = many(items, line)?;
    let is_ring = |ring: &LineString| ring.0.is_empty() || ring.is_closed() && ring.0.len() > 3;
    if !rings.iter().all(is_ring) {
        return None;
    }
    let mut rings = rings.into_iter();
    let outer = rings.next().unwrap_or(LineString(vec![]));
    Some(Polygon::new(outer, rings.collect()))
}

pub(super) fn write(geometry: &Geometry) -> String {
    let fragment = fragment(geometry);
    match geometry {
        Geometry::Point(point) if point.x().is_nan() => fragment,
        Geometry::LineString(line) if line.0.is_empty() => fragment,
        _ => {
            let open = fragment.trim_end_matches('}');
            format!(r#"{open},"crs":{{"type":"name","properties":{{"name":"EPSG:0"}}}}}}"#)
        }
    }
}

fn fragment(geometry: &Geometry) -> String {
    let (kind, coordinates) = match geometry {
        Geometry::Point(point) if point.x().is_nan() => ("Point", "[]".into()),
        Geometry::Point(point) => ("Point", pair(&point.0)),
        Geometry::LineString(line) => ("LineString", pairs(line)),
        Geometry::Polygon(polygon) => ("Polygon", rings(polygon)),
        Geometry::MultiPoint(points) => ("MultiPoint", list(&points.0, |point| pair(&point.0))),
        Geometry::MultiLineString(lines) => ("MultiLineString", list(&lines.0, pairs)),
        Geometry::MultiPolygon(polygons) => ("MultiPolygon", list(&polygons.0, rings)),
        Geometry::GeometryCollection(all) => {
            let parts = list(&all.0, fragment);
            return format!(r#"{{"type":"GeometryCollection","geometries":{parts}}}"#);
        }
        Geometry::Line(line) => return fragment(&LineString::from(line).into()),
        Geometry::Rect(rect) => return fragment(&rect.to_polygon().into()),
        Geometry::Triangle(triangle) => return fragment(&triangle.to_polygon().into()),
    };
    format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#)
}

fn list<T>(items: &[T], each: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(each).collect();
    format!("[{}]", items.join(","))
}

fn pairs(line: &LineString) -> String {
    list(&line.0, pair)
}

fn rings(polygon: &Polygon) -> String {
    if polygon.exterior().0.is_empty() {
        return "[]".into();
    }
    let outer = std::iter::once(turned(polygon.exterior(), false));
    let holes = polygon.interiors().iter().map(|ring| turned(ring, true));
    list(&outer.chain(holes).collect::<Vec<_>>(), pairs)
}

fn pair(coord: &Coord) -> String {
    format!("[{},{}]", ordinate(coord.x), ordinate(coord.y))
}

/// Whole numbers have no point; very small and very large ones have all their digits.
fn ordinate(value: f64) -> String {
    const SCALE: f64 = 1e8;
    if value.abs() < 1e-3 || value >= 1e7 {
        return double_text(value);
    }
    let rounded = (value * SCALE + 0.5).floor() / SCALE;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        return format!("{rounded:.0}");
    }
    double_text(rounded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::geo::text;

    #[test]
    fn every_kind_leads_back() {
        for wkt in [
            "POINT EMPTY",
            "LINESTRING EMPTY",
            "POLYGON EMPTY",
            "MULTIPOINT EMPTY",
            "MULTILINESTRING EMPTY",
            "MULTIPOLYGON EMPTY",
            "GEOMETRYCOLLECTION EMPTY",
            "POINT (1 -2.5)",
            "MULTIPOINT ((3 4), (1 2))",
            "LINESTRING (0 0, 2 1, 0.25 7)",
            "MULTILINESTRING ((0 0, 5 1), (2 3, 4 4))",
            "POLYGON ((0 0, 5 0, 5 5, 0 5, 0 0), (1 1, 1 2, 2 2, 2 1, 1 1))",
            "MULTIPOLYGON (((0 0, 2 0, 2 2, 0 0)), ((5 5, 7 5, 7 7, 5 5)))",
            "GEOMETRYCOLLECTION (POINT (1 2), GEOMETRYCOLLECTION (LINESTRING (0 0, 1 1)))",
        ] {
            let json = write(&text::read(wkt).unwrap());
            assert_eq!(text::write(&read(&json).unwrap()), wkt, "{json}");
        }
    }

    #[test]
    fn what_is_written() {
        for (wkt, json) in [
            ("POINT EMPTY", r#"{"type":"Point","coordinates":[]}"#),
            (
                "POINT (1.123456789 10000000)",
                r#"{"type":"Point","coordinates":[1.12345679,1.0E7],"crs":{"type":"name","properties":{"name":"EPSG:0"}}}"#,
            ),
            (
                "POLYGON ((0 0, 4 0, 0 4, 0 0))",
                r#"{"type":"Polygon","coordinates":[[[0.0,0.0],[0.0,4],[4,0.0],[0.0,0.0]]],"crs":{"type":"name","properties":{"name":"EPSG:0"}}}"#,
            ),
        ] {
            assert_eq!(write(&text::read(wkt).unwrap()), json);
        }
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        for (json, reason) in [
            ("{", "not JSON"),
            ("[]", "No 'type' property"),
            (r#"{"data":{"type":"Point"}}"#, "No 'type' property"),
            (r#"{"type":"Circle"}"#, "Unsupported 'type':Circle"),
            (r#"{"type":"Point","coordinates":[1]}"#, "parse Point"),
            (r#"{"type":"Point","coordinates":7}"#, "parse Point"),
            (
                r#"{"type":"LineString","coordinates":[[1,1]]}"#,
                "parse LineString",
            ),
            (
                r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0]]]}"#,
                "parse Polygon",
            ),
            (
                r#"{"type":"GeometryCollection","geometries":[{}]}"#,
                "No 'type' property",
            ),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r#"\{"type":"(Point|Polygon|MultiPoint)","coordinates":[\[\]0-9,.-]{0,30}\}"#) {
            let _ = read(&text);
        }
    }
}
