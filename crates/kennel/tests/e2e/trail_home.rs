//! CloudTrail on S3: small objects made here, delivered into the bucket of a server inside the test.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use kennel_testkit::s3::{Bucket, ObjectOptions, Operation, S3Options, S3Server};

use crate::{
    home::{Said, TestHome},
    s3_home::S3Home,
};

/// An ordinary place of delivery.
pub(crate) const PLACE: &str = "AWSLogs/111122223333/CloudTrail/eu-west-1/";
/// The same account in another region.
pub(crate) const OTHER_REGION: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/";
/// Another account, whose id begins with zero.
pub(crate) const OTHER_ACCOUNT: &str = "AWSLogs/012345678901/CloudTrail/eu-west-1/";

/// A home whose only source is the empty bucket `trail`.
pub(crate) fn trail_home() -> S3Home {
    let server = S3Server::start(S3Options::default());
    let bucket = server.bucket("trail");
    let s3 = S3Home {
        home: TestHome::new(),
        server,
        bucket,
    };
    configure(&s3, &[("trail", "s3://trail", "")]);
    s3
}

/// Writes the config: name, URL and further lines of each CloudTrail source.
pub(crate) fn configure(s3: &S3Home, sources: &[(&str, &str, &str)]) {
    let source = |(name, url, lines): &(&str, &str, &str)| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"cloudtrail\"\nurl = \"{url}\"\n{lines}\n")
    };
    let text = sources.iter().map(source).collect::<String>();
    s3.home.write("kennel.toml", &text);
}

/// A record of a management event. Its time is noon of its day.
pub(crate) fn event(id: &str, day: &str) -> String {
    event_of(id, day, "111122223333", "eu-west-1")
}

/// The same of any account and region.
pub(crate) fn event_of(id: &str, day: &str, account: &str, region: &str) -> String {
    let date = day.replace('/', "-");
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::{account}:user/ann","accountId":"{account}","userName":"ann"}},"eventTime":"{date}T12:00:00Z","eventSource":"iam.amazonaws.com","eventName":"GetUser","awsRegion":"{region}","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli/2","requestParameters":{{"userName":"ann"}},"responseElements":null,"requestID":"r-{id}","eventID":"{id}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{account}","eventCategory":"Management"}}"#
    )
}

/// One gzip member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A log file as CloudTrail writes it.
pub(crate) fn log_file(records: &[String]) -> Vec<u8> {
    gzip(format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes())
}

/// A file's key; `name` is where its random part stands.
pub(crate) fn key(place: &str, day: &str, name: &str) -> String {
    let mut parts = place.trim_end_matches('/').rsplit('/');
    let (region, folder, account) = (parts.next(), parts.next(), parts.next());
    let [account, folder, region] = [account, folder, region].map(Option::unwrap);
    let date = day.replace('/', "");
    format!("{place}{day}/{account}_{folder}_{region}_{date}T1205Z_{name}.json.gz")
}

/// Stores an object as CloudTrail does.
pub(crate) fn put(bucket: &Bucket, key: &str, body: Vec<u8>) {
    let options = ObjectOptions {
        content_encoding: Some("gzip".into()),
        ..ObjectOptions::default()
    };
    bucket.put_with(key, body, options);
}

/// Delivers a file with one event, whose id and file name are the same; returns its key.
pub(crate) fn deliver(s3: &S3Home, place: &str, day: &str, id: &str) -> String {
    let key = key(place, day, id);
    let mut parts = place.trim_end_matches('/').rsplit('/');
    let region = parts.next().unwrap();
    let account = parts.nth(1).unwrap();
    let body = log_file(&[event_of(id, day, account, region)]);
    put(&s3.bucket, &key, body);
    key
}

/// The rows of a query as lines of CSV, without the head.
#[track_caller]
pub(crate) fn rows(s3: &S3Home, sql: &str) -> Vec<String> {
    let said = s3.kennel(["sql", "-q", "-f", "csv", "-c", sql]);
    lines(said.ends_with(0))
}

/// The lines of CSV, without the head.
pub(crate) fn lines(said: Said) -> Vec<String> {
    said.stdout.lines().skip(1).map(str::to_owned).collect()
}

/// The ids of all events that readers see.
#[track_caller]
pub(crate) fn event_ids(s3: &S3Home) -> Vec<String> {
    rows(
        s3,
        "SELECT event_id FROM cloudtrail.events ORDER BY event_id",
    )
}

/// Prefixes that were listed flat, which is how a region is looked at; the others are looked through by folders.
pub(crate) fn flat_listings(s3: &S3Home) -> Vec<String> {
    let listings = s3.server.requests().into_iter().filter(|request| {
        request.operation == Operation::List && request.query("delimiter").is_none()
    });
    let prefixes = listings.map(|request| request.query("prefix").unwrap_or_default().to_owned());
    let mut prefixes = prefixes.collect::<Vec<_>>();
    prefixes.sort();
    prefixes
}

/// Writes all objects of the bucket below a folder.
pub(crate) fn write_folder(s3: &S3Home, folder: &Path) {
    for key in s3.bucket.keys() {
        if key.ends_with('/') {
            continue;
        }
        let path = folder.join(&key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, s3.bucket.body(&key).unwrap()).unwrap();
    }
}

/// Each object of the source `trail` that is kept has the bytes of the bucket's.
#[track_caller]
pub(crate) fn assert_kept(s3: &S3Home) {
    let kept = rows(
        s3,
        "SELECT key, sha256 FROM kennel.objects WHERE source = 'trail' ORDER BY key",
    );
    assert!(!kept.is_empty());
    for row in kept {
        let (key, sha256) = row.rsplit_once(',').unwrap();
        let body = s3.bucket.body(key).unwrap();
        assert_eq!(
            kennel_cache::Sha256::of(&body).to_string(),
            sha256,
            "{key} is not the bucket's"
        );
    }
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
