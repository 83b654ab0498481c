//! How services write names in their parameters, and what of them stands in an ARN.

use super::{LONGEST_VALUE, Search, special::queue_of};
use crate::{call::texts_at, reference::ResourceType};

impl Search<'_> {
    /// A parameter's text as the value of a variable; an ARN stays one if it is of the type; `None` if it names something else.
    pub(super) fn value(&self, kind: &ResourceType, variable: &str, text: &str) -> Option<String> {
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
            // The account's own catalog has no name; others stand behind the account.
            ("glue", "CatalogName") => match text.split_once(':') {
                Some((_, name)) => Some(name.to_owned()),
                None => (text.len() != 12).then(|| text.to_owned()),
            },
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
            ("ecs", "TaskDefinitionRevisionNumber") => text.split(':').nth(1).map(str::to_owned),
            ("ecs", _) => text.rsplit('/').next().map(str::to_owned),
            // Ids of things in API answers have their kind before them, of builds their project.
            ("route53", "Id") => text.rsplit('/').next().map(str::to_owned),
            ("codebuild", "ProjectName") => text.split(':').next().map(str::to_owned),
            ("wafv2", "Scope") => match text {
                "REGIONAL" => Some("regional".to_owned()),
                "CLOUDFRONT" => Some("global".to_owned()),
                _ => None,
            },
            // Instances of EC2 and others are told apart by the beginning of their ids.
            ("ssm", _) if kind.name == "instance" => {
                text.starts_with("i-").then(|| text.to_owned())
            }
            ("ssm", _) if kind.name == "managed-instance" => {
                text.starts_with("mi-").then(|| text.to_owned())
            }
            _ if text.contains(char::is_whitespace) && variable != "ObjectName" => None,
            _ => Some(text.to_owned()),
        }
    }
}
