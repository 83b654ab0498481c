//! What an answer that is no success says: S3's code, its message, and what to do about it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode, header};

/// An S3 error: its status, code and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The region that the answer names.
    pub(crate) region: Option<String>,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The server's clock, as the error document has it, or else the `Date` header (a proxy may have set it).
    pub(crate) server_time: Option<DateTime<Utc>>,
}

impl Refusal {
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let location = header("location").and_then(region_of_host);
        Self {
            status: status.as_u16(),
            code: element(&text, "Code").unwrap_or_else(|| default_code(status).into()),
            message: element(&text, "Message").unwrap_or_default(),
            region: header("x-amz-bucket-region")
                .map(str::to_owned)
                .or_else(|| element(&text, "Region"))
                .or(location)
                .filter(|region| is_region(region)),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            server_time: element(&text, "ServerTime")
                .and_then(|time| DateTime::parse_from_rfc3339(&time).ok())
                .or_else(|| DateTime::parse_from_rfc2822(header(header::DATE.as_str())?).ok())
                .map(|time| time.to_utc()),
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        let passing = [
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
        ];
        matches!(self.status, 408 | 429 | 500 | 502..=599)
            || passing.contains(&self.code.as_str())
            || self.is_throttling()
    }

    /// Whether the server asks for fewer requests.
    pub(crate) fn is_throttling(&self) -> bool {
        let codes = [
            "BandwidthLimitExceeded",
            "RequestLimitExceeded",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequests",
        ];
        matches!(self.status, 429 | 503) || codes.contains(&self.code.as_str())
    }

    /// Whether other credentials may help.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired"
        )
    }

    /// The region to ask instead of `asked`.
    pub(crate) fn moved_to(&self, asked: &str) -> Option<&str> {
        let moved = (300..400).contains(&self.status)
            || matches!(
                self.code.as_str(),
                "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException"
            );
        self.region
            .as_deref()
            .filter(|region| moved && *region != asked)
    }
}

/// A region becomes part of a host name: nothing else may get there.
fn is_region(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(is_plain)
}

/// What `s3.eu-west-1.amazonaws.com` and `bucket.s3-eu-west-1.amazonaws.com` say.
fn region_of_host(location: &str) -> Option<String> {
    let host = location.split_once("://")?.1.split('/').next()?;
    let labels = host
        .split_once(".amazonaws.com")?
        .0
        .split('.')
        .collect::<Vec<_>>();
    let last = labels.last()?;
    let region = last.strip_prefix("s3-").or_else(|| {
        labels
            .iter()
            .rev()
            .nth(1)
            .filter(|label| **label == "s3")
            .map(|_| *last)
    })?;
    Some(region.to_owned())
}

fn default_code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        301 | 302 | 307 | 308 => "PermanentRedirect",
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "AccessDenied",
        404 => "NotFound",
        412 => "PreconditionFailed",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "Error",
    }
}

/// The text of the first element of this name: error documents are small and flat.
fn element(text: &str, name: &str) -> Option<String> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = start + text[start..].find(&format!("</{name}>"))?;
    let plain = text[start..end]
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'");
    Some(plain.replace("&amp;", "&"))
}

/// What a body looks like that is not what was asked for.
pub(crate) fn looks_like(body: &[u8]) -> &'static str {
    let head = String::from_utf8_lossy(&body[..body.len().min(400)]).to_ascii_lowercase();
    let head = head.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if body.is_empty() {
        "an empty body"
    } else if head.starts_with("<!doctype html") || head.starts_with("<html") {
        "an HTML page (is a proxy or a sign-in page in between?)"
    } else if head.contains("<error>") || head.contains("<error ") {
        "an error document"
    } else {
        "something else"
    }
}

/// The error document in an answer that claims success.
pub(crate) fn error_in_success(headers: &HeaderMap, body: &[u8]) -> Option<Refusal> {
    (looks_like(body) == "an error document").then(|| Refusal::read(StatusCode::OK, headers, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&'static str, &str)], body: &str) -> Refusal {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Refusal::read(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
    }

    #[test]
    fn an_error_documents_parts_are_read() {
        let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>a &lt;b&gt; &amp; c</Message></Error>";
        let refusal = read(403, &[("retry-after", "7")], body);
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str()),
            ("AccessDenied", "a <b> & c")
        );
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(element("<Code>cut", "Code"), None);
        assert_eq!(read(404, &[], "").code, "NotFound");
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for (status, code, passing, throttling) in [
            (503, "SlowDown", true, true),
            (500, "InternalError", true, false),
            (200, "InternalError", true, false),
            (200, "SlowDown", true, true),
            (400, "RequestTimeout", true, false),
            (429, "x", true, true),
            (501, "NotImplemented", false, false),
            (403, "AccessDenied", false, false),
            (400, "InvalidArgument", false, false),
        ] {
            let refusal = read(status, &[], &format!("<Error><Code>{code}</Code></Error>"));
            assert_eq!(
                (refusal.is_passing(), refusal.is_throttling()),
                (passing, throttling),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn the_other_region_is_found_where_it_stands() {
        let named = read(301, &[("x-amz-bucket-region", "eu-west-1")], "");
        assert_eq!(named.moved_to("us-east-1"), Some("eu-west-1"));
        assert_eq!(named.moved_to("eu-west-1"), None);
        let malformed =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>";
        assert_eq!(
            read(400, &[], malformed).moved_to("us-east-1"),
            Some("eu-west-2")
        );
        for (location, region) in [
            ("https://b.s3-eu-west-3.amazonaws.com/k", Some("eu-west-3")),
            ("https://b.s3.eu-west-3.amazonaws.com/", Some("eu-west-3")),
            ("https://login.example.com/", None),
        ] {
            let refusal = read(307, &[("location", location)], "");
            assert_eq!(refusal.moved_to("us-east-1"), region, "{location}");
        }
        let hostile = read(301, &[("x-amz-bucket-region", "x.example.com/")], "");
        assert_eq!(hostile.moved_to("us-east-1"), None);
        assert_eq!(
            read(403, &[("x-amz-bucket-region", "eu-west-1")], "").moved_to("us-east-1"),
            None
        );
    }
}
