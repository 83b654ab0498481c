//! `kennel policy compare`: granted against used, or one identity against the one that replaced it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kennel_engine::ParamValues;
use kennel_policy::{Status, Usage, capabilities, fold_names, knows_service};

use super::{
    inquiry::Inquiry,
    observe::{self, Detail, Observation, WindowArgs},
    rows::Column,
};
use crate::{commands::questions::OutputArgs, context::Context, error::CliError, exit::Exit};

/// A window shorter than this says little about what an application needs.
const SHORT_WINDOW_DAYS: i64 = 14;

/// What a principal has against what it used; or what an old identity used and the new one has not yet
///
/// With one PRINCIPAL: k9's access capabilities, per service and resource, beside CloudTrail's usage. status is used, unused,
/// unknown (the capability works through data events that were not logged, or k9 does not say which actions it means), or
/// used-not-granted (used then, not granted in the newest report).
///
/// With OLD and NEW: each action and resource that one of them used; status is both, only-old (the new one has not called it
/// yet) or only-new. More than --width resources of a kind are told by common prefixes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy compare arn:aws:iam::111122223333:role/app
  kennel policy compare arn:aws:iam::111122223333:user/old arn:aws:iam::111122223333:role/new")]
pub(super) struct Args {
    /// The principal, or the old identity
    #[arg(value_name = "PRINCIPAL")]
    principal: String,
    /// The identity that replaced it
    #[arg(value_name = "NEW")]
    new: Option<String>,
    #[command(flatten)]
    window: WindowArgs,
    /// Resources of one kind that two identities are compared by, before common prefixes are folded
    #[arg(long, value_name = "COUNT", default_value = "10")]
    width: usize,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let mut inquiry = Inquiry::open(cx)?;
    let seen = inquiry
        .observe(&args.principal, &args.window, Detail::Call)
        .await?;
    let columns = match &args.new {
        Some(new) => {
            let newer = inquiry.observe(new, &args.window, Detail::Call).await?;
            warn_of_short_window(new, &newer, cx);
            identities(&seen.usage, &newer.usage, args.width)
        }
        None => granted(&mut inquiry, &args.principal, &seen).await?,
    };
    inquiry.answer(columns, &args.output, "compare")
}

fn warn_of_short_window(new: &str, newer: &Observation, cx: &Context) {
    match newer.window {
        None => cx.printer.warn(&format!("no call of `{new}` is in the cache yet")),
        Some((first, last)) if (last - first).num_days() < SHORT_WINDOW_DAYS => cx.printer.warn(&format!(
            "`{new}` was seen for {} days only: what it has not called yet it may call next month",
            (last - first).num_days()
        )),
        Some(_) => {}
    }
}

/// Successful use of an action on a resource.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    calls: u64,
    first_seen: Option<DateTime<Utc>>,
    last_seen: Option<DateTime<Utc>>,
}

impl Used {
    fn add(&mut self, calls: u64, first: DateTime<Utc>, last: DateTime<Utc>) {
        self.calls += calls;
        self.first_seen = Some(self.first_seen.map_or(first, |known| known.min(first)));
        self.last_seen = Some(self.last_seen.map_or(last, |known| known.max(last)));
    }
}

fn used(usage: &Usage) -> BTreeMap<(String, String), Used> {
    let mut found: BTreeMap<(String, String), Used> = BTreeMap::new();
    for (seen, mapping) in usage
        .calls
        .iter()
        .filter(|(seen, _)| seen.status == Status::Succeeded)
    {
        for grant in mapping.grants() {
            for resource in &grant.resources {
                let key = (grant.action.id(), resource.arn.clone());
                found
                    .entry(key)
                    .or_default()
                    .add(seen.count, seen.first_seen, seen.last_seen);
            }
        }
    }
    found
}

/// Of each action, what stands for each resource.
type Names = BTreeMap<String, BTreeMap<String, String>>;

/// Use, by what stands for the resources.
fn folded(
    side: BTreeMap<(String, String), Used>,
    names: &Names,
) -> BTreeMap<(String, String), Used> {
    let mut all: BTreeMap<(String, String), Used> = BTreeMap::new();
    for ((action, resource), found) in side {
        let wide = names.get(&action).and_then(|names| names.get(&resource));
        let resource = wide.cloned().unwrap_or(resource);
        if let (Some(first), Some(last)) = (found.first_seen, found.last_seen) {
            all.entry((action, resource))
                .or_default()
                .add(found.calls, first, last);
        }
    }
    all
}

