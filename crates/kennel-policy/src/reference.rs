//! The action list: which actions exist, what they act on, and how the ARNs of those things are built.
//!
//! The tables are made by `data/generate.py` and compiled in; a service is parsed when it is first asked for.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use crate::template::Template;

static ACTIONS: &str = include_str!("../data/actions.tsv");
static RESOURCES: &str = include_str!("../data/resources.tsv");

static SERVICES: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut services: HashMap<&'static str, Entry> = HashMap::new();
    for (name, block) in blocks(ACTIONS) {
        services.entry(name).or_default().actions = block;
    }
    for (name, block) in blocks(RESOURCES) {
        services.entry(name).or_default().types = block;
    }
    services
});

/// What an action does, as AWS classes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Lists things.
    List,
    /// Reads content or configuration.
    Read,
    /// Creates, changes, deletes, uses.
    Write,
    /// Changes tags only.
    Tagging,
    /// Grants or changes access.
    PermissionsManagement,
}

impl AccessLevel {
    /// Its name in AWS's reference.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "List",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Tagging => "Tagging",
            Self::PermissionsManagement => "Permissions management",
        }
    }
}

/// An IAM action of the reference.
#[derive(Debug, PartialEq, Eq)]
pub struct Action {
    /// Its service prefix: `s3`.
    pub service: &'static str,
    /// Its name as AWS writes it: `GetObject`.
    pub name: &'static str,
    /// What it does.
    pub level: AccessLevel,
    /// The resource types it acts on, and whether each is required; empty: it takes no resource, a policy says `*`.
    pub types: Vec<(&'static str, bool)>,
    /// Actions that the caller may need beside it, like `iam:PassRole`.
    pub dependents: Vec<&'static str>,
}

impl Action {
    /// `s3:GetObject`.
    pub fn id(&self) -> String {
        format!("{}:{}", self.service, self.name)
    }
}

/// A resource type of a service.
#[derive(Debug)]
pub struct ResourceType {
    /// Its name in the reference: `bucket`.
    pub name: &'static str,
    /// How its ARN is built.
    pub template: Template,
}

/// A service of the reference, by its IAM prefix.
#[derive(Debug)]
pub struct Service {
    /// The prefix.
    pub name: &'static str,
    by_name: HashMap<String, Action>,
    types: Vec<ResourceType>,
}

impl Service {
    /// The action of this name; case does not matter, as in IAM.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.by_name.get(&name.to_ascii_lowercase())
    }

    /// All actions, sorted by name.
    pub fn actions(&self) -> Vec<&Action> {
        let mut actions: Vec<_> = self.by_name.values().collect();
        actions.sort_by_key(|action| action.name);
        actions
    }

    /// The resource type of this name.
    pub fn resource_type(&self, name: &str) -> Option<&ResourceType> {
        self.types.iter().find(|kind| kind.name == name)
    }
}

/// The service with this prefix.
pub fn service(prefix: &str) -> Option<&'static Service> {
    let (name, entry) = SERVICES.get_key_value(prefix)?;
    Some(entry.parsed.get_or_init(|| entry.parse(name)))
}

/// The action written `service:Name`; case does not matter.
pub fn action(id: &str) -> Option<&'static Action> {
    let (prefix, name) = id.split_once(':')?;
    service(&prefix.to_ascii_lowercase())?.action(name)
}

/// The prefixes of all services, sorted.
pub fn services() -> Vec<&'static str> {
    let mut names: Vec<_> = SERVICES.keys().copied().collect();
    names.sort_unstable();
    names
}

#[derive(Default)]
struct Entry {
    actions: &'static str,
    types: &'static str,
    parsed: OnceLock<Service>,
}

impl Entry {
    fn parse(&self, name: &'static str) -> Service {
        let actions = self
            .actions
            .lines()
            .map(|line| parse_action(name, line))
            .map(|action| (action.name.to_ascii_lowercase(), action));
        let types = self.types.lines().filter_map(|line| {
            let (kind, template) = line.split_once('\t')?;
            Some(ResourceType {
                name: kind,
                template: Template::parse(template),
            })
        });
        Service {
            name,
            by_name: actions.collect(),
            types: types.collect(),
        }
    }
}

/// `GetObject <tab> R <tab> accesspointobject,!object <tab> iam:PassRole`.
fn parse_action(service: &'static str, line: &'static str) -> Action {
    let mut fields = line.split('\t');
    let name = fields.next().unwrap_or_default();
    let level = match fields.next() {
        Some("L") => AccessLevel::List,
        Some("R") => AccessLevel::Read,
        Some("T") => AccessLevel::Tagging,
        Some("P") => AccessLevel::PermissionsManagement,
        _ => AccessLevel::Write,
    };
    let listed = |field: Option<&'static str>| field.filter(|text| !text.is_empty());
    let types = listed(fields.next()).map_or_else(Vec::new, |text| {
        text.split(',')
            .map(|kind| match kind.strip_prefix('!') {
                Some(kind) => (kind, true),
                None => (kind, false),
            })
            .collect()
    });
    let dependents = listed(fields.next()).map_or_else(Vec::new, |text| text.split(',').collect());
    Action {
        service,
        name,
        level,
        types,
        dependents,
    }
}

/// Splits a table into `@service` blocks.
fn blocks(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.split("\n@").skip(1).map(|block| {
        let (name, rest) = block.split_once('\n').unwrap_or((block, ""));
        (name, rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_whatever_their_case_and_say_what_they_act_on() {
        let found = action("S3:getobject").unwrap();
        assert_eq!(found.id(), "s3:GetObject");
        assert_eq!(found.level, AccessLevel::Read);
        assert!(found.types.contains(&("object", false)));
        let types = service("s3").unwrap();
        let bucket = types.resource_type("bucket").unwrap();
        assert_eq!(
            bucket.template.to_string(),
            "arn:${Partition}:s3:::${BucketName}"
        );
        assert!(
            action("lambda:CreateFunction")
                .unwrap()
                .dependents
                .contains(&"iam:PassRole")
        );
        assert!(action("lambda:Invoke").is_none() && action("nonsense").is_none());
    }

    #[test]
    fn every_line_of_the_tables_parses_into_something_consistent() {
        let mut count = 0;
        for name in services() {
            let service = service(name).unwrap();
            for action in service.actions() {
                count += 1;
                assert!(
                    action
                        .name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-'),
                    "{}",
                    action.id()
                );
                for dependent in &action.dependents {
                    assert!(
                        super::action(dependent).is_some(),
                        "{dependent} of {}",
                        action.id()
                    );
                }
            }
        }
        assert!(count > 20_000);
    }
}
