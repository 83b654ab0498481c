//! From a recorded call to the IAM actions that it needed.
//!
//! In this order: the hand-written table, the action of the same name, the same two without a version in the name,
//! API Gateway's methods and paths, a batch of single calls. What none of them knows is unmapped: it is said, and
//! never guessed.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use crate::{
    call::{Call, fields, folded},
    calls::{self, On},
    passing,
    reference::{self, AccessLevel, Action, Service},
    resources::{self, Basis, Resource},
};

static SOURCES: &str = include_str!("../data/sources.tsv");
static OWN_SOURCES: &str = include_str!("../data/event-sources.tsv");
static GATEWAY: &str = include_str!("../data/gateway.tsv");

/// How sure a mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// The reference has an action of the call's name.
    Exact,
    /// The hand-written table says so.
    Table,
    /// A rule that holds for many calls: a version cut off, a batch of single calls, a role handed over.
    Rule,
    /// Looks alike. Told as an alternative, never as an action.
    Guess,
}

impl Provenance {
    /// For output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Table => "table",
            Self::Rule => "rule",
            Self::Guess => "guess",
        }
    }
}

/// One action that a call needed, and on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The action.
    pub action: &'static Action,
    /// What it worked on, sorted; never empty.
    pub resources: Vec<Resource>,
    /// How it was found.
    pub provenance: Provenance,
    /// Why, for people.
    pub why: Cow<'static, str>,
    /// Of `iam:PassRole`: the service that the role is handed to, or those that it may be; none where nobody knows.
    pub passed_to: Vec<&'static str>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It needed these actions; never empty.
    Needs(Vec<Grant>),
    /// It needed no permission, and why.
    Nothing(Cow<'static, str>),
    /// Nobody knows; and why.
    Unmapped(Cow<'static, str>),
}

/// A call, mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// What it needed.
    pub outcome: Outcome,
    /// Of an unmapped call: actions that look alike.
    pub alternatives: Vec<String>,
}

impl Mapping {
    /// The actions needed; none when nothing was, or nothing is known.
    pub fn grants(&self) -> &[Grant] {
        match &self.outcome {
            Outcome::Needs(grants) => grants,
            Outcome::Nothing(_) | Outcome::Unmapped(_) => &[],
        }
    }

    /// How sure it is: the least sure of its actions.
    pub fn provenance(&self) -> &'static str {
        match &self.outcome {
            Outcome::Needs(grants) => grants
                .iter()
                .map(|grant| grant.provenance)
                .max()
                .map_or("unmapped", Provenance::as_str),
            Outcome::Nothing(_) => Provenance::Table.as_str(),
            Outcome::Unmapped(_) => "unmapped",
        }
    }
}

/// Maps a recorded call to the actions that it needed, whether it was allowed or not.
pub fn map(call: &Call) -> Mapping {
    let mapped = |outcome| Mapping {
        outcome,
        alternatives: Vec::new(),
    };
    let prefixes = prefixes(&call.event_source);
    let services: Vec<&Service> = prefixes
        .iter()
        .filter_map(|prefix| reference::service(prefix))
        .collect();
    if let Some(reason) = no_call(call) {
        return mapped(Outcome::Nothing(reason.into()));
    }
    let plain = without_version(&call.event_name);
    for (name, is_whole) in [(call.event_name.as_str(), true), (plain, false)] {
        if !is_whole && name == call.event_name {
            continue;
        }
        for service in &services {
            if let Some(outcome) = by_name(service, name, is_whole, call) {
                return mapped(with_companions(outcome, call));
            }
        }
    }
    let by_rule = services.iter().find_map(|service| match service.name {
        "apigateway" => gateway(service, plain, call),
        _ => batch(service, plain, call),
    });
    if let Some(outcome) = by_rule {
        return mapped(with_companions(outcome, call));
    }
    let why = if services.is_empty() {
        Cow::from(format!(
            "the event source `{}` is not known",
            call.event_source
        ))
    } else {
        Cow::from(format!(
            "no action of {} is known to be needed for this call",
            services
                .iter()
                .map(|service| service.name)
                .collect::<Vec<_>>()
                .join(" or ")
        ))
    };
    let alternatives = services
        .iter()
        .flat_map(|service| alike(service, plain))
        .collect();
    Mapping {
        outcome: Outcome::Unmapped(why),
        alternatives,
    }
}

