//! Geometries in the plane, points on the globe, and map tiles.
//!
//! A geometry is held as well-known text: it is read for each call, which is enough for the some thousand
//! places that logs name, and what a result shows can be read. Coordinates have two dimensions.
//!
//! Source: Trino manual, "Geospatial functions".

mod around;
mod binary;
mod geojson;
mod hadoop;
mod measure;
mod nearest;
mod overlay;
mod parts;
mod polyline;
mod relations;
mod shapes;
mod simplify;
mod sphere;
mod text;
mod tiles;

pub(super) use relations::{hull_of, union_of};

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        datatypes::DataType,
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};
use geo::{Geometry, GeometryCollection, HasDimensions};

use super::{
    nested::{Typed, list, list_arg, places},
    opaque,
    scalar::Call,
    unify::{element_of, list_of},
};
use crate::types::{self, is_text};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        measure::functions(),
        nearest::functions(),
        parts::functions(),
        polyline::functions(),
        relations::functions(),
        shapes::functions(),
        sphere::functions(),
        tiles::functions(),
    ]
    .concat()
}

/// The type of geometries in the plane.
pub(super) fn geometry_type() -> DataType {
    types::opaque("geometry", DataType::Utf8)
}

fn sphere_type() -> DataType {
    types::opaque("sphericalgeography", DataType::Utf8)
}

/// What a parameter may be.
#[derive(Clone, Copy)]
enum Kind {
    Geometry,
    Geometries,
    Sphere,
    Tile,
    Text,
    Bytes,
    Integer,
    Double,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Geometry => geometry_type(),
            Self::Geometries => list_of(geometry_type()),
            Self::Sphere => sphere_type(),
            Self::Tile => tiles::tile_type(),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Integer => DataType::Int64,
            Self::Double => DataType::Float64,
        }
    }

    fn takes(self, given: &DataType) -> bool {
        *given == DataType::Null
            || match self {
                Self::Text => is_text(given),
                Self::Bytes => types::is_binary(given),
                Self::Integer => given.is_integer(),
                Self::Double => given.is_numeric(),
                Self::Geometries => element_of(given).is_some_and(|element| {
                    *element == geometry_type() || *element == DataType::Null
                }),
                _ => *given == self.data_type(),
            }
    }
}

/// The types of a call that takes these kinds.
fn typed(given: &[DataType], kinds: &[Kind], returns: DataType) -> Result<Option<Typed>> {
    let fits = given.len() == kinds.len() && kinds.iter().zip(given).all(|(k, g)| k.takes(g));
    if !fits {
        return Ok(None);
    }
    let args: Vec<_> = kinds.iter().map(|kind| kind.data_type()).collect();
    Typed::new(args, returns)
}

/// The geometries of an argument.
struct Shapes(StringArray);

impl Shapes {
    fn new(call: &Call, index: usize) -> Self {
        Self::of(&call.args[index])
    }

    fn of(array: &ArrayRef) -> Self {
        Self(opaque::held(array).as_string::<i32>().clone())
    }

    fn get(&self, row: usize) -> Result<Geometry> {
        text::read(self.0.value(row))
    }
}

/// Geometries, one for each row; null where an argument is.
fn to_shapes(
    call: &Call,
    mut each: impl FnMut(usize) -> Result<Option<Geometry>>,
) -> Result<ArrayRef> {
    let texts = call.to_texts(|row| Ok(each(row)?.map(|geometry| text::write(&geometry))))?;
    opaque::wrap(texts, &geometry_type())
}

/// Lists of geometries, one for each row.
fn to_lists(
    call: &Call,
    mut each: impl FnMut(usize) -> Result<Option<Vec<Geometry>>>,
) -> Result<ArrayRef> {
    let (mut texts, mut sizes, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let found = if call.all_valid(row) {
            each(row)?
        } else {
            None
        };
        valid.push(found.is_some());
        let found = found.unwrap_or_default();
        sizes.push(found.len());
        texts.extend(found.iter().map(text::write));
    }
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    list(opaque::wrap(texts, &geometry_type())?, sizes, Some(valid))
}

/// The geometries of a row's list, which may be null.
fn listed(call: &Call, index: usize, row: usize) -> Result<Vec<Option<Geometry>>> {
    let lists = list_arg(call, index);
    let shapes = Shapes::of(lists.values());
    places(lists, row)
        .map(|at| match lists.values().is_null(at) {
            true => Ok(None),
            false => shapes.get(at).map(Some),
        })
        .collect()
}

/// Is there no point in it?
fn is_empty(geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Point(point) => point.x().is_nan(),
        Geometry::GeometryCollection(all) => all.0.iter().all(is_empty),
        geometry => geometry.is_empty(),
    }
}

/// The same without points of no coordinates, which no algorithm knows.
fn solid(geometry: Geometry) -> Geometry {
    match geometry {
        Geometry::Point(point) if point.x().is_nan() => {
            Geometry::GeometryCollection(GeometryCollection(vec![]))
        }
        Geometry::GeometryCollection(all) => {
            Geometry::GeometryCollection(GeometryCollection(all.0.into_iter().map(solid).collect()))
        }
        geometry => geometry,
    }
}

/// Trino's name of a kind of geometry.
fn kind_of(geometry: &Geometry) -> &'static str {
    match geometry {
        Geometry::Point(_) => "POINT",
        Geometry::LineString(_) | Geometry::Line(_) => "LINE_STRING",
        Geometry::MultiPoint(_) => "MULTI_POINT",
        Geometry::MultiLineString(_) => "MULTI_LINE_STRING",
        Geometry::MultiPolygon(_) => "MULTI_POLYGON",
        Geometry::GeometryCollection(_) => "GEOMETRY_COLLECTION",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "POLYGON",
    }
}

/// The name of a kind in messages of Trino that do not shout.
fn class_of(geometry: &Geometry) -> &'static str {
    match geometry {
        Geometry::Point(_) => "Point",
        Geometry::LineString(_) | Geometry::Line(_) => "LineString",
        Geometry::MultiPoint(_) => "MultiPoint",
        Geometry::MultiLineString(_) => "MultiLineString",
        Geometry::MultiPolygon(_) => "MultiPolygon",
        Geometry::GeometryCollection(_) => "GeometryCollection",
        Geometry::Polygon(_) | Geometry::Rect(_) | Geometry::Triangle(_) => "Polygon",
    }
}

/// The error about a geometry of a kind that a function does not take.
fn only<T>(function: &str, kinds: &str, given: &Geometry) -> Result<T> {
    exec_err!(
        "{function} only applies to {kinds}. Input type is: {}",
        kind_of(given)
    )
}
