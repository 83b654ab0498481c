//! The places that credentials come from, in the order of the AWS CLI.

use std::{error::Error, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    ecs::EcsCredentialsProvider,
    imds,
    profile::{Profile, ProfileFileCredentialsProvider, ProfileSet},
    provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
    web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider},
};
use aws_credential_types::{
    Credentials as AwsKeys,
    provider::{ProvideCredentials, error::CredentialsError as ProviderError},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::time::timeout;
use tracing::debug;

use super::{
    CredentialsError,
    cli::export,
    now,
    surroundings::{Surroundings, limits, profile_files, profiles},
};

/// What the instance metadata service gets in all: on a laptop nobody answers.
pub(super) const METADATA_LIMIT: Duration = Duration::from_secs(3);
/// Longest text taken over from a provider's error.
pub(super) const LONGEST_MESSAGE: usize = 400;
/// Profiles followed by `source_profile`.
const LONGEST_CHAIN: usize = 16;

/// Where credentials come from. Each load looks anew, since files and sign-ins change while kennel runs.
pub(super) struct Source {
    pub(super) surroundings: Surroundings,
    pub(super) profile: Option<String>,
    /// The profile is the source's own, not the environment's.
    pub(super) explicit: bool,
    pub(super) role_arn: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) region: Region,
    pub(super) http: SharedHttpClient,
    pub(super) sdk: SdkConfig,
}

pub(super) struct Loaded {
    pub(super) keys: AwsKeys,
    pub(super) described: String,
    pub(super) profile: Option<String>,
    pub(super) sso_profile: Option<String>,
}

impl Loaded {
    fn new(keys: AwsKeys, described: impl Into<String>) -> Self {
        Self {
            keys,
            described: described.into(),
            profile: None,
            sso_profile: None,
        }
    }

    pub(super) fn expired(self, message: &str) -> CredentialsError {
        CredentialsError::Expired {
            described: self.described,
            message: message.into(),
            profile: self.profile,
            sso_profile: self.sso_profile,
        }
    }
}

impl Source {
    pub(super) async fn load(&self) -> Result<Loaded, CredentialsError> {
        let base = self.base().await?;
        let loaded = match &self.role_arn {
            Some(role_arn) => self.assume(role_arn, base).await?,
            None => base,
        };
        if loaded.keys.expiry().is_some_and(|expiry| expiry <= now()) {
            return Err(loaded.expired(""));
        }
        Ok(loaded)
    }

    /// The AWS CLI's order. A profile that the source names goes before the environment.
    async fn base(&self) -> Result<Loaded, CredentialsError> {
        let mut tried = Vec::new();
        if !self.explicit {
            if let Some(keys) = self.surroundings.keys()? {
                return Ok(Loaded::new(keys, "environment"));
            }
            tried.push("environment".to_owned());
        }
        if let Some(loaded) = self.ask_profile().await? {
            return Ok(loaded);
        }
        tried.push(format!("profile `{}`", self.profile_name()));
        if let Some(loaded) = self.ask_web_identity().await? {
            return Ok(loaded);
        }
        if let Some(loaded) = self.ask_container().await? {
            return Ok(loaded);
        }
        match self.ask_metadata().await {
            Ok(loaded) => Ok(loaded),
            Err(why) => {
                tried.push(format!("instance metadata ({why})"));
                Err(CredentialsError::None {
                    tried: tried.join(", "),
                })
            }
        }
    }

    fn profile_name(&self) -> &str {
        self.profile.as_deref().unwrap_or("default")
    }

    fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_http_client(self.http.clone())
            .with_region(Some(self.region.clone()))
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_timeout_config(limits())
    }

    async fn ask_profile(&self) -> Result<Option<Loaded>, CredentialsError> {
        let name = self.profile_name();
        let set = profiles(&self.surroundings, Some(name)).await?;
        if set.get_profile(name).is_none() {
            return match &self.profile {
                Some(profile) => Err(CredentialsError::UnknownProfile {
                    profile: profile.clone(),
                }),
                None => Ok(None),
            };
        }
        let chain = followed(&set, name);
        let sso_profile = chain
            .iter()
            .find(|profile| is_sso(profile))
            .map(|profile| profile.name().to_owned());
        let loaded = |keys| Loaded {
            keys,
            described: format!("profile `{name}`"),
            profile: Some(name.into()),
            sso_profile: sso_profile.clone(),
        };
        let cli = self.surroundings.cli();
        if let Some(setting) = beyond_aws_config(&chain) {
            let cli = cli.ok_or_else(|| CredentialsError::NeedsCli {
                profile: name.into(),
                setting,
            })?;
            let keys = export(&cli, name).await;
            return keys
                .map(|keys| Some(loaded(keys)))
                .map_err(|message| failed_profile(name, None, message));
        }
        let mut provider = ProfileFileCredentialsProvider::builder()
            .configure(&self.provider_config())
            .profile_files(profile_files(&self.surroundings))
            .profile_name(name);
        if let Ok(Some(keys)) = self.surroundings.keys() {
            provider = provider.with_custom_provider("Environment", keys);
        }
        match Box::pin(provider.build().provide_credentials()).await {
            Ok(keys) => Ok(Some(loaded(keys))),
            Err(ProviderError::CredentialsNotLoaded(_)) => Ok(None),
            Err(error) => {
                let message = told(&error);
                // Settings that aws-config does not know, the AWS CLI may.
                if let (ProviderError::InvalidConfiguration(_), Some(cli)) = (&error, cli) {
                    match export(&cli, name).await {
                        Ok(keys) => return Ok(Some(loaded(keys))),
                        Err(why) => debug!(why, "the AWS CLI has no credentials either"),
                    }
                }
                Err(failed_profile(name, sso_profile, message))
            }
        }
    }

    async fn ask_web_identity(&self) -> Result<Option<Loaded>, CredentialsError> {
        let file = self
            .surroundings
            .get("AWS_WEB_IDENTITY_TOKEN_FILE")
            .filter(|_| !self.explicit);
        let (Some(file), Some(role_arn)) = (file, self.surroundings.get("AWS_ROLE_ARN")) else {
            return Ok(None);
        };
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .configure(&self.provider_config())
            .static_configuration(StaticConfiguration {
                web_identity_token_file: file.into(),
                role_arn: role_arn.into(),
                session_name: self.session_name(),
            })
            .build();
        let described = format!("web identity for role `{role_arn}`");
        match Box::pin(provider.provide_credentials()).await {
            Ok(keys) => Ok(Some(Loaded::new(keys, described))),
            Err(error) => Err(failed(&described, None, None, told(&error))),
        }
    }

    async fn ask_container(&self) -> Result<Option<Loaded>, CredentialsError> {
        let variables = [
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        if variables
            .iter()
            .all(|name| self.surroundings.get(name).is_none())
        {
            return Ok(None);
        }
        let provider = EcsCredentialsProvider::builder()
            .configure(&self.provider_config())
            .build();
        match Box::pin(provider.provide_credentials()).await {
            Ok(keys) => Ok(Some(Loaded::new(keys, "container"))),
            Err(error) => Err(failed("container", None, None, told(&error))),
        }
    }

    /// The instance's role, or why there is none.
    async fn ask_metadata(&self) -> Result<Loaded, String> {
        if self.surroundings.is_true("AWS_EC2_METADATA_DISABLED") {
            return Err("switched off by AWS_EC2_METADATA_DISABLED".into());
        }
        let config = self.provider_config();
        let mut client = imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(Duration::from_secs(1))
            .read_timeout(Duration::from_secs(1));
        if let Some(url) = self.surroundings.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            client = client
                .endpoint(url)
                .map_err(|_| format!("`{url}` is no endpoint"))?;
        }
        let provider = imds::credentials::ImdsCredentialsProvider::builder()
            .configure(&config)
            .imds_client(client.build())
            .build();
        match timeout(METADATA_LIMIT, Box::pin(provider.provide_credentials())).await {
            Ok(Ok(keys)) => Ok(Loaded::new(keys, "instance metadata")),
            Ok(Err(ProviderError::CredentialsNotLoaded(_))) | Err(_) => Err("no answer".into()),
            Ok(Err(error)) => Err(told(&error)),
        }
    }

    fn session_name(&self) -> String {
        self.surroundings
            .get("AWS_ROLE_SESSION_NAME")
            .unwrap_or("kennel")
            .into()
    }

    async fn assume(&self, role_arn: &str, base: Loaded) -> Result<Loaded, CredentialsError> {
        let mut role = AssumeRoleProvider::builder(role_arn)
            .configure(&self.sdk)
            .session_name(self.session_name());
        if let Some(id) = &self.external_id {
            role = role.external_id(id);
        }
        let provider = Box::pin(role.build_from_provider(base.keys.clone())).await;
        match Box::pin(provider.provide_credentials()).await {
            Ok(keys) => Ok(Loaded {
                keys,
                described: format!("role `{role_arn}`, {}", base.described),
                ..base
            }),
            Err(error) => Err(CredentialsError::Role {
                role_arn: role_arn.into(),
                described: base.described,
                message: told(&error),
            }),
        }
    }
}

