//! How often the server was asked for what.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;

/// Requests made so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct RequestCounts {
    /// LIST requests.
    pub list: u64,
    /// GET requests for objects.
    pub get: u64,
    /// HEAD requests.
    pub head: u64,
    /// Attempts that were not the first.
    pub retries: u64,
    /// Bytes of objects and listings received.
    pub bytes_in: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    list: AtomicU64,
    get: AtomicU64,
    head: AtomicU64,
    retries: AtomicU64,
    bytes_in: AtomicU64,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> RequestCounts {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestCounts {
            list: value(&self.list),
            get: value(&self.get),
            head: value(&self.head),
            retries: value(&self.retries),
            bytes_in: value(&self.bytes_in),
        }
    }

    /// Counts a request; one without a key is a listing.
    pub(super) fn request(&self, method: &Method, key: &str) {
        let counter = match (method, key.is_empty()) {
            (&Method::HEAD, _) => &self.head,
            (_, true) => &self.list,
            (_, false) => &self.get,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self, count: usize) {
        self.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
    }
}
