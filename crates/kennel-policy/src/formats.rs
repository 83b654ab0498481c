//! Drafts as CloudFormation and Terraform: the role with its trust, the policies, the instance profile.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::document::{Document, Ordered, Selection, write_text};

/// What stands around the policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// What the role or policy is called: letters, digits and `+=,.@-_`.
    pub name: String,
    /// Who may assume the role, as observed; a principal that is no role has none.
    pub role: Option<Trust>,
    /// Lines for the head of the file, without comment signs.
    pub notes: Vec<String>,
}

/// Who assumes a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// `ec2.amazonaws.com`.
    pub services: Vec<String>,
    /// ARNs of users, roles and accounts.
    pub principals: Vec<String>,
    /// Whether instances use it, through a profile.
    pub has_instance_profile: bool,
}

impl Trust {
    fn document(&self) -> Value {
        let mut principal = serde_json::Map::new();
        if !self.principals.is_empty() {
            principal.insert("AWS".into(), json!(self.principals));
        }
        if !self.services.is_empty() {
            principal.insert("Service".into(), json!(self.services));
        }
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})
    }
}

/// A CloudFormation template in YAML; every text is quoted, so that no value of a call means anything to YAML.
pub fn cloudformation(documents: &[Document], frame: &Frame) -> String {
    let mut text = String::new();
    head(&mut text, frame, "# ");
    text.push_str("AWSTemplateFormatVersion: \"2010-09-09\"\nDescription: ");
    write_text(&mut text, &format!("Least privilege for {}", frame.name));
    text.push_str("\nResources:\n");
    if let Some(trust) = &frame.role {
        if trust.services.is_empty() && trust.principals.is_empty() {
            text.push_str("  # Nobody was seen assuming the role: name who may in Principal.\n");
        }
        text.push_str("  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: ");
        write_text(&mut text, &frame.name);
        text.push_str("\n      AssumeRolePolicyDocument:\n");
        yaml(&mut text, &from_value(&trust.document()), 8);
        text.push_str("      ManagedPolicyArns:\n");
        for nth in 1..=documents.len() {
            line(&mut text, format_args!("        - !Ref Policy{nth}"));
        }
    }
    for (nth, document) in documents.iter().enumerate() {
        line(
            &mut text,
            format_args!(
                "  Policy{}:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      PolicyDocument:",
                nth + 1
            ),
        );
        yaml(&mut text, &document.ordered(), 8);
    }
    if frame
        .role
        .as_ref()
        .is_some_and(|trust| trust.has_instance_profile)
    {
        text.push_str("  InstanceProfile:\n    Type: AWS::IAM::InstanceProfile\n    Properties:\n      InstanceProfileName: ");
        write_text(&mut text, &frame.name);
        text.push_str("\n      Roles:\n        - !Ref Role\n");
    }
    text
}

