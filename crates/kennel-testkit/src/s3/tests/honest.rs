//! What the server does while nothing is wrong with it.

use super::super::request::Call;
use super::super::signature::{self, Credentials, Keyring};
use super::super::*;
use super::{NOTHING_SHA256, Request, exchange, get, noon, request, start};
use chrono::TimeDelta;
use std::collections::BTreeMap;

/// The three GET examples that AWS publishes for Signature Version 4 in an Authorization header.
#[test]
fn signatures_agree_with_the_published_examples() {
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    };
    let examples = [
        (
            "/test.txt",
            true,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "/?lifecycle",
            false,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "/?max-keys=2&prefix=J",
            false,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (target, has_range, signature) in examples {
        let mut builder = http::Request::get(target)
            .header("host", "examplebucket.s3.amazonaws.com")
            .header("x-amz-content-sha256", NOTHING_SHA256)
            .header("x-amz-date", "20130524T000000Z");
        if has_range {
            builder = builder.header("range", "bytes=0-9");
        }
        let range = if has_range { "range;" } else { "" };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;{range}x-amz-content-sha256;x-amz-date,Signature={signature}"
        );
        let builder = builder.header("authorization", &authorization);
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let call =
            Call::parse(&parts, NOTHING_SHA256.to_owned(), Some("s3.amazonaws.com")).unwrap();
        assert_eq!(call.bucket, "examplebucket");
        let keyring = Keyring {
            current: credentials.clone(),
            expired: Vec::new(),
        };
        let now = "2013-05-24T00:10:00Z".parse().unwrap();
        let region = signature::verify(&call, &keyring, &["us-east-1"], now).unwrap();
        assert_eq!(region, "us-east-1");
    }
}

#[test]
fn requests_that_are_not_rightly_signed_are_refused_with_the_right_code() {
    let server = start();
    server.bucket("b").put("k", "body");
    let code = |change: &dyn Fn(&mut Request)| {
        let mut request = request(&server, "GET", "/b/k");
        change(&mut request);
        let response = request.send(&server);
        (response.status.unwrap(), response.element("Code"))
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code(&|_| {}).0, 200);
    assert_eq!(
        code(&|r| r.credentials = None),
        refused(403, "AccessDenied")
    );
    let wrong_secret = |r: &mut Request| {
        r.credentials.as_mut().unwrap().secret_access_key.push('x');
    };
    assert_eq!(code(&wrong_secret), refused(403, "SignatureDoesNotMatch"));
    let wrong_key = |r: &mut Request| r.credentials.as_mut().unwrap().access_key_id.push('x');
    assert_eq!(code(&wrong_key), refused(403, "InvalidAccessKeyId"));
    let with_token = |r: &mut Request| {
        r.credentials.as_mut().unwrap().session_token = Some("t".to_owned());
    };
    assert_eq!(code(&with_token), refused(400, "InvalidToken"));
    let late = |r: &mut Request| r.signed_at -= TimeDelta::minutes(16);
    assert_eq!(code(&late), refused(403, "RequestTimeTooSkewed"));
    assert_eq!(code(&|r| r.signed_at += TimeDelta::minutes(14)).0, 200);
    let elsewhere = |r: &mut Request| r.region = "eu-west-1".to_owned();
    assert_eq!(
        code(&elsewhere),
        refused(400, "AuthorizationHeaderMalformed")
    );
    let unsigned = |r: &mut Request| {
        r.unsigned_headers
            .push(("x-amz-checksum-mode".to_owned(), "ENABLED".to_owned()));
    };
    assert_eq!(code(&unsigned), refused(403, "AccessDenied"));
}

#[test]
fn rotated_credentials_expire_the_ones_before() {
    let server = start();
    server.bucket("b").put("k", "body");
    let old = request(&server, "GET", "/b/k");
    server.rotate_credentials("ASIANEXT", "next", Some("token"));
    let response = old.send(&server);
    assert_eq!(
        (response.status, response.element("Code")),
        (Some(400), "ExpiredToken".to_owned())
    );
    let mut next = request(&server, "GET", "/b/k");
    next.credentials = Some(Credentials {
        access_key_id: "ASIANEXT".to_owned(),
        secret_access_key: "next".to_owned(),
        session_token: Some("token".to_owned()),
    });
    assert_eq!(next.send(&server).status, Some(200));
}

