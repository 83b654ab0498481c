//! `kennel policy explain`: one event, and what it needed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use kennel_policy::{Call, Mapping, Outcome, map};
use serde_json::{Value, json};

use super::observe;
use crate::{context::Context, error::CliError, exit::Exit, text::visible};

/// What an event needed: actions, resources, and by which rule
///
/// With an event id, the event is looked up in the cache. With --event-file, each line is a CloudTrail record, and for each
/// one JSON object comes out, in the same order: eventSource, eventName, actions, resources, provenance (exact, table,
/// rule or unmapped), then needs (each action with its resources and why), why, alternatives. A line that is no record
/// gives an object with `error`, and the exit code is 3. FILE may be - for standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel policy explain 7a3b2c1d-0000-4000-8000-000000000001
  kennel policy explain --event-file records.jsonl --format jsonl")]
pub(super) struct Args {
    /// Id of an event in the cache
    #[arg(
        value_name = "EVENT-ID",
        required_unless_present = "event_file",
        conflicts_with = "event_file"
    )]
    event_id: Option<String>,
    /// CloudTrail records, one a line
    #[arg(long, value_name = "FILE")]
    event_file: Option<PathBuf>,
    /// Form of the output [default: text for an event of the cache, jsonl for a file]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<ExplainFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ExplainFormat {
    /// For people
    Text,
    /// One JSON object a line
    Jsonl,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    if let Some(path) = &args.event_file {
        return explain_file(path, args.format.unwrap_or(ExplainFormat::Jsonl), cx);
    }
    let id = args.event_id.unwrap_or_default();
    let engine = observe::engine(cx)?;
    let sql = "SELECT DISTINCT eventsource, eventname, eventtype, awsregion, recipientaccountid, useridentity.type AS principal_type, useridentity.arn AS principal_arn, useridentity.accountid AS principal_account, useridentity.invokedby AS invoked_by, readonly, errorcode, eventtime, requestparameters, responseelements, resources FROM cloudtrail.cloudtrail_logs WHERE eventid = $id";
    let found = observe::rows(&engine, sql, &[("id", id.as_str())], cx).await?;
    let mut out = cx.printer.stdout();
    let mut event_count = 0;
    for rows in &found {
        for row in 0..rows.row_count() {
            event_count += 1;
            let text = |name: &str| rows.text(name, row);
            let parsed = |name: &str| {
                text(name)
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .unwrap_or_default()
            };
            let call = Call {
                event_source: text("eventsource").unwrap_or_default(),
                event_name: text("eventname").unwrap_or_default(),
                event_type: text("eventtype"),
                region: text("awsregion").unwrap_or_default(),
                account_id: text("recipientaccountid")
                    .or_else(|| text("principal_account"))
                    .unwrap_or_default(),
                principal_type: text("principal_type"),
                principal_arn: text("principal_arn"),
                invoked_by: text("invoked_by"),
                read_only: text("readonly").and_then(|text| text.parse().ok()),
                request: parsed("requestparameters"),
                response: parsed("responseelements"),
                resources: rows.resources(row),
            };
            let told = Told {
                time: text("eventtime"),
                error: text("errorcode"),
            };
            let mapping = map(&call);
            match args.format.unwrap_or(ExplainFormat::Text) {
                ExplainFormat::Text => write_text(&call, &mapping, &told, &mut out)?,
                ExplainFormat::Jsonl => writeln!(out, "{}", object(&call, &mapping))?,
            }
        }
    }
    out.flush()?;
    if event_count == 0 {
        return Err(CliError::new(format!("no event `{id}` is in the cache"))
            .hint("`kennel status` shows which accounts, regions and days are mirrored"));
    }
    Ok(Exit::Done)
}

fn explain_file(path: &Path, format: ExplainFormat, cx: &Context) -> Result<Exit, CliError> {
    let opened: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path).map_err(|error| {
            CliError::new(format!("cannot read `{}`", path.display())).cause(&error)
        })?;
        Box::new(BufReader::new(file))
    };
    let mut out = cx.printer.stdout();
    let mut broken_count = 0_u64;
    for (index, line) in opened.split(b'\n').enumerate() {
        let line = line.map_err(|error| {
            CliError::new(format!("cannot read `{}`", path.display())).cause(&error)
        })?;
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = match serde_json::from_slice::<Value>(line) {
            Ok(record) if record.is_object() => record,
            read => {
                broken_count += 1;
                let problem = match read {
                    Err(error) => format!("line {} is not JSON: {error}", index + 1),
                    Ok(_) => format!("line {} is no record", index + 1),
                };
                cx.printer.warn(&problem);
                writeln!(out, "{}", unreadable(&problem))?;
                continue;
            }
        };
        let call = Call::from_record(&record);
        let mapping = map(&call);
        match format {
            ExplainFormat::Jsonl => writeln!(out, "{}", object(&call, &mapping))?,
            ExplainFormat::Text => {
                let text = |name: &str| record[name].as_str().map(str::to_owned);
                let told = Told {
                    time: text("eventTime"),
                    error: text("errorCode"),
                };
                write_text(&call, &mapping, &told, &mut out)?;
            }
        }
    }
    out.flush()?;
    Ok(if broken_count > 0 {
        Exit::Partial
    } else {
        Exit::Done
    })
}

