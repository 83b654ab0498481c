//! What a sync tells while it works, and how it is told to stop.

use tokio::sync::watch;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncEvent {
    /// So many objects are listed by now.
    Listing {
        /// Objects.
        listed: u64,
    },
    /// The plan is made.
    Planned {
        /// Objects to fetch.
        fetch_count: u64,
        /// Their bytes.
        fetch_bytes: u64,
    },
    /// A download begins.
    Fetching {
        /// The key.
        key: String,
        /// Its size.
        size_bytes: u64,
    },
    /// Bytes arrived.
    Progress {
        /// How many.
        bytes: u64,
    },
    /// An object is whole, verified and in the cache.
    Fetched {
        /// The key.
        key: String,
        /// Its size.
        size_bytes: u64,
    },
    /// A request or download is tried again.
    Retrying {
        /// The key, or the prefix of a listing.
        key: String,
        /// Which attempt comes.
        attempt: u32,
        /// What went wrong.
        reason: String,
    },
    /// An object could not be fetched.
    Failed {
        /// The key.
        key: String,
        /// Why.
        message: String,
    },
}

/// Hears what happens.
pub trait SyncObserver: Send + Sync {
    /// Called in the order of events; must not block.
    fn event(&self, event: &SyncEvent);
}

/// Asks a sync to stop; cheap to clone.
#[derive(Debug, Clone)]
pub struct CancelFlag {
    sender: watch::Sender<bool>,
}

impl Default for CancelFlag {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(false),
        }
    }
}

impl CancelFlag {
    /// Asks to stop. What is running may end.
    pub fn cancel(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until it is asked to stop.
    pub async fn cancelled(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self
            .sender
            .subscribe()
            .wait_for(|cancelled| *cancelled)
            .await;
    }
}
