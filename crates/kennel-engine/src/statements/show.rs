//! `SHOW`, `DESCRIBE`: the catalog as Athena prints it, in Hive's type names.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, StringArray},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    datasource::{MemTable, provider_as_source},
    error::DataFusionError,
    logical_expr::LogicalPlanBuilder,
};
use kennel_athena::statement::{
    Column, HiveTable, PartitionTerm, Statement, TableName, hive_type, quoted_text,
};

use super::{parts, refused, sql_name};
use crate::{
    Engine, EngineError, Outcome,
    catalog::{
        CATALOG, DEFAULT_SCHEMA, is_built_in, partition_columns,
        user::{Definition, rows::COLUMNS_PROPERTY},
    },
    params::Bound,
    session,
};

/// A row of `DESCRIBE`.
type Described = [String; 3];

impl Engine {
    pub(super) async fn execute_show(&self, statement: Statement) -> Result<Outcome, EngineError> {
        match statement {
            Statement::ShowTables { schema, pattern } => {
                self.show_tables(schema, pattern.as_deref()).await
            }
            Statement::ShowViews { schema, pattern } => {
                self.show_views(schema, pattern.as_deref()).await
            }
            Statement::ShowDatabases { pattern } => {
                let pattern = pattern.as_deref().map(regex_of_pattern);
                self.show(
                    "SELECT schema_name AS database_name FROM information_schema.schemata WHERE $pattern IS NULL OR regexp_like(schema_name, $pattern) ORDER BY schema_name",
                    &[("pattern", pattern)],
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
            Statement::ShowColumns { table } => {
                let (_, columns) = self.columns_of(&table).await?;
                let rows = columns.into_iter().map(|column| vec![column.name]);
                self.rows(&["field"], rows.collect()).await
            }
            Statement::Describe {
                table,
                is_detailed,
                partition,
                column,
            } => {
                self.describe(&table, is_detailed, &partition, &column)
                    .await
            }
            Statement::ShowPartitions { table } => self.show_partitions(&table).await,
            Statement::ShowCreateTable { table } => self.show_create(&table, false).await,
            Statement::ShowCreateView { view } => self.show_create(&view, true).await,
            Statement::ShowTableProperties { table, key } => {
                self.show_properties(&table, key.as_deref()).await
            }
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
            .map(|(name, text)| ((*name).to_owned(), Bound::optional_text(text.as_deref())))
            .collect();
        Ok(Outcome::Answer(self.answer(sql, &bound).await?))
    }

    /// Rows of text that are at hand, as an answer.
    async fn rows(&self, columns: &[&str], rows: Vec<Vec<String>>) -> Result<Outcome, EngineError> {
        let fields = columns
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let column = |index: usize| {
            let values = rows.iter().map(|row| row.get(index).map(String::as_str));
            Arc::new(values.collect::<StringArray>()) as ArrayRef
        };
        let arrays = (0..columns.len()).map(column).collect();
        let plan = RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(DataFusionError::from)
            .and_then(|batch| MemTable::try_new(schema, vec![vec![batch]]))
            .and_then(|table| {
                LogicalPlanBuilder::scan("shown", provider_as_source(Arc::new(table)), None)?
                    .build()
            })
            .map_err(|error| self.told(error))?;
        let answer = session::start(&self.context, &self.shared, "", plan).await?;
        Ok(Outcome::Answer(answer))
    }

    /// Makes sure that there is a schema of this name.
    fn must_be_schema(&self, schema: &str) -> Result<(), EngineError> {
        let known = self
            .context
            .catalog(CATALOG)
            .map(|catalog| catalog.schema_names());
        let known = known.unwrap_or_default();
        if known.iter().any(|name| name == schema) || schema == "information_schema" {
            return Ok(());
        }
        Err(EngineError::Table {
            message: format!("no database {schema}"),
            hint: crate::error::nearest(schema, &known)
                .map(|name| format!("did you mean `{name}`?")),
        })
    }

    async fn show_tables(
        &self,
        schema: Option<String>,
        pattern: Option<&str>,
    ) -> Result<Outcome, EngineError> {
        let schema = schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        self.must_be_schema(&schema)?;
        let pattern = pattern.map(regex_of_pattern);
        self.show(
            "SELECT table_name AS tab_name FROM information_schema.tables WHERE table_schema = $schema AND ($pattern IS NULL OR regexp_like(table_name, $pattern)) ORDER BY table_name",
            &[("schema", Some(schema)), ("pattern", pattern)],
        )
        .await
    }

    async fn show_views(
        &self,
        schema: Option<String>,
        pattern: Option<&str>,
    ) -> Result<Outcome, EngineError> {
        let schema = schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        self.must_be_schema(&schema)?;
        let tables = match self.shared.cache() {
            Some(cache) => cache.user_tables()?,
            None => vec![],
        };
        let pattern = pattern
            .map(regex_of_pattern)
            .map(|pattern| regex::Regex::new(&pattern));
        let names = tables.into_iter().filter(|table| {
            table.schema == schema
                && matches!(
                    Definition::parse(&table.definition),
                    Ok(Definition::View(_))
                )
                && pattern.as_ref().is_none_or(|pattern| {
                    pattern
                        .as_ref()
                        .is_ok_and(|pattern| pattern.is_match(&table.name))
                })
        });
        let rows = names.map(|table| vec![table.name]).collect();
        self.rows(&["views"], rows).await
    }

    /// A table's columns with their partition columns last, and where these begin.
    async fn columns_of(&self, table: &TableName) -> Result<(usize, Vec<Column>), EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await?;
        if let Some(Definition::Mirror(declared)) = self.definition(&schema, &name)? {
            let first = declared.columns.len();
            let mut columns = declared.columns;
            columns.extend(declared.partition_columns);
            return Ok((first, columns));
        }
        let Some(provider) = self.provider(&schema, &name).await else {
            return Ok((0, vec![]));
        };
        let partitions = self.partition_names(&schema, &name)?;
        let columns = columns(&provider.schema());
        let (mut own, partition): (Vec<_>, Vec<_>) = columns
            .into_iter()
            .partition(|column| !partitions.contains(&column.name));
        let first = own.len();
        own.extend(partition);
        Ok((first, own))
    }

    /// The partition columns of a table that is there.
    fn partition_names(&self, schema: &str, name: &str) -> Result<Vec<String>, EngineError> {
        partition_columns(&self.shared, schema, name).map_err(|error| self.told(error))
    }

    async fn describe(
        &self,
        table: &TableName,
        is_detailed: bool,
        partition: &[PartitionTerm],
        column: &[String],
    ) -> Result<Outcome, EngineError> {
        let (first_partition, columns) = self.columns_of(table).await?;
        let names = columns
            .iter()
            .map(|column| column.name.clone())
            .collect::<Vec<_>>();
        let unknown = |name: &str, known: &[String]| EngineError::Table {
            message: format!("`{table}` has no column `{name}`"),
            hint: crate::error::nearest(name, known).map(|name| format!("did you mean `{name}`?")),
        };
        if let Some(term) = partition.iter().find(|term| !names.contains(&term.column)) {
            return Err(unknown(&term.column, &names));
        }
        let mut rows: Vec<Described> = columns.iter().map(described).collect();
        if let Some((name, path)) = column.split_first() {
            let Some(index) = names.iter().position(|known| known == name) else {
                return Err(unknown(name, &names));
            };
            let mut data_type = columns[index].data_type.clone();
            for part in path {
                let (known, found) = fields_of(&data_type, part);
                data_type =
                    found.ok_or_else(|| unknown(&format!("{}.{part}", column[0]), &known))?;
            }
            rows = match &data_type {
                // Of a struct Hive prints its fields.
                DataType::Struct(fields) if !path.is_empty() || is_detailed => fields
                    .iter()
                    .map(|field| {
                        [
                            field.name().clone(),
                            hive_type(field.data_type()),
                            String::new(),
                        ]
                    })
                    .collect(),
                _ => vec![[
                    column.join("."),
                    hive_type(&data_type),
                    rows[index][2].clone(),
                ]],
            };
        } else {
            rows.extend(partition_information(&columns[first_partition..]));
            if is_detailed {
                rows.extend(self.details(table).await?);
            }
        }
        let rows = rows.into_iter().map(|row| row.to_vec()).collect();
        self.rows(&["col_name", "data_type", "comment"], rows).await
    }

    /// What `DESCRIBE FORMATTED` says beside the columns.
    async fn details(&self, table: &TableName) -> Result<Vec<Described>, EngineError> {
        let (schema, name) = self.resolved(table).await?;
        let mut rows = vec![line("", ""), line("# Detailed Table Information", "")];
        rows.push(line("Database:", &schema));
        let definition = self.definition(&schema, &name)?;
        let kind = match &definition {
            Some(Definition::View(_)) => "VIRTUAL_VIEW",
            Some(Definition::Rows(_)) => "MANAGED_TABLE",
            Some(Definition::Mirror(_)) | None => "EXTERNAL_TABLE",
        };
        match &definition {
            Some(Definition::Mirror(declared)) => {
                rows.push(line(
                    "Location:",
                    declared.location.as_deref().unwrap_or_default(),
                ));
                rows.push(line("Table Type:", kind));
                rows.push(line("Table Parameters:", ""));
                rows.extend(
                    declared
                        .properties
                        .iter()
                        .map(|(key, value)| ["".into(), key.clone(), value.clone()]),
                );
            }
            Some(Definition::View(query)) => {
                rows.push(line("Table Type:", kind));
                rows.push(line("View Original Text:", query));
            }
            _ => rows.push(line("Table Type:", kind)),
        }
        Ok(rows)
    }

    async fn show_partitions(&self, table: &TableName) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await?;
        let partitions = self.partition_names(&schema, &name)?;
        if partitions.is_empty() {
            return Err(refused(
                format!("{schema}.{name} is not a partitioned table"),
                "DESCRIBE shows its columns",
            ));
        }
        // Null is what Hive calls its default partition.
        let part = |name: &String| {
            let quoted = name.replace('"', "\"\"");
            let label = name.replace('\'', "''");
            format!(
                "concat('{label}=', coalesce(CAST(\"{quoted}\" AS varchar), '__HIVE_DEFAULT_PARTITION__'))"
            )
        };
        let text = partitions
            .iter()
            .map(part)
            .collect::<Vec<_>>()
            .join(" || '/' || ");
        let sql = format!(
            "SELECT DISTINCT {text} AS partition FROM {} ORDER BY 1",
            sql_name(&schema, &name)
        );
        Ok(Outcome::Answer(
            self.answer(&sql, &Default::default()).await?,
        ))
    }

    async fn show_create(&self, table: &TableName, is_view: bool) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.resolved(table).await?;
        let heading = if is_view {
            "Create View"
        } else {
            "createtab_stmt"
        };
        let text = match (self.definition(&schema, &name)?, is_view) {
            (Some(Definition::View(query)), true) => {
                format!("CREATE VIEW {} AS\n{query}", sql_name(&schema, &name))
            }
            (Some(Definition::View(_)), false) => {
                return Err(refused(
                    format!("{schema}.{name} is a view"),
                    "SHOW CREATE VIEW shows it",
                ));
            }
            (Some(Definition::Mirror(table) | Definition::Rows(table)), false) => {
                let mut table = table;
                table.properties.remove(COLUMNS_PROPERTY);
                table.to_ddl()
            }
            (None, false) => match self.definition_of_built_in(&schema, &name)? {
                Some(table) => table.to_ddl(),
                None => {
                    return Err(EngineError::Unsupported {
                        what: format!("SHOW CREATE TABLE of the built-in {schema}.{name}"),
                        hint: format!("`DESCRIBE {schema}.{name}` shows its columns"),
                    });
                }
            },
            (_, true) => {
                return Err(refused(
                    format!("{schema}.{name} is no view"),
                    "SHOW CREATE TABLE shows it",
                ));
            }
        };
        self.rows(&[heading], vec![vec![text]]).await
    }

