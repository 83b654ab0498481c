//! What changed between two states: the same question asked of both, and the rows that differ.
//!
//! Rows that both sides have cancel each other out ([`cancel`]), counted as often as they occur, so that what
//! [`pairs`] sees is the difference alone. An account of which one side lacks a report that the question reads can
//! be compared in nothing: it is left out of both sides, and said.

mod both;
mod cancel;
mod canonical;
mod pairs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{datatypes::Schema, error::ArrowError, record_batch::RecordBatch},
    execution::context::SessionContext,
    logical_expr::LogicalPlan,
};
use kennel_athena::statement;
use kennel_cache::{AccountId, CustomerId, SnapshotInfo, View};

use crate::{
    AccountFilter, Answer, AsOf, CannedQuery, Caveat, CaveatKind, Engine, EngineError, Origins,
    ParamValues, ReportUsed, Statement, as_of, completeness,
    params::{self, Bound, shown},
    session,
};

/// Columns that say when, not what: noise, unless they are part of a key.
const TIMES: [&str; 3] = ["analysis_time", "snapshot_at", "superseded_at"];

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is new.
    Added,
    /// Its key was there before, with other values.
    Changed,
    /// It is gone.
    Removed,
}

impl Change {
    /// `added`, `changed` or `removed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What is asked of both states.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// A canned query.
    Canned(&'a CannedQuery),
    /// A user's query.
    Sql(&'a Statement),
}

/// Makes other values of rows before they are paired and told. It gets batches of one schema, and for each column its
/// name and where its values come from; types must stay, and equal values equal.
pub type RowMap = Arc<
    dyn Fn(&RecordBatch, &[(String, Origins)]) -> Result<RecordBatch, ArrowError> + Send + Sync,
>;

/// How two states are compared.
#[derive(Clone)]
pub struct DiffOptions {
    /// The earlier state; [`AsOf::Previous`] is the one before `to`.
    pub from: AsOf,
    /// The later state.
    pub to: AsOf,
    /// The columns that identify a row; those of the query when empty.
    pub key: Vec<String>,
    /// Columns that are not compared, beside those of the query.
    pub noise: Vec<String>,
    /// Compare also columns that are noise.
    pub include_noise: bool,
    /// The changes to show; all when empty.
    pub only: Vec<Change>,
    /// For people: without the columns `before_…` and `after_…`; `changes` then also tells the values of added and
    /// removed rows.
    pub compact: bool,
    /// What is done to the values before they are shown.
    pub mapped: Option<RowMap>,
}

/// The rows that differ, and between what.
pub struct Diff {
    /// `change: Utf8`, the key, `changes: Utf8` (which columns, before → after; null but for changed rows), then for
    /// each compared column `before_<column>` and `after_<column>`. By key, nulls first; of one key the changed rows, then removed,
    /// then added. Maps, lists and structs are JSON text with sorted names.
    pub answer: Answer,
    /// The time of the earlier state, `None` for the newest, and the snapshots that it is.
    pub from: (Option<DateTime<Utc>>, Vec<SnapshotInfo>),
    /// The same of the later state.
    pub to: (Option<DateTime<Utc>>, Vec<SnapshotInfo>),
}

/// One state, and the question planned over it.
struct Side {
    context: SessionContext,
    plan: LogicalPlan,
    caveats: Vec<Caveat>,
    reports: Vec<ReportUsed>,
}

/// What both sides are asked.
struct Asked<'a> {
    sql: &'a str,
    bound: BTreeMap<String, Bound>,
    /// Whether `--account` restricts the rows rather than the tables.
    keeps_rows: bool,
    reads: &'a [String],
}

impl Engine {
    /// Compares the answers to a question in two states.
    ///
    /// "Now" is each report's own analysis time, on both sides. Rows are compared as often as they occur, and nulls are
    /// values: null and empty text differ.
    ///
    /// # Errors
    /// [`EngineError::NoKey`], [`EngineError::DiffColumn`], [`EngineError::NoEarlierSnapshot`], and as [`Engine::run`].
    pub async fn diff(
        &self,
        question: Question<'_>,
        values: &ParamValues,
        options: &DiffOptions,
    ) -> Result<Diff, EngineError> {
        let (from_at, to_at) = {
            let cache = self.shared.cache();
            let to = options.to.resolve(cache.as_deref(), self.now(), None)?;
            let from = options.from.resolve(cache.as_deref(), self.now(), to)?;
            (from, to)
        };
        let (from_standing, to_standing) = {
            let cache = self.shared.cache();
            (
                as_of::answering(cache.as_deref(), from_at)?,
                as_of::answering(cache.as_deref(), to_at)?,
            )
        };
        let query;
        let (asked, mut key, mut noise) = match question {
            Question::Canned(canned) => (
                Asked {
                    sql: &canned.sql,
                    bound: params::bind(canned, values, None)?,
                    keeps_rows: canned.account_filter == AccountFilter::Result,
                    reads: &canned.reads,
                },
                canned.key.clone(),
                canned.noise.clone(),
            ),
            Question::Sql(statement) => {
                query = query_text(statement)?;
                let asked = Asked {
                    sql: &query,
                    bound: params::bind_texts(values, None),
                    keeps_rows: false,
                    reads: &[],
                };
                (asked, vec![], vec![])
            }
        };
        if !options.key.is_empty() {
            key.clone_from(&options.key);
        }
        noise.extend(options.noise.iter().cloned());
        let views = [from_at, to_at].map(|at| at.map_or(View::Latest, View::At));
        let (sides, left_out) = Box::pin(self.comparable_sides(&asked, views)).await?;
        let failed = |error| EngineError::from_datafusion(error, asked.sql, &[]);
        let [from, to] = sides;
        let columns = Columns::new([&from.plan, &to.plan], &key, &noise, options)?;
        let (stream, reading) = both::difference([&from, &to], &columns)
            .await
            .map_err(failed)?;
        let stream = match &options.mapped {
            Some(map) => both::mapped(stream, map, &columns, reading.origins()),
            None => stream,
        };
        let shape = pairs::Shape {
            only: options.only.clone(),
            compact: options.compact,
        };
        let stream = pairs::pair(stream, &columns, shape).map_err(failed)?;
        let mut caveats = told_of(&from, from_at, &to, left_out);
        if self.is_restricted() && asked.keeps_rows {
            let unknown = completeness::unknown_scope_of(&self.shared, asked.reads);
            caveats.extend(unknown.map_err(failed)?);
        }
        if from_standing == to_standing && !from_standing.is_empty() {
            let text = "both sides are the same state: nothing can have changed".to_owned();
            caveats.push(Caveat::new(CaveatKind::Note, text));
        }
        caveats.sort_by(|a, b| b.kind.cmp(&a.kind).then_with(|| a.message.cmp(&b.message)));
        caveats.dedup();
        Ok(Diff {
            answer: Answer {
                schema: stream.schema(),
                stream,
                caveats,
                reports: to.reports,
                reading,
            },
            from: (from_at, from_standing),
            to: (to_at, to_standing),
        })
    }

