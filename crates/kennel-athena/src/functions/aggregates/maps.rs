//! Aggregates that make maps: `map_agg`, `multimap_agg`, `map_union`, `histogram`,
//! `approx_most_frequent`, `numeric_histogram`.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, UInt64Array, new_null_array},
        compute::{concat, take},
        datatypes::{DataType, Float64Type, Int64Type},
    },
    common::exec_err,
    error::Result,
};

use super::gathered::{Gathered, Types, as_it_is, heavy, rows, where_valid};
use crate::{
    functions::{
        map_building::as_map,
        nested::{Keys, Lists, entries, holds_null, map},
        unify::{entry_of, list_of, normal},
    },
    types::map_type,
};

pub(super) const ALL: [Gathered; 6] = [
    Gathered {
        name: "map_agg",
        usage: "map_agg(K, V)",
        types: |given| match given {
            [key, value] => {
                let kept = [normal(key), normal(value)];
                let returns = map_type(kept[0].clone(), kept[1].clone());
                Types::new(kept.clone(), kept, returns)
            }
            _ => Ok(None),
        },
        take_in: |args| where_valid(args, 0),
        compact: first_of_each,
        finish: finish_map,
        limit: 1_024,
        light: heavy,
    },
    Gathered {
        name: "multimap_agg",
        usage: "multimap_agg(K, V)",
        types: |given| match given {
            [key, value] => {
                let kept = [normal(key), normal(value)];
                let returns = map_type(kept[0].clone(), list_of(kept[1].clone()));
                Types::new(kept.clone(), kept, returns)
            }
            _ => Ok(None),
        },
        take_in: |args| where_valid(args, 0),
        compact: as_it_is,
        finish: finish_multimap,
        limit: 1_024,
        light: heavy,
    },
    Gathered {
        name: "map_union",
        usage: "map_union(map(K, V))",
        types: |given| match given {
            [given] => match as_map(given) {
                Some(map) => match entry_of(&map) {
                    Some((key, value)) => {
                        Types::new([map.clone()], [key.clone(), value.clone()], map)
                    }
                    None => Ok(None),
                },
                None => Ok(None),
            },
            _ => Ok(None),
        },
        take_in: entries_of,
        compact: first_of_each,
        finish: finish_map,
        limit: 1_024,
        light: heavy,
    },
    Gathered {
        name: "histogram",
        usage: "histogram(K)",
        types: |given| match given {
            [given] => {
                let key = normal(given);
                let returns = map_type(key.clone(), DataType::Int64);
                Types::new([key.clone()], [key, DataType::Int64], returns)
            }
            _ => Ok(None),
        },
        take_in: |args| {
            let keys = where_valid(args, 0)?;
            let ones = Int64Array::from(vec![1; keys[0].len()]);
            Ok(vec![Arc::clone(&keys[0]), Arc::new(ones)])
        },
        compact: sum_of_each,
        finish: finish_map,
        limit: 1_024,
        light: heavy,
    },
    Gathered {
        name: "approx_most_frequent",
        usage: "approx_most_frequent(bigint, K, bigint)",
        types: |given| match given {
            [buckets, key, capacity] if buckets.is_integer() && capacity.is_integer() => {
                let key = normal(key);
                let returns = map_type(key.clone(), DataType::Int64);
                let args = [DataType::Int64, key.clone(), DataType::Int64];
                Types::new(args, [key, DataType::Int64, DataType::Int64], returns)
            }
            _ => Ok(None),
        },
        take_in: |args| {
            let kept = where_valid(args, 1)?;
            let ones = Int64Array::from(vec![1; kept[1].len()]);
            Ok(vec![
                Arc::clone(&kept[1]),
                Arc::new(ones),
                Arc::clone(&kept[0]),
            ])
        },
        compact: sum_of_each,
        finish: most_frequent,
        limit: 1_024,
        light: heavy,
    },
    Gathered {
        name: "numeric_histogram",
        usage: "numeric_histogram(bigint, double[, double])",
        types: |given| {
            let fits = matches!(given, [buckets, values @ ..]
                if buckets.is_integer()
                    && (1..=2).contains(&values.len())
                    && values.iter().all(|v| v.is_numeric() || *v == DataType::Null));
            if !fits {
                return Ok(None);
            }
            let mut args = vec![DataType::Int64];
            args.resize(given.len(), DataType::Float64);
            let kept = [DataType::Float64, DataType::Float64, DataType::Int64];
            Types::new(args, kept, map_type(DataType::Float64, DataType::Float64))
        },
        take_in: |args| {
            let kept = where_valid(args, 1)?;
            let weights = match kept.get(2) {
                Some(weights) => Arc::clone(weights),
                None => Arc::new(Float64Array::from(vec![1.0; kept[0].len()])),
            };
            where_valid(&[Arc::clone(&kept[1]), weights, Arc::clone(&kept[0])], 1)
        },
        compact: |columns| merge_bins(columns, 4),
        finish: |columns, returns| {
            if columns[0].is_empty() {
                return Ok(new_null_array(returns, 1));
            }
            let bins = merge_bins(columns, 1)?;
            let count = bins[0].len();
            map(
                Arc::clone(&bins[0]),
                Arc::clone(&bins[1]),
                vec![count],
                None,
            )
        },
        limit: 1_024,
        light: heavy,
    },
];

