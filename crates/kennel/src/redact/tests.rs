use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int64Array, MapBuilder,
        StringArray, StringBuilder, StructArray,
    },
    datatypes::{DataType, Field, Int32Type, Int64Type},
};
use proptest::prelude::*;

use super::{columns::redact_text, *};

fn redactor() -> Redactor {
    let known = ["C123456", "safeco-reports"].map(str::to_owned);
    Redactor::new(&[7; 32], known.into())
}

/// Tokens as their kinds, so that expectations can be read.
fn shape(text: &str) -> String {
    let pattern = regex::Regex::new("(acct|name|ip|key|id|mail|agent|text|bytes)-[a-z2-9]{12}");
    pattern.unwrap().replace_all(text, "<$1>").into_owned()
}

fn open(text: &str) -> String {
    shape(&redact_text(text, Class::Open, &redactor().tokens))
}

fn named(text: &str) -> String {
    shape(&redact_text(text, Class::Named, &redactor().tokens))
}

fn record(text: &str) -> String {
    shape(&redact_text(text, Class::Record, &redactor().tokens))
}

#[test]
fn an_arn_keeps_its_structure() {
    for (arn, expected) in [
        (
            "arn:aws:iam::111122223333:role/ci/deploy",
            "arn:aws:iam::<acct>:role/<name>/<name>",
        ),
        ("arn:aws:iam::111122223333:root", "arn:aws:iam::<acct>:root"),
        (
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        (
            "arn:aws:iam::111122223333:role/aws-service-role/es.amazonaws.com/X",
            "arn:aws:iam::<acct>:role/aws-service-role/es.amazonaws.com/<name>",
        ),
        (
            "arn:aws:sts::111122223333:assumed-role/r/a@example.com",
            "arn:aws:sts::<acct>:assumed-role/<name>/<mail>",
        ),
        (
            "arn:aws:s3:::table/role/report 1.csv",
            "arn:aws:s3:::<name>/<name>/<name>",
        ),
        ("arn:aws:s3:::*", "arn:aws:s3:::*"),
        (
            "arn:aws-cn:lambda:cn-north-1:111122223333:function:pay:prod",
            "arn:aws-cn:lambda:cn-north-1:<acct>:function:<name>:<name>",
        ),
        (
            "arn:aws:sns:us-east-1:111122223333:topic",
            "arn:aws:sns:us-east-1:<acct>:<name>",
        ),
        (
            "arn:aws:ec2:secret-region:111122223333:instance/i-0abcdef12",
            "arn:aws:ec2:<name>:<acct>:instance/<name>",
        ),
    ] {
        assert_eq!(named(arn), expected);
        assert_eq!(open(&arn.replace(' ', "_")), expected);
    }
}

#[test]
fn equal_values_have_equal_tokens_wherever_they_stand() {
    let redactor = redactor();
    let named = |text: &str| redact_text(text, Class::Named, &redactor.tokens);
    let arn = named("arn:aws:iam::111122223333:user/ops/alice");
    assert!(arn.contains(&named("111122223333")), "{arn}");
    assert!(arn.ends_with(&named("alice")), "{arn}");
    let text = redact_text(
        "by arn:aws:iam::111122223333:user/ops/alice.",
        Class::Open,
        &redactor.tokens,
    );
    assert_eq!(text, format!("by {arn}."));
    let json = redact_text(r#"{"userName":"alice"}"#, Class::Record, &redactor.tokens);
    assert_eq!(json, format!(r#"{{"userName":"{}"}}"#, named("alice")));
    assert_ne!(named("alice"), named("Alice"));
    // Another home says nothing about this one.
    let other = Tokens::new(&[8; 32]);
    assert_ne!(redact_text("alice", Class::Named, &other), named("alice"));
}

#[test]
fn what_has_a_form_is_found_in_any_text() {
    for (text, expected) in [
        ("account 111122223333!", "account <acct>!"),
        ("x111122223333y", "x<acct>y"),
        (
            "1111222233334 and 20260302041000",
            "1111222233334 and 20260302041000",
        ),
        ("s3:::111122223333:x", "s3:::<acct>:x"),
        ("a:b:AKIAIOSFODNN7EXAMPLE", "a:b:<key>"),
        ("10:20:111122223333", "10:20:<acct>"),
        (
            "LIKE '%111122223333%' %20111122223333",
            "LIKE '%<acct>%' %20<acct>",
        ),
        (
            "at 2026-03-02T04:10:00Z from 203.0.113.7, 2001:db8::7",
            "at 2026-03-02T04:10:00Z from <ip>, <ip>",
        ),
        ("1.1.1.111122223333", "1.1.1.<acct>"),
        ("ip-10-1-2-3.ec2.internal", "<ip>.ec2.internal"),
        ("mail a.b+c@example.com now", "mail <mail> now"),
        (
            "principalarn:aws:iam::111122223333:user/bob",
            "principalarn:aws:iam::<acct>:user/<name>",
        ),
        (
            "arn%3Aaws%3Aiam%3A%3A111122223333%3Auser%2Fbob",
            "arn%3Aaws%3Aiam%3A%3A<acct>%3Auser%2F<name>",
        ),
        ("learn:this:111122223333", "learn:this:<acct>"),
        (
            "LOCATION 's3://bucket/a b/'",
            "LOCATION 's3://<name>/<name> b/'",
        ),
        ("at bucket.s3.us-east-1.amazonaws.com/k", "at <name>/k"),
        (
            "i-0abcdef1234567890 in vpc-0a1b2c3d of o-a1b2c3d4e5",
            "<name> in <name> of <name>",
        ),
        (
            "?X-Amz-Security-Token=IQoJabc%2F&X-Amz-Signature=0f0f&x=1",
            "?X-Amz-Security-Token=[removed]&X-Amz-Signature=[removed]&x=1",
        ),
        ("IAM administer-resource 90", "IAM administer-resource 90"),
    ] {
        assert_eq!(open(text), expected, "{text}");
    }
    assert_eq!(
        open(&format!("t {} u", "IQoJ".to_owned() + &"aB3/".repeat(20))),
        "t [removed] u"
    );
}

#[test]
fn names_are_tokens_and_what_names_nothing_stays() {
    for (text, expected) in [
        ("alice", "<name>"),
        ("a name of words", "<name>"),
        ("111122223333", "<acct>"),
        ("203.0.113.7", "<ip>"),
        ("203.0.113.0/24", "<ip>/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("a@example.com", "<mail>"),
        ("AROAIOSFODNN7EXAMPLE:alice", "<id>:<name>"),
        ("ec2.amazonaws.com", "ec2.amazonaws.com"),
        ("bucket.s3.amazonaws.com", "<name>"),
        ("2026-03-02", "2026-03-02"),
        ("111122223333, 444455556666", "<acct>, <acct>"),
        ("111122223333 alice", "<name>"),
        ("", ""),
        ("*", "*"),
    ] {
        assert_eq!(named(text), expected, "{text}");
    }
}

#[test]
fn records_keep_their_keys_and_what_is_the_same_everywhere() {
    for (text, expected) in [
        (
            r#"{"bucketName":"b", "key": "a/b","acl":["private"],"n":12,"ok":true,"x":null}"#,
            r#"{"bucketName":"<name>", "key": "<name>","acl":["<name>"],"n":12,"ok":true,"x":null}"#,
        ),
        (
            r#"{"policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"arn:aws:s3:::b/*\"}]}"}"#,
            r#"{"policyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":\"arn:aws:s3:::<name>/*\"}]}"}"#,
        ),
        (
            r#"{"policyDocument":"%7B%22Resource%22%3A%22arn%3Aaws%3As3%3A%3A%3Ab%22%7D"}"#,
            r#"{"policyDocument":"{\"Resource\":\"arn:aws:s3:::<name>\"}"}"#,
        ),
        (
            r#"{"credentials":{"accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionToken":"abc","secretAccessKey":{"a":["b",{"c":1}]},"expiration":"Mar 2, 2026"}}"#,
            r#"{"credentials":{"accessKeyId":"<key>","sessionToken":"[removed]","secretAccessKey":"[removed]","expiration":"Mar 2, 2026"}}"#,
        ),
        (
            r#"{"111122223333":{"accountId":111122223333,"size":123}}"#,
            r#"{"<acct>":{"accountId":"<acct>","size":123}}"#,
        ),
        // No JSON at all, or cut off.
        ("{alice}", "{<text>}"),
        (r#"{"userName":"ali"#, r#"{"userName":"<name>""#),
        (r#"[anna, {"type": bob}]"#, r#"[<text>, {"type": <text>}]"#),
    ] {
        assert_eq!(record(text), expected, "{text}");
    }
    // An object that a statement made calls its keys as it likes.
    assert_eq!(named(r#"{"type":"alice"}"#), r#"{"<name>":"<name>"}"#);
}

#[test]
fn a_refusal_keeps_its_words_and_other_messages_are_tokens() {
    let message = |text: &str| shape(&redact_text(text, Class::Message, &redactor().tokens));
    assert_eq!(
        message(
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:GetObject action"
        ),
        "User: arn:aws:iam::<acct>:user/<name> is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::<name>/<name>\" because no identity-based policy allows the s3:GetObject action"
    );
    assert_eq!(
        message(
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no identity-based policy allows the action"
        ),
        "User: arn:aws:iam::<acct>:user/<name> is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::<name>/<name> because no identity-based policy allows the action"
    );
    assert_eq!(
        message(
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: s3:GetObject because alice said no"
        ),
        "<text>"
    );
    assert_eq!(message("The user with name bob cannot be found."), "<text>");
    assert_eq!(
        message("User: bob is not authorized to perform: x"),
        "<text>"
    );
}

fn origins(names: &[&str]) -> Origins {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_column_holds_what_its_values_come_from_whatever_it_is_called() {
    for (name, from, class) in [
        ("x", vec!["principal_arn"], Class::Named),
        ("service_name", vec!["principal_name"], Class::Named),
        ("x", vec!["service_name", "access_capability"], Class::Open),
        ("x", vec!["service_name", "resource_arn"], Class::Named),
        ("x", vec![], Class::Open),
        ("principal_name", vec![], Class::Named),
        ("x", vec!["a_new_column_of_k9"], Class::Named),
        ("x", vec!["request_parameters"], Class::Record),
        ("x", vec!["useridentity.type"], Class::Open),
        ("x", vec!["useridentity.arn"], Class::Record),
        ("x", vec!["principal_name.type"], Class::Named),
        ("x", vec!["user_agent"], Class::Agent),
        ("x", vec!["user_agent", "error_message"], Class::Named),
        ("x", vec!["principal_last_used"], Class::Open),
    ] {
        assert_eq!(class_of(name, &origins(&from)), class, "{name} {from:?}");
    }
}

fn redacted(array: ArrayRef, class: Class) -> ArrayRef {
    redact_array(&array, class, &redactor().tokens).unwrap()
}

#[test]
fn values_within_values_are_found_and_types_stay() {
    // A dictionary, as Parquet may give it.
    let dictionary: DictionaryArray<Int32Type> = ["alice", "bob", "alice"].into_iter().collect();
    let found = redacted(Arc::new(dictionary.clone()), Class::Named);
    assert_eq!(found.data_type(), dictionary.data_type());
    let values = found.as_dictionary::<Int32Type>().values();
    assert!(
        values
            .as_string::<i32>()
            .iter()
            .all(|value| value.unwrap().starts_with("name-"))
    );

    // A record: each field as its name has it.
    let fields = ["type", "arn"].map(|name| Arc::new(Field::new(name, DataType::Utf8, true)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["Root"])),
        Arc::new(StringArray::from(vec!["arn:aws:iam::111122223333:root"])),
    ];
    let record: ArrayRef =
        Arc::new(StructArray::try_new(fields.to_vec().into(), columns, None).unwrap());
    let text = |array: &ArrayRef| {
        let mut text = String::new();
        crate::output::value::write_text(array.as_ref(), 0, &mut text);
        shape(&text)
    };
    let found = redacted(Arc::clone(&record), Class::Record);
    assert_eq!(
        text(&found),
        r#"{"type":"Root","arn":"arn:aws:iam::<acct>:root"}"#
    );
    let found = redacted(record, Class::Named);
    assert_eq!(
        text(&found),
        r#"{"type":"<name>","arn":"arn:aws:iam::<acct>:root"}"#
    );

    // Tags.
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for (name, value) in [
        ("Confidentiality", "Restricted"),
        ("Owner", "alice"),
        ("Password", "x"),
    ] {
        tags.keys().append_value(name);
        tags.values().append_value(value);
    }
    tags.append(true).unwrap();
    let tags: ArrayRef = Arc::new(tags.finish());
    let found = redacted(Arc::clone(&tags), Class::Record);
    assert_eq!(
        text(&found),
        r#"{"Confidentiality":"Restricted","Owner":"<name>","Password":"[removed]"}"#
    );
    let found = redacted(tags, Class::Named);
    assert_eq!(
        text(&found),
        r#"{"<name>":"<name>","<name>":"<name>","<name>":"<name>"}"#
    );

    // Bytes of a name, and an account as a number.
    let found = redacted(
        Arc::new(BinaryArray::from(vec![b"alice".as_slice()])),
        Class::Open,
    );
    assert!(found.as_binary::<i32>().value(0).starts_with(b"bytes-"));
    let numbers = Int64Array::from(vec![111_122_223_333, 12_345_678_901, 7]);
    let found = redacted(Arc::new(numbers.clone()), Class::Named);
    let expected = Int64Array::from(vec![None, None, Some(7)]);
    assert_eq!(found.as_primitive::<Int64Type>(), &expected);
    let found = redacted(Arc::new(numbers.clone()), Class::Open);
    assert_eq!(found.as_primitive::<Int64Type>(), &numbers);
}

#[test]
fn messages_lose_customers_and_buckets_too() {
    let redactor = redactor();
    let text = "account 111122223333 (customer C123456) in safeco-reports, not C1234567";
    assert_eq!(
        shape(&redactor.text(text)),
        "account <acct> (customer <name>) in <name>, not C1234567"
    );
    assert_eq!(
        shape(&redactor.failure("cannot cast 'bob' to a number")),
        "cannot cast '<name>' to a number"
    );
}

/// Secrets that must not survive, each with the class of a column that holds it.
fn secret() -> impl Strategy<Value = (String, Class)> {
    let name = || "[b-hj-km-z][b-hj-km-z0-9_+=.-]{7,12}[b-hj-km-z]";
    let account = || "[0-9]{12}";
    prop_oneof![
        account().prop_map(|text| (text, Class::Open)),
        name().prop_map(|text| (text, Class::Named)),
        (account(), name()).prop_map(|(account, name)| (
            format!("arn:aws:iam::{account}:role/{name}"),
            Class::Open
        )),
        "AKIA[A-Z0-9]{16}".prop_map(|text| (text, Class::Open)),
        any::<[u8; 4]>().prop_map(|ip| (core::net::Ipv4Addr::from(ip).to_string(), Class::Open)),
        any::<[u8; 16]>().prop_map(|ip| (core::net::Ipv6Addr::from(ip).to_string(), Class::Open)),
        name().prop_map(|name| (format!("{name}@example.com"), Class::Open)),
    ]
}

/// The parts of a secret that tell it.
fn telling(secret: &str) -> Vec<String> {
    match secret.strip_prefix("arn:aws:iam::") {
        Some(rest) => rest.split(":role/").map(str::to_owned).collect(),
        None => vec![secret.to_owned()],
    }
}

proptest! {
    #[test]
    fn no_secret_survives_in_any_surroundings(
        (secret, class) in secret(),
        before in r#"[ -/:-@\[-`{-~x]{0,8}"#,
        after in r#"[ !-$&-,/;-@\[-`{-~]{0,8}"#,
    ) {
        let tokens = &redactor().tokens;
        // Alone, quoted in JSON, in a list, as a key, and in text as far as it has a form.
        let quoted = serde_json::to_string(&secret).unwrap();
        let nested = serde_json::to_string(&format!("{{\"a\":[{quoted}]}}")).unwrap();
        let texts = [
            (secret.clone(), Class::Named),
            (format!("{{\"k\":{quoted},{quoted}:1,\"n\":{nested}}}"), Class::Named),
            (format!("{{\"k\":[{quoted},{{\"x\":{quoted}}}],\"n\":{nested}}}"), Class::Record),
            (format!("{secret}, {secret}"), Class::Named),
            (format!("{before}{secret}{after}"), Class::Named),
            (format!("{before}{secret}{after}"), class),
        ];
        for (text, class) in texts {
            let redacted = redact_text(&text, class, tokens);
            for part in telling(&secret) {
                prop_assert!(!redacted.contains(&part), "{:?} in {:?} of {:?}", part, redacted, text);
            }
        }
    }

    #[test]
    fn any_text_is_redacted_without_a_panic_and_always_the_same(text in any::<String>()) {
        let redactor = redactor();
        for class in [Class::Open, Class::Record, Class::Agent, Class::Message, Class::Named] {
            for text in [text.clone(), format!("{{{text}"), format!("{{\"{text}\":{text}\\"), format!("[\"{text}\\é\"")] {
                let once = redact_text(&text, class, &redactor.tokens);
                prop_assert_eq!(once, redact_text(&text, class, &redactor.tokens));
            }
        }
    }
}
