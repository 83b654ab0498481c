//! A user's table over a CloudTrail delivery: its columns, in its types, and its partition columns, over the table
//! files of the source that mirrors its LOCATION.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringBuilder, StructArray},
        buffer::NullBuffer,
        datatypes::{DataType, Field, FieldRef, Fields},
    },
    catalog::{TableProvider, view::ViewTable},
    common::{Result as DataFusionResult, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
        expr::ScalarFunction,
        expr_fn::{cast, try_cast},
        ident, lit,
    },
};
use kennel_athena::statement::HiveTable;
use kennel_cache::{CacheError, TrailFolder, TrailPlace, TrailTable as TrailKind, View};

use super::{
    Located, Partitioning,
    conform::conformed,
    partitions::{Values, is_placeholder},
};
use crate::{
    catalog::{
        Hidden, Shared, external, places,
        trail::{self, Whose},
    },
    trail::schema::{EXTRA_COLUMN, PARTITION_COLUMNS, RECORD, event_schema},
};

/// Opens it.
pub(super) fn open(
    shared: &Arc<Shared>,
    name: &str,
    declared: &HiveTable,
    located: &Located,
    partitioning: &Partitioning,
    view: View,
    hidden: Hidden,
) -> DataFusionResult<Arc<dyn TableProvider>> {
    let folder = folder_of(&located.prefix);
    let places = places_of(shared, located)?;
    let kind = match folder {
        TrailFolder::Insight => TrailKind::Insights,
        TrailFolder::NetworkActivity => TrailKind::NetworkActivity,
        TrailFolder::Aggregated => TrailKind::Aggregated,
        TrailFolder::CloudTrail | TrailFolder::Digest => TrailKind::Events,
    };
    let of_places = PlaceValues::new(&places, partitioning, declared);
    let whose = match of_places.known.is_empty() {
        true => Whose::Nobodys,
        false => Whose::Of(&located.source),
    };
    let plan = trail::scan(shared, name, kind, whose, view, hidden)?;
    let plan = match of_places.filter() {
        Some(filter) => plan.filter(filter)?,
        None => plan,
    };
    let mut columns = declared
        .columns
        .iter()
        .map(
            |column| match record_fields(&column.name, &column.data_type) {
                Some(fields) => records(&column.name, fields),
                None => record_column(&column.name, &column.data_type),
            },
        )
        .collect::<DataFusionResult<Vec<_>>>()?;
    columns.extend(of_places.columns(declared, &places));
    columns.extend(trail::hidden_columns(hidden));
    let plan = plan.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The folders of a delivery that are mirrored, of the kind that the location is of.
fn places_of(shared: &Shared, located: &Located) -> DataFusionResult<Vec<TrailPlace>> {
    let mut places = match shared.cache() {
        Some(cache) => match cache.trail_places(&located.source) {
            // Configured, and never synced: the answer says so.
            Err(CacheError::UnknownSource { .. }) => vec![],
            places => places.map_err(external)?,
        },
        None => vec![],
    };
    let folder = folder_of(&located.prefix);
    places.retain(|place| place.prefix.folder == folder);
    Ok(places)
}

/// Whether something of what is mirrored is part of a table over this location.
pub(crate) fn has_rows(
    shared: &Shared,
    located: &Located,
    partitioning: &Partitioning,
) -> DataFusionResult<bool> {
    let places = places_of(shared, located)?;
    let mut keys = places.iter().map(|place| place.prefix.day(place.day));
    Ok(keys.any(|key| partitioning.values(&key, &[]).is_some()))
}

/// The folder below an account that is another service's: `AWSLogs/111122223333/vpcflowlogs/`.
pub(crate) fn other_service(prefix: &str) -> Option<&str> {
    let mut folders = prefix
        .split('/')
        .skip_while(|folder| *folder != "AWSLogs")
        .skip(1);
    let is_account =
        |folder: &str| folder.len() == 12 && folder.bytes().all(|b| b.is_ascii_digit());
    folders
        .by_ref()
        .find(|folder| is_account(folder) || is_placeholder(folder))?;
    let service = folders.next().filter(|service| !service.is_empty())?;
    let is_ours = service.starts_with("CloudTrail") || is_placeholder(service);
    (!is_ours).then_some(service)
}

/// The folder that a prefix is in; that of events where it is above all of them.
fn folder_of(prefix: &str) -> TrailFolder {
    let folder = prefix.split('/').find_map(|folder| folder.parse().ok());
    folder.unwrap_or(TrailFolder::CloudTrail)
}

/// Whether a location is one of digests, which hold no events.
pub(crate) fn is_digest(prefix: &str) -> bool {
    folder_of(prefix) == TrailFolder::Digest
}

/// A column of the record by its name, in the declared type; null where records have no such field.
fn record_column(name: &str, to: &DataType) -> DataFusionResult<Expr> {
    let is_known = RECORD
        .iter()
        .any(|field| field.name.eq_ignore_ascii_case(name))
        || name == EXTRA_COLUMN
        || PARTITION_COLUMNS.contains(&name);
    if !is_known {
        return Ok(lit(ScalarValue::try_from(to)?).alias(name));
    }
    let schema = event_schema();
    let from = schema.field_with_name(name)?.data_type();
    Ok(named(conformed(ident(name), from, to, name), name))
}

/// The fields of a record where a column is all that a file holds: `Records array<struct<…>>`.
fn record_fields<'a>(name: &str, declared: &'a DataType) -> Option<&'a Fields> {
    match declared {
        DataType::List(element) if name.eq_ignore_ascii_case("records") => {
            match element.data_type() {
                DataType::Struct(fields) => Some(fields),
                _ => None,
            }
        }
        _ => None,
    }
}

