//! The last steps of every download: check what came, publish it under its hash, describe it.

use std::collections::BTreeMap;

use kennel_cache::{CacheError, FetchedObject, Sha256, StageFile};

use super::{Job, Problem};
use crate::{
    RemoteObject,
    verify::{Verdict, Verifier, shape},
};

/// An object that came whole, as far as its length tells.
pub(super) struct Received {
    pub(super) file: StageFile,
    pub(super) verifier: Verifier,
    /// User metadata: digests carry their signature there.
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) version_id: Option<String>,
}

/// Checks the bytes and publishes them. Syncing to disk may take long and holds up no other download.
pub(super) async fn publish(
    job: &Job,
    object: &RemoteObject,
    received: Received,
) -> Result<FetchedObject, Problem> {
    let Received {
        file,
        verifier,
        metadata,
        version_id,
    } = received;
    let key = object.key.clone();
    let work = tokio::task::spawn_blocking(move || check_and_publish(file, verifier, &key));
    let (sha256, verified_by) = match work.await {
        Ok(published) => published?,
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    };
    Ok(FetchedObject {
        key: object.key.clone(),
        etag: object.etag.clone(),
        size_bytes: object.size_bytes,
        modified_at: object.modified_at,
        version_id: version_id.or_else(|| object.version_id.clone()),
        storage_class: object.storage_class.clone(),
        sha256,
        verified_by,
        metadata,
        fetched_at: (job.now)(),
    })
}

fn check_and_publish(
    file: StageFile,
    verifier: Verifier,
    key: &str,
) -> Result<(Sha256, String), Problem> {
    let by = match verifier.finish(file.sha256()) {
        Verdict::Proved(by) => by,
        Verdict::Wrong(what) => return Err(Problem::wrong(what)),
    };
    let mut content = file.reopen()?;
    let verdict = shape(key, &mut content).map_err(|source| CacheError::Io {
        action: "read",
        path: file.path().to_owned(),
        source,
    })?;
    match verdict {
        Ok(shape) => Ok((file.publish()?, format!("{by}{shape}"))),
        Err(what) => Err(Problem::Wrong {
            what,
            is_certain: by != "length",
        }),
    }
}
