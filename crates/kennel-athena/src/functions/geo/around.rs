//! The map tiles within a radius around a place.
//!
//! Source: Trino manual, "Bing tiles".

use datafusion::{common::exec_err, error::Result};

use super::{
    sphere::{RADIUS_KM, kilometers},
    tiles::{FARTHEST_LATITUDE, MOST_TILES, Tile},
};

const FARTHEST_KM: f64 = 1000.0;

/// The tiles around a place of the globe: the row and the column of its own tile, then those of the four
/// corners that reach into the circle.
pub(super) fn within(latitude: f64, longitude: f64, zoom: i64, radius: f64) -> Result<Vec<Tile>> {
    if radius.is_nan() || radius < 0.0 {
        return exec_err!("Radius must be >= 0");
    }
    if radius > FARTHEST_KM {
        return exec_err!("Radius must be <= 1,000 km");
    }
    let center = Tile::at(latitude, longitude, zoom);
    let turn = radius / RADIUS_KM;
    let top = Tile::at(moved_up(latitude, turn), longitude, zoom).y;
    let bottom = Tile::at(moved_up(latitude, -turn), longitude, zoom).y;
    let left = Tile::at(latitude, moved_along(latitude, longitude, -turn), zoom).x;
    let right = Tile::at(latitude, moved_along(latitude, longitude, turn), zoom).x;
    let all = 1_i64 << zoom;
    // It may reach around the back of the globe.
    let width = (right - left).rem_euclid(all) + 1;
    let count = width * (bottom - top + 1);
    if count > MOST_TILES {
        return exec_err!(
            "The number of tiles covering input rectangle exceeds the limit of 1M. Number of tiles: {count}. Radius: {radius:.1} km. Zoom level: {zoom}."
        );
    }
    let row = (0..width).map(|step| ((left + step) % all, center.y));
    let column = (top..=bottom)
        .filter(|y| *y != center.y)
        .map(|y| (center.x, y));
    let mut places: Vec<_> = row.chain(column).collect();
    let is_near = |corner_x: i64, corner_y: i64| {
        let corner = Tile::corner(corner_x, corner_y, zoom);
        kilometers((latitude, longitude), (corner.y, corner.x)) <= radius
    };
    // From the edge inwards: what lies behind a tile that is near is near as well.
    let mut corners = |x: i64, inner: i64| {
        let above = (top..center.y).skip_while(|y| !is_near(x + inner, y + 1));
        places.extend(above.map(|y| (x, y)));
        let below = (center.y + 1..=bottom).rev();
        let below = below.skip_while(|y| !is_near(x + inner, *y));
        places.extend(below.map(|y| (x, y)));
    };
    for step in 0..(right - center.x).rem_euclid(all) {
        corners((right - step).rem_euclid(all), 0);
    }
    for step in 0..(center.x - left).rem_euclid(all) {
        corners((left + step) % all, 1);
    }
    Ok(places
        .into_iter()
        .map(|(x, y)| Tile { x, y, zoom })
        .collect())
}

/// North by this part of the globe's radius, or south.
fn moved_up(latitude: f64, turn: f64) -> f64 {
    let latitude = latitude.to_radians();
    let sine = latitude.sin() * turn.cos() + latitude.cos() * turn.sin();
    let moved = sine.clamp(-1.0, 1.0).asin().to_degrees();
    moved.clamp(-FARTHEST_LATITUDE, FARTHEST_LATITUDE)
}

/// East, or west.
fn moved_along(latitude: f64, longitude: f64, turn: f64) -> f64 {
    let latitude = latitude.to_radians();
    let across = turn.sin() * latitude.cos();
    let along = turn.cos() - latitude.sin() * latitude.sin();
    let moved = longitude + across.atan2(along).to_degrees();
    match moved {
        moved if moved > 180.0 => moved - 360.0,
        moved if moved < -180.0 => moved + 360.0,
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(latitude: f64, longitude: f64, zoom: i64, radius: f64) -> Vec<String> {
        let found = within(latitude, longitude, zoom, radius).unwrap();
        found.iter().map(Tile::quadkey).collect()
    }

    #[test]
    fn tiles_reach_as_far_as_the_radius() {
        let expected = ["123030123010120", "123030123010121", "123030123010123"];
        assert_eq!(keys(30.12, 60.0, 15, 0.5), expected);
        assert_eq!(keys(30.12, 60.0, 1, 1000.0), ["1"]);
        assert_eq!(keys(0.0, 180.0, 4, 100.0), ["3111", "2000", "1333", "0222"]);
        assert!(within(0.0, 0.0, 5, -1.0).is_err());
        assert!(within(0.0, 0.0, 5, 1001.0).is_err());
        assert!(within(30.12, 60.0, 20, 100.0).is_err());
    }
}
