//! One object from S3, as listed or wholly in a newer version, never a mixture.

use std::{collections::BTreeMap, sync::Arc};

use chrono::DateTime;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tracing::warn;

use super::{
    Done, Job, Problem,
    body::Body,
    publish::{Received, publish},
};
use crate::{
    MirrorError, RemoteObject, SyncEvent,
    transport::{Answer, Ask, Failed, Transport, error_in_success, looks_like},
    verify::Verifier,
};

/// Times that the newer version of an object is taken when it is replaced under our hands.
const MOST_REPLACEMENTS: u32 = 3;
/// Times that wrong bytes are fetched again.
const MOST_REFETCHES: u32 = 1;
/// As much of an answer that is not the object as is looked at.
const GLANCE: usize = 16 * 1024;

pub(super) async fn download(
    job: &Arc<Job>,
    transport: &Transport,
    listed: &RemoteObject,
) -> Result<Done, Problem> {
    if listed.key.split('/').any(|part| matches!(part, "." | "..")) {
        let what = "a key with a `.` or `..` segment cannot be requested";
        return Err(Problem::Message(what.into()));
    }
    let mut object = listed.clone();
    let (mut replacements, mut refetches) = (0, 0);
    loop {
        let outcome = match Download::new(job, transport, &object)?.run().await {
            Ok(received) => publish(job, &object, received).await,
            Err(Interruption::Problem(problem)) => Err(problem),
            Err(Interruption::Replaced) => {
                replacements += 1;
                if replacements > MOST_REPLACEMENTS {
                    let what =
                        "it is replaced faster than it can be fetched; the next sync tries again";
                    return Err(Problem::Message(what.into()));
                }
                object = describe(job, transport, &object).await?;
                continue;
            }
        };
        match outcome {
            Err(Problem::Wrong {
                what,
                is_certain: false,
            }) if refetches < MOST_REFETCHES => {
                refetches += 1;
                warn!(key = object.key, what, "fetching again what came wrong");
                transport.counters.retry();
                retrying(job, &object, refetches + 1, &what);
            }
            outcome => return outcome,
        }
    }
}

fn retrying(job: &Job, object: &RemoteObject, attempt: u32, reason: &str) {
    job.tell(SyncEvent::Retrying {
        key: object.key.clone(),
        attempt,
        reason: reason.to_owned(),
    });
}

fn place(transport: &Transport, key: &str) -> String {
    format!("s3://{}/{}", transport.bucket(), key.escape_debug())
}

/// What ends the download of one version.
enum Interruption {
    /// The object now has another ETag.
    Replaced,
    Problem(Problem),
}

impl<T: Into<Problem>> From<T> for Interruption {
    fn from(problem: T) -> Self {
        Self::Problem(problem.into())
    }
}

/// What ends one answer.
enum Broken {
    /// What came is good, and the rest may come.
    Failed(Failed),
    /// What came cannot be continued.
    Restart(String),
    Interruption(Interruption),
}

impl<T: Into<Interruption>> From<T> for Broken {
    fn from(interruption: T) -> Self {
        Self::Interruption(interruption.into())
    }
}

/// The download of one version of an object.
struct Download<'d> {
    job: &'d Job,
    transport: &'d Transport,
    object: &'d RemoteObject,
    body: Body,
    /// What the answer promised that carried the first byte.
    promise: Option<Promise>,
}

struct Promise {
    verifier: Verifier,
    metadata: BTreeMap<String, String>,
    version_id: Option<String>,
}

impl<'d> Download<'d> {
    fn new(
        job: &'d Job,
        transport: &'d Transport,
        object: &'d RemoteObject,
    ) -> Result<Self, Problem> {
        Ok(Self {
            job,
            transport,
            object,
            body: Body::new(job, object.size_bytes)?,
            promise: None,
        })
    }

    /// Asks until all bytes came, each time for those that are lacking.
    async fn run(mut self) -> Result<Received, Interruption> {
        let (job, object) = (self.job, self.object);
        let mut attempts = self.transport.attempts();
        loop {
            let ask = self.ask();
            let before = self.body.size_bytes();
            let failed = match self.receive(&ask).await {
                Ok(()) => break,
                Err(Broken::Interruption(interruption)) => return Err(interruption),
                Err(Broken::Failed(failed)) => failed,
                Err(Broken::Restart(reason)) => {
                    self.start_again()?;
                    Failed::again(reason)
                }
            };
            if self.body.size_bytes() > before {
                attempts.progressed();
            }
            let tell = |attempt, reason: &str| retrying(job, object, attempt, reason);
            attempts.after(failed, &ask, tell).await?;
        }
        let promise = self
            .promise
            .expect("a body that was read had an answer before it");
        Ok(Received {
            body: self.body,
            verifier: promise.verifier,
            metadata: promise.metadata,
            version_id: promise.version_id,
        })
    }

    fn start_again(&mut self) -> Result<(), Problem> {
        self.promise = None;
        Ok(self.body.clear()?)
    }

