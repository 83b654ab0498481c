//! Whether a bundle is as it was written: each file against the hash in the manifest, nothing missing, nothing added, and
//! as many rows as it says. A manifest is data from anywhere: paths that leave the bundle are refused, links are not followed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Component, Path, PathBuf},
};

use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::{
    folder::{hex, sha256},
    manifest::{self, Manifest, Question},
};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) file_count: u64,
    pub(crate) size_bytes: u64,
    pub(crate) problems: Vec<Problem>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Problem {
    /// The file below the bundle, or the question.
    pub(crate) what: String,
    pub(crate) problem: String,
}

impl Checked {
    pub(crate) fn problem(&mut self, what: &str, problem: impl Into<String>) {
        self.problems.push(Problem {
            what: what.into(),
            problem: problem.into(),
        });
    }
}

/// A path of a manifest below its bundle.
///
/// # Errors
/// One that is absolute, leads upwards, or goes through a link.
pub(crate) fn inside(bundle: &Path, path: &str) -> Result<PathBuf, String> {
    let is_plain = !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        && !path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if !is_plain {
        return Err(format!("`{path}` is no path inside the export"));
    }
    let mut place = bundle.to_owned();
    for part in path.split('/') {
        place.push(part);
        if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
            return Err(format!("`{path}` goes through a link"));
        }
    }
    Ok(place)
}

/// The hash and the size of a file.
pub(crate) fn hash_file(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut size_bytes = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((hex(&hasher.finalize()), size_bytes));
        }
        hasher.update(&buffer[..length]);
        size_bytes += length as u64;
    }
}

/// Checks all files of a bundle.
pub(crate) fn check(bundle: &Path, manifest: &Manifest) -> Checked {
    let mut checked = Checked::default();
    let mut listed = BTreeSet::from([manifest::NAME.to_owned()]);
    let mut whole = BTreeSet::new();
    for file in &manifest.files {
        if !listed.insert(file.path.clone()) {
            checked.problem(&file.path, "it stands twice in the manifest");
            continue;
        }
        match check_file(bundle, file) {
            Ok(()) => {
                checked.file_count += 1;
                checked.size_bytes += file.size_bytes;
                whole.insert(file.path.as_str());
            }
            Err(problem) => checked.problem(&file.path, problem),
        }
    }
    let mut ids = BTreeSet::new();
    for question in &manifest.questions {
        if !ids.insert(&question.id) {
            checked.problem(&question.id, "it stands twice in the manifest");
        }
        check_question(bundle, question, &listed, &whole, &mut checked);
    }
    match strangers(bundle, &listed) {
        Ok(strangers) => {
            for stranger in strangers {
                checked.problem(&stranger, "it is not in the manifest");
            }
        }
        Err(error) => checked.problem(".", format!("cannot be read: {error}")),
    }
    checked
}

fn check_file(bundle: &Path, file: &manifest::File) -> Result<(), String> {
    let place = inside(bundle, &file.path)?;
    match fs::symlink_metadata(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("missing".into()),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(found) if !found.is_file() => return Err("it is no file".into()),
        Ok(found) if found.len() != file.size_bytes => {
            return Err(format!(
                "it has {} bytes, the manifest says {}",
                found.len(),
                file.size_bytes
            ));
        }
        Ok(_) => {}
    }
    let (sha256, _) = hash_file(&place).map_err(|error| format!("cannot be read: {error}"))?;
    match sha256 == file.sha256 {
        true => Ok(()),
        false => Err("its hash is another than the manifest's".into()),
    }
}

fn check_question(
    bundle: &Path,
    question: &Question,
    listed: &BTreeSet<String>,
    whole: &BTreeSet<&str>,
    checked: &mut Checked,
) {
    if sha256(&question.query) != question.query_sha256 {
        checked.problem(&question.id, "its query is another than the hash says");
    }
    for path in &question.files {
        if !listed.contains(path) {
            checked.problem(
                &question.id,
                format!("its file `{path}` is not among the files"),
            );
            continue;
        }
        if !whole.contains(path.as_str()) {
            continue;
        }
        let is_accepted = path.contains(".accepted.");
        let expected = match is_accepted {
            true => question.suppressed_count,
            false => question.row_count,
        };
        let Ok(place) = inside(bundle, path) else {
            continue;
        };
        match rows_of(&place) {
            Ok(Some(found)) if found.row_count != expected => checked.problem(
                path,
                format!(
                    "it has {} rows, the manifest says {expected}",
                    found.row_count
                ),
            ),
            Ok(Some(Rows {
                sha256: Some(sha256),
                ..
            })) if !is_accepted && sha256 != question.rows_sha256 => {
                checked.problem(path, "its rows are not those whose hash the manifest has");
            }
            Ok(_) => {}
            Err(error) => checked.problem(path, format!("cannot be read: {error}")),
        }
    }
}

