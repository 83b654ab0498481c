//! Which questions an export asks: those that are named, those of tags, or the nightly ones.

use kennel_cache::SourceKind;
use kennel_engine::{CannedQuery, Library, ParamValues};

use super::state::kinds_of;
use crate::error::CliError;

/// The tag of what is asked when nothing is named.
pub(crate) const USUAL_TAG: &str = "nightly";

/// What was chosen.
#[derive(Debug)]
pub(crate) struct Chosen<'l> {
    pub(crate) queries: Vec<&'l CannedQuery>,
    /// What a tag names and cannot be asked: id and reason.
    pub(crate) left_out: Vec<(String, String)>,
}

impl<'l> Chosen<'l> {
    /// Chooses. What is named by its id is asked in any case; of what tags name, a question is left out when there is no
    /// source of what it reads at all, or when a parameter that it must have is not given.
    pub(crate) fn of(
        library: &'l Library,
        ids: &[String],
        tags: &[String],
        is_all: bool,
        values: &ParamValues,
        sources: &[SourceKind],
    ) -> Result<Self, CliError> {
        let mut queries: Vec<&CannedQuery> = Vec::new();
        for id in ids {
            queries.push(library.find(id)?);
        }
        let named_count = queries.len();
        let usual = [USUAL_TAG.to_owned()];
        let tags = match ids.is_empty() && tags.is_empty() && !is_all {
            true => &usual,
            false => tags,
        };
        let mut tagged = Vec::new();
        for tag in tags {
            let found = library.iter().filter(|query| query.tags.contains(tag));
            let before = tagged.len();
            tagged.extend(found);
            if tagged.len() == before {
                return Err(CliError::new(format!("no query has the tag `{tag}`"))
                    .hint("`kennel list -f json` shows the tags"));
            }
        }
        if is_all {
            tagged.extend(library.iter());
        }
        // What is worst stands first.
        tagged.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
        queries.extend(tagged);
        let mut seen = std::collections::HashSet::new();
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for (index, query) in queries.into_iter().enumerate() {
            if !seen.insert(query.id.as_str()) {
                continue;
            }
            match (index < named_count, why_not(query, values, sources)) {
                (false, Some(reason)) => left_out.push((query.id.clone(), reason)),
                _ => kept.push(query),
            }
        }
        if kept.is_empty() {
            let reasons = left_out
                .iter()
                .map(|(id, reason)| format!("{id}: {reason}"));
            let told = CliError::absent("none of these questions can be asked");
            return Err(reasons
                .take(3)
                .fold(told, CliError::caused_by)
                .hint("`kennel sync` mirrors the sources of kennel.toml"));
        }
        Ok(Self {
            queries: kept,
            left_out,
        })
    }
}

fn why_not(query: &CannedQuery, values: &ParamValues, sources: &[SourceKind]) -> Option<String> {
    let needed = query
        .params
        .iter()
        .find(|param| param.required && !values.0.contains_key(&param.name));
    if let Some(param) = needed {
        return Some(format!("it needs `--param {}=…`", param.name));
    }
    let missing = kinds_of(query)
        .into_iter()
        .find(|kind| !query.reads.is_empty() && !sources.contains(kind));
    missing.map(|kind| match kind {
        SourceKind::K9 => "there is no source of k9 reports".to_owned(),
        SourceKind::CloudTrail => "there is no source of CloudTrail logs".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(chosen: &Chosen<'_>) -> Vec<String> {
        chosen
            .queries
            .iter()
            .map(|query| query.id.clone())
            .collect()
    }

    fn chosen(
        ids: &[&str],
        tags: &[&str],
        sources: &[SourceKind],
    ) -> Result<(Vec<String>, Vec<String>), String> {
        let library = Library::embedded().unwrap();
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let values = ParamValues::default();
        let chosen = Chosen::of(&library, &owned(ids), &owned(tags), false, &values, sources)
            .map_err(|error| error.one_line())?;
        let left_out = chosen.left_out.iter().map(|(id, _)| id.clone()).collect();
        Ok((self::ids(&chosen), left_out))
    }

    #[test]
    fn without_names_the_nightly_questions_are_asked_as_far_as_there_are_sources() {
        let (asked, left_out) = chosen(&[], &[], &[SourceKind::K9]).unwrap();
        assert!(asked.contains(&"k9/iam-admins".to_owned()));
        assert!(asked.iter().all(|id| id.starts_with("k9/")), "{asked:?}");
        assert!(left_out.contains(&"cloudtrail/root-use".to_owned()));
        let both = [SourceKind::K9, SourceKind::CloudTrail];
        let (asked, left_out) = chosen(&[], &[], &both).unwrap();
        assert!(asked.contains(&"cloudtrail/root-use".to_owned()));
        assert!(left_out.is_empty());
        assert!(chosen(&[], &[], &[]).is_err());
    }

    #[test]
    fn what_is_named_is_asked_in_any_case_in_its_order_and_once() {
        let names = ["root-use", "k9/iam-admins", "iam-admins"];
        let (asked, left_out) = chosen(&names, &[], &[]).unwrap();
        assert_eq!(asked, ["cloudtrail/root-use", "k9/iam-admins"]);
        assert!(left_out.is_empty());
        assert!(chosen(&[], &["nigthly"], &[SourceKind::K9]).is_err());
    }

    #[test]
    fn a_question_that_needs_a_parameter_is_left_out_where_a_tag_names_it() {
        let both = [SourceKind::K9, SourceKind::CloudTrail];
        let (_, left_out) = chosen(&[], &["cloudtrail"], &both).unwrap();
        assert!(
            left_out.contains(&"cloudtrail/activity".to_owned()),
            "{left_out:?}"
        );
    }
}
