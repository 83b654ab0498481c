//! From the rows of `cloudtrail/usage` to observed calls, and what the cache says about what was not logged.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::resume_unwind,
    thread,
};

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use futures::StreamExt;
use kennel_cache::{AccountId, Days, DeliveryDay, EventCategory};
use kennel_engine::{Engine, EngineSettings, Outcome, ParamValues};
use kennel_policy::{Call, Context as PolicyContext, NamedResource, Observed, Status, Usage};

use crate::{
    commands::questions::Verdict,
    context::Context,
    error::CliError,
    text::{counted, grouped, minute},
};

/// The canned query behind all of this.
const QUESTION: &str = "cloudtrail/usage";

/// Which calls are looked at.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct WindowArgs {
    /// Only calls at or after this time (2026-02-01, 2026-02-01T04:10Z)
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only calls before this time
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Only calls that this account recorded
    #[arg(long, value_name = "ID")]
    pub(super) account: Option<AccountId>,
}

/// What is asked about each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What was called: enough for policies without conditions on the caller.
    Call,
    /// Also from where it was called, and which event tells so.
    Circumstances,
}

/// What a principal did.
pub(super) struct Observation {
    /// The calls, mapped.
    pub(super) usage: Usage,
    /// The principals that the name stood for, with the kind of each.
    pub(super) principals: BTreeSet<(String, String)>,
    /// Session names, for telling instances.
    pub(super) sessions: BTreeSet<String>,
    /// First and last call.
    pub(super) window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Accounts that recorded calls.
    pub(super) accounts: BTreeSet<String>,
}

/// Reads and maps the calls of a principal.
pub(super) async fn observe(
    engine: &Engine,
    principal: &str,
    window: &WindowArgs,
    detail: Detail,
    verdict: &mut Verdict,
    cx: &Context,
) -> Result<Observation, CliError> {
    let brief = (detail == Detail::Call).to_string();
    let mut values = BTreeMap::from([
        ("principal".to_owned(), principal.to_owned()),
        ("brief".to_owned(), brief),
    ]);
    let account = window.account.as_ref().map(ToString::to_string);
    for (name, value) in [
        ("since", &window.since),
        ("until", &window.until),
        ("account_id", &account),
    ] {
        if let Some(value) = value {
            values.insert(name.into(), value.clone());
        }
    }
    let query = engine.library().find(QUESTION)?;
    let answer = engine.run(query, &ParamValues(values)).await?;
    verdict.caveats(&answer.caveats, cx);
    let mut stream = answer.stream;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        batches.push((Columns::of(&batch)?, batch.num_rows()));
    }
    tokio::task::block_in_place(|| mapped(&batches, detail))
}

