//! Broken and wrong input through the whole program: each is named, the rest is there, the code is the contract's.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::fs;

use kennel_testkit::fixtures::Broken;

use crate::{home::TestHome, s3_home::assert_whole};

const PAS: &str = "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=123456789012/principal-access-summaries.latest.parquet";

/// An inbox whose largest report is broken in this way, with what `sync` said.
fn with_broken(broken: Broken) -> (TestHome, String) {
    let home = TestHome::new().with_inbox("guide");
    let path = home.work().join("inbox").join(PAS);
    let good = fs::read(&path).unwrap();
    fs::write(&path, broken.instead_of(&good)).unwrap();
    let said = home.kennel(["sync"]).ends_with(3);
    let warning = said
        .stderr
        .lines()
        .find(|line| line.starts_with("warning: "));
    let warning = warning.unwrap_or(&said.stderr).to_owned();
    assert_whole(&home.cache());
    (home, warning)
}

#[test]
fn a_cut_parquet_file_is_named_and_the_answer_without_it_says_so() {
    let (home, warning) = with_broken(Broken::Truncated);
    insta::assert_snapshot!(warning, @"warning: k9: cannot verify hive/parquet/pas/customer_id=C123456/csp=aws/account_id=123456789012/principal-access-summaries.latest.parquet: it does not end like Parquet: it is cut off");
    let said = home.kennel(["run", "iam-admins", "-f", "csv"]).ends_with(3);
    let first = said.stderr.lines().next().unwrap();
    insta::assert_snapshot!(first, @"warning: `principal_access_summaries` report of account 123456789012 (customer C123456) failed: it does not end like Parquet: it is cut off");
    assert!(
        said.stdout.lines().count() > 1,
        "the rest is there: {}",
        said.stdout
    );
    assert!(!said.stdout.contains("123456789012"), "{}", said.stdout);
}

#[test]
fn whatever_else_is_no_report_is_named_by_what_it_is() {
    let mut told = String::new();
    for broken in [
        Broken::ZeroedTail,
        Broken::HtmlErrorPage,
        Broken::OtherColumns,
        Broken::Empty,
        Broken::Junk,
    ] {
        let (home, warning) = with_broken(broken);
        told.push_str(&format!("{broken:?}: {}\n", warning.replace(PAS, "PAS")));
        let said = home.kennel(["run", "iam-admins"]).ends_with(3);
        assert!(
            said.stderr.contains("123456789012"),
            "{broken:?}: {}",
            said.stderr
        );
    }
    insta::assert_snapshot!(told, @r"
    ZeroedTail: warning: k9: cannot verify PAS: it does not end like Parquet: it is cut off
    HtmlErrorPage: warning: k9: cannot verify PAS: it does not begin like Parquet; it looks like an HTML page
    OtherColumns: warning: k9: cannot ingest PAS: not a `pas` report: no column `analysis_time`, `principal_arn`, `service_name`, `access_capability`, `resource_arn`; it has `passenger_count`, `fare_cents`
    Empty: warning: k9: cannot verify PAS: 0 bytes are too few for Parquet
    Junk: warning: k9: cannot verify PAS: it does not begin like Parquet
    ");
}

#[test]
fn a_report_that_breaks_later_is_answered_from_the_version_before() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let args = ["run", "iam-admins", "-f", "csv"];
    let before = home.kennel(args);
    home.write(&format!("inbox/{PAS}"), "<html>not a report</html>");
    home.kennel(["sync", "-q"]).ends_with(3);
    let said = home.kennel(args).ends_with(3);
    assert_eq!(said.stdout, before.stdout);
    insta::assert_snapshot!(said.stderr, @r"
    warning: `principal_access_summaries` report of account 123456789012 (customer C123456): the newest version failed (it does not begin like Parquet; it looks like an HTML page); the version of 2026-03-03T12:00:00Z answers
    hint: `kennel sync` tries again
    ");
}

#[test]
fn a_whole_report_that_is_another_thing_is_answered_from_the_version_before_until_it_is_mended() {
    let mut home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let args = ["run", "iam-admins", "-f", "csv"];
    let before = home.kennel(args);
    let path = home.work().join("inbox").join(PAS);
    let good = fs::read(&path).unwrap();
    fs::write(&path, Broken::OtherColumns.instead_of(&good)).unwrap();
    home.kennel(["sync", "-q"]).ends_with(3);
    // It is not fetched again, and goes on being told.
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home.kennel(args).ends_with(3);
    assert_eq!(said.stdout, before.stdout);
    assert!(
        said.stderr
            .contains(" account 123456789012 (customer C123456): the newest version failed (not a `pas` report")
            && said.stderr.contains("`kennel sync --full` tries this one again"),
        "{}",
        said.stderr
    );
    home.kennel(["sync", "-q", "--full"]).ends_with(3);
    home.at("2026-03-04T12:00:00Z");
    fs::write(&path, good).unwrap();
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home.kennel(args).ends_with(0);
    assert_eq!(said.stdout, before.stdout);
    assert_whole(&home.cache());
}

#[test]
fn a_report_without_rows_is_an_answer_and_not_a_gap() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    // The partner's account has a `ras` report of no rows.
    let sql = "SELECT count(*) AS n FROM k9.resource_access_summaries_latest WHERE account_id = '444455556666'";
    let said = home.kennel(["sql", "-c", sql, "-f", "csv"]).ends_with(0);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("n\r\n0\r\n", "")
    );
    // Account 111122223333 has none at all.
    let sql = sql.replace("444455556666", "111122223333");
    let said = home.kennel(["sql", "-c", &sql, "-f", "csv"]).ends_with(4);
    assert_eq!(said.stdout, "n\r\n0\r\n");
    insta::assert_snapshot!(said.stderr, @r"
    warning: the cache holds no `resource_access_summaries` report for any account that is asked for
    hint: `kennel status` shows which accounts and reports the cache holds
    ");
}

