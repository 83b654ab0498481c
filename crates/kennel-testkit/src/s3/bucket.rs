//! A test's handle on one bucket.

use super::state::State;
use super::store::{Generated, ObjectOptions, Store};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

/// A bucket of the server. Handles are cheap to clone, and changes are seen by the next request.
#[derive(Clone)]
pub struct Bucket {
    pub(super) state: Arc<State>,
    pub(super) name: String,
}

impl Bucket {
    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bucket as a source URL, `s3://name`.
    pub fn url(&self) -> String {
        format!("s3://{}", self.name)
    }

    /// Stores an object as an upload of today would be.
    pub fn put(&self, key: &str, body: impl Into<Bytes>) {
        self.put_with(key, body, ObjectOptions::default());
    }

    /// Stores an object.
    pub fn put_with(&self, key: &str, body: impl Into<Bytes>, options: ObjectOptions) {
        let (now, body) = ((self.state.options.now)(), body.into());
        self.change(|store| store.put(key, body, options, now));
    }

    /// Stores another body under a key that is there; its options stay, but ETag, time and version follow the body.
    ///
    /// # Panics
    /// When there is no such key.
    pub fn replace(&self, key: &str, body: impl Into<Bytes>) {
        assert!(self.try_replace(key, body), "no object `{key}` to replace");
    }

    pub(super) fn try_replace(&self, key: &str, body: impl Into<Bytes>) -> bool {
        let Some(old) = self.with(|store| store.get(key)) else {
            return false;
        };
        let mut options = old.options.clone();
        (options.etag, options.modified_at, options.version_id) = (None, None, None);
        self.put_with(key, body, options);
        true
    }

    /// Stores another body of the same length, as k9 does overnight.
    ///
    /// # Panics
    /// When there is no such key, or the lengths differ: then the test is not about what it says.
    pub fn overwrite_same_size(&self, key: &str, body: impl Into<Bytes>) {
        let body = body.into();
        let known = self.body(key).map(|body| body.len());
        assert_eq!(
            known,
            Some(body.len()),
            "`{key}` was to be overwritten with the same size"
        );
        self.replace(key, body);
    }

    /// Removes an object; nothing happens when it is not there.
    pub fn delete(&self, key: &str) {
        self.change(|store| store.delete(key));
    }

    /// The bytes of an object.
    pub fn body(&self, key: &str) -> Option<Bytes> {
        self.with(|store| store.get(key))
            .map(|object| object.body.clone())
    }

    /// The ETag of an object, without quotes.
    pub fn etag(&self, key: &str) -> Option<String> {
        self.with(|store| store.get(key))
            .map(|object| object.etag.clone())
    }

    /// All keys, ascending by their bytes.
    pub fn keys(&self) -> Vec<String> {
        self.with(|store| {
            store
                .iter_from(Bound::Unbounded)
                .map(|(key, _)| key)
                .collect()
        })
    }

    /// Moves the bucket into another region than the server's: asked there, it answers with a redirect.
    pub fn set_region(&self, region: &str) {
        self.change(|store| store.region = Some(region.to_owned()));
    }

    /// Refuses requests that do not offer to pay.
    pub fn set_requester_pays(&self, is_requester_pays: bool) {
        self.change(|store| store.is_requester_pays = is_requester_pays);
    }

    /// Puts generated objects under what is stored.
    pub fn generate(&self, generated: Generated) {
        self.change(|store| store.generated = Some(generated));
    }

    /// Stores every file below a folder under its path relative to it, with slashes.
    ///
    /// # Errors
    /// When the folder cannot be read.
    ///
    /// # Panics
    /// When a file's name is not UTF-8.
    pub fn put_folder(&self, folder: &Path) -> io::Result<()> {
        let mut waiting = VecDeque::from([(folder.to_path_buf(), String::new())]);
        while let Some((path, prefix)) = waiting.pop_front() {
            for entry in std::fs::read_dir(&path)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.unwrap_or_else(|| panic!("{} is not UTF-8", path.display()));
                let key = format!("{prefix}{name}");
                if path.is_dir() {
                    waiting.push_back((path, key + "/"));
                } else {
                    self.put(&key, std::fs::read(&path)?);
                }
            }
        }
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Store)) {
        change(
            self.state
                .lock()
                .buckets
                .entry(self.name.clone())
                .or_default(),
        );
    }

    fn with<T: Default>(&self, look: impl FnOnce(&Store) -> T) -> T {
        self.state
            .lock()
            .buckets
            .get(&self.name)
            .map(look)
            .unwrap_or_default()
    }
}
