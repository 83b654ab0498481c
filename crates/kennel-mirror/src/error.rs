//! What can go wrong with a source. Facts only; hints are the front door's.

use std::path::PathBuf;

use kennel_cache::CacheError;

use crate::credentials::CredentialsError;

/// An error of a source as a whole, or of a request to it. Never holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// A text is no source.
    #[error("`{text}` is not {expected}")]
    Url {
        /// The text.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Connections are switched off.
    #[error("offline: no connection to `{place}` is opened")]
    Offline {
        /// The source.
        place: String,
    },
    /// No credentials, or none that work.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The HTTP client could not be made.
    #[error("cannot prepare connections to `{place}`: {message}")]
    Client {
        /// The endpoint.
        place: String,
        /// What happened.
        message: String,
    },
    /// The server answered with an error.
    #[error("{action} `{place}`: {code} ({status}){}", detail(message))]
    Answer {
        /// What was asked: "cannot list", "cannot fetch".
        action: &'static str,
        /// Bucket and prefix or key.
        place: String,
        /// HTTP status.
        status: u16,
        /// S3's code: `AccessDenied`.
        code: String,
        /// S3's message.
        message: String,
    },
    /// The server could not be reached, or the connection broke, and trying again did not help.
    #[error("{action} `{place}` after {attempts} attempts: {message}")]
    Unreachable {
        /// What was asked.
        action: &'static str,
        /// Bucket and prefix or key.
        place: String,
        /// Attempts made.
        attempts: u32,
        /// The last error.
        message: String,
    },
    /// The server answered a listing with something that is none.
    #[error("the answer to listing `{place}` is not believed: {what}")]
    Listing {
        /// Bucket and prefix.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// This machine's clock differs from the server's by more than signatures allow.
    #[error(
        "the clock of this machine differs from the server's by {seconds} s: requests are refused"
    )]
    Clock {
        /// Seconds ahead (positive) or behind.
        seconds: i64,
    },
    /// A folder or file of a `file://` source could not be read.
    #[error("cannot read `{}`", path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The cache could not be read or written.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

impl MirrorError {
    /// S3's code, when the server answered with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether going on with other objects is pointless.
    pub(crate) fn ends_the_sync(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::Clock { .. } => true,
            Self::Cache(error) => error.is_disk_full() || error.is_read_only(),
            Self::Answer { code, .. } => matches!(
                code.as_str(),
                "ExpiredToken"
                    | "ExpiredTokenException"
                    | "TokenRefreshRequired"
                    | "InvalidAccessKeyId"
                    | "SignatureDoesNotMatch"
                    | "NoSuchBucket"
            ),
            _ => false,
        }
    }
}
