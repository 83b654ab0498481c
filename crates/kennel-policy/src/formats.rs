//! Drafts as CloudFormation and Terraform: the role with its trust, the policies beside or inside it, the instance profile.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{
    document::{Condition, Document, Selection},
    draft::Form,
    ordered::{Ordered, write_text},
};

/// What stands around the policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// What the role or policy is called: letters, digits and `+=,.@-_`.
    pub name: String,
    /// The role's path, `/app/`; none where it has none.
    pub path: Option<String>,
    /// Who may assume the role, as observed; a principal that is no role has none.
    pub role: Option<Trust>,
    /// The user that a policy inside a user belongs to.
    pub user: Option<String>,
    /// Whether the policies stand alone or inside the role or user.
    pub form: Form,
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
    /// ARNs of SAML providers.
    pub saml: Vec<String>,
    /// ARNs of OpenID Connect providers, or names of those that AWS knows.
    pub web_identity: Vec<String>,
    /// Whether instances use it, through a profile.
    pub has_instance_profile: bool,
}

/// Where SAML assertions for AWS are addressed to.
///
/// Source: IAM user guide, "Available keys for SAML-based AWS STS federation".
const SAML_AUDIENCE: &str = "https://signin.aws.amazon.com/saml";

/// A statement of a trust policy.
struct Trusting<'t> {
    action: &'static str,
    /// `AWS`, `Service` or `Federated`, and who.
    principals: Vec<(&'static str, &'t [String])>,
    /// Key and value that must be equal.
    condition: Option<(&'static str, &'static str)>,
}

impl Frame {
    fn has_instance_profile(&self) -> bool {
        self.role
            .as_ref()
            .is_some_and(|trust| trust.has_instance_profile)
    }

    /// What a policy inside the role or user is called.
    fn inline_name(&self, nth: usize, count: usize) -> String {
        if count > 1 {
            format!("{}-{nth}", self.name)
        } else {
            self.name.clone()
        }
    }
}

impl Trust {
    fn names_nobody(&self) -> bool {
        [
            &self.services,
            &self.principals,
            &self.saml,
            &self.web_identity,
        ]
        .iter()
        .all(|who| who.is_empty())
    }

    /// At least one statement, so that there is a place for who was not seen.
    fn statements(&self) -> Vec<Trusting<'_>> {
        let mut statements = Vec::new();
        let plain: Vec<_> = [("AWS", &self.principals), ("Service", &self.services)]
            .into_iter()
            .filter(|(_, who)| !who.is_empty())
            .map(|(kind, who)| (kind, who.as_slice()))
            .collect();
        if !plain.is_empty() || self.names_nobody() {
            statements.push(Trusting {
                action: "sts:AssumeRole",
                principals: plain,
                condition: None,
            });
        }
        if !self.saml.is_empty() {
            statements.push(Trusting {
                action: "sts:AssumeRoleWithSAML",
                principals: vec![("Federated", &self.saml)],
                condition: Some(("SAML:aud", SAML_AUDIENCE)),
            });
        }
        if !self.web_identity.is_empty() {
            statements.push(Trusting {
                action: "sts:AssumeRoleWithWebIdentity",
                principals: vec![("Federated", &self.web_identity)],
                condition: None,
            });
        }
        statements
    }

    fn document(&self) -> Value {
        let statement = |trusting: &Trusting<'_>| {
            let who = trusting.principals.iter();
            let principal: serde_json::Map<String, Value> = who
                .map(|(kind, who)| ((*kind).to_owned(), json!(who)))
                .collect();
            let mut statement =
                json!({"Effect": "Allow", "Principal": principal, "Action": trusting.action});
            if let Some((key, value)) = trusting.condition {
                statement["Condition"] = json!({"StringEquals": {key: value}});
            }
            statement
        };
        let statements: Vec<Value> = self.statements().iter().map(statement).collect();
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    /// What the reader has to add.
    fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if self.names_nobody() {
            remarks.push("Nobody was seen assuming the role: name who may.");
        }
        if !self.web_identity.is_empty() {
            remarks.push("Add a condition on the token's audience and subject: without one, every user of the identity provider may assume the role.");
        }
        remarks
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
        yaml_role(&mut text, trust, documents, frame);
    }
    match (frame.form, &frame.user) {
        (Form::Managed, _) => {
            for (nth, document) in documents.iter().enumerate() {
                let nth = nth + 1;
                line(
                    &mut text,
                    format_args!(
                        "  Policy{nth}:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      PolicyDocument:"
                    ),
                );
                yaml(&mut text, &document.ordered(), 8);
            }
        }
        (Form::InlineUser, Some(user)) => {
            for (nth, document) in documents.iter().enumerate() {
                let name = frame.inline_name(nth + 1, documents.len());
                line(
                    &mut text,
                    format_args!(
                        "  Policy{}:\n    Type: AWS::IAM::UserPolicy\n    Properties:\n      UserName: {}\n      PolicyName: {}\n      PolicyDocument:",
                        nth + 1,
                        quoted(user),
                        quoted(&name)
                    ),
                );
                yaml(&mut text, &document.ordered(), 8);
            }
        }
        // They stand in the role.
        (Form::InlineRole | Form::InlineUser, _) => {}
    }
    if frame.has_instance_profile() {
        text.push_str("  InstanceProfile:\n    Type: AWS::IAM::InstanceProfile\n    Properties:\n      InstanceProfileName: ");
        write_text(&mut text, &frame.name);
        text.push_str("\n      Roles:\n        - !Ref Role\n");
    }
    text
}

