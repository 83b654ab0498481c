//! ARN templates of the reference, like `arn:${Partition}:sqs:${Region}:${Account}:${QueueName}`: recognising
//! an ARN as one of a type, and building one from values.

use std::fmt;

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(&'static str),
    Variable(&'static str),
}

/// Where a template is filled: the parts of an ARN that do not name the thing.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'a str,
    /// `eu-central-1`.
    pub region: &'a str,
    /// The account that owns the thing.
    pub account: &'a str,
}

impl Template {
    /// Takes a template apart. Text without a closing brace stays literal; a `*` at the end is a variable without a name.
    pub(crate) fn parse(text: &'static str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else {
                break;
            };
            if start > 0 {
                parts.push(Part::Literal(&rest[..start]));
            }
            let name = &rest[start + 2..start + length];
            let before = text.len() - rest.len() + start;
            // Some services call the account otherwise; what stands fifth is the account.
            let is_account = name == "AccountId" && text[..before].matches(':').count() == 4;
            parts.push(Part::Variable(if is_account { "Account" } else { name }));
            rest = &rest[start + length + 1..];
        }
        if let Some(rest) = rest.strip_suffix('*') {
            parts.push(Part::Literal(rest));
            parts.push(Part::Variable("*"));
        } else if !rest.is_empty() {
            parts.push(Part::Literal(rest));
        }
        Self { parts }
    }

    /// The variables that name the thing: all but partition, region and account.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) if !is_place(name) => Some(*name),
            _ => None,
        })
    }

    /// How much of `arn` the template's literal text covers, if `arn` is one of this type; more is more specific.
    ///
    /// A variable does not reach over a `:` (over a `/` neither, unless paths are what it names), but the last one does.
    pub fn matches(&self, arn: &str) -> Option<usize> {
        let mut rest = arn;
        let mut literal_bytes = 0;
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => {
                    rest = rest.strip_prefix(text)?;
                    literal_bytes += text.len();
                }
                Part::Variable(name) => {
                    let length = match parts.peek() {
                        None => rest.len(),
                        Some(Part::Variable(_)) => rest.find([':', '/']).unwrap_or(rest.len()),
                        Some(Part::Literal(next)) => rest.find(next)?,
                    };
                    let value = &rest[..length];
                    let is_last = parts.peek().is_none();
                    if value.is_empty() && !is_place(name) {
                        return None;
                    }
                    if (value.contains(':') && !is_last)
                        || (value.contains('/') && !spans_slashes(name, is_last))
                    {
                        return None;
                    }
                    rest = &rest[length..];
                }
            }
        }
        rest.is_empty().then_some(literal_bytes)
    }

    /// Builds an ARN; a variable without a value becomes `*`, and what follows it too, as far as nothing is known there.
    ///
    /// Returns the text, and whether all variables had values.
    pub fn fill<'v>(
        &self,
        place: Place<'_>,
        mut value: impl FnMut(&str) -> Option<&'v str>,
    ) -> (String, bool) {
        let mut text = String::new();
        // Where the first `*` ends, as long as nothing that is known follows it.
        let mut cut = None;
        let mut is_complete = true;
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable("Partition") => text.push_str(place.partition),
                Part::Variable("Region") => text.push_str(place.region),
                Part::Variable("Account") => text.push_str(place.account),
                Part::Variable(name) => {
                    if let Some(value) = value(name) {
                        // Some ids are written with the prefix that the template has, too: `ou-${OrganizationalUnitId}`.
                        let prefix = text.rsplit([':', '/']).next().unwrap_or_default();
                        let value = if prefix.ends_with('-') {
                            value.strip_prefix(prefix).unwrap_or(value)
                        } else {
                            value
                        };
                        text.push_str(value);
                        cut = None;
                    } else {
                        text.push('*');
                        if is_complete {
                            cut = Some(text.len());
                        }
                        is_complete = false;
                    }
                }
            }
        }
        if let Some(length) = cut {
            text.truncate(length);
        }
        (text, is_complete)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(text)?,
                Part::Variable("*") => f.write_str("*")?,
                Part::Variable(name) => write!(f, "${{{name}}}")?,
            }
        }
        Ok(())
    }
}

