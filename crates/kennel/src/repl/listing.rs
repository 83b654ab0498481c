//! What the shell lists: tables, columns, canned queries.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use kennel_engine::{CannedQuery, TableShape};

use super::{screen::Screen, session::Session, types::type_name};
use crate::{
    commands::list,
    error::CliError,
    output::{Look, PlainTable},
    text::{counted, grouped, nearest, visible},
};

/// Schemas in which names without a schema are looked up.
const SEARCHED: [&str; 3] = ["default", "k9", "cloudtrail"];

impl Session<'_> {
    pub(super) async fn tables(&self, pattern: &str) -> Result<(), CliError> {
        let tables = self.engine.tables().await;
        let matching = tables
            .iter()
            .filter(|table| matches(table, pattern))
            .collect::<Vec<_>>();
        if matching.is_empty() {
            return Err(unknown_table(pattern, &tables));
        }
        let mut listed = PlainTable::new(&["table", ">columns", ">rows"], self.whole_look());
        for table in &matching {
            listed.row(&[
                format!("{}.{}", table.schema, table.name),
                table.columns.fields().len().to_string(),
                table.row_count.map(grouped).unwrap_or_default(),
            ]);
        }
        let mut text = Vec::new();
        listed.write(&mut text)?;
        writeln!(text, "({})", counted(matching.len() as u64, "table"))?;
        self.page(&String::from_utf8_lossy(&text))
    }

    pub(super) async fn columns(&self, name: &str) -> Result<(), CliError> {
        let tables = self.engine.tables().await;
        let name = name.to_lowercase().replace(['"', '`'], "");
        let table = match name.split_once('.') {
            Some((schema, name)) => {
                let schema = if schema == "iam" { "k9" } else { schema };
                tables
                    .iter()
                    .find(|table| table.schema == schema && table.name == name)
            }
            None => SEARCHED.iter().find_map(|schema| {
                tables
                    .iter()
                    .find(|table| table.schema == *schema && table.name == name)
            }),
        };
        let Some(table) = table else {
            return Err(unknown_table(&name, &tables));
        };
        let mut listed = PlainTable::new(&["column", "type"], self.whole_look());
        for field in table.columns.fields() {
            listed.row(&[field.name().clone(), type_name(field.data_type())]);
        }
        let mut text = Vec::new();
        listed.write(&mut text)?;
        let count = counted(table.columns.fields().len() as u64, "column");
        writeln!(text, "({}.{}: {count})", table.schema, visible(&table.name))?;
        self.page(&String::from_utf8_lossy(&text))
    }

    pub(super) async fn schema(&self, pattern: &str) -> Result<(), CliError> {
        let tables = self.engine.tables().await;
        let mut text = String::new();
        for table in tables.iter().filter(|table| matches(table, pattern)) {
            let separator = if text.is_empty() { "" } else { "\n" };
            let _infallible = writeln!(
                text,
                "{separator}{}.{} (",
                table.schema,
                visible(&table.name)
            );
            let fields = table.columns.fields();
            for (index, field) in fields.iter().enumerate() {
                let comma = if index + 1 < fields.len() { "," } else { "" };
                let (name, kind) = (visible(field.name()), type_name(field.data_type()));
                let _infallible = writeln!(text, "  {name} {}{comma}", visible(&kind));
            }
            text.push_str(");\n");
        }
        if text.is_empty() {
            return Err(unknown_table(pattern, &tables));
        }
        self.page(&text)
    }

    pub(super) fn list(&self, word: &str) -> Result<(), CliError> {
        let library = self.engine.library();
        let mut text = Vec::new();
        match library.find(word) {
            Ok(query) if !word.is_empty() => list::write_text(query, &mut text)?,
            found => {
                let word = word.to_lowercase();
                let is_about = |query: &&CannedQuery| {
                    [&query.id, &query.title]
                        .into_iter()
                        .chain(&query.tags)
                        .any(|text| text.to_lowercase().contains(&word))
                };
                let queries = library.iter().filter(is_about).collect::<Vec<_>>();
                if queries.is_empty() {
                    found?;
                }
                let mut listed = PlainTable::new(&["id", "title"], self.whole_look());
                for query in &queries {
                    listed.row(&[query.id.clone(), query.title.clone()]);
                }
                listed.write(&mut text)?;
                let noun = if queries.len() == 1 {
                    "query"
                } else {
                    "queries"
                };
                writeln!(
                    text,
                    "({} {noun}; `.list ID` explains one, `.run ID` runs it)",
                    queries.len()
                )?;
            }
        }
        self.page(&String::from_utf8_lossy(&text))
    }

    /// A look for lists of the shell's own, which are shown whole.
    fn whole_look(&self) -> Look {
        Look {
            max_rows: usize::MAX,
            ..self.look()
        }
    }

    /// Shows text that is safe already.
    pub(super) fn page(&self, text: &str) -> Result<(), CliError> {
        let mut screen = Screen::new(&self.cx.printer, self.manner(true), None);
        let shown = screen
            .write_all(text.as_bytes())
            .and_then(|()| screen.finish());
        match shown {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.is_shell() => Ok(()),
            shown => Ok(shown.map(|_| ())?),
        }
    }
}

/// Whether a table is meant: by a part of its name, or by a pattern with `*` or `%`.
fn matches(table: &TableShape, pattern: &str) -> bool {
    let name = format!("{}.{}", table.schema, table.name);
    let pattern = pattern.to_lowercase();
    if pattern.is_empty() {
        return true;
    }
    if !pattern.contains(['*', '%']) {
        return name.contains(&pattern);
    }
    let like = |text: &str| {
        let parts = pattern.split(['*', '%']).collect::<Vec<_>>();
        let mut rest = text;
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let found = match index {
                0 => rest.starts_with(part).then_some(0),
                _ if is_last => rest.ends_with(part).then(|| rest.len() - part.len()),
                _ => rest.find(part),
            };
            let Some(at) = found else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    };
    like(&name) || like(&table.name)
}

fn unknown_table(name: &str, tables: &[TableShape]) -> CliError {
    let told = CliError::new(format!("no table `{name}`"));
    let qualified = tables
        .iter()
        .map(|table| format!("{}.{}", table.schema, table.name))
        .collect::<Vec<_>>();
    let elsewhere = tables.iter().position(|table| table.name == name);
    if let Some(found) = elsewhere.and_then(|index| qualified.get(index)) {
        return told.hint(format!("did you mean `{found}`?"));
    }
    let known = tables.iter().map(|table| table.name.as_str());
    match nearest(name, known.chain(qualified.iter().map(String::as_str))) {
        Some(near) => told.hint(format!("did you mean `{near}`?")),
        None => told.hint("`.tables` lists the tables"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Schema;

    use super::*;

    #[test]
    fn patterns_choose_tables_by_part_or_by_star() {
        let table = TableShape {
            schema: "k9".into(),
            name: "principals_latest".into(),
            columns: Arc::new(Schema::empty()),
            row_count: None,
        };
        for pattern in [
            "",
            "k9",
            "PRINC",
            "k9.*",
            "*_latest",
            "princ*late%",
            "%cip%",
        ] {
            assert!(matches(&table, pattern), "{pattern}");
        }
        for pattern in ["k8", "princ", "*principals"]
            .iter()
            .skip(2)
            .chain(&["x*", "latest*"])
        {
            assert!(!matches(&table, pattern), "{pattern}");
        }
    }
}
