//! From a call to the ARNs that its action works on: what the record names, what the parameters name, and what
//! remains unknown.

mod special;

use std::collections::BTreeMap;

use self::special::{ec2_kind, is_meant, queue_of};
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
        On::CopySource => search.copy_source(),
        On::Sql(path) => search.sql(path),
    };
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
            Some((kind, *required && !are_alternatives))
        };
        Self {
            action,
            service,
            types: action.types.iter().filter_map(known).collect(),
            call,
            place: Place {
                partition: call.partition(),
                region: &call.region,
                account: &call.account_id,
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
            if !named.is_empty() {
                found.extend(
                    named
                        .iter()
                        .map(|(_, arn)| Resource::new(*arn, Basis::Request)),
                );
                continue;
            }
            let (arns, is_complete) = self.filled(kind, &self.request, Basis::Request);
            if is_complete {
                found.extend(arns);
            } else {
                missing.push((*kind, *required, arns));
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
                        .map(|(_, arn)| Resource::new(*arn, Basis::Response)),
                );
                continue;
            }
            let (arns, is_complete) = self.filled(kind, &response, Basis::Response);
            if is_complete {
                found.extend(arns);
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
    fn arns<'f>(&self, fields: &'f [Field]) -> Vec<(&'a str, &'f str)> {
        fields
            .iter()
            .filter(|field| field.text.starts_with("arn:") && field.text.len() <= LONGEST_VALUE)
            .filter_map(|field| Some((self.kind_of(&field.text)?, field.text.as_str())))
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

    /// Fills a type's template from values: the ARNs, and whether each variable had a value.
    fn filled(&self, kind: &ResourceType, fields: &[Field], basis: Basis) -> (Vec<Resource>, bool) {
        let mut values: Vec<(&str, Vec<String>)> = Vec::new();
        for variable in kind.template.variables() {
            let mut found = Vec::new();
            for name in names::parameters(self.service.name, kind.name, variable, self.action.name)
            {
                // What may name any type names none of several.
                let is_vague = matches!(name.as_str(), "resourceid" | "resourcename" | "resource");
                if is_vague && self.types.len() > 1 {
                    continue;
                }
                let shallow = matches!(
                    name.as_str(),
                    "name" | "id" | "identifier" | "arn" | "names" | "ids" | "arns"
                );
                let same: Vec<&Field> = fields
                    .iter()
                    .filter(|field| field.key == name && (!shallow || field.depth <= 2))
                    .collect();
                let Some(depth) = same.iter().map(|field| field.depth).min() else {
                    continue;
                };
                for field in same.into_iter().filter(|field| field.depth == depth) {
                    if let Some(value) = self.value(kind, variable, &field.text) {
                        if value.starts_with("arn:") {
                            return (vec![Resource::new(value, basis)], true);
                        }
                        found.push(value);
                    }
                }
                if !found.is_empty() {
                    break;
                }
            }
            values.push((variable, found));
        }
        if let ("ec2", [(_, found)]) = (self.service.name, values.as_mut_slice())
            && found.is_empty()
        {
            let ids = fields
                .iter()
                .filter(|field| ec2_kind(&field.text) == Some(kind.name));
            found.extend(ids.map(|field| field.text.clone()));
        }
        let is_complete = values.iter().all(|(_, found)| !found.is_empty());
        let any_known = values.iter().any(|(_, found)| !found.is_empty());
        let count = values
            .iter()
            .map(|(_, found)| found.len())
            .max()
            .unwrap_or(0)
            .max(1);
        // What has wildcards of its own must not take some from a name.
        let value_of = |found: &[String], nth: usize| {
            let value = found.get(nth).or_else(|| found.first())?;
            Some(if is_complete {
                value.clone()
            } else {
                crate::pattern::escape(value)
            })
        };
        let arn = |nth: usize| {
            let chosen: Vec<(&str, Option<String>)> = values
                .iter()
                .map(|(name, found)| (*name, value_of(found, nth)))
                .collect();
            kind.template
                .fill(self.place, |variable| {
                    let (_, value) = chosen.iter().find(|(name, _)| *name == variable)?;
                    value.as_deref()
                })
                .0
        };
        let basis = if is_complete || any_known {
            basis
        } else {
            Basis::Kind
        };
        (
            (0..count)
                .map(|nth| Resource::new(arn(nth), basis))
                .collect(),
            is_complete,
        )
    }

    /// A parameter's text as the value of a variable; an ARN stays one if it is of the type; `None` if it names something else.
    fn value(&self, kind: &ResourceType, variable: &str, text: &str) -> Option<String> {
        if text.is_empty() || text.len() > LONGEST_VALUE {
            return None;
        }
        if text.starts_with("arn:") {
            return kind
                .template
                .matches(text)
                .is_some()
                .then(|| text.to_owned());
        }
        match (self.service.name, variable) {
            ("kms", "KeyId") if text.starts_with("alias/") => None,
            ("kms", "Alias") => Some(text.strip_prefix("alias/").unwrap_or(text).to_owned()),
            ("sqs", "QueueName") => queue_of(text, self.place),
            ("ssm", "ParameterNameWithoutLeadingSlash") => {
                let name = text.split(':').next().unwrap_or(text);
                Some(name.trim_start_matches('/').to_owned()).filter(|name| !name.is_empty())
            }
            ("secretsmanager", "SecretId") => None,
            ("lambda", "FunctionName") => {
                // The account and `function:` may stand before the name, the version or alias after it.
                let name = text.rsplit_once("function:").map_or(text, |(_, name)| name);
                Some(name.to_owned())
            }
            ("iam", "OidcProviderName") => Some(text.trim_start_matches("https://").to_owned()),
            ("iam", variable) if variable.ends_with("WithPath") => {
                let path = texts_at(&self.call.request, "path");
                let path = path.first().map_or("", |path| path.trim_start_matches('/'));
                let ends = path.is_empty() || path.ends_with('/');
                Some(if ends {
                    format!("{path}{text}")
                } else {
                    text.to_owned()
                })
            }
            ("ecs", "TaskDefinitionFamilyName") => text.split(':').next().map(str::to_owned),
            ("ecs", _) => text.rsplit('/').next().map(str::to_owned),
            ("route53", "Id") => Some(text.trim_start_matches("/hostedzone/").to_owned()),
            _ if text.contains(char::is_whitespace) && variable != "ObjectName" => None,
            _ => Some(text.to_owned()),
        }
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
