//! Services that name their resources in ways of their own.

use super::{Basis, Resource, Search};
use crate::{
    call::{Call, fields, texts_at},
    reference::{Action, ResourceType, Service},
    template::Place,
};

impl Search<'_> {
    /// Calls whose resources do not follow from templates.
    pub(super) fn special(&self) -> Option<Vec<Resource>> {
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
            ("sns", _) => self.topic_of_subscription(),
            ("backup", _) => self.recovery_point(),
            ("elasticloadbalancing", "CreateLoadBalancer") => self.new_load_balancer(),
            ("athena", "StartQueryExecution" | "CreateNamedQuery") => self.primary_workgroup(),
            ("events", "PutEvents") => self.default_bus(),
            ("iam", "CreateServiceLinkedRole") => self.service_linked_role(),
            ("secretsmanager", _) => self.secret(),
            ("ssm", _) => self.typed_resource(),
            ("s3", _) => self.access_point(),
            ("bedrock", _) => self.model(),
            ("lambda", _) => self.qualified_function(),
            // It names a key, of whichever user.
            ("iam", "GetAccessKeyLastUsed") => None,
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
            "ManagedInstance" if id.starts_with("i-") => "instance",
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

    /// A subscription is authorised by its topic, whose ARN is the beginning of its own.
    fn topic_of_subscription(&self) -> Option<Vec<Resource>> {
        let subscription = texts_at(&self.call.request, "subscriptionArn")
            .first()
            .copied()?;
        let takes_topics = self.types.iter().any(|(kind, _)| kind.name == "topic");
        let (topic, _) = subscription.rsplit_once(':')?;
        let is_whole = topic.starts_with("arn:") && topic.matches(':').count() == 5;
        (takes_topics && is_whole).then(|| vec![Resource::new(topic, Basis::Request)])
    }

    /// Recovery points have the ARNs of the service that keeps them.
    fn recovery_point(&self) -> Option<Vec<Resource>> {
        let takes_them = self
            .types
            .iter()
            .any(|(kind, _)| kind.name == "recoveryPoint");
        let arn = texts_at(&self.call.request, "recoveryPointArn")
            .first()
            .copied()
            .filter(|arn| takes_them && arn.starts_with("arn:"))?;
        Some(vec![Resource::new(arn, Basis::Request)])
    }

    /// A new load balancer, of whose ARN the end is not known; classic ones have no end.
    fn new_load_balancer(&self) -> Option<Vec<Resource>> {
        let name = texts_at(&self.call.request, "name").first().copied()?;
        let kind = match texts_at(&self.call.request, "type").first() {
            Some(&"network") => "net",
            Some(&"gateway") => "gwy",
            _ => "app",
        };
        let Place {
            partition,
            region,
            account,
        } = self.place;
        let name = crate::pattern::escape(name);
        let arn = format!(
            "arn:{partition}:elasticloadbalancing:{region}:{account}:loadbalancer/{kind}/{name}/*"
        );
        Some(vec![Resource::new(arn, Basis::Kind)])
    }

    /// Queries that name no workgroup run in `primary`.
    ///
    /// Source: Amazon Athena API reference, "StartQueryExecution".
    fn primary_workgroup(&self) -> Option<Vec<Resource>> {
        let names_one = self.request.iter().any(|field| field.key == "workgroup");
        let Place {
            partition,
            region,
            account,
        } = self.place;
        let arn = format!("arn:{partition}:athena:{region}:{account}:workgroup/primary");
        (!names_one).then(|| vec![Resource::new(arn, Basis::Request)])
    }

    /// Events that name no bus go to the default one.
    fn default_bus(&self) -> Option<Vec<Resource>> {
        let names_bus = self.request.iter().any(|field| field.key == "eventbusname");
        let Place {
            partition,
            region,
            account,
        } = self.place;
        let arn = format!("arn:{partition}:events:{region}:{account}:event-bus/default");
        (!names_bus).then(|| vec![Resource::new(arn, Basis::Request)])
    }

    /// A service-linked role has a path made from its service.
    fn service_linked_role(&self) -> Option<Vec<Resource>> {
        let service = texts_at(&self.call.request, "aWSServiceName")
            .first()
            .copied()?;
        let service = crate::pattern::escape(service);
        let Place {
            partition, account, ..
        } = self.place;
        let arn = format!("arn:{partition}:iam::{account}:role/aws-service-role/{service}/*");
        Some(vec![Resource::new(arn, Basis::Kind)])
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
            let filled = self.filled(function, &self.request, Basis::Request);
            if !filled.is_complete {
                return None;
            }
            found = filled.resources;
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
        let acts_on_users =
            self.action.types.iter().any(|(kind, required)| {
                *kind == "user" && (*required || self.action.types.len() == 1)
            });
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
}

/// Whether a resource type can be meant at all.
pub(super) fn is_meant(service: &Service, kind: &ResourceType, call: &Call) -> bool {
    match (service.name, kind.name) {
        ("events", "rule-on-default-event-bus" | "rule-on-custom-event-bus") => {
            let bus = texts_at(&call.request, "eventBusName")
                .first()
                .copied()
                .unwrap_or("default");
            (kind.name == "rule-on-default-event-bus") == (bus == "default")
        }
        ("states", "express" | "labelled express") => names_execution(call, ":express:"),
        ("states", "execution" | "labelled execution") => !names_execution(call, ":express:"),
        // A group of capacity reservations is named by its ARN alone.
        ("ec2", "group") => fields(&call.request).iter().any(|field| {
            field.text.starts_with("arn:") && field.text.contains(":resource-groups:")
        }),
        _ => true,
    }
}

fn names_execution(call: &Call, part: &str) -> bool {
    texts_at(&call.request, "executionArn")
        .first()
        .is_some_and(|arn| arn.contains(part))
}

/// What an action needs although the reference calls it optional.
///
/// Source: EC2 user guide, "Example policies to control access to the EC2 API", on launching instances.
pub(super) fn is_needed_all_the_same(action: &Action, kind: &ResourceType) -> bool {
    matches!(
        (action.service, action.name, kind.name),
        ("ec2", "RunInstances", "volume")
    )
}

/// The name of a queue, from its URL if it is one. A queue of another account is named by its ARN.
pub(super) fn queue_of(text: &str, place: Place<'_>) -> Option<String> {
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
pub(super) fn ec2_kind(id: &str) -> Option<&'static str> {
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
