//! A DataFusion session over the cache, and the way from a statement to a stream of rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::datatypes::SchemaRef,
    common::tree_node::{TreeNode, TreeNodeRecursion},
    execution::{
        SendableRecordBatchStream, SessionStateBuilder, context::SessionContext,
        runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::{Expr, LogicalPlan},
    physical_plan::{ExecutionPlan, execute_stream},
    prelude::SessionConfig,
    sql::parser::Statement as ParsedStatement,
};
use kennel_athena::statement::{self, Piece};
use kennel_cache::{AccountId, Cache, CustomerId, SnapshotInfo, SourceKind, SourceName, View};

use crate::{
    AccountFilter, AsOf, CannedQuery, Caveat, EngineError, Library, ParamValues, Reading,
    ReportUsed, SqlPlace, Unload, as_of,
    catalog::{
        CATALOG, Catalog, DEFAULT_SCHEMA, Shared, TableStore, has_hidden, mark, table_names,
    },
    completeness, culprit, numbers, once,
    params::{self, Bound},
    statements::Prepared,
    time_travel,
};

/// Longest statement, as in Athena (service quota "Query string length"): bounds the depth of its expressions.
const LONGEST_STATEMENT_BYTES: usize = 262_144;

/// A source of the config file: what a `LOCATION` can be the mirror of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredSource {
    /// Its name.
    pub name: SourceName,
    /// What it delivers.
    pub kind: SourceKind,
    /// Where it lies: `s3://bucket/prefix`.
    pub url: String,
}

/// What an engine is opened with.
#[derive(Debug, Clone, Default)]
pub struct EngineSettings {
    /// The state to answer from; the newest without one.
    pub as_of: Option<AsOf>,
    /// Now: what `yesterday` and `-7d` count from.
    pub now: DateTime<Utc>,
    /// Answer for these customers only; for all when empty.
    pub customers: Vec<CustomerId>,
    /// Answer for these accounts only; for all when empty.
    pub accounts: Vec<AccountId>,
    /// The configured sources.
    pub sources: Vec<ConfiguredSource>,
    /// Folders of the user's own queries.
    pub query_folders: Vec<PathBuf>,
    /// Threads to plan for; the machine's when zero.
    pub threads: usize,
}

/// A statement as split from a script.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) piece: Piece,
    /// What it is a part of: errors point there.
    script: Arc<str>,
}

impl Statement {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.piece.text
    }

    /// What it is a part of, and the place of its first word there.
    pub fn beginning(&self) -> (&str, SqlPlace) {
        let text = self.text();
        let mut rest = text.trim_start();
        loop {
            let after = match rest {
                text if text.starts_with("--") => text.split_once('\n').map(|(_, after)| after),
                text if text.starts_with("/*") => text.split_once("*/").map(|(_, after)| after),
                _ => break,
            };
            rest = after.unwrap_or_default().trim_start();
        }
        let before = &text[..text.len() - rest.len()];
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let line = 1 + before.matches('\n').count() as u64;
        let column = 1 + last_line.chars().count() as u64;
        let (line, column) = self.piece.place_in_script((line, column));
        let word = rest.chars().take_while(|c| c.is_ascii_alphabetic());
        let length = (word.count() as u64).max(1);
        (
            &self.script,
            SqlPlace {
                line,
                column,
                length,
            },
        )
    }
}

/// What a statement came to.
pub enum Outcome {
    /// Rows.
    Answer(Answer),
    /// Nothing to show: what was done, and what to know about it.
    Done {
        /// One line.
        message: String,
        /// What to know.
        notes: Vec<String>,
        /// What the rows that were written lack, worst first.
        caveats: Vec<Caveat>,
    },
    /// Rows, and the folder in which the statement wants them.
    Unload(Unload),
}

