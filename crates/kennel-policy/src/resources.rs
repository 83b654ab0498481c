//! From a call to the ARNs that its action works on: what the record names, what the parameters name, and what
//! remains unknown.

mod filling;
mod special;
mod value;

use std::collections::BTreeMap;

use self::special::{is_meant, is_needed_all_the_same};
use crate::{
    call::{Call, Field, at_path, fields, folded, texts_at},
    calls::{self, On},
    names,
    reference::{AccessLevel, Action, ResourceType, Service, service},
    template::Place,
};

/// Longest value taken into an ARN, as in IAM's limit of a name with its path.
const LONGEST_VALUE: usize = 2_048;

/// Where a resource is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The record's `resources`.
    Record,
    /// Request parameters.
    Request,
    /// Response elements: what the call made or found; another call would make another.
    Response,
    /// Only the kind of thing is known, so all of that kind are named.
    Kind,
    /// The action takes no resource: a policy has to say `*`.
    NoResource,
    /// The action takes a resource, but nothing tells which: `*`.
    Unknown,
}

impl Basis {
    /// For output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Request => "request",
            Self::Response => "response",
            Self::Kind => "kind",
            Self::NoResource => "no-resource",
            Self::Unknown => "unknown",
        }
    }
}

/// A resource, and where it is known from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// An ARN; `*` inside where something is not known, and for all of it. Text that came from the call is as it came:
    /// see [`crate::pattern::escape`] before it goes into a policy.
    pub arn: String,
    /// Where it is known from.
    pub basis: Basis,
}

impl Resource {
    pub(crate) fn new(arn: impl Into<String>, basis: Basis) -> Self {
        Self {
            arn: arn.into(),
            basis,
        }
    }

    /// The ARN as a pattern for a policy: text from the call is escaped, `*` for what is not known stays.
    pub fn pattern(&self) -> String {
        match self.basis {
            Basis::Record | Basis::Request | Basis::Response => crate::pattern::escape(&self.arn),
            Basis::Kind | Basis::NoResource | Basis::Unknown => self.arn.clone(),
        }
    }
}

/// What `action` works on in `call`, sorted. Never empty.
pub(crate) fn of(action: &Action, call: &Call, on: On) -> Vec<Resource> {
    if action.types.is_empty() {
        return vec![Resource::new("*", Basis::NoResource)];
    }
    let Some(service) = service(action.service) else {
        return vec![Resource::new("*", Basis::Unknown)];
    };
    let search = Search::new(action, service, call);
    let mut found = match on {
        On::Usual => search.usual(),
        On::Path(path) => search.at(path),
        On::Keys(path) => search.keys(path),
        On::Target => search.target(),
        On::CopySource => search.copy_source(),
        On::Sql(path) => search.sql(path),
    };
    if found.is_empty() {
        found = search.plainly_named();
    }
    if found.is_empty() {
        found = search.kinds();
    }
    if found.is_empty() {
        found.push(Resource::new("*", Basis::Unknown));
    }
    found.sort();
    found.dedup_by(|a, b| a.arn == b.arn);
    found
}

/// The account that owns what the call is about, where the request tells another than the one that recorded it.
fn owner<'c>(service: &Service, call: &'c Call) -> &'c str {
    let parameter = match service.name {
        "ecr" => "registryId",
        "glue" => "catalogId",
        "sqs" => "queueOwnerAWSAccountId",
        _ => return &call.account_id,
    };
    let named = texts_at(&call.request, parameter).first().copied();
    named
        .filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or(&call.account_id)
}

/// Whether an action's name ends with the kind of thing that `arn` names: `CreateDBSnapshot` with a snapshot.
pub(crate) fn is_about(action: &Action, arn: &str) -> bool {
    let Some(service) = service(action.service) else {
        return false;
    };
    let name = folded(action.name);
    action
        .types
        .iter()
        .filter_map(|(kind, _)| service.resource_type(kind))
        .filter(|kind| kind.template.matches(arn).is_some())
        .any(|kind| {
            let variable = kind.template.variables().last().map(names::stem_of);
            name.ends_with(&folded(kind.name))
                || variable.is_some_and(|stem| !stem.is_empty() && name.ends_with(&stem))
        })
}

struct Search<'a> {
    action: &'a Action,
    service: &'a Service,
    types: Vec<(&'a ResourceType, bool)>,
    call: &'a Call,
    place: Place<'a>,
    request: Vec<Field>,
}

