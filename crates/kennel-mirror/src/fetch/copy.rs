//! Objects from a folder: each read whole, and only if the file stayed the same meanwhile.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{
    Ended, Job, Problem,
    body::Body,
    publish::{Received, publish_here},
};
use crate::{
    RemoteObject, SyncEvent,
    folder::{self, Look},
    verify::Verifier,
};

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

/// Fills a buffer, as far as there is something; how much of it.
fn fill(source: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match source.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The file as it is now, which may be newer than listed, and its bytes.
fn read(
    job: &Job,
    root: &Path,
    mut object: RemoteObject,
    tells: bool,
) -> Result<(RemoteObject, Received), Problem> {
    for _ in 0..=MOST_REPLACEMENTS {
        let (mut source, look) = folder::open(root, &object.key).map_err(failed)?;
        object = folder::object(object.key, look);
        let mut body = Body::new(job, object.size_bytes)?;
        match &mut body {
            Body::Memory(bytes) => {
                let room = object.size_bytes.try_into().unwrap_or(PIECE);
                bytes.resize(room, 0);
                let count = fill(&mut source, bytes).map_err(failed)?;
                bytes.truncate(count);
            }
            Body::File(_) => {
                let mut buffer = vec![0; PIECE];
                // A file that grew meanwhile is seen by its look below.
                while body.size_bytes() < object.size_bytes {
                    let count = fill(&mut source, &mut buffer).map_err(failed)?;
                    if count == 0 {
                        break;
                    }
                    body.append(&buffer[..count])?;
                    if tells {
                        job.tell(SyncEvent::Progress {
                            bytes: count as u64,
                        });
                    }
                }
            }
        }
        // Of the same file: one that took its place meanwhile is another version, which the next sync fetches.
        let after = Look::at(&source).map_err(failed)?;
        if after == look && body.size_bytes() == object.size_bytes {
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