/// The use of one of them.
fn of(side: &BTreeMap<(String, String), Used>, key: &(String, String)) -> Used {
    side.get(key).copied().unwrap_or_default()
}

/// Actions and resources of two identities.
fn identities(old: &Usage, new: &Usage, width: usize) -> Vec<Column> {
    let (old, new) = (used(old), used(new));
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (action, resource) in old.keys().chain(new.keys()) {
        names
            .entry(action.clone())
            .or_default()
            .insert(resource.clone());
    }
    let names: Names = names
        .into_iter()
        .map(|(action, resources)| (action, fold_names(&resources, width)))
        .collect();
    let (old, new) = (folded(old, &names), folded(new, &names));
    let keys: BTreeSet<&(String, String)> = old.keys().chain(new.keys()).collect();
    let status = |key: &&(String, String)| match (old.contains_key(*key), new.contains_key(*key)) {
        (true, true) => "both",
        (true, false) => "only-old",
        _ => "only-new",
    };
    vec![
        Column::Text(
            "status",
            keys.iter()
                .map(|key| Some(status(key).to_owned()))
                .collect(),
        ),
        Column::Text(
            "action",
            keys.iter()
                .map(|(action, _)| Some(action.clone()))
                .collect(),
        ),
        Column::Text(
            "resource",
            keys.iter()
                .map(|(_, resource)| Some(resource.clone()))
                .collect(),
        ),
        Column::Count(
            "old_calls",
            keys.iter().map(|key| of(&old, key).calls).collect(),
        ),
        Column::Count(
            "new_calls",
            keys.iter().map(|key| of(&new, key).calls).collect(),
        ),
        Column::Time(
            "old_last_seen",
            keys.iter().map(|key| of(&old, key).last_seen).collect(),
        ),
        Column::Time(
            "new_last_seen",
            keys.iter().map(|key| of(&new, key).last_seen).collect(),
        ),
    ]
}

/// A right that k9 reports, or that was used: service, capability, resource (blank: the service in general).
type Right = (String, String, String);

