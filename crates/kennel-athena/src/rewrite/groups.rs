//! `GROUP BY`: brackets, numbers of select items, and sets of keys.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem, Spanned, Value};

use crate::{ParseError, tokens::DISTINCT_SETS};

/// Most columns of a `CUBE` that is written out: each one doubles the number of sets.
const WIDEST_CUBE: usize = 12;

/// Most sets that are written out.
const MOST_SETS: usize = 4096;

type Sets = Vec<Vec<Expr>>;

/// Writes the keys as DataFusion takes them.
pub(super) fn rewrite(select: &mut Select) -> Result<(), ParseError> {
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else {
        return Ok(());
    };
    let mut keys = std::mem::take(keys);
    let written = keys.len();
    keys.retain(|key| !is_mark(key));
    let is_distinct = keys.len() < written;
    for key in &mut keys {
        resolve_in_sets(key, &select.projection)?;
    }
    let sets = match is_distinct {
        true => written_out(&keys),
        false => None,
    };
    let keys = match sets {
        Some(sets) => vec![Expr::GroupingSets(distinct(sets))],
        None => flat(keys),
    };
    if let GroupByExpr::Expressions(group_by, _) = &mut select.group_by {
        *group_by = keys;
    }
    Ok(())
}

/// What the reading of tokens puts in the place of `DISTINCT`.
fn is_mark(key: &Expr) -> bool {
    matches!(key, Expr::Identifier(ident) if ident.value == DISTINCT_SETS)
}

/// Without brackets around keys; `()` alone, which makes one group of all rows, as the set that it is.
fn flat(keys: Vec<Expr>) -> Vec<Expr> {
    if keys.is_empty() {
        return keys;
    }
    let flat = keys.into_iter().flat_map(|key| match key {
        Expr::Tuple(keys) => keys,
        key => vec![grouping_sets(key)],
    });
    let flat = flat.collect::<Vec<_>>();
    match flat.is_empty() {
        true => vec![Expr::GroupingSets(vec![vec![]])],
        false => flat,
    }
}

/// `ROLLUP ((a, b), c)` and `CUBE ((a, b), c)`, with brackets inside, as the sets that they stand for.
fn grouping_sets(key: Expr) -> Expr {
    let has_brackets = |items: &[Vec<Expr>]| items.iter().any(|item| item.len() != 1);
    match key {
        Expr::Rollup(items) if has_brackets(&items) => Expr::GroupingSets(rolled_up(&items)),
        Expr::Cube(items) if has_brackets(&items) && items.len() <= WIDEST_CUBE => {
            Expr::GroupingSets(cubed(&items))
        }
        key => key,
    }
}

fn rolled_up(items: &[Vec<Expr>]) -> Sets {
    let counts = (0..=items.len()).rev();
    counts.map(|count| items[..count].concat()).collect()
}

fn cubed(items: &[Vec<Expr>]) -> Sets {
    let sets = (0_u32..1 << items.len()).rev().map(|chosen| {
        let places = (0..items.len()).filter(|place| chosen >> place & 1 == 1);
        places.flat_map(|place| items[place].clone()).collect()
    });
    sets.collect()
}

/// All sets of several keys: each set of one with each of the next.
fn written_out(keys: &[Expr]) -> Option<Sets> {
    let mut all: Sets = vec![vec![]];
    for key in keys {
        let sets = match key {
            Expr::GroupingSets(sets) => sets.clone(),
            Expr::Rollup(items) => rolled_up(items),
            Expr::Cube(items) if items.len() <= WIDEST_CUBE => cubed(items),
            Expr::Cube(_) => return None,
            Expr::Tuple(keys) => vec![keys.clone()],
            key => vec![vec![key.clone()]],
        };
        if all.len().saturating_mul(sets.len()) > MOST_SETS {
            return None;
        }
        let combined = all.iter().flat_map(|before| {
            let with = |set: &Vec<Expr>| before.iter().chain(set).cloned().collect();
            sets.iter().map(with).collect::<Sets>()
        });
        all = combined.collect();
    }
    Some(all)
}

/// Sets of the same keys once.
fn distinct(sets: Sets) -> Sets {
    let mut seen = BTreeSet::new();
    let mut kept = Sets::new();
    for set in sets {
        let keys: BTreeSet<String> = set
            .iter()
            .map(|key| key.to_string().to_lowercase())
            .collect();
        if seen.insert(keys) {
            let mut once: Vec<Expr> = Vec::with_capacity(set.len());
            for key in set {
                if !once.contains(&key) {
                    once.push(key);
                }
            }
            kept.push(once);
        }
    }
    kept
}

/// Numbers inside sets stand for items, as those beside sets do, which DataFusion resolves itself.
fn resolve_in_sets(key: &mut Expr, items: &[SelectItem]) -> Result<(), ParseError> {
    let (Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets)) = key else {
        return Ok(());
    };
    for key in sets.iter_mut().flatten() {
        let Expr::Value(value) = &*key else { continue };
        let Value::Number(number, _) = &value.value else {
            continue;
        };
        let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let item = place.and_then(|place| items.get(place));
        match item {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                *key = expr.clone();
            }
            _ => {
                let message = format!("GROUP BY {number} is no column of the select list");
                return Err(ParseError::at(key.span(), message));
            }
        }
    }
    Ok(())
}
