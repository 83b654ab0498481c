//! What a shell asks of an engine: whether a statement is complete, which parameters it has, which names and
//! values there are, and a place for the last result.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch},
        compute::cast,
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    catalog::TableProvider,
    datasource::MemTable,
    sql::sqlparser::ast::{Expr, Value, visit_expressions},
};
use futures::StreamExt;
use kennel_athena::statement;
use kennel_cache::SourceKind;

use crate::{
    Caveat, CaveatKind, Engine, EngineError, Outcome, Statement,
    catalog::{CATALOG, as_file_table},
    params::shown,
};

/// The name under which the last result can be asked.
pub const LAST_RESULT: &str = "_";

/// A result that is kept as the table `_`.
#[derive(Debug, Clone)]
pub struct KeptResult {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows, all or the first.
    pub batches: Vec<RecordBatch>,
    /// How many rows the whole result had.
    pub row_count: u64,
    /// What the result lacked: who asks it again is told again.
    pub caveats: Vec<Caveat>,
}

impl KeptResult {
    /// How many rows are kept.
    pub fn kept_count(&self) -> u64 {
        self.batches
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum()
    }

    /// What answers over it lack.
    pub(crate) fn caveats(&self) -> Vec<Caveat> {
        let mut caveats = self.caveats.clone();
        let kept = self.kept_count();
        if kept < self.row_count {
            caveats.push(Caveat {
                kind: CaveatKind::Partial,
                message: format!(
                    "`{LAST_RESULT}` holds the first {kept} of the {} rows of the last result",
                    self.row_count
                ),
                hint: Some(
                    "put the statement itself in the place of `_` to ask all of them".into(),
                ),
            });
        }
        caveats
    }

    /// The rows as a table. Of columns with one name each but the first gets a number.
    pub(crate) fn table(&self) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let mut fields: Vec<Field> = Vec::new();
        for field in self.schema.fields() {
            let mut name = field.name().clone();
            let mut number = 2;
            while fields
                .iter()
                .any(|known| known.name().eq_ignore_ascii_case(&name))
            {
                name = format!("{}_{number}", field.name());
                number += 1;
            }
            fields.push(field.as_ref().clone().with_name(name).with_nullable(true));
        }
        let schema = Arc::new(Schema::new(fields));
        let batches = self.batches.iter().map(|batch| {
            RecordBatch::try_new_with_options(
                Arc::clone(&schema),
                batch.columns().to_vec(),
                &datafusion::arrow::array::RecordBatchOptions::new()
                    .with_row_count(Some(batch.num_rows())),
            )
        });
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
    }
}

/// A table and its columns.
#[derive(Debug, Clone)]
pub struct TableShape {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: SchemaRef,
    /// Its number of rows, where the manifest has it.
    pub row_count: Option<u64>,
}

/// Places and owners that the manifest names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownValues {
    /// Account ids of reports and of trails.
    pub accounts: Vec<String>,
    /// k9's customers.
    pub customers: Vec<String>,
    /// Regions of trails.
    pub regions: Vec<String>,
}

impl Engine {
    /// Whether what was typed so far can be executed: a semicolon ends it, outside quotes and comments.
    pub fn is_complete(sql: &str) -> bool {
        statement::is_complete(sql)
    }

    /// The parameters of a statement, in the order in which they first stand there, without `$as_of`.
    ///
    /// A statement that cannot be read has none: executing it says why.
    pub fn parameters(statement: &Statement) -> Vec<String> {
        let mut names = Vec::new();
        let Ok(statement::Statement::Query(sql)) = statement::Statement::parse(&statement.piece)
        else {
            return names;
        };
        let Ok(parsed) = kennel_athena::parse(&sql) else {
            return names;
        };
        let _whole = visit_expressions(&parsed, |expr: &Expr| {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(placeholder) = &value.value
            {
                let name = placeholder.trim_start_matches(['$', ':']).to_lowercase();
                if name != "as_of" && !names.contains(&name) {
                    names.push(name);
                }
            }
            std::ops::ControlFlow::<()>::Continue(())
        });
        names
    }

    /// Keeps a result as the table `_`, or forgets the one that was kept.
    ///
    /// # Errors
    /// [`EngineError::Table`] when the result cannot be a table; nothing is kept then.
    pub fn keep(&self, result: Option<KeptResult>) -> Result<(), EngineError> {
        let mut kept = self.shared.kept();
        *kept = None;
        if let Some(result) = result {
            result.table().map_err(|e| EngineError::Table {
                message: format!(
                    "the result cannot be kept as `{LAST_RESULT}`: {}",
                    e.strip_backtrace()
                ),
                hint: None,
            })?;
            *kept = Some(result);
        }
        Ok(())
    }

