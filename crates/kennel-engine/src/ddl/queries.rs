//! A canned query as Athena can run it: parameters as literals, and the few words that only kennel knows in Athena's.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kennel_athena::statement::{athena_words, with_literals};

use super::DdlOptions;
use crate::{
    CannedQuery, EngineError, ParamType, ParamValues,
    params::{self, Bound},
};

/// Tables that exist in Athena once `kennel ddl` ran there.
fn is_in_athena(table: &str) -> bool {
    match table.split_once('.') {
        Some(("k9", name)) => name.ends_with("_latest"),
        Some(("cloudtrail", name)) => ["cloudtrail_logs", "events"].contains(&name),
        _ => false,
    }
}

impl CannedQuery {
    /// Tables that only kennel has: a query that reads one can be answered here alone.
    pub fn local_tables(&self) -> Vec<&str> {
        let tables = self.reads.iter().map(String::as_str);
        tables.filter(|table| !is_in_athena(table)).collect()
    }

    /// Why the query can be answered here alone, if it cannot be asked in Athena.
    pub fn local_reason(&self) -> Option<String> {
        let local = self.local_tables();
        if !local.is_empty() {
            return Some(format!(
                "it reads {}, which only kennel has",
                local.join(", ")
            ));
        }
        // Trino knows recursion by UNION ALL alone.
        let upper = self.sql.to_uppercase();
        let words = upper.split_whitespace().collect::<Vec<_>>();
        let is_recursive = words.contains(&"RECURSIVE")
            && words
                .windows(2)
                .any(|pair| pair[0] == "UNION" && pair[1] != "ALL");
        is_recursive.then(|| {
            "it goes on until nothing new is found (WITH RECURSIVE … UNION), which only kennel does".to_owned()
        })
    }

    /// The query as Athena can run it over the tables of [`Engine::athena_ddl`](crate::Engine::athena_ddl).
    ///
    /// # Errors
    /// [`EngineError::Param`] as when it is run; [`EngineError::Unsupported`] when only kennel can answer it.
    pub fn to_athena(
        &self,
        values: &ParamValues,
        as_of: Option<DateTime<Utc>>,
        options: &DdlOptions,
    ) -> Result<String, EngineError> {
        if let Some(reason) = self.local_reason() {
            return Err(EngineError::Unsupported {
                what: format!("query `{}` in Athena", self.id),
                hint: format!("{reason}: `kennel run {}`", self.id),
            });
        }
        let bound = params::bind(self, values, as_of)?;
        let literals = bound
            .iter()
            .map(|(name, value)| (name.clone(), literal(value)));
        let literals = literals.collect::<BTreeMap<_, _>>();
        let text = with_literals(&self.sql, &literals)
            .map_err(|error| EngineError::from((error, self.sql.as_str())))?;
        let schemas = match &options.database {
            Some(database) => ["k9", "cloudtrail"]
                .into_iter()
                .map(|schema| (schema, database.as_str()))
                .collect(),
            None => BTreeMap::new(),
        };
        let tables = self
            .reads
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>();
        athena_words(&text, &schemas, &tables)
            .map_err(|error| EngineError::from((error, text.as_str())))
    }
}

/// A value as Athena writes it.
fn literal(value: &Bound) -> String {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (param_type, values) = value.parts();
    let sql_type = match param_type {
        ParamType::Text => "varchar",
        ParamType::Integer => "bigint",
        ParamType::Number => "double",
        ParamType::Boolean => "boolean",
        ParamType::Timestamp => "timestamp(6)",
        ParamType::TextList => "array(varchar)",
    };
    let Some(values) = values else {
        return format!("CAST(NULL AS {sql_type})");
    };
    let first = values.first().map(String::as_str).unwrap_or_default();
    match param_type {
        // Brackets keep a sign from the operator before it.
        ParamType::Integer | ParamType::Boolean if !first.starts_with('-') => first.to_owned(),
        ParamType::Integer | ParamType::Boolean => format!("({first})"),
        ParamType::Text => text(first),
        ParamType::Number => format!("CAST({} AS double)", text(first)),
        ParamType::Timestamp => format!("CAST({} AS timestamp(6))", text(&first.replace('T', " "))),
        ParamType::TextList => {
            let items = values.iter().map(|item| text(item)).collect::<Vec<_>>();
            format!("CAST(ARRAY[{}] AS array(varchar))", items.join(", "))
        }
    }
}
