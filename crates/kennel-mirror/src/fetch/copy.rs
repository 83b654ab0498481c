//! Objects from a folder: each read whole, and only if the file stayed the same meanwhile.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{
    Ended, Job, Problem,
    body::Body,
    publish::{Received, publish_here},
};
use crate::{RemoteObject, SyncEvent, folder, verify::Verifier};

/// Times that a file is read again because it changed meanwhile.
const MOST_REPLACEMENTS: u32 = 3;
/// Bytes read at once.
const PIECE: usize = 128 * 1024;

/// Reads objects one after another, in a thread where waiting for the disk holds up nobody.
pub(super) async fn copy(
    job: &Arc<Job>,
    root: &Arc<Path>,
    objects: Vec<RemoteObject>,
) -> Vec<Ended> {
    let (here, root) = (Arc::clone(job), Arc::clone(root));
    let work = tokio::task::spawn_blocking(move || {
        let one = |object: RemoteObject| {
            // Of small ones the observer hears when the group has ended.
            let is_told = !Body::is_in_memory(&here, object.size_bytes);
            if is_told {
                here.tell_begin(&object);
            }
            let read = read(&here, &root, object.clone(), is_told);
            let result = read.and_then(|(now, received)| publish_here(&here, &now, received));
            Ended {
                object,
                is_told,
                result,
            }
        };
        objects.into_iter().map(one).collect()
    });
    match work.await {
        Ok(ended) => ended,
        Err(join) => std::panic::resume_unwind(join.into_panic()),
    }
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
    tells: bool,
) -> Result<(RemoteObject, Received), Problem> {
    for _ in 0..=MOST_REPLACEMENTS {
        let (mut source, now) = folder::open(root, &object.key).map_err(failed)?;
        object = now;
        let mut body = Body::new(job, object.size_bytes)?;
        let room = usize::try_from(object.size_bytes).unwrap_or(PIECE);
        let mut buffer = vec![0; room.clamp(1, PIECE)];
        // A file that grew meanwhile is seen by its size below.
        while body.size_bytes() < object.size_bytes {
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
            if tells {
                job.tell(SyncEvent::Progress {
                    bytes: count as u64,
                });
            }
        }
        // Of the same file: one that took its place meanwhile is another version, which the next sync fetches.
        let after = folder::describe(&source, &object.key).map_err(failed)?;
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