fn is_place(variable: &str) -> bool {
    matches!(variable, "Partition" | "Region" | "Account")
}

/// Whether values of this variable may hold slashes.
fn spans_slashes(variable: &str, is_last: bool) -> bool {
    match variable {
        "BucketName" | "TableName" | "ClusterName" => false,
        "LogGroupName" | "ParameterNameWithoutLeadingSlash" => true,
        _ => is_last || variable.ends_with("WithPath") || variable.ends_with("Path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place {
        partition: "aws",
        region: "eu-central-1",
        account: "111122223333",
    };

    #[test]
    fn an_arn_is_recognised_by_its_shape() {
        let bucket = Template::parse("arn:${Partition}:s3:::${BucketName}");
        let object = Template::parse("arn:${Partition}:s3:::${BucketName}/${ObjectName}");
        assert!(bucket.matches("arn:aws:s3:::b").is_some());
        assert!(bucket.matches("arn:aws:s3:::b/k").is_none());
        assert!(object.matches("arn:aws:s3:::b/k/l:m").is_some());
        assert!(object.matches("arn:aws:s3:::b/").is_none());
        let stream = Template::parse(
            "arn:${Partition}:logs:${Region}:${Account}:log-group:${LogGroupName}:log-stream:${LogStreamName}",
        );
        assert!(
            stream
                .matches("arn:aws:logs:r:1:log-group:/aws/lambda/f:log-stream:2026/[1]x")
                .is_some()
        );
        assert!(
            stream
                .matches("arn:aws:logs:r:1:log-group:/aws/lambda/f")
                .is_none()
        );
        let role = Template::parse("arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}");
        assert!(role.matches("arn:aws-cn:iam::1:role/a/b").is_some());
        assert!(role.matches("arn:aws:iam::1:user/a").is_none());
    }

    #[test]
    fn a_star_at_the_end_stands_for_anything() {
        let endpoint = Template::parse("arn:${Partition}:dms:${Region}:${Account}:endpoint:*");
        assert!(endpoint.matches("arn:aws:dms:r:1:endpoint:ABC").is_some());
        assert_eq!(
            endpoint.to_string(),
            "arn:${Partition}:dms:${Region}:${Account}:endpoint:*"
        );
        let (arn, is_complete) = endpoint.fill(PLACE, |_| None);
        assert_eq!(
            (arn.as_str(), is_complete),
            ("arn:aws:dms:eu-central-1:111122223333:endpoint:*", false)
        );
    }

    #[test]
    fn an_arn_is_built_as_far_as_values_are_known() {
        let task = Template::parse(
            "arn:${Partition}:ecs:${Region}:${Account}:task/${ClusterName}/${TaskId}",
        );
        let filled = |cluster: Option<&'static str>, id: Option<&'static str>| {
            task.fill(PLACE, |name| match name {
                "ClusterName" => cluster,
                _ => id,
            })
        };
        let head = "arn:aws:ecs:eu-central-1:111122223333:task/";
        assert_eq!(filled(Some("c"), Some("t")), (format!("{head}c/t"), true));
        assert_eq!(filled(Some("c"), None), (format!("{head}c/*"), false));
        assert_eq!(filled(None, Some("t")), (format!("{head}*/t"), false));
        assert_eq!(filled(None, None), (format!("{head}*"), false));
        let unit =
            Template::parse("arn:${Partition}:organizations::${Account}:ou/o-${Org}/ou-${Unit}");
        assert_eq!(
            unit.fill(PLACE, |name| Some(if name == "Org" {
                "o-a1"
            } else {
                "ou-b2-c3"
            }))
            .0,
            "arn:aws:organizations::111122223333:ou/o-a1/ou-b2-c3"
        );
        let queue = Template::parse("arn:${Partition}:sqs:${Region}:${Account}:${QueueName}");
        assert_eq!(
            queue.fill(PLACE, |_| None).0,
            "arn:aws:sqs:eu-central-1:111122223333:*"
        );
    }
}