impl<'a> Search<'a> {
    fn new(action: &'a Action, service: &'a Service, call: &'a Call) -> Self {
        // Where many kinds are "required", any one of them is: tags, policies of resources, models.
        let required_count = action
            .types
            .iter()
            .filter(|(_, required)| *required)
            .count();
        let is_about_tags = action.level == AccessLevel::Tagging || action.name.contains("Tag");
        let are_alternatives =
            service.name != "ec2" && (required_count > 5 || (required_count > 1 && is_about_tags));
        let known = |(name, required): &(&str, bool)| {
            let kind = service
                .resource_type(name)
                .filter(|kind| is_meant(service, kind, call))?;
            let required = *required || is_needed_all_the_same(action, kind);
            Some((kind, required && !are_alternatives))
        };
        Self {
            action,
            service,
            types: action.types.iter().filter_map(known).collect(),
            call,
            place: Place {
                partition: call.partition(),
                region: &call.region,
                account: owner(service, call),
            },
            request: fields(&call.request),
        }
    }

    /// The usual way: what the record names, then what the parameters name; what is required and not known by its kind.
    fn usual(&self) -> Vec<Resource> {
        if let Some(special) = self.special() {
            return special;
        }
        let recorded = self
            .call
            .resources
            .iter()
            .filter_map(|named| named.arn.as_deref());
        let mut by_kind: BTreeMap<&str, Vec<Resource>> = BTreeMap::new();
        for arn in recorded {
            if let Some(kind) = self.kind_of(arn) {
                by_kind
                    .entry(kind)
                    .or_default()
                    .push(Resource::new(arn, Basis::Record));
            }
        }
        let requested = self.arns(&self.request);
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for (kind, required) in &self.types {
            if let Some(recorded) = by_kind.remove(kind.name) {
                found.extend(recorded);
                continue;
            }
            let named: Vec<_> = requested
                .iter()
                .filter(|(name, _)| *name == kind.name)
                .collect();
            let filled = self.filled(kind, &self.request, Basis::Request);
            // The thing itself stands at the top; deeper down, others of its kind may be named.
            let stands_above =
                filled.is_complete && named.iter().all(|(_, field)| filled.depth < field.depth);
            if !named.is_empty() && !stands_above {
                found.extend(
                    named
                        .iter()
                        .map(|(_, field)| Resource::new(&field.text, Basis::Request)),
                );
                continue;
            }
            if filled.is_complete {
                found.extend(filled.resources);
            } else {
                missing.push((*kind, *required, filled.resources));
            }
        }
        found.extend(self.prefixes(&found));
        self.complete(found, missing)
    }

    /// Adds what is still missing: from the response, or by kind.
    fn complete(
        &self,
        mut found: Vec<Resource>,
        missing: Vec<(&ResourceType, bool, Vec<Resource>)>,
    ) -> Vec<Resource> {
        let any_required = self.types.iter().any(|(_, required)| *required);
        let nothing_yet = found.is_empty();
        let response = fields(&self.call.response);
        let answered = self.arns(&response);
        for (kind, required, partial) in missing {
            if !required && (any_required || !nothing_yet) {
                continue;
            }
            if found
                .iter()
                .any(|resource| kind.template.matches(&resource.arn).is_some())
            {
                continue;
            }
            let named: Vec<_> = answered
                .iter()
                .filter(|(name, _)| *name == kind.name)
                .collect();
            if !named.is_empty() {
                found.extend(
                    named
                        .iter()
                        .map(|(_, field)| Resource::new(&field.text, Basis::Response)),
                );
                continue;
            }
            let filled = self.filled(kind, &response, Basis::Response);
            if filled.is_complete {
                found.extend(filled.resources);
            } else if required
                || partial
                    .iter()
                    .any(|resource| resource.basis == Basis::Request)
            {
                found.extend(
                    partial
                        .into_iter()
                        .map(|resource| Resource::new(resource.arn, Basis::Kind)),
                );
            }
        }
        found
    }

    /// What the request calls the resource, whatever the reference says of its type: AWS adds types before it lists them.
    fn plainly_named(&self) -> Vec<Resource> {
        let is_of_service = |arn: &str| arn.split(':').nth(2) == Some(self.service.name);
        self.request
            .iter()
            .filter(|field| field.key == "resourcearn" && field.depth <= 1)
            .filter(|field| field.text.starts_with("arn:") && is_of_service(&field.text))
            .filter(|field| field.text.len() <= LONGEST_VALUE)
            .map(|field| Resource::new(&field.text, Basis::Request))
            .collect()
    }

