//! The config file: its keys, and reading it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kennel_cache::{SourceKind, SourceName};
use toml::Spanned;

use crate::{
    cli::{ColorChoice, LogFormat, ProgressChoice},
    error::{CliError, config_error, place_of},
    text::{parse_size, parse_span},
};

/// The name in the working folder and in the platform's config folder.
pub(crate) const FILE_NAME: &str = "kennel.toml";

/// A config file as it was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Where it lies.
    pub(crate) path: PathBuf,
    pub(super) content: Content,
}

/// All keys.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) home: Option<PathBuf>,
    pub(super) offline: Option<bool>,
    pub(super) color: Option<ColorChoice>,
    pub(super) progress: Option<ProgressChoice>,
    pub(super) log_format: Option<LogFormat>,
    #[serde(default)]
    pub(super) queries: Vec<PathBuf>,
    #[serde(default)]
    pub(super) sync: SyncTable,
    #[serde(default)]
    pub(super) source: Vec<SourceTable>,
}

/// `[sync]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncTable {
    pub(super) concurrency: Option<Spanned<u16>>,
    pub(super) bandwidth_limit: Option<Spanned<String>>,
    pub(super) list_usd_per_1000: Option<f64>,
    pub(super) get_usd_per_1000: Option<f64>,
}

/// `[[source]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    name: Spanned<String>,
    kind: SourceKind,
    url: Spanned<String>,
    region: Option<String>,
    profile: Option<String>,
    role_arn: Option<String>,
    external_id: Option<String>,
    endpoint_url: Option<String>,
    request_payer: Option<bool>,
    ca_bundle: Option<PathBuf>,
    path_style: Option<bool>,
    since: Option<Spanned<String>>,
    keep_raw: Option<bool>,
    csv_reports: Option<bool>,
}

/// A configured origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: SourceName,
    /// What it delivers.
    pub(crate) kind: SourceKind,
    /// Where it lies.
    pub(crate) url: String,
    /// AWS region; found out when absent.
    pub(crate) region: Option<String>,
    /// Profile of the AWS config file.
    pub(crate) profile: Option<String>,
    /// A role to assume.
    pub(crate) role_arn: Option<String>,
    /// External id for it.
    pub(crate) external_id: Option<String>,
    /// Another S3 than AWS's.
    pub(crate) endpoint_url: Option<String>,
    /// Whether the requester pays.
    pub(crate) request_payer: bool,
    /// Certificates to trust.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The bucket in the path rather than in the host name.
    pub(crate) path_style: Option<bool>,
    /// How far back the first sync reaches: CloudTrail, and k9's dated csv reports.
    pub(crate) since: Option<String>,
    /// Whether CloudTrail's objects stay beside their tables.
    pub(crate) keep_raw: bool,
    /// Whether k9's csv reports are imported as history.
    pub(crate) csv_reports: bool,
}

impl Source {
    /// A folder as a source, without any of S3's settings.
    pub(crate) fn local(name: SourceName, kind: SourceKind, folder: &Path) -> Self {
        Self {
            name,
            kind,
            url: format!("file://{}", folder.display()),
            region: None,
            profile: None,
            role_arn: None,
            external_id: None,
            endpoint_url: None,
            request_payer: false,
            ca_bundle: None,
            path_style: None,
            since: None,
            keep_raw: true,
            csv_reports: true,
        }
    }
}

