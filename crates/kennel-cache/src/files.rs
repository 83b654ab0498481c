//! Private files and folders, and directories made durable.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    path::Path,
};

use crate::CacheError;

/// Wraps an [`io::Error`] with what was tried on which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    move |source| CacheError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Creates a folder (and its parents) that only its owner can enter; an existing one is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), CacheError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error("create", path))
}

/// Options for a new file that only its owner can read, and that refuses to follow or reuse anything.
pub(crate) fn new_private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a small private file whole: beside the target, synced, then renamed over it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    use io::Write;
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(parent)
        .map_err(io_error("create a file in", parent))?;
    file.write_all(bytes).map_err(io_error("write", path))?;
    file.as_file().sync_all().map_err(io_error("sync", path))?;
    file.persist(path)
        .map_err(|e| io_error("rename to", path)(e.error))?;
    sync_dir(parent)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), CacheError> {
    if cfg!(windows) {
        return Ok(()); // a folder cannot be opened for syncing there
    }
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("sync", path))
}

/// Removes a file; one that is not there is as good.
pub(crate) fn remove_file(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(e)),
        _ => Ok(()),
    }
}
