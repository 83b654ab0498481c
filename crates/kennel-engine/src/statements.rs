//! Statements that are not questions: the DDL that Athena's users paste before their queries.

use chrono::{DateTime, Utc};
use kennel_athena::statement::{HiveTable, Statement, TableName};
use kennel_cache::{Cache, UserTable};

use crate::{
    Engine, EngineError, Outcome,
    catalog::{DEFAULT_SCHEMA, locate},
};

/// Schemas whose tables are kennel's own.
const BUILT_IN: [&str; 5] = ["k9", "iam", "cloudtrail", "kennel", "information_schema"];

impl Engine {
    pub(crate) async fn execute_other(
        &self,
        statement: Statement,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let nothing_needed = |message: String| {
            Ok(Outcome::Done {
                message,
                notes: vec!["nothing is needed: tables follow the mirror".into()],
            })
        };
        match statement {
            Statement::CreateExternalTable(table) => self.create_table(&table, now).await,
            Statement::MsckRepair { table } => {
                self.must_exist(&table).await?;
                nothing_needed(format!("repaired {table}"))
            }
            Statement::AlterAddPartition { table } | Statement::AlterDropPartition { table } => {
                self.must_exist(&table).await?;
                nothing_needed(format!("altered {table}"))
            }
            Statement::CreateDatabase { name, .. } => {
                nothing_needed(format!("database {name} is ready"))
            }
            Statement::DropTable { name, if_exists } => self.drop_table(&name, if_exists),
            Statement::ShowTables { schema, pattern } => {
                let schema = schema.map_or_else(|| DEFAULT_SCHEMA.to_owned(), |name| name.to_string());
                self.show(
                    "SELECT table_name AS tab_name FROM information_schema.tables WHERE table_schema = $schema AND ($pattern IS NULL OR regexp_like(table_name, $pattern)) ORDER BY table_name",
                    &[("schema", Some(schema)), ("pattern", pattern.as_deref().map(regex_of_pattern))],
                )
                .await
            }
            Statement::ShowDatabases { pattern } => {
                self.show(
                    "SELECT schema_name AS database_name FROM information_schema.schemata WHERE $pattern IS NULL OR regexp_like(schema_name, $pattern) ORDER BY schema_name",
                    &[("pattern", pattern.as_deref().map(regex_of_pattern))],
                )
                .await
            }
            Statement::ShowFunctions { pattern } => {
                self.show(
                    "SELECT name AS function, family, state, note FROM kennel.functions WHERE $pattern IS NULL OR name LIKE $pattern ORDER BY name, family",
                    &[("pattern", pattern.map(|pattern| pattern.to_lowercase()))],
                )
                .await
            }
            Statement::ShowColumns { table } => self.describe(&table, "SELECT column_name AS field").await,
            Statement::Describe { table } => {
                self.describe(&table, "SELECT column_name AS col_name, data_type").await
            }
            Statement::ShowPartitions { table } => self.show_partitions(&table).await,
            Statement::ShowCreateTable { table } => self.show_create(&table).await,
            Statement::Query(sql) => Ok(Outcome::Answer(self.answer(&sql, &Default::default()).await?)),
            Statement::Unsupported { what, hint } => Err(EngineError::Unsupported { what, hint }),
            other => Err(EngineError::Unsupported {
                what: other.name().into(),
                hint: "kennel reads the mirror and never changes it".into(),
            }),
        }
    }

    async fn show(
        &self,
        sql: &str,
        params: &[(&str, Option<String>)],
    ) -> Result<Outcome, EngineError> {
        let bound = params
            .iter()
            .map(|(name, text)| {
                (
                    (*name).to_owned(),
                    crate::params::Bound::optional_text(text.as_deref()),
                )
            })
            .collect();
        Ok(Outcome::Answer(self.answer(sql, &bound).await?))
    }

    async fn create_table(
        &self,
        table: &HiveTable,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let (schema, name) = parts(&table.name);
        let Some(location) = table.location.as_deref() else {
            return Err(EngineError::Table {
                message: format!("table {schema}.{name} has no LOCATION"),
                hint: Some(
                    "LOCATION 's3://bucket/prefix' says which part of the mirror it reads".into(),
                ),
            });
        };
        let Some(located) = locate(&self.shared, location) else {
            return Err(EngineError::Table {
                message: format!("no configured source mirrors `{location}`"),
                hint: Some(
                    "add a [[source]] with that bucket to kennel.toml and run `kennel sync`".into(),
                ),
            });
        };
        let mut notes = vec![format!(
            "{schema}.{name} reads the mirror of source `{}`: {}",
            located.source,
            where_in(&located.prefix)
        )];
        if located.assumed {
            notes.push(format!(
                "`{location}` names no bucket; the only k9 source was taken"
            ));
        }
        if BUILT_IN.contains(&schema.as_str()) && self.exists(&table.name).await {
            notes.push(format!("{schema}.{name} is built in, with all columns that the reports have; your definition was not needed"));
            return Ok(Outcome::Done {
                message: format!("table {schema}.{name} is there"),
                notes,
            });
        }
        let Some(home) = &self.home else {
            return Err(EngineError::Table {
                message: "there is no cache yet to keep the table in".into(),
                hint: Some("run `kennel sync` first".into()),
            });
        };
        let tables = Cache::open(home)?.user_tables()?;
        if tables
            .iter()
            .any(|known| known.schema == schema && known.name == name)
        {
            if table.if_not_exists {
                return Ok(Outcome::Done {
                    message: format!("table {schema}.{name} is there"),
                    notes: vec!["it exists: nothing was changed".into()],
                });
            }
            notes.push("it replaces the definition that was there".into());
        }
        let kept = UserTable {
            schema: schema.clone(),
            name: name.clone(),
            definition: table.to_ddl(),
            created_at: now,
        };
        Cache::put_user_table(home, &kept)?;
        Ok(Outcome::Done {
            message: format!("created table {schema}.{name}"),
            notes,
        })
    }

