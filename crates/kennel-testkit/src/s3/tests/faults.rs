//! What goes wrong on cue.

use super::super::*;
use super::{get, request, start};
use bytes::Bytes;

fn arm(server: &S3Server, on: Matcher, kind: FaultKind) {
    server.fault(Fault { on, kind });
}

#[test]
fn status_faults_meet_the_requests_they_name_and_no_others() {
    let server = start();
    let bucket = server.bucket("b");
    bucket.put("x/1.gz", "1");
    bucket.put("x/2.txt", "2");
    let error = ErrorAnswer::slow_down().retry_after(3);
    arm(
        &server,
        Matcher::get("x/*.gz").nth(2).times(2),
        FaultKind::Status(error),
    );
    let statuses: Vec<_> = (0..4)
        .map(|_| get(&server, "/b/x/1.gz").status.unwrap())
        .collect();
    assert_eq!(statuses, [200, 503, 503, 200]);
    assert_eq!(get(&server, "/b/x/2.txt").status, Some(200));
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(
        (requests[1].status, requests[1].is_faulted),
        (Some(503), true)
    );
    assert_eq!(requests[4].key.as_deref(), Some("x/2.txt"));
    assert_eq!(requests[0].header("x-amz-date"), Some("20260302T120000Z"));
    let counts = RequestCounts {
        get: 5,
        faulted: 2,
        max_in_flight: 1,
        ..RequestCounts::default()
    };
    assert!(server.wait_until(|now| now == counts, Duration::from_secs(5)));

    server.clear_requests();
    arm(
        &server,
        Matcher::get("x/*").per_key(),
        FaultKind::status(500, "InternalError"),
    );
    for key in ["x/1.gz", "x/2.txt"] {
        assert_eq!(get(&server, &format!("/b/{key}")).status, Some(500));
        assert_eq!(get(&server, &format!("/b/{key}")).status, Some(200));
    }
    arm(
        &server,
        Matcher::any().always(),
        FaultKind::status(429, "TooManyRequests"),
    );
    assert_eq!(get(&server, "/b?list-type=2").status, Some(429));
    server.clear_faults();
    assert_eq!(get(&server, "/b?list-type=2").status, Some(200));
}

