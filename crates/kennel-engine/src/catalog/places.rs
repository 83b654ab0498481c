//! Which accounts, regions and days a filter of any form lets through, found by trying it on the folders that the
//! manifest knows: so `concat(year, month, day) >= '20260301'` prunes as a plain comparison does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    common::{
        DFSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result as DataFusionResult,
    logical_expr::{
        Between, BinaryExpr, Expr, expr::InList, expr_rewriter::unnormalize_col, ident, in_list,
        lit,
    },
    physical_expr::{PhysicalExpr, create_physical_expr},
};
use kennel_cache::{Cache, SourceName, TrailFile, TrailPlace};

use super::{external, file_table::contains_subquery};
use crate::{catalog::user::trail::PARTITION_FUNCTION, ingest};

/// The columns whose values a folder tells; of the last it tells the folder.
const PLACE_COLUMNS: [&str; 7] = [
    "account",
    "region",
    "year",
    "month",
    "day",
    "timestamp",
    OBJECT_KEY,
];
const OBJECT_KEY: &str = "object_key";

/// More accounts or regions than this are not listed in a predicate.
const MOST_NAMES: usize = 64;

/// What rows that pass can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    accounts: BTreeSet<String>,
    regions: BTreeSet<String>,
    /// First and last day; `None` when no folder passes.
    days: Option<(String, String)>,
}

/// Tries the filters that folders alone decide; `None` when each of them prunes by itself, or when there is none.
pub(super) fn bounds(
    cache: &Cache,
    sources: &BTreeSet<SourceName>,
    filters: &[Expr],
) -> DataFusionResult<Option<Bounds>> {
    let filters = filters
        .iter()
        .filter(|filter| is_about_places(filter))
        .map(|filter| unnormalize_col(filter.clone()))
        .collect::<Vec<_>>();
    if filters.iter().all(is_plain) {
        return Ok(None);
    }
    let mut places = Vec::new();
    for source in sources {
        places.extend(cache.trail_places(source).map_err(external)?);
    }
    let batch = batch_of(&places)?;
    let schema = DFSchema::try_from(batch.schema())?;
    let mut passing = vec![true; places.len()];
    for filter in &filters {
        let filter =
            create_physical_expr(filter, &schema, &Default::default(), &Default::default())?;
        // A filter that fails on a folder fails on its rows, too: let it do so there.
        let Ok(verdicts) = filter.evaluate(&batch) else {
            return Ok(None);
        };
        let verdicts = verdicts.into_array(places.len())?;
        let verdicts = verdicts.as_boolean();
        for (row, passes) in passing.iter_mut().enumerate() {
            *passes &= verdicts.is_valid(row) && verdicts.value(row);
        }
    }
    let mut bounds = Bounds {
        accounts: BTreeSet::new(),
        regions: BTreeSet::new(),
        days: None,
    };
    for (place, _) in places.iter().zip(passing).filter(|(_, passes)| *passes) {
        bounds.add(place);
    }
    Ok(Some(bounds))
}

fn is_about_places(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && !filter.is_volatile()
        && columns
            .iter()
            .all(|column| PLACE_COLUMNS.contains(&column.name()))
        && !contains_subquery(filter)
        && !looks_at_files(filter)
}

/// Whether a filter looks at more of an object's key than its folder, which is all that is known here.
fn looks_at_files(filter: &Expr) -> bool {
    let mut looks = false;
    let _whole = filter.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr
            && call.func.name() == PARTITION_FUNCTION
        {
            return Ok(TreeNodeRecursion::Jump);
        }
        looks |= matches!(expr, Expr::Column(column) if column.name() == OBJECT_KEY);
        Ok(TreeNodeRecursion::Continue)
    });
    looks
}

