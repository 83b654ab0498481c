//! Objects as they come: packed, wrapped, cut off, or something else altogether.

use super::*;
use crate::trail::decode::{EventCategory, GzipError};

fn record_named(name: &str) -> String {
    record(&format!(r#""eventName":"{name}""#))
}

fn error(object: impl AsRef<[u8]>) -> DecodeError {
    match try_decode(object) {
        Err(error) => error,
        Ok((rows, outcome)) => panic!("{} rows, {outcome:?}", rows.0.num_rows()),
    }
}

/// The names of the events that were loaded, and the indexes of those that were not.
fn loaded(object: impl AsRef<[u8]>) -> (Vec<String>, Vec<u64>) {
    let (rows, outcome) = try_decode(object).unwrap();
    assert_eq!(outcome.problem_count, outcome.problems.len() as u64);
    let refused = outcome.problems.iter().map(|p| p.index).collect();
    (rows.texts("eventname"), refused)
}

#[test]
fn gzip_is_known_by_its_first_bytes_and_text_is_read_as_it_is() {
    let text = format!(r#"{{"Records":[{}]}}"#, record_named("a"));
    let (rows, outcome) = try_decode(gzip(&text)).unwrap();
    assert_eq!(rows.text("eventname"), "a");
    assert_eq!(
        (outcome.members, outcome.expanded_bytes),
        (1, text.len() as u64)
    );
    let (rows, outcome) = try_decode(&text).unwrap();
    assert_eq!(rows.text("eventname"), "a");
    assert_eq!(
        (outcome.members, outcome.expanded_bytes),
        (0, text.len() as u64)
    );
}

#[test]
fn all_members_of_a_gzip_file_are_read_and_counted() {
    // Two files joined, and a text cut anywhere.
    let (a, b) = (record_named("a"), record_named("b"));
    let joined = [
        gzip(format!(r#"{{"Records":[{a}]}}"#)),
        gzip(format!(r#"{{"Records":[{b}]}}"#)),
    ]
    .concat();
    let (rows, outcome) = try_decode(&joined).unwrap();
    assert_eq!(rows.texts("eventname"), ["a", "b"]);
    assert_eq!(rows.indexes(), [0, 1]);
    assert_eq!(outcome.members, 2);
    let text = format!(r#"{{"Records":[{a},{b}]}}"#);
    let (start, end) = text.split_at(40);
    let (rows, outcome) = try_decode([gzip(start), gzip(""), gzip(end)].concat()).unwrap();
    assert_eq!(rows.texts("eventname"), ["a", "b"]);
    assert_eq!(outcome.members, 3);
    // The second member says of itself what the first does.
    let twice = gzip(format!(r#"{{"Records":[{a}]}}"#)).repeat(2);
    let (rows, outcome) = try_decode(twice).unwrap();
    assert_eq!(rows.texts("eventname"), ["a", "a"]);
    assert_eq!(outcome.members, 2);
    // Padding with zeros is no member.
    let (_, outcome) = try_decode([gzip(&text), vec![0; 512]].concat()).unwrap();
    assert_eq!(outcome.members, 1);
}

#[test]
fn a_gzip_file_cut_off_anywhere_is_refused_with_its_length() {
    let whole = gzip(format!(r#"{{"Records":[{}]}}"#, record_named("a")));
    for length in 2..whole.len() {
        let expected = GzipError::Truncated { length, member: 1 };
        assert_eq!(error(&whole[..length]), DecodeError::Gzip(expected));
    }
    let joined = [whole.clone(), whole[..whole.len() - 3].to_vec()].concat();
    let expected = GzipError::Truncated {
        length: joined.len(),
        member: 2,
    };
    assert_eq!(error(&joined), DecodeError::Gzip(expected));
}

#[test]
fn damaged_gzip_is_refused() {
    let whole = gzip(format!(r#"{{"Records":[{}]}}"#, record_named("abcdefgh")));
    for at in [2, 20, whole.len() - 8, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let error = error(&damaged);
        assert!(matches!(error, DecodeError::Gzip(_)), "byte {at}: {error}");
    }
    let with_tail = [&whole[..], b"tail of something"].concat();
    assert!(matches!(
        error(&with_tail),
        DecodeError::Gzip(GzipError::Damaged { member: 2, .. })
    ));
}

#[test]
fn headers_with_name_comment_extra_and_checksum_are_read() {
    let body = gzip(format!(r#"{{"Records":[{}]}}"#, record_named("a")));
    let mut object = vec![0x1f, 0x8b, 8, 0b1_1110, 0, 0, 0, 0, 0, 3];
    object.extend([3, 0, 1, 2, 3]);
    object.extend(b"name\0comment\0");
    object.extend([0, 0]);
    object.extend(&body[10..]);
    assert_eq!(decode(object).text("eventname"), "a");
}

#[test]
fn what_expands_beyond_the_limit_is_refused_without_holding_it() {
    let bomb = gzip(vec![b' '; 4 << 20]);
    let limits = DecodeLimits {
        max_expanded_bytes: 1 << 20,
        max_held_bytes: 64 << 10,
        ..DecodeLimits::default()
    };
    let result = decode_within(&bomb, TrailTable::Events, limits);
    assert_eq!(
        result.unwrap_err(),
        DecodeError::Gzip(GzipError::TooLarge {
            length: bomb.len(),
            max_expanded_bytes: 1 << 20
        })
    );
}

#[test]
fn objects_without_records_make_no_rows_and_no_error() {
    for text in [
        "",
        "  \n",
        "\u{feff}",
        "{}",
        "[]",
        r#"{"Records":[]}"#,
        r#"{ "Records" : [ ] }"#,
        r#"{"Records":null}"#,
        r#"{"Events":[],"NextToken":"x"}"#,
    ] {
        for object in [text.as_bytes().to_vec(), gzip(text)] {
            assert_eq!(decode(object).0.num_rows(), 0, "{text}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let text = format!("\u{feff}{{\"Records\":[{}]}}", record_named("a"));
    assert_eq!(decode(&text).text("eventname"), "a");
    assert_eq!(decode(gzip(&text)).text("eventname"), "a");
}

#[test]
fn exports_are_read_as_lists_lines_and_pretty_text() {
    let (a, b) = (record_named("a"), record_named("b"));
    let pretty = serde_json::to_string_pretty(
        &serde_json::from_str::<serde_json::Value>(&format!(r#"{{"Records":[{a},{b}]}}"#)).unwrap(),
    )
    .unwrap();
    for text in [
        format!("[{a},{b}]"),
        format!("{a}\n{b}\n"),
        format!("{a}\r\n{b}"),
        format!("{a}{b}"),
        format!("{{\"Records\":[{a}]}}\n{{\"Records\":[{b}]}}\n"),
        format!(r#"{{"x":{{"Records":1}},"records":[{a},{b}],"y":[]}}"#),
        pretty,
    ] {
        let rows = decode(&text);
        assert_eq!(rows.texts("eventname"), ["a", "b"], "{text}");
        assert_eq!(rows.indexes(), [0, 1], "{text}");
    }
    assert_eq!(decode(&a).text("eventname"), "a");
}

#[test]
fn records_inside_looked_up_events_and_event_bus_envelopes_are_read() {
    let inner = record(r#""eventName":"GetObject","eventID":"i","userAgent":"\ud83d\"""#);
    let string = serde_json::to_string(&inner).unwrap();
    let looked_up = format!(
        r#"{{"Events":[{{"EventId":"i","EventName":"GetObject","EventTime":"2023-07-10T11:45:07","Resources":[{{"ResourceName":"x"}}],"CloudTrailEvent":{string}}}],"NextToken":"t"}}"#
    );
    let rows = decode(looked_up);
    assert_eq!(rows.text("eventversion"), "1.08");
    assert_eq!(rows.text("useragent"), "\u{fffd}\"");
    assert_eq!(rows.text("extra"), "<null>");
    let envelope = format!(
        r#"{{"version":"0","id":"e","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","account":"111122223333","time":"2023-07-10T11:45:07Z","region":"us-east-1","resources":[],"detail":{inner}}}"#
    );
    let rows = decode(format!("{envelope}\n{envelope}\n"));
    assert_eq!(rows.texts("eventname"), ["GetObject", "GetObject"]);
    assert_eq!(rows.texts("record_id"), ["i", "i"]);
}

#[test]
fn look_alikes_are_refused() {
    for text in [
        r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{}}]}"#,
        r#"{"Records":[{"eventVersion":"1.1","eventSource":"aws:dynamodb","eventName":"INSERT"}]}"#,
        r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","Sns":{}}]}"#,
        r#"{"Records":[{"eventVersion":"10.1","eventName":"x"}]}"#,
        r#"{"Type":"Notification","Message":"{}"}"#,
        r#"{"fileVersion":"1.0","configurationItems":[]}"#,
        r#"[1,2,3]"#,
        r#"{"CloudTrailEvent":"no json"}"#,
        r#"{"detail":{"state":"running"}}"#,
    ] {
        let error = error(text);
        assert!(
            matches!(error, DecodeError::NotCloudTrail { .. }),
            "{text}: {error}"
        );
    }
    // Among records they are counted, and the records are loaded.
    let text = format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3"}},{},"x",null]}}"#,
        record_named("a")
    );
    assert_eq!(loaded(text), (vec!["a".to_owned()], vec![0, 2, 3]));
}

#[test]
fn digests_and_other_kinds_in_the_wrong_folder_are_told() {
    let digest = r#"{"awsAccountId":"111122223333","digestStartTime":"2023-07-10T10:00:00Z","digestEndTime":"2023-07-10T11:00:00Z","digestS3Bucket":"b","digestS3Object":"k","logFiles":[]}"#;
    assert_eq!(error(digest), DecodeError::Digest);
    let insight = r#"{"Records":[{"eventVersion":"1.07","eventType":"AwsCloudTrailInsight","eventCategory":"Insight","insightDetails":{}}]}"#;
    assert_eq!(
        error(insight),
        DecodeError::WrongKind {
            found: TrailTable::Insights,
            expected: TrailTable::Events
        }
    );
    // One among records of the right kind is counted.
    let mixed = insight.replace("}]}", &format!("}},{}]}}", record_named("a")));
    assert_eq!(loaded(mixed), (vec!["a".to_owned()], vec![0]));
}

#[test]
fn a_broken_record_is_counted_with_its_index_and_the_others_are_loaded() {
    let (a, b) = (record_named("a"), record_named("b"));
    for broken in [
        r#"{"eventVersion":"1.08","eventName":}"#,
        r#"{"eventVersion":"1.08" "eventName":"x"}"#,
        r#"{"eventVersion":"1.08","x":[1,2,}],"y":"]}"}"#,
        r#"{"eventVersion":"1.08","x":NaN}"#,
        r#"{"eventVersion":"1.08","x":01}"#,
        r#"{"eventVersion":"1.08","x":"\q"}"#,
        r#"{"eventVersion":"1.08","x":"\u12g4"}"#,
        "nonsense",
    ] {
        let text = format!(r#"{{"Records":[{a},{broken},{b}]}}"#);
        let (rows, outcome) = try_decode(&text).unwrap();
        assert_eq!(rows.texts("eventname"), ["a", "b"], "{broken}");
        assert_eq!(rows.indexes(), [0, 2], "{broken}");
        assert_eq!(outcome.problem_count, 1, "{broken}: {:?}", outcome.problems);
        assert_eq!(outcome.problems[0].index, 1, "{broken}");
    }
    let (rows, outcome) = try_decode(format!("{a}\n{{\"x\":\n{b}\nnonsense\n{a}\n")).unwrap();
    assert_eq!(rows.texts("eventname"), ["a", "b", "a"]);
    assert_eq!(outcome.problem_count, 2);
}

#[test]
fn a_text_that_ends_too_early_keeps_the_records_before_its_end() {
    let (a, b) = (record_named("a"), record_named("b"));
    let text = format!(r#"{{"Records":[{a},{b}]}}"#);
    let second = text.find(&b).unwrap();
    for length in second + 1..second + b.len() {
        let (names, problems) = loaded(&text[..length]);
        assert_eq!(
            (names, problems),
            (vec!["a".to_owned()], vec![1]),
            "{length}"
        );
    }
    for length in 1..text.find(&a).unwrap() + a.len() {
        let error = error(&text[..length]);
        assert!(
            matches!(error, DecodeError::NotJson { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn text_that_is_no_json_is_refused_with_the_place() {
    let not_json = |at, length, expected| DecodeError::NotJson {
        at,
        length,
        expected,
    };
    assert_eq!(error("# Read me"), not_json(0, 9, "`{` or `[`"));
    assert_eq!(error(r#"{"Records"}"#), not_json(10, 11, "`:`"));
    assert_eq!(error("\0\0"), not_json(0, 2, "`{` or `[`"));
    assert!(matches!(error("[ } ]"), DecodeError::NotJson { at: 2, .. }));
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_and_told() {
    let mut text = format!(r#"{{"Records":[{}]}}"#, record_named("caf?")).into_bytes();
    let at = text.iter().position(|byte| *byte == b'?').unwrap();
    text[at] = 0xe9;
    let (rows, outcome) = try_decode(&text).unwrap();
    assert_eq!(rows.text("eventname"), "caf\u{fffd}");
    assert_eq!((outcome.record_count, outcome.problem_count), (1, 1));
}

#[test]
fn nesting_of_any_depth_does_not_overflow_the_stack() {
    let depth = 2_000_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let rows = decode_record(&format!(r#""requestParameters":{deep},"x":{deep}"#));
    assert_eq!(rows.text("requestparameters").len(), 2 * depth);
    assert!(matches!(
        error(r#"{"a":"#.repeat(depth)),
        DecodeError::NotJson { .. }
    ));
}

#[test]
fn problems_are_counted_beyond_those_that_are_described() {
    let broken = "{x},".repeat(1000);
    let text = format!(r#"{{"Records":[{broken}{}]}}"#, record_named("a"));
    let (rows, outcome) = try_decode(text).unwrap();
    assert_eq!(rows.indexes(), [1000]);
    assert_eq!(outcome.problem_count, 1000);
    assert_eq!(outcome.problems.len(), DecodeLimits::default().max_problems);
}

#[test]
fn a_large_object_is_read_in_pieces_and_in_bounded_memory() {
    // The same path that an object of 50 MB or 1 GB takes: only the limits are smaller.
    let text = format!(
        r#"{{"Records":[{}]}}"#,
        (0..20_000)
            .map(|n| record(&format!(
                r#""eventName":"n{n}","requestParameters":{{"n":{n}}}"#
            )))
            .collect::<Vec<_>>()
            .join(",")
    );
    let limits = DecodeLimits {
        max_held_bytes: 10_000,
        ..DecodeLimits::default()
    };
    let (rows, outcome) = decode_within(&gzip(&text), TrailTable::Events, limits).unwrap();
    assert_eq!(outcome.record_count, 20_000);
    assert_eq!(outcome.expanded_bytes, text.len() as u64);
    assert_eq!(outcome.problems, []);
    let names = Rows(rows).texts("eventname").into_iter();
    assert!(names.eq((0..20_000).map(|n| format!("n{n}"))));
    // Text that is not compressed has the same limits.
    let small = DecodeLimits {
        max_expanded_bytes: 1000,
        ..limits
    };
    assert_eq!(
        decode_within(text.as_bytes(), TrailTable::Events, small).unwrap_err(),
        DecodeError::Gzip(GzipError::TooLarge {
            length: text.len(),
            max_expanded_bytes: 1000
        })
    );
    // A record larger than what may be held ends the reading, and is told.
    let huge = format!(
        r#"{{"Records":[{},{{"eventVersion":"1.08","x":"{}"}},{}]}}"#,
        record_named("a"),
        "y".repeat(100_000),
        record_named("b")
    );
    let (rows, outcome) = decode_within(&gzip(&huge), TrailTable::Events, limits).unwrap();
    assert_eq!(rows.num_rows(), 1);
    assert_eq!((outcome.problem_count, outcome.problems[0].index), (1, 1));
    assert!(outcome.problems[0].what.ends_with("than what may be held"));
    // In a text that is in memory anyway, the records behind it are read.
    let (rows, outcome) = decode_within(huge.as_bytes(), TrailTable::Events, limits).unwrap();
    assert_eq!(rows.num_rows(), 2);
    assert_eq!((outcome.problem_count, outcome.problems[0].index), (1, 1));
}

#[test]
fn other_kinds_have_the_same_columns() {
    let decode_kind = |kind, text: &str| {
        let (rows, outcome) =
            decode_within(text.as_bytes(), kind, DecodeLimits::default()).unwrap();
        assert_eq!(outcome.problems, []);
        (Rows(rows), outcome)
    };
    let (rows, outcome) = decode_kind(
        TrailTable::Insights,
        r#"{"Records":[{"eventVersion":"1.07","eventTime":"2023-07-10T11:45:00Z","awsRegion":"us-east-1","eventID":"i","eventType":"AwsCloudTrailInsight","recipientAccountId":"111122223333","sharedEventID":"s","insightDetails":{"state":"Start", "eventSource":"ec2.amazonaws.com","insightContext":{"statistics":{"baseline":{"average":0.0020}}}},"eventCategory":"Insight"}]}"#,
    );
    assert_eq!(
        rows.text("insightdetails"),
        r#"{"state":"Start","eventSource":"ec2.amazonaws.com","insightContext":{"statistics":{"baseline":{"average":0.0020}}}}"#
    );
    assert!(rows.is_null("useridentity"));
    assert_eq!(
        outcome.categories().collect::<Vec<_>>(),
        [(EventCategory::Insight, 1)]
    );
    let (rows, _) = decode_kind(
        TrailTable::NetworkActivity,
        r#"{"Records":[{"eventVersion":"1.09","userIdentity":{"type":"AWSAccount","principalId":"AIDAEXAMPLE","accountId":"444455556666"},"eventTime":"2023-07-10T11:45:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","errorCode":"VpceAccessDenied","eventType":"AwsVpceEvent","vpcEndpointId":"vpce-1","vpcEndpointAccountId":"111122223333","eventCategory":"NetworkActivity"}]}"#,
    );
    assert_eq!(rows.text("vpcendpointaccountid"), "111122223333");
    assert_eq!(rows.flag("is_denied"), Some(true));
    let (rows, outcome) = decode_kind(
        TrailTable::Aggregated,
        r#"[{"eventVersion":"1.0","accountId":"111122223333","eventId":"agg-1","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","awsRegion":"us-east-1","eventSource":"s3.amazonaws.com","timeWindow":{"windowStart":"2023-07-10T11:45:00Z","windowEnd":"2023-07-10T11:50:00Z","windowSize":"PT5M"},"summary":{"primaryDimension":{"dimension":"eventName","statistics":[{"name":"GetObject","value":12}]}}}]"#,
    );
    assert_eq!(rows.text("eventid"), "agg-1");
    assert_eq!(rows.text("account_id"), "111122223333");
    assert_eq!(rows.time(), Some(1_688_989_500_000_000));
    assert_eq!(
        rows.text("extra"),
        r#"{"accountId":"111122223333","timeWindow":{"windowStart":"2023-07-10T11:45:00Z","windowEnd":"2023-07-10T11:50:00Z","windowSize":"PT5M"},"summary":{"primaryDimension":{"dimension":"eventName","statistics":[{"name":"GetObject","value":12}]}}}"#
    );
    assert_eq!(outcome.category_counts[4], 1);
}

#[test]
fn one_decoder_and_one_sink_serve_many_objects() {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut sink = HeldRecords::default();
    let mut read =
        |object: &[u8]| decoder.decode_object(object, &origin(TrailTable::Events), &mut sink);
    let good = gzip(format!(r#"{{"Records":[{}]}}"#, record_named("a")));
    assert!(read(&good).is_ok());
    assert!(read(&good[..30]).is_err());
    assert!(read(b"{\"Records\":[{\"x\":[[[").is_err());
    assert!(read(&good).is_ok());
    assert_eq!(sink.len(), 2);
    assert!(sink.memory_bytes() > 0);
    let rows = Rows(rows_of(&sink));
    assert_eq!(rows.texts("eventname"), ["a", "a"]);
    sink.clear();
    assert!(sink.is_empty() && sink.memory_bytes() == 0);
    assert_eq!(rows_of(&sink).num_rows(), 0);
}

#[test]
fn a_key_without_account_region_and_day_leaves_those_columns_null() {
    let origin = ObjectOrigin {
        key: "export.json",
        account: None,
        region: None,
        day: None,
        kind: TrailTable::Events,
    };
    let mut sink = HeldRecords::default();
    Decoder::new(DecodeLimits::default())
        .decode_object(record_named("a").as_bytes(), &origin, &mut sink)
        .unwrap();
    let rows = Rows(rows_of(&sink));
    for column in [
        "account",
        "region",
        "year",
        "month",
        "day",
        "timestamp",
        "account_id",
    ] {
        assert_eq!(rows.text(column), "<null>", "{column}");
    }
}
