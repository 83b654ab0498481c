//! Buckets in folders, made once with a fixed seed and used again.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use kennel_testkit::fixtures::trail::TrailScale;

use super::Bench;
use crate::measure::say;

/// A folder with delivered files.
pub(super) struct Bucket {
    pub(super) folder: PathBuf,
    pub(super) events: usize,
}

/// So many events as about one trail of an account has them: many small files, three quarters of them of no more than
/// 25 events.
pub(super) fn bucket(bench: &Bench<'_>, events: usize) -> io::Result<Bucket> {
    let scale = TrailScale {
        events,
        events_a_file: 25,
        ..TrailScale::BENCH
    };
    make(bench, &format!("trail-{events}"), &scale)
}

/// So many days of 50 accounts in 17 regions, a file for each day.
pub(super) fn year(bench: &Bench<'_>, days: usize) -> io::Result<Bucket> {
    let scale = TrailScale {
        events: 50 * 17 * days * 4,
        accounts: 50,
        regions: 17,
        days,
        events_a_file: 4,
        seed: 2,
    };
    make(bench, &format!("trail-{days}-days"), &scale)
}

fn make(bench: &Bench<'_>, name: &str, scale: &TrailScale) -> io::Result<Bucket> {
    let bucket = Bucket {
        folder: bench.data.join(name),
        events: scale.events,
    };
    let is_made = bench.data.join(format!("{name}.made"));
    if is_made.exists() {
        return Ok(bucket);
    }
    let (mut files, mut size_bytes) = (0, 0);
    for (key, body) in scale.objects() {
        write(&bucket.folder.join(&key), &body)?;
        files += 1;
        size_bytes += body.len();
    }
    File::create(is_made)?;
    say(&format!(
        "made {} events in {files} files, {size_bytes} bytes",
        scale.events
    ));
    Ok(bucket)
}

fn write(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = match File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            BufWriter::new(File::create(path)?)
        }
        file => BufWriter::new(file?),
    };
    file.write_all(body)?;
    file.flush()
}

/// All files below a folder.
pub(super) fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// A home with this bucket mirrored; made when it is not there. Its table files are exactly those that the manifest
/// names: a second sync removes what the first one merged.
pub(super) fn mirrored(
    bench: &Bench<'_>,
    bucket: &Bucket,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let home = bucket.folder.with_extension("home");
    let is_made = bucket.folder.with_extension("mirrored");
    if !is_made.exists() {
        empty(&home)?;
        bench.configure(&home, &format!("file://{}", bucket.folder.display()))?;
        for _ in 0..2 {
            crate::measure::once(bench.kennel(&home).arg("sync"))?;
        }
        File::create(is_made)?;
    }
    Ok(home)
}

/// Removes a file or a folder, if it is there.
pub(super) fn empty(path: &Path) -> io::Result<()> {
    let removed = match path.is_file() {
        true => fs::remove_file(path),
        false => fs::remove_dir_all(path),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
