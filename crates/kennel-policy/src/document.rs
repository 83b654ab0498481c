//! IAM policy documents: read with every element checked, written always in the same order.

use serde_json::{Map, Value};

use crate::ordered::{Ordered, compact_chars, write_value};

/// The language version with policy variables.
pub const VERSION: &str = "2012-10-17";

/// Why a text is no policy document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON.
    #[error("the document is not JSON")]
    Json {
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// JSON, but not a policy.
    #[error("{problem} at {path}")]
    Shape {
        /// `Statement[2].Effect`.
        path: String,
        /// `neither "Allow" nor "Deny"`.
        problem: String,
    },
}

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `2012-10-17`; without one, that of 2008, which knows no variables.
    pub version: Option<String>,
    /// Its id; IAM ignores it.
    pub id: Option<String>,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub sid: Option<String>,
    /// What it does.
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`, as written: only policies of resources have it.
    pub principal: Option<(String, Value)>,
    /// `Action` or `NotAction`: patterns.
    pub actions: Selection,
    /// `Resource` or `NotResource`: patterns; absent in policies of resources.
    pub resources: Option<Selection>,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

/// Allow or Deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows, unless something denies.
    Allow,
    /// Denies, whatever allows.
    Deny,
}

/// `Action`/`Resource`, or their opposites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// What matches one of these.
    Only(Vec<String>),
    /// What matches none of these.
    Except(Vec<String>),
}

/// One key of one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `StringEquals`, `ForAnyValue:StringLike`, `BoolIfExists`; not checked here.
    pub operator: String,
    /// `aws:SourceIp`.
    pub key: String,
    /// Numbers and booleans as text.
    pub values: Vec<String>,
}

impl Document {
    /// Reads one document.
    ///
    /// # Errors
    /// [`DocumentError`] says where and what; IAM would refuse the same.
    ///
    /// Source: IAM user guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let value: Value =
            serde_json::from_str(text).map_err(|source| DocumentError::Json { source })?;
        Self::from_value(&value, "")
    }

    /// Reads a document, or a list of documents that are in force together.
    ///
    /// # Errors
    /// As [`Self::parse`]; an empty list is an error.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, DocumentError> {
        let value: Value =
            serde_json::from_str(text).map_err(|source| DocumentError::Json { source })?;
        match &value {
            Value::Array(list) if list.is_empty() => Err(shape("the list", "no document")),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(nth, value)| Self::from_value(value, &format!("[{nth}].")))
                .collect(),
            other => Ok(vec![Self::from_value(other, "")?]),
        }
    }

    fn from_value(value: &Value, at: &str) -> Result<Self, DocumentError> {
        let object = value
            .as_object()
            .ok_or_else(|| shape(&format!("{at}the top"), "not an object"))?;
        for name in object.keys() {
            if !matches!(name.as_str(), "Version" | "Id" | "Statement") {
                return Err(shape(
                    &format!("{at}{name}"),
                    "an element that policies do not have",
                ));
            }
        }
        let version = optional_text(object, "Version", at)?;
        if let Some(version) = version
            .as_deref()
            .filter(|version| ![VERSION, "2008-10-17"].contains(version))
        {
            return Err(shape(
                &format!("{at}Version"),
                &format!("no version of the policy language: {version:?}"),
            ));
        }
        let statements = match object.get("Statement") {
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(nth, value)| Statement::from_value(value, &format!("{at}Statement[{nth}]")))
                .collect::<Result<_, _>>()?,
            Some(value @ Value::Object(_)) => {
                vec![Statement::from_value(value, &format!("{at}Statement"))?]
            }
            _ => return Err(shape(&format!("{at}Statement"), "no statement")),
        };
        Ok(Self {
            version,
            id: optional_text(object, "Id", at)?,
            statements,
        })
    }

    /// Whether variables like `${aws:username}` mean something.
    pub fn knows_variables(&self) -> bool {
        self.version.as_deref() == Some(VERSION)
    }

    /// The document as JSON, two blanks an indent, elements in IAM's usual order, no line break at the end.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        write_value(&mut text, &self.ordered(), 0);
        text
    }

    /// Its size as IAM counts it: characters, blanks between elements left out.
    pub fn size_chars(&self) -> usize {
        compact_chars(&self.ordered())
    }

    /// The document as names and values in the order in which they are written.
    pub(crate) fn ordered(&self) -> Ordered {
        let mut fields = Vec::new();
        if let Some(version) = &self.version {
            fields.push(("Version".to_owned(), Ordered::text(version)));
        }
        if let Some(id) = &self.id {
            fields.push(("Id".to_owned(), Ordered::text(id)));
        }
        let statements = self.statements.iter().map(Statement::ordered).collect();
        fields.push(("Statement".to_owned(), Ordered::List(statements)));
        Ordered::Object(fields)
    }
}

impl Statement {
    fn from_value(value: &Value, at: &str) -> Result<Self, DocumentError> {
        let object = value
            .as_object()
            .ok_or_else(|| shape(at, "a statement that is not an object"))?;
        for name in object.keys() {
            let is_known = matches!(
                name.as_str(),
                "Sid"
                    | "Effect"
                    | "Principal"
                    | "NotPrincipal"
                    | "Action"
                    | "NotAction"
                    | "Resource"
                    | "NotResource"
                    | "Condition"
            );
            if !is_known {
                return Err(shape(
                    &format!("{at}.{name}"),
                    "an element that statements do not have",
                ));
            }
        }
        let effect = match object.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => {
                return Err(shape(
                    &format!("{at}.Effect"),
                    "neither \"Allow\" nor \"Deny\"",
                ));
            }
        };
        let actions = selection(object, "Action", at)?
            .ok_or_else(|| shape(at, "neither Action nor NotAction"))?;
        let (Selection::Only(patterns) | Selection::Except(patterns)) = &actions;
        for pattern in patterns {
            if pattern != "*" && !pattern.contains(':') {
                return Err(shape(
                    &format!("{at}.Action"),
                    &format!("no `service:action`: {pattern:?}"),
                ));
            }
        }
        let principal = ["Principal", "NotPrincipal"]
            .into_iter()
            .find_map(|name| Some((name.to_owned(), object.get(name)?.clone())));
        let conditions = object
            .get("Condition")
            .map_or_else(|| Ok(Vec::new()), |value| conditions(value, at))?;
        Ok(Self {
            sid: optional_text(object, "Sid", &format!("{at}."))?,
            effect,
            principal,
            actions,
            resources: selection(object, "Resource", at)?,
            conditions,
        })
    }

    fn ordered(&self) -> Ordered {
        let mut fields = Vec::new();
        if let Some(sid) = &self.sid {
            fields.push(("Sid".to_owned(), Ordered::text(sid)));
        }
        let effect = match self.effect {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        };
        fields.push(("Effect".to_owned(), Ordered::text(effect)));
        if let Some((name, value)) = &self.principal {
            fields.push((name.clone(), Ordered::Raw(value.clone())));
        }
        fields.push(self.actions.ordered("Action"));
        if let Some(resources) = &self.resources {
            fields.push(resources.ordered("Resource"));
        }
        if !self.conditions.is_empty() {
            let mut operators: Vec<(String, Vec<(String, Ordered)>)> = Vec::new();
            for condition in &self.conditions {
                let field = (condition.key.clone(), Ordered::texts(&condition.values));
                match operators
                    .iter_mut()
                    .find(|(operator, _)| *operator == condition.operator)
                {
                    Some((_, fields)) => fields.push(field),
                    None => operators.push((condition.operator.clone(), vec![field])),
                }
            }
            let operators = operators
                .into_iter()
                .map(|(operator, fields)| (operator, Ordered::Object(fields)));
            fields.push(("Condition".to_owned(), Ordered::Object(operators.collect())));
        }
        Ordered::Object(fields)
    }
}

impl Selection {
    fn ordered(&self, name: &str) -> (String, Ordered) {
        match self {
            Self::Only(patterns) => (name.to_owned(), Ordered::texts(patterns)),
            Self::Except(patterns) => (format!("Not{name}"), Ordered::texts(patterns)),
        }
    }
}

fn shape(path: &str, problem: &str) -> DocumentError {
    DocumentError::Shape {
        path: path.to_owned(),
        problem: problem.to_owned(),
    }
}

fn optional_text(
    object: &Map<String, Value>,
    name: &str,
    at: &str,
) -> Result<Option<String>, DocumentError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(shape(&format!("{at}{name}"), "not a text")),
    }
}

/// `Action` or `NotAction`, `Resource` or `NotResource`; both is an error.
fn selection(
    object: &Map<String, Value>,
    name: &str,
    at: &str,
) -> Result<Option<Selection>, DocumentError> {
    let opposite = format!("Not{name}");
    match (object.get(name), object.get(&opposite)) {
        (Some(_), Some(_)) => Err(shape(at, &format!("both {name} and {opposite}"))),
        (Some(value), None) => Ok(Some(Selection::Only(texts(
            value,
            &format!("{at}.{name}"),
        )?))),
        (None, Some(value)) => Ok(Some(Selection::Except(texts(
            value,
            &format!("{at}.{opposite}"),
        )?))),
        (None, None) => Ok(None),
    }
}

/// A text or a list of texts; numbers and booleans become text.
fn texts(value: &Value, at: &str) -> Result<Vec<String>, DocumentError> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(shape(at, "not a text")),
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

fn conditions(value: &Value, at: &str) -> Result<Vec<Condition>, DocumentError> {
    let at = format!("{at}.Condition");
    let operators = value
        .as_object()
        .ok_or_else(|| shape(&at, "not an object"))?;
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let at = format!("{at}.{operator}");
        let keys = keys
            .as_object()
            .ok_or_else(|| shape(&at, "not an object"))?;
        for (key, values) in keys {
            conditions.push(Condition {
                operator: operator.clone(),
                key: key.clone(),
                values: texts(values, &format!("{at}.{key}"))?,
            });
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_of_the_guides_is_read_and_written_in_order() {
        let text = r#"{"Statement": {"Resource": "*", "Action": ["s3:Get*", "s3:List*"], "Effect": "Allow",
            "Condition": {"Bool": {"aws:SecureTransport": true}, "NumericLessThan": {"s3:max-keys": 10}}}, "Version": "2012-10-17"}"#;
        let document = Document::parse(text).unwrap();
        assert!(document.knows_variables());
        assert_eq!(
            document.to_json(),
            r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "s3:Get*",
        "s3:List*"
      ],
      "Resource": "*",
      "Condition": {
        "Bool": {
          "aws:SecureTransport": "true"
        },
        "NumericLessThan": {
          "s3:max-keys": "10"
        }
      }
    }
  ]
}"#
        );
        let compact: Value = serde_json::from_str(&document.to_json()).unwrap();
        assert_eq!(document.size_chars(), compact.to_string().chars().count());
    }

    #[test]
    fn what_is_no_policy_says_where_and_what() {
        for (text, expected) in [
            ("", "the document is not JSON"),
            ("[]", "no document at the list"),
            ("3", "not an object at the top"),
            (r#"{"Version":"2012-10-17"}"#, "no statement at Statement"),
            (
                r#"{"Version":"2012","Statement":[]}"#,
                "no version of the policy language: \"2012\" at Version",
            ),
            (
                r#"{"Statement":[{"Effect":"allow","Action":"s3:*"}]}"#,
                "neither \"Allow\" nor \"Deny\" at Statement[0].Effect",
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Resource":"*"}]}"#,
                "neither Action nor NotAction at Statement[0]",
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","NotAction":"x:y"}]}"#,
                "both Action and NotAction at Statement[0]",
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Action":"GetObject"}]}"#,
                "no `service:action`: \"GetObject\" at Statement[0].Action",
            ),
            (
                r#"{"Statement":[{"Effect":"Allow","Actoin":"s3:*"}]}"#,
                "an element that statements do not have at Statement[0].Actoin",
            ),
            (
                r#"[{"Statement":[{"Effect":"Deny","Action":"s3:*","Condition":{"Bool":1}}]}]"#,
                "not an object at [0].Statement[0].Condition.Bool",
            ),
        ] {
            assert_eq!(
                Document::parse_all(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }

    fn selections() -> impl Strategy<Value = Selection> {
        let patterns = proptest::collection::vec("[a-z]{1,4}:[A-Za-z*?]{1,6}", 1..4);
        (patterns, any::<bool>()).prop_map(|(patterns, only)| {
            if only {
                Selection::Only(patterns)
            } else {
                Selection::Except(patterns)
            }
        })
    }

    fn statements() -> impl Strategy<Value = Statement> {
        let conditions = proptest::collection::btree_map(
            ("String(Equals|Like)", "aws:[a-z]{1,5}"),
            proptest::collection::vec(".{0,6}", 1..3),
            0..3,
        );
        (
            proptest::option::of("[A-Za-z0-9]{1,8}"),
            any::<bool>(),
            selections(),
            proptest::option::of(selections()),
            conditions,
        )
            .prop_map(|(sid, allows, actions, resources, conditions)| Statement {
                sid,
                effect: if allows { Effect::Allow } else { Effect::Deny },
                principal: None,
                actions,
                resources,
                conditions: conditions
                    .into_iter()
                    .map(|((operator, key), values)| Condition {
                        operator,
                        key,
                        values,
                    })
                    .collect(),
            })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(statements in proptest::collection::vec(statements(), 0..4), id in proptest::option::of(".{0,5}")) {
            let document = Document { version: Some(VERSION.into()), id, statements };
            prop_assert_eq!(&Document::parse(&document.to_json()).unwrap(), &document);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = Document::parse_all(&text);
        }
    }
}
