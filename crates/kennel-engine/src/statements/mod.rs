//! Statements that are not questions: the DDL that Athena's users paste before their queries, and what writes tables
//! of their own. The mirror is never changed.

mod alter;
mod prepared;
mod readable;
mod show;
mod unload;
mod write;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use datafusion::{arrow::datatypes::Fields, logical_expr::LogicalPlan};
use kennel_athena::statement::{HiveTable, Piece, Statement, TableName};
use kennel_cache::{Cache, Put, SourceKind, UserCatalog, UserTable};

use crate::{
    Engine, EngineError, Outcome, ParamValues,
    catalog::{
        DEFAULT_SCHEMA, is_built_in, is_built_in_schema, locate,
        user::{self, Definition, Located},
    },
};

pub(crate) use prepared::Prepared;
pub use unload::{Unload, UnloadFormat};

fn done(message: String, notes: Vec<String>) -> Outcome {
    Outcome::Done {
        message,
        notes,
        caveats: vec![],
    }
}

fn refused(message: String, hint: &str) -> EngineError {
    EngineError::Table {
        message,
        hint: Some(hint.into()),
    }
}

impl Engine {
    pub(crate) async fn execute_other(
        &self,
        statement: Statement,
        piece: &Piece,
        values: &ParamValues,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        match statement {
            Statement::CreateExternalTable(table) => self.create_table(&table, now).await,
            Statement::MsckRepair { table } => self.repair(&table).await,
            Statement::AlterTable { table, change } => self.alter(&table, change).await,
            Statement::CreateDatabase {
                name,
                if_not_exists,
            } => self.create_database(&name, if_not_exists, now),
            Statement::DropDatabase {
                name,
                if_exists,
                cascade,
            } => self.drop_database(&name, if_exists, cascade),
            Statement::DropTable { name, if_exists } => self.drop_kept(&name, if_exists, false),
            Statement::DropView { name, if_exists } => self.drop_kept(&name, if_exists, true),
            Statement::CreateView {
                name,
                or_replace,
                query,
            } => Box::pin(self.create_view(&name, or_replace, &query, piece, now)).await,
            Statement::CreateTableAs {
                name,
                if_not_exists,
                properties,
                query,
                with_data,
            } => {
                let wanted = write::NewTable {
                    name: &name,
                    if_not_exists,
                    properties: &properties,
                    with_data,
                };
                Box::pin(self.create_table_as(wanted, &query, piece, values, now)).await
            }
            Statement::InsertInto {
                table,
                columns,
                query,
            } => Box::pin(self.insert(&table, &columns, &query, piece, values)).await,
            Statement::Unload {
                query,
                to,
                properties,
            } => Box::pin(self.unload(&query, &to, &properties, piece, values)).await,
            Statement::Prepare { name, statement } => self.prepare(&name, &statement, piece),
            Statement::Execute { name, arguments } => {
                let text = self.prepared(&name, &arguments)?;
                Box::pin(self.execute_text(text, values, now)).await
            }
            Statement::ExecuteImmediate {
                statement,
                arguments,
            } => {
                let text = prepared::with_values(&statement, &arguments)?;
                Box::pin(self.execute_text(text, values, now)).await
            }
            Statement::Deallocate { name } => self.deallocate(&name),
            Statement::Query(sql) => Ok(Outcome::Answer(
                self.answer(&sql, &Default::default()).await?,
            )),
            Statement::Unsupported { what, hint } => Err(EngineError::Unsupported { what, hint }),
            other => self.execute_show(other).await,
        }
    }

