//! What this machine says: environment, AWS config files, certificates.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, profile::ProfileSet, timeout::TimeoutConfig};
use aws_credential_types::Credentials as AwsKeys;
use aws_smithy_http_client::{
    Builder as HttpBuilder, Connector,
    proxy::ProxyConfig,
    tls::{Provider as TlsProvider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::{
    os_shim_internal::{Env, Fs},
    service_config::ServiceConfigKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{
    CredentialsError, Identity,
    providers::{failed, told},
};

pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

/// The environment, as it was when the source was opened.
#[derive(Clone)]
pub(super) struct Surroundings(pub(super) HashMap<String, String>);

impl Surroundings {
    /// A variable; one that is empty counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        given(self.0.get(name).map(String::as_str))
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(super) fn expand(&self, path: &str) -> PathBuf {
        let home = self.get("HOME").or_else(|| self.get("USERPROFILE"));
        match (path.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// AwsKeys in the environment; one half of a pair is an error.
    pub(super) fn keys(&self) -> Result<Option<AwsKeys>, CredentialsError> {
        let (id, secret) = (
            self.get("AWS_ACCESS_KEY_ID"),
            self.get("AWS_SECRET_ACCESS_KEY"),
        );
        let lacks = |name: &str, other: &str| {
            failed(
                "environment",
                None,
                None,
                format!("{name} is set, but {other} is not"),
            )
        };
        match (id, secret) {
            (Some(id), Some(secret)) => {
                let token = self.get("AWS_SESSION_TOKEN").map(str::to_owned);
                Ok(Some(AwsKeys::new(id, secret, token, None, "environment")))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(lacks("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => Err(lacks("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        }
    }

    /// The AWS CLI.
    pub(super) fn cli(&self) -> Option<PathBuf> {
        let name = format!("aws{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(self.get("PATH")?)
            .map(|folder| folder.join(&name))
            .find(|path| path.is_file())
    }
}

#[expect(
    deprecated,
    reason = "aws-config takes the type of aws-runtime by this name only"
)]
pub(super) fn profile_files(
    surroundings: &Surroundings,
) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let mut files = ProfileFiles::builder();
    for (kind, variable, usual) in [
        (ProfileFileKind::Config, "AWS_CONFIG_FILE", "~/.aws/config"),
        (
            ProfileFileKind::Credentials,
            "AWS_SHARED_CREDENTIALS_FILE",
            "~/.aws/credentials",
        ),
    ] {
        let path = surroundings.expand(surroundings.get(variable).unwrap_or(usual));
        files = if path.is_file() {
            files.with_file(kind, path)
        } else {
            files.with_contents(kind, "")
        };
    }
    files.build()
}

pub(super) async fn profiles(
    surroundings: &Surroundings,
    profile: Option<&str>,
) -> Result<ProfileSet, CredentialsError> {
    let env = Env::from(surroundings.0.clone());
    let name = Cow::Owned(profile.unwrap_or("default").to_owned());
    let set =
        aws_config::profile::load(&Fs::real(), &env, &profile_files(surroundings), Some(name))
            .await;
    set.map_err(|error| CredentialsError::Config {
        message: told(&error),
    })
}

pub(super) fn endpoint(
    surroundings: &Surroundings,
    identity: &Identity,
    sdk: &SdkConfig,
) -> Option<String> {
    if let Some(url) = given(identity.endpoint_url.as_deref()) {
        return Some(url.into());
    }
    if surroundings.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        return None;
    }
    if let Some(url) = surroundings
        .get("AWS_ENDPOINT_URL_S3")
        .or_else(|| surroundings.get("AWS_ENDPOINT_URL"))
    {
        return Some(url.into());
    }
    // The profile's `services` section, then the profile itself.
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    sdk.service_config()?.load_config(key.ok()?)
}

/// Certificates to trust besides the system's.
pub(super) fn ca_bundle(
    surroundings: &Surroundings,
    own: Option<&Path>,
    profile: Option<&str>,
) -> Result<Option<Vec<u8>>, CredentialsError> {
    let configured = surroundings
        .get("AWS_CA_BUNDLE")
        .or(profile)
        .map(|path| surroundings.expand(path));
    if let Some(path) = own.map(Path::to_path_buf).or(configured) {
        let pem = std::fs::read(&path).map_err(|source| CredentialsError::CaBundle {
            path: path.clone(),
            source,
        })?;
        return usable(&pem)
            .ok_or(CredentialsError::NoCertificate { path })
            .map(Some);
    }
    // For every program on this machine, so that a wrong one is not kennel's to refuse.
    Ok(surroundings
        .get("SSL_CERT_FILE")
        .and_then(|path| usable(&std::fs::read(path).ok()?)))
}

/// The certificates that can be parsed, or nothing if there are none. What is left out would abort the connection later.
fn usable(pem: &[u8]) -> Option<Vec<u8>> {
    let mut store = RootCertStore::empty();
    let mut usable = String::new();
    for certificate in CertificateDer::pem_slice_iter(pem).filter_map(Result::ok) {
        if store.add(certificate.clone()).is_ok() {
            usable.push_str("-----BEGIN CERTIFICATE-----\n");
            for line in STANDARD.encode(&certificate).as_bytes().chunks(64) {
                usable.extend(line.iter().copied().map(char::from));
                usable.push('\n');
            }
            usable.push_str("-----END CERTIFICATE-----\n");
        }
    }
    (!usable.is_empty()).then(|| usable.into_bytes())
}

/// The client for STS, single sign-on and metadata, through the proxy that the environment names.
pub(super) fn http_client(ca_bundle: Option<&[u8]>) -> SharedHttpClient {
    let mut trust = TrustStore::default();
    if let Some(pem) = ca_bundle {
        trust.add_pem_certificate(pem);
    }
    let context = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .expect("a trust store is all there is to it");
    HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector
            .tls_provider(TlsProvider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build()
    })
}

pub(super) fn limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(4))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

pub(super) async fn sdk_config(
    surroundings: &Surroundings,
    profile: Option<&str>,
    http: &SharedHttpClient,
    region: &Region,
) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
        .profile_files(profile_files(surroundings))
        .profile_name(profile.unwrap_or("default"))
        .timeout_config(limits())
        .no_credentials()
        .load()
        .await
}
