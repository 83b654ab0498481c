//! What people are told when something fails: one line, the chain of causes, hints, an exit code.
//!
//! Libraries state facts; the advice is added here, because only the front door knows flags and keys.
//! Texts are made safe when they are printed, so data in them cannot steer a terminal.

use std::{error::Error, fmt::Write as _, io, path::Path};

use datafusion::error::DataFusionError;
use kennel_cache::CacheError;
use kennel_engine::{EngineError, LibraryError, SqlPlace};
use kennel_mirror::MirrorError;

use crate::{
    exit::Exit,
    habits, lake,
    output::FormatLimit,
    text::{nearest, visible},
};

/// What helps where the manifest is none.
const NO_MANIFEST: &str = "`--home DIR` names another cache; with this manifest moved away, `kennel sync` makes a new one (older nights are not in it)";

/// How to see what there is.
const LIST_SNAPSHOTS: &str = "`kennel sql -c 'SELECT * FROM kennel.snapshots'` lists the snapshots";

/// A failure as it is told.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    /// Lines that show the place: already laid out, not yet made safe.
    excerpt: Vec<String>,
    /// Line and column of what the excerpt shows.
    place: Option<(u32, u32)>,
    causes: Vec<String>,
    hints: Vec<String>,
    exit: Exit,
    /// The reader of our output is gone: nothing to say.
    quiet: bool,
}

impl CliError {
    /// A usage error or failure: exit code 2.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            excerpt: Vec::new(),
            place: None,
            causes: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Failure,
            quiet: false,
        }
    }

    /// There is no data to answer from: exit code 4.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Absent,
            ..Self::new(message)
        }
    }

    /// Ctrl-C or SIGTERM.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Interrupted,
            ..Self::new(message)
        }
    }

    /// An error and its chain, each told once.
    pub(crate) fn from_error(error: &dyn Error) -> Self {
        let told = Self::new(error.to_string());
        match error.source() {
            Some(source) => told.cause(source),
            None => told,
        }
    }

    /// An error of a running query.
    pub(crate) fn from_execution(error: DataFusionError) -> Self {
        let root = error.find_root().to_string();
        let root = root.strip_prefix("Execution error: ").unwrap_or(&root);
        // Whose fault it is, and where to report it, is not DataFusion's to say here.
        let root = root
            .split_once(".\nThis issue was likely caused by")
            .map_or(root, |(said, _)| said);
        let told = Self::new("the query failed").caused_by(root.to_owned());
        match habits::of_execution(root) {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }

    /// Adds an error and its chain as causes.
    pub(crate) fn cause(mut self, cause: &dyn Error) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            self = self.caused_by(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds a cause, unless the one before says the same.
    pub(crate) fn caused_by(mut self, text: String) -> Self {
        let before = self.causes.last().unwrap_or(&self.message);
        if !text.is_empty() && !before.ends_with(&text) {
            self.causes.push(text);
        }
        self
    }

    /// Adds advice.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Shows a line of a text with the place marked. Lines and columns count from 1, columns in characters.
    pub(crate) fn excerpt(mut self, text: &str, place: SqlPlace, remark: Option<&str>) -> Self {
        let Some(line) = usize::try_from(place.line)
            .ok()
            .and_then(|line| text.lines().nth(line.checked_sub(1)?))
        else {
            return self;
        };
        let column = usize::try_from(place.column).unwrap_or(1).max(1);
        let length = usize::try_from(place.length).unwrap_or(1).max(1);
        // As wide on the terminal as what stands above it.
        let characters = line.chars().count();
        let before = line.chars().take(column - 1).collect::<String>();
        let marked = line
            .chars()
            .skip(column - 1)
            .take(length)
            .collect::<String>();
        let indent =
            crate::text::width(&visible(&before)) + (column - 1).saturating_sub(characters);
        let caret = "^".repeat(crate::text::width(&visible(&marked)).max(1));
        let gutter = place.line.to_string();
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        self.place = Some((narrow(place.line), narrow(place.column)));
        self.excerpt.push(format!(" {gutter} | {line}"));
        let mut below = format!(
            " {:width$} | {:indent$}{caret}",
            "",
            "",
            width = gutter.len()
        );
        if let Some(remark) = remark {
            let _infallible = write!(below, " {remark}");
        }
        self.excerpt.push(below);
        self
    }

    /// Names the file that the excerpt is of, if there is one.
    pub(crate) fn in_file(mut self, name: &str) -> Self {
        if let Some((line, column)) = self.place {
            self.excerpt
                .insert(0, format!(" --> {name}:{line}:{column}"));
        }
        self
    }

    /// What the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        if self.quiet { Exit::Done } else { self.exit }
    }

    /// Whether there is nothing to say: the reader of our output is gone.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One line with all causes, for reports that list several failures.
    pub(crate) fn one_line(&self) -> String {
        let mut line = visible(&self.message).into_owned();
        for cause in &self.causes {
            let _infallible = write!(line, ": {}", visible(cause));
        }
        line
    }

    /// The hints.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The lines for stderr; `paint` colours the words at their start.
    pub(crate) fn lines(&self, paint: impl Fn(Label) -> String) -> Vec<String> {
        if self.quiet {
            return Vec::new();
        }
        let mut lines = vec![format!(
            "{} {}",
            paint(Label::Error),
            visible(&self.message)
        )];
        lines.extend(self.excerpt.iter().map(|line| visible(line).into_owned()));
        lines.extend(
            self.causes
                .iter()
                .map(|cause| format!("  caused by: {}", visible(cause))),
        );
        lines.extend(
            self.hints
                .iter()
                .map(|hint| format!("{} {}", paint(Label::Hint), visible(hint))),
        );
        lines
    }
}

