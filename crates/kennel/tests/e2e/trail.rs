//! CloudTrail from the bucket to the answer, where nothing goes wrong.

use std::collections::BTreeMap;

use kennel_testkit::s3::ObjectOptions;

use crate::{
    s3_home::{S3Home, assert_whole},
    trail_home::{
        OTHER_ACCOUNT, OTHER_REGION, PLACE, assert_kept, configure, deliver, event, event_ids,
        files_below, flat_listings, gzip, key, log_file, put, rows, trail_home, write_folder,
    },
};

/// Two accounts, two regions of one of them, three days.
fn delivered() -> S3Home {
    let s3 = trail_home();
    deliver(&s3, PLACE, "2026/02/27", "e1");
    deliver(&s3, PLACE, "2026/03/01", "e2");
    deliver(&s3, PLACE, "2026/03/02", "e3");
    deliver(&s3, OTHER_REGION, "2026/03/02", "e4");
    deliver(&s3, OTHER_ACCOUNT, "2026/03/02", "e5");
    s3
}

#[test]
fn every_layout_is_found_by_itself_and_other_services_are_left_alone() {
    let s3 = trail_home();
    let places = [
        "plain/AWSLogs/111122223333/CloudTrail/eu-west-1/",
        "deep/logs/of/ours/AWSLogs/111122223333/CloudTrail/eu-west-1/",
        "org/AWSLogs/o-abc1234567/111122223333/CloudTrail/eu-west-1/",
        "tower/o-abc1234567/AWSLogs/o-abc1234567/111122223333/CloudTrail/eu-west-1/",
    ];
    let mut sources = Vec::new();
    for place in places {
        let name = place.split('/').next().unwrap();
        deliver(&s3, place, "2026/03/02", name);
        let account = place.strip_suffix("CloudTrail/eu-west-1/").unwrap();
        for other in [
            "Config/eu-west-1/2026/3/2/ConfigHistory/a.json.gz",
            "elasticloadbalancing/eu-west-1/2026/03/02/a.log.gz",
            "vpcflowlogs/eu-west-1/2026/03/02/a.log.gz",
            "CloudTrail/eu-west-1/",
        ] {
            put(&s3.bucket, &format!("{account}{other}"), vec![]);
        }
        sources.push((name, format!("s3://trail/{name}")));
    }
    let sources = sources
        .iter()
        .map(|(name, url)| (*name, url.as_str(), ""))
        .collect::<Vec<_>>();
    configure(&s3, &sources);
    s3.kennel(["sync"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["deep", "org", "plain", "tower"]);
    assert_eq!(s3.server.counts().get, 4, "one object of each source");
    let kept = rows(&s3, "SELECT key FROM kennel.objects ORDER BY key");
    assert!(
        kept.iter().all(|key| key.contains("/CloudTrail/")),
        "{kept:?}"
    );
    assert_eq!(kept.len(), 4);
}

#[test]
fn each_kind_of_record_comes_into_its_own_table_and_digests_are_kept() {
    let s3 = trail_home();
    deliver(&s3, PLACE, "2026/03/02", "ordinary");
    let account = "AWSLogs/111122223333/";
    for kind in ["Insight", "NetworkActivity"] {
        let place = format!("{account}CloudTrail-{kind}/eu-west-1/");
        let record = event(kind, "2026/03/02").replace("\"Management\"", &format!("\"{kind}\""));
        put(
            &s3.bucket,
            &key(&place, "2026/03/02", kind),
            log_file(&[record]),
        );
    }
    let digest = format!(
        "{account}CloudTrail-Digest/eu-west-1/2026/03/02/111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20260302T130000Z.json.gz"
    );
    let body = gzip(br#"{"awsAccountId":"111122223333","logFiles":[]}"#);
    let options = ObjectOptions {
        metadata: BTreeMap::from([("signature".into(), "00ff".into())]),
        ..ObjectOptions::default()
    };
    s3.bucket.put_with(&digest, body.clone(), options);
    s3.kennel(["sync"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["ordinary"]);
    for (table, id) in [
        ("insights", "Insight"),
        ("network_activity", "NetworkActivity"),
    ] {
        let sql = format!("SELECT event_id FROM cloudtrail.{table}");
        assert_eq!(rows(&s3, &sql), [id]);
    }
    let cache = kennel_cache::Cache::open(&s3.home.cache()).unwrap();
    let name = kennel_cache::SourceName::try_new("trail").unwrap();
    let kept = cache.trail_object(&name, &digest).unwrap().unwrap();
    assert_eq!(kept.object.metadata["signature"], "00ff");
    assert_eq!(
        cache.trail_object_bytes(&name, &digest).unwrap(),
        Some(body)
    );
}

#[test]
fn a_bucket_answers_as_the_same_files_in_a_folder_do() {
    let s3 = delivered();
    let folder = trail_home();
    write_folder(&s3, &folder.home.work().join("bucket"));
    configure(&folder, &[("trail", "file://./bucket", "")]);
    let questions = [
        "SELECT * FROM cloudtrail.cloudtrail_logs ORDER BY eventid",
        "SELECT * FROM cloudtrail.events ORDER BY event_id",
        "SELECT * FROM kennel.coverage ORDER BY account_id, region, day",
        "SELECT key, size_bytes, sha256 FROM kennel.objects ORDER BY key",
    ];
    for s3 in [&s3, &folder] {
        s3.kennel(["sync"]).ends_with(0);
        assert_whole(&s3.home.cache());
    }
    for sql in questions {
        assert_eq!(rows(&s3, sql), rows(&folder, sql), "{sql}");
    }
    assert_eq!(rows(&s3, questions[1]).len(), 5);
    assert_eq!(folder.server.counts().list, 0);
    let sql = "SELECT DISTINCT account, region, \"timestamp\" FROM cloudtrail.cloudtrail_logs ORDER BY 1, 2, 3";
    assert_eq!(
        rows(&folder, sql),
        [
            "012345678901,eu-west-1,2026/03/02",
            "111122223333,eu-west-1,2026/02/27",
            "111122223333,eu-west-1,2026/03/01",
            "111122223333,eu-west-1,2026/03/02",
            "111122223333,us-east-1,2026/03/02",
        ]
    );
}

#[test]
fn any_object_comes_back_byte_for_byte_and_the_cache_verifies() {
    let s3 = delivered();
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_kept(&s3);
    for key in s3.bucket.keys() {
        let mut command = s3.command();
        command.args(["cat", "trail", &key]);
        let output = command.output().unwrap();
        assert_eq!(output.stdout, s3.bucket.body(&key).unwrap(), "{key}");
    }
    let said = s3.kennel(["verify"]).ends_with(0);
    assert!(
        said.stdout.contains("none damaged") || said.stdout.contains(": none"),
        "{}",
        said.stdout
    );
    // One changed byte of a pack is found, and names the object that lies there.
    let pack = files_below(&s3.home.cache().join("packs")).remove(0);
    let mut bytes = std::fs::read(&pack).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let said = s3.kennel(["verify"]).ends_with(1);
    assert!(
        said.stdout.contains("damaged: trail AWSLogs/"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_second_sync_lists_each_region_once_and_asks_for_no_object() {
    let s3 = delivered();
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(
        said.stderr.starts_with("trail: 5 fetched ("),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains(", 5 events; snapshot s1"),
        "{}",
        said.stderr
    );
    s3.server.clear_requests();
    let said = s3.kennel(["sync"]).ends_with(0);
    // The file of 27 February lies before the days that are looked at again.
    assert_eq!(said.stderr, "trail: up to date, 4 unchanged, in [TIME]\n");
    assert_eq!(flat_listings(&s3), [OTHER_ACCOUNT, PLACE, OTHER_REGION]);
    let counts = s3.server.counts();
    assert_eq!((counts.get, counts.head), (0, 0));
    // The root, AWSLogs, two accounts, and the folder CloudTrail of each.
    assert_eq!(counts.list, 3 + 6);
    assert_eq!(rows(&s3, "SELECT count(*) FROM kennel.snapshots"), ["1"]);
}

#[test]
fn a_late_file_is_found_within_the_look_back_and_an_older_one_by_a_full_listing() {
    let s3 = delivered();
    s3.kennel(["sync", "-q"]).ends_with(0);
    // Both sort before what was seen.
    deliver(&s3, PLACE, "2026/03/01", "a-late");
    deliver(&s3, PLACE, "2026/02/20", "a-very-late");
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(
        said.stderr.starts_with("trail: 1 fetched ("),
        "{}",
        said.stderr
    );
    assert_eq!(event_ids(&s3), ["a-late", "e1", "e2", "e3", "e4", "e5"]);
    s3.server.clear_requests();
    let said = s3.kennel(["sync", "--full"]).ends_with(0);
    assert!(
        said.stderr.starts_with("trail: 1 fetched ("),
        "{}",
        said.stderr
    );
    assert_eq!(
        s3.server.counts().get,
        1,
        "what is known is not fetched again"
    );
    assert_eq!(event_ids(&s3)[1], "a-very-late");
    assert_whole(&s3.home.cache());
}

#[test]
fn files_that_a_sync_merged_are_gone_at_its_end() {
    let s3 = delivered();
    s3.kennel(["sync", "-q"]).ends_with(0);
    let tables = s3.home.cache().join("tables/cloudtrail");
    let first = files_below(&tables);
    assert_eq!(first.len(), 1, "{first:?}");
    deliver(&s3, PLACE, "2026/03/01", "a-late");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let merged = files_below(&tables);
    assert_eq!(merged.len(), 1, "{merged:?}");
    assert_ne!(merged, first);
    assert_eq!(event_ids(&s3), ["a-late", "e1", "e2", "e3", "e4", "e5"]);
}

#[test]
fn a_week_later_everything_is_listed_again_by_itself() {
    let mut s3 = delivered();
    s3.kennel(["sync", "-q"]).ends_with(0);
    deliver(&s3, PLACE, "2026/02/20", "late");
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3).len(), 5);
    s3.home.at("2026-03-11T12:00:00Z");
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3).len(), 6);
}

#[test]
fn flags_narrow_a_sync_and_the_next_one_without_them_gets_the_rest() {
    for (flags, ids) in [
        (
            ["--since", "2026-03-02"].as_slice(),
            ["e3", "e4", "e5"].as_slice(),
        ),
        (&["--since", "3d"], &["e2", "e3", "e4", "e5"]),
        (&["--until", "2026-03-01"], &["e1", "e2"]),
        (&["--since", "2026-02-28", "--until", "2026-03-01"], &["e2"]),
        (&["--account", "012345678901"], &["e5"]),
        (&["--region", "us-east-1"], &["e4"]),
        (
            &[
                "--region",
                "us-east-1",
                "--region",
                "eu-west-1",
                "--account",
                "111122223333",
            ],
            &["e1", "e2", "e3", "e4"],
        ),
        (
            &[
                "--exclude",
                "**/us-east-1/**",
                "--include",
                "**/111122223333/**",
            ],
            &["e1", "e2", "e3"],
        ),
    ] {
        let s3 = delivered();
        s3.kennel(["sync", "-q"].into_iter().chain(flags.iter().copied()))
            .ends_with(0);
        assert_eq!(event_ids(&s3), ids, "{flags:?}");
        assert_eq!(s3.server.counts().get, ids.len() as u64, "{flags:?}");
        s3.kennel(["sync", "-q"]).ends_with(0);
        assert_eq!(
            event_ids(&s3),
            ["e1", "e2", "e3", "e4", "e5"],
            "after {flags:?}"
        );
        assert_eq!(s3.server.counts().get, 5, "{flags:?}");
    }
}

#[test]
fn flags_that_let_nothing_through_are_told_in_cloudtrails_words() {
    let s3 = delivered();
    let said = s3.kennel(["sync", "--since", "2026-03-03"]).ends_with(0);
    assert!(!said.stderr.contains("k9"), "{}", said.stderr);
    let said = s3.kennel(["sync", "--since", "soon"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @"error: --since: `soon` is no day (2026-03-01) and no span (90d)
");
}

#[test]
fn a_bucket_without_a_trail_is_said() {
    let s3 = trail_home();
    put(&s3.bucket, "hive/parquet/a.parquet", vec![b'x']);
    let said = s3.kennel(["sync"]);
    assert!(!said.stderr.contains("k9"), "{}", said.all());
    assert!(
        said.stderr.contains("no CloudTrail files"),
        "{}",
        said.all()
    );
    let said = s3
        .kennel(["sql", "-c", "SELECT count(*) FROM cloudtrail.events"])
        .ends_with(4);
    assert!(
        said.stderr
            .contains("the cache holds no records for `cloudtrail.events`"),
        "{}",
        said.stderr
    );
}

#[test]
fn the_configured_since_bounds_the_first_sync_and_can_be_widened() {
    let s3 = delivered();
    configure(&s3, &[("trail", "s3://trail", "since = \"3d\"")]);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3), ["e2", "e3", "e4", "e5"]);
    configure(&s3, &[("trail", "s3://trail", "since = \"2026-01-01\"")]);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3).len(), 5);
    configure(&s3, &[("trail", "s3://trail", "since = \"someday\"")]);
    let said = s3.kennel(["sync", "-q"]).ends_with(2);
    assert!(said.stderr.contains("someday"), "{}", said.stderr);
}

