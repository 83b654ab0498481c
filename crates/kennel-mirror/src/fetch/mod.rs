//! Downloads: each object whole and verified, or not at all.

mod body;
mod copy;
mod download;
mod publish;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use kennel_cache::{CacheError, FetchedObject, Stage};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::debug;

pub use body::{Content, FetchedBytes};

use crate::{
    CancelFlag, MirrorError, RemoteObject, SyncEvent, SyncObserver, remote::Place, transport::chain,
};

/// How long running downloads may go on when no new ones are begun.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Objects of a folder that one task reads, one after another, when they are handed over: threads that wake each other
/// for each file of 2 KB cost more than its reading.
const GROUP_OBJECTS: usize = 64;
/// Their bytes, unless it is one object alone.
const GROUP_BYTES: u64 = 1 << 20;
/// Groups read at a time.
const GROUPS: usize = 4;
/// Objects that fail one after the other, none succeeding between, before going on is pointless.
const HOPELESS: u32 = 10;

/// What fetching came to.
#[derive(Debug, Default)]
pub struct FetchOutcome {
    /// Objects fetched.
    pub fetched: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that could not be fetched, by key.
    pub failures: Vec<ObjectFailure>,
    /// Whether it was asked to stop before the end.
    pub interrupted: bool,
    /// What made going on pointless: the objects that are neither fetched nor failed were not tried.
    pub stopped: Option<MirrorError>,
}

/// An object that could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFailure {
    /// Its key.
    pub key: String,
    /// The version that was asked for.
    pub etag: String,
    /// `fetch`, or `verify` when the bytes came and are wrong.
    pub stage: &'static str,
    /// What happened.
    pub message: String,
    /// Whether it was deleted between listing and download.
    pub vanished: bool,
}

/// Why one object failed.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It was deleted meanwhile.
    Vanished,
    /// The bytes are not what was promised. `is_certain`: they are what the source holds, so that they need
    /// not be fetched again.
    Wrong { what: String, is_certain: bool },
    /// It cannot be fetched as it is.
    Message(String),
    /// The source or the cache refuses.
    Mirror(MirrorError),
}

impl Problem {
    fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong {
            what: what.into(),
            is_certain: false,
        }
    }
}

impl From<MirrorError> for Problem {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        Self::Mirror(error.into())
    }
}

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// Each object is published under its hash.
    Published,
    /// They are handed over.
    HandedOver,
}

/// To whom objects go.
pub(crate) enum Deliver<F> {
    /// Published ones: he is called.
    Call(F),
    /// Bytes: he takes them out of a channel, and as long as it is full no new download is begun.
    Send(mpsc::Sender<Vec<FetchedBytes>>),
}

/// Whether the fetching goes on.
enum Delivered {
    Yes,
    /// Nobody takes them any more.
    Unwanted,
    Failed(MirrorError),
}

impl<F: FnMut(FetchedObject) -> Result<(), CacheError>> Deliver<F> {
    fn keep(&self) -> Keep {
        match self {
            Self::Call(_) => Keep::Published,
            Self::Send(_) => Keep::HandedOver,
        }
    }

    async fn deliver(&mut self, done: Vec<Done>) -> Delivered {
        match self {
            Self::Call(on_done) => {
                for done in done {
                    if let Err(error) = on_done(done.object) {
                        return Delivered::Failed(error.into());
                    }
                }
                Delivered::Yes
            }
            Self::Send(sender) => {
                let bytes = done
                    .into_iter()
                    .map(|Done { object, content }| FetchedBytes {
                        object,
                        content: content.expect("what is handed over has its bytes"),
                    });
                let bytes = bytes.collect::<Vec<_>>();
                if !bytes.is_empty() && sender.send(bytes).await.is_err() {
                    return Delivered::Unwanted;
                }
                Delivered::Yes
            }
        }
    }
}

/// What every download needs.
pub(crate) struct Job {
    place: Place,
    stage: Stage,
    keep: Keep,
    now: fn() -> DateTime<Utc>,
    /// The observer is borrowed, downloads are not: events travel.
    events: mpsc::UnboundedSender<SyncEvent>,
}

impl Job {
    /// Tells the observer; nobody hears what happens after the end.
    fn tell(&self, event: SyncEvent) {
        let _unheard = self.events.send(event);
    }

    async fn run(self: Arc<Self>, objects: Vec<RemoteObject>) -> Vec<Ended> {
        let transport = match &self.place {
            Place::Folder(root) => return copy::copy(&self, root, objects).await,
            Place::S3(transport) => transport,
        };
        let mut ended = Vec::with_capacity(objects.len());
        for object in objects {
            self.tell_begin(&object);
            let result = download::download(&self, transport, &object).await;
            ended.push(Ended {
                object,
                is_told: true,
                result,
            });
        }
        ended
    }

    fn tell_begin(&self, object: &RemoteObject) {
        self.tell(SyncEvent::Fetching {
            key: object.key.clone(),
            size_bytes: object.size_bytes,
        });
    }

    /// How many tasks may run.
    fn task_limit(&self, concurrency: usize) -> usize {
        match self.reads_groups() {
            true => concurrency.clamp(1, GROUPS),
            false => concurrency.clamp(1, 1024),
        }
    }

    fn reads_groups(&self) -> bool {
        matches!(
            (&self.place, self.keep),
            (Place::Folder(_), Keep::HandedOver)
        )
    }