/// k9's rights of the principal beside what it used.
async fn granted(
    inquiry: &mut Inquiry<'_>,
    principal: &str,
    seen: &Observation,
) -> Result<Vec<Column>, CliError> {
    let Inquiry {
        engine,
        verdict,
        cx,
    } = inquiry;
    let query = engine.library().find("k9/principal-access")?;
    let mut granted: BTreeMap<Right, Option<String>> = BTreeMap::new();
    let mut has_reports = false;
    let names: BTreeSet<&str> = seen
        .principals
        .iter()
        .map(|(name, _)| name.as_str())
        .chain([principal])
        .collect();
    for name in names {
        let values = ParamValues([("name_or_arn".to_owned(), name.to_owned())].into());
        let answer = engine.run(query, &values).await?;
        verdict.caveats(&answer.caveats, cx);
        has_reports |= !answer.reports.is_empty();
        for rows in observe::collect(answer.stream).await? {
            for row in 0..rows.row_count() {
                let text = |column: &str| rows.text(column, row).unwrap_or_default();
                let right = (
                    text("service_name"),
                    text("access_capability"),
                    text("resource_arn"),
                );
                granted.insert(right, rows.text("resource_tag_confidentiality", row));
            }
        }
    }
    if granted.is_empty() && has_reports {
        cx.printer.warn(&format!(
            "k9's newest reports have no right of `{principal}`"
        ));
        cx.printer
            .hint("k9 knows principals by ARN or name; a principal that is gone is in no report");
    }
    let data = observe::data_services(engine, cx).await?;
    let used = used_rights(&seen.usage);
    let mut all: BTreeMap<Right, (&'static str, Used, Option<String>)> = BTreeMap::new();
    for (right, confidentiality) in &granted {
        let found = used_below(&used, right);
        let status = match found {
            Some(_) => "used",
            None if !knows_service(&right.0) => "unknown",
            None if needs_data_events(right) && !logs_data(&data, &right.0) => "unknown",
            None => "unused",
        };
        all.insert(
            right.clone(),
            (status, found.unwrap_or_default(), confidentiality.clone()),
        );
    }
    for (right, found) in &used {
        let is_granted = granted.keys().any(|(service, capability, resource)| {
            *service == right.0
                && *capability == right.1
                && (resource.is_empty() || covers(resource, &right.2))
        });
        if !is_granted {
            // Without reports nobody knows what is granted.
            let status = if has_reports {
                "used-not-granted"
            } else {
                "unknown"
            };
            all.insert(right.clone(), (status, *found, None));
        }
    }
    let column = |of: fn(&Right) -> &String| {
        all.keys()
            .map(|right| Some(of(right).clone()).filter(|text| !text.is_empty()))
            .collect()
    };
    Ok(vec![
        Column::Text(
            "status",
            all.values()
                .map(|(status, ..)| Some((*status).to_owned()))
                .collect(),
        ),
        Column::Text("service_name", column(|right| &right.0)),
        Column::Text("access_capability", column(|right| &right.1)),
        Column::Text("resource_arn", column(|right| &right.2)),
        Column::Text(
            "resource_tag_confidentiality",
            all.values().map(|(_, _, tag)| tag.clone()).collect(),
        ),
        Column::Count(
            "calls",
            all.values().map(|(_, used, _)| used.calls).collect(),
        ),
        Column::Time(
            "first_seen",
            all.values().map(|(_, used, _)| used.first_seen).collect(),
        ),
        Column::Time(
            "last_seen",
            all.values().map(|(_, used, _)| used.last_seen).collect(),
        ),
    ])
}

/// Use, in k9's words. What k9 does not judge is left out.
fn used_rights(usage: &Usage) -> BTreeMap<Right, Used> {
    let mut rights: BTreeMap<Right, Used> = BTreeMap::new();
    for ((action, resource), found) in used(usage) {
        for capability in capabilities(&action) {
            let resource = if resource == "*" {
                String::new()
            } else {
                resource.clone()
            };
            let right = (
                capability.service_name.to_owned(),
                capability.access_capability.to_owned(),
                resource,
            );
            if let (Some(first), Some(last)) = (found.first_seen, found.last_seen) {
                rights
                    .entry(right)
                    .or_default()
                    .add(found.calls, first, last);
            }
        }
    }
    rights
}

/// The use of a right: of a service's right all use of it, of a resource's what was done to it and below it.
fn used_below(
    used: &BTreeMap<Right, Used>,
    (service, capability, resource): &Right,
) -> Option<Used> {
    let mut sum: Option<Used> = None;
    for ((_, _, found), use_) in used
        .range((service.clone(), capability.clone(), String::new())..)
        .take_while(|((s, c, _), _)| s == service && c == capability)
    {
        if (resource.is_empty() || covers(resource, found))
            && let (Some(first), Some(last)) = (use_.first_seen, use_.last_seen)
        {
            sum.get_or_insert_default().add(use_.calls, first, last);
        }
    }
    sum
}

/// Whether what was used is the resource or lies below it.
fn covers(resource: &str, used: &str) -> bool {
    used.strip_prefix(resource)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

fn needs_data_events((service, capability, _): &Right) -> bool {
    matches!(
        capability.as_str(),
        "read-data" | "write-data" | "delete-data"
    ) && matches!(
        service.as_str(),
        "S3" | "DynamoDB" | "DynamoDB Streams" | "SQS" | "RDS Data"
    )
}

fn logs_data(services: &BTreeSet<String>, service_name: &str) -> bool {
    let label = match service_name {
        "S3" => "s3",
        "DynamoDB" | "DynamoDB Streams" => "dynamodb",
        "SQS" => "sqs",
        "RDS Data" => "rdsdata",
        _ => return true,
    };
    services.contains(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_covers_itself_and_what_lies_below_it() {
        assert!(
            covers("arn:aws:s3:::b", "arn:aws:s3:::b")
                && covers("arn:aws:s3:::b", "arn:aws:s3:::b/k")
        );
        assert!(!covers("arn:aws:s3:::b", "arn:aws:s3:::bc/k"));
    }

    #[test]
    fn data_that_is_not_logged_is_not_called_unused() {
        let right = |service: &str, capability: &str| {
            (service.to_owned(), capability.to_owned(), String::new())
        };
        assert!(
            needs_data_events(&right("S3", "read-data"))
                && !needs_data_events(&right("S3", "read-config"))
        );
        assert!(
            !logs_data(&BTreeSet::new(), "S3")
                && logs_data(&BTreeSet::from(["s3".to_owned()]), "S3")
        );
    }
}