#[test]
fn without_raw_only_tables_are_kept_and_nothing_is_fetched_twice() {
    let s3 = delivered();
    configure(&s3, &[("trail", "s3://trail", "keep_raw = false")]);
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(event_ids(&s3).len(), 5);
    assert_eq!(
        files_below(&s3.home.cache().join("packs")),
        Vec::<std::path::PathBuf>::new()
    );
    s3.kennel(["verify"]).ends_with(0);
    let said = s3
        .kennel(["cat", "trail", &s3.bucket.keys()[0]])
        .ends_with(2);
    assert!(said.stderr.contains("keep_raw"), "{}", said.stderr);
    s3.server.clear_requests();
    s3.kennel(["sync", "-q", "--full"]).ends_with(0);
    assert_eq!(s3.server.counts().get, 0);
}

#[test]
fn events_of_two_trails_count_twice_as_in_athena_and_once_as_events() {
    let s3 = trail_home();
    let records = [event("e1", "2026/03/01"), event("e2", "2026/03/01")];
    let of = |name| key(PLACE, "2026/03/01", name);
    put(&s3.bucket, &of("first"), log_file(&records));
    put(&s3.bucket, &of("second"), log_file(&records[..1]));
    s3.kennel(["sync", "-q"]).ends_with(0);
    let count = "SELECT count(*) FROM cloudtrail.cloudtrail_logs";
    assert_eq!(rows(&s3, count), ["3"]);
    assert_eq!(event_ids(&s3), ["e1", "e2"]);
    // The second trail's file comes with a later sync.
    put(&s3.bucket, &of("third"), log_file(&records[1..]));
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(rows(&s3, count), ["4"]);
    assert_eq!(event_ids(&s3), ["e1", "e2"]);
    // Another bucket, another source: the organisation's own trail.
    let other = s3.server.bucket("organisation");
    let place = "AWSLogs/o-abc1234567/111122223333/CloudTrail/eu-west-1/";
    put(
        &other,
        &key(place, "2026/03/01", "again"),
        log_file(&records),
    );
    configure(
        &s3,
        &[
            ("trail", "s3://trail", ""),
            ("organisation", "s3://organisation", ""),
        ],
    );
    s3.kennel(["sync", "-q"]).ends_with(0);
    assert_eq!(rows(&s3, count), ["6"]);
    assert_eq!(event_ids(&s3), ["e1", "e2"]);
}