    /// Plans the question over both states, without the accounts that cannot be compared.
    async fn comparable_sides(
        &self,
        asked: &Asked<'_>,
        views: [View; 2],
    ) -> Result<([Side; 2], Vec<Caveat>), EngineError> {
        let none = BTreeSet::new();
        let sides = [
            Box::pin(self.side(asked, views[0], none.clone())).await?,
            Box::pin(self.side(asked, views[1], none)).await?,
        ];
        let missing = missing_on_one_side(&sides[0].reports, &sides[1].reports);
        if missing.is_empty() {
            return Ok((sides, vec![]));
        }
        let excluded = missing
            .iter()
            .map(|missing| (missing.customer_id.clone(), missing.account_id.clone()))
            .collect::<BTreeSet<_>>();
        let all = sides.iter().flat_map(|side| &side.reports);
        let nothing_is_left = all
            .map(|report| (report.customer_id.clone(), report.account_id.clone()))
            .all(|account| excluded.contains(&account));
        let mut caveats = missing.iter().map(Missing::caveat).collect::<Vec<_>>();
        if nothing_is_left {
            let text = "no account can be compared".to_owned();
            caveats.push(Caveat::new(CaveatKind::Absent, text));
        }
        let sides = [
            Box::pin(self.side(asked, views[0], excluded.clone())).await?,
            Box::pin(self.side(asked, views[1], excluded)).await?,
        ];
        Ok((sides, caveats))
    }

    async fn side(
        &self,
        asked: &Asked<'_>,
        view: View,
        excluded: BTreeSet<(CustomerId, AccountId)>,
    ) -> Result<Side, EngineError> {
        let (shared, context) = self.beside(view, excluded, !asked.keeps_rows)?;
        let kept = (asked.keeps_rows && self.is_restricted()).then_some(self.shared.as_ref());
        let plan = session::plan(&context, &shared, asked.sql, &asked.bound, kept).await?;
        let examined = context
            .state()
            .optimize(&plan)
            .and_then(|plan| completeness::examine(&plan, &shared));
        let (caveats, reports) =
            examined.map_err(|error| EngineError::from_datafusion(error, asked.sql, &[]))?;
        Ok(Side {
            context,
            plan,
            caveats,
            reports,
        })
    }
}

/// The text of a user's query; other statements have no rows to compare.
fn query_text(statement: &Statement) -> Result<String, EngineError> {
    let text = statement.text();
    match statement::Statement::parse(&statement.piece)
        .map_err(|error| EngineError::from((error, text)))?
    {
        statement::Statement::Query(sql) => Ok(sql),
        other => Err(EngineError::Unsupported {
            what: format!("a diff of {}", other.name()),
            hint: "the answers to a query can be compared".into(),
        }),
    }
}

/// A report that one side has and the other has not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Missing {
    customer_id: CustomerId,
    account_id: AccountId,
    table: String,
    /// Whether it is the earlier side that lacks it.
    before: bool,
}

