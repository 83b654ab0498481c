//! What a principal did, mapped: rows for people, and the needs that a policy has to meet.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    action::{Grant, Mapping, Outcome, map},
    call::Call,
    condition::Context,
    document::Document,
    replay::{Decision, Evaluator},
    resources::{Basis, Resource},
};

/// How calls ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Without error.
    Succeeded,
    /// Refused for lack of permission.
    Denied,
    /// With another error.
    Failed,
}

/// Equal calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What was called.
    pub call: Call,
    /// What is known of condition keys.
    pub context: Context,
    /// How it ended.
    pub status: Status,
    /// How often.
    pub count: u64,
    /// First time.
    pub first_seen: DateTime<Utc>,
    /// Last time.
    pub last_seen: DateTime<Utc>,
    /// The id of one of them.
    pub event_id: Option<String>,
}

/// Calls of a principal with what they needed.
#[derive(Debug, Clone)]
pub struct Usage {
    /// In the order in which they were given.
    pub calls: Vec<(Observed, Mapping)>,
}

/// A row of usage: an action on a resource, or a call that is not mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// `s3.amazonaws.com`.
    pub event_source: String,
    /// As CloudTrail writes it.
    pub event_name: String,
    /// `s3:GetObject`; none when nothing is needed or nothing is known.
    pub action: Option<String>,
    /// An ARN, perhaps with wildcards.
    pub resource: Option<String>,
    /// Where the resource is known from.
    pub basis: Option<Basis>,
    /// `exact`, `table`, `rule` or `unmapped`.
    pub provenance: &'static str,
    /// The service that called with the principal's credentials.
    pub invoked_by: Option<String>,
    /// Calls that succeeded.
    pub calls: u64,
    /// Calls refused for lack of permission.
    pub denied_calls: u64,
    /// Calls that failed otherwise.
    pub failed_calls: u64,
    /// First time.
    pub first_seen: DateTime<Utc>,
    /// Last time.
    pub last_seen: DateTime<Utc>,
}

/// How many calls there were of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Succeeded and mapped.
    pub used: u64,
    /// Succeeded and needed no permission.
    pub needless: u64,
    /// Succeeded, but nobody knows what they need.
    pub unmapped: u64,
    /// Refused for lack of permission.
    pub denied: u64,
    /// Failed otherwise.
    pub failed: u64,
}

/// What policies say to the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Calls replayed: succeeded, mapped, not left out.
    pub call_count: u64,
    /// Of these, allowed.
    pub allowed_count: u64,
    /// The rest, an action and resource each; sorted.
    pub findings: Vec<Finding>,
}

/// Something that policies do not allow although it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `s3.amazonaws.com`.
    pub event_source: String,
    /// As CloudTrail writes it.
    pub event_name: String,
    /// `s3:GetObject`.
    pub action: String,
    /// An ARN, perhaps with wildcards.
    pub resource: String,
    /// Why.
    pub decision: Decision,
    /// In how many calls.
    pub calls: u64,
    /// First time.
    pub first_seen: DateTime<Utc>,
    /// Last time.
    pub last_seen: DateTime<Utc>,
    /// The id of one such event.
    pub event_id: Option<String>,
}

/// Action, resource, event source, event name, calling service.
type RowKey = (
    Option<String>,
    Option<String>,
    String,
    String,
    Option<String>,
);

impl Usage {
    /// Maps calls.
    pub fn of(observed: impl IntoIterator<Item = Observed>) -> Self {
        let calls = observed
            .into_iter()
            .map(|observed| {
                let mapping = map(&observed.call);
                (observed, mapping)
            })
            .collect();
        Self { calls }
    }

