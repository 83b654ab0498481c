//! Credentials as whole processes find them, lose them, and never show them.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use kennel_testkit::s3::S3Options;

use crate::{home::Said, s3_home::S3Home};

const ID: &str = "AKIDTESTKIT";
const SECRET: &str = "SECRET-that-nobody-may-see";
const TOKEN: &str = "TOKEN-that-nobody-may-see";

fn with_secrets() -> S3Home {
    let s3 = S3Home::with(
        "guide",
        S3Options {
            access_key_id: ID.into(),
            secret_access_key: SECRET.into(),
            session_token: Some(TOKEN.into()),
            ..S3Options::default()
        },
    );
    s3.configure(&format!(
        "profile = \"audit\"\nendpoint_url = \"{}\"\n",
        s3.server.endpoint_url()
    ));
    s3
}

fn aws_file(s3: &S3Home, name: &str, text: &str) -> PathBuf {
    let folder = s3.home.root().join(".aws");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A program that prints what lies in `.aws/now.json`, as `credential_process` wants it.
fn credential_process(s3: &S3Home) {
    let now = aws_file(s3, "now.json", &printed(ID, SECRET, TOKEN));
    let script = format!("#!/bin/sh\ncat '{}'\n", now.display());
    let script = aws_file(s3, "print-keys", &script);
    #[cfg(unix)]
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let config = format!(
        "[profile audit]\nregion = us-east-1\ncredential_process = '{}'\n",
        script.display()
    );
    aws_file(s3, "config", &config);
}

fn printed(id: &str, secret: &str, token: &str) -> String {
    format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \"SessionToken\": \"{token}\"}}\n"
    )
}

fn shared_file(s3: &S3Home) {
    aws_file(
        s3,
        "credentials",
        &format!(
            "[audit]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
        ),
    );
}

