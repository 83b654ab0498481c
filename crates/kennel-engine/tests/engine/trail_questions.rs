//! What the canned questions over CloudTrail answer, beyond their snapshots.

use chrono::{DateTime, Utc};
use kennel_cache::AccountId;
use kennel_engine::{AsOf, EngineSettings};
use kennel_testkit::fixtures::{
    PARTNER, PRODUCTION, SANDBOX, SECURITY,
    trail::{
        CREW_EMAIL, IDENTITY_CENTER_USER, Identity, MACHINE_KEY, MACHINE_ROLE, MACHINE_USER,
        TrailEvent, covered_until, deliver, guide_trail,
    },
    utc,
};

use crate::home::{Result, TestCache, run};

const SSO_ROLE: &str = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorAccess_437be9d757c9ea2f";

async fn ask(id: &str, params: &[(&str, &str)]) -> Result {
    let cache = TestCache::of_the_guide_with_its_trail();
    run(&cache.engine(), id, params).await
}

/// Times of a column, as whole seconds.
fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Service, call, how often, first and last time.
type Use = (String, String, usize, DateTime<Utc>, DateTime<Utc>);

/// The story's events that `admits` names, counted.
fn truth(admits: impl Fn(&TrailEvent) -> bool) -> Vec<Use> {
    let mut truth = std::collections::BTreeMap::<_, Vec<_>>::new();
    for event in guide_trail().into_iter().filter(|event| admits(event)) {
        let text = |field: &str| event.record[field].as_str().unwrap().to_owned();
        let service = text("eventSource")
            .trim_end_matches(".amazonaws.com")
            .to_owned();
        truth
            .entry((service, text("eventName")))
            .or_default()
            .push(event.at);
    }
    truth
        .into_iter()
        .map(|((service, name), times)| {
            let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
            (service, name, times.len(), first, last)
        })
        .collect()
}

