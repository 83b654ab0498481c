//! Disks that are full or may not be written, and two processes at one cache.
//!
//! A full disk and a read-only one need a mount of their own. Where that is refused (no root), the tests say that they
//! were skipped.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kennel_testkit::s3::{Bucket, FaultKind, Matcher};

use crate::s3_home::{S3Home, assert_whole, padded, staged};

/// A file system of its own; gone on drop.
struct Mount(PathBuf);

impl Mount {
    /// `None` when mounting is refused here, which is said.
    fn tmpfs(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let option = format!("size={size},mode=0700");
        if mount(&["-t", "tmpfs", "-o", &option, "kennel-test"], at) {
            return Some(Self(at.to_owned()));
        }
        skipped("mounting is refused here, so no disk can be full or read-only");
        None
    }

    fn remount(&self, option: &str) {
        assert!(
            mount(&["-o", &format!("remount,{option}")], &self.0),
            "{option}"
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    let output = Command::new("mount").args(args).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

/// Says so past the test harness, which swallows what passing tests print.
fn skipped(why: &str) {
    let _unseen = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

const OBJECTS: [&str; 6] = [
    "sql",
    "-q",
    "-f",
    "csv",
    "-c",
    "SELECT key, sha256 FROM kennel.objects ORDER BY key",
];

/// Everything that reads answers as `expected` says.
#[track_caller]
fn readers_work(s3: &S3Home, expected: &str) {
    assert_eq!(s3.kennel(OBJECTS).ends_with(0).stdout, expected);
    let said = s3.kennel(["run", "iam-admins", "-f", "csv"]).ends_with(0);
    assert!(said.stdout.lines().count() > 1, "{}", said.all());
    s3.kennel(["status"]).ends_with(0);
    s3.kennel(["list"]).ends_with(0);
    let key = s3.key("pas", "123456789012");
    let output = s3.command().args(["cat", "k9", &key]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"PAR1"));
}

#[test]
fn a_full_disk_is_said_and_the_sync_completes_when_there_is_space() {
    let mut s3 = S3Home::new("guide");
    let Some(disk) = Mount::tmpfs(&s3.home.cache(), "4m") else {
        return;
    };
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    // A night that does not fit, whatever it is that is written first.
    for key in s3.bucket.keys() {
        let body = s3.bucket.body(&key).unwrap();
        s3.bucket.put(&key, padded(&body, 600_000));
    }
    s3.home.at("2026-03-04T12:00:00Z");
    let said = s3.kennel(["sync"]);
    assert!(matches!(said.code, Some(2 | 3)), "{}", said.all());
    // A file's words, or the manifest's.
    let is_full = ["No space left on device", "database or disk is full"];
    assert!(
        is_full.iter().any(|words| said.stderr.contains(words)),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("hint: free some space"),
        "{}",
        said.stderr
    );
    let lines = said.stderr.lines().count();
    assert!(
        lines < 6,
        "it goes on failing, object by object: {}",
        said.stderr
    );
    assert_eq!(staged(&s3.home.cache()), Vec::<String>::new());
    if said.code == Some(2) {
        readers_work(&s3, &before);
    }
    s3.kennel(["status"]).ends_with(0);

    disk.remount("size=64m");
    s3.home.at("2026-03-04T13:00:00Z");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[test]
fn a_disk_that_is_full_to_the_last_byte_still_answers() {
    let s3 = S3Home::new("guide");
    let Some(_disk) = Mount::tmpfs(&s3.home.cache(), "4m") else {
        return;
    };
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    let filler = s3.home.cache().join("filler");
    let full = fs::write(&filler, vec![0; 8_000_000]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let key = s3.key("pas", "123456789012");
    let body = s3.bucket.body(&key).unwrap();
    s3.bucket.put(&key, padded(&body, 50_000));
    let said = s3.kennel(["sync"]).ends_with(2);
    assert!(
        said.stderr.contains("hint: free some space"),
        "{}",
        said.stderr
    );
    readers_work(&s3, &before);
    fs::remove_file(filler).unwrap();
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

#[test]
fn a_read_only_cache_answers_and_a_sync_says_which_folder_it_cannot_write() {
    let s3 = S3Home::new("guide");
    let Some(disk) = Mount::tmpfs(&s3.home.cache(), "16m") else {
        return;
    };
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    disk.remount("ro");
    readers_work(&s3, &before);
    let said = s3.kennel(["sync"]).ends_with(2);
    let first = said.stderr.lines().next().unwrap();
    assert!(first.contains("`[ROOT]/data/kennel/"), "{}", said.stderr);
    assert!(
        said.stderr.contains("caused by: Read-only file system"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("hint: queries work on a cache that is read-only"),
        "{}",
        said.stderr
    );
    assert_eq!(s3.kennel(OBJECTS).ends_with(0).stdout, before);
    disk.remount("rw");
    s3.kennel(["sync", "-q"]).ends_with(0);
}

/// What root may do anyway.
#[cfg(unix)]
#[test]
fn a_cache_of_somebody_else_answers_and_is_not_written() {
    use std::os::unix::fs::PermissionsExt;
    let s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    let set = |mode: u32| {
        for folder in ["", "staging", "objects", "tables", "mirror"] {
            let path = s3.home.cache().join(folder);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500);
    let probe = s3.home.cache().join("probe");
    if fs::write(&probe, "x").is_ok() {
        skipped("this user may write everywhere");
        fs::remove_file(probe).unwrap();
        set(0o700);
        return;
    }
    readers_work(&s3, &before);
    let key = s3.key("pas", "123456789012");
    let body = s3.bucket.body(&key).unwrap();
    s3.bucket.put(&key, padded(&body, 7));
    let said = s3.kennel(["sync"]).ends_with(2);
    assert!(
        said.stderr.contains("[ROOT]/data/kennel"),
        "{}",
        said.stderr
    );
    set(0o700);
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}

/// Holds the server up until it is opened; on drop at the latest, or else the server's end would wait for it.
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn before_the_listing(s3: &S3Home) -> Self {
        let open = Arc::new(AtomicBool::new(false));
        let gate = Self(Arc::clone(&open));
        let wait = move |_: &Bucket| {
            while !open.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        s3.fault(Matcher::list(), FaultKind::before(wait));
        gate
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn of_two_syncs_one_wins_the_other_says_who_and_questions_go_on() {
    let mut s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    s3.fill("guide-next-day");
    s3.home.at("2026-03-04T12:00:00Z");
    s3.server.clear_requests();
    let gate = Gate::before_the_listing(&s3);
    let mut command = s3.command();
    let first = command
        .arg("sync")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bound = Duration::from_secs(120);
    assert!(s3.server.wait_until(|counts| counts.list >= 1, bound));
    let said = s3.kennel(["sync"]).ends_with(2);
    let who = format!(
        "error: another kennel is writing to this cache: process {}, since 2026-03-04 12:00:00 UTC\n",
        first.id()
    );
    assert!(said.stderr.starts_with(&who), "{}", said.stderr);
    readers_work(&s3, &before);
    drop(gate);
    let said = s3.home.said(first.wait_with_output().unwrap()).ends_with(0);
    assert!(said.stderr.contains("; snapshot s2"), "{}", said.stderr);
    s3.assert_mirrored();
    assert_whole(&s3.home.cache());
}

/// A stand-in for a full disk that needs no mount: no file of the process may grow beyond a limit.
#[cfg(unix)]
#[test]
fn files_that_may_not_grow_end_the_sync_and_leave_the_last_snapshot() {
    let mut s3 = S3Home::new("guide");
    s3.kennel(["sync", "-q"]).ends_with(0);
    let before = s3.kennel(OBJECTS).ends_with(0).stdout;
    for key in s3.bucket.keys() {
        let body = s3.bucket.body(&key).unwrap();
        s3.bucket.put(&key, padded(&body, 1_000_000));
    }
    s3.home.at("2026-03-04T12:00:00Z");
    // The shell sets the limit and becomes the program: 800 blocks of 512 bytes are enough for the manifest.
    let kennel = s3.command();
    let mut shell = Command::new("/bin/sh");
    shell
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 800; exec \"$0\" sync --concurrency 4",
        ])
        .arg(kennel.get_program())
        .current_dir(s3.home.work())
        .env_clear()
        .envs(
            kennel
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let said = s3.run(shell).ends_with(2);
    assert!(said.stderr.contains("File too large"), "{}", said.stderr);
    assert_eq!(staged(&s3.home.cache()), Vec::<String>::new());
    assert_eq!(s3.kennel(OBJECTS).ends_with(0).stdout, before);
    assert_whole(&s3.home.cache());

    s3.home.at("2026-03-04T13:00:00Z");
    s3.kennel(["sync", "-q"]).ends_with(0);
    s3.assert_mirrored();
}
