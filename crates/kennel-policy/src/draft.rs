//! From usage to a policy that allows it and little else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::{
    document::{Condition, Document, Effect, Selection, Statement, VERSION},
    fold::fold,
    pattern::Pattern,
    reference::{self, AccessLevel, Action},
    resources::{Basis, Resource},
    template::Place,
    usage::{Status, Usage},
};

static COMPANIONS: &str = include_str!("../data/companions.tsv");

/// How closely resources are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResourceLevel {
    /// Each by its ARN.
    Exact,
    /// Many below one prefix by that prefix.
    #[default]
    Prefix,
    /// Not at all: `*`.
    Any,
}

/// What the policy will be part of.
///
/// Source of the limits: IAM user guide, "IAM and AWS STS quotas".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// A policy of its own, or several.
    #[default]
    Managed,
    /// A part of a role.
    InlineRole,
    /// A part of a user.
    InlineUser,
}

impl Form {
    /// Most characters without blanks: of one managed policy, of all policies inside a role or user together.
    pub fn limit_chars(self) -> usize {
        match self {
            Self::Managed => 6_144,
            Self::InlineRole => 10_240,
            Self::InlineUser => 2_048,
        }
    }
}

/// How to draft.
#[derive(Debug, Clone)]
pub struct DraftOptions {
    /// How closely resources are named.
    pub level: ResourceLevel,
    /// Resources of one kind that stand in a statement before prefixes are folded.
    pub width: usize,
    /// Patterns of actions to leave out: `iam:*`.
    pub exclude: Vec<String>,
    /// Also allow what was called and failed, except for lack of permission.
    pub include_failed: bool,
    /// Managed policies are split where one would be too long; the parts of a role or user share one limit, so they
    /// stay one document, which may be too long: see [`Draft::excess_chars`].
    pub form: Form,
}

impl Default for DraftOptions {
    fn default() -> Self {
        Self {
            level: ResourceLevel::Prefix,
            width: 10,
            exclude: Vec::new(),
            include_failed: false,
            form: Form::Managed,
        }
    }
}

/// A drafted policy.
#[derive(Debug, Clone)]
pub struct Draft {
    /// One, or several that are in force together where one would be too long. Empty when nothing was used.
    pub documents: Vec<Document>,
    /// Actions allowed on more than was seen, and why.
    pub wide: Vec<(String, &'static str)>,
    /// Actions used but left out on request.
    pub excluded: BTreeSet<String>,
    /// What may be needed although it was not seen; not part of the documents.
    pub offers: Vec<Offer>,
}

impl Draft {
    /// By how many characters a document is longer than `form` may be; zero where all fit.
    pub fn excess_chars(&self, form: Form) -> usize {
        self.documents
            .iter()
            .map(|document| document.size_chars().saturating_sub(form.limit_chars()))
            .max()
            .unwrap_or_default()
    }
}

/// Something that probably belongs to what was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// `s3:AbortMultipartUpload`.
    pub action: String,
    /// On what.
    pub resources: Vec<String>,
    /// The action that was seen.
    pub because_of: String,
    /// Why they belong together.
    pub why: &'static str,
}

