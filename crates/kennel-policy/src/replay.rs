//! What a set of identity policies says to a call.
//!
//! Only identity policies are evaluated: policies of resources, boundaries, session policies and the organisation's are not
//! known here. What the record does not tell is undecidable, never allowed.

use crate::{
    condition::{Context, Truth, all_hold, with_variables},
    document::{Document, Effect, Selection, Statement},
    pattern::Pattern,
    resources::{Basis, Resource},
};

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it: its name or place.
    DeniedBy(String),
    /// No statement allows it.
    NotAllowed,
    /// It depends on what the record does not tell.
    Undecidable(String),
}

/// Policies, prepared for many calls.
#[derive(Debug)]
pub struct Evaluator<'d> {
    statements: Vec<Prepared<'d>>,
}

#[derive(Debug)]
struct Prepared<'d> {
    statement: &'d Statement,
    name: String,
    knows_variables: bool,
    actions: Vec<Pattern>,
    /// Ready where no variable has to be replaced first.
    resources: Vec<Result<Pattern, &'d str>>,
    depends_on_context: bool,
}

impl<'d> Evaluator<'d> {
    /// Prepares documents that are in force together.
    pub fn new(documents: &'d [Document]) -> Self {
        let mut statements = Vec::new();
        for (d, document) in documents.iter().enumerate() {
            for (s, statement) in document.statements.iter().enumerate() {
                let place = if documents.len() > 1 {
                    format!("[{d}].Statement[{s}]")
                } else {
                    format!("Statement[{s}]")
                };
                statements.push(Prepared::new(statement, place, document.knows_variables()));
            }
        }
        Self { statements }
    }

    /// Whether an answer about `action` can depend on the context: on conditions or variables.
    pub fn depends_on_context(&self, action: &str) -> bool {
        let action = Pattern::literal(action);
        self.statements
            .iter()
            .any(|prepared| prepared.depends_on_context && prepared.is_about(&action))
    }

    /// What the policies say to `action` (`s3:GetObject`) on `resource`, with what is known of the call.
    pub fn decide(&self, action: &str, resource: &Resource, context: &Context) -> Decision {
        let asked = Asked::of(action, resource);
        let mut allowed = Truth::No;
        let mut open_denial = None;
        for prepared in &self.statements {
            let applies = prepared.applies(&asked, context);
            match (prepared.statement.effect, applies) {
                (Effect::Deny, Truth::Yes) => return Decision::DeniedBy(prepared.name.clone()),
                (Effect::Deny, Truth::Unknown(why)) => {
                    open_denial
                        .get_or_insert_with(|| format!("{} may deny it: {why}", prepared.name));
                }
                (Effect::Deny, Truth::No) => {}
                (Effect::Allow, applies) => {
                    let named = match applies {
                        Truth::Unknown(why) => {
                            Truth::Unknown(format!("{} may allow it: {why}", prepared.name))
                        }
                        other => other,
                    };
                    allowed = allowed.or(named);
                }
            }
        }
        match (allowed, open_denial) {
            (Truth::No, _) => Decision::NotAllowed,
            (Truth::Unknown(why), _) | (Truth::Yes, Some(why)) => Decision::Undecidable(why),
            (Truth::Yes, None) => Decision::Allowed,
        }
    }
}

/// What is asked about: the action, and the resource exactly or as a pattern.
struct Asked {
    action: Pattern,
    pattern: Pattern,
    /// The record does not tell which of the things that match it was.
    is_open: bool,
}

impl Asked {
    fn of(action: &str, resource: &Resource) -> Self {
        let action = Pattern::literal(action);
        match resource.basis {
            Basis::Record | Basis::Request | Basis::Response | Basis::NoResource => Self {
                action,
                pattern: Pattern::literal(&resource.arn),
                is_open: false,
            },
            Basis::Kind | Basis::Unknown => Self {
                action,
                pattern: Pattern::new(&resource.arn),
                is_open: true,
            },
        }
    }
}

