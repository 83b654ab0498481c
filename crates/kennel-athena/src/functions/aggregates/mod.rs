//! Trino's aggregates that DataFusion does not have, or has with another meaning.
//!
//! Those that are another form of syntax (`count_if`, `listagg`, `reduce_agg`) are made by the rewrite.
//!
//! Source: Trino manual, "Aggregate functions".

mod checksum;
mod extremes;
mod gathered;
mod geometries;
mod intervals;
mod maps;
mod moments;
mod percentile;
mod sketches;
mod sums;
mod worded;

use std::sync::Arc;

use datafusion::logical_expr::AggregateUDF;

pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let gathered = extremes::ALL
        .into_iter()
        .chain(maps::ALL)
        .chain(moments::ALL)
        .chain(geometries::ALL)
        .chain(sketches::ALL)
        .chain([percentile::PERCENTILE, checksum::CHECKSUM]);
    let gathered = gathered.map(gathered::Gathered::build);
    gathered
        .chain(sums::functions())
        .chain(worded::functions())
        .collect()
}