/// The role with who may assume it, and with its policies or references to them.
fn yaml_role(text: &mut String, trust: &Trust, documents: &[Document], frame: &Frame) {
    for remark in trust.remarks() {
        line(text, format_args!("  # {remark}"));
    }
    text.push_str("  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: ");
    write_text(text, &frame.name);
    if let Some(path) = &frame.path {
        text.push_str("\n      Path: ");
        write_text(text, path);
    }
    text.push_str("\n      AssumeRolePolicyDocument:\n");
    yaml(text, &from_value(&trust.document()), 8);
    if frame.form == Form::Managed {
        text.push_str("      ManagedPolicyArns:\n");
        for nth in 1..=documents.len() {
            line(text, format_args!("        - !Ref Policy{nth}"));
        }
        return;
    }
    text.push_str("      Policies:\n");
    for (nth, document) in documents.iter().enumerate() {
        let name = frame.inline_name(nth + 1, documents.len());
        line(
            text,
            format_args!(
                "        - PolicyName: {}\n          PolicyDocument:",
                quoted(&name)
            ),
        );
        yaml(text, &document.ordered(), 12);
    }
}

/// A Terraform configuration: data sources for the documents, resources for role, policies and profile.
pub fn terraform(documents: &[Document], frame: &Frame) -> String {
    let mut text = String::new();
    head(&mut text, frame, "# ");
    let name = hcl(&frame.name);
    if let Some(trust) = &frame.role {
        hcl_role(&mut text, trust, frame);
    }
    for (nth, document) in documents.iter().enumerate() {
        let nth = nth + 1;
        hcl_document(&mut text, nth, document);
        let inline = hcl(&frame.inline_name(nth, documents.len()));
        match (frame.form, &frame.user) {
            (Form::Managed, _) => {
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
            (Form::InlineUser, Some(user)) => line(
                &mut text,
                format_args!(
                    "resource \"aws_iam_user_policy\" \"policy_{nth}\" {{\n  name   = {inline}\n  user   = {}\n  policy = data.aws_iam_policy_document.policy_{nth}.json\n}}\n",
                    hcl(user)
                ),
            ),
            (Form::InlineRole | Form::InlineUser, _) => line(
                &mut text,
                format_args!(
                    "resource \"aws_iam_role_policy\" \"policy_{nth}\" {{\n  name   = {inline}\n  role   = aws_iam_role.this.id\n  policy = data.aws_iam_policy_document.policy_{nth}.json\n}}\n"
                ),
            ),
        }
    }
    if frame.has_instance_profile() {
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

/// The role and the document of its trust.
fn hcl_role(text: &mut String, trust: &Trust, frame: &Frame) {
    for remark in trust.remarks() {
        line(text, format_args!("# {remark}"));
    }
    text.push_str("data \"aws_iam_policy_document\" \"trust\" {\n");
    for trusting in trust.statements() {
        line(
            text,
            format_args!("  statement {{\n    actions = [{}]", hcl(trusting.action)),
        );
        for (kind, identifiers) in trusting.principals {
            line(
                text,
                format_args!(
                    "    principals {{\n      type        = \"{kind}\"\n      identifiers = {}\n    }}",
                    hcl_list(identifiers, 6)
                ),
            );
        }
        if let Some((key, value)) = trusting.condition {
            hcl_condition(text, "StringEquals", key, &[value.to_owned()]);
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n\n");
    let path = frame.path.as_ref().map_or_else(String::new, |path| {
        format!("  path               = {}\n", hcl(path))
    });
    line(
        text,
        format_args!(
            "resource \"aws_iam_role\" \"this\" {{\n  name               = {}\n{path}  assume_role_policy = data.aws_iam_policy_document.trust.json\n}}\n",
            hcl(&frame.name)
        ),
    );
}

/// One document as a data source.
fn hcl_document(text: &mut String, nth: usize, document: &Document) {
    line(
        text,
        format_args!("data \"aws_iam_policy_document\" \"policy_{nth}\" {{"),
    );
    for statement in &document.statements {
        text.push_str("  statement {\n");
        if let Some(sid) = &statement.sid {
            line(text, format_args!("    sid       = {}", hcl(sid)));
        }
        if let Selection::Only(actions) = &statement.actions {
            line(
                text,
                format_args!("    actions   = {}", hcl_list(actions, 4)),
            );
        }
        if let Some(Selection::Only(resources)) = &statement.resources {
            line(
                text,
                format_args!("    resources = {}", hcl_list(resources, 4)),
            );
        }
        for Condition {
            operator,
            key,
            values,
        } in &statement.conditions
        {
            hcl_condition(text, operator, key, values);
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n\n");
}

fn hcl_condition(text: &mut String, operator: &str, key: &str, values: &[String]) {
    line(
        text,
        format_args!(
            "    condition {{\n      test     = {}\n      variable = {}\n      values   = {}\n    }}",
            hcl(operator),
            hcl(key),
            hcl_list(values, 6)
        ),
    );
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
                [
                    "Version",
                    "Statement",
                    "Effect",
                    "Principal",
                    "Action",
                    "Condition",
                ]
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

fn quoted(content: &str) -> String {
    let mut text = String::new();
    write_text(&mut text, content);
    text
}

/// A quoted HCL string: `${` and `%{` mean templates there and are doubled.
fn hcl(content: &str) -> String {
    quoted(content).replace("${", "$${").replace("%{", "%%{")
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
