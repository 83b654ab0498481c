//! What becomes of two geometries of any kinds: their union, intersection and differences.
//!
//! Areas are combined by themselves. Lines of both, and the borders of areas, are cut where they meet;
//! each piece then lies in, on or outside of either geometry as a whole, and so do the places where
//! pieces end. What lies on a result of more dimensions is left out.

use std::collections::HashMap;

use geo::{
    BooleanOps, Coord, CoordsIter, Distance, Euclidean, Geometry, GeometryCollection, Intersects,
    Line, LineString, LinesIter, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon,
    line_intersection::{LineIntersection, line_intersection},
};

use super::is_empty;

/// What to make of two geometries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Union,
    Intersection,
    Difference,
    SymmetricDifference,
}

impl Operation {
    /// Is what lies so part of the result?
    fn keeps(self, in_a: bool, in_b: bool) -> bool {
        match self {
            Self::Union => in_a || in_b,
            Self::Intersection => in_a && in_b,
            Self::Difference => in_a && !in_b,
            Self::SymmetricDifference => in_a != in_b,
        }
    }
}

/// A geometry by dimensions.
#[derive(Default)]
struct Parts {
    points: Vec<Coord>,
    lines: Vec<LineString>,
    areas: Vec<Polygon>,
}

impl Parts {
    fn of(shape: &Geometry) -> Self {
        let mut parts = Self::default();
        parts.take(shape);
        parts
    }

    fn take(&mut self, shape: &Geometry) {
        match shape {
            Geometry::Point(point) if point.x().is_nan() => {}
            Geometry::Point(point) => self.points.push(point.0),
            Geometry::MultiPoint(points) => self.points.extend(points.iter().map(|p| p.0)),
            Geometry::LineString(line) => self.lines.push(line.clone()),
            Geometry::MultiLineString(lines) => self.lines.extend(lines.0.iter().cloned()),
            Geometry::Polygon(polygon) => self.areas.push(polygon.clone()),
            Geometry::MultiPolygon(polygons) => self.areas.extend(polygons.0.iter().cloned()),
            Geometry::GeometryCollection(all) => all.0.iter().for_each(|part| self.take(part)),
            Geometry::Line(line) => self.lines.push(line.into()),
            Geometry::Rect(rect) => self.areas.push(rect.to_polygon()),
            Geometry::Triangle(triangle) => self.areas.push(triangle.to_polygon()),
        }
    }

    /// The areas without overlaps.
    fn area(&self) -> MultiPolygon {
        let mut areas = self.areas.iter();
        let Some(first) = areas.next() else {
            return MultiPolygon(vec![]);
        };
        let first = MultiPolygon(vec![first.clone()]);
        areas.fold(first, |whole, next| whole.union(next))
    }

    fn has_areas_only(&self) -> bool {
        self.points.is_empty() && self.lines.is_empty()
    }

    fn dimension(&self) -> usize {
        match () {
            () if !self.areas.is_empty() => 2,
            () if !self.lines.is_empty() => 1,
            () => 0,
        }
    }
}

