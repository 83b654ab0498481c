//! Settings: flags beat the environment, the environment beats the config file, the file beats the
//! default. Each value keeps where it came from, for `kennel status --settings`.

mod file;

use std::{fmt, path::PathBuf};

use clap::{ArgMatches, parser::ValueSource};

use crate::{
    cli::{ColorChoice, GlobalArgs, LogFormat, ProgressChoice},
    error::CliError,
    text::parse_size,
};

pub(crate) use file::{ConfigFile, FILE_NAME, Source};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The config file.
    File,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File => f.write_str("config file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    /// The value.
    pub(crate) value: T,
    /// Its origin.
    pub(crate) origin: Origin,
}

impl<T> Sourced<T> {
    fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A value of the config file or else the default.
    fn file_or(in_file: Option<T>, default: T) -> Self {
        match in_file {
            Some(value) => Self::new(value, Origin::File),
            None => Self::new(default, Origin::Default),
        }
    }
}

/// All settings, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Folder of the cache.
    pub(crate) home: Sourced<PathBuf>,
    /// The config file in use.
    pub(crate) config: Sourced<Option<PathBuf>>,
    /// Whether connections are errors.
    pub(crate) offline: Sourced<bool>,
    /// Colours.
    pub(crate) color: Sourced<ColorChoice>,
    /// Progress bars.
    pub(crate) progress: Sourced<ProgressChoice>,
    /// Form of the log.
    pub(crate) log_format: Sourced<LogFormat>,
    /// Folders of the user's own queries.
    pub(crate) queries: Sourced<Vec<PathBuf>>,
    /// Downloads at a time.
    pub(crate) concurrency: Sourced<usize>,
    /// Bytes per second over all downloads.
    pub(crate) bandwidth_limit: Sourced<Option<u64>>,
    /// Price of 1,000 LIST requests in USD, for the estimate.
    pub(crate) list_usd_per_1000: Sourced<f64>,
    /// Price of 1,000 GET requests in USD, for the estimate.
    pub(crate) get_usd_per_1000: Sourced<f64>,
    /// The configured sources.
    pub(crate) sources: Vec<Source>,
}

/// Where global flags came from, as clap saw them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FlagOrigins {
    home: Option<ValueSource>,
    config: Option<ValueSource>,
    color: Option<ValueSource>,
    progress: Option<ValueSource>,
    log_format: Option<ValueSource>,
    offline: Option<ValueSource>,
}

impl FlagOrigins {
    /// Asks clap.
    pub(crate) fn new(matches: &ArgMatches) -> Self {
        let source = |id| matches.value_source(id);
        Self {
            home: source("home"),
            config: source("config"),
            color: source("color"),
            progress: source("progress"),
            log_format: source("log_format"),
            offline: source("offline"),
        }
    }
}

/// A flag's value, if it was given by the command line or the environment.
fn given<T>(
    value: T,
    source: Option<ValueSource>,
    flag: &'static str,
    variable: &'static str,
) -> Option<Sourced<T>> {
    match source? {
        ValueSource::CommandLine => Some(Sourced::new(value, Origin::Flag(flag))),
        ValueSource::EnvVariable => Some(Sourced::new(value, Origin::Environment(variable))),
        _ => None,
    }
}

impl Settings {
    /// Reads the config file and resolves everything.
    ///
    /// # Errors
    /// A config file that cannot be read or understood; no place for the cache.
    pub(crate) fn load(global: &GlobalArgs, origins: FlagOrigins) -> Result<Self, CliError> {
        let file = ConfigFile::load(global.config.as_deref())?;
        Self::resolve(global, origins, file.as_ref())
    }

    /// Resolves flags, environment and defaults alone.
    ///
    /// # Errors
    /// No place for the cache.
    pub(crate) fn without_file(
        global: &GlobalArgs,
        origins: FlagOrigins,
    ) -> Result<Self, CliError> {
        Self::resolve(global, origins, None)
    }

