//! What a statement is, told from its first words.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    Embedded, HiveTable, PartitionTerm, Piece, Properties, StatementError, TableChange, TableName,
    alter::{alter, terms},
    cursor::Cursor,
    hive::{external_table, properties},
    write,
};

/// The words that begin a query. `FROM` first is no Athena, but DataFusion's.
const QUERY: [&str; 5] = ["SELECT", "WITH", "VALUES", "TABLE", "FROM"];

const A_STATEMENT: &str = "a statement such as SELECT, SHOW, DESCRIBE or CREATE EXTERNAL TABLE";

/// One statement. Names are folded to lower case.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "a statement lives as long as it takes to execute it, and there is one at a time"
)]
pub enum Statement {
    /// A question, or `EXPLAIN` of one: its text, for DataFusion to plan.
    Query(String),
    /// `CREATE EXTERNAL TABLE`.
    CreateExternalTable(HiveTable),
    /// `MSCK REPAIR TABLE`.
    MsckRepair {
        /// The table.
        table: TableName,
    },
    /// `ALTER TABLE`.
    AlterTable {
        /// The table.
        table: TableName,
        /// What changes.
        change: TableChange,
    },
    /// `CREATE DATABASE` or `CREATE SCHEMA`.
    CreateDatabase {
        /// The schema.
        name: String,
        /// Whether one that is there already is no error.
        if_not_exists: bool,
    },
    /// `DROP DATABASE` or `DROP SCHEMA`.
    DropDatabase {
        /// The schema.
        name: String,
        /// Whether one that is not there is no error.
        if_exists: bool,
        /// Whether its tables go, too.
        cascade: bool,
    },
    /// `CREATE TABLE … AS`.
    CreateTableAs {
        /// The table.
        name: TableName,
        /// Whether a table that is there already is left as it is.
        if_not_exists: bool,
        /// `WITH (…)`.
        properties: Properties,
        /// Its rows.
        query: Embedded,
        /// Whether the rows are wanted, or only the columns.
        with_data: bool,
    },
    /// `INSERT INTO`.
    InsertInto {
        /// The table.
        table: TableName,
        /// The columns that get values; all when empty.
        columns: Vec<String>,
        /// The rows.
        query: Embedded,
    },
    /// `UNLOAD (…) TO '…'`.
    Unload {
        /// The rows.
        query: Embedded,
        /// Where they go.
        to: String,
        /// `WITH (…)`.
        properties: Properties,
    },
    /// `PREPARE name FROM …`.
    Prepare {
        /// Its name.
        name: String,
        /// The statement, with `?` for what is given later.
        statement: Embedded,
    },
    /// `EXECUTE name`.
    Execute {
        /// The name of the prepared statement.
        name: String,
        /// What stands for its `?`, as written.
        arguments: Vec<String>,
    },
    /// `EXECUTE IMMEDIATE '…'`.
    ExecuteImmediate {
        /// The statement.
        statement: String,
        /// What stands for its `?`, as written.
        arguments: Vec<String>,
    },
    /// `DEALLOCATE PREPARE name`.
    Deallocate {
        /// The name of the prepared statement.
        name: String,
    },
    /// `DROP TABLE`.
    DropTable {
        /// The table.
        name: TableName,
        /// Whether one that is not there is no error.
        if_exists: bool,
    },
    /// `CREATE VIEW`.
    CreateView {
        /// The view.
        name: TableName,
        /// Whether a view that is there already is replaced.
        or_replace: bool,
        /// Its query.
        query: Embedded,
    },
    /// `DROP VIEW`.
    DropView {
        /// The view.
        name: TableName,
        /// Whether one that is not there is no error.
        if_exists: bool,
    },
    /// `SHOW TABLES`.
    ShowTables {
        /// The schema asked for.
        schema: Option<String>,
        /// Hive's pattern: `*` is any text, `|` separates alternatives.
        pattern: Option<String>,
    },
    /// `SHOW VIEWS`.
    ShowViews {
        /// The schema asked for.
        schema: Option<String>,
        /// Hive's pattern, as in `SHOW TABLES`.
        pattern: Option<String>,
    },
    /// `SHOW DATABASES` or `SHOW SCHEMAS`.
    ShowDatabases {
        /// Hive's pattern, as in `SHOW TABLES`.
        pattern: Option<String>,
    },
    /// `SHOW FUNCTIONS`.
    ShowFunctions {
        /// The pattern of `LIKE`: `%` is any text, `_` any character.
        pattern: Option<String>,
    },
    /// `SHOW COLUMNS`.
    ShowColumns {
        /// The table.
        table: TableName,
    },
    /// `DESCRIBE`.
    Describe {
        /// The table or view.
        table: TableName,
        /// Whether all that is known of it is wanted.
        is_detailed: bool,
        /// The partition that is meant.
        partition: Vec<PartitionTerm>,
        /// The one column that is meant, and the path to a field in it.
        column: Vec<String>,
    },
    /// `SHOW PARTITIONS`.
    ShowPartitions {
        /// The table.
        table: TableName,
    },
    /// `SHOW CREATE TABLE`.
    ShowCreateTable {
        /// The table.
        table: TableName,
    },
    /// `SHOW CREATE VIEW`.
    ShowCreateView {
        /// The view.
        view: TableName,
    },
    /// `SHOW TBLPROPERTIES`.
    ShowTableProperties {
        /// The table.
        table: TableName,
        /// The one property asked for.
        key: Option<String>,
    },
    /// A statement that is known and deliberately absent. Its text was not looked at further.
    Unsupported {
        /// Its name: `INSERT`, `ALTER TABLE SET LOCATION`.
        what: String,
        /// What to do instead.
        hint: String,
    },
}

