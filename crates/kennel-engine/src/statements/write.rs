//! `CREATE TABLE … AS`, `INSERT INTO`: rows of queries that are kept.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    common::ScalarValue,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, expr_fn::cast, lit},
};
use kennel_athena::statement::{
    Column, Embedded, HiveTable, Piece, Properties, Property, TableName, hive_type,
};
use kennel_cache::{Put, UserTable};

use super::{done, parts, refused};
use crate::{
    Answer, Engine, EngineError, Outcome, ParamValues,
    catalog::{
        columns_text, is_built_in,
        user::{
            self, Definition,
            rows::{self, COLUMNS_PROPERTY},
        },
    },
    session,
};

/// Properties of a CTAS that say how files lie on S3: here they say nothing.
const STORAGE_PROPERTIES: [&str; 14] = [
    "bucketed_by",
    "bucket_count",
    "compression_level",
    "field_delimiter",
    "is_external",
    "optimize_rewrite_data_file_threshold",
    "optimize_rewrite_delete_file_threshold",
    "orc_compression",
    "parquet_compression",
    "partitioning",
    "vacuum_max_snapshot_age_seconds",
    "vacuum_max_snapshots_to_keep",
    "vacuum_min_snapshots_to_keep",
    "write_compression",
];

/// The table that a `CREATE TABLE … AS` wants.
pub(super) struct NewTable<'a> {
    pub(super) name: &'a TableName,
    pub(super) if_not_exists: bool,
    pub(super) properties: &'a Properties,
    pub(super) with_data: bool,
}

impl Engine {
    /// Plans a query that is a part of a statement; its errors point into the statement.
    pub(super) async fn plan_in(
        &self,
        query: &Embedded,
        piece: &Piece,
        values: &ParamValues,
    ) -> Result<LogicalPlan, EngineError> {
        let text = query.in_place(&piece.text);
        session::plan(
            &self.context,
            &self.shared,
            &text,
            &self.bound(values),
            None,
        )
        .await
        .map_err(|error| error.within(&text, &piece.text, (1, 1)))
    }

    pub(super) async fn start_in(
        &self,
        plan: LogicalPlan,
        query: &Embedded,
        piece: &Piece,
    ) -> Result<Answer, EngineError> {
        let text = query.in_place(&piece.text);
        session::start(&self.context, &self.shared, &text, plan)
            .await
            .map_err(|error| error.within(&text, &piece.text, (1, 1)))
    }

    pub(super) async fn create_table_as(
        &self,
        wanted: NewTable<'_>,
        query: &Embedded,
        piece: &Piece,
        values: &ParamValues,
        now: DateTime<Utc>,
    ) -> Result<Outcome, EngineError> {
        let (schema, name) = parts(wanted.name)?;
        let form = Form::read(wanted.properties)?;
        if is_built_in(&schema, &name) {
            return Err(refused(
                format!("{schema}.{name} is built in"),
                "give the table another name, or another database",
            ));
        }
        let is_there = user::find(&self.shared, &schema, &name).map_err(|e| self.told(e))?;
        if is_there.is_some() {
            return match wanted.if_not_exists {
                true => Ok(done(
                    format!("table {schema}.{name} is there"),
                    vec!["it exists: nothing was changed".into()],
                )),
                false => Err(exists(&schema, &name)),
            };
        }
        let mut catalog = self.catalog()?;
        let plan = self.plan_in(query, piece, values).await?;
        let answer = self.start_in(plan, query, piece).await?;
        let stored = rows::stored_schema(&answer.schema);
        distinct_columns(&stored)?;
        let partitions = form.partition_columns(&stored)?;
        let stage = catalog.stage()?;
        let caveats = answer.caveats;
        let files = match wanted.with_data {
            true => rows::write(answer.stream, &stored, &stage)
                .await
                .map_err(|e| EngineError::from_datafusion(e, &piece.text, &[]))?,
            false => vec![],
        };
        let row_count: u64 = files.iter().map(|file| file.row_count).sum();
        let kept = UserTable {
            definition: definition_of(&schema, &name, &stored, &partitions, &form),
            created_at: now,
            schema: schema.clone(),
            name: name.clone(),
        };
        if !catalog.put_table(&kept, &files, Put::New, Some(&stage))? {
            return Err(exists(&schema, &name));
        }
        Ok(Outcome::Done {
            message: format!("created table {schema}.{name} with {row_count} rows"),
            notes: form.notes,
            caveats,
        })
    }

