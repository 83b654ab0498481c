//! `-f` in all its forms, what shells complete, manual pages, the facts of the build, places of errors.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::fs;

use crate::home::{Said, TestHome};

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    let said = home.kennel(["sync", "-q"]);
    assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
    home
}

/// The bytes of a file in the working folder.
fn bytes(home: &TestHome, name: &str) -> Vec<u8> {
    fs::read(home.work().join(name)).unwrap()
}

#[test]
fn several_answers_are_one_page_and_one_workbook() {
    let home = synced();
    let ids = [
        "run",
        "iam-admins",
        "stale-credentials",
        "over-accessible-resources",
    ];
    let said = home.kennel(ids.into_iter().chain(["-f", "html"]));
    assert_eq!(said.code, Some(3), "{}", said.all());
    let page = said.stdout;
    assert_eq!(page.matches("<!doctype html>").count(), 1);
    assert_eq!(page.matches("</html>").count(), 1);
    assert_eq!(page.matches("<section ").count(), 3);
    for words in [
        "<title>3 answers</title>",
        "k9/iam-admins: Principals that can administer IAM",
        "<caption>Rows by service</caption>",
        "<strong>Incomplete:</strong> account 111122223333",
        "<dt>max_age_days</dt><dd>90 (the default)</dd>",
    ] {
        assert!(page.contains(words), "{words}");
    }

    let said = home.kennel(ids.into_iter().chain(["-f", "xlsx", "-o", "all.xlsx"]));
    assert_eq!(said.code, Some(3), "{}", said.all());
    assert!(bytes(&home, "all.xlsx").starts_with(b"PK"));

    // A folder gets one file each.
    let said = home.kennel(ids.into_iter().chain(["-f", "html", "-o", "pages/"]));
    assert_eq!(said.code, Some(3), "{}", said.all());
    let page = String::from_utf8(bytes(&home, "pages/k9-iam-admins.html")).unwrap();
    assert!(page.contains("<title>k9/iam-admins: Principals that can administer IAM</title>"));
}

#[test]
fn the_same_cache_gives_the_same_bytes_in_every_form() {
    let home = synced();
    for format in [
        "csv", "json", "jsonl", "markdown", "html", "xlsx", "parquet",
    ] {
        for file in ["a", "b"] {
            let said = home.kennel(["run", "stale-credentials", "-f", format, "-o", file]);
            assert!(matches!(said.code, Some(0 | 3)), "{}", said.all());
        }
        assert!(bytes(&home, "a") == bytes(&home, "b"), "{format}");
        assert!(!bytes(&home, "a").is_empty(), "{format}");
    }
}

#[test]
fn parquet_and_xlsx_go_through_a_pipe() {
    let home = TestHome::new();
    for (format, magic) in [("parquet", "PAR1"), ("xlsx", "PK")] {
        let output = home
            .command()
            .args(["sql", "-c", "SELECT 1 AS one", "-f", format])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.starts_with(magic.as_bytes()), "{format}");
    }
}

#[test]
fn more_rows_than_a_sheet_holds_are_refused_and_the_old_file_stays() {
    let home = TestHome::new();
    home.write("old.xlsx", "old");
    let sql = "SELECT value FROM generate_series(1, 1048576)";
    let said = home
        .kennel(["sql", "-c", sql, "-f", "xlsx", "-o", "old.xlsx"])
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: an Excel sheet holds 1,048,575 rows below its header, the result has more
    hint: narrow it (WHERE, LIMIT), or take `-f parquet` or `-f csv`
    ");
    assert_eq!(bytes(&home, "old.xlsx"), b"old");
}

