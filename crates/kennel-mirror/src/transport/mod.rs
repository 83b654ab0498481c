//! Requests to S3: built, signed anew for each attempt, paced, counted, tried again.
//!
//! Signing happens here and not in object_store, so that each attempt carries a fresh date and fresh
//! credentials, and every `x-amz-*` header is signed. Redirects are not followed: they would carry tokens
//! to whoever answers.

mod counters;
mod pace;
mod refusal;

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use object_store::{
    aws::{AwsAuthorizer, AwsCredential},
    client::{HttpClient, HttpError, HttpRequest, HttpRequestBody, HttpResponse},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;
use tracing::{debug, info};

use counters::Counters;
pub use counters::RequestCounts;
use pace::{Pace, Permit};
pub(crate) use refusal::{Refusal, error_in_success, looks_like};

use crate::{
    MirrorError, MirrorSettings, RetrySettings, SourceSettings,
    credentials::{Credentials, Resolved},
};

/// What SigV4 leaves as it is in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// In a path the slash stays, too.
const PATH: &AsciiSet = &QUERY.remove(b'/');
/// Largest error document that is read.
const LONGEST_ERROR: usize = 64 * 1024;
/// Where a bucket is looked for when nothing says where it lies; S3 names the right place.
const FIRST_REGION: &str = "us-east-1";

/// What is asked of the server.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// The key; empty for a listing.
    pub(crate) key: &'a str,
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) headers: HeaderMap,
    /// For messages: "cannot list".
    pub(crate) action: &'static str,
    /// For messages: bucket and prefix or key.
    pub(crate) place: String,
}

/// How one attempt ended, unless it succeeded.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Trying again may help.
    Again {
        reason: String,
        throttled: bool,
        retry_after: Option<Duration>,
    },
    /// It will not.
    Final(MirrorError),
}

impl Failed {
    pub(crate) fn again(reason: impl Into<String>) -> Self {
        Self::Again {
            reason: reason.into(),
            throttled: false,
            retry_after: None,
        }
    }
}

/// A bucket behind an endpoint.
pub(crate) struct Transport {
    client: HttpClient,
    bucket: String,
    endpoint: Option<String>,
    path_style: bool,
    /// Found by itself when the server says that the bucket lies elsewhere.
    region: RwLock<String>,
    credentials: Arc<Credentials>,
    request_payer: bool,
    retry: RetrySettings,
    pub(crate) counters: Counters,
    pace: Pace,
    now: fn() -> DateTime<Utc>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Prepares connections; opens none.
    pub(crate) fn new(
        bucket: &str,
        source: &SourceSettings,
        settings: &MirrorSettings,
        resolved: Resolved,
    ) -> Result<Self, MirrorError> {
        let endpoint = resolved.endpoint_url.as_deref().map(endpoint).transpose()?;
        let client =
            client(&endpoint, resolved.ca_bundle.as_deref(), &settings.retry).map_err(|error| {
                MirrorError::Client {
                    place: endpoint.clone().unwrap_or_else(|| source.url.to_string()),
                    message: chain(&error),
                }
            })?;
        debug!(
            bucket,
            endpoint,
            credentials = resolved.described,
            "opened source"
        );
        Ok(Self::with_client(
            client, bucket, source, settings, endpoint, resolved,
        ))
    }

