//! Asks all questions of one state and writes the bundle, still without its name.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use datafusion::arrow::record_batch::RecordBatch;
use futures::StreamExt;
use kennel_cache::Cache;
use kennel_engine::{Answer, AsOf, CannedQuery, CaveatKind, Engine, ParamValues, ReportUsed};
use sha2::{Digest, Sha256};

use super::{
    baseline::{Baselines, Earlier, Loaded, ReportName, name_of},
    compare::{Comparison, Outcome, key_columns},
    folder::{Bundle, OutFolder, Staging, hex},
    keys::{KeyColumns, Mark},
    manifest::{self, Manifest},
    ocsf::Standing,
    shaping::{Shape, Shaping},
    sinks::{ExportFormat, Sinks},
    state::State,
    telling,
    trend::Trend,
};
use crate::{
    commands::{
        questions::{Verdict, in_query},
        run::about,
    },
    context::Context,
    error::CliError,
    output::{About, Format, Look, report::Report, writer},
};

/// What to make.
pub(crate) struct Order<'o> {
    pub(crate) queries: &'o [&'o CannedQuery],
    pub(crate) values: &'o [ParamValues],
    pub(crate) left_out: &'o [(String, String)],
    pub(crate) formats: &'o [ExportFormat],
    pub(crate) max_age: Option<TimeDelta>,
    pub(crate) baseline: Option<AsOf>,
    pub(crate) scope: manifest::Scope,
}

/// A bundle that is made and has no name yet.
pub(crate) struct Made {
    pub(crate) staging: Staging,
    pub(crate) state: State,
    pub(crate) report: Report,
    /// Rows that the last export does not have, by question.
    pub(crate) new_since_last: Vec<(String, u64)>,
    /// Whether there is an export, or a named snapshot, that they are new against.
    pub(crate) has_last: bool,
}

/// Everything that is the same for all questions.
pub(super) struct Work<'w> {
    pub(super) engine: &'w Engine,
    pub(super) order: &'w Order<'w>,
    pub(super) baselines: Baselines<'w>,
    trend: Trend<'w>,
    bundles: &'w [Bundle],
    pub(super) shaping: &'w mut Shaping,
    sinks: Sinks,
    cx: &'w Context,
    pub(super) answered: Vec<Answered>,
    reports: BTreeSet<ReportUsed>,
    new_since_last: Vec<(String, u64)>,
}

/// Makes a bundle in a folder without a name.
pub(crate) async fn make(
    engine: &Engine,
    cache: &Cache,
    out: &OutFolder,
    order: &Order<'_>,
    shaping: &mut Shaping,
    verdict: &mut Verdict,
    cx: &Context,
) -> Result<Made, CliError> {
    let state = State::of(engine, order.queries)?;
    let (bundles, unreadable) = out.bundles()?;
    for told in unreadable {
        cx.printer.warn(&format!(
            "an earlier export is left out of the comparison: {told}"
        ));
    }
    let baselines = Baselines::choose(&state, &bundles, order.baseline, engine)?;
    let ids = order.queries.iter().map(|query| shaping.shown(&query.id));
    let ids = ids.collect::<Vec<_>>();
    let mut work = Work {
        trend: Trend::of(&state, engine, cache)?,
        sinks: Sinks::open(out.stage()?, order.formats, &ids, state.at)?,
        answered: Vec::new(),
        reports: BTreeSet::new(),
        new_since_last: Vec::new(),
        bundles: &bundles,
        engine,
        order,
        baselines,
        shaping,
        cx,
    };
    for (query, values) in order.queries.iter().zip(order.values) {
        Box::pin(work.ask(query, values, verdict)).await?;
    }
    // Of all questions at once, or a report that many of them read would be told many times.
    let reports = std::mem::take(&mut work.reports).into_iter();
    let reports = reports.collect::<Vec<_>>();
    verdict.max_age(&reports, order.max_age, cx.now(), cx);
    let has_last = work.baselines.has_last;
    let new_since_last = std::mem::take(&mut work.new_since_last);
    let report = telling::report(&work, &state, cache)?;
    let manifest = telling::manifest(&work, &state, &report, cache)?;
    let mut staging = work.sinks.finish(&report, &cx.printer)?;
    let manifest = Manifest {
        files: staging.files(),
        ..manifest
    };
    staging.write(manifest::NAME, &manifest.to_bytes())?;
    Ok(Made {
        staging,
        state,
        report,
        new_since_last,
        has_last,
    })
}

