//! `sync` and questions over an inbox on S3, where the server is honest.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use kennel_testkit::s3::S3Options;

use crate::{
    home::TestHome,
    s3_home::{S3Home, assert_whole, padded, testdata},
};

const ADMINS: [&str; 4] = ["run", "iam-admins", "-f", "csv"];

#[test]
fn a_bucket_is_mirrored_and_answers_as_the_same_files_in_a_folder_do() {
    let s3 = S3Home::new("guide");
    let count = s3.report_count();
    let said = s3.kennel(["sync"]).ends_with(0);
    assert_eq!(said.stdout, "");
    let first = format!("k9: {count} fetched (");
    assert!(said.stderr.starts_with(&first), "{}", said.stderr);
    s3.assert_mirrored();
    let counts = s3.server.counts();
    assert_eq!(
        (counts.list, counts.get, counts.head),
        (3, count as u64, 0),
        "one page, each object once"
    );

    let folder = TestHome::new().with_inbox("guide");
    folder.kennel(["sync", "-q"]).ends_with(0);
    let objects = "SELECT key, sha256 FROM kennel.objects ORDER BY key";
    for args in [
        ADMINS.to_vec(),
        vec!["run", "rds-delete", "-f", "csv"],
        vec!["sql", "-c", objects, "-f", "csv"],
    ] {
        let said = s3.kennel(args.clone());
        assert!(said.stdout.lines().count() > 1, "{args:?}: {}", said.all());
        assert_eq!(said.all(), folder.kennel(args).all());
    }
    let said = s3.kennel(["status"]).ends_with(0);
    assert!(
        said.stdout.contains("\nsource k9 (k9, s3://inbox)\n"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains(" 012345678901 "), "{}", said.stdout);
}

#[test]
fn questions_need_no_credentials_and_make_no_request() {
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let with_keys = s3.kennel(ADMINS);
    s3.server.clear_requests();
    // No keys in the environment from here on.
    for args in [
        ADMINS.to_vec(),
        vec!["status"],
        vec!["sql", "-c", "SELECT 1"],
        vec!["list"],
    ] {
        let said = s3.home.kennel(args.iter().copied());
        assert_eq!(said.code, s3.kennel(args.iter().copied()).code, "{args:?}");
    }
    assert_eq!(s3.home.kennel(ADMINS).stdout, with_keys.stdout);
    assert_eq!(s3.server.requests().len(), 0);
}

#[test]
fn a_second_sync_of_nothing_changed_lists_and_asks_for_no_object() {
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.server.clear_requests();
    let said = s3.kennel(["sync"]).ends_with(0);
    let expected = format!(
        "k9: up to date, {} unchanged, in [TIME]\n",
        s3.report_count()
    );
    assert_eq!(said.stderr, expected);
    let counts = s3.server.counts();
    assert_eq!((counts.list, counts.get, counts.head), (3, 0, 0));
    assert_eq!(counts.other, 0);
}

#[test]
fn a_dry_run_lists_and_asks_for_no_object() {
    let s3 = S3Home::new("guide");
    let said = s3.kennel(["sync", "--dry-run"]).ends_with(0);
    let count = s3.report_count();
    let first = format!("k9: would fetch {count} objects (");
    assert!(said.stdout.starts_with(&first), "{}", said.stdout);
    let requests = format!("  requests: 3 LIST made, {count} GET to make; about $");
    assert!(said.stdout.contains(&requests), "{}", said.stdout);
    let counts = s3.server.counts();
    assert_eq!((counts.list, counts.get, counts.head), (3, 0, 0));
    assert!(!s3.home.cache().exists(), "a dry run made a cache");
}

#[test]
fn offline_makes_no_request_and_questions_go_on() {
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let online = s3.kennel(ADMINS).all();
    s3.server.clear_requests();
    for args in [
        ["sync", "--offline"].as_slice(),
        &["sync", "--dry-run", "--offline"],
    ] {
        let said = s3.kennel(args.iter().copied()).ends_with(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stderr, @r"
            error: offline: no connection to `s3://inbox` is opened
            hint: `--offline` (or KENNEL_OFFLINE, or `offline` in kennel.toml) forbids it
            ");
        }
    }
    let offline = s3.kennel(ADMINS.into_iter().chain(["--offline"])).all();
    assert_eq!(offline, online);
    assert_eq!(s3.server.requests().len(), 0);
}

#[test]
fn reports_on_the_second_page_are_mirrored_too() {
    let s3 = S3Home::new("guide");
    // They sort before all reports, so that these begin on the second page.
    (0..1_100).for_each(|n| s3.bucket.put(&format!("hive/parquet/a/{n:04}"), vec![b'x']));
    let count = s3.report_count();
    let said = s3.kennel(["sync", "-v"]).ends_with(0);
    let fetched = format!("k9: {count} fetched (");
    assert!(said.stderr.contains(&fetched), "{}", said.stderr);
    let requests = format!("k9: 4 LIST, {count} GET, 0 HEAD, 0 retries");
    assert!(said.stderr.contains(&requests), "{}", said.stderr);
    s3.assert_mirrored();
    s3.server.clear_requests();
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(said.stderr.contains("k9: up to date"), "{}", said.stderr);
    let counts = s3.server.counts();
    assert_eq!((counts.list, counts.get, counts.head), (4, 0, 0));
}

#[test]
fn a_report_overwritten_with_the_same_size_is_seen_and_the_night_before_can_be_asked() {
    let s3 = S3Home::new("guide");
    let key = s3.key("pas", "012345678901");
    let new = std::fs::read(testdata("guide-next-day").join(&key)).unwrap();
    let old = s3.bucket.body(&key).unwrap();
    let old = padded(&old, new.len() - old.len());
    s3.bucket.put(&key, old);
    s3.kennel(["sync", "-q"]).ends_with(0);
    let sql = "SELECT * FROM k9.principal_access_summaries_latest ORDER BY principal_arn, service_name, access_capability, resource_arn";
    let ask = |more: &[&str]| {
        let args = ["sql", "-q", "-f", "csv", "-c", sql];
        let said = s3.kennel(args.into_iter().chain(more.iter().copied()));
        said.ends_with(0).stdout
    };
    let before = ask(&[]);
    s3.bucket.overwrite_same_size(&key, new);
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(
        said.stderr.starts_with("k9: 1 fetched ("),
        "{}",
        said.stderr
    );
    assert_ne!(ask(&[]), before);
    assert_eq!(ask(&["--as-of", "s1"]), before);
    s3.assert_mirrored();
}

#[test]
fn keys_that_mean_harm_are_mirrored_or_named_and_never_leave_the_cache() {
    let s3 = S3Home::new("guide");
    let body = s3.bucket.body(&s3.key("pas", "123456789012")).unwrap();
    let partition = "hive/parquet/pas/customer_id=C123456/csp=aws/account_id=123456789012";
    let climbing = format!("hive/parquet/../../../../{partition}/escape.parquet");
    let long = "l".repeat(1_024 - partition.len() - "/.parquet".len());
    let good = [
        format!("hive/parquet//{partition}/double.parquet"),
        format!("{partition}/\u{1}\n\u{1b}[2J\u{1b}]0;title\u{7}.parquet"),
        format!("{partition}/Case.parquet"),
        format!("{partition}/case.parquet"),
        format!("{partition}/case.parquet.parquet"),
        format!("{partition}/a\\b.parquet"),
        format!("{partition}/..parquet.parquet"),
        format!("{partition}/{long}.parquet"),
        "hive/parquet/pas/customer_id=..%2F..%2F..%2Fescape/csp=%2Fetc/account_id=%00/x.parquet"
            .to_owned(),
    ];
    for key in good.iter().chain([&climbing]) {
        s3.bucket.put(key, body.clone());
    }
    let said = s3.kennel(["sync"]).ends_with(3);
    assert!(said.stderr.contains(&format!(
        "warning: k9: cannot fetch {climbing}: a key with a `.` or `..` segment cannot be requested\n"
    )), "{}", said.stderr);
    s3.bucket.delete(&climbing);
    s3.assert_mirrored();
    let outside = walk(s3.home.root())
        .into_iter()
        .filter(|path| !path.starts_with("data/kennel") && path != "desk/kennel.toml")
        .collect::<Vec<_>>();
    assert_eq!(outside, Vec::<String>::new());

    // Nothing that a terminal would obey, wherever a key is shown.
    for args in [
        ["status"].as_slice(),
        &["sync", "-v", "--full"],
        &["run", "iam-admins"],
        &["sql", "-c", "SELECT key FROM kennel.objects"],
    ] {
        let said = s3.kennel(args.iter().copied());
        let text = said.all();
        let is_plain = |c: char| !c.is_control() || c == '\n';
        assert!(text.chars().all(is_plain), "{args:?}: {text:?}");
    }
    let odd = &good[1];
    let output = s3.command().args(["cat", "k9", odd]).output().unwrap();
    assert_eq!(output.stdout, body);
}

/// Files below a folder, relative to it.
fn walk(root: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(root).unwrap();
                files.push(relative.to_str().unwrap().to_owned());
            }
        }
    }
    files
}