/// The first row of each key: Trino keeps an arbitrary one.
fn first_of_each(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let keys = Keys::new(columns[0].data_type())?.of(&columns[0])?;
    let mut seen = std::collections::HashSet::new();
    rows(
        columns,
        (0..keys.num_rows()).filter(|&row| seen.insert(keys.row(row))),
    )
}

/// The rows of each key, in the order in which keys are first met.
fn groups(keys: &ArrayRef) -> Result<Vec<Vec<usize>>> {
    let compared = Keys::new(keys.data_type())?.of(keys)?;
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for row in 0..compared.num_rows() {
        let place = *places.entry(compared.row(row)).or_insert_with(|| {
            groups.push(vec![]);
            groups.len() - 1
        });
        groups[place].push(row);
    }
    Ok(groups)
}

/// Keys with the sum of their counts, in the second column.
fn sum_of_each(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let groups = groups(&columns[0])?;
    let counts = columns[1].as_primitive::<Int64Type>();
    let sums = groups.iter().map(|group| {
        group
            .iter()
            .map(|&row| counts.value(row))
            .fold(0, i64::saturating_add)
    });
    let sums: Int64Array = sums.map(Some).collect();
    let mut kept = rows(columns, groups.iter().map(|group| group[0]))?;
    kept[1] = Arc::new(sums);
    Ok(kept)
}

/// Refuses keys that could not be compared.
fn check_keys(keys: &ArrayRef) -> Result<()> {
    if keys.data_type().is_nested() && (0..keys.len()).any(|row| holds_null(keys, row)) {
        return exec_err!("map key cannot be indeterminate: it holds a null");
    }
    Ok(())
}

/// The entries of all maps. A row with a null key says that there was a map, be it empty.
fn entries_of(args: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let maps = args[0].as_map();
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for row in (0..maps.len()).filter(|&row| maps.is_valid(row)) {
        for at in entries(maps, row) {
            keys.push(Some(at as u64));
            values.push(Some(at as u64));
        }
        keys.push(None);
        values.push(None);
    }
    Ok(vec![
        take(maps.keys(), &UInt64Array::from(keys), None)?,
        take(maps.values(), &UInt64Array::from(values), None)?,
    ])
}

/// One map of all that is kept; null where nothing is.
fn finish_map(columns: &[ArrayRef], returns: &DataType) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let columns = where_valid(columns, 0)?;
    check_keys(&columns[0])?;
    let columns = first_of_each(&columns)?;
    let count = columns[0].len();
    map(
        Arc::clone(&columns[0]),
        Arc::clone(&columns[1]),
        vec![count],
        None,
    )
}