    async fn create_table(
        &self,
        table: &HiveTable,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let (schema, name) = parts(&table.name)?;
        let Some(location) = table.location.as_deref() else {
            return Err(refused(
                format!("table {schema}.{name} has no LOCATION"),
                "LOCATION 's3://bucket/prefix' says which part of the mirror it reads",
            ));
        };
        let Some(located) = locate(&self.shared, location) else {
            return Err(refused(
                format!("no configured source mirrors `{location}`"),
                readable::NO_SOURCE,
            ));
        };
        readable::check(table, located.kind, &located.prefix)?;
        let mut notes = vec![format!(
            "{schema}.{name} reads the mirror of source `{}`: {}",
            located.source,
            where_in(&located.prefix)
        )];
        if located.assumed {
            notes.push(format!(
                "`{location}` names no bucket; the only {} source was taken",
                located.kind
            ));
        }
        if is_built_in(&schema, &name) && self.has_columns_of(&schema, &name, table).await {
            notes.push(format!("{schema}.{name} is built in, with all columns that the reports have; your definition was not needed"));
            return Ok(done(format!("table {schema}.{name} is there"), notes));
        }
        if !self.has_rows(table, &located, &schema, &name)? {
            notes.push("nothing that is mirrored lies there: it has no rows".into());
        }
        let mut table = table.clone();
        table.name = TableName::new(Some(&schema), &name);
        let kept = UserTable {
            schema: schema.clone(),
            name: name.clone(),
            definition: HiveTable {
                if_not_exists: false,
                ..table.clone()
            }
            .to_ddl(),
            created_at: now,
        };
        let put = match table.if_not_exists {
            true => Put::New,
            false => Put::Replace,
        };
        let was_there = user::find(&self.shared, &schema, &name).map_err(|e| self.told(e))?;
        if was_there.is_some() && !table.if_not_exists {
            self.must_be(&schema, &name, false)?;
            if let Some(Definition::Rows(_)) = self.definition(&schema, &name)? {
                return Err(refused(
                    format!("table {schema}.{name} exists already, with rows of a query"),
                    "DROP TABLE takes it away",
                ));
            }
        }
        if !self.catalog()?.put_table(&kept, &[], put, None)? {
            return Ok(done(
                format!("table {schema}.{name} is there"),
                vec!["it exists: nothing was changed".into()],
            ));
        }
        if was_there.is_some() {
            notes.push("it replaces the definition that was there".into());
        }
        Ok(done(format!("created table {schema}.{name}"), notes))
    }

    /// Whether something of what is mirrored can be part of a table; says what is wrong with its projection.
    fn has_rows(
        &self,
        table: &HiveTable,
        located: &Located,
        schema: &str,
        name: &str,
    ) -> Result<bool, EngineError> {
        let partitioning = user::partitioning(&self.shared, table, located, schema, name);
        let partitioning = partitioning.map_err(|error| self.told(error))?;
        match located.kind {
            SourceKind::CloudTrail => user::trail::has_rows(&self.shared, located, &partitioning)
                .map_err(|e| self.told(e)),
            SourceKind::K9 => Ok(true),
        }
    }

    /// Whether a built-in table has all columns that a definition names.
    async fn has_columns_of(&self, schema: &str, name: &str, table: &HiveTable) -> bool {
        let Some(provider) = self.provider(schema, name).await else {
            return true;
        };
        // What the canned questions read stays what it is.
        if !(schema == "cloudtrail" && name == "cloudtrail_logs") {
            return true;
        }
        let columns = provider.schema();
        let mut wanted = table.columns.iter().chain(&table.partition_columns);
        wanted.all(|column| columns.column_with_name(&column.name).is_some())
    }

    fn create_database(
        &self,
        name: &str,
        if_not_exists: bool,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        if is_built_in_schema(name) {
            let notes = vec!["it is built in".into()];
            return Ok(done(format!("database {name} is ready"), notes));
        }
        match self.catalog()?.create_schema(name, now)? {
            true => Ok(done(format!("created database {name}"), vec![])),
            false if if_not_exists => Ok(done(
                format!("database {name} is there"),
                vec!["it exists: nothing was changed".into()],
            )),
            false => Err(refused(
                format!("database {name} exists already"),
                "CREATE DATABASE IF NOT EXISTS takes it as it is",
            )),
        }
    }

