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
        "SHOW knows TABLES, VIEWS, DATABASES, COLUMNS, PARTITIONS, TBLPROPERTIES, CREATE TABLE and CREATE VIEW",
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statement::split;

    fn parse(sql: &str) -> Result<Statement, StatementError> {
        let pieces = split(sql)?;
        assert_eq!(pieces.len(), 1, "{sql}");
        Statement::parse(&pieces[0])
    }

    fn name(text: &str) -> TableName {
        TableName::from_parts(text.split('.').map(str::to_owned).collect()).unwrap()
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn questions_keep_their_text() {
        for sql in [
            "SELECT 1 FROM \"$path\" -- why",
            "-- first\nwith x as (select 1) select * from x",
            "VALUES (1), (2)",
            "TABLE t",
            "((SELECT 1) UNION SELECT 2)",
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE VERBOSE SELECT 1",
            "EXPLAIN (FORMAT JSON, TYPE LOGICAL) SELECT 1",
            "EXPLAIN FORMAT TREE (SELECT 1)",
            "FROM t SELECT a",
        ] {
            assert_eq!(parse(sql), Ok(Statement::Query(sql.into())), "{sql}");
        }
    }

    #[test]
    fn repairs_and_partitions_need_only_a_table() {
        let table = || name("k9.t");
        for sql in [
            "MSCK REPAIR TABLE k9.t;",
            "msck /* now */ repair table `K9`.`T`",
            "MSCK REPAIR TABLE \"k9\".\"t\"",
            "MSCK REPAIR TABLE AwsDataCatalog.k9.t SYNC PARTITIONS",
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::MsckRepair { table: table() }),
                "{sql}"
            );
        }
        for sql in [
            "ALTER TABLE k9.t ADD PARTITION (year='2024', month=\"01\", day = 31)",
            "ALTER TABLE k9.t ADD IF NOT EXISTS PARTITION (`dt`=date '2024-01-31') LOCATION 's3://b/1/' \
             PARTITION (dt=x) LOCATION 's3://b/2/'",
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::AlterAddPartition { table: table() }),
                "{sql}"
            );
        }
        for sql in [
            "ALTER TABLE k9.t DROP PARTITION (year<'2024')",
            "ALTER TABLE k9.t DROP IF EXISTS PARTITION (y='1'), PARTITION (y>='2', m!='3') PURGE",
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::AlterDropPartition { table: table() }),
                "{sql}"
            );
        }
    }

    #[test]
    fn databases_tables_and_views_are_created_and_dropped() {
        assert_eq!(
            parse(
                "CREATE DATABASE IF NOT EXISTS `K9` COMMENT 'it''s' LOCATION 's3://b/' WITH DBPROPERTIES ('a'='b')"
            ),
            Ok(Statement::CreateDatabase {
                name: "k9".into(),
                if_not_exists: true
            })
        );
        assert_eq!(
            parse("CREATE SCHEMA awsdatacatalog.k9"),
            Ok(Statement::CreateDatabase {
                name: "k9".into(),
                if_not_exists: false
            })
        );
        assert_eq!(
            parse("DROP TABLE IF EXISTS `k9.t`"),
            Ok(Statement::DropTable {
                name: TableName::new(None, "k9.t"),
                if_exists: true
            })
        );
        assert_eq!(
            parse("DROP VIEW k9.v"),
            Ok(Statement::DropView {
                name: name("k9.v"),
                if_exists: false
            })
        );
        assert_eq!(
            parse(
                "CREATE OR REPLACE VIEW \"V\" COMMENT 'x' SECURITY INVOKER AS\n  SELECT ';' -- a\n FROM t -- b\n;"
            ),
            Ok(Statement::CreateView {
                name: name("v"),
                or_replace: true,
                query: "SELECT ';' -- a\n FROM t -- b".into(),
            })
        );
        assert!(matches!(
            parse("CREATE VIEW v AS (SELECT 1)"),
            Ok(Statement::CreateView {
                or_replace: false,
                ..
            })
        ));
    }

    #[test]
    fn the_catalog_is_shown() {
        let tables = |schema, pattern| Ok(Statement::ShowTables { schema, pattern });
        assert_eq!(parse("SHOW TABLES"), tables(None, None));
        assert_eq!(
            parse("SHOW TABLES IN K9 '*_latest|x'"),
            tables(text("k9"), text("*_latest|x"))
        );
        assert_eq!(
            parse("show tables from `k9` like \"a\\\\b\""),
            tables(text("k9"), text("a\\b"))
        );
        let views = Statement::ShowViews {
            schema: text("k9"),
            pattern: text("v*"),
        };
        assert_eq!(parse("SHOW VIEWS IN k9 LIKE 'v*'"), Ok(views));
        for sql in [
            "SHOW DATABASES LIKE 'k*'",
            "SHOW SCHEMAS IN awsdatacatalog 'k*'",
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::ShowDatabases {
                    pattern: text("k*")
                })
            );
        }
        for sql in ["SHOW COLUMNS IN k9.t", "SHOW COLUMNS FROM t FROM k9"] {
            assert_eq!(
                parse(sql),
                Ok(Statement::ShowColumns {
                    table: name("k9.t")
                })
            );
        }
        let table = || name("k9.t");
        assert_eq!(
            parse("SHOW PARTITIONS k9.t"),
            Ok(Statement::ShowPartitions { table: table() })
        );
        assert_eq!(
            parse("SHOW CREATE TABLE k9.t"),
            Ok(Statement::ShowCreateTable { table: table() })
        );
        assert_eq!(
            parse("SHOW CREATE VIEW k9.t"),
            Ok(Statement::ShowCreateView { view: table() })
        );
        let properties = Statement::ShowTableProperties {
            table: table(),
            key: text("a.b"),
        };
        assert_eq!(parse("SHOW TBLPROPERTIES k9.t('a.b')"), Ok(properties));
    }

    #[test]
    fn tables_are_described() {
        for sql in [
            "DESCRIBE k9.t",
            "desc k9.t",
            "DESCRIBE EXTENDED k9.t",
            "DESCRIBE FORMATTED k9.t PARTITION (a='b')",
            "DESCRIBE VIEW k9.t",
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::Describe {
                    table: name("k9.t")
                }),
                "{sql}"
            );
        }
        for (sql, table) in [
            ("DESCRIBE extended", "extended"),
            ("DESCRIBE database.t", "database.t"),
        ] {
            assert_eq!(
                parse(sql),
                Ok(Statement::Describe { table: name(table) }),
                "{sql}"
            );
        }
    }

    #[test]
    fn what_is_deliberately_absent_has_a_name_and_a_hint() {
        for (sql, expected) in [
            ("INSERT INTO t VALUES (1)", "INSERT"),
            ("copy (SELECT 1) TO 'x'", "COPY"),
            (
                "UNLOAD (SELECT 1) TO 's3://b' WITH (format = 'ORC')",
                "UNLOAD",
            ),
            ("EXPLAIN ANALYZE INSERT INTO t SELECT 1", "EXPLAIN INSERT"),
            ("EXPLAIN ANALYZE COPY t TO 'x'", "EXPLAIN COPY"),
            ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
            ("CREATE FUNCTION f", "CREATE FUNCTION"),
            (
                "ALTER TABLE t SET LOCATION 's3://b/'",
                "ALTER TABLE SET LOCATION",
            ),
            (
                "ALTER TABLE t PARTITION (a='b') RENAME TO PARTITION (a='c')",
                "ALTER TABLE PARTITION",
            ),
            (
                "ALTER DATABASE d SET DBPROPERTIES ('a'='b')",
                "ALTER DATABASE",
            ),
            ("DROP DATABASE d CASCADE", "DROP DATABASE"),
            ("SHOW FUNCTIONS", "SHOW FUNCTIONS"),
            ("DESCRIBE DATABASE d", "DESCRIBE DATABASE"),
            ("DESCRIBE t a.b", "DESCRIBE of one column"),
        ] {
            match parse(sql) {
                Ok(Statement::Unsupported { what, hint }) => {
                    assert_eq!(what, expected, "{sql}");
                    assert!(!hint.is_empty(), "{sql}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn wrong_statements_are_errors_at_their_place() {
        for (sql, message, place) in [
            (
                "SELEC 1",
                format!("expected {A_STATEMENT}, found `SELEC`"),
                (1, 1),
            ),
            (
                "-- a\n 'x'",
                format!("expected {A_STATEMENT}, found `'x'`"),
                (2, 2),
            ),
            ("MSCK REPAIR t", "expected TABLE, found `t`".into(), (1, 13)),
            (
                "MSCK REPAIR TABLE",
                "expected the name of a table, found the end of the statement".into(),
                (1, 18),
            ),
            (
                "DROP TABLE a.b.c.d",
                "expected the end of the statement, found `.`".into(),
                (1, 17),
            ),
            (
                "DROP TABLE ``",
                "expected the name of a table, found ````".into(),
                (1, 12),
            ),
            (
                "SHOW TABLES k9",
                "expected the end of the statement, found `k9`".into(),
                (1, 13),
            ),
            (
                "SHOW COLUMNS t",
                "expected IN or FROM, found `t`".into(),
                (1, 14),
            ),
            (
                "ALTER TABLE t ADD PARTITION (a)",
                "expected `=`, found `)`".into(),
                (1, 31),
            ),
            (
                "CREATE VIEW v AS\nINSERT INTO t",
                "expected a query, found `INSERT`".into(),
                (2, 1),
            ),
            (
                "DESCRIBE EXTENDED\n\n'a\nb'",
                "expected the name of a table, found `'a b'`".into(),
                (3, 1),
            ),
        ] {
            let error = parse(sql).unwrap_err();
            assert_eq!(
                (error.to_string(), error.place()),
                (message, Some(place)),
                "{sql}"
            );
        }
        let long = format!("SHOW COLUMNS '{}'", "x".repeat(10_000));
        assert!(parse(&long).unwrap_err().to_string().len() < 100);
    }

    /// Words and signs of the grammar in no order at all.
    fn token_soup() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "CREATE EXTERNAL TABLE",
            "CREATE",
            "EXTERNAL",
            "TABLE",
            "DATABASE",
            "VIEW",
            "OR REPLACE",
            "AS",
            "SELECT",
            "IF NOT EXISTS",
            "t",
            "`a`",
            "\"b\"",
            "'c'",
            ".",
            ",",
            "(",
            ")",
            "<",
            ">",
            ">>",
            ":",
            "=",
            ";",
            "struct",
            "map",
            "array",
            "int",
            "decimal",
            "(a int)",
            "COMMENT",
            "PARTITIONED BY",
            "CLUSTERED BY",
            "INTO",
            "8",
            "BUCKETS",
            "ROW FORMAT",
            "SERDE",
            "DELIMITED",
            "FIELDS TERMINATED BY",
            "WITH SERDEPROPERTIES",
            "STORED AS",
            "PARQUET",
            "INPUTFORMAT",
            "OUTPUTFORMAT",
            "LOCATION",
            "TBLPROPERTIES",
            "ALTER TABLE",
            "ADD",
            "DROP",
            "PARTITION",
            "MSCK",
            "REPAIR",
            "SHOW",
            "TABLES",
            "COLUMNS",
            "IN",
            "LIKE",
            "DESCRIBE",
            "EXTENDED",
            "EXPLAIN",
            "ANALYZE",
            "FORMAT",
            "INSERT",
            "--\n",
            "/**/",
            "$p",
            "?",
            "é",
        ]);
        prop::collection::vec(words, 1..30).prop_map(|words| words.join(" "))
    }

    proptest! {
        #[test]
        fn any_text_is_a_statement_or_an_error_with_a_place_in_it(sql in prop_oneof![token_soup(), any::<String>()]) {
            for piece in split(&sql).unwrap_or_default() {
                if let Err(error) = Statement::parse(&piece) {
                    let (line, column) = error.place().unwrap();
                    let text = piece.text.split('\n').nth(usize::try_from(line).unwrap() - 1).unwrap();
                    prop_assert!(column as usize <= text.chars().count() + 1, "{error} at {line}:{column}");
                }
            }
        }
    }
}
