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
        "EXPLAIN FORMAT TREE (SELECT 1)",
        "FROM t SELECT a",
    ] {
        assert_eq!(parse(sql), Ok(Statement::Query(sql.into())), "{sql}");
    }
}

#[test]
fn the_options_of_explain_become_datafusions_and_places_stay() {
    for (sql, expected) in [
        (
            "EXPLAIN (FORMAT JSON) SELECT 1",
            "EXPLAIN FORMAT JSON   SELECT 1",
        ),
        (
            "EXPLAIN (FORMAT JSON, TYPE LOGICAL) SELECT 1",
            "EXPLAIN FORMAT JSON                 SELECT 1",
        ),
        (
            "explain analyze (format text) /* ( */ (SELECT 1)",
            "explain analyze               /* ( */ (SELECT 1)",
        ),
        (
            "EXPLAIN (TYPE VALIDATE, FORMAT GRAPHVIZ)\nSELECT 1",
            "EXPLAIN FORMAT GRAPHVIZ                 \nSELECT 1",
        ),
    ] {
        assert_eq!(parse(sql), Ok(Statement::Query(expected.into())), "{sql}");
    }
    let error = parse("EXPLAIN (FORMAT XML) SELECT 1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected TEXT, JSON or GRAPHVIZ, found `XML`"
    );
}

#[test]
fn repairs_need_only_a_table() {
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
            name: name("k9.t"),
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
            query: Embedded {
                text: "SELECT ';' -- a\n FROM t -- b".into(),
                offset: 61,
            },
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
    let functions = |pattern| Ok(Statement::ShowFunctions { pattern });
    assert_eq!(parse("SHOW FUNCTIONS"), functions(None));
    assert_eq!(
        parse("show functions LIKE 'regexp%'"),
        functions(text("regexp%"))
    );
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
    let described = |table: &str, is_detailed, column: &[&str]| {
        Ok(Statement::Describe {
            table: name(table),
            is_detailed,
            partition: vec![],
            column: column.iter().map(|part| (*part).to_owned()).collect(),
        })
    };
    for sql in ["DESCRIBE k9.t", "desc k9.t", "DESCRIBE VIEW k9.t"] {
        assert_eq!(parse(sql), described("k9.t", false, &[]), "{sql}");
    }
    assert_eq!(
        parse("DESCRIBE EXTENDED k9.t"),
        described("k9.t", true, &[])
    );
    assert_eq!(
        parse("DESCRIBE t A.`b`"),
        described("t", false, &["a", "b"])
    );
    assert!(matches!(
        parse("DESCRIBE FORMATTED k9.t PARTITION (a='b')"),
        Ok(Statement::Describe { partition, .. }) if partition[0].value == "b"
    ));
    for table in ["extended", "database.t"] {
        assert_eq!(
            parse(&format!("DESCRIBE {table}")),
            described(table, false, &[])
        );
    }
}

#[test]
fn databases_are_dropped() {
    for (sql, cascade) in [
        ("DROP SCHEMA IF EXISTS D", false),
        ("DROP DATABASE IF EXISTS `d` CASCADE", true),
        ("DROP DATABASE IF EXISTS d RESTRICT", false),
    ] {
        assert_eq!(
            parse(sql),
            Ok(Statement::DropDatabase {
                name: "d".into(),
                if_exists: true,
                cascade
            }),
            "{sql}"
        );
    }
}

#[test]
fn what_is_deliberately_absent_has_a_name_and_a_hint() {
    for (sql, expected) in [
        ("UPDATE t SET a = 1", "UPDATE"),
        ("MERGE INTO t USING s ON true", "MERGE"),
        ("VACUUM t", "VACUUM"),
        ("OPTIMIZE t REWRITE DATA USING BIN_PACK", "OPTIMIZE"),
        ("GRANT SELECT ON t TO r", "GRANT"),
        ("copy (SELECT 1) TO 'x'", "COPY"),
        ("EXPLAIN ANALYZE INSERT INTO t SELECT 1", "EXPLAIN INSERT"),
        ("EXPLAIN ANALYZE COPY t TO 'x'", "EXPLAIN COPY"),
        (
            "CREATE TABLE t (a int) TBLPROPERTIES ('table_type'='ICEBERG')",
            "CREATE TABLE with columns",
        ),
        ("CREATE FUNCTION f", "CREATE FUNCTION"),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE RENAME TO"),
        (
            "ALTER DATABASE d SET DBPROPERTIES ('a'='b')",
            "ALTER DATABASE",
        ),
        ("SHOW STATS FOR t", "SHOW STATS"),
        ("DROP FUNCTION f", "DROP FUNCTION"),
        ("DESCRIBE DATABASE d", "DESCRIBE DATABASE"),
        ("DESCRIBE INPUT p", "DESCRIBE INPUT"),
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
        "UNLOAD",
        "PREPARE",
        "EXECUTE",
        "IMMEDIATE",
        "USING",
        "WITH",
        "NO DATA",
        "ARRAY[",
        "CHANGE",
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