/// The word that opens a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// `error:`
    Error,
    /// `warning:`
    Warning,
    /// `hint:`
    Hint,
}

/// Writing to standard output or a file failed.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                quiet: true,
                ..Self::new("")
            };
        }
        if let Some(limit) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<FormatLimit>())
        {
            return Self::new(limit.message.clone()).hint(limit.hint.clone());
        }
        Self::new("cannot write the output").cause(&error)
    }
}

impl From<CacheError> for CliError {
    fn from(error: CacheError) -> Self {
        let told = Self::from_error(&error);
        match &error {
            CacheError::NotFound { .. } => {
                told.hint("`kennel sync` makes it; `kennel demo` shows kennel on sample data")
            }
            CacheError::Locked { .. } => {
                told.hint("queries work meanwhile; run this again when the other is done")
            }
            CacheError::Format { found, known, .. } if found > known => told.hint("this cache was written by a newer kennel: update this one"),
            CacheError::UnknownSource { .. } => told.hint("`kennel status` lists the sources of this cache"),
            CacheError::UnknownSnapshot { .. } => told.hint(LIST_SNAPSHOTS),
            CacheError::BeforeHistory { .. } => Self {
                exit: Exit::Absent,
                ..told.hint(LIST_SNAPSHOTS)
            },
            CacheError::DamagedKey { .. } => told.hint("without this file the next `--redact` makes a new key; tokens of earlier exports then mean nothing to it"),
            CacheError::Busy => told.hint("the snapshots are forgotten; run `kennel prune` again to free their space"),
            error if error.is_no_manifest() => told.hint(NO_MANIFEST),
            error if error.is_disk_full() => told.hint("free some space, or `kennel prune --keep-snapshots N`; what is in the cache stays readable"),
            error if error.is_read_only() => told.hint("queries work on a cache that is read-only; writing to it needs your own folder (`--home`)"),
            _ => told,
        }
    }
}

