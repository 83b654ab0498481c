//! `kennel policy draft`: a policy that allows what was used.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use kennel_engine::Engine;
use kennel_policy::{
    Document, Draft, DraftOptions, Form, Frame, Outcome, ResourceLevel, Selection, Status, Trust,
    Usage, cloudformation, draft, terraform,
};

use super::{
    inquiry::Inquiry,
    observe::{self, Detail, Observation, WindowArgs},
};
use crate::{
    context::Context,
    error::CliError,
    exit::Exit,
    output::{Format, target::Target},
    text::grouped,
};

/// Managed policies that one role may have, unless AWS raised the quota.
const POLICIES_OF_A_ROLE: usize = 10;
/// Lines of one kind of remark before "and N more".
const NAMED: usize = 15;

/// A policy that allows what a principal used, and proof that it does
///
/// The draft allows the actions of every call that succeeded, on the resources that they worked on. Before it is
/// printed, it is evaluated against each of these calls, and standard error says how many it allows. There too: the
/// window and the logs behind it, what could not be mapped, what was called and failed, where the policy is wider than
/// what was seen and why, and what probably belongs to it although it was not seen. Denied calls never become grants.
///
/// Managed policies beyond IAM's 6,144 characters are split into several. With --inline the policy is one that stands inside
/// its role (10,240 characters at most) or user (2,048); a longer one is refused, since IAM would refuse it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy draft arn:aws:iam::111122223333:role/app > policy.json
  kennel policy draft app --since 2026-01-01 --exclude 'iam:*' --resource-level exact
  kennel policy draft olduser --and newrole --format cloudformation -o role.yaml
  kennel policy draft arn:aws:iam::111122223333:role/app --inline --format terraform")]