/// A stream of rows, and what they rest on.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub stream: SendableRecordBatchStream,
    /// What the answer lacks, worst first.
    pub caveats: Vec<Caveat>,
    /// The reports it rests on.
    pub reports: Vec<ReportUsed>,
    /// What is read for it.
    pub reading: Reading,
}

/// Answers questions over a cache.
pub struct Engine {
    pub(crate) context: SessionContext,
    pub(crate) shared: Arc<Shared>,
    pub(crate) home: Option<PathBuf>,
    as_of: Option<DateTime<Utc>>,
    settings: EngineSettings,
    pub(crate) prepared: Prepared,
}

impl Engine {
    /// Opens an engine; without a cache (before the first sync) every table is empty and says so.
    ///
    /// # Errors
    /// [`EngineError::Cache`] for an unknown snapshot, [`EngineError::Library`] for a broken query.
    pub fn open(cache: Option<Cache>, settings: EngineSettings) -> Result<Self, EngineError> {
        let mut library = Library::embedded()?;
        for folder in &settings.query_folders {
            library = library.with_folder(folder)?;
        }
        let as_of = match settings.as_of {
            Some(as_of) => as_of.resolve(cache.as_ref(), settings.now, None)?,
            None => None,
        };
        let view = as_of.map_or(View::Latest, View::At);
        let home = cache.as_ref().map(|cache| cache.home().root().to_owned());
        let tables = cache.as_ref().map(|cache| cache.home().tables());
        let shared = Shared::new(
            cache,
            view,
            settings.customers.clone(),
            settings.accounts.clone(),
            settings.sources.clone(),
            Arc::new(library),
        );
        let shared = Arc::new(shared.at(settings.now));
        let context = context(&shared, tables, settings.threads)
            .map_err(|e| EngineError::from_datafusion(e, "", &[]))?;
        Ok(Self {
            context,
            shared,
            home,
            as_of,
            settings,
            prepared: Prepared::default(),
        })
    }

    /// The time that it answers for; `None` is the newest state.
    pub fn as_of(&self) -> Option<DateTime<Utc>> {
        self.as_of
    }