impl From<LibraryError> for CliError {
    fn from(error: LibraryError) -> Self {
        let told = Self::from_error(&error);
        match error {
            LibraryError::Unknown { nearest, .. } if !nearest.is_empty() => {
                let ids = nearest
                    .iter()
                    .map(|id| format!("`{id}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                told.hint(format!("did you mean {ids}?"))
                    .hint("`kennel list` shows all queries")
            }
            LibraryError::Unknown { .. } => told.hint("`kennel list` shows all queries"),
            LibraryError::Ambiguous { .. } => told.hint("give the whole id"),
            _ => told,
        }
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cache(error) => error.into(),
            EngineError::Library(error) => error.into(),
            EngineError::Sql {
                message,
                sql,
                place,
                suggestion,
                expected,
            } => {
                let remark = suggestion.map(|name| format!("did you mean `{name}`?"));
                let lake = lake::hints(&sql, &message);
                let habit = match remark {
                    Some(_) => None,
                    None => habits::hint(&sql, &message, place),
                };
                let told = Self::new(message);
                let told = match (place, remark) {
                    (Some(place), remark) => told.excerpt(&sql, place, remark.as_deref()),
                    (None, Some(remark)) => told.hint(remark),
                    (None, None) => told,
                };
                let told = match expected.is_empty() {
                    true => told,
                    false => told.hint(format!("it is {}", expected.join(" or "))),
                };
                let hints = habit.into_iter().chain(lake);
                hints.fold(told, |told, hint| told.hint(hint))
            }
            EngineError::Param {
                ref message,
                ref suggestion,
            } => {
                let told = Self::from_error(&error);
                match suggestion {
                    Some(name) => told.hint(format!("did you mean `{name}`?")),
                    None if message.starts_with("no value for parameter") => {
                        told.hint("`--param NAME=VALUE` gives it one")
                    }
                    None => told,
                }
            }
            EngineError::Unsupported { ref hint, .. } => {
                Self::from_error(&error).hint(hint.clone())
            }
            EngineError::Table { ref hint, .. } => match hint {
                Some(hint) => Self::from_error(&error).hint(hint.clone()),
                None => Self::from_error(&error),
            },
            EngineError::AsOf { .. } => Self::from_error(&error)
                .hint("a time is 2026-03-01T04:10Z, 2026-03-01 (the end of that day, UTC), yesterday or -7d, a snapshot s12, latest or previous")
                .hint(LIST_SNAPSHOTS),
            EngineError::NoEarlierSnapshot => Self {
                exit: Exit::Absent,
                ..Self::from_error(&error).hint(LIST_SNAPSHOTS)
            },
            EngineError::NoKey => Self::from_error(&error)
                .hint("`--key a,b` names columns that together identify a row"),
            error => Self::from_error(&error),
        }
    }
}

impl From<MirrorError> for CliError {
    fn from(error: MirrorError) -> Self {
        const STILL_THERE: &str = "`kennel run` and `kennel sql` still answer from the cache";
        let told = Self::from_error(&error);
        match error {
            MirrorError::Cache(error) => error.into(),
            MirrorError::Offline { .. } => {
                told.hint("`--offline` (or KENNEL_OFFLINE, or `offline` in kennel.toml) forbids it")
            }
            MirrorError::Credentials(_) => told
                .hint("`aws sts get-caller-identity` with the same profile shows whether the AWS CLI has any")
                .hint(STILL_THERE),
            MirrorError::Answer { ref code, action, ref message, .. } => {
                told.hint(answer_hint(code, action, message)).hint(STILL_THERE)
            }
            // The server was reached, and asked for less until the attempts ran out.
            MirrorError::Unreachable { ref message, .. } if message.contains("(503)") || message.contains("(429)") => {
                told.hint(answer_hint("SlowDown", "", "")).hint(STILL_THERE)
            }
            MirrorError::Unreachable { .. } => told
                .hint("check the network, a proxy (HTTPS_PROXY), its certificates (AWS_CA_BUNDLE), and `endpoint_url` in kennel.toml")
                .hint(STILL_THERE),
            MirrorError::Listing { .. } => {
                told.hint("nothing was changed; a proxy or another server may have answered instead of S3")
            }
            MirrorError::Clock { .. } => told.hint("set this machine's clock"),
            _ => told,
        }
    }
}

/// What helps against an answer of S3.
fn answer_hint(code: &str, action: &str, message: &str) -> String {
    match code {
        "AccessDenied" | "Forbidden" | "AllAccessDisabled" | "403" => {
            let right = if message.to_lowercase().contains("kms") {
                "kms:Decrypt on the key of the bucket"
            } else if action.contains("list") {
                "s3:ListBucket on the bucket"
            } else {
                "s3:GetObject on the objects, and kms:Decrypt if they are encrypted with a key"
            };
            format!("the caller needs {right}; `kennel init` prints a policy with the least permissions")
        }
        "NoSuchBucket" => "check the bucket's name in `url`, and `endpoint_url` if it is not AWS's".into(),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            "the credentials have expired: get new ones (`aws sso login`), then sync again; it goes on from there".into()
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "the credentials are not this server's: check `profile`, and `endpoint_url` if it is not AWS's".into()
        }
        "SlowDown" | "503" => "the bucket is throttled: try a lower `--concurrency`, or later".into(),
        _ => "`-vv` shows the requests".into(),
    }
}

