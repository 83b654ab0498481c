//! What to fetch: a merge of the listing with what the cache knows.

use std::{cell::Cell, collections::HashMap, fmt, pin::pin};

use futures::{Stream, StreamExt};
use kennel_cache::{CacheError, FetchedObject, KnownObject};

use crate::{MirrorError, RemoteObject, SyncEvent, SyncObserver};

/// Known keys below which a shrinking listing is not doubted.
const FEW: u64 = 20;
/// Objects between two events while listing.
pub(crate) const EVENT_EVERY: u64 = 1_000;

/// Whether an object is to be mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    Yes,
    /// It is none of the objects that kennel mirrors.
    LeftAlone,
    /// Flags leave it out of this sync; it stays as it is.
    Filtered,
}

/// How to plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanOptions {
    /// Take nothing over from an interrupted sync: what it had fetched is fetched again.
    pub full: bool,
    /// Believe a listing in which many known keys are gone.
    pub allow_shrink: bool,
    /// What is not listed is not missing: lifecycle rules take dated objects away.
    pub may_expire: bool,
}

/// A listing that lacks too many of the known keys to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shrink {
    /// Keys known.
    pub known: u64,
    /// Known keys that are not listed.
    pub vanished: u64,
}

impl fmt::Display for Shrink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} known objects are not listed any more; this is not believed, nothing was marked as missing",
            self.vanished, self.known
        )
    }
}

/// What a sync will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// New and changed objects, by key.
    pub fetch: Vec<RemoteObject>,
    /// Keys of `fetch` that are known with another ETag, version or size.
    pub changed: Vec<String>,
    /// Keys whose bytes an interrupted sync has fetched already.
    pub adopt: Vec<String>,
    /// Unchanged objects whose `LastModified` moved.
    pub refresh: Vec<RemoteObject>,
    /// Keys marked missing that are listed again, unchanged.
    pub reappeared: Vec<String>,
    /// Known keys that are no longer listed. Nothing is deleted.
    pub missing: Vec<String>,
    /// Keys in an archive class, which cannot be read before they are restored.
    pub archived: Vec<String>,
    /// Objects that are unchanged.
    pub keep_count: u64,
    /// Objects that are not kennel's.
    pub left_alone_count: u64,
    /// Objects that flags left out.
    pub filtered_count: u64,
    /// Bytes of `fetch`.
    pub fetch_bytes: u64,
    /// Keys of `fetch` that are no plain path (`//`, control characters, `..`): mirrored under their hash
    /// all the same, but for `.` and `..`, which HTTP clients take for themselves.
    pub odd_keys: Vec<String>,
    /// Objects listed.
    pub listed_count: u64,
    /// Set when the listing lacks too much: `missing` is then empty.
    pub shrink_refused: Option<Shrink>,
}

/// Decides by comparing a listing with what the cache knows.
///
/// An object is fetched when its key is new, or its ETag, version or size differs; equal size and time prove nothing.
/// Both sides must ascend by key; memory grows with the changes, not with the objects. Absence deletes nothing: a known
/// key that is not listed is marked as missing, if it is wanted. When no wanted key is listed any more, or more than
/// a fifth of at least twenty known ones are gone, nothing is marked.
///
/// # Errors
/// The listing's or the cache's, or [`MirrorError::Listing`] for keys out of order.
///
/// Source: k9 docs, "AWS Athena Integration": the key of a `latest` report carries no date, so each delivery replaces it.
pub async fn plan(
    listing: impl Stream<Item = Result<RemoteObject, MirrorError>>,
    known: impl Iterator<Item = Result<KnownObject, CacheError>>,
    pending: &HashMap<String, FetchedObject>,
    wanted: &dyn Fn(&RemoteObject) -> Wanted,
    options: PlanOptions,
    observer: &dyn SyncObserver,
) -> Result<SyncPlan, MirrorError> {
    let listed_count = Cell::new(0_u64);
    let on_listed = || {
        let listed = listed_count.get() + 1;
        listed_count.set(listed);
        if listed.is_multiple_of(EVENT_EVERY) {
            observer.event(&SyncEvent::Listing { listed });
        }
    };
    let how = Comparison {
        pending,
        wanted,
        options,
        marks_missing: !options.may_expire,
        on_listed: &on_listed,
    };
    let plan = compare(listing, known, how).await?;
    observer.event(&SyncEvent::Planned {
        fetch_count: plan.fetch.len() as u64,
        fetch_bytes: plan.fetch_bytes,
    });
    Ok(plan)
}

/// How to compare.
pub(crate) struct Comparison<'a> {
    pub(crate) pending: &'a HashMap<String, FetchedObject>,
    pub(crate) wanted: &'a dyn Fn(&RemoteObject) -> Wanted,
    pub(crate) options: PlanOptions,
    /// Whether a known key that is not listed is missing. If not, the known keys after the last listed one
    /// are not even read.
    pub(crate) marks_missing: bool,
    /// Called for each object listed.
    pub(crate) on_listed: &'a dyn Fn(),
}