    /// The snapshots that answer for [`Self::as_of`], one a source; none when it answers for the newest state.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn answering_snapshots(&self) -> Result<Vec<SnapshotInfo>, EngineError> {
        let cache = self.shared.cache();
        match self.as_of {
            Some(at) => as_of::answering(cache.as_deref(), Some(at)),
            None => Ok(vec![]),
        }
    }

    /// The canned queries.
    pub fn library(&self) -> &Library {
        &self.shared.library
    }

    /// Splits a script on `;`.
    ///
    /// # Errors
    /// [`EngineError::Sql`] for a quote or comment that does not end.
    pub fn statements(sql: &str) -> Result<Vec<Statement>, EngineError> {
        let pieces = statement::split(sql).map_err(|error| EngineError::from((error, sql)))?;
        let script: Arc<str> = sql.into();
        let statement = |piece| Statement {
            piece,
            script: Arc::clone(&script),
        };
        Ok(pieces.into_iter().map(statement).collect())
    }

    /// Runs a canned query.
    ///
    /// # Errors
    /// [`EngineError::Param`], [`EngineError::Sql`], [`EngineError::Execution`].
    pub async fn run(
        &self,
        query: &CannedQuery,
        values: &ParamValues,
    ) -> Result<Answer, EngineError> {
        let bound = params::bind(query, values, self.as_of)?;
        let answer = match query.account_filter {
            AccountFilter::Result if self.is_restricted() => {
                self.run_unrestricted(query, &bound).await
            }
            _ => self.answer(&query.sql, &bound).await,
        };
        answer.map_err(|error| error.within(&query.sql, &query.text, query.sql_start))
    }

    /// Runs a query that follows access across accounts over all of them, and keeps the rows asked for.
    async fn run_unrestricted(
        &self,
        query: &CannedQuery,
        bound: &BTreeMap<String, Bound>,
    ) -> Result<Answer, EngineError> {
        let (shared, context) = self.beside(self.shared.view, BTreeSet::new(), false)?;
        let mut answer = answer(&context, &shared, &query.sql, bound, Some(&self.shared)).await?;
        // Accounts that do not exist must not look like accounts without findings.
        let unknown = completeness::unknown_scope_of(&self.shared, &query.reads);
        answer
            .caveats
            .extend(unknown.map_err(|e| EngineError::from_datafusion(e, &query.sql, &[]))?);
        answer
            .caveats
            .sort_by_key(|caveat| std::cmp::Reverse(caveat.kind));
        Ok(answer)
    }

    /// Another session over the same cache: another state, without some accounts, and with or without what flags ask
    /// for.
    pub(crate) fn beside(
        &self,
        view: View,
        excluded: BTreeSet<(CustomerId, AccountId)>,
        is_narrowed: bool,
    ) -> Result<(Arc<Shared>, SessionContext), EngineError> {
        let settings = &self.settings;
        let (customers, accounts) = match is_narrowed {
            true => (settings.customers.clone(), settings.accounts.clone()),
            false => (vec![], vec![]),
        };
        let shared = Shared::new(
            self.home.as_deref().map(Cache::open).transpose()?,
            view,
            customers,
            accounts,
            settings.sources.clone(),
            Arc::clone(&self.shared.library),
        );
        let shared = Arc::new(shared.without(excluded).at(settings.now));
        let tables = self
            .home
            .as_ref()
            .map(|home| kennel_cache::Home::new(home).tables());
        let context = context(&shared, tables, settings.threads)
            .map_err(|e| EngineError::from_datafusion(e, "", &[]))?;
        Ok((shared, context))
    }

    /// Now, as the settings have it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.settings.now
    }

    /// Whether flags ask for some customers or accounts only.
    pub(crate) fn is_restricted(&self) -> bool {
        !self.settings.accounts.is_empty() || !self.settings.customers.is_empty()
    }

    /// Executes one statement.
    ///
    /// # Errors
    /// As [`Engine::run`]; [`EngineError::Unsupported`] names what to do instead.
    pub async fn execute(
        &self,
        statement: &Statement,
        values: &ParamValues,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let piece = &statement.piece;
        let outcome = self.execute_piece(piece, values, now).await;
        let start = (piece.line, piece.column);
        outcome.map_err(|error| error.within(&piece.text, &statement.script, start))
    }

    async fn execute_piece(
        &self,
        piece: &Piece,
        values: &ParamValues,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let parsed = statement::Statement::parse(piece)
            .map_err(|error| EngineError::from((error, piece.text.as_str())))?;
        if let statement::Statement::Query(sql) = parsed {
            let bound = self.bound(values);
            return Ok(Outcome::Answer(self.answer(&sql, &bound).await?));
        }
        Box::pin(self.execute_other(parsed, piece, values, now)).await
    }

    /// Parameters of a statement of the user's, bound.
    pub(crate) fn bound(&self, values: &ParamValues) -> BTreeMap<String, Bound> {
        params::bind_texts(values, self.as_of)
    }

    pub(crate) async fn answer(
        &self,
        sql: &str,
        bound: &BTreeMap<String, Bound>,
    ) -> Result<Answer, EngineError> {
        answer(&self.context, &self.shared, sql, bound, None).await
    }

    /// Column and table names, for suggestions and completion.
    pub fn names(&self) -> Vec<String> {
        table_names(&self.shared)
    }
}

