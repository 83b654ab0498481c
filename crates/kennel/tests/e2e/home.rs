//! A home to try things in: no environment, a fixed clock, paths and durations filtered.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails as a test fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

/// The clock of all tests.
const NOW: &str = "2026-03-03T12:00:00Z";

/// A private home, working folder and config for the program under test.
pub(crate) struct TestHome {
    folder: tempfile::TempDir,
    now: String,
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestHome {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("desk")).unwrap();
        Self {
            folder,
            now: NOW.into(),
        }
    }

    /// With a copy of `testdata/k9/<set>` as the source `k9`.
    pub(crate) fn with_inbox(self, set: &str) -> Self {
        self.fill_inbox(set);
        self.write(
            "kennel.toml",
            "[[source]]\nname = \"k9\"\nkind = \"k9\"\nurl = \"file://./inbox\"\n",
        );
        self
    }

    /// Copies a set over the inbox; what has the same key is overwritten in place.
    pub(crate) fn fill_inbox(&self, set: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../testdata/k9")
            .join(set);
        copy_tree(&from, &self.work().join("inbox"));
    }

    /// With another time on the clock.
    pub(crate) fn at(&mut self, now: &str) {
        self.now = now.into();
    }

    /// The folder of everything: home directory, working folder, cache.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The working folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// The cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("data/kennel")
    }

    /// Writes a file into the working folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program, ready to run.
    pub(crate) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kennel"));
        let root = self.folder.path();
        command
            .current_dir(self.work())
            .env_clear()
            .env("HOME", root)
            .env("XDG_DATA_HOME", root.join("data"))
            .env("XDG_CONFIG_HOME", root.join("config"))
            .env("XDG_CACHE_HOME", root.join("cache"))
            .env("KENNEL_TEST_NOW", &self.now);
        command
    }

    /// Runs the program.
    pub(crate) fn kennel<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Said {
        self.said(
            assert_cmd::Command::from_std(self.command())
                .args(args)
                .output()
                .unwrap(),
        )
    }

    /// Runs a command of [`Self::command`] that got more than arguments.
    pub(crate) fn run(&self, command: std::process::Command) -> Said {
        self.said(assert_cmd::Command::from_std(command).output().unwrap())
    }

    /// Runs the program with text on standard input.
    pub(crate) fn kennel_with_input<'a>(
        &self,
        args: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Said {
        let mut command = assert_cmd::Command::from_std(self.command());
        self.said(command.args(args).write_stdin(input).output().unwrap())
    }

    /// What an ended process said.
    pub(crate) fn said(&self, output: Output) -> Said {
        Said {
            code: output.status.code(),
            stdout: self.filtered(&String::from_utf8(output.stdout).unwrap()),
            stderr: self.filtered(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Paths and durations are the machine's, not the program's words.
    pub(crate) fn filtered(&self, text: &str) -> String {
        let root = self.folder.path();
        let real = fs::canonicalize(root).unwrap();
        let text = text
            .replace(&*real.to_string_lossy(), "[ROOT]")
            .replace(&*root.to_string_lossy(), "[ROOT]");
        text.split_inclusive('\n')
            .map(|line| match line.rfind(", in ") {
                Some(at) if line.trim_end().ends_with(" s") => {
                    format!("{}, in [TIME]\n", &line[..at])
                }
                _ => line.to_owned(),
            })
            .collect()
    }
}

impl Said {
    /// Asserts the code and gives back what was said.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Code, standard output and standard error in one text.
    pub(crate) fn all(&self) -> String {
        let code = self
            .code
            .map_or_else(|| "none".into(), |code| code.to_string());
        format!(
            "exit {code}\n-- stdout\n{}-- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