impl Statement {
    /// Tells what a piece of a script is and reads it, unless it is a query.
    ///
    /// # Errors
    /// [`StatementError`]; its place counts in the text of the piece.
    pub fn parse(piece: &Piece) -> Result<Self, StatementError> {
        let mut cursor = Cursor::new(&piece.text)?;
        if begins_query(&cursor, 0) {
            return Ok(Self::Query(piece.text.clone()));
        }
        if cursor.at(&["EXPLAIN"]) {
            return explain(&mut cursor, &piece.text);
        }
        let Some(first) = cursor.peek_word(0) else {
            return Err(cursor.unexpected(A_STATEMENT));
        };
        let statement = match first.as_str() {
            "CREATE" => create(&mut cursor)?,
            "DROP" => drop_statement(&mut cursor)?,
            "ALTER" => alter(&mut cursor)?,
            "MSCK" => msck(&mut cursor)?,
            "SHOW" => show(&mut cursor)?,
            "DESCRIBE" | "DESC" => describe(&mut cursor)?,
            "INSERT" => write::insert(&mut cursor)?,
            "UNLOAD" => write::unload(&mut cursor)?,
            "PREPARE" => write::prepare(&mut cursor)?,
            "EXECUTE" => write::execute(&mut cursor)?,
            "DEALLOCATE" => write::deallocate(&mut cursor)?,
            _ => match hint(&first) {
                Some(hint) => return Ok(unsupported(first, hint)),
                None => return Err(cursor.unexpected(A_STATEMENT)),
            },
        };
        if !matches!(statement, Self::Unsupported { .. }) {
            cursor.expect_end()?;
        }
        Ok(statement)
    }

    /// The statement's name, in capitals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Query(_) => "SELECT",
            Self::CreateExternalTable(_) => "CREATE EXTERNAL TABLE",
            Self::MsckRepair { .. } => "MSCK REPAIR TABLE",
            Self::AlterTable { .. } => "ALTER TABLE",
            Self::CreateDatabase { .. } => "CREATE DATABASE",
            Self::DropDatabase { .. } => "DROP DATABASE",
            Self::CreateTableAs { .. } => "CREATE TABLE AS",
            Self::InsertInto { .. } => "INSERT INTO",
            Self::Unload { .. } => "UNLOAD",
            Self::Prepare { .. } => "PREPARE",
            Self::Execute { .. } | Self::ExecuteImmediate { .. } => "EXECUTE",
            Self::Deallocate { .. } => "DEALLOCATE PREPARE",
            Self::DropTable { .. } => "DROP TABLE",
            Self::CreateView { .. } => "CREATE VIEW",
            Self::DropView { .. } => "DROP VIEW",
            Self::ShowTables { .. } => "SHOW TABLES",
            Self::ShowViews { .. } => "SHOW VIEWS",
            Self::ShowDatabases { .. } => "SHOW DATABASES",
            Self::ShowFunctions { .. } => "SHOW FUNCTIONS",
            Self::ShowColumns { .. } => "SHOW COLUMNS",
            Self::Describe { .. } => "DESCRIBE",
            Self::ShowPartitions { .. } => "SHOW PARTITIONS",
            Self::ShowCreateTable { .. } => "SHOW CREATE TABLE",
            Self::ShowCreateView { .. } => "SHOW CREATE VIEW",
            Self::ShowTableProperties { .. } => "SHOW TBLPROPERTIES",
            Self::Unsupported { .. } => "this statement",
        }
    }
}