    fn ask(&self) -> Ask<'d> {
        let mut headers = HeaderMap::new();
        if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", self.object.etag)) {
            headers.insert(header::IF_MATCH, etag);
        }
        headers.insert("x-amz-checksum-mode", HeaderValue::from_static("ENABLED"));
        let offset = self.body.size_bytes();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-"))
                .expect("digits are a header value");
            headers.insert(header::RANGE, range);
        }
        Ask {
            method: Method::GET,
            key: &self.object.key,
            query: &[],
            headers,
            action: "cannot fetch",
            place: place(self.transport, &self.object.key),
        }
    }

    /// One answer, into the body. `Ok` when all bytes are there.
    async fn receive(&mut self, ask: &Ask<'_>) -> Result<(), Broken> {
        let mut answer = match self.transport.send_once(ask).await {
            Ok(answer) => answer,
            Err(failed) => return Err(refused(failed)),
        };
        self.begin(ask, &mut answer).await?;
        let size = self.object.size_bytes;
        while let Some(bytes) = answer.chunk().await.map_err(Broken::Failed)? {
            if self.body.size_bytes() + bytes.len() as u64 > size {
                let what = format!("more than the {size} bytes came that were listed");
                return Err(Problem::wrong(what).into());
            }
            self.body.append(&bytes).map_err(Problem::from)?;
            if let Some(promise) = &mut self.promise {
                promise.verifier.update(&bytes);
            }
            self.job.tell(SyncEvent::Progress {
                bytes: bytes.len() as u64,
            });
        }
        let came = self.body.size_bytes();
        if came < size {
            let reason = format!("the body ended after {came} of {size} bytes");
            return Err(Broken::Failed(Failed::again(reason)));
        }
        Ok(())
    }

    /// Whether the answer is the object, from the byte on that was asked for, or from its first.
    async fn begin(&mut self, ask: &Ask<'_>, answer: &mut Answer<'_>) -> Result<(), Broken> {
        match answer.header("etag").map(|etag| etag.trim_matches('"')) {
            Some(etag) if etag == self.object.etag => {}
            // The server did not look at the condition.
            Some(_) => return Err(Interruption::Replaced.into()),
            None => return Err(self.not_the_object(ask, answer).await),
        }
        let (offset, size) = (self.body.size_bytes(), self.object.size_bytes);
        if answer.status == StatusCode::PARTIAL_CONTENT {
            let expected = format!("bytes {offset}-{}/{size}", size.saturating_sub(1));
            let found = answer.header("content-range");
            if found != Some(&expected) {
                let found = found.unwrap_or("nothing").escape_debug();
                let reason = format!("the server resumed with {found} instead of {expected}");
                return Err(Broken::Restart(reason));
            }
        } else if offset > 0 {
            // The whole object in place of its rest: from the start, then.
            self.start_again()?;
        }
        let lacking = size - self.body.size_bytes();
        let length = answer
            .header("content-length")
            .and_then(|length| length.parse::<u64>().ok());
        if let Some(length) = length.filter(|length| *length != lacking) {
            let what = format!("the server sends {length} bytes where {lacking} were listed");
            return Err(Problem::wrong(what).into());
        }
        if self.promise.is_none() {
            self.promise = Some(Promise {
                verifier: Verifier::new(&answer.headers, &self.object.etag),
                metadata: metadata(&answer.headers),
                version_id: answer.header("x-amz-version-id").map(str::to_owned),
            });
        }
        Ok(())
    }

    /// A success status, and no ETag: an error document, a login page, nothing.
    async fn not_the_object(&self, ask: &Ask<'_>, answer: &mut Answer<'_>) -> Broken {
        let body = answer.beginning(GLANCE).await;
        match error_in_success(&answer.headers, &body) {
            Some(refusal) => refused(self.transport.failed(ask, refusal)),
            None => Broken::Failed(Failed::again(format!(
                "the server sent {} instead of the object",
                looks_like(&body)
            ))),
        }
    }
}

/// What a refusal means for a download.
fn refused(failed: Failed) -> Broken {
    let Failed::Final(MirrorError::Answer {
        status, ref code, ..
    }) = failed
    else {
        return Broken::Failed(failed);
    };
    match (status, code.as_str()) {
        (412, _) => Interruption::Replaced.into(),
        (404, code) if code != "NoSuchBucket" => Problem::Vanished.into(),
        (416, _) => Broken::Restart("the server has no such range".into()),
        (_, "InvalidObjectState") => {
            let what =
                "it is archived, and must be restored before it can be read (InvalidObjectState)";
            Problem::Message(what.into()).into()
        }
        _ => Broken::Failed(failed),
    }
}

fn metadata(headers: &HeaderMap) -> BTreeMap<String, String> {
    let entry = |(name, value): (&header::HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix("x-amz-meta-")?;
        let value = String::from_utf8_lossy(value.as_bytes());
        Some((name.to_owned(), value.into_owned()))
    };
    headers.iter().filter_map(entry).collect()
}

/// What the object is now, after it was replaced.
async fn describe(
    job: &Job,
    transport: &Transport,
    object: &RemoteObject,
) -> Result<RemoteObject, Problem> {
    let ask = Ask {
        method: Method::HEAD,
        key: &object.key,
        query: &[],
        headers: HeaderMap::new(),
        action: "cannot look at",
        place: place(transport, &object.key),
    };
    let tell = |attempt, reason: &str| retrying(job, object, attempt, reason);
    let answer = match transport.send(&ask, tell).await {
        Err(MirrorError::Answer {
            status: 404, code, ..
        }) if code != "NoSuchBucket" => return Err(Problem::Vanished),
        answer => answer?,
    };
    let incomplete = || Problem::Message("the server does not say what the object is now".into());
    let modified = answer
        .header("last-modified")
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    Ok(RemoteObject {
        key: object.key.clone(),
        size_bytes: answer
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(incomplete)?,
        etag: answer
            .header("etag")
            .map(|etag| etag.trim_matches('"').to_owned())
            .filter(|etag| !etag.is_empty())
            .ok_or_else(incomplete)?,
        modified_at: modified.map_or(object.modified_at, |at| at.to_utc()),
        storage_class: answer.header("x-amz-storage-class").map(str::to_owned),
        is_restored: object.is_restored,
        version_id: answer.header("x-amz-version-id").map(str::to_owned),
    })
}