    fn resolve(
        global: &GlobalArgs,
        origins: FlagOrigins,
        file: Option<&ConfigFile>,
    ) -> Result<Self, CliError> {
        let content = file.map(|file| &file.content);
        let flag = |value: Option<PathBuf>, source, flag, variable| {
            value.and_then(|value| given(value, source, flag, variable))
        };
        let home = match flag(global.home.clone(), origins.home, "--home", "KENNEL_HOME") {
            Some(home) => home,
            None => {
                match file.and_then(|file| Some(file.folder().join(file.content.home.as_ref()?))) {
                    Some(home) => Sourced::new(home, Origin::File),
                    None => Sourced::new(default_home()?, Origin::Default),
                }
            }
        };
        let found = file.map(|file| file.path.clone());
        let config = match flag(
            global.config.clone(),
            origins.config,
            "--config",
            "KENNEL_CONFIG",
        ) {
            Some(named) => Sourced::new(found, named.origin),
            None => Sourced::new(found, Origin::Default),
        };
        let sync = content.map(|content| &content.sync);
        let bandwidth = sync
            .and_then(|sync| sync.bandwidth_limit.as_ref())
            .and_then(|limit| parse_size(limit.get_ref()).ok());
        let queries = file.map(|file| {
            file.content
                .queries
                .iter()
                .map(|folder| file.folder().join(folder))
                .collect::<Vec<_>>()
        });
        Ok(Self {
            home,
            config,
            offline: given(
                global.offline,
                origins.offline,
                "--offline",
                "KENNEL_OFFLINE",
            )
            .unwrap_or_else(|| Sourced::file_or(content.and_then(|c| c.offline), false)),
            color: global
                .color
                .and_then(|value| given(value, origins.color, "--color", "KENNEL_COLOR"))
                .unwrap_or_else(|| {
                    Sourced::file_or(content.and_then(|c| c.color), ColorChoice::Auto)
                }),
            progress: global
                .progress
                .and_then(|value| given(value, origins.progress, "--progress", "KENNEL_PROGRESS"))
                .unwrap_or_else(|| {
                    Sourced::file_or(content.and_then(|c| c.progress), ProgressChoice::Auto)
                }),
            log_format: global
                .log_format
                .and_then(|value| {
                    given(
                        value,
                        origins.log_format,
                        "--log-format",
                        "KENNEL_LOG_FORMAT",
                    )
                })
                .unwrap_or_else(|| {
                    Sourced::file_or(content.and_then(|c| c.log_format), LogFormat::Text)
                }),
            queries: Sourced::file_or(queries.filter(|folders| !folders.is_empty()), Vec::new()),
            concurrency: Sourced::file_or(
                sync.and_then(|sync| sync.concurrency.as_ref())
                    .map(|number| usize::from(*number.get_ref())),
                64,
            ),
            bandwidth_limit: Sourced::file_or(bandwidth.map(Some), None),
            // Source: AWS's price list for S3 Standard in us-east-1.
            list_usd_per_1000: Sourced::file_or(
                sync.and_then(|sync| sync.list_usd_per_1000),
                0.005,
            ),
            get_usd_per_1000: Sourced::file_or(sync.and_then(|sync| sync.get_usd_per_1000), 0.0004),
            sources: file.map(ConfigFile::sources).unwrap_or_default(),
        })
    }

    /// Name, value and origin of each setting, in the order in which they are shown.
    pub(crate) fn describe(&self) -> Vec<(String, String, String)> {
        fn row<T>(
            name: &str,
            setting: &Sourced<T>,
            shown: impl FnOnce(&T) -> String,
        ) -> (String, String, String) {
            (
                name.to_owned(),
                shown(&setting.value),
                setting.origin.to_string(),
            )
        }
        let named = |path: &PathBuf| path.display().to_string();
        let mut rows = vec![
            row("home", &self.home, named),
            row("config", &self.config, |path| {
                path.as_ref().map_or_else(|| "none".into(), named)
            }),
            row("offline", &self.offline, bool::to_string),
            row("color", &self.color, |value| {
                format!("{value:?}").to_lowercase()
            }),
            row("progress", &self.progress, |value| {
                format!("{value:?}").to_lowercase()
            }),
            row("log_format", &self.log_format, |value| {
                format!("{value:?}").to_lowercase()
            }),
            row("queries", &self.queries, |folders| {
                match folders.as_slice() {
                    [] => "none".into(),
                    folders => folders.iter().map(named).collect::<Vec<_>>().join(", "),
                }
            }),
            row("sync.concurrency", &self.concurrency, usize::to_string),
            row("sync.bandwidth_limit", &self.bandwidth_limit, |limit| {
                limit.map_or_else(
                    || "none".into(),
                    |limit| format!("{}/s", crate::text::bytes(limit)),
                )
            }),
            row(
                "sync.list_usd_per_1000",
                &self.list_usd_per_1000,
                f64::to_string,
            ),
            row(
                "sync.get_usd_per_1000",
                &self.get_usd_per_1000,
                f64::to_string,
            ),
        ];
        for source in &self.sources {
            rows.extend(source.describe().into_iter().map(|(key, value)| {
                (
                    format!("source.{}.{key}", source.name),
                    value,
                    Origin::File.to_string(),
                )
            }));
        }
        rows
    }
}

impl Source {
    fn describe(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("kind", self.kind.to_string()), ("url", self.url.clone())];
        let texts = [
            ("region", self.region.clone()),
            ("profile", self.profile.clone()),
            ("role_arn", self.role_arn.clone()),
            (
                "external_id",
                self.external_id.as_ref().map(|_| "[redacted]".into()),
            ),
            (
                "endpoint_url",
                self.endpoint_url.as_deref().map(without_credentials),
            ),
            ("request_payer", self.request_payer.then(|| "true".into())),
            (
                "ca_bundle",
                self.ca_bundle
                    .as_ref()
                    .map(|path| path.display().to_string()),
            ),
            ("path_style", self.path_style.map(|value| value.to_string())),
            ("since", self.since.clone()),
            ("keep_raw", (!self.keep_raw).then(|| "false".into())),
            ("csv_reports", (!self.csv_reports).then(|| "false".into())),
        ];
        rows.extend(
            texts
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        rows
    }
}

/// A URL without `user:password@`.
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host
                .rsplit_once('@')
                .map_or_else(|| host.to_owned(), |(_, host)| format!("[redacted]@{host}"));
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

fn default_home() -> Result<PathBuf, CliError> {
    directories::BaseDirs::new()
        .map(|dirs| dirs.data_local_dir().join("kennel"))
        .ok_or_else(|| {
            CliError::new("there is no home directory to keep the cache in")
                .hint("name a folder with `--home DIR`")
        })
}

#[cfg(test)]
mod tests;