    pub(super) async fn insert(
        &self,
        table: &TableName,
        columns: &[String],
        query: &Embedded,
        piece: &Piece,
        values: &ParamValues,
    ) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.kept_name(table)?;
        let kept = user::find(&self.shared, &schema, &name).map_err(|e| self.told(e))?;
        let (Some(Definition::Rows(_)), Some(kept)) = (self.definition(&schema, &name)?, kept)
        else {
            return Err(refused(
                format!("{table} is read from the mirror: nothing can be inserted"),
                "CREATE TABLE … AS SELECT makes a table that takes rows",
            ));
        };
        let Some(target) = self
            .provider(&schema, &name)
            .await
            .map(|table| table.schema())
        else {
            return Err(refused(
                format!("table `{table}` not found"),
                "SHOW TABLES lists them",
            ));
        };
        let plan = self.plan_in(query, piece, values).await?;
        let plan = fitted(plan, &target, columns).map_err(|message| EngineError::Table {
            message,
            hint: Some(format!("DESCRIBE {schema}.{name} shows its columns")),
        })?;
        let mut catalog = self.catalog()?;
        let stage = catalog.stage()?;
        let answer = self.start_in(plan, query, piece).await?;
        let files = rows::write(answer.stream, &target, &stage)
            .await
            .map_err(|e| EngineError::from_datafusion(e, &piece.text, &[]))?;
        let row_count: u64 = files.iter().map(|file| file.row_count).sum();
        if !catalog.add_files(&kept, &files, &stage)? {
            return Err(refused(
                format!("table {schema}.{name} was dropped meanwhile"),
                "create it anew",
            ));
        }
        Ok(Outcome::Done {
            message: format!("inserted {row_count} rows into {schema}.{name}"),
            notes: vec![],
            caveats: answer.caveats,
        })
    }
}

fn exists(schema: &str, name: &str) -> EngineError {
    refused(
        format!("table {schema}.{name} exists already"),
        "CREATE TABLE IF NOT EXISTS leaves it, DROP TABLE takes it away",
    )
}

/// How a CTAS wants its rows kept.
struct Form {
    format: String,
    partitioned_by: Vec<String>,
    notes: Vec<String>,
}

impl Form {
    fn read(properties: &Properties) -> Result<Self, EngineError> {
        let mut form = Self {
            format: "PARQUET".into(),
            partitioned_by: vec![],
            notes: vec![],
        };
        for (name, value) in properties {
            match (name.as_str(), value) {
                ("format", Property::Text(format)) => {
                    form.format = format.to_ascii_uppercase();
                    let known = ["PARQUET", "ORC", "AVRO", "JSON", "TEXTFILE", "ION"];
                    if !known.contains(&form.format.as_str()) {
                        return Err(refused(
                            format!("`{format}` is no format of a table"),
                            "PARQUET, ORC, AVRO, JSON and TEXTFILE are",
                        ));
                    }
                    if form.format != "PARQUET" {
                        let note = format!(
                            "its rows lie in Parquet, not in {}; queries see no difference",
                            form.format
                        );
                        form.notes.push(note);
                    }
                }
                ("partitioned_by", Property::List(columns)) => {
                    form.partitioned_by = columns.iter().map(|name| name.to_lowercase()).collect();
                }
                ("external_location" | "location", Property::Text(location)) => {
                    form.notes.push(format!(
                        "its rows lie in the cache, not in {location}: nothing is written to S3"
                    ));
                }
                ("table_type", Property::Text(kind)) if kind.eq_ignore_ascii_case("HIVE") => {}
                ("table_type", Property::Text(kind)) if kind.eq_ignore_ascii_case("ICEBERG") => {
                    form.notes.push("it takes rows by INSERT INTO, and is no table of Iceberg: UPDATE, DELETE, MERGE and earlier versions are not there".into());
                }
                (name, _) if STORAGE_PROPERTIES.contains(&name) => {}
                (name, _) => {
                    let known = STORAGE_PROPERTIES.iter().chain(&[
                        "format",
                        "partitioned_by",
                        "external_location",
                        "location",
                        "table_type",
                    ]);
                    let known = known.map(|name| (*name).to_owned()).collect::<Vec<_>>();
                    return Err(EngineError::Table {
                        message: format!("a table has no property `{name}`, or not of this form"),
                        hint: crate::error::nearest(name, &known)
                            .map(|name| format!("did you mean `{name}`?")),
                    });
                }
            }
        }
        Ok(form)
    }

    /// The partition columns: the last ones of the query, in its order.
    fn partition_columns(&self, schema: &SchemaRef) -> Result<Vec<String>, EngineError> {
        last_columns(&self.partitioned_by, schema)
    }
}

