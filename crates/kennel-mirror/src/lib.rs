//! The gate: the only room that opens connections. It lists a source, plans what to fetch, fetches and
//! verifies, and hands whole objects to the cache.
//!
//! Listings, requests and their verification are ours, over object_store's HTTP client and request
//! signing: an error page in a 200 must never be an empty listing, nor an object. `file://` sources take the
//! same way through plan, fetch and verification.
//!
//! ```no_run
//! # async fn sync(source: kennel_mirror::SourceSettings, settings: kennel_mirror::MirrorSettings) -> Result<(), kennel_mirror::MirrorError> {
//! use futures::TryStreamExt;
//!
//! let remote = kennel_mirror::Remote::open(&source, &settings).await?;
//! let objects: Vec<_> = remote.list("hive/parquet/", None).try_collect().await?;
//! # Ok(()) }
//! ```

mod ahead;
mod credentials;
mod error;
mod events;
mod fetch;
mod folder;
mod listing;
mod plan;
mod remote;
mod source;
mod trail;
mod transport;
mod verify;

pub use credentials::{CredentialsError, Keys};
pub use error::MirrorError;
pub use events::{CancelFlag, SyncEvent, SyncObserver};
pub use fetch::{Content, FetchOutcome, FetchedBytes, ObjectFailure};
pub use listing::RemoteObject;
pub use plan::{PlanOptions, Shrink, SyncPlan, Wanted, plan};
pub use remote::Remote;
pub use source::{MirrorSettings, RetrySettings, SourceSettings, SourceUrl};
pub use trail::{Discovery, TrailFilter, TrailOptions, TrailPlan, TrailPlans, plan_trail};
pub use transport::RequestCounts;