/// Makes a session: the catalog, Athena's SQL, the store under which table files lie.
fn context(
    shared: &Arc<Shared>,
    tables: Option<PathBuf>,
    threads: usize,
) -> datafusion::error::Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false);
    if threads > 0 {
        config = config.with_target_partitions(threads);
    }
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // Rights are mostly grouped by what identifies them: after so many rows it shows that grouping each part first saves nothing.
    options
        .execution
        .skip_partial_aggregation_probe_rows_threshold = 10_000;
    // Of some expressions the logical plan says "never null" and the physical one "perhaps": no reason to refuse a GROUP BY.
    options.execution.skip_physical_aggregate_schema_check = true;
    let runtime = RuntimeEnvBuilder::new().build_arc()?;
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features();
    let state = kennel_athena::session(builder).build();
    let context = SessionContext::new_with_state(state);
    context.register_catalog(CATALOG, Arc::new(Catalog::new(Arc::clone(shared))));
    shared.planner.belongs_to(&context);
    if let Some(tables) = tables.filter(|tables| tables.is_dir()) {
        let store = TableStore::try_new(&tables)?;
        context.register_object_store(crate::catalog::tables_url().as_ref(), Arc::new(store));
    }
    Ok(context)
}

/// From SQL text to a stream: parse, bind, plan, examine what it rests on, start.
pub(crate) async fn answer(
    context: &SessionContext,
    shared: &Arc<Shared>,
    sql: &str,
    bound: &BTreeMap<String, Bound>,
    kept_rows: Option<&Shared>,
) -> Result<Answer, EngineError> {
    let written = plan(context, shared, sql, bound, kept_rows).await?;
    start(context, shared, sql, written).await
}

/// From a plan to a stream.
pub(crate) async fn start(
    context: &SessionContext,
    shared: &Arc<Shared>,
    sql: &str,
    written: LogicalPlan,
) -> Result<Answer, EngineError> {
    let failed = |error| EngineError::from_datafusion(error, sql, &table_names(shared));
    let plan = optimized(context, &written).map_err(failed)?;
    let (mut caveats, reports) = completeness::examine(&plan, shared).map_err(failed)?;
    caveats.extend(completeness::uneven_analysis(&reports));
    let mut computed = vec![];
    let physical = match once::compute_once(context, &written, &plan)
        .await
        .map_err(failed)?
    {
        Some(shortened) => {
            computed = shortened.computed;
            let shortened = optimized(context, &shortened.plan).map_err(failed)?;
            physical(context, &shortened).await
        }
        None => physical(context, &plan).await,
    };
    let physical = physical.map_err(failed)?;
    let reading = Reading::new(Arc::clone(&physical), plan).after(computed);
    let stream = execute_stream(physical, context.task_ctx()).map_err(failed)?;
    let stream = kennel_athena::output::rename(stream);
    Ok(Answer {
        schema: stream.schema(),
        stream,
        caveats,
        reports,
        reading,
    })
}