pub(super) struct Args {
    /// Whose calls: ARN, access key id, session name, or bare name
    #[arg(value_name = "PRINCIPAL")]
    principal: String,
    /// Also allow what this principal used (repeatable)
    #[arg(long = "and", value_name = "PRINCIPAL")]
    others: Vec<String>,
    #[command(flatten)]
    window: WindowArgs,
    /// Leave out actions that match (repeatable; * and ? as in policies)
    #[arg(long, value_name = "ACTION")]
    exclude: Vec<String>,
    /// How closely resources are named
    #[arg(long, value_name = "LEVEL", default_value = "prefix")]
    resource_level: Level,
    /// Resources of one kind in a statement before common prefixes are folded
    #[arg(long, value_name = "COUNT", default_value = "10")]
    width: usize,
    /// Also allow what was called and failed for another reason than lack of permission
    #[arg(long)]
    include_failed: bool,
    /// Put the policy inside its role or user, in place of managed policies
    #[arg(long)]
    inline: bool,
    /// Form of the policy
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    format: DraftFormat,
    /// Name of the role or policy in CloudFormation and Terraform [default: the principal's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// Each by its ARN
    Exact,
    /// Many below one prefix by that prefix
    Prefix,
    /// Not at all: *
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DraftFormat {
    /// A policy document; an array of them where one would be too long
    Json,
    /// A template in YAML with role, policies and instance profile
    Cloudformation,
    /// A configuration with role, policies and instance profile
    Terraform,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let mut inquiry = Inquiry::open(cx)?;
    let mut target = Target::open(args.output.as_deref(), Format::Json, &["policy".to_owned()])?;
    let mut notes = Vec::new();
    let mut all: Option<Observation> = None;
    for principal in std::iter::once(&args.principal).chain(&args.others) {
        let (seen, told) = inquiry
            .observe_quietly(principal, &args.window, Detail::Call)
            .await?;
        notes.extend(told);
        match &mut all {
            None => all = Some(seen),
            Some(all) => {
                all.usage.calls.extend(seen.usage.calls);
                all.sessions.extend(seen.sessions);
            }
        }
    }
    let Some(seen) = all else {
        return Ok(Exit::Failure);
    };
    let form = form(args.inline, &seen)?;
    let options = DraftOptions {
        level: match args.resource_level {
            Level::Exact => ResourceLevel::Exact,
            Level::Prefix => ResourceLevel::Prefix,
            Level::Any => ResourceLevel::Any,
        },
        width: args.width,
        exclude: args.exclude.clone(),
        include_failed: args.include_failed,
        form,
    };
    let drafted = draft(&seen.usage, &options);
    if drafted.documents.is_empty() {
        for line in &notes {
            cx.printer.info(line);
        }
        return Err(CliError::new(format!(
            "nothing was used by `{}` that a policy could allow",
            args.principal
        ))
        .hint("`kennel policy usage` shows its calls; `kennel status` what the cache covers"));
    }
    let replay = seen.usage.replay(&drafted.documents, |action| {
        drafted.excluded.contains(action)
    });
    notes.push(format!(
        "replay: the draft allows {} of {} calls",
        grouped(replay.allowed_count),
        grouped(replay.call_count)
    ));
    if replay.allowed_count < replay.call_count {
        let finding = replay.findings.first();
        return Err(CliError::new(
            "the draft does not allow all that it should; this is a defect of kennel",
        )
        .caused_by(finding.map_or_else(String::new, |f| {
            format!("{} on {}: {:?}", f.action, f.resource, f.decision)
        })));
    }
    if drafted.excess_chars(form) > 0 && args.inline {
        return Err(too_long(&drafted, form));
    }
    for line in &notes {
        cx.printer.info(line);
    }
    remarks(&drafted, &seen.usage, cx);
    let text = match args.format {
        DraftFormat::Json => json(&drafted),
        DraftFormat::Cloudformation | DraftFormat::Terraform => {
            let frame = frame(&args, &inquiry.engine, &seen, form, notes, cx).await?;
            if args.format == DraftFormat::Terraform {
                terraform(&drafted.documents, &frame)
            } else {
                cloudformation(&drafted.documents, &frame)
            }
        }
    };
    let (mut out, _) = target.place(0, &cx.printer);
    out.write_all(text.as_bytes())?;
    out.flush()?;
    drop(out);
    for path in target.finish()? {
        cx.printer.info(&format!("wrote {}", path.display()));
    }
    Ok(inquiry.verdict.exit())
}

/// Whether the policy stands alone, in a role, or in a user.
fn form(is_inline: bool, seen: &Observation) -> Result<Form, CliError> {
    if !is_inline {
        return Ok(Form::Managed);
    }
    if role_of(seen).is_some() {
        return Ok(Form::InlineRole);
    }
    if user_of(seen).is_some() {
        return Ok(Form::InlineUser);
    }
    Err(CliError::new(
        "a policy can stand inside a role or a user only, and this principal is neither",
    )
    .hint("leave `--inline` off for a managed policy"))
}

/// The first role among the principals that the name stood for.
fn role_of(seen: &Observation) -> Option<&str> {
    let mut named = seen.principals.iter();
    let (arn, _) = named.find(|(arn, kind)| kind == "AssumedRole" && arn.contains(":role/"))?;
    Some(arn)
}

/// The name of the first user among them.
fn user_of(seen: &Observation) -> Option<&str> {
    let mut named = seen.principals.iter();
    let (arn, _) = named.find(|(arn, kind)| kind == "IAMUser" && arn.contains(":user/"))?;
    arn.rsplit('/').next()
}

fn too_long(drafted: &Draft, form: Form) -> CliError {
    let limit = form.limit_chars();
    CliError::new(format!(
        "the policy has {} characters; the policies inside a {} may have {} together",
        grouped((limit + drafted.excess_chars(form)) as u64),
        if form == Form::InlineUser {
            "user"
        } else {
            "role"
        },
        grouped(limit as u64),
    ))
    .hint("`--width 3` folds more resources into prefixes")
    .hint("without `--inline` the draft is split into managed policies")
}

/// The document; several in an array.
fn json(drafted: &Draft) -> String {
    match drafted.documents.as_slice() {
        [one] => format!("{}\n", one.to_json()),
        several => {
            let texts: Vec<String> = several.iter().map(Document::to_json).collect();
            format!("[\n{}\n]\n", texts.join(",\n"))
        }
    }
}

/// What a reader of the draft has to know beside it.
fn remarks(drafted: &Draft, usage: &Usage, cx: &Context) {
    let list = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        cx.printer.info(&format!("{title}:"));
        for line in lines.iter().take(NAMED) {
            cx.printer.info(&format!("  {line}"));
        }
        if lines.len() > NAMED {
            cx.printer
                .info(&format!("  and {} more", lines.len() - NAMED));
        }
    };
    let of = |status: Status, unmapped: bool| {
        let calls = usage.calls.iter().filter(|(seen, mapping)| {
            seen.status == status && matches!(mapping.outcome, Outcome::Unmapped(_)) == unmapped
        });
        let names: BTreeSet<String> = calls
            .map(|(seen, _)| format!("{} {}", seen.call.event_source, seen.call.event_name))
            .collect();
        names.into_iter().collect::<Vec<_>>()
    };
    list(
        "unmapped calls, which the policy may therefore lack",
        of(Status::Succeeded, true),
    );
    list(
        "denied calls, not allowed by the draft",
        of(Status::Denied, false),
    );
    list(
        "calls that failed for other reasons (`--include-failed` allows them too)",
        of(Status::Failed, false),
    );
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (action, why) in &drafted.wide {
        reasons.entry(why).or_default().push(action);
    }
    list(
        "wider than what was seen, or `*`",
        reasons
            .into_iter()
            .map(|(why, actions)| format!("{why}: {}", actions.join(", ")))
            .collect(),
    );
    list(
        "left out on request",
        drafted.excluded.iter().cloned().collect(),
    );
    list(
        "not seen and not allowed, but probably needed",
        drafted
            .offers
            .iter()
            .map(|offer| {
                format!(
                    "{} (beside {}): {}",
                    offer.action, offer.because_of, offer.why
                )
            })
            .collect(),
    );
    if passes_any_role(&drafted.documents) {
        cx.printer.warn("the draft lets every role be passed (iam:PassRole): the records name instance profiles, not the roles in them");
        cx.printer
            .hint("put the roles' ARNs in place of `role/*`, or leave it out with `--exclude iam:PassRole`");
    }
    if drafted.documents.len() > 1 {
        cx.printer.info(&format!(
            "split into {} documents: one would exceed IAM's 6,144 characters",
            drafted.documents.len()
        ));
    }
    if drafted.documents.len() > POLICIES_OF_A_ROLE {
        cx.printer.warn(&format!(
            "{} policies are more than a role may have ({POLICIES_OF_A_ROLE} unless AWS raised the quota)",
            drafted.documents.len()
        ));
        cx.printer
            .hint("`--width 3` folds more resources into prefixes");
    }
}