fn answered(result: &Result) -> Vec<Use> {
    let column = |name| result.column(name);
    let (services, names) = (column("service"), column("event_name"));
    let (calls, firsts, lasts) = (column("calls"), column("first_seen"), column("last_seen"));
    (0..result.rows.len())
        .map(|row| {
            (
                services[row].to_owned(),
                names[row].to_owned(),
                calls[row].parse().unwrap(),
                instant(firsts[row]),
                instant(lasts[row]),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_guides_two_lists_are_what_the_user_did_and_what_the_role_does() {
    let by_user = ask("cloudtrail/actions", &[("principal", MACHINE_USER)]).await;
    let made_by = |field: &'static str, arn: &'static str| {
        move |event: &TrailEvent| match field {
            "user" => event.record["userIdentity"]["arn"] == arn,
            _ => event.record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == arn,
        }
    };
    let user = truth(made_by("user", MACHINE_USER));
    assert_eq!(answered(&by_user), user);
    let by_role = ask("cloudtrail/actions", &[("principal", MACHINE_ROLE)]).await;
    let role = truth(made_by("role", MACHINE_ROLE));
    assert_eq!(answered(&by_role), role);
    // Of a long list the application needs three: the guide's point.
    assert_eq!((user.len(), role.len()), (13, 3));
    assert_eq!(
        by_role.column("event_name"),
        ["GetObject", "PutObject", "SendMessage"]
    );
    assert_eq!(by_user.column("principal"), [MACHINE_USER; 13]);
    let tried = by_user
        .rows
        .iter()
        .filter(|row| row.contains(&"DescribeOrganization".to_owned()));
    assert_eq!(
        tried.map(|row| row[4..7].concat()).collect::<Vec<_>>(),
        ["111"]
    );
    // A week later: only what the role did since.
    let since = ask(
        "cloudtrail/actions",
        &[
            ("principal", MACHINE_ROLE),
            ("since", "2026-02-17"),
            ("until", "2026-02-18T11:05:00Z"),
        ],
    )
    .await;
    assert_eq!(since.column("calls"), ["2", "1", "1"]);
}

#[tokio::test]
async fn a_principal_is_found_under_each_of_its_names() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let engine = cache.engine();
    let of = async |principal: &str| {
        run(&engine, "cloudtrail/activity", &[("principal", principal)]).await
    };
    let count = async |principal: &str| of(principal).await.rows.len();
    let by_user = count(MACHINE_USER).await;
    assert_eq!(by_user, 8 * 4 + 10);
    assert_eq!(
        count("arn:aws:iam::111122223333:user/left/out/anotheremployee").await,
        by_user
    );
    assert_eq!(count("anotheremployee").await, by_user);
    assert_eq!(count(MACHINE_KEY).await, by_user);

    // A role stands for its sessions, with or without its path.
    let lambda = count("arn:aws:iam::123456789012:role/service-role/reporting-lambda").await;
    assert_eq!(lambda, 2);
    assert_eq!(
        count("arn:aws:iam::123456789012:role/reporting-lambda").await,
        lambda
    );
    assert_eq!(
        count("arn:aws:sts::123456789012:assumed-role/reporting-lambda").await,
        lambda
    );
    assert_eq!(
        count("arn:aws:sts::123456789012:assumed-role/reporting-lambda/reporting-lambda").await,
        lambda
    );
    // A session is only that session.
    let both = count(MACHINE_ROLE).await;
    let one =
        count("arn:aws:sts::111122223333:assumed-role/SporkApplicationRole/i-0a1b2c3d4e5f60718")
            .await;
    let other = count("i-0f9e8d7c6b5a40312").await;
    assert_eq!((both, one, other), (48, 24, 24));
    // The same names in another account are others.
    assert_eq!(
        count("arn:aws:iam::444455556666:role/SporkApplicationRole").await,
        0
    );
    assert_eq!(
        count("arn:aws:sts::444455556666:assumed-role/SporkApplicationRole/i-0f9e8d7c6b5a40312")
            .await,
        0
    );
    // A user of a role's name, and the other way round, are others, too.
    assert_eq!(
        count("arn:aws:iam::111122223333:user/SporkApplicationRole").await,
        0
    );
    assert_eq!(
        count("arn:aws:iam::111122223333:role/anotheremployee").await,
        0
    );

    let person = of(IDENTITY_CENTER_USER).await;
    assert_eq!(
        person.column("service"),
        ["sso", "sso", "signin", "rds", "iam"]
    );
    let sessions = of(CREW_EMAIL).await;
    assert_eq!(sessions.column("principal_arn"), [SSO_ROLE; 3]);
    let root = of("arn:aws:iam::123456789012:root").await;
    assert_eq!(
        root.column("event_name"),
        [
            "ConsoleLogin",
            "PutBucketPolicy",
            "DescribeSpotInstanceRequests"
        ]
    );
    // Text that looks like a pattern is text.
    assert_eq!(count("%").await, 0);
    assert_eq!(count("arn:aws:iam::111122223333:user/%").await, 0);
}

#[tokio::test]
async fn chains_of_roles_are_followed_across_accounts_to_whom_they_began_with() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let result = run(
        &cache.engine(),
        "cloudtrail/role-assumptions",
        &[("principal", "dana.partner")],
    )
    .await;
    let dana = format!("arn:aws:iam::{PARTNER}:user/dana.partner");
    let support = format!("arn:aws:iam::{SECURITY}:role/partner-support");
    let bridge = format!("arn:aws:iam::{SANDBOX}:role/ops-bridge");
    assert_eq!(
        result.column("chain"),
        [
            format!("{dana} > {support}"),
            format!("{dana} > {support} > {bridge}")
        ]
    );
    assert_eq!(result.column("hop_count"), ["1", "2"]);
    assert_eq!(
        result.column("assumed_by"),
        [dana.as_str(), support.as_str()]
    );
    // Both accounts have a record of each call: it is one.
    assert_eq!(result.column("assumptions"), ["1", "1"]);
    assert_eq!(result.column("source_ip_address"), ["192.0.2.55"; 2]);

    // Limited to the account of the last role, the chain is still whole.
    let settings = EngineSettings {
        accounts: vec![AccountId::new(PRODUCTION)],
        ..TestCache::settings()
    };
    let result = run(
        &cache.engine_with(settings),
        "cloudtrail/role-assumptions",
        &[("include_services", "false")],
    )
    .await;
    assert_eq!(
        result.column("origin"),
        [format!("arn:aws:iam::{SANDBOX}:user/release-bot")]
    );
    assert_eq!(result.column("hop_count"), ["2"]);
    // Denied attempts assume nothing.
    let all = run(
        &cache.engine(),
        "cloudtrail/role-assumptions",
        &[("role", "AccountAdminAccessRole-Sandbox")],
    )
    .await;
    assert_eq!(
        all.column("origin"),
        [format!("arn:aws:iam::{SANDBOX}:user/skuenzli")]
    );
}

#[tokio::test]
async fn roles_that_lead_back_to_each_other_end_and_lose_nobody() {
    let place = (SANDBOX, "us-east-1");
    let role = |name: &str| format!("arn:aws:iam::{SANDBOX}:role/{name}");
    let session = |name: &str, session: &str| Identity::session(SANDBOX, name, session);
    let assume = |at: &str, who: &Identity, name: &str, session: &str| {
        TrailEvent::call(at, place, who, "sts:AssumeRole").assumes(&role(name), session)
    };
    let events = [
        assume(
            "2026-02-10 08:00:00",
            &Identity::user(SANDBOX, "ci"),
            "a",
            "s",
        ),
        assume("2026-02-10 08:01:00", &session("a", "s"), "b", "s"),
        assume("2026-02-10 08:02:00", &session("b", "s"), "a", "t"),
        assume("2026-02-10 08:03:00", &session("a", "t"), "deploy", "s"),
        // It prolongs itself, then goes on.
        assume(
            "2026-02-10 08:30:00",
            &session("deploy", "s"),
            "deploy",
            "s",
        ),
        assume(
            "2026-02-10 08:31:00",
            &session("deploy", "s"),
            "deploy-admin",
            "s",
        ),
    ];
    let cache = TestCache::new();
    cache.sync_trail(&deliver(&events), crate::trail_home::after_the_trail());
    let result = run(&cache.engine(), "cloudtrail/role-assumptions", &[]).await;
    let user = format!("arn:aws:iam::{SANDBOX}:user/ci");
    let way = |names: &[&str]| {
        let roles = names.iter().map(|name| role(name));
        std::iter::once(user.clone())
            .chain(roles)
            .collect::<Vec<_>>()
            .join(" > ")
    };
    assert_eq!(
        result.column("chain"),
        [
            way(&["a"]),
            way(&["a", "b", "a"]),
            way(&["a", "b"]),
            way(&["a", "b", "a", "deploy"]),
            way(&["a", "b", "a", "deploy", "deploy-admin"]),
        ]
    );
    let near = run(
        &cache.engine(),
        "cloudtrail/role-assumptions",
        &[("max_hops", "2")],
    )
    .await;
    assert_eq!(near.column("chain"), [way(&["a"]), way(&["a", "b"])]);
}

#[tokio::test]
async fn root_and_sign_ins_leave_out_what_is_none() {
    let root = ask("cloudtrail/root-use", &[]).await;
    assert_eq!(
        root.column("event_name"),
        ["ConsoleLogin", "PutBucketPolicy"]
    );
    let sign_ins = ask("cloudtrail/sign-ins-without-mfa", &[]).await;
    assert_eq!(
        sign_ins.column("principal_name"),
        ["root", "support-desk", "training"]
    );
    let failed = ask(
        "cloudtrail/sign-ins-without-mfa",
        &[("include_failed", "true")],
    )
    .await;
    assert_eq!(
        failed.column("principal_name"),
        [
            "root",
            "HIDDEN_DUE_TO_SECURITY_REASONS",
            "support-desk",
            "support-desk",
            "training"
        ]
    );
    let federated = ask(
        "cloudtrail/sign-ins-without-mfa",
        &[("include_federated", "true")],
    )
    .await;
    assert_eq!(federated.column("principal_arn").last(), Some(&SSO_ROLE));
}

#[tokio::test]
async fn first_seen_counts_back_from_the_end_of_what_is_covered_or_from_as_of() {
    let newest = ask(
        "cloudtrail/first-seen-actions",
        &[("window_days", "1"), ("new_principals", "false")],
    )
    .await;
    let from = covered_until() - chrono::TimeDelta::days(1);
    assert!(
        newest
            .column("first_seen")
            .into_iter()
            .all(|text| instant(text) > from)
    );
    assert!(
        newest
            .column("principal_first_seen")
            .into_iter()
            .all(|text| instant(text) <= from)
    );
    assert!(
        newest
            .column("principal")
            .contains(&"arn:aws:iam::123456789012:user/skuenzli")
    );
    let cache = TestCache::of_the_guide_with_its_trail();
    let settings = EngineSettings {
        as_of: Some(AsOf::At(utc("2026-02-11 12:00:00"))),
        ..TestCache::settings()
    };
    let then = run(
        &cache.engine_with(settings),
        "cloudtrail/first-seen-actions",
        &[("window_days", "2")],
    )
    .await;
    assert!(then.column("principal").contains(&MACHINE_ROLE));
    assert!(!then.column("principal").contains(&MACHINE_USER));
}

#[tokio::test]
async fn administrators_are_told_apart_by_the_power_they_used() {
    let result = ask(
        "cloudtrail/admins-last-privileged-call",
        &[("account_id", SANDBOX)],
    )
    .await;
    let verdicts = result
        .column("principal_name")
        .into_iter()
        .zip(result.column("verdict"))
        .collect::<std::collections::BTreeMap<_, _>>();
    assert_eq!(verdicts.len(), 10, "the guide's ten");
    assert_eq!(verdicts["demo-admin"], "used");
    assert_eq!(verdicts["AccountAdminAccessRole-Sandbox"], "used");
    // Reading IAM and being denied is no use of power.
    assert_eq!(verdicts["training"], "not used");
    assert_eq!(
        verdicts["AWSReservedSSO_AdministratorAccess_437be9d757c9ea2f"],
        "not used"
    );
    assert_eq!(result.column("covered_until"), ["2026-03-03T09:11:45Z"; 10]);
}

#[tokio::test]
async fn an_account_without_a_trail_is_not_covered_rather_than_unused() {
    let cache = TestCache::of(
        &kennel_testkit::fixtures::guide(),
        kennel_testkit::fixtures::analysis_time(),
    );
    let own = guide_trail()
        .into_iter()
        .filter(|event| event.account_id == PRODUCTION && event.other_account.is_none());
    let objects = deliver(&own.collect::<Vec<_>>());
    cache.sync_trail(&objects, crate::trail_home::after_the_trail());
    for id in [
        "cloudtrail/admins-last-privileged-call",
        "cloudtrail/stale-but-seen",
    ] {
        let result = run(&cache.engine(), id, &[]).await;
        for (account, verdict) in result
            .column("account_id")
            .into_iter()
            .zip(result.column("verdict"))
        {
            assert_eq!(
                verdict == "not covered",
                account != PRODUCTION,
                "{id}: {account}"
            );
        }
    }
}

#[tokio::test]
async fn stale_by_k9_but_seen_are_those_that_came_back() {
    let result = ask("cloudtrail/stale-but-seen", &[("seen_only", "true")]).await;
    assert_eq!(
        result.column("principal_name"),
        [
            "AWSReservedSSO_AdministratorAccess_437be9d757c9ea2f",
            "demo-admin",
            "training"
        ]
    );
    for (used, seen) in result
        .column("principal_last_used")
        .into_iter()
        .zip(result.column("last_seen"))
    {
        assert!(used < seen, "{used} {seen}");
    }
    // A password that did not fit is no use.
    let all = ask("cloudtrail/stale-but-seen", &[]).await;
    assert!(all.column("verdict").contains(&"not seen"));
    assert!(!all.column("verdict").contains(&"not covered"));
}

#[tokio::test]
async fn events_of_a_resource_are_found_by_arn_by_name_and_below_it() {
    let bucket = "arn:aws:s3:::safeco-sandbox-claims-archive";
    let by_arn = ask("cloudtrail/resource-events", &[("resource", bucket)]).await;
    assert_eq!(by_arn.column("event_name"), ["GetObject", "DeleteObject"]);
    let by_name = ask(
        "cloudtrail/resource-events",
        &[("resource", "safeco-sandbox-claims-archive")],
    )
    .await;
    assert_eq!(by_name.column("event_id"), by_arn.column("event_id"));
    let object = format!("{bucket}/2025/claim-0017.pdf");
    let of_object = ask("cloudtrail/resource-events", &[("resource", &object)]).await;
    assert_eq!(of_object.rows.len(), 2);
    assert_eq!(of_object.column("resource_arn"), [object.as_str(); 2]);
    // A name is not a part of a longer one.
    assert!(
        ask(
            "cloudtrail/resource-events",
            &[("resource", "arn:aws:s3:::safeco-sandbox-claims")]
        )
        .await
        .rows
        .is_empty()
    );
    let changes = ask(
        "cloudtrail/resource-events",
        &[
            ("resource", MACHINE_ROLE),
            ("include_reads", "false"),
            ("since", "2026-02-26"),
        ],
    )
    .await;
    assert_eq!(changes.column("event_name"), ["DeleteRole"]);
    let shared = ask(
        "cloudtrail/resource-events",
        &[
            ("resource", "safeco-sandbox-artifacts"),
            ("since", "2026-03-02T11:00:00Z"),
            ("until", "2026-03-02T12:00:00Z"),
        ],
    )
    .await;
    assert_eq!(shared.column("account_id"), [PRODUCTION, SANDBOX]);
    assert_eq!(
        shared.column("shared_event_id")[0],
        shared.column("shared_event_id")[1]
    );
}

#[tokio::test]
async fn brief_usage_counts_the_same_calls_without_where_they_came_from() {
    let whole = ask("cloudtrail/usage", &[("principal", MACHINE_USER)]).await;
    let brief = [("principal", MACHINE_USER), ("brief", "true")];
    let brief = ask("cloudtrail/usage", &brief).await;
    let calls = |result: &Result| {
        let mut calls = std::collections::BTreeMap::<_, (u64, String)>::new();
        let columns = ["event_name", "request_parameters", "resources", "is_denied"];
        for row in 0..result.rows.len() {
            let call = columns.map(|name| result.column(name)[row].to_owned());
            let (count, last) = calls.entry(call).or_default();
            *count += result.column("calls")[row].parse::<u64>().unwrap();
            *last = last.clone().max(result.column("last_seen")[row].into());
        }
        calls
    };
    assert!(!whole.rows.is_empty());
    assert_eq!(calls(&brief), calls(&whole));
    assert!(brief.rows.len() <= whole.rows.len());
    for name in ["source_ip_address", "event_id", "has_tls"] {
        assert!(brief.column(name).iter().all(|value| *value == "∅"));
        assert!(whole.column(name).iter().any(|value| *value != "∅"));
    }
}

#[tokio::test]
async fn changes_are_those_that_were_made() {
    let made = ask("cloudtrail/iam-changes", &[("account_id", SECURITY)]).await;
    assert_eq!(
        made.column("event_name"),
        ["CreateUser", "CreateAccessKey", "AttachUserPolicy"]
    );
    let sandbox = ask("cloudtrail/iam-changes", &[("account_id", SANDBOX)]).await;
    assert!(
        !sandbox.column("event_name").contains(&"AttachRolePolicy"),
        "denied"
    );
    let tried = ask(
        "cloudtrail/iam-changes",
        &[("account_id", SANDBOX), ("include_failed", "true")],
    )
    .await;
    assert!(tried.column("event_name").contains(&"AttachRolePolicy"));
}

#[tokio::test]
async fn volumes_add_up_to_all_events() {
    let cache = TestCache::of_the_guide_with_its_trail();
    let engine = cache.engine();
    let sum = |result: &Result, column: &str| {
        let numbers = result
            .column(column)
            .into_iter()
            .map(|text| text.parse::<u64>().unwrap());
        numbers.sum::<u64>().to_string()
    };
    let all = crate::home::query(
        &engine,
        "SELECT count(*), sum(CASE WHEN is_denied THEN 1 ELSE 0 END) FROM cloudtrail.events",
    )
    .await
    .unwrap()
    .rows;
    let volume = run(&engine, "cloudtrail/daily-volume", &[]).await;
    assert_eq!(
        [sum(&volume, "events"), sum(&volume, "denied_calls")],
        *all[0]
    );
    let services = run(&engine, "cloudtrail/actions-by-service", &[]).await;
    assert_eq!(
        [sum(&services, "calls"), sum(&services, "denied_calls")],
        *all[0]
    );
    let actions = run(&engine, "cloudtrail/actions", &[]).await;
    assert_eq!(
        [sum(&actions, "calls"), sum(&actions, "denied_calls")],
        *all[0]
    );
    let denied = run(&engine, "cloudtrail/denied", &[]).await;
    assert_eq!(sum(&denied, "denied_calls"), all[0][1]);
}
