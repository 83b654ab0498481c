//! Roles that a call hands over to a service: `iam:PassRole`, on which roles, and to which service.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::{
    action::{Grant, Provenance, without_version},
    call::{Call, Field, fields, folded, has_key},
    reference,
    resources::{Basis, Resource},
};

static TEXT: &str = include_str!("../data/passed-roles.tsv");

static ROWS: LazyLock<HashMap<&'static str, Vec<Row>>> = LazyLock::new(|| {
    let mut rows: HashMap<&str, Vec<Row>> = HashMap::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or_default();
        let (service, call, parameter, to) = (next(), next(), next(), next());
        rows.entry(service).or_default().push(Row {
            call: Some(call).filter(|call| *call != "*"),
            parameter: Some(folded(parameter)).filter(|name| !name.is_empty()),
            to: match to {
                "-" => None,
                "?" => Some(Vec::new()),
                services => Some(services.split(' ').collect()),
            },
        });
    }
    rows
});

/// What the table says of a parameter of a call.
#[derive(Debug)]
struct Row {
    /// `None`: of any call.
    call: Option<&'static str>,
    /// Folded; `None`: any parameter.
    parameter: Option<String>,
    /// `None`: the role is named but not handed over; empty: it is, but to whom is not known.
    to: Option<Vec<&'static str>>,
}

/// Parameters that name a role by its plain name.
const NAMES: [&str; 6] = [
    "role",
    "rolename",
    "servicerole",
    "iamrole",
    "executionrole",
    "autoscalingrole",
];
/// Parameters that name an instance profile, which holds a role that the call does not name.
const PROFILES: [&str; 2] = ["iaminstanceprofile", "jobflowrole"];

/// `iam:PassRole` for each service that roles are handed to, sorted.
///
/// `changes`: whether the call does more than read; `is_listed`: whether the reference says that it needs `iam:PassRole`.
pub(crate) fn grants(service: &str, changes: bool, is_listed: bool, call: &Call) -> Vec<Grant> {
    let Some(action) = reference::action("iam:PassRole") else {
        return Vec::new();
    };
    let table = Table {
        rows: ROWS.get(service).map(Vec::as_slice).unwrap_or_default(),
        name: without_version(&call.event_name),
        changes,
        is_listed,
    };
    let partition = call.partition();
    // In China and the isolated partitions, some of the services are called otherwise.
    let knows_receivers = matches!(partition, "aws" | "aws-us-gov");
    let account = format!("arn:{partition}:iam::{}", call.account_id);
    let values = fields(&call.request);
    let mut passed: BTreeMap<Vec<&'static str>, Vec<Resource>> = BTreeMap::new();
    for field in &values {
        let Some((to, is_named)) = table.receivers(&field.key) else {
            continue;
        };
        let arn = if is_role(&field.text) {
            field.text.clone()
        } else if is_plain_name(field)
            && (is_named || table.may_be_name(&field.key))
            && !PROFILES.contains(&field.key.as_str())
        {
            format!("{account}:role/{}", field.text)
        } else {
            continue;
        };
        passed
            .entry(to.to_vec())
            .or_default()
            .push(Resource::new(arn, Basis::Request));
    }
    if let Some(to) = table.profiles(call, &values) {
        passed
            .entry(to)
            .or_default()
            .push(Resource::new(format!("{account}:role/*"), Basis::Kind));
    }
    passed
        .into_iter()
        .map(|(to, mut resources)| {
            let passed_to = if knows_receivers { to } else { Vec::new() };
            resources.sort();
            resources.dedup_by(|a, b| a.arn == b.arn);
            Grant {
                action,
                resources,
                provenance: Provenance::Rule,
                why: match passed_to.as_slice() {
                    [] => "a role is handed over to the service".into(),
                    several => format!("a role is handed over to {}", several.join(" or ")).into(),
                },
                passed_to,
            }
        })
        .collect()
}

struct Table<'c> {
    rows: &'static [Row],
    name: &'c str,
    changes: bool,
    is_listed: bool,
}