/// Whether a filter compares columns with constants: statistics of files decide such a one.
fn is_plain(filter: &Expr) -> bool {
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(_));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op.is_logic_operator() {
            true => is_plain(left) && is_plain(right),
            false => is_column(left) && is_literal(right) || is_literal(left) && is_column(right),
        },
        Expr::InList(InList { expr, list, .. }) => is_column(expr) && list.iter().all(is_literal),
        Expr::Between(Between {
            expr, low, high, ..
        }) => is_column(expr) && is_literal(low) && is_literal(high),
        _ => false,
    }
}

/// A row for each folder, with [`PLACE_COLUMNS`].
fn batch_of(places: &[TrailPlace]) -> DataFusionResult<RecordBatch> {
    let column = |name: &str| match name {
        OBJECT_KEY => {
            let folders = places.iter().map(|place| Some(place.prefix.day(place.day)));
            Arc::new(folders.collect::<StringArray>()) as ArrayRef
        }
        name => {
            let values = places.iter().map(|place| Some(value(place, name)));
            Arc::new(values.collect::<StringArray>()) as ArrayRef
        }
    };
    let fields = PLACE_COLUMNS.map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    Ok(RecordBatch::try_new(
        schema,
        PLACE_COLUMNS.map(column).to_vec(),
    )?)
}

/// What a partition column of `cloudtrail_logs` holds in the rows of a folder.
pub(super) fn value<'a>(place: &'a TrailPlace, column: &str) -> &'a str {
    match column {
        "account" => place.prefix.account_id.as_str(),
        "region" => &place.prefix.region,
        "year" => place.day.year(),
        "month" => place.day.month(),
        "day" => place.day.day(),
        _ => place.day.as_str(),
    }
}

impl Bounds {
    fn add(&mut self, place: &TrailPlace) {
        if !self.accounts.contains(place.prefix.account_id.as_str()) {
            self.accounts.insert(place.prefix.account_id.to_string());
        }
        if !self.regions.contains(&place.prefix.region) {
            self.regions.insert(place.prefix.region.clone());
        }
        let day = place.day.as_str();
        match &mut self.days {
            None => self.days = Some((day.into(), day.into())),
            Some((first, _)) if day < first.as_str() => *first = day.into(),
            Some((_, last)) if day > last.as_str() => *last = day.into(),
            Some(_) => {}
        }
    }

    /// Whether a file can hold such rows.
    pub(super) fn let_through(&self, file: &TrailFile) -> bool {
        let Some((first, last)) = &self.days else {
            return false;
        };
        let known: BTreeMap<String, ingest::ColumnStatistics> =
            serde_json::from_str(&file.file.statistics).unwrap_or_default();
        let meets = |column: &str, wanted: &dyn Fn(&str, &str) -> bool| {
            let bounds = known.get(column).and_then(|found| found.bounds.as_ref());
            match bounds {
                Some(ingest::Bounds::Text(least, most)) => wanted(least, most),
                _ => true,
            }
        };
        let any_of = |names: &BTreeSet<String>, least: &str, most: &str| {
            names
                .iter()
                .any(|name| (least..=most).contains(&name.as_str()))
        };
        meets("timestamp", &|least, most| {
            least <= last.as_str() && most >= first.as_str()
        }) && meets("account", &|least, most| {
            any_of(&self.accounts, least, most)
        }) && meets("region", &|least, most| any_of(&self.regions, least, most))
    }

    /// The same as a condition on rows, for what is smaller than a file.
    pub(super) fn predicate(
        &self,
        schema: &SchemaRef,
    ) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
        let Some((first, last)) = &self.days else {
            return Ok(None);
        };
        let mut condition = ident("timestamp").between(lit(first.as_str()), lit(last.as_str()));
        for (column, names) in [("account", &self.accounts), ("region", &self.regions)] {
            if names.len() <= MOST_NAMES {
                let names = names.iter().map(|name| lit(name.as_str())).collect();
                condition = condition.and(in_list(ident(column), names, false));
            }
        }
        let schema = DFSchema::try_from(Arc::clone(schema))?;
        create_physical_expr(
            &condition,
            &schema,
            &Default::default(),
            &Default::default(),
        )
        .map(Some)
    }
}
