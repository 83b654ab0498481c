//! Credentials from every place, without the real environment.

use std::{collections::HashMap, time::Instant};

use chrono::{DateTime, Utc};

use super::{providers::METADATA_LIMIT, *};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";

/// A home folder with files of AWS in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        Self(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn surroundings(&self, more: &[(&str, &str)]) -> Surroundings {
        let mut variables: HashMap<String, String> = more
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        variables.insert("HOME".into(), self.0.path().to_str().unwrap().into());
        variables
            .entry("AWS_EC2_METADATA_DISABLED".into())
            .or_insert_with(|| "true".into());
        Surroundings(variables)
    }

    async fn resolve(
        &self,
        identity: &Identity,
        more: &[(&str, &str)],
    ) -> Result<Resolved, CredentialsError> {
        Box::pin(resolve_in(self.surroundings(more), identity)).await
    }
}

fn printed(key: &str, expiration: Option<DateTime<Utc>>) -> String {
    let mut json = serde_json::json!({
        "Version": 1, "AccessKeyId": key, "SecretAccessKey": SECRET, "SessionToken": TOKEN
    });
    if let Some(expiration) = expiration {
        json["Expiration"] = expiration.to_rfc3339().into();
    }
    json.to_string()
}

fn soon(milliseconds: u64) -> DateTime<Utc> {
    DateTime::from(now() + Duration::from_millis(milliseconds))
}

fn named(profile: &str) -> Identity {
    Identity {
        profile: Some(profile.into()),
        ..Identity::default()
    }
}

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_SESSION_TOKEN", TOKEN),
];

#[tokio::test]
async fn keys_in_the_environment() {
    let home = Home::new("");
    let resolved = home.resolve(&Identity::default(), &KEYS).await.unwrap();
    let credential = resolved.credentials.current().await.unwrap();
    assert_eq!(credential.key_id, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(credential.secret_key, SECRET);
    assert_eq!(credential.token.as_deref(), Some(TOKEN));
    assert_eq!(resolved.described, "environment");
    assert_eq!(resolved.region, None);
    assert_eq!(resolved.endpoint_url, None);
    assert_eq!(resolved.credentials.kept.lock().await.renew_at, None);
}

#[tokio::test]
async fn half_a_pair_is_an_error() {
    let error = Home::new("")
        .resolve(&Identity::default(), &KEYS[1..])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot get credentials from environment: AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"
    );
}

#[tokio::test]
async fn a_named_profile_goes_before_the_environment() {
    let home = Home::new(
        "[profile audit]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = abc\nregion = eu-west-1\n",
    );
    let resolved = home.resolve(&named("audit"), &KEYS).await.unwrap();
    assert_eq!(
        resolved.credentials.current().await.unwrap().key_id,
        "AKIAI44QH8DHBEXAMPLE"
    );
    assert_eq!(resolved.described, "profile `audit`");
    assert_eq!(resolved.region.as_deref(), Some("eu-west-1"));
    // AWS_PROFILE does not: as the AWS CLI has it.
    let mut variables = KEYS.to_vec();
    variables.push(("AWS_PROFILE", "audit"));
    let resolved = home
        .resolve(&Identity::default(), &variables)
        .await
        .unwrap();
    assert_eq!(resolved.described, "environment");
    assert_eq!(resolved.region.as_deref(), Some("eu-west-1"));
    variables.drain(..3);
    let resolved = home
        .resolve(&Identity::default(), &variables)
        .await
        .unwrap();
    assert_eq!(resolved.described, "profile `audit`");
}

