//! From a call to the ARNs that its action works on: what the record names, what the parameters name, and what
//! remains unknown.

use std::collections::BTreeMap;

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
        let arn = |nth: usize| {
            kind.template
                .fill(self.place, |variable| {
                    let (_, found) = values.iter().find(|(name, _)| *name == variable)?;
                    found.get(nth).or_else(|| found.first()).map(String::as_str)
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

    /// Calls whose resources do not follow from templates.
    fn special(&self) -> Option<Vec<Resource>> {
        match (self.action.service, self.action.name) {
            ("ec2", "CreateTags" | "DeleteTags") => {
                let is_own_call = self.call.event_name.ends_with("Tags");
                let ids = self
                    .request
                    .iter()
                    .filter(|field| is_own_call && field.key == "resourceid");
                let found: Vec<_> = ids
                    .filter_map(|field| self.ec2_by_id(&field.text))
                    .collect();
                if !found.is_empty() {
                    return Some(found);
                }
                // Tags set while something is created: what is created has no id yet.
                let kinds = self
                    .request
                    .iter()
                    .filter(|field| field.key == "resourcetype");
                let found: Vec<_> = kinds
                    .filter_map(|field| self.service.resource_type(&field.text))
                    .map(|kind| {
                        Resource::new(kind.template.fill(self.place, |_| None).0, Basis::Kind)
                    })
                    .collect();
                (!found.is_empty()).then_some(found)
            }
            ("sns", "Publish") if !texts_at(&self.call.request, "phoneNumber").is_empty() => {
                Some(vec![Resource::new("*", Basis::NoResource)])
            }
            ("secretsmanager", _) => self.secret(),
            ("ssm", _) => self.typed_resource(),
            ("s3", _) => self.access_point(),
            ("bedrock", _) => self.model(),
            ("lambda", _) => self.qualified_function(),
            ("iam", _) => self.caller_itself(),
            _ => None,
        }
    }

    /// Systems Manager's tags name a kind and an id.
    fn typed_resource(&self) -> Option<Vec<Resource>> {
        let kind = texts_at(&self.call.request, "resourceType")
            .first()
            .copied()?;
        let id = texts_at(&self.call.request, "resourceId")
            .first()
            .copied()?;
        let name = match kind {
            "Parameter" => "parameter",
            "Document" => "document",
            "MaintenanceWindow" => "maintenancewindow",
            "PatchBaseline" => "patchbaseline",
            "ManagedInstance" => "managed-instance",
            "OpsItem" => "opsitem",
            "OpsMetadata" => "opsmetadata",
            "Automation" => "automation-execution",
            "Association" => "association",
            _ => return None,
        };
        let takes_it = self.types.iter().any(|(kind, _)| kind.name == name);
        let template = &self
            .service
            .resource_type(name)
            .filter(|_| takes_it)?
            .template;
        let id = id.trim_start_matches('/');
        let (arn, is_complete) = template.fill(self.place, |_| Some(id));
        is_complete.then(|| vec![Resource::new(arn, Basis::Request)])
    }

    /// A secret named without its random ending.
    fn secret(&self) -> Option<Vec<Resource>> {
        let named = self.call.resources.iter().any(|named| named.arn.is_some());
        let is_arn = self
            .request
            .iter()
            .any(|field| field.text.starts_with("arn:") && self.kind_of(&field.text).is_some());
        if named || is_arn {
            return None;
        }
        let name = ["secretId", "name"]
            .iter()
            .find_map(|key| texts_at(&self.call.request, key).first().copied())?;
        let Place {
            partition,
            region,
            account,
        } = self.place;
        let name = crate::pattern::escape(name);
        let arn = format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-??????");
        Some(vec![Resource::new(arn, Basis::Kind)])
    }

    /// A model is named by its id; an id that begins with a geography is an inference profile over several regions.
    ///
    /// Source: Amazon Bedrock user guide, "Prerequisites for inference profiles".
    fn model(&self) -> Option<Vec<Resource>> {
        let takes_models = self
            .action
            .types
            .iter()
            .any(|(kind, _)| *kind == "foundation-model");
        let model = ["modelId", "modelIdentifier"]
            .iter()
            .find_map(|key| texts_at(&self.call.request, key).first().copied())?;
        if !takes_models || model.starts_with("arn:") || !model.contains('.') {
            return None;
        }
        let Place {
            partition,
            region,
            account,
        } = self.place;
        let (geography, rest) = model.split_once('.')?;
        let is_profile = rest.contains('.')
            && ["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca"].contains(&geography);
        if is_profile {
            let rest = crate::pattern::escape(rest);
            return Some(vec![
                Resource::new(
                    format!("arn:{partition}:bedrock:*::foundation-model/{rest}"),
                    Basis::Kind,
                ),
                Resource::new(
                    format!("arn:{partition}:bedrock:{region}:{account}:inference-profile/{model}"),
                    Basis::Request,
                ),
            ]);
        }
        Some(vec![Resource::new(
            format!("arn:{partition}:bedrock:{region}::foundation-model/{model}"),
            Basis::Request,
        )])
    }

    /// Requests through an access point name its ARN in place of the bucket.
    fn access_point(&self) -> Option<Vec<Resource>> {
        let bucket = texts_at(&self.call.request, "bucketName")
            .first()
            .copied()?;
        if !bucket.starts_with("arn:") || !bucket.contains(":accesspoint/") {
            return None;
        }
        let takes_objects = self.action.types.iter().any(|(kind, _)| *kind == "object");
        match texts_at(&self.call.request, "key").first() {
            Some(key) if takes_objects => Some(vec![Resource::new(
                format!("{bucket}/object/{key}"),
                Basis::Request,
            )]),
            _ if takes_objects => Some(vec![Resource::new(
                format!("{}/object/*", crate::pattern::escape(bucket)),
                Basis::Kind,
            )]),
            _ => Some(vec![Resource::new(bucket, Basis::Request)]),
        }
    }

    /// A version or alias named beside the function is part of the resource.
    fn qualified_function(&self) -> Option<Vec<Resource>> {
        let qualifier = texts_at(&self.call.request, "qualifier").first().copied()?;
        let takes_functions = self
            .action
            .types
            .iter()
            .any(|(kind, _)| *kind == "function");
        let function = self.service.resource_type("function")?;
        if !takes_functions {
            return None;
        }
        let mut found: Vec<_> = self
            .call
            .resources
            .iter()
            .filter_map(|named| named.arn.clone())
            .filter(|arn| function.template.matches(arn).is_some())
            .map(|arn| Resource::new(arn, Basis::Record))
            .collect();
        if found.is_empty() {
            let (arns, is_complete) = self.filled(function, &self.request, Basis::Request);
            if !is_complete {
                return None;
            }
            found = arns;
        }
        for resource in &mut found {
            if resource.arn.matches(':').count() == 6 {
                resource.arn = format!("{}:{qualifier}", resource.arn);
            }
        }
        Some(found)
    }

    /// A user who names nobody means itself.
    fn caller_itself(&self) -> Option<Vec<Resource>> {
        let acts_on_users = self
            .action
            .types
            .iter()
            .any(|(kind, required)| *kind == "user" && *required);
        let names_nobody = !self.request.iter().any(|field| field.key == "username");
        let arn = self.call.principal_arn.as_deref()?;
        (acts_on_users && names_nobody && arn.contains(":user/"))
            .then(|| vec![Resource::new(arn, Basis::Record)])
    }

    /// EC2's ids tell their kind.
    fn ec2_by_id(&self, id: &str) -> Option<Resource> {
        let kind = ec2_kind(id)?;
        let template = &self.service.resource_type(kind)?.template;
        let (arn, is_complete) = template.fill(self.place, |_| Some(id));
        is_complete.then(|| Resource::new(arn, Basis::Request))
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

/// Whether a resource type can be meant at all.
fn is_meant(service: &Service, kind: &ResourceType, call: &Call) -> bool {
    match (service.name, kind.name) {
        ("events", "rule-on-default-event-bus" | "rule-on-custom-event-bus") => {
            let bus = texts_at(&call.request, "eventBusName")
                .first()
                .copied()
                .unwrap_or("default");
            (kind.name == "rule-on-default-event-bus") == (bus == "default")
        }
        _ => true,
    }
}

/// The name of a queue, from its URL if it is one. A queue of another account is named by its ARN.
fn queue_of(text: &str, place: Place<'_>) -> Option<String> {
    let Some((_, rest)) = text.split_once("://") else {
        return Some(text.to_owned());
    };
    let mut segments = rest.trim_end_matches('/').rsplit('/');
    let (name, account) = (segments.next()?, segments.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if is_account && account != place.account {
        return Some(format!(
            "arn:{}:sqs:{}:{account}:{name}",
            place.partition, place.region
        ));
    }
    Some(name.to_owned())
}

/// The resource type that an EC2 id is of, by its beginning.
fn ec2_kind(id: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 36] = [
        ("i", "instance"),
        ("vol", "volume"),
        ("snap", "snapshot"),
        ("ami", "image"),
        ("aki", "image"),
        ("vpc", "vpc"),
        ("subnet", "subnet"),
        ("sg", "security-group"),
        ("sgr", "security-group-rule"),
        ("eni", "network-interface"),
        ("igw", "internet-gateway"),
        ("eigw", "egress-only-internet-gateway"),
        ("nat", "natgateway"),
        ("rtb", "route-table"),
        ("acl", "network-acl"),
        ("eipalloc", "elastic-ip"),
        ("vgw", "vpn-gateway"),
        ("vpn", "vpn-connection"),
        ("cgw", "customer-gateway"),
        ("dopt", "dhcp-options"),
        ("pcx", "vpc-peering-connection"),
        ("vpce", "vpc-endpoint"),
        ("vpce-svc", "vpc-endpoint-service"),
        ("lt", "launch-template"),
        ("tgw", "transit-gateway"),
        ("tgw-attach", "transit-gateway-attachment"),
        ("tgw-rtb", "transit-gateway-route-table"),
        ("fl", "vpc-flow-log"),
        ("pl", "prefix-list"),
        ("key", "key-pair"),
        ("pg", "placement-group"),
        ("cr", "capacity-reservation"),
        ("h", "dedicated-host"),
        ("fleet", "fleet"),
        ("sir", "spot-instances-request"),
        ("sfr", "spot-fleet-request"),
    ];
    let (start, _) = id.rsplit_once('-')?;
    KINDS
        .iter()
        .find(|(known, _)| *known == start)
        .map(|(_, kind)| *kind)
}