impl<'d> Prepared<'d> {
    fn new(statement: &'d Statement, place: String, knows_variables: bool) -> Self {
        let (Selection::Only(actions) | Selection::Except(actions)) = &statement.actions;
        let resources = match &statement.resources {
            Some(Selection::Only(resources) | Selection::Except(resources)) => resources.as_slice(),
            None => &[],
        };
        let depends_on_context = !statement.conditions.is_empty()
            || (knows_variables && resources.iter().any(|resource| has_variables(resource)));
        Self {
            statement,
            depends_on_context,
            name: statement
                .sid
                .clone()
                .map_or_else(|| place.clone(), |sid| format!("{place} ({sid})")),
            knows_variables,
            actions: actions
                .iter()
                .map(|action| Pattern::folding_case(action))
                .collect(),
            resources: resources
                .iter()
                .map(|resource| {
                    if !knows_variables {
                        Ok(Pattern::without_escapes(resource))
                    } else if has_variables(resource) {
                        Err(resource.as_str())
                    } else {
                        Ok(Pattern::new(resource))
                    }
                })
                .collect(),
        }
    }

    /// Whether the statement is about the action.
    fn is_about(&self, action: &Pattern) -> bool {
        let named = self.actions.iter().any(|pattern| pattern.covers(action));
        named == matches!(self.statement.actions, Selection::Only(_))
    }

    fn applies(&self, asked: &Asked, context: &Context) -> Truth {
        if !self.is_about(&asked.action) {
            return Truth::No;
        }
        let resource = match &self.statement.resources {
            // A policy of a resource means that resource.
            None => Truth::Unknown("it names no resource".into()),
            Some(Selection::Only(_)) => self.names(asked, context),
            Some(Selection::Except(_)) => self.names(asked, context).not(),
        };
        if resource == Truth::No {
            return Truth::No;
        }
        resource.and(all_hold(
            &self.statement.conditions,
            context,
            self.knows_variables,
        ))
    }

    /// Whether one of the statement's resources is the one asked about.
    fn names(&self, asked: &Asked, context: &Context) -> Truth {
        let one = |pattern: &Pattern| {
            if pattern.covers(&asked.pattern) {
                Truth::Yes
            } else if asked.is_open && pattern.overlaps(&asked.pattern) {
                Truth::Unknown("the record does not tell which resource it was".into())
            } else {
                Truth::No
            }
        };
        let mut named = Truth::No;
        for resource in &self.resources {
            let this = match resource {
                Ok(pattern) => one(pattern),
                Err(text) => match with_variables(text, context) {
                    Ok(Some(text)) => one(&Pattern::new(&text)),
                    Ok(None) => Truth::No,
                    Err(key) => Truth::Unknown(format!("the record does not tell {key}")),
                },
            };
            named = named.or(this);
            if named == Truth::Yes {
                break;
            }
        }
        named
    }
}