/// Optimises a plan.
///
/// DataFusion moves fields of structs towards the scan, and takes those of a lambda's parameter with them: a plan with
/// lambdas goes without.
pub(crate) fn optimized(
    context: &SessionContext,
    plan: &LogicalPlan,
) -> datafusion::error::Result<LogicalPlan> {
    let mut state = context.state();
    let mut has_lambda = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            has_lambda |= expr.exists(|expr| Ok(matches!(expr, Expr::Lambda(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if has_lambda {
        let options = state.config_mut().options_mut();
        options.optimizer.enable_leaf_expression_pushdown = false;
    }
    state.optimize(plan)
}

/// Makes an optimised plan one that runs.
pub(crate) async fn physical(
    context: &SessionContext,
    plan: &LogicalPlan,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let state = context.state();
    let numbered = numbers::grouped_by_numbers(plan, &state).unwrap_or_else(|error| {
        tracing::warn!(%error, "groups by texts");
        None
    });
    state
        .query_planner()
        .create_physical_plan(numbered.as_ref().unwrap_or(plan), &state)
        .await
}

/// From SQL text to a plan that only reads, not yet optimised.
pub(crate) async fn plan(
    context: &SessionContext,
    shared: &Arc<Shared>,
    sql: &str,
    bound: &BTreeMap<String, Bound>,
    kept_rows: Option<&Shared>,
) -> Result<LogicalPlan, EngineError> {
    if sql.len() > LONGEST_STATEMENT_BYTES {
        return Err(EngineError::Unsupported {
            what: format!("a statement of {} bytes", sql.len()),
            hint: format!("the limit is Athena's: {LONGEST_STATEMENT_BYTES} bytes"),
        });
    }
    let state = context.state();
    let mut statement =
        kennel_athena::parse(sql).map_err(|error| EngineError::from((error, sql)))?;
    let format = crate::explain::take_format(&mut statement);
    params::substitute(&mut statement, bound)?;
    Box::pin(time_travel::resolve(&mut statement, context, shared, sql)).await?;
    mark(&mut statement, &|parts| has_hidden(shared, parts));
    let plan = match culprit::analysable(&state, &statement).await {
        Ok(plan) => plan,
        Err(error) => {
            let names = names_near(context, shared, sql).await;
            let told = Box::pin(culprit::told(error, &state, &statement, sql, &names));
            return Err(told.await);
        }
    };
    let plan = match kept_rows {
        Some(kept) => keep_rows(plan, kept)
            .map_err(|error| EngineError::from_datafusion(error, sql, &table_names(shared)))?,
        None => plan,
    };
    refuse_writes(&plan)?;
    Ok(crate::explain::in_format(plan, format))
}

/// Restricts a result to the customers and accounts asked for.
fn keep_rows(plan: LogicalPlan, kept: &Shared) -> datafusion::error::Result<LogicalPlan> {
    use datafusion::{
        logical_expr::{LogicalPlanBuilder, col, in_list},
        prelude::lit,
    };
    let mut builder = LogicalPlanBuilder::from(plan);
    for (column, values) in [
        (
            "customer_id",
            kept.customers
                .iter()
                .map(|id| lit(id.as_str()))
                .collect::<Vec<_>>(),
        ),
        (
            "account_id",
            kept.accounts.iter().map(|id| lit(id.as_str())).collect(),
        ),
    ] {
        // Events belong to no customer of k9.
        let has_it = builder.schema().has_column_with_unqualified_name(column);
        if !values.is_empty() && has_it {
            builder = builder.filter(in_list(col(column), values, false))?;
        }
    }
    builder.build()
}

/// Only reading is done here: the cache belongs to `kennel sync`.
fn refuse_writes(plan: &LogicalPlan) -> Result<(), EngineError> {
    let what = match plan {
        LogicalPlan::Ddl(ddl) => ddl.name().to_owned(),
        LogicalPlan::Dml(dml) => dml.op.to_string(),
        LogicalPlan::Copy(_) => "COPY".into(),
        LogicalPlan::Statement(statement) => statement.name().to_owned(),
        _ => return Ok(()),
    };
    Err(EngineError::Unsupported {
        what,
        hint: "kennel reads the mirror and never changes it; `-o FILE` writes a result".into(),
    })
}

/// Names that a misspelt one could mean: tables, and the columns of the tables in the statement.
async fn names_near(context: &SessionContext, shared: &Arc<Shared>, sql: &str) -> Vec<String> {
    let mut names = table_names(shared);
    let state = context.state();
    let Ok(statement) = kennel_athena::parse(sql) else {
        return names;
    };
    let parsed = ParsedStatement::Statement(Box::new(statement));
    for table in state.resolve_table_references(&parsed).unwrap_or_default() {
        if let Ok(provider) = context.table_provider(table).await {
            names.extend(
                provider
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone()),
            );
        }
    }
    names.extend(state.scalar_functions().keys().cloned());
    names.extend(state.aggregate_functions().keys().cloned());
    names
}

impl Engine {
    pub(crate) async fn provider(
        &self,
        schema: &str,
        name: &str,
    ) -> Option<Arc<dyn datafusion::catalog::TableProvider>> {
        let schema = self.context.catalog(CATALOG)?.schema(schema)?;
        schema.table(name).await.ok().flatten()
    }
}
