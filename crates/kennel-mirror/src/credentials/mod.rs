//! Who asks: credentials, region, endpoint and certificates, found where the AWS CLI finds them.
//!
//! This module alone reads the environment, `~/.aws` and the clock. Credentials are kept until shortly
//! before they expire; who signs asks for them at each attempt.

mod cli;
mod error;
mod providers;
mod surroundings;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::Region;
use aws_credential_types::Credentials as AwsKeys;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tracing::{debug, warn};

pub use error::CredentialsError;
use providers::{Loaded, Source};
use surroundings::{Surroundings, ca_bundle, endpoint, given, http_client, profiles, sdk_config};

/// Credentials are renewed this long before they expire.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// After a renewal failed and the old credentials still hold, the next attempt waits this long.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// STS is asked here when no region is configured.
const FALLBACK_REGION: &str = "us-east-1";

/// An access key that the caller has by itself.
#[derive(Clone)]
pub struct Keys {
    /// The access key id.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// What a source says about who it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// A profile of `~/.aws`. It goes before keys in the environment.
    pub(crate) profile: Option<String>,
    /// The region, over all others.
    pub(crate) region: Option<String>,
    /// A role to assume with whatever was found.
    pub(crate) role_arn: Option<String>,
    /// What that role asks for.
    pub(crate) external_id: Option<String>,
    /// Certificates (PEM) to trust as well.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The endpoint, over all others.
    pub(crate) endpoint_url: Option<String>,
}

/// What the transport needs to know, found once.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The credentials; they renew themselves.
    pub(crate) credentials: Arc<Credentials>,
    /// The configured region.
    pub(crate) region: Option<String>,
    /// The configured endpoint.
    pub(crate) endpoint_url: Option<String>,
    /// Certificates to trust as well, as PEM. Every one of them can be parsed.
    pub(crate) ca_bundle: Option<Vec<u8>>,
    /// Where the credentials are from, for people: "profile `audit`".
    pub(crate) described: String,
}

/// Credentials that are kept until shortly before they expire.
pub(crate) struct Credentials {
    /// Where they are from; `None` for keys that were handed in.
    source: Option<Source>,
    kept: Mutex<Kept>,
}

struct Kept {
    keys: AwsKeys,
    renew_at: Option<SystemTime>,
}

impl Kept {
    fn new(keys: AwsKeys, now: SystemTime) -> Self {
        // Short-lived credentials are renewed at half of their life, not before each request.
        let renew_at = keys.expiry().map(|expiry| {
            let life = expiry.duration_since(now).unwrap_or_default();
            expiry - RENEW_BEFORE.min(life / 2)
        });
        Self { keys, renew_at }
    }