/// What a question came to.
pub(super) struct Answered {
    pub(super) about: About,
    pub(super) row_count: u64,
    pub(super) suppressed_count: u64,
    pub(super) outcome: Outcome,
    pub(super) trend: Vec<manifest::Point>,
    pub(super) files: Vec<String>,
    pub(super) rows_sha256: String,
}

/// One question while its rows pass.
struct Passing<'q> {
    /// What is asked.
    asked: &'q CannedQuery,
    /// How it is shown.
    query: &'q CannedQuery,
    columns: KeyColumns,
    page: Comparison,
    /// Against the last export, where that is of the same state.
    last: Option<Comparison>,
    row_count: u64,
    new_since_last: u64,
    accepted: Vec<RecordBatch>,
}

impl Work<'_> {
    async fn ask(
        &mut self,
        query: &CannedQuery,
        values: &ParamValues,
        verdict: &mut Verdict,
    ) -> Result<(), CliError> {
        // Before the question is asked of this state: two answers at once would take twice the memory.
        let page = self
            .earlier(self.baselines.page.as_ref(), query, values)
            .await?;
        let last = self
            .earlier(self.baselines.same_state.as_ref(), query, values)
            .await?;
        let count = self.order.queries.len();
        let answer = self.engine.run(query, values).await;
        let answer = answer.map_err(|error| in_query(error.into(), query, count))?;
        verdict.caveats(&answer.caveats, self.cx);
        self.reports.extend(answer.reports.iter().cloned());
        let about = self.about(query, values, &answer);
        let shape = self.shaping.question(query, &answer, None)?;
        let schema = shape.schema();
        let columns = key_columns(&schema, query)?;
        let compared = |loaded| Comparison::with(loaded, &columns.key);
        let shown = self.shaping.query(query);
        let passing = Passing {
            asked: query,
            query: &shown,
            page: page.map_or_else(Comparison::with_nothing, compared),
            last: last.map(compared),
            columns: columns.clone(),
            row_count: 0,
            new_since_last: 0,
            accepted: Vec::new(),
        };
        let is_whole = self.is_whole(values, &answer);
        self.sinks
            .begin(&about, &schema, passing.page.is_possible())?;
        let reports = answer
            .reports
            .iter()
            .map(|report| name_of(report, self.shaping));
        let reports = reports.collect::<BTreeSet<_>>();
        let (passing, shape) = self.pass(passing, answer, shape).await?;
        self.shaping.done(&shape, is_whole);
        self.end(passing, values, about, &reports).await
    }

    /// Whether an answer lacks nothing and is to the whole question, so that what is not in it is nowhere.
    fn is_whole(&self, values: &ParamValues, answer: &Answer) -> bool {
        let scope = &self.order.scope;
        let mut caveats = answer.caveats.iter();
        values.0.is_empty()
            && scope.customers.is_empty()
            && scope.accounts.is_empty()
            && caveats.all(|caveat| caveat.kind == CaveatKind::Note)
    }

    /// What is said of a question, as it is shown.
    fn about(&self, query: &CannedQuery, values: &ParamValues, answer: &Answer) -> About {
        self.shaping.about(About {
            caveats: answer.caveats.clone(),
            reports: answer.reports.clone(),
            ..about(query, values, self.engine)
        })
    }

    /// The rows of an earlier state.
    async fn earlier(
        &self,
        earlier: Option<&Earlier<'_>>,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<Option<Loaded>, CliError> {
        let Some(earlier) = earlier else {
            return Ok(None);
        };
        let loaded = Box::pin(earlier.rows(query, values, self.shaping)).await?;
        if let Loaded::Unknown(why) = &loaded {
            self.cx.printer.warn(&format!(
                "{}: cannot be compared with {}: {why}",
                query.id,
                earlier.label()
            ));
        }
        Ok(Some(loaded))
    }

    /// Hands the rows on.
    async fn pass<'q>(
        &mut self,
        mut passing: Passing<'q>,
        answer: Answer,
        mut shape: Shape,
    ) -> Result<(Passing<'q>, Shape), CliError> {
        let mut stream = answer.stream;
        let (mut key, mut rest) = (String::new(), String::new());
        let mut marks = Vec::new();
        let is_audit = passing.query.is_audit() && self.sinks.wants_findings();
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(CliError::from_execution)?;
            let shaped = shape.rows(batch)?;
            let batch = &shaped.kept;
            marks.clear();
            // Without anything to hold rows against, nobody asks which row is which.
            let needs_keys = is_audit || passing.page.is_possible() || passing.last.is_some();
            if !needs_keys {
                marks.resize(batch.num_rows(), Mark::Same);
                passing.new_since_last += batch.num_rows() as u64;
            }
            for row in (0..batch.num_rows()).filter(|_| needs_keys) {
                passing.columns.texts(batch, row, &mut key, &mut rest);
                let mark = passing.page.meet(&key, &rest);
                marks.push(mark);
                let is_new = !passing.page.is_possible() || mark == Mark::New;
                let since_last = match &mut passing.last {
                    Some(last) => last.is_new(&key, &rest),
                    None => !self.baselines.has_last || is_new,
                };
                passing.new_since_last += u64::from(since_last);
                if is_audit {
                    // Without a state before, each finding is created now.
                    let standing = match is_new {
                        true => Standing::Open(Mark::New),
                        false => Standing::Open(mark),
                    };
                    self.sinks
                        .finding(passing.query, batch, row, &key, standing)?;
                }
            }
            passing.row_count += batch.num_rows() as u64;
            self.sinks.rows(batch, &marks)?;
            if let Some(accepted) = shaped.accepted {
                for row in 0..accepted.num_rows() {
                    passing.columns.texts(&accepted, row, &mut key, &mut rest);
                    // It is still there: not new, and not gone.
                    passing.page.pass_over(&key, &rest);
                    if is_audit {
                        let query = passing.query;
                        self.sinks
                            .finding(query, &accepted, row, &key, Standing::Suppressed)?;
                    }
                }
                passing.accepted.push(accepted);
            }
        }
        Ok((passing, shape))
    }

    /// After the last row of a question.
    async fn end(
        &mut self,
        passing: Passing<'_>,
        values: &ParamValues,
        about: About,
        reports: &BTreeSet<ReportName>,
    ) -> Result<(), CliError> {
        let query = passing.query;
        let written = self.sinks.end()?;
        let suppressed_count = passing.accepted.iter().map(|batch| batch.num_rows() as u64);
        let suppressed_count = suppressed_count.sum::<u64>();
        let mut files = written.files;
        if let Some(first) = passing.accepted.first() {
            let about = About {
                name: format!("{}: accepted findings", query.id),
                severity: None,
                caveats: Vec::new(),
                reports: Vec::new(),
                documentation: None,
                sql: None,
                ..about.clone()
            };
            let accepted = self
                .sinks
                .accepted(&about, &first.schema(), &passing.accepted)?;
            files.extend(accepted);
        }
        let columns = &passing.columns.key;
        let sinks = &mut self.sinks;
        let outcome = passing.page.finish(reports, |key| match query.is_audit() {
            true => sinks.gone(query, columns, key),
            false => Ok(()),
        })?;
        let all_count = passing.row_count + suppressed_count;
        let trend = self.trend.points(
            passing.asked,
            values,
            all_count,
            &self.order.scope,
            self.bundles,
        );
        let trend = trend.await?;
        if passing.new_since_last > 0 {
            let new = (query.id.clone(), passing.new_since_last);
            self.new_since_last.push(new);
        }
        self.answered.push(Answered {
            about,
            row_count: passing.row_count,
            suppressed_count,
            outcome,
            trend,
            files,
            rows_sha256: written.rows_sha256,
        });
        Ok(())
    }
}

/// The hash of an answer's rows as a manifest has it, and how many they are.
pub(crate) async fn rows_sha256(
    query: &CannedQuery,
    answer: Answer,
    shaping: &Shaping,
) -> Result<(String, u64), CliError> {
    let mut shape = shaping.question(query, &answer, None)?;
    let mut lines = writer(Format::Jsonl, &shape.schema(), Look::default());
    let mut hasher = Sha256::new();
    let mut row_count = 0;
    let mut buffer = Vec::new();
    let mut stream = answer.stream;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(CliError::from_execution)?;
        let kept = shape.rows(batch)?.kept;
        row_count += kept.num_rows() as u64;
        buffer.clear();
        lines.batch(&kept, &mut buffer)?;
        hasher.update(&buffer);
    }
    Ok((hex(&hasher.finalize()), row_count))
}
