//! Which parameters may name the variable of an ARN template.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use crate::call::folded;

static TEXT: &str = include_str!("../data/parameters.tsv");

static ALIASES: LazyLock<HashMap<(&'static str, &'static str), Alias>> = LazyLock::new(|| {
    let rows = TEXT.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| {
        let mut fields = line.split('\t');
        let (service, variable, names) = (fields.next()?, fields.next()?, fields.next()?);
        let (is_all, names) = match names.strip_prefix("only ") {
            Some(names) => (true, names),
            None => (false, names),
        };
        let alias = Alias {
            names: names
                .split(' ')
                .map(|name| name.split('+').map(folded).collect::<Vec<_>>().join("+"))
                .filter(|name| !name.is_empty())
                .collect(),
            is_all,
        };
        Some(((service, variable), alias))
    })
    .collect()
});

struct Alias {
    names: Vec<String>,
    /// No other parameter names the variable.
    is_all: bool,
}

/// Names of parameters, folded, the likeliest first; `a+b`: what both hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Named after the variable: what they hold is its value, whatever else it is.
    pub(crate) own: Vec<String>,
    /// Named after the type: one of them names one variable of it.
    pub(crate) of_kind: Vec<String>,
}

/// Services whose `ResourceId` is the name that was given.
const NAMED_BY_NAME: [&str; 5] = [
    "databrew",
    "forecast",
    "imagebuilder",
    "mediatailor",
    "personalize",
];

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

/// Names of parameters for the variable.
///
/// `kind` is the resource type and `action` the action's name: where the variable is vague (`ResourceId`), and for
/// calls about the type itself (`GetPipeline` with `name`), they tell more.
pub(crate) fn parameters(service: &str, kind: &str, variable: &str, action: &str) -> Names {
    let mut names = Names::default();
    // The row that says most: of this action, then of this type.
    let of_action = format!("{service}:{action}");
    let of_kind = format!("{kind}.{variable}");
    let alias = [
        (of_action.as_str(), variable),
        (service, of_kind.as_str()),
        (service, variable),
    ]
    .iter()
    .find_map(|key| ALIASES.get(key));
    if let Some(alias) = alias {
        names.own.extend(alias.names.iter().cloned());
        if alias.is_all {
            return names;
        }
    }
    let whole = folded(variable);
    names.own.push(whole.clone());
    let stem = stem(&whole);
    // What AWS numbers is not told by a name; in a few services the name is the id.
    let endings: &[&str] = if whole == "resourceid" && NAMED_BY_NAME.contains(&service) {
        &["id", "identifier", "arn", "", "name"]
    } else if whole.ends_with("id") {
        &["id", "identifier", "arn", ""]
    } else {
        &["name", "id", "identifier", "arn", ""]
    };
    if !VAGUE.contains(&stem) {
        names.own.extend(with_endings(stem, endings));
    }
    let kind = folded(kind);
    if !kind.is_empty() {
        names.of_kind.extend(with_endings(&kind, endings));
        // A call about the type itself names it plainly.
        let about = folded(action);
        let is_about_kind = about.ends_with(&kind) || about.ends_with(&format!("{kind}s"));
        let is_about_variable = !VAGUE.contains(&stem)
            && (about.ends_with(stem) || about.ends_with(&format!("{stem}s")));
        if (is_about_kind || is_about_variable)
            && !matches!(service, "elasticloadbalancing" | "ec2")
        {
            let plain = endings.iter().filter(|ending| !ending.is_empty());
            names
                .of_kind
                .extend(plain.flat_map(|name| [(*name).to_owned(), format!("{name}s")]));
        }
    }
    if whole.starts_with("resource") || VAGUE.contains(&stem) {
        names
            .of_kind
            .extend(["resourcearn", "resourceid", "resourcename", "resource"].map(str::to_owned));
    }
    let mut seen = HashSet::new();
    names.own.retain(|name| seen.insert(name.clone()));
    names.of_kind.retain(|name| seen.insert(name.clone()));
    names
}

/// What a variable names, folded: `dbinstance` of `DbInstanceName`.
pub(crate) fn stem_of(variable: &str) -> String {
    stem(&folded(variable)).to_owned()
}

fn stem(name: &str) -> &str {
    ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

fn with_endings(stem: &str, endings: &[&str]) -> Vec<String> {
    endings
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
        let of = |service, kind, variable, action| {
            let names = parameters(service, kind, variable, action);
            [names.own, names.of_kind].concat()
        };
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
        // The name of a job is not its id.
        assert_eq!(of("batch", "job", "JobId", "SubmitJob"), ["jobid", "jobs"]);
        assert_eq!(
            of("glue", "database", "DatabaseName", "DeleteDatabase"),
            ["name"]
        );
    }

    #[test]
    fn every_row_names_a_variable_that_a_template_has() {
        for (service, variable) in ALIASES.keys() {
            let (service, action) = service.split_once(':').unwrap_or((service, ""));
            let (of_kind, variable) = variable.split_once('.').unwrap_or(("", variable));
            let found = reference::service(service).unwrap_or_else(|| panic!("{service}"));
            assert!(
                action.is_empty() || found.action(action).is_some(),
                "{action}"
            );
            let has = found.actions().iter().any(|action| {
                action.types.iter().any(|(kind, _)| {
                    found.resource_type(kind).is_some_and(|kind| {
                        (of_kind.is_empty() || kind.name == of_kind)
                            && kind.template.variables().any(|name| name == variable)
                    })
                })
            });
            assert!(has, "{service} {variable}");
        }
    }
}