impl Missing {
    fn caveat(&self) -> Caveat {
        let side = if self.before { "earlier" } else { "later" };
        let text = format!(
            "account {} (customer {}) cannot be compared: the {side} state has no report of it for `{}`; its rows are left out",
            self.account_id, self.customer_id, self.table
        );
        Caveat::new(CaveatKind::Partial, text)
    }
}

fn missing_on_one_side(from: &[ReportUsed], to: &[ReportUsed]) -> Vec<Missing> {
    let keys = |reports: &[ReportUsed]| {
        let key = |report: &ReportUsed| {
            (
                report.customer_id.clone(),
                report.account_id.clone(),
                report.table.clone(),
            )
        };
        reports.iter().map(key).collect::<BTreeSet<_>>()
    };
    let (from, to) = (keys(from), keys(to));
    from.symmetric_difference(&to)
        .map(|key| Missing {
            customer_id: key.0.clone(),
            account_id: key.1.clone(),
            table: key.2.clone(),
            before: !from.contains(key),
        })
        .collect()
}

/// What both sides lack, once; what the earlier one alone lacks, with its time.
fn told_of(
    from: &Side,
    from_at: Option<DateTime<Utc>>,
    to: &Side,
    left_out: Vec<Caveat>,
) -> Vec<Caveat> {
    let mut caveats = left_out;
    let of_both = |caveat: &&Caveat| !to.caveats.contains(caveat);
    caveats.extend(from.caveats.iter().filter(of_both).map(|caveat| {
        let at = from_at.map_or_else(|| "now".into(), shown);
        Caveat {
            message: format!("as of {at}: {}", caveat.message),
            ..caveat.clone()
        }
    }));
    caveats.extend(to.caveats.iter().cloned());
    caveats
}

/// The columns of both sides, by what they are for.
pub(crate) struct Columns {
    /// Names of the key.
    pub(crate) key: Vec<String>,
    /// Names of what is compared.
    pub(crate) compared: Vec<String>,
    /// Which of these are nested: their values are JSON already.
    pub(crate) nested: Vec<bool>,
}

impl Columns {
    fn new(
        plans: [&LogicalPlan; 2],
        key: &[String],
        noise: &[String],
        options: &DiffOptions,
    ) -> Result<Self, EngineError> {
        if key.is_empty() {
            return Err(EngineError::NoKey);
        }
        let [from, to] = plans.map(names);
        let mut names = to;
        let mut only_before = from;
        only_before.retain(|name| !names.contains(name));
        names.extend(only_before);
        let known = |column: &String, role| match names.contains(&column.to_lowercase()) {
            true => Ok(column.to_lowercase()),
            false => Err(EngineError::DiffColumn {
                column: column.clone(),
                role,
                columns: names.clone(),
            }),
        };
        let key = key
            .iter()
            .map(|column| known(column, "which is to identify a row"))
            .collect::<Result<Vec<_>, _>>()?;
        let noise = noise
            .iter()
            .map(|column| known(column, "which is named as noise"))
            .collect::<Result<Vec<_>, _>>()?;
        let is_noise = |name: &String| {
            !options.include_noise && (noise.contains(name) || TIMES.contains(&name.as_str()))
        };
        let mut compared = names.clone();
        compared.retain(|name| !key.contains(name) && !is_noise(name));
        let nested = compared
            .iter()
            .map(|name| plans.iter().any(|plan| is_nested(plan, name)))
            .collect();
        Ok(Self {
            key,
            compared,
            nested,
        })
    }

    /// All of them, the key first.
    fn all(&self) -> impl Iterator<Item = &String> {
        self.key.iter().chain(&self.compared)
    }
}

/// Names of a plan's columns as they are shown; of two equal ones the first counts.
fn names(plan: &LogicalPlan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in names_with_duplicates(plan) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether a column holds maps, lists or structs.
fn is_nested(plan: &LogicalPlan, name: &str) -> bool {
    let found = names_with_duplicates(plan)
        .iter()
        .position(|known| known == name);
    found.is_some_and(|index| plan.schema().field(index).data_type().is_nested())
}

/// Names of a plan's columns as they are shown.
fn names_with_duplicates(plan: &LogicalPlan) -> Vec<String> {
    let schema = Arc::new(Schema::clone(plan.schema().as_arrow()));
    let shown = kennel_athena::output::schema(&schema);
    let names = shown.fields().iter().map(|field| field.name().clone());
    names.collect()
}