#[tokio::test]
async fn a_process_is_asked_again_before_its_credentials_expire() {
    let home = Home::new("");
    let (answer, calls) = (home.path("answer"), home.path("calls"));
    std::fs::write(&answer, printed("ASIAFIRST", Some(soon(2000)))).unwrap();
    let script = home.script(
        "give",
        &format!(
            "echo call >> '{}'\ncat '{}'",
            calls.display(),
            answer.display()
        ),
    );
    std::fs::write(
        home.path(".aws/config"),
        format!("[default]\ncredential_process = {}\n", script.display()),
    )
    .unwrap();
    let count = || std::fs::read_to_string(&calls).unwrap().lines().count();

    let resolved = home.resolve(&Identity::default(), &[]).await.unwrap();
    let credentials = &resolved.credentials;
    assert_eq!(credentials.current().await.unwrap().key_id, "ASIAFIRST");
    assert_eq!(count(), 1);
    std::fs::write(&answer, printed("ASIASECOND", Some(soon(3_600_000)))).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (one, other) = tokio::join!(credentials.current(), credentials.current());
    assert_eq!(one.unwrap().key_id, "ASIASECOND");
    assert_eq!(other.unwrap().key_id, "ASIASECOND");
    assert_eq!(count(), 2);

    std::fs::write(&answer, printed("ASIATHIRD", Some(soon(3_600_000)))).unwrap();
    let refused = credentials.current().await.unwrap();
    let (one, other) = tokio::join!(credentials.refresh(&refused), credentials.refresh(&refused));
    let one = one.unwrap().unwrap();
    assert_eq!(one.key_id, "ASIATHIRD");
    assert_eq!(other.unwrap().unwrap().key_id, "ASIATHIRD");
    assert_eq!(count(), 3);
    let error = credentials.refresh(&one).await.unwrap_err();
    assert!(
        matches!(
            error,
            CredentialsError::Expired {
                profile: Some(_),
                sso_profile: None,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_that_still_hold_outlive_a_failed_renewal() {
    let home = Home::new("");
    let answer = home.path("answer");
    let script = home.script("give", &format!("cat '{}'", answer.display()));
    std::fs::write(
        home.path(".aws/config"),
        format!("[default]\ncredential_process = {}\n", script.display()),
    )
    .unwrap();
    std::fs::write(&answer, printed("ASIAFIRST", Some(soon(3_600_000)))).unwrap();
    let resolved = home.resolve(&Identity::default(), &[]).await.unwrap();
    std::fs::remove_file(&answer).unwrap();
    resolved.credentials.kept.lock().await.renew_at = Some(now());
    assert_eq!(
        resolved.credentials.current().await.unwrap().key_id,
        "ASIAFIRST"
    );
    let current = resolved.credentials.current().await.unwrap();
    let error = resolved.credentials.refresh(&current).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot get credentials from profile `default`: "),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_that_come_expired_are_an_error() {
    let home = Home::new("");
    let script = home.script(
        "give",
        &format!(
            "echo '{}'",
            printed("ASIAOLD", DateTime::from_timestamp(1_700_000_000, 0))
        ),
    );
    std::fs::write(
        home.path(".aws/config"),
        format!("[default]\ncredential_process = {}\n", script.display()),
    )
    .unwrap();
    let error = home.resolve(&Identity::default(), &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the credentials from profile `default` have expired"
    );
}

#[tokio::test]
async fn nothing_is_found_at_once() {
    let began = Instant::now();
    let error = Home::new("")
        .resolve(&Identity::default(), &[])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no AWS credentials found in environment, profile `default`, instance metadata (switched off by AWS_EC2_METADATA_DISABLED)"
    );
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn metadata_that_does_not_answer_is_not_waited_for() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let url = format!("http://{address}");
        let variables = [
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url),
        ];
        let began = Instant::now();
        let error = Home::new("")
            .resolve(&Identity::default(), &variables)
            .await
            .unwrap_err();
        assert!(matches!(error, CredentialsError::None { .. }), "{error}");
        assert!(began.elapsed() < METADATA_LIMIT + Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_profile_that_is_not_there() {
    let error = Home::new("[profile audit]\nregion = eu-west-1\n")
        .resolve(&named("adit"), &KEYS)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "profile `adit` is not in the AWS config files"
    );
}

#[tokio::test]
async fn a_missing_sign_in_names_its_profile() {
    let home = Home::new(
        "[profile audit]\nrole_arn = arn:aws:iam::111122223333:role/Audit\nsource_profile = staff\n\
         [profile staff]\nsso_session = kennel-test-of-nobody\nsso_account_id = 123456789012\nsso_role_name = View\n\
         [sso-session kennel-test-of-nobody]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n",
    );
    let error = home.resolve(&named("audit"), &[]).await.unwrap_err();
    assert!(matches!(error, CredentialsError::Expired { .. }), "{error}");
    assert_eq!(error.sso_profile(), Some("staff"));
}

#[tokio::test]
async fn mfa_is_left_to_the_cli() {
    let home = Home::new(
        "[profile audit]\nrole_arn = arn:aws:iam::111122223333:role/Audit\nsource_profile = staff\n\
         mfa_serial = arn:aws:iam::123456789012:mfa/ann\n\
         [profile staff]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = abc\n",
    );
    let error = home.resolve(&named("audit"), &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "profile `audit` has `mfa_serial`, which needs the AWS CLI version 2"
    );

    let answer = printed("ASIAMFA", Some(soon(3_600_000)));
    let script = format!(
        "[ \"$*\" = 'configure export-credentials --format process --profile audit' ] && echo '{answer}'"
    );
    let aws = home.script("bin/aws", &script);
    let path = [("PATH", aws.parent().unwrap().to_str().unwrap())];
    let resolved = home.resolve(&named("audit"), &path).await.unwrap();
    assert_eq!(
        resolved.credentials.current().await.unwrap().key_id,
        "ASIAMFA"
    );
    assert!(resolved.credentials.kept.lock().await.renew_at.is_some());

    home.script(
        "bin/aws",
        &format!("echo 'Found invalid choice' >&2\necho '{SECRET}'\nexit 252"),
    );
    let error = home.resolve(&named("audit"), &path).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot get credentials from profile `audit`: the AWS CLI says: Found invalid choice"
    );
    home.script(
        "bin/aws",
        &format!("echo '{{\"AccessKeyId\": 1, \"SecretAccessKey\": \"{SECRET}\"}}'"),
    );
    let error = home.resolve(&named("audit"), &path).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot get credentials from profile `audit`: the AWS CLI printed no credentials"
    );
}

#[tokio::test]
async fn the_endpoint_and_the_region_in_order() {
    let home = Home::new(
        "[default]\nregion = eu-west-1\nservices = local\nendpoint_url = https://all.example.com\n\
         [services local]\ns3 =\n  endpoint_url = https://s3.example.com\n",
    );
    let mut identity = Identity::default();
    let mut variables = KEYS.to_vec();
    let mut expected = vec![("https://s3.example.com", "eu-west-1")];
    for (name, value, url, region) in [
        (
            "AWS_DEFAULT_REGION",
            "eu-west-2",
            "https://s3.example.com",
            "eu-west-2",
        ),
        (
            "AWS_ENDPOINT_URL",
            "https://env.example.com",
            "https://env.example.com",
            "eu-west-2",
        ),
        (
            "AWS_REGION",
            "eu-west-3",
            "https://env.example.com",
            "eu-west-3",
        ),
        (
            "AWS_ENDPOINT_URL_S3",
            "https://env-s3.example.com",
            "https://env-s3.example.com",
            "eu-west-3",
        ),
    ] {
        let resolved = home.resolve(&identity, &variables).await.unwrap();
        let (before_url, before_region) = expected.pop().unwrap();
        assert_eq!(resolved.endpoint_url.as_deref(), Some(before_url));
        assert_eq!(resolved.region.as_deref(), Some(before_region));
        variables.push((name, value));
        expected.push((url, region));
    }
    identity.endpoint_url = Some("https://own.example.com".into());
    identity.region = Some("us-west-2".into());
    let resolved = home.resolve(&identity, &variables).await.unwrap();
    assert_eq!(
        resolved.endpoint_url.as_deref(),
        Some("https://own.example.com")
    );
    assert_eq!(resolved.region.as_deref(), Some("us-west-2"));
    identity.endpoint_url = None;
    variables.push(("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"));
    assert_eq!(
        home.resolve(&identity, &variables)
            .await
            .unwrap()
            .endpoint_url,
        None
    );
}

#[tokio::test]
async fn certificates_that_are_none() {
    let home = Home::new("");
    let identity = Identity {
        ca_bundle: Some(home.path("none.pem")),
        ..Identity::default()
    };
    let error = home.resolve(&identity, &KEYS).await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::CaBundle { .. }),
        "{error}"
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(home.path("none.pem"), broken).unwrap();
    let error = home.resolve(&identity, &KEYS).await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::NoCertificate { .. }),
        "{error}"
    );
    let mut variables = KEYS.to_vec();
    let path = home.path("none.pem");
    variables.push(("SSL_CERT_FILE", path.to_str().unwrap()));
    assert_eq!(
        home.resolve(&Identity::default(), &variables)
            .await
            .unwrap()
            .ca_bundle,
        None
    );
}