#[test]
fn reports_and_a_trail_live_in_one_cache() {
    let s3 = delivered();
    s3.home.fill_inbox("guide");
    let trail = "[[source]]\nname = \"trail\"\nkind = \"cloudtrail\"\nurl = \"s3://trail\"\n";
    s3.home.write(
        "kennel.toml",
        &format!("[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"file://./inbox\"\n{trail}"),
    );
    let said = s3.kennel(["sync"]).ends_with(0);
    assert!(said.stderr.contains("k9: "), "{}", said.stderr);
    assert!(
        said.stderr.contains("trail: 5 fetched ("),
        "{}",
        said.stderr
    );
    let said = s3.kennel(["run", "iam-admins", "-f", "csv"]).ends_with(0);
    assert!(said.stdout.lines().count() > 1, "{}", said.all());
    assert!(
        !said.stderr.contains("CloudTrail"),
        "the question reads no trail: {}",
        said.stderr
    );
    assert_eq!(event_ids(&s3).len(), 5);
    let counts = "SELECT source, count(*) > 4 FROM kennel.objects GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&s3, counts), ["k9,true", "trail,true"]);
    // An hourly sync of the trail makes no snapshot of the reports.
    deliver(&s3, PLACE, "2026/03/03", "e6");
    s3.kennel(["sync", "-q", "trail"]).ends_with(0);
    let counts = "SELECT source, count(*) FROM kennel.snapshots GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&s3, counts), ["k9,1", "trail,2"]);
    let said = s3.kennel(["status"]).ends_with(0);
    assert!(said.stdout.contains("source k9 (k9, "), "{}", said.stdout);
    assert!(
        said.stdout.contains("source trail (cloudtrail, "),
        "{}",
        said.stdout
    );
}

#[test]
fn status_says_which_days_and_events_of_each_account_and_region_there_are() {
    let s3 = delivered();
    let records =
        (0..1_200).map(|n| event(&format!("d{n}"), "2026/03/02").replace("Management", "Data"));
    put(
        &s3.bucket,
        &key(OTHER_REGION, "2026/03/02", "data"),
        log_file(&records.collect::<Vec<_>>()),
    );
    s3.kennel(["sync", "-q"]).ends_with(0);
    let said = s3.kennel(["status"]).ends_with(0);
    let table = said.stdout.split("  days of delivery").nth(1).unwrap();
    insta::assert_snapshot!(format!("  days of delivery{table}"), @r"
      days of delivery (UTC) and events of each account and region:

     account      │ region    │ first day  │ last day   │ days │ gaps │ management │  data
    ──────────────┼───────────┼────────────┼────────────┼──────┼──────┼────────────┼───────
     012345678901 │ eu-west-1 │ 2026/03/02 │ 2026/03/02 │    1 │    0 │          1 │     0
     111122223333 │ eu-west-1 │ 2026/02/27 │ 2026/03/02 │    3 │    1 │          3 │     0
     111122223333 │ us-east-1 │ 2026/03/02 │ 2026/03/02 │    1 │    0 │          1 │ 1,200
    ");
    let said = s3.kennel(["status", "-f", "json"]).ends_with(0);
    let status = serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap();
    let coverage = status["sources"][0]["coverage"].as_array().unwrap();
    assert_eq!(coverage.len(), 6);
    insta::assert_snapshot!(coverage[4].to_string(), @r#"{"account_id":"111122223333","day":"2026/03/02","event_category":"Data","event_count":1200,"object_count":1,"region":"us-east-1"}"#);
    // It is what the table of the same name says.
    let sql = "SELECT account_id, region, day, event_category, object_count, row_count FROM kennel.coverage ORDER BY 1, 2, 3, 4";
    let fields = [
        "account_id",
        "region",
        "day",
        "event_category",
        "object_count",
        "event_count",
    ];
    let lines = coverage.iter().map(|row| {
        let cells = fields.map(|field| match &row[field] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        cells.join(",")
    });
    assert_eq!(lines.collect::<Vec<_>>(), rows(&s3, sql));
}

#[test]
fn a_dry_run_tells_the_plan_and_asks_for_no_object() {
    let s3 = delivered();
    let said = s3.kennel(["sync", "--dry-run"]).ends_with(0);
    assert!(
        said.stdout.starts_with("trail: would fetch 5 objects ("),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("requests: 9 LIST made, 5 GET to make"),
        "{}",
        said.stdout
    );
    assert!(!s3.home.cache().exists(), "a dry run made a cache");
    s3.kennel(["sync", "-q", "--region", "us-east-1"])
        .ends_with(0);
    s3.server.clear_requests();
    let said = s3.kennel(["sync", "--dry-run", "--json"]).ends_with(0);
    let plan =
        serde_json::from_str::<serde_json::Value>(said.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (
            &plan["event"],
            &plan["fetch_count"],
            &plan["unchanged_count"]
        ),
        (&"plan".into(), &4.into(), &1.into())
    );
    assert_eq!(s3.server.counts().get, 0);
}

#[test]
fn json_tells_what_came_and_counts_events() {
    let s3 = delivered();
    let twice = [event("e1", "2026/02/27"), event("e6", "2026/02/27")];
    put(
        &s3.bucket,
        &key(PLACE, "2026/02/27", "second"),
        log_file(&twice),
    );
    let said = s3.kennel(["sync", "--json"]).ends_with(0);
    let lines = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines = lines.collect::<Vec<_>>();
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    for (field, count) in [
        ("fetched_count", 6),
        ("unchanged_count", 0),
        ("failed_count", 0),
        ("event_count", 7),
        ("duplicate_count", 1),
        ("archived_count", 0),
    ] {
        assert_eq!(summary[field], count, "{field}: {summary}");
    }
    assert_eq!(summary["requests"]["get"], 6);
    let fetched = lines
        .iter()
        .filter(|line| line["event"] == "fetched")
        .count();
    assert_eq!(fetched, 6);
}
