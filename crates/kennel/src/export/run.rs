//! Asks all questions of one state and writes the bundle, still without its name.

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;
use futures::StreamExt;
use kennel_cache::Cache;
use kennel_engine::{Answer, AsOf, CannedQuery, CaveatKind, Engine, ParamValues, ReportUsed};
use sha2::{Digest, Sha256};

use super::{
    baseline::{Baselines, Earlier, Loaded, ReportName, name_of},
    compare::{Comparison, Outcome, key_columns},
    folder::{Bundle, OutFolder, hex},
    manifest::{self, Manifest},
    passing::Passing,
    shaping::{Shape, Shaping},
    sinks::{ExportFormat, Sinks},
    staging::Staging,
    state::State,
    telling,
    trend::Trend,
    twins::{Kept, Twins},
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
    /// Rows of questions, by their number, for those that come to them.
    kept: HashMap<usize, Kept>,
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
        kept: HashMap::new(),
        bundles: &bundles,
        engine,
        order,
        baselines,
        shaping,
        cx,
    };
    let twins = match work.sinks.has_rows() {
        true => Twins::among(order, engine, &work.baselines, work.shaping).await,
        false => Twins::default(),
    };
    for (place, (query, values)) in order.queries.iter().zip(order.values).enumerate() {
        match twins.first_of(place) {
            Some(first) => work.repeat(query, values, first)?,
            None => Box::pin(work.ask(query, values, twins.are_of(place), verdict)).await?,
        }
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
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) about: About,
    pub(super) row_count: u64,
    pub(super) suppressed_count: u64,
    pub(super) outcome: Outcome,
    pub(super) trend: Vec<manifest::Point>,
    pub(super) files: Vec<String>,
    pub(super) rows_sha256: String,
    new_since_last: u64,
}

impl Work<'_> {
    async fn ask(
        &mut self,
        query: &CannedQuery,
        values: &ParamValues,
        has_twins: bool,
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
        let earlier_count = match (&page, &self.baselines.page) {
            (Some(Loaded::Rows { row_count, .. }), Some(earlier)) => earlier.at().zip(*row_count),
            _ => None,
        };
        let compared = |loaded| Comparison::with(loaded, &columns.key);
        let shown = self.shaping.query(query);
        let passing = Passing {
            query: &shown,
            page: page.map_or_else(Comparison::with_nothing, compared),
            last: last.map(compared),
            has_last: self.baselines.has_last,
            wants_findings: self.sinks.wants_findings(),
            columns: columns.clone(),
            row_count: 0,
            new_since_last: 0,
            accepted: Vec::new(),
            kept: None,
            ready: Vec::new(),
        };
        let has_marks = passing.page.is_possible();
        let room = self.sinks.sheet_rows();
        let passing = Passing {
            kept: has_twins.then(|| Kept::with_room(&schema, has_marks, room)),
            ..passing
        };
        let is_whole = self.is_whole(values, &answer);
        self.sinks.begin(&about, &schema, has_marks)?;
        let reports = answer
            .reports
            .iter()
            .map(|report| name_of(report, self.shaping));
        let reports = reports.collect::<BTreeSet<_>>();
        let (passing, shape) = self.pass(passing, answer, shape).await?;
        self.shaping.done(&shape, is_whole);
        let suppressed_count = passing.accepted.iter().map(|batch| batch.num_rows() as u64);
        let all_count = passing.row_count + suppressed_count.sum::<u64>();
        let scope = &self.order.scope;
        let trend = self
            .trend
            .points(query, values, all_count, earlier_count, scope, self.bundles);
        let trend = trend.await?;
        self.end(passing, about, trend, &reports)
    }

    /// A question that comes to an earlier one.
    fn repeat(
        &mut self,
        query: &CannedQuery,
        values: &ParamValues,
        first: usize,
    ) -> Result<(), CliError> {
        let (Some(answered), Some(kept)) = (self.answered.get(first), self.kept.get(&first)) else {
            return Err(CliError::new(format!("`{}` cannot be repeated", query.id)));
        };
        let about = About {
            caveats: answered.about.caveats.clone(),
            reports: answered.about.reports.clone(),
            ..self.shaping.about(about(query, values, self.engine))
        };
        let row_count = answered.row_count;
        let answered = Answered {
            files: self.sinks.repeat(first, &about, kept, row_count)?,
            about,
            ..answered.clone()
        };
        self.answer(self.shaping.shown(&query.id), answered);
        Ok(())
    }

    fn answer(&mut self, id: String, answered: Answered) {
        if answered.new_since_last > 0 {
            self.new_since_last.push((id, answered.new_since_last));
        }
        self.answered.push(answered);
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
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(CliError::from_execution)?;
            passing.rows(shape.rows(batch)?, &mut self.sinks)?;
        }
        Ok((passing, shape))
    }

    /// After the last row of a question.
    fn end(
        &mut self,
        passing: Passing<'_>,
        about: About,
        trend: Vec<manifest::Point>,
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
        let people = self.sinks.people();
        let each = |key: &str| match query.is_audit() {
            true => people.gone(query, columns, key),
            false => Ok(()),
        };
        let outcome = passing.page.finish(reports, query.news, each)?;
        if let Some(kept) = passing.kept {
            self.kept.insert(self.answered.len(), kept);
        }
        let answered = Answered {
            about,
            row_count: passing.row_count,
            suppressed_count,
            outcome,
            trend,
            files,
            rows_sha256: written.rows_sha256,
            new_since_last: passing.new_since_last,
        };
        self.answer(query.id.clone(), answered);
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
