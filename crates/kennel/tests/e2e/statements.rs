//! Statements that are no questions, from the outside: what is kept, what leaves, what is refused; and the way back to Athena.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::home::TestHome;

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "-q"]);
    assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
    home
}

fn sql(home: &TestHome, text: &str) -> crate::home::Said {
    home.kennel(["sql", "-f", "csv", "-c", text])
}

#[test]
fn what_is_made_outlives_the_process_and_is_private() {
    let home = synced();
    let made = sql(
        &home,
        "CREATE VIEW v AS SELECT account_id FROM k9.principals_latest; CREATE TABLE t AS SELECT account_id, count(*) AS n FROM v GROUP BY 1",
    );
    assert_eq!(made.stdout, "");
    assert!(
        made.stderr.contains("created view default.v"),
        "{}",
        made.stderr
    );
    assert!(
        made.stderr.contains("created table default.t with"),
        "{}",
        made.stderr
    );
    let counted = sql(
        &home,
        "SELECT (SELECT count(*) FROM v) = (SELECT sum(n) FROM t) AS same",
    );
    assert!(counted.stdout.ends_with("true\r\n"), "{}", counted.all());
    #[cfg(unix)]
    for folder in fs::read_dir(home.cache().join("tables/user")).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder.unwrap().path();
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for file in fs::read_dir(folder).unwrap() {
            assert_eq!(
                file.unwrap().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
    let before = home.kennel(["verify"]).all();
    assert!(before.contains("none damaged"), "{before}");
    sql(&home, "DROP TABLE t").ends_with(0);
    home.kennel(["prune", "--keep-days", "10000"]);
    let left = fs::read_dir(home.cache().join("tables/user")).unwrap();
    let left = left.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    assert_eq!(left.count(), 0, "dropped rows go with the next prune");
}

#[test]
fn a_table_killed_while_it_is_written_leaves_nothing() {
    let home = synced();
    let endless = "CREATE TABLE big AS SELECT x * y + z AS n FROM UNNEST(sequence(1, 10000)) a (x) CROSS JOIN UNNEST(sequence(1, 10000)) b (y) CROSS JOIN UNNEST(sequence(1, 10000)) c (z)";
    let mut command: Command = home.command();
    command
        .args(["sql", "-c", endless])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let folder = home.cache().join("tables/user");
    for _ in 0..600 {
        if fs::read_dir(&folder).is_ok_and(|mut files| files.next().is_some()) {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    assert!(
        fs::read_dir(&folder).unwrap().next().is_some(),
        "it has begun"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let said = sql(&home, "SELECT * FROM big");
    assert_eq!(said.code, Some(2), "{}", said.all());
    home.kennel(["sync", "-q"]);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        0,
        "the next writer sweeps"
    );
}

#[test]
fn rows_are_unloaded_into_a_folder_of_their_own() {
    let home = synced();
    let unload = |folder: &str, form: &str| {
        sql(
            &home,
            &format!(
                "UNLOAD (SELECT 1 AS a, CAST(NULL AS varchar) AS b, 'x,y' AS c) TO '{folder}' WITH ({form})"
            ),
        )
    };
    let url = format!("file://{}/", home.work().join("out/json").display());
    let said = unload(&url, "format = 'JSON', compression = 'none'").ends_with(0);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("wrote 1 rows to"), "{}", said.stderr);
    let read = |name: &str| fs::read_to_string(home.work().join(name)).unwrap();
    assert_eq!(
        read("out/json/part-00000.json"),
        "{\"a\":1,\"b\":null,\"c\":\"x,y\"}\n"
    );
    unload("out/text", "format = 'TEXTFILE', field_delimiter = ','").ends_with(0);
    assert_eq!(read("out/text/part-00000.txt"), "1,\\N,x\\,y\n");
    unload("out/parquet", "format = 'PARQUET'").ends_with(0);
    assert!(home.work().join("out/parquet/part-00000.parquet").exists());

    unload(
        "out/parts",
        "format = 'JSON', compression = 'GZIP', partitioned_by = ARRAY['b', 'c']",
    )
    .ends_with(0);
    let part = "out/parts/b=__HIVE_DEFAULT_PARTITION__/c=x,y/part-00000.json.gz";
    let mut text = String::new();
    let packed = fs::File::open(home.work().join(part)).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).unwrap();
    assert_eq!(text, "{\"a\":1}\n");
    let not_last = unload("out/none", "format = 'JSON', partitioned_by = ARRAY['a']");
    assert!(
        not_last.stderr.contains("not the last of the query"),
        "{}",
        not_last.stderr
    );
    assert!(!home.work().join("out/none").exists());

    let again = unload("out/text", "format = 'TEXTFILE'");
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
    let to_s3 = unload("s3://bucket/x/", "format = 'PARQUET'");
    assert!(
        to_s3.stderr.contains("UNLOAD into S3 is not supported") && to_s3.stderr.contains("hint:"),
        "{}",
        to_s3.stderr
    );
    let failing = sql(
        &home,
        "UNLOAD (SELECT CAST(principal_name AS bigint) AS n FROM k9.principals_latest) TO 'out/failed' WITH (format = 'JSON')",
    );
    assert_eq!(failing.code, Some(2), "{}", failing.all());
    assert!(!home.work().join("out/failed").exists());
}

#[test]
fn errors_within_a_statement_point_at_their_place() {
    let home = synced();
    home.write(
        "q.sql",
        "SELECT 1 AS a;\nCREATE VIEW v AS\n  SELECT principal_nam FROM k9.principals_latest;\n",
    );
    let said = home.kennel(["sql", "q.sql", "-f", "csv"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.stderr.contains(" 3 |   SELECT principal_nam FROM"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("did you mean `principal_name`?"),
        "{}",
        said.stderr
    );
    let refused = sql(&home, " /* why */ VACUUM t");
    let pointed = format!(" 1 |  /* why */ VACUUM t\n   | {}^^^^^^\n", " ".repeat(11));
    assert!(refused.stderr.contains(&pointed), "{}", refused.stderr);
    let lake = sql(
        &home,
        "SELECT element_at(requestParameters, 'bucketName') FROM cloudtrail_logs",
    );
    assert!(
        lake.stderr
            .contains("json_extract_scalar(requestparameters"),
        "{}",
        lake.stderr
    );
    let store = sql(
        &home,
        "SELECT eventName FROM 0a1b2c3d-1234-5678-9abc-0123456789ab",
    );
    assert!(
        store.stderr.contains("event data store"),
        "{}",
        store.stderr
    );
}

#[test]
fn the_printed_tables_are_taken_back() {
    let home = synced();
    let printed = home.kennel(["ddl"]).ends_with(0).stdout;
    assert!(
        printed.starts_with("CREATE DATABASE IF NOT EXISTS `k9`\n;\n"),
        "{printed}"
    );
    assert!(printed.contains("is no place on S3"), "{printed}");
    // Not from standard output, where paths are filtered.
    home.kennel(["ddl", "--database", "mine", "-o", "tables.sql"])
        .ends_with(0);
    home.kennel(["sql", "tables.sql"]).ends_with(0);
    let question = [
        "list",
        "iam-admins",
        "--sql",
        "athena",
        "--database",
        "mine",
        "--param",
        "account_id=123456789012",
    ];
    let asked = home.kennel(question).ends_with(0).stdout;
    assert!(
        asked.contains("FROM mine.principal_access_summaries_latest")
            && asked.contains("= '123456789012'"),
        "{asked}"
    );
    home.write("question.sql", &asked);
    let there = home.kennel(["sql", "question.sql", "-f", "csv"]);
    let here = home.kennel([
        "run",
        "iam-admins",
        "--param",
        "account_id=123456789012",
        "-f",
        "csv",
    ]);
    assert_eq!(there.stdout, here.stdout);
    let local = home.kennel(["list", "new-iam-admins", "--sql", "athena"]);
    assert_eq!(local.code, Some(2));
    assert!(local.stderr.contains("only kennel has"), "{}", local.stderr);
}

#[test]
fn a_table_over_a_trail_that_was_never_synced_is_absent_data() {
    let home = TestHome::new().with_inbox("guide");
    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"file://./inbox\"\n[[source]]\nname = \"trail\"\nkind = \"cloudtrail\"\nurl = \"s3://trail\"\n",
    );
    home.kennel(["sync", "-q", "k9"]).ends_with(0);
    let table = "CREATE EXTERNAL TABLE t (eventname string) ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe' \
        LOCATION 's3://trail/AWSLogs/111122223333/CloudTrail/'";
    sql(&home, table).ends_with(0);
    let said = sql(&home, "SELECT count(*) AS n FROM t").ends_with(4);
    assert_eq!(said.stdout, "n\r\n0\r\n");
    assert!(
        said.stderr
            .contains("the cache holds no records for `default.t`"),
        "{}",
        said.stderr
    );
}
