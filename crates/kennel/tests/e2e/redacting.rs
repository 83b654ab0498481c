//! `--redact`: nothing of a result tells whose it is, in any form; two results of a home join.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{collections::BTreeSet, fs};

use crate::{home::TestHome, policy::guide_home};

fn synced() -> TestHome {
    let home = TestHome::new().with_inbox("guide");
    home.kennel(["sync", "-q"]).ends_with(0);
    home
}

/// Whatever tells whose data it is: customers, accounts, names of principals and resources.
fn secrets(home: &TestHome) -> BTreeSet<String> {
    let sql = "SELECT customer_id FROM k9.principals_latest UNION SELECT account_id FROM k9.principals_latest \
               UNION SELECT principal_name FROM k9.principals_latest UNION SELECT resource_name FROM k9.resources_latest \
               UNION SELECT principal_name FROM k9.resource_access_summaries_latest";
    let said = home.kennel(["sql", "-q", "-f", "jsonl", "-c", sql]);
    let value = |line: &str| {
        let object = serde_json::from_str::<serde_json::Value>(line).unwrap();
        object["customer_id"].as_str().map(str::to_owned)
    };
    let found = said.stdout.lines().filter_map(value);
    // A name that is a common word stands in other places, too: in the prose of questions.
    let found = found.filter(|name| name.len() > 7 && name != "break-glass");
    found.collect()
}

/// What a result says in a form; workbooks and Parquet as far as they are not compressed.
fn shown(home: &TestHome, args: &[&str]) -> String {
    let said = home.kennel(args.iter().copied());
    assert!(matches!(said.code, Some(0 | 1 | 3)), "{}", said.all());
    said.stdout + &said.stderr
}

#[test]
fn nothing_that_tells_whose_it_is_survives_in_any_form() {
    let home = synced();
    let secrets = secrets(&home);
    assert!(secrets.len() > 20, "{secrets:?}");
    let questions = [
        "run principals resources iam-admins excessive-access over-accessible-resources kms-key-access indirect-iam-admins",
        "run iam-admins --account 123456789012",
        "run find-principal --param name_or_arn=arn:aws:iam::123456789012:user/skuenzli",
    ];
    for question in questions {
        for format in ["table", "markdown", "html"] {
            let args = question.split(' ').chain(["--redact", "-f", format]);
            let shown = shown(&home, &args.collect::<Vec<_>>());
            for secret in &secrets {
                assert!(
                    !shown.contains(secret),
                    "{secret} in {format} of {question}"
                );
            }
        }
    }
    for format in ["csv", "json", "jsonl", "parquet", "xlsx"] {
        let args = ["run", "principals", "--redact", "-f", format, "-o", "out"];
        shown(&home, &args);
        let bytes = fs::read(home.work().join("out")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {format}");
        }
    }
}

#[test]
fn statements_cannot_rename_or_wrap_what_is_redacted() {
    let home = synced();
    let secrets = secrets(&home);
    for sql in [
        "SELECT principal_name AS service_name, principal_arn AS x FROM k9.principals_latest",
        "SELECT 'the ' || principal_name || ' of ' || account_id AS text FROM k9.principals_latest",
        "SELECT upper(x.n) AS u, lower(x.n) AS l FROM (SELECT principal_name AS n FROM k9.principals_latest) x",
        "SELECT array_agg(principal_name) AS names, max(principal_arn) AS m FROM k9.principals_latest GROUP BY account_id",
        "SELECT MAP(ARRAY[principal_name], ARRAY[account_id]) AS m FROM k9.principals_latest",
        "WITH RECURSIVE r(n, i) AS (SELECT principal_name, 1 FROM k9.principals_latest UNION ALL SELECT n, i + 1 FROM r WHERE i < 2) SELECT * FROM r",
        "SELECT (SELECT max(principal_name) FROM k9.principals_latest) AS one",
        "SELECT CASE WHEN principal_is_iam_admin THEN principal_name ELSE 'no' END AS c FROM k9.principals_latest",
        "SELECT row_number() OVER (ORDER BY principal_name) AS n, lag(principal_name) OVER (ORDER BY principal_arn) AS before FROM k9.principals_latest",
        "SELECT CAST(principal_name AS varbinary) AS bytes, json_format(CAST(principal_tags AS JSON)) AS tags FROM k9.principals_latest",
        "SELECT CAST(ROW(principal_name) AS ROW(type varchar)) AS r FROM k9.principals_latest",
        "SELECT t.x FROM k9.principals_latest CROSS JOIN UNNEST(split(principal_arn, '/')) AS t(x)",
        "SELECT principal_name FROM k9.principals_latest UNION SELECT resource_name FROM k9.resources_latest",
        "SELECT CAST(account_id AS bigint) AS number FROM k9.principals_latest",
        "EXPLAIN SELECT * FROM k9.principals_latest WHERE principal_name = 'skuenzli'",
        "SELECT source, key FROM kennel.objects",
    ] {
        for format in ["jsonl", "html"] {
            let said = home.kennel(["sql", "--redact", "-f", format, "-c", sql]);
            assert!(matches!(said.code, Some(0 | 3)), "{sql}\n{}", said.all());
            let shown = (said.stdout + &said.stderr).to_lowercase();
            for secret in &secrets {
                assert!(
                    !shown.contains(&secret.to_lowercase()),
                    "{secret}: {sql}\n{shown}"
                );
            }
        }
    }
}

