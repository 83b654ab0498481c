//! Signature Version 4, written from its public description and from nothing else, so that a mistake in a client's
//! signing cannot agree with itself.

use super::answer::ErrorAnswer;
use super::request::{Call, header};
use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
pub(super) const UNRESERVED_AND_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');
const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// What a client signs with.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: Option<String>,
}

/// The keys that a server knows.
#[derive(Default)]
pub(super) struct Keyring {
    pub(super) current: Credentials,
    pub(super) expired: Vec<Credentials>,
}

/// The `Authorization` header, taken apart.
struct Authorization {
    access_key_id: String,
    date: String,
    region: String,
    signed_headers: Vec<String>,
    signature: String,
}

/// Checks the signature of a request and returns the region that it was signed for.
pub(super) fn verify(
    call: &Call,
    keyring: &Keyring,
    regions: &[&str],
    now: DateTime<Utc>,
) -> Result<String, ErrorAnswer> {
    let Some(raw) = call.header("authorization") else {
        return Err(ErrorAnswer::access_denied());
    };
    let authorization = parse_authorization(&raw)?;
    if !regions.contains(&authorization.region.as_str()) {
        let (wrong, right) = (&authorization.region, regions[0]);
        let message = format!(
            "The authorization header is malformed; the region '{wrong}' is wrong; expecting '{right}'"
        );
        return Err(malformed(&message)
            .detail("Region", right)
            .header("x-amz-bucket-region", right));
    }
    let credentials = find_credentials(&authorization.access_key_id, call, keyring)?;
    let signed_at = check_date(call, &authorization, now)?;
    check_headers(&call.headers, &authorization.signed_headers)?;
    let payload = check_payload(call)?;
    let canonical = canonical_request(call, &authorization.signed_headers, &payload);
    let (date, region) = (&authorization.date, &authorization.region);
    let text = string_to_sign(&signed_at, date, region, &canonical);
    let expected = sign(&credentials.secret_access_key, date, region, &text);
    if expected != authorization.signature {
        let message = "The request signature we calculated does not match the signature you \
                       provided. Check your key and signing method.";
        return Err(ErrorAnswer::new(403, "SignatureDoesNotMatch", message)
            .detail("AWSAccessKeyId", &authorization.access_key_id)
            .detail("StringToSign", &text)
            .detail("SignatureProvided", &authorization.signature)
            .detail("CanonicalRequest", &canonical));
    }
    Ok(authorization.region)
}

fn malformed(message: &str) -> ErrorAnswer {
    ErrorAnswer::new(400, "AuthorizationHeaderMalformed", message)
}

fn parse_authorization(raw: &str) -> Result<Authorization, ErrorAnswer> {
    let broken = || malformed("The authorization header is malformed.");
    let fields = raw.strip_prefix(ALGORITHM).ok_or_else(broken)?;
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or_else(broken)
    };
    // An access key id has no slash, so the scope can be split from the left.
    let scope: Vec<&str> = field("Credential")?.split('/').collect();
    let [access_key_id, date, region, "s3", "aws4_request"] = scope[..] else {
        return Err(broken());
    };
    Ok(Authorization {
        access_key_id: access_key_id.to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        signed_headers: field("SignedHeaders")?
            .split(';')
            .map(str::to_owned)
            .collect(),
        signature: field("Signature")?.to_owned(),
    })
}

fn find_credentials<'a>(
    access_key_id: &str,
    call: &Call,
    keyring: &'a Keyring,
) -> Result<&'a Credentials, ErrorAnswer> {
    let token = call.header("x-amz-security-token");
    let matches = |known: &Credentials| known.access_key_id == access_key_id;
    if matches(&keyring.current) && keyring.current.session_token == token {
        return Ok(&keyring.current);
    }
    if keyring
        .expired
        .iter()
        .any(|known| matches(known) && known.session_token == token)
    {
        return Err(ErrorAnswer::expired_token());
    }
    if matches(&keyring.current) && token.is_some() {
        let message = "The provided token is malformed or otherwise invalid.";
        return Err(ErrorAnswer::new(400, "InvalidToken", message));
    }
    let message = "The AWS Access Key Id you provided does not exist in our records.";
    Err(ErrorAnswer::new(403, "InvalidAccessKeyId", message)
        .detail("AWSAccessKeyId", access_key_id))
}

