//! One recorded call, as far as mapping and evaluation need it, and the values inside its parameters.

use serde_json::{Map, Value};

/// How deep values are looked for in parameters.
const DEEPEST: usize = 8;
/// How many values are looked at in one call's parameters.
const MOST_FIELDS: usize = 4_000;

/// Something a record names as a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedResource {
    /// Its ARN.
    pub arn: Option<String>,
    /// The beginning of the ARNs of several things.
    pub arn_prefix: Option<String>,
}

/// One recorded call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// `s3.amazonaws.com`.
    pub event_source: String,
    /// `GetObject`, as CloudTrail writes it.
    pub event_name: String,
    /// `AwsApiCall`; absent in old records.
    pub event_type: Option<String>,
    /// Where it was made: `eu-central-1`.
    pub region: String,
    /// The account that recorded it, 12 digits.
    pub account_id: String,
    /// Kind of the caller: `AssumedRole`.
    pub principal_type: Option<String>,
    /// The caller's own ARN as recorded: of a session, the session's.
    pub principal_arn: Option<String>,
    /// The service that called with the caller's credentials.
    pub invoked_by: Option<String>,
    /// Whether the call only read.
    pub read_only: Option<bool>,
    /// `requestParameters`.
    pub request: Value,
    /// `responseElements`.
    pub response: Value,
    /// `resources`.
    pub resources: Vec<NamedResource>,
}

impl Call {
    /// Reads a CloudTrail record. What is missing stays empty: the shape of a record is not checked here.
    ///
    /// Source: CloudTrail user guide, "CloudTrail record contents".
    pub fn from_record(record: &Value) -> Self {
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let identity = &record["userIdentity"];
        Self {
            event_source: text(&record["eventSource"]).unwrap_or_default(),
            event_name: text(&record["eventName"]).unwrap_or_default(),
            event_type: text(&record["eventType"]),
            region: text(&record["awsRegion"]).unwrap_or_default(),
            account_id: text(&record["recipientAccountId"])
                .or_else(|| text(&identity["accountId"]))
                .unwrap_or_default(),
            principal_type: text(&identity["type"]),
            principal_arn: text(&identity["arn"]),
            invoked_by: text(&identity["invokedBy"]),
            read_only: match &record["readOnly"] {
                Value::Bool(flag) => Some(*flag),
                Value::String(text) => text.parse().ok(),
                _ => None,
            },
            request: record["requestParameters"].clone(),
            response: record["responseElements"].clone(),
            resources: named_resources(&record["resources"]),
        }
    }

    /// The partition that the region belongs to.
    pub fn partition(&self) -> &'static str {
        partition_of(&self.region)
    }
}

/// The partition of a region, by the beginning of its name; `aws` for names not known.
pub fn partition_of(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ];
    PARTITIONS
        .iter()
        .find(|(start, _)| region.starts_with(start))
        .map_or("aws", |(_, partition)| partition)
}

/// `resources` of a record: objects with `ARN` or `ARNPrefix`, in whatever case.
pub fn named_resources(value: &Value) -> Vec<NamedResource> {
    let field = |object: &Map<String, Value>, name: &str| {
        object
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.as_str())
            .filter(|text| text.starts_with("arn:"))
            .map(str::to_owned)
    };
    let listed = value.as_array().map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .filter_map(Value::as_object)
        .map(|object| NamedResource {
            arn: field(object, "arn"),
            arn_prefix: field(object, "arnprefix"),
        })
        .filter(|resource| resource.arn.is_some() || resource.arn_prefix.is_some())
        .collect()
}

/// A scalar inside parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The key it lies under, in lower case without anything but letters and digits; of a list the list's.
    pub(crate) key: String,
    /// How deep.
    pub(crate) depth: usize,
    /// Its text; numbers and booleans as written.
    pub(crate) text: String,
}

