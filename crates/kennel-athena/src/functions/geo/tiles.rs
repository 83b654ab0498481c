//! Bing's map tiles, held by their quadkeys: one digit for each zoom level.
//!
//! Source: Trino manual, "Bing tiles"; Microsoft, "Bing Maps tile system".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, Int32Array, StringArray},
        datatypes::{DataType, Field, Fields},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{BoundingRect, Coord, Geometry, Intersects, Rect};

use super::{Kind, Shapes, around, geometry_type, measure::frame, solid, to_shapes, typed};
use crate::{
    functions::{
        nested::{Nested, list, rows},
        opaque,
        scalar::Call,
        unify::list_of,
    },
    types,
};

const MOST_ZOOM: i64 = 23;
pub(super) const FARTHEST_LATITUDE: f64 = 85.051_128_78;
/// Largest number of tiles that cover a geometry.
pub(super) const MOST_TILES: i64 = 1_000_000;

pub(super) fn tile_type() -> DataType {
    types::opaque("bingtile", DataType::Utf8)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) zoom: i64,
}

const PLACE: &[Kind] = &[Kind::Double, Kind::Double, Kind::Integer];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [makers(), facts()].concat()
}

/// What makes tiles.
fn makers() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "bing_tile",
            "bing_tile(x, y, zoom_level), bing_tile(quadkey)",
            |given| match typed(given, &[Kind::Text], tile_type())? {
                None => typed(given, &[Kind::Integer; 3], tile_type()),
                found => Ok(found),
            },
            |call| match call.args.len() {
                1 => {
                    let keys = call.text(0);
                    to_tiles(call, |row| Tile::read(keys.value(row)))
                }
                _ => to_tiles(call, |row| {
                    let [x, y, zoom] = [0, 1, 2].map(|index| call.integers(index).value(row));
                    Tile::try_new(x, y, zoom)
                }),
            },
        ),
        Nested::new(
            "bing_tile_at",
            "bing_tile_at(latitude, longitude, zoom_level)",
            |given| typed(given, PLACE, tile_type()),
            |call| to_tiles(call, |row| at(call, row)),
        ),
        Nested::new(
            "bing_tiles_around",
            "bing_tiles_around(latitude, longitude, zoom_level), bing_tiles_around(latitude, longitude, zoom_level, radius_in_km)",
            |given| match typed(given, PLACE, list_of(tile_type()))? {
                None => {
                    let kinds = [PLACE, &[Kind::Double]].concat();
                    typed(given, &kinds, list_of(tile_type()))
                }
                found => Ok(found),
            },
            |call| {
                to_lists(call, |row| {
                    let tile = at(call, row)?;
                    if call.args.len() == PLACE.len() {
                        return Ok(tile.around());
                    }
                    let [latitude, longitude, radius] =
                        [0, 1, 3].map(|index| call.doubles(index).value(row));
                    around::within(latitude, longitude, tile.zoom, radius)
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

/// What a tile is.
fn facts() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "bing_tile_coordinates",
            "bing_tile_coordinates(bingtile)",
            |given| typed(given, &[Kind::Tile], DataType::Struct(coordinates())),
            |call| {
                let tiles = tiles(call);
                let column = |of: fn(&Tile) -> i64| -> ArrayRef {
                    let each = tiles
                        .iter()
                        .map(|tile| tile.as_ref().map(|tile| of(tile) as i32));
                    Arc::new(Int32Array::from_iter(each))
                };
                rows(
                    &coordinates(),
                    vec![column(|tile| tile.x), column(|tile| tile.y)],
                )
            },
        ),
        Nested::new(
            "bing_tile_polygon",
            "bing_tile_polygon(bingtile)",
            |given| typed(given, &[Kind::Tile], geometry_type()),
            |call| {
                let tiles = tiles(call);
                to_shapes(call, |row| {
                    Ok(tiles[row].map(|tile| frame(&tile.rect()).into()))
                })
            },
        ),
        Nested::new(
            "bing_tile_quadkey",
            "bing_tile_quadkey(bingtile)",
            |given| typed(given, &[Kind::Tile], DataType::Utf8),
            |call| Ok(opaque::held(&call.args[0])),
        ),
        Nested::new(
            "bing_tile_zoom_level",
            "bing_tile_zoom_level(bingtile)",
            |given| typed(given, &[Kind::Tile], DataType::Int8),
            |call| {
                let tiles = tiles(call);
                call.to_integers(|row| Ok(tiles[row].map(|tile| tile.zoom)))
            },
        ),
        Nested::new(
            "geometry_to_bing_tiles",
            "geometry_to_bing_tiles(geometry, zoom_level)",
            |given| {
                typed(
                    given,
                    &[Kind::Geometry, Kind::Integer],
                    list_of(tile_type()),
                )
            },
            |call| {
                let (shapes, zooms) = (Shapes::new(call, 0), call.integers(1));
                to_lists(call, |row| {
                    covering(solid(shapes.get(row)?), zooms.value(row))
                })
            },
        ),
    ]
    .map(Nested::build)
    .into()
}

fn coordinates() -> Fields {
    let field = |name| Field::new(name, DataType::Int32, true);
    Fields::from(vec![field("x"), field("y")])
}

/// The tiles of argument 0.
fn tiles(call: &Call) -> Vec<Option<Tile>> {
    let keys = opaque::held(&call.args[0]);
    let keys = keys.as_string::<i32>();
    keys.iter().map(|key| Tile::read(key?).ok()).collect()
}

fn to_tiles(call: &Call, mut each: impl FnMut(usize) -> Result<Tile>) -> Result<ArrayRef> {
    let keys = call.to_texts(|row| Ok(Some(each(row)?.quadkey())))?;
    opaque::wrap(keys, &tile_type())
}

fn to_lists(call: &Call, mut each: impl FnMut(usize) -> Result<Vec<Tile>>) -> Result<ArrayRef> {
    let (mut keys, mut sizes, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        valid.push(call.all_valid(row));
        let found = if call.all_valid(row) {
            each(row)?
        } else {
            vec![]
        };
        sizes.push(found.len());
        keys.extend(found.iter().map(Tile::quadkey));
    }
    let keys: ArrayRef = Arc::new(StringArray::from(keys));
    list(opaque::wrap(keys, &tile_type())?, sizes, Some(valid))
}

fn at(call: &Call, row: usize) -> Result<Tile> {
    let (latitude, longitude) = (call.doubles(0).value(row), call.doubles(1).value(row));
    if !(-FARTHEST_LATITUDE..=FARTHEST_LATITUDE).contains(&latitude) {
        return exec_err!("Latitude must be between -85.05112878 and 85.05112878");
    }
    if !(-180.0..=180.0).contains(&longitude) {
        return exec_err!("Longitude must be between -180.0 and 180.0");
    }
    let zoom = call.integers(2).value(row);
    check_zoom(zoom)?;
    Ok(Tile::at(latitude, longitude, zoom))
}

fn check_zoom(zoom: i64) -> Result<()> {
    match zoom {
        1..=MOST_ZOOM => Ok(()),
        ..1 => exec_err!("Zoom level must be > 0"),
        _ => exec_err!("Zoom level must be <= {MOST_ZOOM}"),
    }
}

impl Tile {
    fn try_new(x: i64, y: i64, zoom: i64) -> Result<Self> {
        check_zoom(zoom)?;
        let all = 0..1 << zoom;
        if !all.contains(&x) || !all.contains(&y) {
            return exec_err!(
                "XY coordinates for a Bing tile at zoom level {zoom} must be within [0, {}) range",
                1 << zoom
            );
        }
        Ok(Self { x, y, zoom })
    }

    fn read(quadkey: &str) -> Result<Self> {
        if quadkey.is_empty() {
            return exec_err!("QuadKey must not be empty string");
        }
        if quadkey.len() > MOST_ZOOM as usize {
            return exec_err!("QuadKey must be {MOST_ZOOM} characters or less");
        }
        let mut tile = Self {
            x: 0,
            y: 0,
            zoom: 0,
        };
        for digit in quadkey.chars() {
            let Some(digit) = digit.to_digit(4).map(i64::from) else {
                return exec_err!("Invalid QuadKey digit sequence: {quadkey}");
            };
            tile.x = tile.x << 1 | digit & 1;
            tile.y = tile.y << 1 | digit >> 1;
            tile.zoom += 1;
        }
        Ok(tile)
    }

    pub(super) fn quadkey(&self) -> String {
        let digit = |level: i64| (self.x >> level & 1) + (self.y >> level & 1) * 2;
        (0..self.zoom)
            .rev()
            .map(|level| digit(level).to_string())
            .collect()
    }

    pub(super) fn at(latitude: f64, longitude: f64, zoom: i64) -> Self {
        let size = (256_i64 << zoom) as f64;
        // Pixels first, then tiles, so that edges fall where they do in Trino.
        let tile = |axis: f64| (axis * size).clamp(0.0, size - 1.0) as i64 / 256;
        let sine = latitude.to_radians().sin();
        let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI);
        Self {
            x: tile((longitude + 180.0) / 360.0),
            y: tile(y),
            zoom,
        }
    }

    fn around(self) -> Vec<Self> {
        let all = 0..1 << self.zoom;
        let near = (-1..=1).flat_map(|x| (-1..=1).map(move |y| (self.x + x, self.y + y)));
        near.filter(|(x, y)| all.contains(x) && all.contains(y))
            .map(|(x, y)| Self { x, y, ..self })
            .collect()
    }

    pub(super) fn corner(x: i64, y: i64, zoom: i64) -> Coord {
        let count = (1_i64 << zoom) as f64;
        let up = 0.5 - y as f64 / count;
        let angle = (-up * 2.0 * std::f64::consts::PI).exp().atan();
        Coord {
            x: 360.0 * (x as f64 / count - 0.5),
            y: 90.0 - 360.0 * angle / std::f64::consts::PI,
        }
    }

    fn rect(&self) -> Rect {
        let (upper, lower) = (
            Self::corner(self.x, self.y, self.zoom),
            Self::corner(self.x + 1, self.y + 1, self.zoom),
        );
        Rect::new(upper, lower)
    }
}