    /// What Athena would have in the place of a built-in table.
    fn definition_of_built_in(
        &self,
        schema: &str,
        name: &str,
    ) -> Result<Option<HiveTable>, EngineError> {
        if !is_built_in(schema, name) {
            return Ok(None);
        }
        let tables = self.athena_tables(&crate::DdlOptions::default())?;
        let schema = if schema == "iam" { "k9" } else { schema };
        let wanted = TableName::new(Some(schema), name);
        Ok(tables.into_iter().find(|table| table.name == wanted))
    }

    async fn show_properties(
        &self,
        table: &TableName,
        key: Option<&str>,
    ) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = parts(table)?;
        let (schema, name) = match table.schema() {
            Some(_) => (schema, name),
            None => self.resolved(table).await?,
        };
        let properties = match self.definition(&schema, &name)? {
            Some(Definition::Mirror(table) | Definition::Rows(table)) => table.properties,
            _ => Default::default(),
        };
        let mut rows = properties
            .into_iter()
            .filter(|(name, _)| name != COLUMNS_PROPERTY)
            .filter(|(name, _)| key.is_none_or(|key| name == key))
            .map(|(name, value)| vec![name, value])
            .collect::<Vec<_>>();
        if let (Some(key), true) = (key, rows.is_empty()) {
            let text = format!(
                "Table {schema}.{name} does not have property: {}",
                quoted_text(key)
            );
            rows.push(vec![key.to_owned(), text]);
        }
        self.rows(&["prpt_name", "prpt_value"], rows).await
    }
}