    /// The objects of the next task; none at the end.
    fn next_group(&self, queue: &mut std::vec::IntoIter<RemoteObject>) -> Vec<RemoteObject> {
        let mut group = Vec::from_iter(queue.next());
        if self.reads_groups() {
            let mut bytes = group.first().map_or(0, |object| object.size_bytes);
            while group.len() < GROUP_OBJECTS
                && let Some(next) = queue.as_slice().first()
                && bytes.saturating_add(next.size_bytes) <= GROUP_BYTES
            {
                bytes += next.size_bytes;
                group.extend(queue.next());
            }
        }
        group
    }
}

struct Ended {
    object: RemoteObject,
    /// Whether the observer knows of its beginning and its bytes.
    is_told: bool,
    result: Result<Done, Problem>,
}

/// An object that is whole, and its bytes unless they are published.
struct Done {
    object: FetchedObject,
    content: Option<Content>,
}

/// Where from, where to.
pub(crate) struct Task<'t> {
    pub(crate) place: &'t Place,
    pub(crate) now: fn() -> DateTime<Utc>,
    pub(crate) limits: Limits,
    pub(crate) stage: &'t Stage,
}

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) grace: Duration,
}

pub(crate) async fn fetch(
    task: Task<'_>,
    objects: Vec<RemoteObject>,
    observer: &dyn SyncObserver,
    cancel: &CancelFlag,
    mut deliver: Deliver<impl FnMut(FetchedObject) -> Result<(), CacheError>>,
) -> FetchOutcome {
    let (events, mut told) = mpsc::unbounded_channel();
    let job = Arc::new(Job {
        place: task.place.clone(),
        stage: task.stage.clone(),
        keep: deliver.keep(),
        now: task.now,
        events,
    });
    let mut running = JoinSet::new();
    let mut queue = objects.into_iter();
    let mut course = Course::default();
    let mut deadline = None::<Instant>;
    loop {
        if cancel.is_cancelled() && queue.len() + running.len() > 0 {
            course.outcome.interrupted = true;
        }
        if course.is_ending() && deadline.is_none() {
            deadline = Some(Instant::now() + task.limits.grace);
        }
        while deadline.is_none() && running.len() < job.task_limit(task.limits.concurrency) {
            let group = job.next_group(&mut queue);
            if group.is_empty() {
                break;
            }
            running.spawn(Arc::clone(&job).run(group));
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(event) = told.recv() => observer.event(&event),
            ended = running.join_next() => match ended {
                Some(Ok(ended)) => course.note(ended, observer, &mut deliver).await,
                Some(Err(join)) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
                // Given up after the deadline.
                Some(Err(_)) | None => {}
            },
            () = cancel.cancelled(), if deadline.is_none() => {}
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                debug!(count = running.len(), "gave up on downloads that still ran");
                break;
            }
        }
    }
    running.shutdown().await;
    while let Ok(event) = told.try_recv() {
        observer.event(&event);
    }
    course.outcome.failures.sort_by(|a, b| a.key.cmp(&b.key));
    course.outcome
}

/// How it goes.
#[derive(Default)]
struct Course {
    outcome: FetchOutcome,
    /// Failures since the last success that may be the source's rather than the object's.
    failures_in_a_row: u32,
}

impl Course {
    fn is_ending(&self) -> bool {
        self.outcome.interrupted || self.outcome.stopped.is_some()
    }

    async fn note(
        &mut self,
        ended: Vec<Ended>,
        observer: &dyn SyncObserver,
        deliver: &mut Deliver<impl FnMut(FetchedObject) -> Result<(), CacheError>>,
    ) {
        let mut whole = Vec::with_capacity(ended.len());
        for ended in ended {
            if !ended.is_told {
                observer.event(&SyncEvent::Fetching {
                    key: ended.object.key.clone(),
                    size_bytes: ended.object.size_bytes,
                });
            }
            match ended.result {
                Ok(done) => {
                    let fetched = &done.object;
                    self.failures_in_a_row = 0;
                    self.outcome.fetched += 1;
                    self.outcome.bytes += fetched.size_bytes;
                    if !ended.is_told {
                        let bytes = fetched.size_bytes;
                        observer.event(&SyncEvent::Progress { bytes });
                    }
                    observer.event(&SyncEvent::Fetched {
                        key: fetched.key.clone(),
                        size_bytes: fetched.size_bytes,
                    });
                    whole.push(done);
                }
                Err(problem) => self.note_failure(ended.object, problem, observer),
            }
        }
        match deliver.deliver(whole).await {
            Delivered::Yes => {}
            Delivered::Unwanted => self.outcome.interrupted = true,
            Delivered::Failed(error) => self.stop(error),
        }
    }

    fn note_failure(
        &mut self,
        object: RemoteObject,
        problem: Problem,
        observer: &dyn SyncObserver,
    ) {
        let (stage, message, vanished) = match problem {
            Problem::Vanished => {
                let message = "it was deleted between listing and download".to_owned();
                ("fetch", message, true)
            }
            Problem::Wrong { what, .. } => ("verify", what, false),
            Problem::Message(what) => ("fetch", what, false),
            // What ends the sync is no fault of this object: it was not tried, and the next sync does.
            Problem::Mirror(error) if error.ends_the_sync() => return self.stop(error),
            Problem::Mirror(error) => {
                let message = chain(&error);
                self.failures_in_a_row += 1;
                if self.failures_in_a_row >= HOPELESS {
                    self.stop(error);
                }
                ("fetch", message, false)
            }
        };
        observer.event(&SyncEvent::Failed {
            key: object.key.clone(),
            message: message.clone(),
        });
        self.outcome.failures.push(ObjectFailure {
            key: object.key,
            etag: object.etag,
            stage,
            message,
            vanished,
        });
    }

    /// Keeps the first reason.
    fn stop(&mut self, error: MirrorError) {
        self.outcome.stopped.get_or_insert(error);
    }
}