/// An array of the one record of a row. A file would be one array of all its records; what `UNNEST` makes of both is
/// the same, and this one needs no file as a whole.
fn records(name: &str, fields: &Fields) -> DataFusionResult<Expr> {
    let mut members = Vec::with_capacity(fields.len() * 2);
    for field in fields {
        members.push(lit(field.name().as_str()));
        members.push(record_column(
            &field.name().to_lowercase(),
            field.data_type(),
        )?);
    }
    let call = |function, args| Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
    let record = call(datafusion::functions::core::named_struct(), members);
    let array = datafusion::functions_nested::make_array::make_array_udf();
    Ok(call(array, vec![record]).alias(name))
}

/// An expression under a name. A column that has it already needs no alias; DataFusion, which moves fields of structs
/// towards the scan, would take the two for different columns.
fn named(expr: Expr, name: &str) -> Expr {
    match &expr {
        Expr::Column(column) if column.name == name => expr,
        _ => expr.alias(name),
    }
}

/// What tells a folder: account, region and day, or, where two trails deliver the same, its key.
type Key = [String; 3];

/// The name of the function that tells a row's partition; it looks at no more than the folder of an object's key.
pub(crate) const PARTITION_FUNCTION: &str = "kennel_partition";

/// The partition values of folders, in the form in which a plan can use them.
struct PlaceValues {
    function: Arc<ScalarUDF>,
    known: Arc<HashMap<Key, Values>>,
    /// Whether every folder is part of the table.
    is_all: bool,
    /// Whether only the keys of objects tell folders apart.
    by_key: bool,
}

impl PlaceValues {
    fn new(places: &[TrailPlace], partitioning: &Partitioning, declared: &HiveTable) -> Self {
        let of = |place: &TrailPlace| partitioning.values(&place.prefix.day(place.day), &[]);
        let mut by_place = HashMap::new();
        let by_key = places.iter().any(|place| {
            let values = of(place);
            let first = by_place
                .entry(key_of(place, false))
                .or_insert_with(|| values.clone());
            *first != values
        });
        let mut known = HashMap::new();
        for place in places {
            if let Some(values) = of(place) {
                known.insert(key_of(place, by_key), values);
            }
        }
        let is_all = places
            .iter()
            .all(|place| known.contains_key(&key_of(place, by_key)));
        let known = Arc::new(known);
        let fields = declared
            .partition_columns
            .iter()
            .map(|column| Field::new(&column.name, DataType::Utf8, true))
            .collect();
        let function = PartitionValues {
            signature: Signature::variadic_any(Volatility::Immutable),
            known: Arc::clone(&known),
            fields,
        };
        Self {
            function: Arc::new(ScalarUDF::new_from_impl(function)),
            known,
            is_all,
            by_key,
        }
    }