/// The profile and those it takes its credentials from.
fn followed<'a>(set: &'a ProfileSet, name: &str) -> Vec<&'a Profile> {
    let source = |profile: &&'a Profile| {
        profile
            .get("source_profile")
            .and_then(|name| set.get_profile(name))
    };
    std::iter::successors(set.get_profile(name), source)
        .take(LONGEST_CHAIN)
        .collect()
}

fn is_sso(profile: &Profile) -> bool {
    profile
        .get("sso_session")
        .or_else(|| profile.get("sso_start_url"))
        .is_some()
}

/// The setting for which aws-config has no code.
fn beyond_aws_config(chain: &[&Profile]) -> Option<&'static str> {
    let has = |profile: &Profile, name: &str| profile.get(name).is_some();
    if chain
        .iter()
        .any(|profile| has(profile, "mfa_serial") && has(profile, "role_arn"))
    {
        return Some("mfa_serial");
    }
    chain
        .iter()
        .any(|profile| has(profile, "login_session"))
        .then_some("login_session")
}

pub(super) fn failed(
    described: &str,
    profile: Option<&str>,
    sso_profile: Option<String>,
    message: String,
) -> CredentialsError {
    CredentialsError::Failed {
        described: described.into(),
        message,
        profile: profile.map(str::to_owned),
        sso_profile,
    }
}

fn failed_profile(name: &str, sso_profile: Option<String>, message: String) -> CredentialsError {
    let described = format!("profile `{name}`");
    let signs = [
        "SSO token",
        "UnauthorizedException",
        "InvalidGrantException",
        "expired",
    ];
    if sso_profile.is_some() && signs.iter().any(|sign| message.contains(sign)) {
        return CredentialsError::Expired {
            described,
            message,
            profile: Some(name.into()),
            sso_profile,
        };
    }
    failed(&described, Some(name), sso_profile, message)
}

/// An error and its causes on one line, and what the service said, which only the `Debug` of the SDK's errors knows.
pub(super) fn told(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |error| (*error).source()) {
        let text = cause
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    // The outermost says only that there was an error.
    if parts.len() > 1 {
        parts.remove(0);
    }
    let debug = format!("{error:?}");
    let said = debug
        .split_once("message: Some(\"")
        .and_then(|(_, rest)| rest.split_once("\")"));
    if let Some((said, _)) = said {
        parts.push(said.replace("\\\"", "\""));
    }
    let text = parts.join(": ");
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