    fn drop_database(
        &self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<Outcome, EngineError> {
        if is_built_in_schema(name) {
            return Err(refused(
                format!("database {name} is built in and stays"),
                "DROP TABLE and DROP VIEW take away what you made in it",
            ));
        }
        let (tables, schemas) = match self.shared.cache() {
            Some(cache) => (cache.user_tables()?, cache.user_schemas()?),
            None => (vec![], vec![]),
        };
        let held = tables.iter().filter(|table| table.schema == name).count();
        if held == 0 && !schemas.iter().any(|known| known == name) {
            return match if_exists {
                true => Ok(done(format!("no database {name}"), vec![])),
                false => Err(EngineError::Table {
                    message: format!("no database {name}"),
                    hint: crate::error::nearest(name, &schemas)
                        .map(|name| format!("did you mean `{name}`?")),
                }),
            };
        }
        if held > 0 && !cascade {
            return Err(refused(
                format!("database {name} is not empty: it holds {held} tables and views"),
                "DROP DATABASE … CASCADE drops them, too",
            ));
        }
        self.catalog()?.drop_schema(name)?;
        Ok(done(format!("dropped database {name}"), vec![]))
    }

    async fn create_view(
        &self,
        view: &TableName,
        or_replace: bool,
        query: &kennel_athena::statement::Embedded,
        piece: &Piece,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let (schema, name) = parts(view)?;
        if is_built_in(&schema, &name) {
            let plan = self.plan_in(query, piece, &ParamValues::default()).await?;
            return self.take_built_in(&schema, &name, &plan).await;
        }
        let existing = user::find(&self.shared, &schema, &name).map_err(|e| self.told(e))?;
        if existing.is_some() {
            self.must_be(&schema, &name, true)?;
            if !or_replace {
                return Err(refused(
                    format!("view {schema}.{name} exists already"),
                    "CREATE OR REPLACE VIEW replaces it",
                ));
            }
        }
        let plan = self.plan_in(query, piece, &ParamValues::default()).await?;
        write::distinct_columns(&plan.schema().as_arrow().clone().into())?;
        let itself = (schema.clone(), name.clone());
        if existing.is_some() && self.reads(&query.text, &itself, &mut BTreeSet::new())? {
            return Err(refused(
                format!("view {schema}.{name} would read itself"),
                "keep what it reads now under another name",
            ));
        }
        let kept = UserTable {
            definition: format!(
                "CREATE VIEW {} AS\n{}",
                sql_name(&schema, &name),
                query.text
            ),
            created_at: now,
            schema: schema.clone(),
            name: name.clone(),
        };
        self.catalog()?.put_table(&kept, &[], Put::Replace, None)?;
        let verb = if existing.is_some() {
            "replaced"
        } else {
            "created"
        };
        Ok(done(format!("{verb} view {schema}.{name}"), vec![]))
    }

    /// A view in the place of a built-in table is not needed when it shows the same columns, and refused otherwise.
    async fn take_built_in(
        &self,
        schema: &str,
        name: &str,
        plan: &LogicalPlan,
    ) -> Result<Outcome, EngineError> {
        let built_in = self
            .provider(schema, name)
            .await
            .map(|table| table.schema());
        let names = |fields: &Fields| {
            let names = fields.iter().map(|field| field.name().clone());
            names.collect::<Vec<_>>()
        };
        match built_in {
            Some(table) if names(table.fields()) == names(plan.schema().as_arrow().fields()) => {
                let note = format!("{schema}.{name} is built in: your definition was not needed");
                Ok(done(format!("view {schema}.{name} is there"), vec![note]))
            }
            _ => Err(refused(
                format!("{schema}.{name} is built in"),
                "give the view another name, or another database",
            )),
        }
    }

    /// Whether a query reads a view, itself or through other views.
    fn reads(
        &self,
        query: &str,
        wanted: &(String, String),
        seen: &mut BTreeSet<(String, String)>,
    ) -> Result<bool, EngineError> {
        let parsed =
            kennel_athena::parse(query).map_err(|error| EngineError::from((error, query)))?;
        let parsed = datafusion::sql::parser::Statement::Statement(Box::new(parsed));
        let tables = self.context.state().resolve_table_references(&parsed);
        for table in tables.map_err(|e| self.told(e))? {
            let name = self.kept_name(&TableName::new(table.schema(), table.table()))?;
            if name == *wanted {
                return Ok(true);
            }
            let view = match self.definition(&name.0, &name.1)? {
                Some(Definition::View(view)) if seen.insert(name) => view,
                _ => continue,
            };
            if self.reads(&view, wanted, seen)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn drop_kept(
        &self,
        name: &TableName,
        if_exists: bool,
        is_view: bool,
    ) -> Result<Outcome, EngineError> {
        let (schema, table) = self.kept_name(name)?;
        let noun = if is_view { "view" } else { "table" };
        let kept = user::find(&self.shared, &schema, &table).map_err(|e| self.told(e))?;
        if kept.is_none() {
            if if_exists {
                return Ok(done(format!("no {noun} {schema}.{table}"), vec![]));
            }
            let hint = match is_built_in(&schema, &table) {
                true => Some("built-in tables stay".into()),
                false => crate::error::nearest(&format!("{schema}.{table}"), &self.names())
                    .map(|name| format!("did you mean `{name}`?")),
            };
            return Err(EngineError::Table {
                message: format!("no {noun} {schema}.{table} that can be dropped"),
                hint,
            });
        }
        self.must_be(&schema, &table, is_view)?;
        let definition = self.definition(&schema, &table)?;
        self.catalog()?.drop_table(&schema, &table)?;
        let note = match definition {
            Some(Definition::Rows(_)) => {
                Some("its rows go when the next sync or prune begins and nobody reads them")
            }
            Some(Definition::Mirror(_)) => Some("the mirrored objects stay"),
            _ => None,
        };
        let notes = note.map(str::to_owned).into_iter().collect();
        Ok(done(format!("dropped {noun} {schema}.{table}"), notes))
    }

    /// Makes sure that a name that is taken is that of a view, or of a table.
    fn must_be(&self, schema: &str, name: &str, is_view: bool) -> Result<(), EngineError> {
        match (self.definition(schema, name)?, is_view) {
            (Some(Definition::View(_)), false) => Err(refused(
                format!("{schema}.{name} is a view, not a table"),
                "DROP VIEW takes it away",
            )),
            (Some(Definition::Mirror(_) | Definition::Rows(_)), true) => Err(refused(
                format!("{schema}.{name} is a table, not a view"),
                "DROP TABLE takes it away",
            )),
            _ => Ok(()),
        }
    }

    /// What a user has of this name.
    pub(crate) fn definition(
        &self,
        schema: &str,
        name: &str,
    ) -> Result<Option<Definition>, EngineError> {
        let kept = user::find(&self.shared, schema, name).map_err(|e| self.told(e))?;
        kept.map(|kept| Definition::parse(&kept.definition))
            .transpose()
            .map_err(|e| self.told(e))
    }

    /// The catalog of what users add; only where there is a cache.
    fn catalog(&self) -> Result<UserCatalog, EngineError> {
        match &self.home {
            Some(home) => Ok(UserCatalog::open(home)?),
            None => Err(refused(
                "there is no cache yet to keep it in".into(),
                "run `kennel sync` first",
            )),
        }
    }

    fn told(&self, error: datafusion::error::DataFusionError) -> EngineError {
        match EngineError::from_datafusion(error, "", &[]) {
            EngineError::Sql { message, .. } => EngineError::Table {
                message,
                hint: None,
            },
            other => other,
        }
    }

    async fn exists(&self, table: &TableName) -> Result<bool, EngineError> {
        let (schema, name) = parts(table)?;
        Ok(self.provider(&schema, &name).await.is_some())
    }

    async fn must_exist(&self, table: &TableName) -> Result<(), EngineError> {
        if self.exists(table).await? {
            return Ok(());
        }
        Err(EngineError::Table {
            message: format!("table `{table}` not found"),
            hint: crate::error::nearest(&table.to_string(), &self.names())
                .map(|name| format!("did you mean `{name}`?")),
        })
    }

    /// The schema in which an unqualified name is found.
    async fn resolved(&self, table: &TableName) -> Result<(String, String), EngineError> {
        let (schema, name) = parts(table)?;
        let in_default = self.names().contains(&format!("{DEFAULT_SCHEMA}.{name}"));
        if schema == DEFAULT_SCHEMA && !in_default {
            for searched in ["k9", "cloudtrail"] {
                if self.provider(searched, &name).await.is_some() {
                    return Ok((searched.into(), name));
                }
            }
        }
        Ok((schema, name))
    }

    /// The schema in which a user's own table or view is found.
    fn kept_name(&self, table: &TableName) -> Result<(String, String), EngineError> {
        let (schema, name) = parts(table)?;
        if table.schema().is_none() {
            for searched in [DEFAULT_SCHEMA, "k9", "cloudtrail"] {
                let found = user::find(&self.shared, searched, &name).map_err(|e| self.told(e))?;
                if found.is_some() {
                    return Ok((searched.into(), name));
                }
            }
        }
        Ok((schema, name))
    }

    /// Forgets what was added to or dropped from a table.
    async fn repair(&self, table: &TableName) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.kept_name(table)?;
        let kept = match &self.home {
            Some(home) => Cache::open(home)?.user_partitions(&schema, &name)?,
            None => vec![],
        };
        let dropped = kept.into_iter().filter(|kept| kept.location.is_none());
        let dropped = dropped.collect::<Vec<_>>();
        let mut notes = vec!["nothing is needed: tables follow the mirror".to_owned()];
        if !dropped.is_empty() {
            self.catalog()?.forget_partitions(&dropped)?;
            notes = vec!["partitions that were dropped are there again".to_owned()];
        }
        Ok(done(format!("repaired {table}"), notes))
    }
}

/// Schema and name of a table.
fn parts(table: &TableName) -> Result<(String, String), EngineError> {
    if let Some(other) = table.catalog() {
        return Err(refused(
            format!("there is no catalog `{other}`"),
            "the catalog is awsdatacatalog, and may be left out",
        ));
    }
    Ok((
        table.schema().unwrap_or(DEFAULT_SCHEMA).to_owned(),
        table.table().to_owned(),
    ))
}

/// A name as a query writes it.
fn sql_name(schema: &str, name: &str) -> String {
    TableName::new(Some(schema), name).to_string()
}

fn where_in(prefix: &str) -> String {
    if prefix.is_empty() {
        "all of it".into()
    } else {
        format!("what lies under `{prefix}`")
    }
}