#[test]
fn list_and_status_come_in_every_form() {
    let home = synced();
    let lines = |args: &[&str]| {
        let said = home.kennel(args.iter().copied()).ends_with(0);
        let lines = said
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let queries = lines(&["list", "-f", "jsonl"]);
    assert!(queries.len() > 20 && queries.iter().all(|query| query["id"].is_string()));
    let items = lines(&["status", "-f", "jsonl"]);
    assert_eq!(items[0]["item"], "source");
    let reports = items.iter().filter(|item| item["item"] == "report");
    assert!(reports.clone().count() > 5);
    assert!(
        reports
            .clone()
            .all(|report| report["name"].as_str().unwrap().starts_with("k9."))
    );
    assert_eq!(
        lines(&["list", "iam-admins", "-f", "jsonl"])[0]["id"],
        "k9/iam-admins"
    );

    let said = home.kennel(["list", "-f", "csv"]).ends_with(0);
    assert!(
        said.stdout
            .starts_with("id,title,severity,tags,params,reads,key,source\r\n")
    );
    let said = home.kennel(["status", "-f", "csv"]).ends_with(0);
    assert!(said.stdout.starts_with(
        "item,source,name,customer_id,csp,account_id,region,day,event_category,at,row_count,object_count,size_bytes,problem\r\n"
    ));
    let said = home
        .kennel(["status", "--settings", "-f", "markdown"])
        .ends_with(0);
    assert!(
        said.stdout.starts_with("| name | value | origin |\n"),
        "{}",
        said.stdout
    );
    for format in ["html", "xlsx", "parquet"] {
        for command in [vec!["list"], vec!["list", "iam-admins"], vec!["status"]] {
            home.kennel(command.into_iter().chain(["-f", format, "-o", "out"]))
                .ends_with(0);
            assert!(bytes(&home, "out").len() > 500);
        }
    }
}

#[test]
fn an_error_in_a_file_says_where_in_the_file() {
    let home = synced();
    home.write(
        "report.sql",
        "SELECT 1;\n\n-- the second\n  SELECT principal_arn,\n    principal_nam\n  FROM k9.principals_latest;\n",
    );
    let said = home
        .kennel(["sql", "report.sql", "-o", "out.txt"])
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: column 'principal_nam' not found
     --> report.sql:5:5
     5 |     principal_nam
       |     ^^^^^^^^^^^^^ did you mean `principal_name`?
    ");
    let said = home
        .kennel(["sql", "-c", "SELECT 1; SELECT nothing"])
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: column 'nothing' not found
     1 | SELECT 1; SELECT nothing
       |                  ^^^^^^^
    ");
}

#[test]
fn the_version_tells_how_it_was_built_when_asked_for_more() {
    let home = TestHome::new();
    // Nothing is read for it, not even a broken config.
    home.write("kennel.toml", "broken");
    let said = home.kennel(["--version"]).ends_with(0);
    assert_eq!(
        said.stdout,
        format!("kennel {}\n", env!("CARGO_PKG_VERSION"))
    );
    for args in [["--version", "-v"], ["-v", "-V"]] {
        let said = home.kennel(args).ends_with(0);
        for fact in [
            "commit: ",
            "profile: ",
            "target: ",
            "compiler:   rustc ",
            "datafusion: ",
            "arrow: ",
            "parquet: ",
        ] {
            assert!(said.stdout.contains(fact), "{fact}: {}", said.stdout);
        }
    }
}

/// What a shell gets when the last of these words is to be completed.
fn completed(home: &TestHome, words: &[&str]) -> Said {
    let mut command = home.command();
    command
        .env("KENNEL_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_IFS", "\n")
        .arg("--")
        .args(words);
    home.run(command)
}

#[test]
fn shells_complete_what_this_config_and_this_cache_know() {
    let home = synced();
    let has = |words: &[&str], wanted: &[&str]| {
        let said = completed(&home, words).ends_with(0);
        let found = said.stdout.lines().map(str::trim).collect::<Vec<_>>();
        for candidate in wanted {
            assert!(
                found.contains(candidate),
                "{words:?}: {candidate}: {found:?}"
            );
        }
        found.len()
    };
    assert!(
        has(
            &["kennel", "run", ""],
            &["k9/iam-admins", "cloudtrail/denied"]
        ) > 20
    );
    has(&["kennel", "run", "iam-a"], &["iam-admins"]);
    has(&["kennel", "list", "k9/iam-a"], &["k9/iam-admins"]);
    has(&["kennel", "list", "--tag", ""], &["nightly"]);
    has(
        &["kennel", "run", "stale-credentials", "--param", ""],
        &["max_age_days="],
    );
    has(&["kennel", "sync", ""], &["k9"]);
    has(&["kennel", "cat", ""], &["k9"]);
    has(&["kennel", "run", "--account", "1111"], &["111122223333"]);
    has(&["kennel", "run", "--customer", ""], &["C123456"]);
    has(&["kennel", "run", "--as-of", ""], &["s1"]);
    has(&["kennel", "run", "-f", ""], &["html", "xlsx", "parquet"]);
    has(&["kennel", "ve"], &["verify"]);
    // Nothing to be said, and nothing said, where the config is broken.
    home.write("kennel.toml", "broken");
    let said = completed(&home, &["kennel", "sync", "k"]).ends_with(0);
    assert_eq!((said.stdout.trim(), said.stderr.as_str()), ("", ""));
}

#[test]
fn completion_scripts_and_manual_pages_are_printed() {
    let home = TestHome::new();
    home.write("kennel.toml", "broken");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = home.kennel(["completions", shell]).ends_with(0);
        assert!(
            said.stdout.contains("KENNEL_COMPLETE"),
            "{shell}: {}",
            said.stdout
        );
    }
    let said = home.kennel(["man"]).ends_with(0);
    assert!(said.stdout.contains(".TH kennel 1"), "{}", said.stdout);
    let said = home.kennel(["man", "run"]).ends_with(0);
    assert!(said.stdout.contains(".TH kennel-run 1"), "{}", said.stdout);
    let said = home.kennel(["man", "rum"]).ends_with(2);
    assert_eq!(
        said.stderr,
        "error: no command `rum`\nhint: did you mean `run`?\n"
    );
    home.kennel(["man", "--out", "man"]).ends_with(0);
    for page in ["kennel", "kennel-run", "kennel-completions"] {
        assert!(home.work().join(format!("man/{page}.1")).exists(), "{page}");
    }
}