pub(super) fn combined(a: Geometry, b: Geometry, operation: Operation) -> Geometry {
    use Operation::{Difference, Intersection};
    if is_empty(&a) || is_empty(&b) {
        return match operation {
            Intersection if is_empty(&a) => a,
            Intersection => b,
            Difference => a,
            _ if is_empty(&a) => b,
            _ => a,
        };
    }
    let (a, b) = (Parts::of(&a), Parts::of(&b));
    let (in_a, in_b) = (a.area(), b.area());
    let area = match operation {
        Operation::Union => in_a.union(&in_b),
        Intersection => in_a.intersection(&in_b),
        Difference => in_a.difference(&in_b),
        Operation::SymmetricDifference => in_a.xor(&in_b),
    };
    if operation != Intersection && a.has_areas_only() && b.has_areas_only() {
        return whole(vec![], vec![], area, 2);
    }
    let cut = Cut::new(&a, &b, &in_a, &in_b);
    // Of an intersection, borders that touch are part.
    let is_part = |piece: &Piece| match operation {
        Intersection => piece.in_a && piece.in_b,
        _ => operation.keeps(piece.in_a, piece.in_b) && (piece.line_of_a || piece.line_of_b),
    };
    let near = nearness(&in_a, &in_b);
    let is_outside = |at: Coord| {
        let at = Point(at);
        !area.intersects(&at) && (area.0.is_empty() || Euclidean.distance(&at, &area) > near)
    };
    let pieces = cut.pieces.iter().filter(|piece| is_part(piece));
    let kept: Vec<Line> = pieces
        .filter(|piece| is_outside(middle(piece.line)))
        .map(|piece| piece.line)
        .collect();
    let ends: HashMap<Key, Coord> = kept
        .iter()
        .flat_map(|line| [line.start, line.end])
        .map(|end| (key(end), end))
        .collect();
    let mut points = match operation {
        Intersection => cut.meetings(&a, &b, &in_a, &in_b),
        _ => loose(&a, &b, &cut, operation, &in_a, &in_b),
    };
    points.retain(|at| !ends.contains_key(&key(*at)) && is_outside(*at));
    whole(points, joined(kept), area, a.dimension())
}

/// How far from an area a place may seem to lie that is on its border: corners are rounded to a grid.
fn nearness(a: &MultiPolygon, b: &MultiPolygon) -> f64 {
    let all = a.coords_iter().chain(b.coords_iter());
    let largest = all.fold(0.0, |most: f64, at| most.max(at.x.abs()).max(at.y.abs()));
    largest * 1e-8
}

/// Points of either geometry that are kept.
fn loose(
    a: &Parts,
    b: &Parts,
    cut: &Cut,
    operation: Operation,
    in_a: &MultiPolygon,
    in_b: &MultiPolygon,
) -> Vec<Coord> {
    let is_in = |points: &[Coord], area: &MultiPolygon, first: bool, at: Coord| {
        points.contains(&at) || area.intersects(&Point(at)) || cut.passes(at, first)
    };
    let all = a.points.iter().chain(&b.points).copied();
    all.filter(|at| {
        let in_first = is_in(&a.points, in_a, true, *at);
        let in_second = is_in(&b.points, in_b, false, *at);
        operation.keeps(in_first, in_second)
    })
    .collect()
}

/// A place, so that equal ones are found.
type Key = (u64, u64);

fn key(at: Coord) -> Key {
    // Zero has two signs.
    ((at.x + 0.0).to_bits(), (at.y + 0.0).to_bits())
}

fn middle(line: Line) -> Coord {
    (line.start + line.end) / 2.0
}

/// Part of a line or border that meets others at its ends alone.
struct Piece {
    line: Line,
    line_of_a: bool,
    line_of_b: bool,
    in_a: bool,
    in_b: bool,
}

/// Lines and borders of two geometries, cut where they meet.
struct Cut {
    pieces: Vec<Piece>,
}

/// Whose a segment is, and whether it is a border.
#[derive(Clone, Copy)]
struct Owned {
    line: Line,
    of_a: bool,
    is_border: bool,
}