    fn credential(&self) -> AwsCredential {
        AwsCredential {
            key_id: self.keys.access_key_id().into(),
            secret_key: self.keys.secret_access_key().into(),
            token: self.keys.session_token().map(str::to_owned),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

impl Credentials {
    /// Keys that were handed in: they are never renewed.
    pub(crate) fn fixed(keys: Keys) -> Self {
        let (id, secret) = (keys.access_key_id, keys.secret_access_key);
        let keys = AwsKeys::new(id, secret, keys.session_token, None, "fixed");
        let kept = Kept {
            keys,
            renew_at: None,
        };
        Self {
            source: None,
            kept: Mutex::new(kept),
        }
    }

    fn found(source: Source, loaded: Loaded) -> Self {
        Self {
            source: Some(source),
            kept: Mutex::new(Kept::new(loaded.keys, now())),
        }
    }

    /// What to sign with now. Concurrent callers wait for one renewal.
    pub(crate) async fn current(&self) -> Result<AwsCredential, CredentialsError> {
        let mut kept = self.kept.lock().await;
        let now = now();
        let is_due = kept.renew_at.is_some_and(|at| at <= now);
        let Some(source) = self.source.as_ref().filter(|_| is_due) else {
            return Ok(kept.credential());
        };
        match Box::pin(source.load()).await {
            Ok(loaded) => *kept = Kept::new(loaded.keys, now),
            Err(error) => {
                let holds = |at: SystemTime| now + RENEW_AGAIN < at;
                if !kept.keys.expiry().is_none_or(holds) {
                    return Err(error);
                }
                warn!(%error, "credentials were not renewed, the old ones still hold");
                kept.renew_at = Some(now + RENEW_AGAIN);
            }
        }
        Ok(kept.credential())
    }

    /// Others than those that the server has just called expired; `None` when there are no others to ask for.
    ///
    /// Of callers that come together one asks, and all get its answer. The same credentials again are an
    /// error: the server has just refused them.
    pub(crate) async fn refresh(
        &self,
        refused: &AwsCredential,
    ) -> Result<Option<AwsCredential>, CredentialsError> {
        let Some(source) = &self.source else {
            return Ok(None);
        };
        let mut kept = self.kept.lock().await;
        if kept.credential() != *refused {
            return Ok(Some(kept.credential()));
        }
        let loaded = Box::pin(source.load()).await?;
        if same(&kept.keys, &loaded.keys) {
            return Err(loaded.expired("the server refuses them, and there are no others"));
        }
        *kept = Kept::new(loaded.keys, now());
        Ok(Some(kept.credential()))
    }
}

fn same(left: &AwsKeys, right: &AwsKeys) -> bool {
    left.access_key_id() == right.access_key_id()
        && left.secret_access_key() == right.secret_access_key()
        && left.session_token() == right.session_token()
}

/// Finds out who asks, and gets the first credentials.
pub(crate) async fn resolve(identity: &Identity) -> Result<Resolved, CredentialsError> {
    // Names and values that are no text cannot be meant for AWS.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    resolve_in(
        Surroundings(std::env::vars_os().filter_map(text).collect()),
        identity,
    )
    .await
}

async fn resolve_in(
    surroundings: Surroundings,
    identity: &Identity,
) -> Result<Resolved, CredentialsError> {
    let named = given(identity.profile.as_deref());
    let profile = named
        .or_else(|| surroundings.get("AWS_PROFILE"))
        .or_else(|| surroundings.get("AWS_DEFAULT_PROFILE"));
    let profile = profile.map(str::to_owned);
    let settings = profiles(&surroundings, profile.as_deref()).await?;
    let setting = |name: &str| {
        settings
            .get(name)
            .map(str::trim)
            .filter(|value| !value.is_empty())
    };
    let region = given(identity.region.as_deref())
        .or_else(|| surroundings.get("AWS_REGION"))
        .or_else(|| surroundings.get("AWS_DEFAULT_REGION"))
        .or_else(|| setting("region"))
        .map(str::to_owned);
    let ca_bundle = ca_bundle(
        &surroundings,
        identity.ca_bundle.as_deref(),
        setting("ca_bundle"),
    )?;
    let http = http_client(ca_bundle.as_deref());
    let signing_region = Region::new(region.clone().unwrap_or_else(|| FALLBACK_REGION.into()));
    let sdk = Box::pin(sdk_config(
        &surroundings,
        profile.as_deref(),
        &http,
        &signing_region,
    ))
    .await;
    let endpoint_url = endpoint(&surroundings, identity, &sdk);
    let source = Source {
        explicit: named.is_some(),
        profile,
        role_arn: given(identity.role_arn.as_deref()).map(str::to_owned),
        external_id: given(identity.external_id.as_deref()).map(str::to_owned),
        region: signing_region,
        http,
        sdk,
        surroundings,
    };
    let loaded = Box::pin(source.load()).await?;
    debug!(from = loaded.described, "found credentials");
    let described = loaded.described.clone();
    Ok(Resolved {
        credentials: Arc::new(Credentials::found(source, loaded)),
        region,
        endpoint_url,
        ca_bundle,
        described,
    })
}

/// Takes a key that was handed in; what else the source says holds, and nothing else does.
pub(crate) fn handed_in(identity: &Identity, keys: Keys) -> Result<Resolved, CredentialsError> {
    let nothing = Surroundings(HashMap::new());
    Ok(Resolved {
        credentials: Arc::new(Credentials::fixed(keys)),
        region: given(identity.region.as_deref()).map(str::to_owned),
        endpoint_url: given(identity.endpoint_url.as_deref()).map(str::to_owned),
        ca_bundle: ca_bundle(&nothing, identity.ca_bundle.as_deref(), None)?,
        described: "keys that were handed in".into(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lives of credentials are told by this machine's clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
