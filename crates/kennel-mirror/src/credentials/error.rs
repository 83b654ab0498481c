//! Why there are no credentials.

use std::path::PathBuf;

/// Why there are no credentials. Never holds one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Nothing is configured.
    #[error("no AWS credentials found in {tried}")]
    None {
        /// Where was looked: "environment, profile `default`, instance metadata".
        tried: String,
    },
    /// The profile is in neither file.
    #[error("profile `{profile}` is not in the AWS config files")]
    UnknownProfile {
        /// The name.
        profile: String,
    },
    /// The AWS config files cannot be read.
    #[error("cannot read the AWS config files: {message}")]
    Config {
        /// What is wrong with them.
        message: String,
    },
    /// They were good once, or the sign-in they come from was.
    #[error("the credentials from {described} have expired{}", with(message))]
    Expired {
        /// Where they are from.
        described: String,
        /// What was said; may be empty.
        message: String,
        /// The profile, when they are from one.
        profile: Option<String>,
        /// The profile that `aws sso login` takes, when that helps.
        sso_profile: Option<String>,
    },
    /// The profile asks for something only the AWS CLI does, and it is not installed.
    #[error("profile `{profile}` has `{setting}`, which needs the AWS CLI version 2")]
    NeedsCli {
        /// The profile.
        profile: String,
        /// "mfa_serial", "login_session".
        setting: &'static str,
    },
    /// A place that should give credentials did not.
    #[error("cannot get credentials from {described}: {message}")]
    Failed {
        /// The place.
        described: String,
        /// What it said.
        message: String,
        /// The profile, when it is one.
        profile: Option<String>,
        /// The profile that `aws sso login` takes, when it is signed in to that way.
        sso_profile: Option<String>,
    },
    /// The role cannot be assumed.
    #[error("cannot assume role `{role_arn}` with the credentials from {described}: {message}")]
    Role {
        /// The role.
        role_arn: String,
        /// Where the credentials are from that asked.
        described: String,
        /// What STS said.
        message: String,
    },
    /// The certificates cannot be read.
    #[error("cannot read the certificates in `{}`", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file of certificates holds none.
    #[error("no certificate in `{}`", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

impl CredentialsError {
    /// The profile for `aws sso login --profile`, when that may help.
    pub fn sso_profile(&self) -> Option<&str> {
        match self {
            Self::Expired { sso_profile, .. } | Self::Failed { sso_profile, .. } => {
                sso_profile.as_deref()
            }
            _ => None,
        }
    }
}

fn with(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