/// Whether a query begins here; a bracket can only be one's.
pub(super) fn begins_query(cursor: &Cursor<'_>, ahead: usize) -> bool {
    cursor.peek(ahead) == Some(&Token::LParen)
        || cursor
            .peek_word(ahead)
            .is_some_and(|word| QUERY.contains(&word.as_str()))
}

/// `EXPLAIN ANALYZE` executes: it must not reach what would be refused without it.
///
/// Athena's options in brackets become DataFusion's clause, in as many characters, so that places stay.
fn explain(cursor: &mut Cursor<'_>, text: &str) -> Result<Statement, StatementError> {
    cursor.skip();
    let mut text = text.to_owned();
    let mut formats = 0;
    loop {
        if cursor.peek(0) == Some(&Token::LParen) && !is_query_in_brackets(cursor) {
            let start = cursor.offset();
            let clause = explain_options(cursor)?;
            // Up to the closing bracket, which is one byte before what was not read.
            let end = start
                + text[start..cursor.offset()]
                    .rfind(')')
                    .map_or(0, |at| at + 1);
            let width = text[start..end].chars().count();
            text.replace_range(start..end, &format!("{clause:width$}"));
            return Ok(explained(cursor, text));
        } else if cursor.accept(&["FORMAT"]) {
            formats += 1;
            cursor.skip();
        } else if formats > 0 || !cursor.accept_any(&["ANALYZE", "VERBOSE"]) {
            return Ok(explained(cursor, text));
        }
    }
}

fn explained(cursor: &Cursor<'_>, text: String) -> Statement {
    match cursor.peek_word(0) {
        Some(word) if !begins_query(cursor, 0) => unsupported(
            format!("EXPLAIN {word}"),
            "queries can be explained: EXPLAIN SELECT …",
        ),
        _ => Statement::Query(text),
    }
}

/// Whether the bracket that comes next is a query's rather than that of options.
fn is_query_in_brackets(cursor: &Cursor<'_>) -> bool {
    let mut ahead = 1;
    while cursor.peek(ahead) == Some(&Token::LParen) {
        ahead += 1;
    }
    begins_query(cursor, ahead)
}

/// Reads `(FORMAT …, TYPE …)`; DataFusion's words for it, not longer.
fn explain_options(cursor: &mut Cursor<'_>) -> Result<&'static str, StatementError> {
    const FORMATS: [(&str, &str); 3] = [
        ("TEXT", ""),
        ("GRAPHVIZ", "FORMAT GRAPHVIZ"),
        ("JSON", "FORMAT JSON"),
    ];
    let mut clause = "";
    cursor.list(|cursor| {
        if cursor.accept(&["TYPE"]) {
            return match cursor.accept_any(&["LOGICAL", "DISTRIBUTED", "VALIDATE", "IO"]) {
                true => Ok(()),
                false => Err(cursor.unexpected("LOGICAL, DISTRIBUTED, VALIDATE or IO")),
            };
        }
        cursor.expect(&["FORMAT"])?;
        match FORMATS.iter().find(|(word, _)| cursor.accept(&[word])) {
            Some((_, words)) => clause = words,
            None => return Err(cursor.unexpected("TEXT, JSON or GRAPHVIZ")),
        }
        Ok(())
    })?;
    Ok(clause)
}

fn create(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    if cursor.accept(&["EXTERNAL", "TABLE"]) {
        return Ok(Statement::CreateExternalTable(external_table(cursor)?));
    }
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        return create_database(cursor);
    }
    if cursor.at(&["VIEW"]) || cursor.at(&["OR", "REPLACE", "VIEW"]) {
        return write::create_view(cursor);
    }
    if cursor.accept(&["TABLE"]) {
        return write::create_table_as(cursor);
    }
    let what = words_from(cursor, "CREATE", 1);
    Ok(unsupported(
        what,
        "tables, views and databases can be created",
    ))
}