/// Prefixes that an event source may stand for, the likeliest first.
pub fn prefixes(event_source: &str) -> Vec<&'static str> {
    static LABELS: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
        let mut labels: HashMap<&str, Vec<&str>> = HashMap::new();
        // The hand-written rows come last and win.
        for line in SOURCES.lines().chain(OWN_SOURCES.lines()) {
            if let Some((label, prefixes)) = line.split_once('\t') {
                labels.insert(label, prefixes.split(' ').collect());
            }
        }
        labels
    });
    let host = event_source.to_ascii_lowercase();
    let label = [
        ".amazonaws.com.cn",
        ".amazonaws.com",
        ".aws.internal",
        ".api.aws",
    ]
    .iter()
    .find_map(|end| host.strip_suffix(end))
    .unwrap_or(&host);
    if let Some(prefixes) = LABELS.get(label) {
        return prefixes.clone();
    }
    if let Some(service) = reference::service(label) {
        return vec![service.name];
    }
    Vec::new()
}

/// Records that are no calls that a policy could allow.
fn no_call(call: &Call) -> Option<&'static str> {
    match call.event_type.as_deref() {
        Some("AwsServiceEvent") => Some("a service's notice, not a call"),
        Some("AwsConsoleSignIn" | "AwsConsoleSignin") => Some("a sign-in"),
        Some("AwsCloudTrailInsight" | "AwsAggregatedEvent") => Some("a summary, not a call"),
        _ => None,
    }
}

/// The table, then the action of the same name.
fn by_name(service: &'static Service, name: &str, is_whole: bool, call: &Call) -> Option<Outcome> {
    let version = if is_whole {
        ""
    } else {
        "the version in the call's name is cut off"
    };
    if let Some(rows) = calls::rows(service.name, name, call).filter(|rows| !rows.is_empty()) {
        let mut grants = Vec::new();
        for row in &rows {
            let Some(action) = row.action else {
                return Some(Outcome::Nothing(row.why.into()));
            };
            let action = reference::action(action)?;
            let resources = match grants.first() {
                Some(made) if row.on == On::Usual && is_tagging(action) => {
                    tagged(made, action, call)
                }
                _ => resources::of(action, call, row.on),
            };
            grants.push(Grant {
                action,
                resources,
                passed_to: Vec::new(),
                provenance: match is_whole {
                    // A row that only repeats the name, beside rows that add to it.
                    true if action.name.eq_ignore_ascii_case(name) && row.why.is_empty() => {
                        Provenance::Exact
                    }
                    true => Provenance::Table,
                    false => Provenance::Rule,
                },
                why: if row.why.is_empty() {
                    version.into()
                } else {
                    row.why.into()
                },
            });
        }
        return Some(Outcome::Needs(grants));
    }
    let action = service.action(name)?;
    Some(Outcome::Needs(vec![Grant {
        action,
        resources: resources::of(action, call, On::Usual),
        provenance: if is_whole {
            Provenance::Exact
        } else {
            Provenance::Rule
        },
        why: version.into(),
        passed_to: Vec::new(),
    }]))
}

/// Cuts off the API's date, with which Lambda and CloudFront name their calls: `ListFunctions20150331`,
/// `UpdateFunctionCode20150331v2`, `CreateDistribution2020_05_31`.
pub(crate) fn without_version(name: &str) -> &str {
    let digits = |text: &str| text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let body = match name.rfind('v') {
        Some(at)
            if at + 1 < name.len()
                && digits(name) == name.len() - at - 1
                && digits(&name[..at]) >= 8 =>
        {
            &name[..at]
        }
        _ => name,
    };
    if digits(body) == 8 {
        return &body[..body.len() - 8];
    }
    let bytes = body.as_bytes();
    let is_dashed = bytes.len() > 10
        && bytes[bytes.len() - 10..]
            .iter()
            .enumerate()
            .all(|(at, byte)| {
                if matches!(at, 4 | 7) {
                    *byte == b'_'
                } else {
                    byte.is_ascii_digit()
                }
            });
    if is_dashed {
        &body[..body.len() - 10]
    } else {
        name
    }
}

/// What a call needs beside its own action: handing over a role, setting tags on what it creates.
fn with_companions(outcome: Outcome, call: &Call) -> Outcome {
    let Outcome::Needs(mut grants) = outcome else {
        return outcome;
    };
    let dependents: Vec<&str> = grants
        .iter()
        .flat_map(|grant| grant.action.dependents.iter().copied())
        .collect();
    let has = |grants: &[Grant], id: &str| grants.iter().any(|grant| grant.action.id() == id);
    let service = grants
        .first()
        .map(|grant| grant.action.service)
        .unwrap_or_default();
    let changes = grants
        .iter()
        .any(|grant| !matches!(grant.action.level, AccessLevel::List | AccessLevel::Read));
    if !has(&grants, "iam:PassRole") {
        let is_listed = dependents.contains(&"iam:PassRole");
        grants.extend(passing::grants(service, changes, is_listed, call));
    }
    let tagging = dependents.iter().find(|id| {
        let (prefix, name) = id.split_once(':').unwrap_or_default();
        prefix == service
            && matches!(
                name,
                "TagResource" | "CreateTags" | "AddTags" | "AddTagsToResource" | "Tag"
            )
    });
    if let Some(action) = tagging
        .filter(|_| calls::has_tags(&call.request))
        .and_then(|id| reference::action(id))
        && !has(&grants, &action.id())
    {
        let resources = grants
            .first()
            .map_or_else(Vec::new, |made| tagged(made, action, call));
        grants.push(Grant {
            action,
            resources,
            provenance: Provenance::Rule,
            why: "tags are set with what the call creates".into(),
            passed_to: Vec::new(),
        });
    }
    Outcome::Needs(grants)
}