impl Cut {
    fn new(a: &Parts, b: &Parts, in_a: &MultiPolygon, in_b: &MultiPolygon) -> Self {
        let segments: Vec<_> = owned(a, in_a, true).chain(owned(b, in_b, false)).collect();
        let points = a
            .points
            .iter()
            .chain(&b.points)
            .copied()
            .collect::<Vec<_>>();
        let mut pieces: HashMap<(Key, Key), Piece> = HashMap::new();
        let mut order = Vec::new();
        for (segment, cuts) in segments.iter().zip(cuts(&segments, &points)) {
            for ends in cuts.windows(2) {
                let line = upwards(Line::new(ends[0], ends[1]));
                let place = (key(line.start), key(line.end));
                let piece = pieces.entry(place).or_insert_with(|| {
                    order.push(place);
                    let at = Point(middle(line));
                    Piece {
                        line,
                        line_of_a: false,
                        line_of_b: false,
                        in_a: in_a.intersects(&at),
                        in_b: in_b.intersects(&at),
                    }
                });
                piece.line_of_a |= segment.of_a && !segment.is_border;
                piece.line_of_b |= !segment.of_a && !segment.is_border;
                piece.in_a |= segment.of_a;
                piece.in_b |= !segment.of_a;
            }
        }
        let pieces = order
            .iter()
            .filter_map(|place| pieces.remove(place))
            .collect();
        Self { pieces }
    }

    /// Does a line of the first (or else the second) geometry go through this place?
    fn passes(&self, at: Coord, first: bool) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| {
            let is_own = if first { piece.in_a } else { piece.in_b };
            is_own && (piece.line.start == at || piece.line.end == at)
        })
    }

    /// Places that are part of both geometries.
    fn meetings(
        &self,
        a: &Parts,
        b: &Parts,
        in_a: &MultiPolygon,
        in_b: &MultiPolygon,
    ) -> Vec<Coord> {
        let mut ends: HashMap<Key, (bool, bool)> = HashMap::new();
        let mut places = Vec::new();
        let mut add = |at: Coord, of_a: bool, of_b: bool| {
            let known = ends.entry(key(at)).or_insert_with(|| {
                places.push(at);
                let at = Point(at);
                (in_a.intersects(&at), in_b.intersects(&at))
            });
            known.0 |= of_a;
            known.1 |= of_b;
        };
        for piece in &self.pieces {
            add(piece.line.start, piece.in_a, piece.in_b);
            add(piece.line.end, piece.in_a, piece.in_b);
        }
        a.points.iter().for_each(|at| add(*at, true, false));
        b.points.iter().for_each(|at| add(*at, false, true));
        places.retain(|at| ends.get(&key(*at)) == Some(&(true, true)));
        places
    }
}

/// The lines of a geometry and the borders of its areas.
fn owned<'a>(
    parts: &'a Parts,
    area: &'a MultiPolygon,
    of_a: bool,
) -> impl Iterator<Item = Owned> + 'a {
    let own = move |is_border: bool| {
        move |line: Line| Owned {
            line,
            of_a,
            is_border,
        }
    };
    let lines = parts
        .lines
        .iter()
        .flat_map(|line| line.lines())
        .map(own(false));
    lines.chain(area.lines_iter().map(own(true)))
}

/// The places where each segment begins, meets others, and ends, in this order.
fn cuts(segments: &[Owned], points: &[Coord]) -> Vec<Vec<Coord>> {
    let mut cuts: Vec<Vec<Coord>> = segments
        .iter()
        .map(|segment| vec![segment.line.start, segment.line.end])
        .collect();
    for (i, first) in segments.iter().enumerate() {
        let on = points
            .iter()
            .filter(|at| first.line.intersects(&Point(**at)));
        cuts[i].extend(on);
        for (j, second) in segments.iter().enumerate().skip(i + 1) {
            let meet = match line_intersection(first.line, second.line) {
                None => continue,
                Some(LineIntersection::SinglePoint { intersection, .. }) => [intersection; 2],
                Some(LineIntersection::Collinear { intersection }) => {
                    [intersection.start, intersection.end]
                }
            };
            cuts[i].extend(meet);
            cuts[j].extend(meet);
        }
    }
    for (segment, cuts) in segments.iter().zip(&mut cuts) {
        let far = |at: &Coord| {
            let step = *at - segment.line.start;
            step.x * step.x + step.y * step.y
        };
        cuts.sort_by(|a, b| far(a).total_cmp(&far(b)));
        cuts.dedup();
    }
    cuts
}

