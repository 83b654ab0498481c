//! Drafts over made-up usage: whatever was called, the draft allows all of it, names only actions that exist, stays within IAM's
//! limits, and is the same whichever order the calls came in.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use chrono::{DateTime, Utc};
use kennel_policy::{
    Call, Context, Document, DraftOptions, Form, Frame, NamedResource, Observed, ResourceLevel,
    Selection, Status, Trust, Usage, cloudformation, companions, draft, reference, terraform,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_000_000 + second, 0).unwrap()
}

fn observed(call: Call, status: Status, count: u64) -> Observed {
    Observed {
        call,
        context: Context::default(),
        status,
        count,
        first_seen: at(0),
        last_seen: at(60),
        event_id: None,
    }
}

/// Names that calls really have as parameters, and some that they do not.
const PARAMETERS: [&str; 16] = [
    "bucketName",
    "key",
    "name",
    "id",
    "tableName",
    "queueUrl",
    "roleName",
    "roleArn",
    "resourceArn",
    "functionName",
    "keyId",
    "tags",
    "clusterName",
    "resourceId",
    "versionId",
    "x-amz-copy-source",
];

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}(/[a-z*?$]{1,4}){0,3}",
        Just("arn:aws:iam::111122223333:role/x".to_owned()),
        Just("https://sqs.us-east-1.amazonaws.com/111122223333/q".to_owned()),
        "arn:aws:[a-z0-9]{2,6}:us-east-1:111122223333:[a-z/:*]{1,12}",
        ".{0,8}",
    ]
}

fn calls() -> impl Strategy<Value = Call> {
    let services = reference::services();
    let parameters = proptest::collection::btree_map(
        proptest::sample::select(PARAMETERS.to_vec()),
        values(),
        0..5,
    );
    let arns = proptest::collection::vec(
        values().prop_filter("an ARN", |text| text.starts_with("arn:")),
        0..2,
    );
    (
        proptest::sample::select(services),
        any::<prop::sample::Index>(),
        parameters,
        arns,
        any::<bool>(),
    )
        .prop_map(|(service, index, parameters, arns, answers)| {
            let actions = reference::service(service).unwrap().actions();
            let request: Map<String, Value> = parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect();
            Call {
                event_source: format!("{service}.amazonaws.com"),
                event_name: actions[index.index(actions.len())].name.to_owned(),
                region: "us-east-1".into(),
                account_id: "111122223333".into(),
                response: if answers {
                    Value::Object(request.clone())
                } else {
                    Value::Null
                },
                request: Value::Object(request),
                resources: arns
                    .into_iter()
                    .map(|arn| NamedResource {
                        arn: Some(arn),
                        arn_prefix: None,
                    })
                    .collect(),
                ..Call::default()
            }
        })
}

fn options() -> impl Strategy<Value = DraftOptions> {
    (0usize..3, 1usize..12).prop_map(|(level, width)| DraftOptions {
        level: [
            ResourceLevel::Exact,
            ResourceLevel::Prefix,
            ResourceLevel::Any,
        ][level],
        width,
        ..DraftOptions::default()
    })
}

fn documents(usage: &Usage, options: &DraftOptions) -> String {
    let texts: Vec<String> = draft(usage, options)
        .documents
        .iter()
        .map(Document::to_json)
        .collect();
    texts.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_draft_allows_every_call_and_names_only_actions_that_exist(
        calls in proptest::collection::vec(calls(), 1..40), options in options()
    ) {
        let usage = Usage::of(calls.into_iter().map(|call| observed(call, Status::Succeeded, 2)));
        let drafted = draft(&usage, &options);
        let replay = usage.replay(&drafted.documents, |_| false);
        prop_assert_eq!(replay.allowed_count, replay.call_count, "{:?}", replay.findings);
        prop_assert_eq!(replay.call_count, usage.totals().used);
        for document in &drafted.documents {
            prop_assert!(document.size_chars() <= Form::Managed.limit_chars() || document.statements.len() == 1);
            let read = Document::parse(&document.to_json()).unwrap();
            prop_assert_eq!(&read, document);
            for statement in &document.statements {
                let Selection::Only(actions) = &statement.actions else { panic!("a draft says what it allows") };
                for action in actions {
                    prop_assert!(reference::action(action).is_some(), "{}", action);
                }
                prop_assert!(statement.sid.as_ref().unwrap().chars().all(|c| c.is_ascii_alphanumeric()));
            }
        }
        let sids: Vec<_> = drafted.documents.iter().flat_map(|document| &document.statements).map(|s| s.sid.clone()).collect();
        let mut distinct = sids.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), sids.len());
    }

    #[test]
    fn the_order_of_calls_changes_no_byte(calls in proptest::collection::vec(calls(), 1..20), options in options()) {
        let usage = |calls: Vec<Call>| Usage::of(calls.into_iter().map(|call| observed(call, Status::Succeeded, 1)));
        let mut backwards = calls.clone();
        backwards.reverse();
        prop_assert_eq!(documents(&usage(calls), &options), documents(&usage(backwards), &options));
    }
}