    fn with_client(
        client: HttpClient,
        bucket: &str,
        source: &SourceSettings,
        settings: &MirrorSettings,
        endpoint: Option<String>,
        resolved: Resolved,
    ) -> Self {
        Self {
            client,
            bucket: bucket.into(),
            // A certificate for *.s3.amazonaws.com does not cover a bucket with dots.
            path_style: source
                .path_style
                .unwrap_or(endpoint.is_some() || bucket.contains(['.', '_'])),
            endpoint,
            region: RwLock::new(resolved.region.unwrap_or_else(|| FIRST_REGION.into())),
            credentials: resolved.credentials,
            request_payer: source.request_payer,
            retry: settings.retry,
            counters: Counters::default(),
            pace: Pace::new(settings.concurrency, settings.bandwidth_limit),
            now: settings.now,
        }
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    fn region(&self) -> String {
        self.region
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn url(&self, ask: &Ask<'_>, region: &str) -> String {
        let base = self.endpoint.clone().unwrap_or_else(|| {
            let suffix = if region.starts_with("cn-") {
                "amazonaws.com.cn"
            } else {
                "amazonaws.com"
            };
            format!("https://s3.{region}.{suffix}")
        });
        let mut url = if self.path_style {
            format!("{base}/{}/", self.bucket)
        } else {
            let (scheme, host) = base.split_once("://").unwrap_or(("https", &base));
            format!("{scheme}://{}.{host}/", self.bucket)
        };
        if self.path_style && ask.key.is_empty() {
            url.pop();
        }
        url.extend(utf8_percent_encode(ask.key, PATH));
        for (index, (name, value)) in ask.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
        }
        url
    }

    /// Sends when the pace allows; an answer with a success status comes back with its body unread.
    ///
    /// A bucket that lies in another region is asked there, and a token that ran out is replaced, once each.
    pub(crate) async fn send_once(&self, ask: &Ask<'_>) -> Result<Answer<'_>, Failed> {
        let permit = self.pace.permit().await;
        let denied = |error| Failed::Final(MirrorError::Credentials(error));
        let mut credential = self.credentials.current().await.map_err(denied)?;
        let mut region = self.region();
        let (mut is_moved, mut is_renewed) = (false, false);
        loop {
            let response = self.attempt(ask, &credential, &region).await?;
            let (head, body) = response.into_parts();
            let mut answer = Answer {
                status: head.status,
                headers: head.headers,
                body: body.bytes_stream(),
                transport: self,
                _permit: None,
            };
            if head.status.is_success() {
                self.pace.succeeded();
                answer._permit = Some(permit);
                return Ok(answer);
            }
            let text = answer.beginning(LONGEST_ERROR).await;
            let refusal = Refusal::read(head.status, &answer.headers, &text);
            debug!(
                status = refusal.status,
                code = refusal.code,
                place = ask.place,
                "refused"
            );
            if let Some(found) = refusal.moved_to(&region).filter(|_| !is_moved) {
                info!(bucket = self.bucket, region = found, "found the bucket");
                region = found.to_owned();
                region.clone_into(&mut self.region.write().unwrap_or_else(PoisonError::into_inner));
                is_moved = true;
                continue;
            }
            if refusal.is_expired() && !is_renewed {
                let renewed = self
                    .credentials
                    .refresh(&credential)
                    .await
                    .map_err(denied)?;
                if let Some(renewed) = renewed {
                    credential = renewed;
                    is_renewed = true;
                    continue;
                }
            }
            return Err(self.failed(ask, refusal));
        }
    }

    async fn attempt(
        &self,
        ask: &Ask<'_>,
        credential: &AwsCredential,
        region: &str,
    ) -> Result<HttpResponse, Failed> {
        let refused =
            |code: &str, message: String| Failed::Final(answer(ask, 0, code.to_owned(), message));
        let mut request: HttpRequest = http::Request::builder()
            .method(ask.method.clone())
            .uri(self.url(ask, region))
            .body(HttpRequestBody::empty())
            .map_err(|error| refused("InvalidURI", error.to_string()))?;
        request.headers_mut().extend(ask.headers.clone());
        AwsAuthorizer::new(credential, "s3", region)
            .with_request_payer(self.request_payer)
            .try_authorize(&mut request, None)
            .map_err(|error| refused("CannotSign", error.to_string()))?;
        self.counters.request(&ask.method, ask.key);
        // Until the head of the answer: what follows has its own limit for each piece.
        let limit = self.retry.connect_timeout + self.retry.read_timeout;
        match timeout(limit, self.client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failed::again(chain(&error))),
            Err(_) => Err(Failed::again(format!("no answer within {limit:?}"))),
        }
    }

    /// What to make of an answer that is no success.
    pub(crate) fn failed(&self, ask: &Ask<'_>, refusal: Refusal) -> Failed {
        if refusal.code == "RequestTimeTooSkewed" {
            let ahead = refusal.server_time.map(|server| (self.now)() - server);
            let seconds = ahead.map_or(0, |ahead| ahead.num_seconds());
            return Failed::Final(MirrorError::Clock { seconds });
        }
        if refusal.is_passing() {
            return Failed::Again {
                reason: format!("{} ({})", refusal.code, refusal.status),
                throttled: refusal.is_throttling(),
                retry_after: refusal.retry_after,
            };
        }
        Failed::Final(answer(ask, refusal.status, refusal.code, refusal.message))
    }

    /// The attempts at one thing, none made yet.
    pub(crate) fn attempts(&self) -> Attempts<'_> {
        Attempts {
            transport: self,
            failures: 0,
        }
    }

    /// Sends until it succeeds, fails for good, or attempts run out.
    pub(crate) async fn send(
        &self,
        ask: &Ask<'_>,
        retrying: impl Fn(u32, &str),
    ) -> Result<Answer<'_>, MirrorError> {
        let mut attempts = self.attempts();
        loop {
            match self.send_once(ask).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => attempts.after(failed, ask, &retrying).await?,
            }
        }
    }

    /// Exponential, with jitter.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let longest = self
            .retry
            .backoff_initial
            .saturating_mul(1 << doublings)
            .min(self.retry.backoff_max);
        // The standard library's hasher is seeded by chance; no generator is needed for this.
        let chance = RandomState::new().build_hasher().finish() % 1_000;
        longest.mul_f64(0.5 + chance as f64 / 2_000.0)
    }
}

