//! What every command gets: the printer, the settings, the way into cache and engine.

use std::path::{Path, PathBuf};

use kennel_cache::{Cache, CacheError};
use kennel_engine::{ConfiguredSource, Engine, EngineSettings};

use crate::{clock, error::CliError, printer::Printer, settings::Settings};

/// Passed to each command.
#[derive(Debug)]
pub(crate) struct Context {
    /// Standard output and standard error.
    pub(crate) printer: Printer,
    /// All settings.
    pub(crate) settings: Settings,
    /// The config file that was asked for by name, read or not.
    pub(crate) named_config: Option<PathBuf>,
}

impl Context {
    /// Folder of the cache.
    pub(crate) fn home(&self) -> &Path {
        &self.settings.home.value
    }

    /// The cache, to read from; `None` before the first sync.
    pub(crate) fn cache(&self) -> Result<Option<Cache>, CliError> {
        match Cache::open(self.home()) {
            Ok(cache) => Ok(Some(cache)),
            Err(CacheError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The engine over the cache; without one its tables are empty and say so.
    pub(crate) fn engine(&self, narrowed: EngineSettings) -> Result<Engine, CliError> {
        let sources = self.settings.sources.iter().map(|source| ConfiguredSource {
            name: source.name.clone(),
            kind: source.kind,
            url: source.url.clone(),
        });
        let settings = EngineSettings {
            sources: sources.collect(),
            query_folders: self.settings.queries.value.clone(),
            now: self.now(),
            ..narrowed
        };
        Ok(Engine::open(self.cache()?, settings)?)
    }

    /// Now.
    pub(crate) fn now(&self) -> chrono::DateTime<chrono::Utc> {
        clock::now()
    }
}