#[tokio::test]
async fn a_role_is_assumed_on_top() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let home = Home::new(&format!("[default]\nendpoint_url = {url}\n"));
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let granted = answer(
        "200 OK",
        &format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>\
         <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ),
    );
    let refused = answer(
        "403 Forbidden",
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
         <Message>User: arn:aws:iam::123456789012:user/ann is not authorized</Message></Error></ErrorResponse>",
    );
    let serving = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in [granted, refused] {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("ExternalId=") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked.push(String::from_utf8(request).unwrap());
        }
        asked
    });
    let identity = Identity {
        role_arn: Some("arn:aws:iam::111122223333:role/Audit".into()),
        external_id: Some("k9".into()),
        ..Identity::default()
    };
    let resolved = home.resolve(&identity, &KEYS).await.unwrap();
    assert_eq!(
        resolved.credentials.current().await.unwrap().key_id,
        "ASIAROLE"
    );
    assert_eq!(
        resolved.described,
        "role `arn:aws:iam::111122223333:role/Audit`, environment"
    );
    let error = home.resolve(&identity, &KEYS).await.unwrap_err();
    assert!(matches!(error, CredentialsError::Role { .. }), "{error}");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert!(
        error.to_string().contains("user/ann is not authorized"),
        "{error}"
    );
    let asked = serving.await.unwrap();
    assert!(
        asked[0].contains("RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2FAudit"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("ExternalId=k9"), "{}", asked[0]);
}

#[tokio::test]
async fn keys_that_were_handed_in_are_never_renewed() {
    let keys = Keys {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: SECRET.into(),
        session_token: Some(TOKEN.into()),
    };
    let shown = format!("{keys:?}");
    assert!(
        shown.contains("AKIAIOSFODNN7EXAMPLE") && !shown.contains(SECRET) && !shown.contains(TOKEN)
    );
    let credentials = Credentials::fixed(keys);
    let credential = credentials.current().await.unwrap();
    assert_eq!(credential.secret_key, SECRET);
    assert_eq!(credentials.refresh(&credential).await.unwrap(), None);
}

#[tokio::test]
async fn no_secret_is_shown() {
    let home = Home::new("");
    let resolved = home.resolve(&Identity::default(), &KEYS).await.unwrap();
    let credential = resolved.credentials.current().await.unwrap();
    let error = resolved.credentials.refresh(&credential).await.unwrap_err();
    assert!(matches!(error, CredentialsError::Expired { .. }), "{error}");
    let shown = format!(
        "{resolved:?} {:?} {credential:?} {error} {error:?} {}",
        resolved.credentials, resolved.described
    );
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
    assert!(shown.contains("[redacted]"));
}