    /// Counts.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (observed, mapping) in &self.calls {
            let count = match (observed.status, &mapping.outcome) {
                (Status::Denied, _) => &mut totals.denied,
                (Status::Failed, _) => &mut totals.failed,
                (Status::Succeeded, Outcome::Needs(_)) => &mut totals.used,
                (Status::Succeeded, Outcome::Nothing(_)) => &mut totals.needless,
                (Status::Succeeded, Outcome::Unmapped(_)) => &mut totals.unmapped,
            };
            *count += observed.count;
        }
        totals
    }

    /// One row per call, action, resource and calling service; sorted by service, action, resource.
    pub fn rows(&self) -> Vec<UsageRow> {
        let mut rows: BTreeMap<RowKey, UsageRow> = BTreeMap::new();
        for (observed, mapping) in &self.calls {
            let needs: Vec<(Option<String>, Option<&Resource>)> = match mapping.grants() {
                [] => vec![(None, None)],
                grants => grants
                    .iter()
                    .flat_map(|grant| {
                        grant
                            .resources
                            .iter()
                            .map(|resource| (Some(grant.action.id()), Some(resource)))
                    })
                    .collect(),
            };
            for (action, resource) in needs {
                let arn = resource.map(|resource| resource.arn.clone());
                let call = &observed.call;
                let key = (
                    action.clone(),
                    arn.clone(),
                    call.event_source.clone(),
                    call.event_name.clone(),
                    call.invoked_by.clone(),
                );
                let row = rows.entry(key).or_insert_with(|| UsageRow {
                    event_source: call.event_source.clone(),
                    event_name: call.event_name.clone(),
                    action,
                    resource: arn,
                    basis: resource.map(|resource| resource.basis),
                    provenance: mapping.provenance(),
                    invoked_by: call.invoked_by.clone(),
                    calls: 0,
                    denied_calls: 0,
                    failed_calls: 0,
                    first_seen: observed.first_seen,
                    last_seen: observed.last_seen,
                });
                match observed.status {
                    Status::Succeeded => row.calls += observed.count,
                    Status::Denied => row.denied_calls += observed.count,
                    Status::Failed => row.failed_calls += observed.count,
                }
                row.first_seen = row.first_seen.min(observed.first_seen);
                row.last_seen = row.last_seen.max(observed.last_seen);
            }
        }
        rows.into_values().collect()
    }

    /// Asks policies about every successful call, except those that need something left out.
    pub fn replay(&self, documents: &[Document], left_out: impl Fn(&str) -> bool) -> Replay {
        let evaluator = Evaluator::new(documents);
        let mut replay = Replay::default();
        let mut findings: BTreeMap<(String, String, String, String), Finding> = BTreeMap::new();
        for (observed, mapping) in &self.calls {
            let grants = mapping.grants();
            if observed.status != Status::Succeeded
                || grants.is_empty()
                || grants.iter().any(|grant| left_out(&grant.action.id()))
            {
                continue;
            }
            replay.call_count += observed.count;
            let mut is_allowed = true;
            for grant in grants {
                let action = grant.action.id();
                for resource in &grant.resources {
                    let decision = decide(&evaluator, grant, resource, observed);
                    if decision == Decision::Allowed {
                        continue;
                    }
                    is_allowed = false;
                    let call = &observed.call;
                    let key = (
                        action.clone(),
                        resource.arn.clone(),
                        call.event_name.clone(),
                        format!("{decision:?}"),
                    );
                    let finding = findings.entry(key).or_insert_with(|| Finding {
                        event_source: call.event_source.clone(),
                        event_name: call.event_name.clone(),
                        action: action.clone(),
                        resource: resource.arn.clone(),
                        decision,
                        calls: 0,
                        first_seen: observed.first_seen,
                        last_seen: observed.last_seen,
                        event_id: observed.event_id.clone(),
                    });
                    finding.calls += observed.count;
                    finding.first_seen = finding.first_seen.min(observed.first_seen);
                    finding.last_seen = finding.last_seen.max(observed.last_seen);
                }
            }
            if is_allowed {
                replay.allowed_count += observed.count;
            }
        }
        replay.findings = findings.into_values().collect();
        replay
    }
}

/// What the policies say to an action on a resource at all times of the calls, whichever service a role was handed to.
fn decide(
    evaluator: &Evaluator<'_>,
    grant: &Grant,
    resource: &Resource,
    observed: &Observed,
) -> Decision {
    let action = grant.action.id();
    if !evaluator.depends_on_context(&action) {
        return evaluator.decide(&action, resource, &Context::default());
    }
    let mut context = observed.context.clone();
    match grant.passed_to.as_slice() {
        [] => decide_over_time(evaluator, &action, resource, observed, &context),
        services => {
            let mut decisions = services.iter().map(|service| {
                context.set("iam:PassedToService", *service);
                decide_over_time(evaluator, &action, resource, observed, &context)
            });
            let first = decisions.next();
            match first {
                Some(first) if decisions.all(|other| other == first) => first,
                _ => Decision::Undecidable("the record does not tell iam:PassedToService".into()),
            }
        }
    }
}

/// The decision at the first and the last time; if they differ, it depends on the time of each call.
fn decide_over_time(
    evaluator: &Evaluator<'_>,
    action: &str,
    resource: &Resource,
    observed: &Observed,
    context: &Context,
) -> Decision {
    let at = |time: DateTime<Utc>| {
        let mut context = context.clone();
        context.set("aws:CurrentTime", time.to_rfc3339());
        context.set("aws:EpochTime", time.timestamp().to_string());
        context
    };
    let first = evaluator.decide(action, resource, &at(observed.first_seen));
    if observed.first_seen == observed.last_seen {
        return first;
    }
    let last = evaluator.decide(action, resource, &at(observed.last_seen));
    if first == last {
        first
    } else {
        Decision::Undecidable("it depends on the time of each call".into())
    }
}
