//! An inbox on S3: a test home, and a server inside the test that its program is pointed at.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{path::Path, process::Command};

use kennel_cache::{Cache, ReportKey, Sha256, SourceName};
use kennel_testkit::s3::{Bucket, Fault, FaultKind, Matcher, S3Options, S3Server};

use crate::home::{Said, TestHome};

/// The one source.
const CONFIG: &str = "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"s3://inbox\"\n";

/// A home whose only source is the bucket `inbox`.
pub(crate) struct S3Home {
    pub(crate) home: TestHome,
    pub(crate) server: S3Server,
    pub(crate) bucket: Bucket,
}

impl S3Home {
    /// With a copy of `testdata/k9/<set>` in the bucket.
    pub(crate) fn new(set: &str) -> Self {
        Self::with(set, S3Options::default())
    }

    /// The same with another server.
    pub(crate) fn with(set: &str, options: S3Options) -> Self {
        let server = S3Server::start(options);
        let bucket = server.serve_folder("inbox", &testdata(set)).unwrap();
        let s3 = Self {
            home: TestHome::new(),
            server,
            bucket,
        };
        s3.configure("");
        s3
    }

    /// Writes the config, with more lines for the source.
    pub(crate) fn configure(&self, lines: &str) {
        self.home.write("kennel.toml", &format!("{CONFIG}{lines}"));
    }

    /// Overwrites in the bucket what a set holds.
    pub(crate) fn fill(&self, set: &str) {
        self.bucket.put_folder(&testdata(set)).unwrap();
    }

    /// The program, with the server's keys and address in its environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.home.command();
        command.envs(self.server.environment());
        command
    }

    /// Runs the program with the server's keys in its environment.
    pub(crate) fn kennel<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Said {
        let mut command = self.command();
        command.args(args);
        self.run(command)
    }

    /// Runs a command, the server's address filtered.
    pub(crate) fn run(&self, command: Command) -> Said {
        let mut said = self.home.run(command);
        let endpoint = self.server.endpoint_url();
        for text in [&mut said.stdout, &mut said.stderr] {
            *text = text.replace(&endpoint, "[ENDPOINT]");
        }
        said
    }

    /// Arms a fault.
    pub(crate) fn fault(&self, on: Matcher, kind: FaultKind) {
        self.server.fault(Fault { on, kind });
    }

    /// The key of an account's report in the bucket.
    pub(crate) fn key(&self, report: &str, account: &str) -> String {
        let is_it = |key: &String| {
            key.contains(&format!("/{report}/")) && key.contains(&format!("account_id={account}/"))
        };
        self.bucket.keys().into_iter().find(is_it).unwrap()
    }

    /// How many keys of the bucket are reports.
    pub(crate) fn report_count(&self) -> usize {
        let keys = self.bucket.keys();
        keys.iter()
            .filter(|key| ReportKey::parse(key).is_some())
            .count()
    }

    /// Each report of the bucket is mirrored byte for byte, and all bytes kept are what they were.
    #[track_caller]
    pub(crate) fn assert_mirrored(&self) {
        let cache = Cache::open(&self.home.cache()).unwrap();
        let source = SourceName::try_new("k9").unwrap();
        for key in self.bucket.keys() {
            if ReportKey::parse(&key).is_none() {
                continue;
            }
            let object = cache.object(&source, &key).unwrap();
            let kept = object.map(|object| object.sha256);
            assert_eq!(
                kept,
                self.bucket.body(&key).map(|b| Sha256::of(&b)),
                "{key}"
            );
        }
        assert_whole(&self.home.cache());
    }
}

/// Nothing kept is damaged, and nothing unfinished lies about.
#[track_caller]
pub(crate) fn assert_whole(cache: &Path) {
    let verified = Cache::open(cache).unwrap().verify().unwrap();
    assert_eq!(verified.damaged, []);
    assert_eq!(staged(cache), Vec::<String>::new());
}

/// Unfinished files.
pub(crate) fn staged(cache: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cache.join("staging")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A folder of the repository's test data.
pub(crate) fn testdata(set: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/k9")
        .join(set)
}

/// The same Parquet file with bytes before its footer that nothing points to: another object, the same rows.
pub(crate) fn padded(parquet: &[u8], count: usize) -> Vec<u8> {
    let tail = parquet.len() - 8;
    let length = u32::from_le_bytes(parquet[tail..tail + 4].try_into().unwrap());
    let (data, footer) = parquet.split_at(tail - length as usize);
    [data, &vec![0; count], footer].concat()
}