fn create_database(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let if_not_exists = cursor.accept(&["IF", "NOT", "EXISTS"]);
    let name = cursor.schema_name()?;
    if cursor.accept(&["COMMENT"]) {
        cursor.text("a comment in quotes")?;
    }
    if cursor.accept(&["LOCATION"]) {
        cursor.text("a location in quotes")?;
    }
    if cursor.accept(&["WITH", "DBPROPERTIES"]) {
        properties(cursor)?;
    }
    Ok(Statement::CreateDatabase {
        name,
        if_not_exists,
    })
}

fn drop_statement(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let what = words_from(cursor, "", 2);
    cursor.skip();
    if cursor.accept_any(&["DATABASE", "SCHEMA"]) {
        let if_exists = cursor.accept(&["IF", "EXISTS"]);
        let name = cursor.schema_name()?;
        let cascade = cursor.accept(&["CASCADE"]);
        if !cascade {
            cursor.accept(&["RESTRICT"]);
        }
        return Ok(Statement::DropDatabase {
            name,
            if_exists,
            cascade,
        });
    }
    let is_table = cursor.accept(&["TABLE"]);
    if !is_table && !cursor.accept(&["VIEW"]) {
        return Ok(unsupported(
            what,
            "tables, views and databases can be dropped",
        ));
    }
    let if_exists = cursor.accept(&["IF", "EXISTS"]);
    let name = cursor.table_name()?;
    if !is_table {
        return Ok(Statement::DropView { name, if_exists });
    }
    cursor.accept(&["PURGE"]);
    Ok(Statement::DropTable { name, if_exists })
}

fn msck(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    cursor.accept(&["REPAIR"]);
    cursor.expect(&["TABLE"])?;
    let table = cursor.table_name()?;
    if cursor.accept_any(&["ADD", "DROP", "SYNC"]) {
        cursor.expect(&["PARTITIONS"])?;
    }
    Ok(Statement::MsckRepair { table })
}

fn show(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let what = words_from(cursor, "", 2);
    cursor.skip();
    if cursor.accept(&["TABLES"]) {
        let (schema, pattern) = (in_schema(cursor)?, pattern(cursor)?);
        return Ok(Statement::ShowTables { schema, pattern });
    }
    if cursor.accept(&["VIEWS"]) {
        let (schema, pattern) = (in_schema(cursor)?, pattern(cursor)?);
        return Ok(Statement::ShowViews { schema, pattern });
    }
    if cursor.accept_any(&["DATABASES", "SCHEMAS"]) {
        // Trino names a catalog here; there is one.
        in_schema(cursor)?;
        let pattern = pattern(cursor)?;
        return Ok(Statement::ShowDatabases { pattern });
    }
    if cursor.accept(&["FUNCTIONS"]) {
        in_schema(cursor)?;
        let pattern = pattern(cursor)?;
        return Ok(Statement::ShowFunctions { pattern });
    }
    if cursor.accept(&["COLUMNS"]) {
        if !cursor.accept_any(&["IN", "FROM"]) {
            return Err(cursor.unexpected("IN or FROM"));
        }
        let table = cursor.table_name()?;
        let schema = in_schema(cursor)?;
        let table = table.or_in_schema(schema);
        return Ok(Statement::ShowColumns { table });
    }
    if cursor.accept(&["PARTITIONS"]) {
        let table = cursor.table_name()?;
        return Ok(Statement::ShowPartitions { table });
    }
    if cursor.accept(&["CREATE", "TABLE"]) {
        let table = cursor.table_name()?;
        return Ok(Statement::ShowCreateTable { table });
    }
    if cursor.accept(&["CREATE", "VIEW"]) {
        let view = cursor.table_name()?;
        return Ok(Statement::ShowCreateView { view });
    }
    if cursor.accept(&["TBLPROPERTIES"]) {
        let table = cursor.table_name()?;
        let mut key = None;
        if cursor.accept_sign(&Token::LParen) {
            key = Some(cursor.text("a property's name in quotes")?);
            cursor.expect_sign(&Token::RParen)?;
        }
        return Ok(Statement::ShowTableProperties { table, key });
    }
    Ok(unsupported(
        what,
        "SHOW knows TABLES, VIEWS, DATABASES, FUNCTIONS, COLUMNS, PARTITIONS, TBLPROPERTIES, CREATE TABLE and CREATE VIEW",
    ))
}

