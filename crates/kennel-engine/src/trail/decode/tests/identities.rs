//! Who did it: every identity type and every version of the record.

use super::*;

/// The principal's columns, in this order: type, arn, name, account, session.
fn principal(identity: &str) -> [String; 5] {
    let rows = decode_record(&format!(r#""userIdentity":{identity}"#));
    [
        "principal_type",
        "principal_arn",
        "principal_name",
        "principal_account_id",
        "session_name",
    ]
    .map(|column| rows.text(column))
}

const NULL: &str = "<null>";

#[test]
fn a_user_and_a_root_are_their_own_principals() {
    assert_eq!(
        principal(
            r#"{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::012345678901:user/team/alice","accountId":"012345678901","accessKeyId":"AKIAEXAMPLE","userName":"alice"}"#
        ),
        [
            "IAMUser",
            "arn:aws:iam::012345678901:user/team/alice",
            "alice",
            "012345678901",
            NULL
        ]
    );
    assert_eq!(
        principal(
            r#"{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333","sessionContext":{"sessionIssuer":{},"webIdFederationData":{},"attributes":{"mfaAuthenticated":"true","creationDate":"20131102T010628Z"}}}"#
        ),
        [
            "Root",
            "arn:aws:iam::111122223333:root",
            "root",
            "111122223333",
            NULL
        ]
    );
    // A user with a temporary session stays a user.
    assert_eq!(
        principal(
            r#"{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/bob","accountId":"111122223333","userName":"bob","sessionContext":{"sessionIssuer":{},"attributes":{"mfaAuthenticated":"false"}}}"#
        )[1],
        "arn:aws:iam::111122223333:user/bob"
    );
}

#[test]
fn a_session_is_the_role_behind_it_with_its_path() {
    assert_eq!(
        principal(
            r#"{"type":"AssumedRole","principalId":"AROAEXAMPLE:deploy-42","arn":"arn:aws:sts::111122223333:assumed-role/deployer/deploy-42","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/ci/deployer","accountId":"111122223333","userName":"deployer"}}}"#
        ),
        [
            "AssumedRole",
            "arn:aws:iam::111122223333:role/ci/deployer",
            "deployer",
            "111122223333",
            "deploy-42"
        ]
    );
    assert_eq!(
        principal(
            r#"{"type":"AssumedRole","principalId":"AROAEXAMPLE:i-0abc","arn":"arn:aws-us-gov:sts::111122223333:assumed-role/web/i-0abc"}"#
        ),
        [
            "AssumedRole",
            "arn:aws-us-gov:iam::111122223333:role/web",
            "web",
            "111122223333",
            "i-0abc"
        ]
    );
    assert_eq!(
        principal(r#"{"type":"Role","arn":"arn:aws:iam::111122223333:role/x/standing"}"#),
        [
            "Role",
            "arn:aws:iam::111122223333:role/x/standing",
            "standing",
            "111122223333",
            NULL
        ]
    );
}

#[test]
fn a_federated_user_is_the_user_who_federated() {
    assert_eq!(
        principal(
            r#"{"type":"FederatedUser","principalId":"111122223333:carol","arn":"arn:aws:sts::111122223333:federated-user/carol","accountId":"111122223333","sessionContext":{"sessionIssuer":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/broker","accountId":"111122223333","userName":"broker"}}}"#
        ),
        [
            "FederatedUser",
            "arn:aws:iam::111122223333:user/broker",
            "broker",
            "111122223333",
            "carol"
        ]
    );
    for (kind, name) in [("SAMLUser", "carol"), ("WebIdentityUser", "user-7")] {
        assert_eq!(
            principal(&format!(
                r#"{{"type":"{kind}","principalId":"idp:app:{name}","userName":"{name}","identityProvider":"idp"}}"#
            )),
            [kind, NULL, name, NULL, NULL]
        );
    }
}

#[test]
fn another_account_and_a_service_are_named_as_far_as_they_are_known() {
    assert_eq!(
        principal(
            r#"{"type":"AWSAccount","principalId":"AROAEXAMPLE:remote","accountId":"444455556666"}"#
        ),
        ["AWSAccount", NULL, NULL, "444455556666", "remote"]
    );
    assert_eq!(
        principal(r#"{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}"#),
        ["AWSService", NULL, "autoscaling.amazonaws.com", NULL, NULL]
    );
    assert_eq!(
        principal(r#"{"accountId":"111122223333","invokedBy":"ecs.amazonaws.com"}"#),
        [
            "AWSService",
            NULL,
            "ecs.amazonaws.com",
            "111122223333",
            NULL
        ]
    );
    for kind in ["Directory", "Unknown"] {
        assert_eq!(
            principal(&format!(r#"{{"type":"{kind}","userName":"u"}}"#)),
            [kind, NULL, "u", NULL, NULL]
        );
    }
    assert_eq!(decode_record("").text("principal_type"), NULL);
}

#[test]
fn an_identity_center_user_is_known_by_whom_the_call_is_for() {
    let rows = decode_record(
        r#""userIdentity":{"type":"IdentityCenterUser","accountId":"111122223333","onBehalfOf":{"userId":"544894e8-80c1-707f-60e3-3ba6510dfac1","identityStoreArn":"arn:aws:identitystore::111122223333:identitystore/d-9067642ac7"},"credentialId":"EXAMPLE"}"#,
    );
    assert_eq!(
        rows.text("identity_center_user_id"),
        "544894e8-80c1-707f-60e3-3ba6510dfac1"
    );
    assert_eq!(rows.text("principal_account_id"), "111122223333");
    assert_eq!(
        rows.text("useridentity.onbehalfof.identitystorearn"),
        "arn:aws:identitystore::111122223333:identitystore/d-9067642ac7"
    );
}

#[test]
fn a_blank_access_key_is_null_in_the_typed_column_alone() {
    let rows = decode_record(r#""userIdentity":{"accessKeyId":""}"#);
    assert_eq!(rows.text("useridentity.accesskeyid"), "");
    assert_eq!(rows.text("access_key_id"), NULL);
}

#[test]
fn mfa_is_read_from_the_session_and_from_a_console_sign_in() {
    let session = |value: &str| {
        decode_record(&format!(
            r#""userIdentity":{{"sessionContext":{{"attributes":{{"mfaAuthenticated":{value}}}}}}}"#
        ))
        .flag("mfa_authenticated")
    };
    assert_eq!(session(r#""true""#), Some(true));
    assert_eq!(session(r#""False""#), Some(false));
    assert_eq!(session("true"), Some(true));
    assert_eq!(session("null"), None);
    let sign_in = |name: &str, used: &str| {
        decode_record(&format!(
            r#""eventName":"{name}","additionalEventData":{{"MFAUsed":"{used}"}}"#
        ))
        .flag("mfa_authenticated")
    };
    assert_eq!(sign_in("ConsoleLogin", "Yes"), Some(true));
    assert_eq!(sign_in("ConsoleLogin", "No"), Some(false));
    assert_eq!(sign_in("GetObject", "Yes"), None);
}

#[test]
fn every_version_of_the_record_is_read() {
    for version in [
        "1.0", "1.01", "1.02", "1.03", "1.04", "1.05", "1.06", "1.07", "1.08", "1.09", "1.10",
        "1.11", "1.12", "1",
    ] {
        let rows = decode(format!(
            r#"{{"Records":[{{"eventVersion":"{version}","eventName":"x"}}]}}"#
        ));
        assert_eq!(rows.text("eventversion"), version);
    }
    // As a number it is text all the same.
    let rows = decode(r#"{"Records":[{"eventVersion":1.08}]}"#);
    assert_eq!(rows.text("eventversion"), "1.08");
}

#[test]
fn the_category_of_old_records_is_derived_and_stays_unknown_where_it_cannot_be() {
    let category = |version: &str, fields: &str| {
        decode(format!(
            r#"{{"Records":[{{"eventVersion":"{version}",{fields}}}]}}"#
        ))
        .text("event_category")
    };
    let call = |service: &str, name: &str| {
        format!(r#""eventSource":"{service}.amazonaws.com","eventName":"{name}""#)
    };
    for (version, fields, expected) in [
        ("1.05", call("s3", "GetObject"), "Data"),
        ("1.05", call("s3", "PutBucketPolicy"), "Management"),
        ("1.05", call("s3", "WriteGetObjectResponse"), NULL),
        ("1.06", call("lambda", "Invoke"), "Data"),
        (
            "1.06",
            call("lambda", "CreateFunction20150331"),
            "Management",
        ),
        ("1.02", call("ec2", "RunInstances"), "Management"),
        ("1.06", r#""managementEvent":true"#.into(), "Management"),
        ("1.06", r#""managementEvent":false"#.into(), "Data"),
        ("1.08", call("s3", "GetObject"), NULL),
        ("1.08", r#""eventCategory":"Novel""#.into(), "Novel"),
        (
            "1.05",
            format!(
                r#""eventCategory":"Management",{}"#,
                call("s3", "GetObject")
            ),
            "Management",
        ),
    ] {
        assert_eq!(category(version, &fields), expected, "{version} {fields}");
    }
}

#[test]
fn services_and_tls_versions_are_named_alike() {
    let service =
        |source: &str| decode_record(&format!(r#""eventSource":"{source}""#)).text("service");
    assert_eq!(service("monitoring.amazonaws.com"), "monitoring");
    assert_eq!(service("s3.amazonaws.com.cn"), "s3");
    assert_eq!(service("custom"), "custom");
    let tls = |version: &str| {
        decode_record(&format!(r#""tlsDetails":{{"tlsVersion":"{version}"}}"#)).text("tls_version")
    };
    assert_eq!(tls("TLSv1.2"), "TLSv1.2");
    assert_eq!(tls("1.3"), "TLSv1.3");
}

#[test]
fn what_follows_from_a_field_is_the_same_in_every_row() {
    let issuer = |arn: &str, name: &str, account: &str| {
        format!(
            r#""sessionContext":{{"sessionIssuer":{{"arn":"{arn}","userName":"{name}","accountId":"{account}"}}}}"#
        )
    };
    let session = r#""type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/a/s1","accountId":"111122223333""#;
    let of_session = |issuer: &str| format!(r#""userIdentity":{{{session},{issuer}}}"#);
    let kinds = [
        of_session(&issuer("arn:aws:iam::111122223333:role/p/a", "a", "111122223333")),
        // What is blank decides nothing: what follows comes from the session.
        of_session(&issuer("", "", "")),
        of_session(&issuer("", "a", "")),
        of_session(&issuer("arn:aws:iam::444455556666:role/a", "", "444455556666")),
        r#""userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a","userName":"a"}"#.into(),
        r#""userIdentity":{"type":"","invokedBy":"x.amazonaws.com"}"#.into(),
        r#""userIdentity":{"invokedBy":"x.amazonaws.com"},"recipientAccountId":"444455556666""#.into(),
        r#""recipientAccountId":"","eventCategory":"","managementEvent":true"#.into(),
        r#""eventCategory":"Data","eventSource":"s3.amazonaws.com","tlsDetails":{"tlsVersion":"1.3"}"#.into(),
        r#""eventCategory":"","eventSource":"s3.amazonaws.com","eventName":"GetObject","tlsDetails":{"tlsVersion":"TLSv1.3"}"#.into(),
        r#""eventCategory":null,"tlsDetails":{"tlsVersion":""},"userIdentity":{"accessKeyId":"","sessionContext":{"sourceIdentity":"a"}}"#.into(),
    ];
    // Enough of them for all to have been met before, and for columns with few texts of their own to keep dictionaries.
    let all = kinds.iter().cycle().take(kinds.len() * 20);
    let all = all.map(|fields| record(fields)).collect::<Vec<_>>();
    let rows = decode(format!(r#"{{"Records":[{}]}}"#, all.join(",")));
    for (number, fields) in kinds.iter().enumerate() {
        let alone = decode_record(fields);
        for row in (number..all.len()).step_by(kinds.len()) {
            for (field, column) in rows.0.schema().fields().iter().zip(rows.0.columns()) {
                let name = field.name().as_str();
                if name != "record_index" {
                    let expected = alone.0.column_by_name(name).unwrap();
                    assert_eq!(
                        column.slice(row, 1).to_data(),
                        expected.to_data(),
                        "{name} of {fields}"
                    );
                }
            }
        }
    }
}