fn call(source: &str, name: &str, request: Value) -> Call {
    Call {
        event_source: format!("{source}.amazonaws.com"),
        event_name: name.into(),
        region: "eu-central-1".into(),
        account_id: "111122223333".into(),
        request,
        ..Call::default()
    }
}

fn spork() -> Usage {
    let object = |name: &str, key: &str| {
        call(
            "s3",
            name,
            serde_json::json!({"bucketName": "b", "key": key}),
        )
    };
    Usage::of([
        observed(object("GetObject", "in/a"), Status::Succeeded, 8),
        observed(object("GetObject", "in/b*"), Status::Succeeded, 8),
        observed(object("PutObject", "out/a"), Status::Succeeded, 8),
        observed(object("DeleteObject", "in/a"), Status::Denied, 1),
        observed(object("GetObject", "gone"), Status::Failed, 1),
        observed(
            call("sts", "GetCallerIdentity", Value::Null),
            Status::Succeeded,
            1,
        ),
        observed(
            call("s3", "FrobnicateObject", Value::Null),
            Status::Succeeded,
            1,
        ),
        observed(
            call("ec2", "DescribeInstances", Value::Null),
            Status::Succeeded,
            3,
        ),
    ])
}

#[test]
fn denied_and_failed_calls_become_no_grants_and_stars_in_keys_stay_literal() {
    let usage = spork();
    let drafted = draft(&usage, &DraftOptions::default());
    assert_eq!(drafted.documents.len(), 1);
    assert_eq!(
        drafted.documents[0].to_json(),
        r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Ec2List",
      "Effect": "Allow",
      "Action": "ec2:DescribeInstances",
      "Resource": "*"
    },
    {
      "Sid": "S3Read",
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": [
        "arn:aws:s3:::b/in/a",
        "arn:aws:s3:::b/in/b${*}"
      ]
    },
    {
      "Sid": "S3Write",
      "Effect": "Allow",
      "Action": "s3:PutObject",
      "Resource": "arn:aws:s3:::b/out/a"
    }
  ]
}"#
    );
    let totals = usage.totals();
    assert_eq!(
        (
            totals.used,
            totals.needless,
            totals.unmapped,
            totals.denied,
            totals.failed
        ),
        (27, 1, 1, 1, 1)
    );
    let offered: Vec<&str> = drafted
        .offers
        .iter()
        .map(|offer| offer.action.as_str())
        .collect();
    assert!(offered.contains(&"s3:AbortMultipartUpload") && offered.contains(&"s3:ListBucket"));
    assert_eq!(
        drafted.wide,
        [(
            "ec2:DescribeInstances".to_owned(),
            "the action takes no resource"
        )]
    );
}

#[test]
fn a_log_group_is_allowed_in_both_of_its_forms() {
    let usage = Usage::of([observed(
        call(
            "logs",
            "DescribeLogStreams",
            serde_json::json!({"logGroupName": "/aws/lambda/f"}),
        ),
        Status::Succeeded,
        1,
    )]);
    let drafted = draft(&usage, &DraftOptions::default());
    let group = "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/f";
    assert_eq!(
        drafted.documents[0].statements[0].resources,
        Some(Selection::Only(vec![
            group.to_owned(),
            format!("{group}:*")
        ]))
    );
}

#[test]
fn what_is_excluded_is_named_and_not_replayed() {
    let usage = spork();
    let options = DraftOptions {
        exclude: vec!["S3:Put*".into()],
        ..DraftOptions::default()
    };
    let drafted = draft(&usage, &options);
    assert!(drafted.excluded.contains("s3:PutObject"));
    let replay = usage.replay(&drafted.documents, |action| {
        drafted.excluded.contains(action)
    });
    assert_eq!((replay.allowed_count, replay.call_count), (19, 19));
}

