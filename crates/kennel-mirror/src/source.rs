//! Where a source lies, and how to talk to it.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use kennel_cache::SourceName;

use crate::MirrorError;

/// The place of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceUrl {
    /// A bucket, or a part of it.
    S3 {
        /// The bucket.
        bucket: String,
        /// What keys begin with; no slash at either end, may be empty.
        prefix: String,
    },
    /// A folder that is laid out like a bucket.
    File {
        /// The folder; absolute.
        root: PathBuf,
    },
}

impl FromStr for SourceUrl {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |expected| MirrorError::Url {
            text: text.into(),
            expected,
        };
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let is_name = (3..=63).contains(&bucket.len())
                && bucket
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            if !is_name {
                return Err(wrong("s3:// and a bucket name"));
            }
            return Ok(Self::S3 {
                bucket: bucket.into(),
                prefix: prefix.trim_matches('/').into(),
            });
        }
        if let Some(path) = text.strip_prefix("file://") {
            let root = PathBuf::from(path);
            return if root.is_absolute() {
                Ok(Self::File { root })
            } else {
                Err(wrong("file:// and an absolute path"))
            };
        }
        Err(wrong("s3://bucket/prefix or file:///folder"))
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::File { root } => write!(f, "file://{}", root.display()),
        }
    }
}

/// A configured source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// Its name.
    pub name: SourceName,
    /// Its place.
    pub url: SourceUrl,
    /// Region; found by itself when absent.
    pub region: Option<String>,
    /// Profile of the AWS configuration.
    pub profile: Option<String>,
    /// Role to assume with the credentials found.
    pub role_arn: Option<String>,
    /// External id for that role.
    pub external_id: Option<String>,
    /// Another S3 than AWS's.
    pub endpoint_url: Option<String>,
    /// Whether the caller pays for requests.
    pub request_payer: bool,
    /// PEM file with further certificate authorities.
    pub ca_bundle: Option<PathBuf>,
    /// Bucket in the path rather than in the host; decided by endpoint and name when absent.
    pub path_style: Option<bool>,
}

/// When to try again, and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts for a request or object, the first included.
    pub max_attempts: u32,
    /// Pause before the second attempt; doubles with each, with jitter.
    pub backoff_initial: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Longest silence within an answer.
    pub read_timeout: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            backoff_initial: Duration::from_millis(100),
            backoff_max: Duration::from_secs(15),
            read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// How to mirror.
#[derive(Debug, Clone, Copy)]
pub struct MirrorSettings {
    /// Downloads at a time.
    pub concurrency: usize,
    /// Bytes per second over all downloads.
    pub bandwidth_limit: Option<u64>,
    /// When to try again.
    pub retry: RetrySettings,
    /// No connection may be opened.
    pub offline: bool,
    /// The clock.
    pub now: fn() -> DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_back_what_they_print() {
        for text in [
            "s3://safeco-k9-reports",
            "s3://b.c/some/prefix",
            "file:///srv/inbox",
        ] {
            assert_eq!(text.parse::<SourceUrl>().unwrap().to_string(), text);
        }
        assert_eq!(
            "s3://abc//x/".parse::<SourceUrl>().unwrap().to_string(),
            "s3://abc/x"
        );
        for text in [
            "",
            "s3://",
            "s3://a",
            "s3://a b/c",
            "file://relative",
            "https://bucket",
            "/srv/inbox",
            "s3://<BUCKET>/x",
        ] {
            assert!(text.parse::<SourceUrl>().is_err(), "{text}");
        }
    }
}