#[track_caller]
fn shows_no_secret(said: &Said) {
    let text = said.all();
    for secret in [SECRET, TOKEN, "Signature="] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[test]
fn a_profile_of_the_credentials_file_is_used() {
    let s3 = with_secrets();
    shared_file(&s3);
    s3.home.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[cfg(unix)]
#[test]
fn a_credential_process_is_asked() {
    let s3 = with_secrets();
    credential_process(&s3);
    s3.home.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let s3 = with_secrets();
    let said = s3.home.kennel(["sync"]).ends_with(2);
    insta::assert_snapshot!(said.stderr, @r"
    error: profile `audit` is not in the AWS config files
    hint: `aws sts get-caller-identity` with the same profile shows whether the AWS CLI has any
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
    assert_eq!(s3.server.requests().len(), 0);
}

#[test]
fn without_any_credentials_it_is_said_soon_although_the_metadata_service_is_silent() {
    let s3 = S3Home::new("guide");
    // Takes connections and never answers, as a network does that swallows what goes to 169.254.169.254.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = s3.home.command();
    command
        .env(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{}", silent.local_addr().unwrap()),
        )
        .env("AWS_ENDPOINT_URL_S3", s3.server.endpoint_url())
        .arg("sync");
    let started = Instant::now();
    let said = s3.home.run(command).ends_with(2);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: no AWS credentials found in environment, profile `default`, instance metadata (no answer)
    hint: `aws sts get-caller-identity` with the same profile shows whether the AWS CLI has any
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
    assert_eq!(s3.server.requests().len(), 0);
}

#[test]
fn a_wrong_secret_is_told_from_a_wrong_key_and_neither_is_shown() {
    let s3 = S3Home::new("guide");
    let with = |id: &str, secret: &str| {
        let mut command = s3.command();
        command
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .arg("sync");
        s3.run(command).ends_with(2)
    };
    let said = with(&s3.server.options().access_key_id, SECRET);
    shows_no_secret(&said);
    insta::assert_snapshot!(said.all(), @r"
    exit 2
    -- stdout
    -- stderr
    error: cannot list `s3://inbox/hive/parquet/`: SignatureDoesNotMatch (403): The request signature we calculated does not match the signature you provided. Check your key and signing method.
    hint: the credentials are not this server's: check `profile`, and `endpoint_url` if it is not AWS's
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
    let said = with("AKIDNOBODY", SECRET);
    shows_no_secret(&said);
    insta::assert_snapshot!(said.stderr, @r"
    error: cannot list `s3://inbox/hive/parquet/`: InvalidAccessKeyId (403): The AWS Access Key Id you provided does not exist in our records.
    hint: the credentials are not this server's: check `profile`, and `endpoint_url` if it is not AWS's
    hint: `kennel run` and `kennel sql` still answer from the cache
    ");
}

#[cfg(unix)]
#[test]
fn no_secret_is_shown_however_much_is_told() {
    let s3 = with_secrets();
    credential_process(&s3);
    for format in ["text", "json"] {
        let said = s3
            .home
            .kennel(["sync", "--full", "-vvv", "--log-format", format]);
        assert!(said.stderr.contains("DEBUG"), "{}", said.stderr);
        shows_no_secret(&said.ends_with(0));
    }
    shows_no_secret(&s3.home.kennel(["status", "--settings"]).ends_with(0));
    fs::remove_file(s3.home.root().join(".aws/config")).unwrap();
    shared_file(&s3);
    s3.bucket.put(
        &s3.key("pas", "123456789012"),
        "PAR1 is all that it has of Parquet".as_bytes().to_vec(),
    );
    let said = s3.home.kennel(["sync", "-vvv"]).ends_with(3);
    shows_no_secret(&said);
    // Refused requests are logged, too.
    s3.server.rotate_credentials("AKIDOTHER", "other", None);
    let said = s3.home.kennel(["sync", "-vvv"]).ends_with(2);
    assert!(said.stderr.contains("ExpiredToken"), "{}", said.stderr);
    shows_no_secret(&said);
}

#[cfg(unix)]
#[test]
fn credentials_that_run_out_in_the_middle_of_a_sync_are_renewed_and_it_goes_on() {
    let s3 = with_secrets();
    credential_process(&s3);
    s3.server.set_latency(Duration::from_millis(100));
    let mut command = s3.home.command();
    let child = command
        .args(["sync", "--concurrency", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bound = Duration::from_secs(120);
    assert!(
        s3.server.wait_until(|counts| counts.get >= 3, bound),
        "no download began"
    );
    // First the program, then the server: whoever asks from now on gets the new ones.
    aws_file(
        &s3,
        "now.json",
        &printed("AKIDNEXT", "next-secret", "next-token"),
    );
    s3.server
        .rotate_credentials("AKIDNEXT", "next-secret", Some("next-token"));
    let said = s3.home.said(child.wait_with_output().unwrap()).ends_with(0);
    assert!(said.stderr.contains(" 0 failed"), "{}", said.stderr);
    let expired = s3.server.requests();
    let expired = expired.iter().filter(|r| r.status == Some(400)).count();
    assert!(expired >= 1, "the old ones were never refused");
    s3.assert_mirrored();
}

#[test]
fn credentials_that_run_out_and_cannot_be_renewed_stop_it_and_the_next_sync_goes_on() {
    let s3 = with_secrets();
    shared_file(&s3);
    s3.server.set_latency(Duration::from_millis(100));
    let mut command = s3.home.command();
    let child = command
        .args(["sync", "--concurrency", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bound = Duration::from_secs(120);
    assert!(
        s3.server.wait_until(|counts| counts.get >= 3, bound),
        "no download began"
    );
    s3.server
        .rotate_credentials("AKIDNEXT", "next-secret", None);
    let said = s3.home.said(child.wait_with_output().unwrap()).ends_with(3);
    assert!(said.stderr.contains("stopped early: "), "{}", said.stderr);
    assert!(s3.server.counts().get < 8, "went on without credentials");
    let status = s3.home.kennel(["status"]).ends_with(0).stdout;
    assert!(status.contains("failed: "), "{status}");
    s3.home.kennel(["run", "iam-admins"]);

    s3.server.set_latency(Duration::ZERO);
    s3.server.clear_requests();
    aws_file(
        &s3,
        "credentials",
        "[audit]\naws_access_key_id = AKIDNEXT\naws_secret_access_key = next-secret\n",
    );
    s3.home.kennel(["sync", "-q"]).ends_with(0);
    assert!(
        (s3.server.counts().get as usize) < s3.report_count(),
        "began again from nothing"
    );
    s3.assert_mirrored();
}