/// From its lower, or else left, end.
fn upwards(line: Line) -> Line {
    let (from, to) = (line.start, line.end);
    match (to.y, to.x) < (from.y, from.x) {
        true => Line::new(to, from),
        false => line,
    }
}

/// Pieces that meet by two become one line; the lines are in the order of their beginnings, from below.
fn joined(pieces: Vec<Line>) -> Vec<LineString> {
    let mut at: HashMap<Key, Vec<usize>> = HashMap::new();
    for (index, piece) in pieces.iter().enumerate() {
        at.entry(key(piece.start)).or_default().push(index);
        at.entry(key(piece.end)).or_default().push(index);
    }
    let mut is_used = vec![false; pieces.len()];
    let mut lines = Vec::new();
    // Lines that end somewhere come first; what is left are rings.
    for is_ring in [false, true] {
        for (start, piece) in pieces.iter().enumerate() {
            for from in [piece.start, piece.end] {
                let is_end = at[&key(from)].len() != 2;
                if is_used[start] || !is_end && !is_ring {
                    continue;
                }
                let mut line = vec![from];
                let (mut here, mut next) = (from, Some(start));
                while let Some(index) = next {
                    is_used[index] = true;
                    let piece = pieces[index];
                    here = if piece.start == here {
                        piece.end
                    } else {
                        piece.start
                    };
                    line.push(here);
                    let around = &at[&key(here)];
                    let mut around = around.iter().filter(|_| around.len() == 2);
                    next = around.find(|other| !is_used[**other]).copied();
                }
                lines.push(LineString(line));
            }
        }
    }
    for line in &mut lines {
        let (first, last) = (line.0[0], line.0[line.0.len() - 1]);
        if below(&last, &first).is_lt() {
            line.0.reverse();
        }
    }
    lines.sort_by(|a, b| below(&a.0[0], &b.0[0]));
    lines
}

/// The lower, or else left, one first.
fn below(a: &Coord, b: &Coord) -> std::cmp::Ordering {
    a.y.total_cmp(&b.y).then(a.x.total_cmp(&b.x))
}

/// Rings that begin at their lowest corners, so that equal areas have one text.
fn begun_below(polygon: Polygon) -> Polygon {
    let begun = |mut ring: LineString| {
        ring.0.pop();
        let lowest = (0..ring.0.len()).min_by(|a, b| below(&ring.0[*a], &ring.0[*b]));
        ring.0.rotate_left(lowest.unwrap_or(0));
        ring
    };
    let (outer, holes) = polygon.into_inner();
    // It closes the rings again.
    Polygon::new(begun(outer), holes.into_iter().map(begun).collect())
}