/// Whether `iam:PassRole` is allowed on all roles of an account.
fn passes_any_role(documents: &[Document]) -> bool {
    let mut statements = documents.iter().flat_map(|document| &document.statements);
    statements.any(|statement| {
        let has = |selection: Option<&Selection>, test: &dyn Fn(&str) -> bool| {
            matches!(selection, Some(Selection::Only(texts)) if texts.iter().any(|text| test(text)))
        };
        has(Some(&statement.actions), &|action| action == "iam:PassRole")
            && has(statement.resources.as_ref(), &|arn| {
                arn == "*" || arn.ends_with(":role/*")
            })
    })
}

/// What stands around the policies: the role's name and who was seen assuming it.
async fn frame(
    args: &Args,
    engine: &Engine,
    seen: &Observation,
    form: Form,
    notes: Vec<String>,
    cx: &Context,
) -> Result<Frame, CliError> {
    let role = role_of(seen).map(str::to_owned);
    let last_part = |text: &str| text.rsplit(['/', ':']).next().unwrap_or(text).to_owned();
    let name = args.name.clone().unwrap_or_else(|| {
        let of = last_part(role.as_deref().unwrap_or(&args.principal));
        of.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "+=,.@-_".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .take(60)
            .collect()
    });
    let mut frame = Frame {
        name,
        user: user_of(seen).map(str::to_owned),
        form,
        notes,
        ..Frame::default()
    };
    if let Some(role) = role {
        frame.path = path_of(&role);
        let has_instance_profile = seen.sessions.iter().any(|name| is_instance(name));
        frame.role = Some(Trust {
            has_instance_profile,
            ..trust(engine, &role, cx).await?
        });
    }
    Ok(frame)
}

/// Who was seen assuming a role, in every account that is mirrored.
async fn trust(engine: &Engine, role: &str, cx: &Context) -> Result<Trust, CliError> {
    let mut trust = Trust::default();
    let sql = "SELECT DISTINCT principal_type, coalesce(principal_arn, principal_name) AS caller FROM cloudtrail.events WHERE service = 'sts' AND event_name = 'AssumeRole' AND NOT is_error AND (any_match(resources, r -> r.arn = $role) OR json_extract_scalar(request_parameters, '$.roleArn') = $role) ORDER BY 1, 2";
    for rows in observe::rows(engine, sql, &[("role", role)], cx).await? {
        for row in 0..rows.row_count() {
            let kind = rows.text("principal_type", row).unwrap_or_default();
            match (kind.as_str(), rows.text("caller", row)) {
                ("AWSService", Some(service)) => trust.services.push(service),
                (_, Some(arn)) if arn.starts_with("arn:") => trust.principals.push(arn),
                _ => {}
            }
        }
    }
    let sql = "SELECT DISTINCT eventname, coalesce(json_extract_scalar(requestparameters, '$.principalArn'), useridentity.identityprovider) AS provider FROM cloudtrail.cloudtrail_logs WHERE eventsource = 'sts.amazonaws.com' AND eventname IN ('AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity') AND errorcode IS NULL AND json_extract_scalar(requestparameters, '$.roleArn') = $role ORDER BY 1, 2";
    for rows in observe::rows(engine, sql, &[("role", role)], cx).await? {
        for row in 0..rows.row_count() {
            let Some(provider) = rows.text("provider", row) else {
                continue;
            };
            match rows.text("eventname", row).as_deref() {
                Some("AssumeRoleWithSAML") => trust.saml.push(provider),
                _ => trust.web_identity.push(provider),
            }
        }
    }
    Ok(trust)
}

/// The path of a role: `/app/` of `arn:aws:iam::111122223333:role/app/worker`.
fn path_of(role: &str) -> Option<String> {
    let (_, named) = role.split_once(":role/")?;
    let (path, _) = named.rsplit_once('/')?;
    Some(format!("/{path}/"))
}

/// Whether a session is named as EC2 names those of instances.
fn is_instance(session: &str) -> bool {
    session
        .strip_prefix("i-")
        .is_some_and(|id| id.len() >= 8 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_role_stands_between_its_kind_and_its_name() {
        let path = |role: &str| path_of(&format!("arn:aws:iam::111122223333:role/{role}"));
        assert_eq!(path("app"), None);
        assert_eq!(path("team/app/worker").as_deref(), Some("/team/app/"));
    }

    #[test]
    fn sessions_of_instances_are_known_by_their_name() {
        assert!(is_instance("i-0a1b2c3d4e5f60718") && is_instance("i-1234abcd"));
        assert!(!is_instance("i-love-it") && !is_instance("spork"));
    }
}
