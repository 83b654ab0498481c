//! A source, opened: one way to list and fetch, whether it lies on S3 or in a folder.

use std::{path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use kennel_cache::{CacheError, FetchedObject, Stage};
use tokio::sync::mpsc;

use crate::{
    CancelFlag, FetchOutcome, FetchedBytes, Keys, MirrorError, MirrorSettings, RemoteObject,
    RequestCounts, SourceSettings, SourceUrl, SyncObserver,
    credentials::{self, Identity, Resolved},
    fetch::{self, Deliver, GRACE, Limits},
    folder, listing,
    transport::Transport,
};

/// An open source.
#[derive(Debug)]
pub struct Remote {
    place: Place,
    settings: MirrorSettings,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    S3(Arc<Transport>),
    Folder(Arc<Path>),
}

impl Remote {
    /// Finds credentials and prepares connections; opens none yet, but for finding credentials.
    ///
    /// # Errors
    /// [`MirrorError::Offline`], [`MirrorError::Credentials`], [`MirrorError::Client`], and
    /// [`MirrorError::Folder`] when the folder of a `file://` source is not there.
    pub async fn open(
        source: &SourceSettings,
        settings: &MirrorSettings,
    ) -> Result<Self, MirrorError> {
        match &source.url {
            SourceUrl::S3 { bucket, .. } => {
                check_online(source, settings)?;
                let resolved = Box::pin(credentials::resolve(&identity(source))).await?;
                Self::on_s3(bucket, source, settings, resolved)
            }
            SourceUrl::File { root } => Self::on_disk(root, settings),
        }
    }

    /// As [`Remote::open`], with an access key that the caller has by itself: neither the environment nor
    /// `~/.aws` is read. A `file://` source needs none.
    ///
    /// # Errors
    /// As [`Remote::open`].
    pub fn open_with_keys(
        source: &SourceSettings,
        settings: &MirrorSettings,
        keys: Keys,
    ) -> Result<Self, MirrorError> {
        match &source.url {
            SourceUrl::S3 { bucket, .. } => {
                check_online(source, settings)?;
                let resolved = credentials::handed_in(&identity(source), keys)?;
                Self::on_s3(bucket, source, settings, resolved)
            }
            SourceUrl::File { root } => Self::on_disk(root, settings),
        }
    }

    fn on_s3(
        bucket: &str,
        source: &SourceSettings,
        settings: &MirrorSettings,
        resolved: Resolved,
    ) -> Result<Self, MirrorError> {
        let transport = Transport::new(bucket, source, settings, resolved)?;
        Ok(Self {
            place: Place::S3(Arc::new(transport)),
            settings: *settings,
        })
    }

    fn on_disk(root: &Path, settings: &MirrorSettings) -> Result<Self, MirrorError> {
        let real = std::fs::read_dir(root).and_then(|_| root.canonicalize());
        let real = real.map_err(|source| MirrorError::Folder {
            path: root.to_owned(),
            source,
        })?;
        Ok(Self {
            place: Place::Folder(real.into()),
            settings: *settings,
        })
    }

    /// All objects whose keys begin with `prefix`, after `start_after`, ascending by the bytes of their keys.
    ///
    /// Keys are those of the whole bucket, or relative to the folder. A page that is no listing, or contradicts
    /// itself or the page before, is an error; nothing after it can be trusted. The stream reads ahead in a task
    /// of its own, so it is polled in a Tokio runtime.
    pub fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> impl Stream<Item = Result<RemoteObject, MirrorError>> + Send + use<> {
        match &self.place {
            Place::S3(transport) => {
                listing::list(Arc::clone(transport), prefix, start_after).left_stream()
            }
            Place::Folder(root) => folder::list(root, prefix, start_after).right_stream(),
        }
    }

    /// The folders directly below `prefix`, each with what is before it and with its slash, ascending.
    ///
    /// # Errors
    /// As [`Remote::list`].
    pub async fn list_folders(&self, prefix: &str) -> Result<Vec<String>, MirrorError> {
        match &self.place {
            Place::S3(transport) => listing::list_folders(Arc::clone(transport), prefix).await,
            Place::Folder(root) => folder::list_folders(root, prefix),
        }
    }

    /// Fetches, verifies and publishes objects, several at a time.
    ///
    /// `on_done` gets each object whose bytes are whole and published, in the order in which they end. One bad object
    /// does not end the rest; what does (no credentials any more, a full disk, a source that refuses everything) is
    /// [`FetchOutcome::stopped`]. Then, and after `cancel`, no new download is begun, and those that run have five
    /// seconds.
    pub async fn fetch(
        &self,
        objects: Vec<RemoteObject>,
        stage: &Stage,
        observer: &dyn SyncObserver,
        cancel: &CancelFlag,
        on_done: impl FnMut(FetchedObject) -> Result<(), CacheError>,
    ) -> FetchOutcome {
        let task = self.task(stage);
        fetch::fetch(task, objects, observer, cancel, Deliver::Call(on_done)).await
    }

    /// Fetches and verifies objects as [`Remote::fetch`] does, but hands their bytes over instead of
    /// publishing each: for tiny ones, which go into packs.
    ///
    /// What is whole goes into `takers`, in the order in which it ends: objects of a bucket one by one, those of a
    /// folder in groups of at most a MiB. While that channel is full no new download is begun, so that memory holds no
    /// more than its capacity and the downloads that run; when its other end is dropped, the fetching ends as if it
    /// had been cancelled. Objects that are counted as fetched were sent, unless that happened.
    ///
    /// The shape of the bytes is not looked at: whoever takes them reads them.
    pub async fn fetch_bytes(
        &self,
        objects: Vec<RemoteObject>,
        stage: &Stage,
        observer: &dyn SyncObserver,
        cancel: &CancelFlag,
        takers: mpsc::Sender<Vec<FetchedBytes>>,
    ) -> FetchOutcome {
        type Nobody = fn(FetchedObject) -> Result<(), CacheError>;
        let deliver = Deliver::<Nobody>::Send(takers);
        fetch::fetch(self.task(stage), objects, observer, cancel, deliver).await
    }

    fn task<'t>(&'t self, stage: &'t Stage) -> fetch::Task<'t> {
        fetch::Task {
            place: &self.place,
            now: self.settings.now,
            limits: Limits {
                concurrency: self.settings.concurrency,
                grace: GRACE,
            },
            stage,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.settings.now)()
    }

    /// Requests made so far; none for a folder.
    pub fn requests(&self) -> RequestCounts {
        match &self.place {
            Place::S3(transport) => transport.counters.snapshot(),
            Place::Folder(_) => RequestCounts::default(),
        }
    }
}

fn check_online(source: &SourceSettings, settings: &MirrorSettings) -> Result<(), MirrorError> {
    if settings.offline {
        return Err(MirrorError::Offline {
            place: source.url.to_string(),
        });
    }
    Ok(())
}

fn identity(source: &SourceSettings) -> Identity {
    Identity {
        profile: source.profile.clone(),
        region: source.region.clone(),
        role_arn: source.role_arn.clone(),
        external_id: source.external_id.clone(),
        ca_bundle: source.ca_bundle.clone(),
        endpoint_url: source.endpoint_url.clone(),
    }
}
