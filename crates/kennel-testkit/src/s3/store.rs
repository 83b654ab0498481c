//! Buckets in memory: objects that were put, and objects made by functions so that a million of them cost nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use md5::Md5;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How an object is encrypted at rest, as its headers say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// `AES256`, S3's default; the ETag is the MD5 of the body.
    #[default]
    Aes256,
    /// `aws:kms` with the key's ARN; the ETag is not an MD5 of the body.
    Kms(String),
    /// No header, as other servers answer.
    Unsaid,
}

/// The checksum (of the full object) that answers carry when a client asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None, as for uploads before December 2024.
    None,
    /// CRC64NVME, which S3 adds by itself since then.
    #[default]
    Crc64Nvme,
    /// SHA-256.
    Sha256,
}

/// What an object is besides its bytes. The default is a plain upload of today.
#[derive(Clone, Debug, Default)]
pub struct ObjectOptions {
    /// The ETag, without quotes; absent: computed as S3 would.
    pub etag: Option<String>,
    /// The storage class; absent: `STANDARD`.
    pub storage_class: Option<String>,
    /// An archived object of which a readable copy was restored.
    pub restored: bool,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// The stored checksum.
    pub checksum: Checksum,
    /// Seconds count; absent: the server's clock, and later than the version before.
    pub modified_at: Option<DateTime<Utc>>,
    /// `x-amz-version-id`, of a versioned bucket.
    pub version_id: Option<String>,
    /// `Content-Encoding`; CloudTrail's objects say `gzip`.
    pub content_encoding: Option<String>,
    /// Uploaded in parts of this many bytes: the ETag gets `-N`, and `partNumber` is answered.
    pub part_size_bytes: Option<usize>,
}

/// One stored object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) etag: String,
    pub(super) modified_at: DateTime<Utc>,
    pub(super) options: ObjectOptions,
}

impl Object {
    pub(super) fn new(body: Bytes, options: ObjectOptions, now: DateTime<Utc>) -> Self {
        let etag = options
            .etag
            .clone()
            .unwrap_or_else(|| etag_of(&body, &options));
        let modified_at = options.modified_at.unwrap_or(now).trunc_subsecs(0);
        Self {
            body,
            etag,
            modified_at,
            options,
        }
    }

    pub(super) fn storage_class(&self) -> &str {
        self.options.storage_class.as_deref().unwrap_or("STANDARD")
    }

    pub(super) fn is_archived(&self) -> bool {
        matches!(self.storage_class(), "GLACIER" | "DEEP_ARCHIVE") && !self.options.restored
    }

    /// Header and base64 value of the stored checksum.
    pub(super) fn checksum(&self) -> Option<(&'static str, String)> {
        match self.options.checksum {
            Checksum::None => None,
            Checksum::Crc64Nvme => {
                let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &self.body);
                Some(("x-amz-checksum-crc64nvme", BASE64.encode(crc.to_be_bytes())))
            }
            Checksum::Sha256 => Some((
                "x-amz-checksum-sha256",
                BASE64.encode(Sha256::digest(&self.body)),
            )),
        }
    }
}

fn etag_of(body: &[u8], options: &ObjectOptions) -> String {
    if matches!(options.encryption, Encryption::Kms(_)) {
        let mut md5 = Md5::new_with_prefix("encrypted with a key of the customer");
        md5.update(body);
        return hex::encode(md5.finalize());
    }
    let Some(part_size_bytes) = options.part_size_bytes else {
        return hex::encode(Md5::digest(body));
    };
    let parts: Vec<&[u8]> = body.chunks(part_size_bytes).collect();
    let digests: Vec<u8> = parts
        .iter()
        .flat_map(|part| Md5::digest(part).to_vec())
        .collect();
    format!("{}-{}", hex::encode(Md5::digest(digests)), parts.len())
}

/// Objects made on demand: nothing is stored, so a bucket of a million keys costs no memory.
#[derive(Clone)]
pub struct Generated {
    /// How many objects there are.
    pub count: u64,
    /// The key of object n; ascending in n, in byte order.
    pub key: Arc<dyn Fn(u64) -> String + Send + Sync>,
    /// The body of object n; listings call it as well, for size and ETag.
    pub body: Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
    /// When all of them were last modified.
    pub modified_at: DateTime<Utc>,
}

impl Generated {
    fn object(&self, n: u64) -> Object {
        Object::new(
            (self.body)(n).into(),
            ObjectOptions::default(),
            self.modified_at,
        )
    }

    /// The first n whose key is not before the bound.
    fn first(&self, bound: Bound<&str>) -> u64 {
        let is_before = |key: &str| match bound {
            Bound::Included(bound) => key < bound,
            Bound::Excluded(bound) => key <= bound,
            Bound::Unbounded => false,
        };
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(&(self.key)(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// One bucket. What was put or deleted lies over what is generated.
#[derive(Default)]
pub(super) struct Store {
    pub(super) region: Option<String>,
    pub(super) is_requester_pays: bool,
    pub(super) generated: Option<Generated>,
    objects: BTreeMap<String, Option<Arc<Object>>>,
}

impl Store {
    pub(super) fn put(
        &mut self,
        key: &str,
        body: Bytes,
        options: ObjectOptions,
        now: DateTime<Utc>,
    ) {
        let earliest = self.get(key).map_or(now, |old| {
            now.max(old.modified_at + chrono::TimeDelta::seconds(1))
        });
        self.objects.insert(
            key.to_owned(),
            Some(Arc::new(Object::new(body, options, earliest))),
        );
    }

    pub(super) fn delete(&mut self, key: &str) {
        if self.generated.is_some() {
            self.objects.insert(key.to_owned(), None);
        } else {
            self.objects.remove(key);
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Object>> {
        if let Some(slot) = self.objects.get(key) {
            return slot.clone();
        }
        let generated = self.generated.as_ref()?;
        let n = generated.first(Bound::Included(key));
        (n < generated.count && (generated.key)(n) == key).then(|| Arc::new(generated.object(n)))
    }

    /// All objects from a bound on, ascending by the bytes of their keys.
    pub(super) fn iter_from<'a>(
        &'a self,
        bound: Bound<&str>,
    ) -> impl Iterator<Item = (String, Arc<Object>)> + 'a {
        let mut stored = self
            .objects
            .range::<str, _>((bound, Bound::Unbounded))
            .peekable();
        let generated = self.generated.as_ref();
        let numbers = generated.map_or(0..0, |all| all.first(bound)..all.count);
        let mut made = numbers
            .filter_map(move |n| generated.map(|all| (n, (all.key)(n))))
            .peekable();
        std::iter::from_fn(move || {
            loop {
                let stored_key = stored.peek().map(|(key, _)| key.as_str());
                let made_key = made.peek().map(|(_, key)| key.as_str());
                let is_hidden = stored_key.is_some() && stored_key == made_key;
                let is_made = match (stored_key, made_key) {
                    (_, None) => false,
                    (None, Some(_)) => true,
                    (Some(stored_key), Some(made_key)) => made_key < stored_key,
                };
                if is_made {
                    let (n, key) = made.next()?;
                    return Some((key, Arc::new(generated?.object(n))));
                }
                if is_hidden {
                    made.next();
                }
                let (key, slot) = stored.next()?;
                if let Some(object) = slot {
                    return Some((key.clone(), Arc::clone(object)));
                }
            }
        })
    }
}