struct Rows {
    row_count: u64,
    /// Of JSON lines.
    sha256: Option<String>,
}

/// Counts the rows of a file; `None` for a form that this kennel does not know.
fn rows_of(path: &Path) -> Result<Option<Rows>, String> {
    let counted = |row_count| {
        Some(Rows {
            row_count,
            sha256: None,
        })
    };
    let failed = |error: io::Error| error.to_string();
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("jsonl") => {
            let (sha256, _) = hash_file(path).map_err(failed)?;
            let row_count = count_lines(path, |_| true).map_err(failed)?;
            Ok(Some(Rows {
                row_count,
                sha256: Some(sha256),
            }))
        }
        // Kennel writes an object a line.
        Some("json") => Ok(counted(
            count_lines(path, |line| line.first() == Some(&b'{')).map_err(failed)?,
        )),
        Some("csv") => Ok(counted(
            count_records(path).map_err(failed)?.saturating_sub(1),
        )),
        Some("parquet") => {
            let file = File::open(path).map_err(failed)?;
            let reader = ParquetRecordBatchReaderBuilder::try_new(file);
            let reader = reader.map_err(|error| error.to_string())?;
            let row_count = reader.metadata().file_metadata().num_rows();
            Ok(counted(u64::try_from(row_count).unwrap_or_default()))
        }
        _ => Ok(None),
    }
}

fn count_lines(path: &Path, counts: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
    let mut row_count = 0;
    let mut start = Vec::new();
    let mut reader = BufReader::with_capacity(64 << 10, File::open(path)?);
    let mut buffer = [0; 16 << 10];
    loop {
        let length = reader.read(&mut buffer)?;
        if length == 0 {
            return Ok(row_count + u64::from(!start.is_empty() && counts(&start)));
        }
        for byte in &buffer[..length] {
            if *byte == b'\n' {
                row_count += u64::from(!start.is_empty() && counts(&start));
                start.clear();
            } else if start.is_empty() {
                // The first byte of a line tells.
                start.push(*byte);
            }
        }
    }
}

/// Records of a csv file, the header among them: ends of lines outside quotes.
fn count_records(path: &Path) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(64 << 10, File::open(path)?);
    let mut buffer = [0; 16 << 10];
    let (mut record_count, mut is_quoted) = (0, false);
    loop {
        let length = reader.read(&mut buffer)?;
        if length == 0 {
            return Ok(record_count);
        }
        for byte in &buffer[..length] {
            match byte {
                b'"' => is_quoted = !is_quoted,
                b'\n' if !is_quoted => record_count += 1,
                _ => {}
            }
        }
    }
}

/// Files of the folder that the manifest does not have, and links, which no export has.
fn strangers(bundle: &Path, listed: &BTreeSet<String>) -> io::Result<Vec<String>> {
    let mut strangers = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(bundle.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = match folder.as_str() {
                "" => name.into_owned(),
                folder => format!("{folder}/{name}"),
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() || !listed.contains(&path) {
                strangers.push(path);
            }
        }
    }
    strangers.sort_unstable();
    Ok(strangers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_bundle_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "./a",
            "a/.",
            "..",
            "c:\\x",
            "a\\..\\x",
            "a\0b",
        ] {
            assert!(inside(folder.path(), path).is_err(), "{path}");
        }
        assert_eq!(
            inside(folder.path(), "csv/k9-a.csv").unwrap(),
            folder.path().join("csv/k9-a.csv")
        );
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc", folder.path().join("csv")).unwrap();
            assert!(inside(folder.path(), "csv/passwd").is_err());
        }
    }

    #[test]
    fn rows_are_counted_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let count = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            rows_of(&path).unwrap().map(|rows| rows.row_count)
        };
        assert_eq!(count("a.csv", "a,b\r\n\"x\r\n\"\"y\",1\r\n\r\n"), Some(2));
        assert_eq!(count("b.csv", "a\r\n"), Some(0));
        assert_eq!(count("a.jsonl", "{\"a\":1}\n{\"a\":2}\n"), Some(2));
        assert_eq!(count("a.json", "[\n{\"a\":1},\n{\"a\":2}\n]\n"), Some(2));
        assert_eq!(count("b.json", "[]\n"), Some(0));
        assert_eq!(count("a.txt", ""), None);
        assert!(rows_of(&folder.path().join("missing.parquet")).is_err());
    }
}