#[test]
fn nothing_of_a_trail_survives_in_its_tables_and_questions() {
    let s3 = guide_home();
    let mut secrets = BTreeSet::new();
    for column in [
        "principal_name",
        "principal_arn",
        "session_name",
        "access_key_id",
        "source_ip_address",
        "user_agent",
        "account_id",
        "vpc_endpoint_id",
        "source_identity",
        "identity_center_user_id",
        "json_extract_scalar(request_parameters, '$.bucketName')",
        "json_extract_scalar(request_parameters, '$.roleName')",
        "json_extract_scalar(request_parameters, '$.userName')",
        "json_extract_scalar(response_elements, '$.credentials.sessionToken')",
    ] {
        let sql = format!(
            "SELECT DISTINCT {column} AS x FROM cloudtrail.events WHERE {column} IS NOT NULL"
        );
        let said = s3.kennel(["sql", "-q", "-f", "jsonl", "-c", &sql]);
        for line in said.stdout.lines() {
            let row = serde_json::from_str::<serde_json::Value>(line).unwrap();
            secrets.extend(row["x"].as_str().map(str::to_owned));
        }
    }
    // What AWS calls its own services is no secret, and names that stand in the prose of questions cannot be told from it.
    secrets.retain(|secret| {
        secret.len() > 6
            && !secret.ends_with(".amazonaws.com")
            && secret != "AWS Internal"
            && secret != "break-glass"
            && secret != "HIDDEN_DUE_TO_SECURITY_REASONS"
    });
    assert!(secrets.len() > 20, "{secrets:?}");
    let ids = s3
        .kennel([
            "sql",
            "-q",
            "-f",
            "csv",
            "-c",
            "SELECT id FROM kennel.queries",
        ])
        .stdout;
    let mut calls = ids
        .lines()
        .skip(1)
        .map(|id| vec!["run", id])
        .collect::<Vec<_>>();
    for table in [
        "events",
        "cloudtrail_logs",
        "insights",
        "network_activity",
        "aggregated",
    ] {
        calls.push(vec!["sql", "-c", table]);
    }
    for call in calls {
        let mut args = call.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        match call.as_slice() {
            ["sql", ..] => args[2] = format!("SELECT * FROM cloudtrail.{}", call[2]),
            _ => {
                let sql = s3.kennel(["list", call[1]]).stdout;
                for (name, value) in [
                    ("principal", "arn:aws:iam::123456789012:user/skuenzli"),
                    ("resource", "arn:aws:s3:::safeco-sandbox-claims-archive"),
                ] {
                    if sql.contains(&format!("${name} "))
                        || sql.contains(&format!("${name},"))
                        || sql.contains(&format!("${name})"))
                    {
                        args.extend(["--param".to_owned(), format!("{name}={value}")]);
                    }
                }
            }
        }
        for format in ["jsonl", "html"] {
            let all = args
                .iter()
                .map(String::as_str)
                .chain(["--redact", "-f", format]);
            let said = s3.kennel(all);
            assert!(
                matches!(said.code, Some(0 | 3 | 4)),
                "{call:?}\n{}",
                said.stderr
            );
            let shown = said.stdout + &said.stderr;
            for secret in &secrets {
                let place = shown.find(secret.as_str());
                let around = place.map(|at| shown.get(at.saturating_sub(200)..at + 50));
                assert!(
                    place.is_none(),
                    "{secret} in {format} of {call:?}: {around:?}"
                );
            }
        }
    }
}

