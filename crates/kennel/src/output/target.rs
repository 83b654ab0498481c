//! Where results go: standard output, one file, or a folder with one file each.
//!
//! A file is written beside its target and renamed when all results are done, so that nobody reads a
//! half one and a failure leaves the older file. Targets are opened before the work starts.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{Format, Look};
use crate::{error::CliError, printer::Printer};

/// The places of a run's results.
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// One file for all.
    File(OpenFile),
    /// A file for each, in the order of the results.
    Folder(Vec<OpenFile>),
}

/// A file that is being written.
pub(crate) enum OpenFile {
    /// Beside its target.
    Staged {
        /// The unfinished file.
        file: BufWriter<NamedTempFile>,
        /// Its name when done.
        path: PathBuf,
    },
    /// A device or pipe: written to as it is.
    Direct(BufWriter<fs::File>),
}

impl Target {
    /// Opens what `-o` names for results with these names.
    ///
    /// # Errors
    /// Several results of a format that cannot follow each other need a folder; a file or folder that
    /// cannot be created.
    pub(crate) fn open(
        output: Option<&Path>,
        format: Format,
        names: &[String],
    ) -> Result<Self, CliError> {
        let several_files = names.len() > 1 && !format.joins() && !format.is_document();
        let Some(output) = output else {
            if several_files {
                return Err(CliError::new(format!(
                    "{} results cannot stand in one stream of {}",
                    names.len(),
                    format.name()
                ))
                .hint("`-o FOLDER` writes one file each; `-f table`, `markdown`, `html` and `xlsx` take several"));
            }
            return Ok(Self::Stdout);
        };
        let names_folder =
            output.is_dir() || output.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        if !several_files && !names_folder {
            return Ok(Self::File(OpenFile::open(output)?));
        }
        if output.exists() && !output.is_dir() {
            return Err(CliError::new(format!(
                "`{}` is a file, {} results need a folder",
                output.display(),
                names.len()
            )));
        }
        fs::create_dir_all(output).map_err(|e| {
            CliError::new(format!("cannot create the folder `{}`", output.display())).cause(&e)
        })?;
        let files = file_names(names, format);
        files
            .iter()
            .map(|name| OpenFile::open(&output.join(name)))
            .collect::<Result<_, _>>()
            .map(Self::Folder)
    }

    /// The place of the result with this index, and how tables there are to look. Flush it.
    pub(crate) fn place(&mut self, index: usize, printer: &Printer) -> (Box<dyn Write + '_>, Look) {
        match self {
            Self::Stdout => (Box::new(printer.stdout()), printer.look()),
            Self::File(file) => (Box::new(file), Look::default()),
            Self::Folder(files) => (Box::new(&mut files[index]), Look::default()),
        }
    }

    /// Gives the files their names; says which they are.
    pub(crate) fn finish(self) -> Result<Vec<PathBuf>, CliError> {
        let files = match self {
            Self::Stdout => return Ok(Vec::new()),
            Self::File(file) => vec![file],
            Self::Folder(files) => files,
        };
        Ok(files
            .into_iter()
            .map(OpenFile::finish)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}

/// A file name for each result: its id with `-` for `/`, numbered where two are equal.
pub(crate) fn file_names(names: &[String], format: Format) -> Vec<String> {
    let mut used = std::collections::HashSet::new();
    names
        .iter()
        .map(|name| {
            let safe = name.replace(
                |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'),
                "-",
            );
            let stem = safe.trim_start_matches('.');
            let mut file = format!("{stem}.{}", format.extension());
            let mut number = 2;
            while !used.insert(file.clone()) {
                file = format!("{stem}-{number}.{}", format.extension());
                number += 1;
            }
            file
        })
        .collect()
}

impl OpenFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let cannot =
            |e: io::Error| CliError::new(format!("cannot write `{}`", path.display())).cause(&e);
        // Through a link to the file it stands for: renaming onto the link would replace the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            return Err(cannot(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if path.exists() && !path.is_file() {
            let file = OpenOptions::new().write(true).open(&path).map_err(cannot)?;
            return Ok(Self::Direct(BufWriter::new(file)));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".kennel-");
        // As any other program's output: readable for whom the umask lets.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).map_err(cannot)?;
        Ok(Self::Staged {
            file: BufWriter::new(file),
            path,
        })
    }

    pub(crate) fn finish(self) -> Result<Option<PathBuf>, CliError> {
        match self {
            Self::Direct(mut file) => {
                file.flush()?;
                Ok(None)
            }
            Self::Staged { file, path } => {
                let cannot = |e: &io::Error| {
                    CliError::new(format!("cannot write `{}`", path.display())).cause(e)
                };
                let file = file.into_inner().map_err(|e| cannot(e.error()))?;
                file.as_file().sync_all().map_err(|e| cannot(&e))?;
                file.persist(&path).map_err(|e| cannot(&e.error))?;
                Ok(Some(path))
            }
        }
    }
}

impl Write for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Staged { file, .. } => file.write(bytes),
            Self::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Staged { file, .. } => file.flush(),
            Self::Direct(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        let names = vec!["k9/iam-admins".to_owned()];
        let Target::File(mut file) = Target::open(Some(&path), Format::Csv, &names).unwrap() else {
            panic!("one result, one file");
        };
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        Target::File(file).finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        drop(Target::open(Some(&path), Format::Csv, &names).unwrap());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "an unfinished file is removed"
        );
    }

    #[test]
    fn several_machine_results_need_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["k9/a".to_owned(), "k9/b".to_owned()];
        assert!(Target::open(None, Format::Json, &names).is_err());
        assert!(matches!(
            Target::open(None, Format::Table, &names).unwrap(),
            Target::Stdout
        ));
        let target =
            Target::open(Some(&folder.path().join("new/x")), Format::Json, &names).unwrap();
        let written = target.finish().unwrap();
        assert_eq!(
            written
                .iter()
                .filter_map(|p| p.file_name())
                .collect::<Vec<_>>(),
            ["k9-a.json", "k9-b.json"]
        );
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Target::open(Some(&file), Format::Json, &names).is_err());
    }

    #[test]
    fn a_missing_folder_is_told_before_the_work_starts() {
        assert!(
            Target::open(
                Some(Path::new("/nonexistent/a.csv")),
                Format::Csv,
                &["x".into()]
            )
            .is_err()
        );
    }

    #[test]
    fn file_names_stay_apart_and_in_their_folder() {
        let names = ["../../x", "k9/a-b", "k9-a/b"].map(str::to_owned);
        assert_eq!(
            file_names(&names, Format::Csv),
            ["-..-x.csv", "k9-a-b.csv", "k9-a-b-2.csv"]
        );
    }
}