#[test]
fn a_bucket_in_another_region_is_found_by_itself() {
    let s3 = S3Home::new("guide");
    s3.bucket.set_region("eu-central-1");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
    let refused = s3.server.requests();
    let refused = refused.iter().filter(|r| r.status != Some(200)).count();
    assert_eq!(refused, 1, "asked in the wrong region more than once");
}

#[test]
fn who_pays_is_said_only_where_it_is_configured() {
    let s3 = S3Home::new("guide");
    s3.bucket.set_requester_pays(true);
    let said = s3.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot list `s3://inbox/hive/parquet/`: AccessDenied (403): Access Denied
    hint: the caller needs s3:ListBucket on the bucket; `kennel init` prints a policy with the least permissions
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
    s3.configure("request_payer = true\n");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[test]
fn a_session_token_goes_with_the_keys() {
    let s3 = S3Home::with(
        "guide",
        S3Options {
            session_token: Some("TESTKIT-TOKEN".into()),
            ..S3Options::default()
        },
    );
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let s3 = S3Home::new("guide");
    s3.home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"s3://no-such-bucket\"\n",
    );
    let said = s3.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: cannot list `s3://no-such-bucket/hive/parquet/`: NoSuchBucket (404): The specified bucket does not exist
    hint: check the bucket's name in `url`, and `endpoint_url` if it is not AWS's
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
}

#[test]
fn an_empty_bucket_is_said_and_is_no_good_news() {
    let s3 = S3Home::new("guide");
    s3.bucket
        .keys()
        .iter()
        .for_each(|key| s3.bucket.delete(key));
    let said = s3.kennel(["sync"]);
    insta::assert_snapshot!(said.all(), @r"
    exit 0
    -- stdout
    -- stderr
    k9: up to date, 0 unchanged, in [TIME]
    warning: k9: no k9 reports are listed under s3://inbox
    hint: k9 delivers Parquet under hive/parquet/ when hive delivery is switched on; a prefix belongs into the url
    ");
    s3.kennel(["run", "iam-admins"]).ends_with(4);
    assert_whole(&s3.home.cache());
}