#[test]
fn two_results_of_a_home_join_and_those_of_two_homes_do_not() {
    let home = synced();
    let tokens = |home: &TestHome| {
        let sql = "SELECT DISTINCT principal_arn AS token, access_key_1_state FROM k9.principals_latest ORDER BY principal_arn";
        home.kennel(["sql", "-q", "--redact", "-f", "csv", "-c", sql])
            .stdout
    };
    let first = tokens(&home);
    assert_eq!(tokens(&home), first);
    let admins = home.kennel(["run", "-q", "iam-admins", "--redact", "-f", "jsonl"]);
    for line in admins.stdout.lines() {
        let row = serde_json::from_str::<serde_json::Value>(line).unwrap();
        let arn = row["principal_arn"].as_str().unwrap();
        assert!(arn.starts_with("arn:aws:iam::acct-"), "{arn}");
        assert!(arn.contains(row["account_id"].as_str().unwrap()), "{row}");
        assert!(
            arn.ends_with(row["principal_name"].as_str().unwrap()),
            "{row}"
        );
        assert_eq!(row["service_name"], "IAM");
    }
    assert_ne!(tokens(&synced()), first);
}

#[test]
fn a_redacted_diff_tells_the_same_changes() {
    let mut home = synced();
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
    let secrets = secrets(&home);
    let diff = ["diff", "principals", "iam-admins"];
    let plain = home.kennel(diff).ends_with(1);
    let redacted = home
        .kennel(diff.into_iter().chain(["--redact"]))
        .ends_with(1);
    assert_eq!(
        redacted.stdout.lines().count(),
        plain.stdout.lines().count()
    );
    for secret in &secrets {
        let all = redacted.all();
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[test]
fn suppressions_hide_changes_of_a_redacted_diff_too() {
    let mut home = synced();
    home.fill_inbox("guide-next-day");
    home.at("2026-03-04T12:00:00Z");
    home.kennel(["sync", "-q"]).ends_with(0);
    let diff = ["diff", "-q", "iam-admins", "-f", "jsonl"];
    let redacted = || diff.into_iter().chain(["--redact"]);
    let all = home.kennel(redacted()).ends_with(1).stdout;
    let accept = |glob: &str, expires: &str| {
        format!(
            "[[suppress]]\nid = \"iam-admins\"\nmatch = {{ principal_arn = {{ glob = \"{glob}\" }} }}\n\
             owner = \"security team\"\nreason = \"known\"\n{expires}"
        )
    };
    home.write("suppressions.toml", &accept("arn:aws:iam::*", ""));
    assert_eq!(home.kennel(diff).ends_with(0).stdout, "");
    assert_eq!(home.kennel(redacted()).ends_with(0).stdout, "");
    home.write("suppressions.toml", &accept("arn:aws:iam::*:nobody/*", ""));
    assert_eq!(home.kennel(redacted()).ends_with(1).stdout, all);
    // What is back is named by a token.
    let past = "name = \"alice's\"\nexpires = 2026-01-01\n";
    home.write("suppressions.toml", &accept("arn:aws:iam::*", past));
    let back = home.kennel(redacted()).ends_with(1).stdout;
    assert!(back.contains("\"expired_suppression\":\"name-"), "{back}");
    assert!(!back.contains("alice"), "{back}");
}

#[test]
fn the_shell_is_not_redacted_and_says_so() {
    let home = synced();
    let said = home.kennel_with_input(["sql", "--redact"], ".tables\n");
    insta::assert_snapshot!(said.ends_with(2).stderr, @r"
    error: the shell and its dot commands cannot be redacted
    hint: `--redact` works with -c, FILE and standard input
    ");
}
