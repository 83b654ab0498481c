//! k9's capabilities: which actions each of them stands for.
//!
//! The table is k9's own published map, see `data/README.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::{calls, reference};

static TEXT: &str = include_str!("../data/capabilities.tsv");

/// A capability on a service, as k9's reports name both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// `S3`, `DynamoDB Accelerator (DAX)`.
    pub service_name: &'static str,
    /// `read-data`.
    pub access_capability: &'static str,
}

static BY_ACTION: LazyLock<BTreeMap<String, BTreeSet<Capability>>> = LazyLock::new(|| {
    let mut map: BTreeMap<String, BTreeSet<Capability>> = BTreeMap::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        if let (Some(service_name), Some(access_capability), Some(action)) =
            (fields.next(), fields.next(), fields.next())
        {
            map.entry(action.to_ascii_lowercase())
                .or_default()
                .insert(Capability {
                    service_name,
                    access_capability,
                });
        }
    }
    map
});

/// The capabilities that an action is part of; a few are part of two. None: k9 does not judge the action.
pub fn capabilities(action: &str) -> impl Iterator<Item = Capability> {
    BY_ACTION
        .get(&action.to_ascii_lowercase())
        .into_iter()
        .flatten()
        .copied()
}

/// Whether k9's map knows the service under this name.
pub fn knows_service(service_name: &str) -> bool {
    BY_ACTION
        .values()
        .flatten()
        .any(|known| known.service_name == service_name)
}

/// A call that CloudTrail may record when a capability is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapabilityCall {
    /// What it is use of.
    pub capability: Capability,
    /// The IAM action, `s3:ListBucket`.
    pub action: String,
    /// `eventSource` without `.amazonaws.com`.
    pub service: &'static str,
    /// `ListObjects`.
    pub event_name: &'static str,
}

/// All calls that k9's capabilities stand for, sorted: those of the actions' names, and those of other names.
pub fn capability_calls() -> BTreeSet<CapabilityCall> {
    let mut found = BTreeSet::new();
    for (id, capabilities) in BY_ACTION.iter() {
        let Some(action) = reference::action(id) else {
            continue;
        };
        let id = action.id();
        let mut names: BTreeSet<&'static str> = calls::all()
            .filter(|row| row.action == Some(id.as_str()))
            .map(|row| row.call)
            .collect();
        let differs =
            calls::all().any(|row| row.service == action.service && row.call == action.name);
        if !differs {
            names.insert(action.name);
        }
        // What CloudTrail calls the service, where that is not IAM's prefix.
        let service = match action.service {
            "rds-data" => "rdsdata",
            other => other,
        };
        for capability in capabilities {
            found.extend(names.iter().map(|event_name| CapabilityCall {
                capability: *capability,
                action: id.clone(),
                service,
                event_name,
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_belong_to_the_capabilities_that_k9_names() {
        let of = |action: &str| {
            capabilities(action)
                .map(|found| format!("{} {}", found.service_name, found.access_capability))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("s3:GetObject"), ["S3 read-data"]);
        assert_eq!(
            of("rds:DeleteDBCluster"),
            ["RDS administer-resource", "RDS delete-data"]
        );
        assert_eq!(of("sts:AssumeRole"), ["STS use-resource"]);
        assert!(of("ec2:RunInstances").is_empty());
        assert!(knows_service("DynamoDB Accelerator (DAX)") && !knows_service("EC2"));
    }

    #[test]
    fn a_capability_is_used_by_calls_of_other_names_too() {
        let calls = capability_calls();
        let of = |action: &str| {
            calls
                .iter()
                .filter(|call| call.action == action)
                .map(|call| call.event_name)
                .collect::<BTreeSet<_>>()
        };
        assert!(of("s3:ListBucket").contains("ListObjects"));
        assert!(
            of("s3:GetObject").contains("GetObject") && of("s3:GetObject").contains("HeadObject")
        );
        assert_eq!(of("iam:CreateUser"), BTreeSet::from(["CreateUser"]));
        assert!(calls.iter().all(|call| !call.service.contains('.')));
    }
}