impl ConfigFile {
    /// Finds and reads the config file; `None` when there is none and none was asked for.
    ///
    /// # Errors
    /// A named file that is absent; a file that cannot be read or understood.
    pub(crate) fn load(named: Option<&Path>) -> Result<Option<Self>, CliError> {
        if let Some(path) = named {
            let text = fs::read_to_string(path).map_err(|e| {
                CliError::new(format!("cannot read the config file `{}`", path.display())).cause(&e)
            })?;
            return Self::parse(path, &text).map(Some);
        }
        let platform = directories::ProjectDirs::from("", "", "kennel");
        let candidates = [
            Some(PathBuf::from(FILE_NAME)),
            platform.map(|dirs| dirs.config_dir().join(FILE_NAME)),
        ];
        for path in candidates.into_iter().flatten() {
            match fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&path, &text).map(Some),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(e) => {
                    return Err(CliError::new(format!(
                        "cannot read the config file `{}`",
                        path.display()
                    ))
                    .cause(&e));
                }
            }
        }
        Ok(None)
    }

    /// Reads the text of a config file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, CliError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let content = toml::from_str::<Content>(text).map_err(|e| config_error(&path, text, &e))?;
        let file = Self { path, content };
        file.check(text)?;
        Ok(file)
    }

    /// The folder against which relative paths are read.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The configured sources.
    pub(super) fn sources(&self) -> Vec<Source> {
        self.content
            .source
            .iter()
            .map(|table| table.source(self.folder()))
            .collect()
    }

    fn check(&self, text: &str) -> Result<(), CliError> {
        let wrong = |span: std::ops::Range<usize>, message: String| {
            CliError::new(format!(
                "cannot understand the config file `{}`",
                self.path.display()
            ))
            .excerpt(text, place_of(text, span), None)
            .caused_by(message)
        };
        let mut names = std::collections::HashSet::new();
        for source in &self.content.source {
            SourceName::try_new(source.name.get_ref())
                .map_err(|e| wrong(source.name.span(), e.to_string()))?;
            if !names.insert(source.name.get_ref()) {
                return Err(wrong(
                    source.name.span(),
                    format!("two sources are named `{}`", source.name.get_ref()),
                ));
            }
            let url = source.url.get_ref();
            if !url.starts_with("s3://") && !url.starts_with("file://") {
                let message = format!("`{url}` is not s3://BUCKET[/PREFIX] or file:///PATH");
                return Err(wrong(source.url.span(), message));
            }
            if let Some(since) = &source.since {
                let is_day = since.get_ref().trim().parse::<chrono::NaiveDate>().is_ok();
                if !is_day && parse_span(since.get_ref()).is_err() {
                    let message = format!(
                        "`{}` is no day (2026-03-01) and no span (36h, 90d, 2w)",
                        since.get_ref()
                    );
                    return Err(wrong(since.span(), message));
                }
            }
        }
        let sync = &self.content.sync;
        if let Some(limit) = &sync.bandwidth_limit {
            parse_size(limit.get_ref()).map_err(|message| wrong(limit.span(), message))?;
        }
        if let Some(concurrency) = sync
            .concurrency
            .as_ref()
            .filter(|number| *number.get_ref() == 0)
        {
            return Err(wrong(
                concurrency.span(),
                "at least one download at a time is needed".into(),
            ));
        }
        Ok(())
    }
}

impl SourceTable {
    fn source(&self, folder: &Path) -> Source {
        let url = self.url.get_ref();
        // `file://./inbox` is as seen from the config file.
        let url = match url
            .strip_prefix("file://")
            .filter(|path| path.starts_with('.'))
        {
            Some(relative) => format!("file://{}", folder.join(relative).display()),
            None => url.clone(),
        };
        Source {
            name: SourceName::try_new(self.name.get_ref()).expect("checked when the file was read"),
            kind: self.kind,
            url,
            region: self.region.clone(),
            profile: self.profile.clone(),
            role_arn: self.role_arn.clone(),
            external_id: self.external_id.clone(),
            endpoint_url: self.endpoint_url.clone(),
            request_payer: self.request_payer.unwrap_or(false),
            ca_bundle: self.ca_bundle.as_ref().map(|path| folder.join(path)),
            path_style: self.path_style,
            since: self.since.as_ref().map(|since| since.get_ref().clone()),
            keep_raw: self.keep_raw.unwrap_or(true),
            csv_reports: self.csv_reports.unwrap_or(true),
        }
    }
}
