//! Lines and rings with fewer corners that cross nothing which they did not cross before.
//!
//! Source: Douglas and Peucker's algorithm, as JTS's `TopologyPreservingSimplifier` applies it, which is
//! what Trino calls: rings keep three corners, and a straight piece must not meet another one.

use datafusion::{common::exec_err, error::Result};
use geo::{
    Coord, Distance, Euclidean, Geometry, Line, LineString, MultiLineString, MultiPolygon, Point,
    Polygon,
    line_intersection::{LineIntersection, line_intersection},
};

use super::text::turned;

pub(super) fn simplified(shape: Geometry, tolerance: f64) -> Result<Geometry> {
    if tolerance.is_nan() || tolerance < 0.0 {
        return exec_err!("distanceTolerance is negative");
    }
    let lines = match &shape {
        Geometry::LineString(line) => vec![line.clone()],
        Geometry::MultiLineString(lines) => lines.0.clone(),
        Geometry::Polygon(polygon) => rings(polygon),
        Geometry::MultiPolygon(polygons) => polygons.0.iter().flat_map(rings).collect(),
        Geometry::GeometryCollection(all) => {
            let parts = all.0.iter().cloned();
            let parts = parts.map(|part| simplified(part, tolerance));
            return Ok(Geometry::GeometryCollection(
                parts.collect::<Result<Vec<_>>>()?.into(),
            ));
        }
        _ => return Ok(shape),
    };
    let least = match &shape {
        Geometry::Polygon(_) | Geometry::MultiPolygon(_) => 4,
        _ => 2,
    };
    let mut made = Simplifier::new(&lines, tolerance, least).all().into_iter();
    let mut polygon = |polygon: &Polygon| {
        let outer = made.next().unwrap_or(LineString(vec![]));
        let holes = made.by_ref().take(polygon.interiors().len());
        Polygon::new(outer, holes.collect())
    };
    Ok(match &shape {
        Geometry::Polygon(one) => polygon(one).into(),
        Geometry::MultiPolygon(all) => MultiPolygon(all.0.iter().map(polygon).collect()).into(),
        Geometry::MultiLineString(_) => MultiLineString(made.collect()).into(),
        _ => made.next().unwrap_or(LineString(vec![])).into(),
    })
}

/// The rings of a polygon in the directions that Trino has them in, which decides between equals.
fn rings(polygon: &Polygon) -> Vec<LineString> {
    let outer = std::iter::once(turned(polygon.exterior(), false));
    let holes = polygon.interiors().iter().map(|ring| turned(ring, true));
    outer.chain(holes).collect()
}

struct Simplifier<'a> {
    lines: &'a [LineString],
    tolerance: f64,
    /// Corners that a line keeps, the last one of a ring counted.
    least: usize,
    /// The pieces made so far, of all lines.
    made: Vec<Line>,
}

/// Corners of a line from one place to another one, found at a depth.
type Section = (usize, usize, usize);

impl<'a> Simplifier<'a> {
    fn new(lines: &'a [LineString], tolerance: f64, least: usize) -> Self {
        Self {
            lines,
            tolerance,
            least,
            made: Vec::new(),
        }
    }

    fn all(mut self) -> Vec<LineString> {
        (0..self.lines.len()).map(|line| self.line(line)).collect()
    }

    fn line(&mut self, index: usize) -> LineString {
        let corners = &self.lines[index].0;
        let Some(last) = corners.len().checked_sub(1).filter(|last| *last > 0) else {
            return self.lines[index].clone();
        };
        let mut kept = vec![corners[0]];
        // The sections that are still to be looked at, the next one at the end.
        let mut sections: Vec<Section> = vec![(0, last, 1)];
        while let Some((from, to, depth)) = sections.pop() {
            let (furthest, distance) = furthest(&corners[from..=to]);
            let direct = Line::new(corners[from], corners[to]);
            let made = if kept.len() > 1 { kept.len() } else { 0 };
            let is_enough = made >= self.least || depth + 1 >= self.least;
            let is_near = is_enough && distance <= self.tolerance;
            if from + 1 == to || is_near && !self.crosses(index, from, to, direct) {
                kept.push(corners[to]);
                self.made.push(direct);
                continue;
            }
            let middle = from + furthest;
            sections.push((middle, to, depth + 1));
            sections.push((from, middle, depth + 1));
        }
        LineString(kept)
    }

    /// Would the direct way meet a piece, or a part of the lines that it does not stand for?
    fn crosses(&self, index: usize, from: usize, to: usize, direct: Line) -> bool {
        let given = self.lines.iter().enumerate().flat_map(|(line, all)| {
            all.lines().enumerate().filter_map(move |(place, part)| {
                (line != index || !(from..to).contains(&place)).then_some(part)
            })
        });
        let mut others = self.made.iter().copied().chain(given);
        others.any(|other| match line_intersection(direct, other) {
            None => false,
            Some(LineIntersection::SinglePoint { intersection, .. }) => {
                !is_end(direct, intersection) || !is_end(other, intersection)
            }
            Some(LineIntersection::Collinear { intersection }) => {
                [intersection.start, intersection.end]
                    .iter()
                    .any(|at| !is_end(direct, *at) || !is_end(other, *at))
            }
        })
    }
}

fn is_end(line: Line, at: Coord) -> bool {
    line.start == at || line.end == at
}

/// The inner corner that is furthest from the line between the ends, and how far it is.
fn furthest(corners: &[Coord]) -> (usize, f64) {
    let direct = Line::new(corners[0], corners[corners.len() - 1]);
    let mut best = (0, 0.0);
    for (place, corner) in corners.iter().enumerate().skip(1).rev().skip(1).rev() {
        let distance = match direct.start == direct.end {
            true => Euclidean.distance(Point(*corner), Point(direct.start)),
            false => Euclidean.distance(&Point(*corner), &direct),
        };
        if best.0 == 0 || distance > best.1 {
            best = (place, distance);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geo::text;

    fn simple(wkt: &str, tolerance: f64) -> String {
        text::write(&simplified(text::read(wkt).unwrap(), tolerance).unwrap())
    }

    #[test]
    fn corners_that_are_near_are_left_out() {
        assert_eq!(
            simple("LINESTRING (0 0, 5 1, 10 0)", 2.0),
            "LINESTRING (0 0, 10 0)"
        );
        assert_eq!(
            simple("LINESTRING (0 0, 5 1, 10 0)", 0.5),
            "LINESTRING (0 0, 5 1, 10 0)"
        );
        assert_eq!(simple("POINT (1 1)", 1.0), "POINT (1 1)");
        assert_eq!(simple("LINESTRING (1 1)", 1.0), "LINESTRING (1 1)");
        assert_eq!(simple("POLYGON EMPTY", 1.0), "POLYGON EMPTY");
    }

    #[test]
    fn rings_stay_rings() {
        assert_eq!(
            simple("POLYGON ((0 0, 9 0, 9 1, 9 9, 0 9))", 100.0),
            "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0))"
        );
    }

    #[test]
    fn nothing_is_crossed() {
        // The direct way would go through the second line.
        let lines = "MULTILINESTRING ((0 0, 5 3, 10 0), (5 -1, 5 2))";
        assert_eq!(simple(lines, 9.0), lines);
    }
}
