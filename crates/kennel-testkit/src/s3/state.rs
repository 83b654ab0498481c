//! What the handles and the connections share.

use super::S3Options;
use super::fault::{ArmedFault, FaultPlan};
use super::log::Log;
use super::signature::Keyring;
use super::store::Store;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) struct State {
    pub(super) options: S3Options,
    pub(super) started: Instant,
    pub(super) inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) keyring: Keyring,
    pub(super) buckets: BTreeMap<String, Store>,
    pub(super) faults: Vec<ArmedFault>,
    pub(super) plan: Option<FaultPlan>,
    pub(super) log: Log,
    pub(super) latency: Duration,
}

impl State {
    /// Never held across a wait; a panic in a test's closure must not hide behind a second one here.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