/// The merge of [`plan`], without its events.
pub(crate) async fn compare(
    listing: impl Stream<Item = Result<RemoteObject, MirrorError>>,
    known: impl Iterator<Item = Result<KnownObject, CacheError>>,
    how: Comparison<'_>,
) -> Result<SyncPlan, MirrorError> {
    let mut listing = pin!(listing);
    let mut merge = Merge {
        known: known.peekable(),
        plan: SyncPlan::default(),
        known_count: 0,
        wanted_count: 0,
        how,
    };
    let mut last = String::new();
    while let Some(object) = listing.next().await {
        let object = object?;
        if merge.plan.listed_count > 0 && object.key <= last {
            return Err(out_of_order("the source", &object.key));
        }
        object.key.clone_into(&mut last);
        merge.plan.listed_count += 1;
        (merge.how.on_listed)();
        merge.take(object)?;
    }
    merge.finish()
}

fn out_of_order(place: &str, key: &str) -> MirrorError {
    MirrorError::Listing {
        place: place.into(),
        what: format!(
            "key `{}` is out of order or listed twice",
            key.escape_debug()
        ),
    }
}

struct Merge<'a, K: Iterator<Item = Result<KnownObject, CacheError>>> {
    known: std::iter::Peekable<K>,
    plan: SyncPlan,
    /// Known keys that are wanted and were there at the last sync.
    known_count: u64,
    /// Listed keys that are wanted.
    wanted_count: u64,
    how: Comparison<'a>,
}

impl<K: Iterator<Item = Result<KnownObject, CacheError>>> Merge<'_, K> {
    fn take(&mut self, object: RemoteObject) -> Result<(), MirrorError> {
        let known = self.catch_up(&object.key)?;
        match (self.how.wanted)(&object) {
            Wanted::LeftAlone => self.plan.left_alone_count += 1,
            Wanted::Filtered => self.plan.filtered_count += 1,
            Wanted::Yes => {
                self.wanted_count += 1;
                let is_current = |known: &KnownObject| known.missing_since.is_none();
                self.known_count += u64::from(known.as_ref().is_some_and(is_current));
                self.decide(object, known);
            }
        }
        Ok(())
    }

    /// Passes known keys before `key`, which are not listed; returns the known object of `key` itself.
    fn catch_up(&mut self, key: &str) -> Result<Option<KnownObject>, MirrorError> {
        // An error of the manifest is due at once.
        let is_due = |known: &Result<KnownObject, CacheError>| {
            known
                .as_ref()
                .map_or(true, |known| known.key.as_str() <= key)
        };
        while let Some(known) = self.known.next_if(is_due).transpose()? {
            if known.key == key {
                return Ok(Some(known));
            }
            self.lacks(known);
        }
        Ok(None)
    }

    /// A known key is not listed: it is missing, if this sync looks at it and it was not missing before.
    fn lacks(&mut self, known: KnownObject) {
        if known.missing_since.is_some() || !self.how.marks_missing {
            return;
        }
        let object = RemoteObject {
            key: known.key,
            size_bytes: known.size_bytes,
            etag: known.etag,
            modified_at: known.modified_at,
            storage_class: None,
            is_restored: false,
            version_id: known.version_id,
        };
        if (self.how.wanted)(&object) == Wanted::Yes {
            self.known_count += 1;
            self.plan.missing.push(object.key);
        }
    }

    fn decide(&mut self, object: RemoteObject, known: Option<KnownObject>) {
        let is_known = known.is_some();
        if let Some(known) = known.filter(|known| is_same(known, &object)) {
            self.plan.keep_count += 1;
            if known.missing_since.is_some() {
                self.plan.reappeared.push(object.key.clone());
            }
            if known.modified_at != object.modified_at {
                self.plan.refresh.push(object);
            }
            return;
        }
        let is_here = |pending: &FetchedObject| {
            pending.etag == object.etag && pending.size_bytes == object.size_bytes
        };
        if !self.how.options.full && self.how.pending.get(&object.key).is_some_and(is_here) {
            self.plan.adopt.push(object.key);
        } else if is_archived(&object) {
            self.plan.archived.push(object.key);
        } else {
            if is_odd(&object.key) {
                self.plan.odd_keys.push(object.key.clone());
            }
            if is_known {
                self.plan.changed.push(object.key.clone());
            }
            self.plan.fetch_bytes += object.size_bytes;
            self.plan.fetch.push(object);
        }
    }

    fn finish(mut self) -> Result<SyncPlan, MirrorError> {
        while self.how.marks_missing
            && let Some(known) = self.known.next().transpose()?
        {
            self.lacks(known);
        }
        let vanished = self.plan.missing.len() as u64;
        let nothing_is_left = vanished > 0 && self.wanted_count == 0;
        let much_is_gone = self.known_count >= FEW && vanished * 5 > self.known_count;
        if (nothing_is_left || much_is_gone) && !self.how.options.allow_shrink {
            self.plan.missing = Vec::new();
            self.plan.shrink_refused = Some(Shrink {
                known: self.known_count,
                vanished,
            });
        }
        Ok(self.plan)
    }
}

/// The ETag or the version tells. Equal size and date prove nothing, yet another size proves a change.
fn is_same(known: &KnownObject, object: &RemoteObject) -> bool {
    let versions = known.version_id.as_ref().zip(object.version_id.as_ref());
    known.etag == object.etag
        && known.size_bytes == object.size_bytes
        && versions.is_none_or(|(known, listed)| known == listed)
}

fn is_archived(object: &RemoteObject) -> bool {
    matches!(
        object.storage_class.as_deref(),
        Some("GLACIER" | "DEEP_ARCHIVE")
    ) && !object.is_restored
}

/// Whether a key is more than a plain path.
fn is_odd(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "" | "." | ".."))
        || key.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests;