    fn call(&self) -> Expr {
        let place = match self.by_key {
            true => vec![ident("object_key")],
            false => ["account", "region", "timestamp"].map(ident).to_vec(),
        };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&self.function), place))
    }

    /// Leaves out what is not part of the table.
    fn filter(&self) -> Option<Expr> {
        (!self.is_all && !self.known.is_empty()).then(|| self.call().is_not_null())
    }

    /// The partition columns.
    fn columns(&self, declared: &HiveTable, places: &[TrailPlace]) -> Vec<Expr> {
        let column = |(index, column): (usize, &kennel_athena::statement::Column)| {
            let value = match self.same_as(index, places) {
                Some(name) => ident(name),
                None => {
                    let get_field = datafusion::functions::core::get_field();
                    let args = vec![self.call(), lit(column.name.as_str())];
                    Expr::ScalarFunction(ScalarFunction::new_udf(get_field, args))
                }
            };
            let value = match &column.data_type {
                DataType::Utf8 => value,
                DataType::Date32 => try_cast(slashes_to_dashes(value), DataType::Date32),
                other => cast(value, other.clone()),
            };
            named(value, &column.name)
        };
        declared
            .partition_columns
            .iter()
            .enumerate()
            .map(column)
            .collect()
    }

    /// The column of the records that always has the same value: it has statistics of its own.
    fn same_as(&self, index: usize, places: &[TrailPlace]) -> Option<&'static str> {
        PARTITION_COLUMNS.into_iter().find(|column| {
            let mut in_table = places
                .iter()
                .filter_map(|place| Some((place, self.known.get(&key_of(place, self.by_key))?)));
            in_table.all(|(place, values)| {
                values[index].as_deref() == Some(places::value(place, column))
            })
        })
    }
}

/// A day as a cast to a date reads it.
fn slashes_to_dashes(text: Expr) -> Expr {
    datafusion::functions::string::expr_fn::replace(text, lit("/"), lit("-"))
}

fn key_of(place: &TrailPlace, by_key: bool) -> Key {
    match by_key {
        true => [place.prefix.day(place.day), String::new(), String::new()],
        false => [
            place.prefix.account_id.to_string(),
            place.prefix.region.clone(),
            place.day.to_string(),
        ],
    }
}

/// The folder of an object's key, with `/` at its end.
fn folder_of_key(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

/// The values of a row's folder; null when it is not part of the table.
#[derive(Debug)]
struct PartitionValues {
    signature: Signature,
    known: Arc<HashMap<Key, Values>>,
    fields: Fields,
}

impl PartialEq for PartitionValues {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }
}

impl Eq for PartitionValues {}

impl std::hash::Hash for PartitionValues {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.fields.hash(state);
    }
}

impl ScalarUDFImpl for PartitionValues {
    fn name(&self) -> &str {
        PARTITION_FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        // Without partition columns the row says only whether it is part of the table.
        Ok(DataType::Struct(self.fields_or_one()))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let data_type = DataType::Struct(self.fields_or_one());
        Ok(Arc::new(Field::new("partition", data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let row_count = args.number_rows;
        // Constants are arrays of one.
        let arrays = args
            .args
            .iter()
            .map(|value| texts(&value.to_array(row_count)?));
        let arrays = arrays.collect::<DataFusionResult<Vec<_>>>()?;
        let fields = self.fields_or_one();
        let mut columns = fields
            .iter()
            .map(|_| StringBuilder::new())
            .collect::<Vec<_>>();
        let mut is_known = Vec::with_capacity(row_count);
        // Neighbours mostly come from one folder.
        let mut last: Option<(Key, Option<&Values>)> = None;
        for row in 0..row_count {
            let text = |index: usize| match arrays.get(index) {
                Some(array) if array.is_valid(row) => array.as_string::<i32>().value(row),
                _ => "",
            };
            let place = match arrays.len() {
                1 => [folder_of_key(text(0)), "", ""],
                _ => [text(0), text(1), text(2)],
            };
            let is_last = last
                .as_ref()
                .is_some_and(|(key, _)| key.each_ref().map(String::as_str) == place);
            if !is_last {
                let key = place.map(str::to_owned);
                let found = self.known.get(&key);
                last = Some((key, found));
            }
            let values = last.as_ref().and_then(|(_, found)| *found);
            is_known.push(values.is_some());
            for (index, column) in columns.iter_mut().enumerate() {
                column.append_option(values.and_then(|values| values.get(index)?.as_deref()));
            }
        }
        let columns = columns
            .into_iter()
            .map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let made = StructArray::try_new_with_length(
            fields,
            columns.collect(),
            Some(NullBuffer::from(is_known)),
            row_count,
        );
        Ok(ColumnarValue::Array(Arc::new(made?)))
    }
}

impl PartitionValues {
    fn fields_or_one(&self) -> Fields {
        match self.fields.is_empty() {
            true => vec![Field::new("is_part", DataType::Utf8, true)].into(),
            false => self.fields.clone(),
        }
    }
}

fn texts(array: &ArrayRef) -> DataFusionResult<ArrayRef> {
    Ok(datafusion::arrow::compute::cast(array, &DataType::Utf8)?)
}