fn finish_multimap(columns: &[ArrayRef], returns: &DataType) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    check_keys(&columns[0])?;
    let groups = groups(&columns[0])?;
    let keys = rows(&columns[..1], groups.iter().map(|group| group[0]))?;
    let count = groups.len();
    let mut lists = Lists::default();
    groups.into_iter().for_each(|group| lists.of(group));
    map(
        Arc::clone(&keys[0]),
        lists.finish(&columns[1])?,
        vec![count],
        None,
    )
}

fn most_frequent(columns: &[ArrayRef], returns: &DataType) -> Result<ArrayRef> {
    if columns[0].is_empty() {
        return Ok(new_null_array(returns, 1));
    }
    let columns = sum_of_each(columns)?;
    let counts = columns[1].as_primitive::<Int64Type>();
    let buckets = columns[2].as_primitive::<Int64Type>();
    let wanted = if buckets.is_valid(0) {
        buckets.value(0)
    } else {
        0
    };
    let Some(wanted) = usize::try_from(wanted).ok().filter(|wanted| *wanted >= 2) else {
        return exec_err!(
            "approx_most_frequent bucket count must be greater than one, input bucket count: {wanted}"
        );
    };
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(counts.value(row)));
    order.truncate(wanted);
    let count = order.len();
    let columns = rows(&columns[..2], order)?;
    map(
        Arc::clone(&columns[0]),
        Arc::clone(&columns[1]),
        vec![count],
        None,
    )
}

/// Merges the two nearest bins until there are at most `slack` times as many as asked for.
///
/// Source: Ben-Haim and Tom-Tov, "A streaming parallel decision tree algorithm".
fn merge_bins(columns: &[ArrayRef], slack: usize) -> Result<Vec<ArrayRef>> {
    let values = columns[0].as_primitive::<Float64Type>();
    let weights = columns[1].as_primitive::<Float64Type>();
    let buckets = columns[2].as_primitive::<Int64Type>();
    let wanted = if buckets.is_valid(0) {
        buckets.value(0)
    } else {
        0
    };
    let Some(limit) = usize::try_from(wanted).ok().filter(|wanted| *wanted >= 2) else {
        return exec_err!("numeric_histogram bucket count must be greater than one");
    };
    let mut bins: Vec<(f64, f64)> = (0..values.len())
        .map(|row| (values.value(row), weights.value(row)))
        .collect();
    bins.sort_by(|a, b| a.0.total_cmp(&b.0));
    bins.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    while bins.len() > limit.saturating_mul(slack) {
        // Many bins are merged per pass where there are many, the nearest first.
        let mut gaps: Vec<(f64, usize)> = bins
            .windows(2)
            .enumerate()
            .map(|(at, pair)| (pair[1].0 - pair[0].0, at))
            .collect();
        gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let excess = bins.len() - limit.saturating_mul(slack);
        let merges = (excess / 2).max(1);
        let mut merged = vec![false; bins.len()];
        for &(_, at) in gaps.iter().take(merges) {
            if merged[at] || merged[at + 1] {
                continue;
            }
            let ((a, v), (b, w)) = (bins[at], bins[at + 1]);
            bins[at + 1] = ((a * v + b * w) / (v + w), v + w);
            merged[at] = true;
            if merges > 1 {
                merged[at + 1] = false;
            }
        }
        let mut index = 0;
        bins.retain(|_| {
            index += 1;
            !merged[index - 1]
        });
    }
    let count = bins.len();
    let (values, weights): (Vec<f64>, Vec<f64>) = bins.into_iter().unzip();
    let one = concat(&[&Int64Array::from(vec![wanted; count])])?;
    Ok(vec![
        Arc::new(Float64Array::from(values)),
        Arc::new(Float64Array::from(weights)),
        one,
    ])
}