/// Service, action, and the services that it hands a role to.
type Need = (&'static str, &'static str, Vec<&'static str>);
/// Actions and the patterns of their resources.
type Needs = BTreeMap<Need, (&'static Action, BTreeSet<String>)>;

/// Drafts a policy that allows every successful call of `usage` whose actions are not left out.
pub fn draft(usage: &Usage, options: &DraftOptions) -> Draft {
    let exclude: Vec<Pattern> = options
        .exclude
        .iter()
        .map(|text| Pattern::folding_case(text))
        .collect();
    let mut needs: Needs = BTreeMap::new();
    let mut wide = BTreeSet::new();
    let mut excluded = BTreeSet::new();
    for (observed, mapping) in &usage.calls {
        let counts = match observed.status {
            Status::Succeeded => true,
            Status::Failed => options.include_failed,
            Status::Denied => false,
        };
        if !counts {
            continue;
        }
        for grant in mapping.grants() {
            let id = grant.action.id();
            if exclude.iter().any(|pattern| pattern.matches(&id)) {
                excluded.insert(id);
                continue;
            }
            let place = Place {
                partition: observed.call.partition(),
                region: &observed.call.region,
                account: &observed.call.account_id,
            };
            let (_, patterns) = needs
                .entry((
                    grant.action.service,
                    grant.action.name,
                    grant.passed_to.clone(),
                ))
                .or_insert_with(|| (grant.action, BTreeSet::new()));
            for resource in &grant.resources {
                if options.level != ResourceLevel::Any
                    && let Some(why) = width_of(resource)
                {
                    wide.insert((id.clone(), why));
                }
                let pattern = pattern_for(grant.action, resource, place, options.level);
                patterns.extend(log_group_with_streams(grant.action, &pattern));
                patterns.insert(pattern);
            }
        }
    }
    if options.level == ResourceLevel::Prefix {
        for (_, patterns) in needs.values_mut() {
            *patterns = fold(std::mem::take(patterns), options.width);
        }
    }
    for (_, patterns) in needs.values_mut() {
        without_covered(patterns);
    }
    let offers = offers(&needs);
    Draft {
        documents: match options.form {
            Form::Managed => split(statements(needs)),
            Form::InlineRole | Form::InlineUser => whole(statements(needs)),
        },
        wide: wide.into_iter().collect(),
        excluded,
        offers,
    }
}

/// Why a resource is named more widely than what was seen.
fn width_of(resource: &Resource) -> Option<&'static str> {
    match resource.basis {
        Basis::Record | Basis::Request => None,
        Basis::Response => Some("the call creates the resource: its name is not known before"),
        Basis::Kind => Some("the record tells only the kind of resource"),
        Basis::NoResource => Some("the action takes no resource"),
        Basis::Unknown => Some("the record does not tell the resource"),
    }
}

fn pattern_for(
    action: &Action,
    resource: &Resource,
    place: Place<'_>,
    level: ResourceLevel,
) -> String {
    if level == ResourceLevel::Any {
        return "*".into();
    }
    if resource.basis == Basis::Response {
        let service = reference::service(action.service);
        let kinds = action
            .types
            .iter()
            .filter_map(|(kind, _)| service?.resource_type(kind));
        let kind = kinds
            .filter_map(|kind| Some((kind.template.matches(&resource.arn)?, kind)))
            .max_by_key(|(specific, _)| *specific);
        if let Some((_, kind)) = kind {
            // Where it was made, which may be another account than the one that recorded the call.
            let parts: Vec<&str> = resource.arn.splitn(6, ':').collect();
            let place = match parts.as_slice() {
                [_, partition, _, region, account, _] => Place {
                    partition,
                    region,
                    account,
                },
                _ => place,
            };
            return kind.template.fill(place, |_| None).0;
        }
    }
    resource.pattern()
}

/// CloudWatch Logs names a log group with `:*` behind it in most of its checks, and without in some.
///
/// Source: CloudWatch Logs user guide, "CloudWatch Logs resources and operations".
fn log_group_with_streams(action: &Action, pattern: &str) -> Option<String> {
    let is_group = action.service == "logs"
        && pattern.contains(":log-group:")
        && !pattern.contains(":log-stream:")
        && !pattern.ends_with('*');
    is_group.then(|| format!("{pattern}:*"))
}

/// Leaves out patterns that another one covers.
fn without_covered(patterns: &mut BTreeSet<String>) {
    if patterns.contains("*") {
        *patterns = BTreeSet::from(["*".to_owned()]);
        return;
    }
    let open: Vec<(String, Pattern)> = patterns
        .iter()
        .map(|text| (text.clone(), Pattern::new(text)))
        .filter(|(_, pattern)| pattern.is_open())
        .collect();
    if open.is_empty() {
        return;
    }
    patterns.retain(|text| {
        let pattern = Pattern::new(text);
        !open
            .iter()
            .any(|(wide, wide_pattern)| wide != text && wide_pattern.covers(&pattern))
    });
}

/// Actions of one service on equal resources stand together, by what they do.
fn statements(needs: Needs) -> Vec<Statement> {
    type Group = (&'static str, AccessLevel, Vec<&'static str>, Vec<String>);
    let mut groups: BTreeMap<Group, Vec<String>> = BTreeMap::new();
    for ((service, _, passed_to), (action, patterns)) in needs {
        let resources: Vec<String> = patterns.into_iter().collect();
        groups
            .entry((service, action.level, passed_to, resources))
            .or_default()
            .push(action.id());
    }
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    groups
        .into_iter()
        .map(|((service, level, passed_to, resources), actions)| {
            let base = format!("{}{}", camel(service), camel(level.as_str()));
            let nth = named.entry(base.clone()).or_default();
            *nth += 1;
            Statement {
                sid: Some(if *nth == 1 {
                    base
                } else {
                    format!("{base}{nth}")
                }),
                effect: Effect::Allow,
                principal: None,
                actions: Selection::Only(actions),
                resources: Some(Selection::Only(resources)),
                conditions: passed_only_to(&passed_to),
            }
        })
        .collect()
}

/// A role is handed to these services and no others; to any where nobody knows to which it was.
///
/// Source: IAM user guide, "Available keys for IAM": `iam:PassedToService`.
fn passed_only_to(services: &[&str]) -> Vec<Condition> {
    if services.is_empty() {
        return Vec::new();
    }
    vec![Condition {
        operator: "StringEquals".into(),
        key: "iam:PassedToService".into(),
        values: services.iter().map(|name| (*name).to_owned()).collect(),
    }]
}

/// `execute-api` → `ExecuteApi`: sids are letters and digits.
fn camel(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + chars.as_str()
            })
        })
        .collect()
}