fn columns(schema: &SchemaRef) -> Vec<Column> {
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        comment: None,
    };
    schema.fields().iter().map(column).collect()
}

fn described(column: &Column) -> Described {
    let comment = column.comment.clone().unwrap_or_default();
    [column.name.clone(), hive_type(&column.data_type), comment]
}

fn line(name: &str, value: &str) -> Described {
    [name.to_owned(), value.to_owned(), String::new()]
}

/// What Hive says of partition columns after all columns.
fn partition_information(columns: &[Column]) -> Vec<Described> {
    if columns.is_empty() {
        return vec![];
    }
    let heading = ["# col_name", "data_type", "comment"].map(str::to_owned);
    let mut rows = vec![line("", ""), line("# Partition Information", ""), heading];
    rows.extend(columns.iter().map(described));
    rows
}

/// The names of a type's fields, and the type of the one that is meant.
fn fields_of(data_type: &DataType, name: &str) -> (Vec<String>, Option<DataType>) {
    match data_type {
        DataType::Struct(fields) => (
            fields.iter().map(|field| field.name().clone()).collect(),
            fields
                .iter()
                .find(|field| field.name().eq_ignore_ascii_case(name))
                .map(|field| field.data_type().clone()),
        ),
        // Hive's words for what is in a list or a map.
        DataType::List(item) if name == "$elem$" => (vec![], Some(item.data_type().clone())),
        DataType::List(item) => fields_of(item.data_type(), name),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if name == "$key$" => {
                (vec![], entry.first().map(|key| key.data_type().clone()))
            }
            DataType::Struct(entry) if name == "$value$" => {
                (vec![], entry.last().map(|value| value.data_type().clone()))
            }
            _ => (vec!["$key$".into(), "$value$".into()], None),
        },
        _ => (vec![], None),
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
