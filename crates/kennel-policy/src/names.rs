//! Which parameters may name the variable of an ARN template.

use std::{collections::HashMap, sync::LazyLock};

use crate::call::folded;

static TEXT: &str = include_str!("../data/parameters.tsv");

static ALIASES: LazyLock<HashMap<(&'static str, &'static str), Vec<String>>> =
    LazyLock::new(|| {
        let rows = TEXT.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|line| {
            let mut fields = line.split('\t');
            let (service, variable, names) = (fields.next()?, fields.next()?, fields.next()?);
            Some(((service, variable), names.split(' ').map(folded).collect()))
        })
        .collect()
    });

/// Endings that a name may have or lack without naming another thing.
const ENDINGS: [&str; 7] = [
    "withoutleadingslash",
    "withpath",
    "identifier",
    "name",
    "id",
    "arn",
    "uuid",
];
/// Variables that say nothing about what they name.
const VAGUE: [&str; 8] = [
    "resource", "", "friendly", "relative", "u", "opaque", "object", "entity",
];

/// Names of parameters for the variable, folded, the likeliest first.
///
/// `kind` is the resource type and `action` the action's name: where the variable is vague (`ResourceId`), and for
/// calls about the type itself (`GetPipeline` with `name`), they tell more.
pub(crate) fn parameters(service: &str, kind: &str, variable: &str, action: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(aliases) = ALIASES.get(&(service, variable)) {
        names.extend(aliases.iter().cloned());
    }
    let whole = folded(variable);
    names.push(whole.clone());
    let stem = stem(&whole);
    if !VAGUE.contains(&stem) {
        names.extend(with_endings(stem));
    }
    let kind = folded(kind);
    if !kind.is_empty() {
        names.extend(with_endings(&kind));
        // A call about the type itself names it plainly.
        let about = folded(action);
        let is_about_kind = about.ends_with(&kind) || about.ends_with(&format!("{kind}s"));
        let is_about_variable = !VAGUE.contains(&stem)
            && (about.ends_with(stem) || about.ends_with(&format!("{stem}s")));
        if (is_about_kind || is_about_variable)
            && !matches!(service, "elasticloadbalancing" | "ec2")
        {
            names.extend(
                ["name", "id", "identifier", "arn", "names", "ids", "arns"].map(str::to_owned),
            );
        }
    }
    if whole.starts_with("resource") || VAGUE.contains(&stem) {
        names.extend(["resourcearn", "resourceid", "resourcename", "resource"].map(str::to_owned));
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn stem(name: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

fn with_endings(stem: &str) -> Vec<String> {
    ["name", "id", "identifier", "arn", ""]
        .iter()
        .flat_map(|ending| [format!("{stem}{ending}"), format!("{stem}{ending}s")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn the_likeliest_name_comes_first() {
        let of = |service, kind, variable, action| parameters(service, kind, variable, action);
        assert_eq!(
            of("sqs", "queue", "QueueName", "SendMessage")[0],
            "queueurl"
        );
        assert_eq!(
            of("workspaces", "workspaceid", "WorkspaceId", "X")[0],
            "workspaceid"
        );
        assert!(
            of("scheduler", "schedule", "ScheduleName", "GetSchedule").contains(&"name".to_owned())
        );
        assert!(
            !of("scheduler", "schedule", "ScheduleName", "TagResource")
                .contains(&"name".to_owned())
        );
    }

    #[test]
    fn every_row_names_a_variable_that_a_template_has() {
        for (service, variable) in ALIASES.keys() {
            let found = reference::service(service).unwrap_or_else(|| panic!("{service}"));
            let has = found.actions().iter().any(|action| {
                action.types.iter().any(|(kind, _)| {
                    found
                        .resource_type(kind)
                        .is_some_and(|kind| kind.template.variables().any(|name| name == *variable))
                })
            });
            assert!(has, "{service} {variable}");
        }
    }
}