/// A config file that cannot be understood: the place, and the key that was probably meant.
pub(crate) fn config_error(path: &Path, text: &str, error: &toml::de::Error) -> CliError {
    let message = format!("cannot understand the config file `{}`", path.display());
    toml_error(message, text, error)
        .hint("`kennel init` in an empty folder writes a commented example")
}

/// A TOML file that cannot be understood: the place, and the key that was probably meant.
pub(crate) fn toml_error(what: String, text: &str, error: &toml::de::Error) -> CliError {
    let message = error.message().lines().next().unwrap_or_default();
    let told = CliError::new(what);
    let quoted = message.split('`').skip(1).step_by(2).collect::<Vec<_>>();
    let remark = match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown ") => {
            nearest(unknown, known.iter().copied()).map(|key| format!("did you mean `{key}`?"))
        }
        _ => None,
    };
    match error.span() {
        Some(span) => {
            let place = place_of(text, span);
            let at = format!("line {}, column {}: {message}", place.line, place.column);
            told.excerpt(text, place, remark.as_deref()).caused_by(at)
        }
        None => told.caused_by(message.to_owned()),
    }
}

/// Line and column of a byte range.
pub(crate) fn place_of(text: &str, span: std::ops::Range<usize>) -> SqlPlace {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let marked = text.get(span).unwrap_or_default();
    SqlPlace {
        line: before.matches('\n').count() as u64 + 1,
        column: before[line_start..].chars().count() as u64 + 1,
        length: marked
            .lines()
            .next()
            .map_or(1, |line| line.chars().count() as u64)
            .max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(error: &CliError) -> String {
        let label = |label| match label {
            Label::Error => "error:".to_owned(),
            Label::Warning => "warning:".to_owned(),
            Label::Hint => "hint:".to_owned(),
        };
        error.lines(label).join("\n")
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_hints_once_each() {
        let inner = io::Error::other("disk \u{1b}[31mon fire");
        let error = CliError::new("cannot write `x`")
            .cause(&inner)
            .caused_by("disk \u{1b}[31mon fire".into())
            .hint("try again");
        assert_eq!(
            plain(&error),
            "error: cannot write `x`\n  caused by: disk \\u{1b}[31mon fire\nhint: try again"
        );
        assert_eq!(
            error.one_line(),
            "cannot write `x`: disk \\u{1b}[31mon fire"
        );
    }

    #[test]
    fn faults_of_the_engine_are_told_without_its_authors_addresses() {
        let error = CliError::from_execution(DataFusionError::Internal("no row 7".into()));
        assert_eq!(
            plain(&error),
            "error: the query failed\n  caused by: Internal error: no row 7\nhint: this is a fault of kennel's, not of the statement: please report it"
        );
    }

    #[test]
    fn a_line_break_in_data_cannot_forge_a_hint() {
        assert_eq!(
            plain(&CliError::new("no query `x\nhint: rm -rf`")),
            "error: no query `x\\nhint: rm -rf`"
        );
    }

    #[test]
    fn the_caret_stands_below_the_place_also_after_wide_characters_and_tabs() {
        let sql = "SELECT 1,\n\t'東', nam FROM x";
        let place = SqlPlace {
            line: 2,
            column: 7,
            length: 3,
        };
        let error = CliError::new("column `nam` not found").excerpt(
            sql,
            place,
            Some("did you mean `name`?"),
        );
        assert_eq!(
            plain(&error),
            "error: column `nam` not found\n 2 | \\t'東', nam FROM x\n   |         ^^^ did you mean `name`?"
        );
    }

    #[test]
    fn a_place_past_the_text_is_not_shown_and_past_the_line_is() {
        let place = |line, column| SqlPlace {
            line,
            column,
            length: 1,
        };
        assert_eq!(
            plain(&CliError::new("m").excerpt("ab", place(9, 1), None)),
            "error: m"
        );
        assert_eq!(
            plain(&CliError::new("m").excerpt("ab", place(1, 4), None)),
            "error: m\n 1 | ab\n   |    ^"
        );
    }

    #[test]
    fn a_broken_pipe_is_a_quiet_success() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit(), Exit::Done);
        assert_eq!(plain(&error), "");
    }
}