#[test]
fn a_policy_too_long_for_iam_becomes_several() {
    let keys = (0..400).map(|nth| format!("folder-{nth}/a-key-that-is-rather-long-{nth}"));
    let usage = Usage::of(keys.map(|key| {
        observed(
            call(
                "s3",
                "GetObject",
                serde_json::json!({"bucketName": "b", "key": key}),
            ),
            Status::Succeeded,
            1,
        )
    }));
    let options = DraftOptions {
        level: ResourceLevel::Exact,
        ..DraftOptions::default()
    };
    let drafted = draft(&usage, &options);
    assert!(drafted.documents.len() > 2);
    assert!(
        drafted
            .documents
            .iter()
            .all(|document| document.size_chars() <= Form::Managed.limit_chars())
    );
    let folded = draft(&usage, &DraftOptions::default());
    assert_eq!(folded.documents.len(), 1);
}

#[test]
fn every_companion_exists() {
    for (action, companion) in companions() {
        assert!(reference::action(action).is_some(), "{action}");
        assert!(reference::action(companion).is_some(), "{companion}");
    }
}

#[test]
fn templates_quote_whatever_a_call_held() {
    let drafted = draft(&spork(), &DraftOptions::default());
    let frame = Frame {
        name: "app".into(),
        role: Some(Trust {
            services: vec!["ec2.amazonaws.com".into()],
            has_instance_profile: true,
            ..Trust::default()
        }),
        notes: vec!["calls seen: \n- evil: yaml".into()],
        ..Frame::default()
    };
    let yaml = cloudformation(&drafted.documents, &frame);
    assert!(
        yaml.starts_with("# calls seen:  - evil: yaml\nAWSTemplateFormatVersion: \"2010-09-09\"\n"),
        "{yaml}"
    );
    for line in [
        "    Type: AWS::IAM::Role",
        "              Service:\n                - \"ec2.amazonaws.com\"",
        "        - !Ref Policy1",
        "            Action: \"s3:GetObject\"",
        "              - \"arn:aws:s3:::b/in/b${*}\"",
        "    Type: AWS::IAM::InstanceProfile",
    ] {
        assert!(yaml.contains(line), "{line}\n{yaml}");
    }
    let hcl = terraform(&drafted.documents, &frame);
    for line in [
        "resource \"aws_iam_role\" \"this\" {",
        "      \"arn:aws:s3:::b/in/b$${*}\",",
        "      identifiers = [\"ec2.amazonaws.com\"]",
        "resource \"aws_iam_instance_profile\" \"this\" {",
    ] {
        assert!(hcl.contains(line), "{line}\n{hcl}");
    }
}

#[test]
fn a_role_is_passed_to_the_service_that_takes_it_and_to_no_other() {
    let role = "arn:aws:iam::111122223333:role/task";
    let usage = Usage::of([
        observed(
            call(
                "ecs",
                "RunTask",
                serde_json::json!({"cluster": "c", "taskDefinition": "f:3", "overrides": {"taskRoleArn": role}}),
            ),
            Status::Succeeded,
            1,
        ),
        observed(
            call(
                "logs",
                "PutSubscriptionFilter",
                serde_json::json!({"logGroupName": "g", "roleArn": role}),
            ),
            Status::Succeeded,
            1,
        ),
    ]);
    let drafted = draft(&usage, &DraftOptions::default());
    let passing: Vec<_> = drafted.documents[0]
        .statements
        .iter()
        .filter(|statement| statement.actions == Selection::Only(vec!["iam:PassRole".into()]))
        .collect();
    let conditions: Vec<_> = passing
        .iter()
        .map(|statement| statement.conditions.clone())
        .collect();
    assert_eq!(conditions[0], []);
    assert_eq!(conditions[1][0].values, ["ecs-tasks.amazonaws.com"]);
    let replay = usage.replay(&drafted.documents, |_| false);
    assert_eq!(replay.allowed_count, 2);
    // The same policy does not let the role be passed to another service.
    let only_tasks = Document {
        statements: vec![passing[1].clone()],
        ..drafted.documents[0].clone()
    };
    let elsewhere = Usage::of([observed(
        call(
            "lambda",
            "CreateFunction20150331",
            serde_json::json!({"functionName": "f", "role": role}),
        ),
        Status::Succeeded,
        1,
    )]);
    let findings = elsewhere.replay(&[only_tasks], |_| false).findings;
    assert!(
        findings
            .iter()
            .any(|finding| finding.action == "iam:PassRole"
                && finding.decision == kennel_policy::Decision::NotAllowed)
    );
    let hcl = terraform(&drafted.documents, &Frame::default());
    assert!(hcl.contains("variable = \"iam:PassedToService\""), "{hcl}");
}

