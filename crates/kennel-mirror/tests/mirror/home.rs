//! A cache, a server, and one sync of the mirror's part: list, plan, fetch, commit.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{collections::HashMap, sync::Mutex, time::Duration};

use chrono::{DateTime, Utc};
use kennel_cache::{Cache, CacheWriter, SourceKind, SourceName, SyncCommit};
use kennel_mirror::{
    CancelFlag, FetchOutcome, Keys, MirrorError, MirrorSettings, PlanOptions, Remote,
    RetrySettings, SourceSettings, SyncEvent, SyncObserver, SyncPlan, Wanted, plan,
};
use kennel_testkit::s3::{Bucket, S3Options, S3Server};

#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed with the real time"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Hears and keeps everything.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Mutex<Vec<SyncEvent>>);

impl SyncObserver for Recorder {
    fn event(&self, event: &SyncEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Recorder {
    pub(crate) fn retries(&self) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches!(event, SyncEvent::Retrying { .. }))
            .count()
    }
}

pub(crate) struct TestMirror {
    pub(crate) server: S3Server,
    pub(crate) bucket: Bucket,
    folder: tempfile::TempDir,
    pub(crate) source: SourceSettings,
    pub(crate) settings: MirrorSettings,
    pub(crate) keys: Keys,
    pub(crate) recorder: Recorder,
}

/// What one sync came to.
pub(crate) struct Synced {
    pub(crate) plan: SyncPlan,
    pub(crate) outcome: FetchOutcome,
}

impl TestMirror {
    pub(crate) fn new() -> Self {
        Self::with(S3Options::default())
    }

    pub(crate) fn with(options: S3Options) -> Self {
        // A second install is refused, and the first serves all tests.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let keys = Keys {
            access_key_id: options.access_key_id.clone(),
            secret_access_key: options.secret_access_key.clone(),
            session_token: options.session_token.clone(),
        };
        let server = S3Server::start(options);
        let bucket = server.bucket("inbox");
        let source = SourceSettings {
            name: SourceName::try_new("k9").unwrap(),
            url: server.url("inbox").parse().unwrap(),
            region: Some(server.options().region.clone()),
            profile: None,
            role_arn: None,
            external_id: None,
            endpoint_url: Some(server.endpoint_url()),
            request_payer: false,
            ca_bundle: None,
            path_style: None,
        };
        let retry = RetrySettings {
            max_attempts: 4,
            backoff_initial: Duration::from_millis(1),
            backoff_max: Duration::from_millis(5),
            read_timeout: Duration::from_millis(400),
            connect_timeout: Duration::from_millis(400),
        };
        let settings = MirrorSettings {
            concurrency: 16,
            bandwidth_limit: None,
            retry,
            offline: false,
            now,
        };
        let folder = tempfile::tempdir().unwrap();
        Self {
            server,
            bucket,
            folder,
            source,
            settings,
            keys,
            recorder: Recorder::default(),
        }
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::open_with_keys(&self.source, &self.settings, self.keys.clone()).unwrap()
    }

    pub(crate) async fn sync(&self) -> Result<Synced, MirrorError> {
        self.sync_with(PlanOptions::default()).await
    }

    /// Lists, plans, fetches and commits, as the front door does.
    pub(crate) async fn sync_with(&self, options: PlanOptions) -> Result<Synced, MirrorError> {
        let mut writer = CacheWriter::open(self.folder.path(), now()).unwrap();
        let name = self.source.name.clone();
        writer
            .register_source(&name, SourceKind::K9, &self.source.url.to_string())
            .unwrap();
        let remote = self.remote();
        let pending = writer
            .pending(&name)
            .unwrap()
            .into_iter()
            .map(|object| (object.key.clone(), object))
            .collect::<HashMap<_, _>>();
        let mut plan = {
            let known = writer.cache().known_objects(&name).unwrap();
            plan(
                remote.list("", None),
                known,
                &pending,
                &|_| Wanted::Yes,
                options,
                &self.recorder,
            )
            .await?
        };
        let mut objects = plan
            .adopt
            .iter()
            .map(|key| pending[key].clone())
            .collect::<Vec<_>>();
        let stage = writer.stage();
        let fetch = std::mem::take(&mut plan.fetch);
        let outcome = remote
            .fetch(
                fetch.clone(),
                &stage,
                &self.recorder,
                &CancelFlag::default(),
                |object| {
                    objects.push(object);
                    Ok(())
                },
            )
            .await;
        plan.fetch = fetch;
        let commit = SyncCommit {
            source: name,
            started_at: now(),
            taken_at: now(),
            objects: objects.into_iter().map(|object| (object, None)).collect(),
            refreshed: plan
                .refresh
                .iter()
                .map(|object| (object.key.clone(), object.modified_at))
                .collect(),
            missing: plan.missing.clone(),
            reappeared: plan.reappeared.clone(),
            failures: vec![],
            covers_all: true,
            unchanged_count: plan.keep_count,
            fetched_bytes: outcome.bytes,
            error: None,
        };
        writer.commit(&commit).unwrap();
        Ok(Synced { plan, outcome })
    }

    /// The mirrored bytes of a key.
    pub(crate) fn mirrored(&self, key: &str) -> Option<Vec<u8>> {
        let cache = Cache::open(self.folder.path()).unwrap();
        let object = cache.object(&self.source.name, key).unwrap()?;
        Some(std::fs::read(cache.object_path(&object.sha256)).unwrap())
    }

    pub(crate) fn object(&self, key: &str) -> kennel_cache::ObjectVersion {
        Cache::open(self.folder.path())
            .unwrap()
            .object(&self.source.name, key)
            .unwrap()
            .unwrap()
    }

    /// Keys in the newest snapshot, with those marked missing.
    pub(crate) fn keys_kept(&self) -> Vec<String> {
        let cache = Cache::open(self.folder.path()).unwrap();
        cache
            .known_objects(&self.source.name)
            .unwrap()
            .map(|object| object.unwrap().key)
            .collect()
    }

    /// Every file anywhere below the folder that holds the cache, relative to it.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = vec![];
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    files.push(
                        entry
                            .path()
                            .strip_prefix(self.folder.path())
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    );
                }
            }
        }
        files.sort();
        files
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// A body with Parquet's magic at both ends, so that its shape is right.
pub(crate) fn parquet(fill: u8, size: usize) -> Vec<u8> {
    let mut body = b"PAR1".to_vec();
    body.resize(size - 8, fill);
    body.extend(1_u32.to_le_bytes());
    body.extend(b"PAR1");
    body
}