fn document(statements: Vec<Statement>) -> Document {
    Document {
        version: Some(VERSION.into()),
        id: None,
        statements,
    }
}

/// One document, or none for nothing.
fn whole(statements: Vec<Statement>) -> Vec<Document> {
    if statements.is_empty() {
        return Vec::new();
    }
    vec![document(statements)]
}

/// Fills documents up to IAM's limit; a statement that is too long alone is taken apart.
fn split(statements: Vec<Statement>) -> Vec<Document> {
    let is_too_long = |statements: &[Statement]| {
        document(statements.to_vec()).size_chars() > Form::Managed.limit_chars()
    };
    let mut queue: Vec<Statement> = statements.into_iter().rev().collect();
    let mut documents = Vec::new();
    let mut open: Vec<Statement> = Vec::new();
    while let Some(statement) = queue.pop() {
        open.push(statement);
        if !is_too_long(&open) {
            continue;
        }
        let Some(last) = open.pop() else { break };
        if open.is_empty() {
            match halves(&last) {
                Some((first, second)) => queue.extend([second, first]),
                // One action on one resource: nothing can be taken apart.
                None => documents.push(document(vec![last])),
            }
        } else {
            documents.push(document(std::mem::take(&mut open)));
            queue.push(last);
        }
    }
    if !open.is_empty() {
        documents.push(document(open));
    }
    documents
}

/// A statement as two: by its resources, else by its actions.
fn halves(statement: &Statement) -> Option<(Statement, Statement)> {
    let with_sid = |part: &str, actions: Selection, resources: Option<Selection>| Statement {
        sid: statement.sid.as_ref().map(|sid| format!("{sid}{part}")),
        actions,
        resources,
        ..statement.clone()
    };
    if let Some(Selection::Only(resources)) = &statement.resources
        && resources.len() > 1
    {
        let (a, b) = resources.split_at(resources.len() / 2);
        let of = |part, resources: &[String]| {
            with_sid(
                part,
                statement.actions.clone(),
                Some(Selection::Only(resources.to_vec())),
            )
        };
        return Some((of("A", a), of("B", b)));
    }
    if let Selection::Only(actions) = &statement.actions
        && actions.len() > 1
    {
        let (a, b) = actions.split_at(actions.len() / 2);
        let of = |part, actions: &[String]| {
            with_sid(
                part,
                Selection::Only(actions.to_vec()),
                statement.resources.clone(),
            )
        };
        return Some((of("A", a), of("B", b)));
    }
    None
}

/// Other halves of what was seen, where they were not seen themselves.
fn offers(needs: &Needs) -> Vec<Offer> {
    static ROWS: LazyLock<Vec<[&'static str; 4]>> = LazyLock::new(|| {
        let rows = COMPANIONS.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok())
            .collect()
    });
    let seen = |id: &str| {
        let action = reference::action(id)?;
        needs.get(&(action.service, action.name, Vec::new()))
    };
    let mut offers: BTreeMap<&str, Offer> = BTreeMap::new();
    for [action, companion, on, why] in ROWS.iter() {
        let Some((_, patterns)) = seen(action) else {
            continue;
        };
        if seen(companion).is_some() {
            continue;
        }
        let resources: BTreeSet<String> = match *on {
            "same" => patterns.clone(),
            "bucket" => patterns
                .iter()
                .map(|pattern| {
                    let start = pattern
                        .match_indices(':')
                        .nth(4)
                        .map_or(0, |(at, _)| at + 1);
                    pattern[start..]
                        .find('/')
                        .map_or(pattern.clone(), |at| pattern[..start + at].to_owned())
                })
                .collect(),
            _ => BTreeSet::from(["*".to_owned()]),
        };
        let offer = offers.entry(companion).or_insert_with(|| Offer {
            action: (*companion).to_owned(),
            resources: Vec::new(),
            because_of: (*action).to_owned(),
            why,
        });
        for resource in resources {
            if !offer.resources.contains(&resource) {
                offer.resources.push(resource);
            }
        }
    }
    offers.into_values().collect()
}

/// All companions of the table: the action seen and its other half.
pub fn companions() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMPANIONS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.next()?, fields.next()?))
        })
}