/// Makes sure that partition columns are the last ones of a query, in its order.
pub(super) fn last_columns(
    wanted: &[String],
    schema: &SchemaRef,
) -> Result<Vec<String>, EngineError> {
    let names = schema
        .fields()
        .iter()
        .map(|field| field.name().to_lowercase());
    let names = names.collect::<Vec<_>>();
    if wanted.is_empty() || names.len() > wanted.len() && names.ends_with(wanted) {
        return Ok(wanted.to_vec());
    }
    Err(refused(
        format!(
            "the partition columns {} are not the last of the query",
            wanted.join(", ")
        ),
        "select them last, in the same order, after at least one other column",
    ))
}

/// The definition of a table of rows: Hive's DDL, and the exact types beside it.
fn definition_of(
    schema: &str,
    name: &str,
    stored: &SchemaRef,
    partitions: &[String],
    form: &Form,
) -> String {
    let (partition_columns, columns) = stored
        .fields()
        .iter()
        .map(|field| Column {
            name: field.name().to_lowercase(),
            data_type: field.data_type().clone(),
            comment: None,
        })
        .partition(|column: &Column| partitions.contains(&column.name));
    let properties = BTreeMap::from([
        (COLUMNS_PROPERTY.to_owned(), columns_text(stored)),
        (
            "classification".to_owned(),
            form.format.to_ascii_lowercase(),
        ),
    ]);
    HiveTable {
        name: TableName::new(Some(schema), name),
        if_not_exists: false,
        columns,
        partition_columns,
        comment: None,
        clustering: None,
        row_format: None,
        stored_as: None,
        location: None,
        properties,
    }
    .to_ddl()
}

/// Refuses columns that no table or view can have.
pub(super) fn distinct_columns(schema: &SchemaRef) -> Result<(), EngineError> {
    let mut names = BTreeSet::new();
    for field in schema.fields() {
        // What Trino allows twice in a result is marked.
        let name = field
            .name()
            .split('\u{1}')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        if field.data_type() == &DataType::Null {
            return Err(refused(
                format!("column `{name}` has no type"),
                "CAST(NULL AS varchar) gives it one",
            ));
        }
        if !names.insert(name.clone()) {
            return Err(refused(
                format!("column `{name}` is given twice"),
                "AS gives one of them another name",
            ));
        }
    }
    Ok(())
}

/// The rows of a query in the columns of a table: by position; what is not given is null.
fn fitted(
    plan: LogicalPlan,
    target: &SchemaRef,
    columns: &[String],
) -> Result<LogicalPlan, String> {
    let names = match columns.is_empty() {
        true => target
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect(),
        false => columns.to_vec(),
    };
    let given = plan
        .schema()
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().clone()));
    let given = given.collect::<Vec<_>>();
    if given.len() != names.len() {
        return Err(format!(
            "the query gives {} columns, {} are wanted",
            given.len(),
            names.len()
        ));
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| target.column_with_name(name).is_none())
    {
        return Err(format!("the table has no column `{unknown}`"));
    }
    let qualified = plan.schema().columns();
    let mut exprs: Vec<Expr> = Vec::new();
    for field in target.fields() {
        let data_type = field.data_type();
        let value = match names.iter().position(|name| name == field.name()) {
            None => lit(ScalarValue::try_from(data_type).map_err(|e| e.strip_backtrace())?),
            Some(index) => {
                let from = &given[index].1;
                if !goes_into(from, data_type) {
                    return Err(format!(
                        "column `{}` is {}, the query gives {}",
                        field.name(),
                        hive_type(data_type),
                        hive_type(from)
                    ));
                }
                let value = Expr::Column(qualified[index].clone());
                if from == data_type {
                    value
                } else {
                    cast(value, data_type.clone())
                }
            }
        };
        exprs.push(value.alias(field.name()));
    }
    let plan = LogicalPlanBuilder::from(plan).project(exprs);
    plan.and_then(LogicalPlanBuilder::build)
        .map_err(|e| e.strip_backtrace())
}

/// Whether values of one type go into a column of another without a cast that is written down.
fn goes_into(from: &DataType, to: &DataType) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View);
    from == to
        || from == &DataType::Null
        || from.is_numeric() && to.is_numeric()
        || is_text(from) && is_text(to)
        || matches!(
            (from, to),
            (
                DataType::Timestamp(..) | DataType::Date32,
                DataType::Timestamp(..)
            )
        )
        || from.is_nested()
            && to.is_nested()
            && datafusion::arrow::compute::can_cast_types(from, to)
}

#[cfg(test)]
mod tests;