/// Maps the calls that rows tell of, on all cores: each row for itself.
fn mapped(batches: &[(Columns, usize)], detail: Detail) -> Result<Observation, CliError> {
    /// So few are mapped before a thread has begun.
    const FEWEST: usize = 256;
    let rows = batches
        .iter()
        .flat_map(|(columns, count)| (0..*count).map(move |row| (columns, row)))
        .collect::<Vec<_>>();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let of_some = |rows: &[(&Columns, usize)]| {
        let observed = rows
            .iter()
            .map(|(columns, row)| columns.observed(*row, detail));
        Ok::<_, CliError>(Usage::of(observed.collect::<Result<Vec<_>, _>>()?))
    };
    let parts = thread::scope(|scope| {
        let chunks = rows.chunks(rows.len().div_ceil(cores).max(FEWEST));
        let threads = chunks.map(|rows| scope.spawn(move || of_some(rows)));
        let threads = threads.collect::<Vec<_>>();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let calls = parts.into_iter().flat_map(|part| part.calls).collect();
    let usage = Usage { calls };
    let seen = || usage.calls.iter().map(|(observed, _)| observed);
    let first = seen().map(|seen| seen.first_seen).min();
    let last = seen().map(|seen| seen.last_seen).max();
    let accounts = seen().map(|seen| seen.call.account_id.clone()).collect();
    let text = |name| move |(columns, row): &(&Columns, usize)| columns.text(name, *row);
    let principal = |row| {
        let [name, kind] = ["principal", "principal_type"].map(|name| text(name)(row));
        (name.unwrap_or_default(), kind.unwrap_or_default())
    };
    Ok(Observation {
        principals: rows.iter().map(principal).collect(),
        sessions: rows.iter().filter_map(text("session_name")).collect(),
        window: first.zip(last),
        accounts,
        usage,
    })
}

/// An engine over the whole cache.
pub(super) fn engine(cx: &Context) -> Result<Engine, CliError> {
    cx.engine(EngineSettings::default())
}

/// The columns of a batch by name, as text where they are text.
struct Columns {
    by_name: BTreeMap<String, ArrayRef>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, CliError> {
        let mut by_name = BTreeMap::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let wanted = match field.data_type() {
                DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Dictionary(..) => DataType::Utf8,
                DataType::Timestamp(..) => {
                    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
                }
                other => other.clone(),
            };
            let column = cast(column, &wanted)
                .map_err(|error| CliError::new("the rows cannot be read").cause(&error))?;
            by_name.insert(field.name().clone(), column);
        }
        Ok(Self { by_name })
    }

    fn column(&self, name: &str, row: usize) -> Option<&ArrayRef> {
        self.by_name.get(name).filter(|column| !column.is_null(row))
    }

    fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.column(name, row)?.as_string_opt::<i32>()?;
        Some(column.value(row).to_owned())
    }

    fn flag(&self, name: &str, row: usize) -> Option<bool> {
        Some(self.column(name, row)?.as_boolean_opt()?.value(row))
    }

    fn json(&self, name: &str, row: usize) -> serde_json::Value {
        let text = self.text(name, row);
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    fn time(&self, name: &str, row: usize) -> Result<DateTime<Utc>, CliError> {
        self.column(name, row)
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
            .and_then(|column| DateTime::from_timestamp_micros(column.value(row)))
            .ok_or_else(|| CliError::new(format!("a row of `{QUESTION}` has no `{name}`")))
    }

    fn resources(&self, row: usize) -> Vec<NamedResource> {
        let Some(list) = self
            .column("resources", row)
            .and_then(|column| column.as_list_opt::<i32>())
        else {
            return Vec::new();
        };
        let items = list.value(row);
        let Some(items) = items.as_struct_opt() else {
            return Vec::new();
        };
        let field = |name: &str| {
            let column = items.column_by_name(name)?;
            cast(column, &DataType::Utf8).ok()
        };
        let (arns, prefixes) = (field("arn"), field("arnprefix"));
        let at = |column: &Option<ArrayRef>, index: usize| {
            let column = column.as_ref()?.as_string_opt::<i32>()?;
            column
                .is_valid(index)
                .then(|| column.value(index).to_owned())
        };
        (0..items.len())
            .map(|index| NamedResource {
                arn: at(&arns, index).filter(|arn| arn.starts_with("arn:")),
                arn_prefix: at(&prefixes, index).filter(|arn| arn.starts_with("arn:")),
            })
            .filter(|named| named.arn.is_some() || named.arn_prefix.is_some())
            .collect()
    }

    fn observed(&self, row: usize, detail: Detail) -> Result<Observed, CliError> {
        let text = |name: &str| self.text(name, row);
        let status = match (self.flag("is_denied", row), self.flag("is_error", row)) {
            (Some(true), _) => Status::Denied,
            (_, Some(true)) => Status::Failed,
            _ => Status::Succeeded,
        };
        let principal = text("principal");
        let calls = self
            .column("calls", row)
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map_or(1, |column| column.value(row));
        Ok(Observed {
            call: Call {
                event_source: text("event_source").unwrap_or_default(),
                event_name: text("event_name").unwrap_or_default(),
                event_type: text("event_type"),
                region: text("region").unwrap_or_default(),
                account_id: text("account_id").unwrap_or_default(),
                principal_type: text("principal_type"),
                principal_arn: principal,
                invoked_by: text("invoked_by"),
                read_only: self.flag("read_only", row),
                request: self.json("request_parameters", row),
                response: serde_json::Value::Null,
                resources: self.resources(row),
            },
            context: match detail {
                Detail::Call => PolicyContext::default(),
                Detail::Circumstances => self.context(row),
            },
            status,
            count: u64::try_from(calls).unwrap_or_default(),
            first_seen: self.time("first_seen", row)?,
            last_seen: self.time("last_seen", row)?,
            event_id: text("event_id"),
        })
    }

    /// The condition keys that a record tells.
    ///
    /// Source: IAM user guide, "AWS global condition context keys".
    fn context(&self, row: usize) -> PolicyContext {
        let mut context = PolicyContext::default();
        let text = |name: &str| self.text(name, row);
        let kind = text("principal_type").unwrap_or_default();
        if let Some(arn) = text("principal").filter(|arn| arn.starts_with("arn:")) {
            context.set("aws:PrincipalArn", arn);
        }
        if let Some(account) = text("principal_account_id") {
            context.set("aws:PrincipalAccount", account);
        }
        match (kind.as_str(), text("principal_name")) {
            ("IAMUser", Some(name)) => context.set("aws:username", name),
            ("AssumedRole" | "Root" | "FederatedUser" | "SAMLUser" | "WebIdentityUser", _) => {
                context.set_absent("aws:username");
            }
            _ => {}
        }
        let principal_type = match kind.as_str() {
            "IAMUser" => Some("User"),
            "AssumedRole" => Some("AssumedRole"),
            "Root" => Some("Account"),
            "FederatedUser" => Some("FederatedUser"),
            _ => None,
        };
        if let Some(kind) = principal_type {
            context.set("aws:PrincipalType", kind);
        }
        match text("invoked_by") {
            // The address is the service's; which one the caller had is not recorded.
            Some(_) => context.set("aws:ViaAWSService", "true"),
            None => {
                context.set("aws:ViaAWSService", "false");
                if let Some(address) = text("source_ip_address") {
                    context.set("aws:SourceIp", address);
                }
            }
        }
        if let Some(endpoint) = text("vpc_endpoint_id").filter(|id| id.starts_with("vpce-")) {
            context.set("aws:SourceVpce", endpoint);
        } else {
            context.set_absent("aws:SourceVpce");
        }
        if let Some(region) = text("region") {
            context.set("aws:RequestedRegion", region);
        }
        if self.flag("has_tls", row) == Some(true) {
            context.set("aws:SecureTransport", "true");
        }
        match self.flag("mfa_authenticated", row) {
            Some(flag) => context.set("aws:MultiFactorAuthPresent", flag.to_string()),
            None if kind == "IAMUser" => context.set_absent("aws:MultiFactorAuthPresent"),
            None => {}
        }
        if let Some(identity) = text("source_identity") {
            context.set("aws:SourceIdentity", identity);
        }
        context
    }
}

/// What was looked at, as lines for people: principals, window, counts, and what could not be seen.
pub(super) fn notes(
    observation: &Observation,
    principal: &str,
    services: BTreeSet<String>,
    cx: &Context,
) -> Result<Vec<String>, CliError> {
    let mut lines = Vec::new();
    let named: Vec<&str> = observation
        .principals
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    match named.as_slice() {
        [] => lines.push(format!(
            "principal: {principal}: no call of it is in the cache"
        )),
        [one] if *one == principal => lines.push(format!("principal: {principal}")),
        several => lines.push(format!(
            "principal: {principal} (found as {})",
            several.join(", ")
        )),
    }
    if let Some((first, last)) = observation.window {
        lines.push(format!("calls seen: {} to {}", minute(first), minute(last)));
    }
    let totals = observation.usage.totals();
    lines.push(format!(
        "calls: {} that needed permissions, {} that needed none, {} unmapped, {} denied, {} failed otherwise",
        grouped(totals.used),
        grouped(totals.needless),
        grouped(totals.unmapped),
        grouped(totals.denied),
        grouped(totals.failed),
    ));
    lines.extend(coverage(observation, cx)?);
    lines.push(if services.is_empty() {
        "data events: none are in the cache. Reading and writing of S3 objects, DynamoDB items, Lambda invocations, queue messages and the like was not logged: what is not here may be in use all the same".to_owned()
    } else {
        format!(
            "data events are in the cache of: {}. Data events of other services were not logged: what is not here may be in use all the same",
            services.into_iter().collect::<Vec<_>>().join(", ")
        )
    });
    Ok(lines)
}

/// Days that the cache holds of the accounts that recorded calls.
fn coverage(observation: &Observation, cx: &Context) -> Result<Vec<String>, CliError> {
    let Some(cache) = cx.cache()? else {
        return Ok(Vec::new());
    };
    let mut accounts = BTreeMap::<String, (Days, BTreeSet<String>)>::new();
    for held in cache.trail_held()? {
        let account = held.place.account_id.to_string();
        if observation.accounts.is_empty() || observation.accounts.contains(&account) {
            let (days, regions) = accounts.entry(account).or_default();
            days.extend(&held.days);
            regions.insert(held.place.region);
        }
    }
    let shown = |day: Option<NaiveDate>| {
        day.map_or("?".into(), |day| DeliveryDay::from_date(day).to_string())
    };
    let line = |(account, (days, regions)): (String, (Days, BTreeSet<String>))| {
        let (first, last) = days.bounds().unzip();
        format!(
            "logs of account {account}: {} from {} to {}, {}",
            counted(days.count(), "day"),
            shown(first),
            shown(last),
            counted(regions.len() as u64, "region"),
        )
    };
    Ok(accounts.into_iter().map(line).collect())
}

/// Services of which the cache holds data events.
pub(super) async fn data_services(
    engine: &Engine,
    cx: &Context,
) -> Result<BTreeSet<String>, CliError> {
    let has_data = match cx.cache()? {
        Some(cache) => cache
            .trail_held()?
            .iter()
            .any(|held| held.categories.contains(&EventCategory::Data)),
        None => false,
    };
    if !has_data {
        return Ok(BTreeSet::new());
    }
    let sql = "SELECT DISTINCT service FROM cloudtrail.events WHERE event_category = 'Data' ORDER BY service";
    let rows = rows(engine, sql, &[], cx).await?;
    Ok(rows
        .iter()
        .flat_map(|columns| {
            (0..columns.row_count()).filter_map(move |row| columns.text("service", row))
        })
        .collect())
}

/// The answer to a statement of our own.
pub(super) async fn rows(
    engine: &Engine,
    sql: &str,
    values: &[(&str, &str)],
    cx: &Context,
) -> Result<Vec<Rows>, CliError> {
    let statements = Engine::statements(sql)?;
    let values = ParamValues(
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    );
    let mut all = Vec::new();
    for statement in &statements {
        if let Outcome::Answer(answer) = engine.execute(statement, &values, cx.now()).await? {
            all.extend(collect(answer.stream).await?);
        }
    }
    Ok(all)
}

/// Rows whose texts are asked for by column.
pub(super) struct Rows {
    columns: Columns,
    row_count: usize,
}

impl Rows {
    /// How many.
    pub(super) fn row_count(&self) -> usize {
        self.row_count
    }

    /// A cell's text.
    pub(super) fn text(&self, name: &str, row: usize) -> Option<String> {
        self.columns.text(name, row)
    }

    /// The resources of a row.
    pub(super) fn resources(&self, row: usize) -> Vec<NamedResource> {
        self.columns.resources(row)
    }
}

/// All rows of a stream.
pub(super) async fn collect(
    mut stream: datafusion::execution::SendableRecordBatchStream,
) -> Result<Vec<Rows>, CliError> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        all.push(Rows {
            columns: Columns::of(&batch)?,
            row_count: batch.num_rows(),
        });
    }
    Ok(all)
}