#[test]
fn connection_faults_happen_on_the_wire() {
    let server = start();
    server.bucket("b").put("k", "0123456789");
    let meet = |kind| {
        arm(&server, Matcher::get("k"), kind);
        get(&server, "/b/k")
    };
    let closed = meet(FaultKind::CloseBeforeHeaders);
    assert_eq!((closed.status, closed.is_reset), (None, false));
    let reset = meet(FaultKind::ResetBeforeHeaders);
    assert_eq!((reset.status, reset.is_reset), (None, true));
    let cut = meet(FaultKind::CloseAfter(4));
    assert_eq!((cut.text(), cut.is_reset), ("0123", false));
    assert_eq!(cut.headers["content-length"], "10");
    let cut = meet(FaultKind::ResetAfter(100));
    assert_eq!((cut.text(), cut.is_reset), ("012345678", true));
    let long = meet(FaultKind::ContentLength(5));
    assert_eq!(
        (long.text(), long.headers["content-length"].as_str()),
        ("0123456789", "15")
    );
    let short = meet(FaultKind::ContentLength(-5));
    assert_eq!(
        (short.text(), short.headers["content-length"].as_str()),
        ("0123456789", "5")
    );
    let chunked = meet(FaultKind::Chunked);
    assert_eq!(chunked.text(), "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
    assert!(!chunked.headers.contains_key("content-length"));
    let endless = meet(FaultKind::CloseDelimited);
    assert_eq!(endless.text(), "0123456789");
    assert!(!endless.headers.contains_key("content-length"));

    let bound = Duration::from_millis(60);
    let started = Instant::now();
    let stalled = meet(FaultKind::Stall { after: 3, bound });
    assert_eq!((stalled.text(), stalled.is_reset), ("012", true));
    assert!(started.elapsed() >= bound);
    let slow = meet(FaultKind::Trickle {
        bytes: 2,
        pause: bound / 3,
        bound,
    });
    assert_eq!((slow.text(), slow.is_reset), ("012345", true));
    assert_eq!(get(&server, "/b/k").text(), "0123456789");
    let faulted: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(faulted[..3], [None, None, Some(200)]);
}

#[test]
fn bodies_lie_on_request() {
    let server = start();
    let bucket = server.bucket("b");
    bucket.put("k", "0123456789");
    let meet = |kind| {
        arm(&server, Matcher::get("k"), kind);
        get(&server, "/b/k")
    };
    let flipped = meet(FaultKind::FlipByte(3));
    assert_eq!(flipped.text(), "0122456789");
    assert_eq!(
        flipped.headers["etag"],
        format!("\"{}\"", bucket.etag("k").unwrap())
    );
    assert_eq!(meet(FaultKind::Shorten(4)).headers["content-length"], "4");
    let error = meet(FaultKind::ErrorWithStatus200(ErrorAnswer::internal_error()));
    assert_eq!(
        (error.status, error.element("Code")),
        (Some(200), "InternalError".to_owned())
    );
    assert!(meet(FaultKind::Html).text().starts_with("<!DOCTYPE html>"));
    let empty = meet(FaultKind::Empty);
    assert_eq!((empty.status, empty.body.len()), (Some(200), 0));
    assert_eq!(meet(FaultKind::Body(Bytes::from("other"))).text(), "other");
}

#[test]
fn objects_change_under_a_reader() {
    let server = start();
    let bucket = server.bucket("b");
    bucket.put("k", "first body");
    let first = bucket.etag("k").unwrap();
    arm(&server, Matcher::get("k").fresh(), FaultKind::CloseAfter(4));
    arm(
        &server,
        Matcher::get("k").resumed(),
        FaultKind::Replace(Bytes::from("other body")),
    );
    assert_eq!(get(&server, "/b/k").text(), "firs");
    let resume = || request(&server, "GET", "/b/k").header("range", "bytes=4-");
    let refused = resume()
        .header("if-match", &format!("\"{first}\""))
        .send(&server);
    assert_eq!(refused.status, Some(412));

    arm(&server, Matcher::get("k"), FaultKind::IgnoreConditions);
    let lax = resume().header("if-match", &first).send(&server);
    assert_eq!((lax.status, lax.text()), (Some(206), "r body"));
    arm(&server, Matcher::get("k"), FaultKind::IgnoreRange);
    assert_eq!(resume().send(&server).status, Some(200));
    arm(&server, Matcher::get("k"), FaultKind::ShiftRange(-2));
    let shifted = resume().send(&server);
    assert_eq!(
        (shifted.text(), shifted.headers["content-range"].as_str()),
        ("her body", "bytes 2-9/10")
    );
    bucket.overwrite_same_size("k", "third body");
    arm(&server, Matcher::get("k"), FaultKind::Delete);
    assert_eq!(get(&server, "/b/k").element("Code"), "NoSuchKey");
}

#[test]
fn listings_lie_on_request() {
    let server = start();
    let bucket = server.bucket("b");
    for n in 0..6 {
        bucket.put(&format!("k{n}"), "x");
    }
    let page = |token: &str| {
        let token = if token.is_empty() {
            String::new()
        } else {
            format!("&continuation-token={token}")
        };
        get(&server, &format!("/b?list-type=2&max-keys=2{token}"))
    };
    let second = page("").element("NextContinuationToken");
    let meet = |kind| {
        arm(&server, Matcher::list_page(2), kind);
        assert_eq!(page("").elements("Key"), ["k0", "k1"]);
        page(&second)
    };
    assert_eq!(
        meet(FaultKind::status(403, "AccessDenied")).status,
        Some(403)
    );
    assert_eq!(
        meet(FaultKind::SameToken).element("NextContinuationToken"),
        second
    );
    let tokenless = meet(FaultKind::TruncatedWithoutToken);
    assert_eq!(tokenless.element("IsTruncated"), "true");
    assert_eq!(tokenless.element("NextContinuationToken"), "");
    assert_eq!(meet(FaultKind::ReversedKeys).elements("Key"), ["k3", "k2"]);
    let again = meet(FaultKind::PageAgain);
    assert_eq!(again.elements("Key"), ["k0", "k1"]);
    assert_ne!(again.element("NextContinuationToken"), second);
    assert_eq!(
        meet(FaultKind::DuplicateKey).elements("Key"),
        ["k2", "k3", "k3"]
    );
    assert_eq!(meet(FaultKind::KeyCount(5)).element("KeyCount"), "7");
    assert_eq!(meet(FaultKind::MissingKey).elements("Key"), ["k3"]);
    let late = FaultKind::before(|bucket| bucket.put("k00", "late"));
    assert_eq!(meet(late).elements("Key"), ["k2", "k3"]);
    assert_eq!(page("").elements("Key"), ["k0", "k00"]);
}

#[test]
fn chance_is_the_same_for_the_same_seed_and_leaves_a_way_through() {
    let run = || {
        let server = start();
        let bucket = server.bucket("b");
        server.fault_plan(FaultPlan::random(7, 0.5).max_per_key(2));
        let mut outcomes = Vec::new();
        for n in 0..20 {
            bucket.put(&format!("k{n}"), "0123456789");
            for _ in 0..6 {
                let response = get(&server, &format!("/b/k{n}"));
                outcomes.push((response.status, response.body));
            }
        }
        (outcomes, server.counts().faulted)
    };
    let (first, faulted) = run();
    assert_eq!((&first, faulted), (&run().0, run().1));
    assert!((20..=40).contains(&faulted), "{faulted} of at most 40");
    assert!(
        first
            .chunks(6)
            .all(|key| key.contains(&(Some(200), b"0123456789".to_vec())))
    );
}
