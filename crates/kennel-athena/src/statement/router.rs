//! What a statement is, told from its first words.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    HiveTable, Piece, StatementError, TableName,
    cursor::Cursor,
    hive::{external_table, properties},
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
    /// `ALTER TABLE … ADD PARTITION`.
    AlterAddPartition {
        /// The table.
        table: TableName,
    },
    /// `ALTER TABLE … DROP PARTITION`.
    AlterDropPartition {
        /// The table.
        table: TableName,
    },
    /// `CREATE DATABASE` or `CREATE SCHEMA`.
    CreateDatabase {
        /// The schema.
        name: String,
        /// Whether one that is there already is no error.
        if_not_exists: bool,
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
        /// The text of its query.
        query: String,
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
            return Ok(explain(&mut cursor, &piece.text));
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
            _ => match hint(&first) {
                Some(hint) => return Ok(unsupported(first, hint)),
                None => return Err(cursor.unexpected(A_STATEMENT)),
            },
        };
        if !matches!(
            statement,
            Self::Unsupported { .. } | Self::CreateView { .. }
        ) {
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
            Self::AlterAddPartition { .. } => "ALTER TABLE ADD PARTITION",
            Self::AlterDropPartition { .. } => "ALTER TABLE DROP PARTITION",
            Self::CreateDatabase { .. } => "CREATE DATABASE",
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
fn begins_query(cursor: &Cursor<'_>, ahead: usize) -> bool {
    cursor.peek(ahead) == Some(&Token::LParen)
        || cursor
            .peek_word(ahead)
            .is_some_and(|word| QUERY.contains(&word.as_str()))
}

/// `EXPLAIN ANALYZE` executes: it must not reach what would be refused without it.
fn explain(cursor: &mut Cursor<'_>, text: &str) -> Statement {
    cursor.skip();
    let options_follow = cursor.peek(0) == Some(&Token::LParen) && !begins_query(cursor, 1);
    if options_follow {
        while cursor.peek(0).is_some() && !cursor.accept_sign(&Token::RParen) {
            cursor.skip();
        }
    }
    loop {
        if cursor.accept(&["FORMAT"]) {
            cursor.skip();
        } else if !cursor.accept_any(&["ANALYZE", "VERBOSE"]) {
            break;
        }
    }
    match cursor.peek_word(0) {
        Some(word) if !begins_query(cursor, 0) => unsupported(
            format!("EXPLAIN {word}"),
            "queries can be explained: EXPLAIN SELECT …",
        ),
        _ => Statement::Query(text.to_owned()),
    }
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
        return create_view(cursor);
    }
    let what = words_from(cursor, "CREATE", 1);
    if what == "CREATE TABLE" {
        return Ok(unsupported(
            what,
            "CREATE EXTERNAL TABLE … LOCATION reads what is there, CREATE VIEW keeps a question",
        ));
    }
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

fn create_view(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let or_replace = cursor.accept(&["OR", "REPLACE"]);
    cursor.expect(&["VIEW"])?;
    let name = cursor.table_name()?;
    if cursor.accept(&["COMMENT"]) {
        cursor.text("a comment in quotes")?;
    }
    if cursor.accept(&["SECURITY"]) && !cursor.accept_any(&["DEFINER", "INVOKER"]) {
        return Err(cursor.unexpected("DEFINER or INVOKER"));
    }
    cursor.expect(&["AS"])?;
    if !begins_query(cursor, 0) {
        return Err(cursor.unexpected("a query"));
    }
    Ok(Statement::CreateView {
        name,
        or_replace,
        query: cursor.rest().to_owned(),
    })
}

fn drop_statement(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let what = words_from(cursor, "", 2);
    cursor.skip();
    let is_table = cursor.accept(&["TABLE"]);
    if !is_table && !cursor.accept(&["VIEW"]) {
        return Ok(unsupported(what, "tables and views can be dropped"));
    }
    let if_exists = cursor.accept(&["IF", "EXISTS"]);
    let name = cursor.table_name()?;
    if !is_table {
        return Ok(Statement::DropView { name, if_exists });
    }
    cursor.accept(&["PURGE"]);
    Ok(Statement::DropTable { name, if_exists })
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let what = words_from(cursor, "", 2);
    cursor.skip();
    if !cursor.accept(&["TABLE"]) {
        return Ok(unsupported(what, "drop it and create it anew"));
    }
    let table = cursor.table_name()?;
    let what = words_from(cursor, &what, 2);
    if cursor.accept(&["ADD", "IF", "NOT", "EXISTS", "PARTITION"])
        || cursor.accept(&["ADD", "PARTITION"])
    {
        loop {
            partition(cursor)?;
            if cursor.accept(&["LOCATION"]) {
                cursor.text("a location in quotes")?;
            }
            if !cursor.accept(&["PARTITION"]) {
                return Ok(Statement::AlterAddPartition { table });
            }
        }
    }
    if cursor.accept(&["DROP", "IF", "EXISTS", "PARTITION"])
        || cursor.accept(&["DROP", "PARTITION"])
    {
        partition(cursor)?;
        while cursor.accept_sign(&Token::Comma) {
            cursor.expect(&["PARTITION"])?;
            partition(cursor)?;
        }
        cursor.accept(&["PURGE"]);
        return Ok(Statement::AlterDropPartition { table });
    }
    Ok(unsupported(what, "drop the table and create it anew"))
}

/// Reads `(name = value, …)`: Hive compares here too, when it drops.
fn partition(cursor: &mut Cursor<'_>) -> Result<(), StatementError> {
    const SIGNS: [Token; 6] = [
        Token::Eq,
        Token::Neq,
        Token::Lt,
        Token::LtEq,
        Token::Gt,
        Token::GtEq,
    ];
    cursor.list(|cursor| {
        cursor.name("the name of a partition column")?;
        if !SIGNS.iter().any(|sign| cursor.accept_sign(sign)) {
            return Err(cursor.unexpected("`=`"));
        }
        match cursor.peek(0) {
            Some(
                Token::SingleQuotedString(_)
                | Token::DoubleQuotedString(_)
                | Token::Number(..)
                | Token::Word(_),
            ) => cursor.skip(),
            _ => return Err(cursor.unexpected("a value")),
        }
        // `date '2024-01-31'`
        cursor.accept_text();
        Ok(())
    })?;
    Ok(())
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
    while cursor.peek(1).is_some_and(|next| *next != Token::Period)
        && cursor.accept_any(&["EXTENDED", "FORMATTED", "TABLE", "VIEW"])
    {}
    let is_database = cursor.peek(1).is_some_and(|next| *next != Token::Period)
        && (cursor.at(&["DATABASE"]) || cursor.at(&["SCHEMA"]));
    if is_database {
        return Ok(unsupported(
            words_from(cursor, "DESCRIBE", 1),
            "SHOW TABLES IN lists what a database holds",
        ));
    }
    let table = cursor.table_name()?;
    if cursor.accept(&["PARTITION"]) {
        partition(cursor)?;
    }
    if cursor.peek_word(0).is_some() {
        return Ok(unsupported(
            "DESCRIBE of one column".into(),
            "DESCRIBE with only the table lists all of them",
        ));
    }
    Ok(Statement::Describe { table })
}

/// The next words, at most `count`, after those that were read: the name of a statement.
fn words_from(cursor: &Cursor<'_>, before: &str, count: usize) -> String {
    let next = (0..count).map_while(|ahead| cursor.peek_word(ahead));
    let words = Some(before.to_owned()).filter(|before| !before.is_empty());
    words.into_iter().chain(next).collect::<Vec<_>>().join(" ")
}

fn unsupported(what: String, hint: &str) -> Statement {
    Statement::Unsupported {
        what,
        hint: hint.to_owned(),
    }
}

/// What to do instead of a statement of other engines or of Athena that has no use here.
fn hint(first: &str) -> Option<&'static str> {
    Some(match first {
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "REPLACE" | "TRUNCATE" | "LOAD" | "IMPORT" => {
            "tables can be read, not written"
        }
        "UNLOAD" | "COPY" | "EXPORT" => "run the query itself and choose where its result goes",
        "PREPARE" | "EXECUTE" | "DEALLOCATE" => {
            "write $name where a value goes and give the value with the query"
        }
        "USE" => "write the schema before the table: schema.table",
        "SET" | "RESET" | "PRAGMA" => "settings are not changed in SQL",
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "ABORT" => {
            "a statement reads one state of all tables; it needs no transaction"
        }
        "OPTIMIZE" | "VACUUM" | "ANALYZE" | "REFRESH" | "CACHE" => "tables need no maintenance",
        "GRANT" | "REVOKE" | "DENY" => "whoever can read the files can read the tables",
        "CALL" | "COMMENT" | "RENAME" | "ATTACH" | "DETACH" | "INSTALL" | "KILL" | "LOCK" => {
            "queries, SHOW, DESCRIBE, and creating and dropping tables and views are supported"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