impl Table<'_> {
    /// To whom a role under this folded key is handed, and whether a row names the key; `None`: to nobody.
    fn receivers(&self, key: &str) -> Option<(&'static [&'static str], bool)> {
        let fits = |row: &&Row| {
            row.call
                .is_none_or(|call| call.eq_ignore_ascii_case(self.name))
                && match &row.parameter {
                    Some(name) => name == key,
                    None => self.is_listed || key.contains("role") || PROFILES.contains(&key),
                }
        };
        let row = self
            .rows
            .iter()
            .filter(fits)
            .max_by_key(|row| (row.call.is_some(), row.parameter.is_some()));
        match row {
            // What holds for all calls of a service holds for those that change something.
            Some(row) if row.call.is_some() || self.is_listed || self.changes => {
                Some((row.to.as_deref()?, row.parameter.is_some()))
            }
            Some(_) => None,
            None if self.is_listed => Some((&[], false)),
            None => None,
        }
    }

    /// Whether a parameter may hold a role's plain name. What is called `role` alone is often something else: who
    /// speaks in a conversation, what a user may do.
    fn may_be_name(&self, key: &str) -> bool {
        NAMES.contains(&key) && (key != "role" || self.is_listed)
    }

    /// To whom the roles in instance profiles are handed.
    fn profiles(&self, call: &Call, values: &[Field]) -> Option<Vec<&'static str>> {
        let key = PROFILES
            .into_iter()
            .find(|key| has_key(&call.request, key))
            .or_else(|| {
                values
                    .iter()
                    .any(|field| {
                        field.text.starts_with("arn:") && field.text.contains(":instance-profile/")
                    })
                    .then_some(PROFILES[0])
            })?;
        Some(self.receivers(key)?.0.to_vec())
    }
}

fn is_role(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("iam")
        && parts.nth(2).is_some_and(|rest| rest.starts_with("role/"))
}

fn is_plain_name(field: &Field) -> bool {
    !field.text.contains([':', '/', ' ']) && !matches!(field.text.as_str(), "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::map;
    use serde_json::json;

    #[test]
    fn every_row_names_a_service_of_the_reference_and_a_service_principal() {
        for (service, rows) in ROWS.iter() {
            let known = reference::service(service);
            assert!(known.is_some(), "{service}");
            for row in rows {
                for to in row.to.iter().flatten() {
                    assert!(to.ends_with(".amazonaws.com"), "{service} {to}");
                }
            }
        }
    }

    #[test]
    fn a_role_that_is_named_but_not_handed_over_needs_nothing() {
        let passed = |source: &str, name: &str, request| {
            let call = Call {
                event_source: format!("{source}.amazonaws.com"),
                event_name: name.into(),
                account_id: "111122223333".into(),
                request,
                ..Call::default()
            };
            map(&call)
                .grants()
                .iter()
                .filter(|grant| grant.action.name == "PassRole")
                .map(|grant| (grant.resources[0].arn.clone(), grant.passed_to.clone()))
                .collect::<Vec<_>>()
        };
        let role = "arn:aws:iam::111122223333:role/r";
        for (source, name, request) in [
            ("sts", "AssumeRole", json!({"roleArn": role})),
            ("glue", "GetJob", json!({"role": role})),
            (
                "emr-containers",
                "StartJobRun",
                json!({"executionRoleArn": role}),
            ),
            (
                "organizations",
                "CreateAccount",
                json!({"roleName": "OrganizationAccountAccessRole"}),
            ),
            (
                "lakeformation",
                "GrantPermissions",
                json!({"principal": {"dataLakePrincipalIdentifier": role}}),
            ),
            (
                "cloudformation",
                "CreateStack",
                json!({"parameters": [{"parameterValue": role}]}),
            ),
        ] {
            assert_eq!(passed(source, name, request), [], "{source} {name}");
        }
        assert_eq!(
            passed(
                "batch",
                "CreateComputeEnvironment",
                json!({
                    "serviceRole": "arn:aws:iam::111122223333:role/batch",
                    "computeResources": {"instanceRole": "arn:aws:iam::111122223333:instance-profile/p"},
                })
            ),
            [
                ("arn:aws:iam::111122223333:role/*".to_owned(), vec![]),
                (
                    "arn:aws:iam::111122223333:role/batch".to_owned(),
                    vec!["batch.amazonaws.com"]
                ),
            ]
        );
    }
}
