//! The last steps of every download: check what came, publish it under its hash or hand it over, describe it.

use std::{collections::BTreeMap, sync::Arc};

use kennel_cache::{CacheError, FetchedObject, Sha256, StageFile};

use super::{
    Done, Job, Keep, Problem,
    body::{Body, Content},
};
use crate::{
    RemoteObject,
    verify::{Verdict, Verifier, shape},
};

/// An object that came whole, as far as its length tells.
pub(super) struct Received {
    pub(super) body: Body,
    pub(super) verifier: Verifier,
    /// User metadata: digests carry their signature there.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) version_id: Option<String>,
}

/// Bytes that were checked.
struct Checked {
    sha256: Sha256,
    verified_by: String,
    /// `None`: they are published.
    content: Option<Content>,
}

/// Checks the bytes and publishes them or hands them over. Syncing to disk may take long and holds up no
/// other download.
pub(super) async fn publish(
    job: &Arc<Job>,
    object: &RemoteObject,
    received: Received,
) -> Result<Done, Problem> {
    if matches!(job.keep, Keep::HandedOver) {
        return publish_here(job, object, received);
    }
    let (job, object) = (Arc::clone(job), object.clone());
    let work = tokio::task::spawn_blocking(move || publish_here(&job, &object, received));
    match work.await {
        Ok(published) => published,
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    }
}

/// The same, where waiting for the disk holds up nobody.
pub(super) fn publish_here(
    job: &Job,
    object: &RemoteObject,
    received: Received,
) -> Result<Done, Problem> {
    let Received {
        body,
        verifier,
        metadata,
        version_id,
    } = received;
    let checked = match (body, job.keep) {
        (body, Keep::HandedOver) => check(body, verifier)?,
        (Body::File(file), Keep::Published) => check_and_publish(file, verifier, &object.key)?,
        (Body::Memory(_), Keep::Published) => unreachable!("only what is handed over is in memory"),
    };
    let object = FetchedObject {
        key: object.key.clone(),
        etag: object.etag.clone(),
        size_bytes: object.size_bytes,
        modified_at: object.modified_at,
        version_id: version_id.or_else(|| object.version_id.clone()),
        storage_class: object.storage_class.clone(),
        sha256: checked.sha256,
        verified_by: checked.verified_by,
        metadata,
        fetched_at: (job.now)(),
    };
    Ok(Done {
        object,
        content: checked.content,
    })
}

/// What is handed over is read at once by its new owner, who can say more about its shape than its ends tell:
/// an unpacked file under a name that ends with `.gz` is no error there.
fn check(body: Body, verifier: Verifier) -> Result<Checked, Problem> {
    let sha256 = body.sha256();
    Ok(Checked {
        sha256,
        verified_by: proof(verifier, sha256)?.to_owned(),
        content: Some(match body {
            Body::Memory(bytes) => Content::Memory(bytes.into()),
            Body::File(file) => Content::File(file),
        }),
    })
}

fn proof(verifier: Verifier, sha256: Sha256) -> Result<&'static str, Problem> {
    match verifier.finish(sha256) {
        Verdict::Proved(by) => Ok(by),
        Verdict::Wrong(what) => Err(Problem::wrong(what)),
    }
}

fn check_and_publish(file: StageFile, verifier: Verifier, key: &str) -> Result<Checked, Problem> {
    let by = proof(verifier, file.sha256())?;
    let mut content = file.reopen()?;
    let verdict = shape(key, &mut content).map_err(|source| CacheError::Io {
        action: "read",
        path: file.path().to_owned(),
        source,
    })?;
    match verdict {
        Ok(shape) => Ok(Checked {
            sha256: file.publish()?,
            verified_by: format!("{by}{shape}"),
            content: None,
        }),
        Err(what) => Err(Problem::Wrong {
            what,
            is_certain: by != "length",
        }),
    }
}