#[test]
fn a_policy_inside_a_role_is_one_document_and_says_how_much_too_long_it_is() {
    let keys = (0..200).map(|nth| format!("folder-{nth}/a-key-that-is-rather-long-{nth}"));
    let usage = Usage::of(keys.map(|key| {
        observed(
            call(
                "s3",
                "GetObject",
                serde_json::json!({"bucketName": "b", "key": key}),
            ),
            Status::Succeeded,
            1,
        )
    }));
    let options = |form| DraftOptions {
        level: ResourceLevel::Exact,
        form,
        ..DraftOptions::default()
    };
    for form in [Form::InlineRole, Form::InlineUser] {
        let drafted = draft(&usage, &options(form));
        assert_eq!(drafted.documents.len(), 1);
        let size = drafted.documents[0].size_chars();
        assert_eq!(drafted.excess_chars(form), size - form.limit_chars());
    }
    let nothing = draft(&Usage::of([]), &options(Form::InlineRole));
    assert!(nothing.documents.is_empty() && nothing.excess_chars(Form::InlineRole) == 0);
    let short = draft(&spork(), &options(Form::InlineUser));
    assert_eq!(short.excess_chars(Form::InlineUser), 0);
}

#[test]
fn the_policy_inside_a_role_or_user_stands_there_and_nowhere_else() {
    let drafted = draft(&spork(), &DraftOptions::default());
    let frame = Frame {
        name: "app".into(),
        path: Some("/team/".into()),
        role: Some(Trust {
            services: vec!["ec2.amazonaws.com".into()],
            has_instance_profile: true,
            ..Trust::default()
        }),
        form: Form::InlineRole,
        ..Frame::default()
    };
    let yaml = cloudformation(&drafted.documents, &frame);
    assert!(!yaml.contains("ManagedPolicy"), "{yaml}");
    for line in [
        "      Path: \"/team/\"\n",
        "      Policies:\n        - PolicyName: \"app\"\n          PolicyDocument:\n            Version: \"2012-10-17\"\n",
        "              - Sid: \"S3Read\"\n                Effect: \"Allow\"\n",
        "      Roles:\n        - !Ref Role\n",
    ] {
        assert!(yaml.contains(line), "{line}\n{yaml}");
    }
    let hcl = terraform(&drafted.documents, &frame);
    assert!(hcl.contains("resource \"aws_iam_role_policy\" \"policy_1\" {\n  name   = \"app\"\n  role   = aws_iam_role.this.id\n"), "{hcl}");
    assert!(!hcl.contains("resource \"aws_iam_policy\""), "{hcl}");

    let frame = Frame {
        name: "old".into(),
        user: Some("old".into()),
        form: Form::InlineUser,
        ..Frame::default()
    };
    let yaml = cloudformation(&drafted.documents, &frame);
    assert!(
        yaml.contains("    Type: AWS::IAM::UserPolicy\n    Properties:\n      UserName: \"old\"\n      PolicyName: \"old\"\n"),
        "{yaml}"
    );
    assert!(
        terraform(&drafted.documents, &frame)
            .contains("resource \"aws_iam_user_policy\" \"policy_1\" {")
    );
}

#[test]
fn who_federates_into_a_role_has_a_statement_of_its_own() {
    let drafted = draft(&spork(), &DraftOptions::default());
    let frame = Frame {
        name: "app".into(),
        role: Some(Trust {
            saml: vec!["arn:aws:iam::111122223333:saml-provider/idp".into()],
            web_identity: vec!["arn:aws:iam::111122223333:oidc-provider/ci.example.com".into()],
            ..Trust::default()
        }),
        ..Frame::default()
    };
    let yaml = cloudformation(&drafted.documents, &frame);
    for line in [
        "            Action: \"sts:AssumeRoleWithSAML\"\n            Condition:\n              StringEquals:\n                \"SAML:aud\": \"https://signin.aws.amazon.com/saml\"\n",
        "                - \"arn:aws:iam::111122223333:oidc-provider/ci.example.com\"\n",
        "  # Add a condition on the token's audience and subject",
    ] {
        assert!(yaml.contains(line), "{line}\n{yaml}");
    }
    assert!(!yaml.contains("\"sts:AssumeRole\""), "{yaml}");
    let hcl = terraform(&drafted.documents, &frame);
    assert!(hcl.contains("      variable = \"SAML:aud\""), "{hcl}");
    // Where nobody was seen, there is a place for a name.
    let nobody = Frame {
        role: Some(Trust::default()),
        ..Frame::default()
    };
    assert!(
        cloudformation(&drafted.documents, &nobody).contains("# Nobody was seen assuming the role")
    );
}
