//! What a value in a record becomes in its column.

use datafusion::arrow::{array::AsArray, util::display::array_value_to_string};
use sha2::{Digest, Sha256};

use super::*;

#[test]
fn json_columns_are_compact_and_keep_order_duplicates_and_numbers_as_written() {
    let rows = decode_record(
        "\"requestParameters\" : { \"b\" : 9007199254740993 ,\n \"a\":[ 0.0, -1E+5 , 1e999, { } , [ ] ],\t\"b\": \"x  y\", \"a\":null }",
    );
    assert_eq!(
        rows.text("requestparameters"),
        r#"{"b":9007199254740993,"a":[0.0,-1E+5,1e999,{},[]],"b":"x  y","a":null}"#
    );
}

#[test]
fn every_json_column_is_null_for_null_and_for_absence_and_keeps_the_quotes_of_a_string() {
    for (field, column) in [
        ("requestParameters", "requestparameters"),
        ("responseElements", "responseelements"),
        ("additionalEventData", "additionaleventdata"),
        ("serviceEventDetails", "serviceeventdetails"),
        ("insightDetails", "insightdetails"),
        ("eventContext", "eventcontext"),
    ] {
        assert_eq!(decode_record("").text(column), "<null>");
        for (value, expected) in [
            ("null", "<null>"),
            ("{}", "{}"),
            (r#""a \"b\"""#, r#""a \"b\"""#),
            ("false", "false"),
            ("0.0", "0.0"),
            (r#"{"k": 1}"#, r#"{"k":1}"#),
        ] {
            let rows = decode_record(&format!(r#""{field}":{value}"#));
            assert_eq!(rows.text(column), expected, "{field}: {value}");
        }
    }
}

#[test]
fn text_columns_take_booleans_numbers_objects_and_lists_as_text() {
    for (value, expected) in [
        ("true", "true"),
        (r#""true""#, "true"),
        ("0.0", "0.0"),
        ("9007199254740993", "9007199254740993"),
        (r#"{ "type" : "SNOW" }"#, r#"{"type":"SNOW"}"#),
        ("[ 1, 2 ]", "[1,2]"),
        ("null", "<null>"),
        (r#""""#, ""),
    ] {
        for (field, column) in [
            ("readOnly", "readonly"),
            ("edgeDeviceDetails", "edgedevicedetails"),
            (
                "sessionCredentialFromConsole",
                "sessioncredentialfromconsole",
            ),
            ("managementEvent", "managementevent"),
            ("errorMessage", "errormessage"),
        ] {
            let rows = decode_record(&format!(r#""{field}":{value}"#));
            assert_eq!(rows.text(column), expected, "{field}: {value}");
        }
    }
    let rows = decode_record(r#""userIdentity":{"accountId":12345,"inScopeOf":{"a" :1}}"#);
    assert_eq!(rows.text("useridentity.accountid"), "12345");
    assert_eq!(rows.text("useridentity.inscopeof"), r#"{"a":1}"#);
}

#[test]
fn escapes_become_characters_in_text_and_stay_as_written_in_json() {
    let fields = r#""userAgent":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀\u0000z","requestParameters":{"k\u0065y":"\u00e9\/\ud83d\ude00\u0000"}"#;
    let rows = decode_record(fields);
    assert_eq!(
        rows.text("useragent"),
        "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}é😀\0z"
    );
    assert_eq!(
        rows.text("requestparameters"),
        r#"{"k\u0065y":"\u00e9\/\ud83d\ude00\u0000"}"#
    );
}

#[test]
fn lone_surrogates_are_replaced_wherever_they_stand() {
    let rows = decode_record(
        r#""userAgent":"a\ud83dz\ude00\ud83d","requestParameters":{"a":"\ud83d","\udc00":["\ud83d\ud83d\ude00","\ud83d\n"]}"#,
    );
    assert_eq!(rows.text("useragent"), "a\u{fffd}z\u{fffd}\u{fffd}");
    let json = rows.text("requestparameters");
    assert_eq!(
        json,
        r#"{"a":"\ufffd","\ufffd":["\ufffd\ud83d\ude00","\ufffd\n"]}"#
    );
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
}

#[test]
fn raw_control_characters_are_taken_and_json_columns_stay_json() {
    let rows = decode_record("\"userAgent\":\"a\tb\0c\",\"requestParameters\":{\"k\":\"a\tb\nc\"}");
    assert_eq!(rows.text("useragent"), "a\tb\0c");
    assert_eq!(
        rows.text("requestparameters"),
        "{\"k\":\"a\\u0009b\\u000ac\"}"
    );
}

#[test]
fn names_are_matched_without_letter_case_and_of_two_the_last_wins() {
    let rows = decode_record(
        r#""EVENTNAME":"a","eventname":"b","eventNa\u006de":"c","useridentity":{"ARN":"x","Type":"Root"},"userIdentity":{"arn":"y","sessioncontext":{"SESSIONISSUER":{"UserName":"r"}}},"eventId":"id-1""#,
    );
    assert_eq!(rows.text("eventname"), "c");
    assert_eq!(rows.text("useridentity.arn"), "y");
    assert_eq!(rows.text("useridentity.type"), "<null>");
    assert_eq!(
        rows.text("useridentity.sessioncontext.sessionissuer.username"),
        "r"
    );
    assert_eq!(rows.text("eventid"), "id-1");
    assert_eq!(
        decode_record(r#""eventName":"a","EVENTNAME":null"#).text("eventname"),
        "<null>"
    );
    assert_eq!(rows.text("extra"), "<null>");
}

#[test]
fn an_absent_struct_is_null_and_an_empty_one_holds_nulls() {
    let rows = decode_record(r#""userIdentity":{"sessionContext":{"sessionIssuer":{}}}"#);
    assert!(!rows.is_null("useridentity"));
    assert!(!rows.is_null("useridentity.sessioncontext.sessionissuer"));
    assert!(rows.is_null("useridentity.sessioncontext.sessionissuer.arn"));
    assert!(rows.is_null("useridentity.sessioncontext.attributes"));
    assert!(rows.is_null("useridentity.sessioncontext.webidfederationdata"));
    assert!(rows.is_null("tlsdetails"));
    assert!(rows.is_null("resources"));
    let rows = decode_record(r#""userIdentity":null,"resources":null,"addendum":null"#);
    assert!(rows.is_null("useridentity") && rows.is_null("resources") && rows.is_null("addendum"));
    assert_eq!(rows.text("extra"), "<null>");
}

#[test]
fn a_value_that_is_no_struct_where_one_belongs_is_kept_in_extra() {
    let rows = decode_record(
        r#""userIdentity":"alice","tlsDetails":[1, 2],"addendum":7,"resources":"all","eventName":"x""#,
    );
    assert!(
        rows.is_null("useridentity") && rows.is_null("tlsdetails") && rows.is_null("resources")
    );
    assert_eq!(
        rows.text("extra"),
        r#"{"userIdentity":"alice","tlsDetails":[1,2],"addendum":7,"resources":"all"}"#
    );
    assert_eq!(rows.text("eventname"), "x");
}

#[test]
fn unknown_fields_are_kept_in_the_shape_of_the_record() {
    let rows = decode_record(
        r#""annotation": {"a" : 0.0},"userIdentity":{"type":"Root","new":1,"sessionContext":{"attributes":{"x":true}}},"resources":[{"ARN":"a"},{"ARN":"b","owner":"c","tags":[]},{}],"b":null"#,
    );
    assert_eq!(
        rows.text("extra"),
        r#"{"annotation":{"a":0.0},"b":null,"userIdentity":{"new":1,"sessionContext":{"attributes":{"x":true}}},"resources":[{},{"owner":"c","tags":[]}]}"#
    );
    assert_eq!(decode_record("").text("extra"), "<null>");
}

#[test]
fn resources_are_a_list_of_structs_in_every_form_they_come_in() {
    let shown = |value: &str| {
        let rows = decode_record(&format!(r#""resources":{value}"#));
        array_value_to_string(&rows.column("resources"), 0).unwrap()
    };
    assert_eq!(
        shown(
            r#"[{"ARN":"arn:aws:s3:::b","accountId":"012345678901","type":"AWS::S3::Bucket"},{"type":"AWS::S3::Object","ARNPrefix":"arn:aws:s3:::b/"},{"arn":"lower"},null,"arn:text",{}]"#
        ),
        "[{arn: arn:aws:s3:::b, accountid: 012345678901, type: AWS::S3::Bucket, arnprefix: }, \
         {arn: , accountid: , type: AWS::S3::Object, arnprefix: arn:aws:s3:::b/}, \
         {arn: lower, accountid: , type: , arnprefix: }, , \
         {arn: arn:text, accountid: , type: , arnprefix: }, \
         {arn: , accountid: , type: , arnprefix: }]"
    );
    assert_eq!(
        shown(r#"{"ARN":"alone"}"#),
        "[{arn: alone, accountid: , type: , arnprefix: }]"
    );
    assert_eq!(shown("[]"), "[]");
}

#[test]
fn attributes_of_a_web_identity_are_a_map() {
    let rows = decode_record(
        r#""userIdentity":{"sessionContext":{"webIdFederationData":{"federatedProvider":"www.amazon.com","attributes":{"www.amazon.com:app_id":"a\"b","n":1,"z":null}}}}"#,
    );
    let data = "useridentity.sessioncontext.webidfederationdata";
    assert_eq!(
        rows.text(&format!("{data}.federatedprovider")),
        "www.amazon.com"
    );
    let column = rows.column(&format!("{data}.attributes"));
    let map = column.as_map();
    assert_eq!(
        map.keys().as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("www.amazon.com:app_id"), Some("n"), Some("z")]
    );
    assert_eq!(
        map.values().as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("a\"b"), Some("1"), None]
    );
    let rows = decode_record(
        r#""userIdentity":{"sessionContext":{"webIdFederationData":{"attributes":"none"}}}"#,
    );
    assert!(rows.is_null(&format!("{data}.attributes")));
    assert_eq!(
        rows.text("extra"),
        r#"{"userIdentity":{"sessionContext":{"webIdFederationData":{"attributes":"none"}}}}"#
    );
}

#[test]
fn every_known_field_lands_in_its_own_column() {
    let rows = decode_record(
        r#""eventTime":"2023-07-10T11:45:07Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"10.0.0.1","userAgent":"cli","errorCode":"AccessDenied","errorMessage":"no","requestID":"r","eventID":"e","readOnly":true,"eventType":"AwsApiCall","apiVersion":"20140328","recipientAccountId":"012345678901","sharedEventID":"s","vpcEndpointId":"v","vpcEndpointAccountId":"444455556666","eventCategory":"Data","addendum":{"reason":"UPDATED_DATA","updatedFields":"f","originalRequestID":"or","originalEventID":"oe"},"sessionCredentialFromConsole":"true","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"c","clientProvidedHostHeader":"h","keyExchange":"x25519"},"managementEvent":false,"userIdentity":{"credentialId":"c1","invokedByDelegate":{"accountId":"1"},"identityProvider":"idp","sessionContext":{"sourceIdentity":"si","assumedRoot":"true","ec2RoleDelivery":"2.0"}}"#,
    );
    for (path, expected) in [
        ("eventversion", "1.08"),
        ("eventtime", "2023-07-10T11:45:07Z"),
        ("eventsource", "s3.amazonaws.com"),
        ("eventname", "GetObject"),
        ("awsregion", "eu-west-1"),
        ("sourceipaddress", "10.0.0.1"),
        ("useragent", "cli"),
        ("errorcode", "AccessDenied"),
        ("errormessage", "no"),
        ("requestid", "r"),
        ("eventid", "e"),
        ("readonly", "true"),
        ("eventtype", "AwsApiCall"),
        ("apiversion", "20140328"),
        ("recipientaccountid", "012345678901"),
        ("sharedeventid", "s"),
        ("vpcendpointid", "v"),
        ("vpcendpointaccountid", "444455556666"),
        ("eventcategory", "Data"),
        ("addendum.reason", "UPDATED_DATA"),
        ("addendum.updatedfields", "f"),
        ("addendum.originalrequestid", "or"),
        ("addendum.originaleventid", "oe"),
        ("sessioncredentialfromconsole", "true"),
        ("tlsdetails.tlsversion", "TLSv1.3"),
        ("tlsdetails.ciphersuite", "c"),
        ("tlsdetails.clientprovidedhostheader", "h"),
        ("tlsdetails.keyexchange", "x25519"),
        ("managementevent", "false"),
        ("useridentity.credentialid", "c1"),
        ("useridentity.invokedbydelegate", r#"{"accountId":"1"}"#),
        ("useridentity.identityprovider", "idp"),
        ("useridentity.sessioncontext.sourceidentity", "si"),
        ("useridentity.sessioncontext.assumedroot", "true"),
        ("useridentity.sessioncontext.ec2roledelivery", "2.0"),
        ("extra", "<null>"),
        ("account", "012345678901"),
        ("region", "us-east-1"),
        ("year", "2023"),
        ("month", "07"),
        ("day", "10"),
        ("timestamp", "2023/07/10"),
        ("event_category", "Data"),
        ("account_id", "012345678901"),
        ("service", "s3"),
        ("source_identity", "si"),
        ("tls_version", "TLSv1.3"),
        ("record_id", "e"),
        ("object_key", KEY),
    ] {
        assert_eq!(rows.text(path), expected, "{path}");
    }
    assert_eq!(rows.time(), Some(1_688_989_507_000_000));
    assert_eq!(rows.flag("is_error"), Some(true));
    assert_eq!(rows.flag("is_denied"), Some(true));
    assert_eq!(rows.flag("is_duplicate"), Some(false));
    assert_eq!(rows.indexes(), [0]);
}

#[test]
fn a_time_that_is_no_instant_stays_text_and_the_typed_column_is_null() {
    for text in ["Jul 10, 2023 1:02:03 PM", "yesterday", "1688989507"] {
        let rows = decode_record(&format!(r#""eventTime":"{text}""#));
        assert_eq!(rows.text("eventtime"), text);
        assert_eq!(rows.time(), None, "{text}");
    }
    let rows = decode_record(r#""eventTime":"2023-07-10T13:45:07.5+02:00""#);
    assert_eq!(rows.time(), Some(1_688_989_507_500_000));
}

#[test]
fn a_record_without_id_is_known_by_the_hash_of_its_bytes() {
    let json = record(r#""eventName":"x""#);
    let rows = decode(format!(r#"{{"Records":[{json} , {json}]}}"#));
    let expected = Sha256::digest(&json)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert_eq!(rows.texts("record_id"), [expected.clone(), expected]);
    assert_eq!(rows.texts("eventid"), ["<null>", "<null>"]);
    let blank = decode_record(r#""eventID":"""#);
    assert_eq!(blank.text("record_id").len(), 64);
}

#[test]
fn account_ids_are_text_and_the_recipient_stands_before_the_folder() {
    assert_eq!(decode_record("").text("account_id"), "012345678901");
    let rows = decode_record(r#""recipientAccountId":"000000000012""#);
    assert_eq!(rows.text("account_id"), "000000000012");
    assert_eq!(rows.text("account"), "012345678901");
    let masked = decode_record(r#""recipientAccountId":"ACCOUNT""#);
    assert_eq!(masked.text("account_id"), "ACCOUNT");
}

#[test]
fn errors_are_known_without_an_error_code() {
    for (fields, is_error, is_denied) in [
        ("", false, false),
        (r#""errorCode":"""#, false, false),
        (r#""errorCode":"200""#, false, false),
        (r#""errorCode":"NoSuchBucket""#, true, false),
        (r#""errorCode":"Client.UnauthorizedOperation""#, true, true),
        (r#""errorMessage":"Failed authentication""#, true, false),
        (
            r#""eventName":"ConsoleLogin","responseElements":{"ConsoleLogin":"Failure"}"#,
            true,
            false,
        ),
        (
            r#""eventName":"ConsoleLogin","responseElements":{"ConsoleLogin":"Success"}"#,
            false,
            false,
        ),
    ] {
        let rows = decode_record(fields);
        assert_eq!(rows.flag("is_error"), Some(is_error), "{fields}");
        assert_eq!(rows.flag("is_denied"), Some(is_denied), "{fields}");
    }
}