#[test]
fn listings_page_roll_up_and_begin_after() {
    let server = start();
    let bucket = server.bucket("b");
    for key in ["a/1", "a/2", "b/1", "c", "d/1", "d/2/x"] {
        bucket.put(key, key);
    }
    let flat = get(&server, "/b?list-type=2&max-keys=4");
    assert_eq!(flat.elements("Key"), ["a/1", "a/2", "b/1", "c"]);
    assert_eq!(flat.element("KeyCount"), "4");
    assert_eq!(flat.element("IsTruncated"), "true");
    assert_eq!(flat.element("StorageClass"), "STANDARD");
    assert_eq!(
        flat.element("ETag"),
        format!("&quot;{}&quot;", bucket.etag("a/1").unwrap())
    );
    let token = flat.element("NextContinuationToken");
    let rest = get(
        &server,
        &format!("/b?list-type=2&continuation-token={token}"),
    );
    assert_eq!(rest.elements("Key"), ["d/1", "d/2/x"]);
    assert_eq!(rest.element("NextContinuationToken"), "");

    let folders = get(&server, "/b?list-type=2&delimiter=%2F&max-keys=2");
    assert_eq!(folders.elements("Prefix"), ["", "a/", "b/"]);
    let token = folders.element("NextContinuationToken");
    let rest = get(
        &server,
        &format!("/b?list-type=2&delimiter=%2F&continuation-token={token}"),
    );
    assert_eq!(
        (rest.elements("Key"), rest.elements("Prefix")[1..].to_vec()),
        (vec!["c".to_owned()], vec!["d/".to_owned()])
    );

    let after = get(&server, "/b?list-type=2&start-after=a%2F11");
    assert_eq!(after.elements("Key")[0], "a/2");
    let below = get(
        &server,
        "/b?list-type=2&prefix=d%2F&delimiter=%2F&start-after=d%2F1",
    );
    assert_eq!(
        (
            below.elements("Key").len(),
            below.elements("Prefix")[1].as_str()
        ),
        (0, "d/2/")
    );
    assert_eq!(
        get(&server, "/nowhere?list-type=2").element("Code"),
        "NoSuchBucket"
    );
    assert_eq!(
        get(&server, "/b?list-type=2&continuation-token=x").element("Code"),
        "InvalidArgument"
    );
    let old = get(&server, "/b?marker=a%2F2&max-keys=1");
    assert_eq!(
        (old.element("Key"), old.element("NextMarker")),
        ("b/1".to_owned(), "b/1".to_owned())
    );
}

#[test]
fn odd_keys_are_listed_in_both_encodings_and_found_under_their_path() {
    let server = start();
    let bucket = server.bucket("b");
    let keys = ["a b+%2F", "c\u{1}d", "e//f", "g&<>\"", "h/../i", "ü/"];
    for key in keys {
        bucket.put(key, key);
    }
    let raw = get(&server, "/b?list-type=2");
    assert_eq!(raw.elements("Key")[1], "c&#x1;d");
    assert_eq!(raw.elements("Key")[3], "g&amp;&lt;&gt;&quot;");
    let encoded = get(&server, "/b?list-type=2&encoding-type=url");
    assert_eq!(
        encoded.elements("Key"),
        [
            "a+b%2B%252F",
            "c%01d",
            "e//f",
            "g%26%3C%3E%22",
            "h/../i",
            "%C3%BC/"
        ]
    );
    for key in keys {
        let path = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        assert_eq!(get(&server, &format!("/b/{path}")).text(), key);
    }
    assert_eq!(get(&server, "/b/e//f").text(), "e//f");
}