/// A Terraform configuration: data sources for the documents, resources for role, policies and profile.
pub fn terraform(documents: &[Document], frame: &Frame) -> String {
    let mut text = String::new();
    head(&mut text, frame, "# ");
    let name = hcl(&frame.name);
    if let Some(trust) = &frame.role {
        if trust.services.is_empty() && trust.principals.is_empty() {
            text.push_str(
                "# Nobody was seen assuming the role: name who may in a principals block.\n",
            );
        }
        text.push_str("data \"aws_iam_policy_document\" \"trust\" {\n  statement {\n    actions = [\"sts:AssumeRole\"]\n");
        for (kind, identifiers) in [("AWS", &trust.principals), ("Service", &trust.services)] {
            if !identifiers.is_empty() {
                line(
                    &mut text,
                    format_args!(
                        "    principals {{\n      type        = \"{kind}\"\n      identifiers = {}\n    }}",
                        hcl_list(identifiers, 6)
                    ),
                );
            }
        }
        text.push_str("  }\n}\n\n");
        line(
            &mut text,
            format_args!(
                "resource \"aws_iam_role\" \"this\" {{\n  name               = {name}\n  assume_role_policy = data.aws_iam_policy_document.trust.json\n}}\n"
            ),
        );
    }
    for (nth, document) in documents.iter().enumerate() {
        let nth = nth + 1;
        line(
            &mut text,
            format_args!("data \"aws_iam_policy_document\" \"policy_{nth}\" {{"),
        );
        for statement in &document.statements {
            text.push_str("  statement {\n");
            if let Some(sid) = &statement.sid {
                line(&mut text, format_args!("    sid       = {}", hcl(sid)));
            }
            if let Selection::Only(actions) = &statement.actions {
                line(
                    &mut text,
                    format_args!("    actions   = {}", hcl_list(actions, 4)),
                );
            }
            if let Some(Selection::Only(resources)) = &statement.resources {
                line(
                    &mut text,
                    format_args!("    resources = {}", hcl_list(resources, 4)),
                );
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n\n");
        line(
            &mut text,
            format_args!(
                "resource \"aws_iam_policy\" \"policy_{nth}\" {{\n  name   = {}\n  policy = data.aws_iam_policy_document.policy_{nth}.json\n}}\n",
                hcl(&format!("{}-{nth}", frame.name))
            ),
        );
        if frame.role.is_some() {
            line(
                &mut text,
                format_args!(
                    "resource \"aws_iam_role_policy_attachment\" \"policy_{nth}\" {{\n  role       = aws_iam_role.this.name\n  policy_arn = aws_iam_policy.policy_{nth}.arn\n}}\n"
                ),
            );
        }
    }
    if frame
        .role
        .as_ref()
        .is_some_and(|trust| trust.has_instance_profile)
    {
        line(
            &mut text,
            format_args!(
                "resource \"aws_iam_instance_profile\" \"this\" {{\n  name = {name}\n  role = aws_iam_role.this.name\n}}\n"
            ),
        );
    }
    let length = text.trim_end().len();
    text.truncate(length);
    text.push('\n');
    text
}

/// Comment lines; a note's own line breaks become blanks.
fn head(text: &mut String, frame: &Frame, sign: &str) {
    for note in &frame.notes {
        let note: String = note
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line(text, format_args!("{}", format!("{sign}{note}").trim_end()));
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _infallible = writeln!(text, "{content}");
}

fn from_value(value: &Value) -> Ordered {
    match value {
        Value::String(content) => Ordered::text(content),
        Value::Array(list) => Ordered::List(list.iter().map(from_value).collect()),
        Value::Object(object) => {
            let order = |name: &str| {
                ["Version", "Statement", "Effect", "Principal", "Action"]
                    .iter()
                    .position(|known| *known == name)
            };
            let mut fields: Vec<_> = object
                .iter()
                .map(|(name, value)| (name.clone(), from_value(value)))
                .collect();
            fields.sort_by_key(|(name, _)| order(name).unwrap_or(usize::MAX));
            Ordered::Object(fields)
        }
        other => Ordered::Raw(other.clone()),
    }
}

/// Block YAML with JSON's quoted strings for every text.
fn yaml(text: &mut String, value: &Ordered, indent: usize) {
    let pad = |text: &mut String, indent: usize| text.push_str(&" ".repeat(indent));
    match value {
        Ordered::Object(fields) => {
            for (name, value) in fields {
                pad(text, indent);
                if name.chars().all(|c| c.is_ascii_alphanumeric()) {
                    text.push_str(name);
                } else {
                    write_text(text, name);
                }
                text.push(':');
                yaml_after(text, value, indent);
            }
        }
        Ordered::List(list) => {
            for value in list {
                pad(text, indent);
                text.push('-');
                match value {
                    Ordered::Object(fields) => {
                        let mut inner = String::new();
                        yaml(&mut inner, &Ordered::Object(fields.clone()), indent + 2);
                        text.push(' ');
                        text.push_str(inner.trim_start());
                    }
                    other => yaml_after(text, other, indent),
                }
            }
        }
        scalar => {
            pad(text, indent);
            yaml_after(text, scalar, indent);
        }
    }
}

fn yaml_after(text: &mut String, value: &Ordered, indent: usize) {
    match value {
        Ordered::Text(content) => {
            text.push(' ');
            write_text(text, content);
            text.push('\n');
        }
        Ordered::Raw(value) => line(text, format_args!(" {value}")),
        nested => {
            text.push('\n');
            yaml(text, nested, indent + 2);
        }
    }
}

/// A quoted HCL string: `${` and `%{` mean templates there and are doubled.
fn hcl(content: &str) -> String {
    let mut text = String::new();
    write_text(&mut text, content);
    text.replace("${", "$${").replace("%{", "%%{")
}

fn hcl_list(texts: &[String], indent: usize) -> String {
    if let [one] = texts {
        return format!("[{}]", hcl(one));
    }
    let pad = " ".repeat(indent);
    let lines: String = texts
        .iter()
        .map(|text| format!("{pad}  {},\n", hcl(text)))
        .collect();
    format!("[\n{lines}{pad}]")
}