fn unreadable(problem: &str) -> String {
    in_order(&[
        ("eventSource", Value::Null),
        ("eventName", Value::Null),
        ("actions", json!([])),
        ("resources", json!([])),
        ("provenance", json!("unmapped")),
        ("error", json!(problem)),
    ])
}

/// An object whose fields stand in this order.
fn in_order(fields: &[(&str, Value)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}:{value}", Value::from(*name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// What `jsonl` promises, format 1: fields are added, never changed.
fn object(call: &Call, mapping: &Mapping) -> String {
    let grants = mapping.grants();
    let mut actions: Vec<String> = Vec::new();
    for action in grants.iter().map(|grant| grant.action.id()) {
        // A role handed to several services is several needs of one action.
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    let mut resources: Vec<&str> = Vec::new();
    for resource in grants.iter().flat_map(|grant| &grant.resources) {
        if !resources.contains(&resource.arn.as_str()) {
            resources.push(&resource.arn);
        }
    }
    let needs: Vec<Value> = grants
        .iter()
        .map(|grant| {
            let resources: Vec<Value> = grant
                .resources
                .iter()
                .map(|resource| json!({"arn": resource.arn, "basis": resource.basis.as_str()}))
                .collect();
            json!({
                "action": grant.action.id(),
                "access_level": grant.action.level.as_str(),
                "resources": resources,
                "provenance": grant.provenance.as_str(),
                "passed_to": grant.passed_to,
                "why": grant.why,
            })
        })
        .collect();
    in_order(&[
        ("eventSource", json!(call.event_source)),
        ("eventName", json!(call.event_name)),
        ("actions", json!(actions)),
        ("resources", json!(resources)),
        ("provenance", json!(mapping.provenance())),
        ("needs", json!(needs)),
        ("why", json!(why(mapping))),
        ("alternatives", json!(mapping.alternatives)),
    ])
}

fn why(mapping: &Mapping) -> Option<&str> {
    match &mapping.outcome {
        Outcome::Needs(_) => None,
        Outcome::Nothing(why) | Outcome::Unmapped(why) => Some(why),
    }
}

/// Of the record, for people.
struct Told {
    time: Option<String>,
    error: Option<String>,
}

fn write_text(call: &Call, mapping: &Mapping, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    writeln!(
        out,
        "event      {} {}",
        visible(&call.event_source),
        visible(&call.event_name)
    )?;
    writeln!(
        out,
        "when       {}, {} in account {}",
        visible(&or_none(&told.time)),
        visible(&call.region),
        visible(&call.account_id)
    )?;
    writeln!(
        out,
        "who        {} {}",
        visible(&or_none(&call.principal_type)),
        visible(call.principal_arn.as_deref().unwrap_or("-"))
    )?;
    if let Some(service) = &call.invoked_by {
        writeln!(
            out,
            "through    {}: the caller needs the permission all the same",
            visible(service)
        )?;
    }
    if let Some(error) = &told.error {
        writeln!(
            out,
            "failed     {}: this call is no use of a permission",
            visible(error)
        )?;
    }
    match &mapping.outcome {
        Outcome::Nothing(why) => writeln!(out, "needs      no permission: {}", visible(why))?,
        Outcome::Unmapped(why) => {
            writeln!(out, "needs      unmapped: {}", visible(why))?;
            if !mapping.alternatives.is_empty() {
                writeln!(out, "perhaps    {}", mapping.alternatives.join(", "))?;
            }
        }
        Outcome::Needs(grants) => {
            for grant in grants {
                let why = if grant.why.is_empty() {
                    String::new()
                } else {
                    format!(": {}", grant.why)
                };
                writeln!(
                    out,
                    "needs      {} [{}{}]",
                    grant.action.id(),
                    grant.provenance.as_str(),
                    why
                )?;
                for resource in &grant.resources {
                    writeln!(
                        out,
                        "  on       {} [{}]",
                        visible(&resource.arn),
                        resource.basis.as_str()
                    )?;
                }
            }
        }
    }
    writeln!(out)
}