fn has_variables(text: &str) -> bool {
    text.replace("${*}", "")
        .replace("${?}", "")
        .replace("${$}", "")
        .contains("${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(policy: &str, action: &str, resource: &str) -> Decision {
        let documents = Document::parse_all(policy).unwrap();
        let mut context = Context::default();
        context.set("aws:username", "alice");
        let basis = if resource == "*" {
            Basis::NoResource
        } else if resource.contains('*') {
            Basis::Kind
        } else {
            Basis::Record
        };
        Evaluator::new(&documents).decide(action, &Resource::new(resource, basis), &context)
    }

    fn policy(statements: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
    }

    #[test]
    fn what_no_statement_allows_is_not_allowed_and_a_denial_wins() {
        let allow = r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#;
        let deny =
            r#"{"Sid":"No","Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/secret/*"}"#;
        let both = policy(&format!("{allow},{deny}"));
        assert_eq!(
            decide(&both, "s3:getobject", "arn:aws:s3:::b/k"),
            Decision::Allowed
        );
        assert_eq!(
            decide(&both, "s3:PutObject", "arn:aws:s3:::b/k"),
            Decision::NotAllowed
        );
        assert_eq!(
            decide(&both, "s3:GetObject", "arn:aws:s3:::c/k"),
            Decision::NotAllowed
        );
        assert_eq!(
            decide(&both, "s3:GetObject", "arn:aws:s3:::b/secret/k"),
            Decision::DeniedBy("Statement[1] (No)".into())
        );
    }

    #[test]
    fn opposites_apply_to_everything_else() {
        let allow = policy(
            r#"{"Effect":"Allow","NotAction":["iam:*","s3:*"],"NotResource":"arn:aws:sqs:*:*:secret"}"#,
        );
        assert_eq!(
            decide(&allow, "sqs:SendMessage", "arn:aws:sqs:r:1:q"),
            Decision::Allowed
        );
        assert_eq!(
            decide(&allow, "sqs:SendMessage", "arn:aws:sqs:r:1:secret"),
            Decision::NotAllowed
        );
        assert_eq!(decide(&allow, "iam:ListUsers", "*"), Decision::NotAllowed);
    }

    #[test]
    fn an_action_without_resource_needs_a_star() {
        let narrow = policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::*"}"#);
        assert_eq!(
            decide(&narrow, "s3:ListAllMyBuckets", "*"),
            Decision::NotAllowed
        );
        let wide = policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#);
        assert_eq!(decide(&wide, "s3:ListAllMyBuckets", "*"), Decision::Allowed);
    }

    #[test]
    fn a_resource_of_which_only_the_kind_is_known_is_allowed_only_by_what_covers_all_of_it() {
        let one = policy(
            r#"{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:r:1:instance/i-1"}"#,
        );
        assert!(matches!(
            decide(&one, "ec2:StartInstances", "arn:aws:ec2:r:1:instance/*"),
            Decision::Undecidable(_)
        ));
        let all = policy(
            r#"{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:1:instance/*"}"#,
        );
        assert_eq!(
            decide(&all, "ec2:StartInstances", "arn:aws:ec2:r:1:instance/*"),
            Decision::Allowed
        );
        let other =
            policy(r#"{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:r:1:volume/*"}"#);
        assert_eq!(
            decide(&other, "ec2:StartInstances", "arn:aws:ec2:r:1:instance/*"),
            Decision::NotAllowed
        );
    }

    #[test]
    fn variables_are_replaced_or_undecidable_and_mean_nothing_in_old_documents() {
        let home =
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}"#;
        assert_eq!(
            decide(&policy(home), "s3:GetObject", "arn:aws:s3:::b/alice/k"),
            Decision::Allowed
        );
        assert_eq!(
            decide(&policy(home), "s3:GetObject", "arn:aws:s3:::b/bob/k"),
            Decision::NotAllowed
        );
        let old = format!(r#"{{"Statement":{home}}}"#);
        assert_eq!(
            decide(&old, "s3:GetObject", "arn:aws:s3:::b/alice/k"),
            Decision::NotAllowed
        );
        let tag = policy(
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/t}/*"}"#,
        );
        assert!(matches!(
            decide(&tag, "s3:GetObject", "arn:aws:s3:::b/x/k"),
            Decision::Undecidable(_)
        ));
    }

    #[test]
    fn an_undecidable_denial_makes_the_whole_undecidable_unless_nothing_allows() {
        let deny = r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/t":"x"}}}"#;
        let allow = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
        let both = policy(&format!("{deny},{allow}"));
        assert!(
            matches!(decide(&both, "s3:GetObject", "arn:aws:s3:::b/k"), Decision::Undecidable(why) if why.contains("PrincipalTag"))
        );
        assert_eq!(
            decide(&policy(deny), "s3:GetObject", "arn:aws:s3:::b/k"),
            Decision::NotAllowed
        );
    }
}