    /// The result that is kept.
    pub fn kept(&self) -> Option<KeptResult> {
        self.shared.kept().clone()
    }

    /// All tables with their columns, the alias `iam` left out, by schema and name.
    ///
    /// A table that cannot be opened is left out: asking it says why.
    pub async fn tables(&self) -> Vec<TableShape> {
        let mut shapes = Vec::new();
        let Some(catalog) = self.context.catalog(CATALOG) else {
            return shapes;
        };
        for schema_name in catalog.schema_names() {
            let Some(schema) = catalog
                .schema(&schema_name)
                .filter(|_| schema_name != "iam")
            else {
                continue;
            };
            for name in schema.table_names() {
                let Ok(Some(table)) = schema.table(&name).await else {
                    continue;
                };
                shapes.push(TableShape {
                    schema: schema_name.clone(),
                    name,
                    columns: table.schema(),
                    row_count: as_file_table(&table).map(|table| table.row_count()),
                });
            }
        }
        shapes
    }

    /// The names of all functions, sorted.
    pub fn functions(&self) -> Vec<String> {
        let state = self.context.state();
        let mut names = state.scalar_functions().keys().cloned().collect::<Vec<_>>();
        names.extend(state.aggregate_functions().keys().cloned());
        names.extend(state.window_functions().keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What the manifest knows of accounts, customers and regions, sorted.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn known_values(&self) -> Result<KnownValues, EngineError> {
        let mut known = KnownValues::default();
        let Some(cache) = self.shared.cache() else {
            return Ok(known);
        };
        for (customer_id, _, account_id) in cache.accounts(self.shared.view)? {
            known.customers.push(customer_id.to_string());
            known.accounts.push(account_id.to_string());
        }
        for source in cache.sources()? {
            if source.kind != SourceKind::CloudTrail {
                continue;
            }
            for place in cache.trail_prefixes(&source.name)? {
                known.accounts.push(place.prefix.account_id.to_string());
                known.regions.push(place.prefix.region);
            }
        }
        for values in [
            &mut known.accounts,
            &mut known.customers,
            &mut known.regions,
        ] {
            values.sort_unstable();
            values.dedup();
        }
        Ok(known)
    }

    /// Ids of the snapshots and when they were taken, newest first.
    ///
    /// # Errors
    /// [`EngineError::Cache`].
    pub fn snapshot_names(&self) -> Result<Vec<(String, String)>, EngineError> {
        let Some(cache) = self.shared.cache() else {
            return Ok(vec![]);
        };
        let snapshots = cache.snapshots()?.into_iter().rev();
        let named = snapshots.map(|snapshot| {
            let about = format!("{}, {}", snapshot.source, shown(snapshot.taken_at));
            (snapshot.id.to_string(), about)
        });
        Ok(named.collect())
    }

    /// Distinct texts of a column, sorted, at most `limit` of them: as many as come first.
    ///
    /// # Errors
    /// As [`Engine::execute`].
    pub async fn distinct_texts(
        &self,
        table: &TableShape,
        column: &str,
        limit: usize,
    ) -> Result<Vec<String>, EngineError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!(
            "SELECT DISTINCT {column} FROM {}.{} WHERE {column} IS NOT NULL LIMIT {limit}",
            quoted(&table.schema),
            quoted(&table.name),
            column = quoted(column)
        );
        let mut answer = self.answer(&sql, &Default::default()).await?;
        let mut texts = Vec::new();
        let failed = |error| EngineError::from_datafusion(error, &sql, &[]);
        while let Some(batch) = answer.stream.next().await {
            let batch = batch.map_err(failed)?;
            let column = cast(batch.column(0), &DataType::Utf8).map_err(|e| failed(e.into()))?;
            let column = column.as_string::<i32>();
            texts.extend(column.iter().flatten().map(str::to_owned));
        }
        texts.sort_unstable();
        Ok(texts)
    }

    /// Executes `EXPLAIN` of a statement, or `EXPLAIN ANALYZE`.
    ///
    /// # Errors
    /// As [`Engine::execute`].
    pub async fn explain(
        &self,
        statement: &Statement,
        analyze: bool,
        values: &crate::ParamValues,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<Outcome, EngineError> {
        let word = if analyze {
            "EXPLAIN ANALYZE"
        } else {
            "EXPLAIN"
        };
        let sql = format!("{word} {}", statement.text());
        let statements = Self::statements(&sql)?;
        match statements.first() {
            Some(explained) => self.execute(explained, values, now).await,
            None => Err(EngineError::Unsupported {
                what: "EXPLAIN of nothing".into(),
                hint: "a statement follows it".into(),
            }),
        }
    }
}