/// An action that sets tags and nothing else.
fn is_tagging(action: &Action) -> bool {
    action.level == AccessLevel::Tagging
}

/// What is tagged while it is made: the thing that the call is about, where the call needs others, too.
fn tagged(made: &Grant, tagging: &Action, call: &Call) -> Vec<Resource> {
    if tagging.service == "ec2" || made.resources.iter().all(|resource| resource.arn == "*") {
        return resources::of(tagging, call, On::Usual);
    }
    let about: Vec<Resource> = made
        .resources
        .iter()
        .filter(|resource| resources::is_about(made.action, &resource.arn))
        .cloned()
        .collect();
    if about.is_empty() {
        made.resources.clone()
    } else {
        about
    }
}

/// API Gateway authorises HTTP methods on the paths of its own API.
///
/// Source: API Gateway developer guide, "Use IAM policies to control access": `arn:aws:apigateway:REGION::/restapis`.
fn gateway(service: &'static Service, name: &str, call: &Call) -> Option<Outcome> {
    let rows = GATEWAY.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (operation, method, path) = (fields.next()?, fields.next()?, fields.next()?);
        operation
            .eq_ignore_ascii_case(name)
            .then_some((method, path))
    });
    let values = fields(&call.request);
    let value = |parameter: &str| {
        let name = folded(parameter);
        values
            .iter()
            .find(|field| field.key == name)
            .map(|field| field.text.as_str())
    };
    let filled = |path: &str, escapes: bool| {
        let mut unknown = 0;
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| {
                match segment
                    .strip_prefix('{')
                    .and_then(|segment| segment.strip_suffix('}'))
                {
                    Some(parameter) => value(parameter).map_or_else(
                        || {
                            unknown += 1;
                            "*".to_owned()
                        },
                        |value| {
                            if escapes {
                                crate::pattern::escape(value)
                            } else {
                                value.to_owned()
                            }
                        },
                    ),
                    None => segment.to_owned(),
                }
            })
            .collect();
        (unknown, segments.join("/"))
    };
    // Two generations of the API share names: the one whose parameters the call has is meant.
    let (unknown, method, path) = rows
        .map(|(method, path)| {
            let (unknown, plain) = filled(path, false);
            let path = if unknown == 0 {
                plain
            } else {
                filled(path, true).1
            };
            (unknown, method, path)
        })
        .min_by_key(|(unknown, ..)| *unknown)?;
    let action = service.action(method)?;
    let arn = format!(
        "arn:{}:apigateway:{}::{path}",
        call.partition(),
        call.region
    );
    Some(Outcome::Needs(vec![Grant {
        action,
        resources: vec![Resource::new(
            arn,
            if unknown == 0 {
                Basis::Request
            } else {
                Basis::Kind
            },
        )],
        provenance: Provenance::Table,
        why: "API Gateway authorises HTTP methods".into(),
        passed_to: Vec::new(),
    }]))
}

/// `BatchGetPolicy` needs `GetPolicy`, where there is no action for the batch.
fn batch(service: &'static Service, name: &str, call: &Call) -> Option<Outcome> {
    let single = name
        .strip_prefix("Batch")
        .or_else(|| name.strip_suffix("Batch"))?;
    let action = service
        .action(single)
        .or_else(|| service.action(single.strip_suffix('s')?))?;
    Some(Outcome::Needs(vec![Grant {
        action,
        resources: resources::of(action, call, On::Usual),
        provenance: Provenance::Rule,
        why: "a batch needs what each of its calls needs".into(),
        passed_to: Vec::new(),
    }]))
}

/// Actions about the same thing: the name without its verb and ending.
fn alike(service: &Service, name: &str) -> Vec<String> {
    let noun = |name: &str| {
        let at = name
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_ascii_uppercase())
            .map_or(0, |(at, _)| at);
        let noun = name[at..].to_ascii_lowercase();
        noun.trim_end_matches(|c: char| c.is_ascii_digit())
            .trim_end_matches('v')
            .trim_end_matches('s')
            .to_owned()
    };
    let wanted = noun(name);
    let mut found: Vec<String> = service
        .actions()
        .into_iter()
        .filter(|action| wanted.len() > 2 && noun(action.name) == wanted)
        .map(Action::id)
        .collect();
    found.truncate(8);
    found
}