#[test]
fn objects_answer_ranges_conditions_checksums_and_metadata() {
    let server = start();
    let bucket = server.bucket("b");
    let options = ObjectOptions {
        metadata: BTreeMap::from([("signature".to_owned(), "abcd".to_owned())]),
        version_id: Some("v1".to_owned()),
        ..ObjectOptions::default()
    };
    bucket.put_with("k", "123456789", options);
    let ask = |headers: &[(&str, &str)]| {
        let plain = request(&server, "GET", "/b/k");
        headers
            .iter()
            .fold(plain, |r, (name, value)| r.header(name, value))
            .send(&server)
    };
    let whole = ask(&[("x-amz-checksum-mode", "ENABLED")]);
    assert_eq!(whole.text(), "123456789");
    // The check value of CRC-64/NVME: ae8b14860a799888.
    assert_eq!(whole.headers["x-amz-checksum-crc64nvme"], "rosUhgp5mIg=");
    assert_eq!(whole.headers["x-amz-checksum-type"], "FULL_OBJECT");
    assert_eq!(whole.headers["x-amz-meta-signature"], "abcd");
    assert_eq!(whole.headers["x-amz-version-id"], "v1");
    assert_eq!(whole.headers["x-amz-server-side-encryption"], "AES256");
    assert_eq!(
        whole.headers["etag"],
        "\"25f9e794323b453885f5181f1b624d0b\""
    );
    assert_eq!(
        whole.headers["last-modified"],
        "Mon, 02 Mar 2026 12:00:00 GMT"
    );

    let part = ask(&[("range", "bytes=3-5"), ("x-amz-checksum-mode", "ENABLED")]);
    assert_eq!((part.status, part.text()), (Some(206), "456"));
    assert_eq!(part.headers["content-range"], "bytes 3-5/9");
    assert!(!part.headers.contains_key("x-amz-checksum-crc64nvme"));
    assert_eq!(ask(&[("range", "bytes=7-")]).text(), "89");
    assert_eq!(ask(&[("range", "bytes=-2")]).text(), "89");
    assert_eq!(
        ask(&[("range", "bytes=9-")]).element("Code"),
        "InvalidRange"
    );
    assert_eq!(
        ask(&[("if-match", "\"other\"")]).element("Code"),
        "PreconditionFailed"
    );
    assert_eq!(
        ask(&[("if-match", &whole.headers["etag"])]).status,
        Some(200)
    );
    assert_eq!(
        ask(&[("if-none-match", &whole.headers["etag"])]).status,
        Some(304)
    );

    let head = request(&server, "HEAD", "/b/k").send(&server);
    assert_eq!(
        (head.headers["content-length"].as_str(), head.body.len()),
        ("9", 0)
    );
    assert_eq!(get(&server, "/b/none").element("Code"), "NoSuchKey");
    assert_eq!(
        request(&server, "HEAD", "/b/none").send(&server).status,
        Some(404)
    );
    assert_eq!(
        request(&server, "HEAD", "/b").send(&server).status,
        Some(200)
    );
    assert_eq!(
        request(&server, "PUT", "/b/k")
            .send(&server)
            .element("Code"),
        "NotImplemented"
    );
}

#[test]
fn objects_can_be_archived_encrypted_and_in_parts() {
    let server = start();
    let bucket = server.bucket("b");
    let glacier = Some("GLACIER".to_owned());
    let archived = ObjectOptions {
        storage_class: glacier.clone(),
        ..ObjectOptions::default()
    };
    bucket.put_with("archived", "x", archived);
    let restored = ObjectOptions {
        storage_class: glacier,
        restored: true,
        ..ObjectOptions::default()
    };
    bucket.put_with("restored", "x", restored);
    assert_eq!(
        get(&server, "/b/archived").element("Code"),
        "InvalidObjectState"
    );
    assert_eq!(
        request(&server, "HEAD", "/b/archived").send(&server).status,
        Some(200)
    );
    assert_eq!(get(&server, "/b/restored").status, Some(200));
    assert_eq!(
        get(&server, "/b?list-type=2").elements("StorageClass"),
        ["GLACIER", "GLACIER"]
    );

    let key = "arn:aws:kms:us-east-1:111122223333:key/k".to_owned();
    let kms = ObjectOptions {
        encryption: Encryption::Kms(key),
        ..ObjectOptions::default()
    };
    bucket.put_with("kms", "123456789", kms);
    assert_ne!(
        bucket.etag("kms").unwrap(),
        "25f9e794323b453885f5181f1b624d0b"
    );
    assert_eq!(
        get(&server, "/b/kms").headers["x-amz-server-side-encryption"],
        "aws:kms"
    );

    let parts = ObjectOptions {
        part_size_bytes: Some(4),
        checksum: Checksum::Sha256,
        ..ObjectOptions::default()
    };
    bucket.put_with("parts", "123456789", parts);
    assert!(bucket.etag("parts").unwrap().ends_with("-3"));
    let part = request(&server, "HEAD", "/b/parts?partNumber=3").send(&server);
    assert_eq!(
        (part.status, part.headers["content-length"].as_str()),
        (Some(206), "1")
    );
    assert_eq!(part.headers["x-amz-mp-parts-count"], "3");
}