    fn drop_table(&self, table: &TableName, if_exists: bool) -> Result<Outcome, EngineError> {
        let (schema, name) = parts(table);
        let dropped = match &self.home {
            Some(home) => Cache::drop_user_table(home, &schema, &name)?,
            None => false,
        };
        match dropped {
            true => Ok(Outcome::Done {
                message: format!("dropped table {schema}.{name}"),
                notes: vec!["the mirrored objects stay".into()],
            }),
            false if if_exists => Ok(Outcome::Done {
                message: format!("no table {schema}.{name}"),
                notes: vec![],
            }),
            false => Err(EngineError::Table {
                message: format!("no table {schema}.{name} that can be dropped"),
                hint: Some("built-in tables stay".into()),
            }),
        }
    }

    async fn exists(&self, table: &TableName) -> bool {
        let (schema, name) = parts(table);
        self.provider(&schema, &name).await.is_some()
    }

    async fn must_exist(&self, table: &TableName) -> Result<(), EngineError> {
        if self.exists(table).await {
            return Ok(());
        }
        Err(EngineError::Table {
            message: format!("table `{table}` not found"),
            hint: crate::error::nearest(&table.to_string(), &self.names())
                .map(|name| format!("did you mean `{name}`?")),
        })
    }

    async fn describe(&self, table: &TableName, select: &str) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await;
        let sql = format!(
            "{select} FROM information_schema.columns WHERE table_schema = $schema AND table_name = $name ORDER BY ordinal_position"
        );
        self.show(&sql, &[("schema", Some(schema)), ("name", Some(name))])
            .await
    }

    async fn show_partitions(&self, table: &TableName) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await;
        let sql = format!(
            "SELECT DISTINCT concat('customer_id=', customer_id, '/csp=', csp, '/account_id=', account_id) AS partition FROM \"{schema}\".\"{name}\" ORDER BY partition"
        );
        Ok(Outcome::Answer(
            self.answer(&sql, &Default::default()).await?,
        ))
    }

    async fn show_create(&self, table: &TableName) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await;
        let kept = match &self.home {
            Some(home) => Cache::open(home)?.user_tables()?,
            None => vec![],
        };
        match kept
            .into_iter()
            .find(|known| known.schema == schema && known.name == name)
        {
            Some(known) => {
                self.show(
                    "SELECT $ddl AS createtab_stmt",
                    &[("ddl", Some(known.definition))],
                )
                .await
            }
            None => Err(EngineError::Unsupported {
                what: format!("SHOW CREATE TABLE of the built-in {schema}.{name}"),
                hint: format!("`DESCRIBE {schema}.{name}` shows its columns"),
            }),
        }
    }

    /// The schema in which an unqualified name is found.
    async fn resolved(&self, table: &TableName) -> (String, String) {
        let (schema, name) = parts(table);
        let in_default = self.names().contains(&format!("{DEFAULT_SCHEMA}.{name}"));
        if schema == DEFAULT_SCHEMA && !in_default {
            for searched in ["k9", "cloudtrail"] {
                if self.provider(searched, &name).await.is_some() {
                    return (searched.into(), name);
                }
            }
        }
        (schema, name)
    }
}

/// Schema and name of a table; the catalog is always ours.
fn parts(table: &TableName) -> (String, String) {
    (
        table.schema().unwrap_or(DEFAULT_SCHEMA).to_owned(),
        table.table().to_owned(),
    )
}

fn where_in(prefix: &str) -> String {
    if prefix.is_empty() {
        "all of it".into()
    } else {
        format!("what lies under `{prefix}`")
    }
}

/// Hive's `SHOW` patterns know `*` for anything and `|` for either; all else is a plain name.
fn regex_of_pattern(pattern: &str) -> String {
    let mut regex = String::from("^(");
    for character in pattern.to_lowercase().chars() {
        match character {
            '*' => regex.push_str(".*"),
            '|' => regex.push('|'),
            c if c.is_alphanumeric() || c == '_' => regex.push(c),
            c => {
                regex.push('\\');
                regex.push(c);
            }
        }
    }
    regex + ")$"
}