/// A geometry of as few wrappings as may be. An empty one is one of areas, unless it was made of points.
fn whole(
    mut points: Vec<Coord>,
    lines: Vec<LineString>,
    area: MultiPolygon,
    dimension: usize,
) -> Geometry {
    let mut seen = std::collections::HashSet::new();
    points.retain(|at| seen.insert(key(*at)));
    let points: Vec<Point> = points.into_iter().map(Point).collect();
    let mut parts: Vec<Geometry> = Vec::new();
    match points.as_slice() {
        [] => {}
        [only] => parts.push((*only).into()),
        _ => parts.push(MultiPoint(points).into()),
    }
    match <[LineString; 1]>::try_from(lines) {
        Ok([only]) => parts.push(only.into()),
        Err(none) if none.is_empty() => {}
        Err(many) => parts.push(MultiLineString(many).into()),
    }
    let mut polygons: Vec<_> = area.0.into_iter().map(begun_below).collect();
    polygons.sort_by(|a, b| below(&a.exterior().0[0], &b.exterior().0[0]));
    match <[Polygon; 1]>::try_from(polygons) {
        Ok([only]) => parts.push(only.into()),
        Err(none) if none.is_empty() => {}
        Err(many) => parts.push(MultiPolygon(many).into()),
    }
    match <[Geometry; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(none) if none.is_empty() => match dimension {
            1 => MultiLineString(vec![]).into(),
            _ => MultiPolygon(vec![]).into(),
        },
        Err(many) => Geometry::GeometryCollection(GeometryCollection(many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::geo::text;

    fn combine(a: &str, b: &str, operation: Operation) -> String {
        let read = |wkt| text::read(wkt).unwrap();
        text::write(&combined(read(a), read(b), operation))
    }

    #[test]
    fn kinds_are_combined() {
        use Operation::{Difference, Intersection, SymmetricDifference, Union};
        let square = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0))";
        let through = "LINESTRING (-2 2, 6 2)";
        for (a, b, operation, expected) in [
            ("POINT (1 1)", square, Intersection, "POINT (1 1)"),
            ("POINT (9 1)", square, Intersection, "MULTIPOLYGON EMPTY"),
            ("POINT (9 1)", "POINT EMPTY", Intersection, "POINT EMPTY"),
            ("POINT EMPTY", square, Union, square),
            (through, square, Intersection, "LINESTRING (0 2, 4 2)"),
            (
                through,
                square,
                Difference,
                "MULTILINESTRING ((-2 2, 0 2), (4 2, 6 2))",
            ),
            (square, through, Difference, square),
            (
                square,
                "POLYGON ((4 1, 8 1, 8 3, 4 3, 4 1))",
                Intersection,
                "LINESTRING (4 1, 4 3)",
            ),
            (square, "LINESTRING (4 4, 5 5)", Intersection, "POINT (4 4)"),
            (
                "POINT (1 1)",
                "MULTIPOINT ((1 1), (2 2))",
                SymmetricDifference,
                "POINT (2 2)",
            ),
            (
                "LINESTRING (0 0, 4 4)",
                "LINESTRING (0 4, 4 0)",
                Union,
                "MULTILINESTRING ((0 0, 2 2), (4 0, 2 2), (2 2, 4 4), (2 2, 0 4))",
            ),
            (
                "LINESTRING (0 0, 6 0)",
                "LINESTRING (2 0, 4 0, 4 2)",
                Intersection,
                "LINESTRING (2 0, 4 0)",
            ),
            (
                "LINESTRING (0 0, 2 0, 4 0)",
                "LINESTRING (6 0, 4 0)",
                Union,
                "LINESTRING (0 0, 2 0, 4 0, 6 0)",
            ),
            (
                "GEOMETRYCOLLECTION (POINT (9 9), LINESTRING (1 1, 6 1))",
                square,
                Union,
                "GEOMETRYCOLLECTION (POINT (9 9), LINESTRING (4 1, 6 1), POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0)))",
            ),
            (
                "LINESTRING (0 0, 1 1)",
                "LINESTRING (0 0, 1 1)",
                Difference,
                "MULTILINESTRING EMPTY",
            ),
        ] {
            assert_eq!(combine(a, b, operation), expected, "{a} {b}");
        }
    }

    #[test]
    fn borders_between_grid_points_leave_no_lines() {
        let a = "POLYGON ((0.1 0.3, 7.7 0.9, 7.1 5.3, 0.7 6.1, 0.1 0.3))";
        let b = "POLYGON ((3.3 -1.1, 9.9 2.3, 5.7 8.9, 2.1 3.7, 3.3 -1.1))";
        let found = combine(a, b, Operation::Intersection);
        assert!(found.starts_with("POLYGON"), "{found}");
    }

    #[test]
    fn a_ring_of_lines_stays_whole() {
        let ring = "LINESTRING (0 0, 2 0, 2 2, 0 0)";
        let union = combine(ring, ring, Operation::Union);
        let Geometry::LineString(line) = text::read(&union).unwrap() else {
            panic!("{union}");
        };
        assert!(line.is_closed() && line.0.len() == 4, "{union}");
    }
}