    /// Resources by kind alone, for what is required.
    fn kinds(&self) -> Vec<Resource> {
        self.types
            .iter()
            .filter(|(_, required)| *required)
            .map(|(kind, _)| Resource::new(kind.template.fill(self.place, |_| None).0, Basis::Kind))
            .collect()
    }

    /// The action's resource type that `arn` is of, the most specific one.
    fn kind_of(&self, arn: &str) -> Option<&'a str> {
        self.types
            .iter()
            .filter_map(|(kind, _)| Some((kind.template.matches(arn)?, kind.name)))
            .max_by_key(|(specific, _)| *specific)
            .map(|(_, name)| name)
    }

    /// ARNs among the values that are of one of the action's types.
    fn arns<'f>(&self, fields: &'f [Field]) -> Vec<(&'a str, &'f Field)> {
        fields
            .iter()
            .filter(|field| field.text.starts_with("arn:") && field.text.len() <= LONGEST_VALUE)
            .filter_map(|field| Some((self.kind_of(&field.text)?, field)))
            .collect()
    }

    /// `ARNPrefix` of the record, for types that nothing else names.
    fn prefixes(&self, found: &[Resource]) -> Vec<Resource> {
        let prefixes = self
            .call
            .resources
            .iter()
            .filter_map(|named| named.arn_prefix.as_deref());
        prefixes
            .filter(|prefix| self.kind_of(&format!("{prefix}x")).is_some())
            .filter(|prefix| {
                !found
                    .iter()
                    .any(|resource| resource.arn.starts_with(*prefix))
            })
            .map(|prefix| {
                Resource::new(format!("{}*", crate::pattern::escape(prefix)), Basis::Kind)
            })
            .collect()
    }

    /// Values at a path that name the action's resource.
    fn at(&self, path: &str) -> Vec<Resource> {
        let mut texts: Vec<String> = texts_at(&self.call.request, path)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if texts.is_empty() {
            let last = folded(path.rsplit('.').next().unwrap_or(path));
            texts.extend(
                self.request
                    .iter()
                    .filter(|field| field.key == last)
                    .map(|field| field.text.clone()),
            );
        }
        texts.iter().filter_map(|text| self.named(text)).collect()
    }

    /// One name or ARN as the action's resource: of the required type, else of the first.
    fn named(&self, text: &str) -> Option<Resource> {
        if text.starts_with("arn:") {
            self.kind_of(text)?;
            return Some(Resource::new(text, Basis::Request));
        }
        let (kind, _) = self
            .types
            .iter()
            .find(|(_, required)| *required)
            .or(self.types.first())?;
        let variable = kind.template.variables().last()?;
        let value = self.value(kind, variable, text)?;
        let (arn, is_complete) = kind.template.fill(self.place, |_| Some(&value));
        is_complete.then(|| Resource::new(arn, Basis::Request))
    }

    /// What the request names, else the usual.
    fn target(&self) -> Vec<Resource> {
        if let Some(special) = self.special() {
            return special;
        }
        let named = self
            .types
            .iter()
            .map(|(kind, _)| self.filled(kind, &self.request, Basis::Request))
            .filter(|filled| filled.is_complete);
        let found: Vec<Resource> = named.flat_map(|filled| filled.resources).collect();
        if found.is_empty() {
            return self.usual();
        }
        found
    }

    fn keys(&self, path: &str) -> Vec<Resource> {
        at_path(&self.call.request, path)
            .into_iter()
            .filter_map(serde_json::Value::as_object)
            .flat_map(|object| object.keys())
            .filter_map(|key| self.named(key))
            .collect()
    }

    fn copy_source(&self) -> Vec<Resource> {
        let Some(source) = calls::copy_source(&self.call.request) else {
            return Vec::new();
        };
        let arn = if source.starts_with("arn:") {
            source
        } else {
            format!("arn:{}:s3:::{source}", self.place.partition)
        };
        vec![Resource::new(arn, Basis::Request)]
    }

    fn sql(&self, path: &str) -> Vec<Resource> {
        let mut found = Vec::new();
        for (table, index) in calls::sql_tables(&self.call.request, path, self.action.name) {
            for (kind, _) in &self.types {
                let (arn, is_complete) =
                    kind.template.fill(self.place, |variable| match variable {
                        "TableName" => Some(table.as_str()),
                        "IndexName" => index.as_deref(),
                        _ => None,
                    });
                if is_complete {
                    found.push(Resource::new(arn, Basis::Request));
                }
            }
        }
        found
    }
}
