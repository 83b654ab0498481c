//! One object from a folder: read whole, and only if the file stayed the same meanwhile.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use kennel_cache::{CacheError, FetchedObject};

use super::{
    Job, Problem,
    publish::{Received, publish},
};
use crate::{RemoteObject, SyncEvent, folder, verify::Verifier};

/// Times that a file is read again because it changed meanwhile.
const MOST_REPLACEMENTS: u32 = 3;
/// Bytes read at once.
const PIECE: usize = 128 * 1024;

pub(super) async fn copy(
    job: &Arc<Job>,
    root: &Arc<Path>,
    listed: &RemoteObject,
) -> Result<FetchedObject, Problem> {
    let (here, root, listed) = (Arc::clone(job), PathBuf::from(&**root), listed.clone());
    let work = tokio::task::spawn_blocking(move || read(&here, &root, listed));
    let (object, received) = match work.await {
        Ok(read) => read?,
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    };
    publish(job, &object, received).await
}

fn failed(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => Problem::Vanished,
        _ => Problem::Message(error.to_string()),
    }
}

/// The file as it is now, which may be newer than listed, and its bytes.
fn read(
    job: &Job,
    root: &Path,
    mut object: RemoteObject,
) -> Result<(RemoteObject, Received), Problem> {
    for _ in 0..=MOST_REPLACEMENTS {
        let (mut source, now) = folder::open(root, &object.key).map_err(failed)?;
        object = now;
        let mut file = job.stage.create()?;
        let mut buffer = vec![0; PIECE];
        loop {
            let count = match source.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(failed)?,
            };
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count])
                .map_err(|source| CacheError::Io {
                    action: "write",
                    path: file.path().to_owned(),
                    source,
                })?;
            job.tell(SyncEvent::Progress {
                bytes: count as u64,
            });
        }
        let (_, after) = folder::open(root, &object.key).map_err(failed)?;
        if after.etag == object.etag && file.size_bytes() == object.size_bytes {
            let received = Received {
                file,
                verifier: Verifier::of_nothing(),
                metadata: BTreeMap::new(),
                version_id: None,
            };
            return Ok((object, received));
        }
    }
    Err(Problem::Message(
        "it changes faster than it can be read; the next sync tries again".into(),
    ))
}