/// Lower case, letters and digits only: how names of parameters and of variables are compared.
pub(crate) fn folded(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// All scalars of `value`, the shallow ones first, in document order.
pub(crate) fn fields(value: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    let mut level = vec![(String::new(), value)];
    for depth in 0..DEEPEST {
        let mut deeper = Vec::new();
        for (key, value) in level {
            if found.len() >= MOST_FIELDS {
                return found;
            }
            match value {
                Value::Object(object) => {
                    for (name, value) in object {
                        // EC2's newer calls wrap a list's element: {"tag": 1, "content": "vpc-1"}.
                        let name = if name == "content" && object.contains_key("tag") {
                            key.clone()
                        } else {
                            folded(name)
                        };
                        deeper.push((name, value));
                    }
                }
                Value::Array(list) => deeper.extend(list.iter().map(|value| (key.clone(), value))),
                Value::String(text) if is_told(text) => found.push(Field {
                    key,
                    depth,
                    text: text.clone(),
                }),
                Value::Number(number) => found.push(Field {
                    key,
                    depth,
                    text: number.to_string(),
                }),
                Value::Bool(flag) => found.push(Field {
                    key,
                    depth,
                    text: flag.to_string(),
                }),
                _ => {}
            }
        }
        level = deeper;
    }
    found
}

/// Whether a value is what the caller sent, rather than what AWS or somebody put in its place.
fn is_told(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with("HIDDEN_DUE_TO_SECURITY_REASONS")
        && !text.contains("sensitiveDataRemoved")
        && !text.chars().all(|c| c == '*')
}

/// The values at a dotted path, over lists and without regard to case: `transactItems.put.tableName`.
pub(crate) fn at_path<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut level = vec![value];
    for name in path.split('.') {
        let name = folded(name);
        let mut deeper = Vec::new();
        for value in flattened(level) {
            if let Value::Object(object) = value {
                deeper.extend(
                    object
                        .iter()
                        .filter(|(key, value)| folded(key) == name && !value.is_null())
                        .map(|(_, value)| value),
                );
            }
        }
        level = deeper;
    }
    flattened(level)
}

fn flattened(values: Vec<&Value>) -> Vec<&Value> {
    let mut flat = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => flat.extend(list),
            other => flat.push(other),
        }
    }
    flat
}

/// Whether anything lies under a key of this folded name, however deep.
pub(crate) fn has_key(value: &Value, name: &str) -> bool {
    let mut level = vec![value];
    for _ in 0..DEEPEST {
        let mut deeper = Vec::new();
        for value in level {
            match value {
                Value::Object(object) => {
                    for (key, value) in object {
                        let is_empty = match value {
                            Value::Null => true,
                            Value::Object(object) => object.is_empty(),
                            Value::String(text) => text.is_empty(),
                            _ => false,
                        };
                        if !is_empty && folded(key) == name {
                            return true;
                        }
                        deeper.push(value);
                    }
                }
                Value::Array(list) => deeper.extend(list),
                _ => {}
            }
        }
        level = deeper;
    }
    false
}

/// The text at a path, where it is text that was told.
pub(crate) fn texts_at<'v>(value: &'v Value, path: &str) -> Vec<&'v str> {
    at_path(value, path)
        .into_iter()
        .filter_map(Value::as_str)
        .filter(|text| is_told(text))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_under_the_nearest_name_whatever_wraps_them() {
        let request = json!({
            "instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]},
            "Request": {"VpcId": {"tag": 1, "content": "vpc-1"}},
            "names": ["a", "b"],
            "secret": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "count": 3, "flag": true, "nothing": null,
        });
        let found = fields(&request);
        let of = |key: &str| {
            found
                .iter()
                .filter(|field| field.key == key)
                .map(|field| field.text.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("instanceid"), ["i-1", "i-2"]);
        assert_eq!(of("vpcid"), ["vpc-1"]);
        assert_eq!(of("names"), ["a", "b"]);
        assert!(of("secret").is_empty() && of("nothing").is_empty());
        assert_eq!((of("count"), of("flag")), (vec!["3"], vec!["true"]));
    }

    #[test]
    fn a_path_goes_over_lists_and_ignores_case() {
        let request = json!({"transactItems": [{"put": {"tableName": "t"}}, {"Put": {"TableName": "u"}}, {"get": 1}]});
        assert_eq!(
            texts_at(&request, "transactItems.put.tableName"),
            ["t", "u"]
        );
        assert!(texts_at(&request, "transactItems.delete").is_empty());
    }

    #[test]
    fn a_record_of_any_shape_becomes_a_call() {
        for record in [
            json!({}),
            json!([]),
            json!(null),
            json!({"userIdentity": 3, "resources": "x", "readOnly": []}),
        ] {
            assert_eq!(Call::from_record(&record).event_name, "");
        }
        let call = Call::from_record(&json!({
            "eventSource": "s3.amazonaws.com", "awsRegion": "us-gov-west-1", "readOnly": "true",
            "userIdentity": {"accountId": "012345678901"},
            "resources": [{"ARNPrefix": "arn:aws:s3:::b/"}, {"arn": "arn:aws:s3:::b"}, {"ARN": "no"}, null],
        }));
        assert_eq!(
            (call.account_id.as_str(), call.partition()),
            ("012345678901", "aws-us-gov")
        );
        assert_eq!(call.read_only, Some(true));
        assert_eq!(call.resources.len(), 2);
    }

    #[test]
    fn deep_or_long_parameters_are_looked_at_as_far_as_is_sensible() {
        let mut deep = json!("leaf");
        for _ in 0..100 {
            deep = json!([deep]);
        }
        assert!(fields(&deep).is_empty());
        let long = Value::Array((0..10_000).map(|n| json!(n)).collect());
        assert!(fields(&json!({ "n": long })).len() <= MOST_FIELDS);
    }
}