#[test]
fn an_inbox_without_reports_is_said_and_leaves_questions_without_an_answer() {
    let home = TestHome::new().with_inbox("guide");
    fs::remove_dir_all(home.work().join("inbox")).unwrap();
    let said = home.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot read `[ROOT]/desk/./inbox`
      caused by: No such file or directory (os error 2)
    ");
    home.write("inbox/README.txt", "no reports here");
    let said = home.kennel(["sync"]);
    insta::assert_snapshot!(said.all(), @r"
    exit 0
    -- stdout
    -- stderr
    k9: up to date, 0 unchanged, in [TIME]
    warning: k9: no k9 reports are listed under file://[ROOT]/desk/./inbox
    hint: k9 delivers Parquet under hive/parquet/ when hive delivery is switched on; a prefix belongs into the url
    ");
    let said = home.kennel(["run", "iam-admins", "-f", "csv"]).ends_with(4);
    insta::assert_snapshot!(said.stderr, @r"
    warning: the cache holds no report for `k9.principal_access_summaries_latest`
    hint: `kennel status` shows which accounts and reports the cache holds
    ");
}

#[test]
fn an_account_that_nobody_knows_is_no_account_without_findings() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let args = ["run", "iam-admins", "-f", "csv", "--account"];
    let said = home
        .kennel(args.into_iter().chain(["999999999999"]))
        .ends_with(4);
    insta::assert_snapshot!(said.stderr, @r"
    warning: account 999999999999 is not in the cache
    warning: the cache holds no report for `k9.principal_access_summaries_latest`
    hint: `kennel status` shows which accounts and reports the cache holds
    ");
    // Beside one that is known, the answer is there, and the code is the same.
    let both = ["123456789012", "--account", "999999999999"];
    let said = home.kennel(args.into_iter().chain(both)).ends_with(4);
    assert!(said.stdout.contains("123456789012"), "{}", said.stdout);
    let said = home.kennel(["sync", "--account", "999999999999"]);
    insta::assert_snapshot!(said.all(), @r"
    exit 0
    -- stdout
    -- stderr
    k9: up to date, 0 unchanged, 16 left out by flags, in [TIME]
    warning: k9: none of the reports that are listed is one that the flags let through
    ");
    home.kennel(args.into_iter().chain(["12345"])).ends_with(4);
}

#[test]
fn an_unreadable_config_is_shown_at_its_place() {
    let home = TestHome::new();
    home.write("kennel.toml", "[[source]\nname = \"k9\"\n");
    let said = home.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot understand the config file `[ROOT]/desk/kennel.toml`
     1 | [[source]
       |          ^
      caused by: line 1, column 10: unclosed array table, expected `]`
    hint: `kennel init` in an empty folder writes a commented example
    ");

    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k8\"\nurl = \"s3://inbox\"\n",
    );
    let said = home.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: cannot understand the config file `[ROOT]/desk/kennel.toml`
     3 | kind = "k8"
       |        ^^^^ did you mean `k9`?
      caused by: line 3, column 8: unknown variant `k8`, expected `k9` or `cloudtrail`
    hint: `kennel init` in an empty folder writes a commented example
    "#);

    home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"https://inbox\"\n",
    );
    let said = home.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: cannot understand the config file `[ROOT]/desk/kennel.toml`
     4 | url = "https://inbox"
       |       ^^^^^^^^^^^^^^^
      caused by: `https://inbox` is not s3://BUCKET[/PREFIX] or file:///PATH
    "#);

    fs::write(home.work().join("kennel.toml"), b"name = \"\xff\xfe\"").unwrap();
    let said = home.kennel(["status"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot read the config file `kennel.toml`
      caused by: stream did not contain valid UTF-8
    ");

    fs::remove_file(home.work().join("kennel.toml")).unwrap();
    fs::create_dir(home.work().join("kennel.toml")).unwrap();
    let said = home.kennel(["status"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot read the config file `kennel.toml`
      caused by: Is a directory (os error 21)
    ");
}

#[test]
fn an_unknown_question_is_not_asked_and_the_known_beside_it_neither() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let said = home.kennel(["run", "iam-admins", "rds-delte"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: no query `rds-delte`
    hint: did you mean `k9/rds-delete`?
    hint: `kennel list` shows all queries
    ");
    let said = home.kennel(["run", "x"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: no query `x`
    hint: `kennel list` shows all queries
    ");
}

#[test]
fn a_wrong_parameter_is_named_with_what_there_is() {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    let with = |param: &str| {
        let said = home
            .kennel(["run", "stale-credentials", "--param", param])
            .ends_with(2);
        assert_eq!(said.stdout, "", "{param}");
        said.stderr
    };
    insta::assert_snapshot!(with("max_age_day=45"), @r"
    error: query `k9/stale-credentials` has no parameter `max_age_day`
    hint: did you mean `max_age_days`?
    ");
    insta::assert_snapshot!(with("max_age_days=many"), @"error: parameter `max_age_days`: `many` is not a whole number");
    insta::assert_snapshot!(with("max_age_days=1.5"), @"error: parameter `max_age_days`: `1.5` is not a whole number");
    insta::assert_snapshot!(with("max_age_days="), @"error: parameter `max_age_days`: `` is not a whole number");
    insta::assert_snapshot!(with("max_age_days"), @r"
    error: invalid value 'max_age_days' for '--param <NAME=VALUE>': `max_age_days` is not NAME=VALUE

    For more information, try '--help'.
    ");
    let twice = ["--param", "max_age_days=1", "--param", "max_age_days=2"];
    let said = home
        .kennel(["run", "stale-credentials"].into_iter().chain(twice))
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @"error: parameter `max_age_days` is given twice");
}

#[test]
fn a_cache_that_is_none_or_of_another_version_is_refused_in_words() {
    let home = TestHome::new();
    fs::create_dir_all(home.cache()).unwrap();
    let manifest = home.cache().join("manifest.sqlite");
    fs::write(&manifest, "this is no database, whatever its name says").unwrap();
    for args in [["status"].as_slice(), &["run", "iam-admins"]] {
        let said = home.kennel(args.iter().copied()).ends_with(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stderr, @r"
            error: cannot read the manifest `[ROOT]/data/kennel/manifest.sqlite`
              caused by: file is not a database
              caused by: Error code 26: file is not a database
            hint: `--home DIR` names another cache; with this manifest moved away, `kennel sync` makes a new one (older nights are not in it)
            ");
        }
    }
}
