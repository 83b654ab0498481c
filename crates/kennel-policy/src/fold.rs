//! Folding many resources into few prefixes.

use std::collections::{BTreeMap, BTreeSet};

use crate::pattern::Pattern;

/// Folds patterns until at most `width` are left of each service and kind, as far as that goes without naming all of a bucket's
/// neighbours or all things of a kind: below a bucket for S3, below the first two segments elsewhere.
///
/// Of all prefixes that two or more patterns share, the longest is folded first, among equals the one with the most.
pub(crate) fn fold(patterns: BTreeSet<String>, width: usize) -> BTreeSet<String> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pattern in patterns {
        groups
            .entry(head(&pattern).to_owned())
            .or_default()
            .insert(pattern);
    }
    groups
        .into_values()
        .flat_map(|group| fold_group(group, width.max(1)))
        .collect()
}

/// Folds names as a draft does: each name with what stands for it.
pub fn fold_names(names: &BTreeSet<String>, width: usize) -> BTreeMap<String, String> {
    let folded: Vec<(String, Pattern)> = fold(names.clone(), width)
        .into_iter()
        .map(|text| {
            let pattern = Pattern::new(&text);
            (text, pattern)
        })
        .collect();
    names
        .iter()
        .map(|name| {
            let pattern = Pattern::new(name);
            let wide = folded.iter().find(|(_, wide)| wide.covers(&pattern));
            (name.clone(), wide.map_or(name, |(text, _)| text).clone())
        })
        .collect()
}

fn fold_group(mut group: BTreeSet<String>, width: usize) -> BTreeSet<String> {
    while group.len() > width {
        let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
        for pattern in &group {
            for prefix in prefixes(pattern) {
                *shared.entry(prefix).or_default() += 1;
            }
        }
        let best = shared
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .max_by(|(a, a_count), (b, b_count)| {
                let depth = |prefix: &str| prefix.matches('/').count();
                (depth(a), *a_count)
                    .cmp(&(depth(b), *b_count))
                    .then_with(|| b.cmp(a))
            })
            .map(|(prefix, _)| prefix.to_owned());
        let Some(prefix) = best else { break };
        group.retain(|pattern| !pattern.starts_with(&prefix));
        group.insert(format!("{prefix}*"));
    }
    group
}

/// `arn:aws:s3:::bucket/` of S3, `arn:aws:ssm:r:1:parameter` elsewhere: what is folded by itself.
fn head(pattern: &str) -> &str {
    let resource = resource_at(pattern);
    let end = pattern[resource..]
        .find(['/', ':'])
        .map_or(pattern.len(), |at| resource + at);
    &pattern[..end]
}

/// Prefixes, each ending with `/`, that the pattern may be folded into.
fn prefixes(pattern: &str) -> impl Iterator<Item = &str> {
    let resource = resource_at(pattern);
    let least = if is_s3(pattern) { 1 } else { 2 };
    pattern[resource..]
        .char_indices()
        .filter(|(_, c)| *c == '/')
        .map(move |(at, _)| &pattern[..=resource + at])
        .skip(least - 1)
        .filter(move |prefix| pattern.strip_prefix(*prefix).is_none_or(|rest| rest != "*"))
}

fn is_s3(pattern: &str) -> bool {
    pattern.split(':').nth(2) == Some("s3") && pattern.split(':').nth(3) == Some("")
}

/// Where the resource part of an ARN begins.
fn resource_at(pattern: &str) -> usize {
    pattern
        .match_indices(':')
        .nth(4)
        .map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(patterns: &[&str], width: usize) -> Vec<String> {
        fold(
            patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
            width,
        )
        .into_iter()
        .collect()
    }

    #[test]
    fn crowded_prefixes_fold_and_lone_ones_stay() {
        let keys = [
            "arn:aws:s3:::b/data/2026/a",
            "arn:aws:s3:::b/data/2026/b",
            "arn:aws:s3:::b/data/2025/a",
            "arn:aws:s3:::b/conf",
        ];
        assert_eq!(folded(&keys, 4).len(), 4);
        assert_eq!(
            folded(&keys, 3),
            [
                "arn:aws:s3:::b/conf",
                "arn:aws:s3:::b/data/2025/a",
                "arn:aws:s3:::b/data/2026/*"
            ]
        );
        assert_eq!(
            folded(&keys, 2),
            ["arn:aws:s3:::b/conf", "arn:aws:s3:::b/data/*"]
        );
        assert_eq!(folded(&keys, 1), ["arn:aws:s3:::b/*"]);
    }

    #[test]
    fn buckets_tables_and_accounts_never_fold_together() {
        let buckets = ["arn:aws:s3:::a/k", "arn:aws:s3:::b/k", "arn:aws:s3:::c"];
        assert_eq!(folded(&buckets, 1), buckets);
        let tables = [
            "arn:aws:dynamodb:r:1:table/a",
            "arn:aws:dynamodb:r:1:table/b",
        ];
        assert_eq!(folded(&tables, 1), tables);
        let parameters = [
            "arn:aws:ssm:r:1:parameter/app/a",
            "arn:aws:ssm:r:1:parameter/app/b",
            "arn:aws:ssm:r:2:parameter/app/a",
        ];
        assert_eq!(
            folded(&parameters, 1),
            [
                "arn:aws:ssm:r:1:parameter/app/*",
                "arn:aws:ssm:r:2:parameter/app/a"
            ]
        );
    }

    #[test]
    fn each_name_is_told_with_what_stands_for_it() {
        let names = ["a/1", "a/2", "b"].map(|key| format!("arn:aws:s3:::x/{key}"));
        let folded = fold_names(&names.iter().cloned().collect(), 2);
        assert_eq!(folded[&names[0]], "arn:aws:s3:::x/a/*");
        assert_eq!(folded[&names[2]], names[2]);
    }

    proptest! {
        #[test]
        fn what_was_named_stays_covered(keys in proptest::collection::btree_set("[ab]{1,2}(/[ab]{0,2}){0,4}", 1..20), width in 1usize..6) {
            let patterns: BTreeSet<String> = keys.iter().map(|key| format!("arn:aws:s3:::{key}")).collect();
            let folded = fold(patterns.clone(), width);
            for pattern in patterns {
                prop_assert!(folded.iter().any(|wide| Pattern::new(wide).covers(&Pattern::new(&pattern))), "{}", pattern);
            }
        }
    }
}
