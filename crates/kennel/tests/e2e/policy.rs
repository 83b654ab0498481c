//! `kennel policy` over the guide's world: a machine that ran as an employee's user and then got a role of its own.

use kennel_testkit::fixtures::{
    BucketOptions, bucket_objects, guide,
    trail::{MACHINE_ROLE, MACHINE_USER, deliver, guide_trail},
};

use crate::{
    s3_home::S3Home,
    trail_home::{put, trail_home},
};

/// A home that has mirrored the guide's trail and k9's reports.
pub(crate) fn guide_home() -> S3Home {
    let s3 = trail_home();
    for (key, body) in deliver(&guide_trail()) {
        put(&s3.bucket, &key, body);
    }
    let inbox = s3.server.bucket("inbox");
    for (key, body) in bucket_objects(&guide(), &BucketOptions::default()) {
        inbox.put(&key, body);
    }
    s3.home.write(
        "kennel.toml",
        "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"s3://inbox\"\n[[source]]\nname = \"trail\"\nkind = \"cloudtrail\"\nurl = \"s3://trail\"\n",
    );
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3
}

#[test]
fn a_draft_allows_what_the_role_did_and_passes_its_own_check() {
    let s3 = guide_home();
    let said = s3.kennel(["policy", "draft", MACHINE_ROLE]);
    insta::assert_snapshot!("policy_draft_json", said.stdout);
    insta::assert_snapshot!("policy_draft_notes", said.stderr);
    s3.home.write("draft.json", &said.stdout);
    let check = s3.kennel(["policy", "check", "draft.json", MACHINE_ROLE, "-f", "csv"]);
    assert_eq!(check.code, said.code, "{}", check.stderr);
    assert_eq!(check.stdout.lines().count(), 1, "{}", check.stdout);
    for format in ["cloudformation", "terraform"] {
        let said = s3.kennel(["policy", "draft", MACHINE_ROLE, "--format", format]);
        insta::assert_snapshot!(format!("policy_draft_{format}"), said.stdout);
    }
    let inline = ["policy", "draft", MACHINE_ROLE, "--inline", "--format"];
    let said = s3.kennel([inline.as_slice(), &["cloudformation"]].concat());
    insta::assert_snapshot!("policy_draft_inline", said.stdout);
}

#[test]
fn a_policy_inside_a_user_names_the_user() {
    let s3 = guide_home();
    let said = s3.kennel([
        "policy",
        "draft",
        MACHINE_USER,
        "--inline",
        "--format",
        "terraform",
    ]);
    let name = MACHINE_USER.rsplit('/').next().unwrap();
    assert!(
        said.stdout.contains(&format!(
            "resource \"aws_iam_user_policy\" \"policy_1\" {{\n  name   = \"{name}\"\n  user   = \"{name}\"\n"
        )),
        "{}",
        said.stdout
    );
}

#[test]
fn usage_tells_actions_and_resources_of_the_old_user() {
    let s3 = guide_home();
    let said = s3.kennel(["policy", "usage", MACHINE_USER, "-f", "csv"]);
    insta::assert_snapshot!("policy_usage", said.stdout);
    let said = s3.kennel(["policy", "compare", MACHINE_USER, MACHINE_ROLE, "-f", "csv"]);
    insta::assert_snapshot!("policy_compare_identities", said.stdout);
}

#[test]
fn a_policy_that_is_too_narrow_is_a_finding_and_nonsense_is_refused() {
    let s3 = guide_home();
    s3.home.write(
        "narrow.json",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::*"}]}"#,
    );
    let said = s3.kennel(["policy", "check", "narrow.json", MACHINE_ROLE, "-f", "csv"]);
    insta::assert_snapshot!("policy_check", said.stdout);
    assert_ne!(said.code, Some(0));
    s3.home.write(
        "typo.json",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Actoin":"s3:*"}]}"#,
    );
    let said = s3
        .kennel(["policy", "check", "typo.json", MACHINE_ROLE])
        .ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: `typo.json` is no policy document
      caused by: an element that statements do not have at Statement[0].Actoin
    ");
}

#[test]
fn nobody_gets_no_policy() {
    let s3 = guide_home();
    let said = s3
        .kennel(["policy", "draft", "arn:aws:iam::111122223333:role/nobody"])
        .ends_with(2);
    assert_eq!(said.stdout, "");
    assert!(
        said.stderr.contains("nothing was used by"),
        "{}",
        said.stderr
    );
}

#[test]
fn records_of_a_file_are_explained_line_by_line() {
    let home = crate::home::TestHome::new();
    home.write(
        "events.jsonl",
        concat!(
            r#"{"eventSource":"s3.amazonaws.com","eventName":"ListObjects","awsRegion":"us-east-1","requestParameters":{"bucketName":"b"}}"#, "\n\n",
            "not json\n",
            r#"{"eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity"}"#, "\n",
            r#"{"eventSource":"s3.amazonaws.com","eventName":"Frobnicate"}"#,
        ),
    );
    let said = home
        .kennel([
            "policy",
            "explain",
            "--event-file",
            "events.jsonl",
            "--format",
            "jsonl",
        ])
        .ends_with(3);
    let lines: Vec<serde_json::Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["actions"], serde_json::json!(["s3:ListBucket"]));
    assert_eq!(lines[0]["resources"], serde_json::json!(["arn:aws:s3:::b"]));
    let provenances: Vec<_> = lines
        .iter()
        .map(|line| line["provenance"].as_str().unwrap())
        .collect();
    assert_eq!(provenances, ["table", "unmapped", "table", "unmapped"]);
    assert!(
        lines[1]["error"]
            .as_str()
            .unwrap()
            .starts_with("line 3 is not JSON")
    );
}

#[test]
fn an_event_of_the_cache_is_explained_for_people() {
    let s3 = guide_home();
    let found = s3.kennel([
        "sql", "-q", "-f", "csv", "-c",
        "SELECT min(event_id) FROM cloudtrail.events WHERE event_name = 'UpdateFunctionCode20150331v2'",
    ]);
    let id = found.stdout.lines().nth(1).unwrap().to_owned();
    let said = s3.kennel(["policy", "explain", &id]).ends_with(0);
    assert!(
        said.stdout.contains(
            "needs      lambda:UpdateFunctionCode [rule: the version in the call's name is cut off]"
        ),
        "{}",
        said.stdout
    );
    let said = s3
        .kennel(["policy", "explain", "no-such-event"])
        .ends_with(2);
    assert!(
        said.stderr.contains("no event `no-such-event`"),
        "{}",
        said.stderr
    );
}

#[test]
fn granted_rights_stand_beside_their_use() {
    let s3 = guide_home();
    let said = s3.kennel([
        "policy",
        "compare",
        "arn:aws:iam::123456789012:user/skuenzli",
        "-f",
        "csv",
    ]);
    insta::assert_snapshot!("policy_compare_granted", said.stdout);
}
