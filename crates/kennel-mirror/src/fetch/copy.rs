//! One object from a folder: read whole, and only if the file stayed the same meanwhile.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Done, Job, Problem,
    body::Body,
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
) -> Result<Done, Problem> {
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
        let mut body = Body::new(job, object.size_bytes)?;
        // One byte more than expected, so that growth is seen.
        let room = usize::try_from(object.size_bytes)
            .unwrap_or(PIECE)
            .saturating_add(1);
        let mut buffer = vec![0; room.min(PIECE)];
        loop {
            let count = match source.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(failed)?,
            };
            if count == 0 {
                break;
            }
            // A file that grows meanwhile is read again; memory is for its old size only.
            if body.size_bytes() + count as u64 > object.size_bytes {
                break;
            }
            body.append(&buffer[..count])?;
            job.tell(SyncEvent::Progress {
                bytes: count as u64,
            });
        }
        let (_, after) = folder::open(root, &object.key).map_err(failed)?;
        if after.etag == object.etag && body.size_bytes() == object.size_bytes {
            let received = Received {
                body,
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