fn answer(ask: &Ask<'_>, status: u16, code: String, message: String) -> MirrorError {
    MirrorError::Answer {
        action: ask.action,
        place: ask.place.clone(),
        status,
        code,
        message,
    }
}

/// The attempts at one thing.
pub(crate) struct Attempts<'t> {
    transport: &'t Transport,
    failures: u32,
}

impl Attempts<'_> {
    /// Waits until the next attempt, which `retrying` hears of; an error when there is none.
    pub(crate) async fn after(
        &mut self,
        failed: Failed,
        ask: &Ask<'_>,
        retrying: impl Fn(u32, &str),
    ) -> Result<(), MirrorError> {
        let (reason, throttled, retry_after) = match failed {
            Failed::Final(error) => return Err(error),
            Failed::Again {
                reason,
                throttled,
                retry_after,
            } => (reason, throttled, retry_after),
        };
        self.failures += 1;
        let retry = &self.transport.retry;
        if self.failures >= retry.max_attempts {
            return Err(MirrorError::Unreachable {
                action: ask.action,
                place: ask.place.clone(),
                attempts: self.failures,
                message: reason,
            });
        }
        let wished = retry_after.unwrap_or_default().min(retry.backoff_max);
        let pause = self.transport.pause(self.failures).max(wished);
        debug!(
            place = ask.place,
            attempt = self.failures + 1,
            reason,
            ?pause,
            "trying again"
        );
        self.transport.counters.retry();
        if throttled {
            self.transport.pace.throttled(pause);
        }
        retrying(self.failures + 1, &reason);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Something came: a long download over a bad line has as many attempts for each stretch.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }
}

/// An answer whose body is read piece by piece, each within the read timeout.
pub(crate) struct Answer<'t> {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: BoxStream<'static, Result<Bytes, HttpError>>,
    transport: &'t Transport,
    _permit: Option<Permit<'t>>,
}

impl Answer<'_> {
    /// A header, when it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece, at the allowed speed.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failed> {
        let limit = self.transport.retry.read_timeout;
        match timeout(limit, self.body.next()).await {
            Err(_) => Err(Failed::again(format!("nothing came for {limit:?}"))),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(Failed::again(chain(&error))),
            Ok(Some(Ok(bytes))) => {
                self.transport.counters.bytes(bytes.len());
                self.transport.pace.pay(bytes.len()).await;
                Ok(Some(bytes))
            }
        }
    }

    /// The whole body, which must not be longer than `most`.
    pub(crate) async fn whole(&mut self, most: usize) -> Result<Bytes, Failed> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if whole.len() + bytes.len() > most {
                return Err(Failed::again(format!(
                    "the answer is longer than {most} bytes"
                )));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// As much of the body as comes, up to `most`.
    pub(crate) async fn beginning(&mut self, most: usize) -> Bytes {
        let mut beginning = BytesMut::new();
        while beginning.len() < most
            && let Ok(Some(bytes)) = self.chunk().await
        {
            beginning.extend_from_slice(&bytes);
        }
        beginning.truncate(most);
        beginning.freeze()
    }
}

/// An endpoint without a slash at its end.
fn endpoint(url: &str) -> Result<String, MirrorError> {
    let wrong = |message: &str| MirrorError::Client {
        place: "endpoint_url".into(),
        message: message.into(),
    };
    let uri = url.parse::<Uri>().map_err(|_| wrong("it is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it does not begin with http:// or https://"));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.is_empty() || authority.contains('@') || uri.query().is_some() {
        return Err(wrong("it is more or less than scheme, host, port and path"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn client(
    endpoint: &Option<String>,
    ca_bundle: Option<&[u8]>,
    retry: &RetrySettings,
) -> Result<HttpClient, reqwest::Error> {
    // TLS asks the process for its provider of cryptography. Whoever installed one before is served, too.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let is_plain = endpoint
        .as_ref()
        .is_some_and(|url| url.starts_with("http://"));
    let mut builder = reqwest::Client::builder()
        .user_agent(HeaderValue::from_static(concat!(
            "kennel/",
            env!("CARGO_PKG_VERSION")
        )))
        .connect_timeout(retry.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .https_only(!is_plain)
        .http1_only()
        // Objects are taken as they are stored; `.gz` stays `.gz`.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate();
    if let Some(pem) = ca_bundle {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem)?);
    } else if is_plain {
        // No certificate is ever looked at, so that a machine without any will do.
        builder = builder.tls_certs_only([]);
    }
    Ok(HttpClient::new(builder.build()?))
}

/// An error with its causes: HTTP clients tell the cause only there.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