/// The tiles that a geometry touches.
fn covering(shape: Geometry, zoom: i64) -> Result<Vec<Tile>> {
    check_zoom(zoom)?;
    let Some(bounds) = shape.bounding_rect() else {
        return Ok(vec![]);
    };
    let (min, max) = (bounds.min(), bounds.max());
    if min.x < -180.0 || max.x > 180.0 {
        return exec_err!("Longitude span for the geometry must be in [-180.00, 180.00] range");
    }
    if min.y < -FARTHEST_LATITUDE || max.y > FARTHEST_LATITUDE {
        return exec_err!("Latitude span for the geometry must be in [-85.05, 85.05] range");
    }
    let (first, mut last) = (Tile::at(max.y, min.x, zoom), Tile::at(min.y, max.x, zoom));
    // A tile of which no more than the upper or left edge is touched does not count.
    let edge = Tile::corner(last.x, last.y, zoom);
    last.x -= i64::from(last.x > first.x && edge.x == max.x);
    last.y -= i64::from(last.y > first.y && edge.y == min.y);
    let count = (last.x - first.x + 1) * (last.y - first.y + 1);
    if count > MOST_TILES {
        return exec_err!(
            "The number of tiles covering input rectangle exceeds the limit of 1M. Number of tiles: {count}. Rectangle: xMin={:.2}, yMin={:.2}, xMax={:.2}, yMax={:.2}. Zoom level: {zoom}.",
            min.x,
            min.y,
            max.x,
            max.y
        );
    }
    let all = (first.x..=last.x).flat_map(|x| (first.y..=last.y).map(move |y| (x, y)));
    let is_point = matches!(shape, Geometry::Point(_));
    Ok(all
        .map(|(x, y)| Tile { x, y, zoom })
        .filter(|tile| is_point || shape.intersects(&tile.rect()))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tiles_lie_where_bing_has_them() {
        assert_eq!(Tile::at(30.12, 60.0, 15).quadkey(), "123030123010121");
        assert_eq!(
            Tile::try_new(21_845, 13_506, 15).unwrap().quadkey(),
            "123030123010121"
        );
        assert!(check_zoom(0).is_err());
        assert!(Tile::try_new(2, 0, 1).is_err());
        assert!(Tile::read("014").is_err());
        assert!(Tile::read(&"0".repeat(24)).is_err());
    }

    proptest! {
        #[test]
        fn a_place_lies_in_its_tile(
            latitude in -85.0_f64..85.0,
            longitude in -180.0_f64..180.0,
            zoom in 1_i64..=MOST_ZOOM,
        ) {
            let tile = Tile::at(latitude, longitude, zoom);
            prop_assert_eq!(Tile::read(&tile.quadkey()).unwrap(), tile);
            let rect = tile.rect();
            prop_assert!(rect.min().x <= longitude + 1e-9 && longitude <= rect.max().x + 1e-9);
            prop_assert!(rect.min().y <= latitude + 1e-9 && latitude <= rect.max().y + 1e-9);
        }
    }
}