fn in_schema(cursor: &mut Cursor<'_>) -> Result<Option<String>, StatementError> {
    match cursor.accept_any(&["IN", "FROM"]) {
        true => cursor.schema_name().map(Some),
        false => Ok(None),
    }
}

fn pattern(cursor: &mut Cursor<'_>) -> Result<Option<String>, StatementError> {
    match cursor.accept(&["LIKE"]) {
        true => cursor.text("a pattern in quotes").map(Some),
        false => Ok(cursor.accept_text()),
    }
}

fn describe(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    cursor.skip();
    // Each of these words can also be the table's name, when nothing follows.
    let mut is_detailed = false;
    while cursor.peek(1).is_some_and(|next| *next != Token::Period) {
        if cursor.accept_any(&["EXTENDED", "FORMATTED"]) {
            is_detailed = true;
        } else if !cursor.accept_any(&["TABLE", "VIEW"]) {
            break;
        }
    }
    let another = ["DATABASE", "SCHEMA", "INPUT", "OUTPUT"];
    let is_another = cursor.peek(1).is_some_and(|next| *next != Token::Period)
        && another.iter().any(|word| cursor.at(&[word]));
    if is_another {
        return Ok(unsupported(
            words_from(cursor, "DESCRIBE", 1),
            "tables and views can be described; SHOW TABLES IN lists what a database holds",
        ));
    }
    let table = cursor.table_name()?;
    let partition = match cursor.accept(&["PARTITION"]) {
        true => terms(cursor, false)?,
        false => vec![],
    };
    let mut column = vec![];
    if cursor.peek(0).is_some() {
        column.push(cursor.name("the name of a column")?);
        while cursor.accept_sign(&Token::Period) {
            column.push(cursor.name("a name after the dot")?);
        }
    }
    Ok(Statement::Describe {
        table,
        is_detailed,
        partition,
        column,
    })
}

/// The next words, at most `count`, after those that were read: the name of a statement.
pub(super) fn words_from(cursor: &Cursor<'_>, before: &str, count: usize) -> String {
    let next = (0..count).map_while(|ahead| cursor.peek_word(ahead));
    let words = Some(before.to_owned()).filter(|before| !before.is_empty());
    words.into_iter().chain(next).collect::<Vec<_>>().join(" ")
}

pub(super) fn unsupported(what: String, hint: &str) -> Statement {
    Statement::Unsupported {
        what,
        hint: hint.to_owned(),
    }
}

/// What to do instead of a statement of other engines or of Athena that has no use here.
fn hint(first: &str) -> Option<&'static str> {
    Some(match first {
        "UPDATE" | "DELETE" | "MERGE" => {
            "Athena does so in Iceberg tables only; CREATE TABLE … AS SELECT keeps the rows as they should be"
        }
        "REPLACE" | "TRUNCATE" | "LOAD" | "IMPORT" => {
            "CREATE TABLE … AS SELECT and INSERT INTO write tables of your own"
        }
        "COPY" | "EXPORT" => {
            "UNLOAD (SELECT …) TO a local folder, or run the query and choose where its result goes"
        }
        "USE" => "write the schema before the table: schema.table",
        "USING" => {
            "functions of Lambda and models of SageMaker answer in AWS only: leave the clause and the calls out"
        }
        "SET" | "RESET" | "PRAGMA" => "settings are not changed in SQL",
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "ABORT" => {
            "a statement reads one state of all tables; it needs no transaction"
        }
        "OPTIMIZE" | "VACUUM" | "ANALYZE" | "REFRESH" | "CACHE" => "tables need no maintenance",
        "GRANT" | "REVOKE" | "DENY" => "whoever can read the files can read the tables",
        "CALL" | "COMMENT" | "RENAME" | "ATTACH" | "DETACH" | "INSTALL" | "KILL" | "LOCK" => {
            "queries, SHOW, DESCRIBE, and creating, filling and dropping tables and views are supported"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
