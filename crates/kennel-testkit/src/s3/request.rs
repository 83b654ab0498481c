//! What a request asks for: bucket, key, query and operation, read from the raw path and the Host header.

use super::answer::ErrorAnswer;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

/// What a client may ask of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `ListObjectsV2`, or the older `ListObjects`.
    List,
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
    /// `HeadBucket`.
    HeadBucket,
    /// `GetBucketLocation`.
    Location,
    /// Anything else; answered with 501.
    Other,
}

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The path as sent, still percent-encoded.
    pub(super) raw_path: String,
    /// Decoded names and values, in the order sent.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) bucket: String,
    pub(super) key: Option<String>,
    pub(super) body_sha256: String,
}

impl Call {
    /// Reads bucket and key; `domain` is the suffix of virtual-host style, without a leading dot.
    pub(super) fn parse(
        parts: &http::request::Parts,
        body_sha256: String,
        domain: Option<&str>,
    ) -> Result<Self, ErrorAnswer> {
        let raw_path = parts.uri.path().to_owned();
        let query = parse_query(parts.uri.query().unwrap_or_default())?;
        let host = header(&parts.headers, "host").unwrap_or_default();
        let host_name = host
            .rsplit_once(':')
            .map_or(host.as_str(), |(name, _)| name);
        let virtual_bucket = domain
            .and_then(|domain| host_name.strip_suffix(domain))
            .and_then(|rest| rest.strip_suffix('.'))
            .filter(|bucket| !bucket.is_empty());
        let path = raw_path.strip_prefix('/').unwrap_or(&raw_path);
        let (bucket, raw_key) = match virtual_bucket {
            Some(bucket) => (bucket.to_owned(), path),
            None => match path.split_once('/') {
                Some((bucket, key)) => (decode(bucket)?, key),
                None => (decode(path)?, ""),
            },
        };
        let key = if raw_key.is_empty() {
            None
        } else {
            Some(decode(raw_key)?)
        };
        let (method, headers) = (parts.method.clone(), parts.headers.clone());
        Ok(Self {
            method,
            raw_path,
            query,
            headers,
            bucket,
            key,
            body_sha256,
        })
    }

    pub(super) fn operation(&self) -> Operation {
        match (&self.method, &self.key) {
            (&Method::GET, Some(_)) if self.is_object_query() => Operation::Get,
            (&Method::HEAD, Some(_)) if self.is_object_query() => Operation::Head,
            (&Method::HEAD, None) => Operation::HeadBucket,
            (&Method::GET, None) if self.query("location").is_some() => Operation::Location,
            (&Method::GET, None) if !self.bucket.is_empty() && self.is_list_query() => {
                Operation::List
            }
            _ => Operation::Other,
        }
    }

    fn is_object_query(&self) -> bool {
        let known = ["partNumber", "versionId", "x-id"];
        self.query
            .iter()
            .all(|(name, _)| known.contains(&name.as_str()))
    }

    fn is_list_query(&self) -> bool {
        let known = [
            "continuation-token",
            "delimiter",
            "encoding-type",
            "fetch-owner",
            "list-type",
            "marker",
            "max-keys",
            "prefix",
            "start-after",
            "x-id",
        ];
        self.query
            .iter()
            .all(|(name, _)| known.contains(&name.as_str()))
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        header(&self.headers, name)
    }
}

/// The values of a header, joined with commas.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn parse_query(raw: &str) -> Result<Vec<(String, String)>, ErrorAnswer> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // S3 reads a plus sign in a query as a space; a client that means a plus sends %2B.
            Ok((
                decode(&name.replace('+', " "))?,
                decode(&value.replace('+', " "))?,
            ))
        })
        .collect()
}

fn decode(raw: &str) -> Result<String, ErrorAnswer> {
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(ErrorAnswer::new(
            400,
            "InvalidURI",
            "Couldn't parse the specified URI.",
        )),
    }
}