/// Returns the time of signing as the request writes it.
fn check_date(
    call: &Call,
    authorization: &Authorization,
    now: DateTime<Utc>,
) -> Result<String, ErrorAnswer> {
    let missing = "AWS authentication requires a valid Date or x-amz-date header";
    let missing = || ErrorAnswer::new(403, "AccessDenied", missing);
    let text = call.header("x-amz-date").ok_or_else(missing)?;
    let signed_at = NaiveDateTime::parse_from_str(&text, "%Y%m%dT%H%M%SZ")
        .map_err(|_| missing())?
        .and_utc();
    if !text.starts_with(&authorization.date) {
        return Err(malformed(
            "The authorization header is malformed; Invalid credential date.",
        ));
    }
    if (now - signed_at).num_seconds().abs() > MAX_SKEW_SECONDS {
        let message = "The difference between the request time and the current time is too large.";
        return Err(ErrorAnswer::new(403, "RequestTimeTooSkewed", message)
            .detail("RequestTime", &text)
            .detail("ServerTime", &now.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            .detail(
                "MaxAllowedSkewMilliseconds",
                &(MAX_SKEW_SECONDS * 1000).to_string(),
            ));
    }
    Ok(text)
}

fn check_headers(headers: &HeaderMap, signed: &[String]) -> Result<(), ErrorAnswer> {
    let unsigned: Vec<&str> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| *name == "host" || name.starts_with("x-amz-"))
        .filter(|name| !signed.iter().any(|known| known == name))
        .collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    let message = "There were headers present in the request which were not signed";
    Err(ErrorAnswer::new(403, "AccessDenied", message)
        .detail("HeadersNotSigned", &unsigned.join(", ")))
}

fn check_payload(call: &Call) -> Result<String, ErrorAnswer> {
    let Some(payload) = call.header("x-amz-content-sha256") else {
        let message = "Missing required header for this request: x-amz-content-sha256";
        return Err(ErrorAnswer::new(400, "InvalidRequest", message));
    };
    if payload != "UNSIGNED-PAYLOAD" && payload != call.body_sha256 {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(ErrorAnswer::new(400, "XAmzContentSHA256Mismatch", message));
    }
    Ok(payload)
}

fn canonical_request(call: &Call, signed_headers: &[String], payload: &str) -> String {
    let path = percent_decode_str(&call.raw_path).collect::<Vec<u8>>();
    let path = percent_encoding::percent_encode(&path, UNRESERVED_AND_SLASH);
    let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut query: Vec<(String, String)> = call
        .query
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    query.sort();
    let query: Vec<String> = query
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut canonical = format!("{}\n{path}\n{}\n", call.method, query.join("&"));
    for name in signed_headers {
        let value = header(&call.headers, name).unwrap_or_default();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{}\n{payload}", signed_headers.join(";")));
    canonical
}

fn string_to_sign(signed_at: &str, date: &str, region: &str, canonical: &str) -> String {
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    format!("{ALGORITHM}\n{signed_at}\n{date}/{region}/s3/aws4_request\n{hash}")
}

fn sign(secret: &str, date: &str, region: &str, text: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, "s3", "aws4_request"] {
        key = hmac(&key, part);
    }
    hex::encode(hmac(&key, text))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The `Authorization` header of a request, for the client beside this server; all headers present are signed.
pub(super) fn authorize(call: &Call, credentials: &Credentials, region: &str) -> String {
    let signed_at = call.header("x-amz-date").expect("the test sets x-amz-date");
    let payload = call
        .header("x-amz-content-sha256")
        .expect("who signs sets x-amz-content-sha256");
    let mut names: Vec<String> = call
        .headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .collect();
    names.sort();
    let canonical = canonical_request(call, &names, &payload);
    let date = &signed_at[..8];
    let text = string_to_sign(&signed_at, date, region, &canonical);
    let signature = sign(&credentials.secret_access_key, date, region, &text);
    format!(
        "{ALGORITHM} Credential={}/{date}/{region}/s3/aws4_request,SignedHeaders={},Signature={signature}",
        credentials.access_key_id,
        names.join(";"),
    )
}
