//! `list`, `run`, `sql`, `cat`: questions over a mirrored inbox.

use crate::home::TestHome;

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "-q"]);
    assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
    home
}

#[test]
fn a_statement_is_answered_in_each_format() {
    let home = TestHome::new();
    let sql = "SELECT 1 AS one, CAST(NULL AS varchar) AS nothing, 'a,b' AS text";
    let say = |format: &str| {
        home.kennel(["sql", "-c", sql, "-f", format])
            .ends_with(0)
            .stdout
    };
    assert_eq!(say("csv"), "one,nothing,text\r\n1,,\"a,b\"\r\n");
    assert_eq!(
        say("json"),
        "[\n{\"one\":1,\"nothing\":null,\"text\":\"a,b\"}\n]\n"
    );
    assert_eq!(
        say("jsonl"),
        "{\"one\":1,\"nothing\":null,\"text\":\"a,b\"}\n"
    );
    insta::assert_snapshot!(say("table"), @r"
     one │ nothing │ text
    ─────┼─────────┼──────
       1 │         │ a,b
    (1 row)
    ");
    insta::assert_snapshot!(say("markdown"), @r"
    | one | nothing | text |
    | ---: | --- | --- |
    | 1 |  | a,b |

    1 row
    ");
}

#[test]
fn statements_come_from_a_file_or_standard_input_too() {
    let home = TestHome::new();
    home.write(
        "q.sql",
        "SELECT 1 AS a;\n-- more; to come\nSELECT 2 AS b;\n",
    );
    let said = home.kennel(["sql", "q.sql"]).ends_with(0);
    assert_eq!(
        said.stdout,
        " a\n───\n 1\n(1 row)\n\n b\n───\n 2\n(1 row)\n"
    );
    let said = home
        .kennel_with_input(["sql", "-f", "csv"], "SELECT 3 AS c")
        .ends_with(0);
    assert_eq!(said.stdout, "c\r\n3\r\n");
    assert_eq!(
        home.kennel_with_input(["sql", "-"], "SELECT 4 AS d")
            .ends_with(0)
            .stdout,
        " d\n───\n 4\n(1 row)\n"
    );
}

#[test]
fn several_machine_results_need_a_folder() {
    let home = TestHome::new();
    let args = [
        "sql",
        "-c",
        "SELECT 1 AS a",
        "-c",
        "SELECT 2 AS b",
        "-f",
        "csv",
    ];
    let said = home.kennel(args).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: 2 results cannot stand in one stream of csv
    hint: `-o FOLDER` writes one file each; `-f table`, `markdown`, `html` and `xlsx` take several
    ");
    home.kennel(args.into_iter().chain(["-o", "out"]))
        .ends_with(0);
    assert_eq!(
        std::fs::read_to_string(home.work().join("out/result-2.csv")).unwrap(),
        "b\r\n2\r\n"
    );
}

#[test]
fn a_wrong_statement_is_shown_with_its_place_and_writes_nothing() {
    let home = synced();
    home.write("out.csv", "old");
    let sql = "SELECT principal_nam\nFROM k9.principals_latest";
    let said = home
        .kennel(["sql", "-c", sql, "-f", "csv", "-o", "out.csv"])
        .ends_with(2);
    assert_eq!(said.stdout, "");
    assert!(
        said.stderr.contains(
            " 1 | SELECT principal_nam\n   |        ^^^^^^^^^^^^^ did you mean `principal_name`?"
        ),
        "{}",
        said.stderr
    );
    assert_eq!(
        std::fs::read_to_string(home.work().join("out.csv")).unwrap(),
        "old"
    );
    assert_eq!(
        std::fs::read_dir(home.work()).unwrap().count(),
        3,
        "kennel.toml, inbox, out.csv"
    );
}

#[test]
fn parameters_are_values_never_text() {
    let home = TestHome::new();
    let said = home
        .kennel([
            "sql",
            "-c",
            "SELECT $x AS x",
            "--param",
            "x=1' OR '1'='1",
            "-f",
            "jsonl",
        ])
        .ends_with(0);
    assert_eq!(said.stdout, "{\"x\":\"1' OR '1'='1\"}\n");
    home.kennel(["sql", "-c", "SELECT $x", "--param", "x"])
        .ends_with(2);
}

#[test]
fn before_the_first_sync_no_rows_is_not_good_news() {
    let home = TestHome::new();
    let said = home.kennel(["run", "iam-admins"]).ends_with(4);
    assert!(said.stdout.ends_with("(0 rows)\n"), "{}", said.stdout);
    assert!(said.stderr.starts_with("warning: "), "{}", said.stderr);
}

#[test]
fn an_unknown_query_names_the_nearest() {
    let said = TestHome::new().kennel(["run", "iam-admin"]).ends_with(2);
    assert!(
        said.stderr
            .contains("error: no query `iam-admin`\nhint: did you mean `k9/iam-admins`"),
        "{}",
        said.stderr
    );
}

#[test]
fn list_shows_queries_and_explains_one() {
    let home = TestHome::new();
    let said = home.kennel(["list"]).ends_with(0);
    assert!(said.stdout.contains(" k9/iam-admins "), "{}", said.stdout);
    let said = home.kennel(["list", "iam-admins"]).ends_with(0);
    assert!(said.stdout.contains("\nSELECT"), "{}", said.stdout);
    let said = home
        .kennel(["list", "iam-admins", "-f", "json"])
        .ends_with(0);
    let query = serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    assert_eq!(query["id"], "k9/iam-admins");
    assert!(query["sql"].as_str().unwrap().contains("SELECT"));
}

#[test]
fn check_ends_with_1_when_there_are_rows() {
    let home = synced();
    let rows = home.kennel(["run", "iam-admins", "-f", "jsonl"]);
    assert!(rows.stdout.lines().count() > 0, "{}", rows.all());
    if rows.code == Some(0) {
        home.kennel(["run", "iam-admins", "--check", "-f", "jsonl"])
            .ends_with(1);
    }
}

#[test]
fn an_old_report_ends_with_4_although_there_are_rows() {
    let home = synced();
    let said = home
        .kennel(["run", "iam-admins", "--check", "--max-age", "1h"])
        .ends_with(4);
    assert!(
        said.stderr.contains("older than --max-age"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_closed_pipe_is_a_quiet_success() {
    let home = TestHome::new();
    let mut child = home
        .command()
        .args([
            "sql",
            "-c",
            "SELECT * FROM generate_series(1, 3000000)",
            "-f",
            "csv",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn cat_gives_back_the_bytes() {
    let home = synced();
    let key = home
        .kennel([
            "sql",
            "-c",
            "SELECT key FROM kennel.objects ORDER BY key LIMIT 1",
            "-f",
            "csv",
        ])
        .ends_with(0);
    let key = key.stdout.lines().nth(1).unwrap().to_owned();
    let output = home.command().args(["cat", "k9", &key]).output().unwrap();
    assert_eq!(
        output.stdout,
        std::fs::read(home.work().join("inbox").join(&key)).unwrap()
    );
    let said = home.kennel(["cat", "k9", "nothing"]).ends_with(2);
    assert!(
        said.stderr
            .starts_with("error: source `k9` has no object `nothing`\nhint: "),
        "{}",
        said.stderr
    );
    let said = home.kennel(["cat", "k8", &key]).ends_with(2);
    assert!(
        said.stderr.contains("did you mean `k9`?"),
        "{}",
        said.stderr
    );
}