#[test]
fn buckets_can_be_elsewhere_paid_for_by_the_reader_or_named_by_the_host() {
    let domain = Some("localhost".to_owned());
    let options = S3Options {
        now: noon,
        virtual_host_domain: domain,
        ..S3Options::default()
    };
    let server = S3Server::start(options);
    let bucket = server.bucket("b");
    bucket.put("k", "body");
    let by_host = request(&server, "GET", "/k")
        .header("host", "b.localhost:1")
        .send(&server);
    assert_eq!(by_host.text(), "body");

    bucket.set_requester_pays(true);
    assert_eq!(get(&server, "/b/k").element("Code"), "AccessDenied");
    let paid = request(&server, "GET", "/b/k").header("x-amz-request-payer", "requester");
    assert_eq!(
        paid.send(&server).headers["x-amz-request-charged"],
        "requester"
    );
    bucket.set_requester_pays(false);

    bucket.set_region("eu-west-1");
    let moved = get(&server, "/b/k");
    assert_eq!(
        (moved.status, moved.element("Code")),
        (Some(301), "PermanentRedirect".to_owned())
    );
    assert_eq!(moved.headers["x-amz-bucket-region"], "eu-west-1");
    let mut there = request(&server, "GET", "/b/k");
    there.region = "eu-west-1".to_owned();
    assert_eq!(there.send(&server).status, Some(200));
    assert_eq!(
        get(&server, "/b?location").element("LocationConstraint"),
        "eu-west-1"
    );
}

#[test]
fn a_million_keys_are_made_and_not_kept() {
    let server = start();
    let bucket = server.bucket("big");
    bucket.generate(Generated {
        count: 1_000_000,
        key: Arc::new(|n| format!("d{:03}/{n:07}", n / 1000)),
        body: Arc::new(|n| n.to_string().into_bytes()),
        modified_at: noon(),
    });
    bucket.put("d500/0500000x", "between");
    bucket.delete("d500/0500001");
    bucket.put("d500/0500002", "over");
    let page = get(
        &server,
        "/big?list-type=2&start-after=d499%2F0499998&max-keys=4",
    );
    assert_eq!(
        page.elements("Key"),
        [
            "d499/0499999",
            "d500/0500000",
            "d500/0500000x",
            "d500/0500002"
        ]
    );
    assert_eq!(page.elements("Size"), ["6", "6", "7", "4"]);
    assert_eq!(get(&server, "/big/d999/0999999").text(), "999999");
    assert_eq!(get(&server, "/big/d500/0500001").status, Some(404));
    let folders = get(&server, "/big?list-type=2&delimiter=/");
    assert_eq!(folders.element("KeyCount"), "1000");
    assert_eq!(folders.element("IsTruncated"), "false");
}

#[test]
fn folders_are_served_and_latency_is_felt() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    std::fs::write(folder.path().join("a/b/c.txt"), "deep").unwrap();
    std::fs::write(folder.path().join("top"), "top").unwrap();
    let server = start();
    let bucket = server.serve_folder("b", folder.path()).unwrap();
    assert_eq!(bucket.keys(), ["a/b/c.txt", "top"]);
    assert_eq!((bucket.name(), server.url("b")), ("b", bucket.url()));
    let pause = Duration::from_millis(30);
    server.set_latency(pause);
    let started = Instant::now();
    assert_eq!(get(&server, "/b/a/b/c.txt").text(), "deep");
    assert!(started.elapsed() >= pause);
}

#[test]
fn one_connection_serves_many_requests_and_unsigned_ones_where_allowed() {
    let server = S3Server::start(S3Options {
        require_signatures: false,
        ..S3Options::default()
    });
    server.bucket("b").put("k", "body");
    let one = "GET /b/k HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /b/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let response = exchange(&server, format!("{one}{one}{last}").as_bytes());
    assert_eq!(response.text().matches("HTTP/1.1 200 OK").count(), 2);
    assert!(response.text().ends_with("body"));
}
